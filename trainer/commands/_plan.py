"""The flags of a plan, shared by the commands that train."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from trainer import runs
from trainer.runs import Plan

FLAGS = (
    *("data", "labels", "dimensions", "label_column", "text_column", "split_column"),
    *("shared_speakers", "design", "inputs", "ablation", "init", "protocol", "select_from"),
    *("seed", "runs"),
)
FEATURES, OPTION = "audio=gemaps47+voice", "rate=1e-3"  # as what --reads and --set want looks


def add_plan(parser: argparse.ArgumentParser) -> None:
    """What learns, and all flags."""
    parser.add_argument(
        "what", metavar="SYSTEM|PLAN.toml", help="a system's name, or a plan's file"
    )
    add_flags(parser)


def add_flags(parser: argparse.ArgumentParser, unless: str = "") -> None:
    """From what it learns, judged how; everything else by ``--set``.

    ``unless`` says what holds where a flag is not given; empty: the default of each.
    """
    known = {one.name: one for one in fields(Plan)}
    for name in FLAGS:
        one = known[name]
        more: dict[str, Any] = {"action": "store_true"}
        if one.default is not False:
            more = {"metavar": "KIND:PATH" if name == "data" else name.upper()}
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=f"plan_{name}",  # the program's settings have a 'data' and 'labels' of their own
            default=None,
            help=f"{one.metadata['help']} (default: {unless or _shown(one.default)})",
            **more,
        )
    for flag, shown, text in (
        ("--reads", "INPUT=FEATURES", f"what an input reads instead, as {FEATURES}"),
        ("--set", "KEY=VALUE", "any other option of the plan, or setting of the system"),
    ):
        parser.add_argument(flag, nargs="+", action="extend", default=[], metavar=shown, help=text)


def _shown(default: Any) -> str:
    return "no" if default is False else "none" if default == "" else str(default)


def gather_plan(arguments: argparse.Namespace) -> Plan:
    """The plan that a call asks for: its file, and the flags over it."""
    file = Path(arguments.what)
    if file.suffix != ".toml":
        return Plan.of({"system": arguments.what, **given(arguments)}, "the call")
    kept, flags = runs.read(file), given(arguments)
    reads = {**kept.get("reads", {}), **flags.get("reads", {})}
    return Plan.of({**kept, **flags, "reads": reads}, str(file))


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the flags of a call say of a plan, and nothing that they leave open."""
    flags = {name: getattr(arguments, f"plan_{name}") for name in FLAGS}
    said = {name: value for name, value in flags.items() if value is not None}
    said |= _pairs(arguments.set, "--set", OPTION)
    reads = _pairs(arguments.reads, "--reads", FEATURES)
    if reads:
        said["reads"] = {name: tuple(these.split("+")) for name, these in reads.items()}
    return said


def _pairs(texts: list[str], flag: str, such: str) -> dict[str, str]:
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UserError(f"{flag} has '{text}'; KEY=VALUE was wanted, such as {such}.")
        found[key.strip()] = value.strip()
    return found
