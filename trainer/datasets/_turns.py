"""Dialogues from the rows of a table: whose, when, what was said, and what was felt.

Columns by their names: ``utt_id``, ``dialogue``, ``turn``, ``session``, ``speaker``, ``start``,
``end``, ``text`` (or ``transcript``), label sets, ``valence`` …, ``split``, ``file``. Kinds whose
tables call them otherwise rename them first, and all that is untidy is treated here, once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.emotions import DIMENSIONS, LABEL_SETS, LabelSet, label_set, mapping
from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, Labelled, _numbers, _rows, some, split_named
from trainer.datasets._rows import Table
from trainer.datasets.folder import Recordings

UNKNOWN = "unknown"
TEXT = ("text", "transcript")
NOBODY_AGREED = {"xxx", "x", "oth", "other", "o", "empty", "nan", "none", "null", "-1"}
# What is no one's name: a letter, a part that anybody plays, all at once.
NO_NAME = re.compile(
    r".|(speaker|spk|person|male|female|man|woman|unknown)([ _#-]+\w{1,3}|\d{1,3})?|#?all#?|both",
    re.IGNORECASE,
)
LONG = 60.0  # seconds; a turn that lasts longer is counted
LOW, HIGH = 1.0, 5.0  # a rating's scale, of IEMOCAP and of most


@dataclass(slots=True)
class Count:
    """How often something was found, and the first few cases by name."""

    seen: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, name: str) -> None:
        """One more case."""
        self.seen.setdefault(what, []).append(name)

    def remarks(self) -> tuple[str, ...]:
        """A sentence for each thing that was found."""
        return tuple(
            f"{what}: {len(names):,} ({some(list(dict.fromkeys(names)))})."
            for what, names in self.seen.items()
        )


def collect(
    name: str,
    ask: Ask,
    table: Table,
    *,
    shared_speakers: str = "",
    remarks: Sequence[str] = (),
    recordings: Recordings | None = None,
) -> Corpus:
    """The corpus of a table, with the arrays and the recordings beside it."""
    count = Count()
    ids = _ids(table)
    text = _text_column(ask, table)
    columns = {one: _label_column(ask, table, at) for at, one in enumerate(ask.labels)}
    labels = {one: _labels(one, column, table, ids, count) for one, column in columns.items()}
    remarks = [*remarks, *(_unlabelled(table, one) for one, its in columns.items() if not its)]
    values = _values(ask, table, ids, count)
    split = _split_column(ask, table)
    numbers, said = _numbers.read(table.file.parent, ids)
    recordings = recordings or Recordings(table.file.parent)
    if not (text or numbers or recordings):
        raise UserError(
            f"{table.file} has neither a column 'text' nor sound nor arrays (.npz) beside it (its "
            f"columns: {', '.join(table.columns)}); name the words' column with --text-column."
        )
    groups: dict[tuple[str, str], list[int]] = {}
    for at, row in enumerate(table.rows):
        title = row.get("dialogue", "").strip()
        groups.setdefault(("dialogue", title) if title else ("alone", ids[at]), []).append(at)
    named = Counter(row.get("file", "").strip() for row in table.rows)
    dialogues = []
    for (_, title), places in groups.items():
        order, turns = _turns(title, places, table, ids, text, count)
        rows = [table.rows[at] for at in order]
        own = tuple(ids[at] for at in order)
        sound, clips = _sound(title, own, rows, turns, recordings, named, count)
        for one, turn in zip(own, turns, strict=True):
            if not turn.said and sound is None and not any(clips):
                count.note("Turns without words or sound, kept as context", one)
        dialogues.append(
            Labelled(
                dialogue=Dialogue(name=title, turns=turns),
                ids=own,
                people=tuple(_person(row, count) for row in rows),
                labels={one: these[order] for one, these in labels.items()},
                values=None if values is None else values[order],
                split=_one(title, "split", (_split(row, split, title) for row in rows)),
                session=_one(title, "session", (row.get("session", "").strip() for row in rows)),
                sound=sound,
                clips=clips,
                given={one.text: one.of(own, [turn.number for turn in turns]) for one in numbers},
            )
        )
    return Corpus(
        name=name,
        ask=ask,
        dialogues=tuple(dialogues),
        remarks=(*table.remarks, *remarks, *count.remarks(), *said),
        shared_speakers=shared_speakers,
    )


def _ids(table: Table) -> list[str]:
    column = "utt_id" if "utt_id" in table.columns else "file"
    if column not in table.columns:
        raise UserError(
            f"{table.file} has no column 'utt_id' (its columns: {', '.join(table.columns)}); give "
            "each row a name of its own there."
        )
    cells = [row[column].strip() for row in table.rows]
    if "" in cells:
        raise UserError(f"The {table.places[cells.index('')]} has no {column}; give it one.")
    return cells if column == "utt_id" else [PurePath(cell).stem for cell in cells]


def _text_column(ask: Ask, table: Table) -> str:
    if ask.text_column:
        return table.column(ask.text_column, "--text-column")
    return next((one for one in TEXT if one in table.columns), "")


def _split_column(ask: Ask, table: Table) -> str:
    if ask.split_column:
        return table.column(ask.split_column, "--split-column")
    return "split" if "split" in table.columns else ""


def _split(row: Mapping[str, str], column: str, title: str) -> str:
    return split_named(row[column], f"The dialogue {title}") if column else ""


def _one(title: str, what: str, found: Iterable[str]) -> str:
    """What all rows of a dialogue say, where they say anything."""
    said = sorted(set(found) - {""})
    if len(said) > 1:
        raise UserError(
            f"The dialogue {title} lies in two {what}s ({', '.join(said)}); a dialogue belongs to "
            "one: name it apart, or mend the column."
        )
    return said[0] if said else ""


def _label_column(ask: Ask, table: Table, at: int) -> str:
    """Where a label set's words stand; empty: nowhere, and that may be."""
    if ask.label_column and at == 0:
        return table.column(ask.label_column, "--label-column")
    for column in (ask.labels[at], "emotion"):
        if column in table.columns:
            return column
    if ask.may_lack:
        return ""
    raise UserError(
        f"{table.file} has neither a column '{ask.labels[at]}' nor 'emotion' (its columns: "
        f"{', '.join(table.columns)}); name the labels' column with --label-column."
    )


def _unlabelled(table: Table, name: str) -> str:
    return (
        f"{table.file.name} has neither a column '{name}' nor 'emotion', so no turn has a label; "
        "--label-column names another."
    )


def _labels(name: str, column: str, table: Table, ids: Sequence[str], count: Count) -> np.ndarray:
    """A label set's labels of all rows, by their place in the set; -1: none."""
    found = np.full(len(ids), -1, np.int64)
    if not column:
        return found
    target = label_set(name)
    known: dict[str, tuple[int, str]] = {}
    odd: dict[str, str] = {}  # words that are no label, and where each stands first
    for at, row in enumerate(table.rows):
        word = row[column].strip()
        if not word or word in odd:
            continue
        if word not in known:
            try:
                known[word] = meant(word, target, f"{table.places[at]} ({ids[at]})")
            except UserError as exc:
                odd[word] = str(exc)
                continue
        found[at], why = known[word]
        if why:
            count.note(f"'{word}' in the column {column} {why}", ids[at])
    if odd:
        first, *more = odd
        others = f" No label either: {some([repr(one) for one in more])}." if more else ""
        raise UserError(odd[first] + others)
    return found


def meant(word: str, target: LabelSet, where: str) -> tuple[int, str]:
    """The place of the label that a word means, or -1 and what became of it.

    A word of another set is its nearest here (``emotions.MERGES``), or none.
    """
    if word.lower() in NOBODY_AGREED:
        return -1, "is no label"
    try:
        return target.labels.index(target.parse(word)), ""
    except UserError as exc:
        if len(word) > 2:  # a letter or a number means another emotion in each set
            for other in LABEL_SETS.values():
                try:
                    label = mapping(other, target)[other.parse(word)]
                except UserError:
                    continue
                if label is None:
                    return -1, f"is no label of {target.name}, and was dropped"
                return target.labels.index(label), f"counts as {label}"
        raise UserError(f"Of {where}: {exc}") from exc


def _values(ask: Ask, table: Table, ids: Sequence[str], count: Count) -> np.ndarray | None:
    """(rows, dimensions) from -1 to 1; NaN: none."""
    if not ask.dimensions:
        return None
    lacking = [one for one in ask.dimensions if one not in table.columns]
    if lacking and not ask.may_lack:
        raise UserError(
            f"{table.file} has no column {', '.join(lacking)} (its columns: "
            f"{', '.join(table.columns)}); ask for dimensions that were rated."
        )
    found = np.full((len(ids), len(ask.dimensions)), np.nan, np.float32)
    for at, row in enumerate(table.rows):
        for place, name in enumerate(ask.dimensions):
            if name in lacking:
                continue
            rating = _rows.number(row[name], f"{table.places[at]} ({ids[at]}), {name},")
            if rating is None:
                continue
            inside = min(max(rating, LOW), HIGH)
            if inside != rating:
                count.note(
                    f"Ratings of {name} outside {LOW:g} to {HIGH:g}, taken for the scale's end",
                    ids[at],
                )
            found[at, place] = DIMENSIONS[name].canonical(inside, LOW, HIGH)
    return found


def _turns(
    title: str,
    places: list[int],
    table: Table,
    ids: Sequence[str],
    text: str,
    count: Count,
) -> tuple[list[int], tuple[Turn, ...]]:
    """The rows of a dialogue in order, and its turns."""
    numbers = [_number(table.rows[at], table.places[at]) for at in places]
    if None in numbers or len(set(numbers)) < len(numbers):
        if any(number is not None for number in numbers):
            count.note("Dialogues whose turns have no number or the same twice; counted", title)
        numbers = list(range(len(places)))
    if numbers != sorted(numbers):  # type: ignore[type-var]
        count.note("Dialogues whose rows were not in the order of turns; sorted", title)
    order = [at for _, at in sorted(zip(numbers, places, strict=True))]
    found, last = [], -math.inf
    for number, at in zip(sorted(numbers), order, strict=True):  # type: ignore[type-var]
        row = table.rows[at]
        span = _span(row, table.places[at], ids[at], count)
        if span is not None:
            if span.start < last:
                count.note("Turns that start before the one before them; kept in order", ids[at])
            if span.duration > LONG:
                count.note(f"Turns of more than {LONG:g} s", ids[at])
            last = span.start
        found.append(
            Turn(
                number=number or 0,
                speaker=row.get("speaker", "").strip() or UNKNOWN,
                span=span,
                text=row[text].strip() if text else "",
            )
        )
    return order, tuple(found)


def _number(row: Mapping[str, str], place: str) -> int | None:
    cell = row.get("turn", "").strip()
    if not cell:
        return None
    if not re.fullmatch(r"\d{1,15}(\.0*)?", cell):
        raise UserError(f"The {place} has the turn {cell!r}; 0, 1, 2 … was wanted.")
    return int(float(cell))


def _span(row: Mapping[str, str], place: str, name: str, count: Count) -> Span | None:
    if "start" not in row and "end" not in row:
        return None
    start, end = (_rows.seconds(row.get(one, ""), f"The {place}") for one in ("start", "end"))
    if start is None or end is None:
        count.note("Turns without a time", name)
        return None
    span = Span.of(start, end)
    if span is None:
        count.note("Turns that end before they start or last no time; kept without a time", name)
    return span


def _person(row: Mapping[str, str], count: Count) -> str:
    """Who speaks, by the same name in the whole corpus; empty where that is not known."""
    speaker, session = row.get("speaker", "").strip(), row.get("session", "").strip()
    if speaker and session:
        return f"{session} {speaker}"
    if not speaker:
        return ""
    if NO_NAME.fullmatch(speaker):
        count.note("Turns of people who are not known by name across dialogues", speaker)
        return ""
    return speaker


def _sound(
    title: str,
    ids: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    turns: Sequence[Turn],
    recordings: Recordings,
    named: Mapping[str, int],
    count: Count,
) -> tuple[Path | None, tuple[Path | None, ...]]:
    """One recording of the dialogue, or one of each turn; a file of several rows is no clip."""
    if not recordings:
        return None, ()
    files = [row.get("file", "").strip() for row in rows]
    shared = sorted({file for file in files if file and named[file] > 1})
    if shared and len(set(files)) > 1:
        raise UserError(
            f"The dialogue {title} names {some(shared)} for several turns, and other files beside; "
            "a dialogue is one recording, or each turn a clip of its own."
        )
    if not any(files) and (len(turns) > 1 or turns[0].span is not None):
        whole = recordings.called(title)
        if whole is not None:
            return whole, ()
    clips = tuple(
        recordings.at(file) if file else recordings.called(one)
        for one, file in zip(ids, files, strict=True)
    )
    for one, file, clip in zip(ids, files, clips, strict=True):
        if file and clip is None:
            count.note("Clips that the table names and that are not there", one)
    if shared:
        return clips[0], ()
    return None, clips if any(clips) else ()
