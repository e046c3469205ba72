"""What a guest's labels mean here.

One rule: a label is known where it is an emotion's word (``LabelSet.parse``, upper and lower case
and ``_`` alike) of two letters or more; a lone letter or a number (``F``, ``01``, ``LABEL_0``)
means something else in every corpus and is not guessed at. Where every label is known, the guest
speaks a label set that has each of them once: the one that calls most of them by the same word, of
these the smallest. Else it speaks its own words, all of them as they are, which map to nothing.

A guest that speaks a known set is shown in the set that was asked for if it can say all of that
set's labels, by ``emotions.mapping``: what merges is summed, what is dropped is left out and the
rest scaled to 1. Where it can't (four classes, asked for six) it keeps its own set, since a chance
of 0 for a label that it never learned would be no opinion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erc_demo.emotions import LABEL_SETS, OWN, LabelSet, OwnWords, mapping
from erc_demo.errors import UserError


def known(words: Sequence[str]) -> tuple[LabelSet, tuple[str, ...]]:
    """The set that a model with such labels speaks, and each one's label in it."""
    fitting = []
    for one in LABEL_SETS.values() if all(map(_is_word, words)) else ():
        try:
            said = tuple(one.parse(word) for word in words)
        except UserError:
            continue
        if len(set(said)) == len(said):
            same = sum(word.lower() == label for word, label in zip(words, said, strict=True))
            fitting.append((-same, len(one.labels), one, said))
    if not fitting:
        return OwnWords(words), tuple(words)
    *_, one, said = min(fitting, key=lambda each: each[:2])
    return one, said


def _is_word(label: str) -> bool:
    letters = label.replace("_", " ").replace(" ", "")
    return len(letters) > 1 and letters.isalpha()


def spoken(own: LabelSet, said: Sequence[str], asked: LabelSet) -> LabelSet:
    """The set that a guest with these labels of its set is shown in, another being asked for."""
    if own.name == OWN:
        return own
    to = mapping(own, asked)
    return asked if {to[label] for label in said} >= set(asked.labels) else own


def told(
    chances: np.ndarray, own: LabelSet, said: Sequence[str], asked: LabelSet
) -> tuple[np.ndarray, list[str | None]]:
    """Chances of a guest's labels as those of a set's, float32 (turns, labels).

    Beside them, for each turn, the guest's likeliest label where the set has none for it: then
    the rest of its chances says nothing, and the row is NaN.
    """
    to = mapping(own, asked)
    sums = np.zeros((len(chances), len(asked.labels)))
    for column, label in enumerate(said):
        if (target := to[label]) is not None:
            sums[:, asked.labels.index(target)] += chances[:, column]
    best = [said[int(row.argmax())] if np.isfinite(row).all() else None for row in chances]
    without = [label if label is not None and to[label] is None else None for label in best]
    sums[[label is not None for label in without]] = np.nan
    return (sums / sums.sum(axis=1, keepdims=True)).astype(np.float32), without
