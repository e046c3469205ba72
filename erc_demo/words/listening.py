"""The sound of turns as pocketsphinx is given it: cut, padded, and a telephone's widened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from erc_demo.dialogue import Dialogue, Recording, Span
from erc_demo.words import narrow, sphinx
from erc_demo.words.seating import Heard, lanes

Place = tuple[Span, int | None]  # where and on which channel
Tell = Callable[[float], None]
Cancelled = Callable[[], bool]


def parts(recording: Recording, dialogue: Dialogue) -> list[Place]:
    """All speech of the turns, none of it twice, in pieces that a decoder likes."""
    return [
        (piece, channel)
        for channel, spans in lanes(dialogue).items()
        for span in once(spans)
        for piece in sphinx.pieces(recording.sound(span, channel), span)
        if piece.duration >= sphinx.SHORTEST
    ]


def listen(
    recording: Recording,
    dialogue: Dialogue,
    places: Sequence[Place],
    configuration: dict[str, Any],
    *,
    pad: float,
    texts: Sequence[tuple[str, dict[str, str]]] | None = None,
    workers: int = 1,
    tell: Tell | None = None,
    cancelled: Cancelled | None = None,
) -> list[list[sphinx.Said] | None]:
    """Hear places of a recording, freely or each along its text; times from its start.

    ``texts`` are dictionary words, and phones for those that no dictionary has.
    """
    measured = {
        channel: narrow.measure(recording, spans, channel)
        for channel, spans in lanes(dialogue).items()
    }
    wide = [
        Span(max(0.0, span.start - pad), min(recording.duration, span.end + pad))
        for span, _ in places
    ]

    def utterance(index: int) -> sphinx.Utterance:
        text, extra = texts[index] if texts is not None else (None, {})
        channel = places[index][1]
        sound = narrow.widened(recording.sound(wide[index], channel), measured.get(channel))
        return sphinx.Utterance(sound, text, extra)

    answers = sphinx.listen(
        [span.duration for span in wide],
        utterance,
        configuration,
        workers=workers,
        tell=tell,
        cancelled=cancelled,
    )
    return [
        None
        if answer is None
        else [
            replace(word, start=span.start + word.start, end=span.start + word.end)
            for word in answer
        ]
        for span, answer in zip(wide, answers, strict=True)
    ]


def heard(places: Sequence[Place], answers: Sequence[list[sphinx.Said] | None]) -> list[Heard]:
    """What was said in each place, as words of the recording."""
    return [
        Heard(
            text=word.text,
            start=word.start,
            end=word.end,
            confidence=min(1.0, max(0.0, word.confidence)),
            channel=channel,
        )
        for (_, channel), answer in zip(places, answers, strict=True)
        for word in answer or ()
    ]


def once(spans: Sequence[Span]) -> list[Span]:
    """Spans of one channel, in order, cut so that no sound is heard twice where people overlap.

    >>> once([Span(0, 5), Span(4, 6), Span(4.5, 5.5), Span(8, 9)])
    [Span(start=0.0, end=5.0), Span(start=5.0, end=6.0), Span(start=8.0, end=9.0)]
    """
    found: list[Span] = []
    for span in spans:
        start = max(span.start, found[-1].end) if found else span.start
        if span.end > start:
            found.append(Span(start, span.end))
    return found
