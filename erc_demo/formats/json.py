"""JSON: everything, without loss. Also reads lists of words or of turns, as corpora come.

Lists are ``[{speaker, word, start, end}, …]`` (words of one speaker less than 0.5 s apart become
one turn) and ``[{speaker, start, end, text}, …]``. NaN and Infinity, which JSON does not know,
are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeGuard

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.errors import UserError
from erc_demo.findings import Analysis
from erc_demo.formats._contract import VOCABULARY, Mended, counted, joined, when
from erc_demo.formats._inert import UNKNOWN

SUFFIX = ".json"
HOLDS = frozenset(VOCABULARY) - {"0.1 ms", "1 ms", "extent", "order"}

_NUMBER = r"(?:-?[\d.][\d.e+-]*|null)"
_ROW = re.compile(rf"\[\n\s+({_NUMBER}(?:,\s+{_NUMBER})*)\s+\]")


def write(dialogue: Dialogue | Analysis) -> str:
    """The dialogue, or the whole analysis around it, as JSON text."""
    text = json.dumps(dialogue.to_json(), ensure_ascii=False, allow_nan=False, indent=1)
    # rows of numbers on one line each; no string holds a line break
    return _ROW.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def read(text: str, name: str) -> Dialogue:
    """The dialogue in an analysis, a dialogue, a list of words or a list of turns."""
    try:
        data = json.loads(text, parse_constant=_refuse)
        if isinstance(data, list):
            return _from_list(data, re.sub(r"\.(words|turns)$", "", name))
        if isinstance(data, Mapping) and ("layout" in data or "dialogue" in data):
            return Analysis.from_json(data).dialogue
        return Dialogue.from_json(data)
    except json.JSONDecodeError as exc:
        what = exc.msg.removesuffix(" at")
        raise UserError(
            f"{name} is not JSON ({what}, line {exc.lineno}); was the file cut off?"
        ) from exc
    except RecursionError as exc:
        raise UserError(f"{name} is nested too deeply to be a dialogue.") from exc
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as exc:
        raise UserError(
            f"{name} is JSON, but no dialogue ({exc}); an analysis, a dialogue or a list of "
            "words or turns was wanted."
        ) from exc


def _refuse(constant: str) -> NoReturn:
    raise UserError(f"This JSON holds {constant}, which is no number; write null or leave it out.")


def _from_list(rows: list[Any], name: str) -> Dialogue:
    if not all(isinstance(row, Mapping) for row in rows):
        raise UserError(f"{name} is a JSON list, but not of words or turns as objects.")
    mended = Mended("entry")
    kinds = {"word" if "word" in row else "text" for row in rows}
    if len(kinds) > 1:
        raise UserError(f"{name} mixes words and turns in one list; one kind was wanted.")
    whose = [_speaker(row, place, mended) for place, row in enumerate(rows)]
    spans = [_span(row, place, mended) for place, row in enumerate(rows)]
    starts = [span.start for span in spans if span is not None]
    said = [row.get("word", row.get("text", "")) for row in rows]
    for place, text in enumerate(said):
        if not isinstance(text, str):
            raise UserError(f"Entry {place} of {name} says {text!r}; text was wanted.")
    if kinds == {"word"}:
        heard = [
            (speaker, Word(text=text, span=span))
            for speaker, span, text in zip(whose, spans, said, strict=True)
            if text.strip()
        ]
        turns = joined(heard)
    else:
        turns = [
            Turn(number=0, speaker=speaker, span=span, text=text)
            for speaker, span, text in zip(whose, spans, said, strict=True)
        ]
        if all(span is not None for span in spans):
            turns.sort(key=when)
    remarks = list(mended.remarks())
    if starts != sorted(starts):
        remarks.append(f"The entries of {name} were not in the order of time and were sorted.")
    return Dialogue(name=name, turns=counted(turns), remarks=tuple(remarks))


def _speaker(row: Mapping[str, Any], place: int, mended: Mended) -> str:
    speaker = row.get("speaker")
    if isinstance(speaker, int) and not isinstance(speaker, bool):
        return str(speaker)
    if isinstance(speaker, str) and speaker.strip():
        return speaker
    mended.note(f"no speaker is named, so it is '{UNKNOWN}'", place)
    return UNKNOWN


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _span(row: Mapping[str, Any], place: int, mended: Mended) -> Span | None:
    start, end = row.get("start"), row.get("end")
    if start is None and end is None:
        return None
    if not (_number(start) and _number(end)):
        mended.note("start or end is no number, so there are no times", place)
        return None
    span = Span.of(float(start), float(end))
    if span is None:
        mended.note("the end is not after the start, so there are no times", place)
    return span
