"""One contract for every extractor in the folder, and the door that all of them stand behind.

The folder's listing is the list of cases: a new extractor is taken up with no edit here. One that
needs a model by name (its option ``encoder`` is empty by default) gets a tiny random one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import conversation as made
import numpy as np
import pytest
import soundfile
import tiny_encoders_sound
from golden.features.make import FOLDER, summary

from erc_demo import features, formats, plugs
from erc_demo.cache import Cache
from erc_demo.dialogue import RATE, Dialogue, Recording, Turn
from erc_demo.errors import UserError
from erc_demo.features import Extractor, Features, Spec, Utterance
from erc_demo.features._contract import CORPUS, SIGHT, SOUND, WORDS
from erc_demo.features._utterances import Given, batches
from erc_demo.settings import Settings

SETTINGS = Settings(offline=True)
EACH = pytest.mark.parametrize("name", features.names())
# Those that a recording can have; the others' numbers come with a corpus.
MADE = pytest.mark.parametrize(
    "name",
    [
        name
        for name in features.names()
        if CORPUS not in plugs.load("erc_demo.features", name).Extractor.hears
    ],
)
Case = tuple[Spec, Extractor]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """An extractor by name, with a tiny model where it needs one."""
    folder = tmp_path_factory.mktemp("models")

    @cache
    def find(name: str) -> Case:
        spec = Spec(name, options(name, folder))
        try:
            return spec, features.ready(spec, SETTINGS)
        except UserError as exc:
            if "pip install" in str(exc):
                pytest.skip(f"{name.upper()} NEEDS AN EXTRA: {exc}")
            raise

    return find


def options(name: str, folder: Path) -> dict[str, str]:
    module = plugs.load("erc_demo.features", name)
    needs = [one for one in fields(module.Options) if one.name == "encoder" and not one.default]
    if not needs:
        return {}
    if SOUND in module.Extractor.hears:
        return {"encoder": str(tiny_encoders_sound.speech(folder / name, "wav2vec2"))}
    ready_made = {"size": 32, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return {"encoder": str(tiny_encoders_sound.pictures(folder / name, "vit", ready_made))}


def given_to(extractor: Extractor) -> list[Utterance | None]:
    """The made conversation's turns as the extractor gets them."""
    dialogue, recording = made.conversation()
    given = Given(dialogue, recording)
    return [
        given.utterance(place, extractor) if given.look(place, extractor)[0] else None
        for place in range(len(dialogue.turns))
    ]


@cache
def rows_of(extractor: Extractor) -> tuple[np.ndarray | None, ...]:
    """Rows of every turn of the made conversation, each turn on its own."""
    return tuple(None if one is None else extractor.rows([one])[0] for one in given_to(extractor))


@EACH
def test_it_says_what_it_is(name: str, case: Callable[[str], Case]) -> None:
    module = plugs.load("erc_demo.features", name)
    assert module.ABOUT.endswith(".") and "\n" not in module.ABOUT
    assert module.TERMS == "" or module.TERMS.endswith(".")
    assert all(one.metadata["help"] for one in fields(module.Options))
    _, extractor = case(name)
    assert isinstance(extractor, Extractor)
    assert extractor.version and extractor.width > 0
    assert extractor.hears and extractor.hears <= {SOUND, WORDS, SIGHT, CORPUS}
    assert len(extractor.columns) in (0, extractor.width)
    assert (extractor.level == "frame") == (extractor.step is not None)
    if SOUND in extractor.hears:
        assert "speaker_norm" in {one.name for one in fields(module.Options)}


@EACH
def test_rows_come_from_every_turn_that_can_have_them(
    name: str, case: Callable[[str], Case]
) -> None:
    spec, extractor = case(name)
    dialogue, recording = made.conversation()
    found = features.extract([spec], dialogue, recording, SETTINGS)[spec.text]
    assert found.width == extractor.width and found.turns == len(dialogue.turns)
    silent = {made.SILENT, made.UNTIMED, made.OUTSIDE}
    absent = set()
    if SOUND in extractor.hears:
        absent |= silent
    if SIGHT in extractor.hears:
        absent |= {made.UNTIMED, made.OUTSIDE}
    if WORDS in extractor.hears:
        absent |= {made.WORDLESS}
    if CORPUS in extractor.hears:
        absent = set(range(len(dialogue.turns)))
    short = {made.SHORT} if SIGHT in extractor.hears else set()  # no picture in 30 ms
    assert set(np.flatnonzero(~found.present)) - short == absent
    said = {(remark.turn, remark.why) for remark in found.remarks}
    if SOUND in extractor.hears:
        assert {
            (made.SHORT, "short"),
            (made.SILENT, "silent"),
            (made.CLIPPED, "clipped"),
            (made.UNTIMED, "no time"),
            (made.OUTSIDE, "outside"),
        } <= said
    assert absent <= {turn for turn, _ in said}, "a turn without rows that nobody speaks of"


@EACH
def test_rows_do_not_depend_on_batch_mates(name: str, case: Callable[[str], Case]) -> None:
    _, extractor = case(name)
    given = given_to(extractor)
    there = [index for index, one in enumerate(given) if one is not None]
    alone, order = rows_of(extractor), there[::-1]
    together = extractor.rows([given[index] for index in order])
    for index, rows in zip(order, together, strict=True):
        np.testing.assert_allclose(rows, alone[index], rtol=1e-5, atol=1e-5, err_msg=name)


@MADE
def test_a_fresh_one_says_the_same(name: str, case: Callable[[str], Case]) -> None:
    spec, extractor = case(name)
    other = spec.module.Extractor(spec.filled(), SETTINGS)
    assert other.version == extractor.version
    given = given_to(other)
    for index in (made.PLAIN, made.CLIPPED, made.PLAIN):
        np.testing.assert_array_equal(other.rows([given[index]])[0], rows_of(extractor)[index])


@MADE
def test_what_it_hears_matters_and_nothing_else(name: str, case: Callable[[str], Case]) -> None:
    _, extractor = case(name)
    given = given_to(extractor)
    plain, other = given[made.PLAIN], given[made.OTHER]
    if SOUND in extractor.hears:
        changed = replace(plain, sound=other.sound)
    elif WORDS in extractor.hears:
        changed = replace(plain, turn=replace(plain.turn, text="something else", words=()))
    else:
        changed = replace(plain, pictures=255 - plain.pictures)
    before, after = rows_of(extractor)[made.PLAIN], extractor.rows([changed])[0]
    assert before.shape != after.shape or not np.allclose(before, after, atol=1e-3)
    if WORDS not in extractor.hears:
        retold = replace(plain, turn=replace(plain.turn, text="something else", words=()))
        np.testing.assert_array_equal(extractor.rows([retold])[0], before)


@MADE
def test_golden_numbers(name: str, case: Callable[[str], Case]) -> None:
    """Numbers that change without their version changing would spoil caches and checkpoints."""
    spec, extractor = case(name)
    if spec.options:
        pytest.skip(f"{name} has no numbers of its own: its model is named by the user")
    file = FOLDER / f"{name}.json"
    assert file.exists(), f"python tests/golden/features/make.py {name}"
    golden = json.loads(file.read_text(encoding="utf-8"))
    assert golden["version"] == extractor.version, (
        f"the version changed: see that the numbers did, then "
        f"'python tests/golden/features/make.py {name}'"
    )
    found = summary(rows_of(extractor))
    assert [one and one["rows"] for one in found] == [
        one and one["rows"] for one in golden["turns"]
    ]
    for index, (now, then) in enumerate(zip(found, golden["turns"], strict=True)):
        for part in ("first", "mean", "spread", "all") if now else ():
            np.testing.assert_allclose(
                now[part],
                then[part],
                rtol=1e-3,
                atol=1e-4 * then["spread"],
                err_msg=f"{name}, turn {index}, {part}",
            )


@pytest.mark.slow
@MADE
def test_a_turn_of_ten_minutes(name: str, case: Callable[[str], Case]) -> None:
    spec, extractor = case(name)
    sound = np.concatenate([made.voice(30.0, 110 + 5 * seed, seed) for seed in range(20)])
    span = made.Span(0, len(sound) / RATE)
    text = " ".join(f"and then number {number} went home" for number in range(300))
    turn = Turn(number=0, speaker="A", span=span, text=text, channel=0)
    recording = Recording(
        name="long", samples=sound[None], sha256="long", pictures=made.pictures(span.end)
    )
    dialogue = Dialogue(name="long", turns=(turn,))
    found = features.extract([spec], dialogue, recording, SETTINGS)[spec.text]
    assert found.present.all()
    assert [one.why for one in found.remarks] == (["cut"] if name == "tokens" else [])
    if extractor.level == "frame":
        assert len(found.rows) == pytest.approx(span.end / extractor.step, abs=5)


# The door.


class Loud(Extractor):
    """A toy extractor: peak and length of a turn's sound."""

    version, level, width = "1", "utterance", 2
    hears, columns = frozenset({SOUND}), ("peak", "seconds")
    calls = 0

    def __init__(self, options: object, settings: Settings) -> None: ...

    def rows(self, utterances: list[Utterance]) -> list[np.ndarray]:
        Loud.calls += len(utterances)
        return [
            np.array([[np.abs(one.sound).max(), one.seconds]], np.float32) for one in utterances
        ]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy in the place of a real extractor, so that the door is tested and not openSMILE."""
    module = plugs.load("erc_demo.features", "gemaps47")
    monkeypatch.setattr(module, "Extractor", Loud)
    Loud.calls = 0
    features._ready.cache_clear()
    yield "gemaps47"
    features._ready.cache_clear()


def talk(*lengths: float) -> tuple[Dialogue, Recording]:
    """Turns of A and B in one channel, each of its own level."""
    turns, parts, at = [], [], 0.0
    for number, seconds in enumerate(lengths):
        sound = made.voice(seconds, 120 + 90 * (number % 2), number, 0.1 * (number + 1))
        span = made.Span(at, at + seconds)
        turns.append(Turn(number=number, speaker="AB"[number % 2], span=span, text="so"))
        parts.append(sound)
        at += seconds
    samples = np.concatenate(parts)[None]
    recording = Recording(name="talk", samples=samples, sha256=f"{samples.sum():.9f}")
    return Dialogue(name="talk", turns=tuple(turns)), recording


def test_the_cache_answers_and_knows_what_matters(toy: str, tmp_path: Path) -> None:
    dialogue, recording = talk(0.5, 0.7, 0.9)
    cache = Cache(tmp_path, 10)
    first = features.extract([toy], dialogue, recording, SETTINGS, cache=cache)[toy]
    assert Loud.calls == 3
    again = features.extract([toy], dialogue, recording, SETTINGS, cache=cache)[toy]
    assert Loud.calls == 3
    np.testing.assert_array_equal(first.rows, again.rows)
    assert again.columns == ("peak", "seconds") and again.name == toy
    edited = replace(dialogue, turns=tuple(replace(t, text="edited") for t in dialogue.turns))
    features.extract([toy], edited, recording, SETTINGS, cache=cache)
    assert Loud.calls == 3, "a word's edit leaves what only hears sound"
    norm = f"{toy}:speaker_norm=both"
    wide = features.extract([norm], dialogue, recording, SETTINGS, cache=cache)[norm]
    assert Loud.calls == 3 and wide.width == 4, "another normalisation makes no row anew"
    moved = replace(dialogue.turns[2], span=made.Span(1.3, 2.0))
    changed = replace(dialogue, turns=(*dialogue.turns[:2], moved))
    found = features.extract([toy], changed, recording, SETTINGS, cache=cache)[toy]
    assert Loud.calls == 4, "one turn moved, one turn's row is made"
    np.testing.assert_array_equal(found.of(1), first.of(1))
    assert found.of(2)[0, 1] == pytest.approx(0.7, abs=1e-3)


def test_what_is_known_is_found_without_the_sound(toy: str, tmp_path: Path) -> None:
    dialogue, recording = talk(0.5, 0.7)
    cache = Cache(tmp_path, 10)
    assert features.known([toy], dialogue, recording.sha256, SETTINGS, cache) is None
    made_now = features.extract([toy], dialogue, recording, SETTINGS, cache=cache)[toy]
    kept = features.known([toy], dialogue, recording.sha256, SETTINGS, cache)
    np.testing.assert_array_equal(kept[toy].rows, made_now.rows)
    assert features.known([toy], dialogue, "of another recording", SETTINGS, cache) is None


def test_a_damaged_entry_is_made_again(toy: str, tmp_path: Path) -> None:
    dialogue, recording = talk(0.5)
    cache = Cache(tmp_path, 10)
    features.extract([toy], dialogue, recording, SETTINGS, cache=cache)
    (file,) = tmp_path.glob("*/*.npz")
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["starts"] = np.array([0, 7])
    np.savez(file, **arrays)
    found = features.extract([toy], dialogue, recording, SETTINGS, cache=cache)[toy]
    assert Loud.calls == 2 and found.rows.shape == (1, 2)


def test_work_is_handed_out_in_bounded_parts_and_put_back_in_order(toy: str) -> None:
    dialogue, recording = talk(*[0.3] * 40, 50.0, 20.0, 0.2)
    handed: list[int] = []

    def run(function, calls):
        for call in calls:
            handed.append(len(call[2]))
            yield function(*call)

    told: list[float] = []
    found = features.extract([toy], dialogue, recording, SETTINGS, run=run, tell=told.append)[toy]
    assert len(handed) > 2 and max(handed) <= 32
    assert told == sorted(told) and told[-1] == 1.0
    seconds = [turn.span.duration for turn in dialogue.turns]
    np.testing.assert_allclose(found.rows[:, 1], seconds, atol=1e-3)


def test_what_an_extractor_finds_odd_is_said_and_kept(tmp_path: Path) -> None:
    turns = (
        Turn(number=0, speaker="A", text="so it is"),
        Turn(number=3, speaker="B", text="\u200b so"),
        Turn(number=4, speaker="B", text=" ".join(["on"] * 300)),
    )
    dialogue = Dialogue(name="odd", turns=turns)
    cache = Cache(tmp_path, 10)
    for _ in range(2):
        found = features.extract(
            ["static", "tokens:most=32"], dialogue, None, SETTINGS, cache=cache
        )
        assert [str(one) for one in found["static"].remarks] == [
            "Turn 3 has words that the encoder or the vectors do not know."
        ]
        assert [(one.turn, one.why) for one in found["tokens:most=32"].remarks] == [(4, "cut")]


def test_an_edit_that_is_taken_back_is_still_there(toy: str, tmp_path: Path) -> None:
    dialogue, recording = talk(0.5, 0.7)
    moved = replace(dialogue.turns[1], span=made.Span(0.6, 1.1))
    changed = replace(dialogue, turns=(dialogue.turns[0], moved))
    cache = Cache(tmp_path, 10)
    for one in (dialogue, changed, dialogue, changed):
        features.extract([toy], one, recording, SETTINGS, cache=cache)
    assert Loud.calls == 3


def test_without_a_recording_the_sound_is_absent_and_said_to_be() -> None:
    dialogue, _ = talk(0.5, 0.5)
    found = features.extract(["gemaps47"], dialogue, None, SETTINGS)["gemaps47"]
    assert not found.present.any() and found.rows.shape == (0, 47)
    assert [str(remark) for remark in found.remarks][0] == (
        "Turn 0 has no sound here: there is no recording."
    )


def test_a_networks_batches_hold_what_is_alike() -> None:
    sizes = [(30.0, 9), (1.0, 9), (29.0, 9), (2.0, 9), (31.0, 9), (1.0, 8)]
    assert list(batches(sizes, True)) == [[5, 1, 3, 2], [0], [4]]
    assert list(batches(sizes, False)) == [[0], [1, 2], [3], [4], [5]]
    assert list(batches(sizes[1::2], False)) == [[0, 1, 2]]


def test_an_undefined_number_is_nought_and_said_so(
    toy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = np.array([[np.nan, 3.0]], np.float32)
    monkeypatch.setattr(Loud, "rows", lambda self, us: [row for _ in us])
    cache = Cache(tmp_path, 10)
    for _ in range(2):
        found = features.extract([toy], *talk(0.5), SETTINGS, cache=cache)[toy]
        assert found.rows.tolist() == [[0.0, 3.0]]
        assert [one.why for one in found.remarks] == ["undefined"]


def test_a_fault_ends_what_runs_elsewhere(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def run(function, calls):
        def answers():
            try:
                for call in calls:
                    yield function(*call)
            finally:
                closed.append(True)

        begun = answers()
        return begun

    monkeypatch.setattr(Loud, "rows", lambda self, us: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        features.extract([toy], *talk(0.5), SETTINGS, run=run)
    assert closed


def test_settings_that_do_not_matter_make_no_second_one(toy: str) -> None:
    spec = features.parse(toy)
    one = features.ready(spec, SETTINGS)
    assert features.ready(spec, replace(SETTINGS, language="de", port=8000)) is one
    assert features.ready(features.parse(f"{toy}:speaker_norm=both"), SETTINGS) is one
    assert features.ready(spec, replace(SETTINGS, device="cpu")) is not one


def test_a_turn_says_one_thing(tmp_path: Path) -> None:
    """Its words, where there are such, whoever reads it: itself or a later turn's context."""
    word = made.Word(text="hello")
    turns = (
        Turn(number=0, speaker="A", text="goodbye then", words=(word,)),
        Turn(number=1, speaker="A", text="so"),
    )
    plain = Dialogue(name="one", turns=(replace(turns[0], text="hello", words=()), turns[1]))
    both = Dialogue(name="one", turns=turns)
    wanted = ["sentence", "words", "tokens:context=3"]
    ours = features.extract(wanted, both, None, SETTINGS)
    same = features.extract(wanted, plain, None, SETTINGS)
    for name in wanted:
        np.testing.assert_array_equal(ours[name].rows, same[name].rows)


def test_a_channel_that_is_not_there_costs_one_turn(toy: str) -> None:
    dialogue, recording = talk(0.5, 0.5)
    turns = (dialogue.turns[0], replace(dialogue.turns[1], channel=5))
    found = features.extract([toy], replace(dialogue, turns=turns), recording, SETTINGS)[toy]
    assert found.present.tolist() == [True, False]
    assert [str(one) for one in found.remarks] == [
        "Turn 1 is on a channel that the recording has not."
    ]


@pytest.mark.parametrize("channel", [None, 0, 1])
def test_a_channel_and_the_mix_are_three_sounds(
    toy: str, tmp_path: Path, channel: int | None
) -> None:
    samples = np.stack([made.voice(0.5, 120, 1, 0.4), made.voice(0.5, 220, 2, 0.1)])
    recording = Recording(name="two", samples=samples, sha256="two")
    turn = Turn(number=0, speaker="A", span=made.Span(0, 0.5))
    cache = Cache(tmp_path, 10)
    for each in (None, 0, 1):
        dialogue = Dialogue(name="two", turns=(replace(turn, channel=each),))
        found = features.extract([toy], dialogue, recording, SETTINGS, cache=cache)[toy]
        if each == channel:
            peak = np.abs(recording.sound(channel=channel)).max()
            assert found.rows[0, 0] == pytest.approx(peak)
    assert Loud.calls == 3


def test_infinite_numbers_are_a_bug_and_said_so(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loud, "rows", lambda self, us: [np.full((1, 2), np.inf, np.float32)])
    with pytest.raises(RuntimeError, match="gemaps47: rows of turn 0 are not finite"):
        features.extract([toy], *talk(0.5), SETTINGS)


def test_sound_that_is_no_sound_is_refused(toy: str) -> None:
    dialogue, recording = talk(0.5)
    samples = recording.samples.copy()
    samples[0, 100] = np.inf
    with pytest.raises(UserError, match="turn 0 holds values that are no numbers"):
        features.extract([toy], dialogue, replace(recording, samples=samples), SETTINGS)


# How features are asked for.


def test_a_wish_is_read_and_written_in_one_way() -> None:
    spec = features.parse(" gemaps47 : speaker_norm = both ")
    assert spec.text == "gemaps47:speaker_norm=both" and spec.raw.text == "gemaps47"
    assert features.parse("gemaps47:speaker_norm=off") == Spec("gemaps47")
    assert hash(spec) == hash(features.parse(spec.text))
    folder = features.parse("sentence:encoder=models/a,b,layer=2")
    assert dict(folder.options) == {"encoder": "models/a,b", "layer": 2}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gemaps", "no 'gemaps' in features; choose one of .*gemaps47"),
        ("gemaps47:speaker_norm", "'speaker_norm' in .* is no option"),
        ("gemaps47:norm=off", "has no option 'norm' .its options: speaker_norm"),
        ("gemaps47:speaker_norm=on,speaker_norm=off", "gives speaker_norm twice"),
        ("gemaps47:speaker_norm=on", "'on'; one of off, past, upload, both, mean was wanted"),
        ("tokens:context=many", "'many'; a whole number was wanted"),
    ],
)
def test_a_wish_that_can_not_be_met_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        features.parse(text)
    assert "\n" not in str(caught.value)


# What is written about them.

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "features.md").read_text(encoding="utf-8")


def test_the_page_names_them_all() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| (\d+|[\w' ]+) \|", PAGE, re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == features.names()
    for name, _, width in rows:
        if width.isdecimal() and name != "prosody8":
            assert features.ready(Spec(name), SETTINGS).width == int(width)


def test_the_pages_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dialogue, recording = talk(0.5, 0.7)
    soundfile.write(tmp_path / "call.wav", recording.samples[0], RATE)
    formats.export(replace(dialogue, name="call"), tmp_path, ["json"])
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert names["found"]["gemaps47:speaker_norm=both"].rows.shape == (2, 94)


# The noun.


def noun(**changes: object) -> Features:
    good = {
        "name": "toy",
        "version": "1",
        "level": "word",
        "rows": np.arange(6, dtype=np.float32).reshape(3, 2),
        "starts": np.array([0, 2, 2, 3]),
    }
    return Features(**(good | changes))


def test_features_know_their_turns() -> None:
    found = noun()
    assert found.turns == 3 and found.present.tolist() == [True, False, True]
    assert found.of(0).tolist() == [[0, 1], [2, 3]] and len(found.of(1)) == 0
    with pytest.raises(ValueError):
        found.rows[0] = 1


@pytest.mark.parametrize(
    "changes",
    [
        {"level": "phone"},
        {"rows": np.zeros((3, 2))},
        {"rows": np.full((3, 2), np.nan, np.float32)},
        {"starts": np.array([0, 2, 2, 4])},
        {"starts": np.array([0, 2, 1, 3])},
        {"level": "utterance"},
        {"columns": ("one",)},
        {"level": "frame"},
        {"step": 0.1, "reach": 0.1},
    ],
)
def test_features_refuse_what_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        noun(**changes)
