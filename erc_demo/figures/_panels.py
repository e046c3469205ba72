"""Figures of several panels, one above the other, and what the figures of maps share."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from erc_demo.dialogue import Turn
from erc_demo.figures._contract import View
from erc_demo.figures._theme import (
    LETTER,
    NOTE,
    SMALL,
    cut,
    escaped,
    figure,
    ground,
    heading,
)
from erc_demo.findings import Map

NARROW = 260  # pixels that the data have at least, on a telephone
MARGIN = 16.0  # pixels that a word may stand out
ABOVE = 30  # pixels above the first panel, for its head
BELOW = 46  # pixels for an axis and its title
LONG = 14  # characters of a word at an axis
LINES = 2  # of words above a panel
TICKS = 6  # along an axis of turns, at most


def panels(
    view: View,
    heights: Sequence[int],
    *,
    gap: int = 24,
    below: int = BELOW,
    notes: Iterable[str] = (),
    **subplots: object,
) -> go.Figure:
    """An empty figure with panels of so many pixels, from the top."""
    inside = sum(heights) + gap * (len(heights) - 1)
    drawn = figure(view, height=inside + ABOVE + below, notes=notes)
    drawn.set_subplots(
        rows=len(heights),
        row_heights=list(heights),
        vertical_spacing=gap / inside if len(heights) > 1 else None,
        **subplots,
    )
    above = drawn.layout.margin.t or ABOVE
    return drawn.update_layout(margin={"t": above, "b": below})


def head(drawn: go.Figure, view: View, panel: int, text: str) -> None:
    """What a panel shows, written above its left corner; ``panel`` counts from 1."""
    axis = drawn.get_subplot(panel, 1).yaxis.plotly_name.replace("axis", "")
    drawn.add_annotation(
        text=text,
        x=0,
        xref="paper",
        y=1,
        yref=f"{axis} domain",
        xanchor="left",
        yanchor="bottom",
        align="left",
        showarrow=False,
        font={"size": SMALL, "color": ground(view.dark).soft},
    )


def folded(text: str, most: int = NOTE) -> str:
    """A sentence, escaped, in lines that fit on the narrowest page."""
    return "<br>".join(escaped(line) for line in textwrap.wrap(text, most))


def turn_ticks(view: View, seen: range | None = None) -> tuple[list[int], list[str]]:
    """Places along an axis of turns, evenly, and the numbers to write there, round if unbroken."""
    turns = view.analysis.dialogue.turns
    seen = range(len(turns)) if seen is None else seen
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    step = next((one for one in steps if len(seen) <= one * TICKS), 10_000)
    places = list(seen[-turns[seen[0]].number % step :: step])
    return places, [str(turns[at].number) for at in places]


def turns_heading(view: View, group: range) -> str:
    """The first lines of a hover over one turn, or over a group of them."""
    if len(group) == 1:
        return heading(view, group[0])
    turns = view.analysis.dialogue.turns
    return f"<b>turns {turns[group[0]].number}–{turns[group[-1]].number}</b>"


def filled(maps: Sequence[Map]) -> tuple[Map, ...]:
    """Those of the maps that show something of some turn."""
    return tuple(one for one in maps if any(value is not None for value in one.values))


def table(one: Map) -> np.ndarray:
    """(turns, names) of a map over names, heads averaged; NaN where a turn shows nothing."""
    (axis,) = set(one.axes) - {"head"}
    found = np.full((one.turns, len(one.names[axis])), np.nan)
    for place in range(one.turns):
        mean = one.mean(place)
        if mean is not None:
            found[place] = mean
    return found


def scale(view: View, marks: Sequence[float], names: Sequence[str]) -> dict[str, Any]:
    """The scale of a heatmap's inks, lying under the figure."""
    return {
        "orientation": "h",
        "thickness": 8,
        "len": 0.6,
        "x": 0,
        "xanchor": "left",
        "y": 0,
        "yref": "container",
        "yanchor": "bottom",
        "xpad": 0,
        "ypad": 18,
        "outlinewidth": 0,
        "tickvals": list(marks),
        "ticktext": list(names),
        "tickfont": {"size": SMALL, "color": ground(view.dark).soft},
    }


def chosen(view: View, maps: Sequence[Map]) -> int | None:
    """The turn that a figure of these maps shows: the one asked for, else the first shown."""
    places = range(maps[0].turns) if maps and view.turn is None else [view.turn or 0]
    shown = (place for place in places if any(one.values[place] is not None for one in maps))
    return next(shown, None)


def missing(view: View, maps: Sequence[Map], what: str) -> str:
    """Why there is no figure of these maps; empty where there is one."""
    if view.prediction is None:
        return "No system was asked about this conversation."
    if not maps:
        return f"{view.prediction.system} shows no {what}."
    if chosen(view, maps) is None:
        if view.turn is None:
            return f"{view.prediction.system} shows no {what} of any turn here."
        number = view.analysis.dialogue.turns[view.turn].number
        why = view.prediction.why_not[view.turn]
        return f"{view.prediction.system} shows no {what} of turn {number}. {why}".strip()
    return ""


def word(turn: Turn, place: int) -> str:
    """A word of a turn as an axis names it, escaped."""
    return escaped(cut(turn.said[place], LONG)) if place < len(turn.said) else f"word {place + 1}"


def fitting(
    moments: Sequence[float], texts: Sequence[str], low: float, high: float
) -> dict[int, int]:
    """Which of the texts can be written side by side on the narrowest page, and on which line."""
    kept: dict[int, int] = {}
    free = [-MARGIN] * LINES
    for index in np.argsort(np.asarray(moments, float), kind="stable").tolist():
        half = (len(texts[index]) + 1) * LETTER / 2
        middle = (moments[index] - low) / (high - low) * NARROW
        for line, taken in enumerate(free):
            if middle - half >= taken and middle + half <= NARROW + MARGIN:
                kept[index] = line
                free[line] = middle + half
                break
    return kept


def dashes(
    moments: Iterable[float], low: float, high: float
) -> tuple[list[float | None], list[float | None]]:
    """Upright lines at so many moments as one trace's x and y."""
    x: list[float | None] = []
    y: list[float | None] = []
    for moment in moments:
        x += [moment, moment, None]
        y += [low, high, None]
    return x, y


def borders(middles: np.ndarray) -> np.ndarray:
    """Edges of columns around their middles, one more than these."""
    middles = np.asarray(middles, np.float64)
    if len(middles) == 1:  # no neighbour tells the width: 10 ms
        return np.array([middles[0] - 0.005, middles[0] + 0.005])
    between = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[2 * middles[0] - between[0]], between, [2 * middles[-1] - between[-1]]])


def relative(weights: np.ndarray, axis: int = -1) -> np.ndarray:
    """Weights as multiples of an even share: weight × their number, so that 1 is uniform."""
    return np.asarray(weights, np.float64) * weights.shape[axis]


def fewer(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of neighbouring columns (the last axis), at most so many; and the first of each."""
    count = values.shape[-1]
    edges = np.linspace(0, count, min(most, count) + 1).round().astype(int)
    return np.add.reduceat(values, edges[:-1], axis=-1) / np.diff(edges), edges
