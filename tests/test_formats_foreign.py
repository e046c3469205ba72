"""Transcripts as other tools and corpora write them: read, or refused in one sentence."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from erc_demo import formats, plugs
from erc_demo.dialogue import Dialogue, Span
from erc_demo.errors import UserError


def module(name: str) -> ModuleType:
    return plugs.load("erc_demo.formats", name)


def facts(dialogue: Dialogue) -> list[tuple[str, float | None, float | None, str]]:
    return [
        (turn.speaker, turn.span and turn.span.start, turn.span and turn.span.end, turn.text)
        for turn in dialogue.turns
    ]


def test_joined_words_are_the_turns_of_the_reference(shared: Callable[[str], Path]) -> None:
    for file in sorted(shared("data/calls/spokenwoz").glob("*.words.json")):
        words = formats.load(file)
        turns = formats.load(file.with_name(file.name.replace(".words.json", ".rttm")))
        assert words.name == turns.name
        assert [row[:3] for row in facts(formats.keep(words, module("rttm").HOLDS))] == [
            row[:3] for row in facts(turns)
        ]


def test_corpora_as_they_come(shared: Callable[[str], Path]) -> None:
    table = module("csv")
    text = shared("data/iemocap/turns.csv").read_text(encoding="utf-8-sig")
    found = table.dialogues(text, "iemocap")
    assert len(found) == 151
    assert sum(len(one.turns) for one in found) == text.count("\n") - 1
    assert facts(found[0])[0] == ("F", 6.2901, 8.2357, "Excuse me.")
    remarks = [remark for one in found for remark in one.remarks]
    wrong = [
        number
        for number, row in enumerate(csv.DictReader(text.splitlines()), 2)
        if row["start"] and float(row["end"]) <= float(row["start"])
    ]
    assert remarks == [
        f"Line {wrong[0]}: the end is not after the start, so the turn has no times."
    ]
    meld = shared("data/meld/turns.csv").read_text(encoding="utf-8-sig")
    first = table.dialogues(meld, "meld")[0]
    assert facts(first)[0][:3] == ("Chandler", 976.059, 981.731)
    improv = shared("data/mspimprov/turns.csv").read_text(encoding="utf-8-sig")
    (alone,) = table.dialogues(improv, "mspimprov")
    assert len(alone.turns) == 8438 and alone.turns[0].text == "How can I not?."


def test_json_reads_lists_of_words_in_any_order() -> None:
    rows = [
        {"speaker": "B", "word": "there", "start": 2.0, "end": 2.25},
        {"speaker": "A", "word": "hi", "start": 0.0, "end": 0.5},
        {"speaker": "A", "word": "you", "start": 0.75, "end": 1.0},
        {"speaker": "A", "word": "late", "start": 1.5, "end": 2.5},
        {"speaker": 7, "word": "no", "start": 3.0, "end": 2.0},
    ]
    dialogue = module("json").read(json.dumps(rows), "call.words")
    assert dialogue.name == "call"
    assert facts(dialogue) == [
        ("A", 0.0, 1.0, "hi you"),  # 0.25 s apart
        ("A", 1.5, 2.5, "late"),  # 0.5 s apart: another turn
        ("B", 2.0, 2.25, "there"),
        ("7", None, None, "no"),
    ]
    assert dialogue.remarks == (
        "Entry 4: the end is not after the start, so there are no times.",
        "The entries of call were not in the order of time and were sorted.",
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"name": "d", "turns": [', "is not JSON .*cut off"),
        ('[{"speaker": "A", "start": NaN, "end": 1, "text": ""}]', "NaN, which is no number"),
        ('{"name": "d", "duration": -Infinity}', "-Infinity"),
        ('{"name": "d", "duration": 1e999}', "lasts inf"),
        ('{"name": "d", "duration": 1' + "0" * 400 + "}", "no dialogue"),
        ('{"name": "d", "duration": 1' + "0" * 5000 + "}", "no dialogue"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"name": "d", "turns": 5}', "no dialogue"),
        ('{"layout": 99, "dialogue": {}}', "layout 99"),
        ('{"layout": 1, "dialogue": {"name": "d"}, "steps": [3]}', "no dialogue"),
        ('{"layout": 1, "dialogue": {"name": "d"}, "explanations": [{}]}', "no dialogue"),
        ("5", "expected as a JSON object"),
        ("[5]", "not of words or turns"),
        ('[{"word": "a"}, {"text": "b"}]', "mixes words and turns"),
        ('[{"speaker": "A", "text": 5}]', "text was wanted"),
    ],
)
def test_json_refuses_in_a_sentence(text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        module("json").read(text, "d")


def test_csv_reads_tables_as_they_come() -> None:
    text = (
        "Text;SPEAKER;Start_Time;end;Turn;emotion\n"
        "second;B;0:01:02,500;1:03.25;7;joy\n"
        "first;A;12,5;13;3;\n"
        "\n"
        "third;;5;4;9;\n"
        "fourth;B;soon;later;11;\n"
        "fifth;B;4;4;12;\n"
        "sixth;A;;;13;\n"
    )
    dialogue = module("csv").read(text, "t")
    assert [turn.number for turn in dialogue.turns] == [3, 7, 9, 11, 12, 13]
    assert facts(dialogue) == [
        ("A", 12.5, 13.0, "first"),
        ("B", 62.5, 63.25, "second"),
        ("unknown", None, None, "third"),
        ("B", None, None, "fourth"),
        ("B", None, None, "fifth"),
        ("A", None, None, "sixth"),
    ]
    assert dialogue.remarks == (
        "Line 5: no speaker is named, so it is 'unknown'.",
        "Lines 5 and 7: the end is not after the start, so the turn has no times.",
        "Line 6: start or end is no time, so the turn has none.",
        "Line 2: rows from here on are not in the order of turns; sorted.",
    )


def test_csv_leaves_out_columns_that_only_share_a_name() -> None:
    text = "text,words,channel,sure\nhi,1,left,yes\nho,[[]],,\nha,[[5]],,0.5\n"
    dialogue = module("csv").read(text, "t")
    assert [(turn.text, turn.words, turn.sure) for turn in dialogue.turns] == [
        ("hi", (), None),
        ("ho", (), None),
        ("ha", (), 0.5),
    ]
    assert dialogue.remarks == (
        "Lines 2, 3 and 4: 'words' is not what this program writes there and is left out.",
        "Line 2: 'sure' is not what this program writes there and is left out.",
        "Line 2: 'channel' is not what this program writes there and is left out.",
    )


def test_csv_counts_rows_without_numbers_and_picks_its_dialogue() -> None:
    table = module("csv")
    text = "dialogue,utt_id,text\na,1,hi\nb,2,no\na,3,ho\n"
    assert [one.name for one in table.dialogues(text, "x")] == ["a", "b"]
    assert facts(table.read(text, "a")) == [
        ("unknown", None, None, "hi"),
        ("unknown", None, None, "ho"),
    ]
    with pytest.raises(UserError, match="holds 2 dialogues"):
        table.read(text, "x")
    twice = table.read("turn,text\n1,hi\n1,ho\n", "x")
    assert [turn.number for turn in twice.turns] == [0, 1]
    assert twice.remarks == ("Line 2: turn numbers are missing or repeated; rows are counted.",)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "has the columns"),
        ("a,b\n1,2\n", "has the columns a, b"),
        ('text,start\n"never closed,1\n', "quote left open"),
        ("text,start\na,b,c\n", "3 cells under 2 titles"),
        ("text,sure\nhi,5\n", "Line 2: Turn 0's 'sure' is 5"),
    ],
)
def test_csv_refuses_in_a_sentence(text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        module("csv").read(text, "t")


def test_rttm_reads_what_others_write() -> None:
    text = (
        ";; a comment\n"
        "SPKR-INFO call 1 <NA> <NA> <NA> unknown A <NA> <NA>\n"
        "SPEAKER call 1 5.0 1.25 <NA> <NA> B 0.5 <NA>\n"
        "LEXEME call 1 5.0 0.2 hi lex B <NA> <NA>\n"
        "SPEAKER call 1 0.1 0.2 <NA> <NA> A <NA>\n"
        "SPEAKER call 1 nan 0.2 <NA> <NA> A -3 <NA>\n"
        "SPEAKER call 1 7 0 <NA> <NA> A <NA> <NA>\n"
    )
    dialogue = module("rttm").read(text, "any name")
    assert facts(dialogue)[:2] == [("A", 0.1, 0.3, ""), ("B", 5.0, 6.25, "")]
    assert [turn.span for turn in dialogue.turns[2:]] == [None, None]
    assert dialogue.turns[1].sure == 0.5
    assert dialogue.remarks == (
        "Line 6: start or duration is no number, so the turn has no times.",
        "Line 6: the confidence is not between 0 and 1 and is left out.",
        "Line 7: the turn does not last, so it has no times.",
    )


def test_rttm_of_several_recordings_needs_a_name() -> None:
    text = "".join(f"SPEAKER {one} 1 0 1 <NA> <NA> {one}s <NA> <NA>\n" for one in "ab")
    assert facts(module("rttm").read(text, "b")) == [("bs", 0, 1, "")]
    with pytest.raises(UserError, match="holds 2 recordings"):
        module("rttm").read(text, "c")
    with pytest.raises(UserError, match="has 3 fields"):
        module("rttm").read("SPEAKER a 1\n", "a")
    with pytest.raises(UserError, match="no RTTM line"):
        module("rttm").read("hello, world\n", "a")


GRID = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n3\n<exists>\n4\n'
    '"IntervalTier"\n"A"\n0\n3\n2\n0\n1\n"hi ""you"""\n1\n3\n""\n'
    '"IntervalTier"\n"A - words"\n0\n3\n3\n0\n0.4\n"hi"\n0.5\n1\n"you"\n1\n3\n""\n'
    '"IntervalTier"\n"A - phones"\n0\n3\n1\n0\n3\n"h"\n'
    '"TextTier"\n"marks"\n0\n3\n1\n1.5\n"knock"\n'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_textgrid_reads_short_files_of_praat(tmp_path: Path, encoding: str, end: str) -> None:
    file = tmp_path / "call.TextGrid"
    file.write_bytes(GRID.replace("\n", end).encode(encoding))
    dialogue = formats.load(file)
    assert facts(dialogue) == [("A", 0.0, 1.0, 'hi "you"')]
    assert [word.span for _, word in dialogue.words] == [Span(0, 0.4), Span(0.5, 1)]
    assert dialogue.duration == 3
    assert dialogue.remarks == (
        "Tier marks: a tier of points is left out.",
        "Tier A - phones: a tier of phones is left out.",
    )


def test_textgrid_of_a_forced_aligner_has_words_only() -> None:
    alone = GRID.replace('"A"', '"Bo"').replace('"A - words"', '"words"')
    dialogue = module("textgrid").read(alone, "call")
    assert facts(dialogue) == [("Bo", 0.0, 1.0, 'hi "you"'), ("unknown", 0.0, 1.0, "hi you")]
    assert [turn.speaker for turn, _ in dialogue.words] == ["unknown", "unknown"]


@pytest.mark.parametrize(
    "text",
    ["", "hello", '{"start": 0}', GRID[:70], GRID.replace("0\n3\n2", "x\ny\nz"), "ooTextFile [["],
)
def test_textgrid_refuses_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="call is not a TextGrid"):
        module("textgrid").read(text, "call")


EAF = """<?xml version="1.0" encoding="UTF-16"?>
<ANNOTATION_DOCUMENT xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" VERSION="3.0"
 xsi:noNamespaceSchemaLocation="x">
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="100"/>
<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="900"/><TIME_SLOT TIME_SLOT_ID="ts3"/></TIME_ORDER>
<TIER TIER_ID="W" LINGUISTIC_TYPE_REF="default-lt"><ANNOTATION><ALIGNABLE_ANNOTATION
 ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>r &amp; b
</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION><ANNOTATION><ALIGNABLE_ANNOTATION
 ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>later
</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<TIER TIER_ID="W-gloss" PARENT_REF="W" LINGUISTIC_TYPE_REF="gloss"><ANNOTATION><REF_ANNOTATION
 ANNOTATION_ID="a3" ANNOTATION_REF="a1"><ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION>
</ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""


def test_eaf_reads_files_of_elan() -> None:
    dialogue = module("eaf").read(EAF, "call")
    assert facts(dialogue) == [("W", 0.1, 0.9, "r & b"), ("W", None, None, "later")]
    assert dialogue.remarks == (
        "Tier W: an annotation without times that make a span has none.",
        "Tier W-gloss: a tier below another that holds no words is left out.",
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>', "document type or entities"),
        ('<?xml version="1.0"?>\n<!doctype x><x/>', "document type or entities"),
        ("", "not an EAF file"),
        ("<x/>", "not an EAF file"),
        (EAF[:900], "not an EAF file"),
        (EAF.replace("ts1", ""), "not an EAF file"),
    ],
)
def test_eaf_refuses_in_a_sentence(text: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        module("eaf").read(text, "call")


def test_srt_of_other_tools() -> None:
    text = (
        "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>JOHN:</i> {\\an8}<font color=red>Hi</font>\r\n"
        "there\r\n\r\n2\r\n00:00:03,000 --> 00:00:03,000\r\n- Nobody named here.\r\n"
    )
    dialogue = module("srt").read(text, "call")
    assert facts(dialogue) == [
        ("JOHN", 1.0, 2.5, "Hi there"),
        ("unknown", None, None, "- Nobody named here."),
    ]
    assert dialogue.remarks == (
        "Cue 2: it does not last, so its turn has no times.",
        "Cue 2: no speaker is named, so it is 'unknown'.",
    )


def test_vtt_of_other_tools() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\n"
        "NOTE from 00:00.000 --> 00:09.000 nothing\n\n"
        "3f2a-11/7-0\n00:01.000 --> 00:02.000 align:start position:0%\n"
        "<v.loud Ann Lee>R&amp;B <c.yellow>please</c><00:00:01.500><c> now</c>\n"
        "<v Bo>no</v>\n\n"
        "00:00:03.000 --> 00:00:04.000\nCy: 1 &lt; 2\n\n00:05.000 --> 00:06.000\n(door)\n"
    )
    dialogue = module("vtt").read(text, "call")
    assert facts(dialogue) == [
        ("Ann Lee", 1.0, 2.0, "R&B please now"),
        ("Bo", 1.0, 2.0, "no"),
        ("Cy", 3.0, 4.0, "1 < 2"),
        ("unknown", 5.0, 6.0, "(door)"),
    ]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_subtitles_without_cues_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="has no cue"):
        module(name).read("just a letter to a friend", "call")


def test_txt_with_and_without_speakers() -> None:
    text = "Ann: hi\n\n10:30 is fine\nas I said before we met: no\nDr. Bo:  well: yes \n"
    dialogue = module("txt").read(text, "call")
    assert [(turn.speaker, turn.text) for turn in dialogue.turns] == [
        ("Ann", "hi"),
        ("unknown", "10:30 is fine"),
        ("unknown", "as I said before we met: no"),
        ("Dr. Bo", "well: yes"),
    ]
    assert dialogue.remarks == ("Lines 3 and 4: no speaker is named, so it is 'unknown'.",)


@pytest.mark.parametrize(
    ("text", "speakers"),
    [
        ("hello there\nNote: this is a test\nfine thanks", ["unknown"] * 3),
        ("(pause) she said: nothing\nand then\nno more", ["unknown"] * 3),
        ("ANNA: hello\nBEN: hi\nand how are you", ["ANNA", "BEN", "unknown"]),
        ("A: one\ntwo\nthree\nA: four\nfive", ["A", "unknown", "unknown", "A", "unknown"]),
        (
            "Doctor Who: yes\nthe long name of somebody: no",
            ["Doctor Who", "the long name of somebody"],
        ),
    ],
)
def test_a_colon_is_a_speaker_only_where_it_looks_like_one(text: str, speakers: list[str]) -> None:
    from erc_demo.formats import txt

    assert [turn.speaker for turn in txt.read(text, "x").turns] == speakers
