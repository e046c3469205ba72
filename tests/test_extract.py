"""The trainer's walk over a corpus: what is found, made, kept, named, and taken up again."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import errands
import numpy as np
import pytest
import soundfile
import tiny_encoders_sound
from conversation import voice
from test_features_encoders import READY
from test_recording_pictures import film

from erc_demo import features, formats, jobs, recording
from erc_demo.cache import Cache
from erc_demo.dialogue import RATE, Dialogue, Span, Turn
from erc_demo.errors import UserError
from erc_demo.jobs import _processes
from erc_demo.settings import Settings
from trainer import extract, npz, summary
from trainer.__main__ import main
from trainer.datasets import folder

ROOT = Path(__file__).resolve().parents[1]
DOCS = (ROOT / "docs" / "extract.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ERC_DEMO_OFFLINE", "1")
    monkeypatch.setenv("ERC_DEMO_JOBS", "1")


def talk(name: str, seed: int = 1) -> tuple[Dialogue, np.ndarray]:
    """Two seconds of two people, whose third turn is silent and whose fourth has no time."""
    sound = np.zeros(2 * RATE, np.float32)
    sound[: RATE // 2] = voice(0.5, 120, seed)
    sound[RATE // 2 : RATE] = voice(0.5, 200, seed + 1)
    turns = (
        Turn(number=0, speaker="A", span=Span(0.0, 0.5), text="so then"),
        Turn(number=1, speaker="B", span=Span(0.5, 1.0), text="what?"),
        Turn(number=2, speaker="A", span=Span(1.2, 1.8), text="nothing"),
        Turn(number=7, speaker="B", text="written"),
    )
    return Dialogue(name=name, turns=turns), sound


def put(where: Path, name: str, *, seed: int = 1, to: str = "json") -> Path:
    dialogue, sound = talk(name, seed)
    where.mkdir(parents=True, exist_ok=True)
    formats.export(dialogue, where, [to])
    file = where / f"{name}.wav"
    soundfile.write(file, sound, RATE, subtype="FLOAT")
    return file


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    put(tmp_path / "corpus", "one")
    put(tmp_path / "corpus" / "talks", "two", seed=3)
    return tmp_path / "corpus"


def called(capsys: pytest.CaptureFixture[str], *call: object) -> tuple[int, str, str]:
    code = main(["extract", *map(str, call)])
    said = capsys.readouterr()
    return code, said.out, said.err


# What is found.


def test_a_folder_is_walked(corpus: Path) -> None:
    (corpus / ".hidden.wav").touch()
    (corpus / ".git").mkdir()
    (corpus / ".git" / "three.wav").touch()
    (corpus / "notes.md").touch()
    (corpus / "LOUD.WAV").touch()
    found = folder.walk(corpus)
    assert [item.name for item in found.items] == ["LOUD", "one", "talks/two"]
    assert found.items[0].transcript is None
    assert found.items[2].sound == corpus / "talks" / "two.wav"
    assert found.items[2].transcript == corpus / "talks" / "two.json"
    assert found.remarks == ()


def test_linked_folders_are_walked_and_none_twice(tmp_path: Path, corpus: Path) -> None:
    put(tmp_path / "elsewhere", "three")
    (corpus / "a link").symlink_to(tmp_path / "elsewhere")
    (corpus / "another link").symlink_to(tmp_path / "elsewhere")
    (corpus / "in itself").symlink_to(corpus)
    (tmp_path / "elsewhere" / "back").symlink_to(corpus / "talks")
    (tmp_path / "corpus link").symlink_to(corpus)
    for place in (corpus, tmp_path / "corpus link"):
        assert [item.name for item in folder.walk(place).items] == [
            "a link/three",
            "one",
            "talks/two",
        ]


def test_of_several_transcripts_the_richest_is_taken(corpus: Path) -> None:
    dialogue, _ = talk("one")
    left = set(formats.names()) - {"json"}
    formats.export(dialogue, corpus, sorted(left))
    shutil.copy(corpus / "one.wav", corpus / "one.mkv")
    shutil.copy(corpus / "one.json", corpus / "nobody.json")
    found = folder.walk(corpus)
    assert found.items[0].transcript == corpus / "one.json"
    assert found.items[0].sound == corpus / "one.wav"
    several, alone = found.remarks
    assert f"{len(left) + 1}" == str(several.count(", ") + 1 + int(several.split()[-2]) - 1)
    assert "one.mkv (.wav is taken)" in several
    assert alone.endswith("beside the transcript: nobody.")
    order = []
    while (taken := folder.walk(corpus).items[0].transcript) is not None:
        order.append(taken.suffix[1:].lower())
        taken.unlink()
    assert order[0] == "json" and set(order[1:4]) == {"csv", "eaf", "textgrid"}
    assert set(order[4:6]) == {"srt", "vtt"} and order[6:] == ["rttm", "txt"]


def test_a_folder_of_transcripts_alone_is_written_dialogues(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in corpus.rglob("*.wav"):
        file.unlink()
    found = folder.walk(corpus)
    assert [(item.name, item.sound) for item in found.items] == [("one", None), ("talks/two", None)]
    code, out, _ = called(capsys, "--data", corpus, "--features", "logmel")
    assert code == 0
    assert "logmel: rows for 0 of 8 turns (8 no sound)" in out


def test_a_table_holds_many_dialogues(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = corpus / "all.csv"
    table.write_text(
        "dialogue,turn,speaker,start,end,text\n"
        "two,0,A,0,0.5,hello\n"
        "one,0,A,0.5,1,hi\n"
        "one,1,B,,,written\n"
        "three,0,C,0,1,nobody recorded it\n"
    )
    found = folder.walk(table)
    assert [(item.name, item.sound) for item in found.items] == [
        ("one", corpus / "one.wav"),
        ("three", None),
        ("two", corpus / "talks" / "two.wav"),
    ]
    assert [turn.text for turn in folder.read(found.items[0]).turns] == ["hi", "written"]
    code, out, _ = called(capsys, "--data", table, "--features", "logmel")
    assert code == 0
    assert "3 of 3 dialogues done" in out
    assert "rows for 2 of 4 turns" in out and "1 no time" in out and "1 no sound" in out
    assert "No recording has the name of: three." in out


def test_a_table_does_not_guess_which_recording_is_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, place in enumerate(("s1", "s2", "s3"), 1):
        put(tmp_path / "corpus" / place, "one", seed=seed)
    put(tmp_path / "corpus", "two")
    put(tmp_path / "corpus" / "s1", "two", seed=5)
    shutil.copy(tmp_path / "corpus" / "two.wav", tmp_path / "corpus" / "two.flac")
    table = tmp_path / "corpus" / "all.csv"
    names = ("one", "s2/one", "two", "s1/two")
    rows = "".join(f"{name},0,A,0,0.5,hello\n" for name in names)
    table.write_text(f"dialogue,turn,speaker,start,end,text\n{rows}")
    found = {item.name: item for item in folder.walk(table).items}
    assert {name: found[name].sound for name in names[1:]} == {
        name: tmp_path / "corpus" / f"{name}.wav" for name in names[1:]
    }
    code, out, _ = called(capsys, "--data", table, "--features", "logmel")
    assert code == 1 and "3 of 4 dialogues done" in out
    assert out.startswith(
        "one: not done. Several recordings have its name (s1/one, s2/one, s3/one); "
    )


def test_one_recording_is_a_corpus(corpus: Path) -> None:
    (item,) = folder.walk(corpus / "one.wav").items
    assert (item.name, item.transcript) == ("one", corpus / "one.json")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent", "does not exist"),
        ("empty", "holds neither"),
        ("a.docx", "is something else; a folder"),
    ],
)
def test_no_corpus_is_a_sentence(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.docx").touch()
    with pytest.raises(UserError, match=says):
        folder.walk(tmp_path / name)


# What is made.


def test_the_numbers_are_those_of_the_page(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = ["logmel:speaker_norm=both", "gemaps47"]
    code, out, _ = called(
        capsys, "--data", corpus, "--features", *specs, "--out", "numbers", "--jobs", "2"
    )
    assert code == 0
    assert "2 of 2 dialogues done, 0 of them answered from the cache" in out
    assert "gemaps47: rows for 4 of 8 turns (2 no time, 2 silent)" in out
    assert out.count("Terms of gemaps47: openSMILE") == 1
    dialogue = formats.load(corpus / "talks" / "two.json")
    heard = recording.read(corpus / "talks" / "two.wav", tmp_path / "job", Settings())
    wanted = features.extract(specs, dialogue, heard, Settings(offline=True))
    for spec, place in zip(specs, ["logmel_speaker_norm=both", "gemaps47"], strict=True):
        with np.load(tmp_path / "numbers" / place / "talks" / "two.npz") as stored:
            np.testing.assert_array_equal(stored["rows"], wanted[spec].rows)
            np.testing.assert_array_equal(stored["starts"], wanted[spec].starts)
            assert stored["ids"].tolist() == [0, 1, 2, 7]
            assert stored["speakers"].tolist() == ["A", "B", "A", "B"]
            np.testing.assert_array_equal(stored["spans"][1:], [[0.5, 1], [1.2, 1.8], [np.nan] * 2])
            assert stored["columns"].tolist() == list(wanted[spec].columns)
            assert (stored["name"], stored["level"]) == (spec, wanted[spec].level)
            assert stored["version"] == wanted[spec].version
            assert np.isnan(stored["step"]) == (spec == "gemaps47")
    assert not list((tmp_path / "data" / "jobs").iterdir()), "decoded sound is left behind"


def test_what_is_kept_is_not_even_decoded(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["--data", corpus, "--features", "logmel"]
    _, first, _ = called(capsys, *call)
    decoded: list[Path] = []

    def watched(path: Path, *rest: object, read: Callable[..., object] = recording.read) -> object:
        decoded.append(path)
        return read(path, *rest)

    monkeypatch.setattr(recording, "read", watched)
    code, second, _ = called(capsys, *call)
    assert (code, decoded) == (0, [])
    assert second == first.replace("0 of them answered", "2 of them answered")
    _, third, _ = called(capsys, *call, "logmel:speaker_norm=past")
    assert decoded == [] and "2 of them answered" in third, "a normalisation costs nothing"

    put(corpus, "one", seed=9)  # another sound of the same length
    _, out, _ = called(capsys, *call)
    assert decoded == [corpus / "one.wav"] and "1 of them answered" in out
    file = corpus / "talks" / "two.json"
    dialogue = formats.load(file)
    moved = replace(dialogue.turns[0], span=Span(0.0, 0.4))
    formats.export(replace(dialogue, turns=(moved, *dialogue.turns[1:])), file.parent, ["json"])
    _, out, _ = called(capsys, *call)
    assert decoded[1:] == [corpus / "talks" / "two.wav"] and "1 of them answered" in out


def test_a_broken_file_is_named_and_the_rest_is_done(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "bad.wav").write_bytes(b"RIFF of nothing")
    (corpus / "bad.json").write_bytes((corpus / "one.json").read_bytes())
    put(corpus, "garbled")
    (corpus / "garbled.json").write_text('{"turns": 3}')
    put(corpus, "untold")
    (corpus / "untold.json").unlink()
    for workers in (1, 2):
        code, out, _ = called(capsys, "--data", corpus, "--features", "logmel", "--jobs", workers)
        assert code == 1
        assert "2 of 5 dialogues done" in out
        assert [line.split(": not done. ")[0] for line in out.splitlines()[:3]] == [
            "bad",
            "garbled",
            "untold",
        ]
        assert "bad: not done. 'bad.wav' " in out
        assert "untold: not done. It has no transcript beside it: 'python -m erc_demo" in out


def test_a_fault_of_the_program_keeps_its_trace(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(features, "extract", faulty)
    code, out, err = called(capsys, "--data", corpus, "--features", "logmel")
    assert code == 1
    assert out.count("not done. By a fault of this program") == 2
    assert "in faulty" in err and "ZeroDivisionError: in the middle" in err


def test_whole_recordings_are_one_turn(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (corpus / "one.json").unlink()
    call = ["--data", corpus, "--features", "logmel", "--whole", "--out", "numbers"]
    for answered in (0, 2):
        code, out, _ = called(capsys, *call)
        assert code == 0
        assert f"2 of 2 dialogues done, {answered} of them" in out
        assert "rows for 3 of 5 turns" in out
    with np.load("numbers/logmel/one.npz") as stored:
        assert stored["spans"].tolist() == [[0.0, 2.0]]
        assert stored["speakers"].tolist() == ["A"]


def test_the_pictures_of_a_film_are_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = tiny_encoders_sound.pictures(tmp_path / "clip", "clip", READY)
    dialogue, _ = talk("one")
    (tmp_path / "films").mkdir()
    formats.export(dialogue, tmp_path / "films", ["json"])
    steady = [number / 5 for number in range(10)]
    (tmp_path / "films" / "one.mp4").write_bytes(film(steady, "mpeg4", sound=True))
    spec = f"pictures:encoder={encoder}"
    for answered in (0, 1):
        code, out, _ = called(capsys, "--data", "films", "--features", spec, "logmel")
        assert code == 0
        assert f"1 of 1 dialogues done, {answered} of them" in out
        assert f"{spec}: rows for 3 of 4 turns (1 no pictures)" in out
        assert "logmel: rows for 3 of 4 turns" in out


def test_encoders_see_what_they_would_see_alone(tmp_path: Path) -> None:
    """Each as many pictures as it reads, at its size, whatever is wished beside it."""
    (tmp_path / "films").mkdir()
    turns = (
        Turn(number=0, speaker="A", span=Span(0.0, 10.0)),
        Turn(number=1, speaker="B", span=Span(4.0, 5.0)),
    )
    formats.export(Dialogue(name="one", turns=turns), tmp_path / "films", ["json"])
    steady = [number / 5 for number in range(50)]
    path = tmp_path / "films" / "one.mp4"
    path.write_bytes(film(steady, "mpeg4", sound=True))
    larger = READY | {"size": {"shortest_edge": 48}, "do_center_crop": True, "crop_size": 32}
    kinds = [("clip", READY, 32, 4), ("vit", larger, 48, 4), ("videomae", READY, 32, 8)]
    specs, wanted = [], {}
    for family, ready, side, a_turn in kinds:
        more = {"num_frames": 8} if family == "videomae" else {}
        encoder = tiny_encoders_sound.pictures(tmp_path / family, family, ready, **more)
        specs.append(f"pictures:encoder={encoder}")
        moments = np.sort(
            np.concatenate([turn.span.moments(a_turn) for turn in turns if turn.span])
        )
        seen = recording.pictures(path, tmp_path / "job", moments, Settings(), size=side)
        assert seen is not None
        extractor = features.ready(features.parse(specs[-1]), Settings(offline=True))
        at = [np.isin(moments, turn.span.moments(a_turn)) for turn in turns if turn.span]
        assert [part.sum() for part in at] == [a_turn, a_turn]
        wanted[specs[-1]] = [
            extractor.rows([features.Utterance(turn=turn, pictures=seen.images[part])])[0]
            for turn, part in zip(turns, at, strict=True)
        ]
    for wish in ([specs[0]], ["logmel", *specs]):
        task = extract.Task(
            specs=tuple(map(features.parse, wish)), settings=Settings(offline=True), out=tmp_path
        )
        _, failures = extract.extract(folder.walk(tmp_path / "films"), task)
        assert not failures
    for spec in specs:
        with np.load(npz.place(tmp_path, spec, "one")) as stored:
            np.testing.assert_allclose(stored["rows"], np.concatenate(wanted[spec]), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ([], "--features names none; choose from"),
        (["--features", "loudness"], "There is no 'loudness' in features"),
        (["--features", "logmel:bands=many"], "logmel's bands is 'many'; a whole number"),
        (["--features", "speech"], "need the name of a speech encoder"),
        (["--features", "logmel", "--cache-mb", "0"], "cache_mb is 0, so nothing would be kept"),
        (["--features", "logmel", "--jobs", "few"], "'few', which is not a whole number"),
        (["--features", "logmel", "--cluster", "tcp://10.0.0.1:1"], "another machine without TLS"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    corpus: Path, capsys: pytest.CaptureFixture[str], call: list[str], says: str
) -> None:
    code, out, err = called(capsys, "--data", corpus, *call)
    assert (code, out) == (2, "")
    assert says in err and err.count("\n") == 1


def test_files_that_would_be_written_twice_are_refused(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(corpus, "ONE")
    if len(list(corpus.glob("*.wav"))) == 1:
        pytest.skip("this disk does not tell 'one' from 'ONE'")
    code, _, err = called(capsys, "--data", corpus, "--features", "logmel", "--out", "numbers")
    assert code == 2 and "'ONE' and 'one' would both be written as 'one.npz'" in err
    assert not Path("numbers").exists()


def test_a_cache_that_is_too_small_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "long", "one")
    soundfile.write(tmp_path / "long" / "one.wav", voice(70.0, 120, 1), RATE)
    (tmp_path / "long" / "one.json").unlink()
    call = ["--data", "long", "--features", "logmel", "--whole"]
    code, out, _ = called(capsys, *call, "--cache-mb", "1")
    assert "more than the cache may hold (1 MB)" in out and "--cache-mb 2" in out
    assert code == 1 and "They take" not in out
    code, out, _ = called(capsys, *call, "--cache-mb", "1", "--out", "numbers")
    assert code == 0 and "The numbers are in" in out
    code, out, _ = called(capsys, *call, "--cache-mb", "2")
    assert code == 0 and "more than the cache" not in out and "They take" in out


def test_what_was_driven_out_before_the_end_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long").mkdir()
    for number in range(3):  # 0.46 MB of each
        sound = voice(30.0, 120, number)
        soundfile.write(tmp_path / "long" / f"{number}.wav", sound, RATE)
    call = ["--data", "long", "--features", "logmel", "--whole"]
    code, out, _ = called(capsys, *call, "--cache-mb", "1")
    assert code == 1 and "3 of 3 dialogues done" in out
    kept = len([file for file in Path("data/cache").glob("*/*") if file.stat().st_size > 10_000])
    assert 0 < kept < 3
    assert f"{3 - kept} results are not kept" in out and f"They take {kept * 0.46:.1f} MB" in out


def test_a_cache_that_takes_nothing_is_said(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cache, "put", lambda *_: False)  # what it does where the disk is full
    code, out, _ = called(capsys, "--data", corpus, "--features", "logmel")
    assert code == 1 and "2 results could not be kept; is the disk" in out
    assert "They take" not in out
    code, out, _ = called(capsys, "--data", corpus, "--features", "logmel", "--out", "numbers")
    assert code == 0 and "2 results could not be kept" in out


@pytest.mark.parametrize("flag", ["--cache", "--out", "--remarks"])
def test_a_place_that_cannot_be_written_is_said_before_any_work(
    corpus: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flag: str,
) -> None:
    Path("taken").touch()
    monkeypatch.setattr(recording, "read", lambda *_: pytest.fail("work has begun"))
    place = "taken/odd.csv" if flag == "--remarks" else "taken"
    code, out, err = called(capsys, "--data", corpus, "--features", "logmel", flag, place)
    assert (code, out) == (2, "")
    assert "Nothing can be written in" in err and flag in err and err.count("\n") == 1


def test_a_folder_or_device_takes_no_remarks(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (corpus, os.devnull):
        code, _, err = called(capsys, "--data", corpus, "--features", "logmel", "--remarks", place)
        assert code == 2 and "--remarks takes a file's name" in err


def test_clips_that_change_their_names_are_not_taken_for_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [put(tmp_path / "clips", name, seed=seed) for seed, name in enumerate("ab", 1)]
    for file in files:
        os.utime(file, ns=(10**18, 10**18))
    call = ["--data", "clips", "--features", "logmel", "--out"]
    called(capsys, *call, "before")
    files[0].rename("c")
    files[1].rename(files[0])
    Path("c").rename(files[1])
    called(capsys, *call, "after")
    for one, other in ("ab", "ba"):
        with (
            np.load(f"before/logmel/{one}.npz") as before,
            np.load(f"after/logmel/{other}.npz") as after,
        ):
            np.testing.assert_array_equal(before["rows"], after["rows"])


def test_a_number_of_no_computer_word_is_a_sentence(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (corpus / "one.json").read_text()
    (corpus / "one.json").write_text(text.replace('"number": 7', f'"number": {10**30}'))
    code, out, _ = called(capsys, "--data", corpus, "--features", "logmel", "--out", "numbers")
    assert code == 1 and "1 of 2 dialogues done" in out
    assert re.search(r"^one: not done\. .*1000000000… has a number of more than 64 bits", out)


# What is said of odd turns.


def test_odd_turns_are_named(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formula = corpus / "=two.json"
    (corpus / "talks" / "two.json").rename(formula)
    (corpus / "talks" / "two.wav").rename(formula.with_suffix(".wav"))
    call = ["--data", corpus, "--features", "logmel", "gemaps47", "--out", "numbers"]
    code, out, _ = called(capsys, *call, "--remarks", "odd.csv")
    assert code == 0 and "odd.csv (8 rows)." in out
    with Path("odd.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    assert rows[0] == ["features", "dialogue", "turn", "why"]
    assert rows[1:] == [
        [spec, dialogue, turn, why]
        for spec in ("gemaps47", "logmel")
        for dialogue in ("'=two", "one")
        for turn, why in (("2", "silent"), ("7", "no time"))
    ]
    with np.load("numbers/logmel/one.npz") as stored:
        assert stored["remark_turns"].tolist() == [2, 7]
        assert stored["remark_reasons"].tolist() == ["silent", "no time"]


def test_a_normalisation_of_nothing_is_said(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "one.json").unlink()
    modes = [f"gemaps47:speaker_norm={mode}" for mode in ("off", "past", "upload", "both", "mean")]
    dialogue, _ = talk("two")
    first = replace(dialogue.turns[0], span=Span(0.0, 0.25))
    second = replace(dialogue.turns[0], number=9, span=Span(0.25, 0.5))
    formats.export(replace(dialogue, turns=(first, second)), corpus / "talks", ["json"])
    code, out, _ = called(capsys, "--data", corpus, "--features", *modes, "--whole")
    assert code == 0
    found = [line for line in out.splitlines() if " is 0 in " in line]
    where = "1 of 2 dialogues, where no speaker has a second turn to compare with."
    assert found == [
        f"{modes[1]}: every number is 0 in {where}",
        f"{modes[2]}: every number is 0 in {where}",
        f"{modes[3]}: the second half is 0 in {where}",
    ]


# What is taken up again.


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The command in a process of its own, well under way."""
    processes = []

    def start(*call: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", "extract", *map(str, call)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        entries = tmp_path / "data" / "cache"
        errands.until(lambda: len(list(entries.glob("*/*.npz"))) >= 4, "two dialogues")
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_is_taken_up(
    tmp_path: Path,
    started: Callable[..., subprocess.Popen[str]],
    capsys: pytest.CaptureFixture[str],
    workers: int,
) -> None:
    many = 14
    for number in range(many):
        put(tmp_path / "many", f"talk {number}", seed=number)
    call = ["--data", "many", "--features", "logmel", "--jobs", workers]
    process = started(*call)
    process.send_signal(signal.SIGKILL)
    process.wait()
    entries = list((tmp_path / "data" / "cache").glob("*/*.npz"))
    rows = 0
    for entry in entries:
        with np.load(entry) as stored:  # whole, or this raises
            rows += "rows" in stored.files
    assert 0 < rows < many
    code, out, _ = called(capsys, *call, "--out", "after")
    assert code == 0
    assert (answered := re.search(r"done, (\d+) of them", out)) is not None
    assert rows <= int(answered[1]) <= rows + workers, (
        "what a worker ended with the kill counts too"
    )
    code, _, _ = called(capsys, *call, "--out", "fresh", "--cache", "other")
    for file in Path("fresh").rglob("*.npz"):
        with np.load(file) as one, np.load("after" / file.relative_to("fresh")) as other:
            np.testing.assert_array_equal(one["rows"], other["rows"])


def test_ctrl_c_stops_with_a_sentence(
    tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    for number in range(12):
        put(tmp_path / "many", f"talk {number}", seed=number)
    process = started("--data", "many", "--features", "logmel", "--jobs", "2")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=errands.PATIENCE)
    assert (process.returncode, err) == (130, "trainer: stopped; what was finished is kept.\n")


# What is said.


def test_the_page_on_it_is_true(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of docs/extract.md is run, in order, in one folder."""
    pytest.importorskip("distributed")
    put(tmp_path / "clips", "clip")
    (tmp_path / "clips" / "clip.json").unlink()
    (corpus / "table.csv").write_text("dialogue,turn,speaker,start,end,text\none,0,A,0,1,hi\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    blocks = re.findall(r"```(sh|python)\n(.*?)```", DOCS, re.DOTALL)
    assert len(blocks) >= 7
    others: list[subprocess.Popen[bytes]] = []
    try:
        for kind, block in blocks:
            if kind == "python":
                found: dict[str, object] = {}
                exec(block, found)
                assert [len(turn) > 0 for turn in found["turns"]] == [True, True, False, False]
                continue
            for line in block.splitlines():
                program, *call = shlex.split(line.replace("8786", str(port)))
                if program == "dask":
                    others.append(
                        subprocess.Popen(
                            [sys.executable, "-m", "dask", *call],
                            cwd=tmp_path / "clips",  # not where the command is called
                            env=os.environ | {"PYTHONPATH": str(ROOT)},
                            stderr=subprocess.DEVNULL,
                        )
                    )
                    continue
                if "--cluster" in call:
                    errands.until(partial(_there, f"tcp://127.0.0.1:{port}"), "a cluster")
                assert [program, *call[:2]] == ["python", "-m", "trainer"]
                assert main(call[2:]) == 0, line
    finally:
        for process in reversed(others):
            process.terminate()
            process.wait()
    out = capsys.readouterr().out
    assert "They take" in out and "shared/cache" in out
    assert Path("numbers/gemaps47_speaker_norm=both/talks/two.npz").exists()


def _there(address: str) -> bool:
    try:
        with jobs.cluster(address):
            return True
    except UserError:
        return False


def test_the_page_on_it_names_every_array(tmp_path: Path) -> None:
    dialogue, _ = talk("one")
    made = features.extract(["logmel"], dialogue, None, Settings())
    npz.write(tmp_path / "one.npz", dialogue, made["logmel"])
    with np.load(tmp_path / "one.npz") as stored:
        rows = re.findall(r"^\| (`.*?) \|", DOCS, re.MULTILINE)
        assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(stored.files)
        assert json.dumps(stored["starts"].tolist()) == "[0, 0, 0, 0, 0]"


def test_every_extractor_is_listed() -> None:
    lines = list(summary.listing(Settings(offline=True)))
    assert [line.split(":")[0] for line in lines if line[0] != " "] == features.names()
    assert any("frame level, 40 numbers a row, hears sound" in line for line in lines)
    assert any(line.startswith("  Terms: openSMILE") for line in lines)
    assert any(
        line.startswith("  speaker_norm=off [off, past, upload, both, mean]: ") for line in lines
    )


def test_some_extractors_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "--list", "--features", "logmel:bands=64", "tokens")
    assert code == 0
    assert [line.split(": ")[0] for line in out.splitlines() if line[0] != " "] == [
        "logmel:bands=64",
        "tokens",
    ]
    assert "64 numbers a row" in out
    code, out, err = called(capsys, "--list", "--features", "nope")
    assert (code, out) == (2, "") and "There is no 'nope' in features" in err


def test_terms_name_an_extractor_once(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specs = ["gemaps47", "gemaps47:speaker_norm=past", "egemaps88"]
    _, out, _ = called(capsys, "--data", corpus, "--features", *specs)
    assert out.count("Terms of") == 1 and "Terms of gemaps47, egemaps88: " in out


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_stops_reading_gets_no_trace(tmp_path: Path, unbuffered: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer", "extract", "--list", "--features", "logmel"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 128 + signal.SIGPIPE


def test_of_one_recording_processes_share_the_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = put(tmp_path / "corpus", "one")
    calls: list[int] = []
    spread = _processes.Crew.submit
    monkeypatch.setattr(
        _processes.Crew, "submit", lambda self, *call: calls.append(1) or spread(self, *call)
    )
    wishes = ("gemaps47", "tokens")
    for workers, out in ((1, "alone"), (2, "shared")):
        code, _, err = called(
            capsys,
            *("--data", file, "--features", *wishes, "--jobs", workers),
            *("--cache", out, "--out", tmp_path / out / "npz"),
        )
        assert (code, err) == (0, "")
    assert len(calls) == 3, "the look at the extractors, and a batch for each"
    for name in wishes:
        with (
            np.load(tmp_path / "alone" / "npz" / name / "one.npz") as here,
            np.load(tmp_path / "shared" / "npz" / name / "one.npz") as there,
        ):
            assert len(here["rows"])
            np.testing.assert_array_equal(here["rows"], there["rows"])
