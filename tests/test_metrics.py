"""Each measure against scikit-learn, torchmetrics or a number worked out by hand."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as referee
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from predicted import LABELS, drawn, numbers, spoken
from scipy.stats import pearsonr
from torchmetrics.functional.classification import multiclass_calibration_error

from erc_demo.errors import UserError
from trainer import metrics
from trainer.metrics.cells import cell
from trainer.predictions import Line
from trainer.runs import MEASURES

UNANSWERED = len(LABELS)
NAN = float("nan")
cases = st.lists(
    st.tuples(st.integers(-1, 3), st.one_of(st.none(), st.integers(0, 3))), min_size=1, max_size=30
)


def chances(answers: list[int | None], classes: int = 4) -> np.ndarray:
    found = np.full((len(answers), classes), np.nan)
    for row, answer in zip(found, answers, strict=True):
        if answer is not None:
            row[:] = 0.1
            row[answer] = 1 - 0.1 * (classes - 1)
    return found


@settings(deadline=None, max_examples=200)
@given(cases)
def test_measures_of_labels_are_those_of_scikit_learn(case: list[tuple[int, int | None]]) -> None:
    wanted = np.array([one for one, _ in case])
    given_chances = chances([two for _, two in case])
    some = wanted >= 0
    if not some.any():
        assert np.isnan(metrics.score("wa", wanted, given_chances))
        return
    y = wanted[some]
    p = np.array([4 if two is None else two for _, two in case])[some]  # 4: no answer, so wrong
    seen = sorted(set(y) | set(p) - {4})
    expected = {
        "wa": referee.accuracy_score(y, p),
        "ua": referee.recall_score(y, p, labels=sorted(set(y)), average="macro", zero_division=0),
        "weighted_f1": referee.f1_score(y, p, average="weighted", zero_division=0),
        "macro_f1": referee.f1_score(y, p, labels=seen, average="macro", zero_division=0),
    }
    for measure, value in expected.items():
        assert metrics.score(measure, wanted, given_chances) == pytest.approx(value), measure


def test_no_answer_is_wrong_and_an_even_guess() -> None:
    wanted, half = np.array([0, 1, -1]), np.array([[0.5, 0.5], [NAN, NAN], [NAN, NAN]])
    assert metrics.score("wa", wanted, half) == 0.5
    assert metrics.score("loss", wanted, half) == pytest.approx(np.log(2))
    none = np.full((3, 2), NAN)
    assert [metrics.score(one, wanted, none) for one in ("ua", "weighted_f1", "macro_f1")] == [
        0
    ] * 3


def test_loss_is_log_loss_also_where_a_chance_is_nil() -> None:
    lines = drawn(lost=0)
    wanted, given_chances = numbers(lines)
    given_chances[0] = np.eye(6)[(wanted[0] + 1) % 6]
    some = wanted >= 0
    expected = referee.log_loss(wanted[some], given_chances[some], labels=range(6))
    assert metrics.score("loss", wanted, given_chances) == pytest.approx(expected)


def lin(x: np.ndarray, y: np.ndarray) -> float:
    """Concordance as Lin writes it, with 1/n."""
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return float(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def test_concordance_is_lins_and_nearly_torchmetrics() -> None:
    from torchmetrics.functional.regression import concordance_corrcoef

    dice = np.random.default_rng(0)
    rated = dice.uniform(-1, 1, (400, 2))
    values = 0.5 * rated + dice.normal(0, 0.3, rated.shape) + 0.1
    rated[::7, 0] = np.nan
    none, some = np.full(400, -1), ~np.isnan(rated)
    found = metrics.score("ccc", none, np.zeros((400, 0)), values, rated)
    each = [lin(values[some[:, at], at], rated[some[:, at], at]) for at in (0, 1)]
    assert found == pytest.approx(np.mean(each))
    theirs = [  # with 1 / (n - 1), which at this n is the same to the third place
        float(
            concordance_corrcoef(
                torch.tensor(values[some[:, at], at]), torch.tensor(rated[some[:, at], at])
            )
        )
        for at in (0, 1)
    ]
    assert found == pytest.approx(np.mean(theirs), abs=1e-3)


def test_no_value_is_the_middle_of_the_scale() -> None:
    rated = np.array([[0.5], [-0.5], [0.25], [NAN]])
    none = np.full(4, -1), np.zeros((4, 0))
    values = np.array([[0.4], [NAN], [0.3], [NAN]])
    zero = np.array([0.4, 0.0, 0.3])
    assert metrics.score("ccc", *none, values, rated) == pytest.approx(lin(zero, rated[:3, 0]))
    assert metrics.score("ccc", *none, np.full((4, 1), 0.3), np.full((4, 1), 0.3)) == 1
    assert metrics.score("ccc", *none, np.full((4, 1), 0.1), np.full((4, 1), 0.3)) == 0


def test_a_wrong_measure_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no measure"):
        metrics.score("f1", np.array([0]), np.array([[1.0]]))


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_labelled_is_nan(measure: str) -> None:
    none = np.zeros((0, 4))
    assert np.isnan(metrics.score(measure, np.zeros(0, int), none))
    assert np.isnan(metrics.score(measure, np.array([-1]), np.full((1, 4), 0.25)))


def test_report_and_score_say_the_same() -> None:
    lines = drawn()
    wanted, given_chances = numbers(lines)
    rated = np.array([[one.wanted["valence"], one.wanted["arousal"]] for one in lines], float)
    values = np.array([[one.values["valence"], one.values["arousal"]] for one in lines], float)
    found = metrics.report(lines)["measures"]
    assert tuple(found) == MEASURES
    for measure in MEASURES:
        expected = metrics.score(measure, wanted, given_chances, values, rated)
        assert found[measure] == pytest.approx(expected), measure


def test_classes_and_confusion_against_scikit_learn() -> None:
    lines = drawn(seed=3)
    some = [one for one in lines if one.label is not None]
    y, p = [one.label for one in some], [one.predicted or "none" for one in some]
    found = metrics.report(lines)
    expected = referee.confusion_matrix(y, p, labels=[*LABELS, "none"])
    assert np.array_equal(found["confusion"]["counts"], expected[:-1, :-1])
    assert np.array_equal(found["confusion"]["unanswered"], expected[:-1, -1])
    assert found["n"] == len(some) and found["turns"] == len(lines)
    assert found["unanswered"] == p.count("none") > 0
    table = referee.classification_report(y, p, labels=LABELS, output_dict=True, zero_division=0)
    for label in LABELS:
        one, theirs = found["classes"][label], table[label]
        assert one["n"] == theirs["support"] and one["answered"] == p.count(label)
        for mine, name in (("precision",) * 2, ("recall",) * 2, ("f1", "f1-score")):
            assert one[mine] == pytest.approx(theirs[name])


def test_brier_and_calibration_against_scikit_learn_and_torchmetrics() -> None:
    lines = [one for one in drawn(40, lost=0, skill=2) if one.label is not None]
    wanted, given_chances = numbers(lines)
    found = metrics.report(lines)
    brier = referee.brier_score_loss(
        wanted, given_chances, labels=list(range(6)), scale_by_half=False
    )
    assert found["brier"] == pytest.approx(brier)
    ece = multiclass_calibration_error(
        torch.tensor(given_chances), torch.tensor(wanted), num_classes=6, n_bins=15, norm="l1"
    )
    assert found["calibration"]["ece"] == pytest.approx(float(ece), abs=1e-6)
    bins = found["calibration"]["bins"]
    assert sum(one["n"] for one in bins) == found["calibration"]["n"] == len(lines)
    assert all(one["low"] < one["confidence"] <= one["high"] for one in bins)


def confident(chance: float, right: bool, at: int) -> Line:
    rest = (1 - chance) / 5
    return Line(
        dialogue="d",
        utt_id=str(at),
        turn=at,
        speaker="",
        labels="iemocap6",
        label="neutral" if right else "sad",
        predicted="neutral",
        probabilities={label: chance if label == "neutral" else rest for label in LABELS},
    )


def test_abstaining_by_hand() -> None:
    sure = [(0.9, True), (0.8, False), (0.7, True)]
    lines = [confident(chance, right, at) for at, (chance, right) in enumerate(sure)]
    lost = spoken("A:S.", dialogue="lost")
    found = metrics.report(lines + lost)["abstaining"]
    assert found["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert found["accuracy"] == pytest.approx({"100": 0.5, "90": 0.5, "75": 2 / 3, "50": 0.5})
    assert found["n"] == 4
    ties = [confident(0.8, right, at) for at, right in enumerate((True, False))]
    assert metrics.report(ties)["abstaining"]["aurc"] == pytest.approx(0.5)
    assert metrics.report(lines)["calibration"]["ece"] == pytest.approx((0.1 + 0.8 + 0.3) / 3)


def test_a_bin_holds_its_upper_edge() -> None:
    (one,) = metrics.report([confident(0.8, True, 0)])["calibration"]["bins"]
    assert (one["low"], one["high"]) == pytest.approx((11 / 15, 12 / 15))
    (one,) = metrics.report([confident(1.0, True, 0)])["calibration"]["bins"]
    assert one["high"] == one["confidence"] == 1


def test_dialogues_weigh_one_each() -> None:
    lines = spoken("A:NN A:NN A:NN A:NN", dialogue="a") + spoken("A:NS A:..", dialogue="b")
    found = metrics.report(lines + spoken("A:.N", dialogue="c"))
    assert found["per_dialogue"] == pytest.approx({"n": 2, "wa": 0.5, "sd": np.sqrt(0.5)})
    assert found["measures"]["wa"] == 0.8 and found["dialogues"] == 3


def test_dimensions_by_scipy_and_by_hand() -> None:
    lines = drawn(20)
    found = metrics.report(lines)["dimensions"]
    y = np.array([one.wanted["valence"] for one in lines], float)
    raw = np.array([one.values["valence"] for one in lines], float)
    x = np.nan_to_num(raw)
    one = found["valence"]
    assert one["n"] == len(lines) and one["unanswered"] == np.isnan(raw).sum() > 0
    assert one["pearson"] == pytest.approx(pearsonr(x, y)[0])
    assert one["mae"] == pytest.approx(referee.mean_absolute_error(y, x))
    assert one["rmse"] == pytest.approx(referee.root_mean_squared_error(y, x))
    assert one["ccc"] == pytest.approx(lin(x, y))
    assert found["arousal"]["n"] == len(lines) / 2
    for key in ("ccc", "pearson", "mae", "rmse"):
        mean = np.mean([found["valence"][key], found["arousal"][key]])
        assert found["mean"][key] == pytest.approx(mean)


def test_perfect_answers_are_perfect() -> None:
    lines = [
        Line(
            dialogue="d",
            utt_id=str(at),
            turn=at,
            speaker="A",
            labels="iemocap6",
            label=label,
            predicted=label,
            probabilities={one: float(one == label) for one in LABELS},
            values={"valence": at / 6},
            wanted={"valence": at / 6},
        )
        for at, label in enumerate(LABELS[:5])
    ]
    found = metrics.report(lines)
    assert found["measures"] == pytest.approx(
        {"weighted_f1": 1, "macro_f1": 1, "ua": 1, "wa": 1, "ccc": 1, "loss": 0}
    )
    assert found["brier"] == found["calibration"]["ece"] == found["abstaining"]["aurc"] == 0
    assert found["dimensions"]["valence"]["mae"] == 0


def test_the_order_of_lines_changes_nothing() -> None:
    lines = drawn(6)
    before = metrics.report(lines)
    for seed in range(3):
        random.Random(seed).shuffle(lines)
        after = metrics.report(lines)
        del after["intervals"]
        rounded = [
            json.loads(json.dumps(one), parse_float=lambda text: round(float(text), 9))
            for one in ({key: before[key] for key in after}, after)
        ]
        assert rounded[0] == rounded[1]


@pytest.mark.parametrize("lines", [[], spoken("A:.N B:.."), drawn(2), drawn(1, 1)])
def test_reports_are_json_and_have_words(lines: list[Line]) -> None:
    found = metrics.report(lines)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    said = metrics.sentences(found)
    assert (f"{found['n']} labelled turns" in said[0]) == bool(lines)
    assert f"{len(lines)} " in said[0]
    assert ("nothing to measure" in " ".join(said)) == (found["n"] == 0)
    assert not any("nan" in line for line in said)


def test_why_there_was_no_answer_is_said_once_a_reason() -> None:
    lines = [
        Line(dialogue="d", utt_id=str(at), turn=at, speaker="A", labels="iemocap4")
        for at in range(4)
    ]
    silent = [replace(one, label="sad", why_not="No words here.") for one in lines[:3]]
    said = metrics.sentences(metrics.report([*silent, lines[3]]))
    assert said[0].endswith("3 got no answer, which counts as wrong")
    assert said.count("  no answer in 3 turns: No words here.") == 1


def test_without_labels_or_chances_there_is_none() -> None:
    found = metrics.report(spoken("A:.N"))
    assert set(found["measures"].values()) == {None} and "classes" not in found
    found = metrics.report(spoken("A:NN B:SN"))
    assert found["measures"]["wa"] == 0.5 and found["measures"]["loss"] is None
    assert found["calibration"] is found["abstaining"] is found["brier"] is None
    only = [
        Line(dialogue="d", utt_id=str(at), turn=at, speaker="A", wanted={"valence": value})
        for at, value in enumerate((0.1, 0.5, None))
    ]
    found = metrics.report(only)
    assert found["measures"]["ccc"] == 0 and found["measures"]["wa"] is None
    assert found["dimensions"]["valence"]["unanswered"] == found["dimensions"]["valence"]["n"] == 2
    assert found["dimensions"]["mean"]["pearson"] is None
    assert "2 (2 got no answer)" in " ".join(metrics.sentences(found))


def test_the_table_says_what_the_report_holds() -> None:
    found = metrics.report(drawn(20))
    said = "\n".join(metrics.sentences(found))
    for name, measure in (("weighted F1", "weighted_f1"), ("UA", "ua"), ("NLL", "loss")):
        assert f"{name:<14}{found['measures'][measure]:.4f}" in said
    assert f"n = {found['n']}" in said and "ECE" in said and "valence" in said
    for label, one in found["classes"].items():
        row = next(line for line in said.splitlines() if line.split()[:1] == [label])
        assert row.split()[1:] == [
            *(f"{one[key]:.4f}" for key in ("precision", "recall", "f1")),
            str(one["n"]),
            str(one["answered"]),
        ]


def test_what_can_not_be_measured_together_is_refused() -> None:
    with pytest.raises(UserError, match="each seed by themselves"):
        metrics.report(spoken("A:NN") * 2)
    other = Line(dialogue="e", utt_id="e", turn=0, speaker="", labels="meld7", label="joy")
    with pytest.raises(UserError, match="iemocap6, meld7"):
        metrics.report([*spoken("A:NN"), other])


def test_a_cell_of_nothing() -> None:
    assert cell(spoken("A:.N")) == {"n": 0, "wa": None, "ua": None, "weighted_f1": None}
