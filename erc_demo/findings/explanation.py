"""Explanation: what a prediction would have been with one thing taken away, measured.

A ``Variant`` names what is taken away, an ``Effect`` the signed change that it made to one turn's
answer, a ``Faithfulness`` how well a map of attention agrees with such changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from erc_demo.dialogue import Span

VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "without": "an input of the system is absent in every turn",
        "alone": "only one speaker's turns are there",
        "from": "nothing before this turn was said",
        "drop": "this turn was not said",
        "mask": "this word was not said",
        "blank": "this stretch of the turn is silent",
        "say": "this turn said something else",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same conversation with one thing taken away or changed.

    ``without`` has ``inputs``; ``alone`` the ``speaker`` who stays; ``from`` and ``drop`` a
    ``turn``; ``mask`` a turn and a ``word``; ``blank`` a turn and a ``span`` of the recording;
    ``say`` a turn and its new ``text``.
    """

    kind: str
    turn: int | None = None
    inputs: tuple[str, ...] = ()
    speaker: str | None = None
    word: int | None = None
    span: Span | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        needs = {
            "without": {"inputs"},
            "alone": {"speaker"},
            "from": {"turn"},
            "drop": {"turn"},
            "mask": {"turn", "word"},
            "blank": {"turn", "span"},
            "say": {"turn", "text"},
        }
        object.__setattr__(self, "inputs", tuple(self.inputs))
        given = {
            one.name
            for one in fields(self)
            if one.name != "kind" and getattr(self, one.name) not in (None, ())
        }
        if self.kind not in needs or given != needs[self.kind]:
            raise ValueError(f"A variant '{self.kind}' with {sorted(given)} is none of {needs}")

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not given is left out."""
        data: dict[str, Any] = {"kind": self.kind}
        for name in ("turn", "speaker", "word", "text"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name)
        if self.inputs:
            data["inputs"] = list(self.inputs)
        if self.span is not None:
            data["span"] = self.span.to_json()
        return data

    @classmethod
    def from_json(cls, data: Any) -> Variant:
        """The reverse of ``to_json``."""
        span = data.get("span")
        return cls(**{**data, "span": None if span is None else Span.from_json(span)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one variant did to the answer of turn ``turn``: ``after - before`` of ``label``.

    ``label`` is what the system says of the turn as it is, ``says`` what it says of the variant;
    both None, and ``why_not`` a sentence, where the variant leaves it without an answer.
    """

    variant: Variant
    turn: int
    label: str
    before: float
    after: float | None = None
    says: str | None = None
    why_not: str = ""

    @property
    def change(self) -> float | None:
        """Signed, in probability: negative where the thing taken away had spoken for the label."""
        return None if self.after is None else self.after - self.before

    @property
    def flips(self) -> bool:
        """Whether the system says something else."""
        return self.says is not None and self.says != self.label

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = {
            "variant": self.variant.to_json(),
            "turn": self.turn,
            "label": self.label,
            "before": round(self.before, 6),
        }
        if self.why_not:
            return data | {"why_not": self.why_not}
        assert self.after is not None and self.change is not None
        return data | {
            "after": round(self.after, 6),
            "change": round(self.change, 6),
            "says": self.says,
        }

    @classmethod
    def from_json(cls, data: Any) -> Effect:
        """The reverse of ``to_json``."""
        kept = {key: value for key, value in data.items() if key not in ("variant", "change")}
        return cls(variant=Variant.from_json(data["variant"]), **kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """How well a map's weights order what the measured changes order: a rank correlation.

    Pooled over ``turns`` turns, with a 95 % interval from drawing the turns again; ``score`` is
    None where that is too few to tell.
    """

    map: str
    variant: str  # the kind of variant that the map was held against
    turns: int
    score: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """A clause for a person."""
        if self.score is None or self.low is None or self.high is None:
            return "too few turns to tell"
        if self.low > 0:
            return "agrees with what was measured"
        if self.high < 0:
            return "contradicts what was measured"
        return "does not show agreement with what was measured"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = {"map": self.map, "variant": self.variant, "turns": self.turns}
        for name in ("score", "low", "high"):
            value = getattr(self, name)
            data[name] = None if value is None else round(value, 4)
        return data | {"verdict": self.verdict}

    @classmethod
    def from_json(cls, data: Any) -> Faithfulness:
        """The reverse of ``to_json``."""
        return cls(**{key: value for key, value in data.items() if key != "verdict"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that was measured of one system's prediction on one conversation.

    What made the system, and whether it was trained, is as the prediction has it: of random
    weights no number here means anything either.
    """

    system: str
    made_by: str
    trained: bool
    effects: tuple[Effect, ...] = ()
    faithfulness: tuple[Faithfulness, ...] = ()

    def of(self, turn: int, kind: str | None = None) -> tuple[Effect, ...]:
        """The effects on one turn, of one kind of variant or of all."""
        return tuple(
            one for one in self.effects if one.turn == turn and kind in (None, one.variant.kind)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "system": self.system,
            "made_by": self.made_by,
            "trained": self.trained,
            "effects": [one.to_json() for one in self.effects],
            "faithfulness": [one.to_json() for one in self.faithfulness],
        }

    @classmethod
    def from_json(cls, data: Any) -> Explanation:
        """The reverse of ``to_json``."""
        return cls(
            system=data["system"],
            made_by=data["made_by"],
            trained=data["trained"],
            effects=tuple(Effect.from_json(one) for one in data["effects"]),
            faithfulness=tuple(Faithfulness.from_json(one) for one in data["faithfulness"]),
        )
