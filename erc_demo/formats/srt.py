"""SubRip, through pysubs2: a cue a turn, the speaker in front (``NAME: text``).

SubRip has no escape, so a word joiner stands after whatever a player or pysubs2 would take for
markup. Words have no place in it, nor have turns without times.
"""

from __future__ import annotations

import re

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.formats import _subtitles
from erc_demo.formats._inert import guard, one_line, prefixed, unguard, unprefixed

SUFFIX = ".srt"
HOLDS = _subtitles.HOLDS

_DANGEROUS = re.compile(r"[\\{<]|--(?=>)|\d:(?=\d{1,2}:\d{1,2}[.,]\d)")


def write(dialogue: Dialogue) -> str:
    """A cue a turn; turns without times are left out."""
    return _subtitles.write(dialogue, "srt", _cue)


def _cue(turn: Turn) -> str:
    return guard(prefixed(turn.speaker, turn.text), _DANGEROUS)


def read(text: str, name: str) -> Dialogue:
    """The cues as turns; styling is taken out, ``NAME:`` in front is the speaker."""
    found = list(_subtitles.cues(text, "srt", name, keep_tags=False))
    said = unprefixed([one_line(unguard(words)) for _, _, words in found])
    return _subtitles.dialogue(
        [(start, end, who, what) for (start, end, _), (who, what) in zip(found, said, strict=True)],
        name,
    )
