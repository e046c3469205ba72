"""Tables of turns: what is read as it stands, what is mended and counted, what is refused.

The last part holds the corpora that are such tables by another name to what their packs say.
"""

from __future__ import annotations

import csv
import importlib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora.iemocap import sound
from corpora.table import IDS, arrays

from erc_demo import features
from erc_demo.dialogue import Span
from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer.datasets import Ask, Corpus, open_corpus
from trainer.protocol import folds

SIX = ("iemocap6",)


def put(folder: Path, rows: str, *, encoding: str = "utf-8") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "turns.csv").write_bytes(rows.encode(encoding))
    return folder


def read(folder: Path, *labels: str, **ask: Any) -> Corpus:
    return open_corpus(f"table:{folder}", Ask(labels=labels, **ask), labelled=False)


def mini(folder: Path, kind: str = "table", *labels: str, **ask: Any) -> Corpus:
    path = importlib.import_module(f"corpora.{kind}").make(folder)
    return open_corpus(f"{kind}:{path}", Ask(labels=labels, **ask), labelled=False)


def words(corpus: Corpus, name: str) -> dict[str, str | None]:
    """The label of each utterance."""
    known = label_set(name).labels
    return {
        one: None if label < 0 else known[label]
        for each in corpus.dialogues
        for one, label in zip(each.ids, each.labels[name], strict=True)
    }


# What is read.


def test_a_table_is_read(tmp_path: Path) -> None:
    corpus = mini(tmp_path, "table", "iemocap6", "iemocap4", dimensions=("arousal", "valence"))
    one, two, alone = corpus.dialogues
    assert (one.ids, two.ids, alone.ids) == (IDS[:3], IDS[3:5], IDS[5:])
    assert one.people == ("1 F", "1 M", "1 F") and alone.people == ("3 F",)
    assert [each.session for each in corpus.dialogues] == ["1", "2", "3"]
    assert [each.split for each in corpus.dialogues] == ["train", "validation", "test"]
    assert [turn.text for turn in one.dialogue.turns] == ["Well, hello.", "You again!", ""]
    assert [turn.speaker for turn in one.dialogue.turns] == ["F", "M", "F"]
    assert [turn.span for turn in one.dialogue.turns] == [Span(0.5, 1.25), Span(1.3, 2.5), None]
    assert words(corpus, "iemocap6") == dict(
        zip(IDS, ["neutral", "angry", None, "sad", "excited", "frustrated"], strict=True)
    )
    assert words(corpus, "iemocap4") == dict(
        zip(IDS, ["neutral", "angry", None, "sad", "happy", None], strict=True)
    )
    np.testing.assert_allclose(one.values, [[0, 0], [0.75, -0.75], [np.nan, np.nan]])
    assert alone.name == "alone" and alone.dialogue.turns[0].span is None


def test_arrays_stand_for_what_makes_them(tmp_path: Path) -> None:
    corpus = mini(tmp_path)
    one, _, alone = corpus.dialogues
    assert set(one.given) == {"gemaps47", "given:name=signal,width=3"}
    rows = arrays(tmp_path / "again.npz", IDS[:-1], 47)
    np.testing.assert_array_equal(one.given["gemaps47"].rows, rows[:3])
    made = features.ready(features.parse("gemaps47"), Settings())
    assert (one.given["gemaps47"].version, one.given["gemaps47"].columns) == (
        made.version,
        made.columns,
    )
    assert not alone.given["gemaps47"].present.any()
    assert [str(said) for said in alone.given["gemaps47"].remarks] == [
        "Turn 0 has no such numbers: they come with a corpus, not from a recording."
    ]
    signal = arrays(tmp_path / "again.npz", IDS[::-1], 3)
    np.testing.assert_array_equal(one.given["given:name=signal,width=3"].rows, signal[:2:-1])
    assert any("gemaps_hsf47.npz (gemaps47): 1 utterances have no row" in r for r in corpus.remarks)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_spreadsheet_will_do(tmp_path: Path, sign: str, encoding: str, end: str) -> None:
    rows = [
        ["utt_id", "speaker", "text", "emotion", "start", "end"],
        ["1", "Zoë", '"Don’t, they said; ""no""!\tAnd left."', "neutral", '"1,5"', '"2,25"'],
        ["", "", "", "", "", ""],
        ["2", "Zoë", "So.", "joy", "", ""],
    ]
    put(tmp_path, end.join(sign.join(row) for row in rows) + end, encoding=encoding)
    one, two = read(tmp_path, "meld7").dialogues
    assert one.dialogue.turns[0].text == 'Don’t, they said; "no"!\tAnd left.'
    assert one.dialogue.turns[0].span == Span(1.5, 2.25)
    assert one.people == two.people == ("Zoë",)


def test_excels_own_first_line_is_no_row(tmp_path: Path) -> None:
    put(tmp_path, "sep=;\r\nutt_id;text;start;end\r\n1;So, well.;0,5;1,5\r\n")
    assert read(tmp_path).dialogues[0].dialogue.turns[0].text == "So, well."
    put(tmp_path, "sep=;\r\nutt_id;text;start;end\r\n1;So;soon;1,5\r\n")
    with pytest.raises(UserError, match=r"The line 3 of turns\.csv has the time 'soon'"):
        read(tmp_path)


def test_a_workbook_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "turns.csv").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    with pytest.raises(UserError, match="workbook.*save it as CSV"):
        read(tmp_path)


def test_a_file_that_was_windows_before_is_mended(tmp_path: Path) -> None:
    put(tmp_path, "utt_id,text\n1,I\x92m here\x85\n")
    corpus = read(tmp_path)
    assert corpus.dialogues[0].dialogue.turns[0].text == "I’m here…"
    assert any("control characters" in said for said in corpus.remarks)


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        ("006.2901", "008.2357", (6.2901, 8.2357)),
        ("00:16:16,059", "0:16:21.731", (976.059, 981.731)),
        ("1:02.5", "1:03", (62.5, 63)),
        ("nan", "3", None),
        ("", "", None),
        ("3", "3", None),
        ("4", "3", None),
        ("-1", "2", (0, 2)),
    ],
)
def test_times(tmp_path: Path, start: str, end: str, span: tuple[float, float] | None) -> None:
    put(tmp_path, f'utt_id,text,start,end\n1,hi,"{start}","{end}"\n')
    (one,) = read(tmp_path).dialogues
    assert one.dialogue.turns[0].span == (span and Span(*span))


# What is untidy.


def test_untidy_rows_are_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        "dialogue,turn,utt_id,speaker,start,end,text,emotion,valence\n"
        "d,2,d2,B,0.5,0.5,,xxx,0.5\n"
        "d,0,d0,A,1,2,hi,neu,5.5\n"
        "d,1,d1,B,0.9,90,well,sur,\n"
        "e,1,e0,A,,,one,exc,3\n"
        "e,1,e1,A,,,two,hap,3\n",
    )
    corpus = read(tmp_path, "iemocap4", dimensions=("valence",))
    one, two = corpus.dialogues
    assert one.ids == ("d0", "d1", "d2") and [t.number for t in one.dialogue.turns] == [0, 1, 2]
    assert two.ids == ("e0", "e1") and [t.number for t in two.dialogue.turns] == [0, 1]
    assert one.values[:, 0].tolist() == pytest.approx([1, np.nan, -1], nan_ok=True)
    assert sorted(corpus.remarks) == sorted(
        [
            "'exc' in the column emotion counts as happy: 1 (e0).",
            "'sur' in the column emotion is no label of iemocap4, and was dropped: 1 (d1).",
            "'xxx' in the column emotion is no label: 1 (d2).",
            "Dialogues whose rows were not in the order of turns; sorted: 1 (d).",
            "Dialogues whose turns have no number or the same twice; counted: 1 (e).",
            "Turns of more than 60 s: 1 (d1).",
            "Turns of people who are not known by name across dialogues: 5 (A, B).",
            "Turns that end before they start or last no time; kept without a time: 1 (d2).",
            "Turns that start before the one before them; kept in order: 1 (d1).",
            "Turns without a time: 2 (e0, e1).",
            "Turns without words or sound, kept as context: 1 (d2).",
            "Ratings of valence outside 1 to 5, taken for the scale's end: 2 (d2, d0).",
        ]
    )


@pytest.mark.parametrize(
    ("speaker", "person"),
    [
        ("A", ""),
        ("Speaker 1", ""),
        ("SPEAKER_00", ""),
        ("speaker2", ""),
        ("Woman", ""),
        ("Man #2", ""),
        ("#ALL#", ""),
        ("", ""),
        ("Manny", "Manny"),
        ("Allen", "Allen"),
        ("ravdess_01", "ravdess_01"),
        ("Monica Geller", "Monica Geller"),
    ],
)
def test_who_is_known_by_name(tmp_path: Path, speaker: str, person: str) -> None:
    put(tmp_path, f"utt_id,speaker,text\n1,{speaker},hi\n")
    (one,) = read(tmp_path).dialogues
    assert one.people == (person,)
    assert one.dialogue.turns[0].speaker == (speaker or "unknown")


def test_numbers_that_are_not_defined(tmp_path: Path) -> None:
    put(tmp_path, "utt_id,text\na,hi\nb,so\nc,no\n")
    rows = np.array([[1, np.nan], [np.inf, 2], [3, 4]], np.float64)
    np.savez(tmp_path / "mine.npz", ids=["a", "b", "z"], X=rows)
    corpus = read(tmp_path)
    found = [one.given["given:name=mine,width=2"] for one in corpus.dialogues]
    assert [these.rows.tolist() for these in found] == [[[1, 0]], [[0, 2]], []]
    assert [[said.why for said in these.remarks] for these in found] == [
        ["undefined"],
        ["undefined"],
        ["given"],
    ]
    assert corpus.remarks[-1] == (
        "mine.npz (given:name=mine,width=2): 1 rows are of no utterance of the table and were left "
        "out; 1 utterances have no row, and so none of these numbers; 2 rows hold numbers that are "
        "not defined; 0 stands for them."
    )


def test_arrays_may_lack_ids(tmp_path: Path) -> None:
    put(tmp_path, "dialogue,turn,utt_id,text\nd,1,b,so\nd,0,a,hi\n")
    np.savez(tmp_path / "mine.npz", numbers=np.array([[1.0], [2.0]]))
    corpus = read(tmp_path)
    (one,) = corpus.dialogues
    assert one.ids == ("a", "b") and one.given["given:name=mine"].rows.tolist() == [
        [2],
        [1],
    ]
    assert "mine.npz has no ids; its rows are taken in the order of the table." in corpus.remarks


def test_sound_is_found(tmp_path: Path) -> None:
    put(
        tmp_path,
        "dialogue,utt_id,start,end,text,file\n"
        "d,d0,0,1,hi,\nd,d1,1,2,so,\n"
        "e,e0,,,hi,clips/x.wav\ne,e1,,,so,clips/gone.wav\n"
        "f,f0,,,hi,\nf,f1,,,so,\n"
        ",alone,,,hi,\n",
    )
    for name in ("wav/d", "clips/x", "f1", "alone"):
        sound(tmp_path / f"{name}.wav", 0.2)
    corpus = read(tmp_path)
    d, e, f, alone = corpus.dialogues
    assert (d.sound, d.clips) == (tmp_path / "wav" / "d.wav", ())
    assert (e.sound, e.clips) == (None, (tmp_path / "clips" / "x.wav", None))
    assert f.clips == (None, tmp_path / "f1.wav")
    assert alone.clips == (tmp_path / "alone.wav",)
    assert "Clips that the table names and that are not there: 1 (e1)." in corpus.remarks


def test_a_file_of_several_turns_is_a_recording(tmp_path: Path) -> None:
    rows = "dialogue,utt_id,start,end,text,file\nd,d0,0,1,hi,x.wav\nd,d1,1,2,so,x.wav\n"
    put(tmp_path, rows + ",a0,0,1,hi,y.wav\n,a1,1,2,so,y.wav\n,a2,0,1,no,z.wav\n")
    for name in "xyz":
        sound(tmp_path / f"{name}.wav", 2)
    found = {one.name: (one.sound, one.clips) for one in read(tmp_path).dialogues}
    assert found == {
        "d": (tmp_path / "x.wav", ()),
        "a0": (tmp_path / "y.wav", ()),
        "a1": (tmp_path / "y.wav", ()),
        "a2": (None, (tmp_path / "z.wav",)),
    }
    put(tmp_path, rows + "d,d2,0,1,hi,y.wav\n")
    with pytest.raises(UserError, match=r"names x\.wav for several turns, and other files"):
        read(tmp_path)


def test_an_utterance_alone_is_not_another_dialogue(tmp_path: Path) -> None:
    put(tmp_path, "dialogue,utt_id,text\na,b,hi\n,a,so\n")
    with pytest.raises(UserError, match=r"the same dialogue twice \(a\)"):
        read(tmp_path)


def test_names_of_rows_may_be_bytes_or_numbers(tmp_path: Path) -> None:
    put(tmp_path, "utt_id,text\n1,hi\n2,so\n")
    np.savez(tmp_path / "one.npz", ids=np.array([b"2", b"1"]), X=np.array([[2.0], [1.0]]))
    np.savez(tmp_path / "two.npz", ids=np.array([2, 1]), X=np.array([[2], [1]]))
    np.save(tmp_path / "three.npy", np.array([[1.0], [2.0]]))
    (tmp_path / "three.npy").rename(tmp_path / "three.npz")
    for at, one in enumerate(read(tmp_path).dialogues, 1):
        assert {name: these.rows.item() for name, these in one.given.items()} == {
            f"given:name={name}": at for name in ("one", "two", "three")
        }


def test_what_is_only_predicted_may_lack_labels_and_ratings(tmp_path: Path) -> None:
    put(tmp_path, "utt_id,text,valence\n1,a,5\n2,b,\n")
    corpus = read(tmp_path, *SIX, dimensions=("valence", "arousal"))
    one, two = corpus.dialogues
    assert one.labels["iemocap6"].tolist() == two.labels["iemocap6"].tolist() == [-1]
    np.testing.assert_array_equal(one.values, [[1, np.nan]])
    np.testing.assert_array_equal(two.values, [[np.nan, np.nan]])
    assert any("neither a column 'iemocap6' nor 'emotion'" in said for said in corpus.remarks)


# What is refused.


@pytest.mark.parametrize(
    ("rows", "ask", "says"),
    [
        ("text\nhi\n", {}, "has no column 'utt_id' (its columns: text)"),
        ("utt_id,text\n", {}, "holds no turn"),
        ("", {}, "is empty"),
        ("utt_id,text,text\n1,a,b\n", {}, "column text twice"),
        ("utt_id,text\n1,a,b\n", {}, "Line 2 of turns.csv has 3 cells under 2 titles"),
        ('utt_id,text\n1,"a\n', {}, "is a quote left open?"),
        ("utt_id,text\n,a\n", {}, "The line 2 of turns.csv has no utt_id"),
        ("utt_id,text\n1,a\n1,b\n", {}, "the same utterance twice (1)"),
        ("utt_id,text\n1,a\n1,b\n", {}, "give each a name of its own"),
        ("utt_id,speaker\n1,a\n", {}, "neither a column 'text' nor sound nor arrays"),
        ("utt_id,text,start,end\n1,a,soon,2\n", {}, "has the time 'soon'"),
        ("utt_id,turn,text\n1,one,a\n", {}, "has the turn 'one'"),
        ("utt_id,text\n1,a\n", {"labels": SIX}, "neither a column 'iemocap6' nor 'emotion'"),
        (
            "utt_id,text\n1,a\n",
            {"labels": SIX, "label_column": "mood"},
            "--label-column names the column 'mood', and turns.csv has utt_id, text",
        ),
        (
            "utt_id,text,emotion\n1,a,meh\n",
            {"labels": SIX},
            "Of line 2 of turns.csv (1): 'meh' is no label of IEMOCAP, 6 classes; it has neutral",
        ),
        ("utt_id,text,emotion\n1,a,P\n", {"labels": SIX}, "'P' is no label"),
        (
            "utt_id,text,emotion\n1,a,hapy\n2,a,sad\n3,a,agry\n4,a,hapy\n",
            {"labels": SIX},
            "frustrated (F). No label either: 'agry'.",
        ),
        ("utt_id,text\n1,a\n", {"text_column": "asr"}, "--text-column names"),
        ("utt_id,text\n1,a\n", {"split_column": "cv"}, "--split-column names"),
        ("utt_id,text,split\n1,a,fold1\n", {}, "The dialogue 1 is in the split 'fold1'"),
        (
            "dialogue,utt_id,text,split\nd,1,a,train\nd,2,a,dev\n",
            {},
            "The dialogue d lies in two splits (train, validation)",
        ),
        (
            "dialogue,utt_id,text,session\nd,1,a,1\nd,2,a,2\n",
            {},
            "The dialogue d lies in two sessions (1, 2)",
        ),
        ("utt_id,text\n1,a\n", {"dimensions": ("valence",)}, "has no column valence"),
        ("utt_id,text,valence\n1,a,high\n", {"dimensions": ("valence",)}, "has 'high'; a number"),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: str, ask: dict[str, Any], says: str) -> None:
    put(tmp_path, rows)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        open_corpus(f"table:{tmp_path}", Ask(**ask))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "stored", "says"),
    [
        (
            "gemaps47",
            {"ids": ["a"], "X": np.zeros((1, 46))},
            "and gemaps47 makes 47 of each utterance",
        ),
        ("logmel", {"ids": ["a"], "X": np.zeros((1, 40))}, "and logmel makes 40 of each frame"),
        ("x", {"ids": ["a", "a"], "X": np.zeros((2, 3))}, "an utterance twice in 'ids'"),
        ("x", {"ids": ["a", "b"], "X": np.zeros((1, 3))}, "2 ids for 1 rows"),
        ("x", {"ids": ["q"], "X": np.zeros((1, 3))}, "None of the ids"),
        ("x,width=9", {"ids": ["a"], "X": np.zeros((1, 3))}, "letters, digits, blanks"),
        ("x", {"ids": ["a"], "X": np.zeros((1, 0))}, "'s width is 0"),
        ("x", {"X": np.zeros((2, 3))}, "has no 'ids', and 2 rows for the table's 1"),
        ("x", {"ids": ["a"]}, "one array 'X' of numbers"),
        ("x", {"ids": ["a"], "X": np.zeros(1)}, "one array 'X' of numbers"),
        ("x", {"ids": ["a"], "A": np.zeros((1, 2)), "B": np.zeros((1, 2))}, "one array 'X'"),
        ("x", {"ids": np.array(["a"], object), "X": np.zeros((1, 2))}, "without objects in it"),
    ],
)
def test_arrays_that_are_refused(
    tmp_path: Path, name: str, stored: dict[str, Any], says: str
) -> None:
    put(tmp_path, "utt_id,text\na,hi\n")
    np.savez(tmp_path / f"{name}.npz", **stored)
    with pytest.raises(UserError, match=re.escape(says)):
        read(tmp_path)


@pytest.mark.parametrize("at", [0, 30, 70, -30])
def test_damaged_arrays_are_refused(tmp_path: Path, at: int) -> None:
    put(tmp_path, "utt_id,text\na,hi\n")
    file = tmp_path / "x.npz"
    np.savez(file, ids=["a"], X=np.zeros((1, 2)))
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    for broken in (bytes(content), content[: len(content) // 2], b""):
        file.write_bytes(broken)
        try:
            read(tmp_path)
        except UserError as exc:
            assert "x.npz" in str(exc) and "\n" not in str(exc)


def test_two_files_of_one_feature_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "utt_id,text\na,hi\n")
    for name in ("gemaps47", "gemaps_hsf47"):
        np.savez(tmp_path / f"{name}.npz", ids=["a"], X=np.zeros((1, 47)))
    with pytest.raises(UserError, match=r"gemaps47 in two \.npz files"):
        read(tmp_path)


def test_a_recording_has_none_of_a_corpus() -> None:
    spec = features.parse("given:name=mine,width=3,speaker_norm=both")
    made = features.ready(spec, Settings())
    assert (made.width, made.version, made.rows([])) == (3, "given", [])
    with pytest.raises(ValueError, match="asked of a recording"):
        made.rows([None])  # type: ignore[list-item]


# The corpora that are tables by another name.


def test_mspimprov_turns_activation_round(tmp_path: Path) -> None:
    ask = {"dimensions": ("valence", "arousal", "dominance")}
    corpus = mini(tmp_path, "mspimprov", "iemocap4", **ask)
    assert list(words(corpus, "iemocap4").values()) == [
        *("angry", "neutral", None, "happy", "sad", None)
    ]
    first = corpus.dialogues[0]
    np.testing.assert_allclose(first.values, [[-0.75, 0.875, 0.5]])  # 1.25 of activation is 4.75
    assert [one.people for one in corpus.dialogues[:4]] == [("1 F01",), ("1 M01",)] * 1 + [
        ("1 M01",),
        ("2 F02",),
    ]
    assert [one.session for one in corpus.dialogues] == ["1", "1", "1", "2", "2", "2"]
    assert first.clips and not corpus.dialogues[1].clips


def test_a_name_that_is_not_mspimprovs(tmp_path: Path) -> None:
    put(tmp_path, "utt_id,transcript,emo,v,a,d\nMSP-PODCAST_0001,hi,N,3,3,3\n")
    with pytest.raises(UserError, match="is no name of MSP-IMPROV"):
        open_corpus(f"mspimprov:{tmp_path}", Ask())
    put(tmp_path, "utt_id,text\n1,hi\n")
    with pytest.raises(UserError, match="no column transcript, emo, v, a, d"):
        open_corpus(f"mspimprov:{tmp_path}", Ask())


def test_meld_as_published(tmp_path: Path) -> None:
    corpus = mini(tmp_path, "meld", "meld7")
    named = {one.name: one for one in corpus.dialogues}
    assert list(named) == ["train_dia0", "train_dia125", "dev_dia0", "test_dia0"]
    assert named["train_dia0"].dialogue.turns[0].text == "You must’ve had fun."
    assert named["train_dia0"].people == ("The Interviewer", "Chandler")
    assert named["train_dia0"].dialogue.turns[0].span == Span(976.059, 981.731)
    media = tmp_path / "MELD.Raw"
    assert named["train_dia0"].clips == (media / "train_splits" / "dia0_utt0.wav", None)
    assert named["train_dia125"].clips == () and named["dev_dia0"].clips == ()
    assert [clip.stem for clip in named["test_dia0"].clips] == ["dia0_utt0", "dia0_utt1"]
    assert [one.split for one in named.values()] == ["train", "train", "validation", "test"]
    assert any("train_dia125_utt3 can't be decoded" in said for said in corpus.remarks)
    assert "Turns whose clip is not there: 2 (train_dia0_utt1, dev_dia0_utt0)." in corpus.remarks
    (fold,) = folds(corpus, "official")
    assert fold.select == ("dev_dia0",), "its parts share people, as was published"


def test_meld_without_its_test_part(tmp_path: Path) -> None:
    importlib.import_module("corpora.meld").make(tmp_path)
    (tmp_path / "test_sent_emo.csv").unlink()
    corpus = open_corpus(f"meld:{tmp_path}", Ask(labels=("meld7",)))
    assert "Not there, and so left out: test_sent_emo.csv." in corpus.remarks
    (tmp_path / "train_sent_emo.csv").write_text("Utterance,Speaker\nhi,Ross\n")
    with pytest.raises(UserError, match="has no column Emotion, Dialogue_ID, Utterance_ID"):
        open_corpus(f"meld:{tmp_path}", Ask())


def test_emorynlp_as_published(tmp_path: Path) -> None:
    corpus = mini(tmp_path, "emorynlp", "emorynlp7")
    assert [one.name for one in corpus.dialogues] == ["s04_e01_c03", "s01_e15_c01", "s03_e09_c02"]
    assert corpus.dialogues[0].ids == ("s04_e01_c03_u001", "s04_e01_c03_u002")
    assert corpus.dialogues[0].people == ("Bonnie; Rachel Green", "Ross Geller")
    assert corpus.dialogues[2].people == ("",)
    assert list(words(corpus, "emorynlp7").values()) == ["joyful", "scared", "neutral", "mad"]


def test_nobody_is_in_two_written_dialogues(tmp_path: Path) -> None:
    corpus = mini(tmp_path, "dailydialog", "meld7")
    assert {person for one in corpus.dialogues for person in one.people} == {""}
    assert list(words(corpus, "meld7").values()) == ["neutral", "surprise", "joy", "sadness"]


def test_ravdess_by_its_names(tmp_path: Path) -> None:
    corpus = mini(tmp_path, "ravdess", "ravdess8", "iemocap4")
    clips = [one.ids[0] for one in corpus.dialogues]
    assert len(clips) == 11 and "01-01-05-01-02-01-01" in clips
    assert [clip[-2:] for clip in clips] == ["01"] * 6 + ["12"] * 5
    assert [clip for clip in clips if clip.endswith("12")] != sorted(clips[6:])
    assert Counter(person for one in corpus.dialogues for person in one.people) == {
        "actor 01": 6,
        "actor 12": 5,
    }
    acted = words(corpus, "ravdess8")
    for clip, label in acted.items():
        assert label == label_set("ravdess8").labels[int(clip.split("-")[2]) - 1]
    merged = words(corpus, "iemocap4")
    assert merged[next(clip for clip in clips if clip.startswith("03-01-02"))] == "neutral"
    assert merged[next(clip for clip in clips if clip.startswith("03-01-08"))] is None
    assert all(one.clips and len(one.dialogue.turns) == 1 for one in corpus.dialogues)
    (said,) = [said for said in corpus.remarks if said.startswith("Clips that were left out")]
    for part in ("1 sung", "1 without sound", "1 there without pictures, too"):
        assert part in said


def test_ravdess_says_which_clips_are_the_same(tmp_path: Path) -> None:
    importlib.import_module("corpora.ravdess").make(tmp_path)
    one = tmp_path / "Actor_12" / "03-01-05-01-01-01-12.wav"
    (tmp_path / "Actor_12" / "03-01-05-01-02-02-12.wav").write_bytes(one.read_bytes())
    (tmp_path / "turns.csv").write_text("file,duplicate_of\na.ogg,\nc.ogg,b.ogg\n")
    corpus = open_corpus(f"ravdess:{tmp_path}", Ask())
    assert any(
        "Clips that are the same, kept with their actor: 03-01-05-01-01-01-12 = "
        "03-01-05-01-02-02-12, b = c." in said
        for said in corpus.remarks
    ), corpus.remarks


# Real ones, where they are at hand.

REAL = [
    ("table", "iemocap", {"labels": SIX}, 151, 10238, 5810, 10),
    ("table", "iemocap", {"labels": ("iemocap4",)}, 151, 10238, 4290, 10),
    ("table", "iemocap", {"labels": SIX, "label_column": "emo_eval"}, 151, 10238, 5758, 10),
    ("meld", "meld", {"labels": ("meld7",)}, 1432, 13708, 11098, 300),
    ("emorynlp", "emorynlp", {"labels": ("emorynlp7",)}, 827, 9489, 8505, 255),
    ("dailydialog", "dailydialog", {"labels": ("meld7",)}, 2000, 15809, 15809, 0),
    ("mspimprov", "mspimprov", {"labels": ("iemocap4",)}, 8438, 8438, 7798, 12),
    ("ravdess", "ravdess", {"labels": ("ravdess8",)}, 1200, 1200, 1200, 20),
    ("table", "ravdess", {"labels": ("ravdess8",)}, 1200, 1200, 1200, 20),
]


@pytest.mark.parametrize(("kind", "name", "ask", "dialogues", "turns", "labelled", "people"), REAL)
def test_real_corpora_are_whole(
    shared: Callable[[str], Path], kind: str, name: str, ask: dict[str, Any],
    dialogues: int, turns: int, labelled: int, people: int,
) -> None:  # fmt: skip
    corpus = open_corpus(f"{kind}:{shared(f'data/{name}')}", Ask(**ask))
    assert len(corpus.dialogues) == dialogues
    assert sum(len(one.ids) for one in corpus.dialogues) == turns
    assert sum(one.labelled(ask["labels"][0]) for one in corpus.dialogues) == labelled
    known = {person for one in corpus.dialogues for person in one.people if person}
    assert len(known) == people


def test_numbers_of_a_real_corpus_lie_with_their_turns(shared: Callable[[str], Path]) -> None:
    """Against a plain loop over the table and the arrays."""
    folder = shared("data/iemocap")
    with np.load(folder / "gemaps_hsf47.npz", allow_pickle=False) as stored:
        wanted = dict(zip(stored["ids"].tolist(), stored["X"], strict=True))
    with (folder / "turns.csv").open(encoding="utf-8", newline="") as opened:
        rows = {row["utt_id"]: row for row in csv.DictReader(opened)}
    corpus = open_corpus(f"table:{folder}", Ask(labels=SIX, split_column="split6"))
    seen = 0
    for one in corpus.dialogues:
        assert [int(rows[name]["turn"]) for name in one.ids] == [
            turn.number for turn in one.dialogue.turns
        ]
        for at, name in enumerate(one.ids):
            assert rows[name]["dialogue"] == one.name and rows[name]["split6"] == one.split
            here = one.given["gemaps47"].of(at)
            assert len(here) == (name in wanted)
            if name in wanted:
                np.testing.assert_array_equal(here[0], wanted[name])
                seen += 1
    assert seen == 10_039
    assert {one.split for one in corpus.dialogues} == {"train", "validation", "test"}
    (fold,) = folds(corpus, "official")
    assert (len(fold.train), len(fold.select)) == (108, 12)
    assert [len(one.report) for one in folds(corpus, "loso")]
