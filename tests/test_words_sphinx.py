"""pocketsphinx: its workers' lives and deaths, telephone sound, and one real sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from erc_demo import words
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words import narrow, sphinx
from erc_demo.words.listening import once

SENTENCE = "the egyptian background of the bondage"
POCKET = Settings(recognizer="pocketsphinx", offline=True, jobs=1)

# A worker that dies of loud sound, and of every first request if told so; else it names the level.
STAND_IN = """
import json, os, sys
import numpy as np
requests, answers = sys.stdin.buffer, sys.stdout.buffer
requests.readline()
while line := requests.readline():
    sound = np.frombuffer(requests.read(json.loads(line)["bytes"]), "<i2")
    if sound.max() > 30000:
        os.kill(os.getpid(), 11)
    marker = {marker!r}
    if marker and not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), 11)
    word = [f"level{{sound.max() // 3000}}", 0.0, 0.1, 0.5, -1.0]
    answers.write(json.dumps({{"words": [word]}}).encode() + b"\\n")
    answers.flush()
"""


def _stand_in(marker: str = "") -> list[str]:
    return [sys.executable, "-c", STAND_IN.format(marker=marker)]


def _level(amount: float) -> sphinx.Utterance:
    return sphinx.Utterance(np.full(RATE // 10, amount, np.float32))


def _listen(levels: list[float], marker: str = "") -> list[list[sphinx.Said] | None]:
    return sphinx.listen(
        [0.1] * len(levels),
        lambda i: _level(levels[i]),
        {},
        workers=2,
        command=_stand_in(marker),
    )


def test_answers_come_back_in_order() -> None:
    answers = _listen([0.1, 0.2, 0.3, 0.4, 0.5])
    assert [answer[0].text for answer in answers if answer] == [f"level{i}" for i in range(1, 6)]


def test_utterance_that_kills_its_worker_twice_goes_without_words() -> None:
    answers = _listen([0.1, 1.0, 0.3])
    assert answers[1] is None
    assert [answer[0].text for answer in answers if answer] == ["level1", "level3"]


def test_worker_that_dies_once_is_replaced_and_the_utterance_heard(tmp_path: Path) -> None:
    answers = _listen([0.2], str(tmp_path / "died"))
    assert (tmp_path / "died").exists()
    assert answers[0] is not None and answers[0][0].text == "level2"


def test_what_tell_raises_ends_the_workers() -> None:
    started: list[sphinx.Worker] = []
    keep = sphinx.Worker.__init__

    def note(self: sphinx.Worker, *given: object) -> None:
        keep(self, *given)  # type: ignore[arg-type]
        started.append(self)

    def stop(_: float) -> None:
        raise KeyError("stop")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sphinx.Worker, "__init__", note)
        with pytest.raises(KeyError, match="stop"):
            sphinx.listen(
                [0.1] * 4, lambda i: _level(0.1), {}, workers=1, tell=stop, command=_stand_in()
            )
    assert started and all(worker.process.poll() is not None for worker in started)


def test_cancelled_leaves_the_rest_empty() -> None:
    answers = sphinx.listen(
        [0.1] * 3, lambda i: _level(0.1), {}, workers=1, cancelled=lambda: True, command=_stand_in()
    )
    assert len(answers) == 3 and [] in answers


def test_death_is_a_remark_and_not_a_crash(
    recording_of: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = np.zeros(4 * RATE, np.float32)
    sound[2 * RATE :] = 1.0
    turns = (
        Turn(number=0, speaker="a", span=Span(0.2, 1.5)),
        Turn(number=1, speaker="b", span=Span(2.5, 3.5)),
    )
    keep = sphinx.Worker.__init__
    monkeypatch.setattr(
        sphinx.Worker, "__init__", lambda self, how, command=None: keep(self, how, _stand_in())
    )
    heard = words.hear(recording_of(sound), Dialogue(name="x", turns=turns, duration=4.0), POCKET)
    assert [turn.text for turn in heard.turns] == ["level0", ""]
    assert any("broke down over 1 of 2" in remark for remark in heard.remarks)


def test_real_worker_refuses_politely_and_goes_on() -> None:
    worker = sphinx.Worker(sphinx.following())
    try:
        silence = np.zeros(RATE, np.float32)
        assert worker.ask(sphinx.Utterance(np.zeros(0, np.float32), "hello")) == []
        assert worker.ask(sphinx.Utterance(silence, "xqzzt")) == []
        assert worker.ask(sphinx.Utterance(silence, "hello", {"xqzzt": "NO PHONES"})) == []
        assert worker.process.poll() is None
    finally:
        worker.close()


def test_real_worker_does_not_remember_what_it_heard_before(shared: Callable[[str], Path]) -> None:
    sound = _sentence(shared)
    rng = np.random.default_rng(0)
    loud = rng.normal(0, 0.3, RATE // 2).astype(np.float32)
    worker = sphinx.Worker(sphinx.hearing())
    try:
        first = worker.ask(sphinx.Utterance(sound))
        worker.ask(sphinx.Utterance(loud))
        assert worker.ask(sphinx.Utterance(sound)) == first
        assert first and all(0 <= word.confidence <= 1 and word.score < 0 for word in first)
    finally:
        worker.close()


def _sentence(shared: Callable[[str], Path]) -> np.ndarray:
    import soundfile

    folder = shared("data/calls/libri-stitched")
    turns = json.loads((folder / "libri_367_2609.turns.json").read_text())
    turn = next(turn for turn in turns if SENTENCE in turn["text"])
    sound, rate = soundfile.read(folder / "libri_367_2609.ogg", always_2d=True, dtype="float32")
    assert rate == RATE
    part = sound[round(turn["start"] * RATE) : round(turn["end"] * RATE)]
    loudest = np.square(part).sum(axis=0).argmax()  # the reader's own channel
    return np.ascontiguousarray(part[:, loudest])


def test_real_sentence_is_heard_in_its_turn(
    shared: Callable[[str], Path], recording_of: Callable[..., Recording]
) -> None:
    sound = np.concatenate([np.zeros(RATE, np.float32), _sentence(shared)])
    recording = recording_of(sound)
    turn = Turn(number=0, speaker="reader", span=Span(1.0, recording.duration), sure=0.9)
    dialogue = Dialogue(name="x", turns=(turn,), duration=recording.duration)
    told: list[float] = []
    heard = words.hear(recording, dialogue, POCKET, tell=told.append)
    assert {"egyptian", "background"} & set(heard.turns[0].text.split())
    assert heard.recognizer == words.choose(POCKET) and "pocketsphinx 5.1.1" in heard.recognizer
    assert heard.language is None
    assert words.LAST_RESORT in heard.remarks
    assert told[-1] == 1.0
    for word in heard.turns[0].words:
        assert word.confidence is not None and word.margin is not None and word.margin <= 0.9


def test_other_languages_get_no_words(recording_of: Callable[..., Recording]) -> None:
    recording = recording_of(np.zeros(RATE, np.float32))
    turn = Turn(number=0, speaker="a", span=Span(0, 1))
    settings = Settings(recognizer="pocketsphinx", language="de")
    heard = words.hear(recording, Dialogue(name="x", turns=(turn,), duration=1.0), settings)
    assert heard.turns == (turn,)
    assert heard.language == "de"
    assert any("sound alone" in remark for remark in heard.remarks)


def test_nobody_listens_when_told_so(recording_of: Callable[..., Recording]) -> None:
    recording = recording_of(np.zeros(RATE, np.float32))
    dialogue = Dialogue(
        name="x", turns=(Turn(number=0, speaker="a", span=Span(0, 1)),), duration=1.0
    )
    heard = words.hear(recording, dialogue, Settings(recognizer="none"))
    assert heard.turns == dialogue.turns and heard.recognizer is None


def test_long_turns_are_cut_where_they_are_quiet() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 50 * RATE).astype(np.float32)
    sound[round(17.0 * RATE) : round(17.3 * RATE)] = 0
    sound[round(30.0 * RATE) : round(30.3 * RATE)] = 0
    cuts = list(sphinx.pieces(sound, Span(100.0, 150.0)))
    assert 117.0 < cuts[0].end < 117.3 and 130.0 < cuts[1].end < 130.3
    assert all(one.end == other.start for one, other in pairwise(cuts))
    assert cuts[-1].end == 150.0 and all(part.duration <= sphinx.LONGEST for part in cuts)


def test_overlapping_turns_are_heard_once() -> None:
    assert once([Span(0, 5), Span(4, 6), Span(4.5, 5.5)]) == [Span(0, 5), Span(5, 6)]


def test_unknown_recogniser_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="pocketsphinx"):
        words.choose(Settings(recognizer="siri"))


def test_auto_offline_falls_back_and_says_why(
    recording_of: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    settings = Settings(offline=True)
    assert words.choose(settings).startswith("pocketsphinx")
    turn = Turn(number=0, speaker="a", span=Span(0, 0.05))
    heard = words.hear(
        recording_of(np.zeros(RATE, np.float32)),
        Dialogue(name="x", turns=(turn,), duration=1.0),
        settings,
    )
    assert any("No Whisper model could be used" in remark for remark in heard.remarks)


def _low_passed(sound: np.ndarray, hertz: float) -> np.ndarray:
    spectrum = np.fft.rfft(sound)
    spectrum[np.fft.rfftfreq(len(sound), 1 / RATE) > hertz] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def test_only_telephone_sound_is_widened(recording_of: Callable[..., Recording]) -> None:
    wide = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    spans = [Span(0, 2)]
    assert narrow.measure(recording_of(wide), spans, 0) is None
    assert narrow.widened(wide, None) is wide
    thin = _low_passed(wide, 3400)
    lane = narrow.measure(recording_of(thin), spans, 0)
    made = narrow.widened(thin, lane)
    assert made.shape == thin.shape and made.dtype == np.float32
    hertz = np.fft.rfftfreq(len(made), 1 / RATE)
    added = np.abs(np.fft.rfft(made - thin)) ** 2
    assert added[(hertz > 3600) & (hertz < 6900)].mean() > 1000 * added[hertz < 3300].mean()


def test_widening_reconstructs_what_it_takes_apart() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 5000).astype(np.float32)
    again = narrow._sound(narrow._spectrum(sound), len(sound))
    assert np.abs(again - sound).max() < 1e-6


def test_fitted_mapping_finds_a_linear_law() -> None:
    """Noise whose upper half follows its lower half in level: most of it is explained."""
    rng = np.random.default_rng(0)

    def sound() -> np.ndarray:
        levels = np.repeat(np.exp(rng.normal(0, 1, 40)), RATE // 20)
        return (rng.normal(0, 0.01, len(levels)) * levels).astype(np.float32)

    _, explained = narrow.fit(sound() for _ in range(4))
    assert explained.min() > 0.5
