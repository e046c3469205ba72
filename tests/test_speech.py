"""Where speech is: streaming, level, and the cutting of spans."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from erc_demo import speech
from erc_demo.dialogue import RATE, Span


@pytest.fixture(scope="module")
def sentence(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    if shutil.which("espeak-ng") is None:
        pytest.skip("ESPEAK-NG ABSENT: no spoken sentence can be made here")
    soundfile = pytest.importorskip("soundfile")
    path: Path = tmp_path_factory.mktemp("spoken") / "one.wav"
    text = "The train to the north leaves at seven from platform three."
    subprocess.run(["espeak-ng", "-v", "en", "-w", str(path), text], check=True, timeout=20)
    sound, rate = soundfile.read(path, dtype="float32")
    from scipy.signal import resample_poly

    return resample_poly(sound, RATE, rate).astype(np.float32)


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (level * random.standard_normal(round(seconds * RATE))).astype(np.float32)


def test_streaming_equals_the_whole_file() -> None:
    from faster_whisper.vad import get_vad_model

    sound = noise(speech.BLOCK * speech.FRAME / RATE + 3.0)  # two blocks, the second not full
    whole = get_vad_model()(np.pad(sound, (0, -len(sound) % speech.FRAME)).copy()).reshape(-1)
    found = speech.probabilities(sound, factor=1.0)
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_sound_is_left_as_it_was_and_may_be_read_only() -> None:
    sound = noise(1.0)
    before = sound.copy()
    sound.flags.writeable = False
    speech.probabilities(sound)
    np.testing.assert_array_equal(sound, before)


def test_several_channels_are_read_as_their_mean() -> None:
    both = np.stack([noise(2.0), noise(2.0, seed=1)])
    np.testing.assert_allclose(
        speech.probabilities(both), speech.probabilities(both.mean(axis=0)), atol=1e-5
    )
    np.testing.assert_allclose(speech.levels(both), speech.levels(both.mean(axis=0)), rtol=1e-4)


def test_soft_speech_is_heard_as_well_as_loud(sentence: np.ndarray) -> None:
    quiet = np.zeros(RATE, np.float32)
    sound = np.concatenate([quiet, sentence, quiet])
    loud, soft = speech.probabilities(sound), speech.probabilities(sound * np.float32(0.01))
    np.testing.assert_allclose(loud, soft, atol=0.02)
    spans = speech.spans(soft)
    assert spans[0].start == pytest.approx(1.0, abs=0.3)
    assert spans[-1].end == pytest.approx(1.0 + len(sentence) / RATE, abs=0.4)


def test_silence_and_noise_are_not_speech() -> None:
    assert speech.gain(np.zeros(10, np.float32)) == 1.0
    assert speech.spans(speech.probabilities(np.zeros(2 * RATE, np.float32))) == ()
    assert speech.spans(speech.probabilities(noise(3.0))) == ()


@pytest.mark.parametrize("samples", [0, 1, 100, speech.FRAME, 4800])
def test_short_recordings(samples: int) -> None:
    found = speech.probabilities(noise(samples / RATE))
    assert found.shape == (-(-samples // speech.FRAME),)
    assert found.dtype == np.float32


def test_gain_is_bounded() -> None:
    hiss = np.full(100, 10 ** (-95 / 20), np.float32)
    assert 20 * np.log10(speech.gain(hiss)) == pytest.approx(speech.MOST)


PLAIN = speech.Options(begin=0.5, end=0.3, pause=3 * speech.STEP, least=0.0, pad=0.0)


def frames(*spans: tuple[int, int]) -> tuple[Span, ...]:
    return tuple(Span(a * speech.STEP, b * speech.STEP) for a, b in spans)


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        ([0, 0, 0], frames()),
        ([0, 0.6, 0.6, 0, 0, 0, 0], frames((1, 3))),
        ([0.4, 0.6, 0.4, 0.4, 0.2, 0, 0], frames((1, 4))),  # goes on above the lower threshold
        ([0.6, 0, 0, 0.6], frames((0, 4))),  # a pause of two frames is bridged
        ([0.6, 0, 0, 0, 0.6], frames((0, 1), (4, 5))),  # a pause of three is not
        ([0.6, 0, 0, 0.4, 0, 0, 0], frames((0, 4))),
        ([0.6, 0, 0, 0, 0.4, 0.4], frames((0, 1))),  # the lower threshold alone begins nothing
    ],
)
def test_hysteresis_by_hand(probability: list[float], expected: tuple[Span, ...]) -> None:
    assert speech.spans(np.array(probability, np.float32), PLAIN) == expected


def test_pads_join_neighbours_and_stay_inside() -> None:
    options = speech.Options(
        begin=0.5, end=0.3, pause=3 * speech.STEP, least=2 * speech.STEP, pad=2 * speech.STEP
    )
    probability = np.array([1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0], np.float32)
    # the last one is too short and goes; the pads of the first two meet
    end = 9 * speech.STEP
    assert speech.spans(probability, options) == (Span(0.0, end),)
    assert speech.spans(probability, options, duration=0.2) == (Span(0.0, 0.2),)


def test_progress_ends_at_one() -> None:
    told: list[float] = []
    speech.probabilities(noise(0.5), tell=told.append)
    assert told == [1.0]
