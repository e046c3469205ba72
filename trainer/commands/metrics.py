"""Measure predictions: one file, two of the same turns, or recognised against given text.

metrics predictions.jsonl                      everything that one file says
metrics predictions.jsonl --among clip/        the same of the dialogues whose names begin so
metrics first.jsonl second.jsonl               paired tests, and what the second rectifies
metrics --recognised given/given=a.jsonl given/asr=b.jsonl …    (trained on / tested on)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="predictions (.jsonl)")
    parser.add_argument(
        "other", nargs="?", type=Path, metavar="OTHER", help="another system's, of the same turns"
    )
    parser.add_argument(
        "--recognised",
        nargs="+",
        metavar="TRAIN/TEST=FILE",
        help="predictions by the text trained and tested on, given or asr each",
    )
    parser.add_argument(
        "--texts",
        nargs=3,
        metavar=("TABLE", "GIVEN", "RECOGNISED"),
        help="with --recognised: a table (.csv) with utt_id and its two columns of text, for WER",
    )
    parser.add_argument(
        "--among",
        default="",
        metavar="BEGIN",
        help="dialogues whose names begin so, the others not",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write all of it there")


def run(arguments: argparse.Namespace) -> int:
    """Measure, say, and write."""
    if (arguments.file is None) == (arguments.recognised is None):
        raise UserError(
            "metrics measures FILE, or FILE and OTHER, or what --recognised names; give one of "
            "them."
        )
    if arguments.recognised and arguments.among:
        raise UserError("--among chooses from FILE; leave it out with --recognised.")
    if arguments.texts and not arguments.recognised:
        raise UserError("--texts belongs to --recognised; name the cells with it.")
    found, lines = _recognised(arguments) if arguments.recognised else _measured(arguments)
    for line in lines:
        say(line)
    if arguments.json is not None:
        from trainer.runs import write

        write(arguments.json, json.dumps(found, indent=1, allow_nan=False) + "\n")
    return 0


def _measured(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from trainer import metrics
    from trainer.predictions import read

    lines = _labelled(arguments.file, read(arguments.file), arguments.among)
    if arguments.other is None:
        found = metrics.report(lines)
        return found, metrics.sentences(found)
    others = _labelled(arguments.other, read(arguments.other), arguments.among)
    found = metrics.contrast(lines, others)
    return found, metrics.contrasted(found)


def _recognised(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    from trainer.metrics.analyses import recognised
    from trainer.predictions import read

    files = {}
    for text in arguments.recognised:
        name, sign, file = text.partition("=")
        if not sign or name in files:
            raise UserError(
                f"--recognised has '{text}'; TRAIN/TEST=FILE was wanted, each of "
                f"{', '.join(recognised.CELLS)} once at most."
            )
        files[name] = read(Path(file))
    texts = None
    if arguments.texts:
        table, given, asr = arguments.texts
        texts = recognised.read_texts(Path(table), given, asr)
    found = recognised.grid(files, texts)
    return found, [recognised.ABOUT, *recognised.sentences(found)]


def _labelled(file: Path, lines: list[Any], begin: str) -> list[Any]:
    lines = [one for one in lines if one.dialogue.startswith(begin)]
    if begin and not lines:
        raise UserError(f"{file} has no dialogue whose name begins with '{begin}'; name another.")
    if not any(one.label is not None or one.wanted for one in lines):
        raise UserError(
            f"{file} has {len(lines)} predictions and no label among them; there is nothing to "
            "measure them by."
        )
    return lines
