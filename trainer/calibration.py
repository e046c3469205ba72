"""Calibration learned from turns that nothing was learned from: a temperature, when to be unsure.

The temperature T of a label set has the least NLL of the given labels, which is convex in 1 / T:
its slope, the mean over turns of (expected ln p under the tempered chances − ln p of the label), is
bisected. T stays within ``RANGE``: on a part where every answer is right the least NLL lies at 0.

Below which chance to be unsure is read off the risk–coverage curve by Chow's rule (1970). A wrong
answer costs 1, "unsure" costs c, and of all thresholds t that is taken which has the least

    cost(t) = coverage(t) · risk(t) + c · (1 − coverage(t))

of several the one next to 1 − c, which is the threshold where chances can be believed. So that a
few turns make no wild threshold, each turn's error is n / (n + ``PRIOR``) of what was seen and for
the rest what its chance promises (1 − chance), and t stays between 1 / labels, which is never
unsure, and ``MOST``.

A label set with fewer than ``FEW`` labelled turns there keeps T = 1 and is never unsure, as do
those that another corpus labels; the record says so. The figures in the record are of the turns
that were learned from: they flatter, if by one or two numbers only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo import checkpoint
from erc_demo.errors import UserError, listed
from erc_demo.settings import Settings
from erc_demo.systems import Calibration, System
from erc_demo.systems._calibration import LEAST, tempered
from trainer import card, inputs, record
from trainer.datasets import Ask, open_corpus
from trainer.evaluate import Served, part_of
from trainer.metrics import confidence

RANGE = (0.1, 10.0)  # of a temperature
HALVINGS = 60  # of 1 / T; the range is then narrower than a double can tell
FEW = 20  # labelled turns
PRIOR = 100  # turns' worth of belief in the chances, when errors are counted
MOST = 0.9  # below which to be unsure at most


def calibrated(
    system: System, part: Served, cost: float, labels: Sequence[str] | None = None
) -> tuple[Calibration, dict[str, dict[str, Any]]]:
    """A calibration by a part, and what to record of each label set that was asked for.

    Of other sets, and of what was said of words, it is the system's own.
    """
    kept, system.calibration = system.calibration, Calibration()
    try:
        said = part.ask(system).chances
    finally:
        system.calibration = kept
    temperatures, thresholds, told = dict(kept.temperature), dict(kept.unsure_below), {}
    for name in system.design.labels if labels is None else labels:
        wanted, chances = part.labels(name), said[name]
        known = (wanted >= 0) & ~np.isnan(chances).any(axis=1)
        if known.sum() < FEW:
            told[name] = {"why_not": f"{known.sum()} labelled turns; {FEW} are wanted"}
            continue
        found = told[name] = learned(wanted[known], chances[known], cost)
        temperatures[name], thresholds[name] = found["temperature"], found["unsure_below"]
    made = replace(kept, temperature=temperatures, unsure_below=thresholds)
    return made, told


def learned(wanted: np.ndarray, chances: np.ndarray, cost: float) -> dict[str, Any]:
    """All that labelled turns (turns,) and their chances (turns, labels) teach, as plain data."""
    value = round(temperature(wanted, chances), 4)
    after = tempered(chances, value)
    sure, right = after.max(axis=1), after.argmax(axis=1) == wanted
    errors = [confidence.reliability(one.max(axis=1), right, "mass") for one in (chances, after)]
    below = round(unsure_below(sure, right, cost, after.shape[1]), 4)
    answered = sure >= below
    return {
        "turns": len(wanted),
        "temperature": value,
        "nll": [_nll(wanted, one) for one in (chances, after)],
        "ece": [round(one["ece"], 4) for one in errors],
        "cost": cost,
        "unsure_below": below,
        "coverage": round(float(answered.mean()), 4),
        "risk": round(float(1 - right[answered].mean()), 4) if answered.any() else None,
        "risk_of_all": round(float(1 - right.mean()), 4),
    }


def temperature(wanted: np.ndarray, chances: np.ndarray) -> float:
    """That with the least NLL of labels (turns,) under chances (turns, labels)."""
    logs = np.log(np.maximum(chances, LEAST, dtype=np.float64))
    given = logs[np.arange(len(logs)), wanted]

    def slope(inverse: float) -> float:
        return float(((tempered(np.exp(logs), 1 / inverse) * logs).sum(axis=1) - given).mean())

    low, high = 1 / RANGE[1], 1 / RANGE[0]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 2 / (low + high)


def unsure_below(sure: np.ndarray, right: np.ndarray, cost: float, labels: int) -> float:
    """The threshold with the least cost, of turns' chances and whether they were right."""
    belief, least = 1 - cost, min(1 / labels, MOST)
    share = len(sure) / (len(sure) + PRIOR)
    order = np.argsort(sure, kind="stable")
    sure, right = sure[order].astype(np.float64), right[order]
    wrong = share * ~right + (1 - share) * (1 - sure)
    steps = np.unique(sure)
    tried = np.concatenate([[least, MOST, belief], (steps[:-1] + steps[1:]) / 2])
    tried = np.unique(np.clip(tried, least, MOST))
    left = np.searchsorted(sure, tried)  # how many are unsure
    errors = wrong.sum() - np.concatenate([[0.0], np.cumsum(wrong)])[left]
    paid = (errors + cost * left) / max(1, len(sure))
    best = tried[paid <= paid.min() + 1e-9]
    return float(best[np.abs(best - belief).argmin()])


def _nll(wanted: np.ndarray, chances: np.ndarray) -> float:
    given = chances[np.arange(len(chances)), wanted].astype(np.float64)
    return round(float(-np.log(np.maximum(given, LEAST)).mean()), 4)


def recalibrate(
    ref: str,
    reference: str,
    ask: Ask,
    settings: Settings,
    *,
    split: str,
    out: Path,
    cost: float,
    trust_words: float | None = None,
) -> Iterator[str]:
    """A checkpoint's calibration learned anew by a part of a corpus, as a new checkpoint.

    ``ask`` names the label sets; those of the checkpoint where it names none. What there is to say
    of it comes a line at a time.
    """
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder for the checkpoint.")
    if not 0 < cost < 1:
        raise UserError(f"--unsure-cost is {cost:g}; a number between 0 and 1 was wanted.")
    given = checkpoint.load(record.checkpoint_of(ref), settings)
    system, design = given.system, given.system.design
    labels = ask.labels or design.labels
    if odd := [one for one in labels if one not in design.labels] or (not labels and ["no labels"]):
        raise UserError(
            f"{given.made_by} says {listed(list(design.labels)) or 'no labels'}, not "
            f"{listed(odd)}; a calibration is of what a system says itself."
        )
    corpus = open_corpus(reference, replace(ask, labels=labels, shared_speakers=True))
    part = part_of(corpus, split)
    names = [one.name for one in part]
    yield from (f"note: {one}" for one in (*corpus.remarks, *record.seen_before(given, names)))
    made, told = calibrated(
        system, Served(inputs.examples(part, design, settings), system), cost, labels
    )
    if all("why_not" in found for found in told.values()):
        raise UserError(
            f"This part teaches nothing of {listed(list(labels))} ({told[labels[0]]['why_not']}); "
            "name another with --split or --data."
        )
    if trust_words is not None:
        made = replace(made, trust_words=trust_words)
    system.calibration = made
    chosen = dict.fromkeys([*given.training.get("selected_with", ()), *map(record.marked, names)])
    by = {
        "by": f"{len(names)} dialogues ({split}) of {record.told(reference)}",
        "data_sha256": corpus.sha256,
    }
    facts = {name: by | found for name, found in told.items()}
    before = given.training.get("calibration", {})
    training = {**given.training, "selected_with": list(chosen), "calibration": before | facts}
    half = bool(tomllib.loads(given.training.get("plan", "")).get("half"))
    record.save(out, system, given.features, training, half=half)
    yield from (card.calibrated(name, found) for name, found in told.items())
    yield f"The checkpoint is in {out}."
