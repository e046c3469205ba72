"""Eight numbers of prosody from Praat, the ones that LLM studies put into words.

As SpeechCueLLM (Wu et al. 2024, arxiv:2407.21315) made them for IEMOCAP and MELD, with Praat
through parselmouth:

    duration             seconds
    avg_intensity        mean of energy in dB (Praat's To Intensity: 100 Hz)
    intensity_variation  standard deviation of the frames' dB
    avg_pitch            mean of the voiced frames in Hz (To Pitch: 75 to 600 Hz)
    pitch_std            their standard deviation
    pitch_range          highest minus lowest
    articulation_rate    syllable nuclei a second of phonation
    mean_hnr             harmonics-to-noise ratio in dB, mean of the periodic frames

Syllable nuclei after de Jong and Wempe (2009, Behavior Research Methods 41, 385–390; thresholds of
their version 2, 2010): peaks of the intensity (50 Hz) less than 25 dB under its 99th percentile,
followed by a dip of more than 2 dB before the next such peak, voiced, and outside of pauses. A
pause is 0.3 s or longer, and phonation is the rest. The last peak has no next one and never
counts, as in their script. Peaks are found on the intensity's frames with a parabola through
three of them, where the script interpolates with a sinc, so a nucleus near
a threshold may fall to the other side. The other seven numbers are SpeechCueLLM's, but for what
digital silence does to the intensity's variation (below).

Some numbers are not defined for every turn: without a voiced frame the pitch's three, without a
periodic frame the ratio, in less than 0.13 s the articulation rate (the door puts 0 and says so; a
reader of stored numbers does the same). Without a nucleus the rate is 0. Intensity below 0 dB
counts as 0 dB: Praat gives digital silence -300 dB, which no microphone does, and which would drown
the variation. Intensity depends on the recording's gain.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.features import _contract
from erc_demo.features._contract import SOUND, Acoustic, Utterance
from erc_demo.settings import Settings

ABOUT = "Eight numbers of prosody: length, intensity, pitch, articulation rate, harmonicity."
TERMS = (
    "Needs praat-parselmouth, which is GPL-3: an extra for research, that no checkpoint of this "
    "program reads."
)
VERSION = "1"
Options = Acoustic

COLUMNS = (
    *("duration", "avg_intensity", "intensity_variation", "avg_pitch", "pitch_std"),
    *("pitch_range", "articulation_rate", "mean_hnr"),
)
LOW, HIGH = 75.0, 600.0  # Hz of the pitch
FLOOR = 50.0  # Hz, of the intensity that nuclei are found in; its windows last 6.4 periods
BELOW = 25.0  # dB under the loudest at which a peak is too soft
DIP = 2.0  # dB
PAUSE, SHORTEST = 0.3, 0.1  # seconds of a pause and of what lies between pauses


class Extractor(_contract.Extractor):
    """Eight numbers a turn."""

    level = "utterance"
    width = len(COLUMNS)
    hears = frozenset({SOUND})
    columns = COLUMNS

    def __init__(self, options: Options, settings: Settings) -> None:
        """Find Praat."""
        try:
            import parselmouth
        except ImportError as exc:
            raise UserError(
                "prosody8 needs Praat, which is not installed; "
                "pip install 'erc_demo[praat]' brings it (its licence is GPL-3)."
            ) from exc
        self._praat = parselmouth
        self.version = f"{VERSION}-praat{parselmouth.PRAAT_VERSION}"

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """(1, 8) for each utterance."""
        with warnings.catch_warnings():  # Praat's, of sounds without a pause to be found
            warnings.simplefilter("ignore", self._praat.PraatWarning)
            return [self._of(one.heard)[None] for one in utterances]

    def _of(self, samples: np.ndarray) -> np.ndarray:
        call = self._praat.praat.call
        sound = self._praat.Sound(samples.astype(np.float64), RATE)
        intensity = call(sound, "To Intensity", 100.0, 0.0, True)
        pitch = call(sound, "To Pitch", 0.0, LOW, HIGH)
        hertz = pitch.selected_array["frequency"]
        voiced = hertz[hertz > 0]
        harmonicity = call(sound, "To Harmonicity (cc)", 0.01, LOW, 0.1, 1.0)
        row = [
            len(samples) / RATE,
            max(call(intensity, "Get mean", 0.0, 0.0, "energy"), 0.0),
            np.maximum(intensity.values, 0.0).std(),
            *((voiced.mean(), voiced.std(), np.ptp(voiced)) if len(voiced) else (np.nan,) * 3),
            articulation_rate(sound, call),
            call(harmonicity, "Get mean", 0.0, 0.0),
        ]
        return np.array(row, np.float64).astype(np.float32)


def articulation_rate(sound: Any, call: Any) -> float:
    """Syllable nuclei a second of phonation."""
    if sound.duration < 6.4 / FLOOR:
        return float("nan")
    intensity = call(sound, "To Intensity", FLOOR, 0.0, True)
    times, values = intensity.xs(), intensity.values[0]
    loudest = call(intensity, "Get quantile", 0.0, 0.0, 0.99)
    least, most = (
        call(intensity, f"Get {end}", 0.0, 0.0, "Parabolic") for end in ("minimum", "maximum")
    )
    grid = call(
        intensity,
        *("To TextGrid (silences)", loudest - BELOW - most, PAUSE, SHORTEST, "silent", "sounding"),
    )
    spans = [
        tuple(call(grid, f"Get {edge} time of interval", 1, number) for edge in ("start", "end"))
        for number in range(1, call(grid, "Get number of intervals", 1) + 1)
        if call(grid, "Get label of interval", 1, number) == "sounding"
    ]
    moments = nuclei(times, values, max(loudest - BELOW, least))
    pitch = call(
        sound, "To Pitch (ac)", 0.02, 30.0, 4, False, 0.03, 0.25, 0.01, 0.35, 0.25, 450.0
    )  # as published: very willing to call a frame voiced
    voiced = [
        moment
        for moment in moments
        if any(start <= moment < end for start, end in spans)
        and np.isfinite(pitch.get_value_at_time(moment))
    ]
    spoken = sum(end - start for start, end in spans)
    return len(voiced) / spoken if spoken > 0 else 0.0


def nuclei(times: np.ndarray, values: np.ndarray, threshold: float) -> list[float]:
    """Moments of the peaks above the threshold that a dip follows before the next such peak."""
    at = 1 + np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] >= values[2:]))
    before, here, after = values[at - 1], values[at], values[at + 1]
    bend = before - 2 * here + after  # below 0 at a peak
    shift = 0.5 * (before - after) / bend
    height = here - 0.25 * (before - after) * shift
    moment = times[at] + shift * (times[1] - times[0] if len(times) > 1 else 0.0)
    loud = np.flatnonzero(height > threshold)
    return [
        float(moment[one])
        for one, following in zip(loud[:-1], loud[1:], strict=True)
        if height[one] - values[at[one] : at[following] + 1].min() > DIP
    ]
