"""What two or more systems share: recurrences over padded rows, masked softmax, heads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from erc_demo.emotions import label_set

LOOSE = 1.5  # how much longer than the shortest the longest sequence of a part may be
FEW = 16  # sequences that are not worth parting


def softmax(scores: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    """A softmax over what the mask leaves; all zeros where it leaves nothing.

    >>> softmax(torch.zeros(3), torch.tensor([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    lowest = torch.finfo(scores.dtype).min
    weights = scores.masked_fill(~mask, lowest).softmax(dim=dim)
    return weights * mask


def reverse(rows: Tensor, lengths: Tensor) -> Tensor:
    """The rows of each sequence (T, n, width) from its last to its first; padding stays behind."""
    count = rows.shape[1]
    steps = torch.arange(count, device=rows.device)
    back = lengths.unsqueeze(1) - 1 - steps  # below 0 on padding
    index = torch.where(back >= 0, back, steps)
    return rows.gather(1, index.unsqueeze(-1).expand_as(rows))


def alike(lengths: Tensor, size: int) -> list[tuple[Tensor, int]]:
    """Indices of sequences of like length, and the longest of each part, ``size`` at most.

    Padding then costs little, whatever the longest of all. Under ``torch.compile``, where sizes
    must not hang on numbers, all are one part.
    """
    count = len(lengths)
    if count <= FEW or torch.compiler.is_compiling():
        return [(torch.arange(count, device=lengths.device), size)]
    counts = lengths.clamp(min=1).cpu()
    steps = ((counts.max() / counts).log() / math.log(LOOSE)).long()
    parts = [torch.nonzero(steps == one).squeeze(1) for one in steps.unique()]
    return [(part.to(lengths.device), int(counts[part].max())) for part in parts]


class Recurrent(nn.Module):
    """A GRU or LSTM over padded sequences, one way or both; rows behind the end are zeros.

    Both ways are two networks over the sequence and over its reverse, so that padding never comes
    first. Sequences run padded among others of like length: packed ones skip the padding too, but
    on a CPU each step of their way back fills a gradient of the size of all steps.
    """

    def __init__(self, kind: str, width: int, units: int, *, both: bool = True) -> None:
        super().__init__()
        made = {"gru": nn.GRU, "lstm": nn.LSTM}[kind]
        self.ways = nn.ModuleList(
            made(width, units, batch_first=True) for _ in range(2 if both else 1)
        )
        self.width = units * len(self.ways)

    def forward(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """(T, n, width) and (T,) → (T, n, units · ways)."""
        size = rows.shape[1]
        parts = alike(lengths, size)
        if len(parts) == 1:
            return self._run(rows, lengths)
        found = [
            pad(self._run(rows[part, :longest], lengths[part]), (0, 0, 0, size - longest))
            for part, longest in parts
        ]
        order = torch.cat([part for part, _ in parts]).argsort()
        return torch.cat(found)[order]

    def _run(self, rows: Tensor, lengths: Tensor) -> Tensor:
        found = [self.ways[0](rows)[0]]
        if len(self.ways) > 1:
            back = self.ways[1](reverse(rows, lengths))[0]
            found.append(reverse(back, lengths))
        real = torch.arange(rows.shape[1], device=rows.device) < lengths.unsqueeze(1)
        return torch.cat(found, dim=-1) * real.unsqueeze(-1)


class Heads(nn.Module):
    """One linear layer for each label set, and one for the dimensions."""

    def __init__(
        self, width: int, labels: Sequence[str], dimensions: Sequence[str], *, bias: bool = True
    ) -> None:
        super().__init__()
        self.labels = nn.ModuleDict(
            {name: nn.Linear(width, len(label_set(name).labels), bias=bias) for name in labels}
        )
        self.dimensions = nn.Linear(width, len(dimensions), bias=bias) if dimensions else None

    def forward(self, states: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """(…, width) → logits by label set, and values."""
        logits = {name: head(states) for name, head in self.labels.items()}
        return logits, None if self.dimensions is None else self.dimensions(states)
