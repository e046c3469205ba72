"""Compare runs: one report, Markdown and HTML, with figures and paired tests."""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folders that `fit` wrote, or files of predictions",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="report.md and report.html go there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, test, write."""
    from trainer.compare import compare

    for file in compare(arguments.runs, arguments.out):
        say(f"Written: {file}")
    return 0
