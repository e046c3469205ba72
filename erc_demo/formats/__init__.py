"""Formats of transcripts: one file a format, and this door. Listing the folder finds them.

Each module says ``SUFFIX`` and what it ``HOLDS`` (words of ``VOCABULARY``), and has two pure
functions, ``write(dialogue) -> str`` and ``read(text, name) -> Dialogue``. Files begin and end
here.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from erc_demo import plugs
from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError
from erc_demo.findings import Analysis
from erc_demo.formats._contract import VOCABULARY, keep
from erc_demo.formats._inert import one_line

__all__ = ["VOCABULARY", "export", "keep", "load", "names", "safe"]

LARGEST = 64 * 2**20  # bytes of a transcript; an hour with every word is about one MB of JSON

_UNSAFE = re.compile(r'[/\\:*?"<>|\ufffd\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # names that Windows keeps


def names() -> list[str]:
    """Every format's name."""
    return plugs.names(__name__)


def export(what: Dialogue | Analysis, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write a dialogue into a folder, once in each format; returns the files.

    A format that can hold a whole analysis gets it where one is given. Each file appears whole
    or not at all.
    """
    dialogue = what.dialogue if isinstance(what, Analysis) else what
    title = safe(dialogue.name)
    files = []
    for name in formats:
        module = plugs.load(__name__, name)
        text = module.write(what if "analysis" in module.HOLDS else dialogue)
        file = folder / (title + module.SUFFIX)
        _write(file, text.encode("utf-8", errors="replace"))
        files.append(file)
    return files


def load(path: Path, format: str | None = None) -> Dialogue:
    """Read a transcript; the format is told, or found by the file's suffix."""
    known = names()
    chosen = format or path.suffix[1:].lower()
    if chosen not in known:
        raise UserError(
            f"{path.name} is of no format that is known here; "
            f"one of {', '.join('.' + name for name in known)} was wanted."
        )
    module = plugs.load(__name__, chosen)
    return module.read(_decoded(path), one_line(path.stem) or path.name)


def safe(name: str) -> str:
    """A name as part of a file name: no path, nothing hidden, nothing that any system refuses.

    >>> safe("../a call: 1")
    '_a call_ 1'
    """
    plain = _UNSAFE.sub("_", one_line(name)).strip(". ")
    plain = plain.encode("utf-8")[:200].decode("utf-8", errors="ignore").strip(". ")
    return f"_{plain}" if not plain or _RESERVED.match(plain) else plain


def _write(file: Path, content: bytes) -> None:
    aside = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("xb") as stream:
                stream.write(content)
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise UserError(f"{file} can't be written: {exc.strerror}.") from exc


def _decoded(path: Path) -> str:
    """The file's text: UTF-8 or UTF-16 by its mark, UTF-8 without one, else Windows-1252."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is not a file; a transcript was wanted.")
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as exc:
        raise UserError(f"{path} can't be opened: {exc.strerror}.") from exc
    if len(content) > LARGEST:
        raise UserError(
            f"{path.name} is larger than {LARGEST // 2**20} MB; no transcript of one recording is."
        )
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif content[:4].count(0) == 2:  # Latin letters in UTF-16 without a mark
        encodings = ["utf-16-le" if content[1] == 0 else "utf-16-be"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.count("\0") > 0 and encoding == "cp1252":
            break
        return text
    raise UserError(f"{path.name} is not text; was a recording given as a transcript?")
