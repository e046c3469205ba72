"""RTTM: who spoke when, a SPEAKER line a turn (NIST, Rich Transcription 2009 evaluation plan).

``sure`` stands in the confidence column; the channel column is always 1, because scorers compare
it. RTTM has no spaces inside a field: in names they are written %20, a percent sign %25.
"""

from __future__ import annotations

import math
import re

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.errors import UserError
from erc_demo.formats._contract import Mended, counted, keep, when
from erc_demo.formats._inert import one_line

SUFFIX = ".rttm"
HOLDS = frozenset({"spans", "1 ms", "sure"})

_NONE = "<NA>"


def write(dialogue: Dialogue) -> str:
    """A line a turn, in the order of time; turns without times are left out."""
    lines = []
    for turn in keep(dialogue, HOLDS).turns:
        span = turn.span or Span(0, 1)
        lines.append(
            f"SPEAKER {_field(dialogue.name)} 1 {span.start:.3f} {span.duration:.3f} "
            f"{_NONE} {_NONE} {_field(turn.speaker)} "
            f"{_NONE if turn.sure is None else repr(turn.sure)} {_NONE}\n"
        )
    return "".join(lines)


def read(text: str, name: str) -> Dialogue:
    """The turns of one recording: the only one in the file, or the one called like it."""
    mended = Mended("line")
    files: dict[str, list[Turn]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";") or fields[0] != "SPEAKER":
            continue  # comments, and the other types of the format: LEXEME, SPKR-INFO, …
        if len(fields) < 8:
            raise UserError(
                f"Line {number} of {name} has {len(fields)} fields; a SPEAKER line of RTTM has "
                "at least 8 (type, file, channel, start, duration, -, -, speaker)."
            )
        turn = _turn(fields, number, mended)
        files.setdefault(_plain(fields[1]), []).append(turn)
    if len(files) > 1 and name not in files:
        raise UserError(
            f"{name} holds {len(files)} recordings ({', '.join(list(files)[:3])} …); one was "
            "wanted: name the file after one of them, or split it."
        )
    if not files and text.strip() and not re.search(r"(?m)^\s*(;|[A-Z-]{4,}\s)", text):
        raise UserError(f"{name} holds no RTTM line; lines that begin with SPEAKER were wanted.")
    turns = files.get(name) or next(iter(files.values()), [])
    return Dialogue(name=name, turns=counted(sorted(turns, key=when)), remarks=mended.remarks())


def _turn(fields: list[str], line: int, mended: Mended) -> Turn:
    start, duration = _number(fields[3]), _number(fields[4])
    span = None
    if start is None or duration is None:
        mended.note("start or duration is no number, so the turn has no times", line)
    else:
        span = Span.of(start, round(start + duration, 6))
        if span is None:
            mended.note("the turn does not last, so it has no times", line)
    sure = _number(fields[8]) if len(fields) > 8 else None
    if sure is not None and not 0 <= sure <= 1:
        mended.note("the confidence is not between 0 and 1 and is left out", line)
        sure = None
    return Turn(number=0, speaker=_plain(fields[7]), span=span, sure=sure)


def _number(field: str) -> float | None:
    try:
        number = float(field)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _field(text: str) -> str:
    escaped = one_line(text).replace("%", "%25").replace(" ", "%20")
    return "%3CNA%3E" if escaped == _NONE else escaped


def _plain(field: str) -> str:
    marks = {"%20": " ", "%25": "%", "%3C": "<", "%3E": ">"}
    return re.sub("%(20|25|3C|3E)", lambda mark: marks[mark.group()], field)
