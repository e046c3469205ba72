"""Put a checkpoint on the Hugging Face Hub, private unless told otherwise."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from erc_demo.errors import UserError
from erc_demo.terminal import say


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="a checkpoint, or a run with checkpoint/"
    )
    parser.add_argument("repo", metavar="REPO", help="OWNER/NAME on the Hub")
    parser.add_argument(
        "--public", action="store_true", help="everybody may see it; asked about once more"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, and stop")
    parser.add_argument(
        "--benchmark",
        default="",
        metavar="OWNER/DATASET[:TASK]",
        help="the Hub's dataset that .eval_results names (default: REPO's owner and the label set)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Pack, ask, send."""
    from trainer.push import pack, send

    parcel = pack(
        arguments.folder, arguments.repo, benchmark=arguments.benchmark, public=arguments.public
    )
    if arguments.dry_run:
        kind = "public" if parcel.public else "private"
        say(f"To {parcel.repo} ({kind}) would go, in one commit: {', '.join(parcel.paths)}.")
        for path in parcel.paths:
            if not path.endswith((".json", ".safetensors")):  # those lie in the folder
                say(f"\n==> {path}\n{parcel.texts[path].rstrip()}")
        return 0
    if parcel.public and not arguments.yes and not _agreed(parcel.repo):
        say("Nothing was sent.")
        return 1
    say(f"Sent: {send(parcel)}")
    return 0


def _agreed(repo: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError(
            f"--public would show {repo} to everybody, and there is no terminal to ask at; add "
            "--yes if that is meant."
        )
    say(f"Everybody will be able to see and download {repo}. Do the terms of its data allow that?")
    return input("Type yes to go on: ").strip().lower() == "yes"
