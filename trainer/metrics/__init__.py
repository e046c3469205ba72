"""What predictions are worth. Metrics read predictions alone, never a model or a corpus.

    score("weighted_f1", wanted, chances)       one number, after an epoch
    report(lines)                               everything, as plain data
    sentences(report(lines))                    the same for a terminal
    interval(lines, "ua"), paired(a, b, "ua")   how sure that is, and whether two differ

A labelled turn that the system could not answer is never dropped: it is wrong, its chances count
as 1 / classes each, its values as the middle of the scale, and it is abstained from first.
"""

from __future__ import annotations

import numpy as np

from trainer.metrics.described import contrasted, sentences
from trainer.metrics.reports import contrast, report
from trainer.metrics.resampling import Paired, holm, interval, paired
from trainer.metrics.tally import Answers, finish, sums

__all__ = [
    "Paired",
    "contrast",
    "contrasted",
    "holm",
    "interval",
    "paired",
    "report",
    "score",
    "sentences",
]


def score(
    measure: str,
    wanted: np.ndarray,
    chances: np.ndarray,
    values: np.ndarray | None = None,
    rated: np.ndarray | None = None,
) -> float:
    """One of ``trainer.runs.MEASURES``; more is better, but for ``loss`` (mean −ln chance).

    ``wanted`` (turns,) holds numbers of labels, −1 where nobody said; ``chances`` (turns, classes)
    a row of NaN where the system could not answer, which counts as wrong (``tally`` says how).
    ``values`` and ``rated`` are (turns, dimensions), NaN where there is none. With nothing
    labelled, or rated, the score is NaN.
    """
    none = np.full((len(wanted), 0), np.nan)
    lost = np.isnan(chances).any(axis=1)
    best = np.nan_to_num(chances).argmax(1) if chances.size else lost
    answers = Answers(
        wanted=np.asarray(wanted, np.int64),
        answered=np.where(lost, chances.shape[1], best),
        chances=np.where(lost[:, None], np.nan, chances).astype(np.float64),
        values=none if values is None else np.asarray(values, np.float64),
        rated=none if rated is None else np.asarray(rated, np.float64),
        dialogue=np.zeros(len(wanted), np.int64),
    )
    added = sums(answers, measure)
    return float(finish(measure, added.sum(0), answers.classes))
