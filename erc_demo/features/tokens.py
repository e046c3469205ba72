"""Token numbers for a system that tunes its own text encoder: the turn, then its speaker's past.

    [CLS] utterance [SEP] indi-context [SEP]
    segment 0 0 … 0   0   1 …            1

after Mao et al., "DialogueTRM" (Findings of EMNLP 2021), Eq. 1: the indi-context of turn i is
what its own speaker said in the K turns before it (K = ``context``, 14 in the paper), oldest
first, joined by blanks. Without any there is ``[CLS] utterance [SEP]``. The special tokens are
the tokenizer's own, so RoBERTa has two between the parts; its encoder knows one segment only, and
a system that tunes it leaves the column away.

Too long for the encoder: the context loses its oldest tokens first. An utterance that is too long
alone keeps its first tokens, as every encoder's own cutting does, and has no context; the remark
'cut' says so, and the words that were cut off do not appear in the column ``word``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erc_demo.errors import UserError
from erc_demo.features import _contract
from erc_demo.features._contract import WORDS, Utterance
from erc_demo.features._encoders import MINILM, find
from erc_demo.features._subwords import Subwords, owners
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "Token numbers, segments and words, for a system that tunes its own text encoder."
TERMS = ""
VERSION = "1"
FEWEST = 8  # tokens that are an input worth the name, special ones counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which tokenizer, and how much of the past."""

    encoder: str = option(MINILM, "minilm (embedded), or a text encoder's folder or Hub name")
    context: int = option(0, "how many earlier turns to look through for the same speaker's words")
    most: int = option(0, "most tokens, special ones counted; 0: as many as the encoder reads")


class Extractor(_contract.Extractor):
    """Token, segment and word of each place in the encoder's input."""

    level = "token"
    width = 3
    hears = frozenset({WORDS})
    columns = ("id", "segment", "word")

    def __init__(self, options: Options, settings: Settings) -> None:
        """Read the tokenizer; no weight is needed."""
        folder = find(options.encoder, settings, kind=WORDS, weights=False)
        self._subwords = Subwords(folder, options.encoder)
        limit = self._subwords.most
        if options.context < 0:
            raise UserError(f"The context of tokens is {options.context}; 0 or more was wanted.")
        if options.most and not FEWEST <= options.most <= limit:
            raise UserError(
                f"The most of tokens is {options.most}; the encoder {options.encoder} reads up to "
                f"{limit}, so {FEWEST} to {limit} was wanted, or 0 for as many as it reads."
            )
        self.context = options.context
        self._most = options.most or limit
        self._room = self._most - len(self._subwords.before) - len(self._subwords.after)
        self.version = f"{VERSION}-{self._subwords.fingerprint}-{self._most}"

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """(tokens, 3) for each turn: id, segment, and the word's index or -1."""
        return [self._one(utterance) for utterance in utterances]

    def odd(self, utterance: Utterance, rows: np.ndarray) -> list[str]:
        """Whether words were cut off."""
        pieces = self._subwords.cut(" ".join(utterance.words)).ids
        return ["cut"] if len(pieces) > self._room else []

    def _one(self, utterance: Utterance) -> np.ndarray:
        subwords, words = self._subwords, utterance.words
        pieces = subwords.cut(" ".join(words))
        own = pieces.ids[: self._room]
        past = self._past(utterance)
        special = [*subwords.before, *subwords.between, *subwords.end_of_two]
        past = past[max(0, len(past) + len(special) + len(own) - self._most) :]
        first = [*subwords.before, *own, *(subwords.between[:1] if len(past) else subwords.after)]
        second = [*subwords.between[1:], *past, *subwords.end_of_two] if len(past) else []
        rows = np.full((len(first) + len(second), 3), -1, np.int32)
        rows[:, 0] = first + second
        rows[:, 1] = [0] * len(first) + [1] * len(second)
        begin = len(subwords.before)
        rows[begin : begin + len(own), 2] = owners(pieces.spans, words)[: len(own)]
        return rows

    def _past(self, utterance: Utterance) -> np.ndarray:
        """Tokens of what the same speaker said in the turns before."""
        before = utterance.before[-self.context :] if self.context else ()
        said = [text for speaker, text in before if speaker == utterance.turn.speaker]
        return self._subwords.cut(" ".join(said)).ids
