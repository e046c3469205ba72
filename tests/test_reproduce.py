"""Tables made again by a toy that writes runs with known predictions."""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import evaluate as evaluating
from trainer import fit as fitting
from trainer import metrics, predictions, recipes, reproduce, runs
from trainer.__main__ import build, main
from trainer.predictions import Line
from trainer.runs import Plan

ROOT = Path(__file__).resolve().parents[1]
DOCS = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
FOUR = label_set("iemocap4").labels
TURNS = 40  # of each fold, in four dialogues
GIVEN = {"data": "table:somewhere", "runs": 2}


def talk(right: int, labels: str, fold: str = "one") -> list[Line]:
    """Turns of which the first so many are right, and the rest the next label."""
    names = label_set(labels).labels
    lines = []
    for turn in range(TURNS):
        at = turn % len(names)
        said = names[at] if turn < right else names[(at + 1) % len(names)]
        lines.append(
            Line(
                dialogue=f"{fold}_{turn % 4}",
                utt_id=f"{fold}_{turn}",
                turn=turn,
                speaker="AB"[turn % 2],
                labels=labels,
                label=names[at],
                predicted=said,
                probabilities={name: float(name == said) for name in names},
            )
        )
    return lines


@dataclass
class Toy:
    """A `fit` whose seed s of a row has ``right[row] + 2 s`` turns of 40 right; of others, 20."""

    right: Mapping[str, int] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    folds: tuple[str, ...] = ("session1", "session2")
    calls: list[str] = field(default_factory=list)

    def __call__(
        self, plan: Plan, out: Path, settings: Settings, *, resume: bool = False, tell: Any = None
    ) -> Path:
        name = out.name
        self.calls.append(name)
        file = out / "plan.toml"
        if file.exists() and not (resume and file.read_text() == plan.to_toml()):
            raise UserError("begun with another plan.")
        runs.write(file, plan.to_toml())
        if name in self.refuses:
            raise UserError("No turn of this data has sound.")
        official = plan.protocol == "official" and plan.select_from == "validation"
        folds = ("official",) if official else self.folds
        for fold in folds:
            for seed in plan.seeds:
                part = out / "parts" / f"{fold}-seed{seed}"
                part.mkdir(parents=True)
                right = self.right.get(name, 20) + 2 * seed
                if not official:
                    lines = talk(right, plan.ask.labels[0], fold)
                    predictions.write(part / "predictions.jsonl", lines)
                if plan.as_published:
                    lines = talk(right + 4, plan.ask.labels[0], fold)
                    predictions.write(part / "published.jsonl", lines)
        facts = {
            "design": {"inputs": {"audio": ["frames45:speaker_norm=upload"]}},
            "folds": {fold: {"report": 0 if official else 4} for fold in folds},
            "remarks": ["Three turns have no label."],
        }
        runs.write(out / "run.json", json.dumps(facts))
        return out


def again(toy: Toy, out: Path, table: int = 1, **more: Any) -> reproduce.Table:
    given = {**GIVEN, **more.pop("given", {})}
    recipe = recipes.find(more.pop("system", "iaan"), table)
    return reproduce.reproduce(recipe, given, out, Settings(), fit=toy, **more)


def test_numbers_beside_the_papers(tmp_path: Path) -> None:
    toy = Toy({"IAAN": 30})
    table = again(toy, tmp_path, given={"protocol": "loso"})
    assert toy.calls == ["BiGRU+ATT", "BiGRU+IAA", "RandIAAN", "IAAN"] and table.whole
    shares = [30 / 40, 32 / 40]  # of two seeds; both folds alike
    found = table.rows[3].ours
    assert found["WA"].mean == pytest.approx(statistics.mean(shares))
    assert found["WA"].sd == pytest.approx(statistics.stdev(shares))
    seeds = [talk(right, "iemocap4", "session1") for right in (30, 32)]
    both = [one + talk(r, "iemocap4", "session2") for one, r in zip(seeds, (30, 32), strict=True)]
    assert (found["WA"].low, found["WA"].high) == metrics.interval(both, "wa")
    recall = np.mean(
        [
            np.mean([line.predicted == "angry" for line in lines if line.label == "angry"])
            for lines in both
        ]
    )
    assert found["Anger"].mean == pytest.approx(recall)
    assert found["Anger"].low is None
    assert (table.rows[3].turns, table.rows[3].seeds) == (80, 2)
    text = (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert text == table.to_markdown()
    low, high = (f"{100 * one:.1f}" for one in (found["WA"].low, found["WA"].high))
    assert f"| WA | 64.7 | 77.5 ± 3.5 | {low} to {high} | +12.8 |" in text
    assert "design published, protocol loso, reported: session1, session2." in text
    assert "| IAAN | Anger | 72.1 |" in text and "| as published |" not in text
    assert "| SVM Trees | 60.8 | 60.9 | Rozgić et al. (2012)" in text
    data = json.loads((tmp_path / "table1.json").read_text(encoding="utf-8"))
    assert data["rows"][3]["published"]["UA"] == 66.3
    assert data["rows"][3]["ours"]["WA"]["mean"] == pytest.approx(0.775)
    assert [one["name"] for one in data["rivals"]][-1] == "MDNN"


def test_what_differs_is_told(tmp_path: Path) -> None:
    given = {"protocol": "loso", "epochs": 5, "dropout": 0.9}
    text = again(Toy(), tmp_path, given=given).to_markdown()
    differs = text.partition("## What differs from the paper\n")[2]
    assert "The 45 descriptors are not listed in the paper" in differs
    assert "- The data is table:somewhere, not the release of iemocap itself." in differs
    changed = "dropout is 0.9 instead of 0.1, protocol is 'loso' instead of 'as-published:loso', "
    assert (
        f"- Beside the recipe, {changed}runs is 2 instead of 3, epochs is 5 instead of" in differs
    )
    assert differs.count("Three turns have no label.") == 1
    assert "It reads" not in differs
    text = again(Toy(), tmp_path / "other", given={"design": "embedded"}).to_markdown()
    assert "forget is 0.2 instead of 0.0" in text


def test_other_features_are_told(tmp_path: Path) -> None:
    given = {"protocol": "loso"}
    text = again(Toy(), tmp_path, system="late_fusion", table=3, given=given).to_markdown()
    wanted = "It reads audio = frames45:speaker_norm=upload; as published audio = is13, text ="
    assert wanted in text and "It is without text, which this data can't give" in text


def test_the_price_of_looking(tmp_path: Path) -> None:
    table = again(Toy({"IAAN": 30}), tmp_path, rows=["IAAN"])
    row = table.rows[3]
    assert row.as_published["WA"].mean - row.ours["WA"].mean == pytest.approx(4 / 40)
    text = table.to_markdown()
    assert "| as published | turns | seeds |" in text and "the price of looking" in text
    assert "| WA | 64.7 | 77.5 ± 3.5 |" in text and "| 87.5 ± 3.5 |" in text
    assert "| BiGRU+ATT | Anger | 56.6 | not asked for |" in text


def test_a_row_that_cant_be_run(tmp_path: Path) -> None:
    toy = Toy(refuses=("RandIAAN",))
    table = again(toy, tmp_path)
    assert not table.whole and len(toy.calls) == 4
    text = (tmp_path / "table1.md").read_text(encoding="utf-8")
    reason = "not run: No turn of this data has sound. (This is the design as published; --design"
    assert f"| RandIAAN | Anger | 66.0 | {reason}" in text
    assert table.rows[3].ours["WA"].mean == pytest.approx(21 / 40)
    assert not (tmp_path / "rows" / "RandIAAN").exists()
    toy.refuses = ()
    assert again(toy, tmp_path, resume=True).whole
    assert toy.calls[4:] == ["RandIAAN"]


def test_what_is_done_is_kept(tmp_path: Path) -> None:
    toy = Toy()
    again(toy, tmp_path, rows=["IAAN"])
    with pytest.raises(UserError, match="IAAN holds a run already; go on with it by --resume"):
        again(toy, tmp_path)
    assert toy.calls == ["IAAN"]
    again(toy, tmp_path, table=2, resume=True)
    assert toy.calls == ["IAAN", "BiGRU+ATT"]
    assert {one.name for one in tmp_path.glob("table*")} >= {"table1.md", "table2.md"}
    table = again(toy, tmp_path, rows=["IAAN"], resume=True, given={"runs": 3})
    assert "begun with another plan" in table.rows[3].why_not
    table = again(toy, tmp_path, rows=["RandIAAN"], resume=True)
    assert table.rows[3].ours and table.rows[2].ours and not table.rows[1].ours


def test_an_analysis_reads_the_runs_of_another_table(tmp_path: Path) -> None:
    table = again(Toy({"IAAN": 30}), tmp_path, table=2, given={"protocol": "loso"})
    found = table.rows[1].ours
    report = metrics.report(talk(30, "iemocap4", "session1") + talk(30, "iemocap4", "session2"))
    contexts = report["analyses"]["contexts"]
    shares = [found[f"Case {at} data points"].mean for at in (1, 2, 3)]
    assert shares == pytest.approx([contexts[name]["share"] for name in ("both", "one", "none")])
    assert sum(shares) == pytest.approx(1)


def corpus(folder: Path, *, test: bool = True) -> str:
    """A table of six dialogues, two of them for testing where one wants them."""
    folder.mkdir()
    lines = ["dialogue,turn,utt_id,speaker,text,iemocap4,split"]
    for at in range(6):
        split = ("train", "train", "train", "validation", "test", "test")[at]
        label = "neu" if test or split != "test" else ""
        lines += [f"d{at},{turn},d{at}_{turn},p{at},yes,{label},{split}" for turn in range(3)]
    (folder / "turns.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"table:{folder}"


def test_the_test_part_is_opened_once(tmp_path: Path) -> None:
    opened: list[str] = []

    def evaluate(ref: str, *_: Any, split: str, out: Path) -> Iterator[str]:
        assert split == "test" and Path(ref).name == "checkpoint"
        opened.append(Path(ref).parent.name)
        yield "note: the test part was opened."
        predictions.write(out, talk(24, "iemocap4"))

    said: list[dict[str, Any]] = []
    given = {"data": corpus(tmp_path / "corpus"), "select_from": "validation"}
    more: dict[str, Any] = {"system": "ats_sagru", "rows": ["S5"], "given": given}
    more |= {"evaluate": evaluate, "tell": said.append}
    table = again(Toy(), tmp_path / "out", **more)
    assert opened == ["official-seed0", "official-seed1"] and table.whole
    here = "protocol official, selection on validation, reported: the test part."
    assert here in table.to_markdown()
    assert table.rows[4].ours["UA"].mean == pytest.approx(24 / 40)
    assert {"remark": "the test part was opened."} in said
    again(Toy(), tmp_path / "out", resume=True, **more)
    assert len(opened) == 2


def test_a_corpus_without_a_test_part_is_said_before_training(tmp_path: Path) -> None:
    toy = Toy()
    given = {"data": corpus(tmp_path / "corpus", test=False), "select_from": "validation"}
    table = again(toy, tmp_path / "out", system="ats_sagru", rows=["S5"], given=given)
    assert not toy.calls and "has no test part with labels to report" in table.rows[4].why_not
    given |= {"select_from": "train:1"}
    assert again(toy, tmp_path / "out", system="ats_sagru", rows=["S5"], given=given).whole


def test_rows_of_one_corpus(tmp_path: Path) -> None:
    toy, given = Toy(), {"protocol": "loso"}
    table = again(toy, tmp_path, system="dialogue_trm", table=2, given=given)
    assert toy.calls == ["U", "M"] and table.whole
    toy = Toy()
    given |= {"data": "meld:somewhere"}
    again(toy, tmp_path / "meld", system="dialogue_trm", table=2, given=given)
    assert toy.calls == ["U-meld", "M-meld"]
    for more, words in (
        ({"corpus": "emorynlp"}, "has no row on 'emorynlp'; name one of iemocap, meld, avec"),
        ({"rows": ["X"]}, "has no row 'X' on iemocap; name some of U, M"),
    ):
        with pytest.raises(UserError, match=words):
            again(toy, tmp_path / "odd", system="dialogue_trm", table=2, **more)  # type: ignore[arg-type]


# ---- the command


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = Toy(refuses=("IAAN",))
    monkeypatch.setattr(fitting, "fit", toy)
    monkeypatch.setattr(evaluating, "evaluate", None)
    call = ["reproduce", "iaan", "--table", "1", "--data", "table:x", "--out", str(tmp_path)]
    call += ["--runs", "2", "--set", "epochs=3", "width=8", "--reads", "audio=frames45"]
    assert main([*call, "--rows", "BiGRU+ATT"]) == 0
    assert main([*call, "--resume"]) == 1
    text = capsys.readouterr().out
    assert "# iaan, Table 1" in text and f"{tmp_path / 'table1'}.md" in text
    plan = Plan.of(runs.read(tmp_path / "rows" / "BiGRU+IAA" / "plan.toml"), "it")
    assert (plan.epochs, plan.runs, dict(plan.settings)) == (3, 2, {"width": 8})
    assert plan.reads["audio"] == ("frames45",) and plan.labels == "iemocap4"


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "--list"]) == 0
    text = capsys.readouterr().out
    for recipe in recipes.every():
        assert f"{recipe}: {recipe.title}" in text
    assert "  late-II: (5) Late Fusion-II, Weighted (Eqn. 3) (UA 60.2, WA 59.6, F1 59.6)" in text
    assert main(["reproduce", "iaan", "--list"]) == 0
    assert "late_fusion" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ([], "SYSTEM is missing"),
        (["iaan"], "--table is missing"),
        (["iaan", "--table", "1"], "--data is missing"),
        (["iaan", "--table", "3", "--data", "table:x"], "no recipe of a Table 3"),
        (["iaan", "--table", "1", "--data", "table:x", "--set", "epochs"], "--set has 'epochs'"),
    ],
)
def test_a_wrong_call(call: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *call]) == 2
    assert words in capsys.readouterr().err


def test_the_documented_calls_parse() -> None:
    blocks = DOCS.split("```sh\n")[1:]
    calls = [
        line
        for block in blocks
        for line in block.partition("```")[0].replace("\\\n", "").splitlines()
        if line.startswith("python -m trainer")
    ]
    assert len(calls) >= 4
    for line in calls:
        build().parse_args(shlex.split(line, comments=True)[3:])


def test_help_and_list_load_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from trainer.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('HEAVY', sorted({'torch', 'sklearn', 'accelerate', 'scipy'} & set(sys.modules)))\n"
    )
    for more in ("--help", "--list"):
        done = subprocess.run(
            [sys.executable, "-c", code, "reproduce", more],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd=ROOT,
        )
        assert "HEAVY []" in done.stdout
