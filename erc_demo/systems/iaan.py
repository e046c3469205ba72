"""IAAN: the frames of a turn, weighed in the light of the turns just before it.

Yeh, Lin, Lee, "An Interaction-aware Attention Network for Speech Emotion Recognition in Spoken
Dialogs", ICASSP 2019. Of a turn U_c, its speaker's previous turn U_p and the previous turn of the
other speaker U_r,

    h_p = Σ_t a_t g_t,  g_1 … g_T = GRU_p(U_p),  a = softmax(v_pᵀ tanh(W g_t + b))    h_r alike
    h_t = [→h_t ; ←h_t] = BiGRU(U_c)                                       (1, 2)
    e_t = v_aᵀ tanh(W_c h_t + W_p h_p + W_r h_r + b_a)                     (3)
    α = softmax(e)                                                         (4)  over U_c's frames
    h_c = Σ_t α_t h_t                                                      (5)
    R = [h_c ; h_p ; h_r]                                                  (6)
    LP = relu(R W_1 + b_1) W_2 + b_2,  softmax                             (7, 8)

d = 512: two GRUs of 512, a BiGRU of 256 each way. BiGRU+ATT, BiGRU+IAA and RandIAAN of Table 1
are ``variant``.

What the paper leaves open, and the reading here:

- Bahdanau attention over one utterance has no decoder that asks: it is (3) with W_p and W_r left
  out. BiGRU+ATT pools its own frames in the same way, and knows no other turn.
- "90% dropout to each GRU and BiGRU cells": the authors' public code keeps 0.9, so 0.1 is dropped
  (``dropout``; 0.9 is the literal reading), from the states of the three GRUs and from the first
  projection.
- The width of the first projection is not given: 64.
- U_p and U_r are looked for among all turns, labelled or not; with more than two people U_r is the
  last turn of anybody else.
- BiGRU+IAA reads the three turns and puts h_c alone into (7).
- RandIAAN's two turns are drawn from the dialogue without the current turn, the second without the
  first too; turns after the current one may be among them. Whether they stay the same from epoch
  to epoch is not said: here they do, and depend on nothing but the number of turns and the turn's
  place, so that batches, runs and machines agree.
- The 45 descriptors are not listed (``frames45`` names those read here), and are normalised per
  speaker over the corpus; of one dialogue there is only ``speaker_norm=upload``.

The checkpoint here reads ``frames256``, raw and beside it as ``upload`` has it, which tells more of
clips by unseen actors than ``frames45`` (trainer/LOG.md), and is small (d = 64).

Ours: a turn may have no previous turn, or one without sound. It then stands as a learned vector
for h_p or h_r (``nothing=zeros``: the authors' code pads). Such turns are few, so ``forget`` hides
previous turns in training.

PyTorch's GRU has its reset gate behind the matrix, tanh(W x + r ∘ (U h)). Every turn is encoded
once for each of the roles in which it serves; those that follow look it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from erc_demo.errors import UserError
from erc_demo.plugs import option
from erc_demo.systems import _contract
from erc_demo.systems._batch import Batch
from erc_demo.systems._contract import Ablation, Design, Need, Output, Shown
from erc_demo.systems._layers import Heads, Recurrent, alike, softmax

ABOUT = "Voice only: which moments of a turn count, given the turns of both speakers before it."
PAPER = (
    "Yeh, Lin and Lee: An Interaction-aware Attention Network for Speech Emotion Recognition in "
    "Spoken Dialogs. ICASSP 2019."
)
NEEDS = {
    "audio": Need(
        title="voice",
        level="frame",
        published=("frames45:speaker_norm=upload",),
        embedded=("frames256", "frames256:speaker_norm=upload"),
    ),
}
EMBEDDED: dict[str, object] = {"width": 64, "dropout": 0.2, "forget": 0.2}
ABLATIONS = {
    "BiGRU+ATT": Ablation(settings={"variant": "att"}),
    "BiGRU+IAA": Ablation(settings={"variant": "iaa"}),
    "RandIAAN": Ablation(settings={"variant": "random"}),
}
SMALL = {"width": 16, "projection": 8}
ROLES = ("own", "other")  # of U_p and U_r


@dataclass(frozen=True, kw_only=True)
class Config(_contract.Config):
    """Sizes and the three rival systems of Table 1."""

    variant: str = option(
        "iaan",
        "iaan, iaa (answers from the current turn's vector alone), att (reads the current turn "
        "alone) or random (two turns drawn from the dialogue instead of the previous ones)",
        ("iaan", "iaa", "att", "random"),
    )
    width: int = option(512, "d: units of each GRU; the BiGRU has half of it each way")
    projection: int = option(64, "width of the first projection")
    dropout: float = option(0.1, "share of numbers dropped in training (0.9: the paper's word)")
    nothing: str = option(
        "learned", "where no turn came before: a learned vector or zeros", ("learned", "zeros")
    )
    forget: float = option(0.0, "share of previous turns hidden in training")


class Attention(nn.Module):
    """vᵀ tanh(W h_t + … + b) over a turn's frames, and the mean of h under its softmax."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.states = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, real: Tensor, *beside: Tensor) -> tuple[Tensor, Tensor]:
        """(T, n, d), (T, n) and any (T, d) → (T, d) and the weights (T, n)."""
        summed = self.states(states)
        for one in beside:
            summed = summed + one.unsqueeze(1)
        weights = softmax(self.score(torch.tanh(summed)).squeeze(-1), real)  # (3, 4)
        return torch.einsum("tn,tnd->td", weights, states), weights  # (5)


class Before(nn.Module):
    """One role: a GRU and attention over every turn, and what stands where no turn came before."""

    nothing: Tensor

    def __init__(self, size: int, width: int, nothing: str) -> None:
        super().__init__()
        self.gru = Recurrent("gru", size, width, both=False)
        self.attention = Attention(width)
        if nothing == "learned":
            self.nothing = nn.Parameter(torch.randn(width) / width**0.5)
        else:
            self.register_buffer("nothing", torch.zeros(width), persistent=False)
        self.into = nn.Linear(width, width, bias=False)  # W_p or W_r of (3)


class System(_contract.System):
    """IAAN and its three rivals."""

    def __init__(self, design: Design) -> None:
        """Make the layers."""
        super().__init__(design)
        config = self.config
        if config.width < 2 or config.width % 2 or config.projection < 1:
            raise UserError(
                f"iaan's width {config.width} and projection {config.projection} don't do; the "
                "width must be even, for half of it goes each way, and both at least 1."
            )
        for name in ("dropout", "forget"):
            if not 0 <= getattr(config, name) < 1:
                raise UserError(
                    f"iaan's {name} is {getattr(config, name)}; give a share from 0 to below 1."
                )
        width, size = config.width, design.widths["audio"]
        self.gru = Recurrent("gru", size, width // 2)
        self.attention = Attention(width)
        self.before = nn.ModuleDict()
        if config.variant != "att":
            for role in ROLES:
                self.before[role] = Before(size, width, config.nothing)
        alone = config.variant in ("att", "iaa")
        self.projection = nn.Linear(width if alone else 3 * width, config.projection)
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(config.projection, design.labels, design.dimensions)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The weights of the frames: the turn's own, and those of the two turns before it."""
        titles = {"frames": "turn"}
        if self.config.variant == "random":
            titles |= {"own": "first turn drawn", "other": "second turn drawn"}
        elif self.config.variant != "att":
            titles |= {"own": "speaker's previous turn", "other": "other's previous turn"}
        return tuple(
            Shown(
                name=name,
                title=f"weight of each moment of the {title}",
                axes=("frame",),
                sums="frame",
                frames="audio",
            )
            for name, title in titles.items()
        )

    def around(self, speakers: Sequence[str], place: int) -> Sequence[int] | None:
        """The turn, its speaker's previous and the last of anybody else; drawn ones: any."""
        if self.config.variant == "random":
            return None
        if self.config.variant == "att":
            return [place]
        earlier = range(place - 1, -1, -1)
        own = next((at for at in earlier if speakers[at] == speakers[place]), None)
        other = next((at for at in earlier if speakers[at] != speakers[place]), None)
        return sorted({place} | {at for at in (own, other) if at is not None})

    def run(self, batch: Batch, show: bool) -> Output:
        """Eq. 1 to 7, over the T turns side by side; in training over those that are asked for."""
        output = Output()
        frames, lengths = self.read(batch, "audio"), batch.lengths["audio"]
        turns = torch.arange(len(lengths), device=lengths.device)
        if self.training:
            turns = turns[batch.flat(batch.targets)]
        contexts: list[Tensor] = []
        asking: list[Tensor] = []
        for role, index in zip(self.before, self._earlier(batch), strict=False):
            part = self.before[role]
            assert isinstance(part, Before)
            index = torch.where(lengths[index] > 0, index, -1)[turns]  # without sound: not there
            needed, at = _needed(index)
            pooled, weights = self._pool(part.gru, part.attention, frames[needed], lengths[needed])
            seen = self._remembered(index >= 0).unsqueeze(-1)
            context = torch.where(seen, pooled[at], part.nothing)  # h_p, h_r
            contexts.append(context)
            asking.append(part.into(context))
            if show:
                output.shown[role], output.whose[role] = weights[at], index
        pooled, weights = self._pool(
            self.gru, self.attention, frames[turns], lengths[turns], *asking
        )  # (1-5)
        if show:
            output.shown["frames"] = weights
        alone = self.config.variant in ("att", "iaa")
        joint = pooled if alone else torch.cat([pooled, *contexts], dim=-1)  # (6)
        hidden = self.dropout(torch.relu(self.projection(joint)))
        every = hidden.new_zeros((len(lengths), hidden.shape[1])).index_copy(0, turns, hidden)
        output.logits, output.values = self.heads(batch.fold(every))  # (7)
        return output

    def _pool(
        self, gru: nn.Module, attention: nn.Module, frames: Tensor, lengths: Tensor, *beside: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Turns of like length together: their vectors (T, d) and weights (T, n)."""
        pooled, weights, size = [], [], frames.shape[1]
        parts = alike(lengths, size)
        for part, longest in parts:
            real = torch.arange(longest, device=frames.device) < lengths[part].unsqueeze(1)
            states = self.dropout(gru(frames[part, :longest], lengths[part]))
            vectors, shares = attention(states, real, *(one[part] for one in beside))
            pooled.append(vectors)
            weights.append(pad(shares, (0, size - longest)))
        order = torch.cat([part for part, _ in parts]).argsort()
        return torch.cat(pooled)[order], torch.cat(weights)[order]

    def _earlier(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """U_p and U_r of every turn, by index among the T; -1 for none."""
        return drawn(batch) if self.config.variant == "random" else (batch.own, batch.other)

    def _remembered(self, there: Tensor) -> Tensor:
        """In training some previous turns are as if they had not been."""
        if not self.training or not self.config.forget:
            return there
        kept = torch.rand(there.shape, device=there.device) >= self.config.forget
        return there & kept


def _needed(index: Tensor) -> tuple[Tensor, Tensor]:
    """The turns that any turn looks back at, and where among them each finds its own."""
    index = index.clamp(min=0)
    if torch.compiler.is_compiling():  # sizes must not hang on numbers
        return torch.arange(len(index), device=index.device), index
    return index.unique(return_inverse=True)


def drawn(batch: Batch) -> tuple[Tensor, Tensor]:
    """For each turn two others of its conversation, by index among the T; -1 where too few.

    Pseudo-random numbers of the turn's place and the number of turns, without putting back.
    """
    columns = batch.mask.shape[1]
    place = batch.places % columns
    total = batch.mask.sum(dim=1)[batch.places // columns]
    start = torch.arange(len(place), device=place.device) - place
    first = mixed(place, total, 1) % (total - 1).clamp(min=1)  # among the others, 0 … total - 2
    second = mixed(place, total, 2) % (total - 2).clamp(min=1)
    second = second + (second >= first)
    found = []
    for one, enough in ((first, total > 1), (second, total > 2)):
        there = start + one + (one >= place)  # the others are those before and those behind
        found.append(torch.where(enough, there, -1))
    return found[0], found[1]


def mixed(place: Tensor, total: Tensor, salt: int) -> Tensor:
    """A number below 2³² that hangs on all three: multiplied by 2³² / φ and folded, three times."""
    found = (place * 4096 + total) * 4 + salt
    for _ in range(3):
        found = (found * 2654435761) & 0xFFFFFFFF
        found = found ^ (found >> 15)
    return found
