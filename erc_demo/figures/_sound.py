"""A turn's sound as a figure holds it: spectrogram and envelope, small whatever its length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from erc_demo.dialogue import RATE
from erc_demo.figures._contract import View

WINDOW = 400  # samples, 25 ms: harmonics blur, formants stay
STEP = 160  # samples from one window to the next, 10 ms
BINS = 512  # of the transform, so that rows lie 31.25 Hz apart
HIGHEST = 5000  # Hz; above it lies little of a voice
DEPTH = 55  # dB below the loudest that are shown
COLUMNS = 240  # of any picture of sound
AVERAGED = 4  # windows at most behind one column of a long turn


@dataclass(frozen=True, slots=True, eq=False)
class Spectrogram:
    """How loud which pitch was when: ``level`` 0 … 255 over ``DEPTH`` dB, (hertz, moments)."""

    edges: np.ndarray  # seconds in the recording, one more than columns
    hertz: np.ndarray  # middles of the rows
    level: np.ndarray  # uint8


def sound(view: View, place: int) -> tuple[np.ndarray, str]:
    """A turn's samples; or none of them, and a sentence that says why."""
    nothing = np.zeros(0, np.float32)
    turn = view.analysis.dialogue.turns[place]
    if view.recording is None:
        return nothing, "The recording is not at hand, so its sound is not drawn."
    if turn.span is None:
        return nothing, f"Turn {turn.number} has no times, so its sound is not drawn."
    if turn.channel is not None and turn.channel >= view.recording.channels:
        return nothing, f"Turn {turn.number} is on a channel that this recording has not."
    samples = view.recording.sound(turn.span, turn.channel)
    if not len(samples):
        return nothing, f"Turn {turn.number} lies outside this recording."
    return samples, ""


def spectrogram(samples: np.ndarray, start: float) -> Spectrogram:
    """Power under a Hann window after a pre-emphasis of 6 dB an octave, in dB.

    ``start`` is the moment of the first sample. A long sound has as many columns as fit, each the
    mean power of up to ``AVERAGED`` windows that lie evenly in it.
    """
    samples = np.asarray(samples, np.float64)
    lifted = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1])
    lifted = np.pad(lifted, (0, max(0, WINDOW - len(lifted))))
    step = max(STEP, -(-len(lifted) // (COLUMNS * AVERAGED)))
    windows = np.lib.stride_tricks.sliding_window_view(lifted, WINDOW)[::step]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), BINS)) ** 2
    power = power[:, : HIGHEST * BINS // RATE + 1]
    together = -(-len(power) // COLUMNS)
    firsts = np.arange(0, len(power), together)
    counts = np.diff(np.append(firsts, len(power)))
    level = 10 * np.log10(np.add.reduceat(power, firsts) / counts[:, None] + 1e-12)
    level = np.clip((level - level.max()) / DEPTH + 1, 0, 1)
    edges = np.append(firsts, len(power)) * step + (WINDOW - step) / 2
    return Spectrogram(
        edges=start + edges / RATE,
        hertz=np.arange(level.shape[1]) * RATE / BINS,
        level=np.round(255 * level.T).astype(np.uint8),
    )


def envelope(samples: np.ndarray, most: int = COLUMNS) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest sample of at most so many equal stretches."""
    edges = np.linspace(0, len(samples), min(most, len(samples)) + 1).round().astype(int)[:-1]
    return np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
