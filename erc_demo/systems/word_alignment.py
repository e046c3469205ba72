"""Word alignment: each word attends to the frames of its turn's sound, then a BiLSTM over words.

Xu, Zhang, Han, Wang, Peng, Li, "Learning Alignment for Multimodal Emotion Recognition from Speech",
Interspeech 2019.

    s_i = BiLSTM of the frames x_1 … x_N                                                 (1-3)
    h_j = BiLSTM of the words e_1 … e_M                                                  (4-6)
    a_ji = tanh(uᵀ s_i + vᵀ h_j + b)                                                     (7)
    α_ji = exp a_ji / Σ_t exp a_jt                                                       (8)
    s̃_j = Σ_i α_ji s_i                                                                   (9)
    c_j = BiLSTM of [s̃_1 ; h_1] … [s̃_M ; h_M]                                            (10-12)
    c̃ = the largest of each number over the words                                        (13)
    z = ReLU(Wᵀ c̃), a 200 × n matrix without a bias; p = softmax(z)                      (14, 15)

100 units each way in all three, five heads of 40 weights; frames of 20 ms every 10 ms.

What the paper leaves open, and the reading here:

- (7) is one number, and tanh only rises. So, whatever the word, a head ranks the frames by uᵀ s_i
  alone, and as tanh stays within ±1 no frame weighs more than e² ≈ 7.4 times another: every row of
  the picture is the same stripes. ``score = additive`` (default) is the score of the translation
  network that the paper takes its attention from, a_ji = wᵀ tanh(U s_i + V h_j + b), with 40 units
  a head over all of s and h; the heads' s̃ stand side by side and are projected to 200.
- ``score = eq7`` is (7) as printed. Five heads of 40 weights make 200, the width of s and of h:
  head k has the weights of u and v for the k-th fifth of the states, and its s̃ sums that fifth of
  s. Side by side they are 200 numbers again, so nothing is projected.
- Speech alone and text alone are "LSTM + Attn", after Mirsamadi et al. (2017): a softmax over
  uᵀ s_i weighs the states, with (14) on the sum; concat has the two sums side by side.
- Hard alignment: the mean of s over the frames whose middle lies in the word's time; where there is
  none, the frame whose middle is nearest to the word's. A word of unknown time has the mean over
  the whole turn (ours). It is the paper's network but for that mean, a word's 200 numbers.
- ReLU on the logits is published (``relu``). It leaves a label that is below 0 on every turn
  without a gradient for good, so the checkpoint here goes without.
- No dropout is named (``dropout`` 0; it stands before (10) and before (14)); the scale of the
  inputs is not given: each number is standardised on the training part.

The additive score wants heads × words × frames × 40 numbers of a turn: it is computed in blocks of
frames of bounded size (``BLOCK``), and training computes each block again on the way back. 64 turns
of 10 s and 25 words take 0.3 GB beside the program to answer, 1.1 GB to learn from.

Ours: a head for dimensions, linear, on c̃. A turn wants what its network reads: words and voice, or
the one. With ``lacking`` one of the two is enough: a turn without sound has a learned vector for
s̃_j, one without words a learned h_1, a word that was not understood, which attends to the frames.
Training must hide the one and the other (``modality_dropout``). No turn knows of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from erc_demo.errors import UserError
from erc_demo.plugs import option
from erc_demo.systems import _contract
from erc_demo.systems._batch import Batch
from erc_demo.systems._contract import Ablation, Design, Need, Output, Shown
from erc_demo.systems._layers import Heads, Recurrent, softmax

ABOUT = "Attention of each word over the frames of its turn, then a BiLSTM over the words."
PAPER = (
    "Xu, Zhang, Han, Wang, Peng and Li: Learning Alignment for Multimodal Emotion Recognition from "
    "Speech. Interspeech 2019."
)
NEEDS = {
    "audio": Need(title="voice", level="frame", published=("frames34",), embedded=("frames256",)),
    "text": Need(title="words", level="word", published=("static",), embedded=("words",)),
}
EMBEDDED: dict[str, object] = {
    "relu": False,  # a label whose logit is dead never learns
    "lacking": True,
    "units": 50,
    "heads": 4,
    "head_units": 20,
    "dropout": 0.3,
}
ABLATIONS = {
    "speech": Ablation(settings={"fuse": "speech"}, inputs=("audio",)),
    "text": Ablation(settings={"fuse": "text"}, inputs=("text",)),
    "concat": Ablation(settings={"fuse": "concat"}),
    "hard": Ablation(settings={"fuse": "hard"}),
}
SMALL = {"units": 16, "heads": 4, "head_units": 8}
BLOCK = 500_000  # numbers of the additive score at once on a CPU: 2 MB,
BLOCK_ELSEWHERE = 16_000_000  # and on another device: 64 MB


@dataclass(frozen=True, kw_only=True)
class Config(_contract.Config):
    """Sizes of section 4.2, and the rows of Tables 1 and 2."""

    fuse: str = option(
        "alignment",
        "alignment, hard (means over the word's own time), concat (two pooled vectors), speech or "
        "text (one of them)",
        ("alignment", "hard", "concat", "speech", "text"),
    )
    score: str = option(
        "additive",
        "of a word and a frame: additive (a layer of tanh), or eq7 (as printed)",
        ("additive", "eq7"),
    )
    units: int = option(100, "units of each LSTM, each way", least=1)
    heads: int = option(5, "attention heads", least=1)
    head_units: int = option(40, "weights of a head", least=1)
    relu: bool = option(True, "ReLU on the logits (Eq. 14)")
    lacking: bool = option(False, "ours: answer also without words, or without sound")
    dropout: float = option(
        0.0, "share of numbers dropped in training; none in the paper", least=0, below=1
    )


def _bent(heard: Tensor, read: Tensor) -> Tensor:
    """The tanh of each frame's numbers and each word's: (T, M, F, heads, units).

    On a CPU as 2 σ(2x) − 1, which torch computes there in a third of the time; not in half
    precision, where the difference would lose what is small.
    """
    both = heard.unsqueeze(1) + read.unsqueeze(2)
    if both.device.type == "cpu" and both.dtype == torch.float32:
        return both.mul_(2).sigmoid_().mul_(2).sub_(1)
    return both.tanh_()


class Blocks(torch.autograd.Function):
    """Σ_u w_u tanh(heard_u + read_u), so many frames at a time; on the way back each once more.

    A block stays in a core's cache from the first step to the last.
    """

    @staticmethod
    def forward(ctx: Any, heard: Tensor, read: Tensor, weight: Tensor, frames: int) -> Tensor:
        """(T, N, heads, units), (T, M, heads, units), (heads, units) → (T, M, N, heads)."""
        ctx.save_for_backward(heard, read, weight)
        ctx.frames = frames
        parts = heard.split(frames, dim=1)
        return torch.cat([_bent(part, read).mul_(weight).sum(dim=-1) for part in parts], dim=2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """With t = tanh: of w Σ g t, of heard and read the sums of g w (1 − t²)."""
        heard, read, weight = ctx.saved_tensors
        made = [torch.zeros_like(heard), torch.zeros_like(read), torch.zeros_like(weight)]
        cut = ((heard, 1), (made[0], 1), (grads[0], 2))
        for part, into, grad in zip(*(one.split(ctx.frames, at) for one, at in cut), strict=True):
            bent, grad = _bent(part, read), grad.unsqueeze(-1)
            made[2] += (bent * grad).sum(dim=(0, 1, 2))
            back = bent.square_().neg_().add_(1).mul_(weight).mul_(grad)
            into += back.sum(dim=1)
            made[1] += back.sum(dim=2)
        return made[0], made[1], made[2], None


class Additive(nn.Module):
    """a_ji = wᵀ tanh(U s_i + V h_j + b) of each head."""

    def __init__(self, width: int, heads: int, units: int) -> None:
        super().__init__()
        self.heads = heads
        self.speech = nn.Linear(width, heads * units, bias=False)  # U
        self.text = nn.Linear(width, heads * units)  # V, b
        self.weight = nn.Parameter(torch.randn(heads, units, 1) / units**0.5)  # w
        self.project = nn.Linear(heads * width, width, bias=False)

    def forward(self, speech: Tensor, text: Tensor) -> Tensor:
        """(T, N, width) and (T, M, width) → (T, heads, M, N)."""
        heard = self.speech(speech).unflatten(-1, (self.heads, -1))
        read = self.text(text).unflatten(-1, (self.heads, -1))
        weight = self.weight.squeeze(-1)
        if torch.compiler.is_compiling():
            scores = (torch.tanh(heard.unsqueeze(1) + read.unsqueeze(2)) * weight).sum(dim=-1)
        else:
            size = BLOCK if heard.device.type == "cpu" else BLOCK_ELSEWHERE
            scores = Blocks.apply(heard, read, weight, max(1, size // max(1, read.numel())))
        return scores.permute(0, 3, 1, 2)

    def gather(self, weights: Tensor, speech: Tensor) -> Tensor:
        """The heads' s̃, projected: (T, M, width)."""
        found = weights.flatten(1, 2) @ speech  # (T, heads · M, width)
        joined: Tensor = self.project(
            found.unflatten(1, weights.shape[1:3]).transpose(1, 2).flatten(2)
        )
        return joined


class Printed(nn.Module):
    """Eq. 7, a_ji = tanh(uᵀ s_i + vᵀ h_j + b), each head on its own share of the states."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.u = nn.Parameter(torch.randn(width) / (width / heads) ** 0.5)
        self.v = nn.Parameter(torch.randn(width) / (width / heads) ** 0.5)
        self.b = nn.Parameter(torch.zeros(heads))

    def forward(self, speech: Tensor, text: Tensor) -> Tensor:
        """(T, N, width) and (T, M, width) → (T, heads, M, N)."""
        heard = (self.u * speech).unflatten(-1, (self.heads, -1)).sum(dim=-1).transpose(1, 2)
        read = (self.v * text).unflatten(-1, (self.heads, -1)).sum(dim=-1) + self.b
        return torch.tanh(heard.unsqueeze(2) + read.transpose(1, 2).unsqueeze(3))

    def gather(self, weights: Tensor, speech: Tensor) -> Tensor:
        """Each head's s̃ of its share, side by side: (T, M, width)."""
        shares = speech.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (T, heads, N, share)
        return (weights @ shares).transpose(1, 2).flatten(2)


class System(_contract.System):
    """The proposed network of Tables 1 and 2; their other rows by ``fuse``."""

    def __init__(self, design: Design) -> None:
        """Make the layers that this way of fusing has."""
        super().__init__(design)
        config = self.config
        width, made = 2 * config.units, 0
        if "audio" in self._reads:
            self.speech = Recurrent("lstm", design.widths["audio"], config.units)
        if "text" in self._reads:
            self.text = Recurrent("lstm", design.widths["text"], config.units)
        if config.fuse == "alignment":
            self.score = self._scorer(width)
        if config.fuse in ("alignment", "hard"):
            self.joint = Recurrent("lstm", 2 * width, config.units)
            made = width
            if config.lacking:
                self.unheard = nn.Parameter(torch.randn(width) / width**0.5)  # for s̃_j
                self.unread = nn.Parameter(torch.randn(width) / width**0.5)  # for h_1
        else:
            self.pool = nn.ModuleDict({one: nn.Linear(width, 1, bias=False) for one in self._reads})
            made = width * len(self.pool)
        self.dropout = nn.Dropout(config.dropout)
        self.heads = Heads(made, design.labels, design.dimensions, bias=False)

    def _scorer(self, width: int) -> Additive | Printed:
        config = self.config
        if config.score == "additive":
            return Additive(width, config.heads, config.head_units)
        if config.heads * config.head_units != width:
            raise UserError(
                f"word_alignment's score = eq7 shares the {width} numbers of a state among its "
                f"heads, and {config.heads} heads of {config.head_units} weights make "
                f"{config.heads * config.head_units}; set heads and head_units to make {width}."
            )
        return Printed(width, config.heads)

    @property
    def _reads(self) -> tuple[str, ...]:
        """The inputs of this way of fusing."""
        return {"speech": ("audio",), "text": ("text",)}.get(self.config.fuse, ("audio", "text"))

    @property
    def shows(self) -> tuple[Shown, ...]:
        """Weights over frames of each word, or of the two poolings."""
        fuse = self.config.fuse
        if fuse in ("alignment", "hard"):
            return (
                Shown(
                    name="alignment",
                    title="weight of each frame for each word",
                    axes=("word", "frame") if fuse == "hard" else ("head", "word", "frame"),
                    sums="frame",
                    frames="audio",
                    words="text",
                ),
            )
        pooled = {
            "audio": Shown(
                name="frames",
                title="weight of each frame in the pooling",
                axes=("frame",),
                sums="frame",
                frames="audio",
            ),
            "text": Shown(
                name="words",
                title="weight of each word in the pooling",
                axes=("word",),
                sums="word",
                words="text",
            ),
        }
        return tuple(pooled[one] for one in self._reads)

    def enough(self, present: frozenset[str]) -> bool:
        """All that this way of fusing reads; with ``lacking`` any of it."""
        if self.config.lacking:
            return bool(present & set(self._reads))
        return present >= set(self._reads)

    def around(self, speakers: Sequence[str], place: int) -> Sequence[int]:
        """The turn alone."""
        return [place]

    def run(self, batch: Batch, show: bool) -> Output:
        """Eq. 1 to 15."""
        shown: dict[str, Tensor] = {}
        states = {}
        if "audio" in self._reads:
            states["audio"] = self.speech(
                self.read(batch, "audio"), batch.lengths["audio"]
            )  # (1-3)
        if "text" in self._reads:
            states["text"] = self.text(self.read(batch, "text"), batch.lengths["text"])  # (4-6)
        if self.config.fuse in ("alignment", "hard"):
            vector = self._align(states["audio"], states["text"], batch, shown)
        else:
            vector = self._pool(states, batch, shown)
        logits, values = self.heads(self.dropout(vector))
        if self.config.relu:
            logits = {name: torch.relu(one) for name, one in logits.items()}  # (14)
        return Output(
            logits={name: batch.fold(one) for name, one in logits.items()},
            values=None if values is None else batch.fold(values),
            shown=shown if show else {},
        )

    def _align(
        self, speech: Tensor, text: Tensor, batch: Batch, shown: dict[str, Tensor]
    ) -> Tensor:
        lengths = batch.lengths["text"]
        if self.config.lacking:
            first = torch.where((lengths > 0).unsqueeze(1), text[:, 0], self.unread)
            text = torch.cat([first.unsqueeze(1), text[:, 1:]], dim=1)
            lengths = lengths.clamp(min=1)
        if self.config.fuse == "hard":
            weights = _inside(batch)
            heard = weights @ speech
        else:
            frames = batch.real("audio")[:, None, None, :]
            weights = softmax(self.score(speech, text), frames)  # (7, 8)
            heard = self.score.gather(weights, speech)  # (9)
        shown["alignment"] = weights
        if self.config.lacking:
            sound = (batch.lengths["audio"] > 0)[:, None, None]
            heard = torch.where(sound, heard, self.unheard)
        both = self.dropout(torch.cat([heard, text], dim=-1))
        states = self.joint(both, lengths)  # (10-12)
        words = torch.arange(text.shape[1], device=lengths.device)
        real = (words < lengths.unsqueeze(1)).unsqueeze(-1)
        highest = states.masked_fill(~real, -torch.inf).amax(dim=1)  # (13)
        return torch.where(real.any(dim=1), highest, 0.0)

    def _pool(self, states: dict[str, Tensor], batch: Batch, shown: dict[str, Tensor]) -> Tensor:
        names = {"audio": "frames", "text": "words"}
        pooled = []
        for one, rows in states.items():
            weights = softmax(self.pool[one](rows).squeeze(-1), batch.real(one))
            shown[names[one]] = weights
            pooled.append((weights.unsqueeze(1) @ rows).squeeze(1))
        return torch.cat(pooled, dim=-1)


def _inside(batch: Batch) -> Tensor:
    """The weight of each frame for each word by the word's time: (T, M, N), rows sum to one."""
    real = batch.real("audio").unsqueeze(1)
    turns, words = batch.inputs["text"].shape[:2]
    times = batch.inputs["text"].new_full((turns, words, 2), torch.nan)
    if batch.words is not None:
        known = min(words, batch.words.shape[1])
        times[:, :known] = batch.words[:, :known]
    begin, end = times[..., :1], times[..., 1:]
    step, reach = batch.steps["audio"]
    frames = torch.arange(real.shape[-1], device=real.device)
    middles = step * frames + reach / 2
    inside = (begin <= middles) & (middles < end) & real
    away = (middles - (begin + end) / 2).abs().masked_fill(~real, torch.inf)
    nearest = frames == away.argmin(dim=-1, keepdim=True)
    chosen = torch.where(inside.any(dim=-1, keepdim=True), inside, nearest)
    chosen = torch.where(begin.isnan() | end.isnan(), real, chosen) & real
    share = chosen.to(times.dtype)
    return share / share.sum(dim=-1, keepdim=True).clamp(min=1)
