"""The command line: ``python -m erc_demo transcribe | score | doctor``."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erc_demo import plugs
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.terminal import add_settings, answer, gather, say

if TYPE_CHECKING:
    from erc_demo.cache import Cache
    from erc_demo.dialogue import Dialogue
    from erc_demo.findings import Analysis

STEP_WORDS = {
    "read": "reading",
    "listen": "listening for speech and voices",
    "turns": "finding who spoke when",
    "words": "hearing the words",
}


def build() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(prog="erc_demo", description=sys.modules[__name__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "transcribe", help="recordings → who spoke when, and every word at its time"
    )
    one.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audio or video files")
    one.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: here")
    one.add_argument(
        "--to",
        default="json",
        metavar="FORMATS",
        help=f"comma-separated: {', '.join(plugs.names('erc_demo.formats'))} (default: json)",
    )
    one.add_argument(
        "--transcript",
        type=Path,
        metavar="FILE",
        help="what was said, in any of these formats; its words are laid over the sound",
    )
    add_settings(
        one,
        *("speakers", "channels", "recognizer", "language", "voices", "offline", "jobs"),
        *("data", "cache_mb", "max_hours", "max_channels", "max_upload_mb", "decode_seconds"),
    )
    one.set_defaults(run=transcribe)

    one = commands.add_parser("score", help="compare a hypothesis with a reference: DER and WER")
    one.add_argument("--reference", type=Path, required=True, metavar="FILE")
    one.add_argument("--hypothesis", type=Path, required=True, metavar="FILE")
    one.set_defaults(run=score)

    one = commands.add_parser("doctor", help="what is installed, what is missing, what is used")
    add_settings(one, "recognizer", "voices", "offline", "data")
    one.set_defaults(run=doctor)
    return parser


def transcribe(arguments: argparse.Namespace) -> int:
    """Each file for itself: one bad file does not stop the others."""
    from erc_demo import formats, voices, words
    from erc_demo.cache import Cache

    settings = gather(arguments)
    wanted = [name.strip().lower() for name in arguments.to.split(",") if name.strip()]
    if not wanted:
        raise UserError(f"--to names no format; choose from {', '.join(formats.names())}.")
    suffixes = [plugs.load("erc_demo.formats", name).SUFFIX for name in wanted]
    transcript = None
    if arguments.transcript is not None:
        if len(arguments.files) > 1:
            raise UserError(
                f"One transcript was given for {len(arguments.files)} recordings; "
                "call transcribe once for each recording that has one."
            )
        transcript = formats.load(arguments.transcript)
    _refuse_clashes(arguments, suffixes)
    if transcript is None:
        words.choose(settings)  # a wrong name is said before anything is heard
    voices.load(settings.voices, settings)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UserError(f"The folder {arguments.out} can't be made: {exc.strerror}.") from exc

    cache = Cache(settings.data / "cache", settings.cache_mb)
    failed = 0
    for file in arguments.files:
        try:
            analysis = _analyse_one(file, settings, transcript, cache)
            formats.export(analysis, arguments.out, wanted)
            say(f"{file}: {_said(analysis)}")
            for remark in analysis.dialogue.remarks:
                say(f"  note: {remark}")
        except UserError as exc:
            failed += 1
            say(f"{file}: not done. {exc}")
        except Exception:  # a bug: said with all its lines, and the next file's turn
            failed += 1
            traceback.print_exc()
            say(f"{file}: not done, by a fault of this program; its trace is above.")
    done = len(arguments.files) - failed
    if len(arguments.files) > 1 or failed:
        say(f"{done} of {len(arguments.files)} done; files are in {arguments.out.resolve()}")
    return 1 if failed else 0


def _refuse_clashes(arguments: argparse.Namespace, suffixes: Sequence[str]) -> None:
    """Nothing is written over something else: another result, an input."""
    from erc_demo.formats import safe

    given = [*arguments.files, *([arguments.transcript] if arguments.transcript else [])]
    inputs = {path.resolve() for path in given}
    seen: dict[str, Path] = {}
    for file in arguments.files:
        name = safe(file.stem)
        other = seen.setdefault(name.casefold(), file)
        if other is not file:
            raise UserError(
                f"{other} and {file} would both be written as '{name}'; "
                "rename one, or call transcribe twice with two --out folders."
            )
        for suffix in suffixes:
            target = arguments.out / f"{name}{suffix}"
            if target.resolve() in inputs:
                raise UserError(
                    f"{target} is what you gave and would be written over; "
                    "name another folder with --out."
                )


def _analyse_one(
    file: Path, settings: Settings, transcript: Dialogue | None, cache: Cache
) -> Analysis:
    from erc_demo import scratch
    from erc_demo.analysis import analyse

    with scratch.folder(settings.data / "jobs", "transcribe-") as folder, _Bar(file.name) as bar:
        return analyse(file, folder, settings, transcript=transcript, cache=cache, tell=bar.tell)


def _said(analysis: Analysis) -> str:
    dialogue = analysis.dialogue
    words = sum(1 for _ in dialogue.words)
    seconds = sum(step.seconds for step in analysis.steps)
    return (
        f"{dialogue.duration or 0:.1f} s, speakers: {len(dialogue.speakers)}, "
        f"turns: {len(dialogue.turns)}, words: {words} "
        f"({dialogue.recognizer or 'no recogniser'}) in {seconds:.1f} s"
    )


class _Bar:
    """A progress bar on a terminal; silence in a pipe."""

    def __init__(self, name: str) -> None:
        self.name, self.step = name, ""
        self.bar: Any = None

    def __enter__(self) -> _Bar:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=100, leave=False, bar_format="{desc} {bar} {n:.0f} %")
        return self

    def tell(self, step: str, fraction: float) -> None:
        """Show a step's progress."""
        if self.bar is not None:
            if step != self.step:
                self.step = step
                self.bar.set_description_str(f"{self.name}: {STEP_WORDS.get(step, step)}")
            self.bar.n = 100 * fraction
            self.bar.refresh()

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()


def score(arguments: argparse.Namespace) -> int:
    """Print DER, WER and speaker-attributed WER, as far as the two files allow."""
    from erc_demo.score import report

    say(report(arguments.reference, arguments.hypothesis))
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Print a line on each part of this machine."""
    from erc_demo.doctor import report

    say(report(gather(arguments)))
    return 0


def main(call: Sequence[str] | None = None) -> int:
    """Answer a call."""
    return answer(build(), call)


if __name__ == "__main__":
    sys.exit(main())
