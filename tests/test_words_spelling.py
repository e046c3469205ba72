"""What is said when a text is read aloud, and the phones of words that no dictionary has."""

from __future__ import annotations

import pytest

from erc_demo.words import sphinx
from erc_demo.words.spelling import number, sounds, spoken


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Hello,", "hello"),
        ("don’t", "don't"),  # noqa: RUF001
        ("well-known", "well known"),
        ("far.Can", "far can"),
        ("$20,", "twenty dollars"),
        ("$1", "one dollar"),
        ("£2.50", "two pounds fifty"),
        ("3.5%", "three point five percent"),
        ("1,000", "one thousand"),
        ("1984", "nineteen eighty four"),
        ("1905", "nineteen oh five"),
        ("1980s", "nineteen eighties"),
        ("21st", "twenty first"),
        ("12th", "twelfth"),
        ("10:30", "ten thirty"),
        ("9:05", "nine oh five"),
        ("8:00", "eight o'clock"),
        ("0171", "zero one seven one"),
        ("U.S.A.", "u. s. a."),
        ("Dr.", "doctor"),
        ("mp3", "mp three"),
        ("café", "cafe"),
        ("[laughs]", ""),
        ("--", ""),
        ("'", ""),
        ("9876543210123", "nine eight seven six five four three two one zero one two three"),
    ],
)  # fmt: skip
def test_spoken(written: str, said: str) -> None:
    assert " ".join(spoken(written)) == said


def test_numbers_follow_their_grammar() -> None:
    assert " ".join(number(0)) == "zero"
    assert " ".join(number(115)) == "one hundred fifteen"
    assert " ".join(number(2_040_001)) == "two million forty thousand one"


def test_every_spoken_number_is_in_the_dictionary() -> None:
    known = sphinx.dictionary()
    for value in [*range(0, 1000, 7), 10**6, 10**9]:
        assert set(number(value)) <= known
    for value in range(1, 100):
        assert set(spoken(f"{value}th")) <= known


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("blat", "B L AE T"),
        ("kwan", "K W AE N"),
        ("splonge", "S P L AA N JH"),
        ("mike", "M AY K"),
        ("nhs", "EH N EY CH EH S"),
        ("phlox", "F L AA K S"),
        ("knabe", "N EY B"),
        ("pration", "P R AE SH AH N"),
        ("123", ""),
        ("москва", ""),
    ],
)
def test_sounds_by_rule(word: str, phones: str) -> None:
    assert sounds(word) == phones


def test_sounds_are_phones_of_the_recogniser_and_near_its_dictionary() -> None:
    """Against CMUdict: most phones right, with no rule made for these words one by one."""
    from difflib import SequenceMatcher
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("pocketsphinx")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    entries = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    phones = {phone for _, *said in entries for phone in said}
    sample = [entry for entry in entries if entry[0].isalpha() and len(entry[0]) > 2][::400]
    close = []
    for word, *said in sample:
        made = sounds(word).split()
        assert set(made) <= phones
        close.append(SequenceMatcher(None, made, said, autojunk=False).ratio())
    assert sum(close) / len(close) > 0.7
