"""A record of a run: read from its folder, or from files of predictions and what they are of.

    record = of_runs([Path("runs/one")], "ats_sagru-iemocap4")
    record = of_predictions([Path("test.jsonl")], Path("facts.toml"), "iaan-ravdess")

Every number is computed anew from the predictions, each seed by itself with all folds together.
Several runs of one plan that differ by their seeds make one record: seeds add up. What a run
remarked of its corpus is left out, since it names turns; what it said of its split is kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.emotions import label_set
from erc_demo.errors import UserError, listed
from trainer import compare, metrics, predictions, runs
from trainer.card import tidy
from trainer.compare import Figure
from trainer.metrics import confidence, reading, reports
from trainer.metrics.analyses import recognised
from trainer.predictions import Line
from trainer.results import people
from trainer.results.counts import Counts, bundled
from trainer.results.record import COUNTED, Record
from trainer.runs import Plan

REPORTED = "predictions.jsonl"
MEASURES = (*COUNTED, "loss")
FACTS = {  # of files of predictions; data is KIND:NAME, reads a table of lists
    **dict.fromkeys(("system", "data", "protocol", "ablation", "learned", "heard", "plan"), str),
    **dict.fromkeys(("seeds", "commits", "remarks"), list),
    **{"reads": dict, "parameters": int},
}


def of_runs(
    places: Sequence[Path],
    name: str,
    *,
    said: str = REPORTED,
    heard: str | None = None,
    wer: Mapping[str, Any] | None = None,
) -> Record:
    """One run, or several that differ by their seeds.

    ``said`` is the file of each part that is recorded, ``heard`` the column of words that it was
    predicted from where that is not the plan's own.
    """
    found = compare.read(places)
    first = found[0]
    for one in found[1:]:
        _refuse_other(first, one)
    seeds = [seed for one in found for seed in one.facts.get("seeds", ())]
    if len(set(seeds)) < len(seeds):
        raise UserError(
            f"These runs have the same seeds ({listed([str(one) for one in seeds])}); name others."
        )
    if first.honest is None:
        raise UserError(
            f"{places[0]} reports nothing itself; record what `evaluate` wrote of it, with --facts."
        )
    plan, facts = first.plan, first.facts
    reported = [fold for fold, one in facts["folds"].items() if one["report"]]
    lines = {
        (seed, fold): predictions.read(place / "parts" / f"{fold}-seed{seed}" / said)
        for place, one in zip(places, found, strict=True)
        for seed in one.facts["seeds"]
        for fold in reported
    }
    order = sorted(seeds)
    ended = [int(each["epochs"]) for one in found for part in one.parts
             for each in part.stages.values()]  # fmt: skip
    most = int(plan.get("epochs", Plan().epochs))
    learned = str(plan.get("text_column", ""))
    design = facts.get("design") or {}
    made = measured(name, [[lines[seed, fold] for fold in reported] for seed in order], reported)
    return Record(
        **made,
        name=name,
        system=str(design.get("system") or plan.get("system", "")),
        ablation=str(plan.get("ablation", "")),
        data=_told(str(facts["data"]["reference"])),
        data_sha256=str(facts["data"]["sha256"]),
        protocol=str(plan.get("protocol", Plan().protocol)),
        select_from=str(plan.get("select_from", Plan().select_from)),
        folds={
            fold: {key: one[key] for key in ("sha256", "train", "select", "report") if key in one}
            for fold, one in facts["folds"].items()
        },
        seeds=tuple(order),
        reads={key: tuple(tidy(these)) for key, these in (design.get("inputs") or {}).items()},
        learned=learned,
        heard=learned if heard is None else heard,
        epochs={
            "most": most,
            "longest": max(ended, default=0),
            "capped": sum(one >= most for one in ended),
            "trainings": len(ended),
        },
        commits=tuple(dict.fromkeys(str(one.facts.get("commit", "")) for one in found)),
        parameters=facts.get("parameters"),
        plan=shown((places[0] / "plan.toml").read_text("utf-8"), str(plan.get("data", ""))),
        remarks=tuple(
            dict.fromkeys(
                text for one in facts["folds"].values() for text in one.get("remarks", ())
            )
        ),
        wer=dict(wer or {}),
    )


def _refuse_other(first: compare.Run, other: compare.Run) -> None:
    """Runs make one record where they are of one plan, data and split."""

    def said(run: compare.Run) -> tuple[Any, ...]:
        plan = {key: one for key, one in run.plan.items() if key not in ("seed", "runs")}
        folds = {name: one.get("sha256") for name, one in run.facts.get("folds", {}).items()}
        return plan, (run.facts.get("data") or {}).get("sha256"), folds

    for what, one, two in zip(("plan", "data", "split"), said(first), said(other), strict=True):
        if one != two:
            raise UserError(
                f"{first.name} and {other.name} differ in more than their seeds: in their {what}; "
                "record each by itself."
            )


def of_predictions(
    files: Sequence[Path], facts: Path, name: str, wer: Mapping[str, Any] | None = None
) -> Record:
    """Files that `evaluate` wrote, one a seed; ``facts`` (TOML) says what they are of (``FACTS``).

    ``system``, ``data`` and ``protocol`` are wanted, the others may be.
    """
    told = runs.read(facts)
    odd = [f"'{key}'" for key in told if key not in FACTS]
    odd += [
        f"{key} {told[key]!r} (a {kind.__name__} was wanted)"
        for key, kind in FACTS.items()
        if key in told and not isinstance(told[key], kind)
    ]
    lacking = [key for key in ("system", "data", "protocol") if key not in told]
    if odd or lacking:
        what = f"has {', '.join(odd)}" if odd else f"lacks {', '.join(lacking)}"
        raise UserError(f"{facts} {what}; the facts of predictions are {', '.join(FACTS)}.")
    seeds = tuple(told.get("seeds", range(len(files))))
    if len(seeds) != len(files):
        raise UserError(f"{facts} names {len(seeds)} seeds, and there are {len(files)} files.")
    given: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in tidy(told).items()
    }
    given |= measured(name, [[predictions.read(file)] for file in files], [])
    given |= {"name": name, "seeds": seeds, "data": _told(told["data"]), "wer": dict(wer or {})}
    return Record(**given)


def word_errors(places: Sequence[Path], texts: Sequence[str]) -> dict[str, Any]:
    """The recogniser's errors over the labelled turns of a run, or of a file of predictions.

    ``texts`` are a table (.csv) with utt_id, and its columns of given and of recognised words.
    """
    table, given, heard = texts
    files = sorted(places[0].glob(f"parts/*/{REPORTED}")) if places[0].is_dir() else [places[0]]
    lines = {one.utt_id: one for file in files for one in predictions.read(file)}
    return recognised.word_errors(
        list(lines.values()), recognised.read_texts(Path(table), given, heard)
    )


def measured(
    name: str, seeds: Sequence[Sequence[Sequence[Line]]], folds: Sequence[str]
) -> dict[str, Any]:
    """What the lines come to; ``seeds`` has a list of lines for each fold."""
    whole = [[line for lines in one for line in lines] for one in seeds]
    try:
        counts, drawn = Counts.of(whole), bundled(whole)
    except UserError as exc:
        raise UserError(f"{name} can't be recorded: {exc}.") from exc
    answers = [reading.answers(lines) for lines in whole]
    measures = [reports.measures(one) for one in answers]
    figures = {}
    for measure in MEASURES:
        known = [value for one in measures if (value := one[measure]) is not None]
        if len(known) == len(whole):
            figures[measure] = _figure(known, *metrics.interval(drawn, measure))
    tables = [confidence.calibration(one, equal="mass") for one in answers]
    if ece := [one["ece"] for one in tables if one is not None]:
        figures["ece"] = _figure(ece)
    labels = label_set(counts.labels).labels
    classes = [reports.classes(labels, one.sum(0)) for one in counts.counts]
    return {
        "counts": counts,
        "figures": figures,
        "unanswered": tuple(int(one[..., -1].sum()) for one in counts.counts),
        "classes": {
            label: {
                key: float(np.mean([one[label][key] for one in classes]))
                for key in ("precision", "recall", "f1")
            }
            | {"n": classes[0][label]["n"]}
            for label in labels
        },
        "by": people.groups(seeds, folds),
    }


def _figure(each: Sequence[float], low: float = math.nan, high: float = math.nan) -> Figure:
    return Figure(
        mean=float(np.mean(each)),
        sd=float(np.std(each, ddof=1)) if len(each) > 1 else None,
        each=tuple(float(one) for one in each),
        low=low,
        high=high,
    )


def _told(reference: str) -> str:
    """KIND:NAME of a corpus, as ``trainer.record.told``, without loading torch."""
    kind, _, path = reference.partition(":")
    return f"{kind}:{Path(path).name}"


def shown(plan: str, data: str) -> str:
    """The TOML of a plan without its seeds, and without whose folders it names."""
    lines = [line for line in plan.splitlines() if not re.match(r"(seed|runs) = ", line)]
    return str(tidy("\n".join(lines).replace(json.dumps(data), json.dumps(_told(data)))))
