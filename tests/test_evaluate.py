"""A checkpoint on a part of a corpus: every utterance predicted, and nothing kept back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import toy_corpus
from sklearn.metrics import balanced_accuracy_score

from erc_demo import systems
from erc_demo.systems import predict
from trainer import predictions
from trainer.__main__ import main
from trainer.datasets import Ask, open_corpus
from trainer.fit import fit
from trainer.inputs import design_of, examples
from trainer.runs import Plan

HERE = ["--offline", "--device", "cpu", "--jobs", "1"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the toy corpus."""
    from erc_demo.settings import Settings

    home = tmp_path_factory.mktemp("run")
    toy = toy_corpus.write(home / "toy")
    given = {"system": "ats_sagru", "labels": "iemocap4", "inputs": "text", "data": toy}
    given |= {"epochs": 3, "width": 16, "heads": 2, "log": "none"}
    plan = Plan.of({**given, "reads": {"text": [toy_corpus.READS]}}, "a test")
    settings = Settings(data=home / "data", offline=True, device="cpu", jobs=1)
    return fit(plan, home / "run", settings)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))


def toy_of(run: Path) -> Path:
    return run.parent / "toy"


def test_each_utterance_has_a_line_also_where_nobody_gave_a_label(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "said.jsonl"
    call = ["evaluate", str(run), "--data", f"table:{toy_of(run)}", "--split", "validation"]
    assert main([*call, "--labels", "iemocap4", "--out", str(out), *HERE]) == 0
    told = capsys.readouterr().out
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    with (toy_of(run) / "turns.csv").open() as opened:
        rows = [row for row in csv.DictReader(opened) if row["split"] == "dev"]
    assert [one["utt_id"] for one in lines] == [row["utt_id"] for row in rows]
    assert [one["label"] for one in lines] == [row["iemocap4"] or None for row in rows]
    assert any(one["label"] is None for one in lines)
    for one in lines:
        assert one["predicted"] == max(one["probabilities"], key=one["probabilities"].get)
        assert sum(one["probabilities"].values()) == pytest.approx(1)
    beside = json.loads((tmp_path / "said.metrics.json").read_text())
    known = [one for one in lines if one["label"]]
    assert beside["measures"]["ua"] == pytest.approx(
        balanced_accuracy_score(
            [one["label"] for one in known], [one["predicted"] for one in known]
        )
    )
    assert beside["n"] == len(known)
    assert "was chosen by 3 of these 3 dialogues" in told  # validation was what selection saw


def test_what_is_written_is_what_the_served_system_says(run: Path, tmp_path: Path) -> None:
    from erc_demo import checkpoint
    from erc_demo.settings import Settings

    settings = Settings(data=tmp_path / "data", offline=True, device="cpu", jobs=1)
    loaded = checkpoint.load(str(run / "checkpoint"), settings)
    corpus = open_corpus(f"table:{toy_of(run)}", Ask(labels=("iemocap4",)))
    out = tmp_path / "all.jsonl"
    assert main(["evaluate", str(run), "--data", f"table:{toy_of(run)}", "--out", str(out)]) == 0
    said = {one.utt_id: one for one in predictions.read(out)}
    for one in examples(corpus.dialogues[:4], loaded.system.design, settings):
        served = predict(loaded.system, one.conversation, show=False)
        for at, utt_id in enumerate(one.labelled.ids):
            chances = said[utt_id].probabilities
            assert chances is not None
            assert np.allclose(list(chances.values()), served.probabilities[at], atol=1e-6)


def test_the_test_part_is_opened_once_and_a_second_time_is_said(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["evaluate", str(run), "--data", f"table:{toy_of(run)}", "--split", "test", *HERE]
    (run / "test_opened.jsonl").unlink(missing_ok=True)
    assert main(call) == 0
    assert "opened" not in capsys.readouterr().out
    assert main(call) == 0
    assert "opened once before" in capsys.readouterr().out
    call[1] = str(run / "parts" / "official-seed0" / "checkpoint")  # the run's, by another door
    assert main(call) == 0
    told = [json.loads(line) for line in (run / "test_opened.jsonl").read_text().splitlines()]
    assert [one["checkpoint"] for one in told] == [
        *("checkpoint", "checkpoint", "parts/official-seed0/checkpoint")
    ]


def test_a_missing_modality_and_another_label_set_are_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    text = (toy_of(run) / "turns.csv").read_text().replace("iemocap4", "emotion")
    (bare / "turns.csv").write_text(text)
    out = tmp_path / "bare.jsonl"
    call = ["evaluate", str(run), "--data", f"table:{bare}", "--out", str(out), *HERE]
    assert main(call) == 2
    assert "has nothing that checkpoint" in capsys.readouterr().err
    some = np.load(toy_of(run) / "toy.npz")
    np.savez(bare / "toy.npz", ids=some["ids"][:20], X=some["X"][:20])
    assert main(call) == 0
    assert "text (words) is absent in 100 of 120 turns" in capsys.readouterr().out
    lines = predictions.read(out)
    assert [one.predicted is not None for one in lines] == [True] * 20 + [False] * 100
    assert all("No words here" in one.why_not for one in lines[20:])
    call = ["evaluate", str(run), "--data", f"table:{toy_of(run)}", "--labels", "iemocap6"]
    assert main([*call, "--label-column", "iemocap4", "--out", str(out), *HERE]) == 0
    assert "its chances are mapped to iemocap6" in capsys.readouterr().out
    assert set(predictions.read(out)[0].probabilities or ()) == {
        *("neutral", "happy", "sad", "angry", "excited", "frustrated")
    }


@pytest.mark.parametrize(
    ("ref", "more", "said"),
    [
        ("nowhere", [], "'nowhere' is neither a system"),
        ("RUN", ["--split", "test", "--split-column", "fold"], "fold"),
        ("RUN", ["--labels", "happy5"], "no label set 'happy5'"),
        ("LOSO", [], "name one"),
        ("BEGUN", [], "has not ended"),
    ],
)
def test_what_can_not_be_evaluated_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    ref: str, more: list[str], said: str,
) -> None:  # fmt: skip
    several = tmp_path / "several"
    several.mkdir()
    for name in ("plan.toml", "run.json")[: 1 if ref == "BEGUN" else 2]:
        (several / name).write_text("")
    place = {"RUN": str(run), "LOSO": str(several), "BEGUN": str(several)}.get(ref, ref)
    call = ["evaluate", place, "--data", f"table:{toy_of(run)}", *more, *HERE]
    assert main(call) == 2
    assert said in capsys.readouterr().err


def test_a_corpus_without_a_part_says_which_there_are(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    toy_corpus.write(whole)
    text = (whole / "turns.csv").read_text().replace(",test", ",train")
    (whole / "turns.csv").write_text(text)
    call = ["evaluate", str(run), "--data", f"table:{whole}", "--split", "test", *HERE]
    assert main(call) == 2
    assert "there are train; validation" in capsys.readouterr().err


def test_a_design_of_one_input_answers_with_it(run: Path, tmp_path: Path) -> None:
    plan = Plan.of(
        {"system": "ats_sagru", "inputs": "text", "reads": {"text": [toy_corpus.READS]}}, "a test"
    )
    from erc_demo.settings import Settings

    design = design_of(plan, Settings(data=tmp_path, offline=True))
    system = systems.build(design)
    assert system.enough(frozenset({"text"})) and not system.enough(frozenset())
    assert system.choices() == "text"
