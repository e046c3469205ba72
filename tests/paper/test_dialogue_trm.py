"""dialogue_trm against its paper: every fusion, both windows, its Table 1, and its own BERT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders
import torch
import turns_of_numbers as made
from dialogue_trm_by_hand import Literal
from torch import nn

from erc_demo import features, systems
from erc_demo.dialogue import Dialogue, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.systems import Conversation, System, dialogue_trm

TEXT = {"text": ("sentence",), "audio": ("is13",)}
THREE = {**TEXT, "vision": ("pictures",)}
TOKENS = {"tokens": ("tokens",), "audio": ("is13",)}
CONTEXT = dialogue_trm.CONTEXT
FUSIONS = tuple(dialogue_trm.KINDS)
SAID = {"labels": ("iemocap6", "meld7"), "dimensions": ("valence", "arousal")}
SPEAKERS = "11213212"  # Table 1


def small(ablation: str = "", reads: Any = None, **settings: Any) -> System:
    """A small system, both heads, with everything moved off its first value."""
    return made.build(made.plan("dialogue_trm", ablation, reads=reads, settings=settings, **SAID))


def patchy(system: System, turns: int = 9, seed: int = 1) -> Conversation:
    """Turns that lack every choice of inputs, one after the other."""
    names = list(system.design.inputs)
    absent = {
        at: [name for place, name in enumerate(names) if at >> place & 1]
        for at in range(1, 2 ** len(names))
    }
    return made.conversation(system.design, turns, seed=seed, absent=absent, size=4)


CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    **{one: (one, None, {}) for one in ("", *dialogue_trm.ABLATIONS)},
    **{f"{one} of three": ("", THREE, {"fusion": one}) for one in FUSIONS if one != "mult"},
    "mult of three": ("", THREE, {"fusion": "mult", **CONTEXT}),
    "text": ("", TEXT, {}),
    "rows": ("", TEXT, {"window": "rows"}),
    "rows of three": ("", THREE, {"window": "rows", "vision_context": "dependent"}),
    "rows and mult": ("", THREE, {"window": "rows", "fusion": "mult", **CONTEXT}),
    "positions": ("", THREE, {"positions": True, **CONTEXT}),
    "positions and mult": ("", TEXT, {"positions": True, "fusion": "mult", **CONTEXT}),
    "mult without transformer": ("mult", None, {"remove": "transformer"}),
    "narrow": ("", TEXT, {"width": 6, "layers": 1, "fusion_layers": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_paper_turn_by_turn(case: str) -> None:
    ablation, reads, settings = CASES[case]
    system = small(ablation, reads, **settings)
    given = patchy(system)
    system.fit_inputs([made.conversation(system.design, 9, seed=2)])
    literal = Literal(system, given)
    batch = systems.collate([made.conversation(system.design, 4, seed=3), given])
    with torch.no_grad():
        output = system(batch)
    said = systems.predict(system, given)
    answered = 0
    for at in range(len(given)):
        wanted = literal.turn(at)
        if wanted is None:
            assert said.why_not[at]
            continue
        answered += 1
        for name in system.design.labels:
            np.testing.assert_allclose(output.logits[name][1, at], wanted[name], atol=1e-5)
        np.testing.assert_allclose(output.values[1, at], wanted["values"], atol=1e-5)
        for one in said.maps:
            check_map(one, at, literal.maps.get(one.name), several(system, given, at))
    assert answered


def several(system: System, given: Conversation, at: int) -> bool:
    return len(given.present(at)) > 1


def check_map(one: Any, at: int, wanted: Any, fused: bool) -> None:
    value = one.values[at]
    if wanted is None:
        assert value is None
    elif one.name.startswith("context"):
        weights, seen = wanted
        assert list(one.at["turn"][at]) == seen
        np.testing.assert_allclose(value, weights, atol=1e-5)
    else:
        assert fused
        rows = list(wanted.values()) if isinstance(wanted, dict) else wanted
        if isinstance(wanted, dict):
            assert one.names["pair"] == tuple(wanted)
        np.testing.assert_allclose(value, rows, atol=1e-5)


# windows


def table_1(folder: Path) -> Dialogue:
    """Eight turns of the paper's example, each of one word of its own."""
    tiny_encoders.bert(folder)
    turns = tuple(
        Turn(number=at, speaker=speaker, text=word)
        for at, (speaker, word) in enumerate(zip(SPEAKERS, tiny_encoders.WORDS, strict=False))
    )
    return Dialogue(name="table 1", turns=turns)


def test_table_1_the_speakers_own_context_is_turns_2_and_4(tmp_path: Path) -> None:
    dialogue = table_1(tmp_path)
    wish = f"tokens:context=5,encoder={tmp_path}"
    found = features.extract([wish], dialogue, None, Settings(offline=True))[wish]
    rows = found.of(6)
    alone = {at: found.of(at)[found.of(at)[:, 2] >= 0, 0] for at in range(8)}
    past = rows[rows[:, 1] == 1, 0][:-1]  # without [SEP]
    np.testing.assert_array_equal(past, np.concatenate([alone[1], alone[3]]))
    assert np.isin(alone[0], past).any() is np.False_, "turn 1 lies before the window"


@pytest.mark.parametrize(
    ("window", "seen"), [("strict", {2, 3, 4, 5, 6, 7}), ("rows", {1, 2, 3, 4, 5, 6, 7})]
)
def test_table_1_what_turn_7_sees(window: str, seen: set[int]) -> None:
    system = small("U", TEXT, window=window, context=5)
    given = made.conversation(system.design, 8, speakers=SPEAKERS)
    batch = systems.collate([given])
    batch.inputs["text"].requires_grad_()
    system(batch).logits["iemocap6"][0, 6].square().sum().backward()
    moved = batch.inputs["text"].grad[0].abs().sum(dim=-1)
    assert {at + 1 for at in range(8) if moved[at] > 0} == seen
    assert set(system.around(given.speakers, 6)) == {one - 1 for one in seen}
    weights = systems.predict(system, given).map("context")
    assert list(weights.at["turn"][6]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("settings", [{}, {"positions": True, **CONTEXT}])
def test_strict_is_each_window_alone(settings: dict[str, Any]) -> None:
    system = small("", TEXT, **settings)
    given = patchy(system, 12)
    whole = systems.answer(system, [given], show=True)[0]
    for at in range(len(given)):
        first = max(0, at - system.config.context)
        alone = systems.answer(system, [given.part(range(first, at + 1))], show=True)[0]
        for name, rows in whole.probabilities.items():
            np.testing.assert_allclose(alone.probabilities[name][-1], rows[at], atol=1e-6)
        for name, cuts in whole.maps.items():
            one, other = cuts[at], alone.maps[name][-1]
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(other.value, one.value, atol=1e-6)


def pytorch(encoder: nn.Module, heads: int) -> nn.TransformerEncoder:
    """PyTorch's own encoder with the same weights."""
    width = encoder.layers[0].norm_1.normalized_shape[0]
    units = encoder.layers[0].feed[0].out_features
    one = nn.TransformerEncoderLayer(width, heads, units, batch_first=True)
    theirs = nn.TransformerEncoder(one, len(encoder.layers), enable_nested_tensor=False)
    names = {
        "self_attn.in_proj_": "inner.",
        "self_attn.out_proj.": "outer.",
        "linear1.": "feed.0.",
        "linear2.": "feed.3.",
        "norm1.": "norm_1.",
        "norm2.": "norm_2.",
    }
    for each, ours in zip(theirs.layers, encoder.layers, strict=True):
        state = ours.state_dict()
        each.load_state_dict(
            {
                name + kind: state[own + kind]
                for name, own in names.items()
                for kind in ("weight", "bias")
            }
        )
    return theirs.eval()


@pytest.mark.parametrize("window", ["strict", "rows"])
def test_words_go_through_pytorchs_own_encoder(window: str) -> None:
    system = small("U", TEXT, window=window)
    config = system.config
    theirs = pytorch(system.encoders["text"], config.heads)
    given = made.conversation(system.design, 9)
    rows = torch.from_numpy(np.concatenate(given.rows["text"]))
    vectors = system.project["text"](rows)
    steps = torch.arange(len(rows))
    back = steps.unsqueeze(1) - steps
    hidden = (back < 0) | (back > config.context)
    with torch.no_grad():
        if window == "rows":
            states = theirs(vectors.unsqueeze(0), mask=hidden)[0]
        else:  # the mask of (3), for each turn anew
            states = torch.stack(
                [
                    theirs(vectors.unsqueeze(0), src_key_padding_mask=hidden[at : at + 1])[0, at]
                    for at in range(len(rows))
                ]
            )
        wanted = system.heads.labels["iemocap6"](torch.tanh(system.hidden(states)))
        found = system(systems.collate([given])).logits["iemocap6"][0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_initial_weights_are_pytorchs() -> None:
    theirs = nn.TransformerEncoderLayer(128, 4, 96).state_dict()
    wide = {"width": 128, "heads": 4, "units": 96, "layers": 1}
    plan = made.plan("dialogue_trm", "U", reads=TEXT, settings=wide)
    ours = systems.build(plan).encoders["text"].layers[0].state_dict()
    for name, own in (
        ("self_attn.in_proj_weight", "inner.weight"),
        ("self_attn.out_proj.weight", "outer.weight"),
        ("linear1.weight", "feed.0.weight"),
        ("linear2.bias", "feed.3.bias"),
        ("self_attn.in_proj_bias", "inner.bias"),
    ):
        one, other = theirs[name], ours[own]
        assert one.shape == other.shape
        torch.testing.assert_close(one.abs().max(), other.abs().max(), rtol=0.15, atol=0)
        torch.testing.assert_close(one.std(), other.std(), rtol=0.15, atol=0)


# inputs


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_turn_with_one_input_goes_on_as_the_system_of_that_input(fusion: str) -> None:
    context = CONTEXT if fusion == "mult" else {}
    system = small("", THREE, fusion=fusion, **context)
    given = made.conversation(system.design, 6, seed=4)
    for name in THREE:
        reads = {name: THREE[name]}
        alone = small("", reads, **context)
        kept = {
            key: value for key, value in system.state_dict().items() if key in alone.state_dict()
        }
        alone.load_state_dict(kept, strict=True)
        others = [one for one in THREE if one != name]
        one = systems.predict(system, given.without(*others))
        levels = {name: given.levels[name]}
        part = replace(given, rows={name: given.rows[name]}, levels=levels)
        other = systems.predict(alone, part)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


def test_dropout_is_for_training() -> None:
    plan = made.plan("dialogue_trm", reads=THREE, settings={"dropout": 0.0})
    still, moved = (
        made.build(replace(plan, settings={**plan.settings, "dropout": share})).train()
        for share in (0.0, 0.5)
    )
    batch = systems.collate([patchy(still)])
    with torch.no_grad():
        learning, serving = (still.train(on)(batch).logits["iemocap6"] for on in (True, False))
        torch.testing.assert_close(learning, serving)
        first, second = (moved(batch).logits["iemocap6"] for _ in range(2))
        alone = batch.present["vision"] & ~batch.present["text"] & ~batch.present["audio"]
        assert alone.any() and ((first - second)[alone].abs().amax(dim=-1) > 0).all()
        torch.testing.assert_close(moved.eval()(batch).logits["iemocap6"], serving)


@pytest.mark.parametrize("case", ["text", "rows and mult", "positions", "bilinear of three"])
def test_every_parameter_gets_a_gradient_here_too(case: str) -> None:
    ablation, reads, settings = CASES[case]
    system = small(ablation, reads, **settings)
    batch = systems.collate([made.conversation(system.design, 9, seed=seed) for seed in (1, 2)])
    system.loss(system(batch), batch, made.targets(system.design, batch)).backward()
    still = [name for name, one in system.named_parameters() if one.grad is None]
    assert not still and all(one.grad.any() for one in system.parameters())
    assert all(torch.isfinite(one.grad).all() for one in system.parameters())


def test_published_and_embedded_designs_read_words_in_their_own_way() -> None:
    assert list(systems.inputs("dialogue_trm")) == ["tokens", "audio"]
    assert list(systems.inputs("dialogue_trm", embedded=True)) == ["text", "audio"]
    widths = {"tokens": 3, "text": 384, "audio": 350, "vision": 512}
    for embedded, words in ((False, "tokens"), (True, "text")):
        for ablation, names in (
            (None, [words, "audio"]),
            ("U", [words]),
            ("M", [words, "audio", "vision"]),
        ):
            plan = systems.design(
                "dialogue_trm", widths=widths, embedded=embedded, ablation=ablation
            )
            assert list(plan.inputs) == names
    plan = systems.design("dialogue_trm", widths=widths, embedded=True, ablation="U", reads=TOKENS)
    assert list(plan.inputs) == ["tokens"]


@pytest.mark.parametrize(
    ("ablation", "reads", "settings", "said"),
    [
        ("", {**TOKENS, **TEXT}, {}, "as tokens or as text, not both"),
        ("", TEXT, {"width": 15}, "heads = 2 can't share a width of 15"),
        ("", TEXT, {"layers": 0, "context": 0}, "context is 0.* layers is 0"),
        ("", TEXT, {"dropout": 1}, "dropout is 1.0"),
        ("no_segments", TEXT, {}, "no segments in text; let it read tokens"),
        ("", {"audio": ("is13",)}, {"remove": "transformer"}, "about words"),
        ("", TEXT, {"fusion": "mult"}, "audio can't be context-free"),
        ("", TEXT, {"positions": True, "window": "rows"}, "use window = strict"),
        ("", {}, {}, "is given no input"),
    ],
)
def test_what_can_not_go_together(
    ablation: str, reads: Any, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        small(ablation, reads, **settings)


def test_tokens_are_three_columns() -> None:
    plan = made.plan("dialogue_trm")
    with pytest.raises(UserError, match="tokens have 4 columns"):
        systems.build(replace(plan, widths={**plan.widths, "tokens": 4}))


def test_tokens_of_another_encoder_are_refused() -> None:
    system = small("U")
    given = made.conversation(system.design, 3)
    rows = given.rows["tokens"][0].copy()
    rows[1, 0] = 64
    with pytest.raises(UserError, match="numbers up to 64.*knows 64 and reads 64"):
        systems.predict(system, given.instead(0, {"tokens": rows}))
    long = np.repeat(given.rows["tokens"][0], 40, axis=0)
    with pytest.raises(UserError, match="name the encoder's own tokenizer"):
        systems.predict(system, given.instead(0, {"tokens": long}))


def test_an_embedded_checkpoint_stays_small() -> None:
    widths = {"text": 384, "audio": 350, "vision": 512}
    for ablation in (None, "M"):
        plan = systems.design(
            "dialogue_trm", widths=widths, embedded=True, ablation=ablation, dimensions=("valence",)
        )
        system = systems.build(plan)
        assert 2 * sum(one.numel() for one in system.state_dict().values()) < 25e6
        config = system.config
        assert (config.layers, config.heads, config.fusion_layers, config.fusion_heads) == (
            6, 12, 4, 8,
        )  # fmt: skip
