"""openSMILE's numbers are its own, whatever was heard before, and no program is built per call.

The referee is ``opensmile.Smile``, which builds the program anew for every signal.
"""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import opensmile
import pytest
import soundfile
from conversation import voice
from opensmile.core.lib import OpenSMILE
from scipy.signal import resample_poly

from erc_demo import features
from erc_demo.dialogue import RATE, Turn
from erc_demo.errors import UserError
from erc_demo.features import Utterance, _opensmile
from erc_demo.features.frames45 import STATIC, averaged, delta
from erc_demo.features.gemaps47 import silence
from erc_demo.settings import Settings

FUNCTIONALS = {"is13": "IS13", "is10": "IS10", "egemaps88": "eGeMAPSv02"}
ALL = (*FUNCTIONALS, "gemaps47", "frames45")
FRAMES, DELTAS = "LowLevelDescriptors", "LowLevelDescriptors_Deltas"
STEP = 2.0**-15  # of 16-bit sound


@cache
def program(name: str) -> features.Extractor:
    return features.ready(features.parse(name), Settings())


@cache
def smile(name: str, level: str = "Functionals") -> opensmile.Smile:
    with warnings.catch_warnings(action="ignore"):  # eGeMAPSv01a is deprecated, and needed
        return opensmile.Smile(opensmile.FeatureSet[name], opensmile.FeatureLevel[level])


def own(name: str, sound: np.ndarray, level: str = "Functionals") -> np.ndarray:
    """The rows of a program that has heard nothing before."""
    return smile(name, level).process_signal(sound, RATE).to_numpy()


def rows(name: str, *sounds: np.ndarray) -> list[np.ndarray]:
    turn = Turn(number=0, speaker="A")
    return program(name).rows([Utterance(turn=turn, sound=sound) for sound in sounds])


def steps(sound: np.ndarray) -> np.ndarray:
    """The sound as 16 bits hold it, below full scale."""
    return (np.clip(np.trunc(sound / STEP), -32768, 32767) * STEP).astype(np.float32)


@cache
def sounds() -> tuple[np.ndarray, ...]:
    """Voices and what is none, from 0.1 s, the shortest there is."""
    random = np.random.default_rng(7)
    made = [voice(seconds, 90 + 40 * seed, seed) for seed, seconds in enumerate((0.1, 0.35, 1, 3))]
    made.append(0.1 * random.standard_normal(RATE // 2))
    made.append(np.zeros(RATE // 4))
    made.append(np.concatenate([voice(0.2, 150, 5), np.zeros(RATE // 5)]))
    made.append(np.clip(9 * voice(0.5, 130, 6), -1, 1))
    made.append(1e-3 * voice(0.4, 200, 7))
    return tuple(steps(sound) for sound in made)


@pytest.mark.parametrize(("name", "own_name"), FUNCTIONALS.items())
def test_functionals_are_the_programs_own_whatever_came_before(name: str, own_name: str) -> None:
    assert list(program(name).columns) == smile(own_name).feature_names
    wanted = [own(own_name, sound) for sound in sounds()]
    random = np.random.default_rng(3)
    for _ in range(2):
        order = random.permutation(len(sounds()))
        found = rows(name, *(sounds()[index] for index in order))
        for index, row in zip(order, found, strict=True):
            np.testing.assert_array_equal(row, wanted[index], err_msg=f"sound {index}")


@pytest.mark.parametrize("name", ALL)
def test_no_program_is_built_per_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rows(name, sounds()[2])[0]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("another openSMILE was built")

    monkeypatch.setattr(OpenSMILE, "initialize", refuse)
    for _ in range(3):
        np.testing.assert_array_equal(rows(name, sounds()[1], sounds()[2])[1], first)


def test_full_scale_does_not_wrap_round() -> None:
    sound = np.clip(9 * voice(0.5, 130, 6), -1, 1)
    assert (sound == 1).any()
    np.testing.assert_array_equal(rows("is10", sound)[0], own("IS10", steps(sound)))
    assert not np.allclose(own("IS10", sound), own("IS10", steps(sound)), rtol=1e-3)


def test_what_the_program_leaves_undefined_stays_so() -> None:
    click = np.zeros(RATE // 10, np.float32)
    click[RATE // 20] = STEP
    wanted = own("IS13", click)
    assert np.isnan(wanted).any()
    np.testing.assert_array_equal(rows("is13", click)[0], wanted)


def test_threads_take_turns() -> None:
    program("egemaps88")
    found: dict[int, list[np.ndarray]] = {}
    given = [sounds()[index % len(sounds())] for index in range(12)]

    def work(place: int) -> None:
        found[place] = rows("egemaps88", *given)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in range(3):
        np.testing.assert_array_equal(np.concatenate(found[place]), np.concatenate(found[0]))


def test_another_release_is_said_to_be_one() -> None:
    with pytest.raises(UserError, match="not those of opensmile 2.6; install that"):
        _opensmile.without("instance[other].type=cOther\n", "lsp")
    with pytest.raises(UserError, match="not those of opensmile 2.6"):
        _opensmile.ring_buffers("frameStep = 0.020\n")


def test_the_licence_is_one_sentence_for_all() -> None:
    terms = {features.parse(name).module.TERMS for name in ALL}
    assert len(terms) == 1 and "non-commercial" in terms.pop()


# gemaps47


def recipe(sound: np.ndarray) -> list[float]:
    """The 47 numbers in plain loops, from a table of openSMILE's descriptors."""
    table = smile("eGeMAPSv01a", FRAMES).process_signal(sound, RATE).astype(float)
    means = [sum(table[name]) / len(table) for name in table]
    spreads = [
        (sum((value - mean) ** 2 for value in table[name]) / (len(table) - 1)) ** 0.5
        for name, mean in zip(table, means, strict=True)
    ]
    return [*means, *spreads, quiet_share(sound)]


def quiet_share(sound: np.ndarray) -> float:
    mirrored = [float(value) + 0.0001 for value in sound]
    mirrored = mirrored[1024:0:-1] + mirrored + mirrored[-2:-1026:-1]
    rms, at = [], 0
    while at + 2048 <= len(mirrored):
        rms.append((sum(value * value for value in mirrored[at : at + 2048]) / 2048) ** 0.5)
        at += 512
    return sum(value <= 0.3 * sum(rms) / len(rms) for value in rms) / len(rms)


@pytest.mark.parametrize("index", range(len(sounds())))
def test_gemaps47_is_its_recipe(index: int) -> None:
    sound = sounds()[index]
    np.testing.assert_allclose(rows("gemaps47", sound)[0][0], recipe(sound), rtol=2e-5, atol=2e-6)


def test_gemaps47_is_its_recipe_on_an_acted_clip(shared: Callable[[str], Path]) -> None:
    sound, rate = soundfile.read(shared("data/ravdess/03-01-05-02-01-01-01.ogg"), dtype="float32")
    sound = steps(resample_poly(sound, RATE, rate))
    found = rows("gemaps47", sound)[0][0]
    assert 0 < found[-1] < 1
    np.testing.assert_allclose(found, recipe(sound), rtol=2e-5, atol=2e-6)


def test_gemaps47_has_the_columns_of_the_stored_numbers(shared: Callable[[str], Path]) -> None:
    for corpus in ("iemocap", "mspimprov"):
        stored = np.load(shared(f"data/{corpus}/gemaps_hsf47.npz"), allow_pickle=False)
        assert list(program("gemaps47").columns) == stored["names"].tolist()


def test_silence_by_hand() -> None:
    """8 hops of a tone, 8 of nothing: frames centred on the hops' edges, 2048 long, mirrored."""
    sound = np.concatenate([np.tile([0.5, -0.5], 2048), np.zeros(4096)]).astype(np.float32)
    # 17 frames, their parts of tone in quarters: 7 full (0–6), then 3, 2, 1 (7–9), 7 without;
    # RMS 0.5, 0.433, 0.354, 0.25, 0: mean 0.267, 0.3 of it 0.080: the 7 are quiet.
    assert silence(sound) == pytest.approx(7 / 17)
    assert silence(np.zeros(RATE, np.float32)) == 0.0


# frames45


@pytest.mark.parametrize("index", range(len(sounds())))
def test_frames45_are_is10s_descriptors_and_deltas(index: int) -> None:
    sound = sounds()[index]
    static = smile("IS10", FRAMES).process_signal(sound, RATE)[list(STATIC)].to_numpy()
    names = [name.replace("_sma", "_sma_de") for name in STATIC]
    slopes = smile("IS10", DELTAS).process_signal(sound, RATE)[names].to_numpy()
    found = program("frames45").frames(sound)
    np.testing.assert_array_equal(found[:, :15], static)
    # openSMILE goes on for two frames behind the end, and keeps float32 between the steps
    np.testing.assert_allclose(found[:, 15:30], slopes[: len(static)], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[:, 30:], delta(found[:, 15:30]))


def test_delta_is_the_regression_by_a_loop() -> None:
    given = np.random.default_rng(1).standard_normal((9, 2))
    for column in range(2):
        for at in range(9):
            around = [given[min(max(at + shift, 0), 8), column] for shift in (-2, -1, 0, 1, 2)]
            slope = np.polyfit([-2, -1, 0, 1, 2], around, 1)[0]
            assert delta(given)[at, column] == pytest.approx(slope)


def test_a_row_is_the_mean_of_five_frames_and_the_rest_is_not_lost() -> None:
    found = averaged(np.arange(12.0)[:, None], 5)
    assert found.ravel().tolist() == [2.0, 7.0, 10.5] and found.dtype == np.float32
    assert averaged(np.array([[3.0], [5.0]]), 5).ravel().tolist() == [4.0]
    for sound in sounds():
        (made,) = rows("frames45", sound)
        frames = (len(sound) - 0.06 * RATE) // (0.01 * RATE) + 1
        assert len(made) == np.ceil(frames / 5) >= 1
        np.testing.assert_allclose(
            made[0], program("frames45").frames(sound)[:5].mean(axis=0), rtol=1e-6, atol=1e-9
        )


def test_a_stop_is_heard_and_spoils_nothing() -> None:
    """Ctrl-C while C calls back into Python: ctypes would drop both the stop and a row."""
    sound = voice(6.0, 120, 1)
    ours = program("frames45")
    wanted = ours.frames(sound)
    for delay in (0.001, 0.01, 0.02, 0.03):
        stop = threading.Timer(delay, signal.raise_signal, [signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):
            stop.start()
            for _ in range(1000):
                np.testing.assert_array_equal(ours.frames(sound), wanted)
        np.testing.assert_array_equal(ours.frames(sound), wanted)
