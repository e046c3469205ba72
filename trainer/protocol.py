"""Who may see what: folds of a corpus by its dialogues, and leaks refused.

    fold = Fold(name="session3", train=…, select=…, report=…)

Learning sees ``train``, choosing (the epoch, a setting) sees ``select``; ``report`` is predicted
once, at the end, and nothing is chosen on it. Protocols:

- ``official``: the corpus's own split. Selection sees the validation part, and the run reports
  nothing, since the test part is opened by ``evaluate`` alone. With ``select_from = train:12``
  selection sees 12 dialogues cut from the training part instead, and validation is reported.
- ``loso``: each session that has labels is reported once; the next one (in the order of names,
  the first after the last) is what selection sees, the others train.
- ``speakers:K``: K folds of people; those who talk with each other stay together. As ``loso``.
- ``as-published:PROTOCOL`` cuts the same folds; `fit` then also keeps the epoch that is best on the
  reported part, which is what much of the field reports, and every table shows both.

A dialogue on two sides is refused everywhere; a person on two sides wherever a protocol promises
people who were never heard, and between training and test of an official split, unless that is
what was published (``Corpus.shared_speakers``). What can't be refused is said: a remark.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.errors import UserError
from trainer.datasets import Corpus, Labelled, some

PUBLISHED = "as-published"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Names of dialogues by what may be done with them, and sentences on what is shared."""

    name: str
    train: tuple[str, ...]
    select: tuple[str, ...]
    report: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.train or not self.select:
            empty = "training" if not self.train else "selection"
            raise UserError(
                f"The fold {self.name} has no dialogue for {empty}; choose another protocol, or "
                "cut some from the training part with --select-from train:N."
            )
        for one, other in (("train", "select"), ("train", "report"), ("select", "report")):
            both = sorted(set(getattr(self, one)) & set(getattr(self, other)))
            if both:
                raise UserError(
                    f"{some(both)} would be both in '{one}' and in '{other}' of the fold "
                    f"{self.name}; a dialogue lies on one side."
                )

    @property
    def sha256(self) -> str:
        """A hash of who lies where."""
        sides = [sorted(self.train), sorted(self.select), sorted(self.report)]
        return hashlib.sha256(json.dumps(sides).encode()).hexdigest()


def folds(
    corpus: Corpus, protocol: str, select_from: str = "validation", seed: int = 0
) -> tuple[Fold, ...]:
    """The folds of a protocol; ``seed`` decides what is cut where nothing else does."""
    plain = published(protocol)[0]
    kind, _, count = plain.partition(":")
    cut = _cut_size(select_from)
    if kind == "official" and not count:
        return (_official(corpus, cut, seed),)
    if cut is not None:
        raise UserError(
            f"--select-from {select_from} belongs to the official split; {plain} has a part of its "
            "own for selection."
        )
    if kind == "loso" and not count:
        return _rounds(corpus, _sessions(corpus), "session", people=True)
    if kind == "speakers" and count.isdecimal() and int(count) >= 3:
        return _rounds(corpus, _people(corpus, int(count), seed), "people", people=True)
    raise UserError(
        f"There is no protocol '{protocol}'; official, loso, speakers:K (K = 3 or more) or "
        f"{PUBLISHED}:PROTOCOL was wanted."
    )


def published(protocol: str) -> tuple[str, bool]:
    """The folds' protocol, and whether the best epoch on the reported part is kept besides.

    >>> published("as-published:loso")
    ('loso', True)
    """
    if protocol == PUBLISHED:
        return "official", True
    head, _, rest = protocol.partition(":")
    return (rest, True) if head == PUBLISHED else (protocol, False)


def _cut_size(select_from: str) -> int | None:
    if select_from == "validation":
        return None
    kind, _, count = select_from.partition(":")
    if kind != "train" or not count.isdecimal() or int(count) < 1:
        raise UserError(
            f"--select-from is '{select_from}'; validation, or train:N with N dialogues to cut "
            "from the training part, was wanted."
        )
    return int(count)


def _official(corpus: Corpus, cut: int | None, seed: int) -> Fold:
    parts = {
        name: [one for one in corpus.dialogues if one.split == name]
        for name in ("train", "validation", "test")
    }
    if not parts["train"]:
        raise UserError(
            "This corpus has no split with a training part; name the column that holds it with "
            "--split-column, or use --protocol loso or speakers:K."
        )
    _refuse_shared(corpus, parts["train"] + parts["validation"], parts["test"])
    train, select, report = parts["train"], parts["validation"], []
    if cut is not None:
        here = _judged(train)
        if cut >= len(here):
            raise UserError(
                f"--select-from would cut {cut} dialogues from a training part of {len(here)}; "
                "name fewer."
            )
        drawn = np.random.default_rng(seed).permutation(len(here))[:cut].tolist()
        chosen = {here[at].name for at in drawn}
        report = select
        select = [one for one in train if one.name in chosen]
        train = [one for one in train if one.name not in chosen]
    remarks = []
    for what, these in (("selection", select), ("the reported part", report)):
        both = _who(train) & _who(these)
        if both:
            remarks.append(
                f"{len(both)} of {len(_who(these))} people of {what} are in the training part too: "
                "what it shows is not what strangers would get."
            )
    return Fold(
        name="official",
        train=_names(train),
        select=_names(select),
        report=_names(report),
        remarks=tuple(remarks),
    )


def _refuse_shared(corpus: Corpus, seen: Sequence[Labelled], test: Sequence[Labelled]) -> None:
    both = sorted(_who(seen) & _who(test))
    if both and not (corpus.shared_speakers or corpus.ask.shared_speakers):
        raise UserError(
            f"{len(both)} people ({some(both)}) are in training and in test of this split; what it "
            "measures is not what strangers get. Name a split by people, use --protocol "
            "speakers:K, or accept it with --shared-speakers."
        )


def _sessions(corpus: Corpus) -> dict[str, list[Labelled]]:
    """Dialogues by session, those sessions alone in which something is labelled."""
    found: dict[str, list[Labelled]] = {}
    for one in corpus.dialogues:
        if one.session:
            found.setdefault(one.session, []).append(one)
    main = corpus.ask.labels[0] if corpus.ask.labels else ""
    found = {
        name: these
        for name, these in sorted(found.items())
        if any(one.labelled(main) for one in these)
    }
    if len(found) < 3:
        raise UserError(
            f"Leaving one session out wants three sessions with labels or more, and this corpus "
            f"has {len(found)}; use --protocol official or speakers:K."
        )
    return found


def _people(corpus: Corpus, count: int, seed: int) -> dict[str, list[Labelled]]:
    """Dialogues in groups of about equal turns, no person in two; who meets stays together."""
    leader: dict[str, str] = {}

    def head(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    main = corpus.ask.labels[0] if corpus.ask.labels else ""
    circles: dict[str, list[Labelled]] = {}
    labelled = [one for one in corpus.dialogues if one.labelled(main)]
    known = {one.name: sorted(_who([one])) or [f"of {one.name}"] for one in labelled}
    for people in known.values():
        for name in people[1:]:
            leader[head(name)] = head(people[0])
    for one in labelled:
        circles.setdefault(head(known[one.name][0]), []).append(one)
    circles = {name: these for name, these in circles.items() if _judged(these)}
    if len(circles) < count:
        raise UserError(
            f"speakers:{count} wants {count} circles of people who never meet, and this corpus has "
            f"{len(circles)}; name fewer folds, or use --protocol official."
        )
    order = np.random.default_rng(seed).permutation(sorted(circles))
    sized = sorted(order, key=lambda name: -sum(len(one.ids) for one in circles[name]))
    groups: list[list[Labelled]] = [[] for _ in range(count)]
    for name in sized:  # the largest first, each to the group that has least
        least = min(groups, key=lambda group: sum(len(one.ids) for one in group))
        least.extend(circles[name])
    return {str(number): group for number, group in enumerate(groups, 1)}


def _rounds(
    corpus: Corpus, groups: dict[str, list[Labelled]], what: str, *, people: bool
) -> tuple[Fold, ...]:
    """Each group is reported once; selection sees the next one."""
    names = list(groups)
    found = []
    grouped = {one.name for these in groups.values() for one in these}
    beside = [one for one in corpus.dialogues if one.taught and one.name not in grouped]
    for at, name in enumerate(names):
        other = names[(at + 1) % len(names)]
        train = [one for each in names if each not in (name, other) for one in groups[each]]
        sides = {"training": train, "selection": groups[other], "the reported part": groups[name]}
        if people:
            _refuse_met(what, name, sides)
        found.append(
            Fold(
                name=f"{what}{name}",
                train=_names([*train, *beside]),
                select=_names(_judged(groups[other])),
                report=_names(_judged(groups[name])),
            )
        )
    return tuple(found)


def _refuse_met(what: str, name: str, sides: dict[str, list[Labelled]]) -> None:
    known = list(sides)
    for at, one in enumerate(known):
        for other in known[at + 1 :]:
            both = sorted(_who(sides[one]) & _who(sides[other]))
            if both:
                raise UserError(
                    f"{some(both)} would be in {one} and in {other} of {what} {name}; people are "
                    "told apart by session and speaker: are they named anew in each session?"
                )


def _who(dialogues: Iterable[Labelled]) -> set[str]:
    """Those whose names are known."""
    return {name for one in dialogues for name in one.people if name}


def _judged(dialogues: Iterable[Labelled]) -> list[Labelled]:
    """Without those that are learned from only."""
    return [one for one in dialogues if not one.taught]


def _names(dialogues: Iterable[Labelled]) -> tuple[str, ...]:
    return tuple(one.name for one in dialogues)
