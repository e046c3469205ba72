"""From a dialogue and its recording to utterances, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.features._contract import CORPUS, SIGHT, SOUND, WORDS, Extractor, Utterance

SHORTEST = RATE // 10  # samples; below, some extractors have not one frame to speak of
SILENT = 2.0**-15  # peak below half a step of 16 bits: nothing was recorded here
FULL = 0.999  # of full scale
CLIPPED = 0.001  # share of samples at full scale from which a turn counts as clipped
MOST_TURNS = 32  # of one batch
OF_A_NETWORK, OF_OTHERS = 60.0, 30.0  # seconds of one batch; small ones share out evenly


class Given:
    """The turns of a dialogue as extractors get them; each turn's sound is looked over once.

    The sound itself is not kept: turns may overlap, and many of them hold more than the recording.
    """

    def __init__(self, dialogue: Dialogue, recording: Recording | None) -> None:
        self.dialogue, self.recording = dialogue, recording
        self._heard: dict[int, tuple[bool, list[str]]] = {}

    def look(self, place: int, extractor: Extractor) -> tuple[bool, list[str]]:
        """Whether the extractor gets anything of a turn, and what is odd about it.

        A turn shorter than 0.1 s is filled up with zeros behind; a silent one, one without a time
        or without words gives nothing: a modality that is absent stays absent.
        """
        turn = self.dialogue.turns[place]
        odd: list[str] = []
        there = True
        if WORDS in extractor.hears and not turn.said:
            odd.append("no words")
            there = False
        if SOUND in extractor.hears:
            if place not in self._heard:
                sound, why = _sound(turn, self.recording)
                self._heard[place] = sound is not None, why
            audible, why = self._heard[place]
            odd += why
            there = there and audible
        if SIGHT in extractor.hears and _pictures(turn, self.recording) is None:
            odd.append("no pictures")
            there = False
        if CORPUS in extractor.hears:
            odd.append("given")
            there = False
        return there, odd

    def size(self, place: int) -> tuple[float, int]:
        """Seconds and letters of a turn, by which batches are made."""
        turn = self.dialogue.turns[place]
        return (turn.span.duration if turn.span else 0.0), len(" ".join(turn.said))

    def utterance(self, place: int, extractor: Extractor) -> Utterance:
        """What the extractor gets of a turn."""
        turn, hears = self.dialogue.turns[place], extractor.hears
        return Utterance(
            turn=turn,
            sound=_sound(turn, self.recording)[0] if SOUND in hears else None,
            before=before(self.dialogue, place, extractor.context),
            pictures=_pictures(turn, self.recording) if SIGHT in hears else None,
        )


def before(dialogue: Dialogue, place: int, turns: int) -> tuple[tuple[str, str], ...]:
    """Speaker and text of so many turns before a place, oldest first."""
    earlier = dialogue.turns[max(0, place - turns) : place] if turns else ()
    return tuple((turn.speaker, " ".join(turn.said)) for turn in earlier)


def _sound(turn: Turn, recording: Recording | None) -> tuple[np.ndarray | None, list[str]]:
    if recording is None:
        return None, ["no sound"]
    if turn.span is None:
        return None, ["no time"]
    if turn.channel is not None and turn.channel >= recording.channels:
        return None, ["no channel"]
    inside = turn.span.clipped(Span(0.0, recording.duration))
    sound = recording.sound(inside, turn.channel) if inside is not None else np.zeros(0, np.float32)
    if not len(sound):
        return None, ["outside"]
    if not np.isfinite(sound).all():
        raise UserError(
            f"The sound of turn {turn.number} holds values that are no numbers; "
            "decode the recording again."
        )
    peak = float(np.abs(sound).max())
    if peak < SILENT:
        return None, ["silent"]
    if peak > 1.0:
        sound = np.clip(sound, -1.0, 1.0)
    odd = []
    if float(np.mean(np.abs(sound) >= FULL)) >= CLIPPED:
        odd.append("clipped")
    if len(sound) < SHORTEST:
        odd.append("short")
        sound = np.pad(sound, (0, SHORTEST - len(sound)))
    return sound, odd


def _pictures(turn: Turn, recording: Recording | None) -> np.ndarray | None:
    if recording is None or recording.pictures is None or turn.span is None:
        return None
    return recording.pictures.of(turn.span)


def batches(sizes: Sequence[tuple[float, int]], neural: bool) -> Iterator[list[int]]:
    """Places in groups of bounded cost, a network's by like length; sizes as ``Given.size``."""
    places = list(range(len(sizes)))
    if neural:
        places.sort(key=sizes.__getitem__)
    most = OF_A_NETWORK if neural else OF_OTHERS
    group: list[int] = []
    seconds = 0.0
    for place in places:
        if group and (len(group) >= MOST_TURNS or seconds + sizes[place][0] > most):
            yield group
            group, seconds = [], 0.0
        group.append(place)
        seconds += sizes[place][0]
    if group:
        yield group
