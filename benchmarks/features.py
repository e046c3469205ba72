"""What features cost: × the length of the sound, on one process and on two.

    python -m benchmarks.features CALLS_FOLDER [--minutes 60] [--call 10] [--workers 2]

CALLS_FOLDER holds recordings with NAME.rttm beside NAME.flac (or .ogg, .wav), and NAME.words.json
(a list of speaker, word, start, end) where words are known. Long dialogues are made by laying them
one after another, as often as it takes.

The first table is openSMILE's extractors on so many minutes of speech (all turns together): through
the door in this process, through the door in worker processes, and by the loop that a user would
write, ``opensmile.Smile(...).process_signal`` for each turn with each object built once. The three
run back to back for each extractor. The second is every extractor that needs no model by name, on a
call of so many minutes, one after another and then all in one go. Programs and models are loaded
before the clock starts, nothing is cached. MB: private memory at the highest, workers included;
the sound (4 bytes × 16,000 × channels a second) is a part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.analysis import Memory
from erc_demo import features, jobs
from erc_demo import recording as recordings
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn, Word
from erc_demo.errors import UserError
from erc_demo.features._contract import CORPUS
from erc_demo.features.frames45 import STATIC, averaged, delta
from erc_demo.features.gemaps47 import silence
from erc_demo.formats import rttm as lines
from erc_demo.settings import Settings

SETTINGS = Settings(offline=True, cache_mb=0)
WARM = 0.3  # minutes of sound before the clock starts
Call = tuple[Dialogue, Recording]


def calls(folder: Path, job: Path) -> list[Call]:
    """Every recording of the folder that has reference turns, each person on a channel if so."""
    found = []
    for rttm in sorted(folder.glob("*.rttm")):
        sound = next(
            p for p in rttm.parent.glob(f"{rttm.stem}.*") if p.suffix in (".flac", ".ogg", ".wav")
        )
        (job / rttm.stem).mkdir(exist_ok=True)
        recording = recordings.read(sound, job / rttm.stem, SETTINGS)
        dialogue = lines.read(rttm.read_text(encoding="utf-8"), rttm.stem)
        channels = {speaker: place for place, speaker in enumerate(sorted(dialogue.speakers))}
        if recording.channels != len(channels):
            channels = dict.fromkeys(channels)
        file = rttm.with_suffix(".words.json")
        words = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        turns = tuple(
            replace(turn, channel=channels[turn.speaker], **said(turn, words))
            for turn in dialogue.turns
        )
        found.append((replace(dialogue, turns=turns), recording))
    return found


def said(turn: Turn, words: list[dict[str, object]]) -> dict[str, object]:
    """The speaker's words whose middle lies in the turn."""
    assert turn.span is not None
    mine = [
        Word(text=str(one["word"]), span=Span(float(one["start"]), float(one["end"])))
        for one in words
        if one["speaker"] == turn.speaker
        and turn.span.start <= (float(one["start"]) + float(one["end"])) / 2 < turn.span.end
    ]
    mine.sort(key=lambda word: word.span.start)
    return {"text": " ".join(word.text for word in mine), "words": tuple(mine)} if mine else {}


def laid(parts: Sequence[Call], minutes: float, count: Callable[[Call], float]) -> Call:
    """One dialogue of calls one after another, until they hold so many minutes of what counts."""
    turns: list[Turn] = []
    sounds: list[np.ndarray] = []
    begins, filled = 0.0, 0.0
    for dialogue, recording in repeated(parts):
        for turn in dialogue.turns:
            assert turn.span is not None
            words = tuple(replace(word, span=moved(word.span, begins)) for word in turn.words)
            turns.append(
                replace(turn, number=len(turns), span=moved(turn.span, begins), words=words)
            )
        sounds.append(recording.samples)
        begins += recording.duration
        filled += count((dialogue, recording))
        if filled >= 60 * minutes:
            break
    channels = min(len(sound) for sound in sounds)
    samples = np.concatenate([sound[:channels] for sound in sounds], axis=1)
    recording = Recording(name="laid", samples=samples, sha256="laid")
    return Dialogue(name="laid", turns=tuple(turns)), recording


def moved(span: Span, by: float) -> Span:
    """The span so many seconds later."""
    return Span(span.start + by, span.end + by)


def repeated(parts: Sequence[Call]) -> Iterator[Call]:
    while True:
        yield from parts


def speech(call: Call) -> float:
    """Seconds of all turns together."""
    return sum(turn.span.duration for turn in call[0].turns if turn.span is not None)


def length(call: Call) -> float:
    """Seconds from beginning to end."""
    return call[1].duration


# The loop that a user would write, for each extractor of openSMILE.


def plain(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The same numbers of one turn from ``opensmile.Smile``, built once, here."""
    import opensmile

    sets, levels = opensmile.FeatureSet, opensmile.FeatureLevel
    functionals = {"is13": sets.IS13, "is10": sets.IS10, "egemaps88": sets.eGeMAPSv02}
    if name in functionals:
        smile = opensmile.Smile(functionals[name], levels.Functionals)
        return lambda sound: smile.process_signal(sound, RATE).to_numpy()
    if name == "gemaps47":
        with warnings.catch_warnings(action="ignore"):
            smile = opensmile.Smile(sets.eGeMAPSv01a, levels.LowLevelDescriptors)

        def hsf(sound: np.ndarray) -> np.ndarray:
            table = smile.process_signal(sound, RATE)
            return np.concatenate([table.mean(), table.std(), [silence(sound)]])[None]

        return hsf
    smile = opensmile.Smile(sets.IS10, levels.LowLevelDescriptors)

    def frames(sound: np.ndarray) -> np.ndarray:
        static = smile.process_signal(sound, RATE)[list(STATIC)].to_numpy()
        return averaged(np.concatenate([static, delta(static), delta(delta(static))], axis=1), 5)

    return frames


def loop(make: Callable[[np.ndarray], np.ndarray], call: Call) -> None:
    dialogue, recording = call
    for turn in dialogue.turns:
        make(recording.sound(turn.span, turn.channel))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and MB at the highest."""
    with Memory() as memory:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began, memory.peak


EXTRAS = ("prosody8",)  # need more than requirements.txt brings
ACOUSTIC = ("is13", "is10", "egemaps88", "gemaps47", "frames45")


def acoustic(parts: Sequence[Call], minutes: float, workers: int) -> None:
    """The first table."""
    warm, call = laid(parts, WARM, speech), laid(parts, minutes, speech)
    seconds, turns = speech(call), len(call[0].turns)
    print(f"\nopenSMILE on {seconds / 60:.1f} min of speech in {turns} turns, × its length.\n")
    print(f"| extractor | the door, 1 process | the door, {workers} | faster by | plain loop "
          "| 1 process against the loop | MB |")  # fmt: skip
    print("| --- " * 7 + "|")
    total = np.zeros(3)
    with jobs.local(workers) as elsewhere:
        for name in ACOUSTIC:
            make = plain(name)
            loop(make, warm)
            for _ in range(2):  # so that each worker has had a part
                features.extract([name], *warm, SETTINGS, run=elsewhere)
            features.extract([name], *warm, SETTINGS)
            one, _ = timed(lambda name=name: features.extract([name], *call, SETTINGS))
            two, peak = timed(
                lambda name=name: features.extract([name], *call, SETTINGS, run=elsewhere)
            )
            user, _ = timed(lambda make=make: loop(make, call))
            total += one, two, user
            print(row(name, one, two, user, seconds) + f" {peak:.0f} |")
    print(row("all", *total, seconds) + " |")


def row(name: str, one: float, two: float, user: float, seconds: float) -> str:
    return (
        f"| {name} | {one / seconds:.4f} | {two / seconds:.4f} | {one / two:.2f} × "
        f"| {user / seconds:.4f} | {user / one:.2f} × |"
    )


def everything(parts: Sequence[Call], minutes: float, workers: int) -> None:
    """The second table."""
    warm, call = laid(parts, WARM, length), laid(parts, minutes, length)
    names = []
    for name in features.names():
        try:
            if CORPUS not in features.ready(features.parse(name), SETTINGS).hears:
                names.append(name)
        except UserError as exc:
            print(f"left out: {name} ({exc})", file=sys.stderr)
    seconds = length(call)
    print(f"\nEvery extractor that needs no model by name, on a call of {seconds / 60:.1f} min "
          f"with {speech(call) / 60:.1f} min of speech in {len(call[0].turns)} turns, "
          f"{workers} processes.\n")  # fmt: skip
    print("| extractor | seconds | × its length | rows |")
    print("| --- | --- | --- | --- |")
    with jobs.local(workers) as elsewhere:
        for _ in range(2):
            features.extract(names, *warm, SETTINGS, run=elsewhere)
        usual = [name for name in names if name not in EXTRAS]
        every = {name: [name] for name in names} | {"all in one go": usual}
        if usual != names:
            every["the same and " + ", ".join(set(names) - set(usual))] = names
        for title, wanted in every.items():
            found = {}
            took, peak = timed(
                lambda wanted=wanted, found=found: found.update(
                    features.extract(wanted, *call, SETTINGS, run=elsewhere)
                )
            )
            rows = sum(len(one.rows) for one in found.values())
            print(f"| {title} | {took:.2f} | {took / seconds:.4f} | {rows} |")
    print(f"\nAt the highest: {peak:.0f} MB.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", type=Path, metavar="CALLS_FOLDER")
    parser.add_argument("--minutes", type=float, default=60.0, help="of speech; 0: no first table")
    parser.add_argument("--call", type=float, default=10.0, help="minutes; 0: no second table")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        parts = calls(arguments.calls, Path(scratch))
        if not parts:
            sys.exit(f"{arguments.calls} holds no recording with an .rttm beside it.")
        if arguments.minutes:
            acoustic(parts, arguments.minutes, arguments.workers)
        if arguments.call:
            everything(parts, arguments.call, arguments.workers)
    print(f"\n{len(os.sched_getaffinity(0))} cores.")


if __name__ == "__main__":
    main()
