"""The contract of every format: what it can hold, and what is left of a dialogue inside it.

A format says in ``HOLDS`` which of ``VOCABULARY`` it can carry. ``keep`` cuts a dialogue down
to that, writers begin with it, and so one equation binds them all:

    read(write(dialogue), dialogue.name) == keep(dialogue, HOLDS)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.formats._inert import one_line

VOCABULARY = {
    "spans": "the times of turns; with it comes one of exact, 0.1 ms, 1 ms",
    "exact": "times to the last bit",
    "0.1 ms": "times rounded to 0.1 ms",
    "1 ms": "times rounded to 1 ms",
    "untimed": "turns without times; else they are left out",
    "text": "what was said, on one line",
    "verbatim": "text and names to the letter: line breaks, runs of spaces, control characters",
    "words": "words with their times",
    "unplaced": "words whose time is not known or a guess; else only the text has them",
    "confidence": "how sure the recogniser is of a word",
    "margin": "how clear it is who said a word",
    "sure": "how sure the speaker of a turn is",
    "channel": "the channel of a turn",
    "numbers": "the turns' own numbers",
    "order": "the order of turns, counted from 0; without it and numbers, the order of time",
    "duration": "the recording's length",
    "extent": "a length in any case: where it is not known, the end of the last turn",
    "language": "the language and how sure it is",
    "recognizer": "what wrote the words",
    "remarks": "what was said about the making",
    "analysis": "the whole Analysis around a dialogue",
}


def keep(dialogue: Dialogue, holds: frozenset[str]) -> Dialogue:
    """What a format that holds ``holds`` holds of a dialogue.

    >>> keep(Dialogue(name="d", turns=(Turn(number=4, speaker="A", text="hi"),)),
    ...      frozenset({"text", "order", "untimed"})).turns[0].number
    0
    """
    turns = [
        _kept(turn, holds) for turn in dialogue.turns if turn.span is not None or "untimed" in holds
    ]
    if not holds & {"numbers", "order"}:
        turns.sort(key=when)
    if "numbers" not in holds:
        turns = list(counted(turns))
    duration = dialogue.duration if holds & {"duration", "extent"} else None
    if "extent" in holds and "exact" not in holds:
        digits = _digits(holds)
        ends = [turn.span.end for turn in turns if turn.span is not None]
        if duration is not None:  # a last turn rounded up must still fit
            duration = max([round(duration, digits) or 10**-digits, *ends])
        else:
            duration = max(ends, default=None)
    spoken = "language" in holds
    return Dialogue(
        name=dialogue.name,
        turns=tuple(turns),
        duration=duration,
        language=dialogue.language if spoken else None,
        language_sure=dialogue.language_sure if spoken else None,
        recognizer=dialogue.recognizer if "recognizer" in holds else None,
        remarks=dialogue.remarks if "remarks" in holds else (),
    )


def _digits(holds: frozenset[str]) -> int:
    return 4 if "0.1 ms" in holds else 3


def _kept(turn: Turn, holds: frozenset[str]) -> Turn:
    letters = str if "verbatim" in holds else one_line
    span = turn.span if "spans" in holds else None
    if span is not None and "exact" not in holds:
        span = rounded(span, _digits(holds))
    words: tuple[Word, ...] = ()
    if "unplaced" in holds:
        words = turn.words
    elif "words" in holds and span is not None:
        placed = [
            replace(
                word,
                text=one_line(word.text),
                span=_inside(rounded(word.span, _digits(holds)), span, _digits(holds)),
            )
            for word in turn.words
            if word.placed and word.span is not None
        ]
        words = tuple(sorted(placed, key=lambda word: word.span or span))
    return Turn(
        number=turn.number,
        speaker=letters(turn.speaker),
        span=span,
        text=letters(turn.text) if "text" in holds else "",
        words=tuple(
            replace(
                word,
                confidence=word.confidence if "confidence" in holds else None,
                margin=word.margin if "margin" in holds else None,
            )
            for word in words
        ),
        sure=turn.sure if "sure" in holds else None,
        channel=turn.channel if "channel" in holds else None,
    )


def rounded(span: Span, digits: int) -> Span:
    """A span to so many digits after the point, never shorter than the last of them."""
    start, end = round(span.start, digits), round(span.end, digits)
    return Span(start, end if end > start else round(start + 10**-digits, digits))


def _inside(word: Span, turn: Span, digits: int) -> Span:
    """A word's span inside its turn's, which the tiers of ELAN insist on."""
    inside = word.clipped(turn)
    if inside is not None:
        return inside
    tick = 10**-digits
    if word.start < turn.start:
        return Span(turn.start, min(turn.end, round(turn.start + tick, digits)))
    return Span(max(turn.start, round(turn.end - tick, digits)), turn.end)


def when(turn: Turn) -> tuple[float, float, str, str]:
    """Sorts turns by time; what starts and ends together by speaker and text."""
    if turn.span is None:
        return (float("inf"), float("inf"), turn.speaker, turn.text)
    return (turn.span.start, turn.span.end, turn.speaker, turn.text)


def counted(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The turns in the order given, numbered from 0."""
    return tuple(replace(turn, number=number) for number, turn in enumerate(turns))


def joined(words: Iterable[tuple[str, Word]], gap: float = 0.5) -> list[Turn]:
    """Turns from (speaker, word): words of one speaker less than ``gap`` s apart are one turn.

    A word without times stays with the word before it. Turns come in the order of time.
    """
    groups: dict[str, list[list[Word]]] = {}
    ends: dict[str, float] = {}
    for speaker, word in _in_time(words):
        mine = groups.setdefault(speaker, [])
        start = word.span.start if word.span else ends.get(speaker, 0.0)
        if not mine or start - ends[speaker] >= gap - 1e-9:
            mine.append([])
        mine[-1].append(word)
        ends[speaker] = max(ends.get(speaker, 0.0), word.span.end if word.span else start)
    turns = []
    for speaker, mine in groups.items():
        for group in mine:
            spans = [word.span for word in group if word.span is not None]
            span = Span(spans[0].start, max(one.end for one in spans)) if spans else None
            turns.append(Turn(number=0, speaker=speaker, span=span, words=tuple(group)))
    return sorted(turns, key=when)


def _in_time(words: Iterable[tuple[str, Word]]) -> list[tuple[str, Word]]:
    last: dict[str, float] = {}
    keyed = []
    for place, (speaker, word) in enumerate(words):
        last[speaker] = word.span.start if word.span else last.get(speaker, 0.0)
        keyed.append((last[speaker], place, speaker, word))
    return [(speaker, word) for _, _, speaker, word in sorted(keyed, key=lambda one: one[:2])]


class Mended:
    """Collects what a reader had to mend, and says it in a sentence for each kind."""

    def __init__(self, unit: str) -> None:
        self._unit, self._places = unit, dict[str, list[str]]()

    def note(self, what: str, place: object) -> None:
        """``what`` was mended at ``place`` (a row's number, a tier's name)."""
        self._places.setdefault(what, []).append(str(place))

    def remarks(self) -> tuple[str, ...]:
        """One sentence a kind, naming the first ten places."""
        return tuple(f"{self._where(places)}: {what}." for what, places in self._places.items())

    def _where(self, places: list[str]) -> str:
        unit = self._unit.capitalize() + ("s" if len(places) > 1 else "")
        shown, more = places[:10], len(places) - 10
        if more > 0:
            return f"{unit} {', '.join(shown)} and {more} more"
        if len(shown) > 1:
            return f"{unit} {', '.join(shown[:-1])} and {shown[-1]}"
        return f"{unit} {shown[0]}"
