"""Made predictions: a conversation by letters, or many at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erc_demo.emotions import IEMOCAP6
from trainer.predictions import Line

LABELS = IEMOCAP6.labels
LETTER = {IEMOCAP6.letter(label): label for label in LABELS}


def spoken(words: str, *, dialogue: str = "d", **other: object) -> list[Line]:
    """Turns as ``A:NH``: A speaks, N is the label, H the answer; ``.`` is none."""
    return [
        Line(
            dialogue=dialogue,
            utt_id=f"{dialogue}_{turn}",
            turn=turn,
            speaker=one[0],
            labels="iemocap6",
            label=LETTER.get(one[2]),
            predicted=LETTER.get(one[3]),
            **other,  # type: ignore[arg-type]
        )
        for turn, one in enumerate(words.split())
    ]


def drawn(
    dialogues: int = 12, turns: int = 10, *, seed: int = 0, skill: float = 1.0, lost: float = 0.1
) -> list[Line]:
    """The same labels and ratings every time; what is predicted is the seed's."""
    people, dice = np.random.default_rng(99), np.random.default_rng(seed)
    lines = []
    for at in range(dialogues):
        for turn in range(turns):
            wanted, rating = int(people.integers(-1, 6)), float(people.uniform(-1, 1))
            logits = dice.normal(size=6) + skill * (np.arange(6) == wanted)
            chances = np.exp(logits) / np.exp(logits).sum()
            guess = float(np.clip(rating + dice.normal(), -1, 1))
            silent = dice.random() < lost
            lines.append(
                Line(
                    dialogue=f"d{at}",
                    utt_id=f"d{at}_{turn}",
                    turn=turn,
                    speaker="AB"[turn % 3 % 2],
                    labels="iemocap6",
                    label=LABELS[wanted] if wanted >= 0 else None,
                    predicted=None if silent else LABELS[int(chances.argmax())],
                    probabilities=None if silent else dict(zip(LABELS, chances, strict=True)),
                    wanted={"valence": rating, "arousal": None if turn % 2 else -rating / 2},
                    values={"valence": None if silent else guess, "arousal": -guess / 3},
                    words=turn % 4,
                    text="Yeah." if turn % 4 == 1 else None,
                )
            )
    return lines


def numbers(lines: Sequence[Line]) -> tuple[np.ndarray, np.ndarray]:
    """Labels by number, -1 none, and chances, NaN none: what ``score`` takes."""
    wanted = [-1 if one.label is None else LABELS.index(one.label) for one in lines]
    chances = [
        [np.nan] * len(LABELS)
        if one.probabilities is None
        else [one.probabilities[label] for label in LABELS]
        for one in lines
    ]
    return np.array(wanted), np.array(chances)
