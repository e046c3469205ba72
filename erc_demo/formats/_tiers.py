"""Tiers, as Praat and ELAN have them: in one tier no two intervals overlap.

A speaker has a tier of turns ("A") and one of words ("A words"). Where he overlaps himself, the
second turn goes to a lane of its own ("A 2", with "A 2 words"). A speaker whose own name would
be mistaken for such a tier gets a backslash at its end.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.formats._contract import Mended, joined
from erc_demo.formats._inert import UNKNOWN

T = TypeVar("T")

WORDS, PHONES = "\0words", "\0phones"  # in place of a tier above: no tier can be called so

_ENDINGS = [
    re.compile(ending + "$")
    for ending in (r" \d+", r" words", r" words \d+", r" \d+ words", r" \d+ words \d+")
]
_ALONE = re.compile(r"(?i)(^|\W)(words?|phones?)$")  # of forced aligners: "words", "A - words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One tier: its name, whose it is, the tier above it (words only), its intervals."""

    name: str
    speaker: str
    parent: str | None = None
    intervals: list[tuple[Span, str]] = field(default_factory=list)


def lanes(things: Iterable[T], span: Callable[[T], Span]) -> list[list[T]]:
    """The things by time in as few lanes as it takes for none to overlap inside a lane."""
    found: list[list[T]] = []
    for thing in sorted(things, key=span):
        for lane in found:
            if span(lane[-1]).end <= span(thing).start:
                lane.append(thing)
                break
        else:
            found.append([thing])
    return found


def lay(dialogue: Dialogue) -> list[Tier]:
    """The tiers of a dialogue whose turns all have times, and its words too."""
    tiers = []
    for speaker in dialogue.speakers:
        own = [turn for turn in dialogue.turns if turn.speaker == speaker]
        title = _title(speaker, dialogue.speakers)
        for number, lane in enumerate(lanes(own, _span), 1):
            name = title if number == 1 else f"{title} {number}"
            said = [(_span(turn), turn.text) for turn in lane]
            tiers.append(Tier(name=name, speaker=speaker, intervals=said))
            words = (word for turn in lane for word in turn.words)
            for depth, row in enumerate(lanes(words, _span), 1):
                below = f"{name} words" if depth == 1 else f"{name} words {depth}"
                heard = [(_span(word), word.text) for word in row]
                tiers.append(Tier(name=below, speaker=speaker, parent=name, intervals=heard))
    return tiers


def _span(timed: Turn | Word) -> Span:
    if timed.span is None:
        raise ValueError("a tier holds only what has times")
    return timed.span


def _title(speaker: str, speakers: Sequence[str]) -> str:
    taken = speaker.endswith("\\") or _ALONE.search(speaker)
    return speaker + "\\" if taken or _roots(speaker) & set(speakers) else speaker


def _roots(name: str) -> set[str]:
    return {ending.sub("", name) for ending in _ENDINGS if ending.search(name)}


def told(names: Sequence[str]) -> list[Tier]:
    """Empty tiers with speaker, tier above and kind, for tiers that are known by name only."""
    known, found = set(names), []
    for name in names:
        roots = sorted(_roots(name) & known, key=len)
        if roots:
            lane, words, _ = name[len(roots[0]) :].partition(" words")
            above = roots[0] + lane if roots[0] + lane in known else roots[0]
            parent = above if words else None
            found.append(Tier(name=name, speaker=_plain(roots[0]), parent=parent))
        elif alone := _ALONE.search(name):
            whose = name[: alone.start()].rstrip(" -_")
            above = whose if whose in known else WORDS
            kind = PHONES if alone[2].lower().startswith("phone") else above
            found.append(Tier(name=name, speaker=whose or UNKNOWN, parent=kind))
        else:
            found.append(Tier(name=name, speaker=_plain(name)))
    return found


def _plain(title: str) -> str:
    return title.removesuffix("\\").strip() or UNKNOWN


def seat(tiers: Sequence[Tier], mended: Mended) -> list[Turn]:
    """The turns of tiers, with the words of the tiers below them: the reverse of ``lay``."""
    turns: list[Turn] = []
    for tier in tiers:
        if tier.parent == WORDS:
            heard = [(tier.speaker, Word(text=text, span=at)) for at, text in tier.intervals]
            turns.extend(joined(heard))
        elif tier.parent == PHONES:
            mended.note("a tier of phones is left out", tier.name)
        elif tier.parent is None:
            own = [
                Turn(number=0, speaker=tier.speaker, span=at, text=said)
                for at, said in sorted(tier.intervals)
            ]
            below = [one for low in tiers if low.parent == tier.name for one in low.intervals]
            turns.extend(_seated(own, sorted(below), tier.name, mended) if below else own)
    return turns


def _seated(
    turns: list[Turn], words: list[tuple[Span, str]], tier: str, mended: Mended
) -> list[Turn]:
    starts = [_span(turn).start for turn in turns]
    seats: list[list[Word]] = [[] for _ in turns]
    for at, text in words:
        here = max(0, bisect_right(starts, at.middle) - 1)
        near = range(here, min(here + 2, len(turns)))
        place = max(near, key=lambda one: _span(turns[one]).shared(at), default=None)
        inside = None if place is None else at.clipped(_span(turns[place]))
        if place is None or inside is None:
            mended.note(f"the word at {at.start:.3f} s lies in no turn and is left out", tier)
            continue
        if not at.within(_span(turns[place])):
            mended.note("words that reach out of their turn are cut at its edge", tier)
            at = inside
        seats[place].append(Word(text=text, span=at))
    return [replace(turn, words=tuple(own)) for turn, own in zip(turns, seats, strict=True)]
