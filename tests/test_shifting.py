"""A speaker's shift: one for all that is said, none of what is relative, nothing of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from erc_demo import checkpoint, systems
from erc_demo.settings import Settings
from erc_demo.systems import Conversation
from trainer import shifting
from trainer.units import Unit

READS = {"audio": ("gemaps47:speaker_norm=both", "voice"), "text": ("sentence",)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(offline=True, device="cpu", data=tmp_path)


@pytest.fixture
def system(settings: Settings) -> systems.System:
    design = systems.design(
        "ats_sagru", widths=checkpoint.widths(READS, settings), reads=READS, labels=("iemocap4",)
    )
    return systems.build(design)


def unit(system: systems.System) -> Unit:
    """Six turns of two people, the fourth without sound."""
    draw = np.random.default_rng(0)
    widths = dict(system.design.widths)
    rows = {
        name: tuple(
            None if name == "audio" and at == 3 else draw.normal(size=(1, width)).astype(np.float32)
            for at in range(6)
        )
        for name, width in widths.items()
    }
    conversation = Conversation(
        name="talk",
        speakers=tuple("ABABBA"),
        rows=rows,
        widths=widths,
        levels=dict.fromkeys(widths, "utterance"),
        words=(None,) * 6,
        begins=(None,) * 6,
        steps={},
        places=tuple(range(6)),
        targets=np.ones(6, bool),
    )
    return Unit(conversation=conversation, labels={"iemocap4": np.zeros(6, np.int64)}, wanted=6)


def test_columns_that_are_relative_and_words_stay(
    system: systems.System, settings: Settings
) -> None:
    found = shifting.columns(system.design, settings)
    assert set(found) == {"audio"}
    assert found["audio"].tolist() == [1] * 47 + [0] * 47 + [1] * 256
    past = systems.design(
        "ats_sagru",
        widths={"audio": 47, "text": 384},
        reads={"audio": ("gemaps47:speaker_norm=past",), "text": ("sentence",)},
    )
    assert shifting.columns(past, settings) == {}


def test_all_that_one_speaker_says_moves_by_the_same(
    system: systems.System, settings: Settings
) -> None:
    these, before = shifting.columns(system.design, settings), unit(system)
    scale = system.scales["audio"].scale
    scale.fill_(0.5)  # a deviation of 2
    scale[0] = 0.0  # never moved in training
    draw = np.random.default_rng(1)
    after = shifting.shifted(before, 1.5, these, system, draw)
    pairs = zip(after.conversation.rows["audio"], before.conversation.rows["audio"], strict=True)
    moved = [None if one is None or other is None else one - other for one, other in pairs]
    assert moved[3] is None
    for same, place in (("A", 5), ("A", 2), ("B", 4)):
        first = before.conversation.speakers.index(same)
        np.testing.assert_allclose(moved[first], moved[place], atol=1e-5)
    assert np.abs(moved[0] - moved[1]).max() > 1  # type: ignore[operator]
    assert not moved[0][0, 47:94].any() and moved[0][0, 0] == 0  # type: ignore[index]
    spread = np.concatenate([moved[0][0, 1:47], moved[0][0, 94:], moved[1][0, 94:]])  # type: ignore[index]
    assert spread.std() == pytest.approx(1.5 * 2, rel=0.15)
    assert after.conversation.rows["text"] == before.conversation.rows["text"]


def test_none_is_none_and_a_seed_is_a_seed(system: systems.System, settings: Settings) -> None:
    these, before = shifting.columns(system.design, settings), unit(system)
    assert shifting.shifted(before, 0.0, these, system, np.random.default_rng(0)) is before
    one, two = (
        shifting.shifted(before, 1.0, these, system, np.random.default_rng(7)) for _ in range(2)
    )
    np.testing.assert_array_equal(
        one.conversation.rows["audio"][0], two.conversation.rows["audio"][0]
    )
