"""Corpora: one file a kind of corpus, each of which says where every dialogue lies.

Such a file has ``find(path) -> Corpus``, which looks at names alone, and ``read(item) ->
Dialogue``, which opens what an item names and may run in any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAMED = 3  # that a sentence names; the rest it counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One dialogue of a corpus: its name there, and the files that it lies in, as far as known.

    ``fault`` says why its files can't be told; ``read`` raises it, so that the others are done.
    """

    name: str
    sound: Path | None = None
    transcript: Path | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Every dialogue in the order of names, and sentences on what was chosen or left out."""

    items: tuple[Item, ...]
    remarks: tuple[str, ...] = ()


def some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
