"""Praat's TextGrid, through praatio: a tier of turns and one of words for each speaker.

Gaps are empty intervals. An interval without a label is a gap to Praat, so a turn without text
is labelled ``[speech]``. praatio writes numbers below 0.0001 as ``1e-05``, which no parser reads:
times are rounded to 0.1 ms. It also looks for ``item [`` and the like inside labels; there a word
joiner stands between.
"""

from __future__ import annotations

import re
from typing import Any

from erc_demo.dialogue import Dialogue, Span
from erc_demo.errors import UserError
from erc_demo.formats._contract import Mended, counted, keep, when
from erc_demo.formats._inert import UNKNOWN, guard, one_line, unguard
from erc_demo.formats._tiers import Tier, lay, seat, told

SUFFIX = ".TextGrid"
HOLDS = frozenset({"spans", "0.1 ms", "text", "words", "extent"})

_DANGEROUS = re.compile(
    r'(item|intervals|points) ?(?=\[)|ooTextFile(?= short)|"(?=(IntervalTier|TextTier)")'
)
_SPEECH = re.compile(r"\\*\[speech\]")
_EMPTY = 0.001  # seconds; the length of a grid that has nothing in it and no length of its own
_INTERVALS = "IntervalTier"


def write(dialogue: Dialogue) -> str:
    """A long ("text file") TextGrid; turns without times are left out."""
    from praatio.utilities import textgrid_io

    kept = keep(dialogue, HOLDS)
    length = kept.duration or _EMPTY
    tiers = [
        {
            "class": _INTERVALS,
            "name": guard(tier.name, _DANGEROUS),
            "xmin": 0.0,
            "xmax": length,
            "entries": [
                (span.start, span.end, guard(text if tier.parent else _label(text), _DANGEROUS))
                for span, text in tier.intervals
            ],
        }
        for tier in lay(kept) or [Tier(name="turns", speaker=UNKNOWN)]
    ]
    return textgrid_io.getTextgridAsStr(
        {"xmin": 0.0, "xmax": length, "tiers": tiers},
        "long_textgrid",
        includeBlankSpaces=True,
        minimumIntervalLength=None,  # else praatio drops and moves short intervals
    )


def read(text: str, name: str) -> Dialogue:
    """Turns and words of a long or short TextGrid; point tiers are left out and named."""
    grid = _parse(text, name)
    mended = Mended("tier")
    taken: dict[str, list[Any]] = {}
    for tier in grid["tiers"]:
        title = one_line(unguard(tier["name"]))
        if tier["class"] != _INTERVALS:
            mended.note("a tier of points is left out", title)
        elif title in taken:
            mended.note("a second tier of this name is left out", title)
        else:
            taken[title] = list(tier["entries"])
    tiers = told(list(taken))
    for tier in tiers:
        for start, end, label in taken[tier.name]:
            span = Span.of(*_seconds(start, end, name))
            said = one_line(unguard(label))
            if span is None:
                mended.note("an interval that does not last is left out", tier.name)
            elif said:
                tier.intervals.append((span, said if tier.parent else _said(said)))
    turns = counted(sorted(seat(tiers, mended), key=when))
    length = _seconds(grid["xmax"], 0, name)[0]
    last = max((turn.span.end for turn in turns if turn.span), default=0.0)
    return Dialogue(
        name=name,
        turns=turns,
        duration=max(length, last) if length > _EMPTY or turns else None,
        remarks=mended.remarks(),
    )


def _parse(text: str, name: str) -> dict[str, Any]:
    from praatio.utilities import errors, textgrid_io

    wrong = UserError(
        f"{name} is not a TextGrid that praatio can read; save it again from Praat as text file."
    )
    if "ooTextFile" not in text[:200]:
        raise wrong
    try:
        # Praat for Windows ends lines with CR LF; blank lines at the top shift praatio's header
        return textgrid_io.parseTextgridStr(text.replace("\r", "").strip() + "\n", False)
    except (ValueError, IndexError, KeyError, errors.PraatioException) as exc:
        raise wrong from exc


def _seconds(start: Any, end: Any, name: str) -> tuple[float, float]:
    try:
        return float(start), float(end)
    except ValueError as exc:
        raise UserError(f"{name} has an interval from {start!r} to {end!r}, not numbers.") from exc


def _label(text: str) -> str:
    if not text:
        return "[speech]"
    return "\\" + text if _SPEECH.fullmatch(text) else text


def _said(label: str) -> str:
    if label == "[speech]":
        return ""
    return label[1:] if _SPEECH.fullmatch(label) else label
