"""Tuning against a made-up fit whose best plan is known: what is tried, kept, and taken up."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import runs
from trainer.runs import Plan
from trainer.space import Choice, Range, space
from trainer.tune import BEST, IMPORTANCE, JOURNAL, TABLE, planned, tune, worth

pytest.importorskip("optuna")
PLAN = Plan.of(
    {
        "system": "late_fusion",
        "data": "table:nowhere",
        "protocol": "as-published:loso",
        "refit": True,
        "rate": 1e-4,
        "runs": 2,
        "epochs": 12,
    },
    "the test",
)
SPACE = {"rate": Range(1e-4, 1e-2, log=True), "batch": Choice(8, 16, 32)}


class Made:
    """A fit whose selection likes a rate of 1e-3 and a batch of 16 best."""

    def __init__(self, dies: int | None = None, sinks: bool = False) -> None:
        self.calls: list[tuple[Plan, bool]] = []
        self.epochs, self.dies, self.sinks = 0, dies, sinks

    def __call__(
        self,
        plan: Plan,
        out: Path,
        settings: Settings,
        *,
        resume: bool,
        tell: Callable[[dict[str, Any]], None],
        select_only: bool,
    ) -> Path:
        assert select_only
        self.calls.append((plan, resume))
        runs.write(out / "plan.toml", plan.to_toml())
        if self.dies == len(self.calls):
            raise KeyboardInterrupt
        likes = 0.8 - abs(plan.rate - 1e-3) * 20 - (plan.batch != 16) * 0.1
        for fold, off in (("session1", -0.02), ("session2", 0.02)):
            for epoch in range(1, plan.epochs + 1):
                self.epochs += 1
                value = likes + off - 0.3 / epoch
                tell({"part": fold, "epoch": epoch, "select": {plan.measure: value}})
            part = out / "parts" / f"{fold}-seed0"
            (part / "checkpoint").mkdir(parents=True, exist_ok=True)
            stages = {"first": {"select": 0.0}, "all": {"select": likes + off}}
            runs.write(part / "part.json", json.dumps({"stages": stages}))
        runs.write(out / "run.json", "{}")
        return out


def table(out: Path) -> list[dict[str, str]]:
    """Trials as they were written."""
    with (out / TABLE).open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_it_finds_what_selection_likes(tmp_path: Path) -> None:
    made, said = Made(), []
    best = tune(PLAN, SPACE, tmp_path / "t", Settings(), trials=25, fit=made, tell=said.append)  # type: ignore[func-returns-value]
    found = Plan.of(runs.read(best), "the best")
    assert found.batch == 16 and 3e-4 < found.rate < 3e-3
    assert (found.protocol, found.refit, found.runs) == ("as-published:loso", True, 2)
    rows = table(tmp_path / "t")
    assert len(rows) == 25 == len(said)
    first = made.calls[0][0]
    assert (first.rate, first.batch) == (1e-4, 16), "the plan itself is tried first"
    assert {(one.protocol, one.refit) for one, _ in made.calls} == {("loso", False)}
    whole = [one for one in rows if one["state"] == "complete"]
    top = max(whole, key=lambda one: float(one["weighted_f1"]))
    assert float(top["rate"]) == found.rate and top["batch"] == "16"
    assert worth(tmp_path / "t" / "trials" / top["folder"]) == float(top["weighted_f1"])
    with (tmp_path / "t" / IMPORTANCE).open(encoding="utf-8") as opened:
        shares = {one["option"]: float(one["importance"]) for one in csv.DictReader(opened)}
    assert set(shares) == {"rate", "batch"} and abs(sum(shares.values()) - 1) < 1e-3
    assert not list((tmp_path / "t").rglob("checkpoint"))


def test_what_lags_is_given_up(tmp_path: Path) -> None:
    made = Made()
    tune(PLAN, SPACE, tmp_path, Settings(), trials=25, fit=made)
    rows = table(tmp_path)
    pruned = [one for one in rows if one["state"] == "pruned"]
    assert pruned and made.epochs < 25 * 2 * PLAN.epochs
    assert all(not one["weighted_f1"] for one in pruned)
    assert len(list((tmp_path / "trials").iterdir())) <= 25 - len(pruned)


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "t"
    with pytest.raises(KeyboardInterrupt):
        tune(PLAN, SPACE, out, Settings(), trials=6, fit=(dying := Made(dies=4)))
    with pytest.raises(UserError, match="holds a study already"):
        tune(PLAN, SPACE, out, Settings(), trials=6, fit=Made())
    again = Made()
    tune(PLAN, SPACE, out, Settings(), trials=6, resume=True, fit=again)
    killed = dying.calls[3][0]
    assert again.calls[0] == (killed, True), "the trial that was killed is taken up"
    assert len(table(out)) == 6 and len(again.calls) == 3
    drawn = [one.rate for one, _ in dying.calls + again.calls[1:]]
    assert len(set(drawn)) == len(drawn), "what was drawn before is not drawn again"
    done = Made()
    tune(PLAN, SPACE, out, Settings(), trials=6, resume=True, fit=done)
    assert not done.calls
    with pytest.raises(UserError, match="another plan or space"):
        tune(PLAN, {"batch": Choice(8, 16)}, out, Settings(), trials=6, resume=True, fit=done)
    with pytest.raises(UserError, match="no study to go on with"):
        tune(PLAN, SPACE, tmp_path / "new", Settings(), trials=6, resume=True, fit=done)


def test_what_is_drawn_twice_is_trained_once(tmp_path: Path) -> None:
    made = Made()
    tune(PLAN.but(epochs=1), {"batch": Choice(16, 32)}, tmp_path, Settings(), trials=6, fit=made)
    rows = table(tmp_path)
    assert len(rows) == 6 and len(made.calls) == 2
    assert len({(one["batch"], one["weighted_f1"]) for one in rows}) == 2


def test_loss_is_lowered(tmp_path: Path) -> None:
    plan = PLAN.but(measure="loss", epochs=1)
    best = tune(plan, {"batch": Choice(16, 32)}, tmp_path, Settings(), trials=4, fit=Made())
    assert Plan.of(runs.read(best), "the best").batch == 32


def test_a_trial_that_fails_is_no_end_but_nothing_else_is(tmp_path: Path) -> None:
    made = Made()

    def half(plan: Plan, out: Path, settings: Settings, **more: Any) -> Path:
        if plan.batch == 8:
            raise UserError("The loss is nan.")
        return made(plan, out, settings, **more)

    tune(PLAN, SPACE, tmp_path / "half", Settings(), trials=12, fit=half)
    rows = table(tmp_path / "half")
    failed = [one for one in rows if one["state"] == "fail"]
    assert failed and {(one["batch"], one["why"]) for one in failed} == {("8", "The loss is nan.")}

    def never(plan: Plan, out: Path, settings: Settings, **more: Any) -> Path:
        raise UserError("No corpus is here.")

    with pytest.raises(UserError, match="No trial could be run: No corpus is here"):
        tune(PLAN, SPACE, tmp_path / "never", Settings(), trials=12, fit=never)
    assert len(table(tmp_path / "never")) == 3 and not (tmp_path / "never" / BEST).exists()


def test_a_space_is_read_from_words_and_files(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text('rate = "1e-4..1e-2:log"\nclass_weights = ["none", "root"]\n')
    found = space([str(file), "batch=8..32", "average=0,0.99", "votes=label,soft"])
    assert vars(found["rate"]) == {"low": 1e-4, "high": 1e-2, "log": True}
    assert vars(found["batch"]) == {"low": 8, "high": 32, "log": False}
    assert found["average"].tried == (0, 0.99) and found["votes"].tried == ("label", "soft")
    assert found["class_weights"].tried == ("none", "root")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate", "KEY=LOW..HIGH"),
        ("rate=0..1:log", "no range of a logarithm"),
        ("rate=5..1", "is no range"),
        ("rate=a..b", "ends of a range are numbers"),
        ("batch=8", "two values or more"),
        ("protocol=official,loso", "stays as it is"),
        ("measure=ua,wa", "stays as it is"),
    ],
)
def test_what_is_no_space_is_said(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        space([text])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate=-1..1", "rate is -1"),
        ("heads_of=2,4", "no option of a plan or a setting of late_fusion"),
        ("optimiser=adam,sgd", "one of adamw, adam was wanted"),
    ],
)
def test_values_are_checked_before_anything_is_trained(
    tmp_path: Path, text: str, said: str
) -> None:
    made = Made()
    with pytest.raises(UserError, match=said):
        tune(PLAN, space([text]), tmp_path / "t", Settings(), trials=2, fit=made)
    assert not made.calls and not (tmp_path / "t").exists()


def test_settings_of_the_system_are_the_plans_settings() -> None:
    one = planned(PLAN, {"decode": "crf", "rate": 0.5})
    assert dict(one.settings) == {"decode": "crf"} and one.rate == 0.5


def test_without_optuna_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'erc_demo\[train\]'"):
        tune(PLAN, SPACE, tmp_path, Settings(), trials=1, fit=Made())
    assert not (tmp_path / JOURNAL).exists()
