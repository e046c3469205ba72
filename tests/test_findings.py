"""Maps, predictions and explanations: what they refuse at birth, what they keep through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.emotions import IEMOCAP4
from erc_demo.errors import UserError
from erc_demo.findings import (
    Analysis,
    Effect,
    Explanation,
    Faithfulness,
    Map,
    Prediction,
    Variant,
)
from erc_demo.findings.prediction import REST


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).random(shape)
    return rows / rows.sum(axis=-1, keepdims=True)


def context(turns: int = 30) -> Map:
    return Map(
        name="context",
        title="attention over the turns",
        axes=("head", "turn"),
        values=(None, *(weights(2, at + 1, seed=at) for at in range(1, turns))),
        at={"turn": (None, *(np.arange(at + 1) for at in range(1, turns)))},
        sums="turn",
    )


def alignment() -> Map:
    return Map(
        name="alignment",
        title="words over frames",
        axes=("head", "word", "frame"),
        values=(weights(3, 4, 150), None),
        at={"word": (np.arange(4), None), "frame": (np.linspace(2, 5, 150), None)},
        sums="frame",
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"values": (np.array([0.5, 0.6]),)}, "sum to one"),
        ({"values": (np.array([1.5, -0.5]),)}, "sum to one"),
        ({"values": (np.array([0.5, np.nan]),)}, r"\(2,\) for axes"),
        ({"values": (np.array([[0.5, 0.5]]),)}, r"\(1, 2\) for axes"),
        ({"values": (np.array([1.0]),)}, "2 of modality, not 1"),
        ({"axes": ("colour",)}, "axes"),
        ({"names": {}}, "without names"),
        ({"at": {"turn": (np.arange(2),)}}, "coordinates"),
        ({"whose": (0, 1)}, "whose"),
    ],
)
def test_a_map_refuses_what_is_none(changes: dict[str, object], says: str) -> None:
    good = {
        "name": "fusion",
        "title": "weights",
        "axes": ("modality",),
        "values": (np.array([0.25, 0.75]),),
        "names": {"modality": ("audio", "text")},
        "sums": "modality",
    }
    assert Map(**good).turns == 1
    with pytest.raises(ValueError, match=says):
        Map(**{**good, **changes})


def test_a_coarse_map_keeps_sums_and_the_heaviest() -> None:
    fine = context()
    small = fine.coarse(turns=5)
    last, kept = fine.values[29], small.values[29]
    assert kept.shape == (2, 6) and small.at["turn"][29][-1] == REST
    heaviest = np.sort(np.argsort(-last.mean(axis=0))[:5])
    np.testing.assert_array_equal(small.at["turn"][29][:-1], heaviest)
    np.testing.assert_allclose(kept[:, :-1], last[:, heaviest])
    np.testing.assert_allclose(kept.sum(axis=1), 1)
    assert small.values[3].shape == (2, 4), "few turns stay as they are"
    again = small.coarse(turns=5)  # as of an analysis that was read from a file
    for place in range(1, 30):
        np.testing.assert_array_equal(again.at["turn"][place], small.at["turn"][place])
        np.testing.assert_array_equal(again.values[place], small.values[place])
    smaller = small.coarse(turns=2)
    assert all(list(one).count(REST) <= 1 for one in smaller.at["turn"][1:])
    np.testing.assert_allclose(smaller.values[29].sum(axis=1), 1)

    sound = alignment().coarse(frames=10)
    assert sound.values[0].shape == (3, 4, 10) and sound.values[1] is None
    np.testing.assert_allclose(sound.values[0][:, :, 0], alignment().values[0][..., :15].sum(-1))
    moments = alignment().at["frame"][0]
    np.testing.assert_allclose(sound.at["frame"][0], moments.reshape(10, 15).mean(axis=1))


def test_what_is_no_weight_is_averaged() -> None:
    gates = Map(
        name="level",
        title="levels",
        axes=("frame",),
        values=(np.arange(8.0),),
        at={"frame": (np.arange(8.0),)},
    )
    np.testing.assert_allclose(gates.coarse(frames=4).values[0], [0.5, 2.5, 4.5, 6.5])
    turns = replace(
        gates, axes=("turn",), values=(np.array([1.0, 9, 2, 3]),), at={"turn": ([4, 5, 6, 7],)}
    )
    small = turns.coarse(turns=1)
    assert small.values[0].tolist() == [9, 2] and small.at["turn"][0].tolist() == [5, REST]


def prediction(**changes: object) -> Prediction:
    chances = np.array([[0.1, 0.2, 0.3, 0.4], [np.nan] * 4], np.float32)
    values = np.array([[0.5, -0.25], [np.nan] * 2], np.float32)
    given = {
        "system": "ats_sagru",
        "made_by": "a 0123",
        "trained": True,
        "labels": IEMOCAP4,
        "probabilities": chances,
        "dimensions": ("valence", "arousal"),
        "values": values,
        "why_not": ("", "No words here."),
        "maps": (alignment(),),
    }
    return Prediction(**{**given, **changes})


def test_a_prediction_says_its_label_or_why_not() -> None:
    one = prediction()
    assert one.label(0) == "angry" and one.confidence(0) == pytest.approx(0.4)
    assert one.label(1) is None and one.confidence(1) is None
    assert one.answered.tolist() == [True, False]
    assert one.map("alignment").turns == 2
    with pytest.raises(UserError, match="shows no 'fusion'; it shows: alignment"):
        one.map("fusion")


@pytest.mark.parametrize(
    "changes",
    [
        {"probabilities": np.full((2, 4), 0.25, np.float32)},
        {"probabilities": np.array([[0.5, 0.2, 0.1, 0.1], [np.nan] * 4], np.float32)},
        {"probabilities": np.zeros((2, 3), np.float32)},
        {"why_not": ("",)},
        {"dimensions": ("colour", "arousal")},
        {"labels": None, "dimensions": ()},
    ],
)
def test_a_prediction_refuses_what_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="ats_sagru"):
        prediction(**changes)


def test_an_analysis_survives_json() -> None:
    turns = (
        Turn(number=0, speaker="A", span=Span(2, 5), text="one two three four"),
        Turn(number=1, speaker="B", span=Span(5, 6)),
    )
    effects = (
        Effect(
            variant=Variant(kind="without", inputs=("audio",)),
            turn=0,
            label="angry",
            before=0.4,
            after=0.1,
            says="sad",
        ),
        Effect(
            variant=Variant(kind="blank", turn=0, span=Span(2, 3)),
            turn=0,
            label="angry",
            before=0.4,
            why_not="No sound is left.",
        ),
    )
    faith = Faithfulness(map="alignment", variant="blank", turns=1)
    explanation = Explanation(
        system="ats_sagru",
        made_by=prediction().made_by,
        trained=False,
        effects=effects,
        faithfulness=(faith,),
    )
    analysis = Analysis(
        dialogue=Dialogue(name="call", turns=turns),
        predictions=(prediction(),),
        explanations=(explanation,),
    )
    text = json.dumps(analysis.to_json(), allow_nan=False)
    again = Analysis.from_json(json.loads(text))
    assert json.dumps(again.to_json(), allow_nan=False) == text
    one = again.prediction("ats_sagru")
    np.testing.assert_allclose(one.probabilities, prediction().probabilities)
    assert one.why_not == ("", "No words here.") and one.labels == IEMOCAP4
    assert one.map("alignment").values[0].shape == (3, 4, 64)
    assert again.explanation("ats_sagru") == explanation
    assert again.explanation("iaan") is None
    with pytest.raises(UserError, match="asked were: ats_sagru"):
        again.prediction("iaan")
    with pytest.raises(ValueError, match="another dialogue"):
        analysis.but(dialogue=Dialogue(name="call", turns=turns[:1]))


def test_labels_in_another_order_are_refused() -> None:
    data = prediction().to_json()
    data["labels"]["order"].reverse()
    with pytest.raises(UserError, match="has angry, sad, happy, neutral as the labels of iemocap4"):
        Prediction.from_json(data)


def test_two_checkpoints_of_a_system_are_told_apart() -> None:
    one, two = prediction(), prediction().but(made_by="mine 0123", hindsight=False)
    measured = Explanation(system=two.system, made_by=two.made_by, trained=two.trained)
    turns = tuple(Turn(number=at, speaker="A", span=Span(at, at + 1)) for at in range(2))
    analysis = Analysis(
        dialogue=Dialogue(name="call", turns=turns),
        predictions=(one, two),
        explanations=(measured,),
    )
    first, second = analysis.asked
    assert first == f"ats_sagru ({one.made_by})" and second == "ats_sagru (mine 0123)"
    assert analysis.prediction(second) is two and analysis.prediction("ats_sagru") is one
    assert analysis.explanation(second) is measured and analysis.explanation(first) is None
    with pytest.raises(UserError, match=r"asked were: .*\(mine 0123\)"):
        analysis.prediction("iaan")


def test_effects_are_signed() -> None:
    gone = Variant(kind="without", inputs=("audio",))
    one = Effect(variant=gone, turn=0, label="sad", before=0.75, after=0.5, says="sad")
    assert one.change == -0.25 and not one.flips
    assert Effect(variant=gone, turn=0, label="sad", before=0.5, after=0.1, says="happy").flips
    blind = Effect(variant=gone, turn=0, label="sad", before=0.5, why_not="No words here.")
    assert blind.change is None and not blind.flips


@pytest.mark.parametrize(
    "wrong", [{"kind": "melt"}, {"kind": "drop"}, {"kind": "drop", "turn": 1, "word": 2}]
)
def test_a_variant_takes_one_thing_away(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="is none of"):
        Variant(**wrong)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0.1, 0.5, "agrees"), (-0.5, -0.1, "contradicts"), (-0.1, 0.5, "does not show")],
)
def test_a_verdict_goes_by_the_interval(low: float, high: float, says: str) -> None:
    one = Faithfulness(map="context", variant="drop", turns=40, score=0.2, low=low, high=high)
    assert one.verdict.startswith(says)
    assert Faithfulness(map="context", variant="drop", turns=3).verdict == "too few turns to tell"
