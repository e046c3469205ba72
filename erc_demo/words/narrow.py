"""Telephone sound for a recogniser that was trained on wide-band speech.

A call carries nothing above 3.4 to 4 kHz, and the acoustic model of pocketsphinx listens up to
6.8 kHz: a third of its mel filters would hear nothing but rounding noise. Here the missing band is
made up, in the manner of artificial bandwidth extension (Jax & Vary 2003, "On artificial bandwidth
extension of telephone speech"; linear mapping as in Epps & Holmes 1999): in every frame the log
energies of nine bands from 3.4 to 7 kHz are a linear function of those of 16 mel bands below, and
noise of that shape is added. We depart from both in that the excitation is plain noise and each
lane's own mean is taken off on both sides, which removes the handset's colour and is put back by
nobody, because the decoder takes off its own mean as well.

The matrix was fitted on wide-band speech (``fit``; ``trainer.language.bands`` is the command) and
lies in ``assets/language/bands.json``. It is for the embedded recogniser only: no feature that a
system reads is ever computed from widened sound.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from erc_demo.dialogue import RATE, Recording, Span

MATRIX = Path(__file__).resolve().parents[2] / "assets" / "language" / "bands.json"
WINDOW, HOP = 512, 128  # 32 ms, 8 ms; the hop divides the window
LOWEST, EDGE, HIGHEST = 250.0, 3400.0, 7000.0  # Hz
LOW_BANDS, HIGH_BANDS = 16, 9
BEGINS = 3500.0  # Hz, where the added noise sets in
ABSENT = -45.0  # dB from the mean power of 0.3-3.4 kHz to that of 4.5-6.8 kHz: narrow below it
LOUD = 5.0  # nats below the 0.9 quantile of a lane's level: what is quieter is not speech
MEASURED = 120.0  # s of speech that a lane is measured on
FLOOR = 1e-9
RIDGE = 1e-4

HERTZ = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
TAPER = np.hanning(WINDOW + 1)[:-1]


def _bands(edges: np.ndarray) -> np.ndarray:
    """Rows that take the mean of the power between two edges."""
    inside = (HERTZ >= edges[:-1, None]) & (HERTZ < edges[1:, None])
    return inside / np.maximum(1, inside.sum(axis=1, keepdims=True))


def _mel_edges() -> np.ndarray:
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST, EDGE))
    return 700 * (10 ** (np.linspace(low, high, LOW_BANDS + 1) / 2595) - 1)


LOW = _bands(_mel_edges())  # (16, 257)
HIGH = _bands(np.concatenate([[EDGE], np.linspace(3800.0, HIGHEST, HIGH_BANDS)]))  # (9, 257)


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """What the loud frames of a narrow-band lane are on average, in log power."""

    mean: np.ndarray  # (16,)
    anchor: float  # of the highest four bands: the level that the missing ones begin at


def measure(recording: Recording, spans: Sequence[Span], channel: int | None) -> Lane | None:
    """The lane's averages over its speech, or None where it is no telephone's."""
    sounds, seconds = [], 0.0
    for span in spans:
        if seconds < MEASURED:
            sounds.append(recording.sound(span, channel))
            seconds += span.duration
    if not sounds:
        return None
    power = np.square(np.abs(_spectrum(np.concatenate(sounds))))
    low = np.log(power @ LOW.T + FLOOR)
    loud = _loud(low)
    mean = power[loud].mean(axis=0)
    kept = mean[(HERTZ >= 300) & (HERTZ < 3400)].mean()
    high = mean[(HERTZ >= 4500) & (HERTZ < 6800)].mean()
    if 10 * np.log10((high + 1e-12) / (kept + 1e-12)) > ABSENT:
        return None
    return Lane(low[loud].mean(axis=0), float(low[loud][:, -4:].mean()))


def widened(sound: np.ndarray, lane: Lane | None) -> np.ndarray:
    """The sound with a made-up band above 3.5 kHz; unchanged where the lane is not narrow."""
    matrix = _matrix()
    if lane is None or matrix is None or len(sound) < WINDOW:
        return sound
    spectrum = _spectrum(sound)
    low = np.log(np.square(np.abs(spectrum)) @ LOW.T + FLOOR) - lane.mean
    log_power = _with_one(low) @ matrix + lane.anchor  # (frames, 9)
    noise = _spectrum(np.random.default_rng(0).standard_normal(len(sound)))
    noise /= np.sqrt(np.square(np.abs(noise)).mean())
    gain = np.exp(log_power / 2) @ (HIGH > 0)  # (frames, 257)
    added = np.where((HERTZ >= BEGINS) & (HERTZ < HIGHEST), noise * gain, 0)
    return (sound + _sound(added, len(sound))).astype(np.float32)


def fit(sounds: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The ridge regression from low to high bands, and its R² by band, from wide-band speech."""
    width = LOW_BANDS + 1
    moments, cross = np.zeros((width, width)), np.zeros((width, HIGH_BANDS))
    squares, frames = np.zeros(HIGH_BANDS), 0
    for sound in sounds:
        power = np.square(np.abs(_spectrum(sound / (np.abs(sound).max() + FLOOR) / 2)))
        low, high = np.log(power @ LOW.T + FLOOR), np.log(power @ HIGH.T + FLOOR)
        loud = _loud(low)
        x = _with_one(low - low[loud].mean(axis=0))
        y = high - high[loud].mean(axis=0)
        moments, cross = moments + x.T @ x, cross + x.T @ y
        squares, frames = squares + np.square(y).sum(axis=0), frames + len(y)
    matrix = np.linalg.solve(moments + RIDGE * frames * np.eye(width), cross)
    left = squares - 2 * (matrix * cross).sum(axis=0) + (matrix * (moments @ matrix)).sum(axis=0)
    return matrix, 1 - left / squares


@cache
def _matrix() -> np.ndarray | None:
    if not MATRIX.is_file():
        return None
    return np.array(json.loads(MATRIX.read_text(encoding="utf-8"))["matrix"])


def _with_one(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _loud(low: np.ndarray) -> np.ndarray:
    level = low.mean(axis=1)
    return level >= np.quantile(level, 0.9) - LOUD


def _spectrum(sound: np.ndarray) -> np.ndarray:
    """Short-time spectrum (frames, 257) of a signal, padded so that every sample is covered."""
    padded = np.pad(sound, (WINDOW, WINDOW + -len(sound) % HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.fft.rfft(frames * TAPER, axis=1)


def _sound(spectrum: np.ndarray, length: int) -> np.ndarray:
    """The reverse of ``_spectrum`` by weighted overlap-add."""
    phases = WINDOW // HOP
    frames = (np.fft.irfft(spectrum, WINDOW, axis=1) * TAPER).reshape(-1, phases, HOP)
    out = np.zeros((len(frames) + phases - 1, HOP))
    for phase in range(phases):
        out[phase : phase + len(frames)] += frames[:, phase]
    weight = np.square(TAPER).reshape(phases, HOP).sum(axis=0)
    return (out / weight).reshape(-1)[WINDOW : WINDOW + length]
