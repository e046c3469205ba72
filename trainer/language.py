"""The language model of spoken dialogue that the embedded recogniser reads: text in, ARPA out.

    python -m trainer language TEXTS… --out assets/language/dialogue.arpa
    python -m trainer language --bands CLIPS… --out assets/language/bands.json

The second is no language: it is the mapping that widens telephone sound (``words.narrow``). Which
smoothing the first uses stands in ``erc_demo.words.ngram``. Words outside the recogniser's
dictionary count as unknown. The unigrams are mixed with those of the general model that
pocketsphinx ships, so that a word which these texts happen not to hold can still be heard.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from erc_demo import recording
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words import narrow, ngram, sphinx
from erc_demo.words.spelling import spoken

LEAST = (1, 1, 2)  # an n-gram seen less often is left out, by order
GENERAL = 0.1  # weight of the general model's unigrams
LONGEST = 30  # words of one sentence; longer ones are lists and songs, and are cut


def build(
    texts: Sequence[Path],
    out: Path,
    *,
    least: Sequence[int] = LEAST,
    weight: float = GENERAL,
) -> dict[str, int]:
    """Read corpora, write the model as an ARPA file; how many words and n-grams there are.

    A corpus is a CSV whose column ``text`` holds utterances, or a text file of one a line.
    """
    lines = [line for file in texts for text in read(file) for line in sentences(text)]
    if not lines:
        raise UserError("These texts hold no words; a language model needs some.")
    out.parent.mkdir(parents=True, exist_ok=True)
    known = sphinx.dictionary()
    counts = ngram.count(lines, known.__contains__)
    general = unigrams(known) if weight > 0 else None
    model = ngram.smooth(counts, least=least, general=general, weight=weight)
    aside = out.with_name(out.name + ".part")
    aside.write_text(model.arpa(), encoding="utf-8", newline="\n")
    aside.replace(out)
    return {"words": sum(map(len, lines)), "sentences": len(lines)} | {
        f"{n}-grams": len(order) for n, order in enumerate(model.orders, 1)
    }


def read(file: Path) -> Iterator[str]:
    """The utterances of a corpus: the column ``text`` of a CSV, or the lines of a text file."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            if file.suffix.lower() != ".csv":
                yield from lines
                return
            rows = csv.DictReader(lines)
            if "text" not in (rows.fieldnames or ()):
                raise UserError(f"{file} has no column 'text'; it has {rows.fieldnames}.")
            for row in rows:
                yield row["text"] or ""
    except OSError as exc:
        raise UserError(f"The text {file} can't be opened: {exc.strerror}.") from exc


def sentences(text: str) -> Iterator[list[str]]:
    """The sentences of one utterance as spoken words.

    >>> list(sentences("It ' s 57 dollars . Right ?"))
    [["it's", 'fifty', 'seven', 'dollars'], ['right']]
    """
    # DailyDialog sets blanks around some apostrophes
    joined = re.sub(r"(?<=\w) ?[’'] ?(?=(s|t|m|re|ve|ll|d)\b)", "'", text)  # noqa: RUF001
    words: list[str] = []
    for token in joined.split():
        words += spoken(token)
        if words and (token[-1] in ".?!" or len(words) >= LONGEST):
            yield words[:LONGEST]
            words = []
    if words:
        yield words


def unigrams(known: frozenset[str]) -> dict[str, float]:
    """How likely the general English model of pocketsphinx finds each word of its dictionary."""
    from pocketsphinx import Decoder

    decoder = Decoder(loglevel="FATAL")
    model, scale = decoder.get_lm(decoder.current_search()), decoder.get_logmath()
    found = {}
    for word in sorted(known):
        p = float(scale.exp(model.prob([word])))
        if p > 0:
            found[word] = p
    return found


def bands(clips: Sequence[Path], out: Path) -> dict[str, float]:
    """Fit the mapping that widens telephone sound, on wide-band speech; how well it explains it."""
    settings = Settings()

    def sounds() -> Iterator[np.ndarray]:
        for clip in clips:
            with tempfile.TemporaryDirectory(prefix="erc_demo_") as folder:
                yield recording.read(clip, Path(folder), settings).sound()

    out.parent.mkdir(parents=True, exist_ok=True)
    matrix, explained = narrow.fit(sounds())
    aside = out.with_name(out.name + ".part")
    aside.write_text(json.dumps({"matrix": matrix.round(5).tolist()}) + "\n", encoding="utf-8")
    aside.replace(out)
    return {"clips": len(clips), "lowest R²": float(explained.min())}
