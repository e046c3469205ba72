"""An LSTM, a step at a time; nothing of torch's but weights, its gates stacked as i, f, g, o."""

from __future__ import annotations

import numpy as np
from gru_by_hand import Weights, part, sigmoid


def lstm(weights: Weights, rows: np.ndarray) -> np.ndarray:
    """(n, width) → (n, units)."""
    w_i, w_f, w_g, w_o = np.split(weights["weight_ih_l0"], 4)
    u_i, u_f, u_g, u_o = np.split(weights["weight_hh_l0"], 4)
    b_i, b_f, b_g, b_o = np.split(weights["bias_ih_l0"] + weights["bias_hh_l0"], 4)
    h = c = np.zeros(len(u_i))
    found = []
    for x in rows:
        c = sigmoid(w_f @ x + u_f @ h + b_f) * c + sigmoid(w_i @ x + u_i @ h + b_i) * np.tanh(
            w_g @ x + u_g @ h + b_g
        )
        h = sigmoid(w_o @ x + u_o @ h + b_o) * np.tanh(c)
        found.append(h)
    return np.array(found)


def both_ways(weights: Weights, rows: np.ndarray) -> np.ndarray:
    """The states from first to last beside those from last to first: (n, 2 · units)."""
    ahead = lstm(part(weights, "ways.0."), rows)
    back = lstm(part(weights, "ways.1."), rows[::-1])[::-1]
    return np.concatenate([ahead, back], axis=1)
