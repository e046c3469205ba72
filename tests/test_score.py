"""Scores against literal referees: frames counted one by one, permutations tried one by one."""

from __future__ import annotations

import builtins
import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from erc_demo import formats, score
from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.errors import UserError

STEP = 100  # frames a second; every edge below lies on this grid, so counting is exact


def timed(*rows: tuple[str, float, float], name: str = "d") -> Dialogue:
    """A dialogue of (speaker, start, end)."""
    return Dialogue(
        name=name,
        turns=tuple(
            Turn(number=number, speaker=speaker, span=Span(start, end))
            for number, (speaker, start, end) in enumerate(rows)
        ),
    )


def spoken(*rows: tuple[str, str]) -> Dialogue:
    """A dialogue of (speaker, text)."""
    return Dialogue(
        name="d",
        turns=tuple(
            Turn(number=number, speaker=speaker, text=text)
            for number, (speaker, text) in enumerate(rows)
        ),
    )


# --- diarization


def frames(dialogue: Dialogue, count: int) -> list[set[str]]:
    talking: list[set[str]] = [set() for _ in range(count)]
    for turn in dialogue.turns:
        assert turn.span is not None
        for frame in range(round(turn.span.start * STEP), round(turn.span.end * STEP)):
            talking[frame].add(turn.speaker)
    return talking


def literal(
    reference: Dialogue, hypothesis: Dialogue, collar: float, seconds: float
) -> tuple[float, float, float, float]:
    """Total, miss, false alarm and confusion in seconds, by a loop over frames and mappings."""
    count = round(seconds * STEP)
    mine, theirs = frames(reference, count), frames(hypothesis, count)
    scored = [True] * count
    for turn in reference.turns:
        assert turn.span is not None
        for edge in (round(turn.span.start * STEP), round(turn.span.end * STEP)):
            wide = round(collar * STEP)
            for frame in range(max(0, edge - wide), min(count, edge + wide)):
                scored[frame] = False
    pairs = [(mine[frame], theirs[frame]) for frame in range(count) if scored[frame]]
    total = sum(len(one) for one, _ in pairs)
    miss = sum(max(0, len(one) - len(two)) for one, two in pairs)
    false = sum(max(0, len(two) - len(one)) for one, two in pairs)
    people, others = list(reference.speakers), list(hypothesis.speakers)
    padded = people + [f"nobody {number}" for number in range(len(others))]
    best = 0
    for chosen in itertools.permutations(padded, len(others)):
        mapping = dict(zip(others, chosen, strict=True))
        best = max(best, sum(len(one & {mapping[who] for who in two}) for one, two in pairs))
    confusion = sum(min(len(one), len(two)) for one, two in pairs) - best
    return tuple(part / STEP for part in (total, miss, false, confusion))  # type: ignore


def random_dialogue(chance: random.Random, people: int) -> Dialogue:
    rows = []
    for _ in range(chance.randint(1, 12)):
        start = chance.randrange(0, 1900) / STEP
        rows.append((f"S{chance.randrange(people)}", start, start + chance.randint(5, 95) / STEP))
    return timed(*rows)


@pytest.mark.parametrize("collar", [0.0, 0.12, 0.25])
@pytest.mark.parametrize("seed", range(6))
def test_der_equals_a_count_of_frames(seed: int, collar: float) -> None:
    chance = random.Random(seed)
    reference, hypothesis = random_dialogue(chance, 3), random_dialogue(chance, 1 + seed % 4)
    found = score.diarization_error(reference, hypothesis, collar=collar, seconds=20.0)
    wanted = literal(reference, hypothesis, collar, 20.0)
    parts = (found.total, found.miss, found.false_alarm, found.confusion)
    assert parts == pytest.approx(wanted, abs=1e-6)
    assert found.reference_speakers == len(reference.speakers)


def test_der_by_hand() -> None:
    reference = timed(("A", 0, 4), ("B", 4, 10))
    hypothesis = timed(("x", 0, 3), ("y", 3, 9), ("x", 10, 12))
    found = score.diarization_error(reference, hypothesis, collar=0.0)
    assert (found.total, found.miss, found.false_alarm, found.confusion) == (10, 1, 2, 1)
    assert found.rate == pytest.approx(0.4)
    # edges at 0, 4 and 10: 0.25, 0.5 and 0.25 s of speech go, and with them 0.25 s each of the
    # confusion (3 to 4), of the miss (9 to 10) and of the false alarm (10 to 12)
    found = score.diarization_error(reference, hypothesis, collar=0.25)
    assert (found.total, found.miss, found.false_alarm, found.confusion) == pytest.approx(
        (9, 0.75, 1.75, 0.75)
    )


def test_the_collar_is_half_of_pyannotes() -> None:
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    reference, hypothesis = Annotation(), Annotation()
    reference[Segment(1, 3)], reference[Segment(3.5, 6)] = "A", "B"
    hypothesis[Segment(1.2, 3.1)], hypothesis[Segment(3.3, 6.2)] = "x", "y"
    theirs = DiarizationErrorRate(collar=0.25)(reference, hypothesis, uem=Timeline([Segment(0, 7)]))
    ours = score.diarization_error(
        timed(("A", 1, 3), ("B", 3.5, 6)),
        timed(("x", 1.2, 3.1), ("y", 3.3, 6.2)),
        collar=0.125,
        seconds=7.0,
    )
    assert ours.rate == pytest.approx(theirs)


def test_the_same_is_no_error_and_nothing_is_all() -> None:
    reference = timed(("A", 0, 2), ("B", 1, 3), ("A", 2.5, 3.5))
    renamed = timed(("y", 0, 2), ("x", 1, 3), ("y", 2.5, 3.5))
    nothing = Dialogue(name="d", duration=4.0)
    assert score.diarization_error(reference, renamed, collar=0.0).rate == 0
    assert score.diarization_error(reference, nothing, collar=0.0).rate == 1
    assert score.diarization_error(nothing, reference, collar=0.0).rate == 1
    assert score.diarization_error(nothing, nothing).rate == 0
    assert score.diarization_error(Dialogue(name="d"), Dialogue(name="d")).rate == 0


def test_a_speaker_who_overlaps_himself_is_one_person() -> None:
    twice = timed(("A", 0, 2), ("A", 1, 3))
    found = score.diarization_error(twice, timed(("x", 0, 3)), collar=0.0)
    assert (found.total, found.rate) == (3, 0)


def test_pooled_adds_seconds() -> None:
    one = score.diarization_error(timed(("A", 0, 9)), timed(("x", 0, 9)), collar=0.0)
    two = score.diarization_error(timed(("A", 0, 1)), timed(("x", 3, 4)), collar=0.0)
    every: Iterable[score.Diarization] = iter([one, two])
    found = score.pooled(every)
    assert found.rate == pytest.approx(2 / 10)
    assert (found.total, found.reference_speakers) == (10, 2)


# --- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World!", "hello world"),
        ("It's the dogs' O’Neil 'tis", "it's the dogs o'neil tis"),
        ("well-known—so e–mail a/b", "well known so e mail a b"),
        ("wait...what? 5.50 U.S.", "wait what 550 us"),
        ("snake_case “quoted” (aside)", "snakecase quoted aside"),
        (" \n ?! -- ' ", ""),
        ("ÉTÉ ﬁne", "été fine"),
    ],
)
def test_normalise(text: str, words: str) -> None:
    assert score.normalise(text) == words.split()


def test_wer_by_hand() -> None:
    found = score.word_error_rate("the cat sat on the mat", "The cat, sat at mat now")
    assert (found.total, found.errors) == (6, 3)
    assert found.rate == 0.5
    assert score.word_error_rate("Well-known!", "well known").rate == 0


def distance(one: list[str], two: list[str]) -> int:
    """Levenshtein's distance by the textbook."""
    row = list(range(len(two) + 1))
    for i, left in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(two, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "wanted"),
    [("", "", (0, 0, 0, 0)), ("", "a b", (0, 0, 0, 2)), ("a b", "", (2, 0, 2, 0))],
)
def test_wer_of_nothing(reference: str, hypothesis: str, wanted: tuple[int, ...]) -> None:
    found = score.word_error_rate(reference, hypothesis)
    assert (found.total, found.substitutions, found.deletions, found.insertions) == wanted
    assert found.rate == (0 if reference == hypothesis else 1)


def test_wer_orders_words_by_time_whatever_the_turns() -> None:
    said = [("a", 0.0), ("b", 1.0), ("c", 2.0), ("d", 3.0)]
    words = [Word(text=text, span=Span(at, at + 0.5)) for text, at in said]
    apart = Dialogue(
        name="d",
        turns=(
            Turn(number=0, speaker="A", span=Span(0, 3.5), words=(words[0], words[3])),
            Turn(number=1, speaker="B", span=Span(1, 2.5), words=(words[1], words[2])),
        ),
    )
    whole = Dialogue(
        name="d", turns=(Turn(number=0, speaker="x", span=Span(0, 4), words=tuple(words)),)
    )
    assert score.word_error_rate(apart, whole).errors == 0
    assert score.word_error_rate(whole, apart).errors == 0


def brute(reference: Dialogue, hypothesis: Dialogue) -> int:
    """The fewest errors over every permutation of speakers."""
    sides = []
    for dialogue in (reference, hypothesis):
        streams: dict[str, list[str]] = {}
        for turn in dialogue.turns:
            streams.setdefault(turn.speaker, []).extend(score.normalise(turn.text))
        sides.append(list(streams.values()))
    mine, theirs = sides
    while len(mine) < len(theirs):
        mine.append([])
    while len(theirs) < len(mine):
        theirs.append([])
    return min(
        sum(distance(one, two) for one, two in zip(mine, order, strict=True))
        for order in itertools.permutations(theirs)
    )


@pytest.mark.parametrize("seed", range(12))
def test_cpwer_equals_every_permutation_tried(seed: int) -> None:
    chance = random.Random(seed)

    def dialogue(people: int) -> Dialogue:
        rows = [
            (
                f"S{chance.randrange(people)}",
                " ".join(chance.choices("abcd", k=chance.randint(0, 4))),
            )
            for _ in range(chance.randint(1, 9))
        ]
        return spoken(*rows)

    reference, hypothesis = dialogue(1 + seed % 4), dialogue(1 + seed % 3)
    found = score.attributed_word_error_rate(reference, hypothesis)
    assert found.errors == brute(reference, hypothesis)
    assert found.total == sum(len(score.normalise(turn.text)) for turn in reference.turns)


def test_cpwer_by_hand() -> None:
    reference = spoken(("A", "a b c"), ("B", "d e"), ("A", "f"))
    swapped = spoken(("x", "d e"), ("y", "a b c f"))
    found = score.attributed_word_error_rate(reference, swapped)
    assert found.errors == 0 and dict(found.mapping) == {"A": "y", "B": "x"}
    alone = spoken(("x", "a b c d e f"))  # B has nobody: his words are deleted, two are too many
    found = score.attributed_word_error_rate(reference, alone)
    assert (found.total, found.deletions, found.insertions, found.substitutions) == (6, 2, 2, 0)
    third = spoken(("x", "d e"), ("y", "a b c f"), ("z", "g h"))
    assert score.attributed_word_error_rate(reference, third).insertions == 2
    nobody = Dialogue(name="d")
    assert score.attributed_word_error_rate(reference, nobody).rate == 1
    assert score.attributed_word_error_rate(nobody, nobody).rate == 0


# --- the report


def test_report_of_turns_and_words(tmp_path: Path) -> None:
    rows = [
        {"speaker": "A", "word": "Hi,", "start": 0.0, "end": 0.5},
        {"speaker": "B", "word": "you", "start": 1.0, "end": 1.5},
    ]
    reference = tmp_path / "call.words.json"
    reference.write_text(json.dumps(rows))
    heard = [rows[0] | {"speaker": "x", "word": "hi"}, rows[1] | {"speaker": "y", "word": "me"}]
    hypothesis = tmp_path / "heard.words.json"
    hypothesis.write_text(json.dumps(heard))
    text = score.report(reference, hypothesis)
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert "DER, collar 0 0.0 % 0.0 % 0.0 % 0.0 % 1.0 s" in lines
    assert "DER, collar ±0.125 s (pyannote) 0.0 % 0.0 % 0.0 % 0.0 % 0.5 s" in lines
    assert "WER 50.0 % 1 0 0 2" in lines
    assert "cpWER (speaker-attributed) 50.0 % 1 0 0 2" in lines
    assert "speakers: A = x, B = y" in lines
    assert score.NORMALISER in text


def test_report_leaves_out_what_files_do_not_hold(tmp_path: Path) -> None:
    words = spoken(("A", "hi there"))
    turns = timed(("A", 0, 1), name="t")
    (written,) = formats.export(words, tmp_path, ["txt"])
    (lines,) = formats.export(turns, tmp_path, ["rttm"])
    text = score.report(written, written)
    assert "no DER: no times in d.txt, d.txt" in text and "WER" in text
    assert "no WER" in score.report(lines, lines)
    with pytest.raises(UserError, match=r"no times in d\.txt, no words in t\.rttm"):
        score.report(written, lines)
    (silence,) = formats.export(Dialogue(name="none"), tmp_path, ["rttm"])
    assert "100.0 %" in score.report(lines, silence)


def test_a_missing_extra_names_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    true_import = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] in ("pyannote", "jiwer"):
            raise ImportError(name)
        return true_import(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    for attempt in (
        lambda: score.diarization_error(timed(("A", 0, 1)), timed(("A", 0, 1))),
        lambda: score.word_error_rate("a", "b"),
    ):
        with pytest.raises(UserError, match=r"pip install 'erc_demo\[score\]'"):
            attempt()


def test_references_against_themselves(shared: Callable[[str], Path]) -> None:
    calls = shared("data/calls")
    for file in sorted(calls.glob("spokenwoz/*.words.json")):
        words = formats.load(file)
        turns = formats.load(file.with_name(file.name.replace(".words.json", ".rttm")))
        assert score.diarization_error(turns, words).rate == pytest.approx(0, abs=1e-3)
        assert score.word_error_rate(words, words).errors == 0
        assert score.attributed_word_error_rate(words, words).errors == 0
        # everything given to one speaker: the words stay, half of the people go
        alone = Dialogue(
            name="one",
            turns=tuple(
                Turn(number=turn.number, speaker="x", span=turn.span, words=turn.words)
                for turn in words.turns
            ),
        )
        assert score.word_error_rate(words, alone).errors == 0
        assert score.attributed_word_error_rate(words, alone).rate > 0.3
