"""Where speech is: Silero VAD, streamed over recordings of any length.

The network is the one in faster-whisper's wheel (Silero VAD v6, MIT). It reads frames of 512
samples with 64 samples of context and carries an LSTM state, so a recording is read in blocks
from its memory-map and memory does not grow with its length. What departs from faster-whisper:

- the signal is first brought to one level (``gain``), measured where it is loud, because the
  network's answer falls with the level and soft telephone speech is what gets missed;
- spans are cut from the probabilities by a hysteresis of our own with settings made for turns,
  not for dictation: pauses of half a second stay inside a turn. They and ``LEVEL`` were chosen
  on real telephone calls and stitched dialogues, one setting for all; neighbouring settings
  differ by less than a point of error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from erc_demo.dialogue import RATE, Span

FRAME = 512  # samples the network reads at once
STEP = FRAME / RATE  # seconds, 0.032
CONTEXT = 64  # samples of the frame before
BLOCK = 2048  # frames read at once, 66 s: 4 MB
LOUD = 95.0  # percentile of the frames' levels that stands for "somebody talks"
LEVEL = -28.0  # dBFS that the loud frames are brought to
MOST = 40.0  # dB; more gain than this would only raise the noise of an empty channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How probabilities become spans. Times in seconds.

    Speech begins where the probability reaches ``begin`` and ends where it stays below ``end``
    for ``pause``; what is shorter than ``least`` is dropped, what is left is widened by ``pad``.
    """

    begin: float = 0.25
    end: float = 0.125
    pause: float = 0.5
    least: float = 0.1
    pad: float = 0.15


def blocks(sound: np.ndarray, frames: int = BLOCK) -> Iterator[np.ndarray]:
    """A signal (frames,), or the mean of several (channels, frames), in blocks of whole frames.

    The last block is filled up with zeros. Nothing but one block is held in memory.
    """
    size, length = frames * FRAME, sound.shape[-1]
    for start in range(0, length, size):
        part = np.asarray(sound[..., start : start + size], np.float32)
        if part.ndim == 2:
            part = part.mean(axis=0)
        short = -len(part) % FRAME
        yield np.pad(part, (0, short)) if short else part


def levels(sound: np.ndarray) -> np.ndarray:
    """Root mean square of every 512-sample frame, float32 (frames,)."""
    found = [np.sqrt(np.mean(np.square(part.reshape(-1, FRAME)), axis=1)) for part in blocks(sound)]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def gain(level: np.ndarray) -> float:
    """The factor that brings the loud frames of a signal to a fixed level; 1 for silence."""
    heard = level[level > 1e-5]  # digital silence, as between a stitched call's clips, says nothing
    if not len(heard):
        return 1.0
    loud = float(np.percentile(heard, LOUD))
    return min(10 ** (LEVEL / 20) / loud, 10 ** (MOST / 20))


def probabilities(
    sound: np.ndarray,
    *,
    factor: float | None = None,
    tell: Callable[[float], None] | None = None,
) -> np.ndarray:
    """How likely each 512-sample frame is speech, float32 (frames,).

    ``sound`` is (frames,), or (channels, frames) for the mix of all. ``factor`` replaces the
    measured gain. ``tell`` is told the fraction that is done.
    """
    from faster_whisper.vad import get_vad_model

    session = get_vad_model().session
    if factor is None:
        factor = gain(levels(sound))
    hidden = np.zeros((1, 1, 128), np.float32)
    cell = np.zeros((1, 1, 128), np.float32)
    context = np.zeros(CONTEXT, np.float32)
    found: list[np.ndarray] = []
    total = max(1, sound.shape[-1])
    for number, block in enumerate(blocks(sound), start=1):
        parts = np.clip(block * factor, -1.0, 1.0).astype(np.float32).reshape(-1, FRAME)
        before = np.vstack([context, parts[:-1, -CONTEXT:]])
        context = parts[-1, -CONTEXT:]
        output, hidden, cell = session.run(
            None, {"input": np.hstack([before, parts]), "h": hidden, "c": cell}
        )
        found.append(np.asarray(output, np.float32).reshape(-1))
        if tell is not None:
            tell(min(1.0, number * BLOCK * FRAME / total))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def spans(
    probability: np.ndarray, options: Options | None = None, *, duration: float | None = None
) -> tuple[Span, ...]:
    """Stretches of speech in order of time, not touching each other.

    ``duration`` is where the recording ends, for the last frame is filled up with zeros.
    """
    options = options or Options()
    limit = len(probability) * STEP if duration is None else duration
    found: list[tuple[float, float]] = []
    start: int | None = None
    last = 0  # the frame after the last one that was speech
    pause = max(1, round(options.pause / STEP))
    for index, value in enumerate(np.asarray(probability, np.float64).tolist()):
        if start is None:
            if value >= options.begin:
                start, last = index, index + 1
        elif value >= options.end:
            last = index + 1
        elif index - last + 1 >= pause:
            found.append((start * STEP, last * STEP))
            start = None
    if start is not None:
        found.append((start * STEP, last * STEP))
    wide: list[tuple[float, float]] = []
    for begin, end in found:
        if end - begin < options.least:
            continue
        begin, end = max(0.0, begin - options.pad), min(limit, end + options.pad)
        if wide and begin <= wide[-1][1]:
            wide[-1] = (wide[-1][0], end)
        elif end > begin:
            wide.append((begin, end))
    return tuple(Span(begin, end) for begin, end in wide)
