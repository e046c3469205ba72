"""The results table, from records alone: what every system reaches, on which data, how surely.

    markdown(record.every())                 the table of the README
    parted(record.every(), "gender")         the same by gender, speaker or fold
    words(record.every())                    learned from and asked with given or recognised words

A number is the mean over the seeds ± their standard deviation; with fewer than three seeds their
count stands behind it. A cell without a run has – and a letter, and the letters are explained below
the table: what can't be had from the data that is here, and what has not been run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase

import numpy as np

from erc_demo.errors import UserError
from trainer.compare import Figure
from trainer.metrics.cells import SHOWN
from trainer.results import cells
from trainer.results.cells import GIVEN, KINDS, RECOGNISED, Row
from trainer.results.people import OTHERS
from trainer.results.record import Record

NONE = "–"
ENOUGH = 3  # seeds
NOT_RUN = "not run"
NO_RECOGNISED = "no recognised words of this corpus are at hand"
Records = Mapping[str, Record]


class Notes:
    """Reasons by their letters, in the order of their first use."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def mark(self, reason: str) -> str:
        """The letter of a reason."""
        return self.said.setdefault(reason, ascii_lowercase[len(self.said)])

    def lines(self) -> list[str]:
        """A line that explains all letters; none where there is none."""
        told = "; ".join(f"{letter}: {reason}" for reason, letter in self.said.items())
        return [f"{NONE} {told}."] if told else []


def markdown(found: Records) -> str:
    """A line a row and kind of words."""
    known = _known(found)
    figures, notes, body = cells.shown(), Notes(), []
    for row in _rows():
        for kind in _kinds(known, row):
            body.append(
                [
                    f"`{row.system}`",
                    row.reads,
                    kind if cells.WORDS in row.needs else "",
                    *(_cell(known, row, kind, one, notes) for one in figures),
                ]
            )
    head = ["system", "reads", "words", *(one.head for one in figures)]
    lines = [*grid(head, body), ""]
    lines.append(
        f"{cells.about()} Mean ± standard deviation over three seeds, or over as many as are "
        f"named. ECE has 15 bins of equal mass, folds together. {_capped(known)}".rstrip()
    )
    return "\n".join([*lines, "", *notes.lines()]) + "\n"


def parted(found: Records, kind: str) -> str:
    """By ``gender``, ``speaker`` or ``fold``: a table for each column, of its own measure."""
    known, parts = _known(found), []
    for column in cells.columns().values():
        runs = {
            name: one
            for name, one in known.items()
            if cells.find(name).column == column and kind in one.by
        }
        if not runs:
            continue
        measure = str(column.plan["measure"])
        groups = sorted({group for one in runs.values() for group in one.by[kind]})
        groups.sort(key=lambda group: group == OTHERS)
        body = [
            [name, *(_group(one.by[kind].get(group), measure) for group in groups)]
            for name, one in runs.items()
        ]
        sizes = {
            group: max(one.by[kind][group]["n"] for one in runs.values() if group in one.by[kind])
            for group in groups
        }
        head = ["run", *(f"{group} ({sizes[group]})" for group in groups)]
        parts += [f"{column.title}: {SHOWN[measure]} (labelled turns)", "", *grid(head, body), ""]
    if not parts:
        raise UserError(
            f"No record tells of {kind}; what was recorded names no people. Record runs that do."
        )
    return "\n".join(parts)


def words(found: Records) -> str:
    """The four cells LEARNED/HEARD of each row and column that has one of them, and the WER."""
    known, body = _known(found), []
    pairs = [(learned, heard) for learned in KINDS for heard in KINDS]
    for row in _rows():
        for column in cells.columns():
            four = [cells.cell(row, column, *pair) for pair in pairs]
            kept = [known.get(one.name) if one is not None else None for one in four]
            if sum(one is not None for one in kept) < 2:
                continue
            measure = str(cells.columns()[column].plan["measure"])
            rates = {one.wer["wer"] for one in kept if one is not None and one.wer}
            body.append(
                [
                    f"`{row.system}`",
                    row.reads,
                    f"{column}, {SHOWN[measure]}",
                    *(NONE if one is None else figure(one.figures[measure]) for one in kept),
                    ", ".join(f"{100 * rate:.1f} %" for rate in sorted(rates)) or NONE,
                ]
            )
    if not body:
        raise UserError(
            "No two records differ in their words alone; `trainer results run` makes them, such as "
            f"ats_sagru-iemocap6-{GIVEN}-{RECOGNISED}."
        )
    head = ["system", "reads", "data", *(f"{one} / {other}" for one, other in pairs), "WER"]
    return "\n".join([*grid(head, body), "", "Columns are words learned from / asked with."]) + "\n"


def figure(one: Figure | None) -> str:
    """A number, its spread, and how many seeds where they are few.

    >>> figure(Figure(mean=0.5, sd=None, each=(0.5,), low=0.4, high=0.6))
    '0.500 (1 seed)'
    """
    if one is None:
        return NONE
    return _number(one.mean, one.sd, len(one.each))


def grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    for line in (head, ["---"] * len(head), *body):
        yield f"| {' | '.join(one.replace('|', chr(92) + '|') for one in line)} |"


def _number(mean: float, sd: float | None, seeds: int) -> str:
    spread = "" if sd is None else f" ± {sd:.3f}"
    few = f" ({seeds} seed{'s' if seeds > 1 else ''})" if seeds < ENOUGH else ""
    return f"{mean:.3f}{spread}{few}"


def _known(found: Records) -> dict[str, Record]:
    """The records of cells, each held against its cell; others are nobody's business here."""
    every = cells.every()
    for name, one in found.items():
        if name in every:
            every[name].refuse_other(one)
    return {name: found[name] for name in every if name in found}


def _rows() -> list[Row]:
    return [row for row in cells.rows() if not row.only]


def _kinds(known: Records, row: Row) -> Iterator[str]:
    """Given words, and recognised ones where some column has, or could have, such a run."""
    yield GIVEN
    there = (cells.cell(row, name, RECOGNISED, RECOGNISED) for name in cells.columns())
    if any(one is not None and (not one.lacks or one.name in known) for one in there):
        yield RECOGNISED


def _cell(known: Records, row: Row, kind: str, asked: cells.Shown, notes: Notes) -> str:
    """The figure of the first column that was run, else why there is none."""
    reasons = []
    for name in asked.columns:
        one = cells.cell(row, name, kind, kind)
        kept = known.get(one.name) if one is not None else None
        if kept is not None and asked.measure in kept.figures:
            of = f" ({kept.data.partition(':')[2]})" if name != asked.columns[0] else ""
            return figure(kept.figures[asked.measure]) + of
        plain = cells.cell(row, name)
        lacks = plain.lacks if plain is not None else ""
        reasons.append(lacks or (NOT_RUN if one is not None else NO_RECOGNISED))
    return f"{NONE} {notes.mark(NOT_RUN if NOT_RUN in reasons else reasons[0])}"


def _group(told: Mapping[str, object] | None, measure: str) -> str:
    if told is None:
        return NONE
    each = np.array(told[measure], float)
    return _number(
        float(each.mean()), float(each.std(ddof=1)) if len(each) > 1 else None, len(each)
    )


def _capped(known: Records) -> str:
    """What epochs were capped at, and how many trainings that ended."""
    most = sorted({one.epochs["most"] for one in known.values() if one.epochs})
    if not most:
        return ""
    capped = sum(one.epochs["capped"] for one in known.values() if one.epochs)
    of = sum(one.epochs["trainings"] for one in known.values() if one.epochs)
    ends = f"{most[0]} to {most[-1]}" if len(most) > 1 else str(most[0])
    return f"Epochs are capped at {ends}, which ended {capped} of {of} trainings."
