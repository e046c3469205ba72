"""The trainer's command line: ``python -m trainer extract | voices | language``.

``extract`` makes the features of a corpus, once; the other two rebuild what the first steps of an
analysis ship with. Exit codes: 0 everything was done, 1 some of it was not, 2 the call itself was
wrong, 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, answer, gather, say

if TYPE_CHECKING:
    from trainer.datasets import Item

SETTINGS = ("jobs", "device", "offline", "cache_mb", "max_hours", "max_upload_mb", "decode_seconds")


def build() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(prog="trainer", description=sys.modules[__name__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("extract", help="make the features of a corpus, once")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--data",
        dest="corpus",
        type=Path,
        metavar="PATH",
        help="a folder of recordings with transcripts beside them, or a table (.csv) of dialogues",
    )
    what.add_argument(
        "--list",
        action="store_true",
        help="say what features there are (or those of --features are), and stop",
    )
    one.add_argument(
        "--features",
        nargs="+",
        metavar="SPEC",
        help="names with options, as gemaps47 or is10:speaker_norm=both",
    )
    one.add_argument("--out", type=Path, metavar="DIR", help="also write them there as .npz files")
    one.add_argument(
        "--remarks",
        type=Path,
        metavar="FILE",
        help="write there, as CSV, which turns were odd, and why",
    )
    one.add_argument(
        "--whole",
        action="store_true",
        help="a recording without a transcript is one turn of one speaker",
    )
    one.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run on a Dask cluster: tcp://127.0.0.1:PORT or tls://HOST:PORT",
    )
    one.add_argument(
        "--cache",
        dest="data",
        metavar="DIR",
        help="keep results in DIR/cache; the setting 'data' (on a cluster: one that all share)",
    )
    add_settings(one, *SETTINGS)
    one.set_defaults(run=extract)

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


def extract(arguments: argparse.Namespace) -> int:
    """Each dialogue for itself: one broken file does not stop the others."""
    from erc_demo import features
    from trainer import extract as extraction
    from trainer import summary
    from trainer.datasets import folder

    settings = gather(arguments)
    specs = tuple(dict.fromkeys(features.parse(text) for text in arguments.features or ()))
    if arguments.list:
        for line in summary.listing(settings, specs):
            say(line)
        return 0
    if not specs:
        raise UserError(
            f"--features names none; choose from {', '.join(features.names())} "
            "('python -m trainer extract --list' says what they are)."
        )
    corpus = folder.find(arguments.corpus)
    for remark in corpus.remarks:
        say(f"note: {remark}")
    task = extraction.Task(
        specs=specs,
        settings=replace(settings, data=settings.data.absolute()),  # as workers elsewhere see it
        out=arguments.out and arguments.out.absolute(),
        remarks=arguments.remarks and arguments.remarks.resolve(),
        whole=arguments.whole,
    )
    with _Bar(len(corpus.items)) as bar:
        tally, failures = extraction.extract(corpus, task, address=arguments.cluster, tell=bar.tell)
    for item, exc in failures:
        if not isinstance(exc, UserError):  # a bug: said with all its lines
            traceback.print_exception(exc)
            exc = UserError("By a fault of this program; its trace is above.")
        say(f"{item.name}: not done. {exc}")
    for line in summary.lines(corpus, task, tally):
        say(line)
    if task.remarks is not None:
        say(summary.write_remarks(task.remarks, tally))
    return 1 if failures or (tally.lost and task.out is None) else 0


class _Bar:
    """A progress bar on a terminal; silence in a pipe."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.bar: Any = None

    def __enter__(self) -> _Bar:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit="dialogue", leave=False, smoothing=0)
        return self

    def tell(self, item: Item) -> None:
        """Show that one more is done."""
        if self.bar is not None:
            self.bar.set_postfix_str(item.name, refresh=False)
            self.bar.update()

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()


def voices(arguments: argparse.Namespace) -> int:
    """Write the embedded speaker encoder, or the space of its vectors."""
    from trainer.voices import convert, installed, space

    if arguments.space is not None:
        say(space(arguments.space, arguments.out))
    else:
        say(convert(arguments.source or installed(), arguments.out))
    return 0


def language(arguments: argparse.Namespace) -> int:
    """Write the embedded language model, or the mapping that widens telephone sound."""
    from trainer.language import bands
    from trainer.language import build as build_model

    made = bands if arguments.bands else build_model
    for what, number in made(arguments.texts, arguments.out).items():
        say(f"{what}: {number:g}")
    return 0


def main(call: Sequence[str] | None = None) -> int:
    """Answer a call."""
    return answer(build(), call)


if __name__ == "__main__":
    sys.exit(main())
