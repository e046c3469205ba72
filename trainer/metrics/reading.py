"""Lines of predictions as arrays, and what can't be measured together refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from erc_demo.emotions import DIMENSIONS, label_set
from erc_demo.errors import UserError
from trainer.metrics.tally import Answers
from trainer.predictions import Line

Runs = Sequence[Sequence[Line]]  # one list a seed


def labels(lines: Iterable[Line]) -> tuple[str, tuple[str, ...]]:
    """The name of the label set, and its labels; both empty where none was asked for."""
    names = sorted({one.labels for one in lines} - {""})
    if len(names) > 1:
        raise UserError(
            f"These predictions are of several label sets ({', '.join(names)}); measure each by "
            "itself."
        )
    return (names[0], label_set(names[0]).labels) if names else ("", ())


def dimensions(lines: Iterable[Line]) -> tuple[str, ...]:
    """The dimensions that were rated anywhere, in their usual order."""
    found = {name for one in lines for name, value in one.wanted.items() if value is not None}
    return tuple(name for name in DIMENSIONS if name in found)


def answers(lines: Sequence[Line]) -> Answers:
    """All lines as arrays, in their order."""
    names = labels(lines)[1]
    axes = dimensions(lines)
    number = {name: at for at, name in enumerate(names)}
    place: dict[str, int] = {}
    for one in lines:
        place.setdefault(one.dialogue, len(place))
    _refuse_twice(lines)

    def numbers(given: list[list[float | None]], wide: int) -> np.ndarray:
        return np.array(given, np.float64).reshape(len(lines), wide)  # None becomes NaN

    blank = [None] * len(names)
    return Answers(
        wanted=np.array([number.get(one.label or "", -1) for one in lines], np.int64),
        answered=np.array([number.get(one.predicted or "", len(names)) for one in lines], np.int64),
        chances=numbers(
            [
                [one.probabilities[name] for name in names] if one.probabilities else [*blank]
                for one in lines
            ],
            len(names),
        ),
        values=numbers([[one.values.get(name) for name in axes] for one in lines], len(axes)),
        rated=numbers([[one.wanted.get(name) for name in axes] for one in lines], len(axes)),
        dialogue=np.array([place[one.dialogue] for one in lines], np.int64),
        unsure=np.array([bool(one.unsure) for one in lines], bool)
        if any(one.unsure is not None for one in lines)
        else None,
    )


def by_dialogue(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Each dialogue's lines in the order of its turns."""
    found: dict[str, list[Line]] = {}
    for one in lines:
        found.setdefault(one.dialogue, []).append(one)
    return {name: sorted(these, key=lambda one: one.turn) for name, these in found.items()}


def runs(lines: Sequence[Line] | Runs) -> list[Sequence[Line]]:
    """One list a seed, also where it is the lines of one alone that were given."""
    if not lines or isinstance(lines[0], Line):
        return [lines]  # type: ignore[list-item]
    return list(lines)  # type: ignore[arg-type]


def refuse_unlike(one: Sequence[Line], other: Sequence[Line]) -> None:
    """Both must be of the same turns with the same labels and ratings."""
    mine, theirs = ({(a.dialogue, a.utt_id): a for a in these} for these in (one, other))
    lone = sorted(mine.keys() ^ theirs.keys())
    if lone:
        raise UserError(
            f"These predictions are not of the same turns ({len(mine)} and {len(theirs)} turns, "
            f"{len(lone)} in one of them alone, such as {lone[0][1]} of {lone[0][0]}); predict the "
            "same part with both."
        )
    for (dialogue, name), a in mine.items():
        b = theirs[dialogue, name]
        if (a.labels, a.label, dict(a.wanted)) != (b.labels, b.label, dict(b.wanted)):
            raise UserError(
                f"{name} of {dialogue} is {_said(a)} in one file and {_said(b)} in the other; "
                "predict the same labels with both."
            )


def _said(line: Line) -> str:
    ratings = [
        f"{name} {'none' if value is None else f'{value:.3g}'}"
        for name, value in line.wanted.items()
    ]
    label = "without a label" if line.label is None else f"'{line.label}'"
    return f"{label} ({', '.join([line.labels or 'no label set', *ratings])})"


def _refuse_twice(lines: Iterable[Line]) -> None:
    seen: set[tuple[str, str]] = set()
    for one in lines:
        if (key := (one.dialogue, one.utt_id)) in seen:
            raise UserError(
                f"{one.utt_id} of {one.dialogue} is predicted twice; measure the predictions of "
                "each seed by themselves."
            )
        seen.add(key)
