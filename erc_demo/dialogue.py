"""What was said: Span, Word, Turn, Dialogue, and the Recording (and Pictures) of it.

Times are seconds from the recording's start. Every noun is frozen and refuses bad values at
birth, so that no room below has to ask again. Real corpora must fit: a turn may have no span
(a written dialogue), the order of turns is their number and not their start, starts may go
back, and one speaker may overlap himself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from erc_demo.errors import UserError

RATE = 16_000  # samples a second of everything after recording.read
MOMENT = 1e-6  # seconds within which two moments are one
SLACK = 0.0015  # seconds; formats that count in milliseconds round by half of one at each end


def _keys(data: Mapping[str, Any], kind: str, known: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise UserError(f"A {kind} was expected as a JSON object, found {type(data).__name__}.")
    extra = sorted(set(data) - known)
    if extra:
        raise UserError(
            f"A {kind} has the unknown field(s) {', '.join(map(repr, extra))}; "
            f"known are {', '.join(sorted(known))}."
        )


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise UserError(f"{what} is {value!r}; a number was wanted.")
    return float(value)


def _share(value: float | None, what: str) -> float | None:
    if value is None:
        return None
    number = _number(value, what)
    if not 0.0 <= number <= 1.0:
        raise UserError(f"{what} is {number:g}; it must lie between 0 and 1.")
    return number


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{what} is {value!r}; text was wanted.")
    return value


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time, in seconds from the recording's start; it ends after it starts."""

    start: float
    end: float

    def __post_init__(self) -> None:
        start, end = _number(self.start, "A start"), _number(self.end, "An end")
        if not (math.isfinite(start) and math.isfinite(end)):
            raise UserError(f"A span from {start} to {end} s is not finite.")
        if start < 0:
            raise UserError(f"A span starts at {start:g} s, before the recording does.")
        if end <= start:
            raise UserError(
                f"A span from {start:g} to {end:g} s does not end after it starts; "
                "were start and end swapped, or milliseconds given as seconds?"
            )
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    @property
    def middle(self) -> float:
        """The moment half-way."""
        return (self.start + self.end) / 2

    def shared(self, other: Span) -> float:
        """Seconds that both spans cover.

        >>> Span(0, 2).shared(Span(1.5, 4))
        0.5
        """
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))

    def within(self, other: Span, slack: float = SLACK) -> bool:
        """Whether this span lies inside another, up to rounding."""
        return self.start >= other.start - slack and self.end <= other.end + slack

    def clipped(self, other: Span) -> Span | None:
        """The part inside another span, or None where nothing is left."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if end > start else None

    def moments(self, count: int) -> np.ndarray:
        """The middles of so many equal parts.

        >>> Span(0, 2).moments(2).tolist()
        [0.5, 1.5]
        """
        return self.start + self.duration * (np.arange(count) + 0.5) / count

    @property
    def slice(self) -> slice:
        """The samples of a 16 kHz signal that this span covers."""
        return slice(round(self.start * RATE), round(self.end * RATE))

    @classmethod
    def of(cls, start: float | None, end: float | None) -> Span | None:
        """The span of two loose numbers, or None where they do not make one.

        For readers of files: what a corpus gives as empty, not a number, reversed or of zero
        length is an absent span, and the reader says so in the dialogue's remarks.
        """
        if start is None or end is None or not (math.isfinite(start) and math.isfinite(end)):
            return None
        start = max(0.0, start)
        return cls(start, end) if end > start else None

    def to_json(self) -> list[float]:
        """``[start, end]``."""
        return [self.start, self.end]

    @classmethod
    def from_json(cls, data: Any) -> Span:
        """The reverse of ``to_json``."""
        if not isinstance(data, (list, tuple)) or len(data) != 2:
            raise UserError(f"A span is {data!r}; [start, end] in seconds was wanted.")
        return cls(data[0], data[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word as it was heard, or as it was written down.

    ``span`` is None where no time is known at all; ``placed`` is False where the recogniser or
    the aligner could not place the word and its span is a guess between its neighbours.
    ``confidence`` is the recogniser's (of what was said), ``margin`` is ours (of who said it).
    """

    text: str
    span: Span | None = None
    confidence: float | None = None
    margin: float | None = None
    placed: bool = True

    def __post_init__(self) -> None:
        if not _text(self.text, "A word").strip():
            raise UserError("A word is empty; leave it out instead.")
        object.__setattr__(self, "confidence", _share(self.confidence, "A word's confidence"))
        object.__setattr__(self, "margin", _share(self.margin, "A word's speaker margin"))
        if self.span is None and self.placed:
            object.__setattr__(self, "placed", False)

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is left out."""
        data: dict[str, Any] = {"text": self.text}
        if self.span is not None:
            data["span"] = self.span.to_json()
            if not self.placed:
                data["placed"] = False
        if self.confidence is not None:
            data["confidence"] = self.confidence
        if self.margin is not None:
            data["margin"] = self.margin
        return data

    @classmethod
    def from_json(cls, data: Any) -> Word:
        """The reverse of ``to_json``."""
        _keys(data, "word", {"text", "span", "confidence", "margin", "placed"})
        span = data.get("span")
        return cls(
            text=data.get("text", ""),
            span=None if span is None else Span.from_json(span),
            confidence=data.get("confidence"),
            margin=data.get("margin"),
            placed=bool(data.get("placed", True)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one speaker said in one go.

    ``number`` is its place in the order of the dialogue. ``sure`` says how sure we are of the
    speaker (0 to 1; None where the speaker was given, not found). ``channel`` is the channel of
    the recording that this speaker is heard on, None where all channels are one mix. ``text``
    is the words joined, unless a transcript gave its own spelling.
    """

    number: int
    speaker: str
    span: Span | None = None
    text: str = ""
    words: tuple[Word, ...] = ()
    sure: float | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.number, bool) or not isinstance(self.number, int) or self.number < 0:
            raise UserError(f"A turn's number is {self.number!r}; 0, 1, 2 … was wanted.")
        if not _text(self.speaker, "A turn's speaker").strip():
            raise UserError(f"Turn {self.number} has no speaker; name one, or 'unknown'.")
        if self.channel is not None and (not isinstance(self.channel, int) or self.channel < 0):
            raise UserError(f"Turn {self.number} is on channel {self.channel!r}; 0, 1 … or none.")
        object.__setattr__(self, "sure", _share(self.sure, f"Turn {self.number}'s 'sure'"))
        object.__setattr__(self, "words", tuple(self.words))
        for word in self.words:
            if word.span is None:
                continue
            if self.span is None:
                raise UserError(
                    f"Turn {self.number} has no times but its word '{word.text}' has; "
                    "give the turn a span that holds its words."
                )
            if not word.span.within(self.span):
                inner, outer = word.span, self.span
                raise UserError(
                    f"Word '{word.text}' ({inner.start:.3f}–{inner.end:.3f} s) lies outside its "
                    f"turn {self.number} ({outer.start:.3f}–{outer.end:.3f} s)."
                )
        if not _text(self.text, f"Turn {self.number}'s text") and self.words:
            object.__setattr__(self, "text", " ".join(word.text for word in self.words))

    @property
    def said(self) -> tuple[str, ...]:
        """The turn word by word: its words where there are such, else its text cut at blanks."""
        if self.words:
            return tuple(word.text for word in self.words)
        return tuple(self.text.split())

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is left out."""
        data: dict[str, Any] = {"number": self.number, "speaker": self.speaker}
        if self.span is not None:
            data["span"] = self.span.to_json()
        data["text"] = self.text
        if self.words:
            data["words"] = [word.to_json() for word in self.words]
        if self.sure is not None:
            data["sure"] = self.sure
        if self.channel is not None:
            data["channel"] = self.channel
        return data

    @classmethod
    def from_json(cls, data: Any) -> Turn:
        """The reverse of ``to_json``."""
        _keys(data, "turn", {"number", "speaker", "span", "text", "words", "sure", "channel"})
        span = data.get("span")
        return cls(
            number=data.get("number", -1),
            speaker=data.get("speaker", ""),
            span=None if span is None else Span.from_json(span),
            text=data.get("text", ""),
            words=tuple(Word.from_json(word) for word in data.get("words", ())),
            sure=data.get("sure"),
            channel=data.get("channel"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """Turns in order, with what is known of the whole.

    ``recognizer`` names what wrote the words. ``language`` is an ISO 639-1 code, with how sure
    its finder was. ``remarks`` are sentences about what was found or mended on the way; they are
    kept, but two dialogues are equal without them.
    """

    name: str
    turns: tuple[Turn, ...] = ()
    duration: float | None = None
    language: str | None = None
    language_sure: float | None = None
    recognizer: str | None = None
    remarks: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not _text(self.name, "A dialogue's name").strip():
            raise UserError("A dialogue has no name; the recording's file name would do.")
        object.__setattr__(self, "turns", tuple(self.turns))
        object.__setattr__(self, "remarks", tuple(self.remarks))
        for earlier, later in pairwise(self.turns):
            if later.number <= earlier.number:
                raise UserError(
                    f"Turn {later.number} follows turn {earlier.number}; "
                    "the order of turns is their number, which must grow."
                )
        sure = _share(self.language_sure, "How sure the language is")
        object.__setattr__(self, "language_sure", sure)
        if self.duration is None:
            return
        duration = _number(self.duration, "A dialogue's duration")
        if not (math.isfinite(duration) and duration > 0):
            raise UserError(f"A dialogue lasts {duration} s; more than 0 was wanted.")
        object.__setattr__(self, "duration", duration)
        for turn in self.turns:
            if turn.span is not None and turn.span.end > duration + SLACK:
                raise UserError(
                    f"Turn {turn.number} ends at {turn.span.end:.3f} s, after the recording "
                    f"({duration:.3f} s); does this transcript belong to another recording?"
                )

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers in the order in which they first appear."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))

    @property
    def words(self) -> Iterator[tuple[Turn, Word]]:
        """Every word with its turn, in order."""
        return ((turn, word) for turn in self.turns for word in turn.words)

    def overlaps(self) -> tuple[Span, ...]:
        """Where two or more different people talk at once, joined and in order of time.

        One sweep over the edges: cost grows with the number of turns, not with its square.
        """
        edges = sorted(
            edge
            for turn in self.turns
            if turn.span is not None
            for edge in ((turn.span.start, 1, turn.speaker), (turn.span.end, 0, turn.speaker))
        )
        found: list[Span] = []
        talking: dict[str, int] = {}
        since: float | None = None
        for moment, starts, speaker in edges:
            talking[speaker] = talking.get(speaker, 0) + (1 if starts else -1)
            if not talking[speaker]:
                del talking[speaker]
            if len(talking) > 1 and since is None:
                since = moment
            elif len(talking) < 2 and since is not None:
                if moment > since:
                    if found and found[-1].end == since:
                        found[-1] = Span(found[-1].start, moment)
                    else:
                        found.append(Span(since, moment))
                since = None
        return tuple(found)

    def with_remarks(self, *remarks: str) -> Dialogue:
        """The same dialogue with more remarks."""
        return replace(self, remarks=self.remarks + remarks)

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is left out."""
        data: dict[str, Any] = {"name": self.name}
        for key in ("duration", "language", "language_sure", "recognizer"):
            value = getattr(self, key)
            if value is not None:
                data[key] = value
        if self.remarks:
            data["remarks"] = list(self.remarks)
        data["turns"] = [turn.to_json() for turn in self.turns]
        return data

    @classmethod
    def from_json(cls, data: Any) -> Dialogue:
        """The reverse of ``to_json``."""
        known = {"name", "duration", "language", "language_sure", "recognizer", "remarks", "turns"}
        _keys(data, "dialogue", known)
        return cls(
            name=data.get("name", ""),
            turns=tuple(Turn.from_json(turn) for turn in data.get("turns", ())),
            duration=data.get("duration"),
            language=data.get("language"),
            language_sure=data.get("language_sure"),
            recognizer=data.get("recognizer"),
            remarks=tuple(data.get("remarks", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Pictures of a video at moments that grow, all of one size; RGB, 0 to 255."""

    moments: np.ndarray  # float64 (pictures,), seconds
    images: np.ndarray  # uint8 (pictures, height, width, 3)
    sha256: str  # of moments and images
    a_turn: int | None = None  # so many for each turn, at its moments; None: all along

    def __post_init__(self) -> None:
        moments, images = self.moments, self.images
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UserError(
                f"Pictures of shape {images.shape} and type {images.dtype} were given; "
                "uint8 (pictures, height, width, 3) was wanted."
            )
        if moments.shape != images.shape[:1] or (np.diff(moments) < 0).any():
            raise UserError("Pictures need one moment each, in order of time.")
        for name in ("moments", "images"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def of(self, span: Span) -> np.ndarray | None:
        """A turn's pictures, not those of another turn that talks into it; None without any."""
        if self.a_turn is None:
            first, last = np.searchsorted(self.moments, [span.start, span.end])
            return self.images[first:last] if last > first else None
        wanted = span.moments(self.a_turn)
        places = np.searchsorted(self.moments, wanted - MOMENT)
        places = np.minimum(places, len(self.moments) - 1)
        places = places[np.abs(self.moments[places] - wanted) <= MOMENT]
        return self.images[places] if len(places) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """Decoded sound: ``samples`` is read-only float32 (channels, frames) at 16 kHz, within ±1.

    Usually a memory-mapped file in the job's folder, so that two hours cost no memory.
    ``sha256`` is of the samples, the name that caches know it by; the other fields say what the
    file was.
    """

    name: str
    samples: np.ndarray  # float32 (channels, frames)
    sha256: str
    container: str = "memory"
    codec: str = "float"
    source_rate: int = RATE
    pictures: Pictures | None = None  # only where somebody asked for them

    def __post_init__(self) -> None:
        samples = self.samples
        if samples.ndim != 2 or samples.dtype != np.float32 or not all(samples.shape):
            raise UserError(
                f"Sound of shape {samples.shape} and type {samples.dtype} was given; "
                "float32 (channels, frames) with at least one of each was wanted."
            )
        if samples.flags.writeable:
            view = samples.view()
            view.flags.writeable = False
            object.__setattr__(self, "samples", view)

    @property
    def channels(self) -> int:
        """How many channels the file has."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / RATE

    def sound(self, span: Span | None = None, channel: int | None = None) -> np.ndarray:
        """One signal, float32 (frames,): a channel, or the mean of all; all of it, or a span."""
        part = self.samples if span is None else self.samples[:, span.slice]
        if channel is not None:
            if not 0 <= channel < self.channels:
                raise UserError(
                    f"Channel {channel} was asked for, the recording has {self.channels}."
                )
            return np.ascontiguousarray(part[channel])
        if self.channels == 1:
            return np.ascontiguousarray(part[0])
        return part.mean(axis=0, dtype=np.float32)
