"""What may vary when a plan is tuned: ranges and choices, by the name of an option or setting.

    space(["rate=1e-4..1e-2:log", "batch=8,16,32", "more.toml"])

A file holds the same, ``rate = "1e-4..1e-2:log"`` or ``batch = [8, 16, 32]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erc_demo.errors import UserError, listed
from trainer import runs

if TYPE_CHECKING:
    from optuna import Trial

FIXED = (  # what says which turns, and which number, trials are compared by
    *("system", "data", "labels", "dimensions", "label_column", "text_column", "split_column"),
    *("shared_speakers", "protocol", "select_from", "seed", "runs", "measure", "refit", "log"),
)


class Range:
    """Numbers between two ends; whole ones where both ends are, ``log`` by their logarithm."""

    def __init__(self, low: float, high: float, log: bool = False) -> None:
        self.low, self.high, self.log = low, high, log
        if not low < high or (log and low <= 0):
            raise ValueError(f"{low}..{high} is no range" + (" of a logarithm" if log else ""))

    @property
    def tried(self) -> tuple[Any, ...]:
        """Values that must all be good."""
        return self.low, self.high

    def draw(self, trial: Trial, name: str) -> Any:
        """The trial's value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether a value lies within."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class Choice:
    """One of some values."""

    def __init__(self, *values: Any) -> None:
        self.tried = values
        if len(values) < 2:
            raise ValueError("two values or more were wanted")

    def draw(self, trial: Trial, name: str) -> Any:
        """The trial's value."""
        return trial.suggest_categorical(name, self.tried)

    def holds(self, value: Any) -> bool:
        """Whether it is one of them."""
        return value in self.tried


Space = Mapping[str, Range | Choice]


def space(texts: Sequence[str]) -> dict[str, Range | Choice]:
    """What may vary, from ``KEY=LOW..HIGH[:log]``, ``KEY=A,B,…`` or TOML files of the same.

    >>> sorted(space(["rate=1e-4..1e-2:log", "batch=8,16"]))
    ['batch', 'rate']
    """
    given: dict[str, Any] = {}
    for text in texts:
        if text.endswith(".toml"):
            given |= runs.read(Path(text))
            continue
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(
                f"--space has '{text}'; KEY=LOW..HIGH, KEY=LOW..HIGH:log, KEY=A,B,… or a file "
                "(.toml) was wanted."
            )
        given[key.strip()] = value.strip()
    found: dict[str, Range | Choice] = {}
    problems = []
    for key, value in given.items():
        if key in FIXED:
            problems.append(f"{key} stays as it is, since trials are compared by it")
            continue
        try:
            found[key] = _spread(value)
        except (TypeError, ValueError) as exc:
            problems.append(f"{key} is {value!r}: {exc}")
    if problems:
        raise UserError(f"This space can't be searched: {listed(problems)}.")
    if not found:
        raise UserError("--space names nothing to tune; rate=1e-4..1e-2:log, say, was wanted.")
    return found


def _spread(value: Any) -> Range | Choice:
    if isinstance(value, list):
        return Choice(*value)
    if not isinstance(value, str):
        raise ValueError("LOW..HIGH, or a list of values, was wanted")
    text, _, how = value.partition(":")
    if ".." in text and how in ("", "log"):
        low, high = (_plain(one) for one in text.split("..", 1))
        if isinstance(low, str) or isinstance(high, str):
            raise ValueError("the ends of a range are numbers")
        return Range(low, high, log=how == "log")
    return Choice(*(_plain(one) for one in value.split(",")))


def _plain(text: str) -> Any:
    text = text.strip()
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
