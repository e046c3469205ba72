r"""What SRT and VTT share: cues of whole milliseconds, through pysubs2.

pysubs2 thinks in the tags of ASS: ``{…}``, ``\N`` and ``<i>`` mean something in its texts. Both
writers make these inert first and hand them through untouched (``keep_ssa_tags``). It takes any
line with exactly two times for a cue's head, so neither format can carry times inside a cue, and
a time in what was said is made inert too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.errors import UserError
from erc_demo.formats._contract import Mended, counted, keep, when
from erc_demo.formats._inert import UNKNOWN

HOLDS = frozenset({"spans", "1 ms", "text"})


def write(dialogue: Dialogue, kind: str, cue: Callable[[Turn], str]) -> str:
    """Cues in the order of time; a turn without times can't be a cue and is left out."""
    from pysubs2 import SSAEvent, SSAFile

    subtitles = SSAFile()
    for turn in keep(dialogue, HOLDS).turns:
        if turn.span is not None:
            start, end = round(turn.span.start * 1000), round(turn.span.end * 1000)
            subtitles.append(SSAEvent(start=start, end=end, text=cue(turn)))
    return subtitles.to_string(kind, keep_ssa_tags=True)


def cues(text: str, kind: str, name: str, keep_tags: bool) -> Iterator[tuple[float, float, str]]:
    """Start and end in seconds and the text of every cue, styling of ASS taken out."""
    from pysubs2 import SSAFile
    from pysubs2.exceptions import Pysubs2Error

    try:
        found = SSAFile.from_string(
            text.replace("\r\n", "\n").replace("\r", "\n"), kind, keep_html_tags=keep_tags
        )
    except (Pysubs2Error, ValueError) as exc:
        raise UserError(f"{name} can't be read as {kind.upper()}: {exc}.") from exc
    if not len(found) and re.sub(r"^WEBVTT.*", "", text.strip()).strip():
        raise UserError(
            f"{name} has no cue; lines such as 00:00:01,000 --> 00:00:02,000 were wanted."
        )
    for event in found:
        plain = re.sub(r"\{\\[^}]*\}", "", event.text)
        yield event.start / 1000, event.end / 1000, re.sub(r"\\[Nnh]", " ", plain)


def dialogue(found: list[tuple[float, float, str | None, str]], name: str) -> Dialogue:
    """The turns of cues: start, end, speaker, text; in the order of time."""
    mended = Mended("cue")
    turns = []
    for number, (start, end, speaker, said) in enumerate(found, 1):
        span = Span.of(start, end)
        if span is None:
            mended.note("it does not last, so its turn has no times", number)
        if speaker is None:
            mended.note(f"no speaker is named, so it is '{UNKNOWN}'", number)
        turns.append(Turn(number=0, speaker=speaker or UNKNOWN, span=span, text=said))
    return Dialogue(name=name, turns=counted(sorted(turns, key=when)), remarks=mended.remarks())
