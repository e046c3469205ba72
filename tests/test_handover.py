"""From words to voice: a turn whose recognised words are too unsure is answered without them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from test_answers import EVERY, HERE, extracted, known, plan, same, talk

from erc_demo import systems
from erc_demo.answers import Asked
from erc_demo.dialogue import Dialogue
from erc_demo.findings import Prediction, Variant
from erc_demo.systems import Calibration, Conversation, System

UNSURE = (1, 4)  # turns; of turn 2 one word is unsure, their mean is not


@cache
def system(least: float = 0.5) -> System:
    made = systems.build(plan("gemaps47:speaker_norm=both"), seed=3)
    made.fit_inputs([Conversation.of(talk()[0], known(), made.design.inputs)])
    made.calibration = Calibration(trust_words=least)
    return made


def heard(recognizer: str | None = "a recogniser") -> Dialogue:
    """The talk as a recogniser would have heard it."""
    turns = []
    for at, turn in enumerate(talk()[0].turns):
        shares = [0.3 if at in UNSURE or (at == 2 and place == 0) else 0.9 for place in range(9)]
        words = tuple(
            replace(word, confidence=share) for word, share in zip(turn.words, shares, strict=False)
        )
        turns.append(replace(turn, words=words))
    return replace(talk()[0], turns=tuple(turns), recognizer=recognizer)


def asked(dialogue: Dialogue, model: System | None = None) -> Asked:
    return Asked(model or system(), dialogue, talk()[1], known(), HERE)


def mute(dialogue: Dialogue) -> Dialogue:
    """The same where no word was caught in the turns whose words are unsure."""
    turns = (
        replace(turn, words=(), text="") if at in UNSURE else turn
        for at, turn in enumerate(dialogue.turns)
    )
    return replace(dialogue, turns=tuple(turns))


def predicted(dialogue: Dialogue) -> Prediction:
    made = extracted(dialogue, talk()[1])
    return systems.predict(system(), Conversation.of(dialogue, made, system().design.inputs))


def test_the_voice_decides_where_words_are_unsure_and_the_prediction_says_so() -> None:
    found = asked(heard()).prediction
    assert found.words_ignored == UNSURE and found.answered.all()
    same(found, predicted(mute(heard())))
    trusting = asked(heard(), system(0.0)).prediction
    assert trusting.words_ignored == ()
    assert np.abs(found.probabilities - trusting.probabilities)[list(UNSURE)].max() > 1e-4


@pytest.mark.parametrize(
    "dialogue",
    [
        talk()[0],  # nobody says how sure
        heard(None),
        heard("transcript, aligned by pocketsphinx"),  # sure of the place, not of the words
        heard("transcript by a recogniser"),
    ],
)
def test_given_words_are_always_trusted(dialogue: Dialogue) -> None:
    assert asked(dialogue).prediction.words_ignored == ()


def test_a_system_that_can_not_do_without_words_keeps_them() -> None:
    both = systems.design(
        "ats_sagru",
        widths={"audio": 94, "text": 384},
        settings=system().design.settings,
        reads={"audio": ("gemaps47:speaker_norm=both",), "text": ("sentence",)},
    )
    model = systems.build(both)
    model.calibration = Calibration(trust_words=0.5)
    found = asked(heard(), model).prediction
    assert found.words_ignored == () and found.answered.all()


def test_variants_of_such_a_turn_are_without_words_too() -> None:
    one, at = asked(heard()), UNSURE[1]
    masked, said, deaf, dropped = one.variants(
        {
            Variant(kind="mask", turn=at, word=0): EVERY,
            Variant(kind="say", turn=at, text="we won the whole thing"): EVERY,
            Variant(kind="without", inputs=("audio",)): EVERY,
            Variant(kind="drop", turn=3): (at,),
        }
    )
    same(masked, one.prediction)
    same(said, one.prediction)
    assert [bool(why) for why in deaf.why_not] == [place in UNSURE for place in EVERY]
    assert "No voice and no words here" in deaf.why_not[at]
    assert deaf.words_ignored == UNSURE
    silent = Asked(system(), mute(heard()), talk()[1], extracted(mute(heard()), talk()[1]), HERE)
    (wanted,) = silent.variants({Variant(kind="drop", turn=3): (at,)})
    same(dropped, wanted)


def test_a_word_that_is_trusted_still_counts() -> None:
    one = asked(heard())
    (masked,) = one.variants({Variant(kind="mask", turn=2, word=3): EVERY})
    assert np.abs(masked.probabilities[2] - one.prediction.probabilities[2]).max() > 1e-5
