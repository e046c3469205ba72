"""Build the language model of spoken dialogue."""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "texts",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="corpora: CSV with a column 'text', or plain text; with --bands, wide-band clips",
    )
    parser.add_argument(
        "--bands", action="store_true", help="fit the mapping that widens telephone sound instead"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    """Write the embedded language model, or the mapping that widens telephone sound."""
    from trainer.language import bands
    from trainer.language import build as build_model

    made = bands if arguments.bands else build_model
    for what, number in made(arguments.texts, arguments.out).items():
        say(f"{what}: {number:g}")
    return 0
