"""Gates: bars from the middle line, groups of many turns by their mean."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest

from erc_demo.figures import _panels, gates
from erc_demo.findings import Map


def test_a_bar_starts_at_the_middle_and_ends_at_the_gate() -> None:
    view = drawn.view(5)
    figure = gates.draw(view)
    found = view.maps("pair")[0]
    assert len(figure.data) == len(found.names["pair"])
    for row, bars in enumerate(figure.data):
        wanted = [value[row] for value in found.values if value is not None]
        assert bars.base == 0.5 and not bars.error_y.visible
        np.testing.assert_allclose(np.asarray(bars.y) + 0.5, wanted, atol=1e-4)


def test_many_turns_are_means_of_neighbours() -> None:
    view = drawn.view(500)
    bars = gates.draw(view).data[0]
    assert len(bars.x) <= 60 and bars.error_y.visible
    size = -(-500 // 60)
    values = _panels.table(view.maps("pair", weights=False)[0])[:, 0]
    for at in range(len(bars.x)):
        part = [float(one) for one in values[at * size : (at + 1) * size]]
        assert bars.y[at] + 0.5 == pytest.approx(sum(part) / len(part), abs=1e-3)
        assert bars.y[at] + 0.5 + bars.error_y.array[at] <= max(part) + 1e-3


def test_a_turn_without_gates_leaves_a_gap() -> None:
    view = drawn.view(5)
    said = view.analysis.predictions[0]
    one = Map(
        name="gates",
        title="gates",
        axes=("head", "pair"),
        values=(None, np.array([[0.2, 1.0], [0.4, 0.0]]), None, None, None),
        names={"pair": ("a by b", "<b>")},
    )
    view = replace(view, analysis=view.analysis.but(predictions=(said.but(maps=(one,)),)))
    figure = gates.draw(view)
    assert list(figure.data[0].x) == [1] and figure.data[0].y[0] == pytest.approx(-0.2)
    assert figure.data[1].y[0] == pytest.approx(0.0), "the mean of the heads"
    assert [one.text for one in figure.layout.annotations][:2] == ["a by b", "&lt;b&gt;"]
