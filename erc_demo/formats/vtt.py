"""WebVTT, through pysubs2: a cue a turn, the speaker as its voice (``<v NAME>text</v>``).

What was said is escaped by character references, as the W3C's WebVTT has it. Words have no place:
pysubs2 takes a line with two times for a cue's head, so times inside a cue would not come back.
"""

from __future__ import annotations

import html
import re

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.formats import _subtitles
from erc_demo.formats._inert import one_line, unprefixed

SUFFIX = ".vtt"
HOLDS = _subtitles.HOLDS

_DANGEROUS = re.compile(r"[\\{}]|(?<=\d\d):(?=\d\d\.\d\d)")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>|</?>")
_INLINE_TIME = re.compile(r"<[\d:.]+>")


def write(dialogue: Dialogue) -> str:
    """A cue a turn; turns without times are left out."""
    return _subtitles.write(dialogue, "vtt", _cue)


def _cue(turn: Turn) -> str:
    return f"<v {_escaped(turn.speaker)}>{_escaped(turn.text)}</v>"


def _escaped(text: str) -> str:
    plain = html.escape(text, quote=False)
    return _DANGEROUS.sub(lambda found: f"&#{ord(found.group())};", plain)


def read(text: str, name: str) -> Dialogue:
    """The cues as turns: a turn for each voice of a cue, else ``NAME:`` in front, else unknown."""
    found: list[tuple[float, float, str | None, str]] = []
    for start, end, cue in _subtitles.cues(_cues_only(text), "vtt", name, keep_tags=True):
        silent, *voices = _VOICE.split(cue)
        if _plain(silent) or not voices:
            found.append((start, end, None, _plain(silent)))
        for voice, words in zip(voices[::2], voices[1::2], strict=True):
            found.append((start, end, _plain(voice) or None, _plain(words)))
    unnamed = [place for place, (_, _, who, _) in enumerate(found) if who is None]
    said = unprefixed([found[place][3] for place in unnamed])
    for place, (who, what) in zip(unnamed, said, strict=True):
        found[place] = (*found[place][:2], who, what)
    return _subtitles.dialogue(found, name)


def _plain(markup: str) -> str:
    return one_line(html.unescape(_TAG.sub("", markup)))


def _cues_only(text: str) -> str:
    """Without header, notes, styles, cue names and inline times, which pysubs2 takes for text."""
    blocks = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    heads = [block.find("-->") for block in blocks]
    kept = [
        block[block.rfind("\n", 0, head) + 1 :]
        for block, head in zip(blocks, heads, strict=True)
        if head >= 0 and not block.lstrip().startswith("NOTE")
    ]
    return "WEBVTT\n\n" + _INLINE_TIME.sub("", "\n\n".join(kept)) + "\n" if kept else text
