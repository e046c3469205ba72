"""What if: signs, flips, order, words, and the verdicts of the maps."""

from __future__ import annotations

from dataclasses import replace

import drawn
import numpy as np
import pytest

from erc_demo.dialogue import Span
from erc_demo.figures import View, changes
from erc_demo.findings import Effect, Explanation, Faithfulness, Variant


def effect(
    variant: Variant, after: float | None, says: str | None = "sad", turn: int = 2
) -> Effect:
    why = "" if after is not None else "Nothing is left <here>."
    return Effect(
        variant=variant,
        turn=turn,
        label="sad",
        before=0.6,
        after=after,
        says=None if after is None else says,
        why_not=why,
    )


def view(*effects: Effect, faithfulness: tuple[Faithfulness, ...] = ()) -> View:
    whole = drawn.view(5)
    said = whole.analysis.prediction("first_system")
    one = Explanation(
        system=said.system,
        made_by=said.made_by,
        trained=said.trained,
        effects=effects,
        faithfulness=faithfulness,
    )
    return replace(whole, analysis=whole.analysis.but(explanations=(one,)), turn=2)


def test_signs_flips_and_order() -> None:
    figure = changes.draw(
        view(
            effect(Variant(kind="without", inputs=("words",)), 0.75),
            effect(Variant(kind="without", inputs=("sound",)), 0.2, "angry"),
            effect(Variant(kind="from", turn=2), 0.5),
        )
    )
    bars = figure.data[0]
    assert list(bars.x) == pytest.approx([-40, -10, 15]), "from the loss to the gain"
    assert list(bars.marker.pattern.shape) == ["/", "", ""]
    assert list(bars.text) == ["−40", "−10", "+15"]
    words = [one.text for one in figure.layout.annotations]
    assert words.index("Without sound") + 1 == next(
        at for at, one in enumerate(words) if "angry" in one
    )
    assert sum("→" in one for one in words) == 1


def test_the_strongest_are_drawn_and_the_others_counted() -> None:
    many = [
        effect(Variant(kind="mask", turn=2, word=at), 0.6 - (-1) ** at * 0.01 * at)
        for at in range(20)
    ]
    shown, left = changes.strongest(many)
    assert len(shown) == changes.ROWS and len(left) == 20 - changes.ROWS
    assert min(abs(one.change) for one in shown) >= max(abs(one.change) for one in left)
    points = [changes.points(one) for one in shown]
    assert points == sorted(points)
    assert "6 other changes" in changes.draw(view(*many)).layout.title.text


def test_what_changes_the_label_is_always_drawn() -> None:
    many = [effect(Variant(kind="mask", turn=2, word=at), 0.9) for at in range(20)]
    many.append(effect(Variant(kind="from", turn=2), 0.59, "angry"))
    shown, left = changes.strongest(many)
    assert many[-1] in shown and many[-1] not in left


def test_every_kind_in_words() -> None:
    whole = view()
    turns = whole.analysis.dialogue.turns
    for variant, words in (
        (Variant(kind="without", inputs=("words", "sound")), "Without words and sound"),
        (Variant(kind="alone", speaker=turns[2].speaker), "everyone else muted"),
        (Variant(kind="alone", speaker="Nobody"), "Nobody alone"),
        (Variant(kind="from", turn=2), "Nothing before it"),
        (Variant(kind="from", turn=1), "Nothing before turn 2"),
        (Variant(kind="drop", turn=0), "Without turn 1, “I have been"),
        (Variant(kind="mask", turn=2, word=1), "Without word 2, “you”"),
        (Variant(kind="mask", turn=1, word=0), "Without word 1, “Okay.” of turn 2"),
        (Variant(kind="blank", turn=2, span=Span(61, 62.5)), "Silence 1:01.0–1:02.5"),
        (Variant(kind="say", turn=2, text="No <b>"), "Said instead: “No <b>”"),
    ):
        assert words in changes.told(whole, effect(variant, 0.5))


def test_what_was_not_measured_and_the_verdicts_stand_under_it() -> None:
    verdicts = (
        Faithfulness(map="context", variant="drop", turns=40, score=0.4, low=0.2, high=0.5),
        Faithfulness(map="gone", variant="mask", turns=3),
    )
    figure = changes.draw(
        view(
            effect(Variant(kind="without", inputs=("words",)), None),
            effect(Variant(kind="from", turn=2), 0.5),
            faithfulness=verdicts,
        )
    )
    under = figure.layout.annotations[-1].text.replace("<br>", " ")
    assert "Without words, not measured: Nothing is left &lt;here&gt;." in under
    assert "Which turns were leaned on" in under and "agrees with what was measured" in under
    assert "+0.40" in under and "too few turns to tell (3 turns)" in under
    assert len(figure.data[0].x) == 1


def test_nothing_measured_of_the_turn_says_so() -> None:
    one = view(effect(Variant(kind="from", turn=2), 0.5))
    assert changes.chosen(replace(one, turn=None)) == 2 and not changes.why_not(one)
    assert "turn 1" in changes.why_not(replace(one, turn=0))
    assert "Nothing was measured" in changes.why_not(replace(one, system="third"))
    assert changes.why_not(replace(view(), turn=None)) == (
        "Nothing was measured of first_system here."
    )


def test_a_turn_of_which_nothing_could_be_measured_still_says_why() -> None:
    figure = changes.draw(view(effect(Variant(kind="without", inputs=("words",)), None)))
    assert not len(figure.data[0].x)
    assert np.isfinite(figure.layout.xaxis.range).all()
