"""Comparing runs: numbers against scikit-learn, who may be tested with whom, and the page."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_runs import lines, make
from sklearn.metrics import f1_score, recall_score

from erc_demo.errors import UserError
from trainer import predictions
from trainer.__main__ import main
from trainer.compare import Group, compare, groups, read
from trainer.predictions import Line
from trainer.report import markdown, page
from trainer.report.figures import drawings
from trainer.report.single import curves
from trainer.report.tables import overview

DRAWS = 400


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Group]]:
    """Good, twin (as good, other seeds), bad, and one of other labels."""
    root = tmp_path_factory.mktemp("runs")
    places = [
        make(
            root / "good", right=0.8, published=0.9, remarks=["odd rows in /home/me/corpora/made"]
        ),
        make(root / "twin", right=0.801, stages=("first", "second")),
        make(root / "bad", right=0.3, seeds=(0, 1)),
        make(root / "elsewhere", right=0.6, corpus=7),
        make(root / "four", right=0.6, labels="iemocap4"),
        make(root / "silent", reports=False),
    ]
    return places, groups(read(places), draws=DRAWS)


def test_figures_are_those_of_scikit_learn(found: tuple[list[Path], list[Group]]) -> None:
    good = found[1][0].runs[0]
    assert good.honest is not None and good.published is not None
    for said, share in ((good.honest, 0.8), (good.published, 0.9)):
        each: dict[str, list[float]] = {"weighted_f1": [], "ua": []}
        for seed in range(3):
            known = [
                one
                for fold in ("session1", "session2")
                for one in lines(share, labels="iemocap6", seed=seed, fold=fold)
                if one.label is not None
            ]
            pair = [one.label for one in known], [one.predicted for one in known]
            each["weighted_f1"].append(f1_score(*pair, average="weighted"))
            each["ua"].append(recall_score(*pair, average="macro"))
        for measure, values in each.items():
            one = said.figures[measure]
            assert one.each == pytest.approx(values)
            assert one.mean == pytest.approx(np.mean(values))
            assert one.sd == pytest.approx(np.std(values, ddof=1))
            assert one.low < one.mean < one.high


def test_only_what_is_alike_is_tested(found: tuple[list[Path], list[Group]]) -> None:
    six, four = found[1]
    assert [one.name for one in six.runs] == ["good", "twin", "bad", "elsewhere", "silent"]
    assert [one.name for one in four.runs] == ["four"] and not four.tests and not four.apart
    pairs = {(one.first, one.second) for one in six.tests}
    assert pairs == {("good", "twin"), ("good", "bad"), ("twin", "bad")}
    assert len(six.tests) == 6, "weighted F1 and UA of each pair"
    assert {one.seeds for one in six.tests if "bad" in (one.first, one.second)} == {2}
    said = " ".join(six.apart)
    assert "good, twin, bad; elsewhere" in said and "silent reports nothing" in said


def test_p_values_are_corrected_together(found: tuple[list[Path], list[Group]]) -> None:
    tests = found[1][0].tests
    order = sorted(range(len(tests)), key=lambda at: tests[at].p)
    highest = 0.0
    for rank, at in enumerate(order):  # Holm, by hand
        highest = max(highest, min(1.0, tests[at].p * (len(tests) - rank)))
        assert tests[at].corrected == pytest.approx(highest)
    for one in tests:
        differ = "bad" in (one.first, one.second)
        assert (one.corrected < 0.05) == differ, one
        assert (one.difference > 0.2) == differ


def test_the_honest_figure_stands_above_the_published(
    found: tuple[list[Path], list[Group]],
) -> None:
    table = overview(found[1][0])
    names = [row[0] for row in table.rows]
    assert names[:2] == ["good", "good, as published"]
    at = table.head.index("weighted F1")
    assert float(table.rows[0][at][:5]) < float(table.rows[1][at][:5])
    assert any("selected on the part that is reported" in one for one in table.notes)
    assert names[-1] == "silent" and set(table.rows[-1][2 : table.head.index("seeds")]) == {"–"}
    facts = dict(zip(table.head, table.rows[0], strict=True))
    assert facts["reads"] == "text: sentence; audio: logmel" and facts["turns"] == "140"
    assert facts["data"] == "table:made (01234567)" and facts["parameters"] == "123,456"


def test_every_figure_says_how_it_is_read_and_draws(
    found: tuple[list[Path], list[Group]],
) -> None:
    six = found[1][0]
    drawn = list(drawings(six))
    assert {one.title for one in drawn} == {
        *("Measures", "Differences", "F1 of each label", "Confusion", "Reliability", "Learning"),
    }
    for one in drawn:
        assert re.fullmatch(r"[A-Z].*[a-z]\.", one.read) and one.read.count(". ") == 0
        for dark in (False, True):
            assert one.draw(dark).data
    confusion = next(one for one in drawn if one.title == "Confusion").draw(False)
    assert np.asarray(confusion.data[0].z).sum(axis=1) == pytest.approx(np.ones(6), abs=1e-3)
    signs = {label: six.runs[0].labels for label in confusion.layout.yaxis.ticktext}
    assert all(re.search(r">\S [a-z]+<", text) for text in signs), "sign and word, not hue alone"
    bars = next(one for one in drawn if one.title == "F1 of each label").draw(False)
    patterns = [one.marker.pattern.shape for one in bars.data]
    assert len(set(patterns)) == len(patterns) == 4


def test_curves_part_the_stages_and_mark_what_was_chosen(
    found: tuple[list[Path], list[Group]],
) -> None:
    losses, selected, chosen = curves(found[1][0].runs[1].parts[0])
    assert [x for x, _ in losses] == [1, 2, 3, 4, 5, 6, None, 7, 8, 9, 10, 11, 12]
    assert chosen == [(3, 0.5), (9, 0.5)] and max(y for _, y in selected if y) == 0.5


class _Reader(HTMLParser):
    """Tags, and attributes that could fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [name for name, _ in attrs if name in ("src", "href", "action", "data")]


def test_the_page_needs_nothing_but_itself(found: tuple[list[Path], list[Group]]) -> None:
    text = page(found[1])
    reader = _Reader()
    reader.feed(text)
    assert reader.fetched == [] and "default-src 'none'" in text
    assert text.count("plotly.js v") == 1
    data = json.loads(text.split('id="figures">')[1].split("</script>")[0])
    assert len(data) == text.count('class="plot"') > 10
    assert all(len(pair) == 2 for pair in data)
    light, dark = (one["layout"]["template"]["layout"]["paper_bgcolor"] for one in data[0])
    assert light != dark
    assert "/home/me" not in text and "odd rows in made" in text


def test_names_are_escaped(tmp_path: Path) -> None:
    name = "<img src=x>|_a_*b*"
    made = groups(read([make(tmp_path / name, published=0.7), make(tmp_path / "b")]), draws=DRAWS)
    text = page(made)
    assert "<img" not in text.replace(text[text.index("plotly.js v") :], "")
    assert "&lt;img src=x&gt;|_a_*b*" in text
    written = markdown(made)
    assert r"\<img src=x\>\|\_a\_\*b\*" in written
    rows = [one for one in written.splitlines() if one.startswith("| ") and "img" in one]
    head = next(one for one in written.splitlines() if one.startswith("| run"))
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == len(re.findall(r"(?<!\\)\|", head))


def test_same_names_are_told_apart(tmp_path: Path) -> None:
    places = [make(tmp_path / "a" / "run"), make(tmp_path / "b" / "run")]
    assert [one.name for one in read(places)] == ["a/run", "b/run"]
    with pytest.raises(UserError, match="named twice"):
        read([places[0], places[0]])


def test_a_file_of_predictions_is_a_run(tmp_path: Path) -> None:
    run = make(tmp_path / "run", seeds=(4,), folds=("one",))
    file = tmp_path / "said.jsonl"
    predictions.write(file, lines(0.9, labels="iemocap6", seed=1, fold="one"))
    (group,) = groups(read([run, file]), draws=DRAWS)
    assert {(one.first, one.second) for one in group.tests} == {("run", "said.jsonl")}
    assert overview(group).rows[1][1] == "predictions in a file"


def test_dimensions_are_compared_by_concordance(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    rated, files = dice.uniform(-1, 1, 160), []
    for name, noise in (("near", 0.2), ("far", 0.9)):
        said = np.clip(rated + noise * dice.normal(size=160), -1, 1)
        files.append(tmp_path / f"{name}.jsonl")
        predictions.write(
            files[-1],
            [
                Line(
                    dialogue=f"d{at // 8}",
                    utt_id=f"u{at}",
                    turn=at % 8,
                    speaker="A",
                    values={"valence": float(said[at])},
                    wanted={"valence": float(rated[at])},
                )
                for at in range(160)
            ],
        )
        means, spread = (said.mean(), rated.mean()), (said.var(), rated.var())
        covered = ((said - means[0]) * (rated - means[1])).mean()
        wanted = 2 * covered / (sum(spread) + (means[0] - means[1]) ** 2)
        (one,) = read(files[-1:])
        assert one.honest is not None
        assert one.honest.figures["ccc"].mean == pytest.approx(wanted)
    (group,) = groups(read(files), draws=DRAWS)
    assert [(one.measure, one.corrected < 0.05) for one in group.tests] == [("ccc", True)]
    table = overview(group)
    assert table.rows[0][table.head.index("turns")] == "160" and "valence" in markdown([group])
    assert {one.title for one in drawings(group)} == {"Measures", "Differences"}
    assert page([group])


def test_what_is_no_finished_run_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No run was named"):
        read([])
    bare = tmp_path / "bare"
    bare.mkdir()
    short = make(tmp_path / "short")
    (short / "parts/session2-seed1/part.json").unlink()
    (short / "parts/session1-seed0/predictions.jsonl").unlink()
    begun = make(tmp_path / "begun")
    (begun / "run.json").unlink()
    shutil.rmtree(begun / "parts/session2-seed2")
    (begun / "parts/session2-seed1/part.json").unlink()
    with pytest.raises(UserError) as caught:
        read([bare, short, begun, tmp_path / "absent"])
    said = str(caught.value)
    assert f"{bare} is no run" in said and f"{tmp_path / 'absent'} does not exist" in said
    assert "session2-seed1, session1-seed0/predictions.jsonl missing" in said
    assert "run.json is missing" in said and "begun session2-seed1" in said
    assert f"fit {short / 'plan.toml'} --out {short} --resume" in said and "\n" not in said


def test_nothing_labelled_is_said(tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    said = [one for one in lines(0.9, labels="iemocap6", seed=1) if one.label is None]
    predictions.write(file, said)
    with pytest.raises(UserError, match="Nobody labelled a turn"):
        read([file])


def test_the_command_writes_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path / "run", seeds=(0,), folds=("one",))
    assert main(["compare", str(run), "--out", str(tmp_path / "out")]) == 0
    assert [one.name for one in sorted((tmp_path / "out").iterdir())] == [
        "report.html",
        "report.md",
    ]
    assert "report.html" in capsys.readouterr().out
    assert main(["compare", str(tmp_path), "--out", str(tmp_path / "out")]) == 2


def test_the_same_runs_make_the_same_report(tmp_path: Path) -> None:
    runs = [make(tmp_path / "a"), make(tmp_path / "b", right=0.7)]
    texts = [
        [file.read_text() for file in compare(runs, tmp_path / name, draws=DRAWS)]
        for name in ("one", "two")
    ]
    assert texts[0] == texts[1]
