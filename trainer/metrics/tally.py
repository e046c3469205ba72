"""The sums that every measure is made of: counts of answers, of chances, moments of numbers.

Each measure of labels is a function of the confusion counts C[wanted, answered], answered having
one column more than there are labels: the last is for turns that the system could not answer. Such
a turn is wrong: it is in the support of its class and in nobody's true positives.

    WA           Σ C[c, c] / n                                             (accuracy)
    UA           mean over the classes with labelled turns of  C[c, c] / Σ C[c, ·]
    F1 of c      2 C[c, c] / (Σ C[c, ·] + Σ C[·, c])
    weighted F1  mean of F1, each class weighing as many as its labelled turns
    macro F1     mean of F1 over the classes that are wanted or answered anywhere
    loss         mean of −ln(chance of the label); no answer is 1 / classes for each
    CCC          mean over dimensions of 2 cov(x, y) / (var x + var y + (mean x − mean y)²)
                 (Lin 1989, with 1/n); no answer is the middle of the scale, 0

Macro F1's classes are those scikit-learn takes by itself, so that an answer which nobody wanted
costs. Sums can be added, so each dialogue's are kept, and a bootstrap or a swap of dialogues is a
product of matrices: everything here takes any number of leading axes (draws). That is why these
few lines stand beside scikit-learn and torchmetrics, which take one draw at a time (and
torchmetrics 2 seconds to import); the tests hold them to both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.runs import MEASURES

LABELS = ("weighted_f1", "macro_f1", "ua", "wa")  # measures of the confusion counts
LEAST = float(np.finfo(np.float64).eps)  # a chance of 0 is taken as this, as scikit-learn does
MOMENTS = 6  # of a dimension: n, Σx, Σy, Σx², Σy², Σxy


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What people said of some turns, and what a system did; labels by number."""

    wanted: np.ndarray  # (turns,) int, -1: none
    answered: np.ndarray  # (turns,) int, the number of classes: no answer
    chances: np.ndarray  # (turns, classes), NaN: not given
    values: np.ndarray  # (turns, dimensions), NaN: no answer
    rated: np.ndarray  # (turns, dimensions), NaN: none
    dialogue: np.ndarray  # (turns,) int, from 0
    unsure: np.ndarray | None = None  # (turns,) bool; None: nobody said

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return self.chances.shape[1]


def sums(answers: Answers, measure: str) -> np.ndarray:
    """What a measure needs of each dialogue: (dialogues, numbers), which may be added up."""
    if measure not in MEASURES:
        raise ValueError(f"there is no measure '{measure}'")
    dialogues = int(answers.dialogue.max(initial=-1)) + 1
    if measure == "ccc":
        shape = (len(answers.rated), MOMENTS * answers.rated.shape[1])
        parts = moments(answers.values, answers.rated).reshape(shape)
    else:
        some = answers.wanted >= 0
        if measure in LABELS:
            if not answers.classes:
                return np.zeros((dialogues, 0))
            width = answers.classes + 1
            cell = np.where(some, answers.wanted * width + answers.answered, 0)
            size = answers.classes * width
            flat = np.bincount(answers.dialogue * size + cell, some, dialogues * size)
            return flat.reshape(dialogues, size)
        parts = np.stack([some, np.where(some, surprise(answers), 0)], axis=1)
    found = np.zeros((dialogues, parts.shape[1]))
    np.add.at(found, answers.dialogue, parts)
    return found


def finish(measure: str, added: np.ndarray, classes: int = 0) -> np.ndarray:
    """A measure from its sums (…, numbers) → (…); NaN where nothing was labelled or rated."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "loss":
            return added[..., 1] / added[..., 0]
        if measure == "ccc":
            each = concordance(_by_dimension(added))
            known = ~np.isnan(each)
            return np.where(known, each, 0).sum(-1) / known.sum(-1)
        counts = added.reshape(*added.shape[:-1], classes, classes + 1)
        right = np.diagonal(counts, axis1=-2, axis2=-1)
        support, given = counts.sum(-1), counts[..., :classes].sum(-2)
        total = support.sum(-1)
        if measure == "wa":
            return right.sum(-1) / total
        if measure == "ua":
            return np.nansum(right / support, -1) / (support > 0).sum(-1)
        f1 = np.where(support + given > 0, 2 * right / (support + given), 0)
        if measure == "macro_f1":
            return np.where(total > 0, f1.sum(-1) / (support + given > 0).sum(-1), np.nan)
        return (f1 * support).sum(-1) / total


def weight(measure: str, added: np.ndarray) -> np.ndarray:
    """How many labels or ratings the sums (…, numbers) hold."""
    if measure == "ccc":
        return _by_dimension(added)[..., 0].sum(-1)
    return added[..., 0] if measure == "loss" else added.sum(-1)


def surprise(answers: Answers) -> np.ndarray:
    """−ln of the chance that each turn's label was given, (turns,); NaN without a label."""
    some, rows = answers.wanted >= 0, np.arange(len(answers.wanted))
    chance = answers.chances[rows, np.where(some, answers.wanted, 0)] if answers.classes else rows
    chance = np.where(np.isnan(chance), 1 / max(answers.classes, 1), chance)
    return np.where(some, -np.log(np.clip(chance, LEAST, 1)), np.nan)


def concordance(moments: np.ndarray) -> np.ndarray:
    """CCC from moments (…, 6) → (…); 1 where both sides are one and the same number."""
    n, x, y, xx, yy, xy = np.moveaxis(moments, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = x / n, y / n
        below = (xx / n - x * x) + (yy / n - y * y) + (x - y) ** 2
        return np.where(n > 0, np.where(below > 1e-12, 2 * (xy / n - x * y) / below, 1.0), np.nan)


def moments(values: np.ndarray, rated: np.ndarray) -> np.ndarray:
    """Of each number, (…) → (…, 6), 0 where nobody rated; no value counts as 0."""
    some = ~np.isnan(rated)
    x, y = np.where(some, np.nan_to_num(values), 0), np.where(some, np.nan_to_num(rated), 0)
    return np.stack([some, x, y, x * x, y * y, x * y], axis=-1)


def _by_dimension(added: np.ndarray) -> np.ndarray:
    return added.reshape(*added.shape[:-1], added.shape[-1] // MOMENTS, MOMENTS)
