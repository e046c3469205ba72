"""The trainer's command line: ``python -m trainer COMMAND``, one file of ``commands`` each.

Exit codes: 0 everything was done, 1 some of it was not, 2 the call itself was wrong, 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from erc_demo import plugs
from erc_demo.terminal import answer

PACKAGE = "trainer.commands"


def build() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(prog="trainer", description=sys.modules[__name__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in plugs.names(PACKAGE):
        command = plugs.load(PACKAGE, name)
        summary = str(command.__doc__).partition("\n")[0].rstrip(".")
        one = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add(one)
        one.set_defaults(run=command.run)
    return parser


def main(call: Sequence[str] | None = None) -> int:
    """Answer a call."""
    return answer(build(), call)


if __name__ == "__main__":
    sys.exit(main())
