"""What is taken away for which map, what it did, and how well the maps knew: on toys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.emotions import IEMOCAP6
from erc_demo.explanation import (
    LEAST,
    MOST,
    Predict,
    Questions,
    effects,
    explain,
    faithfulness,
    spearman,
    stretches,
    variants,
    weights,
)
from erc_demo.findings import Effect, Map, Prediction, Variant

INPUTS = {"audio": "voice", "text": "words", "speaker": "speaker"}


def talk(turns: int, words: int = 6, seconds: float = 2.0) -> Dialogue:
    """Two people in turns of so many words, each word a tenth of the turn long."""
    made = []
    for place in range(turns):
        begin = place * (seconds + 1)
        said = tuple(
            Word(
                text=f"w{at}", span=Span(begin + at * seconds / 10, begin + (at + 1) * seconds / 10)
            )
            for at in range(words)
        )
        span = Span(begin, begin + seconds)
        made.append(Turn(number=place, speaker="AB"[place % 2], span=span, words=said))
    return Dialogue(name="talk", turns=tuple(made))


def soft(random: np.random.Generator, *shape: int) -> np.ndarray:
    made = random.random(shape) + 0.01
    return made / made.sum(axis=-1, keepdims=True)


def says(turns: int, *maps: Map, lacking: Sequence[int] = ()) -> Prediction:
    """The first label of every turn with 0.9, but where there is no answer."""
    rows = np.full((turns, 6), 0.02, np.float32)
    rows[:, 0] = 0.9
    rows[list(lacking)] = np.nan
    return Prediction(
        system="toy",
        made_by="nobody",
        trained=False,
        labels=IEMOCAP6,
        probabilities=rows,
        why_not=tuple("No words." if at in lacking else "" for at in range(turns)),
        maps=maps,
    )


def fusion(turns: int, seed: int = 0) -> Map:
    random = np.random.default_rng(seed)
    return Map(
        name="fusion",
        title="inputs",
        axes=("modality",),
        values=tuple(soft(random, 3) for _ in range(turns)),
        names={"modality": tuple(INPUTS)},
        sums="modality",
    )


def context(turns: int, seed: int = 1, heads: int = 2) -> Map:
    random = np.random.default_rng(seed)
    return Map(
        name="context",
        title="turns",
        axes=("head", "turn"),
        values=tuple(soft(random, heads, turns) for _ in range(turns)),
        at={"turn": (np.arange(turns),) * turns},
        sums="turn",
    )


def alignment(dialogue: Dialogue, frames: int = 40, seed: int = 2) -> Map:
    random = np.random.default_rng(seed)
    return Map(
        name="alignment",
        title="words on sound",
        axes=("head", "word", "frame"),
        values=tuple(soft(random, 2, len(turn.said), frames) for turn in dialogue.turns),
        at={
            "word": tuple(np.arange(len(turn.said)) for turn in dialogue.turns),
            "frame": tuple(turn.span.moments(frames) for turn in dialogue.turns if turn.span),
        },
        sums="frame",
    )


def toy(loss: Callable[[Variant, int], float]) -> Predict:
    """A system that loses so much of its 0.9 by a variant, to the second label."""

    def predict(asked: Questions) -> list[Prediction]:
        made = []
        for variant, targets in asked.items():
            one = says(len(targets))
            rows = one.probabilities.copy()
            lost = np.array([loss(variant, place) for place in targets], np.float32)
            rows[:, 0] -= lost
            rows[:, 1] += lost
            made.append(one.but(probabilities=rows))
        return made

    return predict


def weighed(prediction: Prediction, dialogue: Dialogue) -> Mapping[tuple[Variant, int], float]:
    return {
        (variant, place): weight
        for one in prediction.maps
        for place in range(one.turns)
        for variant, weight in weights(one, place, dialogue, INPUTS).items()
    }


# what is taken away


def test_each_map_has_the_variants_of_its_axes() -> None:
    dialogue = talk(4)
    prediction = says(4, fusion(4), context(4), alignment(dialogue), lacking=[3])
    asked = variants(prediction, dialogue, INPUTS)
    for name in INPUTS:
        assert asked[Variant(kind="without", inputs=(name,))] == (0, 1, 2)
    assert asked[Variant(kind="alone", speaker="A")] == (0, 2)
    assert asked[Variant(kind="alone", speaker="B")] == (1,), "turn 3 has no answer to change"
    assert Variant(kind="from", turn=0) not in asked, "nothing is before the first turn"
    assert asked[Variant(kind="from", turn=2)] == (2,)
    assert asked[Variant(kind="drop", turn=3)] == (0, 1, 2), "one variant answers many turns"
    assert asked[Variant(kind="drop", turn=0)] == (1, 2)
    blanks = [one for one in asked if one.kind == "blank" and one.turn == 1]
    assert len(blanks) == 8 + 6, "stretches of the turn, and the sound of each word"
    assert set(stretches(dialogue.turns[1])) <= {one.span for one in blanks}
    masks = [one.word for one in asked if one.kind == "mask" and one.turn == 1]
    assert masks == list(range(6))
    assert not [one for one in asked if one.kind == "say"]


def test_a_turn_looked_at_is_asked_for_in_full() -> None:
    dialogue = talk(30, words=10)
    prediction = says(30, context(30))
    whole = variants(prediction, dialogue, INPUTS, sample=5)
    one = variants(prediction, dialogue, INPUTS, turn=7)
    assert set(chain(one)) == {7}
    assert sum(variant.kind == "drop" for variant in one) == 29
    assert sum(variant.kind == "mask" for variant in one) == 10, "of any system that hears words"
    assert sum(variant.kind == "blank" for variant in one) == 8
    assert [variant.turn for variant in one if variant.kind == "from"] == [7]
    assert not [variant for variant in whole if variant.kind in ("mask", "blank")]
    dropped = [place for one, places in whole.items() if one.kind == "drop" for place in places]
    assert set(np.bincount(dropped)[np.unique(dropped)]) == {MOST} and len(set(dropped)) == 5
    assert whole == variants(prediction, dialogue, INPUTS, sample=5), "the same ones each time"
    assert whole != variants(prediction, dialogue, INPUTS, sample=5, seed=1)


def chain(asked: Questions) -> list[int]:
    return [place for places in asked.values() for place in places]


def test_what_can_change_nothing_is_not_asked() -> None:
    dialogue = talk(6)
    asked = variants(
        says(6, fusion(6)), dialogue, {"audio": "voice"}, kinds={"without", "from", "say"}
    )
    assert {one.kind for one in asked} == {"from"}, "one input: without it nothing is left"
    alone = Dialogue(name="one", turns=tuple(t for t in dialogue.turns if t.speaker == "A"))
    assert not [one for one in variants(says(3), alone, INPUTS) if one.kind == "alone"]
    texts = {1: "w0 w1 w2 w3 w4 w5", 2: "what was said"}
    asked = variants(says(6), dialogue, INPUTS, kinds={"say"}, texts=texts)
    assert asked == {Variant(kind="say", turn=2, text="what was said"): (2,)}


def test_frames_of_another_turn_are_blanked_there() -> None:
    dialogue = talk(3)
    before = Map(
        name="own",
        title="the turn before",
        axes=("frame",),
        values=(None, None, np.full(4, 0.25)),
        at={"frame": (None, None, Span(0, 2).moments(4))},
        whose=(-1, -1, 0),
        sums="frame",
    )
    asked = variants(says(3, before), dialogue, {"audio": "voice"}, kinds={"blank", "drop"})
    assert {(one.kind, one.turn) for one in asked} == {("blank", 0), ("drop", 0)}
    assert set(chain(asked)) == {2}
    shares = weights(before, 2, dialogue, {"audio": "voice"})
    assert [one.span for one in shares] == list(stretches(dialogue.turns[0]))
    assert list(shares.values()) == [0, 0.25, 0, 0.25, 0, 0.25, 0, 0.25]


@pytest.mark.parametrize(("seconds", "count"), [(0.1, 1), (0.39, 1), (0.6, 3), (1.0, 5), (9.0, 8)])
def test_stretches_are_equal_and_none_is_short(seconds: float, count: int) -> None:
    spans = stretches(Turn(number=0, speaker="A", span=Span(3, 3 + seconds)))
    assert len(spans) == count
    assert spans[0].start == 3 and spans[-1].end == pytest.approx(3 + seconds)
    assert all(one.duration == pytest.approx(seconds / count) for one in spans)
    assert stretches(Turn(number=0, speaker="A", text="written")) == ()


def test_weights_by_hand() -> None:
    dialogue = talk(1, words=2)
    words = Map(
        name="alignment",
        title="",
        axes=("head", "word", "frame"),
        values=(np.array([[[0.7, 0.1, 0.2], [0.5, 0.5, 0.0]]]),),
        at={"word": (np.arange(2),), "frame": (np.array([0.1, 0.2, 1.9]),)},
        sums="frame",
    )
    shares = list(weights(words, 0, dialogue, INPUTS).values())
    assert shares == pytest.approx([0.6 + 0.3, 0, 0, 0, 0, 0, 0, 0.1]), "summed, not divided"
    gates = Map(
        name="gates",
        title="",
        axes=("pair",),
        values=(np.array([0.2, 0.6, 0.9, 0.5]),),
        names={"pair": ("words by voice", "words by speaker", "voice by words", "itself")},
    )
    shares_of = weights(gates, 0, dialogue, INPUTS)
    assert {one.inputs[0]: weight for one, weight in shares_of.items()} == pytest.approx(
        {"text": 0.4, "audio": 0.9}
    )
    branches = Map(
        name="branches",
        title="",
        axes=("branch", "label"),
        values=(np.eye(2),),
        names={"branch": ("text", "audio"), "label": ("happy", "sad")},
    )
    assert weights(branches, 0, dialogue, INPUTS) == {}


# what that did


def test_changes_are_signed_and_asked_for_at_once() -> None:
    calls: list[Questions] = []
    ask = toy(
        lambda variant, place: {"audio": 0.5, "text": -0.02, "speaker": 0.0}[variant.inputs[0]]
    )

    def predict(asked: Questions) -> Sequence[Prediction]:
        calls.append(asked)
        made = list(ask(asked))
        rows = made[2].probabilities.copy()
        rows[1] = np.nan
        made[2] = made[2].but(probabilities=rows, why_not=("", "No voice.", ""))
        return made

    prediction = says(4, lacking=[2])
    asked = {Variant(kind="without", inputs=(name,)): (0, 1, 3) for name in INPUTS}
    found = effects(prediction, predict, asked)
    assert calls == [asked]
    by = {(one.variant.inputs[0], one.turn): one for one in found}
    assert by["audio", 3].change == pytest.approx(-0.5)
    assert by["audio", 3].flips and by["audio", 3].says == IEMOCAP6.labels[1]
    assert by["text", 0].change == pytest.approx(0.02) and not by["text", 0].flips
    assert by["speaker", 1].change is None and by["speaker", 1].why_not == "No voice."
    assert by["speaker", 0].change == 0


def test_without_labels_or_variants_nobody_is_asked() -> None:
    def predict(asked: Questions) -> list[Prediction]:
        raise AssertionError("asked")

    moods = Prediction(
        system="toy",
        made_by="nobody",
        trained=False,
        dimensions=("valence",),
        values=np.zeros((4, 1), np.float32),
        why_not=("",) * 4,
    )
    assert explain(moods, talk(4), predict, inputs=INPUTS).effects == ()
    assert explain(says(4), talk(4), predict, inputs=INPUTS, kinds=()).effects == ()


# how well the maps knew


@pytest.mark.parametrize("ties", [False, True])
def test_rank_correlation_agrees_with_scipy(ties: bool) -> None:
    random = np.random.default_rng(5)
    one = random.integers(0, 6, 40) if ties else random.random(40)
    other = one + random.integers(0, 6, 40)
    counts = random.multinomial(40, np.full(40, 1 / 40), 7)
    found = spearman(one, other, counts)
    for row, times in enumerate(counts):
        drawn = np.repeat(np.arange(40), times)
        assert found[row] == pytest.approx(spearmanr(one[drawn], other[drawn]).statistic)
    assert np.isnan(spearman(np.ones(40), other, counts)).all()


def test_faithfulness_by_hand() -> None:
    """One swap of neighbours among five, in every turn: ρ = 1 − 6 Σd² / (n (n² − 1))."""
    turns, names = 10, np.arange(5)
    values = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
    said = Map(
        name="words",
        title="",
        axes=("word",),
        values=(values,) * turns,
        at={"word": (names,) * turns},
        sums="word",
    )
    dialogue, prediction = talk(turns, words=5), says(turns, said)
    swapped = [0.1, 0.2, 0.3, 0.5, 0.4]  # d² = 1 + 1: ρ = 1 − 12 / 120
    measured = [
        Effect(
            variant=Variant(kind="mask", turn=place, word=word),
            turn=place,
            label="happy",
            before=0.9,
            after=0.9 - swapped[word] * (-1 if word == 1 else 1),
            says="happy",
        )
        for place in range(turns)
        for word in range(5)
    ]
    (score,) = faithfulness(prediction, dialogue, measured, INPUTS)
    assert (score.map, score.variant, score.turns) == ("words", "mask", 10)
    assert (score.score, score.low, score.high) == pytest.approx((0.9, 0.9, 0.9))
    (few,) = faithfulness(prediction, dialogue, measured[5:], INPUTS)
    assert few.turns == 9 and few.score is None and few.verdict == "too few turns to tell"
    (short,) = faithfulness(
        prediction, dialogue, [one for one in measured if one.variant.word != 4], INPUTS
    )
    assert short.turns == 0 and short.score is None, "four words in a turn are too few to rank"


def world(turns: int) -> tuple[Dialogue, Prediction]:
    dialogue = talk(turns)
    said = Map(
        name="words",
        title="",
        axes=("word",),
        values=tuple(soft(np.random.default_rng(9), turns, 6)),
        at={"word": (np.arange(6),) * turns},
        sums="word",
    )
    gates = Map(
        name="gates",
        title="",
        axes=("head", "pair"),
        values=tuple(np.random.default_rng(8).random((turns, 2, 3))),
        names={"pair": ("text by audio", "audio by text", "speaker by text")},
    )
    return dialogue, says(turns, fusion(turns), context(turns), alignment(dialogue), said, gates)


KINDS = {
    "fusion": "without",
    "context": "drop",
    "alignment": "blank",
    "words": "mask",
    "gates": "without",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_map_that_is_the_changes_is_faithful_and_its_reverse_is_not(name: str) -> None:
    dialogue, prediction = world(60)
    prediction = prediction.but(maps=(prediction.map(name),))
    known = weighed(prediction, dialogue)
    for sign, verdict in ((1, "agrees with"), (-1, "contradicts")):
        loss = toy(
            lambda variant, place, sign=sign: 0.4 + sign * 0.4 * known.get((variant, place), 0)
        )
        made = explain(prediction, dialogue, loss, inputs=INPUTS)
        (score,) = made.faithfulness
        assert score.variant == KINDS[name]
        assert score.score == pytest.approx(sign), "every change has its weight's rank"
        assert verdict in score.verdict


def test_random_weights_show_no_agreement() -> None:
    """Of 200 draws the 95 % interval leaves out 0 in about 10; here each of a handful holds it."""
    dialogue, prediction = world(80)
    random = np.random.default_rng(3)
    held = []
    for _ in range(8):
        made = explain(
            prediction,
            dialogue,
            toy(lambda variant, place: float(random.random() * 0.8)),
            inputs=INPUTS,
        )
        assert [one.map for one in made.faithfulness] == list(KINDS)
        for one in made.faithfulness:
            assert one.score is not None and one.low is not None and one.high is not None
            assert one.low <= one.score <= one.high and abs(one.score) < 0.35
            held.append(one.low <= 0 <= one.high)
    assert np.mean(held) > 0.85


def test_two_inputs_of_one_turn_are_never_pooled() -> None:
    """Audio always weighs more and always does more, but not where it weighs more: ρ is about 0."""
    turns = 200
    random = np.random.default_rng(4)
    shares = 0.7 + 0.2 * random.random(turns)
    one = Map(
        name="fusion",
        title="",
        axes=("modality",),
        values=tuple(np.array([share, 1 - share]) for share in shares),
        names={"modality": ("audio", "text")},
        sums="modality",
    )
    lost = {"audio": 0.5, "text": 0.1}
    ask = toy(lambda variant, place: lost[variant.inputs[0]] + 0.2 * float(random.random()))
    made = explain(
        says(turns, one),
        talk(turns),
        ask,
        inputs={"audio": "voice", "text": "words"},
        kinds={"without"},
    )
    assert made.faithfulness[0].low < 0 < made.faithfulness[0].high  # type: ignore[operator]


def test_what_cannot_be_told_says_so() -> None:
    turns = LEAST + 5
    flat = Map(
        name="fusion",
        title="",
        axes=("modality",),
        values=(np.full(3, 1 / 3),) * turns,
        names={"modality": tuple(INPUTS)},
        sums="modality",
    )
    dialogue = talk(turns)
    ask = toy(lambda variant, place: 0.01 * place)
    (score,) = explain(says(turns, flat), dialogue, ask, inputs=INPUTS).faithfulness
    assert score.score is None, "a map that never changes ranks nothing"
    absent = np.zeros((turns, 3))
    absent[:, :2] = soft(np.random.default_rng(0), turns, 2)
    one = fusion(turns)
    lacking = Map(name="fusion", title="", axes=one.axes, values=tuple(absent), names=one.names)
    known = weighed(says(turns, lacking), dialogue)
    ask = toy(lambda variant, place: 0.5 * known.get((variant, place), 0))
    (score,) = explain(says(turns, lacking), dialogue, ask, inputs=INPUTS).faithfulness
    assert score.score == pytest.approx(1), "an input that no turn has is left out"
    (score,) = explain(says(9, fusion(9)), talk(9), ask, inputs=INPUTS).faithfulness
    assert score.score is None and score.turns == 9
    assert explain(says(9, fusion(9)), talk(9), ask, inputs=INPUTS, turn=3).faithfulness == ()


def test_an_input_that_a_turn_has_not_is_no_small_weight() -> None:
    """Where 'speaker' is there, more weight goes with less change; elsewhere there is nothing."""
    shares = np.r_[np.zeros(12), np.linspace(0.1, 0.3, 12)]
    rows = np.stack([(1 - shares) / 2, (1 - shares) / 2, shares], axis=1)
    prediction = says(24, replace(fusion(24), values=tuple(rows)))
    measured = [
        Effect(
            variant=Variant(kind="without", inputs=(name,)),
            turn=place,
            label="happy",
            before=0.9,
            after=0.9 - (0.1 if name != "speaker" else 0.5 - shares[place] if place >= 12 else 0),
            says="happy",
        )
        for place in range(24)
        for name in INPUTS
    ]
    (found,) = faithfulness(prediction, talk(24), measured, INPUTS)
    assert found.score == pytest.approx(-1) and found.turns == 24


def test_the_rest_of_a_coarse_map_is_no_turn() -> None:
    small = context(30).coarse(turns=5)
    found = weights(small, 20, talk(30), INPUTS)
    assert 4 <= len(found) <= 5 and all(0 <= (one.turn or 0) < 30 for one in found)
