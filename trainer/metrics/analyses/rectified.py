"""Rectified turns: wrong in the first file and right in the second; spoiled ones the other way.

DialogueTRM (Mao et al. 2020, "Multi-modal rectified cases"), the first file being -U, the second
-M: of what -M rectifies 30.38 % is neutral and 27.85 % frustrated, and of those 85.41 % and 70.45 %
had been taken for a negative emotion. So each class comes with what it was taken for before (or
after). The paper gives one direction alone; a system that rectifies as many as it spoils gains
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.metrics.cells import labelled
from trainer.metrics.reading import refuse_unlike
from trainer.predictions import Line

ABOUT = "Turns wrong in one file and right in the other, both ways, by class."
UNANSWERED = "unanswered"


def compare(lines: Sequence[Line], other: Sequence[Line]) -> dict[str, Any]:
    """How many are right in both, in neither, rectified by ``other`` and spoiled by it."""
    refuse_unlike(lines, other)
    there = {(one.dialogue, one.utt_id): one for one in other}
    pairs = [(one, there[one.dialogue, one.utt_id]) for one in labelled(lines)]
    if not pairs:
        return {}
    sides: dict[tuple[bool, bool], list[tuple[Line, Line]]] = {}
    for one, two in pairs:
        right = (one.predicted == one.label, two.predicted == two.label)
        sides.setdefault(right, []).append((one, two))
    rectified = [one for one, _ in sides.get((False, True), [])]
    spoiled = [two for _, two in sides.get((True, False), [])]
    return {
        "n": len(pairs),
        "both_right": len(sides.get((True, True), [])),
        "both_wrong": len(sides.get((False, False), [])),
        "rectified": _classes(rectified),
        "spoiled": _classes(spoiled),
    }


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The four counts, and each side's classes with what they were taken for."""
    lines = [
        f"  of {found['n']} turns right in both {found['both_right']}, in neither "
        f"{found['both_wrong']}, rectified {found['rectified']['n']}, spoiled "
        f"{found['spoiled']['n']}"
    ]
    for side in ("rectified", "spoiled"):
        for label, one in found[side]["classes"].items():
            taken = ", ".join(f"{name} {count}" for name, count in one["taken_for"].items())
            share = f"{100 * one['share']:.1f} %"
            lines.append(f"  {side:<10}{label:<12}n = {one['n']} ({share}), taken for {taken}")
    return lines


def _classes(wrong: Sequence[Line]) -> dict[str, Any]:
    """By label, the most frequent first, what the wrong file said."""
    counts = Counter(str(one.label) for one in wrong)
    classes = {}
    for label, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        taken = Counter(one.predicted or UNANSWERED for one in wrong if one.label == label)
        ordered = sorted(taken.items(), key=lambda pair: (-pair[1], pair[0]))
        classes[label] = {
            "n": count,
            "share": count / len(wrong),
            "taken_for": dict(ordered),
        }
    return {"n": len(wrong), "classes": classes}
