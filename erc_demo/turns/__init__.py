"""Who spoke when: lanes where each person has a channel, clusters of voices otherwise.

Two steps, so that another number of people costs little: ``listen`` reads the sound once and
keeps plain arrays, ``find`` makes turns of them.

*A person per channel.* The channels are compared frame by frame, each brought to one level
first: copies are recognised by their correlation, a shared room by level differences that stay
small, a person per channel by differences that are large to both sides. Then each channel is a
lane; a frame counts for a lane only if no other lane is ``GATE`` dB louder there (leak), and
overlaps are kept.

*A mix.* Vectors of the voice on windows of 1.6 and of 0.8 s, every 0.25 s of speech, are given to
people by ``clusters``; stretches of speech are cut where the person changes. Where two people talk
at once in a mix, one of them is named: nothing here hears overlap reliably in one channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

import numpy as np

from erc_demo import speech
from erc_demo.dialogue import Dialogue, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.speech import STEP
from erc_demo.turns import clusters, layout
from erc_demo.turns.clusters import HOP
from erc_demo.voices import Encoder

VERSION = "1"  # of listen and find together; caches are named by it

GATE = 15.0  # dB; a lane that is this much softer than another one is hearing its leak
SCALES = (1.6, 0.8)  # seconds of the windows around each middle
REACH = 0.3  # seconds around a change of voice where its quietest moment is looked for
FAR = 0.15  # dB that a frame must be quieter for each frame that it lies further away


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What one pass over the sound found: arrays only, ready for a cache.

    ``channels`` are the channels that lanes stand for. With ``layout`` 'split' there is a lane
    for each; with 'mix' there is one lane, and the windows' vectors are filled.
    """

    name: str
    duration: float
    layout: str  # 'split' or 'mix'
    channels: tuple[int, ...]
    remarks: tuple[str, ...]
    encoder: str
    probability: np.ndarray  # float32 (lanes, frames), of speech
    level: np.ndarray  # float32 (lanes, frames), dB, every lane's loud frames alike
    middles: np.ndarray  # float32 (windows,), seconds
    vectors: np.ndarray  # float16 (windows, scales * width)

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and plain data."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        data = {
            "name": self.name,
            "duration": self.duration,
            "layout": self.layout,
            "channels": list(self.channels),
            "remarks": list(self.remarks),
            "encoder": self.encoder,
        }
        return arrays, data

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> Heard:
        """The reverse of ``to_arrays``."""
        return cls(
            name=data["name"],
            duration=data["duration"],
            layout=data["layout"],
            channels=tuple(data["channels"]),
            remarks=tuple(data["remarks"]),
            encoder=data["encoder"],
            **{name: arrays[name] for name in _ARRAYS},
        )


_ARRAYS = ("probability", "level", "middles", "vectors")


def listen(
    recording: Recording,
    encoder: Encoder,
    *,
    channels: str = "auto",
    tell: Callable[[float], None] | None = None,
) -> Heard:
    """Hear a recording once: its layout, where speech is, and the voices' vectors.

    ``channels`` is auto, split (a person per channel) or mix. ``tell`` is told the fraction
    that is done.
    """
    if channels not in ("auto", "split", "mix"):
        raise UserError(f"Channels are to be '{channels}'; auto, split or mix was wanted.")
    say = tell or (lambda fraction: None)
    samples = recording.samples
    levels = [speech.levels(channel) for channel in samples]
    kept, remarks = layout.audible(levels)
    copies = layout.copies(samples, kept) if channels != "split" else {}
    kept = [channel for channel in kept if channel not in copies]
    remarks += [
        f"Channel {copy + 1} is a copy of channel {first + 1} (correlation {value:.2f})."
        for copy, (first, value) in copies.items()
    ]
    lanes: list[np.ndarray] = []
    if channels != "mix" and len(kept) > 1:
        for number, channel in enumerate(kept):
            part = _part(say, 0.5 * number / len(kept), 0.5 / len(kept))
            factor = speech.gain(levels[channel])
            lanes.append(speech.probabilities(samples[channel], factor=factor, tell=part))
        decibels = np.stack([layout.decibels(levels[channel]) for channel in kept])
        probability = np.stack(lanes)
        split, why = layout.apart(decibels, probability)
        if channels == "split":
            split, why = True, "as told"
        if split:
            say(1.0)
            remarks.append(f"Each of {len(kept)} channels is taken as one person ({why}).")
            return _heard(recording, encoder, "split", kept, remarks, probability, decibels)
        remarks.append(f"The {len(kept)} channels are taken as one mix ({why}).")
    elif channels == "mix" and len(kept) > 1:
        remarks.append(f"The {len(kept)} channels are taken as one mix (as told).")
    elif channels == "split":
        remarks.append("Only one channel carries sound, so there is nothing to split.")
    # one channel, or a view where the kept ones lie side by side: no copy of the sound is made
    beside = kept[-1] - kept[0] + 1 == len(kept)
    mix = samples[kept[0] : kept[-1] + 1] if beside else samples[kept]
    level = speech.levels(mix)
    begin = 0.5 if lanes else 0.0
    probability = speech.probabilities(
        mix, factor=speech.gain(level), tell=_part(say, begin, (1 - begin) * 0.3)
    )
    middles = _middles(probability, recording.duration)
    done = begin + (1 - begin) * 0.3
    vectors = _vectors(mix, middles, encoder, _part(say, done, 1 - done))
    decibels = layout.decibels(level)[None]
    return _heard(
        recording, encoder, "mix", kept, remarks, probability[None], decibels, middles, vectors
    )


def _heard(
    recording: Recording,
    encoder: Encoder,
    kind: str,
    kept: Sequence[int],
    remarks: Sequence[str],
    probability: np.ndarray,
    level: np.ndarray,
    middles: np.ndarray | None = None,
    vectors: np.ndarray | None = None,
) -> Heard:
    empty = middles is None or vectors is None
    return Heard(
        name=recording.name,
        duration=recording.duration,
        layout=kind,
        channels=tuple(kept),
        remarks=tuple(remarks),
        encoder=encoder.name,
        probability=np.asarray(probability, np.float32),
        level=np.asarray(level, np.float32),
        middles=np.zeros(0, np.float32) if empty else np.asarray(middles, np.float32),
        vectors=np.zeros((0, 0), np.float16) if empty else np.asarray(vectors, np.float16),
    )


def _part(say: Callable[[float], None], begin: float, share: float) -> Callable[[float], None]:
    return lambda fraction: say(begin + share * fraction)


def _middles(probability: np.ndarray, duration: float) -> np.ndarray:
    """The middles of the windows: every ``HOP`` of speech, at least one in each stretch."""
    found = [
        span.start + (np.arange(count := max(1, int(span.duration / HOP))) + 0.5)
        * (span.duration / count)
        for span in speech.spans(probability, duration=duration)
    ]  # fmt: skip
    return np.concatenate(found) if found else np.zeros(0)


def _vectors(
    sound: np.ndarray, middles: np.ndarray, encoder: Encoder, tell: Callable[[float], None]
) -> np.ndarray:
    """Vectors of all scales side by side, float16 (windows, scales * width)."""
    found = np.zeros((len(middles), len(SCALES) * encoder.width), np.float16)
    piece = 256
    for start in range(0, len(middles), piece):
        part = middles[start : start + piece]
        for n, seconds in enumerate(SCALES):
            columns = slice(n * encoder.width, (n + 1) * encoder.width)
            found[start : start + piece, columns] = encoder.windows(
                sound, part - seconds / 2, seconds
            )
        tell(min(1.0, (start + piece) / len(middles)))
    return found


def find(heard: Heard, *, people: int | None = None) -> Dialogue:
    """Turns without words. ``people`` is the number that was told; None finds it, 1 to 4.

    Speakers are named A, B … in the order of the channels, or of their first appearance in a
    mix.
    """
    if people is not None and people < 1:
        raise UserError(f"{people} people were told; at least one was wanted.")
    lanes = heard.layout == "split" and people != 1
    if lanes:
        found, remarks = _lanes(heard, people)
    elif heard.layout == "split":
        found, remarks = _joined(_lanes(heard, None)[0]), ["One person was told: lanes are joined."]
    else:
        found, remarks = _voices(heard, people)
    if not found:
        remarks = ["No speech was found."]
    found.sort(key=lambda one: (one.span.start, one.span.end, one.who))
    if not lanes:
        first = {who: n for n, who in enumerate(dict.fromkeys(one.who for one in found))}
    else:
        first = {n: n for n in range(len(heard.channels))}
    turns = tuple(
        Turn(
            number=number,
            speaker=speaker(first[one.who]),
            span=one.span,
            sure=round(min(1.0, max(0.0, one.sure)), 3),
            channel=heard.channels[one.who] if lanes else None,
        )
        for number, one in enumerate(found)
    )
    return Dialogue(
        name=heard.name,
        turns=turns,
        duration=heard.duration,
        remarks=(*heard.remarks, *remarks),
    )


@dataclass(slots=True)
class _Found:
    """A turn on its way: who is a lane or a cluster."""

    span: Span
    who: int
    sure: float


def speaker(number: int) -> str:
    """A, B … Z, then A2, B2 …"""
    letter, round_ = ascii_uppercase[number % 26], number // 26
    return letter if not round_ else f"{letter}{round_ + 1}"


def _lanes(heard: Heard, people: int | None) -> tuple[list[_Found], list[str]]:
    """Speech of each lane where it is not another lane's leak."""
    remarks = []
    if people is not None and people != len(heard.channels):
        remarks.append(
            f"{people} people were told, but {len(heard.channels)} channels carry one person "
            "each; choose channels 'mix' to have that many voices told apart."
        )
    found = []
    for lane, level in enumerate(heard.level):
        others = np.delete(heard.level, lane, axis=0).max(axis=0, initial=-200.0)
        probability = np.where(others - level > GATE, 0.0, heard.probability[lane])
        led = others > level + layout.APART  # somebody else talks: what is here may be leak
        leak = float(np.median((level - others)[led])) if led.any() else -200.0
        own = 1.0 - np.minimum(1.0, 10 ** ((others + leak - level) / 10))
        for span in speech.spans(probability, duration=heard.duration):
            inside = _frames(span)
            talking = inside.start + np.flatnonzero(probability[inside] > 0.1)
            sure = float(np.mean(own[talking])) if len(talking) else 0.0
            found.append(_Found(span, lane, sure))
    heard_of = {one.who for one in found}
    for lane in range(len(heard.channels)):
        if found and lane not in heard_of:
            remarks.append(f"Nobody talks on channel {heard.channels[lane] + 1}.")
    return found, remarks


def _joined(found: list[_Found]) -> list[_Found]:
    """The turns of all lanes as one person's: what overlaps becomes one turn."""
    whole: list[_Found] = []
    for one in sorted(found, key=lambda one: one.span):
        if whole and one.span.start <= whole[-1].span.end:
            end = max(one.span.end, whole[-1].span.end)
            sure = min(one.sure, whole[-1].sure)
            whole[-1] = _Found(Span(whole[-1].span.start, end), 0, sure)
        else:
            whole.append(_Found(one.span, 0, one.sure))
    return whole


def _frames(span: Span) -> slice:
    return slice(int(span.start / STEP), max(int(span.start / STEP) + 1, int(span.end / STEP)))


def _voices(heard: Heard, people: int | None) -> tuple[list[_Found], list[str]]:
    """Turns of a mix: clusters of its windows, cut where the voice changes."""
    if not len(heard.middles):
        return [], []
    assigned = clusters.assign(heard.middles, heard.vectors, heard.encoder, people)
    found = _cut(heard, assigned.posterior)
    for one in found:  # no turn is surer of its speaker than the number of people is
        one.sure *= 1.0 if assigned.sure is None else assigned.sure
    number = len({one.who for one in found})
    remarks = []
    if heard.encoder not in clusters.LEARNED:
        remarks.append(
            f"Voices were compared by {heard.encoder}, for which no space was learned from many "
            "voices: who is who is less sure than with ge2e."
        )
    if assigned.sure is not None:
        remarks.append(f"{number} {_noun(number)} found by voice (sure {assigned.sure:.2f}).")
    elif people is not None and number < people:
        remarks.append(f"{people} people were told, only {number} could be told apart.")
    return found, remarks


def _noun(number: int) -> str:
    return "person was" if number == 1 else "people were"


def _cut(heard: Heard, posterior: np.ndarray) -> list[_Found]:
    """Turns: stretches of speech, cut where the most likely person changes."""
    who = posterior.argmax(axis=1)
    order = np.sort(posterior, axis=1)
    margin = order[:, -1] - (order[:, -2] if posterior.shape[1] > 1 else 0.0)
    middles = heard.middles.astype(np.float64)
    found = []
    for span in speech.spans(heard.probability[0], duration=heard.duration):
        inside = np.flatnonzero((middles >= span.start) & (middles <= span.end))
        begin = span.start
        for group in np.split(inside, np.flatnonzero(np.diff(who[inside])) + 1):
            if not len(group):
                continue
            end = span.end
            if group[-1] != inside[-1]:
                change = _quietest(heard.level[0], float(middles[group[-1] : group[-1] + 2].mean()))
                end = min(max(change, begin + STEP), span.end - STEP)
            found.append(_Found(Span(begin, end), int(who[group[0]]), float(margin[group].mean())))
            begin = end
    return found


def _quietest(level: np.ndarray, moment: float) -> float:
    """The quietest moment nearby, for a change of speaker seldom cuts a word in two."""
    middle, reach = int(moment / STEP), round(REACH / STEP)
    near = np.arange(max(0, middle - reach), min(len(level), middle + reach + 1))
    if not len(near):
        return moment
    loudness = level[near] + FAR * np.abs(near - middle)
    return (int(near[loudness.argmin()]) + 0.5) * STEP
