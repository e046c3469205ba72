"""Search for better options of a plan, by what selection says alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, gather, say
from trainer.commands import _plan

SETTINGS = ("device", "jobs", "offline", "cache_mb")


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    _plan.add_plan(parser)
    parser.add_argument(
        "--space",
        nargs="+",
        required=True,
        metavar="KEY=VALUES",
        help="rate=1e-4..1e-2:log, batch=8,16,32 or a TOML file of the same: options of a plan "
        "and settings of the system",
    )
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="in all (30)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the study's folder")
    parser.add_argument("--resume", action="store_true", help="go on with the study of --out")
    add_settings(parser, *SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """One trial after the other; the best plan is a file that `fit` takes."""
    from trainer import tune
    from trainer.space import space

    if arguments.trials < 1:
        raise UserError(f"--trials is {arguments.trials}; 1 or more was wanted.")
    varied = space(arguments.space)
    # --data and --labels are the plan's here, not the settings' of the same names
    own = {name: getattr(arguments, name) for name in (*SETTINGS, "settings")}
    best = tune.tune(
        _plan.gather_plan(arguments),
        varied,
        arguments.out,
        gather(argparse.Namespace(**own)),
        trials=arguments.trials,
        resume=arguments.resume,
        tell=say,
    )
    say(f"The best plan is {best}; its trials are in {arguments.out / tune.TABLE}.")
    say(f"To train it: python -m trainer fit {best} --out RUN")
    return 0
