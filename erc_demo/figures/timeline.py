"""The conversation along time: a lane for each person, an emotion for each turn.

Up to ``FEW`` turns each is a block. Above it time is cut into ``COLUMNS`` columns: in each lane
the height of a colour is the share of that column which this person said in that emotion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from erc_demo.dialogue import Dialogue, Span
from erc_demo.figures import _theme as theme
from erc_demo.figures._blocks import NOTHING, Block, add_blocks, add_edges, hatch
from erc_demo.figures._columns import Columns, columns
from erc_demo.figures._contract import View
from erc_demo.figures._panels import turn_ticks

TITLE = "Who said what when, and how it sounded"
READ = (
    "One lane per person: colour, sign and name give the emotion, a paler colour is less "
    "confident, dashed with ? is unsure, and stripes are people talking at once."
)
FEW = 40  # turns; their signs still stand beside each other on a telephone
COLUMNS = 36  # of time, where there are too many turns to show each
BLOCK = 0.7  # height of a block, in lanes; its sign stands above it
FLOOR = 0.44  # of a lane, below its middle
SIGN = 0.12  # height of the middle of a sign above the block
STRIP = 0.4  # height of the strip below the lanes that shows overlap
TALL, TALLER, ROW = 72, 96, 36  # pixels of a lane, of one with columns, of the strip
AROUND = 64  # pixels above the lanes, and for the axis below them
LETTER = 0.0075  # of the width that a letter needs, where the figure is 900 pixels wide
ATONCE = "talk at once"  # two people or more
NOMINAL = 1.5  # seconds that a turn without times is given


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where each turn lies along the axis, and what has to be said of that."""

    spans: list[Span]
    notes: list[str]
    timed: bool


def why_not(view: View) -> str:
    """There must be turns."""
    if view.analysis.dialogue.turns:
        return ""
    return "This conversation has no turns, so there is nothing to put on a line of time."


def draw(view: View) -> go.Figure:
    """The lanes."""
    dialogue = view.analysis.dialogue
    placed = _place(dialogue)
    many = len(dialogue.turns) > FEW
    lanes = {speaker: float(-at) for at, speaker in enumerate(dialogue.speakers)}
    end = max(one.end for one in placed.spans)
    end = max(end, dialogue.duration or 0.0) if placed.timed else end
    cut = columns(view, placed.spans, np.linspace(0, end, COLUMNS + 1)) if many else None
    notes = list(placed.notes)
    if cut is not None:
        notes.append(
            f"{len(dialogue.turns)} turns are too many to show each: a column is "
            f"{_length(end / COLUMNS, placed.timed)}, the height of a colour the share "
            "of it that this person said in that emotion, at most "
            f"{theme.percent(cut.most)}."
        )
    strip = cut is not None and bool(cut.both.any())
    height = AROUND + (TALLER if many else TALL) * len(lanes) + ROW * strip
    drawn = theme.figure(view, height=height, notes=notes)
    bottom = 0.5 - len(lanes) - STRIP * strip
    colours = theme.ground(view.dark)
    for middle in lanes.values():
        drawn.add_shape(
            type="rect", layer="below", fillcolor=colours.sunk, line_width=0,
            x0=0, x1=end, y0=middle - FLOOR, y1=middle - FLOOR + BLOCK,
        )  # fmt: skip
    if cut is not None:
        _add_columns(drawn, view, cut, lanes, bottom)
    else:
        _add_turns(drawn, view, placed, lanes, end)
    places, numbers = turn_ticks(view)
    moments, words = theme.ticks(0, end)
    drawn.update_layout(
        xaxis={
            "range": [0, end],
            "tickvals": moments if placed.timed else [place + 0.5 for place in places],
            "ticktext": words if placed.timed else numbers,
            "title": {"text": "" if placed.timed else "turn; no times are known"},
        },
        yaxis={
            "range": [bottom, 0.5],
            "showgrid": False,
            "tickvals": [*lanes.values()] + [bottom + STRIP / 2] * strip,
            "ticktext": [theme.speaker_name(view, one) for one in lanes] + ["at once"] * strip,
            "tickfont": {"color": colours.ink},
        },
    )
    return theme.keyed(drawn)


def _place(dialogue: Dialogue) -> _Placed:
    """A span for every turn; one without times follows the turn before it."""
    lost = [turn for turn in dialogue.turns if turn.span is None]
    if len(lost) == len(dialogue.turns):
        return _Placed([Span(at, at + 1) for at in range(len(lost))], [], timed=False)
    spans: list[Span] = []
    for turn in dialogue.turns:
        start = spans[-1].end if spans else 0.0
        spans.append(turn.span or Span(start, start + NOMINAL))
    if not lost:
        return _Placed(spans, [], timed=True)
    note = (
        "1 turn has no times: it stands after the turn before it, and its length means nothing."
        if len(lost) == 1
        else f"{len(lost)} turns have no times: each stands after the turn before it, and its "
        "length means nothing."
    )
    return _Placed(spans, [note], timed=True)


def _length(amount: float, timed: bool) -> str:
    digits = 0 if amount >= 10 else 1
    return f"{amount:.{digits}f} {'s' if timed else 'turns'}"


def _add_turns(
    drawn: go.Figure, view: View, placed: _Placed, lanes: dict[str, float], width: float
) -> None:
    """A block for each turn; overlap striped, the turn that is looked at in a frame."""
    said = view.prediction
    labels = said.labels if said is not None else None
    blocks = []
    for place, (turn, span) in enumerate(
        zip(view.analysis.dialogue.turns, placed.spans, strict=True)
    ):
        middle = lanes[turn.speaker]
        label = said.label(place) if said is not None else None
        blocks.append(
            Block(
                left=span.start,
                right=span.end,
                bottom=middle - FLOOR,
                top=middle - FLOOR + BLOCK,
                hover=theme.hover(view, place),
                label=label,
                strength=(said.confidence(place) or 0.0) if said is not None else 1.0,
                unsure=said is not None and theme.unsure(said, place),
                hollow=said is not None and bool(said.why_not[place]),
                word=_word(view, place, span.duration / width) if label else "",
            )
        )
    add_blocks(drawn, blocks, labels, view.dark, at=1 + SIGN / BLOCK)
    colours = theme.ground(view.dark)
    both = [
        Block(left=part.start, right=part.end, bottom=lanes[turn.speaker] - FLOOR,
              top=lanes[turn.speaker] - FLOOR + BLOCK, hover="")
        for over in view.analysis.dialogue.overlaps()
        for turn in view.analysis.dialogue.turns
        if turn.span is not None and (part := turn.span.clipped(over)) is not None
    ]  # fmt: skip
    hatch(drawn, both, colours.ink, ATONCE)
    if view.turn is not None:
        name = theme.turn_name(view, view.turn)
        add_edges(drawn, [blocks[view.turn]], colours.ink, width=3, name=name)


def _word(view: View, place: int, share: float) -> str:
    """What fits into a block: the label, or its beginning; of an unsure turn the two likeliest."""
    said = view.prediction
    assert said is not None and said.labels is not None
    if theme.unsure(said, place):
        best = said.probabilities[place].argsort()[:-3:-1]
        codes = "/".join(said.labels.labels[at][:3] for at in best)
        return codes if share > LETTER * len(codes) else ""
    label = said.label(place) or ""
    return label if share > LETTER * len(label) else label[:3]


def _add_columns(
    drawn: go.Figure, view: View, cut: Columns, lanes: dict[str, float], bottom: float
) -> None:
    """Each lane's columns, the strip of overlap, and the turn that is looked at."""
    said, colours = view.prediction, theme.ground(view.dark)
    labels = said.labels if said is not None else None
    blocks = []
    for one in cut.pieces:
        floor = lanes[one.speaker] - FLOOR
        blocks.append(
            Block(
                left=float(cut.edges[one.column]),
                right=float(cut.edges[one.column + 1]),
                bottom=floor + BLOCK * one.below / cut.most,
                top=floor + BLOCK * (one.below + one.share) / cut.most,
                hover=one.hover,
                label=one.label,
                strength=one.confidence,
                hollow=one.label is None and labels is not None,
                signed=False,
            )
        )
    hollow = f"{theme.UNSURE} unsure, {NOTHING}"
    add_blocks(drawn, blocks, labels, view.dark, hollow=hollow, patterns=True)
    looks = theme.looks(labels, view.dark)
    signs = [
        (moment, middle - FLOOR + BLOCK + SIGN, looks[label])
        for speaker, middle in lanes.items()
        for moment, label in cut.runs(speaker)
    ]
    drawn.add_scatter(
        x=[x for x, _, _ in signs],
        y=[y for _, y, _ in signs],
        text=[f"<b>{mark.glyph}</b>" for _, _, mark in signs],
        mode="text",
        textfont={"size": theme.TEXT, "color": [mark.text for _, _, mark in signs]},
        hoverinfo="skip",
        showlegend=False,
    )
    most = max(float(cut.both.max()), 1e-9)
    strips = [
        Block(
            left=float(cut.edges[at]),
            right=float(cut.edges[at + 1]),
            bottom=bottom,
            top=bottom + (STRIP - 0.1) * float(share) / most,
            hover=f"people talk at once in {theme.percent(float(share))} of this column",
        )
        for at, share in enumerate(cut.both)
        if share
    ]
    hatch(drawn, strips, colours.ink, ATONCE)
    if view.turn is not None:
        span = cut.spans[view.turn]
        here = Block(left=span.start, right=span.end, bottom=bottom, top=0.5, hover="")
        add_edges(drawn, [here], colours.ink, width=1.5, name=theme.turn_name(view, view.turn))
