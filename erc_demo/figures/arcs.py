"""Arcs from a turn to the turns that it leaned on, over the lanes of the people.

With a turn that is looked at, its own links, in the stretch of ``NODES`` turns that holds most of
their weight. Without one, the heaviest link of each turn to another; of each group of turns to
another group where there are more than ``NODES``. The first map of weights over turns that shows
something is drawn, mean over heads, and named where there are more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _theme as theme
from erc_demo.figures._blocks import HOVER, NOTHING, add_key
from erc_demo.figures._contract import View
from erc_demo.figures._leaning import absent, blocked, heads, square, stretch, strongest
from erc_demo.figures._panels import filled, missing, turns_heading

TITLE = "Who leaned on whom"
READ = (
    "An arc joins a turn to one that it leaned on, thicker for more attention and dashed where "
    "that turn comes later; attention shows where the system looked, not yet what mattered."
)
NODES = 40  # turns that a telephone can hold side by side, in two lanes
GROUPS = 24  # of turns, in one
LINKS = 8  # of the turn that is looked at
LEAST = 0.01  # a weight below it has no arc
WIDTHS = (1.0, 2.5, 4.5, 7.0)  # pixels, for each quarter of the heaviest
STEPS = 24  # points of an arc
LANE = 0.34  # between lanes, where the widest arc is 1 high
LOWEST = 0.3  # height of the narrowest
SIGN = 0.13  # how far a sign stands below its badge
TALL, A_LANE = 200, 44  # pixels
DOT, SMALL_DOT = 13, 10  # pixels; of more than ``GROUPS`` turns


def why_not(view: View) -> str:
    """There must be a map over turns, and two turns."""
    if lacking := missing(
        replace(view, turn=None), view.maps("turn", weights=True), "attention over turns"
    ):
        return lacking
    if len(view.analysis.dialogue.turns) < 2:
        return "This conversation has one turn only, which can lean on no other."
    return ""


def draw(view: View) -> go.Figure:
    """The lanes and the arcs over them."""
    maps = filled(view.maps("turn", weights=True))
    one = maps[0]
    weights, rest = square(one)
    shown = np.flatnonzero(np.isfinite(weights).all(axis=1)).tolist()
    target = shown[0] if len(shown) == 1 else view.turn if view.turn in shown else None
    if target is not None:
        nodes = [range(at, at + 1) for at in stretch(weights[target], target, NODES)]
        inside = weights[target, [node[0] for node in nodes]]
        heaviest = np.argsort(-inside, kind="stable")[: LINKS + 1].tolist()
        links = {(target - nodes[0][0], at): float(inside[at]) for at in heaviest}
        notes = [f"{theme.plain_name(view, target)} leaned on{heads(one)}:"]
        notes += strongest(view, target, weights, rest[target], 4)
        outside = 1 - float(rest[target] + inside.sum())
        if outside >= LEAST:
            notes.append(f"{theme.percent(outside)} lies on turns left and right of these.")
    else:
        nodes = theme.groups(one.turns, one.turns if one.turns <= NODES else GROUPS)
        between = blocked(weights, nodes)
        np.fill_diagonal(between, np.nan)
        rows = [at for at, row in enumerate(between) if np.isfinite(row).any()]
        links = {(at, int(np.nanargmax(between[at]))): float(np.nanmax(between[at])) for at in rows}
        kind = "turn" if len(nodes) == one.turns else f"group of {len(nodes[0])} turns"
        notes = [f"The heaviest link of each {kind} to another{heads(one)}."]
    if len(maps) > 1:
        notes.insert(0, f"Of {len(maps)} maps the first: {one.title}.")
    notes = absent(view, [one]) + notes
    links = {ends: share for ends, share in links.items() if share >= LEAST and len(set(ends)) > 1}
    return _drawn(view, nodes, links, notes, target)


def _drawn(
    view: View,
    nodes: list[range],
    links: dict[tuple[int, int], float],
    notes: list[str],
    target: int | None,
) -> go.Figure:
    turns, colours = view.analysis.dialogue.turns, theme.ground(view.dark)
    single = all(len(node) == 1 for node in nodes)
    lanes = {who: -LANE * at for at, who in enumerate(view.analysis.dialogue.speakers)}
    y = [lanes[turns[node[0]].speaker] if single else 0.0 for node in nodes]
    rows = len(lanes) if single else 1
    drawn = theme.figure(view, height=TALL + A_LANE * rows, notes=notes)
    _add_arcs(drawn, view, links, y)
    _add_nodes(drawn, view, nodes, y, single)
    if target is not None:
        at = [node[0] for node in nodes].index(target)
        drawn.add_scatter(
            x=[at], y=[y[at]], mode="markers", name=theme.turn_name(view, target),
            marker={"size": DOT + 9, "color": "rgba(0,0,0,0)",
                    "symbol": theme.badge(view, turns[target].speaker),
                    "line": {"color": colours.ink, "width": 2.5}}, hoverinfo="skip",
        )  # fmt: skip
    step = next(size for size in (1, 2, 5, 10) if len(nodes) <= 8 * size)
    ticks = list(range(0, len(nodes), step))
    drawn.update_layout(
        legend_itemsizing="trace",  # so that the widths can be compared
        xaxis={
            "range": [-0.03 * len(nodes) - 0.5, 1.03 * len(nodes) - 0.5],
            "showgrid": False,
            "tickvals": ticks,
            "ticktext": [str(turns[nodes[at][0]].number) for at in ticks],
            "title": {"text": "turn" if single else "first turn of a group"},
        },
        yaxis={
            "range": [-LANE * (rows - 1) - 0.28, 1.12],
            "showgrid": False,
            "tickvals": list(lanes.values()) if single else [0.0],
            "ticktext": [theme.speaker_name(view, who) for who in lanes] if single else ["all"],
            "tickfont": {"color": colours.ink},
        },
    )
    return theme.keyed(drawn)


def _add_arcs(
    drawn: go.Figure, view: View, links: dict[tuple[int, int], float], y: list[float]
) -> None:
    """Arcs as one trace for each width and direction; their legend tells the widths."""
    if not links:
        return
    most, widest = max(links.values()), max(abs(a - b) for a, b in links)
    way = np.linspace(0, 1, STEPS)
    for later in (False, True):
        for quarter, width in enumerate(WIDTHS, 1):
            low, high = most * (quarter - 1) / len(WIDTHS), most * quarter / len(WIDTHS)
            x_of: list[float | None] = []
            y_of: list[float | None] = []
            for (target, seen), share in links.items():
                if (seen > target) != later or not low < share <= high:
                    continue
                top = LOWEST + (1 - LOWEST) * abs(target - seen) / widest
                foot = (1 - way) * y[target] + way * y[seen]
                bow = 4 * way * (1 - way)
                x_of += [*(target + way * (seen - target)).tolist(), None]
                y_of += [*(foot * (1 - bow) + top * bow).tolist(), None]
            if x_of:
                drawn.add_scatter(
                    x=np.round(np.array(x_of, float), 3),
                    y=np.round(np.array(y_of, float), 3),
                    mode="lines",
                    line={
                        "color": theme.ground(view.dark).data,
                        "width": width,
                        "dash": "6px,4px" if later else "solid",
                    },
                    opacity=0.8,
                    name=f"{'later, ' if later else ''}≤ {theme.percent(high)}",
                    connectgaps=False,
                    hoverinfo="skip",
                )


def _add_nodes(
    drawn: go.Figure, view: View, nodes: list[range], y: list[float], single: bool
) -> None:
    """A badge for each turn in its emotion's colour, and the emotion's sign under it."""
    said, colours = view.prediction, theme.ground(view.dark)
    assert said is not None
    turns = view.analysis.dialogue.turns
    marks = theme.looks(said.labels, view.dark)
    found = [Counter(said.label(at) for at in node if not said.why_not[at]) for node in nodes]
    looks = [marks.get(each.most_common(1)[0][0] or "") if each else None for each in found]
    doubts = [theme.UNSURE if single and theme.unsure(said, node[0]) else "" for node in nodes]
    drawn.add_scatter(
        x=list(range(len(nodes))),
        y=y,
        mode="markers",
        marker={
            "size": DOT if len(nodes) <= GROUPS else SMALL_DOT,
            "symbol": [
                theme.badge(view, turns[node[0]].speaker) if single else "square" for node in nodes
            ],
            "color": [colours.paper if one is None else one.fill for one in looks],
            "line": {
                "color": [colours.soft if one is None else one.line for one in looks],
                "width": 1.5,
            },
        },
        hovertext=[
            theme.hover(view, node[0]) if single else turns_heading(view, node) for node in nodes
        ],
        hovertemplate=HOVER,
        showlegend=False,
    )
    drawn.add_scatter(
        x=list(range(len(nodes))),
        y=[one - SIGN for one in y],
        mode="text",
        text=[
            NOTHING * bool(marks) if one is None else f"<b>{doubt}{one.glyph}</b>"
            for one, doubt in zip(looks, doubts, strict=True)
        ],
        textfont={
            "size": theme.SMALL,
            "color": [colours.soft if one is None else one.text for one in looks],
        },
        hoverinfo="skip",
        showlegend=False,
    )
    for mark in marks.values():
        if mark in looks:
            add_key(drawn, mark.name, mark.fill, mark.line)
