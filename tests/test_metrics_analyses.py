"""The papers' analyses on conversations worked out by hand, and the command."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from predicted import drawn, spoken

from erc_demo import plugs
from erc_demo.emotions import IEMOCAP4
from erc_demo.errors import UserError
from trainer import metrics
from trainer.__main__ import main
from trainer.metrics.analyses import contexts, recognised, rectified, shift, short
from trainer.metrics.reports import PACKAGE
from trainer.predictions import Line, write


@pytest.mark.parametrize("name", plugs.names(PACKAGE))
def test_every_analysis_keeps_the_contract(name: str) -> None:
    module = plugs.load(PACKAGE, name)
    assert module.__doc__ and module.ABOUT.endswith(".")
    kinds = [hasattr(module, kind) for kind in ("analyse", "compare", "grid")]
    assert sum(kinds) == 1 and callable(module.sentences)


def counts(found: dict[str, dict[str, dict[str, float]]]) -> dict[str, tuple[float, float]]:
    return {name: (both["shift"]["n"], both["same"]["n"]) for name, both in found.items()}


def test_shift_by_hand() -> None:
    """A: N, B: N, A: S, (A: unlabelled), A: S, B: N.

    own: A3 shift, A5 same, B6 same. Adjacent: B2 same, A3 shift, B6 shift (A5 follows A3).
    partner: B2 same, A3 shift, A5 shift (B's last is N), B6 shift.
    """
    lines = spoken("A:NN B:NH A:SS A:.N A:SN B:NN")
    found = shift.analyse(lines)
    assert counts(found) == {"own": (1, 2), "adjacent": (2, 1), "partner": (3, 1)}
    assert found["own"]["shift"]["wa"] == 1 and found["own"]["same"]["wa"] == 0.5
    assert found["partner"]["shift"]["wa"] == pytest.approx(2 / 3)
    assert found["partner"]["shift"]["per_dialogue"] == 3
    two = shift.analyse(lines + spoken("A:NN", dialogue="e"))
    assert counts(two) == counts(found) and two["partner"]["shift"]["per_dialogue"] == 1.5


def test_shift_of_three_speakers() -> None:
    found = shift.analyse(spoken("A:NN B:SS C:NN A:NN"))
    assert counts(found) == {"own": (0, 1), "adjacent": (2, 1), "partner": (2, 1)}


def test_contexts_by_hand() -> None:
    """1 begins: none. 2: other's alike: one. 3: own and other's: both. 4 has no label.

    5: own (3) is alike, other's (4) has none: one. 6: own (4) has none, other's (5) alike: one.
    """
    lines = spoken("A:NN B:NS A:NN B:.N A:NN B:NN")
    found = contexts.analyse(lines)
    assert [found[name]["n"] for name in contexts.CASES] == [1, 3, 1]
    assert found["one"]["wa"] == pytest.approx(2 / 3) and found["one"]["share"] == 0.6
    assert found["none"]["classes"] == {"neutral": {"n": 1, "share": 1, "wa": 1}}


def test_contexts_take_the_last_turn_of_anyone_else() -> None:
    found = contexts.analyse(spoken("A:SS B:NN C:HH A:NN"))  # own S, other's C: H, not B: N
    assert [found[name]["n"] for name in contexts.CASES] == [0, 0, 4]
    found = contexts.analyse(spoken("B:SS C:HH A:HS A:HH"))  # A4: own H and C's H
    assert [found[name]["n"] for name in contexts.CASES] == [1, 1, 2]


def test_contexts_are_the_papers_on_iemocap(shared: Callable[[str], Path]) -> None:
    lines = []
    with shared("data/iemocap/turns.csv").open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            label = IEMOCAP4.parse(row["iemocap4"]) if row["iemocap4"] else None
            lines.append(
                Line(
                    dialogue=row["dialogue"],
                    utt_id=row["utt_id"],
                    turn=int(row["turn"]),
                    speaker=row["speaker"],
                    labels="iemocap4",
                    label=label,
                )
            )
    found = contexts.analyse(lines)
    shares = [round(100 * found[name]["share"]) for name in contexts.CASES]
    assert shares == [25, 47, 28]
    assert found["none"]["classes"]["neutral"]["share"] == pytest.approx(0.37, abs=0.02)


def test_short_by_hand() -> None:
    one, two, three, four, five = spoken("A:NN B:SN A:NN B:HH A:.N")
    lines = [
        replace(one, words=1, text="Yeah."),
        replace(two, words=1, text="yeah!"),
        replace(three, words=0, text=""),
        replace(four, words=2),
        replace(five, words=1, text="Yeah."),
    ]
    found = short.analyse(lines)
    assert (found["one_word"]["n"], found["yeah"]["n"]) == (3, 2)
    assert found["one_word"]["wa"] == pytest.approx(2 / 3) and found["yeah"]["wa"] == 0.5
    assert found["yeah"]["classes"]["sad"] == {"n": 1, "share": 0.5, "wa": 0}
    assert short.analyse(spoken("A:NN")) == {}


def test_rectified_by_hand() -> None:
    words = spoken("A:NS B:NS A:FN B:S. A:HH B:NN A:AA B:.N")
    both = spoken("A:NN B:NN A:FF B:SS A:HN B:NN A:AN B:.S")
    found = rectified.compare(words, both)
    assert (found["n"], found["both_right"], found["both_wrong"]) == (7, 1, 0)
    assert found["rectified"]["n"] == 4 and found["spoiled"]["n"] == 2
    assert found["rectified"]["classes"] == {
        "neutral": {"n": 2, "share": 0.5, "taken_for": {"sad": 2}},
        "frustrated": {"n": 1, "share": 0.25, "taken_for": {"neutral": 1}},
        "sad": {"n": 1, "share": 0.25, "taken_for": {"unanswered": 1}},
    }
    back = rectified.compare(both, words)
    assert back["spoiled"] == found["rectified"] and back["rectified"] == found["spoiled"]
    with pytest.raises(UserError, match="not of the same turns"):
        rectified.compare(words, both[1:])


def test_recognised_by_hand() -> None:
    pytest.importorskip("jiwer")
    given = spoken("A:NN B:SS", dialogue="a") + spoken("A:NN", dialogue="b")
    asr = spoken("A:NN B:SN", dialogue="a") + spoken("A:NS", dialogue="b")
    texts = {"a_0": ("Oh, well.", "oh well"), "a_1": ("I see it", "I sea"), "b_0": ("", "hm")}
    found = recognised.grid({"given/given": given, "given/asr": asr, "asr/asr": given}, texts)
    assert [found["cells"][name]["wa"] for name in ("given/given", "given/asr")] == [1, 1 / 3]
    assert list(found["cells"]) == ["given/given", "given/asr", "asr/asr"]
    assert list(found["drop"]) == ["given"]
    assert found["drop"]["given"]["wa"]["difference"] == pytest.approx(2 / 3)
    wer = found["wer"]
    assert (wer["words"], wer["substitutions"], wer["deletions"], wer["insertions"]) == (5, 1, 1, 1)
    assert wer["wer"] == pytest.approx(0.6) and wer["n"] == 3
    said = " ".join(recognised.sentences(found))
    assert "WER 60.0 % of 5 words" in said and "trained on asr, tested on asr" in said
    with pytest.raises(UserError, match="given/given, given/asr, asr/given, asr/asr"):
        recognised.grid({"asr": given})
    with pytest.raises(UserError, match="1 of 3 labelled turns.*b_0"):
        recognised.grid({"asr/asr": given}, {"a_0": ("", ""), "a_1": ("", "")})


def test_without_speakers_or_labels_there_is_nothing_to_analyse() -> None:
    nobody = [replace(one, speaker="") for one in drawn(2)]
    unlabelled = spoken("A:.N B:.S")
    assert shift.analyse(nobody) == contexts.analyse(nobody) == {}
    assert shift.analyse(unlabelled) == contexts.analyse(unlabelled) == {}
    assert rectified.compare(unlabelled, unlabelled) == {}


# ---- the command


def test_the_command_measures_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, file, out = drawn(4), tmp_path / "one.jsonl", tmp_path / "out" / "all.json"
    write(file, lines)
    assert main(["metrics", str(file), "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines() == metrics.sentences(metrics.report(lines))
    assert all(f"{name}: " in said for name in ("contexts", "shift", "short"))
    assert json.loads(out.read_text()) == metrics.report(lines)


def test_the_command_measures_some_dialogues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = drawn(4)
    some = [replace(one, dialogue=f"clip/{one.dialogue}") for one in lines[: len(lines) // 2]]
    write(tmp_path / "all.jsonl", [*some, *lines[len(some) :]])
    assert main(["metrics", str(tmp_path / "all.jsonl"), "--among", "clip/"]) == 0
    assert capsys.readouterr().out.splitlines() == metrics.sentences(metrics.report(some))


def test_the_command_compares_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        write(tmp_path / f"{name}.jsonl", drawn(4, seed=seed))
    out = tmp_path / "pair.json"
    call = ["metrics", str(tmp_path / "one.jsonl"), str(tmp_path / "two.jsonl")]
    assert main([*call, "--json", str(out)]) == 0
    said, found = capsys.readouterr().out, json.loads(out.read_text())
    test = found["tests"]["ua"]
    assert test["difference"] == pytest.approx(test["first"] - test["second"])
    assert f"p = {test['p']:.4f}" in said and "rectified" in said
    assert set(found["analyses"]) == {"rectified"}


def test_the_command_shows_recognised_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jiwer")
    lines = drawn(2, 3)
    write(tmp_path / "a.jsonl", lines)
    table = tmp_path / "turns.csv"
    rows = "".join(f"{one.utt_id},so be it,so bee it\n" for one in lines)
    table.write_text("utt_id,text,asr_text\n" + rows)
    cells = [f"given/{one}={tmp_path / 'a.jsonl'}" for one in ("given", "asr")]
    texts = ["--texts", str(table), "text", "asr_text"]
    assert main(["metrics", "--recognised", *cells, *texts]) == 0
    said = capsys.readouterr().out
    assert "WER 33.3 %" in said and "given minus asr at test, trained on given" in said
    assert main(["metrics", "--recognised", *cells, "--texts", str(table), "text", "heard"]) == 2
    assert "has no column heard; it has utt_id, text, asr_text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ([], "give one of them"),
        (["FILE", "--recognised", "given/asr=FILE"], "give one of them"),
        (["FILE", "--texts", "a", "b", "c"], "--texts belongs to --recognised"),
        (["--recognised", "given/asr"], "TRAIN/TEST=FILE was wanted"),
        (["--recognised", "one=FILE"], "one is no cell"),
        (["FILE"], "2 predictions and no label among them"),
        (["FILE", "--among", "clip/"], "no dialogue whose name begins with 'clip/'"),
        (["--recognised", "one=FILE", "--among", "clip/"], "leave it out with --recognised"),
        (["nowhere.jsonl"], "can't be opened"),
    ],
)
def test_the_command_refuses_politely(
    call: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "one.jsonl"
    write(file, spoken("A:.N B:.S"))
    assert main(["metrics", *(one.replace("FILE", str(file)) for one in call)]) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
