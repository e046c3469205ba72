"""Who spoke when: layouts from signals, clusters of drawn voices, turns of spoken dialogues."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from erc_demo import speech, turns, voices
from erc_demo.dialogue import RATE, Dialogue, Recording, Span
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.turns import clusters, layout

Make = Callable[..., Recording]


@pytest.fixture(scope="module")
def encoder() -> voices.Encoder:
    return voices.load("ge2e", Settings())


class Silent:
    """An encoder that must not be asked: where each person has a channel, no voice is compared."""

    name, version, width = "silent", "0", 4

    def embed(self, sound: np.ndarray) -> np.ndarray:
        raise AssertionError("nobody asked for vectors")

    def windows(self, sound: np.ndarray, starts: np.ndarray, seconds: float) -> np.ndarray:
        raise AssertionError("nobody asked for vectors")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """Sentences of a low and of a high voice, each 2 s or so."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("ESPEAK-NG ABSENT: no two-voice dialogue can be made here")
    soundfile = pytest.importorskip("soundfile")
    from scipy.signal import resample_poly

    texts = [
        "Good morning, this is the office, how can I help you?",
        "I would like to change the date of my journey, please.",
        "Of course, which day would suit you better than that?",
        "The second Tuesday in March, if there is still a seat.",
    ]
    folder, found = tmp_path_factory.mktemp("spoken"), {}
    for voice, pitch in (("en-us+m3", "30"), ("en-gb+f2", "75")):
        found[voice] = []
        for number, text in enumerate(texts):
            path = folder / f"{pitch}-{number}.wav"
            call = ["espeak-ng", "-v", voice, "-p", pitch, "-w", str(path), text]
            subprocess.run(call, check=True, timeout=20)
            sound, rate = soundfile.read(path, dtype="float32")
            found[voice].append(resample_poly(sound, RATE, rate).astype(np.float32) * 0.4)
    return found


@pytest.fixture(scope="module")
def conversation(spoken: dict[str, list[np.ndarray]]) -> tuple[np.ndarray, list[tuple[Span, int]]]:
    """Two lanes that alternate with half a second between, and who spoke when."""
    low, high = spoken.values()
    order = [one for pair in zip(low, high, strict=True) for one in pair]
    length = sum(len(one) for one in order) + (len(order) + 1) * RATE // 2
    lanes, truth, at = np.zeros((2, length), np.float32), [], RATE // 2
    for number, sound in enumerate(order):
        lanes[number % 2, at : at + len(sound)] = sound
        truth.append((Span(at / RATE, (at + len(sound)) / RATE), number % 2))
        at += len(sound) + RATE // 2
    lanes += np.random.default_rng(0).normal(0, 1e-4, lanes.shape).astype(np.float32)
    return lanes, truth


def agreement(dialogue: Dialogue, truth: list[tuple[Span, int]]) -> float:
    """Share of the true speech that its best-matching speaker holds."""
    names = dialogue.speakers
    best = 0.0
    for order in itertools.permutations(range(max(2, len(names)))):
        held = sum(
            turn.span.shared(span)
            for turn in dialogue.turns
            for span, who in truth
            if turn.span is not None and order[names.index(turn.speaker)] == who
        )
        best = max(best, held)
    return best / sum(span.duration for span, _ in truth)


def swallowed(dialogue: Dialogue, truth: list[tuple[Span, int]]) -> bool:
    """Whether one turn holds most of a sentence of each person."""
    for turn in dialogue.turns:
        assert turn.span is not None
        whole = {who for span, who in truth if turn.span.shared(span) > 0.5 * span.duration}
        if len(whole) > 1:
            return True
    return False


# ---- which channels carry whom


def test_a_person_per_channel(
    recording_of: Make, conversation: tuple[np.ndarray, list[tuple[Span, int]]]
) -> None:
    lanes, truth = conversation
    heard = turns.listen(recording_of(lanes), Silent())
    dialogue = turns.find(heard)
    assert heard.layout == "split"
    assert {(turn.speaker, turn.channel) for turn in dialogue.turns} == {("A", 0), ("B", 1)}
    assert agreement(dialogue, truth) > 0.95
    assert not swallowed(dialogue, truth)
    assert all(turn.sure is not None and turn.sure > 0.8 for turn in dialogue.turns)
    assert any("one person" in remark for remark in dialogue.remarks)


def test_speaker_a_is_the_left_channel_also_when_the_right_one_begins(
    recording_of: Make, conversation: tuple[np.ndarray, list[tuple[Span, int]]]
) -> None:
    lanes, _ = conversation
    dialogue = turns.find(turns.listen(recording_of(lanes[::-1]), Silent()))
    assert dialogue.turns[0].speaker == "B" and dialogue.turns[0].channel == 1


@pytest.mark.parametrize("leak", [-25.0, -18.0])
def test_leak_is_not_a_turn(
    recording_of: Make, conversation: tuple[np.ndarray, list[tuple[Span, int]]], leak: float
) -> None:
    lanes, truth = conversation
    leaky = lanes + np.float32(10 ** (leak / 20)) * lanes[::-1]
    dialogue = turns.find(turns.listen(recording_of(leaky), Silent()))
    spoken_seconds = sum(span.duration for span, _ in truth)
    found_seconds = sum(turn.span.duration for turn in dialogue.turns if turn.span)
    assert agreement(dialogue, truth) > 0.95
    assert found_seconds < 1.2 * spoken_seconds


def test_overlaps_are_kept(
    recording_of: Make, conversation: tuple[np.ndarray, list[tuple[Span, int]]]
) -> None:
    lanes, truth = conversation
    both = lanes.copy()
    first, second = truth[0][0], truth[1][0]
    begin = round((first.end - 1.0) * RATE)
    said = lanes[1, round(second.start * RATE) : round(second.end * RATE)]
    both[1] = np.random.default_rng(1).normal(0, 1e-4, len(both[1]))
    both[1, begin : begin + len(said)] = said
    overlaps = turns.find(turns.listen(recording_of(both), Silent())).overlaps()
    assert len(overlaps) >= 1
    assert overlaps[0].shared(Span(first.end - 1.0, first.end)) > 0.7


@pytest.mark.parametrize("factor", [1.0, 0.3, -1.0])
def test_dual_mono_is_one_lane(
    recording_of: Make,
    encoder: voices.Encoder,
    conversation: tuple[np.ndarray, list[tuple[Span, int]]],
    factor: float,
) -> None:
    mono = conversation[0].sum(axis=0)
    heard = turns.listen(recording_of(np.stack([mono, factor * mono])), encoder)
    assert heard.layout == "mix" and heard.channels == (0,)
    assert "copy of channel 1" in " ".join(heard.remarks)
    assert turns.find(heard).turns[0].channel is None


def test_a_shared_room_is_a_mix(
    recording_of: Make,
    encoder: voices.Encoder,
    conversation: tuple[np.ndarray, list[tuple[Span, int]]],
) -> None:
    low, high = conversation[0]
    room = np.stack([low + 0.7 * np.roll(high, 9), 0.7 * np.roll(low, 9) + high])
    heard = turns.listen(recording_of(room), encoder)
    assert heard.layout == "mix" and heard.channels == (0, 1)
    assert any("one mix" in remark for remark in heard.remarks)


def test_a_silent_channel_is_dropped(
    recording_of: Make,
    encoder: voices.Encoder,
    conversation: tuple[np.ndarray, list[tuple[Span, int]]],
) -> None:
    mono = conversation[0].sum(axis=0)
    heard = turns.listen(recording_of(np.stack([mono * 0, mono])), encoder)
    assert heard.layout == "mix" and heard.channels == (1,)
    assert "Channel 1 is silent" in " ".join(heard.remarks)


def test_the_listener_can_be_overruled(
    recording_of: Make,
    encoder: voices.Encoder,
    conversation: tuple[np.ndarray, list[tuple[Span, int]]],
) -> None:
    recording = recording_of(conversation[0])
    mixed = turns.listen(recording, encoder, channels="mix")
    assert mixed.layout == "mix" and len(mixed.middles)
    mono = conversation[0].sum(axis=0)
    split = turns.listen(recording_of(np.stack([mono, mono])), Silent(), channels="split")
    assert split.layout == "split" and split.channels == (0, 1)
    with pytest.raises(UserError, match="auto, split or mix"):
        turns.listen(recording, encoder, channels="left")


def test_three_channels(
    recording_of: Make, conversation: tuple[np.ndarray, list[tuple[Span, int]]]
) -> None:
    low, high = conversation[0]
    third = np.concatenate([np.zeros_like(low), low[: 4 * RATE]])
    lanes = np.stack([np.pad(low, (0, 4 * RATE)), np.pad(high, (0, 4 * RATE)), third])
    dialogue = turns.find(turns.listen(recording_of(lanes), Silent()))
    assert set(dialogue.speakers) == {"A", "B", "C"}


def test_copies_by_a_literal_correlation() -> None:
    random = np.random.default_rng(0)
    one, two = random.standard_normal((2, 50_000)).astype(np.float32)
    samples = np.stack([one, two, one + 0.1 * two])
    assert list(layout.copies(samples, [0, 1, 2])) == [2]
    first, value = layout.copies(samples, [0, 1, 2])[2]
    assert first == 0
    assert value == pytest.approx(np.corrcoef(samples)[0, 2], abs=0.01)


def test_one_person_told_joins_the_lanes(
    recording_of: Make, conversation: tuple[np.ndarray, list[tuple[Span, int]]]
) -> None:
    heard = turns.listen(recording_of(conversation[0]), Silent())
    alone, both = turns.find(heard, people=1), turns.find(heard)
    assert alone.speakers == ("A",) and not alone.overlaps()
    assert all(turn.channel is None for turn in alone.turns)
    ends = [turn.span.end for turn in both.turns if turn.span]
    assert alone.turns[-1].span is not None and alone.turns[-1].span.end == max(ends)
    three = turns.find(heard, people=3)
    assert three.turns == both.turns
    assert "choose channels 'mix'" in " ".join(three.remarks)


# ---- clusters


def drawn(people: list[int], seed: int = 0, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Points of a known two-covariance model, and the spread between its people."""
    random = np.random.default_rng(seed)
    spread = np.linspace(12, 4, width)
    centres = random.standard_normal((max(people) + 1, width)) * np.sqrt(spread)
    return centres[people] + random.standard_normal((len(people), width)), spread


def test_forward_backward_by_adding_up_every_path() -> None:
    random = np.random.default_rng(0)
    score, stay = random.standard_normal((5, 3)), np.array([0.9, 0.8, 0.5, 0.9, 0.7])
    total, posterior = 0.0, np.zeros((5, 3))
    for path in itertools.product(range(3), repeat=5):
        chance = 1 / 3 * np.exp(score[0, path[0]])
        for t in range(1, 5):
            move = stay[t] * (path[t] == path[t - 1]) + (1 - stay[t]) / 3
            chance *= move * np.exp(score[t, path[t]])
        total += chance
        posterior[range(5), path] += chance
    found, likelihood = clusters.forward_backward(score, stay)
    np.testing.assert_allclose(found, posterior / total, atol=1e-12)
    assert likelihood == pytest.approx(np.log(total))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_number_of_people_is_found(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [(n // 15) % number for n in range(180)]
    points, spread = drawn(people)
    monkeypatch.setattr(clusters, "placed", lambda vectors, encoder: (points, spread))
    middles = np.arange(180) * clusters.HOP
    found = clusters.assign(middles, points, "drawn", None)
    labels = found.posterior.argmax(axis=1)
    assert len(set(labels)) == number
    assert len(set(zip(labels, people, strict=True))) == number  # one label a person
    assert found.sure is not None and 0.5 < found.sure <= 1
    told = clusters.assign(middles, points, "drawn", 3)
    assert told.sure is None
    assert len(set(told.posterior.argmax(axis=1))) == 3


def test_many_windows_are_assigned_to_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [(n // 20) % 2 for n in range(900)]
    points, spread = drawn(people)
    monkeypatch.setattr(clusters, "placed", lambda vectors, encoder: (points, spread))
    monkeypatch.setattr(clusters, "MOST", 200)
    kept = clusters.sample(900)
    assert len(kept) <= 200 and kept[-1] == 899 and np.all(np.diff(kept) > 0)
    found = clusters.assign(np.arange(900) * clusters.HOP, points, "drawn", None)
    labels = found.posterior.argmax(axis=1)
    assert labels.shape == (900,)
    assert max(np.mean(labels == people), np.mean(labels != people)) > 0.98


def test_an_encoder_without_a_space_gets_one_from_the_recording() -> None:
    random = np.random.default_rng(0)
    people = np.array([(n // 20) % 2 for n in range(300)])
    vectors = voices.unit(
        np.where(people[:, None] == 1, 1.0, -1.0) * np.r_[1.0, np.zeros(19)]
        + 0.2 * random.standard_normal((300, 20))
    )
    found = clusters.assign(np.arange(300) * clusters.HOP, vectors, "unheard of", None)
    labels = found.posterior.argmax(axis=1)
    assert max(np.mean(labels == people), np.mean(labels != people)) > 0.98


# ---- a mix, from sound to turns


def test_two_voices_in_a_mix(
    recording_of: Make,
    encoder: voices.Encoder,
    conversation: tuple[np.ndarray, list[tuple[Span, int]]],
) -> None:
    lanes, truth = conversation
    told: list[float] = []
    heard = turns.listen(recording_of(lanes.sum(axis=0)), encoder, tell=told.append)
    dialogue = turns.find(heard)
    assert len(dialogue.speakers) == 2 and dialogue.turns[0].speaker == "A"
    assert agreement(dialogue, truth) > 0.9
    assert not swallowed(dialogue, truth)
    assert all(turn.sure is not None and 0 <= turn.sure <= 1 for turn in dialogue.turns)
    assert "2 people were found" in " ".join(dialogue.remarks)
    assert told == sorted(told) and told[-1] == 1.0
    again = turns.find(turns.listen(recording_of(lanes.sum(axis=0)), encoder))
    assert again == dialogue


def test_one_voice_is_one_person_unless_told(
    recording_of: Make, encoder: voices.Encoder, spoken: dict[str, list[np.ndarray]]
) -> None:
    pause = np.zeros(RATE // 2, np.float32)
    sound = np.concatenate([part for one in spoken["en-us+m3"] for part in (one, pause)])
    heard = turns.listen(recording_of(sound), encoder)
    assert turns.find(heard).speakers == ("A",)
    assert len(turns.find(heard, people=2).speakers) == 2
    with pytest.raises(UserError, match="at least one"):
        turns.find(heard, people=0)


def test_heard_goes_through_arrays_and_json(
    recording_of: Make,
    encoder: voices.Encoder,
    conversation: tuple[np.ndarray, list[tuple[Span, int]]],
) -> None:
    for sound, ears in ((conversation[0].sum(axis=0), encoder), (conversation[0], Silent())):
        heard = turns.listen(recording_of(sound), ears)
        arrays, data = heard.to_arrays()
        back = turns.Heard.from_arrays(arrays, json.loads(json.dumps(data)))
        assert turns.find(back) == turns.find(heard)
        assert turns.find(back).remarks == turns.find(heard).remarks


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 160, 4800, 3 * RATE])
def test_no_speech_is_no_turn(
    recording_of: Make, encoder: voices.Encoder, channels: int, samples: int
) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.01, (channels, samples))
    for sound in (hiss, hiss * 0):
        dialogue = turns.find(turns.listen(recording_of(sound), encoder))
        assert dialogue.turns == ()
        assert "No speech was found." in dialogue.remarks


def test_names_go_on_after_z() -> None:
    assert [turns.speaker(n) for n in (0, 1, 25, 26, 27)] == ["A", "B", "Z", "A2", "B2"]


def test_turns_of_made_probabilities() -> None:
    """Two voices drawn into ``Heard`` by hand: cut where they change, named as they appear."""
    count = 40  # windows of 0.25 s: 10 s without a pause
    frames = round(count * clusters.HOP / speech.STEP)
    random = np.random.default_rng(0)
    who = np.arange(count) >= 20
    vectors = np.where(who[:, None], 1.0, -1.0) * np.ones(8) + 0.1 * random.standard_normal(
        (count, 8)
    )
    heard = turns.Heard(
        name="made",
        duration=count * clusters.HOP,
        layout="mix",
        channels=(0,),
        remarks=(),
        encoder="drawn",
        probability=np.ones((1, frames), np.float32),
        level=np.zeros((1, frames), np.float32),
        middles=((np.arange(count) + 0.5) * clusters.HOP).astype(np.float32),
        vectors=voices.unit(vectors).astype(np.float16),
    )
    dialogue = turns.find(heard, people=2)
    assert [turn.speaker for turn in dialogue.turns] == ["A", "B"]
    first, second = (turn.span for turn in dialogue.turns)
    assert first is not None and second is not None
    assert (first.start, second.end) == (0.0, 10.0)
    assert first.end == second.start == pytest.approx(5.0, abs=speech.STEP)


def test_a_change_lies_in_the_pause_nearby() -> None:
    level = np.zeros(100, np.float32)
    level[52:55] = -30.0
    assert turns._quietest(level, 50 * speech.STEP) == pytest.approx(52.5 * speech.STEP)
    assert turns._quietest(level, 20 * speech.STEP) == pytest.approx(20.5 * speech.STEP)


# ---- a real call


def test_a_telephone_call(shared: Callable[[str], Path], recording_of: Make) -> None:
    """Real sound through the whole room: nothing here is tuned, the bounds are generous."""
    soundfile = pytest.importorskip("soundfile")
    from scipy.signal import resample_poly

    folder = shared("data/calls/spokenwoz")
    path = sorted(folder.glob("*.flac"))[0]
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    lanes = resample_poly(sound.T, RATE, rate, axis=1).astype(np.float32)
    lines = [line.split() for line in path.with_suffix(".rttm").read_text().splitlines()]
    truth = [(Span(float(f[3]), float(f[3]) + float(f[4])), "AB".index(f[7])) for f in lines if f]
    dialogue = turns.find(turns.listen(recording_of(lanes), Silent()))
    assert dialogue.speakers == ("A", "B") or dialogue.speakers == ("B", "A")
    assert agreement(dialogue, truth) > 0.85
