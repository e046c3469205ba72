"""Recipes: each table of each paper as a TOML file, ``SYSTEM_TABLE.toml``. The folder is the list.

    recipe = find("late_fusion", 2)
    plan = recipe.plan_of(recipe.rows[0], {"data": "iemocap:PATH"})

A file has ``system``, ``table``, ``title``, ``citation``, ``corpus`` and

- ``[columns]``: how the paper heads its columns, and where each stands in what
  ``trainer.metrics.report`` says of predictions (``measures.ua``, ``analyses.contexts.both.ua``);
- ``[paper]``: what the paper says of its data, split, selection and seeds, and what it leaves open;
- ``[plan]``: what all rows have in common, as a ``trainer.runs.Plan`` reads it;
- ``[embedded]``: what the design of a checkpoint here has instead, where that would not do for it;
- ``[[rows]]``: the paper's own systems, ``name`` as printed and ``run``, the folder's (by default
  the name), what sets the row apart (``ablation``, ``settings``, ``plan``, ``extra`` inputs,
  ``corpus``, ``embedded``) and its ``published`` numbers as printed;
- ``[[rivals]]``: systems of others, as quoted numbers with their citation;
- ``differs``: sentences on what can't be as in the paper, whatever the settings.

``like = 2`` on top: what the file does not say is as in that table of the same paper. In a row
``like = "U"`` is the same run as that row there; a table that analyses predictions has such rows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from trainer.runs import Plan

HERE = Path(__file__).parent
SHARED = ("citation", "corpus", "differs", "columns", "paper", "plan", "embedded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A system that the paper only compares itself with: numbers as it quotes them."""

    name: str
    citation: str
    published: Mapping[str, Decimal]
    corpus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A system of the paper's own in one line of a table, and how its run differs from others."""

    name: str
    run: str
    corpus: str
    published: Mapping[str, Decimal]
    ablation: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    embedded: Mapping[str, Any] = field(default_factory=dict)
    extra: tuple[str, ...] = ()  # inputs that the system has only where they are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One table."""

    system: str
    table: int
    title: str
    citation: str
    corpus: str
    columns: Mapping[str, str]
    paper: Mapping[str, str]
    plan: Mapping[str, Any]
    rows: tuple[Row, ...]
    rivals: tuple[Rival, ...] = ()
    embedded: Mapping[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()

    @property
    def corpora(self) -> tuple[str, ...]:
        """Those that its rows are of."""
        return tuple(dict.fromkeys(row.corpus for row in self.rows))

    def plan_of(self, row: Row, given: Mapping[str, Any]) -> Plan:
        """The plan of a row; ``given`` is what the call says otherwise, over the paper.

        A column of words replaces the one that the row names, and no other: words as said and as
        recognised stay apart.
        """
        embedded = given.get("design", "published") == "embedded"
        asked: dict[str, Any] = {**self.plan, "ablation": row.ablation, **row.plan}
        settings = {**asked.pop("settings", {}), **row.settings}
        reads: dict[str, Any] = {}
        if embedded:
            asked |= {**self.embedded, **row.embedded}
        elif row.extra:
            from erc_demo import plugs

            needs = plugs.load("erc_demo.systems", self.system).NEEDS
            reads = {name: needs[name].published for name in row.extra}
        over = dict(given)
        if self._two_texts and not asked.get("text_column"):
            over.pop("text_column", None)
        reads |= over.pop("reads", {})
        settings |= over.pop("settings", {})
        asked |= {"system": self.system, "design": "published", **over}
        return Plan.of({**asked, "reads": reads, "settings": settings}, f"{row.name} of {self}")

    @property
    def _two_texts(self) -> bool:
        return len({{**self.plan, **row.plan}.get("text_column", "") for row in self.rows}) > 1

    def __str__(self) -> str:
        return f"{self.system}, Table {self.table}"


def every() -> list[Recipe]:
    """All recipes, by system and table."""
    found = (file.stem.rpartition("_") for file in HERE.glob("*_*.toml"))
    return [find(system, table) for system, table in sorted((name, int(n)) for name, _, n in found)]


def find(system: str, table: int) -> Recipe:
    """One recipe; a wrong name or number lists the right ones."""
    tables = sorted(int(file.stem.rpartition("_")[2]) for file in HERE.glob(f"{system}_*.toml"))
    if not tables:
        known = sorted({file.stem.rpartition("_")[0] for file in HERE.glob("*_*.toml")})
        raise UserError(f"There is no recipe of '{system}'; there are those of {', '.join(known)}.")
    if table not in tables:
        raise UserError(
            f"{system} has no recipe of a Table {table}; it has those of "
            f"{', '.join(map(str, tables))}."
        )
    return _read(HERE / f"{system}_{table}.toml")


@lru_cache
def _read(file: Path) -> Recipe:
    data = _keys(file)
    _refuse_odd(file, data, {one.name for one in fields(Recipe)})
    rows = tuple(_row(file, one, data) for one in data.pop("rows", ()))
    rivals = tuple(
        Rival(**{"corpus": data["corpus"], **one, "published": _published(file, one, data)})
        for one in data.pop("rivals", ())
    )
    try:
        return Recipe(**{**data, "differs": tuple(data["differs"])}, rows=rows, rivals=rivals)
    except (KeyError, TypeError) as exc:
        raise UserError(f"The recipe {file.name} does not fit: {exc}.") from exc


def _keys(file: Path) -> dict[str, Any]:
    """What a file says, and what the table that it is like says besides; rows are filled in."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UserError(f"The recipe {file.name} can't be read: {exc}.") from exc
    like = data.pop("like", None)
    if like is None:
        return data
    other = _keys(file.with_name(f"{data.get('system')}_{like}.toml"))
    runs = {one.get("run", one["name"]): one for one in other["rows"]}
    rows = []
    for one in data.get("rows", ()):
        same = one.pop("like", None)
        if same is not None and same not in runs:
            raise UserError(
                f"{file.name} has a row like '{same}', which Table {like} has not (it has "
                f"{', '.join(runs)})."
            )
        rows.append({**runs[same], "run": same, **one} if same is not None else one)
    return {**{key: other[key] for key in SHARED if key in other}, **data, "rows": rows}


def _row(file: Path, one: Mapping[str, Any], data: Mapping[str, Any]) -> Row:
    _refuse_odd(file, one, {each.name for each in fields(Row)})
    filled = {"run": one["name"], "corpus": data["corpus"], **one}
    published = _published(file, one, data)
    return Row(**{**filled, "published": published, "extra": tuple(one.get("extra", ()))})


def _published(file: Path, one: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Decimal]:
    odd = set(one["published"]) - set(data["columns"])
    if odd:
        raise UserError(
            f"{file.name} publishes {', '.join(sorted(odd))} of {one['name']}; its columns are "
            f"{', '.join(data['columns'])}."
        )
    return {key: Decimal(value) for key, value in one["published"].items()}


def _refuse_odd(file: Path, given: Mapping[str, Any], known: set[str]) -> None:
    odd = sorted(set(given) - known)
    if odd:
        raise UserError(
            f"{file.name} has {', '.join(odd)}, which no recipe has; {', '.join(sorted(known))} "
            "were wanted."
        )
