"""What we make of a dialogue. So far the Analysis: turns and words, and what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from erc_demo.dialogue import Dialogue
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
