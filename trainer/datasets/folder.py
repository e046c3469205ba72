"""Recordings with a transcript beside each, or a table of many dialogues: anybody's own data.

A folder is walked; ``talks/one.wav`` and ``talks/one.json`` are the dialogue ``talks/one``. Where a
folder holds transcripts and not one recording, they are dialogues that were written. Of a table
(CSV with a column 'dialogue') each dialogue is one, with the recording of its name in the table's
folder (``talks/one`` is ``talks/one.wav`` there), or else the only one of its name below. Hidden
files are not looked at; a folder that is linked there is, once.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from erc_demo import formats, plugs
from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError
from erc_demo.formats import csv
from erc_demo.recording import SUFFIXES
from trainer.datasets import Corpus, Item, some


def find(path: Path) -> Corpus:
    """The dialogues of a folder, a table, or one recording."""
    suffix = path.suffix.lower()
    if path.is_dir():
        found = _walked(path, _files(path))
    elif path.is_file() and suffix == csv.SUFFIX:
        found = _table(path)
    elif path.is_file() and suffix in SUFFIXES:
        beside = (file for file in _files(path.parent, deep=False) if file.stem == path.stem)
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


def read(item: Item) -> Dialogue:
    """The dialogue of an item."""
    if item.fault:
        raise UserError(item.fault)
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
    raise UserError(f"{item.transcript.name} holds {len(table)} dialogues, but none of its name.")


def _files(folder: Path, *, deep: bool = True) -> Iterator[Path]:
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


def _walked(folder: Path, files: Iterator[Path] | list[Path]) -> Corpus:
    sounds: dict[str, list[Path]] = defaultdict(list)
    texts: dict[str, list[Path]] = defaultdict(list)
    for file in files:
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
            f"{left.relative_to(folder.absolute())} ({files[0].suffix} is taken)"
            for files in (heard, written)
            for left in files[1:]
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
    return Corpus(items=tuple(items), remarks=tuple(remarks))


def _table(path: Path) -> Corpus:
    facts = path.stat()
    names = sorted(_dialogues(path, facts.st_size, facts.st_mtime_ns))
    sounds = (file for file in _files(path.parent) if file.suffix.lower() in SUFFIXES)
    placed: dict[str, Path] = {}
    for file in sorted(sounds, key=_first):
        placed.setdefault(file.relative_to(path.parent).with_suffix("").as_posix(), file)
    named: dict[str, list[str]] = defaultdict(list)
    for place, file in placed.items():
        named[file.stem].append(place)

    def item(name: str) -> Item:
        places = [name] if name in placed else named[name]
        fault = (
            f"Several recordings have its name ({some(sorted(places))}); call it that in "
            f"{path.name}, with the folder, or keep one of them."
        )
        return Item(
            name=name,
            sound=placed[places[0]].absolute() if places else None,
            transcript=path.absolute(),
            fault=fault if len(places) > 1 else "",
        )

    return Corpus(items=tuple(item(name) for name in names))


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
