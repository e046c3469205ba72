"""The command line as its user calls it: files in, files out, exit codes, one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from erc_demo import plugs
from erc_demo.__main__ import main
from erc_demo.dialogue import RATE

FORMATS = ",".join(plugs.names("erc_demo.formats"))


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ERC_DEMO_OFFLINE", "1")


@pytest.fixture
def hum(tmp_path: Path, tone: Callable[..., np.ndarray]) -> Path:
    path = tmp_path / "hum.wav"
    soundfile.write(path, tone(2.0), RATE)
    return path


def test_a_recording_without_speech_is_written_in_every_format(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["transcribe", str(hum), "--out", str(out), "--to", FORMATS]) == 0
    assert {path.name for path in out.iterdir()} == {
        f"hum.{_suffix(n)}" for n in FORMATS.split(",")
    }
    assert json.loads((out / "hum.json").read_text())["dialogue"]["turns"] == []
    assert "turns: 0" in capsys.readouterr().out
    assert not list((tmp_path / "data" / "jobs").iterdir()), "a job's folder is left behind"


def _suffix(name: str) -> str:
    return plugs.load("erc_demo.formats", name).SUFFIX.lstrip(".")


def test_one_bad_file_does_not_stop_the_others(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("not sound")
    out = tmp_path / "out"
    assert main(["transcribe", str(bad), str(hum), "--out", str(out), "--recognizer", "none"]) == 1
    said = capsys.readouterr().out
    assert "bad.wav: not done." in said
    assert "1 of 2 done" in said
    assert (out / "hum.json").exists() and not (out / "bad.json").exists()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--to", "docx"], "no 'docx' in formats; choose one of"),
        (["--speakers", "many"], "speakers is 'many'"),
        (["--transcript", "absent.txt"], "absent.txt"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    hum: Path, capsys: pytest.CaptureFixture[str], extra: list[str], says: str
) -> None:
    assert main(["transcribe", str(hum), *extra]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_two_recordings_of_one_name_are_refused(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "hum.wav"
    other.write_bytes(hum.read_bytes())
    assert main(["transcribe", str(hum), str(other)]) == 2
    assert "would both be written as 'hum'" in capsys.readouterr().err


def test_a_transcript_for_two_recordings_is_refused(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "said.txt"
    text.write_text("A: hello\n")
    assert main(["transcribe", str(hum), str(hum), "--transcript", str(text)]) == 2
    assert "One transcript was given for 2 recordings" in capsys.readouterr().err


def test_score_of_a_file_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rttm = tmp_path / "call.rttm"
    rttm.write_text(
        "SPEAKER call 1 0.500 2.000 <NA> <NA> A <NA> <NA>\n"
        "SPEAKER call 1 2.000 3.000 <NA> <NA> B <NA> <NA>\n"
    )
    assert main(["score", "--reference", str(rttm), "--hypothesis", str(rttm)]) == 0
    assert "0.0" in capsys.readouterr().out


def test_doctor_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 8


def test_every_command_has_help() -> None:
    for program, commands in {
        "erc_demo": ("transcribe", "score", "doctor"),
        "trainer": ("voices", "language"),
    }.items():
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-m", program, command, "--help"],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert "usage:" in done.stdout


def test_nothing_is_written_over_what_was_given(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "hum.txt"
    text.write_text("mine\n")
    call = ["transcribe", str(hum), "--transcript", str(text), "--to", "txt", "--out"]
    assert main([*call, str(tmp_path)]) == 2
    assert "would be written over" in capsys.readouterr().err
    assert text.read_text() == "mine\n"


def test_names_that_a_file_system_can_not_tell_apart_are_refused(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twins = [tmp_path / "a:1.wav", tmp_path / "A_1.wav"]
    for twin in twins:
        twin.write_bytes(hum.read_bytes())
    assert main(["transcribe", *map(str, twins)]) == 2
    assert "would both be written as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--to", " , "], "--to names no format"),
        (["--recognizer", "nosuch"], "nosuch"),
        (["--language", "klingon"], "language is 'klingon'"),
        (["--speakers", "²"], "speakers is '²'"),
        (["--max-hours", "inf"], "max_hours is inf"),
        (["--voices", "/dev"], "lacks embedding_model.ckpt"),
    ],
)
def test_a_wrong_call_is_said_before_anything_is_heard(
    tmp_path: Path, hum: Path, capsys: pytest.CaptureFixture[str], extra: list[str], says: str
) -> None:
    assert main(["transcribe", str(hum), "--out", str(tmp_path / "out"), *extra]) == 2
    said = capsys.readouterr()
    assert says in said.err and not said.out
    assert not (tmp_path / "out").exists()


def test_a_bug_in_one_file_keeps_its_trace_and_the_others_their_results(
    tmp_path: Path,
    hum: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import erc_demo.analysis

    true = erc_demo.analysis.analyse

    def faulty(path: Path, *rest: object, **more: object) -> object:
        if path.stem == "broken":
            raise ZeroDivisionError("a bug")
        return true(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(erc_demo.analysis, "analyse", faulty)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(hum.read_bytes())
    out = tmp_path / "out"
    assert main(["transcribe", str(broken), str(hum), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "ZeroDivisionError: a bug" in said.err
    assert "1 of 2 done" in said.out and (out / "hum.json").exists()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stopped_call_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    import os
    import signal
    import time

    long = tmp_path / "long.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (600 * RATE, 1))
    soundfile.write(long, noise, RATE, "PCM_16")
    jobs = tmp_path / "data" / "jobs"
    with subprocess.Popen(
        [sys.executable, "-m", "erc_demo", "transcribe", str(long), "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        env=os.environ | {"ERC_DEMO_DATA": str(tmp_path / "data")},
    ) as process:
        until = time.monotonic() + 60
        while not list(jobs.glob("*/*")) and time.monotonic() < until:
            time.sleep(0.02)
        assert list(jobs.glob("*/*")), "it never began"
        process.send_signal(getattr(signal, name))
        assert process.wait(30) == 130
    assert not list(jobs.iterdir())
