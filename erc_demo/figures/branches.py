"""What each branch of a system would have said, before and after fusion.

Drawn of maps over branches and labels: a row for each branch with the chosen turn's probabilities,
and under them where, over the conversation, the branches do not say the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from erc_demo.emotions import LabelSet
from erc_demo.figures import _panels, _theme
from erc_demo.figures._blocks import HOVER
from erc_demo.figures._contract import View
from erc_demo.findings import Map

TITLE = "What each branch would have said"
READ = (
    "One row for each branch, alone or after fusion: bars are its probabilities for one turn, the "
    "bold number its answer; at the foot, filled is where the branches do not agree."
)
ROWS = 10  # branches
ROW, STRIP = 54, 46  # pixels
GROUPS = 40  # columns of the strip at the foot


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    maps = view.maps("branch", "label")
    said = _panels.missing(view, maps, "answers of its branches")
    if said or view.prediction is None:
        return said
    if view.prediction.labels is None or any(
        set(one.names["label"]) - set(view.prediction.labels.labels) for one in maps
    ):
        return f"{view.prediction.system} names labels in its branches that it does not know."
    return ""


def draw(view: View) -> go.Figure:
    """The figure."""
    maps = view.maps("branch", "label")
    place = _panels.chosen(view, maps)
    found = next((one for one in maps if place is not None and one.values[place] is not None), None)
    if found is None or place is None or view.prediction is None or view.prediction.labels is None:
        raise ValueError("drawn without asking why_not")
    differs, answered = disagreement(found)
    branches = found.names["branch"][:ROWS]
    notes = [
        f"For {_theme.plain_name(view, place)}.",
        f"The branches do not agree in {differs.sum()} of {answered.sum()} turns.",
    ]
    if len(found.names["branch"]) > ROWS:
        notes.append(f"The first {ROWS} of {len(found.names['branch'])} branches are drawn.")
    heights = [ROW] * len(branches) + [STRIP]
    drawn = _panels.panels(view, heights, gap=36, notes=notes)
    labels = found.names["label"]
    chances = by_branch(found, place)
    marks = [_theme.look(view.prediction.labels, one, view.dark) for one in labels]
    for row, (name, values) in enumerate(zip(branches, chances, strict=False), 1):
        _draw_branch(drawn, view, row, marks, values)
        said = marks[int(values.argmax())]
        _panels.head(
            drawn,
            view,
            row,
            f"{_theme.escaped(name)}: <b>{said.name}</b> {_theme.percent(float(values.max()))}",
        )
        drawn.update_xaxes(showticklabels=row == len(branches), row=row)
    drawn.update_xaxes(
        tickvals=list(range(len(labels))),
        ticktext=[f"{one.glyph} {one.code}" for one in marks],
        tickfont={"color": _theme.ground(view.dark).ink},
        row=len(branches),
    )
    top = float(chances[: len(branches)].max())
    for row in range(1, len(heights)):
        drawn.update_yaxes(range=[0, 1.45 * top], visible=False, row=row)
    _draw_strip(drawn, view, found, view.prediction.labels, differs, answered, len(heights))
    return drawn


def by_branch(found: Map, place: int) -> np.ndarray:
    """(branches, labels) of a turn, heads averaged."""
    value = np.asarray(found.mean(place), np.float64)
    axes = [axis for axis in found.axes if axis != "head"]
    return np.moveaxis(value, axes.index("branch"), 0)


def disagreement(found: Map) -> tuple[np.ndarray, np.ndarray]:
    """In which turns the likeliest labels of the branches differ; which turns are shown at all."""
    shown = np.array([one is not None for one in found.values], bool)
    differs = np.zeros(found.turns, bool)
    for place in np.flatnonzero(shown):
        differs[place] = len(set(by_branch(found, int(place)).argmax(axis=1).tolist())) > 1
    return differs, shown


def _draw_branch(
    drawn: go.Figure, view: View, row: int, marks: Sequence[_theme.Mark], values: np.ndarray
) -> None:
    best = int(values.argmax())
    drawn.add_bar(
        x=list(range(len(marks))),
        y=values.round(4),
        width=0.72,
        marker={
            "color": [one.fill for one in marks],
            "line": {"color": [one.line for one in marks], "width": 1},
        },
        text=[
            f"<b>{100 * one:.0f}</b>" if at == best else f"{100 * one:.0f}"
            for at, one in enumerate(values)
        ],
        textposition="outside",
        textfont={"size": _theme.SMALL, "color": _theme.ground(view.dark).ink},
        cliponaxis=False,
        hovertext=[
            f"{mark.name} {_theme.percent(float(one))}"
            for mark, one in zip(marks, values, strict=True)
        ],
        hovertemplate=HOVER,
        showlegend=False,
        row=row,
        col=1,
    )
    drawn.update_xaxes(range=[-0.6, len(marks) - 0.4], showgrid=False, row=row)


def _draw_strip(
    drawn: go.Figure,
    view: View,
    found: Map,
    labels: LabelSet,
    differs: np.ndarray,
    answered: np.ndarray,
    row: int,
) -> None:
    colours = _theme.ground(view.dark)
    groups = [one for one in _theme.groups(found.turns, GROUPS) if answered[list(one)].any()]
    shares = [float(differs[list(one)].sum() / answered[list(one)].sum()) for one in groups]
    several = any(len(one) > 1 for one in groups)
    drawn.add_bar(
        x=[(one[0] + one[-1]) / 2 for one in groups],
        y=[1.0] * len(groups),
        width=[0.85 * len(one) for one in groups],
        marker={
            "color": shares,
            "colorscale": _theme.ramp(view.dark),
            "cmin": 0,
            "cmax": 1,
            "showscale": False,
            "line": {"color": colours.edge, "width": 0.5},
        },
        hovertext=[
            f"{_panels.turns_heading(view, one)}<br>"
            + (
                f"branches differ in {_theme.percent(share)}"
                if len(one) > 1
                else _said(view, found, labels, one[0])
            )
            for one, share in zip(groups, shares, strict=True)
        ],
        hovertemplate=HOVER,
        showlegend=False,
        row=row,
        col=1,
    )
    at, texts = _panels.turn_ticks(view)
    drawn.update_xaxes(
        range=[-0.7, found.turns - 0.3],
        tickvals=at,
        ticktext=texts,
        title_text="turn",
        showgrid=False,
        row=row,
    )
    drawn.update_yaxes(range=[0, 1], visible=False, row=row)
    what = "where the branches do not agree"
    _panels.head(drawn, view, row, f"{what}: the stronger, the more often" if several else what)


def _said(view: View, found: Map, labels: LabelSet, place: int) -> str:
    """What each branch says of a turn, a line for each."""
    answers = by_branch(found, place).argmax(axis=1)
    return "<br>".join(
        f"{_theme.escaped(name)}: {_theme.look(labels, found.names['label'][at], view.dark).name}"
        for name, at in zip(found.names["branch"], answers, strict=True)
    )
