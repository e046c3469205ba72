"""Blocks of emotions: coloured and signed, pale where doubtful, dashed where unsure.

Many blocks make few traces: one for each label, one for the signs, one for each kind of edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from erc_demo.emotions import LabelSet, contrast
from erc_demo.figures._theme import SMALL, TEXT, UNSURE, Mark, blend, ground, looks

PALEST = 0.3  # how much of its colour a fill keeps where the confidence is 0
NOTHING = "∅"  # no answer; a dash is the sign of neutral
HOVER = "%{hovertext}<extra></extra>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A box in the figure's coordinates and what it says.

    Without a label it is ink; ``hollow`` leaves an edge only. Its sign is drawn where ``signed``,
    ``word`` in its middle where there is room for it.
    """

    left: float
    right: float
    bottom: float
    top: float
    hover: str
    label: str | None = None
    strength: float = 1.0  # a confidence or a share, from 0 to 1
    unsure: bool = False
    hollow: bool = False
    signed: bool = True
    word: str = ""


def add_blocks(
    drawn: go.Figure,
    blocks: Sequence[Block],
    labels: LabelSet | None,
    dark: bool,
    *,
    at: float = 0.5,
    anchor: str = "middle",
    hollow: str = f"{NOTHING} no answer",
    patterns: bool = False,
) -> None:
    """Draw blocks, their signs at a share of the height; ``at`` above 1 is over the block.

    The legend names the labels that occur, in their order, and what hollow means. A word stands at
    the block's ``anchor`` and is left out where it does not fit; patterns help small blocks.
    """
    colours = ground(dark)
    marks = looks(labels, dark)
    drawn.update_layout(barmode="overlay", uniformtext={"minsize": 9, "mode": "hide"})
    for label, mark in marks.items():
        these = [one for one in blocks if one.label == label and not one.hollow]
        if these:
            shape = mark.pattern if patterns else ""
            add_key(drawn, mark.name, mark.fill, mark.line, shape, mark.on_fill)
            fills = [fill(mark, one.strength, dark) for one in these]
            drawn.add_bar(
                **_boxes(these),
                marker=_marker(fills, colours.paper, shape, mark.on_fill),
                text=[one.word for one in these],
                textposition="inside",
                insidetextanchor=anchor,
                textangle=0,
                insidetextfont={"size": SMALL, "color": [readable(one) for one in fills]},
            )
    plain = [one for one in blocks if one.label is None and not one.hollow]
    if plain:
        drawn.add_bar(**_boxes(plain), marker=_marker([colours.data] * len(plain), colours.paper))
    empty = [one for one in blocks if one.hollow]
    if empty:
        add_key(drawn, hollow, colours.paper, colours.edge)
        drawn.add_bar(**_boxes(empty), marker=_marker([colours.paper] * len(empty), colours.edge))
    unsure = [one for one in blocks if one.unsure]
    if unsure:
        add_edges(drawn, unsure, colours.ink, dash="2px,2px", width=1.4, name=f"{UNSURE} unsure")
    signed = [one for one in blocks if one.signed and (one.hollow or one.label in marks)]
    if signed:
        _add_signs(drawn, signed, marks, dark, at)


def fill(mark: Mark, strength: float, dark: bool) -> str:
    """A label's colour, paler the weaker it is."""
    share = (1 - PALEST) * (1 - min(max(strength, 0.0), 1.0))
    return blend(mark.fill, ground(dark).paper, share)


def readable(colour: str) -> str:
    """Black or white, whichever can be read on a colour; one of them reaches 4.5 on any."""
    return max(("#000000", "#FFFFFF"), key=lambda one: contrast(one, colour))


def add_key(
    drawn: go.Figure, name: str, colour: str, line: str = "", pattern: str = "", over: str = ""
) -> None:
    """An entry of the legend that belongs to no data; a second one of its name is left out."""
    if _named(drawn, name):
        return
    marker = _marker([colour], line or colour, pattern, over)
    drawn.add_bar(x=[None], y=[None], name=name, marker=marker, showlegend=True, hoverinfo="skip")


def add_edges(
    drawn: go.Figure,
    blocks: Iterable[Block],
    colour: str,
    *,
    width: float = 2.0,
    dash: str = "solid",
    name: str = "",
    row: int | None = None,
) -> None:
    """Lines around blocks, as one trace; ``row`` is that of a figure of several panels."""
    x: list[float | None] = []
    y: list[float | None] = []
    for one in blocks:
        x += [one.left, one.right, one.right, one.left, one.left, None]
        y += [one.bottom, one.bottom, one.top, one.top, one.bottom, None]
    drawn.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": width, "dash": dash},
        name=name,
        showlegend=bool(name) and not _named(drawn, name),
        hoverinfo="skip",
        row=row,
        col=None if row is None else 1,
    )


def _named(drawn: go.Figure, name: str) -> bool:
    return any(one.name == name for one in drawn.data)


def hatch(drawn: go.Figure, blocks: Sequence[Block], colour: str, name: str) -> None:
    """Stripes over blocks, which can be seen through."""
    if not blocks:
        return
    clear = "rgba(0,0,0,0)"
    drawn.add_bar(
        **(_boxes(blocks) | {"showlegend": True}),
        name=name,
        marker={
            "color": clear,
            "line": {"color": colour, "width": 0.5},
            "pattern": {"shape": "/", "fgcolor": colour, "bgcolor": clear, "size": 5,
                        "solidity": 0.35},
        },
    )  # fmt: skip


def _boxes(blocks: Sequence[Block]) -> dict[str, Any]:
    return {
        "x": [(one.left + one.right) / 2 for one in blocks],
        "width": [one.right - one.left for one in blocks],
        "base": [one.bottom for one in blocks],
        "y": [one.top - one.bottom for one in blocks],
        "hovertext": [one.hover for one in blocks],
        "hovertemplate": HOVER,
        "showlegend": False,
    }


def _marker(fills: list[str], line: str, pattern: str = "", over: str = "") -> dict[str, Any]:
    marker: dict[str, Any] = {"color": fills, "line": {"color": line, "width": 1}}
    if pattern:
        marker["pattern"] = {
            "shape": pattern,
            "fillmode": "overlay",  # on the fill, not instead of it
            "fgcolor": [blend(one, over, 0.45) for one in fills],
            "size": 6,
            "solidity": 0.25,
        }
    return marker


def _add_signs(
    drawn: go.Figure, blocks: Sequence[Block], marks: dict[str, Mark], dark: bool, at: float
) -> None:
    """Signs in colours that can be read where they stand."""
    texts, colours = [], []
    for one in blocks:
        mark = marks.get(one.label or "")
        if mark is None or one.hollow:
            texts.append(NOTHING)
            colours.append(ground(dark).soft)
        else:
            texts.append(f"<b>{UNSURE if one.unsure else ''}{mark.glyph}</b>")
            colours.append(mark.text if at > 1 else readable(fill(mark, one.strength, dark)))
    drawn.add_scatter(
        x=[(one.left + one.right) / 2 for one in blocks],
        y=[one.bottom + at * (one.top - one.bottom) for one in blocks],
        text=texts,
        mode="text",
        textfont={"size": TEXT, "color": colours},
        hoverinfo="skip",
        showlegend=False,
    )
