"""AVEC in the field's form, in small: four files, one dimension each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from corpora.conv_emotion import write

TURNS = {"1": 6, "2": 5, "9": 4}
SCALES = ((-1, 1), (-1, 1), (-1, 1), (0, 60))  # valence, arousal, expectancy, power


def make(folder: Path) -> str:
    """Four files in a folder."""
    for number in range(1, 5):
        write(folder / f"AVEC_features_{number}.pkl", parts(number))
    return str(folder)


def parts(number: int) -> tuple[Any, ...]:
    """A file's parts; the four differ in their labels alone."""
    chance = np.random.default_rng(number)
    low, high = SCALES[number - 1]
    numbers = np.random.default_rng(0)
    rows = [
        {name: [numbers.normal(size=width) for _ in range(count)] for name, count in TURNS.items()}
        for width in (5, 3, 2)
    ]
    return (
        {name: [f"{name}_{at}" for at in range(count)] for name, count in TURNS.items()},
        {name: [("user", "operator")[at % 2] for at in range(count)]
         for name, count in TURNS.items()},
        {name: chance.uniform(low, high, size=count).tolist() for name, count in TURNS.items()},
        *rows,
        {name: [f"well {at}".encode() for at in range(count)] for name, count in TURNS.items()},
        ["1", "2"],
        ["9"],
    )  # fmt: skip
