"""ATS-Fusion and SA-GRU: attention over the inputs of a turn, then over the turns.

Lian, Tao, Liu, Huang, "Conversational Emotion Analysis via Attention Mechanisms", Interspeech 2019.

    u_cat = [W_a a ; W_t t ; W_s s]                                (1)  d × 3, no biases
    P_F = tanh(W_F u_cat)                                          (2)
    α = softmax(w_Fᵀ P_F)                                          (3)  1 × 3
    f = u_cat αᵀ                                                   (4)
    h_1 … h_L = BiGRU(f_1 … f_L)                                   (5–7)
    head_i = softmax((H W_i^Q)(H W_i^K)ᵀ)(H W_i^V)                 (8–11)  no scaling

and a linear layer on the heads side by side. d = 100, four heads.

What the paper leaves open, and the reading here:

- "bi-directional GRU layer with 100 units" and H ∈ R^{L × d}, d = 100: 50 units each way
  (``units``; 100 each way makes H 200 wide, heads of 25 then need a projection to d).
- Dropout 0.2 stands before the GRU, before the attention and before the linear layer; the size of
  the L2 term is not given (training's weight decay).
- ELMo means and x-vectors are not here: ``sentence`` (any encoder by name) and ``voice`` stand for
  them, as published also in width where such encoders are named.
- The scale of the inputs is not given: each number is standardised on the training part.
- S3, "only the self-attention layer", attends over f directly.
- PyTorch's GRU stands for (5–7): z and 1 − z change places, which is z's weights negated, and the
  reset gate stands behind the matrix, r ∘ (U_h h + c), where (7) has U_h (r ∘ h).

Ours: a turn may lack inputs. The softmax of (3) then runs over those it has; a turn that has none
stands in its conversation as a learned vector. Any two of the three inputs suffice for an answer.
The paper's system sees the turns after the one it answers; ``hindsight=False`` of ``predict`` runs
it on each beginning of the conversation instead, which is what it would have said at the time.
A design may have a single input; the fusion then has nothing to weigh.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from erc_demo.errors import UserError
from erc_demo.plugs import option
from erc_demo.systems import _contract
from erc_demo.systems._batch import Batch
from erc_demo.systems._contract import Ablation, Design, Need, Output, Shown
from erc_demo.systems._layers import Heads, Recurrent, softmax

ABOUT = "Attention over voice, words and speaker, then a BiGRU and attention over all turns."
PAPER = (
    "Lian, Tao, Liu and Huang: Conversational Emotion Analysis via Attention Mechanisms. "
    "Interspeech 2019."
)
NEEDS = {
    "audio": Need(
        title="voice",
        level="utterance",
        published=("is13",),
        embedded=("gemaps47:speaker_norm=both",),
    ),
    "text": Need(
        title="words",
        level="utterance",
        published=("sentence",),
        embedded=("sentence", "sentence:encoder=emotional"),
    ),
    "speaker": Need(title="speaker", level="utterance", published=("voice",), embedded=("voice",)),
}
EMBEDDED: dict[str, object] = {}
ABLATIONS = {
    "S1": Ablation(inputs=("audio", "text")),
    "S2": Ablation(settings={"fusion": "add"}),
    "S3": Ablation(settings={"layers": "attention"}),
    "S4": Ablation(settings={"layers": "gru"}),
}
SMALL = {"width": 16, "units": 8, "heads": 2}


@dataclass(frozen=True, kw_only=True)
class Config(_contract.Config):
    """Sizes and the four rival systems of Table 1."""

    width: int = option(100, "d: width of the fused vector and of the attention", least=1)
    units: int = option(50, "units of the GRU each way", least=1)
    heads: int = option(4, "attention heads", least=1)
    dropout: float = option(0.2, "share of numbers dropped in training", least=0, below=1)
    fusion: str = option("attention", "attention (Eq. 1-4) or add (S2)", ("attention", "add"))
    layers: str = option(
        "both",
        "over the turns: both (S5), attention (S3: no GRU) or gru (S4: no attention)",
        ("both", "attention", "gru"),
    )


class System(_contract.System):
    """S5 of Table 1; S1 is a design without the input 'speaker'."""

    def __init__(self, design: Design) -> None:
        """Make the layers."""
        super().__init__(design)
        config = self.config
        if config.width % config.heads:
            raise UserError(
                f"ats_sagru's width {config.width} can't be shared by {config.heads} heads; "
                "give a width that the heads divide."
            )
        width = config.width
        self.embed = nn.ModuleDict(
            {name: nn.Linear(size, width, bias=False) for name, size in design.widths.items()}
        )
        self.nothing = nn.Parameter(torch.randn(width) / width**0.5)
        if config.fusion == "attention":
            self.w_f = nn.Linear(width, width, bias=False)
            self.score = nn.Linear(width, 1, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        made = width
        if config.layers != "attention":
            self.gru = Recurrent("gru", width, config.units)
            made = self.gru.width
        if config.layers != "gru":
            self.query = nn.Linear(made, width, bias=False)
            self.key = nn.Linear(made, width, bias=False)
            self.value = nn.Linear(made, width, bias=False)
            made = width
        self.heads = Heads(made, design.labels, design.dimensions)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The fusion's weights, and each head's attention over the turns."""
        found = []
        if self.config.fusion == "attention":
            names = {"modality": tuple(self.design.inputs)}
            found.append(
                Shown(
                    name="fusion",
                    title="weight of each input in the fusion",
                    axes=("modality",),
                    names=names,
                    sums="modality",
                )
            )
        if self.config.layers != "gru":
            found.append(
                Shown(
                    name="context",
                    title="attention over the turns",
                    axes=("head", "turn"),
                    sums="turn",
                )
            )
        return tuple(found)

    def enough(self, present: frozenset[str]) -> bool:
        """Any two of the three; the one, of a design that has one."""
        names = set(self.design.inputs)
        return len(present & names) >= min(2, len(names))

    def run(self, batch: Batch, show: bool) -> Output:
        """Eq. 1 to 11."""
        output = Output()
        names = list(self.design.inputs)
        cat = torch.stack(
            [self.embed[name](self.read(batch, name)) for name in names], dim=-2
        )  # (1), (B, L, inputs, d)
        there = torch.stack([batch.present[name] for name in names], dim=-1)
        states = self._fuse(cat, there, batch, output, show)
        if self.config.layers != "attention":
            states = self.gru(self.dropout(states), batch.mask.sum(dim=1))  # (5-7)
        if self.config.layers != "gru":
            states = self._attend(self.dropout(states), batch, output, show)
        output.logits, output.values = self.heads(self.dropout(states))
        return output

    def _fuse(self, cat: Tensor, there: Tensor, batch: Batch, output: Output, show: bool) -> Tensor:
        if self.config.fusion == "add":
            fused = cat.sum(dim=-2)
        else:
            weights = softmax(self.score(torch.tanh(self.w_f(cat))).squeeze(-1), there)  # (2, 3)
            fused = (weights.unsqueeze(-1) * cat).sum(dim=-2)  # (4)
            if show:
                output.shown["fusion"] = batch.flat(weights)
        absent = ~there.any(dim=-1, keepdim=True)
        return torch.where(absent, self.nothing, fused)

    def _attend(self, states: Tensor, batch: Batch, output: Output, show: bool) -> Tensor:
        heads = self.config.heads

        def split(rows: Tensor) -> Tensor:  # (B, heads, L, d / heads)
            return rows.unflatten(-1, (heads, -1)).transpose(1, 2)

        query, key = split(self.query(states)), split(self.key(states))  # (10), (9)
        weights = softmax(query @ key.transpose(-1, -2), batch.mask[:, None, None, :])
        if show:
            output.shown["context"] = batch.flat(weights.transpose(1, 2))
        return (weights @ split(self.value(states))).transpose(1, 2).flatten(2)  # (8), (11)
