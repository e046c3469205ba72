"""Fitting: a plan becomes a run, a training for each fold and seed.

    fit(plan, Path("runs/one"), settings)

A run is taken up where it was left by ``resume``: parts that are done have a ``part.json``, the
one that was being trained a ``state.pt`` (``training``). Several processes, of one machine or many,
make the same run together; ``accelerate launch -m trainer fit …`` or ``torchrun`` starts them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from erc_demo import checkpoint, systems
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import (
    adapter,
    encoder,
    inputs,
    metrics,
    predictions,
    processes,
    protocol,
    record,
    runs,
)
from trainer.datasets import Corpus, open_corpus
from trainer.inputs import Example
from trainer.predictions import Line
from trainer.protocol import Fold
from trainer.runs import LOWER, MEASURES, Plan
from trainer.training import CHECKPOINT, HISTORY, PART, Ready, Told, Training, done

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def fit(
    plan: Plan,
    out: Path,
    settings: Settings,
    *,
    resume: bool = False,
    tell: Told | None = None,
    select_only: bool = False,
) -> Path:
    """Run a plan; the run's folder. ``tell`` gets what happened, an object at a time.

    ``select_only``: the reported parts stay closed.
    """
    accelerator = processes.accelerator(plan, settings)
    processes.agreed(accelerator, lambda: _refuse_taken(plan, out, resume))
    say = tell if tell is not None and accelerator.is_main_process else _silent
    corpus = open_corpus(plan.data, plan.ask)
    folds = protocol.folds(corpus, plan.protocol, plan.select_from)
    remarks = [*corpus.remarks, *(text for fold in folds for text in fold.remarks)]
    ready, more = _ready(plan, corpus, folds, settings, accelerator, say)
    remarks += more
    for remark in remarks:
        say({"remark": remark})
    with ExitStack() as held:
        processes.agreed(accelerator, lambda: held.enter_context(_begun(plan, out)))
        for fold in folds:
            for seed in plan.seeds:
                folder = _folder(out, fold.name, seed)
                if not processes.agreed(accelerator, partial(done, ready, fold, folder)):
                    Training(ready, fold, seed, folder, select_only=select_only).run()
        processes.agreed(accelerator, lambda: _finish(ready, out, folds, remarks))
    return out


def _silent(_: dict[str, Any]) -> None:
    return


def _folder(out: Path, fold: str, seed: int) -> Path:
    return out / "parts" / f"{fold}-seed{seed}"


def _refuse_taken(plan: Plan, out: Path, resume: bool) -> None:
    file = out / "plan.toml"
    if file.is_file():
        if not resume:
            raise UserError(
                f"{out} holds a run already; go on with it by --resume, or name another --out."
            )
        if file.read_text(encoding="utf-8") != plan.to_toml():
            raise UserError(
                f"{out} was begun with another plan; go on with it by "
                f"`fit {file} --out {out} --resume`, or name another --out."
            )
        return
    if out.exists() and not (out.is_dir() and all(one.suffix == ".part" for one in out.iterdir())):
        raise UserError(f"{out} is there and holds no run; name another --out.")


@contextmanager
def _begun(plan: Plan, out: Path) -> Iterator[None]:
    """Write the plan, once nothing refuses it; no other call may train in the folder meanwhile.

    The lock is on the folder itself and goes with the process, however that ends.
    """
    runs.write(out / "plan.toml", plan.to_toml())
    if fcntl is None:
        yield
        return
    held = os.open(out, os.O_RDONLY)
    try:
        with suppress(OSError):  # of a disk that knows no locks
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"Another call is training in {out} now; wait for its end, or name another "
                    "--out."
                ) from None
        yield
    finally:
        os.close(held)


def _ready(
    plan: Plan,
    corpus: Corpus,
    folds: Sequence[Fold],
    settings: Settings,
    accelerator: Accelerator,
    say: Told,
) -> tuple[Ready, list[str]]:
    design = inputs.design_of(plan, settings)
    needed = {name for fold in folds for name in (*fold.train, *fold.select, *fold.report)}
    with accelerator.main_process_first():  # so that the others find the cache filled
        found = inputs.examples(
            corpus.of(sorted(needed)), design, settings, lambda text: say({"remark": text})
        )
    found, design, remarks = inputs.without_absent(found, design)
    judged = {name for fold in folds for name in (*fold.select, *fold.report)}
    remarks += encoder.remarks(design.features, sorted(judged))
    made = systems.build(design)  # what can't be made is said before anything is trained
    adapter.limit(made, plan.tune, plan.adapter_rank, seed=0)
    _refuse_odd(plan, folds, found, chained=bool(made.chains))
    first = None
    if plan.init:
        first = checkpoint.load(record.checkpoint_of(plan.init), settings)
        remarks += [record.begin_with(systems.build(design), first)]
        remarks += record.seen_before(first, sorted(judged))
    ready = Ready(
        plan=plan,
        corpus=corpus,
        design=design,
        versions=checkpoint.versions(design, settings),
        examples={one.name: one for one in found},
        settings=settings,
        accelerator=accelerator,
        say=say,
        first=first,
    )
    return ready, remarks


def _refuse_odd(
    plan: Plan, folds: Sequence[Fold], found: Sequence[Example], *, chained: bool
) -> None:
    """What would be trained as asked, and would not be what was meant."""
    soft = [key for key, these in (("votes", "label"), ("class_weights", "none"), ("smoothing", 0))
            if getattr(plan, key) != these]  # fmt: skip
    if soft and chained:
        raise UserError(
            f"{' and '.join(soft)} can't weigh a chain (decode = crf), which learns from one label "
            "a turn; leave one of them away."
        )
    wanted, kind = (
        (plan.dimensions, "dimensions") if plan.measure == "ccc" else (plan.labels, "labels")
    )
    if not wanted:
        raise UserError(
            f"Selection looks at {plan.measure}, and the plan names no {kind}; name some with "
            f"--{kind}, or another measure with --set measure=…."
        )
    if plan.votes == "soft" and not any(one.labelled.votes for one in found):
        raise UserError(
            "votes is soft, and this corpus does not tell what each rater said; leave it at label."
        )
    if plan.as_published and plan.refit:
        raise UserError("refit trains on what selection saw, so it has no as-published figure.")
    if plan.as_published and not any(fold.report for fold in folds):
        raise UserError(
            f"{plan.protocol} would look at the reported part, and this protocol reports none "
            "itself; report the validation part with --select-from train:N."
        )


def _finish(ready: Ready, out: Path, folds: Sequence[Fold], remarks: list[str]) -> None:
    """What the run was, and what its predictions come to."""
    files = [_folder(out, fold.name, seed) / HISTORY for fold in folds for seed in ready.plan.seeds]
    events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    facts = {
        "remarks": remarks,
        "began": _time((out / "plan.toml").stat().st_mtime),
        "seconds": round(sum(one["seconds"] for one in events), 1),  # of epochs, whenever
    }
    runs.write(out / "run.json", _json(record.run(ready, folds) | facts))
    honest = _measured(ready.plan, out, "predictions.jsonl", folds)
    if honest:
        published = _measured(ready.plan, out, "published.jsonl", folds)
        made = {**honest, "reported": ", ".join(fold.name for fold in folds if fold.report)}
        if published:
            made["published"] = published["measures"]
        runs.write(out / "metrics.json", _json(made))
    if len(folds) == 1:
        _keep_best(ready.plan, out, folds[0].name)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _keep_best(plan: Plan, out: Path, fold: str) -> None:
    """The checkpoint of the seed that selection liked best."""
    parts = []
    for folder in (_folder(out, fold, seed) for seed in plan.seeds):
        told = json.loads((folder / PART).read_text(encoding="utf-8"))
        parts.append((list(told["stages"].values())[-1]["select"], folder))
    pick = min if plan.measure in LOWER else max
    _, best = pick(parts, key=lambda one: one[0])
    target, aside = out / CHECKPOINT, out / f".{CHECKPOINT}.part"
    for old in (target, aside):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(best / CHECKPOINT, aside)
    aside.rename(target)


def pooled(plan: Plan, out: Path, name: str, folds: Sequence[str]) -> list[list[Line]]:
    """The predictions of each seed, all folds together; none where a file is missing."""
    found = []
    for seed in plan.seeds:
        files = [_folder(out, fold, seed) / name for fold in folds]
        if all(file.is_file() for file in files):
            found.append([line for file in files for line in predictions.read(file)])
    return found


def _measured(plan: Plan, out: Path, name: str, folds: Sequence[Fold]) -> dict[str, Any]:
    """Mean, spread and interval of every measure; empty where nothing labelled was reported."""
    seeds = pooled(plan, out, name, [fold.name for fold in folds if fold.report])
    labels = [sum(_counts(line) for line in lines) for lines in seeds]
    if not any(labels):
        return {}
    found = [metrics.reports.measures(metrics.reading.answers(lines)) for lines in seeds]
    measures = {}
    for one in MEASURES:
        each = [value for value in (these[one] for these in found) if value is not None]
        if len(each) < len(seeds):
            continue
        low, high = metrics.interval(seeds, one)
        measures[one] = {
            "mean": float(np.mean(each)),
            "sd": float(np.std(each, ddof=1)) if len(each) > 1 else None,
            "each": each,
            "low": None if np.isnan(low) else low,  # of one dialogue nothing can be drawn anew
            "high": None if np.isnan(high) else high,
        }
    return {"measures": measures, "n": labels[0]}


def _counts(line: Line) -> bool:
    return line.label is not None or any(one is not None for one in line.wanted.values())


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
