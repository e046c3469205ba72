"""What a system answers of variants: the same as of a conversation that is really so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conversation import voice

from erc_demo import features, plugs, systems
from erc_demo.analysis import QUESTIONS, Cancelled, analyse, ask
from erc_demo.answers import Asked, needs
from erc_demo.answers._anew import Anew, Varied, said_instead
from erc_demo.cache import Cache
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn, Word
from erc_demo.explanation import explain, stretches
from erc_demo.findings import Analysis, Features, Prediction, Step, Variant
from erc_demo.settings import Settings
from erc_demo.systems import Conversation, Design, Output, System, ats_sagru
from erc_demo.systems._answer import WINDOW
from erc_demo.systems._batch import Batch

HERE = Settings(offline=True)
TEXTS = (
    "I can't believe it",
    "No",
    "why would you even say that",
    "because it is true",
    "oh come on",
    "we won the whole thing",
)


@cache
def talk() -> tuple[Dialogue, Recording]:
    """Six turns of two people, one channel each; turn 4 is of both channels' mean."""
    turns, at = [], 0.3
    samples = np.zeros((2, 12 * RATE), np.float32)
    for number, text in enumerate(TEXTS):
        sound = voice(0.9 + 0.1 * number, (120, 210)[number % 2], number)
        span = Span(at, at + len(sound) / RATE)
        samples[number % 2, span.slice] = sound
        said = text.split()
        edges = np.linspace(span.start, span.end, len(said) + 1).tolist()
        words = tuple(
            Word(text=word, span=Span(start, end))
            for word, start, end in zip(said, edges[:-1], edges[1:], strict=True)
        )
        turns.append(
            Turn(
                number=number + 3,
                speaker="AB"[number % 2],
                span=span,
                words=words,
                channel=None if number == 4 else number % 2,
            )
        )
        at = span.end + 0.3
    recording = Recording(name="talk", samples=samples, sha256="talk")
    return Dialogue(name="talk", turns=tuple(turns)), recording


def plan(audio: str) -> Design:
    return systems.design(
        "ats_sagru",
        widths={"audio": 94 if audio.endswith("both") else 47, "text": 384, "speaker": 256},
        embedded=True,
        dimensions=("valence",),
        settings=ats_sagru.SMALL,
        reads={"audio": (audio,), "text": ("sentence",), "speaker": ("voice",)},
    )


@cache
def system(audio: str = "gemaps47:speaker_norm=both") -> System:
    """Drawn weights, but inputs on one scale, so that each of them matters."""
    made = systems.build(plan(audio), seed=3)
    made.fit_inputs([Conversation.of(talk()[0], known(), made.design.inputs)])
    return made


def extracted(dialogue: Dialogue, recording: Recording | None) -> dict[str, Features]:
    wanted = ["gemaps47:speaker_norm=both", "gemaps47", "sentence", "voice"]
    return features.extract(wanted, dialogue, recording, HERE)


@cache
def known() -> dict[str, Features]:
    return extracted(*talk())


def asked(model: System | None = None, **more: Any) -> Asked:
    return Asked(model or system(), *talk(), known(), HERE, **more)


def answers(dialogue: Dialogue, made: Mapping[str, Features], **more: Any) -> Prediction:
    inputs = system().design.inputs
    return systems.predict(system(), Conversation.of(dialogue, made, inputs), **more)


def with_turn(at: int, turn: Turn) -> Dialogue:
    dialogue = talk()[0]
    turns = [turn if place == at else one for place, one in enumerate(dialogue.turns)]
    return replace(dialogue, turns=tuple(turns))


def same(one: Prediction, other: Prediction, places: Sequence[int] | None = None) -> None:
    """Equal up to what batches do to the last digits; rows of ``other`` by place."""
    places = range(other.turns) if places is None else places
    assert list(one.why_not) == [other.why_not[at] for at in places]
    for name in ("probabilities", "values"):
        found, wanted = getattr(one, name), getattr(other, name)[list(places)]
        np.testing.assert_allclose(found, wanted, atol=2e-6, rtol=0)


EVERY = tuple(range(len(TEXTS)))


def test_a_system_needs_what_it_reads_and_what_that_is_made_from() -> None:
    assert set(needs(system())) == set(known())
    assert needs(system("gemaps47")) == ["gemaps47", "sentence", "voice"]


def test_without_is_a_conversation_that_lacks_it() -> None:
    dialogue, recording = talk()
    wordless = replace(
        dialogue, turns=tuple(replace(turn, words=(), text="") for turn in dialogue.turns)
    )
    first, second = asked().variants(
        {
            Variant(kind="without", inputs=("text",)): EVERY,
            Variant(kind="without", inputs=("text", "audio")): (5, 1),
        }
    )
    same(first, answers(wordless, extracted(wordless, recording)))
    assert first.maps == () and first.labels == asked().prediction.labels
    assert not second.answered.any() and "No voice and no words here" in second.why_not[0]


@pytest.mark.parametrize("hindsight", [True, False])
def test_turns_that_were_not_said(hindsight: bool) -> None:
    dialogue, recording = talk()
    model = system("gemaps47")
    one = asked(model, hindsight=hindsight)
    kept = {
        Variant(kind="from", turn=2): [2, 3, 4, 5],
        Variant(kind="drop", turn=3): [0, 1, 2, 4, 5],
        Variant(kind="alone", speaker="B"): [1, 3, 5],
    }
    found = one.variants({variant: EVERY for variant in kept})
    for made, there in zip(found, kept.values(), strict=True):
        fresh = replace(dialogue, turns=tuple(dialogue.turns[at] for at in there))
        again = features.extract(needs(model), fresh, recording, HERE)
        conversation = Conversation.of(fresh, again, model.design.inputs)
        wanted = systems.predict(model, conversation, hindsight=hindsight)
        for row, place in enumerate(EVERY):
            if place not in there:
                assert made.why_not[row] == "This turn is what was taken away."
                assert np.isnan(made.probabilities[row]).all()
                continue
            at = there.index(place)
            np.testing.assert_allclose(
                made.probabilities[row], wanted.probabilities[at], atol=2e-6, rtol=0
            )
    changed = np.abs(found[1].probabilities[4] - one.prediction.probabilities[4]).max()
    assert changed > 1e-4, "what is compared does change"


def test_rows_of_other_turns_stay_as_they_were() -> None:
    (made,) = asked().variants({Variant(kind="drop", turn=0): (2, 5)})
    whole = asked().conversation
    part = whole.part([1, 2, 3, 4, 5])
    wanted = systems.predict(system(), replace(part, places=tuple(range(5))))
    same(made, wanted, [1, 4])


def test_the_same_words_change_nothing() -> None:
    (made,) = asked().variants({Variant(kind="say", turn=2, text=TEXTS[2]): EVERY})
    same(made, asked().prediction)
    dialogue = talk()[0]
    assert said_instead(dialogue.turns[2], TEXTS[2]) == dialogue.turns[2]


def test_other_words_are_read_and_keep_the_times_of_those_they_stand_for() -> None:
    dialogue, recording = talk()
    text = "why should you ever even say that"
    said = said_instead(dialogue.turns[2], text)
    old = dialogue.turns[2].words
    assert [word.span for word in said.words] == [
        *(old[at].span for at in (0, 1, 2)),
        None,
        *(old[at].span for at in (3, 4, 5)),
    ]
    (made,) = asked().variants({Variant(kind="say", turn=2, text=text): EVERY})
    other = with_turn(2, said)
    same(made, answers(other, extracted(other, recording)))
    written = Turn(number=0, speaker="A", text="no words")
    assert said_instead(written, "some words").said == ("some", "words")


@pytest.mark.parametrize(("at", "word"), [(2, 3), (1, 0)])
def test_a_word_that_was_not_said(at: int, word: int) -> None:
    """Of a turn of one word nothing is left to read."""
    dialogue, recording = talk()
    turn = dialogue.turns[at]
    words = turn.words[:word] + turn.words[word + 1 :]
    other = with_turn(at, replace(turn, words=words, text=""))
    (made,) = asked().variants({Variant(kind="mask", turn=at, word=word): EVERY})
    same(made, answers(other, extracted(other, recording)))
    assert np.abs(made.probabilities - asked().prediction.probabilities).max() > 1e-4


def silenced(span: Span) -> Recording:
    samples = talk()[1].samples.copy()
    samples[:, span.slice] = 0
    return Recording(name="silenced", samples=samples, sha256=f"{span}")


@pytest.mark.parametrize("at", [2, 4, 5])
def test_a_silent_stretch(at: int) -> None:
    """Turn 2 has a later one of its speaker, whose rows stay; 4 and 5 are the last of theirs."""
    dialogue = talk()[0]
    span = stretches(dialogue.turns[at])[1]
    (made,) = asked().variants({Variant(kind="blank", turn=at, span=span): EVERY})
    again = extracted(dialogue, silenced(span))
    rows = {name: known()[name].rows.copy() for name in again}
    for name in ("gemaps47:speaker_norm=both", "voice"):
        rows[name][at] = again[name].rows[at]
        assert not np.allclose(rows[name][at], known()[name].rows[at], atol=1e-3)
    wanted = answers(
        dialogue, {name: known()[name].but(rows=these) for name, these in rows.items()}
    )
    same(made, wanted)
    if at > 3:
        same(made, answers(dialogue, again))


def test_a_turn_without_any_sound_has_no_voice() -> None:
    dialogue = talk()[0]
    span = dialogue.turns[5].span
    assert span is not None
    (made,) = asked().variants({Variant(kind="blank", turn=5, span=span): (5, 4)})
    assert made.why_not[0].startswith("No voice and no speaker here") and not made.why_not[1]
    same(made, answers(dialogue, extracted(dialogue, silenced(span))), [5, 4])


@pytest.mark.parametrize("mode", ["off", "past", "upload", "both", "mean"])
@pytest.mark.parametrize("name", ["gemaps47", "frames34"])
def test_new_rows_are_normalised_as_the_old_ones_were(name: str, mode: str) -> None:
    dialogue, recording = talk()
    spec = features.parse(f"{name}:speaker_norm={mode}")
    made = features.extract([spec, spec.raw], dialogue, recording, HERE)
    span = stretches(dialogue.turns[4])[2]
    variant = Variant(kind="blank", turn=4, span=span)
    inputs = {"audio": (spec.text,)}
    varied = through(variant, Anew(dialogue, recording, made, inputs, HERE), made, inputs, [4])
    again = features.extract([spec], dialogue, silenced(span), HERE)[spec.text]
    np.testing.assert_allclose(varied.rows[4][spec.text], again.of(4), atol=1e-4, rtol=1e-4)


def through(
    variant: Variant,
    anew: Anew,
    made: Mapping[str, Features],
    inputs: Mapping[str, Sequence[str]],
    places: Sequence[int],
    gone: Sequence[int] = (),
) -> Varied:
    """A variant on its way through ``anew``, run on some turns."""
    dialogue = talk()[0]
    part = Conversation.of(dialogue, made, inputs).part(places)
    there = [at for at in EVERY if at not in gone]
    varied = Varied(variant=variant, targets=places, gone=gone, there=there, parts=[part])
    anew.read([varied])
    anew.hear([varied])
    return varied


@pytest.mark.parametrize(
    ("variant", "gone"),
    [
        (Variant(kind="from", turn=2), (0, 1)),
        (Variant(kind="drop", turn=1), (1,)),
        (Variant(kind="alone", speaker="B"), (0, 2, 4)),
        (Variant(kind="mask", turn=3, word=1), ()),
        (Variant(kind="mask", turn=1, word=0), ()),
        (Variant(kind="say", turn=1, text="never again"), ()),
    ],
)
@pytest.mark.parametrize("context", [1, 2, 14])
def test_what_reads_earlier_texts_forgets_them_too(
    variant: Variant, gone: tuple[int, ...], context: int
) -> None:
    dialogue = talk()[0]
    text = f"tokens:context={context}"
    made = features.extract([text], dialogue, None, HERE)
    inputs = {"text": (text,)}
    places = [at for at in EVERY if at not in gone]
    varied = through(variant, Anew(dialogue, None, made, inputs, HERE), made, inputs, places, gone)
    turns = list(dialogue.turns)
    if variant.kind == "mask":
        turn = turns[variant.turn or 0]
        words = tuple(word for at, word in enumerate(turn.words) if at != variant.word)
        turns[variant.turn or 0] = replace(turn, words=words, text="")
    if variant.text is not None:
        turns[variant.turn or 0] = said_instead(turns[variant.turn or 0], variant.text)
    fresh = replace(dialogue, turns=tuple(turns[at] for at in places))
    wanted = features.extract([text], fresh, None, HERE)[text]
    changed = 0
    for index, at in enumerate(places):
        rows = varied.rows.get(at, {}).get(text, made[text].of(at))
        np.testing.assert_array_equal(rows, wanted.of(index))
        changed += not np.array_equal(rows, made[text].of(at))
    if variant.kind != "alone":  # what the speaker said before stays
        assert changed or context == 1, "with one turn back nobody reads his own"


def test_a_turn_that_was_only_read_with_another_counts_too() -> None:
    """The system looks one turn back, its tokens fourteen."""
    dialogue, recording = talk()
    text, module = "tokens:context=14", plugs.load(systems.PACKAGE, "dialogue_trm")
    encoder = module.SMALL["encoder"].replace('"vocab_size": 64', '"vocab_size": 30522')
    encoder = encoder.replace('"max_position_embeddings": 64', '"max_position_embeddings": 512')
    settings = {**module.SMALL, "context": 1, "encoder": encoder}
    model = systems.build(
        systems.design(
            "dialogue_trm", widths={"tokens": 3}, settings=settings, reads={"tokens": (text,)}
        )
    )

    def tokens(of: Dialogue) -> dict[str, Features]:
        return features.extract([text], of, None, HERE)

    one = Asked(model, dialogue, recording, tokens(dialogue), HERE)
    (found,) = one.variants({Variant(kind="drop", turn=0): (4,)})
    later = replace(dialogue, turns=dialogue.turns[1:])
    wanted = systems.predict(model, Conversation.of(later, tokens(later), model.design.inputs))
    np.testing.assert_allclose(found.probabilities[0], wanted.probabilities[3], atol=2e-6)
    assert np.abs(found.probabilities[0] - one.prediction.probabilities[4]).max() > 1e-5


def test_what_variants_need_is_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    extract = features.extract

    def counted(wanted: Any, dialogue: Dialogue, *others: Any) -> Any:
        calls.append(len(dialogue.turns))
        return extract(wanted, dialogue, *others)

    one = asked()
    made = explain(one.prediction, talk()[0], one.variants, inputs=one.inputs, kinds=one.kinds)
    assert {effect.variant.kind for effect in made.effects} == {"without", "alone", "from", "drop"}
    monkeypatch.setattr(features, "extract", counted)
    made = explain(
        one.prediction,
        talk()[0],
        one.variants,
        inputs=one.inputs,
        kinds=one.kinds,
        turn=2,
        texts={2: "why would you say this"},
    )
    found = {effect.variant.kind for effect in made.effects}
    assert found == one.kinds == {"without", "alone", "from", "drop", "mask", "blank", "say"}
    assert calls == [6 + 1, 5], "each word and the text; each stretch of 1.1 s"
    assert {effect.turn for effect in made.effects} == {2}


def test_a_system_without_sound_is_not_asked_to_hear() -> None:
    one = Asked(system(), talk()[0], None, known(), HERE)
    assert one.kinds == {"without", "alone", "from", "drop", "mask", "say"}


class OneBack(ats_sagru.System):
    """A toy that looks at a turn's words and at those of the turn before."""

    def around(self, speakers: Sequence[str], place: int) -> Sequence[int] | None:
        return range(max(0, place - 1), place + 1)

    def run(self, batch: Batch, show: bool) -> Output:
        output = Output()
        rows = self.embed["text"](self.read(batch, "text"))
        before = torch.nn.functional.pad(rows, (0, 0, 1, 0))[:, :-1]
        output.logits, output.values = self.heads(rows + 2 * before)
        return output

    @property
    def shows(self) -> tuple[Any, ...]:
        return ()


def test_only_what_can_change_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    model = OneBack(system().design).eval()
    one = asked(model)
    before = one.prediction
    run: list[tuple[int, ...]] = []
    answer = systems.answer

    def counted(model: System, parts: Sequence[Conversation], **more: Any) -> Any:
        run.extend(part.places for part in parts)
        return answer(model, parts, **more)

    monkeypatch.setattr(systems, "answer", counted)
    dropped, masked, spoken = one.variants(
        {
            Variant(kind="drop", turn=1): (5, 2, 0),
            Variant(kind="mask", turn=4, word=0): (3, 5),
            Variant(kind="alone", speaker="A"): (4,),
        }
    )
    assert run == [(0, 2), (4, 5), (2, 4)], "a dropped turn lets in the one before it"
    for made, places, kept in ((dropped, (5, 2, 0), [0, 2]), (masked, (3, 5), [0])):
        for row in kept:
            assert (made.probabilities[row] == before.probabilities[places[row]]).all()
    fresh = systems.predict(model, replace(one.conversation.part([0, 2]), places=(0, 1)))
    np.testing.assert_allclose(dropped.probabilities[1], fresh.probabilities[1], atol=2e-6)
    assert spoken.answered.all()


def long(turns: int) -> tuple[Dialogue, dict[str, Features]]:
    """A long talk, its features drawn."""
    random = np.random.default_rng(0)
    said = tuple(Turn(number=at, speaker="AB"[at % 2], text="so") for at in range(turns))
    made = {
        text: Features(
            name=text,
            version="drawn",
            level="utterance",
            rows=random.standard_normal((turns, width)).astype(np.float32),
            starts=np.arange(turns + 1),
        )
        for text, width in (
            ("gemaps47:speaker_norm=both", 94),
            ("gemaps47", 47),
            ("sentence", 384),
            ("voice", 256),
        )
    }
    return Dialogue(name="long", turns=said), made


@pytest.mark.parametrize("hindsight", [True, False])
def test_a_long_conversation_is_asked_in_its_windows(
    monkeypatch: pytest.MonkeyPatch, hindsight: bool
) -> None:
    dialogue, made = long(2 * WINDOW + 10)
    one = Asked(system(), dialogue, None, made, HERE, hindsight=hindsight)
    before, run = one.prediction, list[int]()
    answer = systems.answer

    def counted(model: System, parts: Sequence[Conversation], **more: Any) -> Any:
        run.extend(len(part) for part in parts)
        return answer(model, parts, **more)

    monkeypatch.setattr(systems, "answer", counted)
    at = WINDOW + 50
    near, far, late = one.variants(
        {
            Variant(kind="drop", turn=at - 3): (at,),
            Variant(kind="drop", turn=3): (at,),
            Variant(kind="from", turn=at): (at,),
        }
    )
    assert len(run) == 2 and max(run) < WINDOW
    assert (far.probabilities == before.probabilities[at]).all(), "out of sight, nothing changes"
    (view,) = [
        part
        for part in systems.views(system(), one.conversation, hindsight=hindsight)
        if at in np.array(part.places)[part.targets]
    ]
    for found, gone in ((near, {at - 3}), (late, set(range(at)))):
        kept = [index for index, place in enumerate(view.places) if place not in gone]
        part = view.part(kept)
        (wanted,) = answer(system(), [part])
        np.testing.assert_allclose(
            found.probabilities[0],
            wanted.probabilities["iemocap6"][part.places.index(at)],
            atol=2e-6,
        )


@pytest.mark.parametrize("name", systems.names())
def test_every_system_is_explained(name: str) -> None:
    """A system that is added to the folder is taken up here."""
    dialogue, recording = talk()
    reads = systems.inputs(name, embedded=True)
    every = [text for texts in reads.values() for text in texts]
    made = features.extract(
        [*every, *(features.parse(text).raw for text in every)], dialogue, recording, HERE
    )
    widths = {one: sum(made[text].width for text in texts) for one, texts in reads.items()}
    module = plugs.load(systems.PACKAGE, name)
    model = systems.build(systems.design(name, widths=widths, embedded=True, settings=module.SMALL))
    one = Asked(model, dialogue, recording, made, HERE)
    assert one.prediction.answered.all()
    shown = {axis for each in one.prediction.maps for axis in each.axes}
    for turn in (None, 2):
        found = explain(
            one.prediction, dialogue, one.variants, inputs=one.inputs, kinds=one.kinds, turn=turn
        )
        kinds = {effect.variant.kind for effect in found.effects}
        assert kinds <= one.kinds and found.system == name
        assert (len(one.inputs) > 1) == ("without" in kinds)
        if turn is not None:
            assert kinds >= one.kinds - {"say", "without"}
        for axis, kind in (("turn", "drop"), ("frame", "blank")):
            assert axis not in shown or kind in kinds
        for effect in found.effects:
            assert effect.why_not or -1 <= (effect.change or 0) <= 1
        scored = {score.map for score in found.faithfulness}
        maps = {each.name for each in one.prediction.maps if "branch" not in each.axes}
        assert scored == (maps if turn is None else set())


# the corridor


def test_systems_are_asked_about_an_analysis(tmp_path: Path) -> None:
    dialogue, recording = talk()
    told: list[tuple[str, float]] = []
    before = Analysis(dialogue=dialogue, steps=(Step(name="words", seconds=1.0),))
    asking = [(system(), "made", True), (OneBack(system().design).eval(), "untrained", False)]
    cache = Cache(tmp_path, 100)
    made = ask(
        before, recording, asking, HERE, sample=2, cache=cache, tell=lambda *one: told.append(one)
    )
    assert made.dialogue == dialogue and [one.name for one in made.steps] == ["words", *QUESTIONS]
    assert list(dict.fromkeys(step for step, _ in told)) == list(QUESTIONS)
    assert all(0 <= fraction <= 1 for _, fraction in told)
    assert [(one.made_by, one.trained) for one in made.predictions] == [
        ("made", True),
        ("untrained", False),
    ]
    same(made.predictions[0], asked().prediction)
    dropped = [one.turn for one in made.explanations[0].effects if one.variant.kind == "drop"]
    assert len(set(dropped)) == 2
    again = Analysis.from_json(made.to_json())
    assert again.explanations == tuple(
        type(one).from_json(one.to_json()) for one in made.explanations
    )
    past = ask(before, recording, asking[:1], replace(HERE, context="past"), explain=False)
    assert not past.predictions[0].hindsight and past.explanations == ()
    assert [one.name for one in past.steps] == ["words", "features", "systems"]
    own = ask(before, recording, asking[:1], HERE, labels="meld7", explain=False, cache=cache)
    assert own.predictions[0].labels.name == "iemocap6"  # what it was not taught it does not say
    moods = systems.build(
        systems.design(
            "ats_sagru",
            reads=system().design.inputs,
            widths=system().design.widths,
            embedded=True,
            labels=(),
            dimensions=("valence",),
            settings=ats_sagru.SMALL,
        )
    )
    silent = ask(before, recording, [(moods, "untrained", False)], HERE, cache=cache)
    assert silent.predictions[0].labels is None and silent.explanations[0].effects == ()


@pytest.mark.parametrize("step", QUESTIONS)
def test_a_wish_to_stop_is_heard_while_asking(step: str, tmp_path: Path) -> None:
    reached: list[str] = []
    with pytest.raises(Cancelled):
        ask(
            Analysis(dialogue=talk()[0]),
            talk()[1],
            [(system(), "untrained", False)],
            HERE,
            tell=lambda name, _: reached.append(name),
            cancelled=lambda: step in reached,
        )
    assert reached[-1] == step


def test_what_was_heard_comes_with_its_sound(shared: Callable[[str], Path], tmp_path: Path) -> None:
    call = shared("data/calls/libri-stitched/libri_2033_2414.ogg")
    made, recording = analyse(call, tmp_path, replace(HERE, recognizer="none"))
    assert made.recording["sha256"] == recording.sha256
    assert recording.duration == made.recording["seconds"] and made.dialogue.turns
