"""What one step of training sees: units of a few dialogues or turns, and what they should say.

A system that reads a whole dialogue, or a stretch of it, learns from dialogues (cut where they are
longer than what is served at once); one that looks at few turns learns from turns, each with those
turns that its answer depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from erc_demo.emotions import label_set
from erc_demo.systems import Conversation, System, Targets
from erc_demo.systems._answer import WINDOW
from trainer.inputs import Example

FEW = 4  # turns: an answer that depends on fewer is learned turn by turn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unit:
    """Some turns of one dialogue, and what is wanted of them; arrays run over the turns."""

    conversation: Conversation
    labels: dict[str, np.ndarray] = field(default_factory=dict)  # int64, -1: nothing is wanted
    votes: dict[str, np.ndarray] = field(default_factory=dict)  # (turns, labels); sums 0: none
    values: np.ndarray | None = None  # (turns, dimensions), NaN: none
    wanted: int = 0  # turns of which anything is wanted


def units(examples: Sequence[Example], system: System, *, votes: bool = False) -> list[Unit]:
    """All that can be learned from some dialogues."""
    found: list[Unit] = []
    cut = _turns if small(system) else _stretches
    for one in examples:
        whole = Unit(
            conversation=one.conversation,
            labels={name: one.labelled.labels[name] for name in system.design.labels},
            votes=dict(one.labelled.votes) if votes else {},
            values=one.labelled.values if system.design.dimensions else None,
        )
        found += cut(whole, system)
    return [one for one in found if one.wanted]


def small(system: System) -> bool:
    """Whether an answer depends on few turns, however long the dialogue; a chain needs them all."""
    speakers = ("A", "B") * FEW
    seen = system.sees(speakers, len(speakers) - 1)
    return seen is not None and len(seen) < FEW


def _stretches(whole: Unit, _: System) -> Iterator[Unit]:
    total = len(whole.conversation)
    count = -(-total // WINDOW)
    for at in range(count):
        yield _part(whole, range(total * at // count, total * (at + 1) // count))


def _turns(whole: Unit, system: System) -> Iterator[Unit]:
    speakers = whole.conversation.speakers
    for at in range(len(speakers)):
        seen = system.sees(speakers, at)
        yield _part(whole, list(seen or [at]), [at])


def _part(whole: Unit, indices: Sequence[int], targets: Sequence[int] | None = None) -> Unit:
    there = np.array(indices, np.int64)
    asked = np.isin(there, there if targets is None else targets)
    labels = {name: np.where(asked, these[there], -1) for name, these in whole.labels.items()}
    votes = {name: these[there] * asked[:, None] for name, these in whole.votes.items()}
    values = whole.values
    if values is not None:
        values = np.where(asked[:, None], values[there], np.nan)
    wanted = np.zeros(len(there), bool)
    for these in labels.values():
        wanted |= these >= 0
    for these in votes.values():
        wanted |= these.sum(axis=1) > 0
    if values is not None:
        wanted |= ~np.isnan(values).all(axis=1)
    return Unit(
        conversation=whole.conversation.part(indices, targets),
        labels=labels,
        votes=votes,
        values=values,
        wanted=int(wanted.sum()),
    )


def nothing(unit: Unit) -> Unit:
    """The same turns, of which nothing is wanted: for a process that has none left of a batch."""
    return replace(
        unit,
        labels={name: np.full_like(these, -1) for name, these in unit.labels.items()},
        votes={},
        values=None if unit.values is None else np.full_like(unit.values, np.nan),
        wanted=0,
    )


def lacking(unit: Unit, chance: float, system: System, draw: np.random.Generator) -> Unit:
    """By chance the unit without one of its inputs, where the others suffice for an answer."""
    names = list(system.design.inputs)
    if len(names) < 2 or draw.random() >= chance:
        return unit
    gone = names[int(draw.integers(len(names)))]
    if not system.enough(frozenset(names) - {gone}):
        return unit
    return replace(unit, conversation=unit.conversation.without(gone))


def batches(
    found: Sequence[Unit], size: int, epoch_seed: Sequence[int], *, turns: bool
) -> list[list[int]]:
    """The order of an epoch: the same in every process, and after every resumption.

    Turns go with turns of like length, so that little of a batch is padding: of 16 batches' worth
    drawn at random, neighbours in length make a batch.
    """
    draw = np.random.default_rng(list(epoch_seed))
    order = draw.permutation(len(found)).tolist()
    if turns:
        pool = 16 * size
        order = [
            at
            for start in range(0, len(order), pool)
            for at in sorted(order[start : start + pool], key=lambda at: _length(found[at]))
        ]
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    return [groups[at] for at in draw.permutation(len(groups))]


def _length(unit: Unit) -> int:
    return max(
        (len(one) for rows in unit.conversation.rows.values() for one in rows if one is not None),
        default=0,
    )


def targets(
    found: Sequence[Unit],
    system: System,
    weights: dict[str, torch.Tensor],
    smoothing: float,
    device: torch.device,
) -> Targets:
    """What a batch should say, padded."""
    longest = max(1, *(len(one.conversation) for one in found))
    made = Targets(weights={name: one.to(device) for name, one in weights.items()})
    for name in system.design.labels:
        classes = len(label_set(name).labels)
        labels = np.full((len(found), longest), -1, np.int64)
        soft = np.zeros((len(found), longest, classes), np.float32)
        for row, one in enumerate(found):
            labels[row, : len(one.conversation)] = one.labels[name]
            if name in one.votes:
                soft[row, : len(one.conversation)] = one.votes[name]
        made.labels[name] = torch.from_numpy(labels).to(device)
        if soft.any() or smoothing:
            made.soft[name] = torch.from_numpy(_smoothed(soft, labels, smoothing)).to(device)
    if system.design.dimensions:
        values = np.full((len(found), longest, len(system.design.dimensions)), np.nan, np.float32)
        for row, one in enumerate(found):
            if one.values is not None:
                values[row, : len(one.conversation)] = one.values
        made.values = torch.from_numpy(values).to(device)
    return made


def _smoothed(soft: np.ndarray, labels: np.ndarray, smoothing: float) -> np.ndarray:
    """Votes as shares, labels where there are none; some of it spread over all labels."""
    classes = soft.shape[-1]
    total = soft.sum(axis=-1, keepdims=True)
    hard = np.eye(classes, dtype=np.float32)[np.maximum(labels, 0)] * (labels >= 0)[..., None]
    shares = np.where(total > 0, soft / np.maximum(total, 1e-9), hard)
    there = shares.sum(axis=-1, keepdims=True) > 0
    spread: np.ndarray = np.where(there, (1 - smoothing) * shares + smoothing / classes, 0)
    return spread.astype(np.float32)


def class_weights(found: Sequence[Unit], name: str, kind: str) -> np.ndarray | None:
    """Each class: n / (classes · n_c), or its root, scaled so that the mean over turns is 1."""
    if kind == "none":
        return None
    classes = len(label_set(name).labels)
    labels = np.concatenate([one.labels[name] for one in found])
    counts = np.bincount(labels[labels >= 0], minlength=classes).astype(np.float64)
    weights = np.where(counts > 0, 1 / np.maximum(counts, 1), 0.0)
    if kind == "root":
        weights = np.sqrt(weights)
    scaled: np.ndarray = weights * counts.sum() / max((weights * counts).sum(), 1e-9)
    return scaled.astype(np.float32)
