"""What training lowers, over the turns that have a label; in single precision or better.

Every loss is a sum over turns divided by a number: by that of the batch, or by ``per``, so that a
batch may be cut up (several processes, several steps) and its parts' losses sum to the whole's.
Concordance is no such sum: there each part counts by its share of the turns.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(slots=True)
class Targets:
    """What a batch should have said.

    ``labels[set]`` is int64 (B, L), -1 where a turn has none; ``soft[set]`` float (B, L, labels),
    a distribution over several raters' votes, is used instead where its row does not sum to 0;
    ``weights[set]`` float (labels,) weighs the classes, but not where a chain decodes; ``values``
    float (B, L, dimensions), NaN where nobody rated.
    """

    labels: dict[str, Tensor] = field(default_factory=dict)
    soft: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    values: Tensor | None = None

    def __contains__(self, name: str) -> bool:
        """Whether anything is wanted of a label set."""
        return name in self.labels or name in self.soft

    def only(self, where: Tensor) -> Targets:
        """What was wanted of some turns, bool (B, L); nothing of the others."""
        values = self.values
        return replace(
            self,
            labels={name: torch.where(where, one, -1) for name, one in self.labels.items()},
            soft={name: one * where.unsqueeze(-1) for name, one in self.soft.items()},
            values=None if values is None else torch.where(where.unsqueeze(-1), values, torch.nan),
        )

    def hard(self, name: str) -> Tensor:
        """One label a turn, -1 for none: the given ones; where there are only votes the likeliest.

        >>> Targets(soft={"iemocap4": torch.tensor([[[0.2, 0.8], [0.0, 0.0]]])}).hard("iemocap4")
        tensor([[ 1, -1]])
        """
        if name in self.labels:
            return self.labels[name]
        votes = self.soft[name]
        return torch.where(votes.sum(dim=-1) > 0, votes.argmax(dim=-1), -1)


def exact(numbers: Tensor) -> Tensor:
    """The same in single precision, where it was less: sums over turns lose too much in half."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))


def categories(logits: Tensor, targets: Targets, name: str, per: float | None) -> Tensor:
    """Cross-entropy, −Σ_t w Σ_c y_tc log p_tc, over ``per`` or over the labelled turns' weight."""
    logits, classes = exact(logits), logits.shape[-1]
    wanted = torch.zeros_like(logits)
    if name in targets.labels:
        labels = targets.labels[name]
        hard = functional.one_hot(labels.clamp(min=0), classes).to(logits.dtype)
        wanted = hard * (labels >= 0).unsqueeze(-1)
    if name in targets.soft:
        soft = targets.soft[name].to(logits.dtype)
        rated = soft.sum(dim=-1, keepdim=True) > 0
        wanted = torch.where(rated, soft / soft.sum(dim=-1, keepdim=True).clamp(min=1e-9), wanted)
    if name in targets.weights:
        wanted = wanted * targets.weights[name].to(logits.dtype)
    total = -(wanted * logits.log_softmax(dim=-1)).sum()
    return total / (wanted.sum().clamp(min=1e-9) if per is None else per)


def dimensions(values: Tensor, wanted: Tensor, kind: str, per: float | None) -> Tensor:
    """1 − concordance or the mean squared error, of each dimension's rated turns; their mean.

    With ``per`` each counts by its share, rated turns / ``per``.

    Concordance after Lin (1989), 2 cov(x, y) / (var x + var y + (mean x − mean y)²), over all the
    turns of the batch.
    """
    values, losses = exact(values), []
    for column in range(values.shape[-1]):
        rated = ~wanted[..., column].isnan()
        share = rated.to(values.dtype)
        count = share.sum().clamp(min=1.0)
        part = 1.0 if per is None else share.sum() / per
        x = values[..., column]
        y = torch.where(rated, wanted[..., column].to(x.dtype), torch.zeros_like(x))
        if kind == "mse":
            losses.append(part * (share * (x - y).square()).sum() / count)
            continue
        mean_x, mean_y = (share * x).sum() / count, (share * y).sum() / count
        off_x, off_y = share * (x - mean_x), share * (y - mean_y)
        below = off_x.square().sum() + off_y.square().sum() + count * (mean_x - mean_y).square()
        above = 2 * (off_x * off_y).sum()
        some = (rated.sum() > 1).to(values.dtype)  # one turn alone has no concordance
        losses.append(part * some * (1 - above / below.clamp(min=1e-9)))
    return torch.stack(losses).mean()
