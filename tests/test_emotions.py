"""Label sets and their maps, worked by hand; the palette, measured as its docstring claims."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from erc_demo import emotions
from erc_demo.emotions import (
    DIMENSIONS,
    EMORYNLP7,
    IEMOCAP4,
    IEMOCAP6,
    LABEL_SETS,
    LOOKS,
    MELD7,
    RAVDESS8,
    LabelSet,
    contrast,
    map_probabilities,
    mapping,
)
from erc_demo.errors import UserError

SETS = list(LABEL_SETS.values())
APART = 8.5  # OKLab distance times 100

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# Ottosson (2020): linear RGB to cone responses, their cube roots to L, a, b.
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _seen(colour: str, sight: str) -> np.ndarray:
    part = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return LAB @ np.cbrt(CONES @ np.clip(SIGHT[sight] @ linear, 0, 1))


def _distance(one: str, other: str, sight: str) -> float:
    return 100 * float(np.linalg.norm(_seen(one, sight) - _seen(other, sight)))


def test_the_measure_of_distance_knows_black_white_and_red() -> None:
    assert _distance("#000000", "#FFFFFF", "normal") == pytest.approx(100, abs=0.01)
    red = _seen("#FF0000", "normal")  # as Ottosson's page gives it
    assert red == pytest.approx([0.627955, 0.224863, 0.125846], abs=1e-5)
    grey = _seen("#808080", "normal")
    for sight in SIGHT:  # a grey stays the grey it is
        assert _seen("#808080", sight) == pytest.approx(grey, abs=2e-3)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("ground", ["fill", "fill_dark"])
@pytest.mark.parametrize("labels", SETS, ids=lambda one: one.name)
def test_fills_of_a_set_lie_apart_for_every_sight(
    labels: LabelSet, ground: str, sight: str
) -> None:
    for one, other in combinations(labels.labels, 2):
        fills = [getattr(labels.look(label), ground) for label in (one, other)]
        assert _distance(fills[0], fills[1], sight) >= APART, (one, other)


@pytest.mark.parametrize("emotion", LOOKS)
def test_texts_and_signs_can_be_read(emotion: str) -> None:
    look = LOOKS[emotion]
    assert contrast(look.text, "#FFFFFF") >= 4.5
    assert contrast(look.text_dark, "#111418") >= 4.5
    # a sign in its fill is a picture, for which 3 is asked; sad's dark sign has 4.4
    assert contrast(look.on_fill, look.fill) >= 4.3
    assert contrast(look.on_fill_dark, look.fill_dark) >= 4.3
    assert contrast(look.fill_dark, "#111418") >= 3


def test_pale_fills_say_that_they_need_an_outline() -> None:
    outlined = {emotion for emotion, look in LOOKS.items() if look.outlined}
    assert outlined == {"happy", "calm", "surprise"}
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)  # WCAG's known case


def test_the_palette_is_the_one_of_the_drawings(shared: Callable[[str], Path]) -> None:
    drawn = json.loads(shared("mockups/palette.json").read_text(encoding="utf-8"))["colours"]
    for emotion, colours in drawn.items():
        look = LOOKS[emotion]
        assert colours == {
            "fill": look.fill,
            "on_fill": look.on_fill,
            "text_light": look.text,
            "fill_dark": look.fill_dark,
            "on_fill_dark": look.on_fill_dark,
            "text_dark": look.text_dark,
            "glyph": look.glyph,
            "pattern": look.pattern,
        }
    assert set(LOOKS) - set(drawn) == {"powerful"}


@pytest.mark.parametrize("labels", SETS, ids=lambda one: one.name)
def test_nothing_in_a_set_is_told_by_colour_alone(labels: LabelSet) -> None:
    size = len(labels.labels)
    for cue in (
        labels.letter,
        labels.code,
        lambda label: labels.look(label).glyph,
        lambda label: labels.look(label).pattern,
    ):
        assert len({cue(label) for label in labels.labels}) == size
    assert all(len(labels.letter(label)) == 1 for label in labels.labels)
    assert all(labels.parse(labels.letter(label)) == label for label in labels.labels)
    assert all(labels.parse(labels.code(label)) == label for label in labels.labels)
    assert pickle.loads(pickle.dumps(labels)) == labels


def test_orders_and_letters_are_fixed() -> None:
    letters = {one.name: "".join(map(one.letter, one.labels)) for one in SETS}
    assert letters == {
        "iemocap4": "NHSA",
        "iemocap6": "NHSAEF",
        "meld7": "NJSAUFD",
        "emorynlp7": "NJPWCMS",
        "ravdess8": "NCHSAFDU",
    }
    assert "".join(map(EMORYNLP7.code, EMORYNLP7.labels)) == "NEUJOYPEAPOWSCAMADSAD"
    assert MELD7.emotion("joy") == EMORYNLP7.emotion("joyful") == "happy"
    assert EMORYNLP7.look("peaceful") == RAVDESS8.look("calm")
    assert EMORYNLP7.look("mad") == MELD7.look("anger")
    assert EMORYNLP7.look("scared") == MELD7.look("fear")


@pytest.mark.parametrize(
    ("labels", "said", "meant"),
    [
        (IEMOCAP6, "ang hap exc sad neu fru", "angry happy excited sad neutral frustrated"),
        (IEMOCAP4, "N H S A", "neutral happy sad angry"),  # MSP-IMPROV's four
        (
            MELD7,
            "neutral joy sadness anger surprise fear disgust",
            "neutral joy sadness anger surprise fear disgust",
        ),
        (
            EMORYNLP7,
            "Neutral Joyful Peaceful Powerful Scared Mad Sad",
            "neutral joyful peaceful powerful scared mad sad",
        ),
        (  # DailyDialog's
            MELD7,
            "no_emotion happiness sadness anger surprise fear disgust",
            "neutral joy sadness anger surprise fear disgust",
        ),
        (
            RAVDESS8,
            "01 02 03 04 05 06 07 08",
            "neutral calm happy sad angry fearful disgust surprised",
        ),
    ],
)
def test_each_corpus_is_understood_in_its_own_words(
    labels: LabelSet, said: str, meant: str
) -> None:
    assert [labels.parse(word) for word in said.split()] == meant.split()


def test_unknown_words_list_the_known() -> None:
    with pytest.raises(UserError, match=r"'xxx' is no label of IEMOCAP, 4 .* happy \(H\), sad"):
        IEMOCAP4.parse("xxx")
    with pytest.raises(UserError, match=r"'exc' \(excited\) is no label of IEMOCAP, 4"):
        IEMOCAP4.parse("exc")  # merging is the mapping's to do, and said there
    with pytest.raises(UserError, match="has no label 'joy'; it has neutral, happy, sad, angry"):
        IEMOCAP4.look("joy")
    with pytest.raises(UserError, match="no label set 'meld'; choose one of iemocap4"):
        emotions.label_set("meld")
    assert emotions.label_set("meld7") is MELD7


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("happy", "joy"), "both happy and joy"),
        (("sad", "surprise", "sad"), "both sad and sad"),
        (("sad",), "two or more of these"),
        (("sad", "bored"), "holds sad, bored; two or more of these"),
    ],
)
def test_a_set_that_cannot_be_shown_is_refused(labels: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        LabelSet("made", "made up", labels)


def test_maps_worked_by_hand() -> None:
    assert mapping(IEMOCAP6, IEMOCAP4) == {
        "neutral": "neutral", "happy": "happy", "sad": "sad", "angry": "angry",
        "excited": "happy", "frustrated": None,
    }  # fmt: skip
    assert mapping(EMORYNLP7, MELD7) == {
        "neutral": "neutral", "joyful": "joy", "peaceful": "neutral", "powerful": None,
        "scared": "fear", "mad": "anger", "sad": "sadness",
    }  # fmt: skip
    assert mapping(RAVDESS8, EMORYNLP7) == {
        "neutral": "neutral", "calm": "peaceful", "happy": "joyful", "sad": "sad",
        "angry": "mad", "fearful": "scared", "disgust": None, "surprised": None,
    }  # fmt: skip
    assert mapping(MELD7, IEMOCAP6) == {
        "neutral": "neutral", "joy": "happy", "sadness": "sad", "anger": "angry",
        "surprise": None, "fear": None, "disgust": None,
    }  # fmt: skip


@pytest.mark.parametrize("source", SETS, ids=lambda one: one.name)
@pytest.mark.parametrize("target", SETS, ids=lambda one: one.name)
def test_maps_there_and_back_change_no_emotion_that_both_have(
    source: LabelSet, target: LabelSet
) -> None:
    there, back = mapping(source, target), mapping(target, source)
    shared = {source.emotion(one) for one in source.labels} & {
        target.emotion(one) for one in target.labels
    }
    for label, found in there.items():
        assert found is None or found in target.labels
        if source.emotion(label) in shared:
            assert found is not None and back[found] == label
    if source is target:
        assert all(label == found for label, found in there.items())


def test_probabilities_are_summed_left_out_and_scaled() -> None:
    # surprise, fear and disgust (0.5 together) have no match; the other half is doubled
    mapped = map_probabilities((0.1, 0.2, 0.05, 0.15, 0.3, 0.1, 0.1), MELD7, IEMOCAP6)
    assert mapped == pytest.approx((0.2, 0.4, 0.1, 0.3, 0.0, 0.0))
    # excited joins happy; frustrated (0.2) is dropped, the rest divided by 0.8
    merged = map_probabilities((0.1, 0.2, 0.3, 0.1, 0.1, 0.2), IEMOCAP6, IEMOCAP4)
    assert merged == pytest.approx((0.125, 0.375, 0.375, 0.125))
    same = (0.25, 0.25, 0.4, 0.1)
    assert map_probabilities(same, IEMOCAP4, IEMOCAP4) == pytest.approx(same)


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [
        ((0, 0, 0, 0, 0.5, 0.25, 0.25), "no match"),
        ((1.0,), "1 probabilities were given for the 7 labels"),
        ((1, float("nan"), 0, 0, 0, 0, 0), "A probability is nan"),
        ((1.5, -0.5, 0, 0, 0, 0, 0), "A probability is -0.5"),
    ],
)
def test_probabilities_that_say_nothing_are_refused(
    probabilities: tuple[float, ...], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        map_probabilities(probabilities, MELD7, IEMOCAP4)


def test_ratings_become_minus_one_to_one_and_back() -> None:
    assert list(DIMENSIONS) == ["valence", "arousal", "dominance", "expectancy", "power"]
    valence = DIMENSIONS["valence"]
    assert [valence.canonical(rating) for rating in (1, 2, 3, 4, 5)] == [-1, -0.5, 0, 0.5, 1]
    assert valence.canonical(7, 1, 7) == 1
    assert valence.canonical(5, low_end=5, high_end=1) == -1  # a scale that runs down
    for ends in ((1, 5), (1, 7), (9, 1), (0, 100), (-1, 1)):
        for rating in np.linspace(min(ends), max(ends), 7):
            value = valence.canonical(float(rating), *ends)
            assert valence.rating(value, *ends) == pytest.approx(rating)


@pytest.mark.parametrize("rating", [-1.5, 5.5, float("nan")])
def test_ratings_off_their_scale_are_refused(rating: float) -> None:
    with pytest.raises(UserError, match="outside its scale from 1 to 5"):
        DIMENSIONS["arousal"].canonical(rating)
    with pytest.raises(UserError, match="-1 to 1 was wanted"):
        DIMENSIONS["arousal"].rating(rating)
