"""AVEC in the field's form: four files of ratings, brought to -1 to 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpora import avec as small
from corpora import conv_emotion

from erc_demo.emotions import DIMENSIONS
from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, open_corpus
from trainer.datasets.avec import SCALES
from trainer.protocol import folds

FOUR = ("valence", "arousal", "expectancy", "power")


def read(path: Path | str, *dimensions: str) -> Corpus:
    return open_corpus(f"avec:{path}", Ask(dimensions=dimensions), labelled=False)


def test_each_dimension_comes_from_its_file_and_goes_back(tmp_path: Path) -> None:
    asked = ("power", "valence", "expectancy", "arousal")
    corpus = read(small.make(tmp_path), *asked)
    stored = {name: small.parts(number)[2] for number, name in enumerate(FOUR, 1)}
    for one in corpus.dialogues:
        assert one.values is not None and one.values.shape == (len(one.ids), 4)
        for place, name in enumerate(asked):
            rated = stored[name][one.name]
            wanted = np.array(rated) / 50 - 1 if name == "power" else np.array(rated)
            assert np.allclose(one.values[:, place], wanted)
            back = [DIMENSIONS[name].rating(float(x), *SCALES[name]) for x in one.values[:, place]]
            assert np.allclose(back, rated, atol=1e-5)


def test_words_speakers_numbers_and_split_are_read(tmp_path: Path) -> None:
    corpus = read(small.make(tmp_path), "valence")
    assert [(one.name, one.split) for one in corpus.dialogues] == [
        ("1", "train"),
        ("2", "train"),
        ("9", "test"),
    ]
    first = corpus.dialogues[0]
    assert [(turn.speaker, turn.text) for turn in first.dialogue.turns[:2]] == [
        ("user", "well 0"),
        ("operator", "well 1"),
    ]
    assert set(first.people) == {""} and first.ids[0] == "1_0"
    assert np.allclose(
        first.given["given:name=acoustic3,width=3"].rows, np.stack(small.parts(1)[4]["1"])
    )
    [fold] = folds(corpus, "official", select_from="train:1")
    assert len(fold.train) == len(fold.select) == 1


def test_ratings_beyond_a_scale_are_its_end_and_counted(tmp_path: Path) -> None:
    parts = list(small.parts(4))
    parts[2]["1"][:3] = [120.0, -3.0, float("nan")]
    file = conv_emotion.write(tmp_path / "AVEC_features_4.pkl", parts)
    corpus = read(file, "power")
    values = corpus.dialogues[0].values
    assert values is not None
    assert values[:2, 0].tolist() == [1.0, -1.0] and np.isnan(values[2, 0])
    assert any("power beyond 0 to 100; the scale's end: 2 (1_0, 1_1)." in x for x in corpus.remarks)


def test_a_file_alone_will_do_for_its_dimension(tmp_path: Path) -> None:
    small.make(tmp_path)
    file = tmp_path / "AVEC_features_3.pkl"
    alone, whole = read(file, "expectancy"), read(tmp_path, "expectancy")
    assert alone.sha256 == whole.sha256
    with pytest.raises(UserError, match="ratings of expectancy, not of power; .*_features_4.pkl"):
        read(file, "expectancy", "power")


def test_files_that_differ_are_refused(tmp_path: Path) -> None:
    small.make(tmp_path)
    parts = small.parts(2)
    for part in parts[:7]:
        part["1"] = part["1"][:-1]
    conv_emotion.write(tmp_path / "AVEC_features_2.pkl", parts)
    with pytest.raises(UserError, match="differ in their dialogues or turns"):
        read(tmp_path, "valence", "arousal")
    conv_emotion.write(tmp_path / "AVEC_features_2.pkl", conv_emotion.parts())
    with pytest.raises(UserError, match="holds labels of iemocap; ratings of AVEC were wanted"):
        read(tmp_path, "arousal")


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (Ask(), r"holds no AVEC_features_1\.pkl … .*declare-lab/conv-emotion"),
        (Ask(dimensions=("dominance",)), "no rating of dominance; it has valence, arousal, expect"),
        (Ask(split_column="fold"), "--split-column names a column, and avec is no table"),
    ],
)
def test_what_can_not_be_had_is_refused(tmp_path: Path, ask: Ask, why: str) -> None:
    with pytest.raises(UserError, match=why):
        open_corpus(f"avec:{tmp_path}", ask, labelled=False)


def test_there_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No turn of .* has a label of iemocap4"):
        open_corpus(f"avec:{small.make(tmp_path)}", Ask(labels=("iemocap4",)))
