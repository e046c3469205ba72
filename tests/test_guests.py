"""Guests: another's classifier gives what transformers gives, or is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conversation as made
import numpy as np
import pytest
import tiny_guests as tiny
from hub_server import HubServer

from erc_demo import guests
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn
from erc_demo.emotions import IEMOCAP4, IEMOCAP6, MELD7, OWN, RAVDESS8, LabelSet, OwnWords, mapping
from erc_demo.errors import UserError
from erc_demo.findings import Prediction
from erc_demo.guests import _labels
from erc_demo.settings import Settings

HERE = Settings(offline=True, device="cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks lose more by waiting for one another's threads than they win."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def talk(*lengths: int, text: str = "you do not know") -> tuple[Dialogue, Recording]:
    """Turns of so many samples after one another, all saying the same."""
    random = np.random.default_rng(3)
    samples = (0.1 * random.standard_normal(sum(lengths) + RATE)).astype(np.float32)
    ends = np.cumsum(lengths).tolist()
    turns = tuple(
        Turn(number=at, speaker="AB"[at % 2], span=Span((end - n) / RATE, end / RATE), text=text)
        for at, (n, end) in enumerate(zip(lengths, ends, strict=True))
    )
    recording = Recording(name="talk", samples=samples[None], sha256=f"talk {lengths}")
    return Dialogue(name="talk", turns=turns), recording


def written(*texts: str) -> Dialogue:
    turns = (Turn(number=at, speaker="A", text=text) for at, text in enumerate(texts))
    return Dialogue(name="written", turns=tuple(turns))


# what labels mean


@pytest.mark.parametrize(
    ("words", "own", "said"),
    [
        (tiny.FOUR, "iemocap4", ("neutral", "happy", "angry", "sad")),
        (("Angry", "SAD", "neutral_state"), "iemocap4", ("angry", "sad", "neutral")),
        (
            tiny.EKMAN,
            "meld7",
            ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"),
        ),
        (("ang", "exc", "fru"), "iemocap6", ("angry", "excited", "frustrated")),
        (("calm", "fearful", "happy"), "ravdess8", ("calm", "fearful", "happy")),
        (("happy", "joy"), OWN, None),  # one emotion twice
        (("joy", "love", "anger"), OWN, None),  # one that nobody has
        (("N", "H", "S", "A"), OWN, None),
        (("01", "02"), OWN, None),  # RAVDESS's codes, or anybody's numbers
        (("LABEL_0", "LABEL_1"), OWN, None),
    ],
)
def test_labels_are_known_or_stand_as_they_are(
    words: tuple[str, ...], own: str, said: tuple[str, ...] | None
) -> None:
    found, these = _labels.known(words)
    assert found.name == own and these == (said or words)
    assert said or found.labels == words


@pytest.mark.parametrize(
    ("words", "asked", "shown"),
    [
        (tiny.FOUR, IEMOCAP4, IEMOCAP4),
        (tiny.FOUR, IEMOCAP6, IEMOCAP4),  # it can't say 'excited'
        (tiny.EKMAN, IEMOCAP4, IEMOCAP4),
        (tiny.EKMAN, IEMOCAP6, MELD7),
        (IEMOCAP6.labels, IEMOCAP4, IEMOCAP4),
        (RAVDESS8.labels, MELD7, MELD7),
        (("sad", "angry"), IEMOCAP4, IEMOCAP4),  # its own set, of which it says a part
        (("fear", "sad"), IEMOCAP4, MELD7),
        (("love", "sad"), IEMOCAP4, OwnWords(("love", "sad"))),
    ],
)
def test_it_is_shown_in_the_asked_set_if_it_can_say_all_of_that(
    words: tuple[str, ...], asked: LabelSet, shown: LabelSet
) -> None:
    assert _labels.spoken(*_labels.known(words), asked) == shown


def test_chances_are_mapped_by_hand() -> None:
    chances = np.array(
        [
            # anger disgust fear joy neutral sadness surprise
            [0.3, 0.1, 0.0, 0.2, 0.2, 0.1, 0.1],
            [0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.0],
            [np.nan] * 7,
        ]
    )
    rows, without = _labels.told(chances, *_labels.known(tiny.EKMAN), IEMOCAP4)
    assert IEMOCAP4.labels == ("neutral", "happy", "sad", "angry")
    np.testing.assert_allclose(rows[0], np.array([0.2, 0.2, 0.1, 0.3]) / 0.8, rtol=1e-6)
    assert np.isnan(rows[1:]).all() and without == [None, "fear", None]
    rows, without = _labels.told(chances, *_labels.known(tiny.EKMAN), MELD7)
    assert rows[1, MELD7.labels.index("fear")] == pytest.approx(0.5) and without == [None] * 3
    six = np.array([[0.1, 0.2, 0.1, 0.1, 0.4, 0.1]])  # excited counts as happy
    rows, _ = _labels.told(six, IEMOCAP6, IEMOCAP6.labels, IEMOCAP4)
    np.testing.assert_allclose(rows[0], np.array([0.1, 0.6, 0.1, 0.1]) / 0.9, rtol=1e-6)


def test_own_words_can_be_told_apart_and_map_to_nothing() -> None:
    words = ("positive", "negative", "neutral", "LABEL_3", "Ärger", "пример")
    own = OwnWords(words)
    assert len({own.letter(one) for one in words}) == len(words)
    assert [own.letter(one) for one in words[:4]] == ["P", "N", "E", "L"]
    assert own.look("neutral").glyph == "E"
    assert {own.look(one).fill for one in words} == {IEMOCAP4.look("neutral").fill}
    assert len({own.look(one).pattern for one in words}) == len(words)
    assert set(mapping(own, MELD7).values()) == {None} == set(mapping(MELD7, own).values())
    assert mapping(own, OwnWords(words))["neutral"] == "neutral"
    many = OwnWords([f"class {at}" for at in range(64)])
    assert len({many.letter(one) for one in many.labels}) == 64
    with pytest.raises(UserError, match="model's own word"):
        own.emotion("neutral")
    for wrong in (["a"], ["a", "a"], ["a", "<b>"], ["a", " "], ["a", "b\n"], ["a", "b" * 41]):
        with pytest.raises(UserError, match="labels were given"):
            OwnWords(wrong)
    with pytest.raises(UserError, match="65 labels were given"):
        OwnWords([str(at) for at in range(65)])


# what it says


def literal_sound(folder: Path, sounds: list[np.ndarray]) -> np.ndarray:
    """Chances as transformers' own example code gets them, one turn after the other."""
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    ready = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    rows = []
    for sound in sounds:
        given = ready(sound, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            rows.append(model(**given).logits[0].softmax(-1).numpy())
    return np.array(rows)


def literal_words(folder: Path, texts: list[str], last: str = "softmax") -> np.ndarray:
    import torch
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    cut = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    cut.backend_tokenizer.no_padding()
    cut.backend_tokenizer.no_truncation()
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        ids = torch.tensor([cut.encode(text)])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0]
        rows.append((logits.softmax(-1) if last == "softmax" else logits.sigmoid()).numpy())
    return np.array(rows)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_sound_is_the_literal_forward(tmp_path: Path, family: str) -> None:
    folder = tiny.sound(tmp_path / "guest", family)
    guest = guests.load(str(folder), HERE)
    dialogue, recording = talk(8000, 1600, 24_321, 8000)
    chances = guest.chances(dialogue, recording)
    sounds = [recording.sound(turn.span).copy() for turn in dialogue.turns if turn.span]
    wanted = literal_sound(folder, sounds)
    assert wanted.std(axis=0).max() > 1e-3  # it does hear
    np.testing.assert_allclose(chances.rows, wanted, rtol=1e-4, atol=1e-5)
    said = guest.prediction(chances, asked=IEMOCAP6)
    assert said.labels == IEMOCAP4 and said.guest and said.made_by.startswith("guest guest ")
    order = [IEMOCAP4.labels.index(IEMOCAP4.parse(one)) for one in tiny.FOUR]
    np.testing.assert_allclose(said.probabilities[:, order], wanted, rtol=1e-4, atol=1e-5)


def test_words_are_the_literal_forward(tmp_path: Path) -> None:
    folder = tiny.words(tmp_path / "said")
    guest = guests.load(str(folder), HERE)
    texts = ["the cat sat on a mat", "you do not know", "", "the mat", "do you know the cat"]
    chances = guest.chances(written(*texts), None)
    wanted = literal_words(folder, [text for text in texts if text])
    assert wanted.std(axis=0).max() > 1e-3
    np.testing.assert_allclose(chances.rows[[0, 1, 3, 4]], wanted, rtol=1e-4, atol=1e-5)
    assert chances.why_not == ("", "", "This turn has no words.", "", "")
    said = guest.prediction(chances, asked=IEMOCAP6)
    assert said.labels == MELD7 and said.system == "said"
    assert said.answered.tolist() == [True, True, False, True, True]


def test_each_label_on_its_own_becomes_shares(tmp_path: Path) -> None:
    labels = ("admiration", "joy", "annoyance")
    folder = tiny.words(tmp_path / "each", labels, problem_type="multi_label_classification")
    guest = guests.load(str(folder), HERE)
    texts = ["the cat sat", "you know"]
    scores = literal_words(folder, texts, "sigmoid")
    rows = guest.chances(written(*texts), None).rows
    np.testing.assert_allclose(rows, scores / scores.sum(axis=1, keepdims=True), rtol=1e-4)
    assert guest.labels == OwnWords(labels)
    assert [part in " ".join(guest.remarks) for part in ("own words", "each label on its own")]


def test_a_long_turn_is_read_in_parts(tmp_path: Path) -> None:
    folder = tiny.sound(tmp_path / "heard")
    guest = guests.load(str(folder), HERE)
    dialogue, recording = talk(RATE * 41, RATE)
    chances = guest.chances(dialogue, recording)
    whole = recording.sound(Span(0, 41))
    np.testing.assert_allclose(
        chances.rows[0],
        literal_sound(folder, np.array_split(whole, 3)).mean(axis=0),
        rtol=1e-4,
        atol=1e-5,
    )
    assert chances.parted == 1 and "1 turn was longer than heard reads" in guest.notes(chances)[-1]
    folder = tiny.words(tmp_path / "said")
    guest = guests.load(str(folder), HERE)
    text = "the cat sat on a mat " * 6  # 36 words, of which 22 fit beside [CLS] and [SEP]
    chances = guest.chances(written(text, "the cat"), None)
    parts = [" ".join(part) for part in np.array_split(text.split(), 2)]
    wanted = literal_words(folder, parts).mean(axis=0)
    np.testing.assert_allclose(chances.rows[0], wanted, rtol=1e-4, atol=1e-5)
    assert chances.parted == 1


def test_every_kind_of_turn_is_answered_or_says_why(tmp_path: Path) -> None:
    dialogue, recording = made.conversation()
    sound = guests.load(str(tiny.sound(tmp_path / "heard", "hubert")), HERE)
    chances = sound.chances(dialogue, recording)
    absent = {made.SILENT: "is silent", made.UNTIMED: "has no time", made.OUTSIDE: "lies outside"}
    for place, why in enumerate(chances.why_not):
        assert bool(why) == bool(np.isnan(chances.rows[place]).any()) == (place in absent), place
        assert absent.get(place, "") in why
    without = sound.chances(dialogue, None)
    assert "This turn has no sound here: there is no recording." in without.why_not
    words = guests.load(str(tiny.words(tmp_path / "said")), HERE)
    missing = [bool(why) for why in words.chances(dialogue, recording).why_not]
    assert missing == [not turn.said for turn in dialogue.turns]


def test_an_answer_survives_json(tmp_path: Path) -> None:
    labels = ("positive", "negative", "LABEL_2")
    guest = guests.load(str(tiny.words(tmp_path / "said", labels)), HERE)
    chances = guest.chances(written("the cat", "", "you know"), None)
    said = guest.prediction(chances, asked=IEMOCAP6)
    again = Prediction.from_json(json.loads(json.dumps(said.to_json())))
    assert again.labels == said.labels == OwnWords(labels) and again.guest
    assert again.label(0) == said.label(0) in labels and again.why_not == said.why_not
    np.testing.assert_allclose(again.probabilities, said.probabilities, atol=2e-6)


# who is refused


def without_head(weights: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in weights.items() if not key.startswith("classifier.")}


def other_head(weights: dict[str, Any]) -> dict[str, Any]:
    """As a well-known checkpoint of RAVDESS's emotions has it."""
    names = {"projector.": "classifier.dense.", "classifier.": "classifier.output."}
    return {
        next((to + key[len(at) :] for at, to in names.items() if key.startswith(at)), key): value
        for key, value in weights.items()
    }


def wider_head(weights: dict[str, Any]) -> dict[str, Any]:
    import torch

    width = weights["classifier.weight"].shape[1]
    return weights | {"classifier.weight": torch.zeros(6, width), "classifier.bias": torch.zeros(6)}


def without_pooler(weights: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in weights.items() if "pooler" not in key}


def with_more(weights: dict[str, Any]) -> dict[str, Any]:
    import torch

    return weights | {"layer_weights": torch.ones(3)}


@pytest.mark.parametrize(
    ("make", "change", "says"),
    [
        (tiny.sound, without_head, "lacks 2 of the weights of a Wav2Vec2ForSequenceClassification"),
        (tiny.sound, other_head, "lacks 4 of the weights .*they would be random numbers"),
        (tiny.sound, wider_head, "another shape .classifier.bias, classifier.weight"),
        (tiny.words, without_head, "lacks 2 of the weights of a BertForSequenceClassification"),
        (tiny.words, without_pooler, "lacks 2 .*pooler"),  # which this head reads
        (tiny.sound, with_more, "another head .*layer_weights is not read"),
    ],
)
def test_the_trap_a_random_head_of_the_right_shape(
    tmp_path: Path, make: Callable[[Path], Path], change: Callable[[Any], Any], says: str
) -> None:
    assert guests.load(str(make(tmp_path / "whole")), HERE)
    with pytest.raises(UserError, match=says) as caught:
        guests.load(str(tiny.reweigh(make(tmp_path / "trap"), change)), HERE)
    assert "\n" not in str(caught.value)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "no classifier": ({"architectures": ["BertModel"]}, "is BertModel by its config.json"),
    "a class of its own": (
        {"architectures": ["Wav2Vec2ForSpeechClassification"]},
        "is Wav2Vec2ForSp",
    ),
    "no class": ({"architectures": None}, "is nothing that it names"),
    "code": ({"auto_map": {"AutoModel": "a.B"}}, "brings its own code"),
    "regression": ({"problem_type": "regression"}, "gives numbers .anger, disgust, fear. whose"),
    "one number": ({"id2label": {"0": "valence"}}, "gives numbers .valence. whose scale"),
    "dimensions": (
        {"id2label": {"0": "Arousal", "1": "dominance", "2": "valence"}},
        "gives numbers .Arousal, dominance, valence. whose scale",
    ),
    "odd numbers": ({"id2label": {"0": "joy", "2": "sad"}}, "does not number 2 to 64 labels"),
    "no object": ({"id2label": ["joy", "sad"]}, "does not number 2 to 64 labels"),
    "no number": ({"id2label": None, "num_labels": "many"}, "does not number 2 to 64 labels"),
    "too many": ({"id2label": None, "num_labels": 10**12}, "does not number 2 to 64 labels"),
    "more than it says": ({"num_labels": 2}, "does not number 2 to 64 labels"),
    "fewer names": ({"id2label": {"0": "joy", "1": "sad"}}, "in another shape .classifier"),
    "a tag": ({"id2label": {str(at): f"<b>{at}" for at in range(7)}}, "without < and >"),
    "one twice": ({"id2label": dict.fromkeys(map(str, range(7)), "sad")}, "none of them twice"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_config_that_does_not_do(tmp_path: Path, name: str) -> None:
    changes, says = CHANGES[name]
    folder = tiny.configure(tiny.words(tmp_path / "guest"), **changes)
    with pytest.raises(UserError, match=says) as caught:
        guests.load(str(folder), HERE)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_do(tmp_path: Path) -> None:
    import torch

    folder = tiny.sound(tmp_path / "heard")
    ready = folder / "preprocessor_config.json"
    facts = json.loads(ready.read_text())
    ready.write_text(json.dumps(facts | {"sampling_rate": 8000}))
    with pytest.raises(UserError, match="hears sound at 8000 Hz"):
        guests.load(str(folder), HERE)
    ready.write_text(json.dumps(facts | {"feature_extractor_type": "Nobody", "auto_map": {}}))
    ready.unlink()
    with pytest.raises(UserError, match="has no preprocessor_config.json"):
        guests.load(str(folder), HERE)
    folder = tiny.words(tmp_path / "said")
    (folder / "tokenizer.json").rename(folder / "kept.json")
    with pytest.raises(UserError, match="lacks tokenizer.json"):
        guests.load(str(folder), HERE)
    (folder / "kept.json").rename(folder / "tokenizer.json")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged or cut short"):
        guests.load(str(folder), HERE)
    weights.unlink()
    torch.save({"classifier": Path("anything")}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds more than tensors"):
        guests.load(str(folder), HERE)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="is an adapter of another model"):
        guests.load(str(folder), HERE)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="is an adapter of another model"):
        guests.load(str(folder), HERE)
    with pytest.raises(UserError, match="There is no folder 'nobody'"):
        guests.load("nobody", HERE)


def test_a_guest_comes_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.words(tmp_path / "served" / "someone" / "feelings")
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    with HubServer(tmp_path / "served") as server:
        for key, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(key, value)
        guest = guests.load("hub:someone/feelings", Settings(device="cpu"))
        assert guest.name == "feelings"
        assert guest.made_by.startswith("guest someone/feelings ")
        said = guest.chances(written("the cat"), None).rows
        pinned = f"hub:someone/feelings@{server.commit('someone/feelings')}"
        assert guests.load(pinned, Settings(device="cpu")).made_by == guest.made_by
        for wrong, says in (
            ("hub:someone/else", "has no model someone/else"),
            ("hub:someone/feelings@v2", "no such revision"),
        ):
            with pytest.raises(UserError, match=says):
                guests.load(wrong, Settings(device="cpu"))
        before = len(server.asked)
        again = guests.load("hub:someone/feelings", HERE)
        assert len(server.asked) == before and again.made_by == guest.made_by
    here = guests.load(str(tmp_path / "served" / "someone" / "feelings"), HERE)
    np.testing.assert_array_equal(here.chances(written("the cat"), None).rows, said)


def test_a_list_of_guests() -> None:
    assert guests.named(" hub:a/b, ,c d/e ,hub:a/b") == ["hub:a/b", "c d/e"]
    assert guests.named("") == []
