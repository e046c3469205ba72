"""Runs side by side: who is better, on what, and by how much more than chance.

    compare([Path("runs/one"), Path("runs/two")], Path("report"))

A run is a folder that `fit` left, or a file of predictions that `evaluate` wrote; no model is
loaded and nothing is predicted here. Every number is computed anew from the predictions, each seed
by itself with all folds pooled, then mean and standard deviation over the seeds; intervals are
bootstrapped over dialogues. Two runs are tested against each other only on the same turns with the
same labels (approximate randomisation over dialogues), and the p-values of all tests of one label
set are corrected together (Holm 1979). Runs of other label sets are reported apart.

Where a run also kept the epoch that was best on the reported part, that figure stands below the
honest one and is never tested.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.errors import UserError, listed
from trainer import metrics, predictions, runs
from trainer.predictions import Line

DRAWS = 10_000
TESTED = ("weighted_f1", "ua", "ccc")  # those that a group has
SHOWN = ("weighted_f1", "macro_f1", "ua", "wa", "loss", "ccc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measure over the seeds, with the interval of their mean over dialogues."""

    mean: float
    sd: float | None
    each: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What a run's predictions come to: figures by measure, and each seed's report."""

    seeds: list[list[Line]]
    figures: Mapping[str, Figure]
    reports: list[dict[str, Any]]

    @property
    def judged(self) -> int:
        """How many turns people labelled or rated."""
        return sum(
            one.label is not None or any(each is not None for each in one.wanted.values())
            for one in self.seeds[0]
        )

    @property
    def turns(self) -> frozenset[tuple[Any, ...]]:
        """What was asked, and what people said of it; two runs with the same can be tested."""
        return frozenset(
            (one.dialogue, one.utt_id, one.label, tuple(sorted(one.wanted.items())))
            for one in self.seeds[0]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One training: its epochs, the stages' chosen ones, and the one as published."""

    name: str
    measure: str
    history: tuple[Mapping[str, Any], ...]
    stages: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run as it lies on disk."""

    name: str
    labels: str
    dimensions: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # run.json
    plan: Mapping[str, Any] = field(default_factory=dict)  # plan.toml
    parts: tuple[Part, ...] = ()
    honest: Said | None = None  # None: its protocol reports nothing
    published: Said | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two runs on the same turns: first minus second."""

    first: str
    second: str
    measure: str
    seeds: int  # of each
    difference: float
    low: float
    high: float
    p: float
    corrected: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Runs of one label set; ``apart`` says which of them could not be tested, and why."""

    labels: str
    dimensions: tuple[str, ...]
    runs: tuple[Run, ...]
    tests: tuple[Pair, ...] = ()
    apart: tuple[str, ...] = ()


def compare(places: Sequence[Path], out: Path, *, draws: int = DRAWS) -> list[Path]:
    """Write report.md and report.html into a folder; gives both."""
    from trainer.report import markdown, page

    found = groups(read(places), draws=draws)
    files = {out / "report.md": markdown(found), out / "report.html": page(found)}
    for file, text in files.items():
        runs.write(file, text)
    return list(files)


def read(places: Sequence[Path]) -> list[Run]:
    """Every run; all that is wrong with any is said at once."""
    if not places:
        raise UserError("No run was named; give the folders that `fit` wrote.")
    if twice := sorted({str(one) for one in places if list(places).count(one) > 1}):
        raise UserError(f"{listed(twice)} is named twice; name each run once.")
    found, problems = [], []
    for place, name in zip(places, _names(places), strict=True):
        try:
            found.append(_run(place, name))
        except UserError as exc:
            problems.append(str(exc).rstrip("."))
    if problems:
        raise UserError(f"{listed(problems)}.")
    return found


def groups(found: Sequence[Run], *, draws: int = DRAWS) -> list[Group]:
    """Runs by label set and dimensions, those of one tested against each other."""
    apart: dict[tuple[str, tuple[str, ...]], list[Run]] = {}
    for one in found:
        apart.setdefault((one.labels, one.dimensions), []).append(one)
    return [
        _tested(Group(labels=labels, dimensions=dimensions, runs=tuple(these)), draws)
        for (labels, dimensions), these in apart.items()
    ]


def _tested(group: Group, draws: int) -> Group:
    comparable: dict[frozenset[tuple[Any, ...]], list[tuple[Run, Said]]] = {}
    for one in group.runs:
        if one.honest is not None:
            comparable.setdefault(one.honest.turns, []).append((one, one.honest))
    tests: list[Pair] = []
    for same in comparable.values():
        for (one, mine), (other, theirs) in combinations(same, 2):
            seeds = min(len(mine.seeds), len(theirs.seeds))
            for measure in TESTED:
                if measure in mine.figures and measure in theirs.figures:
                    said = metrics.paired(
                        mine.seeds[:seeds], theirs.seeds[:seeds], measure, draws=draws
                    )
                    tests.append(
                        Pair(
                            first=one.name,
                            second=other.name,
                            measure=measure,
                            seeds=seeds,
                            difference=said.difference,
                            low=said.low,
                            high=said.high,
                            p=said.p,
                            corrected=said.p,
                        )
                    )
    corrected = metrics.holm({str(at): one.p for at, one in enumerate(tests)})
    return replace(
        group,
        tests=tuple(replace(one, corrected=corrected[str(at)]) for at, one in enumerate(tests)),
        apart=tuple(_apart(group, [[one.name for one, _ in same] for same in comparable.values()])),
    )


def _apart(group: Group, sets: Sequence[Sequence[str]]) -> list[str]:
    """Sentences on what is not comparable with what."""
    said = [
        f"{one.name} reports nothing: its test part is for `evaluate`, and what selection saw is "
        "no result."
        for one in group.runs
        if one.honest is None
    ]
    if len(sets) > 1:
        turns = "; ".join(", ".join(names) for names in sets)
        said.append(
            f"Not of the same turns, so not comparable, and left out of the tests: {turns} (a "
            "semicolon parts them)."
        )
    return said


def _names(places: Sequence[Path]) -> list[str]:
    """The folders' names, with as many folders above as tell them apart."""
    whole = [one.resolve().parts for one in places]
    for count in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-count:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    raise UserError("The same run is named twice; name each run once.")


def _run(place: Path, name: str) -> Run:
    if place.is_file():
        lines = predictions.read(place)
        if not lines:
            raise UserError(f"{place} holds no prediction")
        said = _said([lines], str(place))
        return Run(name=name, honest=said, **_kind(lines))
    if not place.exists():
        raise UserError(f"{place} does not exist")
    if not (place / "plan.toml").is_file():
        raise UserError(
            f"{place} is no run (there is no plan.toml in it); name a folder that `fit` wrote, or "
            "a file of predictions"
        )
    plan = runs.read(place / "plan.toml")
    facts = _facts(place)
    wanted = [f"{fold}-seed{seed}" for fold in facts["folds"] for seed in facts["seeds"]]
    parts = {one: place / "parts" / one for one in wanted}
    reported = [fold for fold, one in facts["folds"].items() if one.get("report")]
    lacking = [one for one, folder in parts.items() if not (folder / "part.json").is_file()]
    lacking += [
        f"{fold}-seed{seed}/predictions.jsonl"
        for fold in reported
        for seed in facts["seeds"]
        if not (parts[f"{fold}-seed{seed}"] / "predictions.jsonl").is_file()
        and f"{fold}-seed{seed}" not in lacking
    ]
    if lacking:
        raise UserError(f"{place} is unfinished: {', '.join(lacking)} missing; {_go_on(place)}")
    return Run(
        name=name,
        labels=str(facts.get("labels") or ""),
        dimensions=tuple(facts.get("dimensions") or ()),
        facts=facts,
        plan=plan,
        parts=tuple(_part(folder) for folder in parts.values()),
        honest=_pooled(place, "predictions.jsonl", reported, facts["seeds"]),
        published=_pooled(place, "published.jsonl", reported, facts["seeds"]),
    )


def _kind(lines: Sequence[Line]) -> dict[str, Any]:
    """The label set and the dimensions of loose predictions."""
    return {
        "labels": next((one.labels for one in lines if one.labels), ""),
        "dimensions": tuple(dict.fromkeys(axis for one in lines for axis in one.wanted)),
    }


def _facts(place: Path) -> dict[str, Any]:
    file = place / "run.json"
    if not file.is_file():
        done = sorted(one.parent.name for one in place.glob("parts/*/part.json"))
        begun = sorted(one.name for one in place.glob("parts/*") if one.name not in done)
        raise UserError(
            f"{place} is unfinished: run.json is missing, done are {', '.join(done) or 'no parts'}"
            f"{', begun ' + ', '.join(begun) if begun else ''}; {_go_on(place)}"
        )
    facts = runs.facts(file)
    if not isinstance(facts.get("folds"), dict) or not isinstance(facts.get("seeds"), list):
        raise UserError(f"{file} names no folds and seeds; was it written by `fit`?")
    return facts


def _go_on(place: Path) -> str:
    call = shlex.join(["fit", str(place / "plan.toml"), "--out", str(place), "--resume"])
    return f"go on with `python -m trainer {call}`"


def _part(folder: Path) -> Part:
    told = runs.facts(folder / "part.json")
    file = folder / "history.jsonl"
    try:
        texts = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        history = tuple(json.loads(text) for text in texts if text.strip())
    except ValueError as exc:
        raise UserError(f"{file} is not JSON lines; was it cut off?") from exc
    return Part(
        name=folder.name,
        measure=str(told.get("measure", "")),
        history=history,
        stages=told.get("stages") or {},
    )


def _pooled(place: Path, file: str, folds: Sequence[str], seeds: Sequence[int]) -> Said | None:
    """All folds of each seed; nothing where the run has none of them."""
    whole = []
    for seed in seeds:
        files = [place / "parts" / f"{fold}-seed{seed}" / file for fold in folds]
        if files and all(one.is_file() for one in files):
            whole.append([line for one in files for line in predictions.read(one)])
    return _said(whole, f"{file} of {place}") if whole else None


def _said(seeds: list[list[Line]], whose: str) -> Said:
    """Figures of predictions of some seeds."""
    reports = [metrics.report(lines) for lines in seeds]
    figures = {}
    for measure in SHOWN:
        each = [one["measures"].get(measure) for one in reports]
        known = [float(one) for one in each if one is not None]
        if len(known) == len(each) and np.isfinite(known).all():
            low, high = metrics.interval(seeds, measure)
            figures[measure] = Figure(
                mean=float(np.mean(known)),
                sd=float(np.std(known, ddof=1)) if len(known) > 1 else None,
                each=tuple(known),
                low=low,
                high=high,
            )
    if not figures:
        raise UserError(f"Nobody labelled a turn of {whose}; predict a part that has labels")
    return Said(seeds=seeds, figures=figures, reports=reports)
