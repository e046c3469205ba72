"""What every extractor keeps to: an Utterance goes in, rows of numbers come out.

An extractor sees one turn at a time and nothing of the others (but for the earlier texts that it
asks for). So rows do not depend on the batch or the process that made them (the last digits of
what multiplies matrices do, by less than 1e-5, and on device and libraries too), an edited
word costs one turn, and the same file serves the page and the trainer. What needs the whole
dialogue, taking a speaker's mean away, is done on the rows, in ``_speaker_norm``.

A number that is not defined for a turn, the pitch of a whisper, is NaN in an extractor's rows; the
door puts 0 and a remark.

A file of this folder holds

- ``ABOUT``: one sentence, what the numbers are; ``TERMS``: one sentence, or empty, on who may use
  them where a licence restricts it;
- ``Options``: a frozen dataclass of plain values with defaults, each with a help text
  (``option(default, help)``);
- ``Extractor(options, settings)``: a class on the one below. Making one may be slow
  and reads what must be read; ``features.ready`` makes each once a process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from erc_demo.dialogue import RATE, Turn
from erc_demo.plugs import option

SOUND, WORDS, SIGHT = "sound", "words", "sight"
CORPUS = "corpus"  # what a recording has not: numbers that came with a corpus
SPEAKER_NORM = ("off", "past", "upload", "both", "mean")
NORM_HELP = (
    "off, past (minus the speaker's mean so far), upload (z-score over the speaker's turns), both "
    "(the raw numbers beside 'past') or mean (the speaker's mean in every turn, a control)"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """One turn as an extractor gets it; what the extractor does not hear is left out."""

    turn: Turn
    sound: np.ndarray | None = None  # float32 (samples,), 0.1 s or longer, within ±1
    before: tuple[tuple[str, str], ...] = ()  # (speaker, text) of earlier turns, oldest first
    pictures: np.ndarray | None = None  # uint8 (pictures, height, width, 3)

    @property
    def words(self) -> tuple[str, ...]:
        """The turn word by word."""
        return self.turn.said

    @property
    def heard(self) -> np.ndarray:
        """The sound, which the door has seen to."""
        if self.sound is None:
            raise ValueError(f"turn {self.turn.number} came without sound")
        return self.sound

    @property
    def seconds(self) -> float:
        """Length of the sound; 0 without."""
        return 0.0 if self.sound is None else len(self.sound) / RATE


class Extractor(ABC):
    """What turns utterances into rows; each file's own says what differs from these defaults."""

    version: str  # another one whenever the numbers change; holds the weights' fingerprint
    level: str  # utterance: one row a turn; word: one a word; frame, token: as many as come
    width: int  # numbers in a row
    hears: frozenset[str]  # of SOUND, WORDS, SIGHT, CORPUS
    columns: tuple[str, ...] = ()  # a name for each number, where they have a meaning
    step: float | None = None  # frame level: seconds from one row to the next
    reach: float | None = None  # frame level: seconds that one row covers
    context: int = 0  # how many earlier turns' texts it reads
    neural: bool = False  # runs a network: in the calling process, in batches of like length

    @abstractmethod
    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """(rows, width) for each utterance, float32 (int32 on token level), NaN if undefined."""

    def odd(self, utterance: Utterance, rows: np.ndarray) -> list[str]:
        """What could not be done as asked: keys of ``findings.WHY``."""
        return []


def speaker_norm() -> Any:
    """The field that every acoustic extractor's ``Options`` has; ``features.extract`` obeys it."""
    return option("off", NORM_HELP, SPEAKER_NORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acoustic:
    """The ``Options`` of an acoustic extractor that has no others."""

    speaker_norm: str = speaker_norm()
