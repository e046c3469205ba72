"""Why a system said what it said: things taken away one by one, and how well its maps knew.

    explain(prediction, dialogue, predict, inputs={"audio": "voice", "text": "words"})

Attention describes, it does not explain: what a weight is worth shows when the thing it weighs is
taken away and the answer is asked for again. ``predict`` answers variants of the conversation, all
of them in one call; which system it asks is not known here.

Each map has the variant that belongs to it, by its axes:

    modality, pair      ``without`` an input; its weight is the mean of its own gates
                        ("words by voice" is one of the words')
    turn                ``drop`` one of the other turns
    frame               ``blank`` a stretch: the turn cut in at most 8 equal ones of 0.2 s or more;
                        its weight is the sum over its frames
    word, frame         the same, averaged over the words; beside it each word is masked, and its
                        own sound blanked
    word                ``mask`` a word
    branch              ``without``, to stand beside it; posteriors are no weights

``alone`` (the partner muted), ``from`` (the past forgotten) and ``say`` (another text) belong to
no map. What is measured is p(label | variant) − p(label), of the label the system says of the turn
as it is.

Faithfulness is Spearman's ρ between weights and sizes of change, ties sharing their mean rank:

- where a turn has many things to weigh (turns, words, stretches), ρ is taken inside each turn that
  has five or more, and averaged over the turns;
- where it has two or three (inputs), a ρ inside a turn says nothing: it is taken over the turns for
  each input, and averaged over the inputs.

The interval holds 95 % of what comes out when the turns are drawn again, with repetition (Efron's
bootstrap). Fewer than ten turns are too few to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.findings import VARIANTS, Effect, Explanation, Faithfulness, Map, Prediction, Variant
from erc_demo.findings.prediction import REST

SAMPLE = 24  # turns of a whole conversation whose words, stretches and other turns are taken away
MOST = 24  # things of one kind taken away from one of them, drawn by chance
STRETCHES, SHORTEST = 8, 0.2  # of a turn's sound: how many at most, seconds at least
WITHIN = 5  # things that a turn must have for a rank correlation inside it
LEAST = 10  # turns, below which nothing is said
RESAMPLES = 1000
DIGITS = 6  # of a change's size; below lies what batching does to the last digits

# Which variants are asked, and of which turns; the answers have a row for each of those turns.
Questions = Mapping[Variant, Sequence[int]]
Predict = Callable[[Questions], Sequence[Prediction]]


def explain(
    prediction: Prediction,
    dialogue: Dialogue,
    predict: Predict,
    *,
    inputs: Mapping[str, str],
    kinds: Collection[str] = frozenset(VARIANTS),
    turn: int | None = None,
    sample: int = SAMPLE,
    texts: Mapping[int, str] | None = None,
    seed: int = 0,
) -> Explanation:
    """Measure one turn in full, or a conversation: the dear things of ``sample`` turns only.

    ``inputs`` are the system's, with what a person calls them, ``kinds`` the variants that can
    change its answers, ``texts`` what was really said in some turns. A system that says no label
    has no effects.
    """
    asked = variants(
        prediction, dialogue, inputs, kinds=kinds, turn=turn, sample=sample, texts=texts, seed=seed
    )
    measured = effects(prediction, predict, asked)
    scores = () if turn is not None else faithfulness(prediction, dialogue, measured, inputs)
    return Explanation(
        system=prediction.system,
        made_by=prediction.made_by,
        trained=prediction.trained,
        effects=measured,
        faithfulness=scores,
    )


# what is taken away


def variants(
    prediction: Prediction,
    dialogue: Dialogue,
    inputs: Mapping[str, str],
    *,
    kinds: Collection[str] = frozenset(VARIANTS),
    turn: int | None = None,
    sample: int = SAMPLE,
    texts: Mapping[int, str] | None = None,
    seed: int = 0,
) -> dict[Variant, tuple[int, ...]]:
    """What to ask and of which turns: as many variants as turns, and a bounded number more."""
    places = [at for at in range(prediction.turns) if prediction.label(at) is not None]
    if turn is not None:
        places = [at for at in places if at == turn]
    asked: dict[Variant, dict[int, None]] = {}

    def ask(variant: Variant, *targets: int) -> None:
        if variant.kind in kinds and targets:
            asked.setdefault(variant, {}).update(dict.fromkeys(targets))

    if len(inputs) > 1:
        for name in inputs:
            ask(Variant(kind="without", inputs=(name,)), *places)
    speakers = dialogue.speakers
    for speaker in speakers if len(speakers) > 1 else ():
        mine = [at for at in places if dialogue.turns[at].speaker == speaker]
        ask(Variant(kind="alone", speaker=speaker), *mine)
    for at in places:
        if at > 0:
            ask(Variant(kind="from", turn=at), at)
        text = (texts or {}).get(at)
        if text is not None and tuple(text.split()) != dialogue.turns[at].said:
            ask(Variant(kind="say", turn=at, text=text), at)
    random = np.random.default_rng(seed)
    if turn is None and len(places) > sample:
        places = sorted(int(at) for at in random.choice(places, sample, replace=False))
    for at in places:
        groups = [group for one in prediction.maps for group in _taken(one, at, dialogue, inputs)]
        if turn is not None:
            groups.append(_all(dialogue.turns[at], at))
        for group in groups:
            if turn is None and len(group) > MOST:
                kept = np.sort(random.choice(len(group), MOST, replace=False))
                group = [group[index] for index in kept]
            for variant in group:
                ask(variant, at)
    return {variant: tuple(targets) for variant, targets in asked.items()}


def _taken(
    one: Map, place: int, dialogue: Dialogue, inputs: Mapping[str, str]
) -> list[list[Variant]]:
    """What is taken away for a turn's part of a map; inputs are in any case.

    Beside the things weighed: the turn whose frames they are; each word, and each word's sound.
    """
    found = [[each for each in weights(one, place, dialogue, inputs) if not each.inputs]]
    of = place if one.whose is None else one.whose[place]
    if "frame" in one.axes and of not in (place, REST):
        found.append([Variant(kind="drop", turn=of)])
    if set(one.axes) >= {"word", "frame"} and of != REST:
        turn = dialogue.turns[of]
        spans = [word.span for word in turn.words if word.span and word.placed]
        found.append([Variant(kind="blank", turn=of, span=span) for span in spans])
        found.append([Variant(kind="mask", turn=of, word=at) for at in range(len(turn.said))])
    return found


def _all(turn: Turn, place: int) -> list[Variant]:
    """Each word and each stretch of a turn, whatever the maps run over."""
    words = [Variant(kind="mask", turn=place, word=at) for at in range(len(turn.said))]
    return words + [Variant(kind="blank", turn=place, span=span) for span in stretches(turn)]


def stretches(turn: Turn) -> tuple[Span, ...]:
    """A turn's sound in at most ``STRETCHES`` equal parts, none shorter than ``SHORTEST``.

    >>> [one.to_json() for one in stretches(Turn(number=0, speaker="A", span=Span(1, 1.5)))]
    [[1.0, 1.25], [1.25, 1.5]]
    """
    if turn.span is None:
        return ()
    count = max(1, min(STRETCHES, int(turn.span.duration / SHORTEST + 1e-9)))
    edges = np.linspace(turn.span.start, turn.span.end, count + 1).tolist()
    return tuple(Span(start, end) for start, end in zip(edges[:-1], edges[1:], strict=True))


def weights(
    one: Map, place: int, dialogue: Dialogue, inputs: Mapping[str, str]
) -> dict[Variant, float]:
    """What a map gave each thing that can be taken away; empty where it has no weights."""
    mean = one.mean(place)
    axes = tuple(axis for axis in one.axes if axis != "head")
    if mean is None:
        return {}
    if set(axes) in ({"frame"}, {"word", "frame"}):
        return _mass(one, place, dialogue)
    if axes in (("modality",), ("pair",)):
        shares: dict[str, list[float]] = {}
        for name, weight in zip(one.names[axes[0]], mean, strict=True):
            shares.setdefault(name.partition(" by ")[0], []).append(float(weight))
        return {
            Variant(kind="without", inputs=(name,)): float(np.mean(shares[called]))
            for name, title in inputs.items()
            for called in ((name,) if name in shares else (title,))
            if called in shares
        }
    if axes not in (("turn",), ("word",)):
        return {}
    at = one.at[axes[0]][place]
    assert at is not None  # a map that shows something says where
    listed = [(int(each), float(weight)) for each, weight in zip(at, mean, strict=True)]
    if axes == ("word",):
        return {Variant(kind="mask", turn=place, word=word): weight for word, weight in listed}
    return {
        Variant(kind="drop", turn=other): weight
        for other, weight in listed
        if other not in (place, REST)
    }


def _mass(one: Map, place: int, dialogue: Dialogue) -> dict[Variant, float]:
    """The weight of each stretch: that of its frames, averaged over heads and words."""
    of = place if one.whose is None else one.whose[place]
    frames, moments = one.mean(place, over=("head", "word")), one.at["frame"][place]
    if of < 0 or frames is None or moments is None:
        return {}
    spans = stretches(dialogue.turns[of])
    if not spans:
        return {}
    into = np.searchsorted([span.start for span in spans[1:]], moments, side="right")
    masses = np.bincount(into, frames, len(spans))
    return {
        Variant(kind="blank", turn=of, span=span): float(mass)
        for span, mass in zip(spans, masses, strict=True)
    }


# what that did


def effects(prediction: Prediction, predict: Predict, asked: Questions) -> tuple[Effect, ...]:
    """The signed change of each turn asked for, by every variant: one call of ``predict``."""
    found: list[Effect] = []
    if not asked:
        return ()
    for (variant, targets), made in zip(asked.items(), predict(asked), strict=True):
        for row, place in enumerate(targets):
            label = prediction.label(place)
            if label is None or prediction.labels is None:
                continue
            column = prediction.labels.labels.index(label)
            before = float(prediction.probabilities[place, column])
            one = Effect(variant=variant, turn=place, label=label, before=before)
            found.append(
                replace(one, why_not=made.why_not[row])
                if made.why_not[row]
                else replace(
                    one, after=float(made.probabilities[row, column]), says=made.label(row)
                )
            )
    return tuple(found)


# how well the maps knew


def faithfulness(
    prediction: Prediction,
    dialogue: Dialogue,
    measured: Sequence[Effect],
    inputs: Mapping[str, str],
    *,
    seed: int = 0,
) -> tuple[Faithfulness, ...]:
    """A score for every map that has weights, of those of its turns that were measured."""
    sizes = {
        (one.variant, one.turn): round(abs(one.change), DIGITS)
        for one in measured
        if one.change is not None
    }
    found = []
    for each in prediction.maps:
        kind = _kind(each)
        if not kind:
            continue
        held = []
        for place in sorted({place for variant, place in sizes if variant.kind == kind}):
            both = {
                variant: (weight, sizes[variant, place])
                for variant, weight in weights(each, place, dialogue, inputs).items()
                if (variant, place) in sizes
            }
            if both:
                held.append(both)
        turns, drawn = (_across if kind == "without" else _inside)(held, seed)
        one = Faithfulness(map=each.name, variant=kind, turns=turns)
        if len(drawn):
            low, high = (float(edge) for edge in np.quantile(drawn[1:], (0.025, 0.975)))
            one = replace(one, score=float(drawn[0]), low=low, high=high)
        found.append(one)
    return tuple(found)


def _kind(one: Map) -> str:
    """The variants that a map is held against; empty where it has no weights."""
    axes = set(one.axes) - {"head"}
    for kind, known in (
        ("without", ({"modality"}, {"pair"})),
        ("drop", ({"turn"},)),
        ("mask", ({"word"},)),
        ("blank", ({"frame"}, {"word", "frame"})),
    ):
        if axes in known:
            return kind
    return ""


Held = Sequence[Mapping[Variant, tuple[float, float]]]  # of each turn: weights and sizes of change


def _inside(held: Held, seed: int) -> tuple[int, np.ndarray]:
    """ρ inside each turn, averaged over the turns: those there are, and those drawn."""
    pairs = [np.array(list(both.values())) for both in held if len(both) >= WITHIN]
    each = [spearman(one[:, 0], one[:, 1], np.ones((1, len(one))))[0] for one in pairs]
    rhos = np.array([one for one in each if np.isfinite(one)])
    if len(rhos) < LEAST:
        return len(rhos), np.zeros(0)
    return len(rhos), _drawn(len(rhos), seed) @ rhos / len(rhos)


def _across(held: Held, seed: int) -> tuple[int, np.ndarray]:
    """ρ over the turns for each input, averaged over the inputs, in the same order.

    A weight of 0 is of an input that the turn has not: there is nothing to weigh.
    """
    names = list(dict.fromkeys(chain.from_iterable(held)))
    table = np.array([[both.get(name, (0.0, 0.0)) for name in names] for both in held])
    table = table.reshape(len(held), len(names), 2)
    there = table[:, :, 0] > 0
    used = np.flatnonzero(there.sum(axis=0) >= LEAST)
    turns = int(there.any(axis=1).sum())
    if not len(used):
        return turns, np.zeros(0)
    counts = _drawn(len(held), seed)
    rhos = np.array(
        [spearman(table[:, at, 0], table[:, at, 1], counts * there[:, at]) for at in used]
    )
    rhos = rhos[np.isfinite(rhos[:, 0])]
    known = np.isfinite(rhos)
    told = known.any(axis=0)  # a draw of equal turns alone tells nothing
    return turns, np.where(known, rhos, 0).sum(axis=0)[told] / known.sum(axis=0)[told]


def _drawn(turns: int, seed: int) -> np.ndarray:
    """How often each turn is there: once, then as often as drawn, (1 + ``RESAMPLES``, turns)."""
    random = np.random.default_rng(seed)
    drawn = random.multinomial(turns, np.full(turns, 1 / turns), RESAMPLES)
    return np.concatenate([np.ones((1, turns), drawn.dtype), drawn])


def spearman(one: np.ndarray, other: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Spearman's ρ of n pairs in each of B samples that hold them so often: counts (B, n).

    NaN where either is constant. No sample is sorted: ranks follow from counts.
    """
    size = counts.sum(axis=1, keepdims=True)
    first = _ranks(one, counts) - (size + 1) / 2  # the mean rank, ties or not
    second = _ranks(other, counts) - (size + 1) / 2
    product = (counts * first * second).sum(axis=1)
    spread = (counts * first**2).sum(axis=1) * (counts * second**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, product / np.sqrt(spread), np.nan)


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Of each pair in each sample, from 1; ties share their mean: (B, n)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])  # of groups of ties
    sums = np.add.reduceat(counts[:, order], starts, axis=1)
    means = np.cumsum(sums, axis=1) - sums + (sums + 1) / 2
    found = np.empty(counts.shape)
    found[:, order] = np.repeat(means, np.diff(np.r_[starts, len(values)]), axis=1)
    return found
