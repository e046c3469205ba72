"""frames256: the hidden states of GE2E's lower layers, ten frames a row."""

from __future__ import annotations

import numpy as np
import pytest
from conversation import voice
from safetensors.numpy import load_file

from erc_demo import voices
from erc_demo.dialogue import Turn
from erc_demo.features import Extractor, Utterance, _spec
from erc_demo.settings import Settings


def made(wish: str) -> Extractor:
    spec = _spec.parse(wish)
    extractor: Extractor = spec.module.Extractor(spec.filled(), Settings(offline=True))
    return extractor


def rows(extractor: Extractor, *sounds: np.ndarray) -> list[np.ndarray]:
    turn = Turn(number=0, speaker="A")
    return extractor.rows([Utterance(turn=turn, sound=one.astype(np.float32)) for one in sounds])


def by_hand(mel: np.ndarray, layers: int) -> np.ndarray:
    """LSTMs one over the other, gate by gate and step by step, in double precision."""
    stored = {key: one.astype(float) for key, one in load_file(voices.WEIGHTS).items()}

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-x)))

    seen = mel.astype(float)
    for layer in range(layers):
        weight = {
            key: stored[f"lstm.{key}_l{layer}"]
            for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        hidden, cell, states = np.zeros(256), np.zeros(256), []
        for frame in seen:
            gates = weight["weight_ih"] @ frame + weight["weight_hh"] @ hidden
            i, f, g, o = np.split(gates + weight["bias_ih"] + weight["bias_hh"], 4)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            states.append(hidden)
        seen = np.array(states)
    return seen


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_rows_are_means_of_ten_states(layer: int) -> None:
    sound = voice(0.345, 140, 1, level=0.05)
    extractor = made(f"frames256:layer={layer}")
    (found,) = rows(extractor, sound)
    level = np.sqrt(np.mean(np.square(sound, dtype=float)))
    mel = voices.mel_power(sound * np.float32(10 ** (-30 / 20) / level), edge=0)
    states = by_hand(mel, layer)
    assert len(states) == 33  # 5,520 samples hold so many windows of 400, 160 apart
    wanted = [states[at : at + 10].mean(axis=0) for at in range(0, 33, 10)]
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    assert found.dtype == np.float32 and found.shape == (4, extractor.width)
    assert extractor.step == pytest.approx(0.1) and extractor.reach == pytest.approx(0.115)
    assert made("frames256").version == extractor.version  # options stand in the key beside it


def test_no_gain_changes_a_row() -> None:
    """Nor does what lies beside a turn in its batch."""
    extractor = made("frames256")
    sound = voice(1.0, 200, 2, level=0.3)
    (plain,) = rows(extractor, sound)
    soft, other, loud = rows(extractor, 0.003 * sound, voice(2.0, 110, 3), 3.0 * sound)
    np.testing.assert_allclose(soft, plain, atol=2e-5)
    np.testing.assert_allclose(loud, plain, atol=2e-5)
    assert len(other) == 20 and not np.allclose(other[:10], plain, atol=0.01)


def test_the_shortest_turn_and_the_softest() -> None:
    extractor = made("frames256")
    (short,) = rows(extractor, voice(0.1, 120, 4))
    (silent,) = rows(extractor, np.zeros(1600))
    assert short.shape == silent.shape == (1, 256)
    assert np.isfinite(short).all() and np.isfinite(silent).all()
