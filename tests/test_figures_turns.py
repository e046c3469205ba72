"""What the figures of turns draw: timeline, systems, arcs, context and fusion, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import drawn
import numpy as np
import plotly.graph_objects as go
import pytest

from erc_demo import figures, plugs
from erc_demo.emotions import IEMOCAP4, IEMOCAP6
from erc_demo.errors import UserError
from erc_demo.figures import View, _theme
from erc_demo.figures._columns import columns
from erc_demo.figures._leaning import blocked, square, stretch
from erc_demo.figures._voting import Vote, votes
from erc_demo.findings import Analysis, Map, Prediction
from erc_demo.findings.prediction import REST


def said_by(*answers: list[str | None], labels: Any = IEMOCAP6) -> list[Prediction]:
    """Systems that say just these labels, surely; None: no answer."""
    made = []
    for number, these in enumerate(answers):
        sets = labels[number] if isinstance(labels, list) else labels
        rows = np.full((len(these), len(sets.labels)), np.nan)
        for place, label in enumerate(these):
            if label is not None:
                rows[place] = [float(one == label) for one in sets.labels]
        why = tuple("" if label else "It was asleep." for label in these)
        made.append(
            Prediction(
                system=f"s{number}", made_by="hand", trained=True, labels=sets,
                probabilities=rows, why_not=why,
            )
        )  # fmt: skip
    return made


def of(*answers: list[str | None], labels: Any = IEMOCAP6, **changes: Any) -> View:
    """A view of such systems, over the made-up dialogue."""
    analysis = drawn.analysis(len(answers[0]))
    made = tuple(said_by(*answers, labels=labels))
    return View(analysis=analysis.but(predictions=made, explanations=()), **changes)


def test_votes_by_hand() -> None:
    found = votes(
        said_by(
            ["sad", "sad", "angry", None, "neutral"],
            ["sad", "happy", "angry", "sad", None],
            ["sad", "sad", "neutral", "angry", None],
        )
    )
    assert [one.most for one in found] == ["sad", "sad", "angry", None, "neutral"]
    assert [one.agreed for one in found] == [True, False, False, False, None]
    assert [[one.departs(at) for at in range(3)] for one in found] == [
        [False] * 3, [False, True, False], [False, False, True], [False] * 3, [False] * 3
    ]  # fmt: skip


def test_votes_of_two_label_sets_meet_in_the_smaller() -> None:
    systems = said_by(
        ["excited", "frustrated", "angry"], ["happy", "angry", "sad"], labels=[IEMOCAP6, IEMOCAP4]
    )
    assert votes(systems) == [
        Vote(("happy", "happy")), Vote((None, "angry")), Vote(("angry", "sad"))
    ]  # fmt: skip


def square_by_loops(one: Map) -> tuple[np.ndarray, np.ndarray]:
    weights, rest = np.zeros((one.turns, one.turns)), np.zeros(one.turns)
    for place, value in enumerate(one.values):
        if value is None:
            weights[place] = np.nan
            continue
        for head in value:
            for share, seen in zip(head, one.at["turn"][place], strict=True):
                if seen == REST:
                    rest[place] += share / len(value)
                else:
                    weights[place, seen] += share / len(value)
    return weights, rest


def test_square_and_its_blocks_equal_loops() -> None:
    one = drawn.analysis(50).predictions[0].map("context").coarse(turns=7)
    one = replace(
        one, values=tuple(None if at in (3, 49) else v for at, v in enumerate(one.values))
    )
    weights, rest = square(one)
    for found, wanted in zip((weights, rest), square_by_loops(one), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-7)
    shown = np.isfinite(weights).all(axis=1)
    np.testing.assert_allclose(weights[shown].sum(axis=1) + rest[shown], 1, atol=1e-5)
    groups = _theme.groups(50, 8)
    blocks = blocked(weights, groups)
    for i, rows in enumerate(groups):
        for j, columns_ in enumerate(groups):
            sums = [sum(weights[t, s] for s in columns_) for t in rows if shown[t]]
            wanted = np.mean(sums) if sums else np.nan
            assert blocks[i, j] == pytest.approx(wanted, abs=1e-7, nan_ok=True)


def test_a_stretch_holds_most_weight() -> None:
    random = np.random.default_rng(0)
    for place in (0, 7, 29):
        weights = random.dirichlet(np.ones(30))
        found = stretch(weights, place, 10)
        assert place in found and len(found) == 10
        others = (range(at, at + 10) for at in range(21) if at <= place < at + 10)
        best = max(sum(weights[at] for at in other) for other in others)
        assert weights[list(found)].sum() == pytest.approx(best)


@pytest.mark.parametrize("dark", [False, True])
def test_columns_keep_every_second(dark: bool) -> None:
    view = drawn.view(120, dark=dark)
    turns = view.analysis.dialogue.turns
    spans = [turn.span for turn in turns if turn.span is not None]
    edges = np.linspace(0, view.analysis.dialogue.duration or 0, 37)
    cut = columns(view, spans, edges)
    for speaker in view.analysis.dialogue.speakers:
        seconds = sum(p.share * (edges[1] - edges[0]) for p in cut.pieces if p.speaker == speaker)
        wanted = sum(t.span.duration for t in turns if t.speaker == speaker and t.span)
        assert seconds == pytest.approx(wanted)
    both = sum(one.duration for one in view.analysis.dialogue.overlaps())
    assert cut.both.sum() * (edges[1] - edges[0]) == pytest.approx(both)


def test_timeline_tells_of_unsure_overlap_and_absent_times() -> None:
    view = drawn.view(5)
    whole = drawn.text(figures.draw("timeline", view))
    assert "dash" in whole and "? unsure" in whole and "talk at once" in whole
    lost = drawn.with_turns(view, lambda turn: drawn.untimed(turn) if turn.number == 2 else turn)
    assert "1 turn has no times" in drawn.text(figures.draw("timeline", lost))
    assert "no times are known" in drawn.text(
        figures.draw("timeline", drawn.with_turns(view, drawn.untimed))
    )
    plain = replace(view, analysis=view.analysis.but(predictions=(), explanations=()), truth=())
    ink = figures.draw("timeline", plain).figure.data[0].marker.color
    assert set(ink) == {_theme.LIGHT.data}


def test_every_label_is_told_by_sign_and_word() -> None:
    labels = list(IEMOCAP6.labels)
    for name in ("timeline", "systems", "arcs"):
        for turns in (6, 500):
            view = drawn.view(turns)
            if turns == 6:
                view = of(labels, labels)
            if why := plugs.load(figures.PACKAGE, name).why_not(view):
                assert "attention" in why
                continue
            keys = {one.name for one in figures.draw(name, view).figure.data if one.name}
            seen = (
                {view.prediction.label(place) for place in range(turns)} if view.prediction else ()
            )
            shown = {_theme.look(IEMOCAP6, one, False).name for one in seen if one}
            assert turns == 500 or shown <= keys
            assert {one for one in keys if one in shown}, "colour, sign and word"


def test_systems_mark_who_departs_and_say_who_is_silent() -> None:
    view = of(["sad", "happy"], ["sad", "sad"], ["sad", "sad"], ["sad", None])
    figure = figures.draw("systems", view).figure
    frames = [one for one in figure.data if one.name == "departs"]
    assert len(frames) == 1 and len(frames[0].x) == 6, "one cell, four corners"
    assert frames[0].x[0] < 1 < frames[0].x[1] and frames[0].y[0] < -1 < frames[0].y[2]
    assert "s3 has no answer for 1 turn: It was asleep." in figure.layout.title.text.replace(
        "<br>", " "
    )


def test_systems_leave_out_who_gives_numbers_only() -> None:
    view = of(["sad", "happy"], ["sad", "sad"])
    numbers = Prediction(
        system="n", made_by="hand", trained=False, dimensions=("valence",),
        values=np.zeros((2, 1)), why_not=("", ""),
    )  # fmt: skip
    both = view.analysis.but(predictions=(*view.analysis.predictions, numbers))
    whole = drawn.text(figures.draw("systems", replace(view, analysis=both)))
    assert "n gives valence only" in whole and _theme.UNTRAINED not in whole
    only = view.analysis.but(predictions=(numbers,))
    with pytest.raises(UserError, match="names emotions"):
        figures.draw("systems", replace(view, analysis=only))
    plain = figures.draw("timeline", replace(view, analysis=only))
    assert set(plain.figure.data[0].marker.color) == {_theme.LIGHT.data}


def test_several_maps_over_turns_share_one_scale() -> None:
    one = drawn.analysis(20).predictions[0].map("context")
    alone = tuple(np.repeat(np.eye(20)[None, at], 4, axis=0) for at in range(20))
    view = drawn.with_maps(drawn.view(20), one, replace(one, name="itself", values=alone))
    squares = [t for t in figures.draw("context", view).figure.data if t.type == "heatmap"]
    assert [each.showscale for each in squares] == [True, False]
    assert squares[0].zmax == squares[1].zmax
    looked = figures.draw("context", replace(view, turn=3)).figure.layout
    assert looked.title.text.count("Which turns were leaned on: turn 4,") == 2
    assert sum("Which turns were leaned on" in note.text for note in looked.annotations) == 4
    assert "Of 2 maps the first" in figures.draw("arcs", view).figure.layout.title.text


def test_a_sparse_map_is_drawn_in_full_ink() -> None:
    one = drawn.analysis(50).predictions[0].map("context")
    value = np.zeros((4, 50))
    value[:, :4] = 0.25
    view = drawn.with_maps(drawn.view(50), replace(one, values=(value,) * 50))
    assert figures.draw("context", view).figure.data[0].zmax == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["context", "arcs", "fusion", "gates"])
def test_a_map_that_shows_nothing_hides_no_other(name: str) -> None:
    view = drawn.view(20)
    said = view.analysis.predictions[0]
    axes = {"context": "context", "arcs": "context"}
    full = said.map(axes.get(name, name))
    empty = replace(full, name="empty", values=(None,) * 20)
    both = figures.draw(name, drawn.with_maps(view, empty, full)).figure
    alone = figures.draw(name, drawn.with_maps(view, full)).figure
    assert drawn.text(both) == drawn.text(alone)


@pytest.mark.parametrize("name", ["context", "arcs"])
def test_the_turn_looked_at_that_has_no_weights_is_named(name: str) -> None:
    one = drawn.analysis(20).predictions[0].map("context")
    some = replace(one, values=(*one.values[:7], None, *one.values[8:]))
    view = drawn.with_maps(drawn.view(20), some)
    for turn, said in ((7, True), (8, False), (None, False)):
        notes = figures.draw(name, replace(view, turn=turn)).figure.layout.title.text
        assert ("Nothing is shown of turn 8," in (notes or "")) == said


def test_what_a_coarse_map_leaves_out_is_said_and_not_drawn_as_a_turn() -> None:
    view = drawn.view(50)
    stored = Analysis.from_json(json.loads(json.dumps(view.analysis.to_json())))
    figure = figures.draw("context", replace(view, analysis=stored)).figure
    one = stored.predictions[0].map("context")
    weights, rest = square_by_loops(one)
    assert f"up to {_theme.percent(rest.max())}" in figure.layout.title.text.replace("<br>", " ")
    np.testing.assert_allclose(figure.data[0].z, weights, atol=1e-4)
    assert "listed" not in (figures.draw("context", view).figure.layout.title.text or "")


def test_a_system_asked_twice_has_two_names() -> None:
    view = of(["sad", "happy"], ["sad", "angry"], ["sad", None])
    makers = ("made_by_somebody 1", "made_by_somebody 2", "other")
    twice = tuple(
        one.but(system="s", made_by=by)
        for one, by in zip(view.analysis.predictions, makers, strict=True)
    )
    view = replace(view, analysis=view.analysis.but(predictions=twice))
    figure = figures.draw("systems", view).figure
    names = [one.partition("<br>")[0] for one in figure.layout.yaxis.ticktext[:3]]
    assert names == ["…by_somebody 1", "…by_somebody 2", "other"]
    assert max(map(len, names)) <= _theme.NAME
    assert "s (other) has no answer" in figure.layout.title.text
    assert "<b>s (made_by_somebody 2)</b>" in drawn.text(figure)


def test_fusion_says_why_a_turn_has_no_weights() -> None:
    one = drawn.analysis(5).predictions[0].map("fusion")
    view = drawn.with_maps(drawn.view(5), replace(one, values=(None, *one.values[1:])))
    notes = figures.draw("fusion", view).figure.layout.title.text
    assert "1 turn has no weights." in notes, "it was answered"
    said = view.analysis.predictions[0]
    none = [np.concatenate([[[np.nan] * rows.shape[1]], rows[1:]]) for rows in
            (said.probabilities, said.values)]  # fmt: skip
    silent = said.but(probabilities=none[0], values=none[1], why_not=("It slept.", *[""] * 4))
    view = replace(view, analysis=view.analysis.but(predictions=(silent,), explanations=()))
    notes = figures.draw("fusion", view).figure.layout.title.text
    assert "1 turn has no weights: nothing was answered there." in notes.replace("<br>", " ")


def test_the_frame_of_a_turn_is_around_its_bar_in_every_row() -> None:
    one = drawn.analysis(5).predictions[0].map("fusion")
    view = replace(drawn.with_maps(drawn.view(5), one, replace(one, name="second")), turn=2)
    frames = [t for t in figures.draw("fusion", view).figure.data if t.type == "scatter"]
    assert [(each.xaxis, each.showlegend) for each in frames] == [("x", True), ("x2", False)]


@pytest.mark.parametrize("name", ["context", "arcs"])
def test_a_map_of_one_turn_alone(name: str) -> None:
    view = drawn.view(40)
    said = view.analysis.predictions[0]
    one = said.map("context")
    alone = replace(one, values=tuple(v if at == 7 else None for at, v in enumerate(one.values)))
    view = replace(view, analysis=view.analysis.but(predictions=(said.but(maps=(alone,)),)))
    picture = figures.draw(name, view)
    number = view.analysis.dialogue.turns[7].number
    assert f"turn {number}," in picture.figure.layout.title.text


def test_fusion_of_numbers_that_are_no_weights() -> None:
    view = drawn.view(5)
    said = view.analysis.predictions[0]
    odd = replace(said.map("fusion"), sums=None, values=tuple(np.ones(3) * 0.7 for _ in range(5)))
    view = replace(view, analysis=view.analysis.but(predictions=(said.but(maps=(odd,)),)))
    figure = figures.draw("fusion", view).figure
    assert figure.layout.barmode == "group" and set(figure.data[0].text) == {"0.70"}
    assert "%" not in drawn.text(go.Figure(figure.data)).replace("%{hovertext}", "")
    assert figures.draw("fusion", drawn.view(5)).figure.layout.barmode == "stack"


def test_systems_of_two_label_sets_share_their_keys() -> None:
    view = of(["sad", "neutral"], ["sad", "neutral"], labels=[IEMOCAP6, IEMOCAP4])
    keys = [one.name for one in figures.draw("systems", view).figure.data if one.showlegend]
    assert sorted(keys) == sorted(set(keys)) and len(keys) == 2
