"""Words get their speaker one by one: numbers worked by hand, then properties of random cases."""

from __future__ import annotations

import random

import numpy as np
import pytest

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.words.seating import LONGEST, LONGEST_LETTER, NEAR, Heard, joined, seat, tidy

SPEECH = [Span(10.0, 14.0), Span(20.0, 22.0)]


def _turn(number: int, speaker: str, start: float, end: float, **more: object) -> Turn:
    return Turn(number=number, speaker=speaker, span=Span(start, end), **more)  # type: ignore[arg-type]


def test_word_alone_in_a_sure_turn_has_the_whole_margin() -> None:
    turns = seat([Heard(text="yes", start=1.0, end=1.4)], [_turn(0, "a", 0, 2)])
    assert turns[0].text == "yes"
    assert turns[0].words[0].margin == 1.0


def test_margin_is_the_difference_of_weighed_shares() -> None:
    # 1.0-1.4: a covers 0.3 of 0.4 s at 0.8, b covers all of it at 0.5: 0.6 - 0.5
    turns = seat(
        [Heard(text="yes", start=1.0, end=1.4)],
        [_turn(0, "a", 0, 1.3, sure=0.8), _turn(1, "b", 0.9, 3, sure=0.5)],
    )
    assert [len(turn.words) for turn in turns] == [1, 0]
    word = turns[0].words[0]
    assert word.margin == pytest.approx(0.1)
    assert word.span == Span(1.0, 1.3)


def test_equal_claims_have_no_margin() -> None:
    turns = seat(
        [Heard(text="yes", start=1.0, end=1.4)], [_turn(0, "a", 0, 2), _turn(1, "b", 0.5, 3)]
    )
    assert turns[0].words[0].margin == 0.0


def test_own_channel_decides_in_overlap() -> None:
    both = [_turn(0, "a", 0, 2, channel=0), _turn(1, "b", 0, 2, channel=1)]
    turns = seat([Heard(text="mine", start=0.5, end=1.0, channel=1)], both)
    assert [turn.text for turn in turns] == ["", "mine"]
    assert turns[1].words[0].margin == 1.0


def test_word_beside_a_turn_is_moved_inside_without_margin() -> None:
    turns = seat([Heard(text="late", start=2.3, end=2.6)], [_turn(0, "a", 0, 2)])
    (word,) = turns[0].words
    assert word.margin == 0.0
    assert word.span is not None
    assert (word.span.start, word.span.end) == pytest.approx((1.7, 2.0))


def test_word_far_from_every_turn_makes_one() -> None:
    turns = seat(
        [Heard(text="lost", start=8.0, end=8.5), Heard(text="word", start=8.6, end=9.0)],
        [_turn(0, "a", 0, 2), _turn(1, "b", 20, 22)],
    )
    assert [(turn.number, turn.speaker, turn.text) for turn in turns] == [
        (0, "a", ""),
        (1, "a", "lost word"),
        (2, "b", ""),
    ]
    assert [word.margin for word in turns[1].words] == [0.0, 0.0]


def test_word_reported_early_is_clipped_to_speech() -> None:
    # Whisper lets the first word begin in the silence before it
    (word,) = tidy([Heard(text="hello", start=0.5, end=10.4)], SPEECH, 30.0)
    assert word.start == pytest.approx(9.75)
    assert word.end == 10.4


def test_word_of_four_seconds_is_capped() -> None:
    (word,) = tidy([Heard(text="so", start=10.0, end=14.0)], SPEECH, 30.0)
    assert word.end - word.start == pytest.approx(LONGEST + 2 * LONGEST_LETTER)


def test_end_beyond_the_recording_is_clamped_and_floats_are_plain() -> None:
    (word,) = tidy(
        [Heard(text="bye", start=np.float64(21.5), end=np.float64(41.0))], [Span(20, 22)], 22.0
    )
    assert word.end == 22.0
    assert type(word.start) is float and type(word.end) is float


def test_words_made_up_in_silence_are_left_out() -> None:
    assert tidy([Heard(text="thanks", start=16.5, end=17.0)], SPEECH, 30.0) == []
    assert tidy([Heard(text="...", start=11.0, end=11.5)], SPEECH, 30.0) == []


@pytest.mark.parametrize("seed", range(8))
def test_every_word_is_seated_once_inside_its_turn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turns, at = [], 0.0
    for number in range(12):
        at = max(0.0, at + rng.uniform(-1.0, 3.0))
        channel = None if seed % 2 else int(rng.integers(2))
        speaker = "ab"[int(rng.integers(2)) if channel is None else channel]
        sure = float(rng.uniform())
        turns.append(
            _turn(number, speaker, at, at + rng.uniform(0.1, 4), channel=channel, sure=sure)
        )
    starts = rng.uniform(0, 38, 60)
    words = [
        Heard(
            text=f"w{i}",
            start=float(start),
            end=float(start + rng.uniform(0.02, 2)),
            channel=None if seed % 2 else int(rng.integers(2)),
        )
        for i, start in enumerate(starts)
    ]
    seated = seat(words, turns, duration=41.0)
    dialogue = Dialogue(name="made", turns=seated, duration=60.0)  # refuses words outside turns
    found = [word.text for _, word in dialogue.words]
    assert sorted(found) == sorted(word.text for word in words)
    assert all(word.margin is not None and word.span is not None for _, word in dialogue.words)
    assert {(turn.speaker, turn.span) for turn in turns} <= {(t.speaker, t.span) for t in seated}
    far = [
        word
        for word in words
        if all(
            max(turn.span.start - word.end, word.start - turn.span.end) > NEAR
            for turn in turns
            if turn.span and word.channel in (None, turn.channel)
        )
    ]
    made = [word for turn in seated if turn.sure == 0.0 for word in turn.words]
    assert sorted(word.text for word in made) == sorted(word.text for word in far)


def test_joined_spans_are_in_order_and_apart() -> None:
    assert joined([Span(3, 4), Span(0, 2), Span(1, 2.5)]) == [Span(0, 2.5), Span(3, 4)]
    assert joined([Span(0, 1), Span(1.2, 2)], gap=0.3) == [Span(0, 2)]


def test_the_stretch_a_word_is_clipped_to_is_the_best_of_all() -> None:
    draw = random.Random(3)
    for _ in range(300):
        edges = sorted(draw.sample(range(1000), 20))
        speech = [Span(a / 10, b / 10) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        start = draw.uniform(0, 99)
        word = Heard(text="w", start=start, end=start + draw.uniform(0.05, 1))
        span = Span(word.start, word.end)

        def fit(home: Span, span: Span = span) -> tuple[float, float]:
            return home.shared(span), -max(home.start - span.end, span.start - home.end)

        best = max(speech, key=fit)
        assert tidy([word], speech, 110.0) == tidy([word], [best], 110.0)
