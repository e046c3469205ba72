"""A small n-gram language model: counts in, an ARPA file out.

An interpolated, modified Kneser-Ney 3-gram (Chen & Goodman 1998, "An empirical study of smoothing
techniques for language modeling", eqs 26-28): for a history h and a word w

    p(w | h) = (c(hw) - D(c)) / c(h) + g(h) p(w | h'),

where c counts occurrences for the longest order and distinct left neighbours below it, D(1), D(2),
D(3+) come from the counts of counts, h' is h without its first word and g(h) hands on what was
taken away. N-grams that are pruned give their share to g(h) too, so that every p(. | h) still sums
to one. The shipped model is made of it once (``trainer.language``); the text of a transcript is
made into one whenever it is laid over a recording without times.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

START, END, UNKNOWN = "<s>", "</s>", "<UNK>"
ORDER = 3
NEVER = -99.0  # ARPA's log10 of zero

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """Probabilities by order, and the weight that each history hands on to the shorter one."""

    orders: tuple[dict[Gram, float], ...]
    handed: dict[Gram, float]

    def probability(self, gram: Gram) -> float:
        """p(last word | the words before it), backing off as a decoder does."""
        found = self.orders[len(gram) - 1].get(gram)
        if found is not None:
            return found
        if len(gram) == 1:
            return 0.0
        return self.handed.get(gram[:-1], 1.0) * self.probability(gram[1:])

    def arpa(self) -> str:
        """The model as an ARPA file's text."""
        orders = ({(START,): 0.0} | self.orders[0], *self.orders[1:])
        lines = ["\\data\\", *(f"ngram {n}={len(model)}" for n, model in enumerate(orders, 1))]
        for n, model in enumerate(orders, 1):
            lines += ["", f"\\{n}-grams:"]
            for gram, p in sorted(model.items()):
                line = f"{math.log10(p) if p > 0 else NEVER:.4f}\t{' '.join(gram)}"
                if n < ORDER:
                    line += f"\t{math.log10(self.handed.get(gram, 1.0)):.4f}"
                lines.append(line)
        return "\n".join([*lines, "", "\\end\\", ""])


def count(lines: Iterable[Sequence[str]], known: Callable[[str], bool]) -> list[Counter[Gram]]:
    """Occurrences of 1- to 3-grams, sentence edges included; what is not known is UNKNOWN."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(ORDER)]
    for line in lines:
        padded = [START, *(word if known(word) else UNKNOWN for word in line), END]
        for order, counter in enumerate(counts, 1):
            counter.update(tuple(padded[i : i + order]) for i in range(len(padded) - order + 1))
    return counts


def discounts(counts: Iterable[int]) -> tuple[float, float, float]:
    """D(1), D(2), D(3+) of modified Kneser-Ney from the counts of counts.

    >>> [round(d, 3) for d in discounts([1] * 8 + [2] * 4 + [3] * 2 + [4])]
    [0.5, 1.25, 2.0]
    """
    n = Counter(min(c, 4) for c in counts)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
    one, two, three = (
        k - (k + 1) * y * n[k + 1] / n[k] if n[k] else k * y for k in (1, 2, 3)
    )  # texts of a few words have no counts of counts to speak of: kept within (0, k)
    return (min(max(one, 0.01), 0.99), min(max(two, 0.01), 1.99), min(max(three, 0.01), 2.99))


def smooth(
    counts: Sequence[Counter[Gram]],
    *,
    least: Sequence[int] = (1, 1, 1),
    general: Mapping[str, float] | None = None,
    weight: float = 0.0,
) -> Model:
    """The model of these counts.

    N-grams seen less often than ``least`` (by order) are left out. The unigrams are mixed with
    those of a general model, of the given weight, so that other words can be heard too.
    """
    orders: list[dict[Gram, float]] = []
    handed: dict[Gram, float] = {}
    for order in range(1, ORDER + 1):
        raw = counts[order - 1]
        effective = _effective(counts, order)
        d = discounts(effective.values())
        totals: Counter[Gram] = Counter()
        for gram, c in effective.items():
            totals[gram[:-1]] += c
        kept: dict[Gram, float] = {}
        mass: defaultdict[Gram, float] = defaultdict(float)
        for gram, c in effective.items():
            share = (c - d[min(c, 3) - 1]) / totals[gram[:-1]]
            if raw[gram] >= least[order - 1]:
                kept[gram] = share
                mass[gram[:-1]] += share
        if order == 1:  # what is left over goes to every word alike
            rest = (1.0 - mass[()]) / len(effective)
            orders.append(_mixed({g: kept.get(g, 0.0) + rest for g in effective}, general, weight))
            continue
        handed.update({history: max(1.0 - held, 1e-9) for history, held in mass.items()})
        shorter = Model(tuple(orders), handed)
        orders.append(
            {
                gram: share + handed[gram[:-1]] * shorter.probability(gram[1:])
                for gram, share in kept.items()
            }
        )
    return Model(tuple(orders), handed)


def _effective(counts: Sequence[Counter[Gram]], order: int) -> dict[Gram, int]:
    """Occurrences at the longest order, distinct left neighbours below it.

    What begins a sentence has no left neighbour and keeps its count; nothing predicts START.
    """
    if order == ORDER:
        return dict(counts[order - 1])
    found: dict[Gram, int] = dict(Counter(gram[1:] for gram in counts[order]))
    found.update({gram: c for gram, c in counts[order - 1].items() if gram[0] == START})
    found.pop((START,), None)
    return found


def _mixed(
    unigrams: dict[Gram, float], general: Mapping[str, float] | None, weight: float
) -> dict[Gram, float]:
    if not general or weight <= 0:
        return unigrams
    total = sum(general.values())
    mixed = {gram: (1.0 - weight) * p for gram, p in unigrams.items()}
    for word, p in general.items():
        mixed[(word,)] = mixed.get((word,), 0.0) + weight * p / total
    return mixed
