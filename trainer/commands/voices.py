"""Convert the GE2E speaker encoder's weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="pretrained.pt of the Resemblyzer wheel (default: the installed wheel's)",
    )
    parser.add_argument(
        "--space",
        type=Path,
        metavar="FOLDER",
        help="estimate the space of its vectors instead, on the clips that voices.csv names here",
    )
    parser.add_argument("--out", type=Path, default=Path("assets/voices"), metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Write the embedded speaker encoder, or the space of its vectors."""
    from trainer.voices import convert, installed, space

    if arguments.space is not None:
        say(space(arguments.space, arguments.out))
    else:
        say(convert(arguments.source or installed(), arguments.out))
    return 0
