"""Recordings with a transcript beside each, or a table of many dialogues: anybody's own data.

What: dialogues without labels, to predict or to make features of. Terms: yours. To obtain: record;
PATH is a folder, a table (.csv) or a recording.

A folder is walked; ``talks/one.wav`` and ``talks/one.json`` are the dialogue ``talks/one``. Where a
folder holds transcripts and not one recording, they are dialogues that were written. Of a table
(CSV with a column 'dialogue') each dialogue is one, with the recording of its name in the table's
folder (``talks/one`` is ``talks/one.wav`` there), or else the only one of its name below. Hidden
files are not looked at; a folder that is linked there is, once.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from erc_demo import formats, plugs
from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError
from erc_demo.formats import csv
from erc_demo.recording import SUFFIXES
from trainer.datasets import Ask, Corpus, Item, Labelled, Listing, _asked, some


def walk(path: Path) -> Listing:
    """The dialogues of a folder, a table, or one recording."""
    suffix = path.suffix.lower()
    if path.is_dir():
        found = _walked(path, files(path))
    elif path.is_file() and suffix == csv.SUFFIX:
        found = _table(path)
    elif path.is_file() and suffix in SUFFIXES:
        beside = (file for file in files(path.parent, deep=False) if file.stem == path.stem)
        found = _walked(path.parent, [path, *(one for one in beside if _transcript(one))])
    else:
        what = "is something else" if path.exists() else "does not exist"
        raise UserError(
            f"{path} {what}; a folder of recordings with transcripts, a table (.csv) of dialogues "
            "or a recording was wanted."
        )
    if not found.items:
        raise UserError(
            f"{path} holds neither a recording ({' '.join(SUFFIXES)}) nor a transcript "
            f"({', '.join(formats.names())}); name another folder."
        )
    return found


def find(path: Path, ask: Ask) -> Corpus:
    """The same as a corpus: what was said, by nobody who is known by name, and without a label."""
    _asked.refuse(ask, "folder", ask.dimensions)
    found = walk(path)
    dialogues, mute = [], []
    for item in found.items:
        if item.transcript is None and not item.fault:
            mute.append(item.name)
            continue
        dialogue = replace(read(item), name=item.name)
        turns = len(dialogue.turns)
        none = np.full((turns, len(ask.dimensions)), np.nan, np.float32)
        dialogues.append(
            Labelled(
                dialogue=dialogue,
                ids=tuple(f"{item.name}_{turn.number}" for turn in dialogue.turns),
                people=("",) * turns,
                labels={name: np.full(turns, -1, np.int64) for name in ask.labels},
                values=none if ask.dimensions else None,
                sound=item.sound,
            )
        )
    if not dialogues:
        raise UserError(
            f"{path} holds {len(mute)} recordings and no transcript beside any of them; "
            "'python -m erc_demo transcribe FILE --out FOLDER' makes one."
        )
    lacking = f"Left out, since no transcript is beside the recording: {some(mute)}."
    return Corpus(
        name="folder",
        ask=ask,
        dialogues=tuple(dialogues),
        remarks=(*found.remarks, *((lacking,) if mute else ())),
    )


def read(item: Item) -> Dialogue:
    """The dialogue of an item."""
    if item.fault:
        raise UserError(item.fault)
    if item.dialogue is not None:
        return item.dialogue
    if item.transcript is None:
        raise UserError(
            "It has no transcript beside it: 'python -m erc_demo transcribe FILE --out FOLDER' "
            "makes one, and --whole takes each recording for one turn."
        )
    if item.transcript.suffix.lower() != csv.SUFFIX:
        return formats.load(item.transcript)
    facts = item.transcript.stat()
    table = _dialogues(item.transcript, facts.st_size, facts.st_mtime_ns)
    if len(table) == 1:
        return next(iter(table.values()))
    for name in (item.name, item.transcript.stem):
        if name in table:
            return table[name]
    raise UserError(
        f"{item.transcript.name} holds {len(table)} dialogues, but none of its name; if "
        "they are meant, name the table itself, or its folder as table:FOLDER."
    )


class Recordings:
    """The recordings in a folder and below, by where they lie without their suffix, or by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sounds = (file for file in files(folder) if file.suffix.lower() in SUFFIXES)
        self.placed: dict[str, Path] = {}
        for file in sorted(sounds, key=_first):
            self.placed.setdefault(file.relative_to(folder).with_suffix("").as_posix(), file)
        self.named: dict[str, list[str]] = defaultdict(list)
        for place, file in self.placed.items():
            self.named[file.stem].append(place)

    def __bool__(self) -> bool:
        return bool(self.placed)

    def called(self, name: str) -> Path | None:
        """The recording at ``name``, or else the only one of that name below."""
        places = self.places(name)
        if len(places) > 1:
            raise UserError(
                f"{self.folder} holds several recordings of {name} ({some(sorted(places))}); keep "
                "one of them, or name its place."
            )
        return self.placed[places[0]].absolute() if places else None

    def places(self, name: str) -> list[str]:
        """Where recordings of a name lie: one, unless it is not told which is meant."""
        return [name] if name in self.placed else self.named.get(name, [])

    def at(self, file: str) -> Path | None:
        """A file that is named with its suffix, from the folder on."""
        place = self.folder / file
        return place.absolute() if place.is_file() else None


def files(folder: Path, *, deep: bool = True) -> Iterator[Path]:
    """What is no hidden file; linked folders come last, and none is walked twice."""
    seen = set()
    starts = [folder]
    for start in starts:  # grows
        for here, below, names in os.walk(start):
            real = os.path.realpath(here)
            below[:] = sorted(name for name in below if deep and not name.startswith("."))
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            starts += [place for name in below if (place := Path(here, name)).is_symlink()]
            yield from (Path(here, name) for name in sorted(names) if not name.startswith("."))


def _transcript(file: Path) -> bool:
    return file.suffix[1:].lower() in formats.names()


def _walked(folder: Path, there: Iterable[Path]) -> Listing:
    sounds: dict[str, list[Path]] = defaultdict(list)
    texts: dict[str, list[Path]] = defaultdict(list)
    for file in there:
        name = file.relative_to(folder).with_suffix("").as_posix()
        if file.suffix.lower() in SUFFIXES:
            sounds[name].append(file.absolute())
        elif _transcript(file):
            texts[name].append(file.absolute())
    items, several = [], []
    for name in sorted(sounds or texts):
        heard = sorted(sounds[name], key=_first)
        written = sorted(texts[name], key=_rank)
        several += [
            f"{left.relative_to(folder.absolute())} ({same[0].suffix} is taken)"
            for same in (heard, written)
            for left in same[1:]
        ]
        items.append(
            Item(
                name=name,
                sound=heard[0] if heard else None,
                transcript=written[0] if written else None,
            )
        )
    alone = (
        sorted(name for name in texts if texts[name] and not sounds[name])
        if any(sounds.values())
        else []
    )
    remarks = []
    if several:
        remarks.append(f"Left out, since a dialogue has one of a kind: {some(several)}.")
    if alone:
        remarks.append(f"Left out, since no recording is beside the transcript: {some(alone)}.")
    return Listing(items=tuple(items), remarks=tuple(remarks))


def _table(path: Path) -> Listing:
    facts = path.stat()
    names = sorted(_dialogues(path, facts.st_size, facts.st_mtime_ns))
    recordings = Recordings(path.parent)

    def item(name: str) -> Item:
        places = recordings.places(name)
        fault = (
            f"Several recordings have its name ({some(sorted(places))}); call it that in "
            f"{path.name}, with the folder, or keep one of them."
        )
        return Item(
            name=name,
            sound=recordings.placed[places[0]].absolute() if places else None,
            transcript=path.absolute(),
            fault=fault if len(places) > 1 else "",
        )

    return Listing(items=tuple(item(name) for name in names))


@lru_cache(maxsize=4)
def _dialogues(path: Path, size: int, changed: int) -> dict[str, Dialogue]:
    """A table, read once a process."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return {dialogue.name: dialogue for dialogue in csv.dialogues(text, path.stem)}


def _first(file: Path) -> tuple[int, Path]:
    """Of recordings that differ in their suffix alone, the one that lost least comes first."""
    return SUFFIXES.index(file.suffix.lower()), file


def _rank(file: Path) -> tuple[object, ...]:
    """JSON first, which holds everything; then what holds words, times, text."""
    name = file.suffix[1:].lower()
    holds = plugs.load("erc_demo.formats", name).HOLDS
    return (name != "json", *(part not in holds for part in ("words", "spans", "text")), name)
