"""The miniature of RAVDESS, laid into recordings of one and of two people."""

from __future__ import annotations

from pathlib import Path

from corpora import ravdess

LIST = """\
data = "ravdess:clips"
circles = 1

[[arrangement]]
name = "clip"

[[arrangement]]
name = "person"
turns = [9, 9]

[[arrangement]]
name = "pair"
people = 2
turns = [2, 4]
times = 2
"""


def make(folder: Path) -> str:
    """A file that names the clips beside it."""
    ravdess.make(folder / "clips")
    (folder / "composed.toml").write_text(LIST, encoding="utf-8")
    return str(folder / "composed.toml")
