"""The few numbers that an analysis gives of some turns: n, WA, UA and weighted F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.metrics.reading import answers
from trainer.metrics.tally import finish, sums
from trainer.predictions import Line

SHOWN = {"wa": "WA", "ua": "UA", "weighted_f1": "weighted F1"}


def labelled(lines: Sequence[Line]) -> list[Line]:
    """Those with a label."""
    return [one for one in lines if one.label is not None]


def cell(lines: Sequence[Line]) -> dict[str, Any]:
    """Of labelled turns; UA and F1 are over the classes among them. None where there is no turn."""
    these = labelled(lines)
    if not these:
        return {"n": 0, **dict.fromkeys(SHOWN)}
    known = answers(these)
    each = {one: float(finish(one, sums(known, one).sum(0), known.classes)) for one in SHOWN}
    return {"n": len(these), **each}


def by_label(lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """Of each label that occurs its n, its share of the turns and how many of them were right."""
    these = labelled(lines)
    found: dict[str, dict[str, Any]] = {}
    for label in sorted({str(one.label) for one in these}):
        own = [one for one in these if one.label == label]
        found[label] = {
            "n": len(own),
            "share": len(own) / len(these),
            "wa": sum(one.predicted == label for one in own) / len(own),
        }
    return found


def shown(title: str, found: Mapping[str, Any]) -> str:
    """A cell as a line."""
    if not found["n"]:
        return f"  {title:<34}no turn"
    numbers = "  ".join(f"{name} {found[key]:.3f}" for key, name in SHOWN.items())
    return f"  {title:<34}{numbers}  n = {found['n']}"


def shown_labels(found: Mapping[str, Mapping[str, Any]]) -> str:
    """By label as a line."""
    each = (
        f"{label} {one['wa']:.3f} (n = {one['n']}, {100 * one['share']:.1f} %)"
        for label, one in found.items()
    )
    return "    WA by label: " + ", ".join(each)
