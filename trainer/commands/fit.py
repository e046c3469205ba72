"""Train a system on a corpus.

A run folder is left behind: the plan, a checkpoint of each fold and seed, predictions, metrics.
The same command runs on a CPU or a GPU; several processes train together when it is started by
`accelerate launch -m trainer fit …` or `torchrun --nproc-per-node N -m trainer fit …`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from erc_demo.terminal import add_settings, gather, say
from trainer.commands import _plan

SETTINGS = ("device", "jobs", "offline", "cache_mb")
COLUMNS = ("label_column", "text_column", "split_column")  # of a plan, which `evaluate` knows too


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    _plan.add_plan(parser)
    parser.add_argument("--out", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--resume", action="store_true", help="go on with a run that was stopped or killed"
    )
    parser.add_argument("--options", action="store_true", help="list what --set can say, and stop")
    add_settings(parser, *SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Train, and say what came of it."""
    from erc_demo.errors import UserError

    if arguments.options:
        _list(arguments.what)
        return 0
    plan = _plan.gather_plan(arguments)
    if arguments.out is None:
        raise UserError("--out is missing; name a new folder for the run.")
    settings = gather(arguments)
    from trainer.fit import fit

    bar = Bar()
    with bar:
        fit(plan, arguments.out, settings, resume=arguments.resume, tell=bar.tell)
    if int(os.environ.get("RANK", "0")) == 0:
        for line in told(arguments.out):
            say(line)
    return 0


def told(out: Path) -> list[str]:
    """What a run came to, a line each."""
    import json

    from trainer.runs import read

    file = out / "metrics.json"
    if not file.is_file():
        plan = read(out / "plan.toml")
        columns = [("--" + one.replace("_", "-"), plan[one]) for one in COLUMNS if plan.get(one)]
        where = [part for pair in (("--data", plan["data"]), *columns) for part in pair]
        call = shlex.join(["evaluate", str(out), *where, "--split", "test"])
        return [
            f"The run is in {out}. Nothing is reported yet, and what selection saw is no result; "
            f"the test part is opened by `python -m trainer {call}`."
        ]
    from trainer.metrics.described import NAMES

    found = json.loads(file.read_text(encoding="utf-8"))
    lines = [
        f"Reported on {found['reported']}, {found['n']} labelled turns; in brackets, where 95 % of "
        "the draws lie when dialogues are drawn anew:"
    ]
    for kind, measures in (("", found["measures"]), ("published", found.get("published", {}))):
        if kind and measures:
            lines.append("As published, by the epoch that is best on what is reported; not honest:")
        for name, one in measures.items():
            spread = (
                "" if one["sd"] is None else f" ± {one['sd']:.4f} over {len(one['each'])} seeds"
            )
            drawn = "" if one["low"] is None else f" [{one['low']:.4f}, {one['high']:.4f}]"
            lines.append(f"  {NAMES[name]:<11} {one['mean']:.4f}{spread}{drawn}")
    return [*lines, f"The run is in {out}."]


def _list(system: str) -> None:
    from erc_demo import plugs
    from trainer.runs import TABLES, Plan

    options = [one for one in fields(Plan) if one.name not in TABLES]
    say("A plan's own options:")
    for one in options:
        say(f"  {one.name} = {one.default!r}: {one.metadata['help']}")
    if system in plugs.names("erc_demo.systems"):
        say(f"Settings of {system}:")
        for one in fields(plugs.load("erc_demo.systems", system).Config):
            say(f"  {one.name} = {one.default!r}: {one.metadata['help']}")


class Bar:
    """A progress bar of epochs on a terminal; a line for each epoch in a pipe."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.part = ""

    def __enter__(self) -> Bar:
        return self

    def tell(self, event: dict[str, Any]) -> None:
        """Show what happened."""
        if "remark" in event:
            self._say(f"note: {event['remark']}")
            return
        if "resumed" in event:
            self._say(f"{event['part']}: goes on after {event['resumed']} epochs.")
            return
        scores = {name: f"{one:.4f}" for name, one in event.get("select", {}).items()}
        if not sys.stderr.isatty():
            shown = ", ".join(f"{name} {one}" for name, one in scores.items())
            self._say(
                f"{event['part']} {event['phase']} {event['stage']} epoch {event['epoch']}: loss "
                f"{event['loss']:.4f}{'; selection ' if shown else ''}{shown} "
                f"({event['seconds']:.1f} s)"
            )
            return
        from tqdm import tqdm

        name = f"{event['part']} {event['phase']} {event['stage']}"
        if name != self.part:
            self.__exit__()
            self.part = name
            self.bar = tqdm(total=event["of"], unit="epoch", desc=name, initial=event["epoch"] - 1)
        self.bar.set_postfix({"training": f"{event['loss']:.4f}", **scores}, refresh=False)
        self.bar.update()

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
