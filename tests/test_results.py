"""Recorded runs, the table they make, and the papers' claims judged by them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import made_runs
import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from trainer import metrics, predictions
from trainer.__main__ import main
from trainer.predictions import Line
from trainer.results import cells, claims, counts, intake, marks, people, record, table
from trainer.results.counts import Counts
from trainer.results.record import Record

LABELS = label_set("iemocap4").labels


def line(dialogue: str, turn: int, label: str | None, said: str | None, speaker: str = "F") -> Line:
    return Line(
        dialogue=dialogue,
        utt_id=f"{dialogue}_{turn}",
        turn=turn,
        speaker=speaker,
        labels="iemocap4",
        label=label,
        predicted=said,
    )


def dialogues(number: int, turns: int, seed: int = 0, right: float = 0.6) -> list[Line]:
    """Made ones whose labels are those of ``seed`` 0 whatever the system's seed."""
    truth, dice = random.Random("truth"), random.Random(seed)
    return [
        line(
            f"d{at}",
            turn,
            label := truth.choice(LABELS),
            label if dice.random() < right else dice.choice(LABELS),
            "FM"[turn % 2],
        )
        for at in range(number)
        for turn in range(turns)
    ]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made_runs.make(tmp_path / "runs" / "one")


# ---- counts


def test_counts_are_those_of_the_lines_whatever_the_bundles() -> None:
    seeds = [dialogues(30, 9, seed) for seed in (1, 2)]
    kept = Counts.of(seeds)
    for lines, found, mine in zip(seeds, kept.counts, kept.lines(), strict=True):
        wanted = np.zeros((4, 5), int)
        for one in lines:
            wanted[LABELS.index(str(one.label)), LABELS.index(str(one.predicted))] += 1
        assert (found.sum(0) == wanted).all()
        truth = [one.label for one in lines], [one.predicted for one in lines]
        again = metrics.report(mine)["measures"]
        assert again["ua"] == pytest.approx(recall_score(*truth, average="macro"))
        assert again["weighted_f1"] == pytest.approx(f1_score(*truth, average="weighted"))


def test_paired_test_of_records_is_the_paired_test_of_the_runs() -> None:
    one = [dialogues(60, 12, seed, 0.7) for seed in (1, 2)]
    other = [dialogues(60, 12, seed, 0.6) for seed in (3, 4)]
    kept = [Counts.of(these) for these in (one, other)]
    assert kept[0].counts.shape[1] == 60, "no dialogue of twelve labelled turns shares its bundle"
    for measure in ("ua", "weighted_f1", "wa", "macro_f1"):
        direct = metrics.paired(one, other, measure, draws=4000)
        found = metrics.paired(kept[0].lines(), kept[1].lines(), measure, draws=4000)
        assert found.difference == pytest.approx(direct.difference, abs=1e-12)
        assert (found.low, found.high) == pytest.approx((direct.low, direct.high), abs=0.006)
        assert found.p == pytest.approx(direct.p, abs=0.02)


def test_text_of_counts_comes_back() -> None:
    kept = Counts.of([dialogues(12, 9, seed) for seed in (1, 2, 3)])
    again = Counts.from_text(kept.labels, kept.turns, kept.to_text())
    assert (again.counts == kept.counts).all()


def test_unanswered_turns_stay_wrong() -> None:
    lines = [replace(one, predicted=None) for one in dialogues(12, 9)]
    kept = Counts.of([lines])
    assert kept.counts[0, ..., :-1].sum() == 0
    assert kept.counts[0, ..., -1].sum() == 12 * 9


# ---- whose label was what


def shuffled(seeds: Sequence[Sequence[Line]], dice: random.Random) -> list[list[Line]]:
    """Every seed's label and answer moved to another turn of the same dialogue, alike in all."""
    places: dict[str, list[int]] = {}
    for at, one in enumerate(seeds[0]):
        places.setdefault(one.dialogue, []).append(at)
    to = {}
    for these in places.values():
        moved = these.copy()
        dice.shuffle(moved)
        to |= dict(zip(these, moved, strict=True))
    return [
        [
            replace(one, label=lines[to[at]].label, predicted=lines[to[at]].predicted)
            for at, one in enumerate(lines)
        ]
        for lines in seeds
    ]


def test_no_label_of_a_turn_can_be_read_off() -> None:
    """Other labels of the same turns make the same counts: who reads them can't tell which."""
    seeds = [dialogues(24, 12, seed) for seed in (1, 2)]
    kept = Counts.of(seeds)
    for number in range(5):
        other = shuffled(seeds, random.Random(number))
        assert [one.label for one in other[0]] != [one.label for one in seeds[0]]
        again = Counts.of(other)
        mine, theirs = (sorted(one.counts.swapaxes(0, 1).tolist()) for one in (kept, again))
        assert mine == theirs, "the same bundles"
        assert again.turns != kept.turns


def test_the_order_of_bundles_is_told_by_nobody_who_lacks_the_labels() -> None:
    """The same dialogues with one label changed stand in an order of their own."""
    lines = dialogues(40, 12)
    support = Counts.of([lines]).counts[0].sum(2).tolist()
    told = 0
    for at in range(20):
        label = LABELS[(LABELS.index(str(lines[at].label)) + 1) % 4]
        other = [*lines[:at], replace(lines[at], label=label), *lines[at + 1 :]]
        again = Counts.of([other]).counts[0].sum(2).tolist()
        told += sum(one == two for one, two in zip(support, again, strict=True))
    assert told < 20 * 40 * 0.2, "about one of forty stays in place by chance"


def test_bundles_hold_eight_labelled_turns_of_two_labels() -> None:
    short = [line(f"s{at}", 0, LABELS[at % 4], "happy", "") for at in range(50)]
    alike = [line(f"a{at}", turn, "sad", "sad", "") for at in range(5) for turn in range(12)]
    kept = Counts.of([short + alike])
    support = kept.counts[0].sum(2)
    assert support.sum() == 110
    assert (support.sum(1) >= counts.LEAST).all()
    assert ((support > 0).sum(1) > 1).all()


def test_large_corpora_have_no_more_bundles_than_a_file_can_hold() -> None:
    kept = Counts.of([dialogues(900, 10)])
    assert 150 < kept.counts.shape[1] <= counts.MOST


def test_clips_of_a_person_are_one_bundle() -> None:
    clips = [line(f"c{at}", 0, LABELS[at % 4], "happy", f"actor {at % 5:02d}") for at in range(200)]
    kept = Counts.of([clips])
    assert kept.counts.shape[1] == 5
    assert (kept.counts[0].sum((1, 2)) == 40).all()


def test_too_few_turns_to_hide_among_are_refused() -> None:
    with pytest.raises(UserError, match="39 labelled turns; 40 or more"):
        Counts.of([dialogues(13, 3)])


def test_a_record_holds_no_name_of_a_turn_and_no_path(run: Path) -> None:
    plan = run / "plan.toml"
    plan.write_text(plan.read_text() + 'data = "table:/home/me/corpora/made"\n')
    text = intake.of_runs([run], "one").text()
    for secret in ("c0session", "d0t0", "/home", "me/corpora"):
        assert secret not in text
    assert '"table:made"' in text


def test_a_group_of_few_turns_is_among_others() -> None:
    lines = dialogues(10, 10)
    lines = [replace(one, speaker=f"P{at // 30}") for at, one in enumerate(lines)]
    found = people.groups([[lines]], [])["speaker"]
    assert set(found) == {"P0", "P1", "P2"}
    more = [line("x", at, "sad", "sad", f"Guest {at}") for at in range(25)]
    found = people.groups([[lines + more]], [])["speaker"]
    assert found["others"]["n"] == 35 and not any("Guest" in name for name in found)


# ---- a record


def test_a_record_says_what_the_run_said(run: Path) -> None:
    kept = intake.of_runs([run], "one")
    seeds = [
        [
            one
            for fold in ("session1", "session2")
            for one in predictions.read(run / "parts" / f"{fold}-seed{seed}" / "predictions.jsonl")
        ]
        for seed in (0, 1, 2)
    ]
    known = [[one for one in lines if one.label] for lines in seeds]
    each = [
        f1_score([o.label for o in lines], [o.predicted for o in lines], average="weighted")
        for lines in known
    ]
    figure = kept.figures["weighted_f1"]
    assert figure.each == pytest.approx(each)
    assert (figure.mean, figure.sd) == pytest.approx((np.mean(each), np.std(each, ddof=1)))
    assert figure.low < figure.mean < figure.high
    assert kept.counts.n == len(known[0]) == 140
    assert kept.folds["session1"]["report"] == 10 and kept.seeds == (0, 1, 2)
    assert kept.reads == {"text": ("sentence",), "audio": ("logmel",)}
    assert kept.epochs == {"most": 60, "longest": 6, "capped": 0, "trainings": 6}
    by_fold = kept.by["fold"]["session2"]["wa"]
    theirs = [one for one in known[1] if one.dialogue.startswith("c0session2")]
    assert by_fold[1] == pytest.approx(np.mean([one.label == one.predicted for one in theirs]))


def test_a_record_comes_back_and_is_written_once(run: Path, tmp_path: Path) -> None:
    kept = intake.of_runs([run], "one")
    file = kept.write(tmp_path)
    again = record.read(file)
    assert again.to_json() == kept.to_json() and file.stat().st_size < record.LARGEST
    with pytest.raises(UserError, match="recorded already"):
        kept.write(tmp_path)
    kept.write(tmp_path, again=True)
    assert record.every(tmp_path).keys() == {"one"}


def test_seeds_of_several_runs_add_up(tmp_path: Path, run: Path) -> None:
    parts = [made_runs.make(tmp_path / f"seed{seed}", seeds=[seed]) for seed in (2, 0, 1)]
    whole, added = intake.of_runs([run], "x").to_json(), intake.of_runs(parts, "x").to_json()
    for one in (whole, added):
        del one["epochs"]
    assert whole == added
    with pytest.raises(UserError, match="same seeds"):
        intake.of_runs([run, parts[0]], "x")


def test_runs_of_other_plans_make_no_record(tmp_path: Path) -> None:
    one = made_runs.make(tmp_path / "one", seeds=[0])
    other = made_runs.make(tmp_path / "other", seeds=[1])
    plan = other / "plan.toml"
    plan.write_text(plan.read_text() + "epochs = 3\n")
    with pytest.raises(UserError, match="more than their seeds: in their plan"):
        intake.of_runs([one, other], "x")


def test_predictions_are_recorded_with_facts(tmp_path: Path) -> None:
    files = []
    for seed in (0, 1):
        files.append(tmp_path / f"{seed}.jsonl")
        predictions.write(files[-1], dialogues(12, 9, seed))
    facts = tmp_path / "facts.toml"
    facts.write_text(
        'system = "iaan"\ndata = "ravdess:/data/ravdess"\nprotocol = "speakers:5"\n'
        '[reads]\naudio = ["frames45"]\n'
    )
    kept = intake.of_predictions(files, facts, "iaan-ravdess")
    assert (kept.data, kept.labels, kept.seeds) == ("ravdess:ravdess", "iemocap4", (0, 1))
    assert kept.by["gender"]["female"]["n"] == 60 and "ece" not in kept.figures
    assert Record.from_json(kept.to_json()).to_json() == kept.to_json()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('system = "iaan"', "lacks data, protocol"),
        ('system = 3\ndata = "a:b"\nprotocol = "loso"', "system 3 .a str was wanted"),
        ('system = "a"\ndata = "a:b"\nprotocol = "loso"\nmood = 1', "has 'mood'"),
        ('system = "a"\ndata = "a:b"\nprotocol = "loso"\nseeds = [1, 2]', "names 2 seeds"),
    ],
)
def test_facts_that_do_not_fit_are_refused(tmp_path: Path, text: str, why: str) -> None:
    facts, file = tmp_path / "facts.toml", tmp_path / "one.jsonl"
    facts.write_text(text)
    predictions.write(file, dialogues(12, 9))
    with pytest.raises(UserError, match=why):
        intake.of_predictions([file], facts, "x")


def resealed(data: dict[str, object]) -> str:
    data.pop("seal", None)
    return json.dumps(data | {"seal": record._seal(data)})


def test_what_was_changed_by_hand_is_refused(run: Path, tmp_path: Path) -> None:
    file = intake.of_runs([run], "one").write(tmp_path)
    whole = file.read_text()

    def refused(text: str, why: str) -> None:
        file.write_text(text)
        with pytest.raises(UserError, match=why) as found:
            record.read(file)
        assert "\n" not in str(found.value) and str(found.value).count("one.json") == 1

    refused(whole.replace('"ua": {"mean": 0.', '"ua": {"mean": 0.9', 1), "not as it was recorded")
    refused(whole[: len(whole) // 2], "cut off or changed")
    data = json.loads(whole)
    data["figures"]["ua"]["each"][1] += 0.01
    refused(resealed(data), "another ua than its counts")
    data = json.loads(whole)
    data["confusion"][0][0] += 1
    refused(resealed(data), "not the sum of its counts")
    data = json.loads(whole)
    data["counts"]["bundles"][0] = "1,2,3"
    refused(resealed(data), "counts can't be read")
    data = json.loads(whole)
    data["counts"]["bundles"].pop()
    refused(resealed(data), "not of its 3 seeds")
    refused(resealed(json.loads(whole) | {"mood": 1}), "does not hold what a record holds")
    refused(resealed(json.loads(whole) | {"version": 9}), "version 9")
    refused(resealed(json.loads(whole) | {"name": "two"}), "says that it is two")
    file.write_text(whole)
    record.read(file)


# ---- the table


def kept_as(name: str, lines: Sequence[Sequence[Line]], **facts: object) -> Record:
    """A record of a cell, of made lines."""
    cell = cells.find(name)
    kind, _, place = cell.column.data.partition(":")
    told = {
        "system": cell.row.system,
        "ablation": str(cell.row.plan.get("ablation", "")),
        "data": f"{kind}:{Path(place).name}",
        "protocol": str(cell.column.plan.get("protocol", "official")),
        "learned": cell.words(cell.learned),
        "heard": cell.words(cell.heard),
        **facts,
    }
    made = intake.measured(name, [[one] for one in lines], [])
    return Record(**made, **told, name=name, seeds=tuple(range(len(lines))))


def rows(text: str) -> list[list[str]]:
    found = [one for one in text.splitlines() if one.startswith("|")]
    return [[cell.strip() for cell in one.strip("|").split("|")] for one in found]


def test_the_table_is_what_the_records_say() -> None:
    name = "ats_sagru-iemocap4"
    kept = kept_as(name, [dialogues(30, 9, seed) for seed in (1, 2, 3)])
    one = kept_as("ats_sagru-words-iemocap4", [dialogues(30, 9, 4)])
    head, _, *body = rows(table.markdown({name: kept, one.name: one, "elsewhere": one}))
    at = head.index("IEMOCAP-4 UA")
    truth = [[(o.label, o.predicted) for o in dialogues(30, 9, seed)] for seed in (1, 2, 3, 4)]
    each = [recall_score(*zip(*these, strict=True), average="macro") for these in truth]
    shown = {tuple(row[:3]): row[at] for row in body}
    assert shown["`ats_sagru`", "words, sound, speaker (S5)", "given"] == (
        f"{np.mean(each[:3]):.3f} ± {np.std(each[:3], ddof=1):.3f}"
    )
    assert shown["`ats_sagru`", "words", "given"] == f"{each[3]:.3f} (1 seed)"
    others = [cell for row in body for place, cell in enumerate(row) if place > 2 and place != at]
    assert all(cell.startswith("–") for cell in others)


def test_an_empty_cell_says_why() -> None:
    text = table.markdown({})
    head, _, *body = rows(text)
    notes = dict(
        one.split(": ", 1) for one in text.splitlines()[-1].removeprefix("– ")[:-1].split("; ")
    )

    def why(system: str, reads: str, words: str, column: str) -> str:
        row = next(one for one in body if one[:3] == [f"`{system}`", reads, words])
        return notes[row[head.index(column)].removeprefix("– ")]

    assert "no frames" in why("iaan", "sound", "", "IEMOCAP-6 weighted F1")
    assert why("iaan", "sound", "", "RAVDESS-4 UA") == "not run"
    assert "words say nothing" in why("dialogue_trm", "words (-U)", "given", "RAVDESS-4 UA")
    assert "recognised" in why("dialogue_trm", "words (-U)", "recognised", "MELD weighted F1")
    assert "not at hand" in why("ats_sagru", "sound, speaker", "", "MELD weighted F1")


def test_a_record_of_something_else_under_a_cells_name_is_refused() -> None:
    lines = [dialogues(12, 9)]
    wrong = kept_as("ats_sagru-words-iemocap4", lines, system="dialogue_trm")
    with pytest.raises(UserError, match="'dialogue_trm' as system, where its name stands for"):
        table.markdown({wrong.name: wrong})
    wrong = kept_as("ats_sagru-words-iemocap4", lines, heard="asr_text")
    with pytest.raises(UserError, match="'asr_text' as heard"):
        table.markdown({wrong.name: wrong})
    wrong = kept_as("ats_sagru-words-iemocap4", lines, reads={"audio": ("is13",)})
    with pytest.raises(UserError, match="'audio' as reads, where its name stands for 'text'"):
        table.markdown({wrong.name: wrong})
    told = {"plan": "a plan", "select_from": "validation"}
    right = kept_as("ats_sagru-words-iemocap4", lines, **told)
    assert "1 seed" in table.markdown({right.name: right})
    wrong = kept_as("ats_sagru-words-iemocap4", lines, **told | {"protocol": "official"})
    with pytest.raises(UserError, match="'official' as protocol"):
        table.markdown({wrong.name: wrong})


def test_parted_by_people_and_by_words() -> None:
    name = "ats_sagru-words-iemocap4"
    pairs = [(a, b) for a in cells.KINDS for b in cells.KINDS]
    names = [name if pair == ("given", "given") else f"{name}-{'-'.join(pair)}" for pair in pairs]
    found = {
        one: kept_as(one, [dialogues(30, 9, at)], wer={"wer": 0.25} if "ised" in one else {})
        for at, one in enumerate(names)
        if at != 2
    }
    text = table.parted(found, "gender")
    assert rows(text)[0] == ["run", "female (150)", "male (120)"]
    told = [one for one in dialogues(30, 9, 0) if one.speaker == "F"]
    ua = recall_score([o.label for o in told], [o.predicted for o in told], average="macro")
    assert rows(text)[2] == [name, f"{ua:.3f} (1 seed)", rows(text)[2][2]]
    (row,) = rows(table.words(found))[2:]
    assert row[:3] == ["`ats_sagru`", "words", "iemocap4, UA"]
    assert row[5] == "–" and row[7] == "25.0 %"
    with pytest.raises(UserError, match="No record tells of speaker"):
        table.parted(found, "speaker")


# ---- cells


def test_every_cell_is_a_plan_or_says_why_not() -> None:
    for name, one in cells.every().items():
        if one.lacks:
            with pytest.raises(UserError, match="can't be run here"):
                one.plan(Path("corpora"))
            continue
        plan = one.plan(Path("corpora"))
        assert plan.data.startswith(f"{plan.data.partition(':')[0]}:corpora/")
        assert plan.system == one.row.system and cells.find(name) == one
        assert "DATA" not in plan.to_toml()


def test_a_cell_of_other_words_shares_the_training() -> None:
    plain, cross = (cells.find(f"late_fusion-iemocap6{end}") for end in ("", "-given-recognised"))
    assert plain.training == cross.training
    assert plain.plan(Path("c")) == cross.plan(Path("c"))
    own = cells.find("late_fusion-iemocap6-recognised-recognised")
    assert own.training != plain.training
    assert own.plan(Path("c")).text_column == "asr_text"


def test_cells_are_found_by_name_and_pattern() -> None:
    assert [one.name for one in cells.matching(["iaan-*"])] == ["iaan-ravdess"]
    with pytest.raises(UserError, match="No table here has a cell 'ats'"):
        cells.matching(["ats"])


# ---- claims

S5, S1 = "ats_sagru-iemocap4", "ats_sagru-S1-iemocap4"


def claim(**more: object) -> claims.Claim:
    told = {"paper": "ats_sagru", "says": "more is better", "better": "S5", "worse": "S1"}
    told |= {"column": "UA", "runs": (S5, S1)}
    return claims.Claim(**told | more)  # type: ignore[arg-type]


def judged(better: float, worse: float, seeds: Sequence[int] = (1, 2, 3)) -> claims.Judged:
    found = {
        name: kept_as(name, [dialogues(40, 10, seed + shift, right) for seed in seeds])
        for name, right, shift in ((S5, better, 0), (S1, worse, 50))
    }
    return claims.judge(found, [claim()], draws=2000)[0]


def test_the_verdict_is_computed() -> None:
    assert judged(0.8, 0.5).verdict == "holds"
    assert judged(0.5, 0.8).verdict == "does not"
    assert judged(0.6, 0.6).verdict == "undecided"
    found = judged(0.8, 0.5, [1])
    assert found.seeds == 1 and found.turns == 400 and found.data == "iemocap"
    assert found.low is not None and found.high is not None
    assert found.low < found.difference < found.high  # type: ignore[operator]


def test_a_verdict_worked_by_hand() -> None:
    """Four of ten dialogues are answered by one system, all wrong by the other, else the same.

    UA differs by 0.4. A swap is as extreme where all four coins fall alike: 2 of 16.
    """
    lines = [line(f"d{at}", turn, LABELS[turn % 4], LABELS[turn % 4]) for at in range(10)
             for turn in range(8)]  # fmt: skip
    wrong = {label: LABELS[(at + 1) % 4] for at, label in enumerate(LABELS)}
    worse = [
        replace(one, predicted=wrong[str(one.label)]) if one.dialogue in {"d1", "d3", "d5", "d7"}
        else one
        for one in lines
    ]  # fmt: skip
    found = {S5: kept_as(S5, [lines]), S1: kept_as(S1, [worse])}
    (one,) = claims.judge(found, [claim()])
    assert one.difference == pytest.approx(0.4)
    assert one.p == pytest.approx(2 / 16, abs=0.015)
    assert one.verdict == "holds" and one.low == pytest.approx(0.1, abs=0.05)


def test_holm_is_over_the_claims_of_a_paper() -> None:
    right = {S5: 0.66, S1: 0.62, "ats_sagru-S2-iemocap4": 0.6, "ats_sagru-S3-iemocap4": 0.58}
    found = {
        name: kept_as(name, [dialogues(40, 10, at, share)])
        for at, (name, share) in enumerate(right.items())
    }
    these = [claim(runs=(S5, name)) for name in list(right)[1:]]
    other = claim(paper="late_fusion", column="UA")
    *same, lone = claims.judge(found, [*these, other], draws=2000)
    wanted = metrics.holm({str(at): one.p or 0 for at, one in enumerate(same)})
    assert [one.corrected for one in same] == list(wanted.values())
    assert lone.corrected == lone.p == same[0].p


def test_what_was_not_run_and_what_can_not_be() -> None:
    kept = kept_as(S5, [dialogues(12, 9)])
    one, other = claims.judge({S5: kept}, [claim(), claim(runs=(), untestable="no frames")])
    assert (one.verdict, one.why_not) == ("not run", S1)
    assert (other.verdict, other.why_not) == ("not testable here", "no frames")
    text = claims.markdown([replace(one, claim=claims.every()[0]), other])
    assert "S5 > S1: UA 78.02, 76.40" in text and "b: no frames" in text


def test_records_of_other_turns_are_not_paired() -> None:
    found = {S5: kept_as(S5, [dialogues(12, 9)]), S1: kept_as(S1, [dialogues(13, 9)])}
    with pytest.raises(UserError, match="not recorded on the same turns"):
        claims.judge(found, [claim()])


def test_every_claim_names_runs_that_can_be_made_and_figures_of_its_paper() -> None:
    known = claims.every()
    for one in known:
        for name in one.runs:
            assert not cells.find(name).lacks
        printed = one.published
        assert printed is None or printed[0] > printed[1], one.says
    papers = [one.paper for one in known]
    assert set(papers) == {"ats_sagru", "late_fusion", "dialogue_trm", "iaan", "word_alignment"}
    with pytest.raises(UserError, match="two, or why it is untestable"):
        claim(runs=(S5,))


def test_more_seeds_are_for_claims_that_are_undecided() -> None:
    right = {S5: 0.8, S1: 0.5, "ats_sagru-S4-iemocap4": 0.8}
    found = {name: kept_as(name, [dialogues(40, 10, 1, share)]) for name, share in right.items()}
    assert set(claims.wanted({})) > set(right) and len(claims.wanted({})) == len(
        {name for one in claims.every() for name in one.runs}
    )
    assert claims.wanted(found, undecided=True) == [S5, "ats_sagru-S4-iemocap4"]


# ---- the command


def test_the_tables_are_put_into_a_file_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, readme = tmp_path / "records", tmp_path / "README.md"
    home.mkdir()
    kept_as(S5, [dialogues(30, 9, 1)]).write(home)
    readme.write_text("# Ours\n\n<!-- results -->\n<!-- /results -->\n\nThe end\n")
    call = ["results", "--records", str(home)]
    assert main([*call, "--check", str(readme)]) == 1
    assert main([*call, "--write", str(readme)]) == 0
    assert main([*call, "--check", str(readme)]) == 0
    assert readme.read_text().startswith("# Ours\n") and readme.read_text().endswith("The end\n")
    assert "(1 seed)" in readme.read_text()
    kept_as(S5, [dialogues(30, 9, 2)]).write(home, again=True)
    assert main([*call, "--check", str(readme)]) == 1
    capsys.readouterr()
    assert main(["results", "--records", str(home), "claims", "--check", str(readme)]) == 2
    assert "<!-- claims -->" in capsys.readouterr().err
    assert main([*call, "cells"]) == 0
    assert f"{S5}: recorded, seeds 0" in capsys.readouterr().out


def test_marks_stand_once(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    one = "<!-- results -->\n<!-- /results -->\n"
    for text in (
        one + one,
        "between `<!-- results -->` and `<!-- /results -->`",
        one[17:] + one[:17],
    ):
        file.write_text(text)
        with pytest.raises(UserError, match="has no place for the table"):
            marks.write(file, "results", "x")


def test_record_by_the_command(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "records"
    call = ["results", "record", str(run), "--as", "one", "--records", str(home)]
    assert main(call) == 0
    assert record.read(home / "one.json").counts.n == 140
    assert main(call) == 2
    assert "recorded already" in capsys.readouterr().err
    assert main([*call, "--again"]) == 0
    file = str(run / "parts" / "session1-seed0" / "predictions.jsonl")
    assert main(["results", "record", file, "--as", "x", "--records", str(home)]) == 2
    assert "recorded with --facts" in capsys.readouterr().err


def test_what_is_no_cell_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["--data-root", str(tmp_path), "--out", str(tmp_path), "--records", str(tmp_path)]
    assert main(["results", "run", "ats_sagru-mood", *call]) == 2
    assert "has a cell 'ats_sagru-mood'" in capsys.readouterr().err
    assert main(["results", "run", "late_fusion-meld", "--runs", "1", *call]) == 1
    assert "MELD's sound is not at hand" in capsys.readouterr().out
    assert main(["results", "run", "late_fusion-words-meld", "--runs", "0", *call]) == 2
    assert list(tmp_path.iterdir()) == []


def test_readme_and_docs_have_the_tables_of_the_records() -> None:
    """Where a file has the marks, what stands between them is what the records make."""
    root = record.HOME.parents[1]
    found = record.every()
    made = {"results": table.markdown(found), "claims": claims.markdown(claims.judge(found))}
    for file in (root / "README.md", root / "docs" / "results.md"):
        for mark, text in made.items():
            if f"<!-- {mark} -->\n" in file.read_text():
                assert marks.same(file, mark, text), (
                    f"python -m trainer results{' claims' * (mark == 'claims')} --write {file.name}"
                )
