"""Make a published table again, beside the paper's numbers.

Each row of the table is a run in OUT/rows, as `fit` makes it; OUT/tableN.md and .json have the
paper's numbers, ours, the rivals as quoted, and what differs. Settings are as published unless the
call says otherwise; --design embedded reads what the checkpoints here read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, gather, say
from trainer.commands import _plan

SETTINGS = ("device", "jobs", "offline", "cache_mb")


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("system", nargs="?", metavar="SYSTEM")
    parser.add_argument("--list", action="store_true", help="list all tables with their rows")
    parser.add_argument("--table", type=int, metavar="N", help="the table's number in the paper")
    parser.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="these rows alone")
    parser.add_argument(
        "--corpus",
        default="",
        metavar="NAME",
        help="which rows of a table of several corpora (of the kind of the data, or the first)",
    )
    _plan.add_flags(parser, unless="the recipe's")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where runs and tables go (runs/reproduce/SYSTEM)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep rows that are done, go on with the others"
    )
    add_settings(parser, *SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """1 where a row could not be run."""
    from trainer import recipes

    if arguments.list:
        for recipe in recipes.every():
            if arguments.system in (None, recipe.system):
                say(f"{recipe}: {recipe.title}")
                for row in recipe.rows:
                    numbers = ", ".join(f"{key} {one}" for key, one in row.published.items())
                    say(f"  {row.run}: {row.name} ({numbers})")
        return 0
    for name, flag in (("system", "SYSTEM"), ("table", "--table"), ("plan_data", "--data")):
        if getattr(arguments, name) is None:
            raise UserError(f"{flag} is missing; --list says which tables there are.")
    recipe = recipes.find(arguments.system, arguments.table)
    given = _plan.given(arguments)
    out = arguments.out or Path("runs", "reproduce", arguments.system)
    from trainer.commands.fit import Bar
    from trainer.reproduce import reproduce

    with Bar() as bar:

        def tell(event: dict[str, Any]) -> None:
            if "row" in event:
                say(f"{event['row']}: in {event['folder']}")
            else:
                bar.tell(event)

        table = reproduce(
            recipe,
            given,
            out,
            gather(arguments),
            rows=arguments.rows,
            corpus=arguments.corpus,
            resume=arguments.resume,
            tell=tell,
        )
    say(table.to_markdown())
    say(f"It is in {out / f'table{recipe.table}'}.md and .json.")
    return 0 if table.whole else 1
