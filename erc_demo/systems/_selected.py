"""The columns of a wide input that a linear classifier leans on most."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from erc_demo.errors import UserError


class Selected(nn.Module):
    """Min-max on the training part, then the columns that a ridge classifier leans on most.

    The ridge regression of one column per label, X and Y centred, has the weights

        (XᵀX + λ)⁻¹ XᵀY = Xᵀ (XXᵀ + λ)⁻¹ Y

    (the smaller of the two is solved). Those columns of X stay whose weights have the largest L2
    norm over the labels. Before fitting the first columns stand, as they are from 0 to 1.
    """

    low: Tensor
    scale: Tensor
    columns: Tensor

    def __init__(self, width: int, select: int) -> None:
        super().__init__()
        self.width = min(width, select)
        self.register_buffer("low", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("columns", torch.arange(self.width))

    def fit(self, rows: np.ndarray, labels: np.ndarray, penalty: float) -> None:
        """From rows (n, width) and labels (n,), -1 unknown; where all stay labels are not read."""
        rows = rows.astype(np.float64)
        low, span = rows.min(axis=0), np.ptp(rows, axis=0)
        moves = span > 0
        scale = np.where(moves, 1 / np.where(moves, span, 1), 0)  # one that never moves is 0
        self.low.copy_(torch.as_tensor(low))
        self.scale.copy_(torch.as_tensor(scale))
        if self.width == rows.shape[1]:
            return
        known = labels >= 0
        kinds = np.unique(labels[known])
        if len(kinds) < 2:
            raise UserError(
                f"{self.width} of {rows.shape[1]} columns are chosen by the labels of the training "
                f"part, and its turns have {len(kinds)} different ones; give labels of two kinds "
                f"or more, or set select to {rows.shape[1]} to keep all columns."
            )
        x = (rows[known] - low) * scale
        y = (labels[known, None] == kinds).astype(np.float64)
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        if len(x) < x.shape[1]:
            weights = x.T @ np.linalg.solve(x @ x.T + penalty * np.eye(len(x)), y)
        else:
            weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
        order = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")
        self.columns.copy_(torch.as_tensor(np.sort(order[: self.width])))

    def forward(self, rows: Tensor) -> Tensor:
        """(…, width) → (…, selected), from 0 to 1."""
        low, scale = self.low[self.columns], self.scale[self.columns]
        return ((rows.index_select(-1, self.columns) - low) * scale).clamp(0, 1)
