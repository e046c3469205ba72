"""Three emotional contexts: how many of the two turns before a turn share its label.

IAAN (Yeh, Lin and Lee 2019, table 2). Of a labelled turn Uc, Up is the same speaker's previous turn
and Ur the last turn of anyone else, labelled or not:

    case 1   Uc has the label of both
    case 2   of one of them
    case 3   of neither

A turn that has no label, or is not there at all (a dialogue's beginning), differs from every label.
So counted, IEMOCAP's four classes come to 25, 47 and 28 % of the turns; the paper has 27, 47 and
26 %. The third case is also given by class: the paper finds 37 % of it neutral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.metrics.cells import by_label, cell, labelled, shown, shown_labels
from trainer.metrics.reading import by_dialogue
from trainer.predictions import Line

ABOUT = "Turns that share their label with both, one or none of the turns before (own, other's)."
CASES = ("both", "one", "none")


def analyse(lines: Sequence[Line]) -> dict[str, Any]:
    """The cell and the share of each case, the third by class."""
    total = len(labelled(lines))
    if not total or not all(one.speaker for one in lines):
        return {}
    cases: dict[str, list[Line]] = {name: [] for name in CASES}
    for turns in by_dialogue(lines).values():
        last: dict[str, Line] = {}  # of each speaker, who spoke last at the end
        for line in turns:
            own = last.pop(line.speaker, None)
            other = next(reversed(last.values()), None)
            if line.label is not None:
                alike = sum(one is not None and one.label == line.label for one in (own, other))
                cases[CASES[2 - alike]].append(line)
            last[line.speaker] = line
    found: dict[str, Any] = {
        name: cell(these) | {"share": len(these) / total} for name, these in cases.items()
    }
    found["none"]["classes"] = by_label(cases["none"])
    return found


def sentences(found: Mapping[str, Any]) -> list[str]:
    """A line for each case, and the classes of the third."""
    lines = [
        shown(f"case {number}, label of {name}", found[name])
        + f" ({100 * found[name]['share']:.1f} %)"
        for number, name in enumerate(CASES, 1)
    ]
    return lines + ([shown_labels(found["none"]["classes"])] if found["none"]["n"] else [])
