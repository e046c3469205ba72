"""Intervals and paired tests against literal loops over dialogues."""

from __future__ import annotations

import numpy as np
import pytest
from predicted import drawn, spoken
from scipy.stats import binom, norm

from erc_demo.errors import UserError
from trainer import metrics
from trainer.metrics.reading import answers, by_dialogue
from trainer.metrics.reports import measures
from trainer.predictions import Line
from trainer.runs import MEASURES


def measured(lines: list[Line], measure: str) -> float:
    value = measures(answers(lines))[measure]
    assert value is not None
    return float(value)


def renamed(lines: list[Line], suffix: int) -> list[Line]:
    return [Line(**{**one.to_json(), "dialogue": f"{one.dialogue}#{suffix}"}) for one in lines]


@pytest.mark.parametrize("measure", MEASURES)
def test_the_interval_is_that_of_a_literal_bootstrap(measure: str) -> None:
    lines = drawn(6, 5)
    dialogues = by_dialogue(lines)
    names = sorted(dialogues)
    dice = np.random.default_rng(7)
    found = []
    for drawing in dice.integers(0, len(names), (40, len(names))):
        sample = [
            one for copy, at in enumerate(drawing) for one in renamed(dialogues[names[at]], copy)
        ]
        found.append(measured(sample, measure))
    expected = np.percentile(found, [2.5, 97.5])
    assert metrics.interval(lines, measure, draws=40, seed=7) == pytest.approx(tuple(expected))


def test_the_interval_of_accuracy_is_about_the_binomials_where_turns_are_dialogues() -> None:
    dice = np.random.default_rng(0)
    lines = [
        one
        for at in range(800)
        for one in spoken("A:NN" if dice.random() < 0.7 else "A:NS", dialogue=str(at))
    ]
    rate = measured(lines, "wa")
    expected = binom(800, rate).ppf([0.025, 0.975]) / 800
    assert metrics.interval(lines, "wa", draws=4000) == pytest.approx(tuple(expected), abs=0.004)
    half = norm.ppf(0.975) * np.sqrt(rate * (1 - rate) / 800)
    low, high = metrics.interval(lines, "wa", draws=4000)
    assert (high - low) / 2 == pytest.approx(half, rel=0.06)


def test_dialogues_are_drawn_not_turns() -> None:
    lines = [
        one
        for at in range(20)
        for one in spoken(" ".join(["A:NN" if at % 2 else "A:NS"] * 30), dialogue=str(at))
    ]
    low, high = metrics.interval(lines, "wa")
    assert high - low > 0.3  # 20 dialogues of one piece; 600 turns alone would give 0.08


def test_several_seeds_are_averaged_on_the_same_dialogues() -> None:
    one, two = drawn(10, seed=1), drawn(10, seed=2, skill=3)
    report = metrics.report(one)["intervals"]["ua"]
    assert report == pytest.approx(metrics.interval(one, "ua"))
    narrow = metrics.interval([one, one], "ua", seed=3)
    assert narrow == pytest.approx(metrics.interval(one, "ua", seed=3))
    low, high = metrics.interval([one, two], "ua")
    mean = (measured(one, "ua") + measured(two, "ua")) / 2
    assert low < mean < high


@pytest.mark.parametrize(
    "lines", [[], spoken("A:NN"), spoken("A:NN") + spoken("A:.N", dialogue="e")]
)
def test_fewer_than_two_labelled_dialogues_have_no_interval(lines: list[Line]) -> None:
    assert np.isnan(metrics.interval(lines, "wa")).all()


def test_dialogues_without_a_label_are_not_drawn() -> None:
    lines = drawn(8)
    more = [one for at in "abcdefg" for one in spoken("A:.N B:.S", dialogue=at)]
    assert metrics.interval(lines + more, "ua") == metrics.interval(lines, "ua")


@pytest.mark.parametrize("measure", MEASURES)
def test_swaps_are_those_of_a_literal_loop(measure: str) -> None:
    first, second = drawn(7, 5, seed=1), drawn(7, 5, seed=2, skill=2)
    mine, theirs = by_dialogue(first), by_dialogue(second)
    names, draws, seed = sorted(mine), 60, 5
    difference = measured(first, measure) - measured(second, measure)
    reached = 0
    for coins in np.random.default_rng(seed).integers(0, 2, (draws, len(names))):
        a = [
            one
            for name, coin in zip(names, coins, strict=True)
            for one in (mine, theirs)[coin][name]
        ]
        b = [
            one
            for name, coin in zip(names, coins, strict=True)
            for one in (theirs, mine)[coin][name]
        ]
        apart = measured(a, measure) - measured(b, measure)
        reached += abs(apart) >= abs(difference) - 1e-12
    found = metrics.paired(first, second, measure, draws=draws, seed=seed)
    assert found.difference == pytest.approx(difference)
    assert found.p == (reached + 1) / (draws + 1)
    assert found.low <= found.high


def test_a_small_example_by_all_its_swaps() -> None:
    """Three dialogues of a turn: right, right, right against wrong, wrong, right.

    Of the eight swaps the difference of accuracy is ±2/3 in four: p = 1/2.
    """
    first = [one for at in "abc" for one in spoken("A:NN", dialogue=at)]
    answers = {"a": "S", "b": "S", "c": "N"}
    second = [one for at in "abc" for one in spoken(f"A:N{answers[at]}", dialogue=at)]
    found = metrics.paired(first, second, "wa", draws=20000)
    assert found.difference == pytest.approx(2 / 3)
    assert found.p == pytest.approx(0.5, abs=0.02)
    assert (found.low, found.high) == (0, 1)


def test_a_system_does_not_differ_from_itself_and_order_does_not_matter() -> None:
    lines = drawn(8)
    same = metrics.paired(lines, lines[::-1], "weighted_f1", draws=200)
    assert same.difference == pytest.approx(0) and same.p == 1
    other = drawn(8, seed=5, skill=3)
    there = metrics.paired(lines, other, "ua", draws=500)
    back = metrics.paired(other, lines, "ua", draws=500)
    assert there.difference == -back.difference < 0 and there.p == back.p
    assert there == metrics.paired(lines[::-1], other, "ua", draws=500)


def test_what_is_clearly_better_has_a_small_p() -> None:
    good, bad = drawn(40, seed=1, skill=4, lost=0), drawn(40, seed=2, skill=0)
    found = metrics.paired([good, good], [bad, bad], "wa", draws=999)
    assert found.p == 0.001 and found.low > 0.3
    assert found == metrics.paired(good, bad, "wa", draws=999)


def test_p_is_about_uniform_where_nothing_differs() -> None:
    found = [
        metrics.paired(drawn(12, seed=at), drawn(12, seed=at + 1000), "wa", draws=99).p
        for at in range(60)
    ]
    assert np.mean(np.array(found) <= 0.1) < 0.25 and 0.35 < np.mean(found) < 0.65


def test_unlike_files_are_refused() -> None:
    one = spoken("A:NN B:SS")
    with pytest.raises(UserError, match=r"2 and 1 turns, 1 in one of them alone, such as d_1 of d"):
        metrics.paired(one, one[:1], "wa")
    with pytest.raises(UserError, match="d_0 of d is 'neutral'.*'happy'"):
        metrics.paired(one, spoken("A:HN B:SS"), "wa")
    with pytest.raises(UserError, match="1 seeds can't be paired with 2"):
        metrics.paired(one, [one, one], "wa")
    with pytest.raises(UserError, match="nothing to compare"):
        metrics.paired(one, one, "ccc")


def test_holm_steps_down() -> None:
    found = metrics.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert metrics.holm({"a": 0.7, "b": 0.6}) == {"a": 1.0, "b": 1.0}
    assert metrics.holm({}) == {}
