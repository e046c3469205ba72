"""Make the features of a corpus, once."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, gather, say

if TYPE_CHECKING:
    from trainer.datasets import Ask, Item, Listing
    from trainer.extract import Tally, Task

SETTINGS = ("jobs", "device", "offline", "cache_mb", "max_hours", "max_upload_mb", "decode_seconds")


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--data",
        dest="corpus",
        metavar="[KIND:]PATH",
        help="a folder of recordings with transcripts beside them, a table (.csv) of dialogues, or "
        "a corpus by its kind, as table:my_corpus",
    )
    what.add_argument(
        "--list",
        action="store_true",
        help="say what features there are (or those of --features are), and stop",
    )
    parser.add_argument(
        "--features",
        nargs="+",
        metavar="SPEC",
        help="names with options, as gemaps47 or is10:speaker_norm=both",
    )
    parser.add_argument("--text-column", default="", help="which column of a table holds the words")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="also write them there as .npz files"
    )
    parser.add_argument(
        "--remarks",
        type=Path,
        metavar="FILE",
        help="write there, as CSV, which turns were odd, and why",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="a recording without a transcript is one turn of one speaker",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run on a Dask cluster: tcp://127.0.0.1:PORT or tls://HOST:PORT",
    )
    parser.add_argument(
        "--cache",
        dest="data",
        metavar="DIR",
        help="keep results in DIR/cache; the setting 'data' (on a cluster: one that all share)",
    )
    add_settings(parser, *SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Each dialogue for itself: one broken file does not stop the others."""
    from erc_demo import features
    from trainer import extract as extraction
    from trainer import summary
    from trainer.datasets import Ask

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
    task = extraction.Task(
        specs=specs,
        settings=replace(settings, data=settings.data.absolute()),  # as workers elsewhere see it
        out=arguments.out and arguments.out.absolute(),
        remarks=arguments.remarks and arguments.remarks.resolve(),
        whole=arguments.whole,
    )
    ask = Ask(text_column=arguments.text_column)
    codes: list[int] = []
    tallies: list[Tally] = []
    for corpus, wanted in _parts(arguments.corpus, ask, task):
        for remark in corpus.remarks if not codes else ():
            say(f"note: {remark}")
        code, tally = _walk(corpus, wanted, arguments.cluster)
        codes.append(code)
        tallies.append(tally)
    if task.remarks is not None:
        say(summary.write_remarks(task.remarks, extraction.Tally.total(tallies)))
    return max(codes)


def _parts(reference: str, ask: Ask, task: Task) -> Iterator[tuple[Listing, Task]]:
    """What is walked for which features: those of words want no sound to be opened."""
    from erc_demo.features import ready
    from trainer.datasets import folder, listing, names, open_corpus

    kind, sign, _ = reference.partition(":")
    if not sign or kind not in names() or kind == "folder":
        yield folder.walk(Path(reference.removeprefix("folder:"))), task
        return
    corpus = open_corpus(reference, ask, labelled=False)
    words = [one for one in task.specs if ready(one, task.settings).hears == {"words"}]
    rest = [one for one in task.specs if one not in words]
    for specs, sound in ((words, False), (rest, True)):
        if specs:
            yield listing(corpus, sound=sound), replace(task, specs=tuple(specs))


def _walk(corpus: Listing, task: Task, cluster: str | None) -> tuple[int, Tally]:
    """Make, and say what was made."""
    from trainer import extract as extraction
    from trainer import summary

    with _Bar(len(corpus.items)) as bar:
        tally, failures = extraction.extract(corpus, task, address=cluster, tell=bar.tell)
    for item, exc in failures:
        if not isinstance(exc, UserError):  # a bug: said with all its lines
            traceback.print_exception(exc)
            exc = UserError("By a fault of this program; its trace is above.")
        say(f"{item.name}: not done. {exc}")
    for line in summary.lines(corpus, task, tally):
        say(line)
    return (1 if failures or (tally.lost and task.out is None) else 0), tally


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
