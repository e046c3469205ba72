"""Calibration: the temperature and the threshold against referees, and where they are applied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_corpus
import turns_of_numbers as made
from scipy.optimize import minimize_scalar
from sklearn.calibration import calibration_curve

from erc_demo import checkpoint, systems
from erc_demo.emotions import IEMOCAP4, LABEL_SETS
from erc_demo.errors import UserError
from erc_demo.findings import Prediction
from erc_demo.settings import Settings
from erc_demo.systems import Calibration
from erc_demo.systems._calibration import tempered
from trainer import calibration, card, metrics, predictions
from trainer.__main__ import main
from trainer.datasets import Ask, open_corpus
from trainer.evaluate import Served
from trainer.fit import fit
from trainer.inputs import examples
from trainer.metrics import confidence, reading
from trainer.predictions import Line
from trainer.runs import Plan

TOY = {
    "system": "ats_sagru",
    "labels": "iemocap4",
    "inputs": "text",
    "reads": {"text": [toy_corpus.READS]},
    "epochs": 4,
    "batch": 2,
    "rate": 0.02,
    "log": "none",
    **{"width": 16, "units": 8, "heads": 2},
}


Trained = dict[str, Path]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calibration")


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    return Settings(data=home / "data", offline=True, device="cpu", jobs=1)


@pytest.fixture(scope="module")
def trained(home: Path, settings: Settings) -> Trained:
    """Three runs on the toy corpus, which lies beside them."""
    plan = Plan.of({**TOY, "half": True, "data": toy_corpus.write(home / "toy")}, "a test")
    plans = {"raw": plan.but(calibrate=False), "plain": plan, "refit": plan.but(refit=True)}
    return {name: fit(one, home / name, settings) for name, one in plans.items()}


def drawn(turns: int, *, sharp: float = 1.0, classes: int = 6, seed: int = 0) -> Any:
    """Labels drawn by chances, and those chances to the power ``sharp``: right where that is 1."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(turns, classes)) * 1.5
    true = torch.tensor(logits).softmax(-1).numpy()
    wanted = (draw.random((turns, 1)) < true.cumsum(axis=1)).argmax(axis=1)
    return wanted, torch.tensor(sharp * logits).softmax(-1).float().numpy(), logits


# ---- the noun


def test_tempered_chances_are_the_softmax_of_divided_logits() -> None:
    _, chances, logits = drawn(40)
    for temperature in (0.3, 1.0, 2.5, 40.0):
        wanted = torch.tensor(logits / temperature).softmax(-1).numpy()
        np.testing.assert_allclose(tempered(chances, temperature), wanted, atol=1e-5)


def test_what_is_no_answer_stays_none_and_extremes_stay_finite() -> None:
    chances = np.array([[np.nan] * 3, [1, 0, 0], [0.5, 0.5, 0], [1e-40, 1, 0]], np.float32)
    for temperature in (1e-3, 0.5, 1e3):
        found = tempered(chances, temperature)
        assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
        np.testing.assert_allclose(found[1:].sum(axis=1), 1, rtol=1e-5)
        assert found.dtype == np.float32 and found[1].argmax() == 0 and found[3].argmax() == 1
    same = Calibration(temperature={"iemocap4": 1.0}).applied("iemocap4", chances)
    assert same is chances  # not a digit changes


def test_a_calibration_is_json_and_the_same_again() -> None:
    one = Calibration(
        temperature={"iemocap6": 1.5}, unsure_below={"iemocap6": 0.4}, trust_words=0.3
    )
    assert Calibration.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert Calibration.from_json({}) == Calibration() and Calibration().trust_words == 0


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"temperature": {"iemocap6": 0}}, "temperature of iemocap6 is 0, not a number above 0"),
        ({"temperature": {"iemocap6": float("inf")}}, "is inf, not a number above 0"),
        ({"temperature": {"iemocap6": True}}, "is True"),
        ({"unsure_below": {"iemocap6": 1.2}}, "unsure_below of iemocap6 is 1.2"),
        ({"unsure_below": {"iemocap6": float("nan")}}, "unsure_below of iemocap6 is nan"),
        ({"trust_words": "much"}, "trust_words is 'much'"),
        ({"temperature": 1.2}, "temperature of a calibration must name a number for each"),
        ({"warmth": {}}, "holds warmth"),
        ([1], "holds list"),
        (None, "holds NoneType"),
    ],
)
def test_bad_values_are_refused_at_birth(data: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Calibration.from_json(data)


# ---- where it is applied


def late_fusion(decode: str = "argmax") -> systems.System:
    design = made.plan("late_fusion", labels=("iemocap4", "meld7"), settings={"decode": decode})
    return made.build(design, seed=1)


@pytest.mark.parametrize("decode", ["argmax", "crf"])
def test_chances_get_their_temperature_as_they_leave_and_answers_stay(decode: str) -> None:
    system = late_fusion(decode)
    given = made.conversation(system.design, 5, absent={2: ("text",)})
    before = {one: systems.predict(system, given, labels=one) for one in ("iemocap4", "meld7")}
    system.calibration = Calibration(
        temperature={"iemocap4": 3.0}, unsure_below={"iemocap4": 0.4, "meld7": 0.9}
    )
    after = {one: systems.predict(system, given, labels=one) for one in ("iemocap4", "meld7")}
    found, known = (each["iemocap4"].probabilities for each in (after, before))
    powers = known ** (1 / 3)
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(after["meld7"].probabilities, before["meld7"].probabilities)
    one = after["iemocap4"]
    branches, untouched = (each["iemocap4"].map("branches").values for each in (after, before))
    powers = untouched[0] ** (1 / 3)
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(branches[0], wanted, atol=1e-6)
    if decode == "argmax":  # a chain's answer is no branch's
        np.testing.assert_allclose(branches[0][-1], found[0], atol=1e-6)
    assert [one.label(at) for at in range(5)] == [before["iemocap4"].label(at) for at in range(5)]
    assert not one.answered[2] and not one.unsure(2)
    assert one.unsure_below == 0.4 and after["meld7"].unsure_below == 0.9
    assert before["meld7"].unsure_below is None and not before["meld7"].unsure(0)


def test_training_lowers_a_loss_that_knows_no_temperature() -> None:
    system = late_fusion()
    batch = systems.collate([made.conversation(system.design, 5)])
    plain = system.probabilities(system.run(batch, False), batch)["iemocap4"]
    system.calibration = Calibration(temperature={"iemocap4": 3.0})
    again = system.probabilities(system.run(batch, False), batch)["iemocap4"]
    assert torch.equal(plain, again)


def test_a_prediction_says_where_it_is_unsure_and_which_words_were_not_read() -> None:
    said = Prediction(
        system="toy",
        made_by="toy 1",
        trained=True,
        labels=IEMOCAP4,
        probabilities=np.array([[0.4, 0.3, 0.2, 0.1], [0.41, 0.39, 0.1, 0.1], [np.nan] * 4]),
        why_not=("", "", "No words here."),
        unsure_below=0.405,
        words_ignored=(1,),
    )
    assert [said.unsure(at) for at in range(3)] == [True, False, False]
    assert said.label(0) == "neutral" and said.but(unsure_below=None).unsure(0) is False
    data = json.loads(json.dumps(said.to_json()))
    assert [one.get("unsure") for one in data["turns"]] == [True, None, None]
    again = Prediction.from_json(data)
    assert again.unsure_below == 0.405 and again.words_ignored == (1,) and again.unsure(0)
    plain = Prediction.from_json(said.but(unsure_below=None, words_ignored=()).to_json())
    assert plain.unsure_below is None and plain.words_ignored == ()
    for wrong in ({"unsure_below": 1.1}, {"words_ignored": (3,)}):
        with pytest.raises(ValueError, match="toy"):
            said.but(**wrong)


def test_a_checkpoint_keeps_it_and_refuses_one_of_other_labels(tmp_path: Path) -> None:
    here = Settings(offline=True)
    reads = {"audio": ("gemaps47",), "text": ("sentence",), "speaker": ("voice",)}
    design = systems.design(
        "ats_sagru",
        widths=checkpoint.widths(reads, here),
        reads=reads,
        settings=made.plan("ats_sagru").settings,
    )
    system = made.build(design)
    system.calibration = Calibration(temperature={"iemocap6": 1.25}, trust_words=0.5)
    folder = tmp_path / "one"
    checkpoint.save(folder, system, checkpoint.versions(design, here), {})
    assert checkpoint.load(str(folder), here).system.calibration == system.calibration
    config = json.loads((folder / checkpoint.CONFIG).read_text())
    for given, says in (
        ({"temperature": {"meld7": 2}}, "is of meld7, and its system says iemocap6"),
        ({"temperature": {"iemocap6": -1}}, "temperature of iemocap6 is -1"),
    ):
        (folder / checkpoint.CONFIG).write_text(json.dumps(config | {"calibration": given}))
        with pytest.raises(UserError, match=says):
            checkpoint.load(str(folder), here)
    del config["calibration"]
    (folder / checkpoint.CONFIG).write_text(json.dumps(config))
    assert checkpoint.load(str(folder), here).system.calibration == Calibration()


# ---- what is learned


@pytest.mark.parametrize("sharp", [0.5, 1.0, 1.8])
def test_the_temperature_is_the_one_that_scipy_finds(sharp: float) -> None:
    wanted, chances, _ = drawn(300, sharp=sharp, seed=int(10 * sharp))

    def nll(inverse: float) -> float:
        logits = torch.tensor(chances).double().log() * inverse
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor(wanted)))

    best = minimize_scalar(nll, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9})
    assert calibration.temperature(wanted, chances) == pytest.approx(1 / best.x, rel=1e-4)
    assert calibration.temperature(wanted, chances) == pytest.approx(sharp, rel=0.25)


def test_the_temperature_stays_within_its_range_where_all_is_right_or_wrong() -> None:
    _, chances, _ = drawn(50)
    best, worst = chances.argmax(axis=1), chances.argmin(axis=1)
    assert calibration.temperature(best, chances) == pytest.approx(calibration.RANGE[0])
    assert calibration.temperature(worst, chances) == pytest.approx(calibration.RANGE[1])


def test_calibrated_chances_are_more_honest_on_turns_that_were_not_learned_from() -> None:
    wanted, chances, _ = drawn(600, sharp=2.0)
    found = calibration.learned(wanted, chances, 0.6)
    assert found["nll"][1] < found["nll"][0] and found["ece"][1] < found["ece"][0]
    others, fresh, _ = drawn(3000, sharp=2.0, seed=9)
    errors = []
    for given in (fresh, tempered(fresh, found["temperature"])):
        sure, right = given.max(axis=1), given.argmax(axis=1) == others
        errors.append(abs(sure.mean() - right.mean()))
    assert errors[1] < 0.3 * errors[0]


def cost_at(sure: np.ndarray, right: np.ndarray, cost: float, below: float) -> float:
    """Chow's cost, turn by turn."""
    return sum(
        cost if one < below else float(not hit) for one, hit in zip(sure, right, strict=True)
    )


def test_the_threshold_has_the_least_cost_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PRIOR", 0)  # the curve as it was seen
    draw = np.random.default_rng(3)
    for _ in range(30):
        sure = draw.uniform(0.25, 1, size=25).round(1)  # with ties
        right = draw.random(25) < sure
        cost = float(draw.uniform(0.2, 0.8))
        found = calibration.unsure_below(sure, right, cost, 4)
        least = min(cost_at(sure, right, cost, at) for at in np.linspace(0.25, 0.9, 2000))
        assert cost_at(sure, right, cost, found) == pytest.approx(least)
        assert 0.25 <= found <= 0.9


def test_by_hand_and_where_chances_can_be_believed() -> None:
    wanted, chances, _ = drawn(20000)
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == wanted
    assert calibration.unsure_below(sure, right, 0.6, 6) == pytest.approx(0.4, abs=0.05)
    few = np.array([0.35, 0.45, 0.95])  # three turns, all wrong: no reason to be silent for good
    assert calibration.unsure_below(few, np.zeros(3, bool), 0.6, 6) == pytest.approx(0.4)
    assert calibration.unsure_below(few, np.ones(3, bool), 0.9, 6) == pytest.approx(1 / 6)


# ---- in a training


def test_a_training_calibrates_by_selection_and_says_how(
    trained: Trained, settings: Settings
) -> None:
    files = [trained[name] / "parts/official-seed0/selection.jsonl" for name in ("raw", "plain")]
    raw, said = map(predictions.read, files)
    assert [one.predicted for one in raw] == [one.predicted for one in said]
    names = IEMOCAP4.labels
    chances = np.array([[one.probabilities[name] for name in names] for one in raw if one.label])
    wanted = np.array([names.index(one.label) for one in raw if one.label])
    given = checkpoint.load(str(trained["plain"] / "checkpoint"), settings)
    found, told = given.system.calibration, given.training["calibration"]["iemocap4"]
    learned = calibration.temperature(wanted, chances)
    assert found.temperature["iemocap4"] == pytest.approx(learned, abs=1e-3) and learned != 1
    assert told["by"] == "the selection part" and told["turns"] == len(wanted)
    losses = [metrics.report(one)["measures"]["loss"] for one in (raw, said)]
    assert told["nll"] == pytest.approx(losses, abs=2e-4) and losses[1] < losses[0]
    below = found.unsure_below["iemocap4"]
    assert [one.unsure for one in said] == [max(one.probabilities.values()) < below for one in said]
    assert all(one.unsure is None for one in raw)
    plainly = checkpoint.load(str(trained["raw"] / "checkpoint"), settings)
    assert plainly.system.calibration == Calibration() and "calibration" not in plainly.training
    assert plainly.sha256 == given.sha256


def test_a_refit_keeps_what_selection_taught_before(trained: Trained, settings: Settings) -> None:
    plain, again = (
        checkpoint.load(str(trained[name] / "checkpoint"), settings) for name in ("plain", "refit")
    )
    assert plain.sha256 != again.sha256
    assert plain.system.calibration == again.system.calibration != Calibration()
    assert again.training["calibration"]["iemocap4"]["by"].endswith("trained anew with it")


# ---- what is measured


def lines(turns: int, seed: int = 0, below: float | None = None) -> list[Line]:
    wanted, chances, _ = drawn(turns, sharp=1.6, seed=seed)
    names = LABEL_SETS["iemocap6"].labels
    chances = chances.astype(float) / chances.astype(float).sum(axis=1, keepdims=True)
    return [
        Line(
            dialogue=f"d{at // 10}",
            utt_id=str(at),
            turn=at,
            speaker="A",
            labels="iemocap6",
            label=names[label],
            predicted=names[int(row.argmax())],
            probabilities=dict(zip(names, row.tolist(), strict=True)),
            unsure=None if below is None else bool(row.max() < below),
        )
        for at, (label, row) in enumerate(zip(wanted, chances, strict=True))
    ]


def test_error_of_calibration_in_bins_of_equal_mass_against_scikit_learn() -> None:
    said = lines(437)
    found = metrics.report(said)["calibration_by_mass"]
    sure = np.array([max(one.probabilities.values()) for one in said])
    right = np.array([one.predicted == one.label for one in said])
    true, mean = calibration_curve(right, sure, n_bins=15, strategy="quantile")
    counts = [one["n"] for one in found["bins"]]
    assert found["ece"] == pytest.approx(np.average(np.abs(true - mean), weights=counts))
    assert len(counts) == 15 and max(counts) - min(counts) <= 1 and sum(counts) == 437
    assert found["ece"] != metrics.report(said)["calibration"]["ece"]


def test_risk_by_coverage_is_the_literal_count() -> None:
    said = lines(200)
    found = metrics.report(said)["abstaining"]
    order = sorted(said, key=lambda one: -max(one.probabilities.values()))
    for share, risk in found["curve"]:
        kept = order[: int(np.ceil(round(share * 200, 6)))]
        assert risk == pytest.approx(np.mean([one.predicted != one.label for one in kept]))
    assert [share for share, _ in found["curve"]][-1] == 1


def test_what_is_left_when_the_unsure_are_left_out() -> None:
    said = lines(200, below=0.6)
    said.append(replace(said[0], utt_id="lost", predicted=None, probabilities=None, unsure=None))
    found = metrics.report(said)
    kept = [one for one in said if one.predicted and not one.unsure]
    one = found["unsure"]
    assert one["answered"] == len(kept) and one["unsure"] == sum(bool(one.unsure) for one in said)
    assert one["coverage"] == pytest.approx(len(kept) / 201)
    assert one["wa"] == pytest.approx(np.mean([each.predicted == each.label for each in kept]))
    plain = metrics.report([replace(each, unsure=None) for each in kept])
    assert one["ua"] == pytest.approx(plain["measures"]["ua"]) and plain["unsure"] is None
    assert f"unsure in {one['unsure']} of 201 turns" in "\n".join(metrics.sentences(found))
    silent = metrics.report([replace(each, unsure=True) for each in said[:-1]])["unsure"]
    assert silent["wa"] is None and silent["coverage"] == 0


def test_lines_say_it_only_where_the_checkpoint_does(tmp_path: Path) -> None:
    said = [*lines(3, below=0.5), *(replace(one, utt_id="x" + one.utt_id) for one in lines(2))]
    predictions.write(tmp_path / "said.jsonl", said)
    assert predictions.read(tmp_path / "said.jsonl") == said
    assert reading.answers(lines(2)).unsure is None
    with pytest.raises(UserError, match="unsure is 'no'; true or false was wanted"):
        Line.from_json(said[0].to_json() | {"unsure": "no"})


def test_bins_of_equal_mass_keep_ties_together() -> None:
    one = replace(reading.answers(lines(40)), dialogue=np.zeros(40, int))
    same = replace(one, chances=np.tile([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]], (40, 1)))
    found = confidence.calibration(replace(same, answered=np.zeros(40, int)), equal="mass")
    assert found is not None and len(found["bins"]) == 1

    assert found["ece"] == pytest.approx(abs(float((one.wanted == 0).mean()) - 0.5))


# ---- a checkpoint's own, learned anew


def call(trained: Trained, out: Path, *more: str, of: str = "") -> list[str]:
    data = f"table:{trained['raw'].parent / 'toy'}"
    here = ["--offline", "--device", "cpu", "--jobs", "1"]
    return ["calibrate", of or str(trained["raw"]), "--data", data, "--out", str(out), *more, *here]


def test_a_checkpoint_is_calibrated_by_a_part_into_a_new_folder(
    trained: Trained, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "one", tmp_path / "two"
    assert main(call(trained, out, "--labels", "iemocap4", "--trust-words", "0.5")) == 0
    told = capsys.readouterr().out
    assert "IEMOCAP, 4 classes: temperature" in told and "learned from" not in told
    before, after, plain = (
        checkpoint.load(str(one), settings)
        for one in (trained["raw"] / "checkpoint", out, trained["plain"] / "checkpoint")
    )
    found = after.system.calibration
    assert before.system.calibration == Calibration() and after.sha256 == before.sha256
    assert found.temperature == plain.system.calibration.temperature  # by the same turns
    facts = after.training["calibration"]["iemocap4"]
    said = (out / "README.md").read_text()
    assert "temperature" in said and "below 0.50 is answered without them" in said
    assert facts["by"] == "3 dialogues (validation) of table:toy" and found.trust_words == 0.5
    assert set(after.training["selected_with"]) == set(before.training["selected_with"])
    assert main(call(trained, again, "--split", "train", of=str(out))) == 0
    assert "learned from 6 of these 6" in capsys.readouterr().out
    kept = checkpoint.load(str(again), settings).system.calibration
    assert kept.trust_words == 0.5 and kept.temperature != found.temperature
    third = tmp_path / "three"
    assert main(call(trained, third, of=str(again))) == 0  # not on top of what it had
    assert checkpoint.load(str(third), settings).system.calibration == found


def test_too_few_labelled_turns_teach_nothing_and_that_is_said(
    trained: Trained,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibration, "FEW", 1000)
    assert main(call(trained, tmp_path / "one")) == 2
    assert "teaches nothing of iemocap4" in capsys.readouterr().err
    given = checkpoint.load(str(trained["raw"] / "checkpoint"), settings)
    toy = open_corpus(f"table:{trained['raw'].parent / 'toy'}", Ask(labels=("iemocap4",)))
    part = Served(examples(toy.dialogues[:2], given.system.design, settings), given.system)
    made, told = calibration.calibrated(given.system, part, 0.6)
    assert made == Calibration() and "1000 are wanted" in told["iemocap4"]["why_not"]
    assert "nothing was learned" in card.calibrated("iemocap4", told["iemocap4"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--labels", "meld7"], "says iemocap4, not meld7"),
        (["--unsure-cost", "1.5"], "--unsure-cost is 1.5"),
        (["--trust-words", "2"], "trust_words is 2.0"),
        (["--labels", "moods"], "no label set 'moods'"),
    ],
)
def test_what_can_not_be_calibrated_is_said(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert main(call(trained, tmp_path / "one", *more)) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "one").exists()


def test_no_checkpoint_is_calibrated_in_place(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained["raw"] / "checkpoint" / "config.json").read_bytes()
    assert main(call(trained, trained["raw"] / "checkpoint")) == 2
    assert "exists already" in capsys.readouterr().err
    assert (trained["raw"] / "checkpoint" / "config.json").read_bytes() == before
