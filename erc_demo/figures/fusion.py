"""How much each input weighed in each turn, as stacked bars; greys, since hue means emotion.

Drawn from every map over inputs alone, and of weights over their pairs (heads are averaged). Above
``MANY`` turns a bar is the mean of neighbouring turns. Numbers that are no weights stand beside
each other instead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _theme as theme
from erc_demo.figures._blocks import HOVER, Block, add_edges, readable
from erc_demo.figures._contract import View
from erc_demo.figures._leaning import heads
from erc_demo.figures._panels import (
    filled,
    head,
    missing,
    panels,
    table,
    turn_ticks,
    turns_heading,
)
from erc_demo.findings import Map

TITLE = "How much each input weighed"
READ = (
    "Each bar is cut into the inputs of the system: the longer a part, the more that input "
    "counted, which does not yet say that the answer would change without it."
)
BARS = 40  # where there are too many turns to show each
TALL = 170  # pixels a map
BENEATH = 84  # pixels for the axis and the legend


def why_not(view: View) -> str:
    """There must be a map over inputs."""
    return missing(replace(view, turn=None), _maps(view), "weights of its inputs")


def _maps(view: View) -> tuple[Map, ...]:
    return (*view.maps("modality"), *view.maps("pair", weights=True))


def _names(one: Map) -> tuple[str, ...]:
    (axis,) = set(one.axes) - {"head"}
    return one.names[axis]


def draw(view: View) -> go.Figure:
    """A row of bars for each map."""
    maps = filled(_maps(view))
    turns = maps[0].turns
    groups = theme.groups(turns, turns if turns <= theme.MANY else BARS)
    notes = [f"A bar is the mean of up to {len(groups[0])} turns."] if len(groups) < turns else []
    notes += _absent(view, maps)
    drawn = panels(view, [TALL] * len(maps), gap=40, below=BENEATH, notes=notes, shared_xaxes=True)
    named: set[str] = set()
    for row, one in enumerate(maps, 1):
        _add_bars(drawn, view, one, groups, row, named)
        if len(maps) > 1 or "head" in one.axes:
            head(drawn, view, row, theme.escaped(one.title) + heads(one))
    places, words = turn_ticks(view)
    drawn.update_xaxes(range=[-0.5, turns - 0.5], showgrid=False, tickvals=places, ticktext=words)
    drawn.update_xaxes(title_text="turn", row=len(maps), col=1)
    stacked = all(one.sums is not None for one in maps)
    drawn.update_layout(
        barmode="stack" if stacked else "group",
        bargap=0.12,
        uniformtext={"minsize": 9, "mode": "hide"},
    )
    drawn.update_yaxes(nticks=5, rangemode="tozero")
    if stacked:
        drawn.update_yaxes(range=[0, 1], tickformat=".0%")
    if view.turn is not None and stacked:
        at = next(group for group in groups if view.turn in group)
        frame = Block(left=at[0] - 0.5, right=at[-1] + 0.5, bottom=0, top=1, hover="")
        name = theme.turn_name(view, view.turn)
        for row in range(1, len(maps) + 1):
            add_edges(drawn, [frame], theme.ground(view.dark).ink, width=2.5, name=name, row=row)
    return theme.keyed(drawn, 108)


def _absent(view: View, maps: tuple[Map, ...]) -> list[str]:
    """How many turns show nothing, and whether for want of an answer."""
    empty = [at for at in range(maps[0].turns) if all(one.values[at] is None for one in maps)]
    turns = "1 turn has" if len(empty) == 1 else f"{len(empty)} turns have"
    said = view.prediction
    unanswered = said is not None and all(said.why_not[at] for at in empty)
    why = ": nothing was answered there" if unanswered else ""
    return [f"{turns} no weights{why}."] if empty else []


def _add_bars(
    drawn: go.Figure, view: View, one: Map, groups: list[range], row: int, named: set[str]
) -> None:
    inputs = _names(one)
    values = table(one)
    shown = [[at for at in group if np.isfinite(values[at]).all()] for group in groups]
    means = np.array(
        [values[at].mean(axis=0) if at else np.full(len(inputs), np.nan) for at in shown]
    )
    overall = np.nanmean(values, axis=0)
    hovers = [_hover(view, one, group, values) for group in groups]
    fills = theme.inks(len(inputs), view.dark)
    for at, (name, fill) in enumerate(zip(inputs, fills, strict=True)):
        key = f"{theme.escaped(name)}, mean {_told(one, overall[at])}"
        drawn.add_bar(
            x=[(group[0] + group[-1]) / 2 for group in groups],
            width=[len(group) * 0.9 for group in groups] if one.sums is not None else None,
            y=means[:, at],
            text=[_told(one, share) for share in means[:, at]],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            insidetextfont={"size": theme.SMALL, "color": readable(fill)},
            marker={
                "color": fill,
                "line": {"color": theme.ground(view.dark).paper, "width": 1},
                "pattern": {
                    "shape": theme.PATTERNS[at % len(theme.PATTERNS)],
                    "fillmode": "overlay",
                    "fgcolor": theme.blend(fill, theme.ground(view.dark).paper, 0.5),
                    "size": 5,
                    "solidity": 0.2,
                },
            },
            name=key,
            showlegend=key not in named,
            hovertext=hovers,
            hovertemplate=HOVER,
            row=row,
            col=1,
        )
        named.add(key)


def _told(one: Map, number: float) -> str:
    """A weight as a share, any other number as it is; nothing where there is none."""
    if np.isnan(number):
        return ""
    return theme.percent(number) if one.sums is not None else f"{number:.2f}"


def _hover(view: View, one: Map, group: range, values: np.ndarray) -> str:
    """The weights of a bar; of several turns also the one that is most unlike the mean."""
    shown = [at for at in group if np.isfinite(values[at]).all()]
    if not shown:
        return f"{turns_heading(view, group)}<br>no weights"
    mean = values[shown].mean(axis=0)
    lines = [
        f"{theme.escaped(name)} {_told(one, share)}"
        for name, share in zip(_names(one), mean, strict=True)
    ]
    said = [turns_heading(view, group), ", ".join(lines)]
    if len(shown) > 1:
        far = max(shown, key=lambda at: float(np.abs(values[at] - mean).sum()))
        shares = ", ".join(
            f"{theme.escaped(name)} {_told(one, share)}"
            for name, share in zip(_names(one), values[far], strict=True)
        )
        said += [f"most unlike that: {shares}", theme.heading(view, far)]
    return "<br>".join(said)
