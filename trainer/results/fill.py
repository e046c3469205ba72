"""What the tables lack, run and recorded: a training for each cell and seed.

    for line in fill(cells.matching(["ats_sagru-*"]), data, out, settings, seeds=3): …

OUT/TRAINING/seed0 … are runs as `fit` makes them, taken up where they were left. Seeds add up: one
seed of every cell screens, and the same call with more of them goes on; a record is written after
each seed. A cell that hears other words than it learned from has no training: the checkpoint of
each fold is asked about that fold's dialogues again, from the other column of words, and what it
says lies beside its predictions. Where words are recognised the record keeps their word error rate,
if the corpus is a table that has both texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer import predictions
from trainer.results import intake, record
from trainer.results.cells import RECOGNISED, Cell
from trainer.results.intake import REPORTED
from trainer.results.record import HOME, Record
from trainer.runs import Plan

TURNS = "turns.csv"
Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What became of a cell: a sentence, and whether its record is there."""

    text: str
    done: bool


def fill(
    cells: Sequence[Cell],
    data: Path,
    out: Path,
    settings: Settings,
    *,
    seeds: int = 3,
    home: Path = HOME,
    again: bool = False,
    tell: Tell | None = None,
) -> Iterator[Filled]:
    """Train what is lacking and record it, the first seed of all cells before the second of any.

    A cell that can't be made says why, and the others go on. What is recorded from another plan
    stays, unless ``again``.
    """
    left = {one.name: one for one in cells}
    for count in range(1, seeds + 1):
        for cell in list(left.values()):
            try:
                plan = cell.plan(data)
                if not again and _whole(home, cell, count, plan):
                    continue
                places = [out / cell.training / f"seed{seed}" for seed in range(count)]
                for seed, place in enumerate(places):
                    _train(plan.but(seed=seed, runs=1), place, settings, tell)
                kept = _recorded(cell, plan, places, settings)
                kept.write(home, again=True)
            except UserError as exc:
                del left[cell.name]
                yield Filled(text=f"{cell.name}: not recorded: {exc}", done=False)
                continue
            yield Filled(text=_said(kept, str(cell.column.plan["measure"])), done=True)


def _whole(home: Path, cell: Cell, count: int, plan: Plan) -> bool:
    """Whether a record has so many seeds already; one of another plan is not replaced unasked."""
    file = home / f"{cell.name}.json"
    if not file.is_file():
        return False
    kept = record.read(file)
    cell.refuse_other(kept)
    if kept.plan != intake.shown(plan.to_toml(), plan.data):
        raise UserError(
            f"{file.name} was recorded from another plan; --again replaces it, or take its name "
            "out of the call."
        )
    return set(range(count)) <= set(kept.seeds)


def _train(plan: Plan, place: Path, settings: Settings, tell: Tell | None) -> None:
    """A run of one seed, made, gone on with, or found."""
    file = place / "plan.toml"
    done = (place / "run.json").is_file() and file.is_file()
    if done and file.read_text(encoding="utf-8") == plan.to_toml():
        return
    from trainer.fit import fit

    if tell is not None:
        tell({"remark": f"{plan.system} in {place}"})
    fit(plan, place, settings, resume=file.is_file(), tell=tell)


def _recorded(cell: Cell, plan: Plan, places: Sequence[Path], settings: Settings) -> Record:
    said, rate = REPORTED, None
    if cell.heard != cell.learned:
        said = f"heard-{cell.heard}.jsonl"
        for place in places:
            for part in sorted((place / "parts").iterdir()):
                if not (part / said).is_file():
                    _heard(part, said, plan, cell.words(cell.heard), settings)
    if cell.heard == RECOGNISED:
        rate = _rate(plan, cell.column.recognised, places[0])
    return intake.of_runs(places, cell.name, said=said, heard=cell.words(cell.heard), wer=rate)


def _heard(part: Path, said: str, plan: Plan, column: str, settings: Settings) -> None:
    """What the checkpoint of a part says of the same turns from another column of words."""
    from trainer.evaluate import evaluate

    ask = replace(plan.ask, text_column=column, split_column="")
    whole = part / f".{said}"
    list(evaluate(str(part / "checkpoint"), plan.data, ask, settings, out=whole))
    wanted = {(one.dialogue, one.utt_id) for one in predictions.read(part / REPORTED)}
    kept = [one for one in predictions.read(whole) if (one.dialogue, one.utt_id) in wanted]
    predictions.write(part / said, kept)
    for one in part.glob(f".{Path(said).stem}.*"):
        one.unlink()


def _rate(plan: Plan, column: str, place: Path) -> dict[str, Any] | None:
    """The recogniser's errors over the turns that are reported; None where texts are no table."""
    table = Path(plan.data.partition(":")[2]) / TURNS
    return intake.word_errors([place], (str(table), "text", column)) if table.is_file() else None


def _said(kept: Record, measure: str) -> str:
    one = kept.figures[measure]
    spread = "" if one.sd is None else f" ± {one.sd:.4f}"
    return f"{kept.name}: {measure} {one.mean:.4f}{spread}, seeds {len(kept.seeds)}"
