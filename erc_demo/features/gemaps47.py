"""gemaps47: mean and deviation of eGeMAPS's descriptors, and the share of silence.

    23 means and 23 standard deviations (n - 1 below) over all frames of openSMILE's eGeMAPSv01a
    descriptors, unvoiced frames counted as the zeros that openSMILE writes;
    silence = share of frames whose RMS is at most 0.3 of the mean RMS, of the sound + 0.0001,
    frames of 2048 samples every 512 around their centres, mirrored at the ends.

This is what the public numbers of IEMOCAP and MSP-IMPROV hold: B. T. Atmaja, M. Akagi, "Deep
multilayer perceptrons for dimensional speech emotion recognition", EUSIPCO 2020, whose code takes
the RMS from librosa. That code and its files are of 2020; librosa padded by reflection then, and
pads by zeros since 0.9.0 of 2022. We mirror; where an end is not silent the two can differ by a
frame or two. IEMOCAP's ratios were taken at 16 kHz, as here; that code reads other corpora at
librosa's 22.05 kHz, whose frames are shorter.

Versions 01b and 02 of the set have other formants, jitter and shimmer: the version must stay.
Level matters: loudness, spectral flux and slopes follow the gain, which differs between recordings,
so a system wants ``speaker_norm=both`` or sound of a known level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erc_demo.features import _contract
from erc_demo.features._contract import SOUND, Acoustic, Utterance
from erc_demo.features._opensmile import RELEASE, TERMS, Program, edited
from erc_demo.settings import Settings

__all__ = ["ABOUT", "TERMS", "Extractor", "Options"]

ABOUT = "Mean and deviation of 23 eGeMAPS descriptors and the share of silence: 47 (openSMILE)."
VERSION = "1"
Options = Acoustic

FRAME, HOP = 2048, 512  # samples, of the silence
QUIET = 0.3  # of the mean RMS
OFFSET = 1e-4  # added to the sound, so that digital silence is not below itself


class Extractor(_contract.Extractor):
    """One row of 47 numbers for each utterance."""

    version = f"{VERSION}-{RELEASE}"
    level = "utterance"
    hears = frozenset({SOUND})

    def __init__(self, options: Options, settings: Settings) -> None:
        self._program = Program("egemaps/v01a/eGeMAPSv01a", "lld", _lean)
        names = [name.partition("_sma3")[0] for name in self._program.names]
        names[0] = names[0].lower()  # Loudness, as the public files write it
        self.columns = (
            *(f"{name}_mean" for name in names),
            *(f"{name}_std" for name in names),
            "silence_ratio",
        )
        self.width = len(self.columns)

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """One row for each utterance."""
        return [self._row(one.heard) for one in utterances]

    def _row(self, sound: np.ndarray) -> np.ndarray:
        frames = self._program.rows(sound).astype(np.float64)
        spread = frames.std(axis=0, ddof=1) if len(frames) > 1 else np.zeros(frames.shape[1])
        row = np.concatenate([frames.mean(axis=0), spread, [silence(sound)]])
        return row.astype(np.float32)[None]


def silence(sound: np.ndarray) -> float:
    """Share of frames that are quiet beside the mean."""
    padded = np.pad(sound + np.float32(OFFSET), FRAME // 2, mode="reflect")
    frames, hops = 1 + len(sound) // HOP, FRAME // HOP  # a frame is four hops long
    parts = padded[: (frames + hops - 1) * HOP].reshape(-1, HOP)
    energy = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
    rms = np.sqrt(np.convolve(energy, np.ones(hops), mode="valid") / FRAME)
    return float(np.mean(rms <= QUIET * rms.mean()))


def _lean(text: str) -> str:
    """The set without the functionals that it would compute beside its descriptors."""
    return edited(text, r"^\\\{\S+_core\.func\.conf\.inc\}$", "")
