"""A small corpus on disk, a `table`, whose numbers tell the emotion fairly well."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

LABELS = ("neutral", "happy", "sad", "angry")
READS = "given:name=toy,width=6"
COLUMNS = ("dialogue", "turn", "utt_id", "session", "speaker", "text", "iemocap4", "split")


def write(
    folder: Path, *, sessions: int = 4, dialogues: int = 3, turns: int = 9, seed: int = 0
) -> str:
    """The corpus; its reference. Session 4 is test, 3 validation; a fifth of the turns no label."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows, ids, numbers = [], [], []
    centres = draw.normal(size=(len(LABELS), 6))
    for session in range(1, sessions + 1):
        split = {sessions: "test", sessions - 1: "dev"}.get(session, "train")
        for dialogue in range(dialogues):
            mood = int(draw.integers(len(LABELS)))
            for turn in range(turns + dialogue):
                if draw.random() < 0.3:
                    mood = int(draw.integers(len(LABELS)))
                utt_id = f"s{session}d{dialogue}_{turn:02d}"
                label = "" if draw.random() < 0.2 else LABELS[mood]
                rows.append(
                    (f"s{session}d{dialogue}", turn, utt_id, session, "FM"[turn % 2])
                    + (("yeah" if turn % 4 == 0 else "so it goes"), label, split)
                )
                ids.append(utt_id)
                numbers.append(centres[mood] + draw.normal(size=6) * 0.8)
    with (folder / "turns.csv").open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(COLUMNS)
        table.writerows(rows)
    np.savez(folder / "toy.npz", ids=np.array(ids), X=np.array(numbers, np.float32))
    return f"table:{folder}"
