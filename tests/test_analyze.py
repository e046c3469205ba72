"""``analyze`` as its user calls it: turns, words, answers, maps and what-ifs as one JSON."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import conversation as made
import numpy as np
import pytest
import soundfile
import turns_of_numbers

from erc_demo import checkpoint, features, figures, plugs, systems
from erc_demo.__main__ import build, main
from erc_demo.dialogue import RATE
from erc_demo.findings import Analysis
from erc_demo.settings import Settings

SAID = (
    ("A", 0.2, 1.4, "I can't believe it"),
    ("B", 1.6, 2.4, "oh that's great"),
    ("A", 2.5, 3.9, "listen to me when I talk"),
    ("B", 4.0, 5.1, "no"),
)


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ERC_DEMO_OFFLINE", "1")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no checkpoint shipped."""
    from erc_demo.checkpoint import _resolve

    monkeypatch.setattr(_resolve, "EMBEDDED", tmp_path / "nothing")


@pytest.fixture
def call(tmp_path: Path) -> tuple[Path, Path]:
    """A recording of two people on two channels, and what they said."""
    sound = np.zeros((round(5.5 * RATE), 2), np.float32)
    for place, (speaker, start, end, _) in enumerate(SAID):
        voice = made.voice(end - start, 120 if speaker == "A" else 210, place + 1)
        first = round(start * RATE)
        sound[first : first + len(voice), "AB".index(speaker)] += voice
    soundfile.write(tmp_path / "call.wav", sound, RATE)
    turns = [
        {"speaker": speaker, "start": start, "end": end, "text": text}
        for speaker, start, end, text in SAID
    ]
    (tmp_path / "said.json").write_text(json.dumps(turns))
    return tmp_path / "call.wav", tmp_path / "said.json"


def analyze(call: tuple[Path, Path], out: Path, *more: str) -> int:
    recording, said = call
    return main(["analyze", str(recording), "--transcript", str(said), "--out", str(out), *more])


@pytest.mark.usefixtures("bare")
def test_all_systems_with_their_maps(
    call: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyze(call, tmp_path / "out", "--untrained") == 0
    told = capsys.readouterr().out
    text = (tmp_path / "out" / "call.json").read_text()
    analysis = Analysis.from_json(json.loads(text))
    assert analysis.dialogue.turns and any(turn.words for turn in analysis.dialogue.turns)
    assert [one.system for one in analysis.predictions] == systems.names()
    for one in analysis.predictions:
        assert not one.trained and one.made_by == "untrained" and one.answered.any()
        assert f"{one.system} (untrained)" in told and one.label(0) not in told
        assert all(any(each is not None for each in map.values) for map in one.maps), one.system
        measured = analysis.explanation(one.system)
        assert measured is not None and measured.effects and not measured.trained
    assert "untrained: random weights" in told
    assert "Terms of gemaps47: " in told  # openSMILE's
    data = json.loads(text)
    for one in data["predictions"]:
        assert one["trained"] is False
        assert all(turn.get("untrained") or turn.get("why_not") for turn in one["turns"])
    assert {map["name"] for one in data["predictions"] for map in one["maps"]} >= {
        *("fusion", "context", "branches", "gates", "parts"),
        *("frames", "own", "other", "alignment"),
    }
    kinds = {one.variant.kind for each in analysis.explanations for one in each.effects}
    assert kinds == {"without", "alone", "from", "drop", "mask", "blank"}
    assert max(len(line) for line in text.splitlines()) < 4000, "a whole map on one line"
    drawn = set()
    for name in systems.names():
        view = figures.View(analysis=analysis, system=name)
        drawn |= set(figures.possible(view))
    assert drawn == set(figures.names()) - {"calibration"}  # which needs labels that people gave


def test_every_system_that_ships_answers_what_it_was_taught(
    call: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyze(call, tmp_path / "out", "--sample", "0") == 0
    told = capsys.readouterr().out
    assert "untrained" not in told
    analysis = Analysis.from_json(json.loads((tmp_path / "out" / "call.json").read_text()))
    assert [one.system for one in analysis.predictions] == systems.names()
    for one in analysis.predictions:
        taught = checkpoint.load(one.system, Settings(offline=True)).system.design.labels
        assert one.trained and one.answered.all() and one.unsure_below is not None
        assert one.labels.name == ("iemocap6" if "iemocap6" in taught else taught[0])
        assert (f"{one.system} was not taught iemocap6" in told) == ("iemocap6" not in taught)


@pytest.mark.usefixtures("bare")
def test_without_a_trained_checkpoint_it_is_refused_in_a_sentence(
    call: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = systems.names()[0]
    assert analyze(call, tmp_path / "out", "--systems", name) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--untrained" in said and name in said
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_ones_own_answers(
    call: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(offline=True)
    reads = {"text": ("sentence",), "speaker": ("voice",)}
    plan = systems.design(
        "ats_sagru",
        widths=checkpoint.widths(reads, settings),
        reads=reads,
        labels=("iemocap4",),
    )
    mine = tmp_path / "mine"
    checkpoint.save(mine, turns_of_numbers.build(plan), checkpoint.versions(plan, settings), {})
    assert analyze(call, tmp_path / "full", "--systems", str(mine), "--labels", "iemocap4") == 0
    told = capsys.readouterr().out
    assert "ats_sagru (mine " in told and "untrained" not in told
    full = Analysis.from_json(json.loads((tmp_path / "full" / "call.json").read_text()))
    (one,) = full.predictions
    assert one.trained and one.hindsight and one.labels.name == "iemocap4"
    past = (str(mine), "--labels", "iemocap4", "--context", "past", "--sample", "0")
    assert analyze(call, tmp_path / "past", "--systems", *past) == 0
    then = Analysis.from_json(json.loads((tmp_path / "past" / "call.json").read_text()))
    (other,) = then.predictions
    assert not other.hindsight
    assert np.abs(other.probabilities[0] - one.probabilities[0]).max() > 1e-4
    np.testing.assert_allclose(other.probabilities[-1], one.probabilities[-1], atol=2e-6)
    kinds = {each.variant.kind for each in then.explanations[0].effects}
    assert kinds == {"without", "alone", "from"}
    capsys.readouterr()
    assert analyze(call, tmp_path / "six", "--systems", str(mine), "--labels", "iemocap6") == 0
    assert "mine was not taught iemocap6; it says iemocap4" in capsys.readouterr().out
    six = Analysis.from_json(json.loads((tmp_path / "six" / "call.json").read_text()))
    np.testing.assert_array_equal(six.predictions[0].probabilities, one.probabilities)


def test_a_checkpoint_that_says_dimensions_alone(
    call: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(offline=True)
    reads = {"text": ("sentence",), "speaker": ("voice",)}
    widths = checkpoint.widths(reads, settings)
    how = {"widths": widths, "reads": reads, "labels": (), "dimensions": ("valence", "arousal")}
    for seed, name in enumerate(("one", "two")):
        plan = systems.design("ats_sagru", **how)
        made_by = turns_of_numbers.build(plan, seed)
        checkpoint.save(tmp_path / name, made_by, checkpoint.versions(plan, settings), {})
    both = f"{tmp_path / 'one'},{tmp_path / 'two'}"
    assert analyze(call, tmp_path / "out", "--systems", both) == 0
    told = capsys.readouterr().out
    analysis = Analysis.from_json(json.loads((tmp_path / "out" / "call.json").read_text()))
    assert len(set(analysis.asked)) == 2 and all(one in told for one in analysis.asked)
    for called in analysis.asked:
        means = analysis.prediction(called).values.mean(axis=0)
        assert f"valence {means[0]:+.2f}, arousal {means[1]:+.2f}" in told and "None" not in told


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--systems", "ats_sagrus"], "neither a system (ats_sagru"),
        (["--systems", ","], "names nobody"),
        (["--labels", "feelings"], "no label set 'feelings'"),
        (["--context", "future"], "invalid choice"),
        (["--sample", "many"], "no number from 0 on"),
    ],
)
@pytest.mark.usefixtures("bare")
def test_a_wrong_call_is_one_sentence(
    call: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    says: str,
) -> None:
    try:
        code = analyze(call, tmp_path / "out", "--untrained", *more)
    except SystemExit as exc:  # argparse's own
        code = exc.code
    assert code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_systems_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems"]) == 0
    told = capsys.readouterr().out
    assert [line.split(":")[0] for line in told.splitlines()] == systems.names()
    assert main(["systems", "ats_sagru", "iaan"]) == 0
    told = capsys.readouterr().out
    for part in ("S1: inputs audio + text", "heads = 4", "gemaps47", "RandIAAN", "one row a frame"):
        assert part in told
    assert main(["systems", "nobody"]) == 2
    assert "no 'nobody' in systems; choose one of ats_sagru" in capsys.readouterr().err


def test_the_page_on_systems_is_true(
    call: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands parse, its code runs, its table is the folder's listing."""
    page = (Path(__file__).parents[1] / "docs" / "systems.md").read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        for line in block.splitlines():
            _, _, program, *rest = shlex.split(line)
            assert program in ("erc_demo", "pytest")
            if program == "erc_demo":
                build().parse_args(rest)
    dialogue, recording = made.conversation()
    wanted = [
        text for texts in systems.inputs("ats_sagru", embedded=True).values() for text in texts
    ]
    found = features.extract(wanted, dialogue, recording, Settings(offline=True))
    asking, drawing = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {"dialogue": dialogue, "found": found}
    exec(asking, names)
    prediction = names["prediction"]
    assert prediction.answered.any() and not prediction.hindsight
    analyze(call, tmp_path / "results", "--untrained", "--systems", "ats_sagru", "--sample", "0")
    monkeypatch.chdir(tmp_path)
    exec(drawing, names)
    assert names["picture"].figure.data
    assert all(f"`{name}`" in page for name in figures.names())
    table = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.MULTILINE)
    assert [name for name, _ in table] == sorted(systems.names(), key=_order(page))
    for name, shows in table:
        widths = dict.fromkeys(plugs.load(systems.PACKAGE, name).NEEDS, 8)
        plan = systems.design(name, widths=widths, embedded=True)
        maps = {one.name for one in systems.build(plan).shows}
        assert maps == set(re.findall(r"`(\w+)`", shows)), name


def _order(page: str) -> Callable[[str], int]:
    return lambda name: page.index(f"| `{name}` |")
