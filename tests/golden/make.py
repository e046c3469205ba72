"""Writes the golden files: ``python tests/golden/make.py``. Each change needs a reason below.

formats/*   one small conversation in every format. First written by the program and then read
            line by line against the manuals of RTTM, Praat, ELAN, SubRip and WebVTT.
"""

from __future__ import annotations

from pathlib import Path

from erc_demo import formats
from erc_demo.dialogue import Dialogue, Span, Turn, Word

HERE = Path(__file__).resolve().parent

# why each turn is in the golden conversation
REASONS = {
    0: "words with confidence and margin, one of them not placed; a comma and quotes in the text",
    1: "overlaps turn 0; its speaker's name has a space; letters outside of ASCII",
    2: "a formula, to be made harmless in a table",
    3: "no words and no text, as a recogniser leaves laughter",
    4: "the speaker overlaps himself; markup of XML, subtitles and ASS",
    5: "a number that is not the next one, and no times",
}


def conversation() -> Dialogue:
    """The golden conversation; ``REASONS`` says what each turn is there for."""
    return Dialogue(
        name="golden call",
        duration=9.5,
        language="en",
        language_sure=0.75,
        recognizer="by hand",
        remarks=("Made by hand.",),
        turns=(
            Turn(
                number=0,
                speaker="A",
                span=Span(0.5, 2.75),
                text='Well, "hello" there',
                sure=0.875,
                channel=0,
                words=(
                    Word(text="Well,", span=Span(0.5, 0.9), confidence=0.5, margin=1.0),
                    Word(text='"hello"', span=Span(1.0, 1.8125), confidence=0.25),
                    Word(text="there", span=Span(1.9, 2.0), placed=False),
                ),
            ),
            Turn(
                number=1,
                speaker="Zoë Å.",
                span=Span(2.5, 4.0),
                text="naïve 😀 שלום",
                sure=0.5,
                channel=1,
                words=(
                    Word(text="naïve", span=Span(2.5, 3.0)),
                    Word(text="😀", span=Span(3.0, 3.25)),
                    Word(text="שלום", span=Span(3.25, 4.0)),
                ),
            ),
            Turn(number=2, speaker="A", span=Span(4.1, 5.0), text='=HYPERLINK("x";"y")'),
            Turn(number=3, speaker="Zoë Å.", span=Span(5.0625, 5.5)),
            Turn(number=4, speaker="A", span=Span(4.5, 9.5), text="<b>&amp; {\\an8} -->"),
            Turn(number=9, speaker="A", text="never timed"),
        ),
    )


if __name__ == "__main__":
    formats.export(conversation(), HERE / "formats", formats.names())
