"""The two branches of late_fusion: a text CNN under an LSTM, and a CNN over one vector.

Their equations, sizes and readings stand in ``late_fusion``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from erc_demo.errors import UserError
from erc_demo.systems._contract import Design, Output
from erc_demo.systems._layers import Heads, Recurrent

WIDTHS = (3, 4, 5)  # f1, f2, f3: words that a filter sees
POOL = 2


class Dense(nn.Module):
    """Two dense layers with ReLU, then one for each label set and the dimensions."""

    def __init__(self, width: int, design: Design) -> None:
        super().__init__()
        config = design.config
        self.wide = nn.Linear(width, config.wide)
        self.narrow = nn.Linear(config.wide, config.narrow)
        self.heads = Heads(config.narrow, design.labels, design.dimensions)

    def forward(self, rows: Tensor) -> Output:
        """(T, width) → logits and values."""
        logits, values = self.heads(torch.relu(self.narrow(torch.relu(self.wide(rows)))))
        return Output(logits=logits, values=values)


class Text(nn.Module):
    """The text branch: T, and what the LSTM makes of it."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        config = design.config
        self.filters = nn.ModuleList(
            nn.Sequential(
                nn.ZeroPad1d(((width - 1) // 2, width // 2)),
                nn.Conv1d(design.widths["text"], config.maps, width),
            )
            for width in WIDTHS
        )
        maps = config.maps * len(WIDTHS)
        self.project = nn.Linear(maps, config.text)
        self.over = config.lstm_over
        step = 1 if self.over == "units" else config.text
        self.lstm = Recurrent("lstm", step, config.units, both=False)
        self.dropout = nn.Dropout(config.dropout)
        self.dense = Dense(config.units, design)

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Output]:
        """Words (T, n, width) → T (T, 100), and Score(T) before the softmax."""
        across = rows.transpose(1, 2)
        maps = torch.cat([torch.relu(one(across)) for one in self.filters], dim=1).transpose(1, 2)
        real = torch.arange(rows.shape[1], device=rows.device) < lengths.unsqueeze(1)
        maps = maps * real.unsqueeze(-1)  # none is below 0, so padding is never a maximum
        vector = torch.relu(self.project(maps.amax(dim=1)))
        if self.over == "words":
            steps, counts = torch.relu(self.project(maps)), lengths
        else:
            steps = vector.unsqueeze(-1 if self.over == "units" else 1)
            counts = torch.full_like(lengths, steps.shape[1])
        last = (counts - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.lstm.width)
        state = self.lstm(steps, counts).gather(1, last).squeeze(1)
        return vector, self.dense(self.dropout(state))


class Convolutions(nn.Module):
    """The CNN over one vector: two convolutions, each with ReLU and max-pooling, and dense layers.

    With the textual vector it is the joint CNN, which reads U_D; without, the one for speech.
    """

    def __init__(self, width: int, design: Design, *, joint: bool) -> None:
        super().__init__()
        config = design.config
        if width < POOL * POOL:
            raise UserError(
                f"late_fusion's CNN reads {width} numbers, and two poolings of {POOL} want "
                f"{POOL * POOL} or more; give a wider voice, or a larger 'select' or 'text'."
            )
        self.early = nn.Linear(width, width) if joint else None
        self.first = nn.Conv1d(1, config.filters, config.reach, padding="same")
        self.second = nn.Conv1d(config.filters, config.filters, config.reach, padding="same")
        self.dense = Dense(config.filters * (width // POOL // POOL), design)

    def forward(self, rows: Tensor) -> Output:
        """(T, width) → scores before the softmax."""
        if self.early is not None:
            rows = torch.tanh(self.early(rows))  # (1)
        maps = functional.max_pool1d(torch.relu(self.first(rows.unsqueeze(1))), POOL)
        maps = functional.max_pool1d(torch.relu(self.second(maps)), POOL)
        said: Output = self.dense(maps.flatten(1))
        return said
