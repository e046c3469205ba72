"""IEMOCAP's release as its files lie: what is read, what is untidy, what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from corpora import iemocap as small
from corpora.iemocap import Said

from erc_demo.dialogue import Span
from erc_demo.emotions import IEMOCAP4, IEMOCAP6
from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, Labelled, open_corpus
from trainer.protocol import folds

BOTH = Ask(labels=("iemocap6", "iemocap4"), dimensions=("valence", "arousal", "dominance"))


def read(folder: Path, ask: Ask = BOTH) -> Corpus:
    return open_corpus(f"iemocap:{folder}", ask, labelled=False)


def one(folder: Path, *said: Said | str) -> Labelled:
    """The one dialogue of these turns."""
    small.write(folder, "Ses01F_impro01", said)
    return read(folder).dialogues[0]


def turn(name: str = "F000", **facts: object) -> Said:
    return Said(**{"name": f"Ses01F_impro01_{name}", "start": "006.2901", "end": "008.2357",
                   "text": "Excuse me.", **facts})  # type: ignore[arg-type] # fmt: skip


def remark(folder: Path, start: str) -> str:
    """The one remark that begins so."""
    [found] = [each for each in read(folder).remarks if each.startswith(start)]
    return found


def test_a_turn_is_read_with_its_time_its_words_and_what_raters_made_of_it(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        turn(
            label="neu",
            means=(2.5, 2.0, 4.0),
            ticks={"E2": ["Neutral"], "E3": ["Frustration", "Anger"], "F1": ["Sadness"]},
            ratings={"E3": (3, 2, 4), "F1": (1, 1, 1)},
            segments=[(0, 20, "<s>"), (21, 80, "EXCUSE"), (81, 120, "ME(2)"), (121, 193, "</s>")],
        ),
        turn("M000", start="007.5712", end="010.4750", text="Do you have your forms?"),
    )
    first, second = found.dialogue.turns
    assert found.name == "Ses01F_impro01" and found.session == "1"
    assert (first.text, first.speaker, first.span) == ("Excuse me.", "F", Span(6.2901, 8.2357))
    assert [word.text for word in first.words] == ["Excuse", "me."]
    times = [(word.span.start, word.span.end) for word in first.words if word.span]
    assert np.allclose(times, [(6.5001, 7.1001), (7.1001, 7.5001)])
    assert first.channel is None
    assert found.people == ("1 F", "1 M")
    assert found.labels["iemocap6"].tolist() == [IEMOCAP6.labels.index("neutral"), -1]
    ticked = {"neutral": 1, "frustrated": 1, "angry": 1}
    assert found.votes["iemocap6"][0].tolist() == [ticked.get(x, 0) for x in IEMOCAP6.labels]
    assert found.votes["iemocap6"][1].sum() == 0
    assert found.values is not None
    assert np.allclose(found.values[0], [-0.25, -0.5, 0.5]) and np.isnan(found.values[1]).all()
    assert second.words == ()


def test_four_classes_count_excited_as_happy_and_drop_what_they_lack(tmp_path: Path) -> None:
    words = ["ang", "hap", "exc", "sad", "neu", "fru", "sur", "fea", "dis", "oth", "xxx"]
    meant = ["angry", "happy", "happy", "sad", "neutral"]
    found = one(
        tmp_path,
        *(turn(f"F{at:03d}", label=word, ticks={"E1": [small.TICKED.get(word, "Other")]})
          for at, word in enumerate(words)),
    )  # fmt: skip
    wanted = [IEMOCAP4.labels.index(label) for label in meant] + [-1] * 6
    assert found.labels["iemocap4"].tolist() == wanted
    six = ["angry", "happy", "excited", "sad", "neutral", "frustrated"]
    assert found.labels["iemocap6"].tolist() == [IEMOCAP6.labels.index(x) for x in six] + [-1] * 5
    assert found.votes["iemocap4"].argmax(axis=1)[:5].tolist() == wanted[:5]
    assert found.votes["iemocap4"].sum(axis=1).tolist() == [1] * 5 + [0] * 6


def test_lines_of_context_stay_and_lines_of_no_form_go(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        turn(label="neu"),
        "M: Yeah.",
        "F :Here you go.",
        "(they both laugh)",
        turn("MXX0", start="011.0", end="011.5", text="Mm-hm."),
        turn("M001", start="020.9121", end="020.4741", text="Umm."),
    )
    assert found.ids == (
        "Ses01F_impro01_F000",
        "Ses01F_impro01_x001",
        "Ses01F_impro01_x002",
        "Ses01F_impro01_MXX0",
        "Ses01F_impro01_M001",
    )
    assert [each.speaker for each in found.dialogue.turns] == ["F", "M", "F", "M", "M"]
    assert [each.span is None for each in found.dialogue.turns] == [False, True, True, False, True]
    assert found.dialogue.turns[2].text == "Here you go."
    assert ": 2 (" in remark(tmp_path, "lines without a time")
    assert ": 1 (" in remark(tmp_path, "lines of a transcript that are no turn")
    assert "M001" in remark(tmp_path, "turns that end before they start")


def test_a_name_that_comes_twice_is_told_apart(tmp_path: Path) -> None:
    found = one(tmp_path, turn(), turn(text="Again."))
    assert found.ids == ("Ses01F_impro01_F000", "Ses01F_impro01_x001")
    assert "F000" in remark(tmp_path, "turns whose name was there before")


def test_means_beyond_the_scale_are_its_end(tmp_path: Path) -> None:
    found = one(tmp_path, turn(label="neu", means=(4.0, 5.25, 0.5)))
    assert found.values is not None and found.values[0].tolist() == [0.5, 1.0, -1.0]
    assert "F000" in remark(tmp_path, "arousal beyond 1 to 5")
    assert "F000" in remark(tmp_path, "dominance beyond 1 to 5")


def test_words_that_the_alignment_lacks_have_no_time(tmp_path: Path) -> None:
    said = turn(
        label="neu",
        text="[LAUGHTER] Excuse -- me, ma'am.",
        segments=[(0, 30, "++LAUGHTER++"), (31, 60, "EXCUSE"), (61, 90, "ME"), (91, 400, "MA'AM")],
    )
    found = one(tmp_path, said, turn("F001", label="neu", start="009.0", end="010.0"))
    words = found.dialogue.turns[0].words
    assert [word.text for word in words] == said.text.split()
    assert [word.placed for word in words] == [True, True, False, True, True]
    assert words[-1].span is not None and words[-1].span.end == 8.2357  # the turn's end
    assert found.dialogue.turns[1].words == ()
    assert "F000" in remark(tmp_path, "turns with words that the alignment lacks")
    assert "F001" in remark(tmp_path, "rated turns without an alignment")


def test_hidden_files_of_another_system_are_not_read(tmp_path: Path) -> None:
    small.write(tmp_path, "Ses01F_impro01", [turn()])
    for folder in ("transcriptions", "EmoEvaluation"):
        hidden = tmp_path / "Session1" / "dialog" / folder / "._Ses01F_impro01.txt"
        hidden.write_bytes(b"\0\5\x16\7Mac OS X")
    assert [each.name for each in read(tmp_path).dialogues] == ["Ses01F_impro01"]
    assert ": 1 (" in remark(tmp_path, "hidden files")


def test_any_sessions_will_do_and_the_others_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "IEMOCAP_full_release"
    small.make(whole)
    assert not read(whole).remarks
    assert read(tmp_path).sha256 == read(whole).sha256
    some = tmp_path / "some"
    for session in ("Session2", "Session5"):
        (some / session).parent.mkdir(exist_ok=True)
        (whole / session).rename(some / session)
    assert remark(some, "Of the five") == "Of the five sessions, 1, 3, 4 are not here."
    assert [each.split for each in read(some).dialogues] == ["train", "test"]
    assert [each.session for each in read(some / "Session2").dialogues] == ["2"]


def test_it_can_be_cut_by_its_split_and_by_sessions(tmp_path: Path) -> None:
    corpus = read(Path(small.make(tmp_path)))
    [official] = folds(corpus, "official", select_from="train:1")
    assert len(official.train) == 3 and not set(official.train) & {"Ses05M_impro01"}
    assert [each.name for each in folds(corpus, "loso")] == [f"session{n}" for n in range(1, 6)]


def test_sound_is_the_dialogues_or_else_the_turns_own(tmp_path: Path) -> None:
    small.write(tmp_path, "Ses01F_impro01", [turn(), "M: Yeah."], seconds=9)
    recorded = tmp_path / "Session1" / "dialog" / "wav" / "Ses01F_impro01.wav"
    assert read(tmp_path).dialogues[0].sound == recorded
    recorded.unlink()
    own = tmp_path / "Session1" / "sentences" / "wav" / "Ses01F_impro01" / "Ses01F_impro01_F000.wav"
    small.sound(own, 1)
    found = read(tmp_path).dialogues[0]
    assert found.sound is None and found.clips == (own, None)
    own.unlink()
    assert read(tmp_path).dialogues[0].clips == ()
    assert "Ses01F_impro01" in remark(tmp_path, "dialogues without dialog/wav")


def test_without_evaluation_there_are_words_but_no_labels(tmp_path: Path) -> None:
    small.write(tmp_path, "Ses01F_impro01", [turn(label="neu")])
    (tmp_path / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt").unlink()
    assert "Ses01F_impro01" in remark(tmp_path, "dialogues without EmoEvaluation")
    with pytest.raises(UserError, match="No turn of .* has a label of iemocap6; iemocap4"):
        open_corpus(f"iemocap:{tmp_path}", BOTH)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (Ask(), r"holds no Session1 … Session5 .*https://sail\.usc\.edu/iemocap/"),
        (Ask(dimensions=("power",)), "has no rating of power; it has valence, arousal, dominance"),
        (Ask(label_column="emotion"), "--label-column names a column, and iemocap is no table"),
    ],
)
def test_what_can_not_be_had_is_refused(tmp_path: Path, ask: Ask, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(tmp_path, ask)


def test_the_release_written_from_its_table_reads_as_the_table(
    tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    folder = shared("data/iemocap")
    with (folder / "turns.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    raters = json.loads((folder / "annotators.json").read_text(encoding="utf-8"))
    dialogues: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        dialogues.setdefault(row["dialogue"], []).append(row)
    for name, these in dialogues.items():
        small.write(tmp_path, name, [_said(row, raters.get(row["utt_id"], {})) for row in these])
    corpus = read(tmp_path)
    assert len(corpus.dialogues) == 151
    placed = {each.name: each for each in corpus.dialogues}
    for name, these in dialogues.items():
        found = placed[name]
        assert len(found.ids) == len(these)
        for at, row in enumerate(these):
            told = found.dialogue.turns[at]
            assert (told.number, told.speaker, told.text) == (at, row["speaker"], row["text"])
            assert told.span == Span.of(*(float(row[x] or "nan") for x in ("start", "end")))
            if row["evaluated"] == "1" or not row["start"]:
                assert found.ids[at] == row["utt_id"]
            assert found.people[at] == f"{row['session']} {row['speaker']}"
            word = row["emo_eval"] if row["emo_eval"] in SIX else ""
            assert found.labels["iemocap6"][at] == (
                IEMOCAP6.labels.index(SIX[word]) if word else -1
            )
            four = row["iemocap4"]
            assert found.labels["iemocap4"][at] == (
                IEMOCAP4.labels.index(SIX[four]) if four else -1
            )
            ticks = raters.get(row["utt_id"], {}).get("cat", {}).values()
            wanted = [
                sum(label in {SIX.get(CODES[tick]) for tick in each} for each in ticks)
                for label in IEMOCAP6.labels
            ]
            assert found.votes["iemocap6"][at].tolist() == (wanted if row["emo_eval"] else [0] * 6)
            means = [float(row[x] or "nan") for x in ("valence", "arousal", "dominance")]
            assert found.values is not None
            assert np.allclose(found.values[at], (np.clip(means, 1, 5) - 3) / 2, equal_nan=True)
    strict = np.concatenate([each.labels["iemocap6"] for each in corpus.dialogues])
    happy = sum(row["emo_eval"] == "hap" for row in rows)
    assert (strict == IEMOCAP6.labels.index("happy")).sum() == happy


SIX = {
    "neu": "neutral",
    "hap": "happy",
    "sad": "sad",
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
}
CODES = {f"{word} state" if code == "neu" else word: code for code, word in small.TICKED.items()}


def _said(row: dict[str, str], raters: dict[str, dict[str, list[str]]]) -> Said | str:
    if not row["start"]:
        return f"{row['speaker']}: {row['text']}"
    context = f"{row['dialogue']}_{row['speaker']}XX{row['turn']}"
    return Said(
        name=row["utt_id"] if row["evaluated"] == "1" else context,
        start=row["start"],
        end=row["end"],
        text=row["text"],
        label=row["emo_eval"],
        means=[float(row[x] or 0) for x in ("valence", "arousal", "dominance")],
        ticks={who.upper(): ticks for who, ticks in raters.get("cat", {}).items()},
        ratings={
            who.upper(): (rated[0], rated[1], rated[2])  # type: ignore[misc]
            for who, rated in raters.get("vad", {}).items()
        },
    )
