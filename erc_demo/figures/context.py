"""Which turns each turn leaned on, as a square of weights: a row looks at its columns.

Drawn from every map of weights over turns (mean over heads), in the inks of one scale. Above
``MANY`` turns both sides are cut into groups: a cell is what a turn of the row gives, on average,
to all turns of the column together. The turn that is looked at has its own bars; where the map
shows only one turn, these are all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _theme as theme
from erc_demo.figures._blocks import HOVER
from erc_demo.figures._contract import View
from erc_demo.figures._leaning import LEFT, absent, blocked, heads, square, stretch, strongest
from erc_demo.figures._panels import folded, head, missing, panels, scale, turn_ticks
from erc_demo.findings import Map

TITLE = "Which turns it leaned on"
READ = (
    "A row is a turn that was answered and a column a turn that it saw: the more a square "
    "stands out, the more attention went there, which shows where the system looked and not yet "
    "what mattered."
)
CELLS = 40  # a side, where there are too many turns to show each
SQUARE, BARS = 320, 96  # pixels
BENEATH = 108  # for the axis and the scale
SHOWN = 0.005  # a weight below it has no words in its hover
FULL = 95  # percentile of the weights above 0, drawn as full ink, so that one does not hide all


def why_not(view: View) -> str:
    """There must be a map over turns."""
    return missing(
        replace(view, turn=None), view.maps("turn", weights=True), "attention over turns"
    )


def draw(view: View) -> go.Figure:
    """For each map the bars of the turn that is looked at, and the square."""
    maps = view.maps("turn", weights=True)
    notes = absent(view, maps)
    left = 0.0  # the most that a row of a square gave to turns that are not listed
    rows: list[tuple[Map, np.ndarray, int | None, bool]] = []  # weights, turn, whether its bars
    for one in maps:
        weights, rest = square(one)
        targets = np.flatnonzero(np.isfinite(weights).all(axis=1)).tolist()
        turn = targets[0] if len(targets) == 1 else view.turn
        if turn is not None and turn in targets:
            rows.append((one, weights, turn, True))
            alone = ", the only one shown" if len(targets) == 1 else ""
            which = f"{one.title}: " if len(maps) > 1 else ""
            notes.append(f"{which}{theme.plain_name(view, turn)}{alone}, leaned on")
            notes += strongest(view, turn, weights, rest[turn], 3)
        if len(targets) > 1:
            rows.append((one, weights, turn, False))
            left = max(left, float(rest[targets].max()))
    groups = theme.groups(maps[0].turns, maps[0].turns if maps[0].turns <= theme.MANY else CELLS)
    if len(groups) < maps[0].turns:
        notes.append(f"Rows and columns are groups of {len(groups[0])} turns.")
    if left > LEFT:
        most = theme.percent(left)
        notes.append(
            f"Of each row only the heaviest turns are listed; up to {most} lies elsewhere."
        )
    full = _full([blocked(weights, groups) for _, weights, _, bars in rows if not bars])
    sizes = [BARS if bars else SQUARE for *_, bars in rows]
    drawn = panels(view, sizes, gap=52, below=BENEATH, notes=notes)
    places, words = turn_ticks(view)
    for at, (one, weights, turn, bars) in enumerate(rows, 1):
        if bars and turn is not None:
            seen = stretch(weights[turn], turn, theme.MANY)
            _add_bars(drawn, view, weights[turn], seen, at)
            near = " nearby" if len(seen) < one.turns else ""
            title = f"{theme.turn_name(view, turn)}: what it gave to each turn{near}"
            if len(maps) > 1:
                title = f"{folded(one.title)}<br>{title}"
        else:
            _add_square(drawn, view, weights, groups, full, at)
            title = folded(one.title + heads(one))
            edges = [-0.5, one.turns - 0.5]
            drawn.update_xaxes(range=edges, tickvals=places, ticktext=words, row=at, col=1)
            drawn.update_yaxes(range=edges[::-1], tickvals=places, ticktext=words, row=at, col=1)
            drawn.update_yaxes(title_text="turn", showgrid=False, row=at, col=1)
            if turn is not None:
                drawn.add_shape(
                    type="rect", x0=edges[0], x1=edges[1], y0=turn - 0.5, y1=turn + 0.5, row=at,
                    col=1, line={"color": theme.ground(view.dark).ink, "width": 1.5},
                )  # fmt: skip
        head(drawn, view, at, title)
    drawn.update_xaxes(showgrid=False)
    drawn.update_xaxes(title_text="turn that it saw", row=len(rows), col=1)
    return drawn


def _add_bars(drawn: go.Figure, view: View, weights: np.ndarray, seen: range, row: int) -> None:
    """What one turn gave to each turn of a stretch."""
    drawn.add_bar(
        x=list(seen),
        y=weights[list(seen)],
        marker={"color": theme.ground(view.dark).data},
        hovertext=[f"{theme.percent(weights[at])} on {theme.heading(view, at)}" for at in seen],
        hovertemplate=HOVER,
        showlegend=False,
        row=row,
        col=1,
    )
    places, words = turn_ticks(view, seen)
    drawn.update_xaxes(
        range=[seen[0] - 0.5, seen[-1] + 0.5],
        tickvals=places,
        ticktext=words,
        row=row,
        col=1,
    )
    drawn.update_yaxes(tickformat=".0%", nticks=4, rangemode="tozero", row=row, col=1)


def _full(squares: list[np.ndarray]) -> float:
    """The weight that is drawn as full ink, the same in every square."""
    weights = np.concatenate([one[one > 0] for one in squares] or [np.zeros(0)])
    return float(np.percentile(weights, FULL)) if len(weights) else 1.0


def _add_square(
    drawn: go.Figure, view: View, weights: np.ndarray, groups: list[range], full: float, row: int
) -> None:
    """The weights between turns, or between groups of them."""
    values = blocked(weights, groups)
    middles = [(group[0] + group[-1]) / 2 for group in groups]
    turns = view.analysis.dialogue.turns
    names = [
        f"turn {turns[one[0]].number}"
        if len(one) == 1
        else f"turns {turns[one[0]].number}–{turns[one[-1]].number}"
        for one in groups
    ]
    said = [
        f"<br>{theme.wrapped(theme.cut(turns[one[0]].text, theme.SAID))}" if len(one) == 1 else ""
        for one in groups
    ]
    hovers = [
        [
            f"{names[i]} gave {theme.percent(share)} to {names[j]}"
            + (said[j] if share >= SHOWN else "")
            if np.isfinite(share)
            else f"{names[i]}: nothing is shown"
            for j, share in enumerate(line)
        ]
        for i, line in enumerate(values)
    ]
    drawn.add_heatmap(
        x=middles,
        y=middles,
        z=np.round(values, 4),
        zmin=0,
        zmax=full,
        colorscale=theme.ramp(view.dark),
        hovertext=hovers,
        hovertemplate=HOVER,
        xgap=1 if len(groups) <= 12 else 0,
        ygap=1 if len(groups) <= 12 else 0,
        colorbar=scale(
            view,
            [0, full / 2, full],
            ["0", theme.percent(full / 2), f"{theme.percent(full)} or more"],
        ),
        showscale=not any(one.type == "heatmap" for one in drawn.data),  # one scale for all
        row=row,
        col=1,
    )
