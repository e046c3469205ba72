"""What we make of a dialogue: the Analysis (turns, words, what made them) and Features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.errors import UserError

LAYOUT = 1  # of the JSON below; a reader of another number says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an analysis: its name, seconds taken, and whether the cache answered."""

    name: str
    seconds: float
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A dialogue with its making: facts of the recording, versions, and the steps taken."""

    dialogue: Dialogue
    recording: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "recording", MappingProxyType(dict(self.recording)))
        object.__setattr__(self, "made_with", MappingProxyType(dict(self.made_with)))

    def to_json(self) -> dict[str, Any]:
        """Plain data, the dialogue inside."""
        return {
            "layout": LAYOUT,
            "dialogue": self.dialogue.to_json(),
            "recording": dict(self.recording),
            "made_with": dict(self.made_with),
            "steps": [
                {"name": s.name, "seconds": s.seconds, "cached": s.cached} for s in self.steps
            ],
        }

    @classmethod
    def from_json(cls, data: Any) -> Analysis:
        """The reverse of ``to_json``."""
        if not isinstance(data, Mapping) or "dialogue" not in data:
            raise UserError("This JSON holds no analysis; an object with 'dialogue' was wanted.")
        if data.get("layout") != LAYOUT:
            raise UserError(
                f"This analysis has layout {data.get('layout')!r}, this program reads {LAYOUT}; "
                "analyse the recording again."
            )
        return cls(
            dialogue=Dialogue.from_json(data["dialogue"]),
            recording=data.get("recording", {}),
            made_with=data.get("made_with", {}),
            steps=tuple(Step(**step) for step in data.get("steps", ())),
        )


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

    def times(self, turn: Turn, index: int) -> np.ndarray:
        """The middle of each frame of a turn, in seconds from the recording's start."""
        if self.step is None or self.reach is None or turn.span is None:
            raise ValueError(f"{self.name} of turn {turn.number} has no times")
        moments = turn.span.start + self.step * np.arange(len(self.of(index))) + self.reach / 2
        return np.minimum(moments, turn.span.end)

    def but(self, **changes: Any) -> Features:
        """The same with some fields changed."""
        return replace(self, **changes)
