"""A vector for every word, whatever stands around it.

``vectors`` names a text file of the user's own: fastText's ``.vec`` (Bojanowski et al., TACL 2017)
or GloVe's ``.txt`` (Pennington et al., EMNLP 2014), 300 numbers a word as a rule. A word is looked
up as it is written, then in small letters, then without what is no letter or digit at its ends.
One that the file has in none of these spellings has the mean of all the file's rows, which is what
GloVe's authors advise for unknown words; fastText's sub-words are not in a ``.vec`` file. The
first use of a file indexes it (``_vectors``): about a minute and half the file's size on disk for
a million words. When it changes while the program runs, the next call finds its new rows and the
new version.

Without a file the rows are **no fastText or GloVe vectors**: they are the context-free embeddings
that MiniLM's network takes in, 384 numbers for each of its 30522 word pieces, averaged over the
word's pieces. They were trained to be read by that network, and tell words less well apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from erc_demo.features import _contract
from erc_demo.features._contract import WORDS, Utterance
from erc_demo.features._encoders import MINILM, checked, find
from erc_demo.features._subwords import Subwords
from erc_demo.features._vectors import Vectors
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = (
    "A vector for each word without context: from a fastText or GloVe file that you name, else "
    "MiniLM's word-piece embeddings, which are neither."
)
TERMS = ""
VERSION = "1"
TABLE = "embeddings.word_embeddings.weight"  # float32 (30522, 384) in MiniLM's weights
ENDS = re.compile(r"^[\W_]+|[\W_]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Whose vectors."""

    vectors: str = option(
        "", "a fastText .vec or GloVe .txt file; empty: MiniLM's word-piece embeddings"
    )


class Extractor(_contract.Extractor):
    """Context-free word vectors."""

    level = "word"
    hears = frozenset({WORDS})

    def __init__(self, options: Options, settings: Settings) -> None:
        """Open the file's index, made on first use, or the embedded table."""
        self._vectors, self._settings = options.vectors, settings
        self._now()

    def _now(self) -> _File | _Pieces:
        changed = None
        if self._vectors:
            with suppress(OSError):  # whoever opens it says so
                facts = Path(self._vectors).expanduser().stat()
                changed = facts.st_size, facts.st_mtime_ns
        return _opened(self._vectors, changed, self._settings)

    @property
    def version(self) -> str:  # type: ignore[override]  # follows the file
        """With the fingerprint of the vectors as they are now."""
        return f"{VERSION}-{self._now().fingerprint}"

    @property
    def width(self) -> int:  # type: ignore[override]
        """Of the vectors as they are now."""
        return len(self._now().mean)

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """A row for each word of each turn."""
        table = self._now()

        def row(word: str) -> np.ndarray:
            found = table.find(word)
            return table.mean if found is None else found

        return [np.stack([row(word) for word in one.words]) for one in utterances]

    def odd(self, utterance: Utterance, rows: np.ndarray) -> list[str]:
        """Whether some words have the mean of all for want of their own."""
        table = self._now()
        unknown = any(table.find(word) is None for word in utterance.words)
        return ["unknown words"] if unknown else []


class _File:
    """Rows of a text file."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors, self.mean = vectors, vectors.mean
        self.fingerprint = vectors.sha256[:12]
        self.find = lru_cache(maxsize=20_000)(self._find)

    def _find(self, word: str) -> np.ndarray | None:
        bare = ENDS.sub("", word)
        spellings = dict.fromkeys([word, word.lower(), bare, bare.lower()])
        return self._vectors.find([one for one in spellings if one])


class _Pieces:
    """Means of MiniLM's word-piece embeddings; none where a word has no piece."""

    def __init__(self, settings: Settings) -> None:
        from safetensors import safe_open

        folder = find(MINILM, settings, kind=WORDS)
        (file,), fingerprint = checked(folder, MINILM)
        with safe_open(file, framework="np") as opened:
            self._table: np.ndarray = opened.get_tensor(TABLE)
        self._subwords = Subwords(folder, MINILM)
        self.mean: np.ndarray = self._table.mean(axis=0)
        self.fingerprint = f"{fingerprint}-{self._subwords.fingerprint}"
        self.find = lru_cache(maxsize=20_000)(self._find)

    def _find(self, word: str) -> np.ndarray | None:
        ids = self._subwords.cut(word).ids
        return np.asarray(self._table[ids].mean(axis=0)) if len(ids) else None


@lru_cache(maxsize=8)
def _opened(vectors: str, changed: tuple[int, int] | None, settings: Settings) -> _File | _Pieces:
    return _File(Vectors(Path(vectors), settings.data)) if vectors else _Pieces(settings)
