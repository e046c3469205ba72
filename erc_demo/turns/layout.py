"""Which channels carry whom: copies, a person per channel, or one room heard on all.

The channels' levels are compared frame by frame, each brought to one level first: copies are
recognised by their correlation, a shared room by level differences that stay small, a person per
channel by differences that are large to both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erc_demo import speech

SAME = 0.95  # correlation from which two channels are copies of one sound
APART = 6.0  # dB between the levels of two channels that says who is nearer to which
NEAR = 4.0  # dB between them that says nothing
SIDE = 0.02  # share of the speech that each lane must dominate
BETWEEN = 0.35  # share of the speech that may lie near
SMOOTH = 9  # frames over which levels are compared, 0.29 s
FAINT = -60.0  # dBFS; a channel whose loud frames are softer carries nobody


def audible(levels: Sequence[np.ndarray]) -> tuple[list[int], list[str]]:
    """The channels that carry sound; the loudest one always."""
    loud = 20 * np.log10(
        np.array([float(np.percentile(level, speech.LOUD)) for level in levels]) + 1e-9
    )
    kept = [n for n, value in enumerate(loud) if value > FAINT] or [int(np.argmax(loud))]
    gone = [n for n in range(len(loud)) if n not in kept]
    return kept, [f"Channel {n + 1} is silent and was left out." for n in gone]


def copies(samples: np.ndarray, kept: Sequence[int]) -> dict[int, tuple[int, float]]:
    """Channels whose samples are those of an earlier one: copy -> (first, correlation)."""
    size = speech.BLOCK * speech.FRAME
    moments = np.zeros((len(kept), len(kept)))
    for start in range(0, samples.shape[1], size):
        part = np.asarray(samples[:, start : start + size])[list(kept)]
        moments += part @ part.T  # no mean to take away: sound swings around zero
    scale = np.sqrt(np.diag(moments))
    alike = moments / np.maximum(np.outer(scale, scale), 1e-12)
    found: dict[int, tuple[int, float]] = {}
    for second in range(1, len(kept)):
        for first in range(second):
            if kept[first] not in found and abs(alike[first, second]) > SAME:
                found[kept[second]] = (kept[first], float(alike[first, second]))
                break
    return found


def decibels(level: np.ndarray) -> np.ndarray:
    """Levels in dB, smoothed, with the loud frames brought to ``speech.LEVEL``."""
    power = np.square(level.astype(np.float64) * speech.gain(level))
    if len(power) >= SMOOTH:
        power = np.convolve(power, np.full(SMOOTH, 1 / SMOOTH), "same")
    return (10 * np.log10(power + 1e-9)).astype(np.float32)


def apart(level: np.ndarray, probability: np.ndarray) -> tuple[bool, str]:
    """Whether lanes carry one person each, and why."""
    talking = probability.max(axis=0) > 0.5
    if not talking.any():
        return True, "nobody is heard to say otherwise"
    heard = level[:, talking]
    order = np.sort(heard, axis=0)
    margin = order[-1] - order[-2]
    nearest = heard.argmax(axis=0)
    sides = [float(np.mean((nearest == n) & (margin > APART))) for n in range(len(level))]
    between = float(np.mean(margin < NEAR))
    numbers = f"levels lie {np.median(margin):.0f} dB apart while somebody talks"
    if between > BETWEEN:
        return False, f"{numbers}: everybody is heard on each"
    if min(sides) < SIDE:
        return False, f"{numbers}, but channel {int(np.argmin(sides)) + 1} never leads"
    return True, numbers
