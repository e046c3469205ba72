"""A plan: read, refused, written, and read again as it was; prediction lines likewise."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from erc_demo import plugs
from erc_demo.errors import UserError
from trainer import predictions, runs
from trainer.predictions import Line
from trainer.runs import TABLES, Plan

SYSTEMS = plugs.names("erc_demo.systems")


def test_a_plan_comes_back_as_it_was(tmp_path: Path) -> None:
    given = {
        "system": "dialogue_trm",
        "data": 'table:a "folder" of ours',
        "rate": "3e-4",
        "epochs": "7",
        "refit": "true",
        "layers": 2,  # the system's
        "reads": {"audio": ["gemaps47:speaker_norm=both", "voice"], "text": "sentence"},
    }
    plan = Plan.of(given, "a test")
    assert (plan.rate, plan.epochs, plan.refit) == (3e-4, 7, True)
    assert plan.settings == {"layers": 2} and plan.reads["text"] == ("sentence",)
    runs.write(tmp_path / "plan.toml", plan.to_toml())
    assert Plan.of(runs.read(tmp_path / "plan.toml"), "the file") == plan
    assert "epochs = 7" in plan.to_toml() and "patience" not in plan.to_toml()


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_setting_of_a_system_hides_behind_an_option_of_plans(system: str) -> None:
    own = {one.name for one in fields(plugs.load("erc_demo.systems", system).Config)}
    assert not own & {one.name for one in fields(Plan)} - {"encoder"}
    assert "encoder" not in own or system == "dialogue_trm"  # its config; the plan's is its name


def test_every_option_says_what_it_is() -> None:
    for one in fields(Plan):
        assert one.name in TABLES or len(one.metadata["help"]) > 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"system": "bert"}, "There is no 'bert'"),
        ({}, "it names no system"),
        ({"system": "iaan", "reads": 5}, "its reads are no table"),
        ({"system": "iaan", "epochs": "many"}, "epochs is 'many'; a whole number was wanted"),
        ({"system": "iaan", "measure": "accuracy"}, "one of weighted_f1"),
        ({"system": "iaan", "speed": 3}, "no option of a plan or a setting of iaan"),
        ({"system": "iaan", "rate": -1, "smoothing": 1}, "rate is -1.*smoothing is 1"),
        ({"system": "iaan", "reads": {"audio": [3]}}, "a list of features was wanted"),
        ({"system": "iaan", "settings": {"variant": "odd"}}, "variant is 'odd'"),
    ],
)
def test_what_is_wrong_is_said_at_once(given: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Plan.of(given, "a test")


def test_a_file_that_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("rate = = 3")
    with pytest.raises(UserError, match="is not TOML"):
        runs.read(tmp_path / "plan.toml")
    with pytest.raises(UserError, match="can't be opened"):
        runs.read(tmp_path / "none.toml")


LINE = Line(
    dialogue="one",
    utt_id="one_3",
    turn=3,
    speaker="F",
    labels="iemocap4",
    label=None,
    predicted="sad",
    probabilities={"neutral": 0.25, "happy": 0.0, "sad": 0.5, "angry": 0.25},
    values={"valence": -0.5, "arousal": None},
    wanted={"valence": 0.25, "arousal": None},
    words=1,
    text="“Yeah.”",
)


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    silent = Line(dialogue="one", utt_id="one_4", turn=4, speaker="M", labels="iemocap4",
                  label="angry", why_not="No words here.")  # fmt: skip
    file = tmp_path / "said.jsonl"
    predictions.write(file, [LINE, silent])
    assert predictions.read(file) == [LINE, silent]
    first = json.loads(file.read_text().splitlines()[0])
    assert first["label"] is None and first["probabilities"]["sad"] == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"dialogue": "one"', "line 1, is not JSON"),
        ("[1, 2]", "no JSON object"),
        ('{"dialogue": "one", "mood": "sad"}', "does not fit"),
        ('{"dialogue": 1}', "dialogue is 1; a text was wanted"),
        ('{"turn": "a"}', "turn is 'a'; a whole number was wanted"),
        ('{"probabilities": [0.5, 0.5]}', "an object of numbers was wanted"),
        ('{"probabilities": {"sad": -1}}', "the probability of sad is -1; 0 to 1 was wanted"),
        ('{"values": {"valence": "x"}}', "values has 'x' as valence; a number was wanted"),
        (json.dumps(LINE.to_json() | {"predicted": "glad"}), "predicted is 'glad'"),
        (json.dumps(LINE.to_json() | {"probabilities": {"sad": 1.0}}), "one for each of"),
    ],
)
def test_lines_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text(text + "\n")
    with pytest.raises(UserError, match=said):
        predictions.read(file)
