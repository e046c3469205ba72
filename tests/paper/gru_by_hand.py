"""A GRU of one direction, a step and a unit of thought at a time; nothing of torch's but weights.

PyTorch stacks the gates as r, z, n and mixes h = (1 − z) n + z h'. Papers often write
h = (1 − z) h' + z n: the same network with z's weights negated, for σ(−x) = 1 − σ(x). Its reset
gate stands behind the matrix, n = tanh(W x + b + r ∘ (U h' + c)).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def part(weights: Weights, prefix: str) -> dict[str, np.ndarray]:
    """The weights whose names begin so, without that beginning."""
    return {
        key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
    }


def gru(weights: Weights, rows: np.ndarray) -> np.ndarray:
    """(n, width) → (n, units), in the form of the papers: 1 − z keeps, z renews."""
    w_r, w_z, w_h = np.split(weights["weight_ih_l0"], 3)
    u_r, u_z, u_h = np.split(weights["weight_hh_l0"], 3)
    b_r, b_z, b_h = np.split(weights["bias_ih_l0"], 3)
    c_r, c_z, c_h = np.split(weights["bias_hh_l0"], 3)
    w_z, u_z, b_z, c_z = -w_z, -u_z, -b_z, -c_z  # the two conventions of z
    h = np.zeros(len(u_r))
    found = []
    for x in rows:
        z = sigmoid(w_z @ x + b_z + u_z @ h + c_z)
        r = sigmoid(w_r @ x + b_r + u_r @ h + c_r)
        h = (1 - z) * h + z * np.tanh(w_h @ x + b_h + r * (u_h @ h + c_h))
        found.append(h)
    return np.array(found)


def both_ways(weights: Weights, rows: np.ndarray) -> np.ndarray:
    """The states from first to last beside those from last to first: (n, 2 · units)."""
    ahead = gru(part(weights, "ways.0."), rows)
    back = gru(part(weights, "ways.1."), rows[::-1])[::-1]
    return np.concatenate([ahead, back], axis=1)
