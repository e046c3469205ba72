"""Learn anew, by a part of a corpus, how far a checkpoint's chances are to be believed.

A temperature of its chances and the chance below which it is unsure; weights and answers stay. The
result is a new checkpoint in --out, whose record says by which dialogues; take such as it has not
learned from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.terminal import add_settings, gather, say
from trainer.commands.evaluate import SPLITS
from trainer.runs import Plan


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="a system's name, a folder or a Hub repository"
    )
    parser.add_argument(
        "--data", dest="corpus", required=True, metavar="KIND:PATH", help="the corpus"
    )
    parser.add_argument(
        "--labels",
        dest="label_sets",
        nargs="+",
        default=[],
        metavar="SET",
        help="of which label sets (all that the checkpoint says)",
    )
    parser.add_argument(
        "--split", choices=SPLITS, default="validation", help="by which part (validation)"
    )
    for what in ("split", "label", "text"):
        parser.add_argument(
            f"--{what}-column", default="", metavar="NAME", help=f"column of the {what}"
        )
    parser.add_argument(
        "--unsure-cost",
        type=float,
        default=Plan.unsure_cost,
        metavar="COST",
        help=f"what 'unsure' costs, where a wrong answer costs 1 ({Plan.unsure_cost})",
    )
    parser.add_argument(
        "--trust-words",
        type=float,
        metavar="SHARE",
        help="a recogniser's mean confidence below which a turn's words are not read (as it was)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="of the new checkpoint"
    )
    add_settings(parser, "device", "jobs", "offline", "cache_mb")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, and say what came of it."""
    from trainer import calibration
    from trainer.datasets import Ask

    ask = Ask(
        labels=tuple(arguments.label_sets),
        label_column=arguments.label_column,
        text_column=arguments.text_column,
        split_column=arguments.split_column,
    )
    for line in calibration.recalibrate(
        arguments.checkpoint,
        arguments.corpus,
        ask,
        gather(arguments),
        split=arguments.split,
        out=arguments.out,
        cost=arguments.unsure_cost,
        trust_words=arguments.trust_words,
    ):
        say(line)
    return 0
