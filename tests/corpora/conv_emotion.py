"""A feature pickle of the field in small: IEMOCAP's form, sessions 1, 3 and 5."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

LABELS = 6
TEXT, SOUND, SIGHT = 10, 6, 4
DIALOGUES = {"Ses01F_impro01": 7, "Ses01M_impro02": 5, "Ses03F_script01_1": 6, "Ses05M_impro01": 6}


def make(folder: Path) -> str:
    """One file in a folder."""
    write(folder / "IEMOCAP_features_raw.pkl", parts())
    return str(folder)


def write(file: Path, stored: Any, protocol: int = 2) -> Path:
    """A pickle, as Python 2 liked it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(stored, protocol))
    return file


def parts() -> tuple[Any, ...]:
    """Ids, speakers, labels, text, sound, sight, sentences, training, test."""
    chance = np.random.default_rng(0)
    turns = {
        name: [f"{name}_{'FM'[at % 2]}{at // 2:03d}" for at in range(count)]
        for name, count in DIALOGUES.items()
    }
    rows = [
        {name: [chance.normal(size=width).astype(np.float32) for _ in these]
         for name, these in turns.items()}
        for width in (TEXT, SOUND, SIGHT)
    ]  # fmt: skip
    return (
        turns,
        {name: [one.rsplit("_", 1)[1][0] for one in these] for name, these in turns.items()},
        {name: [at % LABELS for at in range(len(these))] for name, these in turns.items()},
        *rows,
        {
            name: [f"This is line {at}." for at in range(len(these))]
            for name, these in turns.items()
        },
        {name for name in turns if not name.startswith("Ses05")},
        {name for name in turns if name.startswith("Ses05")},
    )


def meld() -> tuple[Any, ...]:
    """MELD's form with sight: dialogues by number, one-hot speakers, sentiments at the end."""
    chance = np.random.default_rng(1)
    turns = {at: 3 + at % 2 for at in range(4)}
    rows = [
        {key: chance.normal(size=(count, width)).tolist() for key, count in turns.items()}
        for width in (TEXT, SOUND, SIGHT)
    ]
    labels = {key: [(key + at) % 7 for at in range(count)] for key, count in turns.items()}
    return (
        {key: [f"dia{key}_utt{at}" for at in range(count)] for key, count in turns.items()},
        {key: [np.eye(9, dtype=int)[at % 3].tolist() for at in range(count)]
         for key, count in turns.items()},
        labels,
        *rows,
        {key: [f"Line {at}?" for at in range(count)] for key, count in turns.items()},
        [0, 1, 2],
        [3],
        {key: [at % 3 for at in range(count)] for key, count in turns.items()},
    )  # fmt: skip
