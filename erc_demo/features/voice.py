"""A speaker vector of each turn: who speaks, and much of how.

``encoder = ge2e`` is the embedded GE2E encoder (``voices.GE2E``; Wan et al. 2018), with the
windows of Resemblyzer, as IEMOCAP's stored vectors were made: volume raised to -30 dBFS, long
silences trimmed, windows of 1.6 s half overlapping, their mean brought to unit length. Any
speechbrain ECAPA-TDNN (Desplanques et al. 2020) or x-vector (Snyder et al. 2018) can be named
instead, a folder or a Hub name; it reads turns of more than 10 s in equal parts of at most 10 s,
whose mean is brought to unit length.

Each turn is embedded by itself, so that no vector depends on the others. The vectors say more
than who: GE2E's alone tell IEMOCAP's four emotions apart at 57 % unweighted accuracy, so a system
that uses them as an identity needs a control (each turn's vector against its speaker's mean).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo import voices
from erc_demo.features import _contract
from erc_demo.features._contract import SOUND, Utterance, speaker_norm
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "A vector of the voice: GE2E, or an ECAPA or x-vector by name."
TERMS = ""
VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which encoder."""

    encoder: str = option("ge2e", "ge2e, or a folder or Hub name of a speechbrain model")
    speaker_norm: str = speaker_norm()


class Extractor(_contract.Extractor):
    """One vector of unit length a turn."""

    level = "utterance"
    hears = frozenset({SOUND})
    neural = True

    def __init__(self, options: Options, settings: Settings) -> None:
        """Load the encoder."""
        self._encoder = voices.load(options.encoder, settings)
        self.width = self._encoder.width
        self.version = f"{VERSION}-{self._encoder.name}-{self._encoder.version}"

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """(1, width) for each utterance."""
        return [self._encoder.embed(one.heard)[None] for one in utterances]
