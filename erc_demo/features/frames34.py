"""The 34 short-term features of pyAudioAnalysis, 20 ms every 10 ms (Giannakopoulos 2015).

T. Giannakopoulos, pyAudioAnalysis, PLoS ONE 10(12), doi:10.1371/journal.pone.0144610; the inputs
of word_alignment. With x the N = 320 samples of a frame, X_k = |DFT(x)_k| / K for the K = 160 bins
below 8 kHz (no window), E = Σ X_k² and ε the smallest step of a double:

    zcr               Σ |sign x_n − sign x_{n−1}| / 2(N − 1)
    energy            Σ x_n² / N
    energy_entropy    −Σ_j e_j log2(e_j + ε), e_j the share of energy in each of 10 parts of 2 ms
    spectral_centroid c = Σ f_k X_k / Σ X_k, with f_k = (k + 1) / K, so 1 is 8 kHz
    spectral_spread   √(Σ (f_k − c)² X_k / Σ X_k)
    spectral_entropy  the same entropy over 10 bands of 16 bins, of X²
    spectral_flux     Σ (X_k / ΣX − X'_k / ΣX')², X' the frame before; 0 for the first frame
    spectral_rolloff  k / K, where k is the first bin up to which lies more than 0.9 E
    mfcc_1 … 13       the first 13 of an orthonormal DCT-II of log10(ε + B X), B of 40 triangles of
                      equal area: 13 edges of 200/3 Hz from 133.33 Hz, then a factor 1.0711703 each
    chroma_1 … 12     energy of each semitone class from A (27.5 Hz) on, divided by E
    chroma_std        standard deviation of the twelve

A turn is normalised as the program normalises a file: its mean is taken away and its peak is
brought to 1. So these numbers do not know how loud a turn was, only how loud a frame is beside
the turn's loudest moment; speech behind a single click looks soft.

``variant = program`` equals pyAudioAnalysis 0.3.14 with its slips, for these are the numbers that
papers read: (1) B takes bin k for 100 k Hz where it is 50 k Hz, so the triangles lie at half their
frequencies, from 67 to 3,430 Hz; (2) for chroma it takes bin k for 50 (k + 1) Hz; (3) of the bins
that round to semitone s only the last counts, and its power is divided by the number of bins that
share a semitone with *bin number* s, an index taken for a semitone. ``variant = defined`` puts
the triangles where they belong and takes each class's mean energy over its bins (without the one at
0 Hz). Bins of 50 Hz tell semitones apart above 900 Hz only, in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.dialogue import RATE
from erc_demo.features import _contract
from erc_demo.features._contract import SOUND, Utterance, speaker_norm
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = (
    "34 short-term features (rate of zero crossings, energy, spectrum, MFCC, chroma) every 10 ms."
)
TERMS = ""
VERSION = "1"

WINDOW, HOP = RATE // 50, RATE // 100  # samples
BINS = WINDOW // 2
PARTS = 10  # of a frame or a spectrum, whose entropy is taken
ROLLOFF = 0.9  # share of the energy
EPS = float(np.finfo(np.float64).eps)
BLOCK = 4096  # frames at once: 10 MB of samples
CHROMA = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
COLUMNS = (
    *("zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread"),
    *("spectral_entropy", "spectral_flux", "spectral_rolloff"),
    *(f"mfcc_{number}" for number in range(1, 14)),
    *(f"chroma_{name}" for name in CHROMA),
    "chroma_std",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which reading of MFCC and chroma."""

    variant: str = option(
        "program",
        "program (equal to pyAudioAnalysis 0.3.14, slips included) or defined (slips mended)",
        ("program", "defined"),
    )
    speaker_norm: str = speaker_norm()


class Extractor(_contract.Extractor):
    """The features of each frame that lies wholly inside the turn."""

    version = VERSION
    level = "frame"
    width = len(COLUMNS)
    hears = frozenset({SOUND})
    columns = COLUMNS
    step: float | None = HOP / RATE
    reach: float | None = WINDOW / RATE

    def __init__(self, options: Options, settings: Settings) -> None:
        """Build the two matrices."""
        program = options.variant == "program"
        self._triangles = triangles(2 if program else 1).T  # (bins, 40)
        self._classes = semitones_of_the_program() if program else semitones()  # (bins, 12)
        self._cosines = cosines(40, 13)  # (40, 13)

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """(frames, 34) for each utterance."""
        return [self._of(one.heard) for one in utterances]

    def _of(self, sound: np.ndarray) -> np.ndarray:
        mean = float(sound.mean(dtype=np.float64))
        peak = max(float(sound.max()) - mean, mean - float(sound.min())) + 1e-10
        count = (len(sound) - WINDOW) // HOP + 1
        found = np.empty((count, self.width), np.float32)
        before: np.ndarray | None = None  # the last spectrum of the block before
        for start in range(0, count, BLOCK):
            stop = min(count, start + BLOCK)
            piece = sound[start * HOP : (stop - 1) * HOP + WINDOW].astype(np.float64)
            piece = (piece - mean) / peak
            frames = np.lib.stride_tricks.sliding_window_view(piece, WINDOW)[::HOP]
            spectra = np.abs(np.fft.rfft(frames, axis=1))[:, :BINS] / BINS
            found[start:stop, :3] = in_time(frames)
            found[start:stop, 3:8] = in_frequency(spectra, before)
            bands = np.log10(spectra @ self._triangles + EPS)
            found[start:stop, 8:21] = bands @ self._cosines
            power = np.square(spectra)
            energy = power.sum(axis=1, keepdims=True)
            chroma = power @ self._classes / np.where(energy > 0, energy, EPS)
            found[start:stop, 21:33] = chroma
            found[start:stop, 33] = chroma.std(axis=1)
            before = spectra[-1]
        return found


def in_time(frames: np.ndarray) -> np.ndarray:
    """Zero crossings, energy and its entropy of frames (frames, samples)."""
    crossings = np.abs(np.diff(np.sign(frames), axis=1)).sum(axis=1) / 2 / (frames.shape[1] - 1)
    power = np.square(frames)
    return np.stack([crossings, power.mean(axis=1), entropy(power)], axis=1)


def in_frequency(spectra: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """Centroid, spread, entropy, flux and roll-off of spectra (frames, bins).

    ``before`` is the spectrum of the frame before the first one, if there is one.
    """
    bins = spectra.shape[1]
    place = np.arange(1, bins + 1) / bins
    top = spectra.max(axis=1, keepdims=True)
    share = spectra / np.where(top > 0, top, EPS)
    total = share.sum(axis=1) + EPS
    centroid = share @ place / total
    away = np.square(place - centroid[:, None])
    spread = np.sqrt((away * share).sum(axis=1) / total)
    shape = spectra / (spectra + EPS).sum(axis=1, keepdims=True)
    first = shape[0] if before is None else before / (before + EPS).sum()
    flux = np.square(np.diff(shape, axis=0, prepend=first[None])).sum(axis=1)
    power = np.square(spectra)
    reached = np.cumsum(power, axis=1) + EPS > ROLLOFF * power.sum(axis=1, keepdims=True)
    rolloff = reached.argmax(axis=1) / bins
    return np.stack([centroid, spread, entropy(power), flux, rolloff], axis=1)


def entropy(power: np.ndarray) -> np.ndarray:
    """Entropy in bits of how the energy of each row is spread over its 10 parts; 0 to log2 10."""
    length = power.shape[1] // PARTS
    parts = power[:, : length * PARTS].reshape(len(power), PARTS, length).sum(axis=2)
    share = parts / (power.sum(axis=1, keepdims=True) + EPS)
    found: np.ndarray = -(share * np.log2(share + EPS)).sum(axis=1)
    return found


def triangles(stretch: int) -> np.ndarray:
    """The 40 triangles over the bins, (40, bins), a bin taken for ``stretch`` times its hertz."""
    linear = 133.33 + 200 / 3 * np.arange(13)
    edges = np.concatenate([linear, linear[-1] * 1.0711703 ** np.arange(1, 30)])
    low, top, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = stretch * np.arange(BINS) * RATE / WINDOW
    rising, falling = (hertz - low) / (top - low), (high - hertz) / (high - top)
    found: np.ndarray = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return found


def cosines(bands: int, kept: int) -> np.ndarray:
    """The first rows of an orthonormal DCT-II, (bands, kept)."""
    angle = np.pi * (np.arange(bands)[:, None] + 0.5) * np.arange(kept) / bands
    scale = np.sqrt(np.where(np.arange(kept) == 0, 1, 2) / bands)
    return np.asarray(np.cos(angle) * scale)


def semitones() -> np.ndarray:
    """What takes power to the mean of each class's bins, (bins, 12)."""
    number = semitone(np.arange(1, BINS) * RATE / WINDOW)
    member = np.zeros((BINS, 12))
    member[np.arange(1, BINS), number % 12] = 1
    return member / member.sum(axis=0)


def semitones_of_the_program() -> np.ndarray:
    """The same as pyAudioAnalysis computes it, its slips included."""
    number = semitone(np.arange(1, BINS + 1) * RATE / WINDOW)  # of each bin, one bin too high
    sharing = np.array([np.sum(number == one) for one in number])  # bins in this bin's semitone
    found = np.zeros((BINS, 12))
    for one in np.unique(number):
        last = np.flatnonzero(number == one)[-1]
        found[last, one % 12] = 1 / sharing[number[one]]
    return found


def semitone(hertz: np.ndarray) -> np.ndarray:
    """The nearest semitone above A0, 27.5 Hz."""
    return np.round(12 * np.log2(hertz / 27.5)).astype(int)
