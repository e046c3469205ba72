"""Word × frame weights: 1 is an even share, time is the recording's, words lie where heard."""

from __future__ import annotations

import json
from dataclasses import replace

import drawn
import numpy as np
import pytest

from erc_demo.dialogue import Span, Turn, Word
from erc_demo.figures import View, alignment
from erc_demo.findings import Analysis, Map


def view(
    value: np.ndarray, step: float = 0.01, start: float = 5.0, words: tuple[Word, ...] = ()
) -> View:
    """A view of one turn with a word × frame map of (heads, words, frames)."""
    frames, count = value.shape[-1], value.shape[-2]
    whole = drawn.view(5)
    span = Span(start, start + frames * step)
    text = "" if words else " ".join(f"w{at}" for at in range(count))
    turn = Turn(number=1, speaker="Agent", span=span, text=text, words=words)
    said = whole.analysis.predictions[0]
    found = Map(
        name="alignment",
        title="which sound",
        axes=("head", "word", "frame"),
        values=(value,),
        at={"word": (np.arange(count),), "frame": (span.moments(frames),)},
        sums="frame",
    )
    said = said.but(
        probabilities=said.probabilities[:1],
        values=said.values[:1],
        why_not=("",),
        maps=(found,),
    )
    dialogue = replace(whole.analysis.dialogue, turns=(turn,), duration=None)
    return View(analysis=Analysis(dialogue=dialogue, predictions=(said,)), turn=0)


def cells(one: View) -> np.ndarray:
    figure = alignment.draw(one)
    return np.asarray(figure.data[-1 - _from_the_end(figure)].z, float)


def _from_the_end(figure: object) -> int:
    kinds = [trace.type for trace in reversed(figure.data)]
    return kinds.index("heatmap")


@pytest.mark.parametrize("frames", [1, 40, 100, 1000])
def test_an_even_map_is_one_everywhere(frames: int) -> None:
    even = view(np.full((3, 4, frames), 1 / frames))
    np.testing.assert_allclose(cells(even), 1.0, atol=2e-3)
    stored = Analysis.from_json(json.loads(json.dumps(even.analysis.to_json())))
    loaded = cells(View(analysis=stored, turn=0))
    np.testing.assert_allclose(loaded, 1.0, atol=2e-2, err_msg="stripes after a JSON file")


def test_heads_are_averaged_and_weights_scaled() -> None:
    random = np.random.default_rng(0).random((2, 3, 10))
    weights = random / random.sum(axis=-1, keepdims=True)
    wanted = np.zeros((3, 10))
    for word in range(3):
        for frame in range(10):
            wanted[word, frame] = 10 * (weights[0, word, frame] + weights[1, word, frame]) / 2
    np.testing.assert_allclose(cells(view(weights)), wanted, atol=1e-3)


def test_the_axis_is_the_recordings_seconds() -> None:
    figure = alignment.draw(view(np.full((1, 2, 50), 0.02), start=61.0))
    heat = next(trace for trace in figure.data if trace.type == "heatmap")
    np.testing.assert_allclose(heat.x, 61 + np.arange(51) * 0.01, atol=1e-9)
    assert figure.layout.xaxis2.range == pytest.approx((61.0, 61.5))
    assert set(figure.layout.xaxis2.ticktext) >= {"1:01.1", "1:01.4"}


def test_many_words_and_frames_are_grouped() -> None:
    random = np.random.default_rng(1).random((1, 300, 2400))
    figure = alignment.draw(view(random / random.sum(axis=-1, keepdims=True)))
    heat = next(trace for trace in figure.data if trace.type == "heatmap")
    assert heat.z.shape[0] <= alignment.ROWS and heat.z.shape[1] <= 240
    assert heat.z.mean() == pytest.approx(1, abs=1e-3), "means of groups keep the scale"
    assert "300 words" in figure.layout.title.text
    assert figure.layout.yaxis2.ticktext[0] == "w0 … w7"


def test_words_lie_where_they_were_heard() -> None:
    words = (
        Word(text="<b>Oh", span=Span(5.0, 5.2)),
        Word(text="well", span=Span(5.2, 5.5), placed=False),
    )
    figure = alignment.draw(view(np.full((1, 2, 50), 0.02), words=words))
    lines = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines"]
    solid, dotted = (
        {one for trace in lines if trace.line.dash == dash for one in trace.x if one is not None}
        for dash in ("solid", "dot")
    )
    assert solid == {5.0, 5.2} and dotted == {5.2, 5.5}
    box = lines[-1]
    assert [(x, y) for x, y in zip(box.x[:5], box.y[:5], strict=True)] == [
        (5.0, -0.5), (5.2, -0.5), (5.2, 0.5), (5.0, 0.5), (5.0, -0.5)
    ]  # fmt: skip
    assert figure.layout.yaxis2.ticktext == ("&lt;b&gt;Oh", "well")


def test_without_a_recording_it_says_so_and_draws_the_weights() -> None:
    whole = drawn.view(5, turn=0)
    silent = alignment.draw(replace(whole, recording=None))
    assert [trace.type for trace in silent.data].count("heatmap") == 1
    assert "not at hand" in silent.layout.title.text
    assert [trace.type for trace in alignment.draw(whole).data].count("heatmap") == 2


def test_the_turn_asked_for_or_the_first_that_has_one() -> None:
    whole = drawn.view(5)
    said = whole.analysis.predictions[0]
    maps = tuple(
        replace(one, values=(None, None, *one.values[2:])) if one.name == "alignment" else one
        for one in said.maps
    )
    some = replace(whole, analysis=whole.analysis.but(predictions=(said.but(maps=maps),)))
    assert alignment.shown(some)[1] == 2
    assert "turn 1" in alignment.why_not(replace(some, turn=0))
    assert not alignment.why_not(replace(some, turn=3))
