"""How sure a number is: intervals and paired tests over dialogues, not turns.

Turns of a dialogue resemble one another, so what is drawn anew, or swapped, is the dialogue with
all its turns, in every seed at once; with several seeds the statistic is the mean over them.

    interval   percentile bootstrap: as many dialogues as there are, drawn with replacement, the
               2.5th and 97.5th percentile of the statistic (Efron and Tibshirani 1993)
    paired     approximate randomisation: a coin for each dialogue says whether the two systems
               swap their answers on it; p = (k + 1) / (draws + 1), k being the draws whose
               difference is at least as large, either way (Noreen 1989; Yeh 2000)
    holm       p of several comparisons, stepped down (Holm 1979)

Every measure is a function of sums over dialogues (``tally``), so that all draws are one product of
matrices. McNemar's test is left out: it takes turns as independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.errors import UserError
from trainer.metrics import reading
from trainer.metrics.reading import Runs
from trainer.metrics.tally import finish, sums, weight
from trainer.predictions import Line

AT_ONCE = 2**22  # dialogues times draws


@dataclass(frozen=True, slots=True)
class Paired:
    """First minus second, the 95 % interval of that, and the two-sided p of no difference."""

    difference: float
    low: float
    high: float
    p: float


def interval(
    lines: Sequence[Line] | Runs, measure: str, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a measure; both ends NaN with fewer than two labelled dialogues."""
    added, classes = _sums(reading.runs(lines), measure)
    return ends(added, measure, classes, draws=draws, seed=seed)


def ends(
    added: np.ndarray, measure: str, classes: int, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """As ``interval``, of sums (seeds, dialogues, numbers)."""
    added = added[:, _labelled(added, measure)]

    def statistic(weights: np.ndarray) -> np.ndarray:
        return np.mean([finish(measure, weights @ one, classes) for one in added], axis=0)

    return _middle(_drawn(statistic, added.shape[1], draws, seed))


def paired(
    first: Sequence[Line] | Runs,
    second: Sequence[Line] | Runs,
    measure: str,
    *,
    draws: int = 10000,
    seed: int = 0,
) -> Paired:
    """Whether two systems differ on the same turns; as many seeds of one as of the other."""
    one, other = reading.runs(first), reading.runs(second)
    if len(one) != len(other):
        raise UserError(
            f"{len(one)} seeds can't be paired with {len(other)}; give as many of each system."
        )
    reading.refuse_unlike(one[0], other[0])
    mine, classes = _sums(one, measure)
    theirs, _ = _sums(other, measure)
    kept = _labelled(mine, measure)
    mine, theirs = mine[:, kept], theirs[:, kept]
    if not kept.any():
        raise UserError(f"No turn has what {measure} is measured on; there is nothing to compare.")

    def apart(these: np.ndarray, those: np.ndarray) -> np.ndarray:
        return finish(measure, these, classes) - finish(measure, those, classes)

    def redrawn(weights: np.ndarray) -> np.ndarray:
        pairs = zip(mine, theirs, strict=True)
        return np.mean([apart(weights @ a, weights @ b) for a, b in pairs], axis=0)

    def swapped(coins: np.ndarray) -> np.ndarray:
        moved = [(a, b, coins @ (b - a)) for a, b in zip(mine, theirs, strict=True)]
        return np.mean([apart(a.sum(0) + m, b.sum(0) - m) for a, b, m in moved], axis=0)

    size = mine.shape[1]
    difference = float(redrawn(np.ones((1, size)))[0])
    low, high = _middle(_drawn(redrawn, size, draws, seed))
    dice = np.random.default_rng(seed)
    reached = 0
    for count in _portions(draws, size):
        found = swapped(dice.integers(0, 2, (count, size)).astype(np.float64))
        reached += int((np.abs(found) >= abs(difference) - 1e-12).sum())
    return Paired(difference, low, high, (reached + 1) / (draws + 1))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Each comparison's p, corrected for there being several.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    found: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda one: p[one])):
        highest = max(highest, min(1.0, p[name] * (len(p) - rank)))
        found[name] = highest
    return {name: found[name] for name in p}


def _sums(lines: Sequence[Sequence[Line]], measure: str) -> tuple[np.ndarray, int]:
    """Of each seed and dialogue, (seeds, dialogues, numbers), dialogues by name; the classes."""
    for one in lines[1:]:
        reading.refuse_unlike(lines[0], one)
    found = []
    for one in lines:
        answers = reading.answers(sorted(one, key=lambda each: each.dialogue))
        found.append(sums(answers, measure))
    return np.stack(found), answers.classes


def _labelled(added: np.ndarray, measure: str) -> np.ndarray:
    """Which dialogues hold anything that the measure counts."""
    return weight(measure, added[0]) > 0


def _drawn(
    statistic: Callable[[np.ndarray], np.ndarray], size: int, draws: int, seed: int
) -> np.ndarray:
    """The statistic of dialogues drawn with replacement, (draws,)."""
    if size < 2:
        return np.full(draws, np.nan)
    dice = np.random.default_rng(seed)
    found = []
    for count in _portions(draws, size):
        drawn = dice.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        found.append(statistic(weights.astype(np.float64)))
    return np.concatenate(found)


def _portions(draws: int, size: int) -> list[int]:
    most = max(1, AT_ONCE // max(size, 1))
    return [min(most, draws - at) for at in range(0, draws, most)]


def _middle(found: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
