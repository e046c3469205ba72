"""Predictions as a file: JSON lines, one an utterance, which is all that metrics ever read.

    {"dialogue": "Ses01F_impro01", "utt_id": "Ses01F_impro01_F000", "turn": 0, "speaker": "F",
     "labels": "iemocap6", "label": "neutral", "predicted": "neutral",
     "probabilities": {"neutral": 0.71, …}, "words": 2}

``label`` is null where nobody gave one, ``predicted`` and ``probabilities`` where the system could
not answer; ``why_not`` then says why. With dimensions ``values`` holds what was predicted and
``wanted`` what was rated, by name, null where unknown. Lines of a dialogue stand together in the
order of its turns, so that what came before a turn can be told from the file. ``words`` counts the
turn's words; ``text`` is there where it is one word at most, since that is what short turns are
looked up by. ``unsure`` says whether the checkpoint would rather not name the label, and is missing
where it says nothing of that.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from erc_demo.emotions import DIMENSIONS, label_set
from erc_demo.errors import UserError

KINDS = {  # what stands under a name, where it is not null
    **dict.fromkeys(("dialogue", "utt_id", "speaker", "labels", "label", "predicted"), str),
    **dict.fromkeys(("turn", "words"), int),
    **dict.fromkeys(("probabilities", "values", "wanted"), dict),
    "unsure": bool,
}
ROUNDING = 1e-3  # that a sum of probabilities may be off
SAID = {
    str: "a text",
    int: "a whole number",
    dict: "an object of numbers",
    bool: "true or false",
}
NEEDED = ("dialogue", "utt_id", "label", "predicted", "probabilities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was said to be felt in one utterance, and what people said."""

    dialogue: str
    utt_id: str
    turn: int
    speaker: str
    labels: str = ""  # the label set's name; empty: none was asked for
    label: str | None = None
    predicted: str | None = None
    probabilities: Mapping[str, float] | None = None
    values: Mapping[str, float | None] = field(default_factory=dict)
    wanted: Mapping[str, float | None] = field(default_factory=dict)
    words: int | None = None
    text: str | None = None
    why_not: str = ""
    unsure: bool | None = None

    def __post_init__(self) -> None:
        known = label_set(self.labels).labels if self.labels else ()
        for what, one in (("label", self.label), ("predicted", self.predicted)):
            if one is not None and one not in known:
                raise UserError(
                    f"{self.utt_id}: {what} is '{one}', which {self.labels or 'no label set'} does "
                    f"not have ({', '.join(known) or 'no labels were named'})."
                )
        if self.probabilities is not None:
            total = sum(self.probabilities.values())
            if set(self.probabilities) != set(known) or not math.isclose(
                total, 1, abs_tol=ROUNDING
            ):
                raise UserError(
                    f"{self.utt_id}: the probabilities are of {', '.join(self.probabilities)} and "
                    f"sum to {total:g}; one for each of {', '.join(known)}, summing to 1, was "
                    "wanted."
                )
        for name in (*self.values, *self.wanted):
            if name not in DIMENSIONS:
                raise UserError(f"{self.utt_id}: '{name}' is no dimension.")

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data: dict[str, Any] = {
            "dialogue": self.dialogue,
            "utt_id": self.utt_id,
            "turn": self.turn,
            "speaker": self.speaker,
        }
        if self.labels:
            data |= {"labels": self.labels, "label": self.label, "predicted": self.predicted}
            chances = self.probabilities
            data["probabilities"] = None if chances is None else dict(chances)
        if self.values or self.wanted:
            data |= {"values": dict(self.values), "wanted": dict(self.wanted)}
        data |= {} if self.words is None else {"words": self.words}
        data |= {} if self.text is None else {"text": self.text}
        data |= {} if self.unsure is None else {"unsure": self.unsure}
        return data | ({"why_not": self.why_not} if self.why_not else {})

    @classmethod
    def from_json(cls, data: Any) -> Line:
        """The reverse of ``to_json``."""
        _refuse_kinds(data)
        try:
            return cls(**data)
        except TypeError as exc:
            raise UserError(
                f"A line of predictions does not fit ({exc}); wanted were {', '.join(NEEDED)} …"
            ) from exc


def _refuse_kinds(data: Mapping[str, Any]) -> None:
    """What can't be read as it stands in a line that some other program wrote."""
    for name, kind in KINDS.items():
        one = data.get(name)
        if one is not None and not isinstance(one, kind):
            raise UserError(f"{name} is {one!r}; {SAID[kind]} was wanted.")
    for name in ("probabilities", "values", "wanted"):
        for key, one in (data.get(name) or {}).items():
            number = isinstance(one, int | float) and not isinstance(one, bool)
            if name == "probabilities" and not (number and 0 <= one <= 1 + ROUNDING):
                raise UserError(f"the probability of {key} is {one!r}; 0 to 1 was wanted.")
            if not number and one is not None:
                raise UserError(f"{name} has {one!r} as {key}; a number was wanted.")


def write(file: Path, lines: Iterable[Line]) -> None:
    """All lines, in a file that appears whole or not at all."""
    text = "".join(
        json.dumps(one.to_json(), ensure_ascii=False, allow_nan=False) + "\n" for one in lines
    )
    aside = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(text, encoding="utf-8")
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise UserError(f"{file} can't be written: {exc.strerror or exc}.") from exc


def read(file: Path) -> list[Line]:
    """Every line of a file."""
    try:
        return list(_lines(file))
    except OSError as exc:
        raise UserError(f"The predictions {file} can't be opened: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise UserError(f"{file} is not text; JSON lines of predictions were wanted.") from exc


def _lines(file: Path) -> Iterator[Line]:
    with file.open(encoding="utf-8") as opened:
        for number, text in enumerate(opened, 1):
            if not text.strip():
                continue
            try:
                data = json.loads(text)
            except (ValueError, RecursionError) as exc:
                raise UserError(
                    f"{file}, line {number}, is not JSON; was the file cut off? Make it again."
                ) from exc
            if not isinstance(data, dict):
                raise UserError(f"{file}, line {number}, is no JSON object.")
            try:
                yield Line.from_json(data)
            except UserError as exc:
                raise UserError(f"{file}, line {number}: {exc}") from exc
