"""Everything that one file of predictions says, or two of the same turns, as plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from erc_demo import plugs
from trainer.metrics import confidence, reading
from trainer.metrics.resampling import ends, paired
from trainer.metrics.tally import Answers, concordance, finish, moments, sums
from trainer.predictions import Line
from trainer.runs import MEASURES

PACKAGE = "trainer.metrics.analyses"


def report(lines: Sequence[Line]) -> dict[str, Any]:
    """All numbers of one seed's lines; None where one has no meaning.

    ``measures`` has the names of ``trainer.runs.MEASURES``; what the others are stands in the
    modules that compute them and in docs/metrics.md.
    """
    name, labels = reading.labels(lines)
    lines = sorted(lines, key=lambda one: one.dialogue)  # as ``interval`` draws them
    answers = reading.answers(lines)
    some = answers.wanted >= 0
    lost = some & (answers.answered == answers.classes)
    found: dict[str, Any] = {
        "labels": name,
        "dialogues": len({one.dialogue for one in lines}),
        "turns": len(lines),
        "n": int(some.sum()),
        "unanswered": int(lost.sum()),
        "why_not": dict(Counter(one.why_not for one in lines if one.why_not).most_common()),
        "measures": measures(answers),
    }
    if some.any():
        counts = sums(answers, "wa").sum(0).reshape(len(labels), len(labels) + 1).astype(int)
        found |= {
            "classes": classes(labels, counts),
            "confusion": {
                "labels": list(labels),
                "counts": counts[:, :-1].tolist(),
                "unanswered": counts[:, -1].tolist(),
            },
            "brier": confidence.brier(answers),
            "calibration": confidence.calibration(answers),
            "calibration_by_mass": confidence.calibration(answers, equal="mass"),
            "abstaining": confidence.abstaining(answers),
            "unsure": confidence.unsure(answers),
            "per_dialogue": per_dialogue(answers),
        }
    if axes := reading.dimensions(lines):
        found["dimensions"] = dimensions(axes, answers.values, answers.rated)
    found["intervals"] = {
        measure: [plain(end) for end in ends(sums(answers, measure)[None], measure, len(labels))]
        for measure, value in found["measures"].items()
        if value is not None
    }
    found["analyses"] = _analyses("analyse", lines)
    return found


def contrast(lines: Sequence[Line], other: Sequence[Line], *, draws: int = 10000) -> dict[str, Any]:
    """Two systems on the same turns: paired tests (first minus second), analyses of pairs."""
    both = [measures(reading.answers(one)) for one in (lines, other)]
    tests = {}
    for measure, value in both[0].items():
        if value is None or both[1][measure] is None:
            continue
        one = paired(lines, other, measure, draws=draws)
        tests[measure] = {
            "first": value,
            "second": both[1][measure],
            "difference": one.difference,
            "low": plain(one.low),
            "high": plain(one.high),
            "p": one.p,
        }
    return {"tests": tests, "analyses": _analyses("compare", lines, other)}


def measures(answers: Answers) -> dict[str, float | None]:
    """Every measure over all turns; the loss only where any chances were given."""
    found = {}
    for measure in MEASURES:
        silent = measure == "loss" and np.isnan(answers.chances).all()
        value = finish(measure, sums(answers, measure).sum(0), answers.classes)
        found[measure] = None if silent else plain(float(value))
    return found


def classes(labels: Sequence[str], counts: np.ndarray) -> dict[str, dict[str, Any]]:
    """Precision, recall and F1 of each label from confusion counts (labels, labels + 1)."""
    from sklearn.metrics import precision_recall_fscore_support

    wanted, answered = np.indices(counts.shape)
    numbers = precision_recall_fscore_support(
        wanted.ravel(),
        answered.ravel(),
        sample_weight=counts.ravel(),
        labels=range(len(labels)),
        zero_division=0,
    )
    return {
        label: {
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "n": int(support),
            "answered": int(answered),
        }
        for label, precision, recall, f1, support, answered in zip(
            labels, *numbers, counts.sum(0)[:-1], strict=True
        )
    }


def per_dialogue(answers: Answers) -> dict[str, Any]:
    """The accuracy of each dialogue that has labels: mean and sd, each dialogue weighing one."""
    added = sums(answers, "wa")
    each = finish("wa", added[added.sum(1) > 0], answers.classes)
    spread = float(each.std(ddof=1)) if len(each) > 1 else None
    return {"n": len(each), "wa": float(each.mean()), "sd": spread}


def dimensions(axes: Sequence[str], values: np.ndarray, rated: np.ndarray) -> dict[str, Any]:
    """CCC, Pearson's r, MAE and RMSE of each dimension, and their means.

    Turns are pooled; no answer is the middle of the scale, 0. Pearson's r is None where one side
    never changes.
    """
    found: dict[str, Any] = {}
    for at, axis in enumerate(axes):
        some = ~np.isnan(rated[:, at])
        given, wanted = values[some, at], rated[some, at]
        x = np.nan_to_num(given)
        off = x - wanted
        moving = np.ptp(x) > 0 and np.ptp(wanted) > 0
        found[axis] = {
            "n": int(some.sum()),
            "unanswered": int(np.isnan(given).sum()),
            "ccc": float(concordance(moments(x, wanted).sum(0))),
            "pearson": float(np.corrcoef(x, wanted)[0, 1]) if moving else None,
            "mae": float(np.abs(off).mean()),
            "rmse": float(np.sqrt((off**2).mean())),
        }
    found["mean"] = {
        key: float(np.mean(known)) if known else None
        for key in ("ccc", "pearson", "mae", "rmse")
        for known in [[one[key] for one in found.values() if one[key] is not None]]
    }
    return found


def plain(value: float) -> float | None:
    """A number that JSON has, or None."""
    return value if math.isfinite(value) else None


def _analyses(kind: str, *files: Sequence[Line]) -> dict[str, Any]:
    found = {}
    for name in plugs.names(PACKAGE):
        made = getattr(plugs.load(PACKAGE, name), kind, None)
        if made is not None and (result := made(*files)):
            found[name] = result
    return found
