"""Taking a speaker's habit away: worked by hand, and never from what is still to come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from erc_demo.features import normalise
from erc_demo.features._speaker_norm import SHRINK


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def one_a_turn(count: int) -> np.ndarray:
    return np.arange(count + 1)


def literal(
    rows: np.ndarray, starts: np.ndarray, speakers: Sequence[str], shrink: float
) -> np.ndarray:
    """``past`` by its equation, every row from the beginning again."""
    found = np.zeros(rows.shape)
    for turn, speaker in enumerate(speakers):
        means = [
            rows[starts[one] : starts[one + 1]].astype(float).mean(axis=0)
            for one in range(turn)
            if speakers[one] == speaker and starts[one + 1] > starts[one]
        ]
        if means:
            share = len(means) / (len(means) + shrink)
            here = slice(starts[turn], starts[turn + 1])
            found[here] = share * (rows[here] - np.mean(means, axis=0))
    return found


def random_dialogue(seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Turns of three speakers with 0 to 4 rows each."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 5, 30)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    rows = (5 + random.standard_normal((starts[-1], 3))).astype(np.float32)
    return rows, starts, [str(name) for name in random.choice(list("ABC"), 30)]


def test_past_by_hand() -> None:
    # A: 2, 4, 9 and B: 10, 6 by turns; K = 1
    rows = normalise(column(2, 10, 4, 6, 9), one_a_turn(5), list("ABABA"), "past")
    expected = [0, 0, 1 / 2 * (4 - 2), 1 / 2 * (6 - 10), 2 / 3 * (9 - 3)]
    assert SHRINK == 1
    np.testing.assert_allclose(rows[:, 0], expected, rtol=1e-6)


def test_frames_of_a_turn_share_its_past() -> None:
    # A says 1, 3 (mean 2), nothing, then 8, then 4, 6: a turn weighs one, however long it is
    rows, starts = column(1, 3, 8, 4, 6), np.array([0, 2, 2, 3, 5])
    found = normalise(rows, starts, list("AAAA"), "past")
    before = (2 + 8) / 2
    expected = [0, 0, (8 - 2) / 2, 2 / 3 * (4 - before), 2 / 3 * (6 - before)]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_past_by_its_equation() -> None:
    rows, starts, speakers = random_dialogue()
    found = normalise(rows, starts, speakers, "past")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, literal(rows, starts, speakers, SHRINK), atol=1e-5)


@pytest.mark.parametrize("mode", ["past", "both"])
def test_nothing_is_heard_of_what_comes(mode: str) -> None:
    rows, starts, speakers = random_dialogue()
    whole = normalise(rows, starts, speakers, mode)
    for turn in (0, 7, 18):
        until = int(starts[turn + 1])
        other = rows.copy()
        other[until:] = -1e4
        np.testing.assert_array_equal(
            normalise(other, starts, speakers, mode)[:until], whole[:until]
        )
        cut = normalise(rows[:until], starts[: turn + 2], speakers[: turn + 1], mode)
        np.testing.assert_array_equal(cut, whole[:until])


@pytest.mark.parametrize("mode", ["past", "both", "upload", "mean"])
def test_speakers_are_apart(mode: str) -> None:
    rows, starts, speakers = random_dialogue()
    whole = normalise(rows, starts, speakers, mode)
    mine = np.repeat([name == "B" for name in speakers], np.diff(starts))
    other = np.where(mine[:, None], rows, rows * 7 - 3).astype(np.float32)
    np.testing.assert_array_equal(normalise(other, starts, speakers, mode)[mine], whole[mine])


def test_a_turn_without_rows_counts_for_nothing() -> None:
    rows = column(2, 4, 9)
    without = normalise(rows, one_a_turn(3), list("AAA"), "past")
    found = normalise(rows, np.array([0, 0, 1, 1, 2, 3]), list("AABAA"), "past")
    np.testing.assert_array_equal(found, without)
    for mode in ("off", "past", "upload", "both", "mean"):
        empty = normalise(np.zeros((0, 2), np.float32), np.array([0, 0]), ["A"], mode)
        assert empty.shape == (0, 4 if mode == "both" else 2)


def test_upload_by_hand() -> None:
    # A's 1, 3, 5: mean 3, deviation √(8/3); B's only row says nothing; a constant column is 0
    rows = np.hstack([column(1, 100, 3, 5), column(7, 7, 7, 7)])
    found = normalise(rows, one_a_turn(4), list("ABAA"), "upload")
    spread = np.sqrt(8 / 3)
    np.testing.assert_allclose(found[:, 0], [-2 / spread, 0, 0, 2 / spread], atol=1e-6)
    np.testing.assert_array_equal(found[:, 1], 0)


def test_mean_says_who_and_nothing_of_how() -> None:
    found = normalise(column(1, 100, 3, 5), one_a_turn(4), list("ABAA"), "mean")
    np.testing.assert_allclose(found[:, 0], [3, 100, 3, 3])


def test_upload_does_not_raise_rounding() -> None:
    rows = np.float32(1000) + np.float32(1e-4) * np.arange(4, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(normalise(rows, one_a_turn(4), list("AAAA"), "upload"), 0)


def test_both_is_raw_beside_past() -> None:
    rows, starts, speakers = random_dialogue(1)
    found = normalise(rows, starts, speakers, "both")
    np.testing.assert_array_equal(found[:, :3], rows)
    np.testing.assert_array_equal(found[:, 3:], normalise(rows, starts, speakers, "past"))
    np.testing.assert_array_equal(normalise(rows, starts, speakers, "off"), rows)
