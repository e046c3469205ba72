"""Conversations made of random numbers, in the shape that a design asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from erc_demo import plugs, systems
from erc_demo.emotions import label_set
from erc_demo.systems import Conversation, Design, System, Targets

WIDTH = 6  # of every input that is no token
VOCABULARY = 60  # token ids stay below
STEP = 0.05  # seconds from one frame to the next


def plan(name: str, ablation: str = "", **changes: object) -> Design:
    """A small design of a system, of one of its paper's ablations, or with ``setting=value``."""
    module = plugs.load(systems.PACKAGE, name)
    settings = {**module.SMALL, **changes.pop("settings", {})}  # type: ignore[dict-item]
    if "=" in ablation:
        key, _, value = ablation.partition("=")
        settings, ablation = settings | {key: value}, ""
    widths = {one: 3 if need.level == "token" else WIDTH for one, need in module.NEEDS.items()}
    return systems.design(
        name, widths=widths, ablation=ablation or None, settings=settings, **changes
    )


def conversation(
    design: Design,
    turns: int,
    *,
    seed: int = 0,
    speakers: str = "",
    absent: dict[int, Sequence[str]] | None = None,
    size: int = 9,
) -> Conversation:
    """So many turns of people A and B; ``absent`` leaves inputs out of some turns."""
    random = np.random.default_rng(seed)
    who = speakers or "".join(random.choice(list("AB"), turns))
    needs = design.module.NEEDS
    counts = random.integers(1, size + 1, turns)  # words of a turn; frames are three times as many
    rows: dict[str, tuple[np.ndarray | None, ...]] = {}
    for name in design.inputs:
        level = needs[name].level
        rows[name] = tuple(
            None
            if name in (absent or {}).get(at, ())
            else _rows(random, level, int(counts[at]), design.widths[name])
            for at in range(turns)
        )
    lasts = 3 * counts * STEP
    edges = [np.linspace(0, last, count + 1) for last, count in zip(lasts, counts, strict=True)]
    return Conversation(
        name=f"made {seed}",
        speakers=tuple(who),
        rows=rows,
        widths=dict(design.widths),
        levels={name: needs[name].level for name in design.inputs},
        words=tuple(np.stack([one[:-1], one[1:]], axis=1) for one in edges),
        begins=tuple(np.concatenate([[0.0], np.cumsum(lasts)[:-1]]).tolist()),
        steps={name: (STEP, STEP) for name in design.inputs if needs[name].level == "frame"},
        places=tuple(range(turns)),
        targets=np.ones(turns, bool),
    )


def _rows(random: np.random.Generator, level: str, words: int, width: int) -> np.ndarray:
    if level == "utterance":
        return random.standard_normal((1, width)).astype(np.float32)
    if level == "frame":
        return random.standard_normal((3 * words, width)).astype(np.float32)
    if level == "word":
        return random.standard_normal((words, width)).astype(np.float32)
    past = int(random.integers(0, 4))  # [CLS] turn [SEP] past [SEP]
    ids = random.integers(5, VOCABULARY, words + past + (3 if past else 2)).astype(np.int32)
    segments = np.array([0] * (words + 2) + [1] * (past + 1 if past else 0), np.int32)
    owners = np.full(len(ids), -1, np.int32)
    owners[1 : 1 + words] = np.arange(words)
    ids[0], ids[words + 1], ids[-1] = 1, 2, 2
    return np.stack([ids, segments, owners], axis=1)


def build(design: Design, seed: int = 0) -> System:
    """The system, its chains and other weights that begin at zero moved off it."""
    made = systems.build(design, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for one in made.parameters():
            if one.numel() and not one.any():
                one.copy_(0.3 * torch.randn(one.shape, generator=generator))
    return made


def targets(design: Design, batch: systems.Batch, seed: int = 0) -> Targets:
    """Random labels and values of a batch; every seventh turn has none."""
    generator = torch.Generator().manual_seed(seed)
    known = batch.mask & (torch.rand(batch.mask.shape, generator=generator) > 0.15)
    found = Targets()
    for name in design.labels:
        classes = len(label_set(name).labels)
        drawn = torch.randint(classes, batch.mask.shape, generator=generator)
        found.labels[name] = torch.where(known, drawn, -1)
    if design.dimensions:
        shape = (*batch.mask.shape, len(design.dimensions))
        values = torch.rand(shape, generator=generator) * 2 - 1
        found.values = torch.where(known.unsqueeze(-1), values, torch.nan)
    return found
