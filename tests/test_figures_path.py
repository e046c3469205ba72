"""The path through valence and arousal: a line for each person, in the plane."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest

from erc_demo.figures import View, path


def with_values(view: View, values: np.ndarray, dimensions: tuple[str, ...]) -> View:
    said = view.analysis.predictions[0].but(values=values, dimensions=dimensions)
    return replace(view, analysis=view.analysis.but(predictions=(said,)))


def test_what_lies_outside_is_drawn_at_the_edge_and_counted() -> None:
    values = np.array([[1.7, 0.2], [0.1, -3.0], [-1.0, 1.0], [0.5, 0.5], [0, 0]], np.float32)
    view = with_values(drawn.view(5), values, ("arousal", "valence"))
    points, outside = path.plane(view.analysis.predictions[0])
    np.testing.assert_allclose(points[:3], [[0.2, 1.0], [-1.0, 0.1], [1.0, -1.0]], atol=1e-6)
    assert outside == 2
    figure = path.draw(view)
    assert "2 answers outside" in figure.layout.title.text
    for trace in figure.data:
        assert np.abs(np.concatenate([trace.x, trace.y])).max() <= 1


def test_each_person_has_a_path_in_order() -> None:
    view = drawn.view(5)
    turns, said = view.analysis.dialogue.turns, view.analysis.predictions[0]
    figure = path.draw(view)
    assert [trace.name for trace in figure.data] == list(view.analysis.dialogue.speakers)
    assert len({trace.marker.symbol for trace in figure.data}) == 2
    for trace in figure.data:
        own = [at for at, turn in enumerate(turns) if turn.speaker == trace.name]
        np.testing.assert_allclose(trace.x, said.values[own, 0], atol=1e-4)
        assert list(trace.text) == [str(turns[at].number) for at in own]


def test_many_turns_are_means_of_a_persons_neighbours() -> None:
    view = drawn.view(500)
    said, turns = view.analysis.predictions[0], view.analysis.dialogue.turns
    figure = path.draw(view)
    for trace in figure.data:
        own = [at for at, turn in enumerate(turns) if turn.speaker == trace.name]
        size = -(-len(own) // path.POINTS)
        assert len(trace.x) <= path.POINTS
        for at in range(len(trace.x)):
            part = [float(said.values[one, 1]) for one in own[at * size : (at + 1) * size]]
            assert trace.y[at] == pytest.approx(sum(part) / len(part), abs=1e-3)
        assert trace.text[0] == "start" and trace.text[-1] == "end"
    assert "mean of up to" in figure.layout.title.text


def test_turns_without_an_answer_are_left_out() -> None:
    view = drawn.view(500, system="third")
    said = view.analysis.prediction("third")
    kept = sum(len(stop) for one in ("Agent", "Caller") for stop in path.stops(
        [at for at, turn in enumerate(view.analysis.dialogue.turns)
         if turn.speaker == one and said.answered[at]]))  # fmt: skip
    assert kept == said.answered.sum() < 500
    for trace in path.draw(view).data:
        assert np.isfinite(np.asarray(trace.x, float)).all()


def test_without_both_dimensions_it_says_so() -> None:
    view = drawn.view(5)
    other = with_values(view, np.zeros((5, 1), np.float32), ("valence",))
    assert "valence and arousal" in path.why_not(other)


def test_a_small_path_is_drawn_in_a_part_of_the_plane() -> None:
    low, high = path.part([np.array([-0.4, 0.1]), np.array([-0.1, 0.3])])
    np.testing.assert_allclose([low, high], [[-0.5, -0.25], [0.25, 0.5]])
    for far in (np.array([-0.9, 0.9]), np.array([0.99, -0.01]), np.array([1.0, 1.0])):
        low, high = path.part([far, -far])
        np.testing.assert_allclose([low, high], [[-1, -1], [1, 1]])
