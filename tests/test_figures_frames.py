"""Frame weights over the waveform: each row is the turn that its map names."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest

from erc_demo.figures import frames
from erc_demo.findings import Map


def test_a_row_is_the_turn_that_the_map_names() -> None:
    view = drawn.view(20, turn=7)
    figure = frames.draw(view)
    maps = view.maps("frame")
    assert len(maps) == 2
    for row, one in enumerate(maps, 1):
        heard = frames.of(one, 7)
        span = view.analysis.dialogue.turns[heard].span
        assert span is not None
        axis = figure.get_subplot(row, 1).xaxis
        assert axis.range == pytest.approx((span.start, span.end), abs=0.02)
    assert frames.of(maps[0], 7) == 7 and frames.of(maps[1], 7) == maps[1].whose[7] < 7


def test_weights_are_multiples_of_an_even_share() -> None:
    view = drawn.view(5, turn=2)
    one = view.maps("frame")[0]
    line = frames.weights(one, 2)
    np.testing.assert_allclose(line, one.values[2] * drawn.FRAMES)
    assert line.mean() == pytest.approx(1)
    figure = frames.draw(view)
    steps = next(trace for trace in figure.data if trace.line.width == 1.6)
    np.testing.assert_allclose(steps.y[::2], line, rtol=1e-5)
    np.testing.assert_allclose(steps.y[1::2], line, rtol=1e-5)


def test_what_is_not_there_is_said_and_not_drawn() -> None:
    view = drawn.view(5, turn=0)  # nobody spoke before the first turn
    figure = frames.draw(view)
    assert "nothing here" in figure.layout.title.text.replace("<br>", " ")
    assert len(figure.get_subplot(1, 1)) == 2 and "xaxis2" not in figure.layout


def test_only_three_rows_and_the_others_named() -> None:
    view = drawn.view(5, turn=2)
    said = view.analysis.predictions[0]
    one = view.maps("frame")[0]
    more = tuple(replace(one, name=f"m{at}", title=f"title {at}") for at in range(5))
    view = replace(view, analysis=view.analysis.but(predictions=(said.but(maps=more),)))
    figure = frames.draw(view)
    assert "xaxis3" in figure.layout and "xaxis4" not in figure.layout
    assert "title 3, title 4" in figure.layout.title.text.replace("<br>", " ")


def test_long_turns_stay_small_and_keep_their_mean() -> None:
    count = 5000
    random = np.random.default_rng(0).random(count)
    view = drawn.view(5, turn=0)
    span = view.analysis.dialogue.turns[0].span
    assert span is not None
    nothing = (None,) * 4
    long = Map(
        name="frames",
        title="heard",
        axes=("frame",),
        values=(random / random.sum(), *nothing),
        at={"frame": (span.moments(count), *nothing)},
        sums="frame",
    )
    said = view.analysis.predictions[0].but(maps=(long,))
    figure = frames.draw(replace(view, analysis=view.analysis.but(predictions=(said,))))
    steps = next(trace for trace in figure.data if trace.line.width == 1.6)
    assert len(steps.y) <= 480 and np.mean(steps.y) == pytest.approx(1, abs=0.01)


def test_a_hover_says_the_words_and_no_more() -> None:
    view = drawn.view(5, turn=2)
    dialogue = view.analysis.dialogue
    turns = list(dialogue.turns)
    turns[2] = replace(turns[2], text="<b>%{x}</b>")
    odd = view.analysis.but(dialogue=replace(dialogue, turns=tuple(turns)))
    figure = frames.draw(replace(view, analysis=odd))
    steps = next(trace for trace in figure.data if trace.line.width == 1.6)
    assert "&lt;b&gt;%{x}&lt;/b&gt;" in steps.meta and "%{x}<" not in steps.hovertemplate
