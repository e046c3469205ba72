"""Tuning: Optuna tries values of a plan's options and of its system's settings.

    tune(plan, space(["rate=1e-4..1e-2:log", "batch=8,16,32"]), Path("tuned"), settings, trials=40)

A trial is a run of the plan (``fit``), and its worth the measure of selection, a mean over the
plan's folds and seeds. The reported parts stay closed, so that what is tuned here may be reported
later; what would change the turns that trials are compared on can't be tuned. The first trial is
the plan itself; then a tree-structured Parzen estimator draws (Bergstra et al. 2011). After every
epoch a trial is given up whose mean so far is below the median of the others at that point.

The study is a journal, ``study.journal``. A trial's folder is named after its plan, so that after a
kill the trial that was going on is taken up where it was left, and a plan that is drawn twice is
not trained twice. Weights of trials are not kept: ``best.toml`` is a plan, and ``fit`` takes it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from erc_demo import plugs
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import runs
from trainer.protocol import published
from trainer.runs import Plan
from trainer.space import Space

if TYPE_CHECKING:
    from optuna import Study, Trial

JOURNAL, TABLE, BEST, IMPORTANCE = "study.journal", "trials.csv", "best.toml", "importance.csv"
NAME = "tune"
DONE = "run.json"  # what `fit` writes at the end of a run
FAILED = 3  # trials that fail before any succeeds, and nobody waits for more
WARM = 5  # epochs of a part, and whole trials, before any is given up
PART_STEPS = 100_000  # more than a part has epochs

Fit = Callable[..., Path]
Tell = Callable[[str], None]


def tune(
    plan: Plan,
    space: Space,
    out: Path,
    settings: Settings,
    *,
    trials: int,
    resume: bool = False,
    fit: Fit | None = None,
    tell: Tell = lambda line: None,
) -> Path:
    """Search; gives the best plan's file. ``trials`` counts those of earlier calls, too."""
    optuna = _optuna()
    trying = plan.but(protocol=published(plan.protocol)[0], refit=False, log="none")
    for key, spread in space.items():  # so that a bad value is said before anything is trained
        for value in spread.tried:
            planned(trying, {key: value})
    study = _study(optuna, trying, space, out, resume)
    run = fit or _fit()
    while len(done := _done(study)) < trials:
        _refuse_hopeless(done)
        trial = study.ask()
        chosen = {name: spread.draw(trial, name) for name, spread in space.items()}
        one = planned(trying, chosen)
        folder = out / "trials" / hashlib.sha256(one.to_toml().encode()).hexdigest()[:12]
        value, state, why = None, optuna.trial.TrialState.COMPLETE, ""
        try:
            if not (folder / DONE).is_file():  # else it was drawn and trained before
                run(
                    one,
                    folder,
                    settings,
                    resume=folder.exists(),
                    tell=_pruned(optuna, trial, one.measure),
                    select_only=True,
                )
            value = worth(folder)
        except optuna.TrialPruned:
            state = optuna.trial.TrialState.PRUNED
        except UserError as exc:
            state, why = optuna.trial.TrialState.FAIL, str(exc)
            trial.set_user_attr("why", why)
        trial.set_user_attr("folder", folder.name)
        study.tell(trial, value, state)
        _drop_weights(folder, whole=state != optuna.trial.TrialState.COMPLETE)
        _write(optuna, study, plan, out)
        tell(_line(study, trial.number, chosen, value, state.name.lower(), why))
    if not (out / BEST).is_file():
        _refuse_hopeless(_done(study), least=1)
    return out / BEST


def planned(plan: Plan, chosen: Mapping[str, Any]) -> Plan:
    """A plan with some options and settings changed, checked as a plan's file is."""
    given: dict[str, Any] = {one.name: getattr(plan, one.name) for one in fields(Plan)}
    options = {key: value for key, value in chosen.items() if key in given}
    own = {key: value for key, value in chosen.items() if key not in given}
    known = {one.name for one in fields(plugs.load("erc_demo.systems", plan.system).Config)}
    if odd := sorted(own.keys() - known):
        raise UserError(
            f"--space has {', '.join(odd)}, which is no option of a plan or a setting of "
            f"{plan.system} ({', '.join(sorted(known))})."
        )
    settings = {**plan.settings, **own}
    return Plan.of({**given, **options, "settings": settings}, "the space")


def worth(folder: Path) -> float:
    """What selection thought of a run: the mean of its folds and seeds."""
    values = [
        list(json.loads(file.read_text(encoding="utf-8"))["stages"].values())[-1]["select"]
        for file in sorted(folder.glob("parts/*/part.json"))
    ]
    if not values:
        raise UserError(f"{folder} holds no part that was trained to its end.")
    return float(np.mean(values))


def _fit() -> Fit:
    from trainer.fit import fit

    return fit


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as exc:
        raise UserError(
            "Tuning needs optuna, which is not installed; pip install 'erc_demo[train]'."
        ) from exc
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(optuna: Any, plan: Plan, space: Space, out: Path, resume: bool) -> Study:
    """The study of a folder, new or taken up; a trial that was killed is queued again."""
    journal = out / JOURNAL
    told = plan.to_toml() + json.dumps({key: repr(vars(one)) for key, one in space.items()})
    if journal.is_file() != resume:
        raise UserError(
            f"{out} holds a study already; go on with it by --resume, or name another --out."
            if journal.is_file()
            else f"{out} holds no study to go on with; leave out --resume."
        )
    out.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    storage = optuna.storages.JournalStorage(backend)
    known = {one.study_name for one in storage.get_all_studies()}  # none if killed at birth
    before = 0
    if NAME in known:
        before = len(optuna.load_study(study_name=NAME, storage=storage).trials)
    study: Study = optuna.create_study(
        study_name=NAME,
        storage=storage,
        load_if_exists=True,
        direction="minimize" if plan.measure in runs.LOWER else "maximize",
        # another beginning, so that a study that goes on does not draw its first values again
        sampler=optuna.samplers.TPESampler(seed=plan.seed + before),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM, n_warmup_steps=WARM),
    )
    if study.user_attrs.setdefault("plan", told) != told:
        raise UserError(
            f"{out} was begun with another plan or space; call it as before, or name another --out."
        )
    if not before:
        study.set_user_attr("plan", told)
        own = {**{one.name: one.default for one in _config(plan)}, **plan.settings}
        own |= {one.name: getattr(plan, one.name) for one in fields(Plan)}
        study.enqueue_trial({key: own[key] for key, one in space.items() if one.holds(own[key])})
    for killed in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(killed.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(killed.params)
    return study


def _config(plan: Plan) -> Sequence[Any]:
    return fields(plugs.load("erc_demo.systems", plan.system).Config)


def _done(study: Study) -> list[Any]:
    """Trials that came to an end of their own: finished, given up, or refused with a sentence."""
    return [
        one
        for one in study.trials
        if one.state.name in ("COMPLETE", "PRUNED") or "why" in one.user_attrs
    ]


def _refuse_hopeless(done: Sequence[Any], least: int = FAILED) -> None:
    if len(done) >= least and all("why" in one.user_attrs for one in done):
        raise UserError(f"No trial could be run: {done[-1].user_attrs['why']}")


def _pruned(optuna: Any, trial: Trial, measure: str) -> Callable[[dict[str, Any]], None]:
    """What ``fit`` tells after an epoch; the mean over the parts so far is what counts."""
    best: dict[str, float] = {}
    epochs: dict[str, int] = {}
    better = min if measure in runs.LOWER else max

    def hear(event: dict[str, Any]) -> None:
        if measure not in event.get("select", ()):
            return
        part, value = event["part"], float(event["select"][measure])
        best[part] = better(best.get(part, value), value)
        epochs[part] = epochs.get(part, 0) + 1
        step = (len(best) - 1) * PART_STEPS + epochs[part]
        trial.report(float(np.mean(list(best.values()))), step)
        if trial.should_prune():
            raise optuna.TrialPruned

    return hear


def _drop_weights(folder: Path, *, whole: bool) -> None:
    """The numbers of a trial stay; of one that did not finish, nothing."""
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
    for place in (folder / "checkpoint", *folder.glob("parts/*/checkpoint")):
        shutil.rmtree(place, ignore_errors=True)


def _write(optuna: Any, study: Study, plan: Plan, out: Path) -> None:
    """The table, the best plan, and what each option mattered."""
    names = sorted({name for one in study.trials for name in one.params})
    rows = [["trial", "state", plan.measure, "seconds", "folder", *names, "why"]]
    for one in _done(study):
        seconds = f"{one.duration.total_seconds():.1f}" if one.duration else ""
        value = "" if one.value is None or one.state.name != "COMPLETE" else repr(one.value)
        folder, why = (one.user_attrs.get(key, "") for key in ("folder", "why"))
        told = [str(one.params.get(name, "")) for name in names]
        rows.append([str(one.number), one.state.name.lower(), value, seconds, folder, *told, why])
    runs.write(out / TABLE, _csv(rows))
    finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if finished:
        runs.write(out / BEST, planned(plan, study.best_params).to_toml())
    if len(finished) > len(names) and len({one.value for one in finished}) > 1:
        shares = optuna.importance.get_param_importances(study)
        runs.write(
            out / IMPORTANCE,
            _csv([["option", "importance"], *([key, f"{one:.4f}"] for key, one in shares.items())]),
        )


def _csv(rows: Sequence[Sequence[str]]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(rows)
    return made.getvalue()


def _line(
    study: Study, number: int, chosen: Mapping[str, Any], value: float | None, state: str, why: str
) -> str:
    said = ", ".join(
        f"{key} {one:.4g}" if isinstance(one, float) else f"{key} {one}"
        for key, one in chosen.items()
    )
    worth = f"{value:.4f}" if value is not None else {"pruned": "given up"}.get(state, state)
    best = f" (best {study.best_value:.4f})" if value is not None else ""
    return f"trial {number}: {worth}{best} with {said}" + (f": {why}" if why else "")
