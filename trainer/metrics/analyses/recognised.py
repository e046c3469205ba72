"""Recognised against given text: what a system loses when a recogniser writes its words.

Word alignment (Xu et al. 2019, table 2) trains and tests on recognised words (70.4 WA, 69.5 UA) and
on the corpus's own (72.5, 70.9), which is two of four cells TRAIN/TEST; the others, trained on one
and tested on the other, say how much of the loss is the words' and how much is getting used to
them. The drop is given minus recognised at test, of one and the same training, with a paired test
over dialogues. Beside it the recogniser's error over the same turns,

    WER = Σ (substitutions + deletions + insertions) / Σ words of the given text,

14.7 % in the paper (Google's service); words are compared as ``erc_demo.score`` says.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from trainer.metrics.cells import SHOWN, cell, labelled, shown
from trainer.metrics.resampling import paired
from trainer.predictions import Line

ABOUT = "Recognised against given text: up to four cells TRAIN/TEST, the drop, and the WER."
KINDS = ("given", "asr")
CELLS = tuple(f"{train}/{test}" for train in KINDS for test in KINDS)


def grid(
    files: Mapping[str, Sequence[Line]], texts: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, Any]:
    """The cells by TRAIN/TEST, the drop of each training, the WER of ``texts``.

    ``texts`` has the given and the recognised words by utt_id.
    """
    odd = sorted(set(files) - set(CELLS))
    if odd or not files:
        raise UserError(
            f"{', '.join(odd) or 'nothing'} is no cell of recognised against given text; "
            f"{', '.join(CELLS)} were wanted (trained on / tested on)."
        )
    found: dict[str, Any] = {"cells": {name: cell(files[name]) for name in CELLS if name in files}}
    found["drop"] = {}
    for train in KINDS:
        both = [files.get(f"{train}/{test}") for test in KINDS]
        if both[0] is not None and both[1] is not None:
            found["drop"][train] = {
                measure: asdict(paired(both[0], both[1], measure)) for measure in SHOWN
            }
    if texts is not None:
        found["wer"] = word_errors(next(iter(files.values())), texts)
    return found


def word_errors(lines: Sequence[Line], texts: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """The recogniser's errors over the labelled turns, pooled."""
    from erc_demo.score import word_error_rate

    wanted = [one.utt_id for one in labelled(lines)]
    lacking = [name for name in wanted if name not in texts]
    if lacking:
        raise UserError(
            f"{len(lacking)} of {len(wanted)} labelled turns have no row in the table of texts, "
            f"such as {lacking[0]}; name the table that these predictions were made from."
        )
    errors = [word_error_rate(*texts[name]) for name in wanted]
    words = sum(one.total for one in errors)
    parts = {
        kind: sum(getattr(one, kind) for one in errors)
        for kind in ("substitutions", "deletions", "insertions")
    }
    rate = sum(parts.values()) / words if words else None
    return {"n": len(wanted), "words": words, **parts, "wer": rate}


def read_texts(file: Path, given: str, recognised: str) -> dict[str, tuple[str, str]]:
    """Two columns of a table (.csv) by its utt_id."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.DictReader(opened)
            lacking = [
                name
                for name in ("utt_id", given, recognised)
                if name not in (rows.fieldnames or ())
            ]
            if lacking:
                raise UserError(
                    f"{file} has no column {', '.join(lacking)}; it has "
                    f"{', '.join(rows.fieldnames or ()) or 'none'}."
                )
            return {row["utt_id"]: (row[given] or "", row[recognised] or "") for row in rows}
    except OSError as exc:
        raise UserError(f"The table {file} can't be opened: {exc.strerror}.") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise UserError(f"{file} is no table of text in UTF-8: {exc}.") from exc


def sentences(found: Mapping[str, Any]) -> list[str]:
    """The cells, the drops and the WER."""
    lines = []
    for name, one in found["cells"].items():
        train, test = name.split("/")
        lines.append(shown(f"trained on {train}, tested on {test}", one))
    for train, each in found["drop"].items():
        parts = ", ".join(
            f"{SHOWN[key]} {one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f}, "
            f"p = {one['p']:.4f})"
            for key, one in each.items()
        )
        lines.append(f"  given minus asr at test, trained on {train}: {parts}")
    if (wer := found.get("wer")) is not None:
        rate = "no words" if wer["wer"] is None else f"{100 * wer['wer']:.1f} %"
        lines.append(f"  WER {rate} of {wer['words']} words, {wer['n']} turns")
    return lines
