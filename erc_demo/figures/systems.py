"""What several systems say of the same turns: a grid of turns and systems.

A system departs where more than half of those that answer say something else than it. Labels of
different sets are compared as the smallest of these sets calls them; a label that it lacks is not
compared, nor are the own words of a guest. Guests' names are in italics. Up to ``MANY`` turns stand
in lines of ``LINE``; above, a cell is a block of turns with the label that the system gives most
often there.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _theme as theme
from erc_demo.figures._blocks import Block, add_blocks, add_edges
from erc_demo.figures._contract import View
from erc_demo.figures._panels import turns_heading
from erc_demo.figures._voting import Vote, votes
from erc_demo.findings import Prediction

TITLE = "The systems, turn by turn"
READ = (
    "Columns are turns and rows are systems: a heavy frame marks a system that departs from what "
    "most of them say, paler is less confident, and columns with frames are worth a listen."
)
FEW = 8  # columns that have room for words
LINE = 15  # turns, or blocks of turns, side by side
CELL, WORDY = 34, 44  # pixels, the height of a row; of one with words
AROUND = 40  # pixels above and below the grid
OFTEN = 0.25  # of a block's turns; from here on a system is marked as departing there


def why_not(view: View) -> str:
    """There must be a system that answers with labels."""
    if not view.analysis.predictions:
        return "No system was asked about this conversation."
    if not view.analysis.dialogue.turns:
        return "This conversation has no turns, so no system said anything of one."
    if not _systems(view):
        return "No system that was asked names emotions, so there are no names to compare."
    return ""


def draw(view: View) -> go.Figure:
    """The grid."""
    names, systems = _names(view), _systems(view)
    turns = view.analysis.dialogue.turns
    voted = votes(systems)
    groups = theme.groups(len(turns), len(turns) if len(turns) <= theme.MANY else LINE)
    lines = [groups[at : at + LINE] for at in range(0, len(groups), LINE)]
    rows = len(systems) + 2  # the turns' numbers, the systems, how far they agree
    drawn = theme.figure(
        view,
        height=(WORDY if len(groups) <= FEW else CELL) * rows * len(lines) + AROUND,
        notes=_notes(view, systems, groups, voted),
        predictions=systems,
    )
    cells: list[list[Block]] = []  # of each group, in the systems' order
    texts: list[tuple[float, float, str]] = []
    ticks: dict[float, str] = {}
    for number, line in enumerate(lines):
        top = -float(number * rows)
        for row, one in enumerate(systems):
            name = theme.escaped(_short(one, names[row]))
            name = f"<i>{name}</i>" if one.guest else name
            ticks[top - row - 1] = name + ("" if number else _departing(voted, row))
        ticks[top - rows + 1] = "depart" if len(groups) == len(turns) else "agree, %"
        for at, group in enumerate(line):
            texts.append((at, top - 0.1, _number(view, group, at, len(line))))
            texts.append((at, top - rows + 1.1, _agreeing([voted[place] for place in group])))
            cells.append(
                [
                    _cell(view, one, names[row], group, at, top - row - 1, len(groups) <= FEW)
                    for row, one in enumerate(systems)
                ]
            )
    _add_cells(drawn, view, systems, cells)
    departing = [
        cell
        for group, column in zip(groups, cells, strict=True)
        for row, cell in enumerate(column)
        if np.mean([voted[place].departs(row) for place in group]) >= OFTEN
    ]
    colours = theme.ground(view.dark)
    if departing:
        add_edges(drawn, departing, colours.ink, width=3, name="departs")
    drawn.add_scatter(
        x=[x for x, _, _ in texts],
        y=[y for _, y, _ in texts],
        text=[text for _, _, text in texts],
        mode="text",
        textfont={"size": theme.SMALL, "color": colours.soft},
        hoverinfo="skip",
        showlegend=False,
    )
    drawn.update_layout(
        xaxis={"visible": False, "range": [-0.6, min(len(groups), LINE) - 0.4]},
        yaxis={
            "range": [0.6 - rows * len(lines), 0.6],
            "showgrid": False,
            "tickvals": list(ticks),
            "ticktext": list(ticks.values()),
            "tickfont": {"color": colours.ink},
        },
    )
    return theme.keyed(drawn)


def _systems(view: View) -> list[Prediction]:
    return [one for one in view.analysis.predictions if one.labels is not None]


def _names(view: View) -> list[str]:
    """What each of them is called; one that was asked twice also by what made it."""
    asked = zip(view.analysis.asked, view.analysis.predictions, strict=True)
    return [name for name, one in asked if one.labels is not None]


def _short(said: Prediction, name: str) -> str:
    """A name at the axis; where a system was asked twice, the end of what made it, its version."""
    if name == said.system or len(said.made_by) <= theme.NAME:
        return theme.cut(said.system if name == said.system else said.made_by, theme.NAME)
    return f"…{said.made_by[1 - theme.NAME :]}"


def _notes(
    view: View, systems: list[Prediction], groups: list[range], voted: list[Vote]
) -> list[str]:
    """What a cell is, who is left out, and why there are turns without an answer."""
    notes = []
    if len(groups[0]) > 1:
        notes.append(
            f"A cell is {len(groups[0])} turns with the label given most often, stronger the "
            f"oftener; framed where the system departs in {theme.percent(OFTEN)} of them or more."
        )
    elif any(vote.agreed is False and vote.most is None for vote in voted):
        notes.append("≠: no label has more than half, so that nobody departs.")
    for one in view.analysis.predictions:
        if one.labels is None:
            notes.append(f"{one.system} gives {', '.join(one.dimensions)} only and is left out.")
    for name, one in zip(_names(view), systems, strict=True):
        for why, count in Counter(filter(None, one.why_not)).most_common(2):
            turns = "1 turn" if count == 1 else f"{count} turns"
            notes.append(f"{name} has no answer for {turns}: {why}")
    return notes


def _number(view: View, group: range, at: int, beside: int) -> str:
    """A column's turn, where there is room; always that of the turn that is looked at."""
    number = view.analysis.dialogue.turns[group[0]].number
    if view.turn is not None and view.turn in group:
        return f"<b>▸{view.analysis.dialogue.turns[view.turn].number}</b>"
    near = view.turn is not None and abs(view.turn - group[0]) <= 2 * len(group)
    return str(number) if beside <= FEW or (at % 5 == 0 and not near) else ""


def _departing(voted: list[Vote], row: int) -> str:
    """How often a system departs, under its name."""
    told = [vote for vote in voted if len(vote.given) > 1 and vote.said[row] is not None]
    if not told:
        return ""
    return f"<br>departs {theme.percent(float(np.mean([vote.departs(row) for vote in told])))}"


def _agreeing(voted: list[Vote]) -> str:
    """The share of turns on which all agree; of one turn how many depart, ≠ where all differ."""
    told = [vote.agreed for vote in voted if vote.agreed is not None]
    if not told:
        return "–"
    if len(voted) == 1:
        departing = sum(voted[0].departs(row) for row in range(len(voted[0].said)))
        return "·" if told[0] else str(departing) if departing else "≠"
    return theme.percent(float(np.mean(told))).replace(" %", "")


def _cell(
    view: View, said: Prediction, name: str, group: range, at: float, middle: float, words: bool
) -> Block:
    """What one system says of a turn, or most often of a block of turns."""
    found = Counter(label for place in group if (label := said.label(place)) is not None)
    label, count = found.most_common(1)[0] if found else (None, 0)
    if len(group) == 1:
        hover = f"{theme.heading(view, group[0])}<br>{theme.answer(view, said, group[0])}"
        strength = said.confidence(group[0]) or 0.0
    else:
        shares = (f"{one} {theme.percent(n / len(group))}" for one, n in found.most_common())
        hover = f"{turns_heading(view, group)}<br>{', '.join(shares) or 'no answer'}"
        strength = count / len(group)
    return Block(
        left=at - 0.44,
        right=at + 0.44,
        bottom=middle - 0.38,
        top=middle + 0.38,
        hover=f"<b>{theme.escaped(name)}</b> · {hover}",
        label=label,
        strength=strength,
        unsure=len(group) == 1 and theme.unsure(said, group[0]),
        hollow=label is None,
        word=(label or "") if words else "",
    )


def _add_cells(
    drawn: go.Figure, view: View, systems: list[Prediction], cells: list[list[Block]]
) -> None:
    """The cells, by label set; one set draws all that say the same labels."""
    done = set()
    for one in systems:
        if one.labels in done:
            continue
        done.add(one.labels)
        rows = [row for row, other in enumerate(systems) if other.labels == one.labels]
        blocks = [column[row] for column in cells for row in rows]
        few = len(cells) <= FEW
        add_blocks(drawn, blocks, one.labels, view.dark, at=0.7 if few else 0.5, anchor="start")
