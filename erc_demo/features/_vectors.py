"""Word vectors in a text file, fastText's ``.vec`` or GloVe's ``.txt``, found without reading it.

A row is a word and its numbers, with blanks between; fastText's first line is "rows width". Two
million words of 300 numbers are 2.4 GB in memory, so the file is read once, line by line, into
an index in the program's data folder, and looked up there through the disk's cache:

    numbers.f32   the rows, float32, in the file's order
    keys.npy      the words' 64-bit hashes, sorted (two million words collide once in ten million
    rows.npy      files), and the row of each; of a word that comes twice the first counts
    facts.json    rows, width, and the SHA-256 of the file

The index is made aside, flushed, and renamed when it is whole. It belongs to a path, a size and a
moment of change; when these differ it is made anew, and the old one goes. So is one that was
damaged: whose parts are gone, or do not fit together.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from erc_demo.errors import UserError

LAYOUT = "2"  # of an index; another one is not looked at
BOM = b"\xef\xbb\xbf"  # that some editors put before the first word
CHUNK = 4096  # rows that are looked over and written at once
STALE = 3600.0  # seconds after which an index made aside belongs to a process that died
LONGEST = 1 << 20  # bytes of a line; 300 numbers have 3000


class Vectors:
    """An index: rows by word. ``sha256`` is of the text file, ``mean`` that of all its rows."""

    def __init__(self, file: Path, data: Path) -> None:
        """Open the index of a file, made in the folder ``data`` if there is none."""
        for again in (True, False):
            folder = _indexed(file, data)
            try:
                self._open(folder)
                return
            except (OSError, EOFError, ValueError, KeyError, TypeError) as exc:  # it is damaged
                shutil.rmtree(folder, ignore_errors=True)
                if not again:
                    raise UserError(
                        f"The index {folder} of the word vectors {file} is damaged and can't be "
                        "made anew; remove it, or name another folder (the setting data)."
                    ) from exc

    def _open(self, folder: Path) -> None:
        facts = json.loads((folder / "facts.json").read_text())
        self.sha256: str = facts["sha256"]
        self.width: int = facts["width"]
        self.mean = np.array(facts["mean"], np.float32)
        shape = (facts["rows"], self.width)
        if (folder / "numbers.f32").stat().st_size != 4 * shape[0] * shape[1]:
            raise ValueError("the rows are cut short")
        self._numbers = np.memmap(folder / "numbers.f32", np.float32, mode="r", shape=shape)
        self._keys = np.load(folder / "keys.npy", mmap_mode="r")
        self._rows = np.load(folder / "rows.npy", mmap_mode="r")
        if not len(self._keys) == len(self._rows) == shape[0]:
            raise ValueError("the words do not fit the rows")

    def find(self, spellings: Sequence[str]) -> np.ndarray | None:
        """The row of the first spelling that the file has, float32 (width,), or None."""
        for word in spellings:
            key = np.uint64(_key(word.encode("utf-8", "replace")))
            place = int(np.searchsorted(self._keys, key))
            if place < len(self._keys) and self._keys[place] == key:
                return np.array(self._numbers[self._rows[place]])
        return None


def _key(word: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest())


def _indexed(file: Path, data: Path) -> Path:
    """The folder of the file's index."""
    file = file.expanduser()
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would never end
            what = "a directory" if stat.S_ISDIR(facts.st_mode) else "no regular file"
            raise OSError(errno.EINVAL, f"it is {what}")
        opened = file.open("rb")
    except OSError as exc:
        raise UserError(
            f"The word vectors {file} can't be opened ({exc.strerror}); name a fastText .vec or "
            "GloVe .txt file, unpacked."
        ) from exc
    with opened:
        path = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]
        parent = data / "vectors"
        folder = parent / f"{path}-{facts.st_size:x}-{facts.st_mtime_ns:x}-{LAYOUT}"
        if folder.is_dir():
            return folder
        aside = None
        try:
            parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".aside-", dir=parent))
            _write(opened, file, aside)
            _sweep(parent, path, folder)
            with contextlib.suppress(OSError):  # another process was first
                aside.rename(folder)
        except OSError as exc:
            raise UserError(
                f"The index of the word vectors {file} can't be written in {parent} "
                f"({exc.strerror or 'is the disk full?'}); it takes half the file's size: free "
                "some room, or name another folder (the setting data)."
            ) from exc
        finally:
            if aside is not None:
                shutil.rmtree(aside, ignore_errors=True)
    return folder


def _sweep(parent: Path, path: str, folder: Path) -> None:
    """Remove the indices of the file's earlier contents, and what killed processes left."""
    for old in parent.glob(f"{path}-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    for old in parent.glob(".aside-*"):
        with contextlib.suppress(OSError):  # another process sweeps too
            if time.time() - old.stat().st_mtime > STALE:
                shutil.rmtree(old)


def _write(opened: IO[bytes], file: Path, folder: Path) -> None:
    """Read the file to its end and write its index."""
    digest = hashlib.sha256()
    promised = width = None
    keys: list[int] = []
    block: list[tuple[int, list[float]]] = []  # line number, row
    total: np.ndarray | float = 0.0
    with (folder / "numbers.f32").open("wb") as numbers:
        for number, line in enumerate(iter(lambda: opened.readline(LONGEST), b""), 1):
            digest.update(line)
            if number == 1:
                line = line.removeprefix(BOM)
            fields = line.rstrip(b" \t\r\n").split(b" ")
            if number == 1 and len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
                promised, width = int(fields[0]), int(fields[1])
                continue
            if fields == [b""]:
                continue
            width = width or len(fields) - 1
            word, row = _row(fields, width, file, number)
            keys.append(_key(word))
            block.append((number, row))
            if len(block) == CHUNK:
                total = total + _flush(block, numbers, file)
                block = []
        if block:
            total = total + _flush(block, numbers, file)
    rows = len(keys)
    if not rows or (promised is not None and rows != promised):
        wanted = "one or more" if promised is None else f"{promised} (its first line)"
        raise UserError(
            f"The word vectors {file} have {rows} rows, and {wanted} were wanted; "
            "the file is cut short, or of another kind: copy it again."
        )
    hashes = np.array(keys, np.uint64)
    order = np.argsort(hashes, kind="stable")
    np.save(folder / "keys.npy", hashes[order])
    np.save(folder / "rows.npy", order)
    mean = (np.asarray(total) / rows).tolist()
    facts = {"rows": rows, "width": width, "sha256": digest.hexdigest(), "mean": mean}
    (folder / "facts.json").write_text(json.dumps(facts))
    for part in folder.iterdir():
        with part.open("rb+") as written:
            os.fsync(written.fileno())


def _row(fields: list[bytes], width: int, file: Path, number: int) -> tuple[bytes, list[float]]:
    """A line's word, which may hold blanks (GloVe's 840B has such), and its numbers."""
    found = len(fields) - 1
    inside = fields[1 : len(fields) - width]
    try:
        if found < 1 or found < width or any(map(_is_number, inside)):
            raise ValueError(f"it has {found} fields behind its word, and {width or 1} were wanted")
        word = b" ".join(fields[: len(fields) - width])
        word.decode()
        numbers = fields[len(fields) - width :]
        if b"_" in b"".join(numbers):  # Python reads 1_0 as ten
            raise ValueError("a number holds an underscore")
        return word, [float(one) for one in numbers]
    except ValueError as exc:  # UnicodeDecodeError is one
        raise UserError(
            f"Line {number} of the word vectors {file} is none of a fastText .vec or GloVe .txt "
            f"file in UTF-8 ({str(exc)[:100]}); unpack or copy the file again."
        ) from exc


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return b"_" not in field


def _flush(block: list[tuple[int, list[float]]], numbers: IO[bytes], file: Path) -> np.ndarray:
    """Write some rows and give their sum."""
    with np.errstate(over="ignore"):
        rows = np.array([row for _, row in block]).astype(np.float32)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise UserError(
            f"Line {block[int(np.argmin(finite))][0]} of the word vectors {file} holds a number "
            "that is not finite; copy the file again."
        )
    numbers.write(rows.tobytes())  # whose errors say what they are, and tofile's do not
    return np.asarray(rows.sum(axis=0, dtype=np.float64))
