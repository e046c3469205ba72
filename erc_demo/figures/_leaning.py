"""Which turns leaned on which: a map over turns as one square of weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from erc_demo.figures._contract import View
from erc_demo.figures._theme import cut, percent, plain_name
from erc_demo.findings import Map
from erc_demo.findings.prediction import REST

SAYS = 26  # characters of a turn's words in a line of a note
LEFT = 0.005  # what turns that are not listed were given is told from here on, 1 % when rounded


def square(one: Map) -> tuple[np.ndarray, np.ndarray]:
    """Weights (turns, seen turns), mean over heads, and what each gave to turns not listed.

    A row is NaN where the map shows nothing; a turn that is not listed has 0.
    """
    weights = np.zeros((one.turns, one.turns))
    rest = np.zeros(one.turns)
    for place in range(one.turns):
        mean, seen = one.mean(place), one.at["turn"][place]
        if mean is None or seen is None:
            weights[place] = np.nan
            continue
        listed = seen != REST
        weights[place, seen[listed]] = mean[listed]
        rest[place] = mean[~listed].sum()
    return weights, rest


def blocked(weights: np.ndarray, groups: list[range]) -> np.ndarray:
    """Weights between groups of turns: the mean of the targets, the sum of what they saw."""
    starts = [group[0] for group in groups]
    columns = np.add.reduceat(weights, starts, axis=1)
    shown = np.isfinite(columns.sum(axis=1))
    sums = np.add.reduceat(np.where(shown[:, None], columns, 0), starts, axis=0)
    counts = np.add.reduceat(shown.astype(float), starts)
    with np.errstate(invalid="ignore"):
        return sums / counts[:, None]


def heads(one: Map) -> str:
    """``, mean of 4 heads``, where it is one."""
    if "head" not in one.axes:
        return ""
    count = max(value.shape[one.axes.index("head")] for value in one.values if value is not None)
    return f", mean of {count} heads" if count > 1 else ""


def absent(view: View, maps: Sequence[Map]) -> list[str]:
    """A note where the turn that is looked at is one that the maps do not show."""
    if view.turn is None or any(one.values[view.turn] is not None for one in maps):
        return []
    return [f"Nothing is shown of {plain_name(view, view.turn)}."]


def stretch(weights: np.ndarray, place: int, most: int) -> range:
    """At most so many neighbouring turns around a turn, those that hold most of its weight."""
    count = len(weights)
    if count <= most:
        return range(count)
    starts = range(max(0, place - most + 1), min(place, count - most) + 1)
    best = max(starts, key=lambda start: float(weights[start : start + most].sum()))
    return range(best, best + most)


def strongest(view: View, place: int, weights: np.ndarray, rest: float, most: int) -> list[str]:
    """A turn's heaviest links, a line each, with what was said there."""
    lines = []
    for seen in np.argsort(-weights[place], kind="stable")[:most]:
        share = float(weights[place, seen])
        if share <= 0:
            break
        turn = view.analysis.dialogue.turns[seen]
        said = f"“{cut(turn.text, SAYS)}”" if turn.text.strip() else "no words"
        who = "itself" if seen == place else plain_name(view, int(seen))
        lines.append(f"{percent(share)} {who}: {said}")
    if rest > LEFT:
        lines.append(f"{percent(rest)} turns that are not listed")
    return lines
