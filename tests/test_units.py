"""What a step of training sees: every labelled turn once an epoch, in whatever units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_corpus
from sklearn.utils.class_weight import compute_class_weight

from erc_demo import systems
from erc_demo.settings import Settings
from erc_demo.systems import Conversation, System, collate
from trainer import inputs, units
from trainer.datasets import Labelled, open_corpus
from trainer.inputs import Example
from trainer.runs import Plan

CPU = torch.device("cpu")


@pytest.fixture
def toys(tmp_path: Path) -> tuple[list[Example], System]:
    given = {"system": "ats_sagru", "labels": "iemocap4", "inputs": "text"}
    plan = Plan.of({**given, "reads": {"text": [toy_corpus.READS]}}, "a test")
    settings = Settings(data=tmp_path / "data", offline=True)
    corpus = open_corpus(toy_corpus.write(tmp_path / "toy"), plan.ask)
    design = inputs.design_of(plan, settings)
    return inputs.examples(corpus.dialogues, design, settings), systems.build(design)


def labelled(examples: list[Example]) -> list[str]:
    return [
        one.labelled.ids[at]
        for one in examples
        for at in np.flatnonzero(one.labelled.labels["iemocap4"] >= 0)
    ]


class Near(torch.nn.Module):
    """Stands for a system whose answer hangs on the turn and the one before it."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.design, self.config = system.design, system.config

    def sees(self, speakers: tuple[str, ...], place: int) -> list[int]:
        return [at for at in (place - 1, place) if at >= 0]


def test_turns_bring_those_that_their_answer_hangs_on(toys: tuple[list[Example], System]) -> None:
    examples, system = toys
    found = units.units(examples, Near(system))  # type: ignore[arg-type]
    assert len(found) == len(labelled(examples))
    for one in found:
        assert len(one.conversation) <= 2 and one.wanted == 1
        assert (one.labels["iemocap4"][:-1] == -1).all() and one.labels["iemocap4"][-1] >= 0
        assert one.conversation.targets.tolist() == [False] * (len(one.conversation) - 1) + [True]


def test_dialogues_are_units_and_long_ones_are_cut(
    toys: tuple[list[Example], System], monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, system = toys
    whole = units.units(examples, system)
    assert len(whole) == len(examples)
    assert sum(one.wanted for one in whole) == len(labelled(examples))
    monkeypatch.setattr(units, "WINDOW", 4)
    cut = units.units(examples, system)
    assert max(len(one.conversation) for one in cut) <= 4
    assert sum(one.wanted for one in cut) == len(labelled(examples))


@pytest.mark.parametrize(("decode", "few"), [("argmax", True), ("crf", False)])
def test_a_chain_learns_from_whole_dialogues(decode: str, few: bool) -> None:
    """One turn alone has no transition that could be learned."""
    settings = {"fusion": "text", "decode": decode}
    plan = systems.design("late_fusion", widths={"text": 6}, reads={"text": ("words",)},
                          settings=settings)  # fmt: skip
    assert units.small(systems.build(plan)) is few


def test_a_short_dialogue_is_no_other_unit_than_a_long_one(
    toys: tuple[list[Example], System],
) -> None:
    class Back(Near):
        def sees(self, speakers: tuple[str, ...], place: int) -> list[int]:
            return list(range(max(0, place - 9), place + 1))

    examples, system = toys
    known = examples[0].labelled
    cut = Labelled(
        dialogue=replace(known.dialogue, turns=known.dialogue.turns[:3]),
        ids=known.ids[:3],
        people=known.people[:3],
        labels={"iemocap4": np.zeros(3, np.int64)},
    )
    short = Example(labelled=cut, conversation=examples[0].conversation.part([0, 1, 2]))
    (unit,) = units.units([short], Back(system))  # type: ignore[arg-type]
    assert len(unit.conversation) == unit.wanted == 3


@pytest.mark.parametrize("turns", [True, False])
def test_an_epoch_has_every_unit_once_and_hangs_on_its_seed_alone(
    toys: tuple[list[Example], System], turns: bool
) -> None:
    examples, system = toys
    found = units.units(examples, Near(system) if turns else system)  # type: ignore[arg-type]
    order = units.batches(found, 4, (0, 0, 1), turns=turns)
    assert sorted(at for batch in order for at in batch) == list(range(len(found)))
    assert order == units.batches(found, 4, (0, 0, 1), turns=turns)
    assert order != units.batches(found, 4, (0, 0, 2), turns=turns)
    assert {len(batch) for batch in order} <= {4, len(found) % 4}


def test_targets_are_what_the_corpus_says(toys: tuple[list[Example], System]) -> None:
    examples, system = toys
    found = units.units(examples, system)[:3]
    made = units.targets(found, system, {}, 0.0, CPU)
    batch = collate([one.conversation for one in found])
    for row, one in enumerate(examples[:3]):
        wanted = one.labelled.labels["iemocap4"]
        assert made.labels["iemocap4"][row, : len(wanted)].tolist() == wanted.tolist()
        assert (made.labels["iemocap4"][row, len(wanted) :] == -1).all()
    assert made.labels["iemocap4"].shape == batch.mask.shape and not made.soft


def test_votes_are_shares_and_smoothing_spreads_them() -> None:
    soft = np.array([[[3, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]], np.float32)
    labels = np.array([[0, 2, -1]])
    exact = units._smoothed(soft, labels, 0.0)
    assert exact.tolist() == [[[0.75, 0.25, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]]
    spread = units._smoothed(soft, labels, 0.2)
    assert np.allclose(spread[0, 0], [0.65, 0.25, 0.05, 0.05])
    assert np.allclose(spread[0, 1], [0.05, 0.05, 0.85, 0.05])
    assert not spread[0, 2].any()  # what nobody labelled stays unlabelled


def test_class_weights_are_scikit_learns(toys: tuple[list[Example], System]) -> None:
    examples, system = toys
    found = units.units(examples, system)
    labels = np.concatenate([one.labels["iemocap4"] for one in found])
    labels = labels[labels >= 0]
    theirs = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    mine = units.class_weights(found, "iemocap4", "balanced")
    assert mine is not None and np.allclose(mine, theirs)
    root = units.class_weights(found, "iemocap4", "root")
    assert root is not None and np.isclose(root[labels].mean(), 1)
    assert np.allclose(root / root[0], np.sqrt(theirs / theirs[0]))
    assert units.class_weights(found, "iemocap4", "none") is None


def test_an_input_is_left_out_only_where_the_rest_suffices(
    toys: tuple[list[Example], System],
) -> None:
    examples, system = toys
    (unit, *_) = units.units(examples, system)
    draw = np.random.default_rng(0)
    assert units.lacking(unit, 0.999, system, draw) is unit  # its only input
    plan = systems.design(
        "dialogue_trm", widths={"text": 6, "audio": 6}, embedded=True, labels=("iemocap4",)
    )
    both = systems.build(plan)
    conversation = unit.conversation
    rows = {"text": conversation.rows["text"], "audio": conversation.rows["text"]}
    two = replace(
        unit,
        conversation=replace(
            conversation,
            rows=rows,
            widths={"text": 6, "audio": 6},
            levels={"text": "utterance", "audio": "utterance"},
        ),
    )
    seen = [units.lacking(two, 0.5, both, draw).conversation for _ in range(60)]
    gone = [frozenset(one.present(0)) for one in seen]
    assert set(gone) == {frozenset({"text"}), frozenset({"audio"}), frozenset({"text", "audio"})}
    assert isinstance(seen[0], Conversation)


def test_a_process_without_a_unit_asks_for_nothing(toys: tuple[list[Example], System]) -> None:
    examples, system = toys
    (unit, *_) = units.units(examples, system)
    silent = units.nothing(unit)
    made = units.targets([silent], system, {}, 0.1, CPU)
    batch = collate([silent.conversation])
    loss = system.loss(system.run(batch, False), batch, made, per=5)
    assert silent.wanted == 0 and loss.item() == 0
