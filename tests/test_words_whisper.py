"""The true faster-whisper path, with a tiny random model converted to CTranslate2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_whisper

from erc_demo import words
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words import whisper


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CTranslate2 Whisper of 1 MB that hears nonsense."""
    return tiny_whisper.make(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def call(recording_of: Callable[..., Recording]) -> tuple[Recording, Dialogue]:
    """Noise of two people on two channels, 40 s."""
    rng = np.random.default_rng(0)
    recording = recording_of(rng.normal(0, 0.1, (2, 40 * RATE)))
    turns = [(0, "a", 1, 4), (1, "b", 5, 7.5), (0, "a", 6.5, 9), (1, "b", 30, 38.5)]
    return recording, Dialogue(
        name="call",
        turns=tuple(
            Turn(number=i, speaker=who, span=Span(start, end), channel=channel, sure=0.8)
            for i, (channel, who, start, end) in enumerate(turns)
        ),
        duration=recording.duration,
    )


def test_words_of_a_true_run_are_seated_and_plain(
    tiny: Path, call: tuple[Recording, Dialogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "_made_up", lambda segment: False)  # a random model loops
    recording, dialogue = call
    lanes = {0: [Span(1, 4), Span(6.5, 9)], 1: [Span(5, 7.5), Span(30, 38.5)]}
    told: list[float] = []
    heard = whisper.recognise(
        recording, lanes, tiny, language="en", tell=told.append, max_new_tokens=24, temperature=0.0
    )
    assert heard.words and told[-1] == 1.0
    assert {word.channel for word in heard.words} <= {0, 1}
    for word in heard.words:
        assert type(word.start) is float and type(word.end) is float
        assert 0 <= word.start <= word.end <= recording.duration
        assert type(word.confidence) is float and 0 <= word.confidence <= 1
        own = lanes[word.channel] if word.channel is not None else []
        assert any(span.start - 0.3 <= word.start <= span.end + 0.3 for span in own)


def test_hear_names_the_model_and_its_language(
    tiny: Path, call: tuple[Recording, Dialogue]
) -> None:
    settings = Settings(recognizer=str(tiny), jobs=1)
    heard = words.hear(*call, settings)
    assert heard.recognizer == words.choose(settings)
    assert "faster-whisper" in str(heard.recognizer) and "tiny (" in str(heard.recognizer)
    assert (heard.language, heard.language_sure) == ("en", 1.0)
    assert [turn.span for turn in heard.turns] == [turn.span for turn in call[1].turns]
    assert Dialogue.from_json(heard.to_json()) == heard


def test_cancelled_between_segments(tiny: Path, call: tuple[Recording, Dialogue]) -> None:
    heard = whisper.recognise(
        call[0], {0: [Span(1, 4)]}, tiny, language="en", cancelled=lambda: True, max_new_tokens=8
    )
    assert heard.words == ()


def test_english_model_refuses_another_language(
    tiny: Path, call: tuple[Recording, Dialogue]
) -> None:
    with pytest.raises(UserError, match="multilingual"):
        words.hear(*call, Settings(recognizer=str(tiny), language="de"))


def test_folder_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model.bin"):
        words.choose(Settings(recognizer=str(tmp_path)))
    for name in whisper.FILES:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="no Whisper model"):
        whisper._model(tmp_path, "cpu", 1)


def test_models_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    names = set()
    for content in (b"one", b"two"):
        folder = tmp_path / content.decode() / "model"
        folder.mkdir(parents=True)
        for name in whisper.FILES:
            (folder / name).write_bytes(content)
        names.add(words.choose(Settings(recognizer=str(folder))))
    assert len(names) == 2


def test_stretches_hold_context_but_no_long_silence() -> None:
    found = whisper.stretches([Span(1, 3), Span(3.5, 5), Span(20, 21)], 30.0)
    assert [(span.start, span.end) for span in found] == [
        pytest.approx((0.8, 5.2)),
        pytest.approx((19.8, 21.2)),
    ]
    long = whisper.stretches([Span(0, 100)], 100.0)
    assert len(long) == 4 and all(span.duration < 30 for span in long)
    assert (long[0].start, long[-1].end) == (0.0, 100.0)


def test_sound_of_stretches_is_told_apart_again(recording_of: Callable[..., Recording]) -> None:
    ramp = np.stack([np.linspace(0, 0.5, 10 * RATE), np.linspace(0.5, 1, 10 * RATE)])
    recording = recording_of(ramp)
    group = [(0, Span(1.0, 2.5)), (1, Span(4.0, 4.7)), (0, Span(8.0, 9.0))]
    sound, clips = whisper._laid(recording, group)
    assert [clip["start"] for clip in clips] == [0.0, 2.0, 3.0]
    for (channel, span), clip in zip(group, clips, strict=True):
        part = sound[round(clip["start"] * RATE) : round(clip["end"] * RATE)]
        assert np.array_equal(part, recording.sound(span, channel))
    assert [whisper._place(moment, clips) for moment in (0.0, 1.99, 2.0, 2.99, 3.4)] == [
        0, 1, 1, 2, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("no_speech", "likely", "ratio", "dropped"),
    [
        (0.9, -1.5, 1.0, True),
        (0.9, -0.3, 1.0, False),
        (0.1, -1.5, 1.0, False),
        (0.1, -0.3, 3.0, True),
    ],
)
def test_texts_made_up_over_silence(
    no_speech: float, likely: float, ratio: float, dropped: bool
) -> None:
    segment = SimpleNamespace(no_speech_prob=no_speech, avg_logprob=likely, compression_ratio=ratio)
    assert whisper._made_up(segment) is dropped


def test_language_is_the_mean_over_stretches(recording_of: Callable[..., Recording]) -> None:
    answers = iter([[("de", 0.5), ("en", 0.4)], [("en", 0.9), ("de", 0.1)]])

    class Model:
        model = SimpleNamespace(is_multilingual=True)

        def detect_language(self, audio: np.ndarray) -> tuple[str, float, list[tuple[str, float]]]:
            return "", 0.0, next(answers)

    recording = recording_of(np.zeros(4 * RATE, np.float32))
    code, sure = whisper.detect(Model(), recording, [(None, Span(0, 1)), (None, Span(2, 3))])
    assert (code, sure) == ("en", pytest.approx(0.65))
