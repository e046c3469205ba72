"""The n-gram model: probabilities that sum to one, and a hand-worked Kneser-Ney count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from erc_demo.errors import UserError
from erc_demo.words import ngram, sphinx
from trainer import language

TEXT = [line.split() for line in ("a b c", "a b d", "b c a b", "a b c d", "d d a")]


def _known(word: str) -> bool:
    return word != "zzz"


@pytest.mark.parametrize("least", [(1, 1, 1), (1, 1, 2), (1, 2, 2)])
def test_every_history_sums_to_one(least: tuple[int, int, int]) -> None:
    model = ngram.smooth(ngram.count([*TEXT, ["zzz", "a"]], _known), least=least)
    words = [gram[0] for gram in model.orders[0]]
    assert ngram.START not in words and ngram.UNKNOWN in words and ngram.END in words
    histories: list[ngram.Gram] = [(), ("a",), ("a", "b"), (ngram.START,), (ngram.START, "a")]
    histories += [("c", "c"), (ngram.UNKNOWN, "a")]
    for history in histories:
        total = sum(model.probability((*history, word)) for word in words)
        assert total == pytest.approx(1.0), history


def test_unigrams_count_distinct_left_neighbours() -> None:
    # one line "a b a c a": left neighbours of a: <s> b c, of b: a, of c: a, of </s>: a; 6 in all
    model = ngram.smooth(ngram.count(["a b a c a".split()], _known))
    counts = {"a": 3, "b": 1, "c": 1, ngram.END: 1}
    d = ngram.discounts(counts.values())
    taken = d[0] * 3 + d[2]
    for word, count in counts.items():
        expected = (count - d[min(count, 3) - 1]) / 6 + taken / 6 / 4
        assert model.orders[0][(word,)] == pytest.approx(expected)


def test_general_unigrams_are_mixed_in() -> None:
    model = ngram.smooth(ngram.count(TEXT, _known), general={"a": 0.3, "x": 0.1}, weight=0.2)
    assert model.probability(("x",)) == pytest.approx(0.2 * 0.25)
    assert sum(model.orders[0].values()) == pytest.approx(1.0)


def test_arpa_is_read_by_the_decoder(tmp_path: Path) -> None:
    """The independent referee: pocketsphinx finds the probabilities that were written."""
    from pocketsphinx import Decoder

    lines = [["hello", "there"], ["hello", "you", "there"], ["you", "there"]]
    model = ngram.smooth(ngram.count(lines, _known))
    file = tmp_path / "model.arpa"
    file.write_text(model.arpa(), encoding="utf-8")
    words = tmp_path / "words.dict"
    words.write_text(sphinx.pronounced(["hello", "there", "you"]), encoding="utf-8")
    decoder = Decoder(lm=str(file), dict=str(words), loglevel="FATAL", lw=1.0, wip=1.0)
    read, scale = decoder.get_lm(decoder.current_search()), decoder.get_logmath()
    for gram in [("there",), ("hello", "you"), ("hello", "you", "there"), ("there", "hello")]:
        # it wants the newest word first
        found = scale.exp(read.prob(list(reversed(gram))))
        assert found == pytest.approx(model.probability(gram), rel=0.01)


def test_sentences_mend_tokens_and_spell_numbers() -> None:
    assert list(language.sentences("It ' s 57 dollars . Right ?")) == [
        ["it's", "fifty", "seven", "dollars"],
        ["right"],
    ]
    assert max(map(len, language.sentences("la " * 100))) == language.LONGEST


def test_build_writes_what_it_counts(tmp_path: Path) -> None:
    table = tmp_path / "turns.csv"
    table.write_text('speaker,text\nA,"Hello there. How are you?"\nB,Fine\n', encoding="utf-8")
    plain = tmp_path / "more.txt"
    plain.write_text("how are things\n", encoding="utf-8")
    out = tmp_path / "model.arpa"
    told = language.build([table, plain], out, weight=0.0, least=(1, 1, 1))
    assert (told["words"], told["sentences"]) == (9, 4)
    assert f"ngram 3={told['3-grams']}" in out.read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.part"))


def test_texts_that_do_not_fit_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be opened"):
        language.build([tmp_path / "absent.csv"], tmp_path / "out.arpa")
    table = tmp_path / "turns.csv"
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="no column 'text'"):
        language.build([table], tmp_path / "out.arpa")
    empty = tmp_path / "empty.txt"
    empty.write_text("...\n", encoding="utf-8")
    with pytest.raises(UserError, match="no words"):
        language.build([empty], tmp_path / "out.arpa")


def test_bands_are_fitted_from_clips(tmp_path: Path) -> None:
    import json

    import soundfile

    rng = np.random.default_rng(0)
    clips = [tmp_path / f"{i}.flac" for i in range(2)]
    for clip in clips:
        soundfile.write(clip, rng.normal(0, 0.1, 16_000), 16_000)
    told = language.bands(clips, tmp_path / "bands.json")
    matrix = np.array(json.loads((tmp_path / "bands.json").read_text())["matrix"])
    assert told["clips"] == 2 and matrix.shape == (17, 9) and np.isfinite(matrix).all()
