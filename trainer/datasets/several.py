"""Several corpora as one: a TOML file that names them.

What: a list of other corpora, read by their own kinds and put one after the other, in label sets
that all of them can be read in. Paths are relative to the file, or begin with a variable of the
environment, ``$ERC_DATA/meld``.
Labels: whichever are asked for; what a corpus lacks is dropped as it drops it when read alone.
Terms: those of each.
To obtain: write it, PATH is the file ::

    [[corpus]]
    data = "meld:MELD.Raw"
    only = ["train", "validation"]  # parts that are taken; without it all
    part = "train"                  # what they are here; without it what they are there

    [[corpus]]
    data = "dailydialog:dailydialog"
    part = "train"
    without = ["neutral"]           # labels that are not learned; their turns stay as context
    labels = ["meld7"]              # label sets that it teaches; without it all that are asked for
    taught = true                   # in training alone, whatever the protocol: nothing is selected
                                    # on it or reported of it

Names of dialogues, utterances, sessions and people begin with the kind, so that nobody of one
corpus is taken for somebody of another.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.emotions import LABEL_SETS, label_set
from erc_demo.errors import UserError, listed
from trainer.datasets import SPLITS, Ask, Corpus, Labelled, filled, open_corpus, split_named

KEYS = (
    *("data", "only", "part", "without", "labels", "taught"),
    *("label_column", "text_column", "split_column"),
)


def find(path: Path, ask: Ask) -> Corpus:
    """Every corpus of the list, in its order."""
    dialogues: list[Labelled] = []
    remarks: list[str] = []
    shared: list[str] = []
    parts: list[str] = []
    kinds: Counter[str] = Counter()
    for one in _list(path):
        kind, _, place = one["data"].partition(":")
        kinds[kind] += 1
        name = kind if kinds[kind] == 1 else f"{kind}{kinds[kind]}"
        columns = {key: one[key] for key in KEYS if key.endswith("_column") and key in one}
        reference = f"{kind}:{path.parent / filled(place, one['data'])}"
        found = open_corpus(reference, replace(ask, **columns), labelled=False)
        taken = [
            _named(each, name, one, ask)
            for each in found.dialogues
            if "only" not in one or each.split in one["only"]
        ]
        if not taken:
            raise UserError(
                f"{one['data']} in {path.name} has no dialogue in {listed(list(one['only']))}; "
                f"name some of {', '.join(sorted({each.split for each in found.dialogues}))}."
            )
        dialogues += taken
        parts += found.parts or [f"{kind}:{Path(place).name}"]
        remarks += [f"{name}: {text}" for text in found.remarks]
        shared += [found.shared_speakers] if found.shared_speakers else []
    return Corpus(
        name="several",
        ask=ask,
        dialogues=tuple(dialogues),
        remarks=tuple(remarks),
        shared_speakers=" ".join(shared),
        parts=tuple(parts),
    )


def _list(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(
            f'{path} is no file; a TOML file with [[corpus]] tables (data = "KIND:PATH") was '
            "wanted."
        )
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UserError(f"{path} is not TOML: {exc}.") from exc
    found = told.get("corpus")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise UserError(f"{path} names no corpus; a [[corpus]] table for each was wanted.")
    problems = [problem for number, one in enumerate(found, 1) for problem in _odd(one, number)]
    if problems:
        raise UserError(f"{path} can't be used: {listed(problems)}.")
    return [_plain(one) for one in found]


def _odd(one: Mapping[str, Any], number: int) -> list[str]:
    """What is wrong with one table, as clauses."""
    data = one.get("data")
    found = [
        f"corpus {number} has '{key}' (known: {', '.join(KEYS)})" for key in set(one) - {*KEYS}
    ]
    if not isinstance(data, str) or not all(data.partition(":")):
        found.append(f"corpus {number} has data = {data!r}, and KIND:PATH was wanted")
    elif data.startswith("several:"):
        found.append(f"corpus {number} is itself a list of several")
    for key in ("only", "without", "labels"):
        these = one.get(key, [])
        if not isinstance(these, list) or not all(isinstance(each, str) for each in these):
            found.append(f"corpus {number} has {key} = {these!r}, and a list of words was wanted")
    unknown = [each for each in one.get("labels", ()) if each not in LABEL_SETS]
    if unknown:
        found.append(f"corpus {number} teaches {unknown[0]!r}, not one of {', '.join(LABEL_SETS)}")
    if not isinstance(one.get("taught", False), bool):
        found.append(
            f"corpus {number} has taught = {one['taught']!r}, and true or false was wanted"
        )
    part = one.get("part", "train")
    if part not in SPLITS:
        found.append(f"corpus {number} has part = {part!r}, and {', '.join(SPLITS)} was wanted")
    return found


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(one)
    if "only" in made:
        made["only"] = {split_named(each, one["data"]) for each in made["only"]}
    return made


def _named(one: Labelled, name: str, told: Mapping[str, Any], ask: Ask) -> Labelled:
    """A dialogue with the corpus before its names, in the part that the list says."""
    taught = told.get("taught", False)
    learned = told.get("labels", ask.labels)
    dropped = {
        key: np.flatnonzero(
            [
                key not in learned or each in told.get("without", ())
                for each in label_set(key).labels
            ]
        )
        for key in ask.labels
    }
    return replace(
        one,
        dialogue=replace(one.dialogue, name=f"{name}/{one.name}"),
        ids=tuple(f"{name}/{each}" for each in one.ids),
        people=tuple(each and f"{name}/{each}" for each in one.people),
        labels={
            key: np.where(np.isin(these, dropped[key]), -1, these)
            for key, these in one.labels.items()
        },
        votes={
            key: np.where(np.isin(one.labels[key], dropped[key])[:, None], 0, these)
            for key, these in one.votes.items()
        },
        split="train" if taught else told.get("part", one.split),
        session="" if taught else one.session and f"{name} {one.session}",
        taught=taught or one.taught,
    )
