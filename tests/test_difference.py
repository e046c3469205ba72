"""Encoders kept as a difference: what is read is what was tuned, and what does not fit is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders
import torch
from safetensors.numpy import load_file, save_file

from erc_demo import features
from erc_demo.dialogue import Dialogue, Turn
from erc_demo.errors import UserError
from erc_demo.features import _difference, _encoders
from erc_demo.settings import Settings

TALK = Dialogue(
    name="talk", turns=(Turn(number=0, speaker="A", text="the cat sat on a mat you do not know"),)
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(offline=True, device="cpu", data=tmp_path / "data", cache_mb=0)


@pytest.fixture
def folders(tmp_path: Path, settings: Settings) -> tuple[Path, Path, Path]:
    """An encoder, the same after a little tuning, and the difference of the two."""
    base = tiny_encoders.bert(tmp_path / "base")
    whole, less = tmp_path / "whole", tmp_path / "less"
    shutil.copytree(base, whole)
    before = load_file(base / "model.safetensors")
    draw = np.random.default_rng(0)
    after = {
        name: (one + 0.05 * one.std() * draw.normal(size=one.shape)).astype(np.float32)
        for name, one in before.items()
    }
    after["embeddings.word_embeddings.weight"] = before["embeddings.word_embeddings.weight"]
    save_file(after, whole / "model.safetensors", metadata={"format": "pt"})
    less.mkdir()
    fingerprint = _encoders.load(str(base), settings, kind="words").fingerprint
    _difference.write(less, str(base), fingerprint, _difference.between(before, after))
    return base, whole, less


def vector(folder: Path | str, settings: Settings, kind: str = "sentence") -> np.ndarray:
    text = f"{kind}:encoder={folder}"
    return features.extract([text], TALK, None, settings)[text].rows


def test_what_is_read_is_what_was_tuned(
    folders: tuple[Path, Path, Path], settings: Settings
) -> None:
    base, whole, less = folders
    for kind in ("sentence", "words"):
        wanted, found = vector(whole, settings, kind), vector(less, settings, kind)
        moved = np.abs(wanted - vector(base, settings, kind)).max()
        assert np.abs(found - wanted).max() < 0.02 * moved
    kept = load_file(less / _difference.WEIGHTS)
    assert not any("word_embeddings" in name for name in kept)
    assert {one.dtype.name for name, one in kept.items() if name.endswith(".int8")} == {"int8"}


def test_each_number_is_off_by_half_a_step_at_most() -> None:
    draw = np.random.default_rng(1)
    before = {"a": draw.normal(size=(5, 7)).astype(np.float32), "b": np.zeros(3, np.float32)}
    after = {"a": before["a"] + draw.normal(size=(5, 7)).astype(np.float32), "b": np.ones(3)}
    after["a"][2] = before["a"][2]
    kept = _difference.between(before, after)
    assert set(kept) == {"a.int8", "a.step", "b"} and (kept["b"] == 1).all()
    again = before["a"] + kept["a.int8"] * kept["a.step"]
    assert (np.abs(again - after["a"]) <= 0.5001 * kept["a.step"] + 1e-6).all()
    assert (kept["a.int8"][2] == 0).all() and _difference.between(after, after) == {}


def test_those_that_ship_have_a_name(
    folders: tuple[Path, Path, Path],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(folders[2], tmp_path / "shipped" / "ours")
    monkeypatch.setattr(_difference, "SHIPPED", tmp_path / "shipped")
    assert _difference.shipped() == ["ours"]
    assert (vector("ours", settings) == vector(folders[2], settings)).all()
    version = features.ready(features.parse("sentence:encoder=ours"), settings).version
    assert version != features.ready(features.parse("sentence"), settings).version


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("other base", "another"),
        ("cut", "another sha256"),
        ("gone", "lacks difference.safetensors"),
        ("layout", "layout 7"),
        ("stranger", "has no place there"),
        ("pickle", "can't be read"),
        ("loop", "is itself a difference"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    fault: str, said: str, folders: tuple[Path, Path, Path], settings: Settings
) -> None:
    less = folders[2]
    weights, told = less / _difference.WEIGHTS, less / _difference.TOLD
    data = json.loads(told.read_text())
    if fault == "other base":
        data["fingerprint"] = "0" * 12
    elif fault == "cut":
        weights.write_bytes(weights.read_bytes()[:-8])
    elif fault == "gone":
        weights.unlink()
    elif fault == "layout":
        data["layout"] = 7
    elif fault == "stranger":
        save_file({"of.nobody": np.ones(3, np.float32)}, weights)
    elif fault == "pickle":
        torch.save({"a": torch.ones(2)}, weights)
    elif fault == "loop":
        data["base"] = str(less)
    if fault in ("stranger", "pickle"):
        data["sha256"] = _difference._sha256(weights)
    told.write_text(json.dumps(data))
    with pytest.raises(UserError, match=said) as caught:
        vector(less, settings)
    assert str(caught.value).count(". ") == 0
