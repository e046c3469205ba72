"""A conversation made of numbers alone: every kind of turn that an extractor can meet.

The sound is a pulse train through two resonances with noise in between, which openSMILE, Praat and
the encoders take for a voice. Everything is computed, so golden numbers can stand on it.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from erc_demo.dialogue import RATE, Dialogue, Pictures, Recording, Span, Turn, Word

# place of each turn: what is special about it
PLAIN, OTHER, SHORT, SILENT, CLIPPED, NARROW, LONG, UNTIMED, OUTSIDE, QUIET, WORDLESS = range(11)
LONGEST = 24.0  # seconds; more than any window that an encoder reads at once

TEXTS = (
    "I can't believe it, we actually won!",
    "Oh. That's … great, I guess? 🙂",
    "No",
    "are you there",
    "LISTEN TO ME when I talk to you",
    "it's about the fifty-seven dollars that you owe me",
    " ".join(f"and then number {number} went home again" for number in range(60)),
    "written, never spoken",
    "after the end",
    "so quiet",
    "",
)


def voice(seconds: float, pitch: float, seed: int, level: float = 0.2) -> np.ndarray:
    """A voice-like signal of so many seconds, float32 at 16 kHz."""
    random = np.random.default_rng(seed)
    moments = np.arange(round(seconds * RATE)) / RATE
    melody = pitch * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * moments))
    pulses = np.diff(np.floor(np.cumsum(melody) / RATE), prepend=0.0)
    source = pulses + 0.02 * random.standard_normal(len(moments))
    for centre, width in ((600 + 10 * seed, 80), (1500 + 20 * seed, 120)):
        radius = np.exp(-np.pi * width / RATE)
        angle = 2 * np.pi * centre / RATE
        source = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], source)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * moments)
    sound = source * syllables
    return (level * sound / np.abs(sound).max()).astype(np.float32)


@cache
def conversation() -> tuple[Dialogue, Recording]:
    """The dialogue and its recording: two channels, A on the first and B on the second."""
    narrow = sosfilt(butter(8, 3400, fs=RATE, output="sos"), voice(1.5, 180, 5))
    parts = {
        PLAIN: voice(1.2, 120, 1),
        OTHER: voice(0.8, 210, 2),
        SHORT: voice(0.03, 120, 3),
        SILENT: np.zeros(RATE // 2, np.float32),
        CLIPPED: np.clip(8 * voice(1.0, 150, 4), -1, 1),
        NARROW: narrow.astype(np.float32),
        LONG: voice(LONGEST, 110, 6),
        QUIET: 1e-3 * voice(0.7, 200, 7),
        WORDLESS: voice(0.6, 130, 8),
    }
    turns, at = [], 0.5
    samples = np.zeros((2, round((LONGEST + 12) * RATE)), np.float32)
    for number, text in enumerate(TEXTS):
        channel = number % 2
        speaker = "AB"[channel]
        if number == UNTIMED:
            turns.append(Turn(number=number, speaker=speaker, text=text))
            continue
        if number == OUTSIDE:
            span = Span(samples.shape[1] / RATE + 1, samples.shape[1] / RATE + 2)
            turns.append(Turn(number=number, speaker=speaker, text=text, span=span))
            continue
        sound = parts[number]
        span = Span(at, at + len(sound) / RATE)
        samples[channel, span.slice] = sound
        words: tuple[Word, ...] = ()
        if number in (PLAIN, LONG):
            said = text.split()
            edges = np.linspace(span.start, span.end, len(said) + 1)
            words = tuple(
                Word(text=word, span=Span(start, end))
                for word, start, end in zip(said, edges[:-1], edges[1:], strict=True)
            )
        turns.append(
            Turn(number=number, speaker=speaker, span=span, text=text, words=words, channel=channel)
        )
        at = span.end + 0.4
    recording = Recording(
        name="made",
        samples=samples,
        sha256=hashlib.sha256(samples.tobytes()).hexdigest(),
        pictures=pictures(samples.shape[1] / RATE),
    )
    return Dialogue(name="made", turns=tuple(turns)), recording


def pictures(seconds: float) -> Pictures:
    """Ten pictures a second of a bar that wanders, so that every turn but the shortest has some."""
    moments = np.arange(0, seconds, 0.1)
    images = np.zeros((len(moments), 48, 48, 3), np.uint8)
    for index in range(len(moments)):
        images[index, :, index % 48] = (255, index % 256, 40)
    digest = hashlib.sha256(moments.tobytes() + images.tobytes()).hexdigest()
    return Pictures(moments=moments, images=images, sha256=digest)
