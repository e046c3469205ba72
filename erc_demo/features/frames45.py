"""frames45: 15 descriptors of the Emobase 2010 set with Δ and ΔΔ, averaged over five frames.

iaan (S.-L. Yeh, Y.-S. Lin, C.-C. Lee, "An interaction-aware attention network for speech emotion
recognition in spoken dialogs", ICASSP 2019) reads "a total of 45 dimensional frame-level acoustic
features ... based on Emobase 2010 Config", MFCCs and pitch among them, and does not list them. The
configuration (IS10) has 38 descriptors. Ours are the 15 of classic speech recognition, three times:

    loudness, MFCC 1–12, F0 envelope, probability of voicing  ×  (static, Δ, ΔΔ)

MFCC 0 is an energy and stands for the gain; loudness is here already. Of IS10's two pitches it is
the envelope, which holds its last value where nothing is voiced (0 before the first voiced frame):
the other falls to 0 there and its Δ would be a second voicing. All are smoothed over three frames
by openSMILE and equal its own; Δ is its regression over two frames to each side,

    Δ_t = Σ_{i=1,2} i (x_{t+i} − x_{t−i}) / 10,   ends repeated,

which IS10 itself has for the first Δ (equal to ours but for float32's last digits), and ΔΔ is Δ of
Δ. What IS10 computes beside these (line spectra, jitter, functionals) is left out of the program
and costs nothing.

A frame begins every 10 ms, the cepstrum and loudness look at 25 ms from there, pitch at 60 ms; the
number of frames is that of the longest. A row is the mean of five: a step of 0.05 s that covers
0.1 s (smoothing and Δ look 10 ms and up to 40 ms further). A last group of fewer is averaged over
what there is, so that 0.1 s, the shortest, has one row. The paper normalises per speaker before it
averages (``speaker_norm=upload`` here, of one dialogue); the door normalises the averages: the
centre is the same (but for the last group's weight) and the scale, which a first linear layer
undoes, is that of the averages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erc_demo.features import _contract
from erc_demo.features._contract import SOUND, Acoustic, Utterance
from erc_demo.features._opensmile import (
    RELEASE,
    TERMS,
    Program,
    edited,
    ring_buffers,
    without,
)
from erc_demo.settings import Settings

__all__ = ["ABOUT", "TERMS", "Extractor", "Options"]

ABOUT = "Loudness, MFCC, pitch and voicing with Δ and ΔΔ every 50 ms: 45 (openSMILE, IS10)."
VERSION = "1"
Options = Acoustic

FRAME_STEP, LONGEST_FRAME = 0.01, 0.06  # seconds
TOGETHER = 5  # frames of a row
STATIC = (
    "pcm_loudness_sma",
    *(f"mfcc_sma[{number}]" for number in range(1, 13)),
    "F0finEnv_sma",
    "voicingFinalUnclipped_sma",
)


class Extractor(_contract.Extractor):
    """A row of 45 numbers every 0.05 s."""

    version = f"{VERSION}-{RELEASE}"
    level = "frame"
    hears = frozenset({SOUND})
    step = TOGETHER * FRAME_STEP
    reach = (TOGETHER - 1) * FRAME_STEP + LONGEST_FRAME

    def __init__(self, options: Options, settings: Settings) -> None:
        self._program = Program("is09-13/IS10_paraling_compat", "lld", _lean)
        self._places = [self._program.names.index(name) for name in STATIC]
        self.columns = tuple(name + order for order in ("", "_de", "_de_de") for name in STATIC)
        self.width = len(self.columns)

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """Rows of each utterance, at least one."""
        return [averaged(self.frames(one.heard), TOGETHER) for one in utterances]

    def frames(self, sound: np.ndarray) -> np.ndarray:
        """The 45 descriptors every 10 ms, float64 (frames, 45)."""
        static = self._program.rows(sound)[:, self._places].astype(np.float64)
        first = delta(static)
        return np.concatenate([static, first, delta(first)], axis=1)


def delta(frames: np.ndarray, reach: int = 2) -> np.ndarray:
    """Slope of each column's regression line over ``reach`` frames to each side."""
    padded = np.pad(frames, ((reach, reach), (0, 0)), mode="edge")
    count = len(frames)
    sums = sum(
        shift * (padded[reach + shift :][:count] - padded[reach - shift :][:count])
        for shift in range(1, reach + 1)
    )
    return np.asarray(sums) / (2 * sum(shift**2 for shift in range(1, reach + 1)))


def averaged(frames: np.ndarray, count: int) -> np.ndarray:
    """Means of so many frames in turn, the last of what is left; float32."""
    starts = np.arange(0, len(frames), count)
    sizes = np.diff(starts, append=len(frames))
    return (np.add.reduceat(frames, starts, axis=0) / sizes[:, None]).astype(np.float32)


def _lean(text: str) -> str:
    """IS10 without what our 15 descriptors do not need: half of its time."""
    text = without(
        ring_buffers(text),
        *("res", "lpc", "lsp", "mspec2", "vo", "pitchSmooth2", "pitchJitter", "lld2"),
        *("delta1", "delta2", "functL1", "functL1nz", "functOnsets"),
    )
    text = edited(text, "intens;mfcc;mspec2log;lsp;pitch$", "intens;mfcc;pitch")
    return edited(text, "^reader.dmLevel = lld1;lld2$", "reader.dmLevel = lld1")
