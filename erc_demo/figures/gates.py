"""How far each input let another in: gates per ordered pair, turn by turn.

Drawn of maps over pairs that are no weights. A gate of 0.5 is undecided; a bar goes up from there
where the gate was open, down where it was closed. Many turns are drawn in groups: the bar is the
mean, the thin line holds the middle half of the group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _panels, _theme
from erc_demo.figures._blocks import HOVER
from erc_demo.figures._contract import View

TITLE = "How far each input let another in"
READ = (
    "One row for each pair: a bar above the middle line is a gate more open than shut (towards 1), "
    "below it more shut than open (towards 0)."
)
ROWS = 12  # pairs; four inputs have as many
ROW = 46  # pixels
QUARTERS = (0.25, 0.75)


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    return _panels.missing(view, view.maps("pair", weights=False), "gates between inputs")


def draw(view: View) -> go.Figure:
    """The figure."""
    rows = [
        (name, values)
        for one in _panels.filled(view.maps("pair", weights=False))
        for name, values in zip(one.names["pair"], _panels.table(one).T, strict=True)
    ]
    groups = _theme.groups(len(view.analysis.dialogue.turns), _theme.MANY)
    notes = []
    if any(len(one) > 1 for one in groups):
        notes.append(
            f"A bar is the mean of up to {len(groups[0])} turns; the thin line holds their middle "
            "half."
        )
    if len(rows) > ROWS:
        notes.append(f"The first {ROWS} of {len(rows)} pairs are drawn.")
    rows = rows[:ROWS]
    drawn = _panels.panels(view, [ROW] * len(rows), gap=20, notes=notes, shared_xaxes=True)
    for row, (name, values) in enumerate(rows, 1):
        _draw_row(drawn, view, row, values, groups)
        _panels.head(drawn, view, row, _theme.escaped(name))
    at, texts = _panels.turn_ticks(view)
    count = len(view.analysis.dialogue.turns)
    drawn.update_xaxes(range=[-0.7, count - 0.3], showgrid=False)
    drawn.update_xaxes(tickvals=at, ticktext=texts, title_text="turn", row=len(rows))
    return drawn


def _draw_row(
    drawn: go.Figure, view: View, row: int, values: np.ndarray, groups: Sequence[range]
) -> None:
    colours = _theme.ground(view.dark)
    shown = [one for one in groups if np.isfinite(values[list(one)]).any()]
    parts = [values[list(one)] for one in shown]
    means = np.array([np.nanmean(part) for part in parts])
    lows, highs = np.array([np.nanquantile(part, QUARTERS) for part in parts]).reshape(-1, 2).T
    several = any(len(one) > 1 for one in groups)
    middles = [(one[0] + one[-1]) / 2 for one in shown]
    chosen = [view.turn is not None and view.turn in one for one in shown]
    drawn.add_bar(
        x=middles,
        y=(means - 0.5).round(4).tolist(),
        base=0.5,
        width=[0.8 * len(one) for one in shown],
        marker={
            "color": [colours.ink if one else colours.data for one in chosen],
            "line": {"width": [2 if one else 0 for one in chosen], "color": colours.ink},
            "opacity": [1.0 if one or view.turn is None else 0.6 for one in chosen],
        },
        error_y={
            "type": "data",
            "array": np.maximum(highs - means, 0).round(4).tolist(),
            "arrayminus": np.maximum(means - lows, 0).round(4).tolist(),
            "color": colours.soft,
            "thickness": 0.8,
            "width": 0,
            "visible": several,
        },
        hovertext=[
            f"{_panels.turns_heading(view, one)}<br>gate {mean:.2f}"
            + (f", half of them {low:.2f} to {high:.2f}" if len(one) > 1 else "")
            for one, mean, low, high in zip(shown, means, lows, highs, strict=True)
        ],
        hovertemplate=HOVER,
        showlegend=False,
        row=row,
        col=1,
    )
    drawn.add_hline(y=0.5, line={"color": colours.soft, "width": 1}, row=row, col=1)
    drawn.update_yaxes(
        range=[0, 1], tickvals=[0, 0.5, 1], ticktext=["0", "½", "1"], showgrid=False, row=row
    )
