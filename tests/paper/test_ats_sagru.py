"""ats_sagru against its paper, one turn, one input and one head at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import turns_of_numbers as made
from gru_by_hand import both_ways, part, softmax

from erc_demo import systems
from erc_demo.errors import UserError
from erc_demo.systems import Conversation, System

ROWS = ("", "S1", "S2", "S3", "S4")  # of Table 1; S5 is the system itself


def literal(system: System, given: Conversation) -> tuple[dict[str, np.ndarray], dict]:
    """Rows of every head for each turn, fusion weights and attention, Eq. 1 to 11."""
    weights = {key: value.numpy() for key, value in system.state_dict().items()}
    config, maps = system.config, {"fusion": [], "context": []}
    fused = []
    for at in range(len(given)):
        columns, shares = [], []
        for name in system.design.inputs:
            row = given.rows[name][at]
            if row is None:
                continue
            row = (row[0] - weights[f"scales.{name}.mean"]) * weights[f"scales.{name}.scale"]
            columns.append(weights[f"embed.{name}.weight"] @ row)  # (1)
        if not columns:
            fused.append(weights["nothing"])
            maps["fusion"].append(None)
            continue
        u_cat = np.stack(columns, axis=1)  # d × inputs
        if config.fusion == "add":
            fused.append(u_cat.sum(axis=1))
            continue
        p_f = np.tanh(weights["w_f.weight"] @ u_cat)  # (2)
        alpha = softmax(weights["score.weight"][0] @ p_f)  # (3)
        fused.append(u_cat @ alpha)  # (4)
        there = iter(alpha)
        shares = [next(there) if given.rows[name][at] is not None else 0.0
                  for name in system.design.inputs]  # fmt: skip
        maps["fusion"].append(np.array(shares))
    states = np.stack(fused)
    if config.layers != "attention":
        states = both_ways(part(weights, "gru."), states)  # (5-7)
    if config.layers != "gru":
        size = config.width // config.heads
        heads, seen = [], []
        for head in range(config.heads):
            mine = slice(head * size, (head + 1) * size)  # W_i of the stacked matrices
            value = states @ weights["value.weight"][mine].T  # (8)
            key = states @ weights["key.weight"][mine].T  # (9)
            query = states @ weights["query.weight"][mine].T  # (10)
            rows = [softmax(np.array([one @ other for other in key])) for one in query]
            heads.append(np.stack([row @ value for row in rows]))  # (11)
            seen.append(np.stack(rows))
        states = np.concatenate(heads, axis=1)
        maps["context"] = list(np.stack(seen, axis=1))
    found = {
        key.removesuffix(".weight"): states @ weights[key].T + weights[key[:-6] + "bias"]
        for key in weights
        if key.startswith("heads.") and key.endswith(".weight")
    }
    return found, maps


@pytest.mark.parametrize("ablation", ROWS)
def test_it_equals_its_equations(ablation: str) -> None:
    design = made.plan(
        "ats_sagru", ablation, labels=("iemocap4", "meld7"), dimensions=("valence", "arousal")
    )
    system = made.build(design).double()
    names = list(design.inputs)
    absent = {at: [names[at % len(names)]] for at in (0, 2, 5)} | {3: names, 6: names[:-1]}
    given = [
        made.conversation(design, 8, seed=1, absent=absent),
        made.conversation(design, 1, seed=2),
        made.conversation(design, 12, seed=3),
    ]
    given = [replace(one, rows={name: tuple(
        None if row is None else 5 * row - 2 for row in rows) for name, rows in one.rows.items()})
        for one in given]  # fmt: skip
    system.fit_inputs(given)
    batch = systems.collate(given)
    batch.inputs = {name: rows.double() for name, rows in batch.inputs.items()}
    with torch.inference_mode():
        output = system(batch, True)
    flat = 0
    for row, one in enumerate(given):
        heads, maps = literal(system, one)
        count = len(one)
        for name, logits in output.logits.items():
            wanted = heads[f"heads.labels.{name}"]
            np.testing.assert_allclose(logits[row, :count], wanted, atol=1e-9)
        wanted = heads["heads.dimensions"]
        np.testing.assert_allclose(output.values[row, :count], wanted, atol=1e-9)
        assert set(output.shown) == {name for name, these in maps.items() if any(
            value is not None for value in these)}  # fmt: skip
        for at in range(count):
            if "fusion" in output.shown and maps["fusion"][at] is not None:
                np.testing.assert_allclose(
                    output.shown["fusion"][flat + at], maps["fusion"][at], atol=1e-9
                )
            if "context" in output.shown:
                np.testing.assert_allclose(
                    output.shown["context"][flat + at, :, :count], maps["context"][at], atol=1e-9
                )
                assert not output.shown["context"][flat + at, :, count:].any()
        flat += count


def test_attention_over_turns_is_blind_to_their_order() -> None:
    """Sec. 3.3: "If we shuffle the order of utterances ..., we will get the same output" (S3)."""
    for ablation, blind in (("S3", True), ("", False), ("S4", False)):
        system = made.build(made.plan("ats_sagru", ablation))
        given = made.conversation(system.design, 6, seed=4)
        order = [3, 0, 5, 1, 4, 2]
        plain, shuffled = systems.answer(system, [given, given.part(order)])
        one = plain.probabilities["iemocap6"][order]
        assert np.allclose(one, shuffled.probabilities["iemocap6"], atol=1e-6) is blind


def test_adding_is_attention_with_equal_weights() -> None:
    """Sec. 3.3: "ADD is a special case of ATS-Fusion"; equal weights are thirds of the sum."""
    added = made.build(made.plan("ats_sagru", "S2"))
    fused = made.build(made.plan("ats_sagru"))
    state = fused.state_dict() | added.state_dict()
    state["score.weight"] = torch.zeros_like(state["score.weight"])
    state |= {key: 3 * value for key, value in state.items() if key.startswith("embed.")}
    fused.load_state_dict(state)
    given = made.conversation(added.design, 5)
    one, other = (systems.answer(system, [given])[0] for system in (added, fused))
    np.testing.assert_allclose(
        one.probabilities["iemocap6"], other.probabilities["iemocap6"], atol=1e-6
    )


@pytest.mark.parametrize(("ablation", "places"), [("", 3), ("S3", 2), ("S4", 2)])
def test_dropout_stands_before_gru_attention_and_linear_layer(ablation: str, places: int) -> None:
    system = made.build(made.plan("ats_sagru", ablation)).train()
    shapes: list[int] = []
    system.dropout.register_forward_hook(lambda _, __, made: shapes.append(made.shape[-1]))
    system(systems.collate([made.conversation(system.design, 4)]))
    assert shapes == [16] * places


def test_published_sizes() -> None:
    widths = {"audio": 6373, "text": 1024, "speaker": 512}
    system = systems.build(systems.design("ats_sagru", widths=widths, labels=("iemocap4",)))
    assert {name: tuple(layer.weight.shape) for name, layer in system.embed.items()} == {
        name: (100, width) for name, width in widths.items()
    }
    assert all(layer.bias is None for layer in system.embed.values())
    assert [way.hidden_size for way in system.gru.ways] == [50, 50]
    assert system.query.weight.shape == (100, 100) and system.config.heads == 4
    assert system.dropout.p == 0.2


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(UserError, match="width 16 can't be shared by 3 heads"):
        made.build(made.plan("ats_sagru", settings={"heads": 3}))
