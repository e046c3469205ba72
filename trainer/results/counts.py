"""Answers as counts by bundle of dialogues: what a paired test needs, and no label of any turn.

A record of a run is published, and the labels of most corpora may not be. What is kept must bear
tests between runs that were recorded months apart, and must not say what any turn was labelled.

- A bit a turn (was it right?) would be too much: checkpoints are public, so who has the words runs
  one, and where the bit says "right" the answer is the label. A class number a turn, under
  whatever names, is the labels themselves: how often each occurs tells which is which.
- Every measure of labels is a function of confusion counts that may be added up
  (``trainer.metrics.tally``), and the tests draw or swap whole dialogues. So the counts of each
  dialogue are enough for WA, UA and F1, for their intervals and for paired tests, exactly; UA under
  redrawn dialogues needs each one's label counts, so it can't be less.
- Who has the corpus without its labels should not learn which dialogue has which counts. Dialogues
  have no names here, and stand in the order of a hash whose key is the labels themselves: the same
  in every run on the same turns, and told by nobody who lacks the labels.
- A dialogue of few labelled turns, or of one label, would still tell what somebody said. Neighbours
  in that order are put together until a bundle has ``LEAST`` labelled turns of two labels, and
  until no record has more than ``MOST`` bundles. Where every dialogue is one turn, as clips are, a
  person's are one bundle first: they resemble one another, and are drawn together.

Who has the words and the very checkpoint of a fold could guess by its answers which dialogue a
bundle is, and would learn how many of its turns have which label, of no turn which.

``turns`` is a hash of all ids and labels, equal in runs that can be paired. It would confirm a
guess of all labels at once and of nothing less, which is why ``FEWEST`` labelled turns are wanted.
What is left can be seen: shuffling labels and answers among the turns of a bundle gives the same
counts, and a test does that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from trainer.metrics import reading
from trainer.metrics.tally import sums
from trainer.predictions import Line

LEAST, MOST, FEWEST = 8, 200, 40
DAMAGED = "; was it changed by hand? Record the run again"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Of each seed and bundle how often a label was given which answer; the last: none."""

    labels: str
    turns: str  # a hash of ids and labels
    counts: np.ndarray  # (seeds, bundles, labels, labels + 1)

    def __post_init__(self) -> None:
        size = len(label_set(self.labels).labels)
        wanted = self.counts.sum(3)
        if self.counts.ndim != 4 or self.counts.shape[2:] != (size, size + 1):
            raise UserError(f"its counts are not those of {self.labels}{DAMAGED}")
        if not self.counts.size or self.counts.min() < 0 or (wanted != wanted[0]).any():
            raise UserError(f"its seeds count different labels{DAMAGED}")

    @classmethod
    def of(cls, seeds: Sequence[Sequence[Line]]) -> Counts:
        """Of each seed's lines, all folds together."""
        bundle, turns = _bundles(seeds[0])
        for one in seeds[1:]:
            reading.refuse_unlike(seeds[0], one)
        name, labels = reading.labels(seeds[0])
        found = [
            sums(reading.answers(_named(one, bundle)), "wa").reshape(
                -1, len(labels), len(labels) + 1
            )
            for one in seeds
        ]
        return cls(labels=name, turns=turns, counts=np.stack(found).astype(int))

    @property
    def n(self) -> int:
        """How many labelled turns."""
        return int(self.counts[0].sum())

    def lines(self) -> list[list[Line]]:
        """Of each seed made lines with these very counts, which ``trainer.metrics`` can test."""
        return [list(self._lines(one)) for one in self.counts]

    def _lines(self, counts: np.ndarray) -> Iterator[Line]:
        names = label_set(self.labels).labels
        for bundle, table in enumerate(counts):
            for label, row in zip(names, table, strict=True):
                answers = [at for at, count in enumerate(row) for _ in range(count)]
                for number, at in enumerate(answers):
                    yield Line(
                        dialogue=f"{bundle:04d}",
                        utt_id=f"{label}{number}",
                        turn=number,
                        speaker="",
                        labels=self.labels,
                        label=label,
                        predicted=names[at] if at < len(names) else None,
                    )

    def to_text(self) -> list[str]:
        """A text a seed: bundles between semicolons, row by row; zeros are left empty."""
        return [_written(one) for one in self.counts]

    @classmethod
    def from_text(cls, labels: str, turns: str, texts: Sequence[str]) -> Counts:
        """The reverse of ``to_text``."""
        size = len(label_set(labels).labels)
        try:
            found = [
                [[int(one or 0) for one in bundle.split(",")] for bundle in text.split(";")]
                for text in texts
            ]
            counts = np.array(found).reshape(len(texts), -1, size, size + 1)
        except (ValueError, AttributeError, TypeError) as exc:
            raise UserError(f"its counts can't be read{DAMAGED}") from exc
        return cls(labels=labels, turns=turns, counts=counts)


def bundled(seeds: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """The lines with the bundle's name as the dialogue's, so that bundles are what is drawn."""
    bundle, _ = _bundles(seeds[0])
    return [_named(one, bundle) for one in seeds]


Unit = Callable[[Line], str]


def _named(lines: Sequence[Line], bundle: dict[str, int]) -> list[Line]:
    """Labelled lines alone, in the order of bundles."""
    unit = _unit(lines)
    found = [
        replace(one, dialogue=f"{bundle[unit(one)]:04d}") for one in lines if one.label is not None
    ]
    return sorted(found, key=lambda one: one.dialogue)


def _unit(lines: Sequence[Line]) -> Unit:
    """What resembles itself: a dialogue; the person, where each dialogue is one turn."""
    alone = max(Counter(one.dialogue for one in lines).values()) == 1
    if alone and all(one.speaker for one in lines):
        return lambda line: line.speaker
    return lambda line: line.dialogue


def _bundles(lines: Sequence[Line]) -> tuple[dict[str, int], str]:
    """The number of each unit's bundle, and the hash of all turns."""
    known = [one for one in lines if one.label is not None]
    if len(known) < FEWEST:
        raise UserError(
            f"there are {len(known)} labelled turns; {FEWEST} or more are wanted, so that a record "
            "does not tell what any of them was labelled"
        )
    told = "\n".join(sorted(f"{one.dialogue}\t{one.utt_id}\t{one.label}" for one in known))
    key, turns = (hashlib.sha256(f"{what}\n{told}".encode()) for what in ("order", "turns"))
    unit, least = _unit(lines), max(LEAST, -(-len(known) // MOST))
    labels: dict[str, list[str]] = {}
    for one in known:
        labels.setdefault(unit(one), []).append(str(one.label))

    def place(name: str) -> bytes:
        keyed = key.copy()
        keyed.update(f"\n{name}".encode())
        return keyed.digest()

    bundle: dict[str, int] = {}
    number, open_, names = 0, [], []
    for name in sorted(labels, key=place):
        open_ += labels[name]
        names.append(name)
        if len(open_) >= least and len(set(open_)) > 1:
            bundle |= dict.fromkeys(names, number)
            number, open_, names = number + 1, [], []
    bundle |= dict.fromkeys(names, max(number - 1, 0))  # the rest goes with the last
    return bundle, turns.hexdigest()


def _written(counts: np.ndarray) -> str:
    return ";".join(
        ",".join("" if count == 0 else str(count) for count in table.ravel()) for table in counts
    )
