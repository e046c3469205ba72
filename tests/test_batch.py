"""Conversation and Batch, laid out by hand, and the scale of their numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.errors import UserError
from erc_demo.findings import Features
from erc_demo.systems import Conversation, collate
from erc_demo.systems._contract import Standard

TALK = Dialogue(
    name="talk",
    turns=(
        Turn(
            number=0,
            speaker="Ann",
            span=Span(2.0, 3.0),
            words=(Word(text="oh", span=Span(2.25, 2.5)), Word(text="well")),
        ),
        Turn(number=1, speaker="Ben", text="what"),
        Turn(number=2, speaker="Ann", span=Span(5.0, 6.0), text="no"),
    ),
)


def frames(name: str, counts: tuple[int, ...], step: float = 0.1) -> Features:
    """Two columns that count on, so many rows for each turn."""
    rows = np.arange(2 * sum(counts), dtype=np.float32).reshape(-1, 2)
    starts = np.cumsum([0, *counts])
    return Features(
        name=name, version="1", level="frame", rows=rows, starts=starts, step=step, reach=0.3
    )


def vectors(counts: tuple[int, ...]) -> Features:
    rows = np.arange(sum(counts), dtype=np.float32).reshape(-1, 1) + 10
    starts = np.cumsum([0, *counts])
    return Features(name="vectors", version="1", level="utterance", rows=rows, starts=starts)


def test_features_stand_side_by_side_and_are_absent_together() -> None:
    made = {"a": frames("a", (2, 0, 1)), "b": frames("b", (2, 3, 1)), "v": vectors((1, 1, 0))}
    given = Conversation.of(TALK, made, {"sound": ("a", "b"), "who": ("v",)})
    assert given.widths == {"sound": 4, "who": 1} and given.speakers == ("Ann", "Ben", "Ann")
    np.testing.assert_array_equal(given.rows["sound"][0], [[0, 1, 0, 1], [2, 3, 2, 3]])
    assert given.rows["sound"][1] is None  # one of the two is not there
    np.testing.assert_array_equal(given.rows["sound"][2], [[4, 5, 10, 11]])
    assert given.present(1) == {"who"} and given.present(2) == {"sound"}
    np.testing.assert_array_equal(given.words[0], [[0.25, 0.5], [np.nan, np.nan]])
    assert given.words[1] is None and given.words[2] is None
    np.testing.assert_allclose(given.moments("sound", 0), [2.15, 2.25])  # middles of 0.3 s
    np.testing.assert_allclose(given.moments("sound", 2), [5.15])
    assert len(given.moments("sound", 1)) == 0


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (frames("b", (3, 0, 1)), "different numbers of rows for turn 0"),
        (frames("b", (2, 0, 1), step=0.2), "mean different stretches"),
        (vectors((1, 0, 1)), "mean different stretches"),
    ],
)
def test_what_cannot_stand_side_by_side_is_a_sentence(other: Features, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Conversation.of(TALK, {"a": frames("a", (2, 0, 1)), "b": other}, {"sound": ("a", "b")})


def test_a_batch_laid_out_by_hand() -> None:
    made = {"a": frames("a", (2, 0, 1)), "v": vectors((1, 1, 0))}
    given = Conversation.of(TALK, made, {"sound": ("a",), "who": ("v",)})
    batch = collate([given.part([1]), given.part([0, 1, 2], [2])])
    assert batch.mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.targets.tolist() == [[True, False, False], [False, False, True]]
    assert batch.speakers.tolist() == [[0, -1, -1], [0, 1, 0]]  # by order of appearance
    assert batch.same.tolist() == [[False, True], [False, False]]
    assert batch.places.tolist() == [0, 3, 4, 5]
    assert batch.own.tolist() == [-1, -1, -1, 1] and batch.other.tolist() == [-1, -1, 1, 2]
    assert batch.inputs["who"][..., 0].tolist() == [[11, 0, 0], [10, 11, 0]]
    assert batch.present["who"].tolist() == [[True, False, False], [True, True, False]]
    assert batch.inputs["sound"].tolist() == [
        [[0, 0], [0, 0]],
        [[0, 1], [2, 3]],
        [[0, 0], [0, 0]],
        [[4, 5], [0, 0]],
    ]
    assert batch.lengths["sound"].tolist() == [0, 2, 0, 1]
    assert batch.real("sound").tolist() == [[False] * 2, [True] * 2, [False] * 2, [True, False]]
    assert torch.equal(batch.real("who"), batch.present["who"])
    assert batch.words is not None and batch.words.shape == (4, 2, 2)
    assert batch.words[1, 0].tolist() == [0.25, 0.5] and batch.words[1, 1].isnan().all()
    assert batch.words[[0, 2, 3]].isnan().all()
    flat = torch.arange(8.0).view(4, 2)
    folded = batch.fold(flat)
    assert torch.equal(batch.flat(folded), flat) and not folded[~batch.mask].any()


def test_a_number_that_never_moves_in_training_is_zero_and_others_are_standardised() -> None:
    random = np.random.default_rng(0)
    rows = [random.normal((1e4, 3, -2), (50, 1e-3, 0), (count, 3)) for count in (5, 1, 40)]
    scale = Standard(3)
    scale.fit(rows)
    every = np.concatenate(rows)
    found = scale(torch.as_tensor(every, dtype=torch.float32)).numpy()
    wanted = StandardScaler().fit_transform(every)
    np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=1e-3)
    np.testing.assert_allclose(found[:, 1], wanted[:, 1], atol=1e-3)
    moved = scale(torch.tensor([[1e4, 3.0, 70.0]]))
    assert moved[0, 2] == 0 and torch.isfinite(moved).all()
