"""What ``python -m trainer extract`` says: what there is, what was done, and what was odd."""

from __future__ import annotations

import csv
import io
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from erc_demo import features
from erc_demo.cache import SWEEP
from erc_demo.errors import UserError
from erc_demo.features import Spec
from erc_demo.settings import Settings
from trainer.datasets import Listing, some
from trainer.extract import Tally, Task

COLUMNS = ("features", "dialogue", "turn", "why")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so


def lines(corpus: Listing, task: Task, tally: Tally) -> Iterator[str]:
    """The summary of a run, a line each."""
    yield (
        f"{tally.dialogues} of {len(corpus.items)} dialogues done, {tally.kept} of them answered "
        f"from the cache; {tally.seconds / 3600:.2f} h of sound"
    )
    mute = [item.name for item in corpus.items if item.sound is None]
    if 0 < len(mute) < len(corpus.items):
        yield f"No recording has the name of: {some(mute)}."
    reasons = Counter((name, why) for name, _, _, why in tally.odd)
    for spec in task.specs:
        yield from _made(spec, tally, reasons)
    yield from _kept(task.settings, tally)
    if task.out is not None and tally.dialogues:
        yield f"The numbers are in {task.out.resolve()}."
    for terms in dict.fromkeys(spec.module.TERMS for spec in task.specs if spec.module.TERMS):
        yield f"Terms of {', '.join(_under(terms, task.specs))}: {terms}"


def _made(spec: Spec, tally: Tally, reasons: Counter[tuple[str, str]]) -> Iterator[str]:
    mine = sorted((-count, why) for (name, why), count in reasons.items() if name == spec.text)
    why = ", ".join(f"{-count} {reason}" for count, reason in mine)
    present, turns = tally.present[spec.text], tally.turns[spec.text]
    yield f"{spec.text}: rows for {present} of {turns} turns{f' ({why})' if why else ''}"
    if count := tally.levelled[spec.text]:
        what = "the second half" if spec.options["speaker_norm"] == "both" else "every number"
        yield (
            f"{spec.text}: {what} is 0 in {count} of {tally.dialogues} dialogues, where no speaker "
            "has a second turn to compare with."
        )


def _kept(settings: Settings, tally: Tally) -> Iterator[str]:
    if tally.stays:
        yield f"They take {tally.stays / 2**20:.1f} MB of the cache in {settings.data / 'cache'}."
    if not settings.cache_mb or not tally.lost:
        return
    took = tally.size / 2**20
    if took > settings.cache_mb * SWEEP:
        wanted = 2 ** int(np.ceil(np.log2(took * 1.2)))
        yield (
            f"{len(tally.lost)} results are not kept: all together take {took:.1f} MB, more than "
            f"the cache may hold ({settings.cache_mb} MB); call again with --cache-mb {wanted}."
        )
    else:
        yield (
            f"{len(tally.lost)} results could not be kept; is the disk of {settings.data} full, or "
            "not to be written?"
        )


def _under(terms: str, specs: Sequence[Spec]) -> list[str]:
    return list(dict.fromkeys(spec.name for spec in specs if spec.module.TERMS == terms))


def write_remarks(file: Path, tally: Tally) -> str:
    """A row for each thing that was odd about a turn, in a file that appears whole or not at all.

    Returns a sentence on it.
    """
    sheet = io.StringIO()
    table = csv.writer(sheet, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for name, dialogue, turn, why in sorted(tally.odd):
        inert = f"'{dialogue}" if dialogue.startswith(FORMULA) else dialogue
        table.writerow((name, inert, turn, why))
    aside = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        try:
            aside.write_text(sheet.getvalue(), encoding="utf-8", newline="")
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise UserError(f"{file} can't be written: {exc.strerror or exc}.") from exc
    return f"Which turns were odd, and why: {file} ({len(tally.odd)} rows)."


def listing(settings: Settings, specs: Sequence[Spec] = ()) -> Iterator[str]:
    """Some extractors or all: what each is, what it hears and gives, its options, its terms."""
    for spec in specs or [features.parse(name) for name in features.names()]:
        module = spec.module
        try:
            made = features.ready(spec, settings)
            facts = (
                f"{made.level} level, {made.width} numbers a row, hears "
                f"{' and '.join(sorted(made.hears))}"
            )
        except UserError as exc:
            facts = f"not as it is: {exc}"
        yield f"{spec.text}: {module.ABOUT}"
        yield f"  {facts}"
        for option in fields(module.Options):
            choices = ", ".join(map(str, option.metadata["choices"]))
            may = f" [{choices}]" if choices else ""
            yield f"  {option.name}={option.default}{may}: {option.metadata['help']}"
        if module.TERMS:
            yield f"  Terms: {module.TERMS}"
