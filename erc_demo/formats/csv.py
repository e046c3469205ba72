"""CSV: a row a turn, for Excel, R and pandas; also reads the tables that corpora come in.

Words lie in one cell as JSON, ``[text, start, end, confidence, margin, placed]`` each, what is
not known at the end left out. A cell that a spreadsheet would run as a formula gets an
apostrophe in front, which reading takes away again (the defence of OWASP's "CSV Injection").

Tables need a ``text`` or ``start`` column; ``dialogue, turn, speaker, start, end`` may stand in
any order, be called as MELD calls them, or be absent. Times are seconds or H:MM:SS[.,]mmm.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.errors import UserError
from erc_demo.formats._contract import Mended, counted, keep
from erc_demo.formats._inert import UNKNOWN

T = TypeVar("T")

SUFFIX = ".csv"
HOLDS = frozenset(
    "spans exact untimed text verbatim words unplaced confidence margin sure channel numbers"
    .split()
)  # fmt: skip

COLUMNS = ("turn", "speaker", "start", "end", "text", "sure", "channel", "words")
_BOM = "\ufeff"  # without it Excel takes UTF-8 for the machine's own code page
_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\n＝＋－＠]")
_ALIASES = {
    "dialogueid": "dialogue", "dialog": "dialogue", "utteranceid": "turn", "number": "turn",
    "starttime": "start", "endtime": "end", "utterance": "text", "transcript": "text",
}  # fmt: skip
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")
_LONGEST_CELL = 4_000_000  # characters; csv's own limit is 131,072, less than a long turn's words


def write(dialogue: Dialogue) -> str:
    """The turns as a table; starts with the byte-order mark that Excel asks for."""
    sheet = io.StringIO()
    table = csv.writer(sheet, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for turn in keep(dialogue, HOLDS).turns:
        start, end = turn.span.to_json() if turn.span else ("", "")
        words = json.dumps([_row(word) for word in turn.words], ensure_ascii=False)
        sure = "" if turn.sure is None else turn.sure
        channel = "" if turn.channel is None else turn.channel
        cells = (turn.number, _tame(turn.speaker), start, end, _tame(turn.text), sure, channel)
        table.writerow((*cells, words if turn.words else ""))
    return _BOM + sheet.getvalue()


def read(text: str, name: str) -> Dialogue:
    """The dialogue of a table: the only one in it, or the one that is called like the file."""
    found = dialogues(text, name)
    if len(found) == 1:
        return found[0]
    for dialogue in found:
        if dialogue.name == name:
            return dialogue
    raise UserError(
        f"{name} holds {len(found)} dialogues ({', '.join(d.name for d in found[:3])} …); "
        "one was wanted: name the file after one of them, or split it."
    )


def dialogues(text: str, name: str) -> tuple[Dialogue, ...]:
    """Every dialogue of a table, in order of appearance; without such a column, one."""
    groups: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in _rows(text, name):
        groups.setdefault(row.get("dialogue", "").strip() or name, []).append((line, row))
    if not groups:
        return (Dialogue(name=name),)
    return tuple(_dialogue(title, rows) for title, rows in groups.items())


def _rows(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    text = text.removeprefix(_BOM)
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    # of the whole process, so it is raised for good: to put it back would race with other threads
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    try:
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        titles = [_column(cell) for cell in next(table, [])]
        if not {"text", "start"} & set(titles):
            raise UserError(
                f"{name} has the columns {', '.join(titles[:12]) or '(none)'}; a table of turns "
                "has at least 'text' or 'start', and names its columns in the first row."
            )
        rows = []
        for cells in table:
            if not any(cells):
                continue
            if len(cells) > len(titles):
                raise UserError(
                    f"Line {table.line_num} of {name} has {len(cells)} cells under "
                    f"{len(titles)} titles; is a comma not in quotes?"
                )
            rows.append((table.line_num, dict(zip(titles, cells, strict=False))))
        return rows
    except csv.Error as exc:
        raise UserError(f"{name} is not a table ({exc}); is a quote left open?") from exc


def _column(cell: str) -> str:
    plain = re.sub(r"[^a-z]", "", cell.lower())
    return _ALIASES.get(plain, plain)


def _dialogue(name: str, rows: list[tuple[int, dict[str, str]]]) -> Dialogue:
    mended = Mended("line")
    turns = [_turn(row, line, mended) for line, row in rows]
    numbers = [_whole(row.get("turn", "")) for _, row in rows]
    known = [number for number in numbers if number is not None]
    if len(set(known)) == len(rows):
        turns = [replace(turn, number=number) for turn, number in zip(turns, known, strict=True)]
        if known != sorted(known):
            mended.note("rows from here on are not in the order of turns; sorted", rows[0][0])
        turns.sort(key=lambda turn: turn.number)
    else:
        turns = list(counted(turns))
        if known:
            mended.note("turn numbers are missing or repeated; rows are counted", rows[0][0])
    return Dialogue(name=name, turns=tuple(turns), remarks=mended.remarks())


def _turn(row: Mapping[str, str], line: int, mended: Mended) -> Turn:
    speaker = _wild(row.get("speaker", ""))
    if not speaker.strip():
        speaker = UNKNOWN
        if "speaker" in row:
            mended.note(f"no speaker is named, so it is '{UNKNOWN}'", line)
    span = _span(row.get("start", ""), row.get("end", ""), line, mended)
    words = _told(row, "words", _words, line, mended) or ()
    if span is None and any(word.span for word in words):
        words = tuple(replace(word, span=None) for word in words)
        mended.note("the turn has no times, so its words have none", line)
    try:
        return Turn(
            number=0,
            speaker=speaker,
            span=span,
            text=_wild(row.get("text", "")),
            words=words,
            sure=_told(row, "sure", float, line, mended),
            channel=_told(row, "channel", int, line, mended),
        )
    except UserError as exc:
        raise UserError(f"Line {line}: {exc}") from exc


def _told(
    row: Mapping[str, str], column: str, read: Callable[[str], T], line: int, mended: Mended
) -> T | None:
    """A cell of the columns that only we write; other people's tables may call theirs so too."""
    cell = row.get(column, "").strip()
    if not cell:
        return None
    try:
        return read(cell)
    except (UserError, ValueError, TypeError, OverflowError, RecursionError):
        mended.note(f"'{column}' is not what this program writes there and is left out", line)
        return None


def _tame(cell: str) -> str:
    return "'" + cell if _FORMULA.match(cell) else cell


def _wild(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _whole(cell: str) -> int | None:
    return int(cell) if re.fullmatch(r"[0-9]{1,18}", cell.strip()) else None


def _span(start: str, end: str, line: int, mended: Mended) -> Span | None:
    if not start.strip() and not end.strip():
        return None
    moments = [_seconds(start), _seconds(end)]
    if None in moments:
        mended.note("start or end is no time, so the turn has none", line)
        return None
    span = Span.of(*moments)
    if span is None:
        mended.note("the end is not after the start, so the turn has no times", line)
    return span


def _seconds(cell: str) -> float | None:
    """Seconds of ``12.5``, ``12,5``, ``1:02.5`` or ``0:01:02,500``; None for anything else."""
    cell = cell.strip()
    if clock := _CLOCK.fullmatch(cell):
        hours, minutes, seconds = clock.groups(default="0")
        moment = int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
        return round(moment, 6)
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def _row(word: Word) -> list[object]:
    start, end = word.span.to_json() if word.span else (None, None)
    guess = False if word.span and not word.placed else None
    row: list[object] = [word.text, start, end, word.confidence, word.margin, guess]
    while row[-1] is None:
        row.pop()
    return row


def _words(cell: str) -> tuple[Word, ...]:
    words = []
    for row in json.loads(cell):
        cells: list[Any] = list(row) + [None] * (6 - len(row))
        text, start, end, confidence, margin, placed = cells
        words.append(
            Word(
                text=text,
                span=None if start is None else Span(start, end),
                confidence=confidence,
                margin=margin,
                placed=placed is not False,
            )
        )
    return tuple(words)
