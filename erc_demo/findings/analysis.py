"""Analysis: a dialogue with its making, what the systems say of it, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError
from erc_demo.findings.explanation import Explanation
from erc_demo.findings.prediction import Prediction

LAYOUT = 1  # of the JSON below; a reader of another number says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an analysis: its name, seconds taken, and whether the cache answered."""

    name: str
    seconds: float
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A dialogue with its making: facts of the recording, versions, and the steps taken.

    ``predictions`` and ``explanations`` are in the order in which systems were asked.
    """

    dialogue: Dialogue
    recording: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    explanations: tuple[Explanation, ...] = ()

    def __post_init__(self) -> None:
        for one in self.predictions:
            if one.turns != len(self.dialogue.turns):
                raise ValueError(f"{one.system} answers {one.turns} turns of another dialogue")
        object.__setattr__(self, "recording", MappingProxyType(dict(self.recording)))
        object.__setattr__(self, "made_with", MappingProxyType(dict(self.made_with)))

    def to_json(self) -> dict[str, Any]:
        """Plain data, the dialogue inside."""
        data: dict[str, Any] = {
            "layout": LAYOUT,
            "dialogue": self.dialogue.to_json(),
            "recording": dict(self.recording),
            "made_with": dict(self.made_with),
            "steps": [
                {"name": s.name, "seconds": s.seconds, "cached": s.cached} for s in self.steps
            ],
        }
        for name in ("predictions", "explanations"):
            if getattr(self, name):
                data[name] = [one.to_json() for one in getattr(self, name)]
        return data

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
            predictions=tuple(Prediction.from_json(one) for one in data.get("predictions", ())),
            explanations=tuple(Explanation.from_json(one) for one in data.get("explanations", ())),
        )

    @property
    def asked(self) -> tuple[str, ...]:
        """What each prediction is called: its system, and what made it where a system has two."""
        times = Counter(one.system for one in self.predictions)
        return tuple(
            one.system if times[one.system] == 1 else f"{one.system} ({one.made_by})"
            for one in self.predictions
        )

    def prediction(self, name: str) -> Prediction:
        """What one system said, as ``asked`` calls it; by its system alone the first of it."""
        for called, one in zip(self.asked, self.predictions, strict=True):
            if name in (called, one.system):
                return one
        known = ", ".join(self.asked) or "none"
        raise UserError(f"'{name}' was not asked about this recording; asked were: {known}.")

    def explanation(self, name: str) -> Explanation | None:
        """What was measured of one system, where it was."""
        if name not in {*self.asked, *(one.system for one in self.predictions)}:
            return None
        of = self.prediction(name)
        whose = (of.system, of.made_by)
        found = (one for one in self.explanations if (one.system, one.made_by) == whose)
        return next(found, None)

    def but(self, **changes: Any) -> Analysis:
        """The same with some fields changed."""
        return replace(self, **changes)
