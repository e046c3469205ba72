"""Calibration against numbers worked by hand and against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score

from erc_demo.figures import calibration


def test_the_error_of_a_hand_worked_example() -> None:
    # Two bins of ten: said with 0.6, right 4 times; said with 0.9, right 8 times.
    confidence = np.repeat([0.6, 0.9], 10)
    right = np.array([1] * 4 + [0] * 6 + [1] * 8 + [0] * 2, bool)
    found = calibration.binned(confidence, right)
    np.testing.assert_array_equal(found.counts, [10, 10])
    np.testing.assert_allclose(found.accuracy, [0.4, 0.8])
    assert found.error == pytest.approx(0.5 * 0.2 + 0.5 * 0.1)


@pytest.mark.parametrize("count", [40, 137, 900])
def test_bins_are_those_of_scikit_learn(count: int) -> None:
    random = np.random.default_rng(count)
    confidence = random.uniform(0.2, 1, count)
    right = random.random(count) < confidence
    bins = min(calibration.BINS, count // calibration.PER_BIN)
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins, strategy="quantile")
    found = calibration.binned(confidence, right)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, mean)
    assert found.counts.sum() == count and np.ptp(found.counts) <= 1


def test_equal_probabilities_share_a_bin_whatever_their_order() -> None:
    random = np.random.default_rng(0)
    confidence = random.choice([0.4, 0.5, 0.9], 200)
    right = random.random(200) < 0.6
    order = random.permutation(200)
    one = calibration.binned(confidence, right)
    other = calibration.binned(confidence[order], right[order])
    assert len(one.counts) == 3 and one.error == pytest.approx(other.error)


def test_risk_and_coverage_of_a_hand_worked_example() -> None:
    confidence = np.array([0.5, 0.9, 0.7, 0.7, 0.3])
    right = np.array([False, True, False, True, True])
    coverage, risk = calibration.risk_coverage(confidence, right)
    np.testing.assert_allclose(coverage, [0.2, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(risk, [0, 1 / 3, 2 / 4, 2 / 5])


def test_the_whole_curve_ends_at_the_accuracy() -> None:
    view = drawn.view(500)
    said = view.analysis.predictions[0]
    pairs = [(said.label(at), one) for at, one in enumerate(view.truth) if one is not None]
    confidence, right = calibration.judged(view)
    assert len(confidence) == len(pairs)
    accuracy = accuracy_score([one for _, one in pairs], [one for one, _ in pairs])
    assert calibration.risk_coverage(confidence, right)[1][-1] == pytest.approx(1 - accuracy)
    figure = calibration.draw(view)
    text = figure.layout.title.text.replace("<br>", " ")
    assert f"{100 * calibration.binned(confidence, right).error:.1f} points" in text
    assert "15 bins" in text


def test_the_interval_is_wilsons() -> None:
    # 8 of 10: 0.4901 … 0.9433 (Newcombe 1998's formula without correction)
    low, high = calibration.interval(np.array([0.8]), np.array([10]))
    assert (low[0], high[0]) == pytest.approx((0.4901, 0.9433), abs=1e-3)
    low, high = calibration.interval(np.array([0.0, 1.0]), np.array([5, 5]))
    assert (low[0], high[1]) == pytest.approx((0, 1)) and 0 < high[0] < 1


def test_few_labels_are_too_few_to_tell() -> None:
    text = calibration.draw(drawn.view(5)).layout.title.text
    assert "too few to tell" in text and "ECE" not in text


def test_without_labels_or_answers_it_says_so() -> None:
    view = drawn.view(5)
    assert "Nobody labelled" in calibration.why_not(replace(view, truth=()))
    assert "Nobody labelled" in calibration.why_not(replace(view, truth=(None,) * 5))
    third = replace(view, system="third", truth=(None, None, None, "sad", None))
    assert "answers no turn" in calibration.why_not(third)
    assert not calibration.why_not(replace(third, truth=("sad", None, None, "sad", None)))
