"""What the two command lines share: flags for settings, what is said, how a call ends.

Exit codes: 0 everything was done, 1 some of it was not, 2 the call itself was wrong, 130 stopped,
141 nobody reads what is said.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from erc_demo.errors import UserError
from erc_demo.settings import Settings


def add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Flags for some of the settings, with the help that each setting carries."""
    known = {one.name: one for one in fields(Settings)}
    for name in names:
        one = known[name]
        flag = f"--{name.replace('_', '-')}"
        if one.type == "bool":
            parser.add_argument(flag, action="store_true", default=None, help=one.metadata["help"])
        else:
            parser.add_argument(
                flag,
                default=None,
                metavar=name.upper(),
                help=one.metadata["help"],
                choices=one.metadata.get("choices"),
            )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="TOML file with any of the settings"
    )


def gather(arguments: argparse.Namespace) -> Settings:
    """Settings from the call's file, the environment and the call's flags."""
    names = {one.name for one in fields(Settings)}
    flags = {name: value for name, value in vars(arguments).items() if name in names}
    return Settings.gather(arguments.settings, os.environ, flags)


def say(line: object) -> None:
    """Print a line at once; where nobody reads any more (``| head``) end as SIGPIPE would."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + 13)


def answer(parser: argparse.ArgumentParser, call: Sequence[str] | None) -> int:
    """Parse, run, and turn what a person can mend into one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal can't show is no failure
            stream.reconfigure(errors="backslashreplace")
    arguments = parser.parse_args(call)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidy up as after Ctrl-C
        code: int = arguments.run(arguments)
        return code
    except UserError as exc:
        print(f"{parser.prog}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped; what was finished is kept.", file=sys.stderr)
        return 130
