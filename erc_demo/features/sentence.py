"""One vector for what a turn says: the mean of a text encoder's states over its tokens.

As sentence-transformers makes it (Reimers and Gurevych, "Sentence-BERT", EMNLP 2019): the mean of
one layer's states over all tokens, [CLS] and [SEP] among them, then, for MiniLM as its authors
use it, a division by the vector's length. That program cuts a text after 256 tokens; here nothing
is cut: a longer text is read in overlapping windows and the mean runs over the tokens of all
(``_subwords``). MiniLM, six layers of 384 numbers, is embedded; any text encoder of transformers
serves by its folder or Hub name. Whether an encoder was made for means is the user's to know.

With MiniLM 100 turns of ten words take half a second of one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.features import _contract
from erc_demo.features._contract import WORDS, Utterance
from erc_demo.features._encoders import MINILM
from erc_demo.features._subwords import Pool, Reader
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "One vector for the turn's text: the mean of a text encoder's token states (MiniLM)."
TERMS = ""
VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which encoder, and what of it."""

    encoder: str = option(MINILM, "minilm (embedded), or a text encoder's folder or Hub name")
    layer: int = option(-1, "which layer's states: 0 what it takes in, 1 the first, -1 the last")
    unit: str = option(
        "auto",
        "divide by the vector's length: yes, no, or auto (minilm only)",
        ("auto", "yes", "no"),
    )


class Extractor(_contract.Extractor):
    """Mean-pooled sentence vectors."""

    level = "utterance"
    hears = frozenset({WORDS})
    neural = True

    def __init__(self, options: Options, settings: Settings) -> None:
        """Load the encoder."""
        self._reader = Reader(options.encoder, options.layer, settings)
        auto = options.encoder == MINILM
        self._unit = auto if options.unit == "auto" else options.unit == "yes"
        self.width = self._reader.width
        self.version = f"{VERSION}-{self._reader.fingerprint}"

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """One row for each turn."""
        pools = []
        for one in utterances:
            ids = self._reader.subwords.cut(" ".join(one.words)).ids
            pools.append(Pool(ids, np.zeros(len(ids), np.int64), special=0, rows=1))
        found = []
        for sums, counts in self._reader.sums(pools):
            mean = sums / np.maximum(counts, 1)[:, None]
            if self._unit:
                mean /= max(float(np.linalg.norm(mean)), 1e-12)
            found.append(mean.astype(np.float32))
        return found
