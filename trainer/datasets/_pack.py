"""The field's feature pickles: a tuple of dicts, one entry a dialogue.

Which part is which is not written in them; public loaders unpack them in one of these orders,
which are told apart by what the parts hold (``LAYOUTS``, ``HOLDS``):

- DialogueRNN, MMGCN and their heirs: ids, speakers, labels, text, audio, visual, sentences, train,
  test; of MELD without visual and with the sentiments at the end (``MELD_features_raw.pkl``), or
  with both (``MELD_features_raw1.pkl``);
- SDT, CFN-ESA: the same with three more arrays of text behind the first
  (``iemocap_multimodal_features.pkl``, ``meld_multimodal_features.pkl``).

Whose they are shows in their speakers and labels: IEMOCAP's are F and M, MELD's a one-hot row each,
AVEC's are rated by real numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo import features
from erc_demo.errors import UserError
from erc_demo.features import Spec
from erc_demo.findings import Features
from erc_demo.settings import Settings
from trainer.datasets import _unpickler, some
from trainer.datasets._numbers import GIVEN, Numbers
from trainer.datasets._turns import Count

MOST_TURNS = 1_000_000  # of a file; MELD has 13,708
ROWS = {"text": "text{}", "text2": "text{}_2", "text3": "text{}_3", "text4": "text{}_4",
        "audio": "acoustic{}", "visual": "visual{}"}  # fmt: skip
HOLDS = {
    "ids": ("words", "numbers"),
    "speakers": ("words", "rows"),
    "labels": ("numbers",),
    **dict.fromkeys(ROWS, ("rows",)),
    "sentences": ("words",),
    "train": ("keys",),
    "test": ("keys",),
    "sentiments": ("numbers",),
}
_FIRST = ("ids", "speakers", "labels", "text", "audio", "visual", "sentences", "train", "test")
_MORE = (*_FIRST[:4], "text2", "text3", "text4", *_FIRST[4:])
LAYOUTS = (
    _FIRST,
    (*_FIRST[:5], *_FIRST[6:], "sentiments"),
    (*_FIRST, "sentiments"),
    _MORE,
    (*_MORE, "sentiments"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One dialogue of a pack: everything runs over its turns."""

    name: str
    speakers: tuple[str, ...]
    labels: np.ndarray  # float64 (turns,): whole numbers or ratings
    sentences: tuple[str, ...]
    ids: tuple[str, ...]
    split: str
    given: Mapping[str, Features]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """A file's parts by their names, as they lie there."""

    file: Path
    parts: Mapping[str, Any]

    @cached_property
    def corpus(self) -> str:
        """Of which corpus it is: iemocap, meld or avec."""
        labels = next(these for these in self.parts["labels"].values() if len(these))
        if np.asarray(labels).dtype.kind == "f":
            return "avec"
        speakers = {
            _text(one)
            for these in self.parts["speakers"].values()
            for one in these
            if isinstance(one, (str, bytes))
        }
        if not speakers:
            return "meld"
        if speakers <= {"F", "M"}:
            return "iemocap"
        raise UserError(
            f"{self.file} has the speakers {some(sorted(speakers))}; F and M (IEMOCAP), one-hot "
            "rows (MELD), or user and operator with ratings (AVEC) were wanted."
        )

    def dialogues(self, count: Count) -> list[Part]:
        """Every dialogue whose parts are of one length."""
        split = _splits(self)
        kept = {}
        for key, labels in self.parts["labels"].items():
            lengths = {len(self.parts[one].get(key, ())) for one in ("speakers", "sentences")}
            if lengths != {len(labels)} or not len(labels):
                count.note("dialogues whose parts differ in length, left out", self.name(key))
            else:
                kept[key] = len(labels)
        ids = self._ids(kept, count)
        numbers = [self._numbers(one, kept, ids, count) for one in ROWS if one in self.parts]
        return [
            Part(
                name=self.name(key),
                speakers=tuple(self._speaker(one) for one in self.parts["speakers"][key]),
                labels=np.asarray(self.parts["labels"][key], np.float64),
                sentences=tuple(_text(one) for one in self.parts["sentences"][key]),
                ids=ids[key],
                split=split.get(key, ""),
                given={one.text: one.of(ids[key], range(turns)) for one in numbers},
            )
            for key, turns in kept.items()
        ]

    def name(self, key: Any) -> str:
        """A dialogue's name; MELD's are numbers."""
        return _text(key) if isinstance(key, str) else f"{self.corpus}{_text(key)}"

    def _speaker(self, told: Any) -> str:
        """A word as it is; of a one-hot row the place, from 1."""
        if isinstance(told, (str, bytes)):
            return _text(told)
        return f"speaker {np.argmax(_row(told, self.file, 'speakers')) + 1}"

    def _ids(self, kept: Mapping[Any, int], count: Count) -> dict[Any, tuple[str, ...]]:
        """The turns' names, or, where these are numbers or occur twice, their places."""
        told = {key: self.parts["ids"].get(key, ()) for key in kept}
        names = [one if isinstance(one, (str, bytes)) else "" for t in told.values() for one in t]
        if all(len(told[key]) == turns for key, turns in kept.items()) and all(names):
            if len(set(names)) == len(names):
                return {key: tuple(_text(one) for one in these) for key, these in told.items()}
        count.note("files whose turns have no names of their own; numbered", self.file.name)
        return {
            key: tuple(f"{self.name(key)}_{at:03d}" for at in range(turns))
            for key, turns in kept.items()
        }

    def _numbers(
        self, part: str, kept: Mapping[Any, int], ids: Mapping[Any, Sequence[str]], count: Count
    ) -> Numbers:
        """One modality's rows, of every dialogue that has as many as turns."""
        stored, width = self.parts[part], 0
        place: dict[str, int] = {}
        found: list[np.ndarray] = []
        for key, turns in kept.items():
            rows = stored.get(key, ())
            if len(rows) != turns:
                count.note(
                    f"dialogues with other than one row of {part} a turn; none", self.name(key)
                )
                continue
            made = [_row(row, self.file, part) for row in rows]
            width = width or len(made[0])
            if {len(row) for row in made} != {width}:
                raise UserError(
                    f"{self.file} has {part} of different widths ({self.name(key)}); one was "
                    "wanted."
                )
            place |= {one: len(place) + at for at, one in enumerate(ids[key])}
            found += made
        if not found:
            raise UserError(f"{self.file} has {part} of none of its dialogues; is it whole?")
        rows = np.stack(found)
        spec = Spec(GIVEN, {"name": ROWS[part].format(width), "width": width})
        undefined = ~np.isfinite(rows).all(axis=1)
        if undefined.any():
            count.note(f"turns whose {part} is not defined; 0 stands for it", spec.text)
        return Numbers(
            text=spec.text,
            version=features.ready(spec, Settings()).version,
            rows=np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0),
            columns=(),
            place=place,
            undefined=undefined,
        )


def read(file: Path) -> Pack:
    """A file in one of the field's orders."""
    parts = _unpickler.read(file)
    if not isinstance(parts, (list, tuple)):
        raise UserError(f"{file} holds a {type(parts).__name__}; a tuple of parts was wanted.")
    size = file.stat().st_size
    known = len(parts) in map(len, LAYOUTS)
    kinds = [_kind(part, file, size) for part in parts] if known else []
    for layout in LAYOUTS if known else ():
        if len(layout) == len(parts) and all(
            kind in HOLDS[name] for name, kind in zip(layout, kinds, strict=True)
        ):
            return Pack(file=file, parts=dict(zip(layout, parts, strict=True)))
    wanted = "; or ".join(", ".join(layout) for layout in LAYOUTS)
    raise UserError(
        f"{file} holds {len(parts):,} parts ({', '.join(kinds) or 'too few or too many'}), which "
        f"fit none of the orders that are known: {wanted}."
    )


def _kind(part: Any, file: Path, size: int) -> str:
    """What every turn of a part is.

    The same value may stand in a pickle at many places; what is more in sum than the file has bytes
    is refused, so that nobody's memory is filled by a small file.
    """
    if isinstance(part, (list, tuple, set)):
        return "keys"
    if not isinstance(part, dict):
        return type(part).__name__
    if not all(isinstance(these, (list, tuple, np.ndarray)) for these in part.values()):
        return "a dict of no lists"
    if sum(map(len, part.values())) > MOST_TURNS:
        raise UserError(f"{file} has more than {MOST_TURNS:,} turns; no corpus of the field has.")
    kinds, held = set(), 0
    for one in (one for these in part.values() for one in these):
        kind, length = _item(one)
        kinds.add(kind)
        held += length
        if held > size:
            raise UserError(f"{file} holds more numbers or words than bytes; it is no such file.")
    return kinds.pop() if len(kinds) == 1 else "a dict of mixed lists" if kinds else "nothing"


def _item(one: Any) -> tuple[str, int]:
    """What one turn of a part is, and how large."""
    if isinstance(one, (str, bytes)):
        return "words", len(one)
    if isinstance(one, (int, float, np.number)):
        return "numbers", 1
    if isinstance(one, np.ndarray) and one.ndim == 1 and one.dtype.kind in "iuf":
        return "rows", len(one)
    if isinstance(one, (list, tuple)) and all(type(each) in (int, float) for each in one):
        return "rows", len(one)
    return type(one).__name__, 1


def _splits(pack: Pack) -> dict[Any, str]:
    """Which side a dialogue is on; one side only."""
    sides = {one: _plain(pack.parts[one], pack.file) for one in ("train", "test")}
    both = sides["train"] & sides["test"]
    if both:
        names = sorted(pack.name(key) for key in both)
        raise UserError(f"{pack.file} has {some(names)} in training and in test; mend it.")
    return {key: side for side, keys in sides.items() for key in keys}


def _plain(keys: Collection[Any], file: Path) -> set[Any]:
    if not all(isinstance(key, (str, int)) for key in keys):
        raise UserError(f"{file} names dialogues by something else than a word or a number.")
    return set(keys)


def _row(row: Any, file: Path, part: str) -> np.ndarray:
    """A turn's numbers, float32 (width,)."""
    if not len(row):
        raise UserError(f"{file} has a turn without any numbers of {part}; is it whole?")
    with np.errstate(over="ignore"):
        return np.asarray(row).astype(np.float32)


def _text(said: Any) -> str:
    """Words in Unicode: Python 2 kept bytes, of UTF-8 or of Windows-1252."""
    try:
        content = said if isinstance(said, bytes) else str(said).encode("latin1")
        return content.decode("utf-8").strip()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace").strip()
    except UnicodeEncodeError:
        return str(said).encode("utf-8", errors="replace").decode("utf-8").strip()
