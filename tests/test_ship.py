"""What ships: looked over, with its card and figures, and a plan that makes it again."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import toy_corpus
import yaml
from test_results import dialogues, kept_as

from erc_demo import checkpoint, systems
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import record, runs, ship
from trainer.__main__ import main
from trainer.results import record as results
from trainer.runs import Plan

PLANS = sorted(
    file
    for file in (Path(ship.__file__).parent / "checkpoints").glob("*.toml")
    if "system" in tomllib.loads(file.read_text())
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(offline=True, device="cpu", jobs=1, data=tmp_path / "data")


def trained(folder: Path, settings: Settings, reads: dict[str, tuple[str, ...]]) -> Path:
    """A checkpoint as `fit` leaves it; drawn weights suffice."""
    design = systems.design(
        "ats_sagru",
        widths=checkpoint.widths(reads, settings),
        labels=("iemocap6",),
        settings={"width": 16, "heads": 2},
        reads=reads,
    )
    plan = Plan.of({"system": "ats_sagru", "data": "table:iemocap"}, "a test")
    training = {"data": "table:iemocap", "labels": ["iemocap6"], "plan": plan.to_toml()}
    versions = checkpoint.versions(design, settings)
    record.save(folder, systems.build(design), versions, training, half=True)
    return folder


def test_it_goes_into_its_place_with_what_was_recorded_of_its_system(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(tmp_path / "one", settings, {"audio": ("gemaps47",)})
    home, kept = tmp_path / "home", tmp_path / "results"
    lines = [dialogues(20, 12, seed=seed) for seed in range(2)]
    for name in ("ats_sagru-iemocap6", "ats_sagru-words-iemocap6"):
        kept_as(name, lines).write(kept)
    every = results.every(kept)
    monkeypatch.setattr(ship.results, "every", lambda: every)
    told = list(ship.ship(str(folder), settings, home=home))
    assert len(told) == 1 and "ats_sagru is in" in told[0]
    shipped = home / "ats_sagru"
    before, after = (checkpoint.load(str(one), settings) for one in (folder, shipped))
    assert before.sha256 == after.sha256
    (measured,) = after.training["measured"]  # the words alone are another system
    figure = every["ats_sagru-iemocap6"].figures["weighted_f1"]
    assert measured["measures"]["weighted_f1"]["mean"] == pytest.approx(np.mean(figure.each))
    card = (shipped / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    (index,) = front["model-index"]
    values = {one["name"]: one["value"] for one in index["results"][0]["metrics"]}
    assert values["weighted F1"] == round(figure.mean, 4)
    assert f"{figure.mean:.3f} ± {figure.sd:.3f}" in card and "2 seeds" in card
    (entries,) = (shipped / ".eval_results").glob("*.yaml")
    said = yaml.safe_load(entries.read_text())
    assert {one["dataset"]["task_id"]: one["value"] for one in said}["weighted_f1"] == values[
        "weighted F1"
    ]
    assert "research" in (shipped / "LICENSE").read_text()
    assert list(ship.ship(str(folder), settings, home=home)) == told  # again, in its place
    assert [one.name for one in home.iterdir()] == ["ats_sagru"]


def test_without_a_record_the_card_has_no_figure(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained(tmp_path / "one", settings, {"audio": ("gemaps47",)})
    monkeypatch.setattr(ship.results, "every", dict)
    told = list(ship.ship(str(folder), settings, home=tmp_path / "home"))
    assert "its card has no figure" in told[1]
    assert not (tmp_path / "home" / "ats_sagru" / ".eval_results").exists()


def test_what_a_clone_could_not_answer_with_is_refused(
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = trained(tmp_path / "given", settings, {"audio": (toy_corpus.READS,)})
    with pytest.raises(UserError, match="not made from a recording"):
        list(ship.ship(str(folder), settings, home=tmp_path / "home"))
    folder = trained(tmp_path / "large", settings, {"audio": ("gemaps47",)})
    monkeypatch.setattr(ship, "MOST", 1000)
    call = ["ship", str(folder), "--home", str(tmp_path / "home"), "--offline"]
    assert main([*call, "--data", str(tmp_path / "data")]) == 2
    assert "may ship" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.stem)
def test_a_plan_is_of_its_system_and_reads_what_ships(file: Path) -> None:
    plan = Plan.of(runs.read(file), file.name)
    assert plan.system == file.stem and plan.half and plan.refit
    assert plan.design == "embedded" and not plan.reads
    place = checkpoint.EMBEDDED / plan.system
    if not (place / checkpoint.CONFIG).is_file():
        pytest.skip(f"{plan.system} has no checkpoint that ships yet")
    training = json.loads((place / checkpoint.CONFIG).read_text())["training"]
    made = Plan.of(tomllib.loads(training["plan"]), "the checkpoint")
    beside = {"data": "", "log": "none"}  # where it lay, and what was written beside it
    assert made.but(**beside) == plan.but(**beside)  # its card's command makes it
