"""What a run comes to by fold, by gender and by speaker, as far as predictions tell who speaks.

A speaker is known by name (``actor 07``, ``Chandler``). IEMOCAP calls its people F and M in every
session, so that one of them is known where the fold is a session: ``session1 F``. Gender is what
the corpus says: a speaker called F or M, female or male; RAVDESS numbers its actors so that odd
ones are men. Nobody's gender is guessed from a name.

Numbers are over the classes that the group has (``trainer.metrics.cells``). Fewer than ``LEAST``
labelled turns would tell of single turns whether they were right: such people are ``others``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trainer.metrics.cells import SHOWN, cell
from trainer.predictions import Line

LEAST = 20
MOST = 24  # people by name, those with most turns
OTHERS = "others"
_SEX = {"f": "female", "female": "female", "m": "male", "male": "male"}

Groups = dict[str, dict[str, dict[str, Any]]]


def gender(speaker: str) -> str:
    """``female`` or ``male``; empty where the corpus does not say.

    >>> gender("F"), gender("session1 M"), gender("actor 07"), gender("Chandler")
    ('female', 'male', 'male', '')
    """
    if found := re.fullmatch(r"actor (\d+)", speaker):
        return "male" if int(found[1]) % 2 else "female"
    return _SEX.get(speaker.lower().rpartition(" ")[2], "")


def person(speaker: str, fold: str) -> str:
    """Who that is in the whole corpus; empty where it can't be told."""
    if speaker.lower() in _SEX:
        return f"{fold} {speaker}" if fold.startswith("session") else ""
    return speaker


def groups(seeds: Sequence[Sequence[Sequence[Line]]], folds: Sequence[str]) -> Groups:
    """By ``fold``, ``gender`` and ``speaker``; ``seeds`` has a list of lines for each fold."""
    names = list(folds) or [""]
    kinds: dict[str, Callable[[Line, str], str]] = {
        "fold": lambda line, fold: fold,
        "gender": lambda line, fold: gender(line.speaker),
        "speaker": lambda line, fold: person(line.speaker, fold),
    }
    found = {}
    for kind, who in kinds.items():
        parted = [_parted(one, names, who) for one in seeds]
        shown = _shown(parted[0])
        if len(shown) > 1:
            found[kind] = {
                group: _said([[line for name in these for line in one[name]] for one in parted])
                for group, these in shown.items()
            }
    return found


def _parted(
    lines: Sequence[Sequence[Line]], folds: Sequence[str], who: Callable[[Line, str], str]
) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for fold, these in zip(folds, lines, strict=True):
        for line in these:
            if line.label is not None and (name := who(line, fold)):
                found.setdefault(name, []).append(line)
    return found


def _shown(parted: Mapping[str, Sequence[Line]]) -> dict[str, list[str]]:
    """The groups by what they are called: one person each, and the others."""
    many = sorted(parted, key=lambda name: (-len(parted[name]), name))
    named = sorted(name for name in many[:MOST] if len(parted[name]) >= LEAST)
    rest = [name for name in parted if name not in named]
    shown = {name: [name] for name in named}
    if sum(len(parted[name]) for name in rest) >= LEAST:
        shown[OTHERS] = rest
    return shown


def _said(seeds: Sequence[Sequence[Line]]) -> dict[str, Any]:
    """n, and each seed's numbers."""
    each = [cell(lines) for lines in seeds]
    return {"n": each[0]["n"], **{name: [one[name] for one in each] for name in SHOWN}}
