"""ELAN's EAF, through pympi: a tier of turns for each speaker, and below it one of words.

The speaker stands in the tier's PARTICIPANT, so that a tier may be called anything. Words are of
a type that ELAN keeps inside their turn (``Included_In``). Times are whole milliseconds. pympi
reads files only, so text goes through a temporary one; a document type, which a transcript never
needs and an entity bomb does, is refused before any parser sees it.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.errors import UserError
from erc_demo.formats._contract import Mended, counted, keep, when
from erc_demo.formats._inert import UNKNOWN, one_line
from erc_demo.formats._tiers import Tier, lay, seat

if TYPE_CHECKING:
    from pympi import Eaf

SUFFIX = ".eaf"
HOLDS = frozenset({"spans", "1 ms", "text", "words"})

_DATE = "1970-01-01T00:00:00+00:00"  # the same dialogue is the same file on any day
_WORDS = "words"


def write(dialogue: Dialogue) -> str:
    """EAF 2.8; turns without times are left out."""
    from pympi import Eaf
    from pympi.Elan import to_string

    eaf = Eaf(author="erc_demo")
    eaf.remove_tier("default")
    eaf.adocument["DATE"] = _DATE
    eaf.add_linguistic_type(_WORDS, constraints="Included_In")
    for tier in lay(keep(dialogue, HOLDS)):
        kind = _WORDS if tier.parent else "default-lt"
        eaf.add_tier(tier.name, ling=kind, parent=tier.parent, part=tier.speaker)
        for span, text in tier.intervals:
            eaf.add_annotation(tier.name, round(span.start * 1000), round(span.end * 1000), text)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + to_string(eaf) + "\n"


def read(text: str, name: str) -> Dialogue:
    """Turns from the tiers at the top, words from the tiers of words below them."""
    eaf = _parse(text, name)
    mended = Mended("tier")
    tiers, untimed = [], list[Turn]()
    for title, (aligned, references, facts, _) in eaf.tiers.items():
        parent = facts.get("PARENT_REF")
        kind = f"{title} {facts.get('LINGUISTIC_TYPE_REF', '')}".lower()
        if references or (parent and not re.search(r"word|token|\btok", kind)):
            mended.note("a tier below another that holds no words is left out", title)
            continue
        speaker = one_line(facts.get("PARTICIPANT") or title) or UNKNOWN
        tier = Tier(name=title, speaker=speaker, parent=parent)
        for start, end, value, _ in aligned.values():
            said = one_line(value)
            span = _span(eaf.timeslots.get(start), eaf.timeslots.get(end))
            if span is not None and (said or not parent):
                tier.intervals.append((span, said))
            elif span is None and not parent:
                mended.note("an annotation without times that make a span has none", title)
                untimed.append(Turn(number=0, speaker=speaker, text=said))
            elif said:
                mended.note("words without times are left out", title)
        tiers.append(tier)
    turns = sorted([*seat(tiers, mended), *untimed], key=when)
    return Dialogue(name=name, turns=counted(turns), remarks=mended.remarks())


def _span(start: int | None, end: int | None) -> Span | None:
    return None if start is None or end is None else Span.of(start / 1000, end / 1000)


def _parse(text: str, name: str) -> Eaf:
    from pympi import Eaf

    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise UserError(f"{name} declares a document type or entities, which no EAF file needs.")
    # the text is decoded by now: a declaration of another encoding would decode it twice
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    with tempfile.TemporaryDirectory(prefix="erc_demo-") as folder:
        file = Path(folder) / "transcript.eaf"
        file.write_text(text, encoding="utf-8", errors="replace")
        try:
            return Eaf(str(file), suppress_version_warning=True)
        except Exception as exc:  # pympi raises Exception itself, and KeyErrors
            raise UserError(
                f"{name} is not an EAF file that pympi can read; open and save it in ELAN."
            ) from exc
