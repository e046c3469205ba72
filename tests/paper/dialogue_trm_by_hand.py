"""DialogueTRM a turn, a head, a place at a time; nothing of torch's but weights and its BERT.

``Literal(system, conversation).turn(i)`` goes the paper's way for one turn as if no other were to
be answered: its own window, its own masks. Numbers in brackets are the paper's equations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from gru_by_hand import Weights, part, sigmoid, softmax

from erc_demo.systems import Conversation, System

Sees = Callable[[int, int], bool]  # whether a place may see another
Made = tuple[list[np.ndarray], list[np.ndarray]]  # states, and of each head the weights of a row


def linear(weights: Weights, x: np.ndarray) -> np.ndarray:
    """W x + b."""
    made = weights["weight"] @ x
    return made + weights["bias"] if "bias" in weights else made


def norm(weights: Weights, x: np.ndarray) -> np.ndarray:
    """A layer's norm, as PyTorch's with its ε."""
    centred = x - x.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-5) * weights["weight"] + weights["bias"]


def layer(
    weights: Weights,
    rows: Sequence[np.ndarray],
    memory: Sequence[np.ndarray],
    heads: int,
    sees: Sees,
) -> Made:
    """One layer of a Transformer: rows ask the memory."""
    matrix, bias = weights["inner.weight"], weights["inner.bias"]
    width = len(rows[0])
    made, shown = [], []
    for at, row in enumerate(rows):
        seen = [place for place in range(len(memory)) if sees(at, place)]
        mixed, weighed = [], np.zeros((heads, len(memory)))
        for head in range(heads):
            own = slice(head * width // heads, (head + 1) * width // heads)
            if len(matrix) == width:  # sees itself alone: the weight is 1
                mixed.append((matrix @ row + bias)[own])
                continue
            w_q, w_k, w_v = np.split(matrix, 3)
            b_q, b_k, b_v = np.split(bias, 3)
            query = (w_q @ row + b_q)[own]
            keys = [(w_k @ memory[place] + b_k)[own] for place in seen]
            values = [(w_v @ memory[place] + b_v)[own] for place in seen]
            total = np.zeros(width // heads)
            if seen:
                shares = softmax(np.array([query @ key for key in keys]) / np.sqrt(len(query)))
                weighed[head, seen] = shares
                for share, value in zip(shares, values, strict=True):
                    total = total + share * value
            mixed.append(total)
        state = norm(
            part(weights, "norm_1."), row + linear(part(weights, "outer."), np.hstack(mixed))
        )
        between = np.maximum(linear(part(weights, "feed.0."), state), 0)
        fed = linear(part(weights, "feed.3."), between)
        made.append(norm(part(weights, "norm_2."), state + fed))
        shown.append(weighed)
    return made, shown


def transformer(
    weights: Weights,
    rows: Sequence[np.ndarray],
    heads: int,
    sees: Sees = lambda one, other: True,
    memory: Sequence[np.ndarray] | None = None,
) -> Made:
    """All layers; the memory stays what it was."""
    states, shown, count = list(rows), [], 0
    while part(weights, f"layers.{count}."):
        asked = states if memory is None else memory
        states, shown = layer(part(weights, f"layers.{count}."), states, asked, heads, sees)
        count += 1
    return states, shown


class Literal:
    """A system's weights and a conversation."""

    def __init__(self, system: System, given: Conversation) -> None:
        self.system, self.given = system, given
        self.config: Any = system.config
        self.weights = {key: value.double().numpy() for key, value in system.state_dict().items()}
        self.names = list(system.design.inputs)
        self.maps: dict[str, Any] = {}

    def setting(self, name: str) -> str:
        """Context-free or dependent."""
        kind = "text" if name in ("tokens", "text") else name
        return str(getattr(self.config, f"{kind}_context"))

    def vector(self, name: str, at: int) -> np.ndarray | None:
        """f_i, in the width of the system."""
        row = self.given.rows[name][at]
        if row is None:
            return None
        if name == "tokens":
            x = self.bert(row)
        else:
            of = part(self.weights, f"scales.{name}.")
            x = (row[0] - of["mean"]) * of["scale"]
        of = part(self.weights, f"project.{name}.")
        return linear(of, x) if of else x

    def bert(self, row: np.ndarray) -> np.ndarray:
        """(1): one turn's own tokens, nothing behind them."""
        ids, segments = row[:, 0].tolist(), row[:, 1].tolist()
        if self.setting("tokens") == "free":
            ids, segments = ids[: segments.count(0)], [0] * segments.count(0)
        if self.config.remove in ("segments", "separators"):
            segments = [0] * len(ids)
        if self.config.remove == "separators":
            kept = [at for at, one in enumerate(ids) if at == 0 or one != ids[-1]]
            ids, segments = [ids[at] for at in kept], [segments[at] for at in kept]
        with torch.no_grad():
            states = self.system.encoder(
                input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([segments])
            ).last_hidden_state
        return states[0, 0].double().numpy()

    def among(self, name: str, at: int) -> dict[int, np.ndarray]:
        """Of the turns that turn ``at`` is answered among, r; itself is one if it has the input."""
        reach = self.config.context
        window = range(max(0, at - reach), at + 1)
        if self.config.window == "rows":
            window = range(len(self.given))
        found = {one: self.vector(name, one) for one in window}
        states = {one: x for one, x in found.items() if x is not None}
        weights = part(self.weights, f"encoders.{name}.")
        if not weights or not states:
            return states
        if self.setting(name) == "free":
            return {
                one: transformer(weights, [x], self.config.heads)[0][0] for one, x in states.items()
            }  # (4-6)
        if self.config.positions:
            learned = self.weights[f"positions.{name}"]
            states = {one: x + learned[reach - (at - one)] for one, x in states.items()}
        places = list(states)
        made, shown = transformer(
            weights, list(states.values()), self.config.heads, self.sees(places)
        )  # (2), (3)
        if at in places:
            seen = [one for one in places if at - reach <= one <= at]
            of = "context" if name in ("tokens", "text") else f"context_{name}"
            row = shown[places.index(at)]
            self.maps[of] = row[:, [places.index(one) for one in seen]], seen
        return dict(zip(places, made, strict=True))

    def sees(self, rows: Sequence[int], memory: Sequence[int] | None = None) -> Sees:
        """In its own window a turn sees all, in one pass K back."""
        others = rows if memory is None else memory
        if self.config.window == "strict":
            return lambda one, other: True
        return lambda one, other: 0 <= rows[one] - others[other] <= self.config.context

    def turn(self, at: int) -> dict[str, np.ndarray] | None:
        """Logits by label set and 'values'; None for a turn that has nothing."""
        self.maps = {}
        present = [name for name in self.names if self.given.rows[name][at] is not None]
        if not present:
            return None
        around = {name: self.among(name, at) for name in self.names}
        own = {name: around[name][at] for name in present}
        fused = next(iter(own.values()))
        if len(present) > 1:
            with_turns = self.config.fusion == "mult"
            fused = self.mult(at, around) if with_turns else getattr(self, self.config.fusion)(own)
        hidden = np.tanh(self.weights["hidden.weight"] @ fused)  # (17)
        found = {
            name: self.weights[f"heads.labels.{name}.weight"] @ hidden
            for name in self.system.design.labels
        }
        found["values"] = self.weights["heads.dimensions.weight"] @ hidden
        return found

    # fusions: r by name of those that the turn has → o

    def beside(self, own: dict[str, np.ndarray]) -> list[np.ndarray]:
        """All modalities in order, zeros for the absent."""
        width = self.config.width
        return [own.get(name, np.zeros(width)) for name in self.names]

    def gated(self, own: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """(7) to (14): h of every ordered pair of which the turn has both, by 'one by other'."""
        found = {}
        self.maps["gates"] = {}
        for count, (one, other) in enumerate(combinations(self.names, 2)):
            pairs = f"{one} by {other}", f"{other} by {one}"
            if one not in own or other not in own:
                self.maps["gates"] |= dict.fromkeys(pairs, 0.0)
                continue
            first = np.tanh(self.gate_of(one) @ own[one])  # (7)
            second = np.tanh(self.gate_of(other) @ own[other])  # (8)
            both = np.concatenate([own[one], own[other]])
            z = sigmoid(self.weights[f"fusion.gates.{count}.weight"] @ both)  # (9)
            found |= {pairs[0]: z * first, pairs[1]: (1 - z) * second}  # (10), (11)
            self.maps["gates"] |= {pairs[0]: z.mean(), pairs[1]: (1 - z).mean()}
        return found

    def gate_of(self, name: str) -> np.ndarray:
        """W^U, W^A, W^V."""
        return self.weights[f"fusion.hidden.{self.names.index(name)}.weight"]

    def wrapped(self, vectors: dict[str, np.ndarray], order: Sequence[str]) -> np.ndarray:
        """(15), (16)."""
        of = part(self.weights, "fusion.wrapped.")
        kept = [name for name in order if name in vectors]
        rows = [of["cls"], *(vectors[name] + of["order"][order.index(name)] for name in kept)]
        heads = self.config.fusion_heads
        made, shown = transformer(part(of, "encoder."), rows, heads)
        weights = np.zeros((heads, 1 + len(order)))
        for column, name in enumerate(kept, 1):
            weights[:, 1 + order.index(name)] = shown[0][:, column]
        weights[:, 0] = shown[0][:, 0]
        self.maps["parts"] = weights
        return made[0]

    def pairs(self) -> list[str]:
        """The order of (15)."""
        return [
            f"{one} by {other}"
            for pair in combinations(self.names, 2)
            for one, other in (pair, pair[::-1])
        ]

    def mgif(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """The paper's."""
        return self.wrapped(self.gated(own), self.pairs())

    def no_prototype(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """Representations without gates."""
        return self.wrapped(own, self.names)

    def no_representation(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """Gated vectors side by side."""
        gated, nothing = self.gated(own), np.zeros(self.config.width)
        beside = [gated.get(name, nothing) for name in self.pairs()]
        return self.weights["fusion.squeeze.weight"] @ np.concatenate(beside)

    def additive(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """The sum."""
        return sum(own.values(), np.zeros(self.config.width))

    def max(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """The largest of each number."""
        return np.array([max(column) for column in zip(*own.values(), strict=True)])

    def concat(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """Side by side."""
        return self.weights["fusion.squeeze.weight"] @ np.concatenate(self.beside(own))

    def bilinear(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """Count sketches, convolved term by term, without Fourier."""
        size = self.config.sketch
        whole = np.zeros(size)
        whole[0] = 1.0
        for at, name in enumerate(self.names):
            if name not in own:
                continue
            places = self.weights["fusion.places"][at].astype(int)
            counted = np.zeros(size)
            for place, sign, number in zip(
                places, self.weights["fusion.signs"][at], own[name], strict=True
            ):
                counted[place] += sign * number
            made = np.zeros(size)
            for one in range(size):
                for other in range(size):
                    made[(one + other) % size] += whole[one] * counted[other]
            whole = made
        rooted = np.sign(whole) * np.sqrt(np.abs(whole))
        return self.weights["fusion.squeeze.weight"] @ (rooted / np.sqrt((rooted**2).sum()))

    def gmu(self, own: dict[str, np.ndarray]) -> np.ndarray:
        """One gate for two; for more, one each."""
        gates = sigmoid(self.weights["fusion.gate.weight"] @ np.concatenate(self.beside(own)))
        hidden = {name: np.tanh(self.gate_of(name) @ one) for name, one in own.items()}
        if len(self.names) == 2:
            one, other = self.names
            return gates * hidden[one] + (1 - gates) * hidden[other]
        shares = dict(zip(self.names, np.split(gates, len(self.names)), strict=True))
        return sum(
            (shares[name] * one for name, one in hidden.items()), np.zeros(self.config.width)
        )

    def mult(self, at: int, around: dict[str, dict[int, np.ndarray]]) -> np.ndarray:
        """Each modality's turns ask each other one's, then each other."""
        heads, across, found = self.config.fusion_heads, iter(range(100)), []
        for count, name in enumerate(self.names):
            own = around[name]
            asked: dict[int, list[np.ndarray]] = {place: [] for place in own}
            for other in self.names:
                if other == name:
                    continue
                of = part(self.weights, f"fusion.across.{next(across)}.")
                memory = around[other]
                sees = self.sees(list(own), list(memory))
                made, _ = transformer(of, list(own.values()), heads, sees, list(memory.values()))
                for place, one in zip(own, made, strict=True):
                    asked[place].append(one if place in memory else np.zeros_like(one))
            if at not in own:
                found.append(np.zeros((len(self.names) - 1) * self.config.width))
                continue
            rows = [np.concatenate(one) for one in asked.values()]
            of = part(self.weights, f"fusion.within.{count}.")
            made, _ = transformer(of, rows, heads, self.sees(list(own)))
            found.append(made[list(own).index(at)])
        return self.weights["fusion.squeeze.weight"] @ np.concatenate(found)
