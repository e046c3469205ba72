"""Sound in figures: the spectrogram's axes, the envelope, and why there is none."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest
from scipy.signal import spectrogram as scipy_spectrogram

from erc_demo.dialogue import RATE
from erc_demo.figures import _sound


def test_a_tone_lies_at_its_pitch_and_its_moment() -> None:
    samples = np.zeros(2 * RATE)
    samples[RATE : RATE + RATE // 4] = np.sin(2 * np.pi * 2000 * np.arange(RATE // 4) / RATE)
    seen = _sound.spectrogram(samples, start=7.0)
    assert len(seen.edges) == seen.level.shape[1] + 1 and len(seen.hertz) == seen.level.shape[0]
    loud = seen.level[np.abs(seen.hertz - 2000).argmin()] > 200
    first, last = np.flatnonzero(loud)[[0, -1]]
    assert seen.edges[first] == pytest.approx(8.0, abs=0.02)
    assert seen.edges[last + 1] == pytest.approx(8.25, abs=0.02)
    moment = int(np.abs(seen.edges - 8.12).argmin())
    assert seen.hertz[seen.level[:, moment].argmax()] == pytest.approx(2000, abs=16)


def test_levels_are_decibels_as_scipy_has_them() -> None:
    sound = np.random.default_rng(0).normal(size=RATE // 2)
    seen = _sound.spectrogram(sound, start=0.0)
    lifted = np.append(sound[0], sound[1:] - 0.97 * sound[:-1])
    hertz, _, power = scipy_spectrogram(
        lifted,
        RATE,
        np.hanning(_sound.WINDOW),
        noverlap=_sound.WINDOW - _sound.STEP,
        nfft=_sound.BINS,
        detrend=False,
        mode="magnitude",
    )
    decibels = 20 * np.log10(power[hertz <= _sound.HIGHEST])
    wanted = np.clip((decibels - decibels.max()) / _sound.DEPTH + 1, 0, 1) * 255
    assert np.abs(seen.level.astype(float) - wanted).max() <= 0.51
    np.testing.assert_allclose(seen.hertz, hertz[hertz <= _sound.HIGHEST])


@pytest.mark.parametrize("seconds", [0.01, 1.0, 30.0, 400.0])
def test_any_length_is_small_and_covers_the_sound(seconds: float) -> None:
    samples = np.random.default_rng(1).normal(size=round(seconds * RATE))
    seen = _sound.spectrogram(samples, start=3.0)
    assert 1 <= seen.level.shape[1] <= _sound.COLUMNS and seen.level.dtype == np.uint8
    assert (np.diff(seen.edges) > 0).all()
    assert seen.edges[0] == pytest.approx(3.0, abs=0.02 + 0.001 * seconds)
    assert seen.edges[-1] == pytest.approx(3.0 + seconds, abs=0.03 + 0.002 * seconds)


@pytest.mark.parametrize(("count", "most"), [(1000, 7), (5, 10), (240, 240), (1, 3)])
def test_the_envelope_is_the_literal_loop(count: int, most: int) -> None:
    samples = np.random.default_rng(count).normal(size=count).astype(np.float32)
    lows, highs = _sound.envelope(samples, most)
    buckets = min(count, most)
    assert len(lows) == len(highs) == buckets
    edges = [round(count * at / buckets) for at in range(buckets + 1)]
    for at in range(buckets):
        part = [float(one) for one in samples[edges[at] : edges[at + 1]]]
        assert (lows[at], highs[at]) == (min(part), max(part))


def test_why_there_is_no_sound() -> None:
    view = drawn.view(5)
    samples, said = _sound.sound(view, 1)
    assert len(samples) and said == ""
    assert "not at hand" in _sound.sound(replace(view, recording=None), 1)[1]
    dialogue = view.analysis.dialogue
    assert dialogue.turns[1].span is not None and view.recording is not None
    for changes, reason in (
        ({"span": None, "words": ()}, "no times"),
        ({"channel": 3}, "channel"),
    ):
        turns = list(dialogue.turns)
        turns[1] = replace(turns[1], **changes)
        other = view.analysis.but(dialogue=replace(dialogue, turns=tuple(turns)))
        samples, said = _sound.sound(replace(view, analysis=other), 1)
        assert not len(samples) and reason in said
    short = replace(view.recording, samples=view.recording.samples[:, :100])
    assert "outside" in _sound.sound(replace(view, recording=short), 1)[1]
