"""Branches: their probabilities for a turn, and where they disagree."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest

from erc_demo.emotions import IEMOCAP6
from erc_demo.figures import branches
from erc_demo.findings import Map


def test_rows_are_the_branches_of_the_turn() -> None:
    view = drawn.view(5, turn=3)
    figure = branches.draw(view)
    found = view.maps("branch", "label")[0]
    for bars, wanted in zip(figure.data, found.values[3], strict=False):
        np.testing.assert_allclose(bars.y, wanted, atol=1e-4)
        assert sum("<b>" in text for text in bars.text) == 1
        assert "<b>" in bars.text[int(np.argmax(wanted))]
    heads = [one.text for one in figure.layout.annotations]
    for head, name, wanted in zip(heads, found.names["branch"], found.values[3], strict=False):
        assert head.startswith(name) and IEMOCAP6.labels[int(np.argmax(wanted))] in head


def test_disagreement_is_counted_turn_by_turn() -> None:
    found = drawn.view(500).maps("branch", "label")[0]
    differs, shown = branches.disagreement(found)
    for place in range(500):
        rows = found.values[place].tolist()
        said = {row.index(max(row)) for row in rows}
        assert differs[place] == (len(said) > 1)
    assert shown.all() and 0 < differs.sum() < 500


def test_axes_in_the_other_order_and_a_gap() -> None:
    view = drawn.view(5)
    said = view.analysis.predictions[0]
    rows = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]).T[:, None].transpose(1, 0, 2)
    one = Map(
        name="b",
        title="b",
        axes=("head", "label", "branch"),
        values=(None, rows, None, None, None),
        names={"label": ("sad", "angry"), "branch": ("x", "y", "z")},
    )
    view = replace(view, analysis=view.analysis.but(predictions=(said.but(maps=(one,)),)))
    assert not branches.why_not(view) and branches.why_not(replace(view, turn=0))
    np.testing.assert_allclose(branches.by_branch(one, 1), [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    differs, shown = branches.disagreement(one)
    assert shown.tolist() == [False, True, False, False, False] and differs[1]
    strip = branches.draw(view).data[-1]
    assert list(strip.x) == [1] and list(strip.marker.color) == [1.0]


def test_labels_that_the_system_does_not_have_are_refused() -> None:
    view = drawn.view(5)
    said = view.analysis.predictions[0]
    one = Map(
        name="b",
        title="b",
        axes=("branch", "label"),
        values=(np.array([[1.0]]),) + (None,) * 4,
        names={"branch": ("x",), "label": ("mad",)},
    )
    view = replace(view, analysis=view.analysis.but(predictions=(said.but(maps=(one,)),)))
    assert "does not know" in branches.why_not(view)


@pytest.mark.parametrize("turns", [5, 500])
def test_the_strip_says_how_often(turns: int) -> None:
    view = drawn.view(turns)
    differs, _ = branches.disagreement(view.maps("branch", "label")[0])
    strip = branches.draw(view).data[-1]
    widths = np.asarray(strip.width) / 0.85
    assert (np.asarray(strip.marker.color) * widths).sum() == pytest.approx(differs.sum())
