"""A supplied transcript: matching, guessing, and alignment of a real call or a wrong text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from erc_demo import words
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn, Word
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words.matching import match
from erc_demo.words.placing import Spot, Token, filled, gaps

SETTINGS = Settings(offline=True, jobs=2)


def test_match_finds_what_is_common_in_order() -> None:
    one = "well i think that we should go there now okay".split()
    other = "i think we should probably go there uh okay".split()
    assert [(one[i], other[j]) for i, j in match(one, other)] == [
        (word, word) for word in "i think we should go there".split()
    ]  # okay is matched, but stands alone and is short


def test_match_agrees_with_a_literal_longest_common_subsequence() -> None:
    """Never more than the optimum, and nearly as much where texts differ here and there."""
    rng = np.random.default_rng(0)
    text = [f"word{i}" for i in rng.integers(0, 60, 300)]
    said = [word for word in text if rng.uniform() > 0.15]
    said = [f"word{rng.integers(0, 60)}" if rng.uniform() < 0.1 else word for word in said]
    best = np.zeros((len(text) + 1, len(said) + 1), int)
    for i, one in enumerate(text):
        for j, other in enumerate(said):
            best[i + 1, j + 1] = (
                best[i, j] + 1 if one == other else max(best[i, j + 1], best[i + 1, j])
            )
    pairs = match(text, said)
    assert all(text[i] == said[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in zip(pairs, pairs[1:], strict=False))
    assert 0.9 * best[-1, -1] <= len(pairs) <= best[-1, -1]


def test_match_of_two_hours_stays_quick_in_memory() -> None:
    rng = np.random.default_rng(0)
    text = [f"w{i}" for i in rng.zipf(1.3, 20_000) % 5000]
    said = [word for word in text if rng.uniform() > 0.3]
    assert len(match(text, said)) > 0.8 * len(said)


def test_gaps_and_guesses_between_neighbours() -> None:
    tokens = [Token(text, 0, (text,)) for text in ("a", "bb", "c", "d")]
    sure = Spot(2.0, 2.5, 0.9, None, True)
    spots = [None, None, sure, None]
    assert gaps(spots) == [(0, 2), (3, 4)]
    found = filled(tokens, spots, Span(0.5, 3.5), None)
    assert [(round(spot.start, 3), round(spot.end, 3)) for spot in found] == [
        (0.5, 1.0), (1.0, 2.0), (2.0, 2.5), (2.5, 3.5),
    ]  # fmt: skip
    assert [spot.placed for spot in found] == [False, False, True, False]


def _call(
    shared: Callable[[str], Path], recording_of: Callable[..., Recording], most: float = 45.0
) -> tuple[Recording, Dialogue]:
    """The beginning of a shared two-channel dialogue, with its reference turns and text."""
    import soundfile

    folder = shared("data/calls/libri-stitched")
    sound, rate = soundfile.read(folder / "libri_367_2609.ogg", always_2d=True, dtype="float32")
    assert rate == RATE
    recording = recording_of(sound[: round(most * RATE)].T)
    rows = json.loads((folder / "libri_367_2609.turns.json").read_text())
    rows = [row for row in rows if row["end"] < most]

    def loudness(row: dict[str, float], channel: int) -> float:
        return float(np.square(recording.sound(Span(row["start"], row["end"]), channel)).sum())

    turns = []
    for i, row in enumerate(rows):
        channel = int(loudness(row, 1) > loudness(row, 0))
        span = Span(row["start"], row["end"])
        turns.append(
            Turn(number=i, speaker=row["speaker"], span=span, text=row["text"], channel=channel)
        )
    return recording, Dialogue(name="call", turns=tuple(turns), duration=recording.duration)


def _found(dialogue: Dialogue) -> Dialogue:
    """The turns as diarisation would give them: no text, other names."""
    return replace(
        dialogue,
        turns=tuple(
            replace(turn, text="", speaker=f"speaker {turn.channel}", sure=0.9)
            for turn in dialogue.turns
        ),
    )


def _share_placed(dialogue: Dialogue) -> float:
    all_words = [word for _, word in dialogue.words]
    return sum(word.placed for word in all_words) / len(all_words)


def test_timed_transcript_is_kept_and_its_words_are_placed(
    shared: Callable[[str], Path], recording_of: Callable[..., Recording]
) -> None:
    recording, call = _call(shared, recording_of)
    given = replace(call, turns=tuple(replace(turn, channel=None) for turn in call.turns))
    aligned = words.align(recording, _found(call), given, SETTINGS)
    assert [(t.speaker, t.span, t.text) for t in aligned.turns] == [
        (t.speaker, t.span, t.text) for t in given.turns
    ]
    assert [turn.channel for turn in aligned.turns] == [turn.channel for turn in call.turns]
    assert [" ".join(w.text for w in turn.words) for turn in aligned.turns] == [
        turn.text for turn in given.turns
    ]
    assert _share_placed(aligned) > 0.8
    assert "transcript" in str(aligned.recognizer)


def test_wrong_text_is_flagged(
    shared: Callable[[str], Path], recording_of: Callable[..., Recording]
) -> None:
    recording, call = _call(shared, recording_of)
    texts = [turn.text for turn in call.turns]
    wrong = replace(
        call,
        turns=tuple(
            replace(turn, text=text)
            for turn, text in zip(call.turns, texts[1:] + texts[:1], strict=True)
        ),
    )
    aligned = words.align(recording, _found(call), wrong, SETTINGS)
    assert _share_placed(aligned) < 0.3
    assert any("does it belong to this recording" in remark for remark in aligned.remarks)
    assert all(word.span is not None for _, word in aligned.words)


def test_text_without_times_finds_its_turns(
    shared: Callable[[str], Path], recording_of: Callable[..., Recording]
) -> None:
    recording, call = _call(shared, recording_of, 30.0)
    given = replace(
        call, turns=tuple(replace(turn, span=None, channel=None) for turn in call.turns)
    )
    aligned = words.align(recording, _found(call), given, SETTINGS)
    assert [(turn.speaker, turn.text) for turn in aligned.turns] == [
        (turn.speaker, turn.text) for turn in given.turns
    ]
    assert _share_placed(aligned) > 0.6
    for turn, true in zip(aligned.turns, call.turns, strict=True):
        assert turn.span is not None and true.span is not None
        assert turn.span.shared(true.span) > 0.5 * true.span.duration
        assert turn.channel == true.channel


def _silent(recording_of: Callable[..., Recording]) -> tuple[Recording, Dialogue]:
    turns = (
        Turn(number=0, speaker="x", span=Span(1, 3), channel=0, sure=0.9),
        Turn(number=1, speaker="y", span=Span(4, 8), channel=1, sure=0.9),
    )
    recording = recording_of(np.zeros((2, 9 * RATE), np.float32))
    return recording, Dialogue(name="silent", turns=turns, duration=9.0)


def test_another_language_is_spread_over_speech(recording_of: Callable[..., Recording]) -> None:
    recording, found = _silent(recording_of)
    text = Turn(number=0, speaker="unknown", text="wie geht es dir heute danke gut")
    given = Dialogue(name="t", turns=(text,), language="de")
    aligned = words.align(recording, found, given, SETTINGS)
    assert [word.text for _, word in aligned.words] == text.text.split()
    assert all(not word.placed and word.span is not None for _, word in aligned.words)
    assert {turn.speaker for turn in aligned.turns} <= {"x", "y"}
    assert any("English only" in remark for remark in aligned.remarks)


def test_speaker_that_nobody_named_is_the_one_found(
    recording_of: Callable[..., Recording],
) -> None:
    recording, found = _silent(recording_of)
    given = Dialogue(
        name="t",
        turns=(
            Turn(number=0, speaker="unknown", span=Span(1.2, 2.8), text="hallo"),
            Turn(number=1, speaker="unknown", span=Span(3.5, 9.0), text="ja"),
        ),
        language="de",
    )
    aligned = words.align(recording, found, given, SETTINGS)
    assert [(turn.speaker, turn.channel) for turn in aligned.turns] == [("x", 0), ("y", 1)]
    assert [turn.sure for turn in aligned.turns] == [1.0, pytest.approx(4 / 5.5)]


def test_word_times_that_are_there_already_are_kept(
    recording_of: Callable[..., Recording],
) -> None:
    recording, found = _silent(recording_of)
    word = Word(text="hello", span=Span(1.5, 2.0), confidence=0.7)
    turn = Turn(number=0, speaker="Ann", span=Span(1, 3), words=(word,))
    aligned = words.align(recording, found, Dialogue(name="t", turns=(turn,)), SETTINGS)
    assert aligned.turns[0].words == (word,)
    assert aligned.turns[0].channel == 0


def test_transcript_of_another_recording_is_one_sentence(
    recording_of: Callable[..., Recording],
) -> None:
    recording, found = _silent(recording_of)
    late = Turn(number=0, speaker="Ann", span=Span(100, 103), text="hello")
    with pytest.raises(UserError, match="another recording"):
        words.align(recording, found, Dialogue(name="t", turns=(late,)), SETTINGS)
    with pytest.raises(UserError, match="no words"):
        words.align(recording, found, Dialogue(name="t", turns=()), SETTINGS)
