"""Which runs fill the tables: rows × columns, as ``cells.toml`` lists them.

    cell = find("ats_sagru-iemocap4")
    cell.plan(Path("corpora"))

A row is a system and what it reads; a column is a corpus, its labels and who reports what. A cell's
plan is ``[plan]``, the system's, the column's and the row's own options, each over the one before.
Its NAME is
``ROW-COLUMN``, and with recognised words ``ROW-COLUMN-LEARNED-HEARD``, each given or recognised:
``late_fusion-iemocap6-given-recognised`` learned from given words and is asked with recognised
ones, so that it needs no training of its own.

Where a corpus lacks what a row needs the cell stays empty, and says why; where words are what is
needed and recognised ones are not there, it has no such variant.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from erc_demo.errors import UserError
from trainer.results.record import Record
from trainer.runs import Plan

FILE = Path(__file__).with_name("cells.toml")
GIVEN, RECOGNISED = KINDS = ("given", "recognised")
WORDS, DATA = "words", "DATA"
INPUTS = {"words": "text", "sound": "audio", "frames": "audio", "speaker": "speaker"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A system, what it reads, and what of a corpus it needs; ``only`` is its one column."""

    name: str
    system: str
    reads: str
    needs: tuple[str, ...]
    only: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A corpus and a protocol; ``lacks`` says of what is not there why, ``recognised`` where."""

    name: str
    title: str
    data: str
    recognised: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A column of the results table: a measure of the first of some columns that was run."""

    head: str
    columns: tuple[str, ...]
    measure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of the tables."""

    row: Row
    column: Column
    learned: str = GIVEN
    heard: str = GIVEN

    @property
    def name(self) -> str:
        """What its record is called."""
        plain = f"{self.row.name}-{self.column.name}"
        both = (self.learned, self.heard)
        return plain if both == (GIVEN, GIVEN) else f"{plain}-{self.learned}-{self.heard}"

    @property
    def training(self) -> str:
        """The folder of its trainings, which a cell that only hears other words shares."""
        plain = f"{self.row.name}-{self.column.name}"
        return plain if self.learned == GIVEN else f"{plain}-{self.learned}"

    @property
    def lacks(self) -> str:
        """Why it can't be run here; empty: it can."""
        reasons = [self.column.lacks[one] for one in self.row.needs if one in self.column.lacks]
        return reasons[0] if reasons else ""

    def words(self, kind: str) -> str:
        """The column of given or recognised words."""
        return "" if kind == GIVEN else self.column.recognised

    def plan(self, data: Path) -> Plan:
        """Its plan, of one seed; ``data`` is the folder of corpora."""
        if self.lacks:
            raise UserError(f"{self.name} can't be run here: {self.lacks}.")
        table = _table()
        system = table["systems"].get(self.row.system, {})
        told = {**table["plan"], **system, **self.column.plan, **self.row.plan}
        told |= {
            "system": self.row.system,
            "data": self.column.data.replace(DATA, str(data)),
            "text_column": self.words(self.learned),
        }
        return Plan.of(told, self.name)

    def refuse_other(self, kept: Record) -> None:
        """A record that is called like this cell must be of it."""
        kind, _, place = self.column.data.partition(":")
        wanted = {
            "system": self.row.system,
            "labels": self.column.plan["labels"],
            "data": f"{kind}:{Path(place).name}",
            "ablation": self.row.plan.get("ablation", ""),
            "learned": self.words(self.learned),
            "heard": self.words(self.heard),
        }
        found: dict[str, Any] = {what: getattr(kept, what) for what in wanted}
        if kept.reads:
            wanted["reads"] = ", ".join(sorted({INPUTS[one] for one in self.row.needs}))
            found["reads"] = ", ".join(sorted(kept.reads))
        if kept.plan:  # a run of `fit`; what else was predicted was learned elsewhere
            default = Plan()
            for what in ("protocol", "select_from"):
                wanted[what] = self.column.plan.get(what, getattr(default, what))
                found[what] = getattr(kept, what)
        for what, one in wanted.items():
            if found[what] != one:
                raise UserError(
                    f"The record {kept.name} has '{found[what]}' as {what}, where its name stands "
                    f"for '{one}'; record it under another name."
                )


@lru_cache
def rows() -> tuple[Row, ...]:
    """All, in the order of the file."""
    return tuple(
        Row(**{"name": name, **one, "needs": tuple(one["needs"])})
        for name, one in _table()["rows"].items()
    )


@lru_cache
def columns() -> Mapping[str, Column]:
    """All by name."""
    corpora = _table()["corpora"]
    found = {}
    for name, one in _table()["columns"].items():
        own = dict(one)
        found[name] = Column(name=name, **{**corpora[own.pop("corpus")], **own})
    return MappingProxyType(found)


def about() -> str:
    """What stands below the results table of its columns."""
    return str(_table()["about"])


def shown() -> tuple[Shown, ...]:
    """What the results table shows."""
    return tuple(Shown(**{**one, "columns": tuple(one["columns"])}) for one in _table()["figures"])


def cell(row: Row, column: str, learned: str = GIVEN, heard: str = GIVEN) -> Cell | None:
    """A row in a column; None where the row is not for it, or there are no such words."""
    where = columns()[column]
    there = (WORDS in row.needs and where.recognised) or learned == heard == GIVEN
    if not there or row.only not in ("", column):
        return None
    return Cell(row=row, column=where, learned=learned, heard=heard)


@lru_cache
def every() -> Mapping[str, Cell]:
    """Each cell by its name, also those that can't be run."""
    found = (
        cell(row, column, learned, heard)
        for column in columns()
        for row in rows()
        for learned in KINDS
        for heard in KINDS
        if not row.only or learned == heard == GIVEN
    )
    return MappingProxyType({one.name: one for one in found if one is not None})


def find(name: str) -> Cell:
    """One cell; a wrong name is told how names are made."""
    known = every()
    if name not in known:
        raise UserError(
            f"No table here has a cell '{name}'; `trainer results cells` lists their names."
        )
    return known[name]


def matching(patterns: Sequence[str]) -> list[Cell]:
    """The cells that can be run among those of some patterns (``*`` stands for anything)."""
    found: dict[str, Cell] = {}
    for pattern in patterns:
        these = {name: one for name, one in every().items() if fnmatchcase(name, pattern)}
        if not these:
            find(pattern)
        if len(these) == 1:
            found |= these
        found |= {name: one for name, one in these.items() if not one.lacks}
    return list(found.values())


@lru_cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
