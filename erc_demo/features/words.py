"""A vector for every word in its context: a text encoder's states, sub-words averaged to words.

The turn's words, the recogniser's where there are such, are read as one text; the states of the
pieces that a word was cut into are averaged, so that rows match words and their times. Special
tokens belong to no word. A long turn is read in overlapping windows, so that a word far from the
turn's ends has at least an eighth of a window (64 tokens of BERT's 512) on either side.

Every word has a row. One that the tokenizer does not know has the state of its unknown token, as
the encoder was trained; one that it drops (a lone joiner, a control character) has the mean of
the turn's other words, or in a turn of nothing else the mean of the special tokens' states.

With MiniLM 100 turns of ten words take half a second of one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.features import _contract
from erc_demo.features._contract import WORDS, Utterance
from erc_demo.features._encoders import MINILM
from erc_demo.features._subwords import Pool, Reader, owners
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "A vector for each word in its context, from a text encoder (MiniLM)."
TERMS = ""
VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which encoder, and what of it."""

    encoder: str = option(MINILM, "minilm (embedded), or a text encoder's folder or Hub name")
    layer: int = option(-1, "which layer's states: 0 what it takes in, 1 the first, -1 the last")


class Extractor(_contract.Extractor):
    """Contextual word vectors."""

    level = "word"
    hears = frozenset({WORDS})
    neural = True

    def __init__(self, options: Options, settings: Settings) -> None:
        """Load the encoder."""
        self._reader = Reader(options.encoder, options.layer, settings)
        self.width = self._reader.width
        self.version = f"{VERSION}-{self._reader.fingerprint}"

    def odd(self, utterance: Utterance, rows: np.ndarray) -> list[str]:
        """Whether the tokenizer dropped some words, which have the mean of the others."""
        words = utterance.words
        into = owners(self._reader.subwords.cut(" ".join(words)).spans, words)
        return ["unknown words"] if len(set(into[into >= 0])) < len(words) else []

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """A row for each word of each turn."""
        pools = []
        for one in utterances:
            words = one.words
            pieces = self._reader.subwords.cut(" ".join(words))
            into = owners(pieces.spans, words)
            pools.append(Pool(pieces.ids, into, special=len(words), rows=len(words) + 1))
        return [_filled(sums, counts) for sums, counts in self._reader.sums(pools)]


def _filled(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means of the words, with something for those without a piece; the last row is special."""
    own, special = counts[:-1].sum(), counts[-1]
    rest = sums[:-1].sum(axis=0) / own if own else sums[-1] / max(special, 1)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], rest)
    return means[:-1].astype(np.float32)
