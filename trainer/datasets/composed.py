"""Recordings composed of clips: what single people said alone, laid side by side as turns.

What: clips of one speaker each (``ravdess`` and its like), in an order that is drawn. Nobody
answered anybody, so what is measured on such recordings is how a system uses its context's sound,
never how conversations go. Labels: those of the clips. Terms: theirs.
To obtain: write it, PATH is a TOML file (paths are relative to it) ::

    data = "ravdess:$ERC_DATA/ravdess"
    seed = 0
    circles = 5              # groups of people; who answers whom is drawn inside a group
    validation = 1           # so many circles are the validation part, the others train

    [[arrangement]]
    name = "clip"            # every clip alone: nothing was said before

    [[arrangement]]
    name = "person"          # what one person said, as one recording
    turns = [60, 60]

    [[arrangement]]
    name = "pair"            # two people, mixed at random
    people = 2
    turns = [2, 30]
    times = 4                # so often, drawn anew each time

An arrangement lays each clip ``times`` times, into recordings of a length drawn from ``turns``
(what is left makes the last one). Dialogues are named ``clip/…``, ``person/…``, and utterances
after them, since the same clip stands in several.

Order, lengths and partners are drawn from the seed, the arrangement's name and the clips' names
alone: labels are not looked at, and dealing them out anew changes nothing. One thing an order
without repetition does tell: a person has so many clips of an emotion, so the one just heard is a
little less likely to come again. On RAVDESS, where 36 clips of an actor have one of four labels,
who knew the true label before could reach an unweighted accuracy of 9 / 35 = 0.257 and not 0.250.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError, listed
from trainer.datasets import Ask, Corpus, Labelled, filled, open_corpus, some

KEYS = ("data", "seed", "circles", "validation", "arrangement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """One way to lay every clip: how many people and turns a recording has, and how often."""

    name: str
    people: int = 1
    turns: tuple[int, int] = (1, 1)
    times: int = 1

    @classmethod
    def of(cls, told: Any, number: int) -> Arrangement:
        """From a table of the file; what is wrong is said at once."""
        where = f"arrangement {number}"
        if not isinstance(told, dict):
            raise UserError(f"{where} is {told!r}, and a table was wanted.")
        known = [one.name for one in fields(cls)]
        found = [f"it has '{key}' (known: {', '.join(known)})" for key in told if key not in known]
        name, turns = told.get("name"), told.get("turns", [1, 1])
        if not isinstance(name, str) or not name or "/" in name:
            found.append(f"its name is {name!r}, and a word without / was wanted")
        for key in ("people", "times"):
            if not _whole(told.get(key, 1)):
                found.append(f"its {key} is {told[key]!r}, and 1 or more was wanted")
        if not (isinstance(turns, list) and len(turns) == 2 and all(map(_whole, turns))):
            found.append(f"its turns are {turns!r}, and [least, most] was wanted")
        elif turns[0] > turns[1]:
            found.append(f"its turns are from {turns[0]} to {turns[1]}")
        if found:
            raise UserError(f"Of {where}, {listed(found)}.")
        return cls(**{**told, "turns": tuple(turns)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """All that the file says."""

    data: str
    arrangements: tuple[Arrangement, ...]
    seed: int = 0
    circles: int = 1  # 1: everybody may meet
    validation: int = 0  # circles; 0: no parts

    @classmethod
    def read(cls, path: Path) -> Composition:
        """The file."""
        try:
            told = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
            raise UserError(
                f"{path} is no TOML file with [[arrangement]] tables, which was wanted: {exc}."
            ) from exc
        data, these = told.get("data"), told.get("arrangement")
        found = [f"it has '{key}' (known: {', '.join(KEYS)})" for key in told if key not in KEYS]
        if not isinstance(data, str) or not all(data.partition(":")):
            found.append(f"its data is {data!r}, and KIND:PATH was wanted")
        elif data.startswith("composed:"):
            found.append("its data is itself composed")
        for key, least in (("seed", 0), ("circles", 1), ("validation", 0)):
            if not _whole(told.get(key, least), least=least):
                found.append(f"its {key} is {told[key]!r}, and {least} or more was wanted")
        if not isinstance(these, list) or not these:
            found.append("it has no [[arrangement]] table")
        if found:
            raise UserError(f"{path} can't be used: {listed(found)}.")
        made = tuple(Arrangement.of(one, number) for number, one in enumerate(these or [], 1))
        names = [one.name for one in made]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"{path} names two arrangements {listed(twice)}; call one otherwise.")
        kept = {key: told[key] for key in ("seed", "circles", "validation") if key in told}
        composition = cls(data=str(data), arrangements=made, **kept)
        if composition.validation >= composition.circles and composition.validation:
            raise UserError(
                f"{path} gives {composition.validation} of {composition.circles} circles to "
                "validation, and none would be left to train on; name fewer."
            )
        return composition

    def part(self, circle: int) -> str:
        """The part of the recordings of a circle, by its number."""
        if not self.validation:
            return ""
        return "validation" if circle < self.validation else "train"


def find(path: Path, ask: Ask) -> Corpus:
    """Every arrangement of the clips, in its order."""
    composition = Composition.read(path)
    kind, _, place = composition.data.partition(":")
    here = path.parent / filled(place, f"data in {path.name}")
    corpus = open_corpus(f"{kind}:{here}", ask, labelled=False)
    clips = _clips(corpus, composition.data)
    circles = _circles(sorted(clips), composition)
    dialogues = [
        _recording(each, f"{one.name}/{number:04d}", composition.part(circle))
        for one in composition.arrangements
        for number, (circle, each) in enumerate(_laid(clips, circles, one, composition.seed), 1)
    ]
    remark = (
        f"Composed: {len(dialogues):,} recordings of {sum(map(len, clips.values())):,} clips of "
        f"{len(clips)} people, in an order drawn by seed {composition.seed}; nobody answered "
        "anybody."
    )
    return Corpus(
        name="composed",
        ask=ask,
        dialogues=tuple(dialogues),
        remarks=(*corpus.remarks, remark),
        shared_speakers=corpus.shared_speakers,
        parts=corpus.parts or (f"{kind}:{Path(place).name}",),
    )


def _whole(given: Any, *, least: int = 1) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= least


def _clips(corpus: Corpus, data: str) -> dict[str, list[Labelled]]:
    """Each person's clips, in the order of a hash of their names."""
    found: dict[str, list[Labelled]] = {}
    odd = [one.name for one in corpus.dialogues if len(one.ids) != 1 or not one.people[0]]
    if odd:
        raise UserError(
            f"{data} is no corpus of clips: {some(odd)} has several turns, or nobody known by "
            "name; recordings are composed of what one person said alone."
        )
    for one in sorted(corpus.dialogues, key=lambda one: _hash(one.ids[0])):
        found.setdefault(one.people[0], []).append(one)
    return found


def _circles(people: Sequence[str], composition: Composition) -> list[list[str]]:
    """People in groups of about equal size, drawn."""
    count = composition.circles
    if count > len(people):
        raise UserError(
            f"{len(people)} people can't make {count} circles; name {len(people)} at most."
        )
    order = _draw(composition.seed, "circles").permutation(len(people))
    return [sorted(people[at] for at in order[start::count]) for start in range(count)]


def _laid(
    clips: Mapping[str, Sequence[Labelled]],
    circles: Sequence[Sequence[str]],
    one: Arrangement,
    seed: int,
) -> Iterator[tuple[int, list[Labelled]]]:
    """Recordings of one arrangement: the number of a circle, and clips in order."""
    for time in range(one.times):
        draw = _draw(seed, one.name, str(time))
        for number, circle in enumerate(circles):
            order = [circle[at] for at in draw.permutation(len(circle))]
            for start in range(0, len(order), one.people):
                party = order[start : start + one.people]
                pool = [clip for name in party for clip in clips[name]]
                mixed = [pool[at] for at in draw.permutation(len(pool))]
                while mixed:
                    length = int(draw.integers(one.turns[0], one.turns[1] + 1))
                    yield number, mixed[:length]
                    mixed = mixed[length:]


def _recording(clips: Sequence[Labelled], name: str, part: str) -> Labelled:
    """Clips as the turns of one recording."""
    first = clips[0]
    return Labelled(
        dialogue=Dialogue(
            name=name,
            turns=tuple(
                replace(clip.dialogue.turns[0], number=at) for at, clip in enumerate(clips)
            ),
        ),
        ids=tuple(f"{name}/{clip.ids[0]}" for clip in clips),
        people=tuple(clip.people[0] for clip in clips),
        labels={key: np.concatenate([clip.labels[key] for clip in clips]) for key in first.labels},
        votes={key: np.concatenate([clip.votes[key] for clip in clips]) for key in first.votes},
        values=None
        if first.values is None
        else np.concatenate([clip.values for clip in clips if clip.values is not None]),
        split=part,
        clips=tuple(clip.clips[0] if clip.clips else clip.sound for clip in clips),
    )


def _draw(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([seed, int(_hash("/".join(names))[:15], 16)])


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
