"""What is kept of a run: a small file that says all of it but whose label was what.

    kept = record.every()["ats_sagru-iemocap4"]

One JSON file a record, ``assets/results/NAME.json``, below ``LARGEST``. Nothing in it is a path of
a machine, a word of a corpus or the label of a turn: ``counts`` says how that can be enough.
Measures have the interval of 95 % of bundles of dialogues drawn anew; ``ece`` has 15 bins of equal
mass; ``by`` parts some of them by fold, gender and speaker (``people``).

A file that is read is held against itself: its seal, and its measures against its counts.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from trainer import runs
from trainer.compare import Figure
from trainer.metrics.tally import finish
from trainer.results.counts import DAMAGED, Counts

HOME = Path(__file__).resolve().parents[2] / "assets" / "results"
VERSION = 1
LARGEST = 60_000  # bytes
NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
COUNTED = ("weighted_f1", "macro_f1", "ua", "wa")  # what the counts alone say
PLACES = 5  # of a number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """A run as it is kept; ``learned`` and ``heard`` are the columns of words, empty: as given."""

    name: str
    system: str
    data: str  # KIND:NAME
    protocol: str
    counts: Counts
    figures: Mapping[str, Figure]  # by measure, and ece
    seeds: tuple[int, ...]
    ablation: str = ""
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    learned: str = ""
    heard: str = ""
    select_from: str = ""
    data_sha256: str = ""
    folds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    commits: tuple[str, ...] = ()
    parameters: int | None = None
    plan: str = ""  # TOML
    unanswered: tuple[int, ...] = ()
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    by: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    wer: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UserError(f"'{self.name}' is no name of a record; letters, digits, - and . are.")
        if not self.figures or not self.seeds:
            raise UserError(f"The record {self.name} holds no figure or no seed{DAMAGED}.")
        size = len(self.seeds)
        if len(self.counts.counts) != size or any(
            len(one.each) != size for one in self.figures.values()
        ):
            raise UserError(f"The record {self.name} is not of its {size} seeds{DAMAGED}.")
        for measure in COUNTED:
            told = self.figures.get(measure)
            counted = _counted(self.counts, measure)
            if told is None or not np.allclose(told.each, counted, rtol=0, atol=10**-PLACES):
                raise UserError(
                    f"The record {self.name} says another {measure} than its counts{DAMAGED}."
                )

    @property
    def labels(self) -> str:
        """The label set."""
        return self.counts.labels

    def to_json(self) -> dict[str, Any]:
        """Plain data, but for the seal."""
        data: dict[str, Any] = {"version": VERSION}
        for one in fields(self):
            data[one.name] = getattr(self, one.name)
        counts = np.sum(self.counts.counts, axis=(0, 1))
        data["counts"] = {
            "labels": self.labels,
            "turns": self.counts.turns,
            "n": self.counts.n,
            "bundles": self.counts.to_text(),
        }
        data["confusion"] = counts.tolist()  # of all seeds together
        data["figures"] = {name: asdict(one) for name, one in self.figures.items()}
        plain: dict[str, Any] = json.loads(json.dumps(data, default=dict))
        return dict(_rounded(plain))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The reverse of ``to_json``."""
        if data.get("version") != VERSION:
            raise UserError(
                f"it is of version {data.get('version')!r}, and this program reads {VERSION}"
            )
        given = {key: one for key, one in data.items() if key not in ("version", "confusion")}
        try:
            told = given["counts"]
            counts = Counts.from_text(told["labels"], told["turns"], told["bundles"])
            given |= {"counts": counts}
            given["figures"] = {
                name: Figure(**{**one, "each": tuple(one["each"])} | _ends(one))
                for name, one in given["figures"].items()
            }
            for name in ("seeds", "commits", "unanswered", "remarks"):
                given[name] = tuple(given[name])
            given["reads"] = {name: tuple(these) for name, these in given["reads"].items()}
            made = cls(**given)
            same = np.sum(counts.counts, axis=(0, 1)).tolist() == data["confusion"]
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            raise UserError(f"it does not hold what a record holds ({exc}){DAMAGED}") from exc
        if not same:
            raise UserError(f"its confusion is not the sum of its counts{DAMAGED}")
        return made

    def text(self) -> str:
        """As the file has it: a line a key, sealed."""
        data = self.to_json()
        data["seal"] = _seal(data)
        lines = [
            f" {json.dumps(key)}: {json.dumps(one, ensure_ascii=False, allow_nan=False)}"
            for key, one in data.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def write(self, home: Path, *, again: bool = False) -> Path:
        """The file, whole or not at all."""
        file, text = home / f"{self.name}.json", self.text()
        if file.exists() and not again:
            raise UserError(
                f"{file.name} is recorded already; name another --as, or record it again by "
                "--again."
            )
        if (size := len(text.encode())) > LARGEST:
            raise UserError(
                f"The record {self.name} would take {size} bytes, more than {LARGEST}; record "
                "fewer seeds."
            )
        runs.write(file, text)
        return file


def read(file: Path) -> Record:
    """One record; what is wrong with it is said in a sentence that names it."""
    data = runs.facts(file)
    seal = data.pop("seal", None)
    if seal != _seal(data):
        raise UserError(f"{file} is not as it was recorded{DAMAGED}.")
    try:
        found = Record.from_json(data)
    except UserError as exc:
        raise UserError(f"{file} can't be used: {str(exc).rstrip('.')}.") from exc
    if found.name != file.stem:
        raise UserError(f"{file} says that it is {found.name}; give it that name again.")
    return found


def every(home: Path = HOME) -> dict[str, Record]:
    """All records of a folder by name."""
    return {file.stem: read(file) for file in sorted(home.glob("*.json"))}


def _counted(counts: Counts, measure: str) -> list[float]:
    """A measure of each seed from its counts."""
    size = len(label_set(counts.labels).labels)
    return [
        float(finish(measure, one.sum(0).reshape(-1).astype(float), size)) for one in counts.counts
    ]


def _ends(figure: Mapping[str, Any]) -> dict[str, float]:
    return {key: math.nan if figure[key] is None else figure[key] for key in ("low", "high")}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return round(value, PLACES) if math.isfinite(value) else None
    return value


def _seal(data: Mapping[str, Any]) -> str:
    told = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
