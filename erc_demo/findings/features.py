"""Features: what an extractor made of a dialogue, rows of numbers by turn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

LEVELS = ("utterance", "frame", "word", "token")
WHY = {  # what can be odd about a turn, as a sentence's end
    "no sound": "has no sound here: there is no recording",
    "no time": "has no time, so its sound can't be found",
    "no channel": "is on a channel that the recording has not",
    "outside": "lies outside the recording",
    "silent": "is silent: its channel holds nothing",
    "short": "is shorter than 0.1 s; zeros were put behind it",
    "clipped": "is clipped: its sound reaches full scale",
    "no words": "has no words",
    "no pictures": "has no pictures",
    "unknown words": "has words that the encoder or the vectors do not know",
    "undefined": "has numbers that are not defined for it; 0 stands for them",
    "cut": "is longer than the encoder reads; its last words were left out",
    "given": "has no such numbers: they come with a corpus, not from a recording",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What was odd about one turn's features; ``why`` is a key of ``WHY``."""

    turn: int
    why: str

    def __post_init__(self) -> None:
        if self.why not in WHY:
            raise ValueError(f"'{self.why}' is no remark; one of {', '.join(WHY)} was wanted")

    def __str__(self) -> str:
        return f"Turn {self.turn} {WHY[self.why]}."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What an extractor made of a dialogue: rows of numbers, and which turn each belongs to.

    Turn ``i`` (by place, not by number) has the rows ``starts[i]`` to ``starts[i + 1]``; none
    where the modality is absent, and ``remarks`` says why. ``name`` is the text that asked for
    them, ``columns`` names the numbers where they have a meaning.
    """

    name: str
    version: str
    level: str
    rows: np.ndarray  # float32 or, of tokens, int32 (rows, width)
    starts: np.ndarray  # int64 (turns + 1,)
    columns: tuple[str, ...] = ()
    step: float | None = None  # seconds from one row to the next, on frame level
    reach: float | None = None  # seconds that one row covers
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        rows, starts = self.rows, self.starts
        if self.level not in LEVELS:
            raise ValueError(f"{self.name}: '{self.level}' is no level of {', '.join(LEVELS)}")
        if rows.ndim != 2 or rows.dtype != (np.int32 if self.level == "token" else np.float32):
            raise ValueError(f"{self.name}: rows are {rows.dtype} {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError(f"{self.name}: not every number is finite")
        if starts.ndim != 1 or not len(starts) or starts[0] or starts[-1] != len(rows):
            raise ValueError(f"{self.name}: the turns' starts do not fit {len(rows)} rows")
        if (np.diff(starts) < 0).any():
            raise ValueError(f"{self.name}: the turns' starts go back")
        if self.level == "utterance" and (np.diff(starts) > 1).any():
            raise ValueError(f"{self.name}: a turn has more than one row")
        if self.columns and len(self.columns) != rows.shape[1]:
            raise ValueError(f"{self.name}: {len(self.columns)} names for {rows.shape[1]} columns")
        if (self.level == "frame") != (self.step is not None and self.reach is not None):
            raise ValueError(f"{self.name}: step and reach belong to frames, and frames need them")
        for name in ("rows", "starts"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "remarks", tuple(self.remarks))

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return int(self.rows.shape[1])

    @property
    def turns(self) -> int:
        """How many turns the dialogue has, those without rows counted."""
        return len(self.starts) - 1

    @property
    def present(self) -> np.ndarray:
        """Which turns have rows, bool (turns,)."""
        return np.diff(self.starts) > 0

    def of(self, index: int) -> np.ndarray:
        """The rows of the turn at that place."""
        return self.rows[self.starts[index] : self.starts[index + 1]]

    def but(self, **changes: Any) -> Features:
        """The same with some fields changed."""
        return replace(self, **changes)
