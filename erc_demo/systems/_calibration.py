r"""Calibration: how far a system's chances are to be believed, learned from turns held out.

    chance_c = p_c^(1/T) / \sum_k p_k^(1/T)

T is the temperature: above 1 it takes back confidence, below 1 it gives some. For a softmax this is
the softmax of logits / T (Guo et al. 2017); written with chances it holds for fused posteriors and
for a chain's marginals too. The order of the labels stays, so no answer changes. ``unsure_below``
is the chance below which the likeliest label had better be left unsaid, ``trust_words`` the
recogniser's mean confidence below which a turn's words are not read. Maps of chances get the same
temperature; those of weights are as they were computed.

Left out: one temperature for each class or for each group of inputs (vector scaling), which could
change answers and has more to learn than a small part of a corpus can teach.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from erc_demo.errors import UserError, listed

LEAST = float(np.finfo(np.float32).tiny)  # a chance of 0 is taken as this


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """By label set; a set that is not named is taken as it is, and never unsure."""

    temperature: Mapping[str, float] = field(default_factory=dict)
    unsure_below: Mapping[str, float] = field(default_factory=dict)
    trust_words: float = 0.0  # 0: always

    def __post_init__(self) -> None:
        problems = []
        for name, one in self.temperature.items():
            if not (_number(one) and math.isfinite(one) and one > 0):
                problems.append(f"the temperature of {name} is {one!r}, not a number above 0")
        shares = {f"unsure_below of {name}": one for name, one in self.unsure_below.items()}
        for what, one in (shares | {"trust_words": self.trust_words}).items():
            if not (_number(one) and 0 <= one <= 1):
                problems.append(f"{what} is {one!r}, not a number from 0 to 1")
        if problems:
            raise UserError(f"This calibration can't be used: {listed(problems)}.")
        for key in ("temperature", "unsure_below"):
            plain = {str(name): float(one) for name, one in getattr(self, key).items()}
            object.__setattr__(self, key, MappingProxyType(plain))
        object.__setattr__(self, "trust_words", float(self.trust_words))

    def applied(self, name: str, chances: np.ndarray) -> np.ndarray:
        """Chances (…, labels) of a label set as they leave the system."""
        temperature = self.temperature.get(name, 1.0)
        return chances if temperature == 1 else tempered(chances, temperature)

    def refuse_other(self, labels: Sequence[str]) -> None:
        """Refuse a calibration of label sets that its system does not speak."""
        odd = sorted({*self.temperature, *self.unsure_below} - set(labels))
        if odd:
            raise UserError(
                f"This calibration is of {listed(odd)}, and its system says "
                f"{listed(list(labels)) or 'no labels'}; get the checkpoint again."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "temperature": dict(self.temperature),
            "unsure_below": dict(self.unsure_below),
            "trust_words": self.trust_words,
        }

    @classmethod
    def from_json(cls, data: Any) -> Calibration:
        """The reverse of ``to_json``."""
        known = cls().to_json()
        tables = [key for key in known if key != "trust_words"]
        found = sorted(map(str, data)) if isinstance(data, Mapping) else [type(data).__name__]
        if not isinstance(data, Mapping) or set(found) - set(known):
            raise UserError(
                f"A calibration holds {listed(found[:5])}; {', '.join(known)} were wanted."
            )
        odd = [key for key in tables if not isinstance(data.get(key, {}), Mapping)]
        if odd:
            raise UserError(
                f"The {listed(odd)} of a calibration must name a number for each label set."
            )
        return cls(**data)


def tempered(chances: np.ndarray, temperature: float) -> np.ndarray:
    """Chances (…, labels) sharpened or softened, in double precision within; NaN stays NaN."""
    logs = np.log(np.maximum(chances, LEAST, dtype=np.float64))
    powers = np.exp((logs - logs.max(axis=-1, keepdims=True)) / temperature)
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(chances.dtype)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
