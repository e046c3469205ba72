"""The table of claims: what a paper says of one system beside another, and what is found here.

    for one in judge(record.every()): one.verdict, one.difference, one.p

A claim (``claims.toml``) names a better and a worse system by a measure. Its verdict is computed
from two recorded runs on the same turns, never written down:

    holds           better − worse, on the mean over seeds, has a 95 % interval above 0
    does not        that interval lies below 0
    undecided       it has 0 in it
    not run         one of the runs has no record
    not testable    the data that is here can't say; with the reason

Intervals and p are ``trainer.metrics.paired``: bundles of dialogues drawn anew, and swapped, in
every seed at once; where one has more seeds, the first ones of each are paired. p is corrected
after Holm over all claims of a paper that were tested. The interval is each claim's own, so that a
verdict beside a corrected p above 0.05 is one of several looks: both are shown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from trainer import metrics, recipes
from trainer.metrics.described import NAMES
from trainer.results import cells, table
from trainer.results.record import Record

FILE = Path(__file__).with_name("claims.toml")
HOLDS, FAILS, OPEN = "holds", "does not", "undecided"
NOT_RUN, UNTESTABLE = "not run", "not testable here"
TESTED = (HOLDS, FAILS, OPEN)
DRAWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One comparison: rows of a paper's table, and the cells that stand for them here."""

    paper: str  # its system
    says: str
    better: str
    worse: str
    column: str  # of the paper's tables
    table: int = 0  # 0: no paper's, a control of ours
    runs: tuple[str, ...] = ()
    untestable: str = ""

    def __post_init__(self) -> None:
        if len(self.runs) != (0 if self.untestable else 2):
            raise UserError(
                f"The claim '{self.says}' has {len(self.runs)} runs; two, or why it is untestable, "
                "were wanted."
            )
        for name in self.runs:
            cells.find(name)

    @property
    def measure(self) -> str:
        """What the column is of."""
        return self._recipes[0].columns[self.column].removeprefix("measures.")

    @property
    def published(self) -> tuple[Decimal, Decimal] | None:
        """The paper's own figures of the better and the worse."""
        if not self.table:
            return None
        rows: dict[str, Decimal] = {}
        for recipe in self._recipes:
            these = [row for row in recipe.rows if self.column in row.published]
            rows |= {row.run: row.published[self.column] for row in these}
        if lacking := [one for one in (self.better, self.worse) if one not in rows]:
            raise UserError(
                f"No table of {self.paper} has a row '{lacking[0]}' with {self.column}; there are "
                f"{', '.join(rows)}."
            )
        return rows[self.better], rows[self.worse]

    @property
    def _recipes(self) -> list[recipes.Recipe]:
        return [
            one
            for one in recipes.every()
            if one.system == self.paper and self.column in one.columns
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A claim with what the records say; the numbers are there where it was tested."""

    claim: Claim
    verdict: str
    why_not: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    corrected: float | None = None
    seeds: int = 0
    data: str = ""
    turns: int = 0


def every(file: Path = FILE) -> list[Claim]:
    """All claims in the order of the file."""
    found = []
    for paper, told in tomllib.loads(file.read_text(encoding="utf-8")).items():
        known = told.get("cells", {})
        for one in told["claims"]:
            sides = () if "untestable" in one else (one["better"], one["worse"])
            runs = tuple(known[side] for side in sides)
            found.append(Claim(**{"paper": paper, "column": told["column"], "runs": runs, **one}))
    return found


def judge(
    found: Mapping[str, Record], claims: Sequence[Claim] | None = None, *, draws: int = DRAWS
) -> list[Judged]:
    """Each claim with its verdict."""
    lines: dict[str, Any] = {}
    judged = [_judge(one, found, lines, draws) for one in (every() if claims is None else claims)]
    corrected: dict[int, float] = {}
    for paper in {one.claim.paper for one in judged}:
        p = {
            str(at): one.p
            for at, one in enumerate(judged)
            if one.claim.paper == paper and one.p is not None
        }
        corrected |= {int(at): one for at, one in metrics.holm(p).items()}
    return [replace(one, corrected=corrected.get(at)) for at, one in enumerate(judged)]


def wanted(found: Mapping[str, Record], *, undecided: bool = False) -> list[str]:
    """The cells that claims compare; of those that are ``undecided`` so far alone."""
    claims = every()
    if undecided:
        claims = [one.claim for one in judge(found, claims) if one.verdict == OPEN]
    return list(dict.fromkeys(name for one in claims for name in one.runs))


def _judge(claim: Claim, found: Mapping[str, Record], lines: dict[str, Any], draws: int) -> Judged:
    if claim.untestable:
        return Judged(claim=claim, verdict=UNTESTABLE, why_not=claim.untestable)
    if lacking := [name for name in claim.runs if name not in found]:
        return Judged(claim=claim, verdict=NOT_RUN, why_not=" and ".join(lacking))
    pair = [found[name] for name in claim.runs]
    for one in pair:
        cells.find(one.name).refuse_other(one)
        if one.name not in lines:
            lines[one.name] = one.counts.lines()
    if pair[0].counts.turns != pair[1].counts.turns:
        raise UserError(
            f"{pair[0].name} and {pair[1].name} were not recorded on the same turns with the same "
            "labels, so they can't be paired; record both from one corpus."
        )
    seeds = min(len(one.seeds) for one in pair)
    better, worse = (lines[one.name][:seeds] for one in pair)
    said = metrics.paired(better, worse, claim.measure, draws=draws)
    return Judged(
        claim=claim,
        verdict=HOLDS if said.low > 0 else FAILS if said.high < 0 else OPEN,
        difference=said.difference,
        low=said.low,
        high=said.high,
        p=said.p,
        seeds=seeds,
        data=pair[0].data.partition(":")[2],
        turns=pair[0].counts.n,
    )


def markdown(judged: Sequence[Judged]) -> str:
    """A row a claim, and how many of each verdict."""
    notes = table.Notes()
    body = [
        [
            _paper(one.claim),
            one.claim.says,
            _printed(one.claim),
            f"**{one.verdict}**"
            if one.verdict in TESTED
            else f"{one.verdict} "
            f"{notes.mark(one.why_not if one.verdict == UNTESTABLE else table.NOT_RUN)}",
            *_numbers(one),
        ]
        for one in judged
    ]
    head = ["paper", "claim", "as printed", "verdict", "here", "95 %", "p", "p, Holm", "on"]
    counted = {one.verdict: sum(each.verdict == one.verdict for each in judged) for one in judged}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counted.items())
    lines = [
        *table.grid(head, body),
        "",
        f"Of {len(judged)} comparisons: {said}. Here: better minus worse in points, mean over "
        "seeds, dialogues drawn anew for the interval and swapped for p.",
    ]
    told = "; ".join(f"{letter}: {why}" for why, letter in notes.said.items())
    return "\n".join([*lines, *([f"{told}."] if told else [])]) + "\n"


def _paper(claim: Claim) -> str:
    return f"`{claim.paper}`, {f'Table {claim.table}' if claim.table else 'ours'}"


def _printed(claim: Claim) -> str:
    pair = f"{claim.better} > {claim.worse}"
    printed = claim.published
    return pair if printed is None else f"{pair}: {claim.column} {printed[0]}, {printed[1]}"


def _numbers(one: Judged) -> list[str]:
    if one.difference is None or one.low is None or one.high is None or one.p is None:
        return [table.NONE] * 5
    corrected = one.p if one.corrected is None else one.corrected
    seeds = f"{one.seeds} seed{'s' if one.seeds > 1 else ''}"
    return [
        f"{NAMES[one.claim.measure]} {100 * one.difference:+.1f}",
        f"{100 * one.low:+.1f} to {100 * one.high:+.1f}",
        _p(one.p),
        _p(corrected),
        f"{one.data}, {one.turns} turns, {seeds}",
    ]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
