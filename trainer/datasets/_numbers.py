"""Numbers that a corpus brings: ``.npz`` files of ``ids`` and one row an utterance.

A file called as an extractor, or as the field's packs call the same recipe (``KNOWN``), stands for
that extractor's features; any other for ``given:name=FILE,width=N``.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from erc_demo import features
from erc_demo.errors import UserError
from erc_demo.features import Spec, parse
from erc_demo.findings import Features, Remark
from erc_demo.settings import Settings
from trainer.datasets import some

KNOWN = {"gemaps_hsf47": "gemaps47", "ge2e256": "voice"}
GIVEN = "given"
NAME = re.compile(r"[\w.+-]([\w .+-]*[\w.+-])?")
# What numpy and zipfile raise of files that are damaged, encrypted or made of objects.
BROKEN = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """One file's rows: of which utterance each is, and what they stand for."""

    text: str
    version: str
    rows: np.ndarray  # float32 (rows, width), finite
    columns: tuple[str, ...]
    place: dict[str, int]  # utterance → row
    undefined: np.ndarray  # bool (rows,): a number of it was none

    def of(self, ids: Sequence[str], numbers: Sequence[int]) -> Features:
        """The features of one dialogue, whose turns have these ids and numbers."""
        at = np.array([self.place.get(one, -1) for one in ids], np.int64)
        there = at >= 0
        odd = np.zeros(len(at), bool)
        odd[there] = self.undefined[at[there]]
        remarks = [
            Remark(turn=number, why="undefined" if known else GIVEN)
            for number, known, bad in zip(numbers, there, odd, strict=True)
            if bad or not known
        ]
        return Features(
            name=self.text,
            version=self.version,
            level="utterance",
            rows=self.rows[at[there]],
            starts=np.concatenate([[0], np.cumsum(there)]).astype(np.int64),
            columns=self.columns,
            remarks=tuple(remarks),
        )


def read(folder: Path, ids: Sequence[str]) -> tuple[list[Numbers], list[str]]:
    """Every array of a folder, for utterances in the order of the table; and remarks."""
    found, remarks = [], []
    for file in sorted(folder.glob("*.npz")):
        one, said = _file(file, ids)
        found.append(one)
        remarks += said
    texts = [one.text for one in found]
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice:
        raise UserError(f"{folder} holds {some(twice)} in two .npz files; keep one of them.")
    return found, remarks


def _file(file: Path, ids: Sequence[str]) -> tuple[Numbers, list[str]]:
    arrays = _arrays(file)
    rows = _matrix(file, arrays)
    remarks = []
    if "ids" in arrays:
        named = [_text(one) for one in arrays["ids"].ravel().tolist()]
        if len(named) != len(rows):
            raise UserError(
                f"{file} holds {len(named)} ids for {len(rows)} rows; one each, please."
            )
        place = {one: at for at, one in enumerate(named)}
        if len(place) != len(named):
            raise UserError(f"{file} names an utterance twice in 'ids'; keep one row of each.")
    elif len(rows) == len(ids):
        place = {one: at for at, one in enumerate(ids)}
        remarks.append(f"{file.name} has no ids; its rows are taken in the order of the table.")
    else:
        raise UserError(
            f"{file} has no 'ids', and {len(rows)} rows for the table's {len(ids)}; add an array "
            "'ids' that says which utterance each row is of."
        )
    known = set(ids)
    strangers, absent = sum(one not in known for one in place), len(known - place.keys())
    if strangers == len(place):
        raise UserError(
            f"None of the ids of {file} ({next(iter(place), 'none')} …) is an utt_id of the table "
            f"({ids[0]} …); name them alike."
        )
    undefined = ~np.isfinite(rows).all(axis=1)
    spec, version, columns = _stand_for(file, rows.shape[1], arrays)
    said = [
        (strangers, "rows are of no utterance of the table and were left out"),
        (absent, "utterances have no row, and so none of these numbers"),
        (int(undefined.sum()), "rows hold numbers that are not defined; 0 stands for them"),
    ]
    told = [f"{count:,} {what}" for count, what in said if count]
    if told:
        remarks.append(f"{file.name} ({spec.text}): {'; '.join(told)}.")
    one = Numbers(
        text=spec.text,
        version=version,
        rows=np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0),
        columns=columns,
        place=place,
        undefined=undefined,
    )
    return one, remarks


def _text(name: object) -> str:
    return name.decode("utf-8", errors="replace") if isinstance(name, bytes) else str(name)


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        stored = np.load(file, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            return {"X": stored}
        with stored:
            return {name: stored[name] for name in stored.files}
    except BROKEN as exc:
        raise UserError(
            f"{file} can't be read as plain arrays ({_line(exc)}); write it with numpy.savez, "
            "without objects in it."
        ) from exc


def _line(exc: BaseException) -> str:
    return str(exc).partition("\n")[0] or type(exc).__name__


def _matrix(file: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    flat = [name for name, one in arrays.items() if one.ndim == 2 and one.dtype.kind == "f"]
    name = "X" if "X" in arrays else flat[0] if len(flat) == 1 else ""
    if not name or arrays[name].ndim != 2 or arrays[name].dtype.kind not in "fiu":
        there = ", ".join(f"{key} {one.dtype} {one.shape}" for key, one in arrays.items())
        raise UserError(
            f"{file} holds {there or 'nothing'}; one array 'X' of numbers (utterances, width) "
            "was wanted."
        )
    with np.errstate(over="ignore"):
        return arrays[name].astype(np.float32)


def _stand_for(
    file: Path, width: int, arrays: dict[str, np.ndarray]
) -> tuple[Spec, str, tuple[str, ...]]:
    """Which features these are, of which version, and what their numbers are called."""
    called = KNOWN.get(file.stem, file.stem)
    columns = tuple(str(one) for one in arrays.get("names", np.zeros(0)).ravel())
    columns = columns if len(columns) == width else ()
    if called in features.names() and called != GIVEN:
        try:
            made = features.ready(parse(called), Settings())
        except UserError:  # what it needs is not installed: its numbers may be read all the same
            called = file.stem
        else:
            if made.level == "utterance" and made.width == width:
                return parse(called), made.version, made.columns
            raise UserError(
                f"{file} holds {width} numbers an utterance, and {called} makes {made.width} of "
                f"each {made.level}; name the file otherwise if it holds something else."
            )
    if not NAME.fullmatch(file.stem):
        raise UserError(
            f"{file} is asked for by its name, which may hold letters, digits, blanks and . _ + - "
            "alone; rename it."
        )
    spec = Spec(GIVEN, {"name": file.stem, "width": width})
    return spec, features.ready(spec, Settings()).version, columns
