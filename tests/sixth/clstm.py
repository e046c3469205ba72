"""cLSTM: each input read over the whole conversation, then all of them together.

Poria, Cambria, Hazarika, Mazumder, Zadeh, Morency, "Context-Dependent Sentiment Analysis in
User-Generated Videos", ACL 2017: the small rival that other papers of this folder compare against.
A turn is one vector for each input m, made without context. In the hierarchical form,

    level 1, for each input:   H_m = BiLSTM(X_m),  Z_m = relu(H_m W_m + b_m),  softmax
    level 2:                   H = BiLSTM([Z_1 ; Z_2 ; …]),  Z = relu(H W + b),  softmax

over the turns of a conversation, both ways in time (bc-LSTM). The levels are trained one after the
other, each with its own cross-entropy; level 2 reads what the trained level 1 makes of the turns.
sc-LSTM steps one way only, h-LSTM has no dense layers: these are the paper's variants.

Written from the method as it is widely told, so without the paper's equation numbers. Readings:

- Sizes are those of the authors' public code: 300 units each way, dense layers of 100 and of 500.
- Dropout stands between LSTM and dense layer; its share is not known here: 0.3.
- The answer is level 2's softmax (the paper gives its Z to a support vector machine at the end).

Ours: a turn that lacks an input stands with zeros in its conversation and is not answered. Heads
for dimensions stand beside those for labels, at both levels. A text CNN, openSMILE and a 3D-CNN
made the paper's vectors; ``sentence`` stands for the first, ``is13`` for the second, and there is
no face.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from erc_demo.plugs import option
from erc_demo.systems import _contract
from erc_demo.systems._batch import Batch
from erc_demo.systems._contract import Ablation, Design, Need, Output, Shown
from erc_demo.systems._layers import Heads, Recurrent
from erc_demo.systems._losses import Targets

ABOUT = "A contextual LSTM over the turns for voice and for words, then one over both."
PAPER = (
    "Poria, Cambria, Hazarika, Mazumder, Zadeh and Morency: Context-Dependent Sentiment Analysis "
    "in User-Generated Videos. ACL 2017."
)
NEEDS = {
    "audio": Need(
        title="voice",
        level="utterance",
        published=("is13",),
        embedded=("gemaps47:speaker_norm=both",),
    ),
    "text": Need(title="words", level="utterance", published=("sentence",), embedded=("sentence",)),
}
EMBEDDED: dict[str, object] = {"units": 64, "dense": 64, "fused": 64}
ABLATIONS = {
    "sc-LSTM": Ablation(settings={"ways": "one"}),
    "h-LSTM": Ablation(settings={"layers": "lstm"}),
    "audio": Ablation(inputs=("audio",)),
    "text": Ablation(inputs=("text",)),
}
SMALL = {"units": 8, "dense": 8, "fused": 12}


@dataclass(frozen=True, kw_only=True)
class Config(_contract.Config):
    """Sizes and the paper's variants."""

    ways: str = option("both", "of the LSTMs: both (bc-LSTM) or one (sc-LSTM)", ("both", "one"))
    layers: str = option("dense", "dense, or lstm (h-LSTM: no dense layer)", ("dense", "lstm"))
    units: int = option(300, "units of each LSTM, each way")
    dense: int = option(100, "width of each input's dense layer")
    fused: int = option(500, "width of the second level's dense layer")
    dropout: float = option(0.3, "share of the LSTM's numbers dropped in training")


@dataclass(slots=True)
class Levels(Output):
    """Level 2's answer, and what level 1 says of each input alone."""

    alone: dict[str, Output] = field(default_factory=dict)


class Level(nn.Module):
    """An LSTM over the turns, a dense layer, a softmax."""

    def __init__(self, width: int, dense: int, design: Design) -> None:
        super().__init__()
        config = design.config
        self.lstm = Recurrent("lstm", width, config.units, both=config.ways == "both")
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(self.lstm.width, dense) if config.layers == "dense" else None
        self.width = self.lstm.width if self.dense is None else dense
        self.heads = Heads(self.width, design.labels, design.dimensions)

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Output]:
        """(B, L, width) → Z (B, L, dense) and the answer."""
        states = self.dropout(self.lstm(rows, lengths))
        if self.dense is not None:
            states = torch.relu(self.dense(states))
        logits, values = self.heads(states)
        return states, Output(logits=logits, values=values)


class System(_contract.System):
    """bc-LSTM, hierarchical; of one input alone it is level 1."""

    def __init__(self, design: Design) -> None:
        """Make both levels."""
        super().__init__(design)
        config = self.config
        if not 0 <= config.dropout < 1 or min(config.units, config.dense, config.fused) < 1:
            raise UserError(
                f"clstm's sizes are {config.units}, {config.dense} and {config.fused}, its dropout "
                f"{config.dropout:g}; sizes from 1 on and a share from 0 to below 1 were wanted."
            )
        self.alone = nn.ModuleDict(
            {name: Level(width, config.dense, design) for name, width in design.widths.items()}
        )
        if len(self.alone) > 1:
            width = sum(level.width for level in self.alone.values())  # type: ignore[misc]
            self.together = Level(width, config.fused, design)
        self._stage = ""

    @property
    def stages(self) -> tuple[str, ...]:  # type: ignore[override]  # by the number of inputs
        """Level 1, then level 2 on it."""
        return ("alone", "together") if len(self.alone) > 1 else ("alone",)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """What each input alone says of the first label set, and what comes of all."""
        if not self.design.labels:
            return ()
        labels = label_set(self.design.labels[0]).labels
        branches = (*self.alone, *(("together",) if len(self.alone) > 1 else ()))
        return (
            Shown(
                name="branches",
                title="answers from each input alone and from all together",
                axes=("branch", "label"),
                names={"branch": branches, "label": labels},
            ),
        )

    def run(self, batch: Batch, show: bool) -> Levels:
        """Both levels."""
        lengths = batch.mask.sum(dim=1)
        found, alone = [], {}
        for name, level in self.alone.items():
            states, alone[name] = level(self.read(batch, name), lengths)
            found.append(states.detach())  # level 2 leaves level 1 as it was trained
        answer = alone[name]
        if len(found) > 1:
            _, answer = self.together(torch.cat(found, dim=-1), lengths)
        output = Levels(logits=answer.logits, values=answer.values, alone=alone)
        if show and self.shows:
            first = self.design.labels[0]
            said = [*alone.values(), *([answer] if len(found) > 1 else [])]
            rows = torch.stack([one.logits[first].softmax(dim=-1) for one in said], dim=-2)
            output.shown["branches"] = batch.flat(rows)
        return output

    def stage(self, name: str) -> None:
        """Free one level; the chain of ``decode`` learns with the last."""
        super().stage(name)
        self._stage = name
        for key, one in self.named_parameters():
            part = key.split(".")[0]
            one.requires_grad_(name == (self.stages[-1] if part == "chains" else part))

    def loss(
        self, output: Output, batch: Batch, targets: Targets, per: float | None = None
    ) -> Tensor:
        """That of the level that learns; of both where no stage is set."""
        if not isinstance(output, Levels):
            raise TypeError("clstm's loss wants the Output of its own run")
        learned = list(output.alone.values()) if self._stage in ("", "alone") else []
        if self._stage in ("", "together") and len(output.alone) > 1:
            learned.append(output)
        parts = [super(System, self).loss(one, batch, targets, per) for one in learned]
        return torch.stack(parts).sum()
