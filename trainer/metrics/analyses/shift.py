"""Emotion shift: turns whose label differs from the one before them, against those where it stays.

DialogueTRM (Mao et al. 2020, table 6) gives accuracy and F1 on IEMOCAP's test part for shifts
inside a speaker (13.2 a conversation) and between speakers (22.0). "Before" is one of:

    own        the same speaker's last labelled turn
    adjacent   the last labelled turn, where another spoke it
    partner    the last labelled turn of anyone else, however many own turns lie between

The paper does not say which of the last two it means. On IEMOCAP's first four sessions they are
17.7 and 26.6 a dialogue (own: 13.4), so that 22.0 is neither. A turn with nothing before it is in
no cell. Labels are those that people gave, never what was predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.metrics.cells import cell, labelled, shown
from trainer.metrics.reading import by_dialogue
from trainer.predictions import Line

ABOUT = "Turns whose label differs from the one before, of the same and of another speaker."


def analyse(lines: Sequence[Line]) -> dict[str, Any]:
    """Of each kind of "before" the cells ``shift`` and ``same``, and how many in a dialogue."""
    some = labelled(lines)
    if not some or not all(one.speaker for one in lines):
        return {}
    dialogues = by_dialogue(some)
    sides: dict[str, dict[str, list[Line]]] = {name: {"shift": [], "same": []} for name in BEFORE}
    for turns in dialogues.values():
        for at, line in enumerate(turns):
            for name, find in BEFORE.items():
                before = find(line, turns[:at])
                if before is not None:
                    side = "same" if before.label == line.label else "shift"
                    sides[name][side].append(line)
    return {
        name: {
            side: cell(these) | {"per_dialogue": len(these) / len(dialogues)}
            for side, these in both.items()
        }
        for name, both in sides.items()
    }


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Two lines for each kind."""
    return [
        shown(f"{name}, {side}", one) + f" ({one['per_dialogue']:.1f} a dialogue)"
        for name, both in found.items()
        for side, one in both.items()
    ]


def _own(line: Line, past: Sequence[Line]) -> Line | None:
    return next((one for one in reversed(past) if one.speaker == line.speaker), None)


def _adjacent(line: Line, past: Sequence[Line]) -> Line | None:
    return past[-1] if past and past[-1].speaker != line.speaker else None


def _partner(line: Line, past: Sequence[Line]) -> Line | None:
    return next((one for one in reversed(past) if one.speaker != line.speaker), None)


BEFORE: Mapping[str, Callable[[Line, Sequence[Line]], Line | None]] = {
    "own": _own,
    "adjacent": _adjacent,
    "partner": _partner,
}
