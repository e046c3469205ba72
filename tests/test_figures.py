"""Every figure of the folder keeps the contract, at 5 and at 500 turns, on light and dark paper."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import contact_sheet
import drawn
import numpy as np
import plotly.graph_objects as go
import pytest

from erc_demo import figures, plugs
from erc_demo.dialogue import Dialogue, Turn
from erc_demo.emotions import IEMOCAP4, IEMOCAP6, LABEL_SETS, contrast
from erc_demo.errors import UserError
from erc_demo.figures import View, _theme
from erc_demo.figures._blocks import PALEST, fill, readable
from erc_demo.figures._panels import turn_ticks
from erc_demo.findings import Analysis, Prediction

NAMES = figures.names()
TRACES, BYTES = 40, 2_000_000
EVIL = "<b onclick=x>&lt;</b> <script>alert(1)</script> © said"


def wordless(turn: Turn) -> Turn:
    return replace(turn, text="", words=())


def random_weights(view: View) -> View:
    """The view, every prediction untrained."""
    all_of_them = tuple(one.but(trained=False) for one in view.analysis.predictions)
    return replace(view, analysis=view.analysis.but(predictions=all_of_them))


def draws(name: str, view: View) -> figures.Picture | None:
    """The picture, or None where the figure says in one sentence why there is none."""
    why = plugs.load(figures.PACKAGE, name).why_not(view)
    assert isinstance(why, str)
    if not why:
        return figures.draw(name, view)
    assert why[0].isupper() or why[0] in "'" or why.split()[0] in drawn.SYSTEMS, why
    assert why.endswith(".") and "\n" not in why
    with pytest.raises(UserError) as caught:
        figures.draw(name, view)
    assert str(caught.value) == why
    return None


@pytest.mark.parametrize("name", NAMES)
def test_title_and_sentence(name: str) -> None:
    module = plugs.load(figures.PACKAGE, name)
    assert module.__doc__
    assert 0 < len(module.TITLE) <= 60 and not module.TITLE.endswith(".")
    assert module.READ.endswith(".") and module.READ[0].isupper()
    assert ". " not in module.READ and "\n" not in module.READ


@pytest.mark.parametrize(("name", "turns"), list(product(NAMES, (5, 500))))
def test_draws_light_and_dark(name: str, turns: int) -> None:
    light, dark = (draws(name, drawn.view(turns, dark=dark)) for dark in (False, True))
    assert light is not None and dark is not None, "the made-up analysis has all that is needed"
    assert (light.name, light.title) == (name, plugs.load(figures.PACKAGE, name).TITLE)
    assert len(light.figure.data) <= TRACES
    assert len(drawn.text(light).encode()) <= BYTES
    assert light.figure.layout.template.layout.paper_bgcolor == _theme.LIGHT.paper
    assert dark.figure.layout.template.layout.paper_bgcolor == _theme.DARK.paper
    assert drawn.text(go.Figure(light.figure.data)) != drawn.text(go.Figure(dark.figure.data))
    assert light.figure.layout.width is None, "the page says how wide"
    assert light.figure.layout.height >= 100


@pytest.mark.parametrize("name", NAMES)
def test_drawing_is_a_function_of_the_view(name: str) -> None:
    assert drawn.text(figures.draw(name, drawn.view(5))) == drawn.text(
        figures.draw(name, drawn.view(5))
    )


@pytest.mark.parametrize(("name", "turns"), list(product(NAMES, (1, 2, 5, 61, 500))))
def test_any_turn_may_be_looked_at(name: str, turns: int) -> None:
    for turn in {0, turns // 2, turns - 1}:
        draws(name, drawn.view(turns, turn=turn))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("system", drawn.SYSTEMS)
def test_every_system_may_be_looked_at(name: str, system: str) -> None:
    draws(name, drawn.view(40, system=system, turn=3))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_prediction(name: str) -> None:
    view = drawn.view(5)
    nobody = view.analysis.but(predictions=(), explanations=())
    picture = draws(name, replace(view, analysis=nobody, truth=()))
    assert name != "timeline" or picture is not None


@pytest.mark.parametrize("name", NAMES)
def test_without_a_turn(name: str) -> None:
    draws(name, View(analysis=Analysis(dialogue=Dialogue(name="empty"))))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [drawn.untimed, wordless])
@pytest.mark.parametrize("turns", [5, 500])
def test_turns_without_times_or_words(name: str, change: Any, turns: int) -> None:
    draws(name, drawn.with_turns(drawn.view(turns), change))


@pytest.mark.parametrize("name", NAMES)
def test_without_recording_and_truth(name: str) -> None:
    draws(name, drawn.view(5, recording=None, truth=()))


@pytest.mark.parametrize("name", NAMES)
def test_untrained_is_marked(name: str) -> None:
    for turns in (5, 500):
        view = drawn.view(turns)
        assert _theme.UNTRAINED not in drawn.text(figures.draw(name, view))
        picture = figures.draw(name, random_weights(view))
        assert _theme.UNTRAINED in drawn.text(go.Figure(layout=picture.figure.layout)), (
            "and not in hovers"
        )


@pytest.mark.parametrize("name", NAMES)
def test_words_hold_no_tags(name: str) -> None:
    view = drawn.with_turns(
        drawn.view(5), lambda turn: replace(turn, text=EVIL, words=(), speaker="<i>")
    )
    picture = draws(name, view)
    if picture is not None:
        assert "<script" not in drawn.text(picture) and "<b onclick" not in drawn.text(picture)
        assert "<i>:" not in drawn.text(picture) and ", <i>" not in drawn.text(picture)


@pytest.mark.parametrize("name", NAMES)
def test_reads_no_system_by_name(name: str) -> None:
    source = Path(plugs.load(figures.PACKAGE, name).__file__ or "").read_text(encoding="utf-8")
    words = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    assert not words & set(plugs.names("erc_demo.systems"))


def test_a_sixth_figure_needs_no_edit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "zz_dropped_in.py").write_text(
        "import plotly.graph_objects as go\n"
        "TITLE, READ = 'Dropped in', 'It shows nothing.'\n"
        "def why_not(view): return '' if view.dark else 'It is for the night.'\n"
        "def draw(view): return go.Figure()\n"
    )
    places = [*figures.__path__, str(tmp_path)]
    monkeypatch.setattr(figures, "__path__", places)
    monkeypatch.setattr(figures.__spec__, "submodule_search_locations", places)
    assert figures.names() == sorted([*NAMES, "zz_dropped_in"])
    assert "zz_dropped_in" in figures.possible(drawn.view(5, dark=True))
    assert figures.draw("zz_dropped_in", drawn.view(5, dark=True)).title == "Dropped in"
    assert draws("zz_dropped_in", drawn.view(5)) is None
    monkeypatch.delitem(sys.modules, "erc_demo.figures.zz_dropped_in")
    monkeypatch.delattr(figures, "zz_dropped_in")


@pytest.mark.parametrize("name", [one for one in NAMES if one != "calibration"])  # of no turn
@pytest.mark.parametrize("turns", [6, 130])
def test_a_turn_is_told_by_its_number_and_never_by_its_place(name: str, turns: int) -> None:
    view = drawn.with_turns(
        drawn.view(turns), lambda turn: replace(turn, number=1001 + 2 * turn.number)
    )
    numbers = {str(turn.number) for turn in view.analysis.dialogue.turns}
    for turn in (None, turns // 2):
        figure = figures.draw(name, replace(view, turn=turn)).figure
        whole = drawn.text(figure)
        told = {*re.findall(r"\bturns? (\d+)", whole), *re.findall(r"turns \d+–(\d+)", whole)}
        assert told and told <= numbers
        for axis in figure.select_xaxes(lambda one: "turn" in (one.title.text or "")):
            assert axis.ticktext and set(axis.ticktext) <= numbers


def test_ticks_of_turns_are_round_and_even_whatever_their_numbers() -> None:
    for first in (0, 1, 8):
        view = drawn.with_turns(
            drawn.view(40), lambda turn, first=first: replace(turn, number=turn.number - 1 + first)
        )
        places, words = turn_ticks(view)
        assert words == [str(first + place) for place in places]
        assert all(int(word) % 10 == 0 for word in words) and len(words) == 4
    places, words = turn_ticks(drawn.view(40), range(12, 24))
    assert places == [13, 15, 17, 19, 21, 23] and words == ["14", "16", "18", "20", "22", "24"]
    odd = drawn.with_turns(drawn.view(40), lambda turn: replace(turn, number=2 * turn.number + 1))
    places, words = turn_ticks(odd)
    assert set(np.diff(places)) == {10} and words == [str(2 * at + 3) for at in places]


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_read_on_paper_and_marks_seen(dark: bool) -> None:
    colours = _theme.ground(dark)
    for paper in (colours.paper, colours.sunk):
        assert min(contrast(one, paper) for one in (colours.ink, colours.soft)) >= 4.5  # WCAG AA
        assert contrast(colours.data, paper) >= 3  # of graphics
    for labels in LABEL_SETS.values():
        for mark in _theme.looks(labels, dark).values():
            assert contrast(mark.text, colours.paper) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_signs_can_be_read_on_every_fill(dark: bool) -> None:
    for label in IEMOCAP6.labels:
        mark = _theme.look(IEMOCAP6, label, dark)
        for strength in np.linspace(0, 1, 11):
            colour = fill(mark, float(strength), dark)
            assert contrast(readable(colour), colour) >= 4.5
        assert fill(mark, 1.0, dark) == mark.fill
        assert fill(mark, 0.0, dark) != _theme.ground(dark).paper and PALEST > 0


def test_unsure_is_below_half_or_hardly_ahead() -> None:
    rows = np.array(
        [[0.49, 0.3, 0.21, 0], [0.54, 0.46, 0, 0], [0.56, 0.44, 0, 0], [0.5, 0.3, 0.2, 0]]
    )
    said = Prediction(
        system="s", made_by="hand", trained=True, labels=IEMOCAP4, probabilities=rows,
        why_not=("",) * 4,
    )  # fmt: skip
    assert [_theme.unsure(said, place) for place in range(4)] == [True, True, False, False]
    said = said.but(unsure_below=0.55, words_ignored=(2,))  # as a calibrated checkpoint says itself
    assert [_theme.unsure(said, place) for place in range(4)] == [True, True, False, True]
    view = drawn.view(4)
    assert _theme.answer(view, said, 2).endswith("neutral 56 %, without its words")
    assert _theme.answer(view, said, 0).endswith("neutral 49 % ? unsure")


def test_notes_are_cut_to_a_telephone() -> None:
    note = "A sentence that is a good deal longer than a line of the narrowest page can hold."
    figure = _theme.figure(drawn.view(5), notes=[note, "<b>"])
    lines = figure.layout.title.text.split("<br>")
    assert len(lines) > 2 and max(map(len, lines)) <= _theme.NOTE and lines[-1] == "&lt;b&gt;"
    assert figure.layout.height > _theme.figure(drawn.view(5)).layout.height


def test_the_contact_sheet_is_self_contained() -> None:
    page = contact_sheet.sheet(["timeline", "fusion"], [5], 390, 2)
    assert page.count("<section") == 4 and page.count("<script>") >= 1
    assert "<script src" not in page and "<link" not in page.partition("</style>")[0]
    nothing = drawn.view(5).analysis.but(predictions=(), explanations=())
    said = contact_sheet.cell("fusion", View(analysis=nothing), 5, 390)
    assert "No system was asked" in said
