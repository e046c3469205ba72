"""Two recordings with transcripts, one without."""

from __future__ import annotations

from pathlib import Path

from corpora.iemocap import sound

from erc_demo import formats
from erc_demo.dialogue import Dialogue, Span, Turn


def make(folder: Path) -> str:
    """A folder of recordings."""
    for name in ("one", "two"):
        turns = (
            Turn(number=0, speaker="A", span=Span(0, 0.5), text="Hello."),
            Turn(number=1, speaker="B", span=Span(0.5, 1), text="Hi."),
        )
        sound(folder / f"{name}.wav", 1)
        formats.export(Dialogue(name=name, turns=turns), folder, ["json"])
    sound(folder / "mute.wav", 1)
    return str(folder)
