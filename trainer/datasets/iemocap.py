"""IEMOCAP: two actors talk, rehearsed or improvised, and raters say what each turn shows.

What: ten actors in five sessions of two (a woman and a man), 151 dialogues, about twelve hours;
sound, video, transcripts, forced alignment, and of one actor at a time the motion of the face.
Who: the Speech Analysis and Interpretation Laboratory of the University of Southern California
(Busso et al., Language Resources and Evaluation 42(4), 2008).
Labels: 10,039 turns were judged by three raters or more, who could tick several of ten emotions;
the release calls what more than half of them ticked (2,507 times nothing: ``xxx``), and two or more
rated valence, activation and dominance from 1 to 5. ``iemocap4`` is angry 1,103, happy with excited
1,636, sad 1,084, neutral 1,708: 5,531. ``iemocap6`` is what EmoEvaluation says, happy 595, excited
1,041, frustrated 1,849 beside those: 7,380. The 7,433 that many papers use are these and 53 turns
called ``xxx`` here, their votes split between happiness and excitement, that the public feature
pickles count as happy (648); ``conv_emotion`` reads those.
Terms: research only, on a signed request; nothing of it may be passed on.
To obtain: https://sail.usc.edu/iemocap/ (a form, then a link). PATH is IEMOCAP_full_release, its
parent, or one Session folder; any of the five sessions will do. Read are, of each session,

    dialog/transcriptions/DIALOGUE.txt     Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    dialog/EmoEvaluation/DIALOGUE.txt      [6.2901 - 8.2357]→Ses01F_impro01_F000→neu→[2.5, 2.5, 2.5]
                                           C-E2:→Neutral;→()      A-E3:→val 3; act 2; dom  2;→()
    dialog/wav/DIALOGUE.wav                or sentences/wav/DIALOGUE/TURN.wav, one each
    sentences/ForcedAlignment/DIALOGUE/TURN.wdseg    first and last frame of 10 ms, score, word

EmoEvaluation repeats every rater's ticks and ratings, valence first, so that its Categorical and
Attribute folders (where valence and activation run backwards) are not needed. The actors' own
reports (C-F1, C-M1) are no rater's, are not in the release's means, and are no votes here either.

Untidy rows: lines without a time (``M: Yeah.``) and turns that nobody rated stay, as context; a
line of no known form is left out; a span that ends before it starts is none; turns keep the order
of the transcript; means beyond 1 to 5, where a missing rating counted as 0, are the scale's end;
words that the alignment lacks have no time. The remarks count each. The recordings have a channel
for each actor, but which is whose is not documented: no channel is named, and both are heard.
Split: sessions 1 to 4 train, 5 tests (as published); there is no validation part, so that a run
cuts one (``--select-from train:N``) or leaves sessions out (``--protocol loso``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from erc_demo.dialogue import Dialogue, Span, Turn, Word
from erc_demo.emotions import DIMENSIONS, label_set
from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, Labelled, _asked
from trainer.datasets._turns import HIGH, LOW, Count, meant

RATED = ("valence", "arousal", "dominance")
ALL = "12345"  # the sessions of the release
TEST = "5"
FRAME = 0.01  # seconds of a frame of the alignment
TIMED = re.compile(r"(\S+)\s+\[([\d.]+)-([\d.]+)\]:\s*(.*)")
UNTIMED = re.compile(r"([FM])\s*:\s*(.*)")
SPEAKER = re.compile(r"\w+_([FM])(\d+|XX\d*)")  # the end of a turn's name
SUMMARY = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\S+)\t(\w+)\t\[([\d.]+), ([\d.]+), ([\d.]+)\]")
TICKS = re.compile(r"C-E\d+:\s*([^\t(]*)")
SEGMENT = re.compile(r"\s*(\d+)\s+(\d+)\s+-?\d+\s+(\S+)\s*")
OBTAIN = "IEMOCAP is to be had on a signed request at https://sail.usc.edu/iemocap/"


@dataclass(slots=True)
class Rated:
    """What the raters made of one turn: the release's label, the ticks, the means."""

    label: str
    means: tuple[float, float, float]
    ticks: list[list[str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript."""

    name: str
    speaker: str
    span: Span | None
    text: str


def find(path: Path, ask: Ask) -> Corpus:
    """Every dialogue of the sessions that are there."""
    _asked.refuse(ask, "iemocap", RATED)
    sessions = _sessions(path)
    count = Count()
    dialogues = [
        _dialogue(file, folder, number, ask, count)
        for number, folder in sessions.items()
        for file in _files(folder / "dialog" / "transcriptions", count)
    ]
    absent = [number for number in ALL if number not in sessions]
    remarks = [f"Of the five sessions, {', '.join(absent)} are not here."] if absent else []
    return Corpus(
        name="iemocap",
        ask=ask,
        dialogues=tuple(dialogues),
        remarks=(*remarks, *count.remarks()),
    )


def _sessions(path: Path) -> dict[str, Path]:
    """The folders of the sessions by number, each with its transcripts."""
    places = [path, *(root / f"Session{one}" for one in ALL
                      for root in (path, path / "IEMOCAP_full_release"))]  # fmt: skip
    found = {one.name[-1]: one for one in places if re.fullmatch("Session[1-5]", one.name)
             and (one / "dialog" / "transcriptions").is_dir()}  # fmt: skip
    if not found:
        raise UserError(
            f"{path} holds no Session1 … Session5 with a folder dialog/transcriptions; name the "
            f"folder IEMOCAP_full_release. {OBTAIN}."
        )
    return dict(sorted(found.items()))


def _files(folder: Path, count: Count) -> Iterator[Path]:
    """The texts of a folder, without those that another system hid there."""
    for file in sorted(folder.glob("*.txt")):
        if file.name.startswith("."):
            count.note("hidden files (._*), which are no text", file.name)
        else:
            yield file


def _dialogue(file: Path, folder: Path, session: str, ask: Ask, count: Count) -> Labelled:
    name = file.stem
    lines = list(_lines(file, count))
    rated = _rated(folder / "dialog" / "EmoEvaluation" / file.name, count)
    strangers = rated.keys() - {line.name for line in lines}
    if strangers:
        count.note("rated turns that the transcript lacks, left out", min(strangers))
    aligned = folder / "sentences" / "ForcedAlignment" / name
    turns = tuple(
        Turn(
            number=at,
            speaker=line.speaker,
            span=line.span,
            text=line.text,
            words=_words(line, aligned, count) if line.name in rated else (),
        )
        for at, line in enumerate(lines)
    )
    sound = folder / "dialog" / "wav" / f"{name}.wav"
    clips: tuple[Path | None, ...] = ()
    if not sound.is_file():
        clips = tuple(_clip(folder / "sentences" / "wav" / name, line.name) for line in lines)
        count.note("dialogues without dialog/wav; the turns' own recordings, where any", name)
    judged = [rated.get(line.name) for line in lines]
    meanings = {one: _meanings(one, count) for one in ask.labels}
    return Labelled(
        dialogue=Dialogue(name=name, turns=turns, language="en"),
        ids=tuple(line.name for line in lines),
        people=tuple(f"{session} {line.speaker}" for line in lines),
        labels={
            one: np.array([-1 if of is None else mean(of.label) for of in judged], np.int64)
            for one, mean in meanings.items()
        },
        votes={one: _votes(one, mean, judged) for one, mean in meanings.items()},
        values=_values(ask.dimensions, judged, lines, count),
        split="test" if session == TEST else "train",
        session=session,
        sound=sound if sound.is_file() else None,
        clips=clips if any(clips) else (),
    )


def _clip(folder: Path, name: str) -> Path | None:
    file = folder / f"{name}.wav"
    return file if file.is_file() else None


def _lines(file: Path, count: Count) -> Iterator[Line]:
    """The lines of a transcript; each gets a name of its own."""
    seen: set[str] = set()
    number, last = 0, 0.0
    for row in _text(file).splitlines():
        timed, untimed = TIMED.fullmatch(row.strip()), UNTIMED.fullmatch(row.strip())
        whose = SPEAKER.fullmatch(timed[1]) if timed else None
        if timed and whose:
            name, speaker, text = timed[1], whose[1], timed[4]
            span = Span.of(*_seconds(timed[2], timed[3]))
            if span is None:
                count.note("turns that end before they start; kept without a time", name)
            elif span.start < last:
                count.note("turns that start before the one before them; kept in order", name)
            last = last if span is None else span.start
        elif untimed:
            name, speaker, text, span = "", untimed[1], untimed[2], None
        else:
            if row.strip():
                count.note("lines of a transcript that are no turn, left out", file.name)
            continue
        if not name or name in seen:
            if name:
                count.note("turns whose name was there before; named by their place", name)
            else:
                count.note("lines without a time, kept as context", file.stem)
            name = f"{file.stem}_x{number:03d}"
        seen.add(name)
        number += 1
        yield Line(name, speaker, span, text.strip())


def _seconds(*words: str) -> list[float]:
    """Times; what is no number, such as 1.2.3, is none."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return [float("nan")] * len(words)


def _rated(file: Path, count: Count) -> dict[str, Rated]:
    """What was said of each turn of a dialogue."""
    if not file.is_file():
        count.note("dialogues without EmoEvaluation, and so without labels", file.stem)
        return {}
    found: dict[str, Rated] = {}
    now: Rated | None = None
    for row in _text(file).splitlines():
        if summary := SUMMARY.match(row):
            name, label = summary[1], summary[2]
            low, middle, high = _seconds(*summary.group(3, 4, 5))
            now = found[name] = Rated(label, (low, middle, high), [])
        elif now is not None and (ticks := TICKS.match(row)):
            words = [word.strip() for word in ticks[1].split(";")]
            now.ticks.append([word for word in words if word])
    return found


def _meanings(name: str, count: Count) -> Callable[[str], int]:
    """From a word of the raters to its place in a label set, or -1."""
    target = label_set(name)
    known: dict[str, int] = {}

    def mean(word: str) -> int:
        if word not in known:
            try:
                known[word] = meant(word, target, "EmoEvaluation")[0]
            except UserError:
                count.note("words of the raters that no label set knows; no label", word)
                known[word] = -1
        return known[word]

    return mean


def _votes(name: str, mean: Callable[[str], int], judged: Sequence[Rated | None]) -> np.ndarray:
    """How many raters ticked each label, int64 (turns, labels); one may tick several."""
    counts = np.zeros((len(judged), len(label_set(name).labels)), np.int64)
    for at, one in enumerate(judged):
        for ticks in one.ticks if one is not None else ():
            for place in {mean(word) for word in ticks} - {-1}:
                counts[at, place] += 1
    return counts


def _values(
    asked: Sequence[str], judged: Sequence[Rated | None], lines: Sequence[Line], count: Count
) -> np.ndarray | None:
    """The asked dimensions, float32 (turns, dimensions), -1 to 1; NaN: nobody rated."""
    if not asked:
        return None
    found = np.full((len(judged), len(asked)), np.nan, np.float32)
    for at, one in enumerate(judged):
        for place, name in enumerate(asked if one is not None else ()):
            rating = one.means[RATED.index(name)]  # type: ignore[union-attr]
            if math.isnan(rating):
                continue
            inside = min(max(rating, LOW), HIGH)
            if inside != rating:
                count.note(f"{name} beyond {LOW:g} to {HIGH:g}; the scale's end", lines[at].name)
            found[at, place] = DIMENSIONS[name].canonical(inside, LOW, HIGH)
    return found


def _words(line: Line, folder: Path, count: Count) -> tuple[Word, ...]:
    """The transcript's words, with the times of those that the alignment has, in order.

    The alignment writes ME(2) where a word has a second pronunciation, and <sil> for silence.
    """
    file = folder / f"{line.name}.wdseg"
    told = line.text.split()
    segments = []
    if line.span is not None and told and file.is_file():
        rows = map(SEGMENT.fullmatch, _text(file).splitlines())
        segments = [row for row in rows if row and not row[3].startswith("<")]
    if line.span is None or not segments:
        count.note("rated turns without an alignment; their words have no time", line.name)
        return ()
    start = line.span.start
    spans: Mapping[int, Span | None] = {
        one + step: Span.of(
            start + int(segments[other + step][1]) * FRAME,
            start + (int(segments[other + step][2]) + 1) * FRAME,
        )
        for one, other, length in SequenceMatcher(
            None, [_plain(word) for word in told], [_plain(row[3]) for row in segments], False
        ).get_matching_blocks()
        for step in range(length)
    }
    inside = {at: span and span.clipped(line.span) for at, span in spans.items()}
    if not all(inside.get(at) for at in range(len(told))):
        count.note("turns with words that the alignment lacks; these have no time", line.name)
    return tuple(Word(text=word, span=inside.get(at)) for at, word in enumerate(told))


def _plain(word: str) -> str:
    """A word as both spell it: small letters and digits, no second pronunciation."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(\d+\)$", "", word.lower())) or word


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise UserError(f"{file} can't be opened: {exc.strerror}. {OBTAIN}.") from exc
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
