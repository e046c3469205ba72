"""Turns for extractors that hear words, and such an extractor from its file."""

from __future__ import annotations

from typing import Any

from erc_demo.dialogue import Turn, Word
from erc_demo.features import Utterance
from erc_demo.settings import Settings

SETTINGS = Settings(offline=True, device="cpu")


def said(text: str, speaker: str = "A", before: tuple[tuple[str, str], ...] = ()) -> Utterance:
    return Utterance(turn=Turn(number=0, speaker=speaker, text=text), before=before)


def heard(*texts: str) -> Utterance:
    """A turn of a recogniser's words, which may be anything but blank."""
    spoken = tuple(Word(text=text) for text in texts)
    return Utterance(turn=Turn(number=0, speaker="A", words=spoken))


def extractor(module: Any, settings: Settings = SETTINGS, **options: Any) -> Any:
    return module.Extractor(module.Options(**options), settings)
