"""A table of turns, as spreadsheets, annotation tools and other people's code write it."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from erc_demo.errors import UserError
from trainer.datasets import some

TURNS = "turns.csv"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # spreadsheets' "Unicode text"
WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # of .xlsx and .ods, of .xls
NO_TIME = {"", "nan", "nat", "none", "null", "na", "n/a", "-"}
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")
MOST_CELL = 2**24  # letters; the standard library stops at 2**17
# What UTF-8 makes of a file that was Windows-1252 before: U+0092 where ’ was meant.
MENDED = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows by the names of their columns; ``places`` says where each stands, for sentences."""

    file: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    places: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def but(self, change: Callable[[dict[str, str]], Mapping[str, str]]) -> Table:
        """The same with every row changed; columns may come and go."""
        rows = tuple(change(dict(row)) for row in self.rows)
        columns = tuple(dict.fromkeys(name for row in rows for name in row))
        return replace(self, rows=rows, columns=columns)

    def column(self, name: str, flag: str) -> str:
        """The column that a flag names, which must be there."""
        if name not in self.columns:
            raise UserError(
                f"{flag} names the column '{name}', and {self.file.name} has "
                f"{', '.join(self.columns)}; name one of them."
            )
        return name


def read(file: Path) -> Table:
    """Any table with titles in its first row: commas, semicolons or tabs, UTF-8 or Windows-1252."""
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise UserError(f"The table {file} can't be opened: {exc.strerror}.") from exc
    if content.startswith(WORKBOOK):
        raise UserError(f"{file} is a spreadsheet's workbook, not a table of text; save it as CSV.")
    remarks = []
    try:
        text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        remarks.append(f"{file.name} is not UTF-8; it was read as Windows-1252.")
    mended = text.translate(MENDED)
    if mended != text:
        remarks.append(f"{file.name} holds control characters that were ’ and the like; mended.")
    head, _, rest = mended.partition("\n")
    skipped = 0
    if told := re.fullmatch(r"sep=(.)\s*", head):  # Excel's own first line
        mended, head, skipped = rest, told[1], 1
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(max(csv.field_size_limit(), MOST_CELL))
    reader = csv.reader(io.StringIO(mended, newline=""), delimiter=delimiter, strict=True)
    try:
        titles = tuple(cell.strip() for cell in next(reader, []))
        _refuse_titles(file, titles)
        rows, places = [], []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num + skipped
            if len(cells) > len(titles) and any(cells[len(titles) :]):
                raise UserError(
                    f"Line {line} of {file.name} has {len(cells)} cells under "
                    f"{len(titles)} titles; is a comma not in quotes?"
                )
            cells += [""] * (len(titles) - len(cells))
            rows.append(dict(zip(titles, cells, strict=False)))
            places.append(f"line {line} of {file.name}")
    except csv.Error as exc:
        raise UserError(f"{file} is not a table ({exc}); is a quote left open?") from exc
    if not rows:
        raise UserError(f"{file} holds no turn; rows below the titles were wanted.")
    return Table(
        file=file,
        columns=titles,
        rows=tuple(rows),
        places=tuple(places),
        remarks=tuple(remarks),
    )


def _refuse_titles(file: Path, titles: tuple[str, ...]) -> None:
    twice = sorted({name for name in titles if name and titles.count(name) > 1})
    if twice:
        raise UserError(f"{file} has the column {some(twice)} twice; rename one.")
    if not any(titles):
        raise UserError(f"{file} is empty; a table with titles in its first row was wanted.")


def turns(path: Path) -> Path:
    """The table of a folder, or the table that is named."""
    file = path / TURNS if path.is_dir() else path
    if not file.is_file():
        raise UserError(
            f"{path} holds no {TURNS}; a table with the columns utt_id, dialogue, turn, speaker, "
            "text and those of labels was wanted (docs/corpora.md)."
        )
    return file


def published(
    path: Path,
    name: str,
    files: Mapping[str, str],
    needed: tuple[str, ...],
    plain: Callable[[Mapping[str, str], str], dict[str, str]],
) -> Table:
    """A corpus of a table for each part, as it was published; or of one ``turns.csv``."""
    if path.is_file() or (path / TURNS).is_file():
        return read(turns(path))
    found = {part: sorted(path.rglob(file)) for part, file in files.items()}
    if not any(found.values()):
        raise UserError(
            f"{path} holds neither {TURNS} nor {', '.join(files.values())}; name the folder of "
            f"{name}'s tables."
        )
    parts, absent = [], []
    for part, places in found.items():
        if not places:
            absent.append(files[part])
            continue
        table = read(min(places, key=lambda place: len(place.parts)))
        lacking = [column for column in needed if column not in table.columns]
        if lacking:
            raise UserError(
                f"{table.file} has no column {', '.join(lacking)} (its columns: "
                f"{', '.join(table.columns)}); {name}'s table was wanted."
            )
        parts.append(table.but(lambda row, part=part: plain(row, part)))  # type: ignore[misc]
    remarks = [remark for table in parts for remark in table.remarks]
    remarks += [f"Not there, and so left out: {', '.join(absent)}."] if absent else []
    return Table(
        file=path / parts[0].file.name,
        columns=parts[0].columns,
        rows=tuple(row for table in parts for row in table.rows),
        places=tuple(place for table in parts for place in table.places),
        remarks=tuple(remarks),
    )


def number(cell: str, where: str) -> float | None:
    """A number, or None where a cell is empty."""
    try:
        found = float(cell.replace(",", ".")) if cell.strip() else math.nan
    except ValueError:
        raise UserError(f"{where} has {cell!r}; a number was wanted.") from None
    return found if math.isfinite(found) else None


def seconds(cell: str, where: str) -> float | None:
    """Seconds of ``6.25``, ``6,25``, ``1:02.5`` or ``0:01:02,500``; None where a cell has none.

    >>> seconds("00:01:02,500", "row 1")
    62.5
    """
    plain = cell.strip()
    if plain.lower() in NO_TIME:
        return None
    if clock := CLOCK.fullmatch(plain):
        hours, minutes, rest = clock.groups(default="0")
        return round(int(hours) * 3600 + int(minutes) * 60 + float(rest.replace(",", ".")), 6)
    try:
        return float(plain.replace(",", "."))
    except ValueError:
        raise UserError(
            f"{where} has the time {cell!r}; seconds, H:MM:SS.mmm or nothing was wanted."
        ) from None
