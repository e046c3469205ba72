"""RAVDESS in small: two actors, a sung clip, one without sound, one told twice."""

from __future__ import annotations

from pathlib import Path

from corpora.iemocap import sound

ACTED = ("01", "02", "03", "05", "08")


def make(folder: Path) -> str:
    """Clips in a folder of each actor."""
    for actor in ("01", "12"):
        for at, emotion in enumerate(ACTED, 1):
            name = f"03-01-{emotion}-01-0{1 + at % 2}-01-{actor}"
            sound(folder / f"Actor_{actor}" / f"{name}.wav", 0.2 + 0.1 * at + int(actor) / 100)
    others = ("03-02-03-01-01-01-01", "02-01-03-01-01-01-01", "01-01-05-01-01-01-01")
    for at, name in enumerate((*others, "01-01-05-01-02-01-01", "notes"), 10):
        sound(folder / "Actor_01" / f"{name}.wav", at / 100)
    return str(folder)
