"""How many words the recogniser gets wrong when it is told the turns, and how long it takes.

    python -m benchmarks.words CALLS_FOLDER [--recognizer pocketsphinx] [--jobs 2] [--only NAME]

CALLS_FOLDER holds `SOURCE/NAME.flac|ogg` beside `NAME.words.json` or `NAME.turns.json`. Every turn
is heard on its speaker's own channel where there are two. Word error rate over each recording's
turns in order, lower-case, punctuation stripped, numbers spelled out on both sides. The last column
counts all processes together, in seconds of processor a second of sound; half of it is what two
idle cores would take.

What was tuned on what: the language model's mixing weight and pruning, the band extension and the
alignment's score limits were chosen on spokenwoz/SNG0072, spokenwoz/MUL1423 and
libri-stitched/libri_1998_3080 (the limits on libri_367_2609 too); the others were looked at once.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo import recording, words
from erc_demo.dialogue import Dialogue, Recording, Span, Turn
from erc_demo.score import word_error_rate
from erc_demo.settings import Settings
from erc_demo.words.spelling import spoken

JOIN = 0.5  # s; words of one speaker closer than this are one turn
TUNED = ("SNG0072", "MUL1423", "libri_1998_3080")


def reference(stem: Path) -> list[dict[str, Any]]:
    """Turns with speaker, start, end and text, in order of time."""
    rows = stem.with_name(stem.name + ".turns.json")
    if rows.is_file():
        turns: list[dict[str, Any]] = json.loads(rows.read_text(encoding="utf-8"))
        return sorted(turns, key=lambda turn: float(turn["start"]))
    loose = json.loads(stem.with_name(stem.name + ".words.json").read_text(encoding="utf-8"))
    turns = []
    for word in sorted(loose, key=lambda word: (word["speaker"], word["start"])):
        last = turns[-1] if turns else None
        if last and last["speaker"] == word["speaker"] and word["start"] - last["end"] < JOIN:
            last["end"] = max(last["end"], word["end"])
            last["text"] += " " + word["word"]
        else:
            turns.append(
                {key: word[key] for key in ("speaker", "start", "end")} | {"text": word["word"]}
            )
    return sorted(turns, key=lambda turn: float(turn["start"]))


def channels(sound: Recording, turns: list[dict[str, Any]]) -> dict[str, int | None]:
    """Each speaker's own channel: the pairing in which they are loudest against each other."""
    people = sorted({turn["speaker"] for turn in turns})
    if sound.channels != len(people):
        return dict.fromkeys(people)

    def level(person: str, channel: int) -> float:
        parts = [
            sound.sound(Span(turn["start"], turn["end"]), channel)
            for turn in turns
            if turn["speaker"] == person
        ]
        return float(np.mean([np.log(np.square(part).mean() + 1e-9) for part in parts]))

    best = max(
        permutations(range(sound.channels)),
        key=lambda order: sum(level(person, at) for person, at in zip(people, order, strict=True)),
    )
    return dict(zip(people, best, strict=True))


def normal(text: str) -> list[str]:
    """Words as they are compared."""
    return [word for token in text.split() for word in spoken(token)]


def processor() -> float:
    """Seconds of processor that this process and those it ended have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> None:
    """Hear every call, print a row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", type=Path)
    parser.add_argument("--recognizer", default="pocketsphinx")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="recordings whose path holds this")
    given = parser.parse_args()
    settings = Settings(recognizer=given.recognizer, jobs=given.jobs, offline=True, language="en")
    print(f"{words.choose(settings)}, {given.jobs} processes")
    print("recording                                  words    WER  × real time   processor")
    for file in sorted(given.calls.glob("*/*.*")):
        stem = file.with_suffix("")
        texts = [stem.with_name(f"{stem.name}.{kind}.json") for kind in ("words", "turns")]
        if file.suffix not in (".flac", ".ogg") or given.only not in str(file):
            continue
        if not any(text.is_file() for text in texts):
            continue
        with tempfile.TemporaryDirectory() as folder:
            sound = recording.read(file, Path(folder), settings)
            turns = reference(stem)
            lanes = channels(sound, turns)
            dialogue = Dialogue(
                name=stem.name,
                turns=tuple(
                    Turn(
                        number=number,
                        speaker=turn["speaker"],
                        span=Span(turn["start"], min(turn["end"], sound.duration)),
                        channel=lanes[turn["speaker"]],
                    )
                    for number, turn in enumerate(turns)
                ),
                duration=sound.duration,
            )
            began, before = time.perf_counter(), processor()
            heard = words.hear(sound, dialogue, settings)
            seconds, busy = time.perf_counter() - began, processor() - before
        wanted = [word for turn in turns for word in normal(turn["text"])]
        found = [word for turn in heard.turns for word in normal(turn.text)]
        errors = word_error_rate(" ".join(wanted), " ".join(found))
        label = f"{file.parent.name}/{stem.name}{' (tuned on)' if stem.name in TUNED else ''}"
        print(
            f"{label:42} {errors.total:5} {errors.errors / errors.total:6.3f} "
            f"{seconds / sound.duration:12.2f} {busy / sound.duration:11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
