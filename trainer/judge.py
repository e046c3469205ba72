"""Judging: a part of a corpus that is looked at after every epoch, and what is better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from erc_demo.systems import System
from trainer import metrics
from trainer.evaluate import Served
from trainer.runs import LOWER


class Judge(Served):
    """A part that is looked at after every epoch."""

    def scores(self, system: System, measure: str) -> dict[str, float]:
        """The measure, and those that go with it in every table."""
        said, design = self.ask(system), system.design
        names = {measure, *(("weighted_f1", "ua", "wa", "loss") if design.labels else ("ccc",))}
        wanted, chances = np.full(self.turns, -1), np.zeros((self.turns, 0))
        if design.labels:
            first = design.labels[0]
            wanted, chances = self.labels(first), said.chances[first]
        rated = self.rated(len(design.dimensions))
        return {
            name: metrics.score(name, wanted, chances, said.values, rated) for name in sorted(names)
        }

    def tells(self, system: System, measure: str) -> bool:
        """Whether people said anything here that the measure could be taken of."""
        kind = "" if measure == "ccc" else system.design.labels[0]
        return any(one.labelled.labelled(kind) for one in self.examples)

    def known(self, system: System) -> tuple[list[Any], list[Any]]:
        """The conversations, and the labels of each."""
        names = system.design.labels
        labels = [one.labelled.labels[names[0]] if names else None for one in self.examples]
        return [one.conversation for one in self.examples], labels


def better(value: float, best: float | None, measure: str) -> bool:
    """Whether a value beats the best so far; what could not be measured beats nothing."""
    if best is None or math.isnan(value):
        return not math.isnan(value)
    return value < best if measure in LOWER else value > best
