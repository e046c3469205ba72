"""Put a trained checkpoint into its system's place in assets/checkpoints, with its card.

python -m trainer fit trainer/checkpoints/ats_sagru.toml --out runs/ats_sagru
python -m trainer ship runs/ats_sagru

What needs more than the program installs, or is larger than 25 MB, is refused. Its figures are
those that `trainer results record` kept of its system.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.terminal import add_settings, gather, say


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("what", metavar="RUN", help="a run of one fold, or a checkpoint's folder")
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="where it goes (assets/checkpoints of the program)"
    )
    add_settings(parser, "data", "offline")


def run(arguments: argparse.Namespace) -> int:
    """Look it over, write it."""
    from erc_demo.checkpoint import EMBEDDED
    from trainer.ship import ship

    for line in ship(arguments.what, gather(arguments), home=arguments.home or EMBEDDED):
        say(line)
    return 0
