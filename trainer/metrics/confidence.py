"""Whether a system knows what it knows: Brier score, calibration, and risk by coverage.

The confidence of an answer is the chance that the system gave it.

    Brier   mean over turns of Σ_c (chance of c − [c is the label])², 0 to 2 (Brier 1950);
            no answer is 1 / classes each
    ECE     Σ_bins n_b / n · |accuracy_b − mean confidence_b|, 15 bins (low, high] of equal width
            (Naeini et al. 2015; Guo et al. 2017) or of equal mass, cut at quantiles (Nguyen and
            O'Connor 2015), over the turns that have a confidence
    AURC    mean over k = 1 … n of the share of wrong answers among the k most confident (Geifman
            and El-Yaniv 2017); turns without an answer come last and are wrong
    unsure  of the turns that have an answer and are not marked as unsure, by the threshold that the
            checkpoint brings: their share (coverage), and WA and UA among them

Answers of the same confidence have no order: each counts as the mean of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trainer.metrics.tally import Answers, finish, sums

BINS = 15
COVERAGES = (100, 90, 75, 50)  # percent
CURVE = range(5, 101, 5)  # percent; COVERAGES are among them


def brier(answers: Answers) -> float | None:
    """Over labelled turns; None where no chances were given."""
    some = answers.wanted >= 0
    chances, hit = answers.chances[some], np.eye(answers.classes)[answers.wanted[some]]
    if not len(chances) or np.isnan(chances).all():
        return None
    chances = np.where(np.isnan(chances), 1 / answers.classes, chances)
    return float(((chances - hit) ** 2).sum(1).mean())


def calibration(answers: Answers, *, equal: str = "width") -> dict[str, Any] | None:
    """ECE and the reliability table: of each bin that holds a turn its n, confidence, accuracy.

    Bins are ``equal`` in "width" or in "mass"; turns of one confidence share a bin.
    """
    sure, right = _confidence(answers)
    known = sure >= 0
    return reliability(sure[known], right[known], equal) if known.any() else None


def reliability(sure: np.ndarray, right: np.ndarray, equal: str) -> dict[str, Any]:
    """The same of turns by how sure an answer was, and whether it was right."""
    edges = np.linspace(0, 1, BINS + 1)
    edges = np.quantile(sure, edges) if equal == "mass" else edges
    place = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, BINS - 1)
    table, error = [], 0.0
    for at in np.unique(place):
        here = place == at
        confidence, accuracy = float(sure[here].mean()), float(right[here].mean())
        error += float(here.mean()) * abs(accuracy - confidence)
        table.append(
            {
                "low": float(edges[at]),
                "high": float(edges[at + 1]),
                "n": int(here.sum()),
                "confidence": confidence,
                "accuracy": accuracy,
            }
        )
    return {"n": len(sure), "ece": error, "bins": table}


def abstaining(answers: Answers) -> dict[str, Any] | None:
    """AURC, and the accuracy of the most confident 100, 90, 75 and 50 % of the turns."""
    sure, right = _confidence(answers)
    if not (sure >= 0).any():
        return None
    _, group = np.unique(-sure, return_inverse=True)  # groups of one confidence, the surest first
    mean = np.bincount(group, right) / np.bincount(group)
    reached = np.cumsum(mean[np.sort(group)])  # right answers among the k surest
    kept = np.arange(1, len(sure) + 1)
    accuracy = reached / kept
    ends = {share: -(-share * len(sure) // 100) - 1 for share in CURVE}  # rounded up
    return {
        "n": len(sure),
        "aurc": float((1 - accuracy).mean()),
        "accuracy": {str(share): float(accuracy[ends[share]]) for share in COVERAGES},
        "curve": [[share / 100, float(1 - accuracy[ends[share]])] for share in CURVE],
    }


def unsure(answers: Answers) -> dict[str, Any] | None:
    """WA and UA where the unsure turns are left out; None where nobody said which they are."""
    if answers.unsure is None:
        return None
    some = answers.wanted >= 0
    kept = some & ~answers.unsure & (answers.answered < answers.classes)
    left = replace(answers, wanted=np.where(kept, answers.wanted, -1))
    wa, ua = (
        float(finish(one, sums(left, one).sum(0), answers.classes)) if kept.any() else None
        for one in ("wa", "ua")
    )
    return {
        "n": int(some.sum()),
        "unsure": int((some & answers.unsure).sum()),
        "answered": int(kept.sum()),
        "coverage": float(kept.sum() / some.sum()),
        "wa": wa,
        "ua": ua,
    }


def _confidence(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Of the labelled turns how sure the system was, −1 where nobody knows, and who was right."""
    some = answers.wanted >= 0
    wanted, answered, chances = answers.wanted[some], answers.answered[some], answers.chances[some]
    if not answers.classes:
        return np.zeros(0), np.zeros(0)
    padded = np.concatenate([chances, np.full((len(chances), 1), np.nan)], axis=1)
    sure = padded[np.arange(len(padded)), answered]
    return np.nan_to_num(sure, nan=-1.0), (wanted == answered).astype(float)
