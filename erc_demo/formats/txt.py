"""Plain text: a line a turn, ``NAME: text``. No times, which is what many transcripts are."""

from __future__ import annotations

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.formats._contract import Mended, counted, keep
from erc_demo.formats._inert import UNKNOWN, one_line, prefixed, unprefixed

SUFFIX = ".txt"
HOLDS = frozenset({"untimed", "text", "order"})


def write(dialogue: Dialogue) -> str:
    """A line a turn."""
    turns = keep(dialogue, HOLDS).turns
    return "".join(prefixed(turn.speaker, turn.text) + "\n" for turn in turns)


def read(text: str, name: str) -> Dialogue:
    """Every line that is not blank as a turn; what stands before a colon is the speaker."""
    numbered = [(number, one_line(line)) for number, line in enumerate(text.splitlines(), 1)]
    numbered = [(number, line) for number, line in numbered if line]
    mended = Mended("line")
    turns = []
    said = unprefixed([line for _, line in numbered])
    for (number, _), (speaker, words) in zip(numbered, said, strict=True):
        if speaker is None:
            mended.note(f"no speaker is named, so it is '{UNKNOWN}'", number)
        turns.append(Turn(number=0, speaker=speaker or UNKNOWN, text=words))
    return Dialogue(name=name, turns=counted(turns), remarks=mended.remarks())
