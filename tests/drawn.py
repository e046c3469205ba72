"""An analysis to draw: two people, so many turns, three systems, every kind of map and measure.

The numbers are made up but hang together: moods last, systems mostly agree, weights sum to one,
and some turns lack an answer. ``analysis`` and ``view`` are all that a test needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn, Word
from erc_demo.emotions import IEMOCAP6
from erc_demo.figures import Picture, View
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

SYSTEMS = ("first_system", "second_system", "third")  # the first has all the maps
INPUTS = ("words", "sound", "voice")
PLACES = np.array(  # valence, arousal of the six labels
    [[0.0, -0.1], [0.7, 0.3], [-0.6, -0.6], [-0.7, 0.8], [0.5, 0.8], [-0.6, 0.2]]
)
HEADS, FRAMES = 4, 40
_LINES = (
    "I have been waiting for this parcel since Monday.",
    "Okay.",
    "Did you look at the note that the driver left for you on the door?",
    "No, nobody left anything, and I was at home the whole day & night.",
    "I'm sorry to hear that, let me check with the driver right now.",
    "You said that last week, and the week before <em>that</em> one.",
    "Yes",
    "Good news: he has it, it was scanned at the wrong door this morning.",
    "Wait, really? You found it? Oh, that's amazing, thank you so much!",
    "Fine. Sure. Whatever you can do.",
)


@cache
def analysis(turns: int, seed: int = 0) -> Analysis:
    """A conversation of so many turns, with predictions and explanations."""
    random = np.random.default_rng(seed)
    dialogue = _dialogue(turns, random)
    moods = _moods(dialogue, random)
    predictions = tuple(
        _prediction(name, dialogue, _disagree(moods, 0.06 * place, random), random)
        for place, name in enumerate(SYSTEMS)
    )
    first = predictions[0].but(maps=_maps(dialogue, predictions[0], random))
    return Analysis(
        dialogue=dialogue,
        recording={"name": "made up", "duration": dialogue.duration},
        predictions=(first, *predictions[1:]),
        explanations=(_explanation(dialogue, first, random),),
    )


@cache
def recording(turns: int, seed: int = 0) -> Recording:
    """Sound that fits: a hum of each speaker's pitch where he talks, noise everywhere."""
    dialogue = analysis(turns, seed).dialogue
    assert dialogue.duration is not None
    random = np.random.default_rng(seed)
    sound = np.tile(0.003 * random.standard_normal(RATE), int(dialogue.duration) + 1)
    sound = sound[: round(dialogue.duration * RATE)]
    for turn in dialogue.turns:
        assert turn.span is not None
        part = turn.span.slice
        moments = np.arange(part.stop - part.start) / RATE
        pitch = (120, 210)[turn.number % 2] * (1 + 0.08 * np.sin(4 * moments))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        level = 0.06 + 0.2 * np.abs(np.sin(np.pi * 2.7 * moments))
        hum = sum(np.sin(order * phase) / order for order in (1, 2, 3, 5, 8, 12))
        sound[part] += (level * hum)[: len(sound[part])]
    samples = np.clip(sound, -1, 1).astype(np.float32)[None]
    return Recording(name="made up", samples=samples, sha256=f"made up {turns} {seed}")


@cache
def truth(turns: int, seed: int = 0) -> tuple[str | None, ...]:
    """What people said of each turn; None where nobody did."""
    random = np.random.default_rng(seed + 1)
    said = analysis(turns, seed).predictions[0]
    found: list[str | None] = []
    for place in range(turns):
        label = said.label(place) if random.random() < 0.7 else random.choice(IEMOCAP6.labels)
        found.append(None if random.random() < 0.1 or label is None else str(label))
    return tuple(found)


def view(turns: int, dark: bool = False, **changes: Any) -> View:
    """All of it to look at; ``changes`` are fields of the View."""
    whole = View(
        analysis=analysis(turns), recording=recording(turns), truth=truth(turns), dark=dark
    )
    return replace(whole, **changes)


def text(picture: Picture | go.Figure) -> str:
    """Everything that a figure holds, as JSON without escapes."""
    figure = picture.figure if isinstance(picture, Picture) else picture
    return json.dumps(json.loads(figure.to_json()), ensure_ascii=False)


def with_turns(view: View, change: Callable[[Turn], Turn]) -> View:
    """The view with each turn changed."""
    dialogue = view.analysis.dialogue
    changed = replace(dialogue, turns=tuple(change(turn) for turn in dialogue.turns))
    return replace(view, analysis=view.analysis.but(dialogue=changed))


def with_maps(view: View, *maps: Map) -> View:
    """The view, its first system with these maps."""
    first, *others = view.analysis.predictions
    return replace(view, analysis=view.analysis.but(predictions=(first.but(maps=maps), *others)))


def untimed(turn: Turn) -> Turn:
    """A turn of which nobody knows when it was."""
    return replace(turn, span=None, words=())


def _dialogue(turns: int, random: np.random.Generator) -> Dialogue:
    made, now, speaker = [], 0.4, 0
    for place in range(turns):
        text = _LINES[place % len(_LINES)] if place < 20 else _LINES[random.integers(len(_LINES))]
        said = text.split()
        lengths = random.uniform(0.12, 0.42, len(said))
        edges = np.concatenate([[0], np.cumsum(lengths)])
        start = max(now, 0.0)
        words = tuple(
            Word(text=word, span=Span(start + low, start + high), confidence=0.9)
            for word, (low, high) in zip(said, pairwise(edges.tolist()), strict=True)
        )
        end = start + float(edges[-1]) + 0.05
        made.append(
            Turn(
                number=place + 1,
                speaker=("Agent", "Caller")[speaker],
                span=Span(start, end),
                text=text,
                words=words,
            )
        )
        overlaps = random.random() < 0.25 and end - start > 1
        now = end - 0.35 if overlaps else end + random.uniform(0.1, 0.9)
        if overlaps or random.random() < 0.85:
            speaker = 1 - speaker
    last = max((turn.span.end for turn in made if turn.span is not None), default=0.0)
    return Dialogue(name="made up", turns=tuple(made), duration=last + 0.5, language="en")


def _moods(dialogue: Dialogue, random: np.random.Generator) -> np.ndarray:
    """A label's place for each turn; each speaker keeps a mood for a while."""
    mood = {"Agent": 0, "Caller": 5}
    likely = {
        "Agent": [0.6, 0.12, 0.08, 0.05, 0.05, 0.1],
        "Caller": [0.1, 0.15, 0.2, 0.2, 0.1, 0.25],
    }
    found = []
    for turn in dialogue.turns:
        if random.random() < 0.35:
            mood[turn.speaker] = int(random.choice(6, p=likely[turn.speaker]))
        found.append(mood[turn.speaker])
    return np.array(found)


def _disagree(moods: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    other = random.integers(6, size=len(moods))
    return np.where(random.random(len(moods)) < share, other, moods)


def _prediction(
    name: str, dialogue: Dialogue, moods: np.ndarray, random: np.random.Generator
) -> Prediction:
    turns = len(dialogue.turns)
    logits = random.normal(0, 0.8, (turns, 6))
    logits[np.arange(turns), moods] += random.uniform(0.8, 4, turns)
    chances = np.exp(logits)
    chances /= chances.sum(axis=1, keepdims=True)
    values = np.tanh(chances @ PLACES + random.normal(0, 0.1, (turns, 2)))
    why_not = ["" for _ in range(turns)]
    if name == "third":
        for place in range(3, turns, 29):
            why_not[place] = "It hears words, and this turn has none that could be placed."
    missing = np.array([bool(why) for why in why_not], bool)
    chances[missing], values[missing] = np.nan, np.nan
    return Prediction(
        system=name,
        made_by=f"{name} 1.0",
        trained=True,
        labels=IEMOCAP6,
        probabilities=chances,
        dimensions=("valence", "arousal"),
        values=values,
        why_not=tuple(why_not),
    )


def _weights(shape: tuple[int, ...], axis: int, random: np.random.Generator) -> np.ndarray:
    rough = np.exp(random.normal(0, 1.2, shape))
    return rough / rough.sum(axis=axis, keepdims=True)


def _maps(
    dialogue: Dialogue, prediction: Prediction, random: np.random.Generator
) -> tuple[Map, ...]:
    turns = dialogue.turns
    count = len(turns)
    places = tuple(np.arange(count) for _ in turns)
    context = []
    for place in range(count):
        near = np.exp(-np.abs(np.arange(count) - place) / 4) * _weights((HEADS, count), 1, random)
        context.append(near / near.sum(axis=1, keepdims=True))
    middles = tuple(None if one.span is None else one.span.moments(FRAMES) for one in turns)
    before = tuple(
        next((at for at in reversed(range(place)) if turns[at].speaker == turn.speaker), REST)
        for place, turn in enumerate(turns)
    )
    words = tuple(np.arange(len(one.said)) for one in turns)
    aligned = []
    for turn in turns:
        centre = np.linspace(0, FRAMES - 1, max(len(turn.said), 1))[None, :, None]
        off = np.arange(FRAMES)[None, None, :] - centre
        rough = np.exp(-((off / 3) ** 2)) + random.uniform(0, 0.2, (HEADS, *off.shape[1:]))
        aligned.append(rough / rough.sum(axis=2, keepdims=True))
    branches = []
    for place in range(count):
        rows = 0.5 * _weights((len(INPUTS), 6), 1, random) + 0.5 * prediction.probabilities[place]
        whole = np.concatenate([rows, prediction.probabilities[place][None]])
        branches.append(whole / whole.sum(axis=1, keepdims=True))
    pairs = tuple(f"{one} by {other}" for one in INPUTS for other in INPUTS if one != other)
    return (
        Map(
            name="fusion",
            title="How much each input weighed",
            axes=("modality",),
            values=tuple(_weights((len(INPUTS),), 0, random) for _ in turns),
            names={"modality": INPUTS},
            sums="modality",
        ),
        Map(
            name="context",
            title="Which turns were leaned on",
            axes=("head", "turn"),
            values=tuple(context),
            at={"turn": places},
            sums="turn",
        ),
        Map(
            name="frames",
            title="Which stretches of the turn were heard",
            axes=("frame",),
            values=tuple(_weights((FRAMES,), 0, random) for _ in turns),
            at={"frame": middles},
            sums="frame",
        ),
        Map(
            name="frames_before",
            title="Which stretches of the speaker's turn before",
            axes=("frame",),
            values=tuple(
                None if at == REST else _weights((FRAMES,), 0, random) for at in before
            ),
            at={"frame": tuple(None if at == REST else middles[at] for at in before)},
            sums="frame",
            whose=before,
        ),
        Map(
            name="alignment",
            title="Which sound each word listened to",
            axes=("head", "word", "frame"),
            values=tuple(
                one if len(these) else None for one, these in zip(aligned, words, strict=True)
            ),
            at={"word": words, "frame": middles},
            sums="frame",
        ),
        Map(
            name="gates",
            title="How far each input let another in",
            axes=("pair",),
            values=tuple(random.beta(2, 2, len(pairs)) for _ in turns),
            names={"pair": pairs},
        ),
        Map(
            name="branches",
            title="What each input alone would have said",
            axes=("branch", "label"),
            values=tuple(branches),
            names={"branch": (*INPUTS, "together"), "label": IEMOCAP6.labels},
            sums="label",
        ),
    )  # fmt: skip


def _explanation(
    dialogue: Dialogue, prediction: Prediction, random: np.random.Generator
) -> Explanation:
    effects = []
    for place, turn in enumerate(dialogue.turns):
        label, sure = prediction.label(place), prediction.confidence(place)
        if label is None or sure is None or turn.span is None:
            continue
        span = turn.span
        third = span.duration / 3
        variants = [Variant(kind="without", inputs=(one,)) for one in INPUTS]
        variants += [Variant(kind="alone", speaker=turn.speaker), Variant(kind="from", turn=place)]
        variants += [Variant(kind="drop", turn=at) for at in range(max(0, place - 3), place)]
        variants += [Variant(kind="mask", turn=place, word=at) for at in range(len(turn.said))]
        variants += [
            Variant(
                kind="blank",
                turn=place,
                span=Span(span.start + at * third, span.start + (at + 1) * third),
            )
            for at in range(3)
        ]
        variants.append(Variant(kind="say", turn=place, text="No, nothing."))
        for variant in variants:
            after = float(np.clip(sure + random.normal(-0.08, 0.15), 0.01, 0.99))
            flips = after < 0.35
            other = IEMOCAP6.labels[(IEMOCAP6.labels.index(label) + 1) % 6]
            effects.append(
                Effect(
                    variant=variant,
                    turn=place,
                    label=label,
                    before=sure,
                    after=after,
                    says=other if flips else label,
                )
            )
        if place % 7 == 3:
            effects.append(
                Effect(
                    variant=Variant(kind="without", inputs=INPUTS[:2]),
                    turn=place,
                    label=label,
                    before=sure,
                    why_not="Nothing is left of this turn to answer from.",
                )
            )
    many = len(dialogue.turns) >= 20
    return Explanation(
        system=prediction.system,
        made_by=prediction.made_by,
        trained=prediction.trained,
        effects=tuple(effects),
        faithfulness=(
            Faithfulness(map="context", variant="drop", turns=len(dialogue.turns),
                         score=0.41 if many else None, low=0.22 if many else None,
                         high=0.57 if many else None),
            Faithfulness(map="alignment", variant="mask", turns=len(dialogue.turns),
                         score=0.04 if many else None, low=-0.09 if many else None,
                         high=0.18 if many else None),
        ),
    )  # fmt: skip
