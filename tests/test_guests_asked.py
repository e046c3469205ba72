"""Guests in a conversation: their what-ifs, beside the systems in files, figures, ``analyze``."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_guests as tiny
from conversation import voice

from erc_demo import figures, guests
from erc_demo.__main__ import build, main
from erc_demo.analysis import GUESTS, QUESTIONS, ask
from erc_demo.answers import AskedGuest
from erc_demo.cache import Cache
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn, Word
from erc_demo.emotions import IEMOCAP4, LABEL_SETS, LONGEST_WORD, MOST_WORDS, OWN
from erc_demo.explanation import explain, stretches
from erc_demo.findings import Analysis, Variant
from erc_demo.settings import Settings

HERE = Settings(offline=True, device="cpu")
TEXTS = ("you do not know", "the cat", "do you know the cat", "")
SAID = (("A", 0.2, 1.4), ("B", 1.6, 2.4), ("A", 2.5, 3.9), ("B", 4.0, 5.1))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks lose more by waiting for one another's threads than they win."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A guest that hears, one that reads, one with words of its own."""
    root = tmp_path_factory.mktemp("guests")
    return {
        "heard": tiny.sound(root / "heard"),
        "said": tiny.words(root / "said"),
        "mood": tiny.words(root / "mood", ("positive", "negative", "LABEL_2")),
    }


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, guests.Guest]:
    return {name: guests.load(str(folder), HERE) for name, folder in folders.items()}


def talk() -> tuple[Dialogue, Recording]:
    """Four turns on two channels, the last without words, words with times."""
    samples = np.zeros((2, round(5.5 * RATE)), np.float32)
    turns = []
    for number, ((speaker, start, end), text) in enumerate(zip(SAID, TEXTS, strict=True)):
        channel = "AB".index(speaker)
        sound = voice(end - start, 120 + 90 * channel, number + 1)
        samples[channel, round(start * RATE) :][: len(sound)] += sound
        said = text.split()
        edges = np.linspace(start, end, len(said) + 1).tolist()
        words = tuple(
            Word(text=word, span=Span(first, last))
            for word, first, last in zip(said, edges[:-1], edges[1:], strict=True)
        )
        span = Span(start, end)
        turn = Turn(number=number, speaker=speaker, span=span, words=words, channel=channel)
        turns.append(turn)
    recording = Recording(name="talk", samples=samples, sha256="talk")
    return Dialogue(name="talk", turns=tuple(turns), duration=5.5), recording


def but(dialogue: Dialogue, place: int, **changes: Any) -> Dialogue:
    turns = list(dialogue.turns)
    turns[place] = replace(turns[place], **changes)
    return replace(dialogue, turns=tuple(turns))


def test_a_word_that_was_not_said(loaded: dict[str, guests.Guest]) -> None:
    dialogue, recording = talk()
    one = AskedGuest(loaded["said"], dialogue, recording, asked=IEMOCAP4)
    assert one.kinds == {"mask", "say"} and one.inputs == {"words": "words"}
    mask = Variant(kind="mask", turn=2, word=1)
    say = Variant(kind="say", turn=1, text="a mat on the cat")
    masked, told = one.variants({mask: (2, 0), say: (1,)})
    without = but(dialogue, 2, words=(), text="do know the cat")
    really = AskedGuest(loaded["said"], without, None, asked=IEMOCAP4).prediction
    np.testing.assert_allclose(masked.probabilities[0], really.probabilities[2], atol=1e-6)
    assert np.abs(masked.probabilities[0] - one.prediction.probabilities[2]).max() > 1e-4
    np.testing.assert_array_equal(masked.probabilities[1], one.prediction.probabilities[0])
    other = but(dialogue, 1, words=(), text="a mat on the cat")
    really = AskedGuest(loaded["said"], other, None, asked=IEMOCAP4).prediction
    np.testing.assert_allclose(told.probabilities[0], really.probabilities[1], atol=1e-6)
    alone = Dialogue(name="one", turns=(replace(dialogue.turns[1], words=(), text="cat"),))
    bare = AskedGuest(loaded["said"], alone, None, asked=IEMOCAP4)
    (nothing,) = bare.variants({Variant(kind="mask", turn=0, word=0): (0,)})
    assert nothing.why_not == ("This turn has no words.",)
    assert bare.variants({}) == []
    with pytest.raises(ValueError, match="a variant 'drop' of a guest that hears words"):
        one.variants({Variant(kind="drop", turn=0): (1,)})


def test_a_stretch_that_is_silent(loaded: dict[str, guests.Guest]) -> None:
    dialogue, recording = talk()
    one = AskedGuest(loaded["heard"], dialogue, recording, asked=IEMOCAP4)
    assert one.kinds == {"blank"}
    span = stretches(dialogue.turns[2])[1]
    whole = dialogue.turns[1].span
    assert whole is not None
    variants = [Variant(kind="blank", turn=2, span=span), Variant(kind="blank", turn=1, span=whole)]
    part, nothing = one.variants({variants[0]: (2,), variants[1]: (1,)})
    samples = np.array(recording.samples)
    samples[0, span.slice] = 0
    silent = Recording(name="talk", samples=samples, sha256="less")
    really = AskedGuest(loaded["heard"], dialogue, silent, asked=IEMOCAP4).prediction
    np.testing.assert_allclose(part.probabilities[0], really.probabilities[2], atol=1e-5)
    assert np.abs(part.probabilities[0] - one.prediction.probabilities[2]).max() > 1e-4
    assert nothing.why_not == ("This turn is silent: its channel holds nothing.",)
    assert AskedGuest(loaded["heard"], dialogue, None, asked=IEMOCAP4).kinds == set()


def test_one_turn_is_explained_in_full(loaded: dict[str, guests.Guest]) -> None:
    dialogue, recording = talk()
    for name, kind, count in (("said", "mask", 5), ("heard", "blank", 7)):
        one = AskedGuest(loaded[name], dialogue, recording, asked=IEMOCAP4)
        how = {"inputs": one.inputs, "kinds": one.kinds}
        found = explain(one.prediction, dialogue, one.variants, turn=2, **how)
        assert [effect.variant.kind for effect in found.effects] == [kind] * count
        assert found.made_by == one.prediction.made_by
        assert not explain(one.prediction, dialogue, one.variants, **how).effects


def test_chances_are_kept(
    loaded: dict[str, guests.Guest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue, recording = talk()
    guest, cache = loaded["said"], Cache(tmp_path / "cache", 10)
    first = AskedGuest(guest, dialogue, recording, asked=IEMOCAP4, cache=cache)
    heard: list[int] = []
    rows = guest.listener.rows
    monkeypatch.setattr(
        guest.listener, "rows", lambda these: heard.append(len(these)) or rows(these)
    )
    again = AskedGuest(guest, dialogue, recording, asked=IEMOCAP4, cache=cache)
    assert not heard
    np.testing.assert_array_equal(again.prediction.probabilities, first.prediction.probabilities)
    assert again.prediction.why_not == first.prediction.why_not
    assert again.remarks == first.remarks
    AskedGuest(guest, but(dialogue, 0, text="no"), recording, asked=IEMOCAP4, cache=cache)
    assert sum(heard) == 3


def test_a_guest_that_fails_leaves_the_others(
    loaded: dict[str, guests.Guest], folders: dict[str, Path], tmp_path: Path
) -> None:
    def spoilt(weights: dict[str, Any]) -> dict[str, Any]:
        return weights | {"classifier.bias": weights["classifier.bias"] * np.nan}

    broken = guests.load(str(tiny.reweigh(tiny.sound(tmp_path / "broken"), spoilt)), HERE)
    dialogue, recording = talk()
    steps: list[str] = []
    made = ask(
        Analysis(dialogue=dialogue),
        recording,
        [],
        HERE,
        guests=[loaded["heard"], broken, loaded["mood"]],
        tell=lambda step, _: steps.append(step),
    )
    assert [one.system for one in made.predictions] == ["heard", "mood"]
    assert len(made.explanations) == 2
    (remark,) = [one for one in made.dialogue.remarks if "broken" in one]
    assert "gave no answers" in remark and "not all of them finite" in remark
    assert any("mood is shown in its own words" in one for one in made.dialogue.remarks)
    assert list(dict.fromkeys(steps)) == [*QUESTIONS[:-1], GUESTS, QUESTIONS[-1]]


def test_a_row_of_its_own_words_departs_from_nobody(loaded: dict[str, guests.Guest]) -> None:
    dialogue, recording = talk()
    rows = [loaded["heard"], loaded["said"], loaded["mood"]]
    made = ask(Analysis(dialogue=dialogue), recording, [], HERE, guests=rows, labels="iemocap4")
    again = Analysis.from_json(json.loads(json.dumps(made.to_json())))
    assert [one.labels.name for one in again.predictions if one.labels] == [
        *("iemocap4", "iemocap4"),
        OWN,
    ]
    for view in (figures.View(analysis=again), figures.View(analysis=again, system="mood")):
        for name in figures.possible(view):
            drawn = figures.draw(name, view).figure
            title = drawn.layout.title.text or ""
            assert name == "context" or "Guest, a model from elsewhere" in title, name
    grid = figures.draw("systems", figures.View(analysis=again)).figure
    assert [name for name in grid.layout.yaxis.ticktext if "mood" in name] == ["<i>mood</i>"]
    keys = {one.name for one in grid.data if one.name}
    said = {again.prediction("mood").label(place) for place in range(3)}
    assert {key[2:] for key in keys} >= said


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The conversation as a recording and a transcript."""
    monkeypatch.setenv("ERC_DEMO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ERC_DEMO_OFFLINE", "1")
    dialogue, recording = talk()
    soundfile.write(tmp_path / "call.wav", recording.samples.T, RATE)
    turns = [
        {"speaker": turn.speaker, "start": turn.span.start, "end": turn.span.end, "text": text}
        for turn, text in zip(dialogue.turns, (*TEXTS[:3], "no"), strict=True)
        if turn.span
    ]
    (tmp_path / "said.json").write_text(json.dumps(turns))
    return tmp_path / "call.wav", tmp_path / "said.json"


def test_analyze_with_guests(
    call: tuple[Path, Path],
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording, said = call
    told = ["analyze", str(recording), "--transcript", str(said), "--out", str(tmp_path / "out")]
    who = ["--guests", ",".join(str(one) for one in folders.values())]
    assert main([*told, *who, "--systems", "iaan", "--untrained", "--sample", "2"]) == 0
    text = capsys.readouterr().out
    analysis = Analysis.from_json(json.loads((tmp_path / "out" / "call.json").read_text()))
    assert [one.system for one in analysis.predictions] == ["iaan", "heard", "said", "mood"]
    assert [one.guest for one in analysis.predictions] == [False, True, True, True]
    for one in analysis.predictions[1:]:
        assert one.trained and one.answered.any() and not one.maps
        assert f"{one.system} ({one.made_by}): " in text and one.made_by.startswith("guest ")
    assert "note: mood is shown in its own words, which map to no label set" in text
    assert main([*told, *who, "--systems", "none", "--labels", "iemocap4"]) == 0
    alone = Analysis.from_json(json.loads((tmp_path / "out" / "call.json").read_text()))
    assert [one.labels.name for one in alone.predictions if one.labels] == [
        *("iemocap4", "iemocap4"),
        OWN,
    ]
    capsys.readouterr()
    for wrong, says in (
        (["--guests", str(tmp_path / "nowhere")], "There is no folder"),
        (["--guests", ",", "--systems", "none"], "neither a system"),
        (["--systems", "none"], "neither a system"),
    ):
        assert main([*told, "--untrained", *wrong]) == 2
        found = capsys.readouterr().err
        assert says in found and found.count("\n") == 1


def test_the_page_on_guests_is_true() -> None:
    page = (Path(__file__).parents[1] / "docs" / "guests.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for line in block.splitlines():
        assert build().parse_args(shlex.split(line)[3:]).guests
    assert all(f"`{name}`" in page for name in LABEL_SETS)
    assert f"{MOST_WORDS}, one twice, longer than {LONGEST_WORD} characters" in page
