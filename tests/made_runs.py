"""Run folders as `fit` leaves them, of made-up people who say made-up things: for tests.

``make(folder, right=0.7)`` writes one whose system is right about 70 % of the time; the turns and
their labels are the same for the same ``corpus``, so that two such runs can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.emotions import label_set
from trainer import predictions
from trainer.predictions import Line

TURNS = 8  # of a dialogue


def lines(
    right: float, *, labels: str, seed: int, corpus: int = 0, fold: str = "", dialogues: int = 10
) -> list[Line]:
    """Predictions of so many dialogues; the last turn of each has no label."""
    names = label_set(labels).labels
    truth = np.random.default_rng([corpus, len(fold), *fold.encode()])
    dice = np.random.default_rng([seed, int(right * 1000)])
    found = []
    for place in range(dialogues):
        for turn in range(TURNS):
            wanted = int(truth.integers(len(names)))
            said = wanted if dice.random() < right else int(dice.integers(len(names)))
            weights = dice.random(len(names)) + 2 * (np.arange(len(names)) == said)
            chances = dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
            found.append(
                Line(
                    dialogue=f"c{corpus}{fold}d{place}",
                    utt_id=f"c{corpus}{fold}d{place}t{turn}",
                    turn=turn,
                    speaker="AB"[turn % 2],
                    labels=labels,
                    label=None if turn == TURNS - 1 else names[wanted],
                    predicted=max(chances, key=lambda one: chances[one]),
                    probabilities=chances,
                )
            )
    return found


def make(
    folder: Path,
    *,
    right: float = 0.6,
    published: float | None = None,
    labels: str = "iemocap6",
    seeds: Sequence[int] = (0, 1, 2),
    folds: Sequence[str] = ("session1", "session2"),
    corpus: int = 0,
    stages: Sequence[str] = ("all",),
    reports: bool = True,
    remarks: Sequence[str] = (),
) -> Path:
    """A finished run; gives its folder."""
    folder.mkdir(parents=True)
    protocol = "as-published:loso" if published else "loso"
    (folder / "plan.toml").write_text(f'system = "late_fusion"\nprotocol = "{protocol}"\n')
    facts: dict[str, Any] = {
        "data": {"reference": "table:/home/me/corpora/made", "sha256": "0123456789abcdef"},
        "labels": labels,
        "dimensions": [],
        "folds": {one: {"train": 5, "select": 2, "report": 10 if reports else 0} for one in folds},
        "seeds": list(seeds),
        "design": {"system": "late_fusion", "inputs": {"text": ["sentence"], "audio": ["logmel"]}},
        "parameters": 123456,
        "remarks": list(remarks),
    }
    (folder / "run.json").write_text(json.dumps(facts))
    for fold in folds:
        for seed in seeds:
            part = folder / "parts" / f"{fold}-seed{seed}"
            part.mkdir(parents=True)
            history = [
                {
                    "phase": "choose",
                    "stage": stage,
                    "epoch": epoch,
                    "loss": 1.8 / epoch + 0.1 * seed,
                    "select": {"weighted_f1": 0.5 - 0.03 * abs(epoch - 3)},
                }
                for stage in stages
                for epoch in range(1, 7)
            ]
            (part / "history.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in history))
            chosen = {one: {"epoch": 3, "epochs": 6, "select": 0.5} for one in stages}
            told = {"fold": fold, "seed": seed, "measure": "weighted_f1", "stages": chosen}
            (part / "part.json").write_text(json.dumps(told))
            files = {"predictions.jsonl": right, "published.jsonl": published}
            for name, share in files.items():
                if reports and share is not None:
                    said = lines(share, labels=labels, seed=seed, corpus=corpus, fold=fold)
                    predictions.write(part / name, said)
    return folder
