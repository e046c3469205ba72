"""How far a hypothesis is from a reference: who spoke when (DER) and what was said (WER, cpWER).

    DER = (miss + false alarm + confusion) / reference speech,   overlap counted,

with the mapping of speakers that makes it least (pyannote.metrics; NIST Rich Transcription 2009).
Two conventions of the collar are about. md-eval leaves out the collar on *each side* of every
edge of the reference; pyannote.metrics' own ``collar`` is the *whole* width, half on each side,
so that its 0.25 is the stricter one. ``collar`` here is the seconds on each side, as md-eval has
it: 0.25 here is 0.5 there, 0.25 there is 0.125 here. ``report`` prints both.

    WER = (substitutions + deletions + insertions) / reference words        (jiwer)

cpWER (Watanabe et al. 2020, "CHiME-6 Challenge", section 4) concatenates the words of each
speaker and takes the permutation of hypothesis speakers with the fewest errors; a speaker too
few counts as deletions, one too many as insertions. Edits of a pair of speakers don't depend on
the other pairs, so the best permutation is an assignment, found without trying all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erc_demo import formats
from erc_demo.dialogue import Dialogue, Span
from erc_demo.errors import UserError

NORMALISER = (
    "lower case; hyphens, dashes, slashes and dots in a row become spaces; other punctuation is "
    "taken away, but for an apostrophe inside a word"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diarization:
    """Seconds of each kind of error, out of ``total`` seconds of reference speech."""

    total: float
    miss: float
    false_alarm: float
    confusion: float
    reference_speakers: int
    hypothesis_speakers: int

    @property
    def rate(self) -> float:
        """The diarization error rate; without any reference speech 0 or 1."""
        errors = self.miss + self.false_alarm + self.confusion
        return errors / self.total if self.total else float(errors > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Counts of each kind of error, out of ``total`` reference words."""

    total: int
    substitutions: int
    deletions: int
    insertions: int
    mapping: tuple[tuple[str, str], ...] = ()  # of cpWER: reference and hypothesis speaker

    @property
    def errors(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """The word error rate; without any reference word 0 or 1."""
        return self.errors / self.total if self.total else float(self.errors > 0)


def diarization_error(
    reference: Dialogue,
    hypothesis: Dialogue,
    *,
    collar: float = 0.25,
    seconds: float | None = None,
) -> Diarization:
    """Errors over the whole file, ``collar`` seconds left out on each side of reference edges.

    The file ends after ``seconds``, or where the longer of the two dialogues does. A speaker who
    overlaps himself is counted once.
    """
    try:
        from pyannote.core import Annotation, Segment, Timeline
        from pyannote.metrics.diarization import DiarizationErrorRate
    except ImportError as exc:
        raise _extra_missing() from exc

    def annotation(spans: Mapping[str, list[Span]]) -> Annotation:
        made = Annotation()
        for speaker, own in spans.items():
            for number, span in enumerate(own):
                made[Segment(span.start, span.end), f"{speaker}-{number}"] = speaker
        return made

    mine, theirs = _spans(reference), _spans(hypothesis)
    end = seconds or max((_end(reference), _end(hypothesis)))
    if not end:
        return _nothing(mine, theirs)
    metric = DiarizationErrorRate(collar=2 * collar, skip_overlap=False)
    parts: dict[str, float] = metric(
        annotation(mine), annotation(theirs), uem=Timeline([Segment(0, end)]), detailed=True
    )
    return Diarization(
        total=parts["total"],
        miss=parts["missed detection"],
        false_alarm=parts["false alarm"],
        confusion=parts["confusion"],
        reference_speakers=len(mine),
        hypothesis_speakers=len(theirs),
    )


def pooled(results: Iterable[Diarization]) -> Diarization:
    """Several files as if they were one: seconds, and speakers, are added up."""
    every = list(results)
    return Diarization(
        total=sum(one.total for one in every),
        miss=sum(one.miss for one in every),
        false_alarm=sum(one.false_alarm for one in every),
        confusion=sum(one.confusion for one in every),
        reference_speakers=sum(one.reference_speakers for one in every),
        hypothesis_speakers=sum(one.hypothesis_speakers for one in every),
    )


def _extra_missing() -> UserError:
    return UserError(
        "Scoring needs pyannote.metrics and jiwer, which are not installed; "
        "install them with: pip install 'erc_demo[score]'."
    )


def _nothing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Diarization:
    return Diarization(
        total=0.0,
        miss=0.0,
        false_alarm=0.0,
        confusion=0.0,
        reference_speakers=len(mine),
        hypothesis_speakers=len(theirs),
    )


def _end(dialogue: Dialogue) -> float:
    ends = (turn.span.end for turn in dialogue.turns if turn.span is not None)
    return max(dialogue.duration or 0.0, max(ends, default=0.0))


def _spans(dialogue: Dialogue) -> dict[str, list[Span]]:
    """Each speaker's spans in order; those that overlap each other are one."""
    found: dict[str, list[Span]] = {}
    timed = ((turn.span, turn.speaker) for turn in dialogue.turns if turn.span is not None)
    for span, speaker in sorted(timed):
        own = found.setdefault(speaker, [])
        if own and span.start < own[-1].end:
            own[-1] = Span(own[-1].start, max(own[-1].end, span.end))
        else:
            own.append(span)
    return found


def normalise(text: str) -> list[str]:
    """The words that are compared; ``NORMALISER`` says it in words.

    >>> normalise("Well-known: it's “Mr. O’Neil” … 'ere")
    ['well', 'known', "it's", 'mr', "o'neil", 'ere']
    """
    plain = unicodedata.normalize("NFKC", text.replace("…", " ")).lower()
    plain = re.sub(r"[’‘ʼ`´]", "'", plain)
    plain = re.sub(r"[-\u2010-\u2015/]|\.{2,}", " ", plain)
    plain = re.sub(r"[^\w\s']|_", "", plain)
    words = (word.strip("'") for word in plain.split())
    return [word for word in words if word]


def word_error_rate(reference: Dialogue | str, hypothesis: Dialogue | str) -> Words:
    """Errors in what was said, whoever said it.

    Words stand in the order of time: by their own times where both dialogues have them for each
    word, else by the start of their turns.
    """
    by_word = all(
        isinstance(side, Dialogue)
        and all(_timed_words(turn.text, turn.words) for turn in side.turns)
        for side in (reference, hypothesis)
    )
    mine, theirs = (
        normalise(side) if isinstance(side, str) else _said(side, by_word)
        for side in (reference, hypothesis)
    )
    return _edits(mine, theirs)


def _timed_words(text: str, words: tuple[Any, ...]) -> bool:
    if any(word.span is None for word in words):
        return False
    return normalise(" ".join(word.text for word in words)) == normalise(text)


def _said(dialogue: Dialogue, by_word: bool) -> list[str]:
    if by_word:
        timed = sorted(
            ((word.span, word.text) for _, word in dialogue.words if word.span is not None),
            key=lambda one: one[0],
        )
        return [said for _, text in timed for said in normalise(text)]
    return [said for text in _texts(dialogue).values() for said in text]


def _texts(dialogue: Dialogue) -> dict[int, list[str]]:
    """Normalised words of each turn, by the turn's number, in order of time where it is known."""
    turns = list(dialogue.turns)
    if all(turn.span is not None for turn in turns):
        turns.sort(key=lambda turn: turn.span or Span(0, 1))
    return {turn.number: normalise(turn.text) for turn in turns}


def _edits(reference: list[str], hypothesis: list[str]) -> Words:
    try:
        import jiwer
    except ImportError as exc:
        raise _extra_missing() from exc
    if not reference or not hypothesis:  # jiwer calls an empty reference an error rate of 1
        return Words(
            total=len(reference),
            substitutions=0,
            deletions=len(reference),
            insertions=len(hypothesis),
        )
    found = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    return Words(
        total=len(reference),
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
    )


def attributed_word_error_rate(reference: Dialogue, hypothesis: Dialogue) -> Words:
    """Errors in what was said by whom: cpWER, with the mapping of speakers that it found."""
    from scipy.optimize import linear_sum_assignment

    mine, theirs = _streams(reference), _streams(hypothesis)
    size = max(len(mine), len(theirs), 1)
    rows = [*mine.values(), *[[]] * (size - len(mine))]
    columns = [*theirs.values(), *[[]] * (size - len(theirs))]
    pairs = [[_edits(row, column) for column in columns] for row in rows]
    chosen = linear_sum_assignment([[pair.errors for pair in row] for row in pairs])
    best = [(row, column, pairs[row][column]) for row, column in zip(*chosen, strict=True)]
    return Words(
        total=sum(pair.total for *_, pair in best),
        substitutions=sum(pair.substitutions for *_, pair in best),
        deletions=sum(pair.deletions for *_, pair in best),
        insertions=sum(pair.insertions for *_, pair in best),
        mapping=tuple(
            (list(mine)[row], list(theirs)[column])
            for row, column, _ in best
            if row < len(mine) and column < len(theirs)
        ),
    )


def _streams(dialogue: Dialogue) -> dict[str, list[str]]:
    speakers = {turn.number: turn.speaker for turn in dialogue.turns}
    found: dict[str, list[str]] = {}
    for number, words in _texts(dialogue).items():
        found.setdefault(speakers[number], []).extend(words)
    return {speaker: words for speaker, words in found.items() if words}


def report(reference_path: Path, hypothesis_path: Path) -> str:
    """Every measure that the two files allow, as an aligned table."""
    reference, hypothesis = formats.load(reference_path), formats.load(hypothesis_path)
    sides = {"reference": (reference_path, reference), "hypothesis": (hypothesis_path, hypothesis)}
    lines = [
        f"{side:<11}{path.name}: {len(dialogue.speakers)} speaker(s), {len(dialogue.turns)} turns"
        for side, (path, dialogue) in sides.items()
    ]
    for path, dialogue in sides.values():
        lines += [f"note: {remark}" for remark in dialogue.remarks]
        lost = sum(turn.span is None for turn in dialogue.turns)
        if 0 < lost < len(dialogue.turns):
            lines.append(f"note: {lost} turns of {path.name} have no times and no part in the DER.")
    untimed = [path.name for path, one in sides.values() if one.turns and not _spans(one)]
    silent = [path.name for path, one in sides.values() if not any(_texts(one).values())]
    if untimed and silent:
        raise UserError(
            f"Nothing can be compared: no times in {', '.join(untimed)}, "
            f"no words in {', '.join(silent)}."
        )
    lines.append("")
    lines += (
        _diarization_table(reference, hypothesis)
        if not untimed
        else [f"no DER: no times in {', '.join(untimed)}"]
    )
    lines.append("")
    lines += (
        _word_table(reference, hypothesis)
        if not silent
        else [f"no WER: no words in {', '.join(silent)}"]
    )
    return "\n".join(lines)


def _diarization_table(reference: Dialogue, hypothesis: Dialogue) -> list[str]:
    lines = [f"{'':<34}{'error':>9}{'missed':>9}{'false':>9}{'confused':>9}{'of':>11}"]
    for title, collar in (
        ("DER, collar 0", 0.0),
        ("DER, collar ±0.25 s (md-eval)", 0.25),
        ("DER, collar ±0.125 s (pyannote)", 0.125),
    ):
        one = diarization_error(reference, hypothesis, collar=collar)
        parts = (one.miss, one.false_alarm, one.confusion)
        shares = [one.rate, *(part / one.total if one.total else 0.0 for part in parts)]
        lines.append(
            f"{title:<34}"
            + "".join(f"{100 * share:>7.1f} %" for share in shares)
            + f"{one.total:>9.1f} s"
        )
    lines.append("overlap is counted; pyannote.metrics calls the last one collar=0.25")
    return lines


def _word_table(reference: Dialogue, hypothesis: Dialogue) -> list[str]:
    lines = [f"{'':<34}{'error':>9}{'replaced':>9}{'deleted':>9}{'inserted':>9}{'of':>11}"]
    attributed = attributed_word_error_rate(reference, hypothesis)
    for title, one in (
        ("WER", word_error_rate(reference, hypothesis)),
        ("cpWER (speaker-attributed)", attributed),
    ):
        counts = f"{one.substitutions:>9}{one.deletions:>9}{one.insertions:>9}"
        lines.append(f"{title:<34}{100 * one.rate:>7.1f} %{counts}{one.total:>11}")
    pairs = ", ".join(f"{mine} = {theirs}" for mine, theirs in attributed.mapping)
    if pairs:
        lines.append(f"speakers: {pairs}")
    lines.append(f"words are compared in {NORMALISER}")
    return lines
