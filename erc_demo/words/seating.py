"""Who said each word: words heard in a recording are seated in the turns found before.

``tidy`` mends the times that recognisers are known to get wrong (a word reported seconds early, or
four seconds long), ``seat`` gives every word its speaker, one by one and with a margin. The margin
is ours, not a paper's: with p = the share of the word's time that its turn covers, times how sure
the turn is of its speaker, and q = the same for the best turn of anybody else,

    margin = max(0, p - q),

so a word alone in a sure turn has 1, a word that two people cover alike has 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from erc_demo.dialogue import Dialogue, Span, Turn, Word

LONGEST = 1.0  # s, plus LONGEST_LETTER for each letter: nothing is said slower than this
LONGEST_LETTER = 0.12  # s
SHORTEST = 0.02  # s; a word of no length gets this much
LEAD = 0.25  # s that a word may stand out of the speech found, edges of turns being that unsure
NEAR = 1.0  # s; a word further from every turn makes a turn of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One word as a recogniser gave it: when, how sure, and on which channel it was listened to."""

    text: str
    start: float  # s from the recording's start
    end: float
    confidence: float | None = None
    channel: int | None = None
    placed: bool = True


def tidy(heard: Iterable[Heard], speech: Sequence[Span], duration: float) -> list[Heard]:
    """Word times within the recording, within speech, and no longer than a word can be.

    ``speech`` is where somebody talks, in order and without overlaps (``joined``). A word that
    touches it is clipped to the stretch that holds most of it; one that is still too long keeps its
    start, or its end where it began before the stretch; one that lies further than NEAR from all
    speech was made up, and is left out.
    """
    kept = []
    starts = [span.start for span in speech]
    for word in heard:
        text = word.text.strip()
        start, end = float(word.start), float(word.end)
        start = min(max(0.0, start), max(0.0, duration - SHORTEST))
        end = min(max(end, start + SHORTEST), duration)
        span = Span(start, end)
        if not text or not any(one.isalnum() for one in text):
            continue
        home = _home(span, speech, starts)
        if home is not None:
            if _apart(span, home) > NEAR:
                continue
            span = span.clipped(_wider(home, LEAD, duration)) or span
        most = LONGEST + LONGEST_LETTER * len(text)
        if span.duration > most:
            # a word that began before its speech was reported early (Whisper's alignment lets it
            # begin in the silence), and its end is right; else its end ran on into silence
            early = home is not None and start < home.start - LEAD
            span = Span(span.end - most, span.end) if early else Span(span.start, span.start + most)
        kept.append(replace(word, text=text, start=span.start, end=span.end))
    return kept


def joined(spans: Iterable[Span], gap: float = 0.0) -> list[Span]:
    """Spans in order, those that touch or lie closer than a gap made one.

    >>> joined([Span(3, 4), Span(0, 2), Span(1, 2.5)])
    [Span(start=0.0, end=2.5), Span(start=3.0, end=4.0)]
    """
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end + gap:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _apart(one: Span, other: Span) -> float:
    return max(0.0, other.start - one.end, one.start - other.end)


def _wider(span: Span, by: float, duration: float) -> Span:
    return Span(max(0.0, span.start - by), min(duration, span.end + by))


def _home(span: Span, speech: Sequence[Span], starts: Sequence[float]) -> Span | None:
    """The stretch of speech that holds most of a span, or lies nearest to it."""
    last = bisect_left(starts, span.end)  # the first one that starts after the span
    near = speech[max(0, bisect_left(starts, span.start) - 1) : last + 1]
    return max(near, key=lambda one: (one.shared(span), -_apart(one, span)), default=None)


def seat(
    words: Iterable[Heard], turns: Sequence[Turn], *, duration: float | None = None
) -> tuple[Turn, ...]:
    """The turns with the words in them; every word has a speaker and says how surely.

    A word heard on a channel of its own belongs to that channel's turns. Among them the turn that
    covers most of it wins, weighed by how sure the turn is. A word in none goes to the nearest,
    with margin 0, and is moved inside it; further than NEAR from all of them it makes a turn of its
    own, of the nearest turn's speaker. A turn in which nothing was heard stays, without words.
    """
    seats: dict[int, list[Word]] = {}
    strays: list[tuple[Heard, Turn | None]] = []
    index = Index(turns)
    for word in sorted(words, key=lambda one: (one.start, one.end)):
        span = Span(word.start, word.end)
        near = index.near(span, word.channel)
        if not near:
            strays.append((word, index.nearest(span, word.channel)))
            continue
        turn, margin = _choose(span, near, word.channel)
        seats.setdefault(turn.number, []).append(_word(word, turn, margin))
    seated = [
        replace(
            turn,
            words=tuple(sorted(seats[turn.number], key=_word_start)),
            text="",
        )
        if turn.number in seats
        else turn
        for turn in turns
    ]
    return _with_strays(seated, strays, duration)


def _start(turn: Turn) -> float:
    return turn.span.start if turn.span else 0.0


def _word_start(word: Word) -> float:
    return word.span.start if word.span else 0.0


class Index:
    """Turns by time: which ones lie within NEAR of a span, without asking all of them."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self.turns = sorted((turn for turn in turns if turn.span is not None), key=_start)
        self.cells: dict[int, list[Turn]] = {}
        for turn in self.turns:
            if turn.span is None:  # for the checker: sorted above
                continue
            for cell in range(int(turn.span.start - NEAR), int(turn.span.end + NEAR) + 1):
                self.cells.setdefault(cell, []).append(turn)

    def near(self, span: Span, channel: int | None) -> list[Turn]:
        """The turns within NEAR of a span that a channel, where one is told, can hear."""
        found: dict[int, Turn] = {}
        for cell in range(int(span.start), int(span.end) + 1):
            for turn in self.cells.get(cell, ()):
                if turn.span and _apart(span, turn.span) <= NEAR and _hears(turn, channel):
                    found[turn.number] = turn
        return list(found.values())

    def during(self, span: Span | None) -> list[tuple[Turn, float]]:
        """The turns that share time with a span, and how many seconds."""
        near = self.near(span, None) if span is not None else []
        shares = [(turn, turn.span.shared(span)) for turn in near if turn.span and span]
        return [(turn, seconds) for turn, seconds in shares if seconds]

    def nearest(self, span: Span, channel: int | None) -> Turn | None:
        """The turn that lies nearest to a span, of that channel where there is one."""
        own = [turn for turn in self.turns if _hears(turn, channel)] or self.turns
        return min(
            own, key=lambda turn: _apart(span, turn.span) if turn.span else 0.0, default=None
        )


def _hears(turn: Turn, channel: int | None) -> bool:
    return channel is None or turn.channel is None or turn.channel == channel


def _choose(span: Span, near: Sequence[Turn], channel: int | None) -> tuple[Turn, float]:
    def weight(turn: Turn) -> float:
        if turn.span is None:
            return 0.0
        sure = 1.0 if turn.sure is None else turn.sure
        return turn.span.shared(span) / span.duration * sure

    ranked = sorted(
        near,
        key=lambda turn: (-weight(turn), _apart(span, turn.span) if turn.span else 0.0),
    )
    best = ranked[0]
    rival = next((turn for turn in ranked if turn.speaker != best.speaker), None)
    margin = weight(best) - (weight(rival) if rival else 0.0)
    return best, min(1.0, max(0.0, margin))


def _word(heard: Heard, turn: Turn, margin: float) -> Word:
    home = turn.span
    span = Span(heard.start, heard.end)
    if home is not None:
        inside = span.clipped(home)
        if inside is None:  # beside its turn: the edge that it lies at
            length = min(span.duration, home.duration)
            inside = (
                Span(home.start, home.start + length)
                if span.end <= home.start
                else Span(home.end - length, home.end)
            )
        span = inside
    return Word(
        text=heard.text,
        span=span,
        confidence=heard.confidence,
        margin=margin,
        placed=heard.placed,
    )


def _with_strays(
    turns: Sequence[Turn], strays: Sequence[tuple[Heard, Turn | None]], duration: float | None
) -> tuple[Turn, ...]:
    if not strays:
        return tuple(turns)
    own: list[tuple[str, int | None, list[Heard]]] = []
    for word, nearest in strays:
        speaker = nearest.speaker if nearest else "unknown"
        if own and own[-1][0] == speaker and own[-1][1] == word.channel:
            if word.start - own[-1][2][-1].end <= NEAR:
                own[-1][2].append(word)
                continue
        own.append((speaker, word.channel, [word]))
    made = []
    for speaker, channel, heard in own:
        end = max(word.end for word in heard)
        span = Span(heard[0].start, end if duration is None else min(end, duration))
        turn = Turn(number=0, speaker=speaker, span=span, sure=0.0, channel=channel)
        made.append(replace(turn, words=tuple(_word(word, turn, 0.0) for word in heard)))
    return numbered([*turns, *made])


def numbered(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Turns in order of time, numbered from 0; those without times keep their place."""
    last, keyed = 0.0, []
    for turn in turns:
        last = turn.span.start if turn.span else last
        keyed.append((last, turn))
    keyed.sort(key=lambda pair: pair[0])
    return tuple(replace(turn, number=number) for number, (_, turn) in enumerate(keyed))


def lanes(dialogue: Dialogue) -> dict[int | None, list[Span]]:
    """The turns' spans by the channel that they are heard on, in order of time."""
    found: dict[int | None, list[Span]] = {}
    for turn in dialogue.turns:
        if turn.span is not None:
            found.setdefault(turn.channel, []).append(turn.span)
    return {channel: sorted(spans) for channel, spans in found.items()}
