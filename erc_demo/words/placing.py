"""Where the words of a written text lie in a recording: found, aligned, or guessed.

A token is a written word, a spot is where it was found. Alignment is judged by its score: a wrong
text aligns happily in long sound, so a stretch whose mean lies below STRETCH, or a word below WORD,
is only a guess.
"""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from erc_demo.dialogue import Dialogue, Recording, Span, Word
from erc_demo.settings import Settings
from erc_demo.words import ngram, sphinx
from erc_demo.words.listening import Place, heard, listen, parts
from erc_demo.words.seating import LONGEST, LONGEST_LETTER, SHORTEST, Heard
from erc_demo.words.spelling import sounds, spoken

STRETCH = -7.5  # nats a frame, the mean of an aligned stretch; a fitting text has about -5, a
WORD = -10.0  # wrong one about -9 (measured on two of the shared calls: see benchmarks/words.py)
STEEP = 1.0  # confidence of an aligned word: 1 / (1 + exp(-STEEP (score - STRETCH)))
PAD = 0.15  # s of sound around a turn that is aligned

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Token:
    """A written word: whose, where in its transcript, and how it is said."""

    text: str
    turn: int  # index of its turn in the transcript
    spoken: tuple[str, ...]


@dataclass(slots=True)
class Spot:
    """Where a token was found so far."""

    start: float
    end: float
    confidence: float | None
    channel: int | None
    placed: bool


def tokenise(text: str, turn: int) -> list[Token]:
    """The written words of a turn's text."""
    return [Token(word, turn, tuple(spoken(word))) for word in text.split()]


@dataclass(slots=True)
class Work:
    """What every step needs: the sound, the turns that were found in it, and who is told."""

    recording: Recording
    found: Dialogue
    settings: Settings
    english: bool
    tell: Tell | None
    cancelled: Callable[[], bool] | None

    speech: dict[int | None, list[Span]]  # by channel, in order and without overlaps

    def follow(
        self,
        places: Sequence[Place],
        texts: Sequence[Sequence[Token]],
        share: tuple[float, float] = (0.0, 1.0),
    ) -> list[list[Spot | None]]:
        """Where each token of each text lies in its place; None where it could not be said."""
        if not self.english:
            return [[None] * len(tokens) for tokens in texts]
        known = sphinx.dictionary()
        words = [
            [word for token in tokens for word in token.spoken if word in known or sounds(word)]
            for tokens in texts
        ]
        some = [i for i, text in enumerate(words) if text]
        low, high = share
        tell = self.tell
        answers = listen(
            self.recording,
            self.found,
            [places[i] for i in some],
            sphinx.following(),
            pad=PAD,
            texts=[
                (
                    " ".join(words[i]),
                    {word: sounds(word) for word in words[i] if word not in known},
                )
                for i in some
            ],
            workers=self.settings.workers,
            tell=None if tell is None else lambda done: tell(low + (high - low) * done),
            cancelled=self.cancelled,
        )
        found: list[list[Spot | None]] = [[None] * len(tokens) for tokens in texts]
        for i, answer in zip(some, answers, strict=True):
            if answer and [word.text for word in answer] == words[i]:
                found[i] = _spots(texts[i], answer, places[i][1])
        return found

    def recognise(self, tokens: Sequence[Token], upto: float) -> list[Heard]:
        """What is heard in the turns when only the text's own words can be."""
        lines: dict[int, list[str]] = defaultdict(list)
        for token in tokens:
            lines[token.turn] += token.spoken
        vocabulary = {word for line in lines.values() for word in line}
        known = {word for word in vocabulary if word in sphinx.dictionary() or sounds(word)}
        counts = ngram.count(lines.values(), known.__contains__)
        places = parts(self.recording, self.found)
        tell = self.tell
        with tempfile.TemporaryDirectory(prefix="erc_demo_") as folder:
            model, dictionary = Path(folder) / "text.arpa", Path(folder) / "text.dict"
            model.write_text(ngram.smooth(counts).arpa(), encoding="utf-8")
            dictionary.write_text(sphinx.pronounced(known), encoding="utf-8")
            answers = listen(
                self.recording,
                self.found,
                places,
                sphinx.hearing(model, dictionary),
                pad=sphinx.PAD,
                workers=self.settings.workers,
                tell=None if tell is None else lambda done: tell(upto * done),
                cancelled=self.cancelled,
            )
        return sorted(heard(places, answers), key=lambda word: (word.start, word.end))


def _spots(
    tokens: Sequence[Token], said: Sequence[sphinx.Said], channel: int | None
) -> list[Spot | None]:
    """Aligned words put together to tokens, judged by their scores."""
    frames = [word.end - word.start for word in said]
    mean = sum(word.score * n for word, n in zip(said, frames, strict=True)) / sum(frames)
    found: list[Spot | None] = []
    rest = list(said)
    known = sphinx.dictionary()
    for token in tokens:
        count = sum(word in known or bool(sounds(word)) for word in token.spoken)
        own, rest = rest[:count], rest[count:]
        if not own:
            found.append(None)
            continue
        score = sum(word.score for word in own) / count
        confidence = 1 / (1 + math.exp(-STEEP * (score - STRETCH)))
        fits = mean >= STRETCH and score >= WORD
        found.append(Spot(own[0].start, own[-1].end, confidence, channel, fits))
    return found


def filled(
    tokens: Sequence[Token], spots: Sequence[Spot | None], span: Span, channel: int | None
) -> list[Spot]:
    """The spots, and guesses for tokens that have none, between their neighbours in the span."""
    found = list(spots)
    for low, high in gaps(found):
        start = max((spot.end for spot in found[:low] if spot), default=span.start)
        end = min((spot.start for spot in found[high:] if spot), default=span.end)
        for i, guess in zip(
            range(low, high), spread(tokens[low:high], start, end, [span], channel), strict=True
        ):
            found[i] = guess
    return [spot for spot in found if spot is not None]


def gaps(spots: Sequence[Spot | None]) -> list[tuple[int, int]]:
    """Runs of tokens that have no spot, as index ranges.

    >>> gaps([None, None, Spot(0, 1, None, None, True), None])
    [(0, 2), (3, 4)]
    """
    found = []
    for empty, run in groupby(range(len(spots)), key=lambda i: spots[i] is None):
        if empty:
            own = list(run)
            found.append((own[0], own[-1] + 1))
    return found


def spread(
    tokens: Sequence[Token],
    start: float,
    end: float,
    speech: Sequence[Span],
    channel: int | None,
) -> list[Spot]:
    """Guesses: tokens by their letters over the speech between two moments."""
    end = max(end, start + SHORTEST)
    inside = [part for one in speech if (part := one.clipped(Span(start, end)))]
    inside = inside or [Span(start, end)]
    letters = np.cumsum([0, *(len(token.text) for token in tokens)], dtype=float)
    total = sum(part.duration for part in inside)
    clock = np.cumsum([0, *(part.duration for part in inside)])
    moments = letters / letters[-1] * total
    found = []
    for token, low, high in zip(tokens, moments[:-1], moments[1:], strict=True):
        at = min(int(np.searchsorted(clock, low, side="right")) - 1, len(inside) - 1)
        begin = inside[at].start + low - clock[at]
        finish = min(begin + high - low, inside[at].end)  # over a pause, up to it
        finish = min(finish, begin + LONGEST + LONGEST_LETTER * len(token.text))
        found.append(Spot(float(begin), float(finish), None, channel, False))
    return found


def word_at(token: Token, spot: Spot, span: Span) -> Word:
    """A word within its turn, whose speaker the transcript names."""
    start = min(max(spot.start, span.start), span.end - min(SHORTEST, span.duration / 2))
    end = max(min(spot.end, span.end), start + min(SHORTEST, span.duration / 2))
    return Word(
        text=token.text,
        span=Span(start, end),
        confidence=spot.confidence,
        margin=1.0,
        placed=spot.placed,
    )
