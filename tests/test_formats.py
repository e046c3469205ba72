"""The contract of every format, the goldens, and what public parsers make of them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
from golden.make import REASONS, conversation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erc_demo import formats, plugs
from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.errors import UserError
from erc_demo.findings import Analysis, Step

GOLDEN = Path(__file__).parent / "golden" / "formats"
NAMES = formats.names()


def module(name: str) -> ModuleType:
    return plugs.load("erc_demo.formats", name)


def said(*turns: tuple[str, float | None, float | None, str], **more: object) -> Dialogue:
    """A dialogue of (speaker, start, end, text)."""
    return Dialogue(
        name="made",
        turns=tuple(
            Turn(number=number, speaker=speaker, span=Span.of(start, end), text=text)
            for number, (speaker, start, end, text) in enumerate(turns)
        ),
        **more,  # type: ignore[arg-type]
    )


def facts(dialogue: Dialogue) -> list[tuple[str, float | None, float | None, str]]:
    return [
        (turn.speaker, turn.span and turn.span.start, turn.span and turn.span.end, turn.text)
        for turn in dialogue.turns
    ]


# --- the contract, over whatever the folder holds


def test_the_formats_of_the_field_are_there() -> None:
    assert {"json", "csv", "rttm", "textgrid", "eaf", "srt", "vtt", "txt"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_format_says_what_it_is(name: str) -> None:
    one = module(name)
    assert one.SUFFIX.lower() == f".{name}"
    assert one.HOLDS <= set(formats.VOCABULARY)
    assert len(one.HOLDS & {"exact", "0.1 ms", "1 ms"}) == ("spans" in one.HOLDS)
    assert one.__doc__ and one.write.__doc__ and one.read.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_what_a_format_holds_comes_back(name: str) -> None:
    one, whole = module(name), conversation()
    assert one.read(one.write(whole), whole.name) == formats.keep(whole, one.HOLDS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "empty", [Dialogue(name="d"), Dialogue(name="d", duration=3.0), said(("A", None, None, "hi"))]
)
def test_nothing_comes_back_as_nothing(name: str, empty: Dialogue) -> None:
    one = module(name)
    assert one.read(one.write(empty), empty.name) == formats.keep(empty, one.HOLDS)


def test_keep_takes_away_no_more_than_it_says() -> None:
    whole = conversation()
    assert formats.keep(whole, module("json").HOLDS) == whole
    assert formats.keep(whole, module("json").HOLDS).remarks == whole.remarks
    poor = formats.keep(whole, frozenset({"spans", "1 ms", "text", "words"}))
    assert [turn.number for turn in poor.turns] == [0, 1, 2, 3, 4]  # the untimed turn went
    assert facts(poor)[3] == ("A", 4.5, 9.5, "<b>&amp; {\\an8} -->")  # by time, not by number
    assert [word.text for _, word in poor.words] == ["Well,", '"hello"', "naïve", "😀", "שלום"]
    assert poor.turns[0].words[1].span == Span(1.0, 1.812)
    assert {turn.sure for turn in poor.turns} == {None} and poor.duration is None


NASTY = (
    *("=1+1", "'=x", "''=x", "\t=1", "-5", "@x", "'tis", "＝1"),
    *("<b>x</b>", "{\\an8}hi", "{\\p1}m", "a\\Nb", "C:\\nice", "{", "<", "\\", "</v>", "<v B>x"),
    *("00:00:01,000 --> 00:00:02,000", "01:02.000 02:03.000", "--> x", "5", "NOTE x", "WEBVTT"),
    *("item [2]:", '"IntervalTier"', "ooTextFile short", "intervals [1]", 'text = "x"', "points["),
    *("[speech]", "\\[speech]", 'a "q" b', "&amp; < >", "]]>", "<!DOCTYPE x>", "&lt;", "%20 %"),
    *("A", "A 2", "A words", "A 2 words 3", "A\\", "Speaker 1", "words", "B - words", "phones"),
    *("A: b", "a:b", "A\\: b", ":", "<NA>", ";;", "\u2060", "\u2060\u2060x", "\u202eabc"),
    *("\x00\x01", "line\r\nbreak", "  two  spaces ", "\u2028x", "😀", "\ud800", "e\u0301"),
)
TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=10),
    st.lists(st.sampled_from((*NASTY, " ")), max_size=3).map("".join),
)
SPOKEN = TEXT.filter(str.strip)
SHARE = st.none() | st.floats(0, 1)


@st.composite
def dialogues(draw: st.DrawFn) -> Dialogue:
    turns, number = [], 0
    for _ in range(draw(st.integers(0, 4))):
        number += draw(st.integers(1, 3))
        start = draw(st.none() | st.floats(0, 20))
        span = None if start is None else Span(start, start + draw(st.floats(1e-4, 8)))
        words = []
        for _ in range(draw(st.integers(0, 3))):
            at = None
            if span is not None and draw(st.booleans()):
                low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
                low, high = span.start + low * span.duration, span.start + high * span.duration
                at = Span(low, high) if high > low + 1e-3 else None
            words.append(
                Word(
                    text=draw(SPOKEN),
                    span=at,
                    confidence=draw(SHARE),
                    margin=draw(SHARE),
                    placed=draw(st.booleans()),
                )
            )
        turns.append(
            Turn(
                number=number,
                speaker=draw(SPOKEN),
                span=span,
                text=draw(TEXT),
                words=tuple(words),
                sure=draw(SHARE),
                channel=draw(st.none() | st.integers(0, 3)),
            )
        )
    last = max((turn.span.end for turn in turns if turn.span), default=0.0)
    more = draw(st.none() | st.floats(0.01, 5))
    duration = None if more is None else last + more
    return Dialogue(name="d", turns=tuple(turns), duration=duration, language_sure=draw(SHARE))


@pytest.mark.parametrize("name", NAMES)
def test_any_dialogue_comes_back(name: str) -> None:
    one = module(name)

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(dialogues())
    def check(dialogue: Dialogue) -> None:
        kept = formats.keep(dialogue, one.HOLDS)
        assert one.read(one.write(dialogue), "d") == kept
        assert formats.keep(kept, one.HOLDS) == kept

    check()


# --- goldens


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str, tmp_path: Path) -> None:
    (written,) = formats.export(conversation(), tmp_path, [name])
    assert written.read_bytes() == (GOLDEN / written.name).read_bytes(), (
        "a golden changed: is it better? then say why in tests/golden/make.py and run it"
    )


def test_every_golden_turn_has_a_reason() -> None:
    assert len(REASONS) == len(conversation().turns)
    assert len(list(GOLDEN.iterdir())) == len(NAMES)


# --- other people's parsers open our files


def exported(dialogue: Dialogue, folder: Path) -> dict[str, Path]:
    return dict(zip(NAMES, formats.export(dialogue, folder, NAMES), strict=True))


def by_speaker(dialogue: Dialogue) -> dict[str, list[tuple[float, float, str]]]:
    found: dict[str, list[tuple[float, float, str]]] = {}
    for turn in dialogue.turns:
        assert turn.span is not None
        row = (round(turn.span.start, 3), round(turn.span.end, 3), turn.text)
        found.setdefault(turn.speaker, []).append(row)
    return {speaker: sorted(rows) for speaker, rows in found.items()}


def words_by_speaker(dialogue: Dialogue) -> dict[str, list[tuple[float, float, str]]]:
    found: dict[str, list[tuple[float, float, str]]] = {}
    for turn, word in dialogue.words:
        assert word.span is not None
        row = (round(word.span.start, 3), round(word.span.end, 3), word.text)
        found.setdefault(turn.speaker, []).append(row)
    return {speaker: sorted(rows) for speaker, rows in found.items()}


def test_public_parsers_read_the_same(shared: Callable[[str], Path], tmp_path: Path) -> None:
    calls = shared("data/calls")
    kinds = ("*/*.rttm", "*/*.words.json", "*/*.turns.json")
    every = sorted(file for kind in kinds for file in calls.glob(kind))
    assert len(every) > 20
    for file in every:
        opens_elsewhere(formats.load(file), tmp_path / file.name)


def test_public_parsers_read_the_golden_turns(tmp_path: Path) -> None:
    plain = [turn for turn in conversation().turns if turn.number < 4]
    tame = [replace(turn, text=turn.text.lstrip("="), words=()) for turn in plain]
    opens_elsewhere(Dialogue(name="plain", turns=tuple(tame), duration=9.5), tmp_path)


def opens_elsewhere(dialogue: Dialogue, folder: Path) -> None:
    """Each format is opened by a parser that is not ours, and says the same."""
    files, wanted = exported(dialogue, folder), by_speaker(dialogue)
    read_by_praatio(files["textgrid"], dialogue)
    read_by_pympi(files["eaf"], dialogue)
    read_by_subtitle_parsers(files["srt"], files["vtt"], dialogue)
    load_rttm = pytest.importorskip("pyannote.database.util").load_rttm
    ((_, annotation),) = load_rttm(files["rttm"]).items()
    tracks = {speaker: annotation.label_timeline(speaker) for speaker in annotation.labels()}
    assert {
        unquote(speaker): [(round(one.start, 3), round(one.end, 3)) for one in line]
        for speaker, line in tracks.items()
    } == {speaker: [row[:2] for row in rows] for speaker, rows in wanted.items()}
    with files["csv"].open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["speaker"], float(row["start"]), float(row["end"]), row["text"]) for row in rows] \
        == facts(dialogue)  # fmt: skip
    plain = json.loads(files["json"].read_text(encoding="utf-8"))
    assert Dialogue.from_json(plain) == dialogue
    assert files["txt"].read_text(encoding="utf-8").splitlines() == [
        f"{turn.speaker}: {turn.text}".strip() for turn in dialogue.turns
    ]


def read_by_praatio(file: Path, dialogue: Dialogue) -> None:
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(file), includeEmptyIntervals=True)
    for speaker, rows in by_speaker(dialogue).items():
        lanes = [tier for tier in grid.tiers if tier.name in (speaker, f"{speaker} 2")]
        found = [
            (round(one.start, 3), round(one.end, 3), one.label.replace("[speech]", ""))
            for tier in lanes
            for one in tier.entries
            if one.label
        ]
        assert sorted(found) == rows
    for speaker, rows in words_by_speaker(dialogue).items():
        lanes = [tier for tier in grid.tiers if tier.name.startswith(f"{speaker} words")]
        found = [
            (round(one.start, 3), round(one.end, 3), one.label)
            for tier in lanes
            for one in tier.entries
            if one.label
        ]
        assert sorted(found) == rows
    for tier in grid.tiers:  # gaps are intervals too: no tier has a hole
        edges = [0.0, *(edge for one in tier.entries for edge in one[:2]), grid.maxTimestamp]
        assert edges[::2] == edges[1::2]


def read_by_pympi(file: Path, dialogue: Dialogue) -> None:
    from pympi import Eaf

    eaf = Eaf(str(file))

    def rows(kind: str, speaker: str) -> list[tuple[float, float, str]]:
        return sorted(
            (start / 1000, end / 1000, text)
            for tier in eaf.get_tier_ids_for_linguistic_type(kind)
            if eaf.get_parameters_for_tier(tier)["PARTICIPANT"] == speaker
            for start, end, text in eaf.get_annotation_data_for_tier(tier)
        )

    for speaker, wanted in by_speaker(dialogue).items():
        assert rows("default-lt", speaker) == wanted
    for speaker, wanted in words_by_speaker(dialogue).items():
        assert rows("words", speaker) == wanted


def read_by_subtitle_parsers(srt: Path, vtt: Path, dialogue: Dialogue) -> None:
    import pysubs2

    wanted = sorted(
        (start, end, speaker, text)
        for speaker, rows in by_speaker(dialogue).items()
        for start, end, text in rows
    )
    found = [(one.start / 1000, one.end / 1000, one.plaintext) for one in pysubs2.load(str(srt))]
    assert sorted(found) == sorted(
        (start, end, f"{who}: {text}".strip()) for start, end, who, text in wanted
    )
    webvtt = pytest.importorskip("webvtt")
    assert sorted(
        (clock(one.start), clock(one.end), one.voice or "", one.text.strip())
        for one in webvtt.read(str(vtt))
    ) == [(start, end, who, text) for start, end, who, text in wanted]


def clock(stamp: str) -> float:
    hours, minutes, seconds = stamp.split(":")
    return round(int(hours) * 3600 + int(minutes) * 60 + float(seconds), 3)


# --- what only some formats have to mind


def test_json_takes_an_analysis(tmp_path: Path) -> None:
    analysis = Analysis(dialogue=conversation(), steps=(Step(name="read", seconds=1.0),))
    json_file, rttm_file = formats.export(analysis, tmp_path, ["json", "rttm"])
    assert Analysis.from_json(json.loads(json_file.read_text(encoding="utf-8"))) == analysis
    assert formats.load(json_file) == analysis.dialogue
    assert rttm_file.read_bytes() == (GOLDEN / rttm_file.name).read_bytes()


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "'=1", "＝1"])
def test_csv_formulas_are_text(cell: str) -> None:
    written = module("csv").write(said((cell, 0, 1, cell)))
    (row,) = csv.DictReader(written.removeprefix("\ufeff").splitlines(keepends=True))
    assert row["text"] == row["speaker"] == "'" + cell
    assert facts(module("csv").read(written, "made")) == [(cell, 0, 1, cell)]


@pytest.mark.parametrize(
    "speakers",
    [
        ("A", "A 2", "A words", "A 2 words", "A words 2", "A 2 words 3"),
        ("Speaker 1", "Speaker 2"),
        ("Speaker 1", "Speaker"),
        ("words", "A words", "my phones", "A\\", "A\\\\", "\\"),
    ],
)
@pytest.mark.parametrize("name", ["textgrid", "eaf"])
def test_tiers_keep_speakers_apart(name: str, speakers: tuple[str, ...]) -> None:
    turns = tuple(
        Turn(
            number=number,
            speaker=speaker,
            span=Span(number / 10, number / 10 + 2),
            text=f"t{number}",
            words=(Word(text=f"w{number}", span=Span(number / 10, number / 10 + 1)),),
        )
        for number, speaker in enumerate(speakers * 3)
    )
    dialogue = Dialogue(name="d", turns=turns, duration=9.0)
    again = module(name).read(module(name).write(dialogue), "d")
    assert again == formats.keep(dialogue, module(name).HOLDS)
    assert not again.remarks


def test_speakers_called_by_number_keep_their_names() -> None:
    written = module("textgrid").write(said(("Speaker 1", 0, 1, "a"), ("Speaker 2", 1, 2, "b")))
    assert 'name = "Speaker 1" ' in written and 'name = "Speaker 2" ' in written


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_in_a_sentence(name: str) -> None:
    one, chance = module(name), random.Random(5)
    whole = one.write(conversation())
    read = refused = 0
    for _ in range(100):
        letters = list(whole)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(letters) + 1)
            match chance.randrange(4):
                case 0:
                    del letters[place : place + chance.randint(1, 40)]
                case 1:
                    letters[place : place + 1] = chance.choice("0-9.:;,\"'<>[]{}\\\n\t\0 NaéA")
                case 2:
                    letters[place:place] = letters[: chance.randint(1, 60)]
                case 3:
                    letters = letters[: max(1, place)]
        try:
            assert isinstance(one.read("".join(letters), "d"), Dialogue)
            read += 1
        except UserError as exc:
            assert str(exc).endswith((".", "?")) and "\n" not in str(exc)
            refused += 1
    assert read and read + refused == 100


# --- the door


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name in ("../../evil", "/etc/passwd", "..", "CON", "a\0b\nc", "x" * 999, ".hidden", "é?*"):
        (file,) = formats.export(Dialogue(name=name), folder, ["txt"])
        assert file.parent == folder and file.is_file() and not file.name.startswith(".")
    assert len(list(tmp_path.iterdir())) == 1
    assert not list(folder.glob(".*"))


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "made.txt").mkdir()  # can't be replaced by a file
    with pytest.raises(UserError, match="can't be written"):
        formats.export(said(("A", 0, 1, "hi")), tmp_path, ["txt"])
    assert [file.name for file in tmp_path.iterdir()] == ["made.txt"]


def test_export_names_formats_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no 'docx' in formats; choose one of .*rttm"):
        formats.export(Dialogue(name="d"), tmp_path, ["docx"])


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.docx", b"", "no format that is known"),
        ("a", b"", "no format that is known"),
        ("a.txt", b"RIFF\x81\x00\x00\x00\x00\x01WAVE", "is not text"),
        ("a.txt", b"\xff\xfea", "is not text"),
        ("a.txt", b"x" * 2000, "larger than"),
    ],
)
def test_load_refuses_in_a_sentence(
    name: str, content: bytes, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "LARGEST", 1000)
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError, match=match):
        formats.load(file)


def test_load_says_what_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        formats.load(tmp_path / "absent.txt")
    with pytest.raises(UserError, match="is not a file"):
        formats.load(tmp_path, "txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_load_takes_the_encodings_of_editors(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "call.log"
    file.write_bytes("Zoë: naïve\r\nBo: – no\r\n".encode(encoding))
    dialogue = formats.load(file, "txt")
    assert dialogue.name == "call"
    assert [turn.text for turn in dialogue.turns] == ["naïve", "– no"]
