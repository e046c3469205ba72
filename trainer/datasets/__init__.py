"""Corpora: one file a kind of corpus, its docstring the corpus's card. Listing the folder finds it.

    corpus = open_corpus("table:PATH", Ask(labels=("iemocap6",), split_column="split6"))

Such a file has ``find(path, ask) -> Corpus``, which reads what was said and how it was labelled and
names where the sound lies, but opens no sound. What it did with rows that are not tidy stands in
``Corpus.remarks``; what is missing is refused with a sentence that says what was looked for and how
the corpus is obtained. (``folder`` is the kind without labels: anybody's recordings.)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo import plugs
from erc_demo.dialogue import Dialogue
from erc_demo.emotions import DIMENSIONS, label_set
from erc_demo.errors import UserError, listed
from erc_demo.findings import Features

PACKAGE = "trainer.datasets"
NAMED = 3  # that a sentence names; the rest it counts
SPLITS = ("train", "validation", "test")
_SPLIT = {"dev": "validation", "valid": "validation", "val": "validation", "": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is wanted of a corpus: label sets (the first is the one reported), dimensions, columns.

    A column is named where the corpus is a table that could mean several.
    """

    labels: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    label_column: str = ""  # of the first label set; empty: the corpus's own
    text_column: str = ""
    split_column: str = ""
    shared_speakers: bool = False  # whether people may be in training and in test
    may_lack: bool = False  # labels and ratings, as what is only predicted does

    def __post_init__(self) -> None:
        for one in self.labels:
            label_set(one)
        for one in self.dimensions:
            if one not in DIMENSIONS:
                raise UserError(f"'{one}' is no dimension of {', '.join(DIMENSIONS)}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """One dialogue with what is known of its turns; every tuple and array runs over the turns.

    ``people`` says who speaks, the same name for the same person in the whole corpus (empty where
    that is not known), which ``dialogue``'s own names need not do. Sound is one file of the
    dialogue (turns lie in it at their spans) or ``clips``, a file for each turn (which is heard
    whole). ``given`` holds numbers that the corpus brings with it, by the text of the features that
    they stand for.
    """

    dialogue: Dialogue
    ids: tuple[str, ...]
    people: tuple[str, ...]
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)  # set → int64, -1: none
    votes: Mapping[str, np.ndarray] = field(default_factory=dict)  # set → (turns, labels), counts
    values: np.ndarray | None = None  # (turns, asked dimensions), -1 to 1; NaN: none
    split: str = ""  # of SPLITS, or empty: the corpus has none
    session: str = ""
    sound: Path | None = None
    clips: tuple[Path | None, ...] = ()
    given: Mapping[str, Features] = field(default_factory=dict)
    taught: bool = False  # learned from only: never selected on, never reported

    def __post_init__(self) -> None:
        turns = len(self.dialogue.turns)
        lists: dict[str, Any] = {"ids": self.ids, "people": self.people, **self.labels}
        lists |= {f"votes of {name}": these for name, these in self.votes.items()}
        lists |= {"clips": self.clips} if self.clips else {}
        lists |= {} if self.values is None else {"values": self.values}
        for name, these in lists.items():
            if len(these) != turns:
                raise ValueError(f"{self.name}: {len(these)} {name} for {turns} turns")
        for text, features in self.given.items():
            if features.turns != turns:
                raise ValueError(f"{self.name}: {text} has {features.turns} turns, not {turns}")
        for name, these in self.labels.items():
            if these.min(initial=-1) < -1 or these.max(initial=-1) >= len(label_set(name).labels):
                raise ValueError(f"{self.name}: labels of {name} are out of range")
        if self.split not in ("", *SPLITS):
            raise ValueError(f"{self.name}: split is '{self.split}'")

    @property
    def name(self) -> str:
        """The dialogue's."""
        return self.dialogue.name

    def labelled(self, name: str) -> int:
        """How many turns have a label of a set, or, without one, a value of a dimension."""
        if name in self.labels:
            return int((self.labels[name] >= 0).sum())
        return 0 if self.values is None else int((~np.isnan(self.values)).any(axis=1).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Every dialogue in the order of the corpus, and sentences on what was done with its rows.

    ``shared_speakers`` says why its published split has people on both sides; empty: none may be.
    """

    name: str  # of the kind
    ask: Ask
    dialogues: tuple[Labelled, ...]
    remarks: tuple[str, ...] = ()
    shared_speakers: str = ""
    parts: tuple[str, ...] = ()  # KIND:NAME of the corpora that it is made of, if of others

    def __post_init__(self) -> None:
        if not self.dialogues:
            raise UserError(f"This corpus ({self.name}) holds no dialogue.")
        for what, these in (
            ("dialogue", [one.name for one in self.dialogues]),
            ("utterance", [each for one in self.dialogues for each in one.ids]),
        ):
            seen: set[str] = set()
            twice = sorted({name for name in these if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
            if twice:
                raise UserError(
                    f"The {self.name} corpus has the same {what} twice ({some(twice)}); give each "
                    "a name of its own."
                )

    def of(self, names: Sequence[str]) -> tuple[Labelled, ...]:
        """Some dialogues by name, in the corpus's order."""
        wanted = set(names)
        return tuple(one for one in self.dialogues if one.name in wanted)

    @cached_property
    def sha256(self) -> str:
        """A hash of all that was read: names, words, times, labels, splits and numbers."""
        made = hashlib.sha256()
        for one in self.dialogues:
            facts = [one.dialogue.to_json(), one.ids, one.people, one.split, one.session]
            made.update(json.dumps(facts, sort_keys=True).encode())
            for arrays in (one.labels, one.votes):
                for name in sorted(arrays):
                    made.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
            if one.values is not None:
                made.update(np.ascontiguousarray(one.values).tobytes())
            for text in sorted(one.given):
                these = one.given[text]
                made.update(text.encode() + these.starts.tobytes() + these.rows.tobytes())
        return made.hexdigest()


def names() -> list[str]:
    """Every kind of corpus."""
    return plugs.names(PACKAGE)


def open_corpus(reference: str, ask: Ask, *, labelled: bool = True) -> Corpus:
    """A corpus by ``KIND:PATH``; ``labelled``: one without labels is no use."""
    kind, sign, path = reference.partition(":")
    if not sign or not path:
        raise UserError(
            f"--data is '{reference}'; KIND:PATH was wanted, such as table:my_corpus (kinds: "
            f"{', '.join(names())})."
        )
    place = Path(filled(path, reference)).expanduser()
    if not place.exists():
        raise UserError(f"{place} does not exist; name the folder of the {kind} corpus.")
    wanted = ask if labelled else replace(ask, may_lack=True)
    found: Corpus = plugs.load(PACKAGE, kind).find(place, wanted)
    lacking = [one for one in ask.labels if not any(each.labelled(one) for each in found.dialogues)]
    if labelled and lacking:
        raise UserError(
            f"No turn of {reference} has a label of {listed(lacking)}; name another label set, or "
            "the column that holds the labels with --label-column."
        )
    return found


def filled(path: str, where: str) -> str:
    """A path with its environment variables put in, so that a plan may say ``$ERC_DATA/corpus``."""
    made = os.path.expandvars(path)
    if unset := re.search(r"\$\{?(\w+)", made):
        raise UserError(
            f"{where} names the variable {unset[1]}, which is not set; set it to the folder that "
            "holds the corpora."
        )
    return made


def split_named(word: str, where: str) -> str:
    """The split that a corpus means by its word; dev is validation.

    >>> split_named("dev", "row 3")
    'validation'
    """
    plain = word.strip().lower()
    split = _SPLIT.get(plain, plain)
    if split not in ("", *SPLITS):
        raise UserError(f"{where} is in the split '{word}'; {', '.join(SPLITS)} or dev was wanted.")
    return split


def some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


# ---- what `extract` walks: dialogues as files, labels or none


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One dialogue as files: its name, and where its sound and transcript lie, as far as known.

    ``fault`` says why its files can't be told; reading it raises that, so the others are done.
    """

    name: str
    sound: Path | None = None
    transcript: Path | None = None
    dialogue: Dialogue | None = None  # what was said, where a corpus has read it already
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Every item in the order of names, and sentences on what was chosen or left out."""

    items: tuple[Item, ...]
    remarks: tuple[str, ...] = ()


def listing(corpus: Corpus, *, sound: bool = True) -> Listing:
    """A corpus as ``extract`` walks it: what is heard of each dialogue, or only what was said."""
    items = (heard(one) if sound else (written(one),) for one in corpus.dialogues)
    return Listing(items=tuple(item for these in items for item in these), remarks=corpus.remarks)


def written(one: Labelled) -> Item:
    """What was said in a dialogue, without its sound."""
    return Item(name=one.name, dialogue=one.dialogue)


def heard(one: Labelled) -> tuple[Item, ...]:
    """The dialogue with its recording, or each turn with its clip: a dialogue of one whole turn."""
    if not one.clips:
        return (Item(name=one.name, sound=one.sound, dialogue=one.dialogue),)
    found = []
    for name, turn, clip in zip(one.ids, one.dialogue.turns, one.clips, strict=True):
        alone = replace(turn, number=0, span=None, words=(), channel=None)
        dialogue = replace(one.dialogue, name=name, turns=(alone,), duration=None)
        found.append(Item(name=name, sound=clip, dialogue=dialogue))
    return tuple(found)
