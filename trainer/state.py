"""What a training goes on from after a kill: where it is, in a file that is the old or the new one.

The file holds tensors and JSON text and is read as such, so nothing in it can run. It says by which
version, from which data and on which split it was made: what goes on with others would be a mixture
that no record tells of.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from erc_demo.errors import UserError

STATE = "state.pt"
ABOUT = {
    "version": "another version of the program",
    "data_sha256": "other data",
    "split_sha256": "another split",
    "plan_sha256": "another plan",
}
BROKEN = (
    *(OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, AttributeError),
    pickle.UnpicklingError,
)


@dataclass(slots=True)
class Progress:
    """Where a training is."""

    phase: int = 0  # an index of the phases
    epoch: int = 0  # epochs done in it
    bad: int = 0  # epochs since selection liked one better
    best: float | None = None
    chosen: int = 0  # the epoch that it liked best
    published: float | None = None  # the best of all epochs on the reported part
    published_epoch: str = ""
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)  # as JSON, and what it is known by


@dataclass(slots=True, kw_only=True)
class State:
    """All that is needed to go on."""

    about: Mapping[str, str]  # of ABOUT
    progress: Progress
    history: list[dict[str, Any]]
    tensors: dict[str, Any]  # weights by what they are; the learner's own

    def save(self, file: Path) -> None:
        """Write it; a kill leaves the file as it was before, or as it is now."""
        plain = {"about": dict(self.about), "progress": asdict(self.progress)}
        text = json.dumps(plain | {"history": self.history})
        aside = file.with_name(f".{file.name}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as opened:
                    torch.save({"text": text, **self.tensors}, opened)
                    opened.flush()
                    os.fsync(opened.fileno())
                aside.replace(file)
            finally:
                aside.unlink(missing_ok=True)
        except (OSError, RuntimeError) as exc:  # torch's own, of a disk that fills meanwhile
            said = exc.strerror if isinstance(exc, OSError) else "is the disk full?"
            raise UserError(f"{file} can't be written: {said}.") from exc

    @classmethod
    def load(cls, file: Path, about: Mapping[str, str]) -> State:
        """What a killed training left; refused where it was of something else."""
        try:
            tensors = torch.load(file, map_location="cpu", weights_only=True)
            told = json.loads(tensors.pop("text"))
            state = cls(
                about=told["about"],
                progress=Progress(**told["progress"]),
                history=told["history"],
                tensors=tensors,
            )
        except BROKEN as exc:
            raise UserError(
                f"{file} can't be read ({type(exc).__name__}); remove it, and what it was to go on "
                "from is trained anew."
            ) from exc
        refuse_other(file, state.about, about)
        return state


def refuse_other(file: Path, told: Mapping[str, Any], about: Mapping[str, str]) -> None:
    """Refuse to go on with what was made by another program, of other data or another split."""
    for key, what in ABOUT.items():
        if key in told and told[key] != about[key]:
            raise UserError(
                f"{file} was made with {what} ({str(told[key])[:12]}, not "
                f"{about[key][:12]}); go on with the same, or name another --out."
            )
