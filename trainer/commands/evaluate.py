"""Predict a part of a corpus with a checkpoint, and measure it where there are labels.

CHECKPOINT is an embedded system's name, a folder (a checkpoint's or a run's) or a Hub repository.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.terminal import add_settings, gather, say

SPLITS = ("train", "validation", "test", "all")


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument(
        "--data", dest="corpus", required=True, metavar="KIND:PATH", help="the corpus"
    )
    parser.add_argument(
        "--split", choices=SPLITS, default="all", help="which part of the corpus (all)"
    )
    parser.add_argument("--split-column", default="", metavar="NAME", help="column of the split")
    parser.add_argument("--label-column", default="", metavar="NAME", help="column of the labels")
    parser.add_argument("--text-column", default="", metavar="NAME", help="column of the words")
    parser.add_argument(
        "--labels",
        dest="label_set",
        default="",
        metavar="SET",
        help="label set (the checkpoint's first)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the predictions there, metrics beside them"
    )
    add_settings(parser, "device", "jobs", "offline", "cache_mb")


def run(arguments: argparse.Namespace) -> int:
    """Predict once; a note where the part was learned from, or opened before."""
    from trainer import evaluate
    from trainer.datasets import Ask

    ask = Ask(
        labels=(arguments.label_set,) if arguments.label_set else (),
        label_column=arguments.label_column,
        text_column=arguments.text_column,
        split_column=arguments.split_column,
    )
    for line in evaluate.evaluate(
        arguments.checkpoint,
        arguments.corpus,
        ask,
        gather(arguments),
        split=arguments.split,
        out=arguments.out,
    ):
        say(line)
    return 0
