"""IEMOCAP in small, in the forms of the release: five sessions of one dialogue, made up."""

from __future__ import annotations

import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

RATE = 16_000
SPOKEN = {
    "neu": "I see.",
    "hap": "That is lovely, thank you!",
    "sad": "He never came back.",
    "ang": "Get out of my house.",
    "exc": "We won, can you believe it?",
    "fru": "I told you three times.",
    "xxx": "Well, maybe.",
}
TICKED = {
    "neu": "Neutral",
    "hap": "Happiness",
    "sad": "Sadness",
    "ang": "Anger",
    "exc": "Excited",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}


@dataclass(kw_only=True)
class Said:
    """One turn as the release's files hold it."""

    name: str
    start: str
    end: str
    text: str
    label: str = ""  # empty: nobody rated it
    means: Sequence[float] = (3.0, 3.0, 3.0)
    ticks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ratings: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    segments: Sequence[tuple[int, int, str]] = ()  # first and last frame, word


def make(folder: Path) -> str:
    """Five sessions; the labels go round, so that each session has each of them."""
    labels = list(SPOKEN)
    for session in range(1, 6):
        dialogue = f"Ses0{session}{'FM'[session % 2]}_impro01"
        said = [
            _turn(dialogue, at, labels[(at + session) % len(labels)]) for at in range(len(labels))
        ]
        write(folder, dialogue, said, seconds=2 * len(said) + 1)
    return str(folder)


def _turn(dialogue: str, at: int, label: str) -> Said:
    text, start = SPOKEN[label], 2 * at + 0.5
    words = text.upper().replace(",", "").rstrip(".?!").split()
    step = 150 // len(words)
    tick = TICKED.get(label)
    return Said(
        name=f"{dialogue}_{'FM'[at % 2]}{at // 2:03d}",
        start=f"{start:08.4f}",
        end=f"{start + 1.6:08.4f}",
        text=text,
        label=label,
        means=(2.5, 3.0, 3.5),
        ticks={"E1": [tick or "Sadness"], "E2": [tick or "Anger"], "E4": [tick or "Neutral"]},
        ratings={"E1": (2, 3, 3), "E3": (3, 3, 4)},
        segments=[(step * one, step * (one + 1) - 1, word) for one, word in enumerate(words)],
    )


def write(folder: Path, dialogue: str, said: Sequence[Said | str], seconds: float = 0) -> None:
    """One dialogue's files; a string among the turns is a line of the transcript as it stands."""
    session = folder / f"Session{dialogue[4]}"
    turns = [one for one in said if isinstance(one, Said)]
    _put(
        session / "dialog" / "transcriptions" / f"{dialogue}.txt",
        [
            one if isinstance(one, str) else f"{one.name} [{one.start}-{one.end}]: {one.text}"
            for one in said
        ],
    )
    rows = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for one in turns:
        if one.label:
            rows += [*_rated(one), ""]
    _put(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", rows)
    for one in turns:
        if one.segments:
            _put(
                session / "sentences" / "ForcedAlignment" / dialogue / f"{one.name}.wdseg",
                [
                    "\t SFrm  EFrm    SegAScr Word",
                    *(f"\t{first:5d} {last:5d} {-7000:10d} {word}"
                      for first, last, word in one.segments),
                    " Total score:    -123456",
                ],
            )  # fmt: skip
    if seconds:
        sound(session / "dialog" / "wav" / f"{dialogue}.wav", seconds, channels=2)


def _rated(one: Said) -> list[str]:
    means = ", ".join(f"{mean:.4f}" for mean in one.means)
    times = f"[{float(one.start):.4f} - {float(one.end):.4f}]"
    rows = [f"{times}\t{one.name}\t{one.label}\t[{means}]"]
    rows += [f"C-{who}:\t{' '.join(f'{tick};' for tick in ticks)}\t()"
             for who, ticks in one.ticks.items()]  # fmt: skip
    for who, (valence, activation, dominance) in one.ratings.items():
        told = "" if dominance is None else dominance
        rows.append(f"A-{who}:\tval {valence}; act {activation}; dom  {told};\t()")
    return rows


def sound(file: Path, seconds: float, channels: int = 1) -> None:
    """A quiet hum."""
    file.parent.mkdir(parents=True, exist_ok=True)
    moments = np.arange(round(seconds * RATE)) / RATE
    hum = (3000 * np.sin(2 * np.pi * 150 * moments)).astype("<i2")
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(2)
        opened.setframerate(RATE)
        opened.writeframes(np.repeat(hum, channels).tobytes())


def _put(file: Path, rows: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
