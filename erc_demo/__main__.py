"""The command line: ``python -m erc_demo transcribe | analyze | systems | score | doctor``."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erc_demo import plugs
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.terminal import add_settings, answer, gather, say

if TYPE_CHECKING:
    from erc_demo.cache import Cache
    from erc_demo.dialogue import Dialogue, Recording
    from erc_demo.findings import Analysis
    from erc_demo.guests import Guest
    from erc_demo.systems import System

STEP_WORDS = {
    "ask": "asking the Hub",
    "fetch": "fetching the checkpoint",
    "read": "reading",
    "listen": "listening for speech and voices",
    "turns": "finding who spoke when",
    "words": "hearing the words",
    "features": "measuring voice and words",
    "systems": "asking the systems",
    "guests": "asking the guests",
    "explain": "asking what if",
}
HEARD = ("speakers", "channels", "recognizer", "language", "voices", "offline", "jobs")
LIMITS = ("data", "cache_mb", "max_hours", "max_channels", "max_upload_mb", "decode_seconds")
UNTRAINED = "untrained: random weights, so no label, number or map of these systems means anything"


def build() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(prog="erc_demo", description=sys.modules[__name__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "transcribe", help="recordings → who spoke when, and every word at its time"
    )
    _add_recordings(one)
    add_settings(one, *HEARD, *LIMITS)
    one.set_defaults(run=transcribe)

    one = commands.add_parser(
        "analyze",
        help="the same, and which emotion each turn carries according to each system, and why",
        epilog=f"Systems: {', '.join(plugs.names('erc_demo.systems'))}.",
    )
    _add_recordings(one)
    one.add_argument(
        "--untrained",
        action="store_true",
        help="also run systems that have no trained checkpoint: shows the shape of their maps; "
        "every number is random and marked so",
    )
    one.add_argument(
        "--sample",
        type=_count,
        default=24,
        metavar="N",
        help="turns of which each word, stretch of sound and earlier turn is taken away to see "
        "what it did (default: 24); inputs, partner and past are taken away from all",
    )
    add_settings(one, "systems", "guests", "labels", "context", "device", *HEARD, *LIMITS)
    one.set_defaults(run=analyze)

    one = commands.add_parser(
        "systems", help="which systems there are; with names, all that each can be told"
    )
    one.add_argument("names", nargs="*", metavar="SYSTEM", help="default: a line on each")
    add_settings(one)
    one.set_defaults(run=list_systems)

    one = commands.add_parser("score", help="compare a hypothesis with a reference: DER and WER")
    one.add_argument("--reference", type=Path, required=True, metavar="FILE")
    one.add_argument("--hypothesis", type=Path, required=True, metavar="FILE")
    one.set_defaults(run=score)

    one = commands.add_parser("doctor", help="what is installed, what is missing, what is used")
    add_settings(one, "recognizer", "voices", "offline", "data")
    one.set_defaults(run=doctor)
    return parser


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audio or video files")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: here")
    parser.add_argument(
        "--to",
        default="json",
        metavar="FORMATS",
        help=f"comma-separated: {', '.join(plugs.names('erc_demo.formats'))} (default: json)",
    )
    parser.add_argument(
        "--transcript",
        type=Path,
        metavar="FILE",
        help="what was said, in any of these formats; its words are laid over the sound",
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return int(text)


def transcribe(arguments: argparse.Namespace) -> int:
    """Turns and words of each file."""

    def one(file: Path, call: _Call) -> Analysis:
        with call.job("transcribe-", file) as (folder, bar):
            return call.heard(file, folder, bar)[0]

    return _each(_Call.read(arguments), one)


def analyze(arguments: argparse.Namespace) -> int:
    """Turns, words, and what each system says of each turn."""
    call = _Call.read(arguments)
    asked = _systems(call.settings, arguments.untrained)
    guests = _guests(call.settings)

    def one(file: Path, call: _Call) -> Analysis:
        from erc_demo.analysis import ask

        with call.job("analyze-", file) as (folder, bar):
            heard, recording = call.heard(file, folder, bar)
            return ask(
                heard,
                recording,
                asked,
                call.settings,
                guests=guests,
                sample=arguments.sample,
                cache=call.cache,
                tell=bar.tell,
            )

    code = _each(call, one)
    for line in _terms(asked):
        say(line)
    return code


def _terms(asked: Sequence[tuple[System, str, bool]]) -> list[str]:
    """Who may use the numbers that these systems read, where a licence restricts it."""
    from erc_demo.features import parse

    texts = {text for system, _, _ in asked for text in system.design.features}
    under: dict[str, list[str]] = {}
    for name in sorted({parse(text).name for text in texts}):
        if terms := plugs.load("erc_demo.features", name).TERMS:
            under.setdefault(terms, []).append(name)
    return [f"Terms of {', '.join(names)}: {terms}" for terms, names in under.items()]


def list_systems(arguments: argparse.Namespace) -> int:
    """A line on each system, or the cards of some."""
    from erc_demo import checkpoint, systems

    gather(arguments)
    if not arguments.names:
        for name in systems.names():
            trained = "trained" if checkpoint.find(name) else "no trained checkpoint yet"
            say(f"{systems.line(name)} ({trained})")
    for place, name in enumerate(arguments.names):
        if place:
            say("")
        for line in systems.card(name):
            say(line)
    return 0


def _systems(settings: Settings, untrained: bool) -> list[tuple[System, str, bool]]:
    """Who is asked: each system, what made it, and whether it was trained."""
    from erc_demo import checkpoint, systems
    from erc_demo.emotions import label_set

    label_set(settings.labels)
    known = systems.names()
    everyone = settings.systems.strip() == "all"
    if settings.systems.strip() == "none" and settings.guests.strip(" ,"):
        return []
    wanted = [one.strip() for one in settings.systems.split(",") if one.strip()]
    wanted = list(dict.fromkeys(known if everyone else wanted))
    if not wanted:
        raise UserError(f"systems names nobody; all, or some of {', '.join(known)} was wanted.")
    found, without = [], []
    for ref in wanted:
        if ref in known and checkpoint.find(ref) is None:
            without.append(ref)
            if untrained:
                found.append((_untrained(ref, settings), "untrained", False))
            continue
        with _Bar(ref) as bar:
            made = checkpoint.load(ref, settings, bar.tell)
        for notice in made.notices:
            say(f"note: {notice}")
        own = systems.spoken(made.system, settings.labels)
        if own is not None and own.name != settings.labels:
            say(f"note: {made.name} was not taught {settings.labels}; it says {own.name}.")
        found.append((made.system, made.made_by, True))
    if without and not untrained:
        have = "has" if len(without) == 1 else "have"
        raise UserError(
            f"{', '.join(without)} {have} no trained checkpoint here, and what an untrained system "
            "says means nothing; name a checkpoint's folder with --systems, or ask for the maps "
            "alone with --untrained."
        )
    return found


def _guests(settings: Settings) -> list[Guest]:
    """Models from elsewhere that are asked beside the systems."""
    if not settings.guests.strip(" ,"):
        return []  # what they need is slow to import
    from erc_demo import guests

    return [guests.load(ref, settings) for ref in guests.named(settings.guests)]


def _untrained(name: str, settings: Settings) -> System:
    from erc_demo import checkpoint, systems

    plan = systems.design(
        name,
        widths=checkpoint.widths(systems.inputs(name, embedded=True), settings),
        embedded=True,
        labels=(settings.labels,),
        dimensions=("valence", "arousal", "dominance"),
    )
    return systems.build(plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What a call says of the recordings it names, checked before the first is opened."""

    arguments: argparse.Namespace
    settings: Settings
    wanted: list[str]  # formats
    transcript: Dialogue | None
    cache: Cache

    @classmethod
    def read(cls, arguments: argparse.Namespace) -> _Call:
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
                    f"call {arguments.command} once for each recording that has one."
                )
            transcript = formats.load(arguments.transcript)
        _refuse_clashes(arguments, suffixes)
        if transcript is None:
            words.choose(settings)  # a wrong name is said before anything is heard
        voices.load(settings.voices, settings)
        return cls(
            arguments=arguments,
            settings=settings,
            wanted=wanted,
            transcript=transcript,
            cache=Cache(settings.data / "cache", settings.cache_mb),
        )

    def heard(self, file: Path, folder: Path, bar: _Bar) -> tuple[Analysis, Recording]:
        """Turns and words of one file, and its sound, which lies in the folder."""
        from erc_demo.analysis import analyse

        return analyse(
            file,
            folder,
            self.settings,
            transcript=self.transcript,
            cache=self.cache,
            tell=bar.tell,
        )

    @contextmanager
    def job(self, prefix: str, file: Path) -> Iterator[tuple[Path, _Bar]]:
        """A folder for decoded sound, and a progress bar."""
        from erc_demo import scratch

        with scratch.folder(self.settings.data / "jobs", prefix) as folder, _Bar(file.name) as bar:
            yield folder, bar


def _each(call: _Call, one: Callable[[Path, _Call], Analysis]) -> int:
    """Each file for itself: one bad file does not stop the others."""
    from erc_demo import formats

    arguments = call.arguments
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UserError(f"The folder {arguments.out} can't be made: {exc.strerror}.") from exc
    failed = 0
    for file in arguments.files:
        try:
            analysis = one(file, call)
            formats.export(analysis, arguments.out, call.wanted)
            say(f"{file}: {_said(analysis)}")
            for line in _answers(analysis):
                say(f"  {line}")
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


def _answers(analysis: Analysis) -> list[str]:
    """A line on what each system said: of how many turns, which labels, which mean values."""
    lines = []
    for one in analysis.predictions:
        line = f"{one.system} ({one.made_by}): {int(one.answered.sum())} of {one.turns} turns"
        labels = Counter(filter(None, map(one.label, range(one.turns)))).most_common()
        said = [f"{label} {count}" for label, count in labels]
        if one.answered.any():
            means = one.values[one.answered].mean(axis=0)
            said += [
                f"{name} {mean:+.2f}" for name, mean in zip(one.dimensions, means, strict=True)
            ]
        if one.trained and one.unsure_below is not None:
            unsure = sum(map(one.unsure, range(one.turns)))
            said += [f"unsure {unsure} (below {one.unsure_below:.2f})"] if unsure else []
        if one.words_ignored:
            said.append(f"without their doubtful words {len(one.words_ignored)}")
        lines.append(f"{line}: {', '.join(said)}" if one.trained and said else line)
    if not all(one.trained for one in analysis.predictions):
        lines.append(f"{UNTRAINED}.")
    return lines


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
                f"rename one, or call {arguments.command} twice with two --out folders."
            )
        for suffix in suffixes:
            target = arguments.out / f"{name}{suffix}"
            if target.resolve() in inputs:
                raise UserError(
                    f"{target} is what you gave and would be written over; "
                    "name another folder with --out."
                )


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
