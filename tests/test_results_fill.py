"""Cells of the tables trained and recorded: seeds add up, other words need no other training."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import toy_corpus

from erc_demo.settings import Settings
from trainer import predictions
from trainer.results import record
from trainer.results.cells import Cell, Column, Row
from trainer.results.fill import Filled, fill

TOY = {
    "inputs": "text",
    "reads": {"text": [toy_corpus.READS]},
    "epochs": 1,
    "batch": 2,
    "width": 16,
    "units": 8,
    "heads": 2,
    "dimensions": "",
    "refit": False,
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", offline=True, device="cpu", jobs=1)


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """A corpus whose recogniser hears every fourth word of some turns wrong."""
    toy_corpus.write(tmp_path / "corpora" / "toy", sessions=3, dialogues=6)
    file = tmp_path / "corpora" / "toy" / "turns.csv"
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    for row in rows:
        row["text"] = f"{row['text']} {row['utt_id'][-1]}"
        row["same_text"] = row["text"]
        row["asr_text"] = row["text"].replace("goes", "rose")
    with file.open("w", newline="", encoding="utf-8") as opened:
        table = csv.DictWriter(opened, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return tmp_path / "corpora"


def toy(recognised: str = "asr_text", heard: str = "given", **plan: object) -> Cell:
    row = Row(name="toy", system="ats_sagru", reads="words", needs=("words",), plan={**TOY, **plan})
    column = Column(
        name="c",
        title="a toy",
        data="table:DATA/toy",
        recognised=recognised,
        plan={
            **{"labels": "iemocap4", "measure": "ua"},
            **{"split_column": "split", "select_from": "train:1"},
        },
    )
    return Cell(row=row, column=column, heard=heard)


def test_seeds_add_up_and_nothing_is_trained_twice(
    tmp_path: Path, corpora: Path, settings: Settings
) -> None:
    out, home = tmp_path / "runs", tmp_path / "records"

    def filled(cell: Cell, seeds: int, again: bool = False) -> list[Filled]:
        told = fill([cell], corpora, out, settings, seeds=seeds, home=home, again=again)
        return list(told)

    (one,) = filled(toy(), 1)
    assert one.done and one.text.startswith("toy-c: ua 0.") and one.text.endswith("seeds 1")
    first = record.read(home / "toy-c.json")
    run = out / "toy-c" / "seed0" / "run.json"
    began = run.stat().st_mtime_ns
    assert len(filled(toy(), 2)) == 1 and filled(toy(), 2) == filled(toy(), 1) == []
    both = record.read(home / "toy-c.json")
    assert run.stat().st_mtime_ns == began
    assert both.seeds == (0, 1) and both.figures["ua"].each[0] == first.figures["ua"].each[0]
    assert str(tmp_path) not in (home / "toy-c.json").read_text()

    (other,) = filled(toy(epochs=3), 1)
    assert not other.done and "was recorded from another plan; --again" in other.text
    assert record.read(home / "toy-c.json").seeds == (0, 1)


def test_other_words_are_heard_by_the_checkpoints_that_are_there(
    tmp_path: Path, corpora: Path, settings: Settings
) -> None:
    """The same words by another name give the same answers, and other words others."""
    out, home = tmp_path / "runs", tmp_path / "records"
    reads = {"text": ["sentence"]}
    found = {}
    for recognised, heard in (
        ("", "given"),
        ("same_text", "recognised"),
        ("asr_text", "recognised"),
    ):
        cell = toy(recognised, heard, reads=reads)
        (one,) = fill([cell], corpora, out, settings, seeds=1, home=home)
        assert one.done, one.text
        file = home / f"{cell.name}.json"
        found[recognised] = record.read(file)
        for part in (out / "toy-c" / "seed0" / "parts").iterdir():
            said, again = part / "predictions.jsonl", part / "heard-recognised.jsonl"
            if again.is_file():
                one, two = predictions.read(said), predictions.read(again)
                assert [line.utt_id for line in one] == [line.utt_id for line in two]
                again.unlink()
        file.unlink()
    plain, same, other = found.values()
    assert same.counts.counts.tolist() == plain.counts.counts.tolist()
    assert same.figures["loss"].mean == pytest.approx(plain.figures["loss"].mean, abs=1e-5)
    assert other.figures["loss"].mean != pytest.approx(plain.figures["loss"].mean, abs=1e-5)
    assert {one.counts.turns for one in found.values()} == {plain.counts.turns}
    assert (same.heard, same.wer["wer"], plain.wer) == ("same_text", 0, {})
    assert 0.1 < other.wer["wer"] < 0.4


def test_what_can_not_be_trained_says_why_and_the_others_go_on(
    tmp_path: Path, corpora: Path, settings: Settings
) -> None:
    wrong = replace(toy(), column=replace(toy().column, name="none", data="table:DATA/none"))
    home = tmp_path / "records"
    told = list(fill([wrong, toy()], corpora, tmp_path / "runs", settings, seeds=1, home=home))
    assert [one.done for one in told] == [False, True]
    assert "none does not exist" in told[0].text
    assert [one.stem for one in home.glob("*.json")] == ["toy-c"]
