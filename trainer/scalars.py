"""Scalars of a training where people watch them: TensorBoard's files, or trackio's."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Scalars:
    """The events of a training; does nothing where the library is not installed."""

    def __init__(self, kind: str, folder: Path, here: bool) -> None:
        self._kind, self._folder = kind if here else "none", folder
        self._writer: Any = None

    def __enter__(self) -> Scalars:
        try:
            if self._kind == "tensorboard":
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self._folder / "tensorboard"))
            elif self._kind == "trackio":
                import trackio

                trackio.init(
                    project=self._folder.parents[1].name, name=self._folder.name, resume="allow"
                )
                self._writer = trackio
        except ImportError:
            self._writer = None
        return self

    def add(self, event: dict[str, Any]) -> None:
        """An epoch's numbers."""
        if self._writer is None:
            return
        stage = f"{event['phase']}/{event['stage']}"
        numbers = {f"{stage}/{name}": event[name] for name in ("loss", "rate", "seconds")}
        for part in ("select", "report"):
            numbers |= {f"{stage}/{part}/{name}": one for name, one in event.get(part, {}).items()}
        if self._kind == "trackio":
            self._writer.log(numbers, step=event["epoch"])
            return
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, event["epoch"])

    def __exit__(self, *_: object) -> None:
        if self._writer is None:
            return
        if self._kind == "trackio":
            self._writer.finish()
        else:
            self._writer.close()
