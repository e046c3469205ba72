"""Log-mel powers every 10 ms: the plain frame sequence that most networks read.

Frame t covers 25 ms from 10 t ms on (nothing is put before the turn or behind it): Hann window,
power spectrum of 400 points, triangles of equal area on Slaney's mel scale from 0 to 8 kHz
(``voices.filterbank``), natural logarithm of the power or of ``floor``, whichever is more. Neither
the level nor the recording's colour is taken away: ``speaker_norm`` does that, or the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo import voices
from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.features import _contract
from erc_demo.features._contract import SOUND, Utterance, speaker_norm
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "Logarithm of mel powers, 25 ms every 10 ms."
TERMS = ""
VERSION = "1"
LEAST = 1e-30  # of a floor, whose logarithm a float32 still holds


@dataclass(frozen=True, kw_only=True)
class Options:
    """How fine, and how deep."""

    bands: int = option(40, "mel bands from 0 to 8 kHz", (40, 64, 80))
    floor: float = option(1e-10, "least power, under the noise of 16-bit samples by default")
    speaker_norm: str = speaker_norm()


class Extractor(_contract.Extractor):
    """The log-mel powers of each frame that lies wholly inside the turn."""

    version = VERSION
    level = "frame"
    hears = frozenset({SOUND})
    step: float | None = voices.HOP / RATE
    reach: float | None = voices.WINDOW / RATE

    def __init__(self, options: Options, settings: Settings) -> None:
        """Keep the options; there is nothing to load."""
        if not LEAST <= options.floor < 1:
            raise UserError(
                f"logmel's floor is {options.floor:g}; {LEAST:g} or more, and less than 1, was "
                "wanted."
            )
        self._floor = options.floor
        self.width = options.bands
        self.columns = tuple(f"mel_{band}" for band in range(1, options.bands + 1))

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """(frames, bands) for each utterance."""
        return [self._of(one.heard) for one in utterances]

    def _of(self, sound: np.ndarray) -> np.ndarray:
        power = voices.mel_power(sound, edge=0, bands=self.width)
        return np.log(np.maximum(power, np.float32(self._floor)))
