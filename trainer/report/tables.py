"""The tables of a comparison, as plain words; and the Markdown report that is made of them.

Names of runs are other people's words: they are escaped where they are written, never before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from erc_demo.emotions import label_set
from trainer.card import SELECTED, tidy
from trainer.metrics.described import NAMES

if TYPE_CHECKING:
    from trainer.compare import Figure, Group, Run, Said

TITLE = "Runs compared"
PUBLISHED = "as published"
FILE = "predictions in a file"
LEVEL = 0.05
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of words under a head; ``numbers`` are the columns that hold numbers."""

    title: str
    read: str  # one sentence: how to read it
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: range = range(0)


def title(group: Group) -> str:
    """What a group's runs say."""
    said = [label_set(group.labels).title] if group.labels else []
    return "; ".join([*said, ", ".join(group.dimensions)] if group.dimensions else said)


def tables(group: Group) -> Iterator[Table]:
    """All of a group, in the order of reading."""
    yield overview(group)
    if group.tests:
        yield significance(group)
    if group.labels and any(one.honest for one in group.runs):
        yield classes(group)
    if any(one.parts for one in group.runs):
        yield learned(group)


def overview(group: Group) -> Table:
    """A row a run; below it, where there is one, the figure as published."""
    measures = [
        one for one in NAMES if any(run.honest and one in run.honest.figures for run in group.runs)
    ]
    rows = []
    published = False
    for run in group.runs:
        facts = _facts(run)
        rows.append((run.name, facts[0], *_figures(run.honest, measures), *facts[1:]))
        if run.published is not None:
            published = True
            blank = ("",) * len(facts[1:])
            figures = _figures(run.published, measures)
            rows.append((f"{run.name}, {PUBLISHED}", facts[0], *figures, *blank))
    notes = [
        "± is the standard deviation over seeds; in brackets the 95 % interval of the mean, "
        "dialogues drawn anew."
    ]
    if published:
        notes.append(
            f"In rows “{PUBLISHED}” {SELECTED}; the row above each shows the same run selected "
            "on other dialogues, which is the figure to believe."
        )
    notes += group.apart
    return Table(
        title="Results",
        read="Each row is one run; NLL is better low, all others are better high.",
        head=(
            *("run", "system"),
            *(NAMES[one] for one in measures),
            *("seeds", "turns", "parameters", "protocol", "reads", "data"),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
        numbers=range(2, len(measures) + 5),
    )


def significance(group: Group) -> Table:
    """A row a test."""
    rows = [
        (
            one.first,
            one.second,
            NAMES[one.measure],
            f"{one.difference:+.3f}",
            f"{one.low:+.3f} to {one.high:+.3f}",
            _p(one.p),
            _p(one.corrected),
            "yes" if one.corrected < LEVEL else "no",
        )
        for one in group.tests
    ]
    seeds = sorted({one.seeds for one in group.tests})
    notes = [
        "Dialogues, not turns, are swapped and drawn anew, in every seed at once (seeds of each "
        f"run: {_and(seeds)}). Holm's correction is over all rows of this table."
    ]
    return Table(
        title="Significance",
        read="Each row is the first run minus the second on the same turns; “yes” means that the "
        f"corrected p is below {LEVEL:g}.",
        head=(
            *("first", "second", "measure", "difference", "95 %", "p", "p, corrected"),
            "differ",
        ),
        rows=tuple(rows),
        notes=tuple(notes),
        numbers=range(3, 7),
    )


def classes(group: Group) -> Table:
    """F1 of each label, a row a label."""
    found = [one for one in group.runs if one.honest is not None]
    known = label_set(group.labels)
    rows = []
    for label in known.labels:
        cells = [f"{f1:.3f} ({turns})" for f1, turns in (per_class(one, label) for one in found)]
        rows.append((f"{known.look(label).glyph} {label}", *cells))
    return Table(
        title="F1 of each label",
        read="Each column is one run: the F1 of a label, mean over seeds, and in brackets how many "
        "turns have that label.",
        head=("label", *(one.name for one in found)),
        rows=tuple(rows),
        numbers=range(1, len(found) + 1),
    )


def learned(group: Group) -> Table:
    """Which epochs were chosen, and what selection thought of them: a row a stage of a run."""
    rows = []
    for run in group.runs:
        for stage in dict.fromkeys(name for part in run.parts for name in part.stages):
            these = [part.stages[stage] for part in run.parts if stage in part.stages]
            values = [float(one["select"]) for one in these]
            rows.append(
                (
                    run.name,
                    stage,
                    str(len(these)),
                    _span([int(one["epoch"]) for one in these]),
                    _span([int(one["epochs"]) for one in these]),
                    f"{np.mean(values):.3f}",
                    ", ".join(sorted({NAMES.get(one.measure, one.measure) for one in run.parts})),
                )
            )
    return Table(
        title="Epochs that were chosen",
        read="Each row is one stage of a run: the middle of its trainings' epochs (least to most), "
        "and what selection saw then, which flatters and is no result.",
        head=("run", "stage", "trainings", "chosen epoch", "of", "selection saw", "measure"),
        rows=tuple(rows),
        numbers=range(2, 6),
    )


def per_class(run: Run, label: str) -> tuple[float, int]:
    """F1 of a label, mean over seeds, and how many turns have it."""
    assert run.honest is not None
    each = [one["classes"][label] for one in run.honest.reports]
    return float(np.mean([one["f1"] for one in each])), int(each[0]["n"])


def markdown(groups: Sequence[Group]) -> str:
    """The whole report."""
    parts = [f"# {TITLE}", "The figures stand in report.html beside this file."]
    for group in groups:
        parts.append(f"## {escaped(title(group))}")
        for table in tables(group):
            head = [escaped(one) for one in table.head]
            rules = ["---:" if at in table.numbers else "---" for at in range(len(head))]
            lines = [head, rules, *([escaped(one) for one in row] for row in table.rows)]
            parts += [f"### {table.title}", table.read]
            parts.append("\n".join(f"| {' | '.join(one)} |" for one in lines))
            parts += [escaped(one) for one in table.notes]
        if noted := [f"- {escaped(one)}" for one in remarks(group)]:
            parts += ["### What the runs noted", "\n".join(noted)]
    return "\n\n".join(parts) + "\n"


def remarks(group: Group) -> list[str]:
    """What the runs themselves noted, with the names of those that did."""
    found: dict[str, list[str]] = {}
    for run in group.runs:
        for remark in run.facts.get("remarks") or ():
            found.setdefault(str(tidy(remark)), []).append(run.name)
    return [f"{', '.join(names)}: {remark}" for remark, names in found.items()]


def escaped(text: str) -> str:
    r"""Words as Markdown shows them: one line, nothing of it a mark.

    >>> print(escaped("a_b|c"))
    a\_b\|c
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _facts(run: Run) -> tuple[str, ...]:
    """System, seeds, turns, parameters, protocol, what it reads, data."""
    turns = str(run.honest.judged) if run.honest else "–"
    if not run.facts:
        return FILE, str(len(run.honest.seeds) if run.honest else 0), turns, *("–",) * 4
    design: Mapping[str, Any] = run.facts.get("design") or {}
    data = run.facts.get("data") or {}
    inputs = (design.get("inputs") or {}).items()
    rival = run.plan.get("ablation") or ""
    numbers = run.facts.get("parameters")
    return (
        f"{design.get('system', '?')}{f' ({rival})' if rival else ''}",
        str(len(run.facts["seeds"])),
        turns,
        f"{numbers:,}" if isinstance(numbers, int) else "?",
        str(run.plan.get("protocol", "official")),
        str(tidy("; ".join(f"{name}: {' + '.join(these)}" for name, these in inputs))) or "?",
        f"{tidy(data.get('reference', '?'))} ({str(data.get('sha256', ''))[:8]})",
    )


def _figures(said: Said | None, measures: Sequence[str]) -> list[str]:
    return [worded(said.figures.get(one) if said else None) for one in measures]


def worded(figure: Figure | None) -> str:
    """Mean, spread and interval."""
    if figure is None:
        return "–"
    spread = f" ± {figure.sd:.3f}" if figure.sd is not None else ""
    ends = f" [{figure.low:.3f}, {figure.high:.3f}]" if np.isfinite(figure.low) else ""
    return f"{figure.mean:.3f}{spread}{ends}"


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{np.median(numbers):g} ({low} to {high})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _and(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers))
