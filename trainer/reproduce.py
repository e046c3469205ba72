"""A published table made again: each of its rows a run, and their numbers beside the paper's.

    table = reproduce(find("late_fusion", 2), {"data": "iemocap:PATH"}, Path("runs/late"), settings)

OUT/rows/NAME/           the run of a row, which the paper's other tables share
OUT/table2.md, .json     the table, written anew after each row

Numbers of ours are means over the seeds, with the interval of 95 % of dialogues drawn anew where
``trainer.metrics`` has one. The official split reports nothing by itself: its test part is opened
here by ``evaluate``, for each seed once, after everything was chosen. What a row lacks is said in
its line, and the other rows go on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import predictions, protocol, runs
from trainer.datasets import open_corpus
from trainer.predictions import Line
from trainer.recipes import Recipe, Row
from trainer.recipes._table import Found, Made, Table
from trainer.runs import MEASURES, Plan

TEST = "test.jsonl"  # in a part's folder: predictions of the test part
UNSAID = (
    "system",
    "design",
    "data",
    "reads",
    "settings",
    "seed",
    "log",
    "precision",
    "split_column",
)
Fit = Callable[..., Path]
Evaluate = Callable[..., Iterator[str]]
Tell = Callable[[dict[str, Any]], None]


def reproduce(
    recipe: Recipe,
    given: Mapping[str, Any],
    out: Path,
    settings: Settings,
    *,
    rows: Sequence[str] = (),
    corpus: str = "",
    resume: bool = False,
    fit: Fit | None = None,
    evaluate: Evaluate | None = None,
    tell: Tell | None = None,
) -> Table:
    """Run the rows of a table (all, or those named), and write it; ``given`` is over the recipe.

    Of a table of several corpora the rows of one are run: of ``corpus``, or of that which the kind
    of the data names, or of the recipe's first.
    """
    if fit is None:
        from trainer.fit import fit as fit_plan

        fit = fit_plan
    if evaluate is None:
        from trainer.evaluate import evaluate as open_part

        evaluate = open_part
    kind = str(given.get("data", "")).partition(":")[0]
    corpus = corpus or (kind if kind in recipe.corpora else recipe.corpora[0])
    made = tuple(Made(row=row) for row in recipe.rows)
    asked = _chosen(recipe, made, rows, corpus)
    for one in made:
        plan, folder = recipe.plan_of(one.row, given), _folder(out, one.row)
        if one in asked or (resume and one.row.corpus == corpus and _done(folder, plan)):
            one.plan, one.why_not = plan, "not begun."
        if one in asked and not resume and folder.exists():
            raise UserError(
                f"{folder} holds a run already; go on with it by --resume, or name another --out."
            )
    table = Table(recipe=recipe, corpus=corpus, data=str(given.get("data", "")), rows=made)
    for one in made:
        if one.plan is None:
            continue
        if tell is not None:
            tell({"row": one.row.name, "folder": str(_folder(out, one.row))})
        try:
            folder = _run(one.plan, _folder(out, one.row), settings, fit, evaluate, tell)
            _measure(one, one.plan, folder, recipe)
            one.why_not = ""
        except UserError as exc:
            one.why_not = str(exc)
        name = f"table{recipe.table}"
        runs.write(out / f"{name}.md", table.to_markdown())
        runs.write(out / f"{name}.json", table.text())
    return table


def _chosen(recipe: Recipe, made: Sequence[Made], rows: Sequence[str], corpus: str) -> list[Made]:
    """The rows of a corpus, or those of them that were named, by name or by run."""
    if corpus not in recipe.corpora:
        raise UserError(
            f"{recipe} has no row on '{corpus}'; name one of {', '.join(recipe.corpora)}."
        )
    there = [one for one in made if one.row.corpus == corpus]
    known = {name for one in there for name in (one.row.name, one.row.run)}
    if odd := [name for name in rows if name not in known]:
        raise UserError(
            f"{recipe} has no row '{odd[0]}' on {corpus}; name some of "
            f"{', '.join(one.row.run for one in there)}."
        )
    return [one for one in there if not rows or {one.row.name, one.row.run} & set(rows)]


def _folder(out: Path, row: Row) -> Path:
    return out / "rows" / re.sub(r"[^\w+.-]+", "-", row.run)


# ---- one row


def _run(
    plan: Plan,
    folder: Path,
    settings: Settings,
    fit: Fit,
    evaluate: Evaluate,
    tell: Tell | None,
) -> Path:
    """The row's run, made or found; with the predictions of the part that is reported."""
    if protocol.published(plan.protocol)[0] == "official":
        _refuse_unreported(plan)
    if not _done(folder, plan):
        try:
            fit(plan, folder, settings, resume=folder.exists(), tell=tell)
        except UserError as exc:
            _forget(folder)
            if plan.design == "embedded":
                raise
            other = "--design embedded reads what the checkpoints here read"
            raise UserError(f"{exc} (This is the design as published; {other}.)") from exc
    if not _reported(_facts(folder)):
        for part in sorted((folder / "parts").iterdir()):
            if not (part / TEST).is_file():
                checkpoint = str(part / "checkpoint")
                asked = (checkpoint, plan.data, plan.ask, settings)
                for text in evaluate(*asked, split="test", out=part / TEST):
                    if tell is not None and text.startswith("note: "):
                        tell({"remark": text.removeprefix("note: ")})
    return folder


def _refuse_unreported(plan: Plan) -> None:
    """Nothing reported and no test part to open: said before hours of training, not after."""
    ask = plan.ask
    corpus = open_corpus(plan.data, ask)
    first = ask.labels[0] if ask.labels else ""
    test = any(one.split == "test" and one.labelled(first) for one in corpus.dialogues)
    if not test and not protocol.folds(corpus, plan.protocol, plan.select_from)[0].report:
        raise UserError(
            f"{plan.data} has no test part with labels to report; name its column with "
            "--split-column, report its validation part with --select-from train:N, or use "
            "--protocol loso."
        )


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return facts


def _reported(facts: Mapping[str, Any]) -> list[str]:
    """The folds that report a part by themselves; none: the test part is what is reported."""
    return [name for name, fold in facts["folds"].items() if fold["report"]]


def _done(folder: Path, plan: Plan) -> bool:
    """Whether this very plan was run to its end there."""
    file = folder / "plan.toml"
    told = (folder / "run.json").is_file() and file.is_file()
    return told and file.read_text(encoding="utf-8") == plan.to_toml()


def _forget(folder: Path) -> None:
    """A run that was refused before it began leaves nothing that the next one would stumble on."""
    if [one.name for one in folder.glob("*")] == ["plan.toml"]:
        (folder / "plan.toml").unlink()
        folder.rmdir()


# ---- its numbers


def _measure(one: Made, plan: Plan, folder: Path, recipe: Recipe) -> None:
    facts = _facts(folder)
    folds = _reported(facts)
    honest = _pooled(plan, folder, "predictions.jsonl", folds) or _pooled(
        plan, folder, TEST, list(facts["folds"])
    )
    if not honest:
        raise UserError(f"{folder} holds no predictions of a part that its protocol reports.")
    columns = {head: recipe.columns[head] for head in one.row.published}
    one.ours = _numbers(honest, columns)
    one.reported = ", ".join(folds) or "the test part"
    if folds == ["official"]:
        one.reported = "the validation part"
    one.turns, one.seeds = sum(_counts(line) for line in honest[0]), len(honest)
    if plan.as_published:
        looked = _pooled(plan, folder, "published.jsonl", folds)
        one.as_published = _numbers(looked, columns) if looked else {}
    one.differs = list(_departures(recipe, one.row, plan, facts))
    one.remarks = facts["remarks"]


def _pooled(plan: Plan, folder: Path, name: str, folds: Sequence[str]) -> list[list[Line]]:
    """The lines of each seed, all folds together; none where a file is missing."""
    files = [
        [folder / "parts" / f"{fold}-seed{seed}" / name for fold in folds] for seed in plan.seeds
    ]
    if not folds or not all(file.is_file() for these in files for file in these):
        return []
    return [[line for file in these for line in predictions.read(file)] for these in files]


def _counts(line: Line) -> bool:
    return line.label is not None or any(one is not None for one in line.wanted.values())


def _numbers(seeds: Sequence[Sequence[Line]], columns: Mapping[str, str]) -> dict[str, Found]:
    """Each column's mean over the seeds; none where a report has no such number."""
    from trainer import metrics

    reports = [metrics.report(lines) for lines in seeds]
    found = {}
    for head, path in columns.items():
        each = [value for one in reports if (value := _at(one, path)) is not None]
        if len(each) < len(reports):
            continue
        kind, _, measure = path.partition(".")
        ends: tuple[float | None, float | None] = (None, None)
        if kind == "measures" and measure in MEASURES:
            low, high = metrics.interval(seeds, measure)
            ends = (low, high) if math.isfinite(low) and math.isfinite(high) else ends
        found[head] = Found(
            mean=float(np.mean(each)),
            sd=float(np.std(each, ddof=1)) if len(each) > 1 else None,
            low=ends[0],
            high=ends[1],
        )
    return found


def _at(report: Any, path: str) -> float | None:
    """``analyses.contexts.both.ua`` of a report, None where it has none."""
    for key in path.split("."):
        report = report.get(key) if isinstance(report, Mapping) else None
    return None if report is None else float(report)


# ---- what differs, as far as plans and runs tell


def _departures(recipe: Recipe, row: Row, plan: Plan, facts: Mapping[str, Any]) -> Iterator[str]:
    paper = recipe.plan_of(row, {"data": plan.data})
    kind = plan.data.partition(":")[0]
    if kind != row.corpus:
        yield f"The data is {plan.data}, not the release of {row.corpus} itself."
    wanted = _inputs(paper)
    read = {name: tuple(these) for name, these in facts["design"]["inputs"].items()}
    if lacking := [name for name in wanted if name not in read and plan.design == "published"]:
        yield f"It is without {' and '.join(lacking)}, which this data can't give: not the paper's."
    if read != wanted:
        yield f"It reads {_listed(read)}; as published {_listed(wanted)}."
    module = _module(plan.system)
    embedded = module.EMBEDDED if plan.design == "embedded" else {}
    changed = _changes(paper.settings, {**embedded, **plan.settings}, module.Config)
    plain = [one.name for one in fields(Plan) if one.name not in UNSAID]
    changed += _changes(
        {name: getattr(paper, name) for name in plain},
        {name: getattr(plan, name) for name in plain},
        Plan,
    )
    if changed:
        yield f"Beside the recipe, {', '.join(changed)}."


def _changes(paper: Mapping[str, Any], here: Mapping[str, Any], kind: type) -> list[str]:
    """``runs is 3 instead of 20``, in the order of the options."""
    found = []
    for one in fields(kind):
        was, is_now = (these.get(one.name, one.default) for these in (paper, here))
        if was != is_now:
            shown = [f"'{value}'" if isinstance(value, str) else value for value in (is_now, was)]
            found.append(f"{one.name} is {shown[0]} instead of {shown[1]}")
    return found


def _inputs(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The inputs that a published plan names, without asking how wide they are."""
    from erc_demo import systems

    every = {**systems.inputs(plan.system), **plan.reads}
    needs = _module(plan.system).NEEDS
    design = systems.design(
        plan.system,
        widths=dict.fromkeys(needs, 3),  # as many as a token has columns
        labels=plan.ask.labels,
        dimensions=plan.ask.dimensions,
        ablation=plan.ablation or None,
        settings=plan.settings,
        reads=every,
    )
    return dict(design.inputs)


def _module(system: str) -> Any:
    from erc_demo import plugs

    return plugs.load("erc_demo.systems", system)


def _listed(inputs: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} = {' + '.join(these)}" for name, these in inputs.items())
