"""Numbers that a corpus brings with it, and that no recording gives.

``given:name=signal8,width=8`` stands for the file ``signal8.npz`` of a corpus (the trainer reads
it). A recording that is uploaded has none: every turn is absent, and says so. What is to be served
on uploads must not read them; they are for asking what numbers are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.features import _contract
from erc_demo.features._contract import Utterance, speaker_norm
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "Numbers that a corpus brings with it; a recording has none."
TERMS = ""
VERSION = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which numbers, and how many."""

    name: str = option("numbers", "what the corpus calls them: the name of their file")
    width: int = option(1, "how many for each utterance", least=1)
    speaker_norm: str = speaker_norm()


class Extractor(_contract.Extractor):
    """A row that is never made."""

    version = VERSION
    level = "utterance"
    hears = frozenset({_contract.CORPUS})

    def __init__(self, options: Options, settings: Settings) -> None:
        """Only the width is known."""
        self.width = options.width

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """Of none, since no turn of a recording has them."""
        if utterances:
            raise ValueError("numbers of a corpus were asked of a recording")
        return []
