"""A table made again, as Markdown and as JSON: the paper's numbers, ours, and what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from trainer.recipes import Recipe, Row
from trainer.runs import Plan

ONES = "dimensions."  # columns that are given as correlations; all others in percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One number of ours: its mean over the seeds, a fraction or a correlation, and how sure."""

    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(slots=True, kw_only=True)
class Made:
    """A row, its plan where it was asked for, and what became of it, by the columns' headings."""

    row: Row
    plan: Plan | None = None
    ours: Mapping[str, Found] = field(default_factory=dict)
    as_published: Mapping[str, Found] = field(default_factory=dict)
    reported: str = ""  # which part of the data the numbers are of
    turns: int = 0
    seeds: int = 0
    differs: Sequence[str] = ()
    remarks: Sequence[str] = ()
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All rows of a recipe, those that were not asked for among them."""

    recipe: Recipe
    corpus: str
    data: str
    rows: tuple[Made, ...]

    @property
    def whole(self) -> bool:
        """Whether every row that was asked for has its numbers."""
        return not any(one.why_not for one in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain data; numbers of ours are fractions, published ones as printed."""
        recipe = self.recipe
        return {
            "system": recipe.system,
            "table": recipe.table,
            "title": recipe.title,
            "citation": recipe.citation,
            "paper": dict(recipe.paper),
            "data": self.data,
            "columns": dict(recipe.columns),
            "rows": [
                {
                    "name": one.row.name,
                    "run": one.row.run,
                    "corpus": one.row.corpus,
                    "published": _plain(one.row.published),
                    "asked": one.plan is not None,
                    "ours": {name: asdict(these) for name, these in one.ours.items()},
                    "as_published": {name: asdict(i) for name, i in one.as_published.items()},
                    "reported": one.reported,
                    "turns": one.turns,
                    "seeds": one.seeds,
                    "differs": list(one.differs),
                    "remarks": list(one.remarks),
                    "why_not": one.why_not,
                }
                for one in self.rows
            ],
            "rivals": [
                {
                    "name": one.name,
                    "citation": one.citation,
                    "corpus": one.corpus,
                    "published": _plain(one.published),
                }
                for one in recipe.rivals
            ],
            "differs": self.differs(),
        }

    def differs(self) -> list[str]:
        """The recipe's sentences, and what the plans and the runs tell besides."""
        return [*self.recipe.differs, *self._said("differs")]

    def remarks(self) -> list[str]:
        """What the runs remarked of their data."""
        return self._said("remarks")

    def _said(self, kind: str) -> list[str]:
        """Sentences that all rows have in common, then those of some with their names."""
        asked = [one for one in self.rows if one.seeds]
        every = dict.fromkeys(text for one in asked for text in getattr(one, kind))
        of = {text: [one.row.run for one in asked if text in getattr(one, kind)] for text in every}
        common = [text for text, names in of.items() if len(names) == len(asked)]
        return common + [
            f"{', '.join(names)}: {text}" for text, names in of.items() if text not in common
        ]

    def to_markdown(self) -> str:
        """For people."""
        return "\n".join(self._lines()) + "\n"

    def text(self) -> str:
        """As JSON."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def _lines(self) -> Iterator[str]:
        recipe = self.recipe
        yield f"# {recipe}: {recipe.title}"
        yield f"\n{recipe.citation}"
        yield "\nThe paper's experiment:\n"
        yield from (f"- {key}: {text}" for key, text in recipe.paper.items())
        yield f"\nHere: {self._here()}. Percent, but for correlations; mean ± sd over the seeds."
        if any(one.as_published for one in self.rows):
            yield (
                "'Ours' is of the epoch that selection chose on a part of its own, 'as published' "
                "of the epoch that was best on the reported part itself, in the same runs: what "
                "lies between the two is the price of looking."
            )
        yield from self._ours()
        if recipe.rivals:
            yield "\n## Rivals, as the paper quotes them (not rebuilt)\n"
            heads = [
                head for head in recipe.columns if any(head in r.published for r in recipe.rivals)
            ]
            yield from _grid(
                ["rival", *heads, "what it is"],
                [
                    [r.name, *(str(r.published.get(head, "–")) for head in heads), r.citation]
                    for r in recipe.rivals
                ],
            )
        yield "\n## What differs from the paper\n"
        yield from (f"- {text}" for text in self.differs())
        if remarks := self.remarks():
            yield "\n## Of the data\n"
            yield from (f"- {text}" for text in remarks)

    def _here(self) -> str:
        """What was asked for, of all rows alike."""
        plans = [one.plan for one in self.rows if one.plan is not None]
        found = [self.data]
        for text, name in (
            ("design", "design"),
            ("protocol", "protocol"),
            ("selection on", "select_from"),
        ):
            said = dict.fromkeys(getattr(plan, name) for plan in plans)
            if name != "select_from" or any(plan.protocol.endswith("official") for plan in plans):
                found.append(f"{text} {' and '.join(said)}")
        reported = dict.fromkeys(one.reported for one in self.rows if one.reported)
        return ", ".join([*found, *(f"reported: {text}" for text in reported)])

    def _ours(self) -> Iterator[str]:
        """A line for each row and column; a row that was not run says why in its first."""
        besides = any(one.as_published for one in self.rows)
        heads = ["row", "", "paper", "ours", "95 % interval", "ours − paper"]
        heads += ["as published"] if besides else []
        heads += ["turns", "seeds"]
        cells = []
        for one in self.rows:
            for place, head in enumerate(one.row.published):
                printed, found = one.row.published[head], one.ours.get(head)
                unit = 1 if self.recipe.columns[head].startswith(ONES) else 100
                ours, off = "–", "–"
                if found is not None:
                    ours = _shown(found, unit)
                    off = f"{unit * found.mean - float(printed):+.{2 if unit == 1 else 1}f}"
                elif place == 0:
                    ours = f"not run: {one.why_not}" if one.why_not else "–"
                    ours = ours if one.plan is not None else "not asked for"
                cell = [one.row.name if place == 0 else "", head, str(printed), ours]
                cell += [_interval(found, unit), off]
                cell += [_shown(one.as_published.get(head), unit)] if besides else []
                cell += [str(one.turns), str(one.seeds)] if one.ours and place == 0 else ["", ""]
                cells.append(cell)
        yield "\n## The table\n"
        yield from _grid(heads, cells)


def _shown(found: Found | None, unit: int) -> str:
    if found is None:
        return "–"
    places = 2 if unit == 1 else 1
    spread = "" if found.sd is None else f" ± {unit * found.sd:.{places}f}"
    return f"{unit * found.mean:.{places}f}{spread}"


def _interval(found: Found | None, unit: int) -> str:
    if found is None or found.low is None or found.high is None:
        return "–"
    places = 2 if unit == 1 else 1
    return f"{unit * found.low:.{places}f} to {unit * found.high:.{places}f}"


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    for row in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def _plain(published: Mapping[str, Decimal]) -> dict[str, float]:
    return {name: float(one) for name, one in published.items()}
