"""Context-free word vectors: files of fastText's and GloVe's kind, good and bad, and none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spoken import SETTINGS, extractor, heard, said

from erc_demo.errors import UserError
from erc_demo.features import _encoders, _vectors, static
from erc_demo.settings import Settings


@pytest.fixture(autouse=True)
def _opened_anew() -> None:
    static._opened.cache_clear()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(offline=True, data=tmp_path / "data")


def vectors(file: Path, settings: Settings) -> Any:
    return extractor(static, settings, vectors=str(file))


ROWS = "the 1 2 3\nCat 4 5 6\ncat 7 8 9\n. . . 0.5 0 -1e-1\nthe 9 9 9\n's 2 2 2\n"
MEAN = [23.5 / 6, 26 / 6, 28.9 / 6]


@pytest.mark.parametrize("head", ["", "6 3\n"])
def test_a_file_of_vectors_is_looked_up(head: str, tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "some.vec"
    file.write_text(head + ROWS.replace("\n", " \n" if head else "\n"))
    ours = vectors(file, settings)
    (rows,) = ours.rows([heard("The", "Cat", "CAT!", "“cat”", "dog", "?", "cat", "'S")])
    wanted = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [7, 8, 9], MEAN, MEAN, [7, 8, 9], [2] * 3]
    np.testing.assert_allclose(rows, wanted, rtol=1e-6)
    assert rows.dtype == np.float32 and ours.width == 3


def test_a_file_is_read_once_and_again_when_it_changed(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "glove.txt"
    file.write_text(ROWS)
    first = vectors(file, settings)
    before = first.version
    with monkeypatch.context() as patch:
        patch.setattr(_vectors, "_write", lambda *_: pytest.fail("read twice"))
        static._opened.cache_clear()
        assert vectors(file, settings).version == first.version
    file.write_text(ROWS.replace("7 8 9", "7 8 9.5"))
    second = vectors(file, settings)
    assert second.version == first.version != before, "an extractor follows its file"
    assert first.rows([heard("cat")])[0][0, 2] == second.rows([heard("cat")])[0][0, 2] == 9.5
    assert len(list((settings.data / "vectors").iterdir())) == 1, "the old index stays"
    copy = tmp_path / "copy.txt"
    shutil.copy(file, copy)
    assert vectors(copy, settings).version == second.version


def test_an_index_that_was_killed_is_made_anew(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "glove.txt"
    file.write_text(ROWS)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    left = settings.data / "vectors" / ".aside-of-a-killed-process"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(_vectors.np, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            vectors(file, settings)
    assert not list(left.parent.glob("*/facts.json"))
    assert vectors(file, settings).rows([heard("cat")])[0].tolist() == [[7, 8, 9]]
    assert len(list(left.parent.iterdir())) == 1


def test_more_rows_than_are_written_at_once(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_vectors, "CHUNK", 7)
    table = np.random.default_rng(0).normal(size=(100, 4)).round(4)
    lines = [f"w{number} {' '.join(map(str, row))}" for number, row in enumerate(table)]
    lines += [f"w{number} 0 0 0 0" for number in range(100)]  # a second time: does not count
    file = tmp_path / "glove.txt"
    file.write_text("\n".join(lines))
    names = [f"w{number}" for number in range(100)]
    (rows,) = vectors(file, settings).rows([heard(*names, "none")])
    np.testing.assert_allclose(rows, [*table, table.mean(axis=0) / 2], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"the 1 2 3\ncat 1 2\n", "Line 2 of .* 2 fields .* and 3 were wanted"),
        (b"the 1 2 3\ncat 1 2 3 4\n", "Line 2 of .* 4 fields"),
        (b"2 3\nthe 1 2 3\ncat 1 2 x\n", "Line 3 of .*could not convert"),
        (b"the 1 2 3\nc\xe4t 1 2 3\n", "Line 2 of .*utf-8"),
        (b"\x80\x02\x00\x01\nmodel\n", "Line 1 of"),
        (b"the 1 2 3\ncat 1 nan 3\n", "Line 2 of .* not finite"),
        (b"the 1 2 3\n\ncat 1 1e39 3\n", "Line 3 of .* not finite"),
        (b"3 2\nthe 1 2\ncat 1 2\n", "have 2 rows, and 3 .* were wanted"),
        (b"", "have 0 rows, and one or more were wanted"),
        (b"A sentence of words.\n", "Line 1 of .*could not convert"),
        (b"the 1 2 3\ncat 1 1_0 3\n", "Line 2 of .*underscore"),
    ],
)
def test_a_bad_file_is_one_sentence(
    content: bytes, sentence: str, tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "bad.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as caught:
        vectors(file, settings)
    assert "\n" not in str(caught.value)
    assert not list((settings.data / "vectors").iterdir()), "half an index stays"


def test_a_file_that_is_not_there(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(UserError, match="none.vec can't be opened .*No such file"):
        vectors(tmp_path / "none.vec", settings)
    with pytest.raises(UserError, match="can't be opened .*directory"):
        vectors(tmp_path, settings)
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(UserError, match="can't be opened .*no regular file"):
            vectors(Path(endless), settings)


def test_without_a_file_rows_are_what_minilm_takes_in() -> None:
    ours = extractor(static)
    one, again = ours.rows([said("unbelievable bank \u200b"), said("the bank")])
    folder = _encoders.find("minilm", SETTINGS, kind="words")
    table = _encoders.load("minilm", SETTINGS, kind="words").model.get_input_embeddings()
    table = table.weight.numpy()
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    np.testing.assert_allclose(one[1], table[vocabulary["bank"]], atol=1e-6)
    np.testing.assert_array_equal(one[1], again[1])
    pieces = [vocabulary["unbelievable"]] if "unbelievable" in vocabulary else None
    assert pieces, "MiniLM knows this word whole"
    np.testing.assert_allclose(one[0], table[pieces].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(one[2], table.mean(axis=0), atol=1e-5)
    assert ours.odd(said("unbelievable bank \u200b"), one) == ["unknown words"]
    assert ours.odd(said("the bank"), again) == []


def test_an_index_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "some.vec"
    file.write_text(ROWS)
    with pytest.raises(UserError, match=r"can't be written in .* \(the setting data\)\."):
        vectors(file, Settings(offline=True, data=tmp_path / "file" / "in"))


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "swapped"])
def test_a_damaged_index_is_made_anew(damage: str, tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "glove.txt"
    file.write_text(ROWS)
    version = vectors(file, settings).version
    (index,) = (settings.data / "vectors").iterdir()
    if damage == "cut":
        os.truncate(index / "numbers.f32", 20)
    elif damage == "empty":
        for part in index.iterdir():
            os.truncate(part, 0)
    elif damage == "gone":
        (index / "facts.json").unlink()
    else:
        np.save(index / "keys.npy", np.zeros(2, np.uint64))
    static._opened.cache_clear()
    again = vectors(file, settings)
    assert again.version == version
    assert again.rows([heard("cat")])[0].tolist() == [[7, 8, 9]]
    assert len(list((settings.data / "vectors").iterdir())) == 1


def test_a_mark_of_byte_order_is_no_part_of_the_first_word(
    tmp_path: Path, settings: Settings
) -> None:
    file = tmp_path / "glove.txt"
    for head in ("", "6 3\n"):
        file.write_text(f"\ufeff{head}{ROWS}")
        assert vectors(file, settings).rows([heard("the")])[0].tolist() == [[1, 2, 3]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_has_a_reason(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "glove.txt"
    file.write_text(ROWS)

    def full(opened: Any, of: Path, folder: Path, write: Any = _vectors._write) -> None:
        (folder / "numbers.f32").symlink_to("/dev/full")
        write(opened, of, folder)

    monkeypatch.setattr(_vectors, "_write", full)
    with pytest.raises(UserError, match=r"can't be written in .*\(No space left on device\)"):
        vectors(file, settings)
