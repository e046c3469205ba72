"""Print the results table from the recorded runs; record runs, and judge the papers' claims.

results                          the table; --by fold, gender, speaker or words parts it
results claims                   what the papers claim of their systems, and what is found here
results record RUN… --as NAME    keep what a run says in assets/results/NAME.json
results run NAME…                train what a cell of the tables lacks, and record it; `claims` are
                                 all cells that claims compare, `undecided` those of claims that
                                 more seeds may settle, `table` the rows of the results table
results cells                    the names of all cells, and what is recorded of each

--write FILE puts a table between its two marks in a file (<!-- results --> and <!-- /results -->,
or claims); --check FILE exits 1 where what stands there is another one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, gather, say

SETTINGS = ("device", "jobs", "offline", "cache_mb")


def add(parser: argparse.ArgumentParser) -> None:
    """The flags, and those of each action."""
    _shown(parser, None)
    parser.add_argument(
        "--by", choices=("fold", "gender", "speaker", "words"), help="parted by these"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    one = actions.add_parser("claims", help="the table of the papers' claims")
    _shown(one)
    one = actions.add_parser("record", help="keep what a run says")
    one.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="runs that differ by their seeds, or files of predictions, one a seed",
    )
    one.add_argument("--as", dest="name", required=True, metavar="NAME", help="the record's name")
    one.add_argument(
        "--facts", type=Path, metavar="FILE", help="what predictions are of (TOML, docs/results.md)"
    )
    one.add_argument(
        "--texts",
        nargs=3,
        metavar=("TABLE", "GIVEN", "RECOGNISED"),
        help="a table (.csv) with utt_id and two columns of text, for the word error rate",
    )
    _home(one)
    _again(one)
    one = actions.add_parser("run", help="train what cells lack, and record it")
    one.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="cells (* stands for anything), claims, undecided or table",
    )
    one.add_argument(
        "--data-root", type=Path, required=True, metavar="DIR", help="the folder of the corpora"
    )
    one.add_argument("--out", type=Path, required=True, metavar="DIR", help="runs go there")
    one.add_argument("--runs", type=int, default=3, metavar="N", help="seeds of each cell (3)")
    _home(one)
    _again(one)
    add_settings(one, *SETTINGS)
    one = actions.add_parser("cells", help="the names of all cells")
    _home(one)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for; 1 where a file has another table, or a cell could not be run."""
    return {
        None: _table,
        "claims": _claims,
        "record": _record,
        "run": _run,
        "cells": _cells,
    }[arguments.action](arguments)


# what an action does not say itself is as `results` was told before it
_AS_TOLD = argparse.SUPPRESS


def _shown(parser: argparse.ArgumentParser, default: str | None = _AS_TOLD) -> None:
    _home(parser, default)
    either = parser.add_mutually_exclusive_group()
    for flag, text in (
        ("--write", "put it between the marks there"),
        ("--check", "1 where FILE has another"),
    ):
        either.add_argument(flag, type=Path, default=default, metavar="FILE", help=text)


def _home(parser: argparse.ArgumentParser, default: str | None = _AS_TOLD) -> None:
    parser.add_argument(
        "--records",
        type=Path,
        default=default,
        metavar="DIR",
        help="the folder of records (assets/results of the program)",
    )


def _again(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--again", action="store_true", help="replace what is recorded")


def _found(arguments: argparse.Namespace) -> Any:
    from trainer.results import record

    home = arguments.records or record.HOME
    if arguments.records is not None and home.exists() and not home.is_dir():
        raise UserError(f"{home} is no folder; name the one that holds the records.")
    return record.every(home)


def _table(arguments: argparse.Namespace) -> int:
    from trainer.results import table

    found = _found(arguments)
    if arguments.by is None:
        return _put(arguments, "results", table.markdown(found))
    if arguments.write or arguments.check:
        raise UserError("--write and --check are for the whole table; leave --by away.")
    say(table.words(found) if arguments.by == "words" else table.parted(found, arguments.by))
    return 0


def _claims(arguments: argparse.Namespace) -> int:
    from trainer.results import claims

    return _put(arguments, "claims", claims.markdown(claims.judge(_found(arguments))))


def _put(arguments: argparse.Namespace, mark: str, text: str) -> int:
    from trainer.results import marks

    if arguments.write is not None:
        marks.write(arguments.write, mark, text)
        say(f"{arguments.write} has the table.")
    elif arguments.check is not None:
        if not marks.same(arguments.check, mark, text):
            say(
                f"{arguments.check} has another table than the records make; --write "
                f"{arguments.check} puts it there."
            )
            return 1
    else:
        say(text.rstrip())
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from trainer.results import intake, record

    files = [one for one in arguments.runs if not one.is_dir()]
    if files and (arguments.facts is None or len(files) < len(arguments.runs)):
        raise UserError(
            f"{files[0]} is no folder of a run; predictions are recorded with --facts FILE, which "
            "says what they are of, and runs by themselves."
        )
    if not files and arguments.facts is not None:
        raise UserError("--facts is for files of predictions; a run says itself what it is.")
    wer = intake.word_errors(arguments.runs, arguments.texts) if arguments.texts else None
    if files:
        kept = intake.of_predictions(files, arguments.facts, arguments.name, wer=wer)
    else:
        kept = intake.of_runs(arguments.runs, arguments.name, wer=wer)
    file = kept.write(arguments.records or record.HOME, again=arguments.again)
    say(f"Recorded: {file} ({file.stat().st_size} bytes, {kept.counts.n} labelled turns)")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from trainer.commands.fit import Bar
    from trainer.results import cells
    from trainer.results.fill import fill
    from trainer.results.record import HOME

    if arguments.runs < 1:
        raise UserError(f"--runs is {arguments.runs}; 1 or more was wanted.")
    whole = True
    names = [name for one in arguments.names for name in _meant(one, arguments)]
    with Bar() as bar:
        for one in fill(
            cells.matching(names),
            arguments.data_root,
            arguments.out,
            gather(arguments),
            seeds=arguments.runs,
            home=arguments.records or HOME,
            again=arguments.again,
            tell=bar.tell,
        ):
            say(one.text)
            whole &= one.done
    return 0 if whole else 1


def _meant(name: str, arguments: argparse.Namespace) -> list[str]:
    """The cells of a group, or the name as it is."""
    from trainer.results import cells, claims

    if name in ("claims", "undecided"):
        found = _found(arguments) if name == "undecided" else {}
        return claims.wanted(found, undecided=name == "undecided")
    if name == "table":
        kinds = {(kind, kind) for kind in cells.KINDS}
        return [
            name
            for name, one in cells.every().items()
            if not one.row.only and not one.lacks and (one.learned, one.heard) in kinds
        ]
    return [name]


def _cells(arguments: argparse.Namespace) -> int:
    from trainer.results import cells

    found = _found(arguments)
    for name, one in cells.every().items():
        kept = found.get(name)
        state = one.lacks or "not recorded"
        if kept is not None:
            state = f"recorded, seeds {', '.join(map(str, kept.seeds))}"
        say(f"{name}: {state}")
    return 0
