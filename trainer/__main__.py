"""The trainer's command line: ``python -m trainer COMMAND``.

So far the two commands that rebuild what the first steps of an analysis ship with; fitting the
systems stands on them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from erc_demo.errors import UserError


def build() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(prog="trainer", description=sys.modules[__name__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("voices", help="convert the GE2E speaker encoder's weights")
    one.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="pretrained.pt of the Resemblyzer wheel (default: the installed wheel's)",
    )
    one.add_argument(
        "--space",
        type=Path,
        metavar="FOLDER",
        help="estimate the space of its vectors instead, on the clips that voices.csv names here",
    )
    one.add_argument("--out", type=Path, default=Path("assets/voices"), metavar="DIR")
    one.set_defaults(run=voices)

    one = commands.add_parser("language", help="build the language model of spoken dialogue")
    one.add_argument(
        "texts",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="corpora: CSV with a column 'text', or plain text; with --bands, wide-band clips",
    )
    one.add_argument(
        "--bands", action="store_true", help="fit the mapping that widens telephone sound instead"
    )
    one.add_argument("--out", type=Path, required=True, metavar="FILE")
    one.set_defaults(run=language)
    return parser


def voices(arguments: argparse.Namespace) -> int:
    """Write the embedded speaker encoder, or the space of its vectors."""
    from trainer.voices import convert, installed, space

    if arguments.space is not None:
        print(space(arguments.space, arguments.out))
    else:
        print(convert(arguments.source or installed(), arguments.out))
    return 0


def language(arguments: argparse.Namespace) -> int:
    """Write the embedded language model, or the mapping that widens telephone sound."""
    from trainer.language import bands
    from trainer.language import build as build_model

    made = bands if arguments.bands else build_model
    for what, number in made(arguments.texts, arguments.out).items():
        print(f"{what}: {number:g}")
    return 0


def main(call: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what a person can mend into one sentence."""
    arguments = build().parse_args(call)
    try:
        return arguments.run(arguments)
    except UserError as exc:
        print(f"trainer: {exc}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
