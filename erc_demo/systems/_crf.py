"""Decoding a conversation as a whole: ours, not of the five papers, off unless asked for.

A linear chain over the turns. With a system's logits e_t(y) and the label y_t of turn t,

    score(y) = Σ_t e_t(y_t) + Σ_t A_{s(t)}(y_{t−1}, y_t)

where s(t) says whether turn t has the speaker of turn t − 1: one matrix of transitions after the
same speaker, one after another. Re-runs of iaan with dialogue decoding gained 6 points of UA.

A turn's probabilities are its marginals p(y_t | all logits); a label is the likeliest of them,
which is right for the most turns (the likeliest path may be right for fewer). Training lowers
−log p(the labels that are known): turns without one are summed over, so they are context here too.
It knows one label a turn, no votes and no weights of classes. A turn that can't be answered has
logits of 0: it says nothing of its neighbours.
pytorch-crf and its kin have one matrix for all steps and no marginals, so the forward-backward
recursion is written out, in log space, and steps from turn to turn as recurrences do; a test holds
it against the sum over all paths.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from erc_demo.systems._losses import exact


class Chain(nn.Module):
    """Transitions between neighbouring turns, learned; zeros at first, when it changes nothing."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.after_same = nn.Parameter(torch.zeros(labels, labels))  # [from, to]
        self.after_other = nn.Parameter(torch.zeros(labels, labels))

    def _steps(self, same: Tensor) -> Tensor:
        """The matrix of each step: (B, L - 1, labels, labels)."""
        return torch.where(same[..., None, None], self.after_same, self.after_other)

    def _forward(self, logits: Tensor, mask: Tensor, same: Tensor) -> Tensor:
        """Log Σ over all beginnings that end with each label: (B, L, labels); padding repeats."""
        steps = self._steps(same)
        found = [logits[:, 0]]
        for at in range(1, logits.shape[1]):
            past = (found[-1].unsqueeze(-1) + steps[:, at - 1]).logsumexp(dim=1)
            found.append(torch.where(mask[:, at, None], past + logits[:, at], found[-1]))
        return torch.stack(found, dim=1)

    def _backward(self, logits: Tensor, mask: Tensor, same: Tensor) -> Tensor:
        """Log Σ over all ends that follow each label: (B, L, labels); 0 at the last turn."""
        steps = self._steps(same)
        found = [torch.zeros_like(logits[:, 0])]
        for at in range(logits.shape[1] - 1, 0, -1):
            ahead = (steps[:, at - 1] + (logits[:, at] + found[-1]).unsqueeze(1)).logsumexp(dim=2)
            found.append(torch.where(mask[:, at, None], ahead, found[-1]))
        return torch.stack(found[::-1], dim=1)

    def marginals(
        self, logits: Tensor, mask: Tensor, same: Tensor, *, hindsight: bool = True
    ) -> Tensor:
        """p(y_t | all logits), or p(y_t | logits up to t): (B, L, labels)."""
        logits = exact(logits)
        found = self._forward(logits, mask, same)
        if hindsight:
            found = found + self._backward(logits, mask, same)
        return found.softmax(dim=-1)

    def loss(
        self, logits: Tensor, mask: Tensor, same: Tensor, labels: Tensor, per: float | None
    ) -> Tensor:
        """−log p(known labels), over ``per`` or their number; ``labels`` (B, L), -1 unknown."""
        logits, known = exact(logits), (labels >= 0).unsqueeze(-1)
        chosen = torch.arange(logits.shape[-1], device=logits.device) == labels.unsqueeze(-1)
        lowest = torch.finfo(logits.dtype).min / 4  # sums of two stay finite
        held = logits.masked_fill(known & ~chosen, lowest)
        free = self._forward(logits, mask, same)[:, -1].logsumexp(dim=-1)
        bound = self._forward(held, mask, same)[:, -1].logsumexp(dim=-1)
        total = (free - bound).sum()
        return total / (known.sum().clamp(min=1) if per is None else per)
