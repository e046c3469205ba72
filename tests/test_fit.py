"""Fitting: what a run leaves, that it can be killed at any moment, and that nobody peeks."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_corpus
from safetensors.torch import load_file

import erc_demo
from erc_demo import checkpoint
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import metrics, predictions, training
from trainer.__main__ import main
from trainer.fit import fit
from trainer.runs import Plan, read

ROOT = Path(__file__).resolve().parents[1]
TOY = {
    "system": "ats_sagru",
    "labels": "iemocap4",
    "inputs": "text",
    "reads": {"text": [toy_corpus.READS]},
    "epochs": 5,
    "patience": 3,
    "batch": 2,
    "rate": 5e-3,
    "log": "none",
    "width": 16,
    "units": 8,
    "heads": 2,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", offline=True, device="cpu", jobs=1)


@pytest.fixture
def toy(tmp_path: Path) -> str:
    return toy_corpus.write(tmp_path / "toy")


def plan(toy: str, **changes: Any) -> Plan:
    return Plan.of({**TOY, "data": toy, **changes}, "a test")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_a_run_leaves_what_another_needs_to_judge_it(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy), tmp_path / "run", settings)
    part = out / "parts" / "official-seed0"
    assert not (out / "metrics.json").exists()  # selection saw validation, nobody saw test
    assert not (part / "predictions.jsonl").exists() and not (part / "state.pt").exists()
    assert Plan.of(read(out / "plan.toml"), "the run") == plan(toy)
    told = json.loads((out / "run.json").read_text())
    assert told["folds"]["official"]["train"] == 6 and told["seeds"] == [0]
    assert told["data"]["dialogues"] == 12 and told["parameters"] > 100
    loaded = checkpoint.load(str(out / "checkpoint"), settings)
    assert loaded.training["split_sha256"] == told["folds"]["official"]["sha256"]
    assert loaded.training["data_sha256"] == told["data"]["sha256"]
    assert len(loaded.training["trained_on"]) == 6
    assert toy_corpus.LABELS[0] not in json.dumps(loaded.training["trained_on"])
    assert str(tmp_path) not in json.dumps(loaded.training)  # nobody's folders go on the Hub
    assert (out / "checkpoint" / "README.md").is_file()


def test_the_epoch_that_selection_liked_best_is_the_one_kept(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy, epochs=8, patience=8), tmp_path / "run", settings)
    part = out / "parts" / "official-seed0"
    events = history(part)
    best = max(range(len(events)), key=lambda at: events[at]["select"]["weighted_f1"])
    told = json.loads((part / "part.json").read_text())["stages"]["all"]
    assert told["epoch"] == best + 1 and told["epochs"] == 8
    said = predictions.read(part / "selection.jsonl")
    found = metrics.report(said)["measures"]["weighted_f1"]
    assert found == pytest.approx(events[best]["select"]["weighted_f1"], abs=1e-9)


def test_training_stops_when_selection_likes_nothing_better(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy, epochs=60, patience=2), tmp_path / "run", settings)
    told = json.loads((out / "parts" / "official-seed0" / "part.json").read_text())["stages"]["all"]
    assert told["epochs"] == told["epoch"] + 2 < 60


def test_every_session_is_predicted_once_by_who_never_saw_it(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    given = plan(toy, protocol="loso", runs=2, epochs=20, patience=20, rate=0.02)
    out = fit(given, tmp_path / "run", settings)
    said = [
        one
        for fold in ("session1", "session2", "session3", "session4")
        for one in predictions.read(out / "parts" / f"{fold}-seed1" / "predictions.jsonl")
    ]
    assert len({one.utt_id for one in said}) == len(said) == 4 * 30
    assert {one.dialogue[:2] for one in said[:30]} == {"s1"}
    told = json.loads((out / "metrics.json").read_text())
    one = told["measures"]["ua"]
    assert len(one["each"]) == 2 and one["mean"] == pytest.approx(np.mean(one["each"]))
    assert one["sd"] == pytest.approx(np.std(one["each"], ddof=1))
    assert one["low"] <= one["mean"] <= one["high"]
    assert one["each"][1] == pytest.approx(metrics.report(said)["measures"]["ua"])
    assert one["mean"] > 0.5  # the toy's numbers tell the emotion; four are to be told
    assert not (out / "checkpoint").exists()


def test_the_same_seed_gives_the_same_weights_and_another_others(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    one, two = (fit(plan(toy, runs=2), tmp_path / name, settings) for name in ("one", "two"))
    parts = [out / "parts" / f"official-seed{seed}" for out in (one, two) for seed in (0, 1)]
    assert same(parts[0], parts[2]) and same(parts[1], parts[3])
    assert not same(parts[0], parts[1])


CASES = {
    "plain": {},
    "average": {"average": 0.9, "schedule": "cosine", "warmup": 3},
    "refit": {"refit": "true", "select_from": "train:3", "average": 0.9},
    "published": {"protocol": "as-published", "select_from": "train:2", "runs": 2},
    "stages": {
        "system": "late_fusion",
        "inputs": "",
        "reads": {"audio": [toy_corpus.READS], "text": ["words"]},
        "fusion": "weighted",
        "weights": "fit",
        "refit": "true",
        "epochs": 2,
        **{"text": 8, "select": 6, "maps": 4, "units": 8, "filters": 6, "wide": 12, "narrow": 8},
    },
}


class Moments:
    """Copies of a run's folder before and after all that changes it: what a kill there leaves.

    Of copies that differ in nothing but unfinished files the last is kept.
    """

    def __init__(self, run: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.copies, self.remove = run, copies, shutil.rmtree
        self.found: dict[str, Path] = {}
        for home, name in (
            *((Path, name) for name in ("replace", "rename", "unlink")),
            (shutil, "rmtree"),
        ):
            monkeypatch.setattr(home, name, self._around(getattr(home, name)))

    def _around(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def around(*arguments: Any, **named: Any) -> Any:
            here = self.run in Path(arguments[0]).parents
            if here:
                self._copy()
            made = change(*arguments, **named)
            if here:
                self._copy()
            return made

        return around

    def _copy(self) -> None:
        if not self.run.exists():
            return
        seen = hashlib.sha256()
        for file in sorted(self.run.rglob("*")):
            name = file.relative_to(self.run)
            if file.is_file() and not any(part.startswith(".") for part in name.parts):
                seen.update(str(name).encode() + file.read_bytes())
        copy = self.found.setdefault(seen.hexdigest(), self.copies / f"{len(self.found):03d}")
        self.remove(copy, ignore_errors=True)
        shutil.copytree(self.run, copy)


def left(run: Path) -> dict[str, bytes]:
    """What a run comes to; without the times that it took."""
    found = {}
    for file in sorted(run.rglob("*")):
        name = str(file.relative_to(run))
        if file.is_file() and file.name != "run.json" and "/." not in f"/{name}":
            found[name] = re.sub(rb'"seconds": [0-9.]+', b"", file.read_bytes())
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_at_any_moment_ends_at_the_same_weights(
    tmp_path: Path, toy: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    given = {**TOY, "data": toy, "epochs": 3, "patience": 2, **CASES[case]}
    if case == "stages":
        given = {key: one for key, one in given.items() if key not in ("width", "heads")}
    wanted = Plan.of(given, "a test")
    monkeypatch.setattr("trainer.record.commit", str)  # somebody may commit meanwhile
    whole = tmp_path / "whole"
    with monkeypatch.context() as watched:
        moments = Moments(whole, tmp_path / "moments", watched)
        fit(wanted, whole, settings)
    assert len(moments.found) > 12 and len(list((tmp_path / "moments").rglob("state.pt"))) > 6
    for copy in moments.found.values():
        fit(wanted, copy, settings, resume=True)
        assert left(copy) == left(whole), copy.name
    if case != "published":  # whose selection part has too few turns
        config = json.loads((whole / "checkpoint" / "config.json").read_text())
        assert config["calibration"]["temperature"]  # what selection taught is among what is left


@pytest.mark.slow
def test_a_process_that_is_killed_is_taken_up(tmp_path: Path, toy: str, settings: Settings) -> None:
    given = plan(toy, epochs=40, patience=40, protocol="loso")
    whole = fit(given, tmp_path / "whole", settings)
    file = tmp_path / "plan.toml"
    file.write_text(given.to_toml())
    call = [sys.executable, "-m", "trainer", "fit", str(file), "--out", str(tmp_path / "run")]
    call += ["--offline", "--device", "cpu"]
    deaths = 0
    for _ in range(40):
        run = subprocess.Popen([*call, *(["--resume"] if deaths else [])], cwd=ROOT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        before = len(list((tmp_path / "run").rglob("history.jsonl")))
        while run.poll() is None and deaths < 3:
            if len(list((tmp_path / "run").rglob("history.jsonl"))) > before:
                run.send_signal(signal.SIGKILL)
                run.wait()
                break
            time.sleep(0.01)
        if run.wait() == 0:
            break
        deaths += 1
    assert run.returncode == 0 and deaths
    for session in range(1, 5):
        part = f"parts/session{session}-seed0"
        assert same(whole / part, tmp_path / "run" / part)


@pytest.mark.slow
def test_two_processes_have_the_loss_of_one(tmp_path: Path, toy: str, settings: Settings) -> None:
    changes = {"dropout": 0, "batch": 5, "epochs": 4, "patience": 9, "class_weights": "balanced"}
    given = plan(toy, **changes)
    alone = fit(given, tmp_path / "alone", settings)
    file = tmp_path / "plan.toml"
    file.write_text(given.to_toml())
    subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
        + ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        + ["--main_process_port", "0", "-m", "trainer", "fit", str(file)]
        + ["--out", str(tmp_path / "both"), "--device", "cpu", "--offline"],
        check=True,
        cwd=ROOT,
        timeout=300,
        capture_output=True,
    )
    name = "parts/official-seed0"
    one, two = (history(run / name) for run in (alone, tmp_path / "both"))
    assert len(one) == len(two) == 4
    for left, right in zip(one, two, strict=True):
        assert right["loss"] == pytest.approx(left["loss"], abs=1e-4)
        assert right["select"] == pytest.approx(left["select"], abs=1e-3)
    told = json.loads((tmp_path / "both" / "run.json").read_text())
    assert told["machine"]["processes"] == 2


def test_the_loss_of_a_step_is_the_mean_over_its_labelled_turns(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    """A literal mean over turns, of the weights before the only step of an epoch."""
    whole = plan(toy, epochs=1, batch=99, dropout=0, clip=0)
    out = fit(whole, tmp_path / "run", settings)
    from erc_demo import systems
    from erc_demo.systems import collate
    from trainer import inputs
    from trainer.datasets import open_corpus

    corpus = open_corpus(toy, whole.ask)
    design = inputs.design_of(whole, settings)
    examples = inputs.examples(corpus.dialogues[:6], design, settings)
    system = systems.build(design, seed=0)
    system.fit_inputs([one.conversation for one in examples])
    losses = []
    for one in examples:
        logits = system.run(collate([one.conversation]), False).logits["iemocap4"][0]
        for at, label in enumerate(one.labelled.labels["iemocap4"]):
            if label >= 0:
                losses.append(-logits[at].log_softmax(-1)[label].item())
    assert history(out / "parts" / "official-seed0")[0]["loss"] == pytest.approx(
        np.mean(losses), abs=1e-5
    )


def test_as_published_keeps_both_and_says_which_is_which(
    tmp_path: Path, toy: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    given = plan(toy, protocol="as-published:loso", epochs=12, patience=12)
    out = fit(given, tmp_path / "run", settings)
    told = json.loads((out / "metrics.json").read_text())
    honest, peeked = (told[name]["weighted_f1"] for name in ("measures", "published"))
    for session in range(1, 5):
        part = out / "parts" / f"session{session}-seed0"
        events = history(part)
        best = max(one["report"]["weighted_f1"] for one in events)
        said = metrics.report(predictions.read(part / "published.jsonl"))["measures"]["weighted_f1"]
        assert said == pytest.approx(best)
        plainly = metrics.report(predictions.read(part / "predictions.jsonl"))["measures"]
        assert plainly["weighted_f1"] <= best + 1e-9
    assert honest["mean"] != peeked["mean"]
    plain = fit(plan(toy, protocol="loso", epochs=12, patience=12), tmp_path / "two", settings)
    again = json.loads((plain / "metrics.json").read_text())["measures"]["weighted_f1"]
    assert again == honest  # looking changed nothing but what is shown
    from trainer.commands.fit import told as lines

    assert any("not honest" in line for line in lines(out))


def test_a_refit_learns_from_the_selection_part_too_for_as_long_as_was_chosen(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy, refit=True, select_from="train:2"), tmp_path / "run", settings)
    part = out / "parts" / "official-seed0"
    told = json.loads((part / "part.json").read_text())["stages"]["all"]
    events = history(part)
    assert [one["phase"] for one in events].count("refit") == told["epoch"]
    assert not any("select" in one for one in events if one["phase"] == "refit")
    assert not (part / "selection.jsonl").exists()  # it was learned from
    kept = checkpoint.load(str(out / "checkpoint"), settings).training
    assert len(kept["trained_on"]) == 6


def test_a_run_begins_with_another_ones_weights(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    first = fit(plan(toy), tmp_path / "one", settings)
    said: list[dict[str, Any]] = []
    fit(
        plan(toy, init=str(first / "checkpoint"), epochs=1),
        tmp_path / "two",
        settings,
        tell=said.append,
    )
    remark = next(one["remark"] for one in said if "Begins with" in one.get("remark", ""))
    count = len(checkpoint.load(str(first / "checkpoint"), settings).system.state_dict())
    assert f"{count} of {count} weights" in remark


def test_inputs_that_the_data_lacks_are_left_out_and_said(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    said: list[dict[str, Any]] = []
    given = {key: one for key, one in TOY.items() if key != "inputs"}
    fit(
        Plan.of({**given, "data": toy, "epochs": 1}, "x"),
        tmp_path / "r",
        settings,
        tell=said.append,
    )
    assert any("trained without audio (voice) and speaker" in str(one) for one in said)
    with pytest.raises(UserError, match="This data has nothing that iaan reads"):
        fit(
            Plan.of({"system": "iaan", "labels": "iemocap4", "data": toy}, "x"),
            tmp_path / "two",
            settings,
        )


def test_a_run_is_neither_overwritten_nor_continued_by_another_plan(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy, epochs=1), tmp_path / "run", settings)
    with pytest.raises(UserError, match="--resume, or name another --out"):
        fit(plan(toy, epochs=1), out, settings)
    with pytest.raises(UserError, match="begun with another plan"):
        fit(plan(toy, epochs=2), out, settings, resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match="holds no run"):
        fit(plan(toy), tmp_path / "mine", settings)
    assert fit(plan(toy, epochs=1), out, settings, resume=True) == out  # nothing left to do


def test_a_run_goes_on_with_what_it_was_begun_with_alone(
    tmp_path: Path, toy: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, wanted = tmp_path / "run", plan(toy, runs=2, epochs=2)
    with monkeypatch.context() as watched:
        moments = Moments(out, tmp_path / "moments", watched)
        fit(wanted, out, settings)
    begun = next(one for one in moments.found.values() if list(one.rglob("state.pt")))
    done = next(one for one in moments.found.values() if list(one.rglob("part.json")))
    for name, said in (("0.0.0", "another version"), (erc_demo.__version__, "can't be read")):
        copy = tmp_path / name
        shutil.copytree(begun, copy)
        (state,) = copy.rglob("state.pt")
        if said == "can't be read":
            state.write_bytes(state.read_bytes()[:999])
        with monkeypatch.context() as other:
            other.setattr("erc_demo.__version__", name)
            with pytest.raises(UserError, match=said):
                fit(wanted, copy, settings, resume=True)
    table = Path(toy.partition(":")[2]) / "turns.csv"
    table.write_text(table.read_text().replace("so it goes", "so it went", 1))
    for copy in (begun, done):
        with pytest.raises(UserError, match="other data"):
            fit(wanted, copy, settings, resume=True)


def test_a_refit_begins_from_drawn_weights(
    tmp_path: Path, toy: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[bool] = []
    enter = training.Training._enter

    def seen(self: training.Training, phase: str, *rest: Any) -> Any:
        learner = enter(self, phase, *rest)
        fresh = dict(self._new().named_parameters())
        begun.append(all(torch.equal(one, fresh[key]) for key, one in learner.learned.items()))
        return learner

    monkeypatch.setattr(training.Training, "_enter", seen)
    fit(plan(toy, refit=True, select_from="train:2"), tmp_path / "run", settings)
    assert begun == [True, True]


def test_dimensions_alone_are_learned_and_selected_on(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    table = Path(toy.partition(":")[2]) / "turns.csv"
    rows = [line.split(",") for line in table.read_text().splitlines()]
    rows[0].append("valence")
    for row in rows[1:]:
        mood = {"happy": "0.8", "neutral": "0.1", "sad": "-0.6", "angry": "-0.9"}
        row.append(mood.get(row[6], ""))
    table.write_text("\n".join(",".join(row) for row in rows) + "\n")
    changes = {"labels": "", "dimensions": "valence", "protocol": "loso"}
    with pytest.raises(UserError, match="the plan names no labels"):
        fit(plan(toy, **changes), tmp_path / "none", settings)
    out = fit(plan(toy, **changes, measure="ccc", epochs=2), tmp_path / "run", settings)
    told = json.loads((out / "metrics.json").read_text())
    assert set(told["measures"]) == {"ccc"} and -1 <= told["measures"]["ccc"]["mean"] <= 1


def test_a_run_that_begins_with_what_it_reports_says_so(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    first = str(fit(plan(toy, epochs=1), tmp_path / "one", settings) / "checkpoint")
    out = fit(plan(toy, protocol="loso", init=first, epochs=1), tmp_path / "two", settings)
    remarks = json.loads((out / "run.json").read_text())["remarks"]
    assert any("learned from 6 of these 12 dialogues" in one for one in remarks)
    part = out / "parts" / "session1-seed0" / "checkpoint"
    kept = checkpoint.load(str(part), settings).training
    assert len(kept["trained_on"]) == 12  # sessions 3 and 4, and 1 and 2 before
    assert str(tmp_path) not in json.dumps(kept)
    with pytest.raises(UserError, match="whose weights mean nothing in a dialogue_trm"):
        other = {"system": "dialogue_trm", "labels": "iemocap4", "inputs": "text", "init": first}
        other |= {"data": toy, "reads": {"text": [toy_corpus.READS]}}
        fit(Plan.of(other, "x"), tmp_path / "three", settings)


def test_half_precision_is_taken_off_again_and_another_run_has_its_own(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    half = fit(plan(toy, precision="bf16", refit=True, epochs=2), tmp_path / "half", settings)
    whole = fit(plan(toy, epochs=2), tmp_path / "whole", settings)
    facts = [json.loads((run / "run.json").read_text()) for run in (half, whole)]
    assert [one["machine"]["precision"] for one in facts] == ["bf16", "no"]
    name = "parts/official-seed0"
    assert all(one.dtype == torch.float32 for one in weights(half / name).values())
    losses = [history(run / name)[0]["loss"] for run in (half, whole)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], abs=0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rate": 1e9, "clip": 0, "epochs": 3}, "name a smaller rate"),
        ({"class_weights": "balanced", "decode": "crf"}, "class_weights can't weigh a chain"),
        ({"smoothing": 0.1, "decode": "crf"}, "smoothing can't weigh a chain"),
        ({"votes": "soft"}, "does not tell what each rater said"),
        ({"tune": "adapter"}, "no text encoder of its own to tune"),
        ({"measure": "ccc"}, "names no dimensions"),
        ({"protocol": "as-published"}, "this protocol reports none"),
        ({"labels": "iemocap6", "label_column": "mood"}, "mood"),
        ({"encoder": "minilm"}, "tunes no text encoder"),
        ({"refit": True, "protocol": "as-published:loso"}, "no as-published figure"),
        ({"inputs": "smell"}, "no input smell"),
        ({"reads": {"smell": ["voice"]}}, "no input 'smell'"),
    ],
)
def test_what_can_not_be_is_said_before_it_is_tried(
    tmp_path: Path, toy: str, settings: Settings, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        fit(plan(toy, **changes), tmp_path / "run", settings)


def test_the_command_line_trains_and_tells(
    tmp_path: Path, toy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ERC_DEMO_OFFLINE", "1")
    call = ["fit", "ats_sagru", "--data", toy, "--labels", "iemocap4", "--inputs", "text"]
    call += [
        "--reads",
        f"text={toy_corpus.READS}",
        "--protocol",
        "loso",
        "--out",
        str(tmp_path / "r"),
    ]
    call += ["--set", "epochs=2", "width=16", "heads=2", "--set", "log=none"]
    assert main(call) == 0
    told = capsys.readouterr()
    assert "Reported on session1, session2, session3, session4" in told.out
    assert "session4-seed0 choose all epoch 2" in told.err
    assert main(call) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main(["fit", "ats_sagru", "--data", toy, "--set", "speed=9", "--out", "x"]) == 2
    assert "has 'speed', which is no option" in capsys.readouterr().err
    assert main(["fit", "ats_sagru", "--options"]) == 0
    assert "weight_decay = 0.01" in capsys.readouterr().out


@pytest.mark.slow
def test_a_real_corpus_is_left_out_session_by_session(
    tmp_path: Path, shared: Any, settings: Settings
) -> None:
    """IEMOCAP's own numbers of sound: every label of four sessions is reported, once."""
    given = {"system": "ats_sagru", "labels": "iemocap4", "protocol": "loso", "epochs": 2}
    given |= {"data": f"table:{shared('data/iemocap')}", "inputs": "audio,speaker", "log": "none"}
    out = fit(Plan.of(given, "a test"), tmp_path / "run", settings)
    told = json.loads((out / "metrics.json").read_text())
    assert told["n"] == 4290 and told["measures"]["ua"]["mean"] > 0.4
    run = json.loads((out / "run.json").read_text())
    assert set(run["folds"]) == {"session1", "session2", "session3", "session4"}


def test_a_call_that_is_refused_leaves_nothing_in_the_way(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UserError, match="no input smell"):
        fit(plan(toy, inputs="smell"), out, settings)
    assert not out.exists()
    assert (fit(plan(toy, epochs=1), out, settings) / "run.json").is_file()


def test_two_calls_do_not_train_in_one_folder(
    tmp_path: Path, toy: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, given = tmp_path / "run", plan(toy, epochs=1)
    said: list[str] = []

    def again(event: dict[str, Any]) -> None:
        if "epoch" in event:
            with pytest.raises(UserError, match="Another call is training in") as refusal:
                fit(given, out, settings, resume=True)
            said.append(str(refusal.value))

    fit(given, out, settings, tell=again)
    assert said
    assert fit(given, out, settings, resume=True) == out


def test_a_plan_that_was_edited_is_not_taken_for_the_one_that_was_run(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy, epochs=1), tmp_path / "run", settings)
    text = (out / "plan.toml").read_text().replace("epochs = 1", "epochs = 2")
    (out / "plan.toml").write_text(text)
    edited = Plan.of(read(out / "plan.toml"), "the file")
    with pytest.raises(UserError, match="was made with another plan"):
        fit(edited, out, settings, resume=True)


def test_a_checkpoint_knows_what_it_was_measured_at(
    tmp_path: Path, toy: str, settings: Settings
) -> None:
    out = fit(plan(toy, protocol="loso", epochs=2), tmp_path / "run", settings)
    part = out / "parts" / "session2-seed0"
    said = metrics.report(predictions.read(part / "predictions.jsonl"))
    kept = checkpoint.load(str(part / "checkpoint"), settings).training
    assert kept["measures"]["ua"] == pytest.approx(said["measures"]["ua"])
    assert "None were recorded" not in (part / "checkpoint" / "README.md").read_text()
