"""The nouns refuse bad values at birth and survive JSON without loss."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from erc_demo.dialogue import Dialogue, Recording, Span, Turn, Word
from erc_demo.errors import UserError


def made() -> Dialogue:
    return Dialogue(
        name="call",
        duration=9.0,
        language="en",
        language_sure=0.9,
        recognizer="by hand",
        remarks=("one remark",),
        turns=(
            Turn(
                number=0,
                speaker="A",
                span=Span(0.1, 2.3),
                words=(
                    Word(text="so,", span=Span(0.1, 0.4), confidence=0.5, margin=1.0),
                    Word(text="yes", span=Span(0.4, 2.3), placed=False),
                ),
                sure=0.75,
                channel=0,
            ),
            Turn(number=2, speaker="B", span=Span(1.7, 4.0 + 1 / 3), text="No — “never”!"),
            Turn(number=3, speaker="B", span=Span(1.5, 2.0), text="a start that goes back"),
            Turn(number=7, speaker="A", text="written, not heard", words=(Word(text="written"),)),
        ),
    )


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (2.0, 2.0, "does not end after it starts"),
        (3.0, 2.0, "does not end after it starts"),
        (-0.1, 2.0, "before the recording"),
        (0.0, float("inf"), "not finite"),
        (float("nan"), 1.0, "not finite"),
        ("0", 1.0, "a number was wanted"),
        (True, 2.0, "a number was wanted"),
    ],
)
def test_a_span_refuses(start: float, end: float, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Span(start, end)


def test_a_readers_span_is_absent_where_two_numbers_make_none() -> None:
    assert Span.of(1.0, 2.0) == Span(1.0, 2.0)
    assert Span.of(-0.2, 2.0) == Span(0.0, 2.0)
    for start, end in [(2.0, 1.0), (1.0, 1.0), (None, 1.0), (0.0, None), (0.0, float("nan"))]:
        assert Span.of(start, end) is None


def test_words_lie_inside_their_turn_up_to_a_millisecond_of_rounding() -> None:
    word = Word(text="yes", span=Span(1.0, 2.001))
    assert Turn(number=0, speaker="A", span=Span(1.0, 2.0), words=(word,)).text == "yes"
    with pytest.raises(UserError, match="lies outside its turn 0"):
        Turn(number=0, speaker="A", span=Span(1.0, 1.9), words=(word,))
    with pytest.raises(UserError, match="has no times but its word 'yes' has"):
        Turn(number=0, speaker="A", words=(word,))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"number": -1}, "number is -1"),
        ({"number": True}, "number is True"),
        ({"speaker": " "}, "has no speaker"),
        ({"sure": 1.2}, "between 0 and 1"),
        ({"channel": -1}, "channel -1"),
        ({"text": 3}, "text was wanted"),
    ],
)
def test_a_turn_refuses(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Turn(**({"number": 0, "speaker": "A"} | wrong))  # type: ignore[arg-type]


def test_the_order_of_turns_is_their_number() -> None:
    first, second = (Turn(number=n, speaker="A", span=Span(5 - n, 6)) for n in (1, 2))
    assert Dialogue(name="x", turns=(first, second)).turns == (first, second)
    with pytest.raises(UserError, match="Turn 1 follows turn 2"):
        Dialogue(name="x", turns=(second, first))


def test_a_turn_after_the_recordings_end_is_refused() -> None:
    turn = Turn(number=0, speaker="A", span=Span(1, 6))
    with pytest.raises(UserError, match="belong to another recording"):
        Dialogue(name="x", turns=(turn,), duration=5)


def test_json_out_and_in_loses_nothing() -> None:
    dialogue = made()
    text = json.dumps(dialogue.to_json(), allow_nan=False)
    again = Dialogue.from_json(json.loads(text))
    assert again == dialogue
    assert again.remarks == dialogue.remarks
    assert again.to_json() == dialogue.to_json()


def test_json_with_an_unknown_field_names_it() -> None:
    data = made().to_json()
    data["turns"][0]["speeker"] = "A"
    with pytest.raises(UserError, match="'speeker'.*known are"):
        Dialogue.from_json(data)


def test_overlaps_agree_with_a_count_on_a_grid() -> None:
    draw = random.Random(5)
    for _ in range(50):
        turns = []
        for number in range(12):
            start = draw.randrange(0, 90)
            span = Span(start / 10, (start + draw.randrange(1, 20)) / 10)
            turns.append(Turn(number=number, speaker=draw.choice("ABC"), span=span))
        dialogue = Dialogue(name="x", turns=tuple(turns))
        for tick in range(120):  # the middle of each tenth of a second
            moment = tick / 10 + 0.05
            talking = {t.speaker for t in turns if t.span and t.span.start < moment < t.span.end}
            marked = any(s.start < moment < s.end for s in dialogue.overlaps())
            assert marked == (len(talking) > 1)


def test_one_person_over_himself_is_no_overlap() -> None:
    turns = tuple(Turn(number=n, speaker="A", span=Span(n, n + 2)) for n in range(3))
    assert Dialogue(name="x", turns=turns).overlaps() == ()


def test_speakers_come_in_the_order_they_appear() -> None:
    assert made().speakers == ("A", "B")


def test_a_recording_is_read_only_and_mixes_on_demand() -> None:
    samples = np.stack([np.ones(16000), np.zeros(16000)]).astype(np.float32)
    recording = Recording(name="x", samples=samples, sha256="0")
    assert (recording.channels, recording.duration) == (2, 1.0)
    assert (recording.sound() == 0.5).all()
    assert recording.sound(Span(0.25, 0.5), channel=0).shape == (4000,)
    with pytest.raises(ValueError, match="read-only"):
        recording.samples[0, 0] = 2
    with pytest.raises(UserError, match="Channel 2 was asked for"):
        recording.sound(channel=2)
    with pytest.raises(UserError, match="float32"):
        Recording(name="x", samples=samples.astype(np.float64), sha256="0")
