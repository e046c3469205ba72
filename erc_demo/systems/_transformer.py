"""A Transformer encoder that shows what it attends to, and the windows of turns it runs over.

A layer is PyTorch's ``TransformerEncoderLayer`` with its defaults (Vaswani et al. 2017: attention,
then two linear layers with ReLU between, each followed by dropout, a sum with what came in and a
norm), written out so that the weights can be seen and so that no more is computed than is read:

- keys and values may come from rows other than the queries' (``memory``);
- the first layer's queries, keys and values may come ready made (``projected``): windows overlap,
  and a turn is projected once, not once for each window that it stands in;
- of the last layer one place may be all that is wanted (``at``): one query instead of n;
- scores are made, scaled and masked in one step: in training on windows, numbers per pair of turns
  and head are most of what memory holds;
- an encoder of rows that see only themselves (``alone``) has no queries and keys: the softmax over
  one row is 1 whatever they are, so they could never learn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from erc_demo.systems._batch import Batch

HIDDEN = -3e4  # beside a score: a weight of exactly 0, and finite in half precision


class Layer(nn.Module):
    """Attention with heads, then two linear layers; PyTorch's initial weights."""

    def __init__(
        self, width: int, heads: int, units: int, dropout: float, *, alone: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.alone = heads, alone
        self.inner = nn.Linear(width, width if alone else 3 * width)  # W^Q, W^K, W^V
        self.outer = nn.Linear(width, width)
        edge = (6 / (4 * width)) ** 0.5  # Glorot's, of the (3 width, width) matrix
        nn.init.uniform_(self.inner.weight, -edge, edge)
        for one in (self.inner, self.outer):
            nn.init.zeros_(one.bias)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        rows: Tensor,
        bias: Tensor | None = None,
        *,
        memory: Tensor | None = None,
        projected: Tensor | None = None,
        at: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """(N, n, width) → the same, or (N, 1, width) of place ``at``; (N, heads, n or 1, m).

        ``bias`` (N · heads, n or 1, m) is added to scores: 0, or HIDDEN for a row not to be seen.
        """
        own = rows if at is None else rows[:, at].unsqueeze(1)
        if self.alone:
            mixed, weights = self._itself(own), None
        else:
            assert bias is not None
            query, key, value = self._project(rows, own, memory, projected, at)
            mixed, weights = self._attend(query, key, value, bias)
        states = self.norm_1(own + self.dropout(self.outer(mixed)))
        made: Tensor = self.norm_2(states + self.dropout(self.feed(states)))
        return made, weights

    def _itself(self, rows: Tensor) -> Tensor:
        value = self.inner(rows).unflatten(-1, (self.heads, -1))
        return (value * self.dropout(torch.ones_like(value[..., :1]))).flatten(-2)

    def _project(
        self,
        rows: Tensor,
        own: Tensor,
        memory: Tensor | None,
        projected: Tensor | None,
        at: int | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if projected is not None:
            query, key, value = projected.chunk(3, dim=-1)
            return query if at is None else query[:, at].unsqueeze(1), key, value
        width = rows.shape[-1]
        weight, bias = self.inner.weight, self.inner.bias
        query = functional.linear(own, weight[:width], bias[:width])
        seen = rows if memory is None else memory
        key, value = functional.linear(seen, weight[width:], bias[width:]).chunk(2, dim=-1)
        return query, key, value

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        def split(rows: Tensor) -> Tensor:  # (N · heads, n, width / heads)
            return rows.unflatten(-1, (self.heads, -1)).transpose(1, 2).flatten(0, 1)

        query, key, value = split(query), split(key), split(value)
        scale = query.shape[-1] ** -0.5
        weights = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale).softmax(dim=-1)
        mixed = torch.bmm(self.dropout(weights), value).unflatten(0, (-1, self.heads))
        return mixed.transpose(1, 2).flatten(2), weights.unflatten(0, (-1, self.heads))


class Encoder(nn.Module):
    """Layers, one on the other; returns the last one's weights too."""

    def __init__(
        self,
        width: int,
        heads: int,
        units: int,
        layers: int,
        dropout: float,
        *,
        alone: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.layers = nn.ModuleList(
            Layer(width, heads, units, dropout, alone=alone) for _ in range(layers)
        )

    @property
    def first(self) -> Layer:
        """The layer whose projection can be shared."""
        layer = self.layers[0]
        assert isinstance(layer, Layer)
        return layer

    def forward(
        self,
        rows: Tensor,
        mask: Tensor | None = None,
        *,
        memory: Tensor | None = None,
        projected: Tensor | None = None,
        at: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """As ``Layer``; the memory is the same for every layer.

        ``mask`` (N, 1, n or 1, m) says which rows of the memory each row may see; where that is
        none, what comes out is finite and means nothing.
        """
        weights, bias = None, None
        if mask is not None:
            hidden = torch.where(mask, 0.0, HIDDEN).to(rows.dtype)
            bias = hidden.expand(-1, self.heads, -1, -1).flatten(0, 1)
        for count, layer in enumerate(self.layers, 1):
            last = at if count == len(self.layers) else None
            rows, weights = layer(rows, bias, memory=memory, projected=projected, at=last)
            projected = None
        return rows, weights


class Windows:
    """Every turn's own window: itself, at the end, and the ``reach`` turns before it.

    All turns of a window see all of it, so nothing before a window counts, however many layers.
    """

    at: int | None = -1  # where a window's own turn stands; None: a sequence answers many turns

    def __init__(self, batch: Batch, reach: int) -> None:
        self.batch = batch
        places = batch.places
        steps = torch.arange(-reach, 1, device=places.device)
        self.columns = (places % batch.mask.shape[1]).unsqueeze(1) + steps  # (T, W), < 0: no turn
        turns = torch.arange(len(places), device=places.device)
        self.index = (turns.unsqueeze(1) + steps).clamp(min=0)

    def spread(self, flat: Tensor) -> Tensor:
        """(T, …) → (N, n, …): here (T, W, …)."""
        return self._windows(flat)

    def sees(self, there: Tensor) -> Tensor:
        """Which places each place may see, of the turns that are there (T,): (N, 1, n or 1, n)."""
        return (self.spread(there) & (self.columns >= 0))[:, None, None, :]

    def target(self, rows: Tensor) -> Tensor:
        """(N, n, …) → (T, …)."""
        return rows[:, -1]

    def weights(self, weights: Tensor) -> Tensor:
        """Each turn's own row of attention (N, heads, n, n) over its window: (T, heads, W)."""
        return weights[:, :, -1]

    def seen(self, there: Tensor) -> Tensor:
        """The turns of each turn's window, by place in the conversation; -1 for none: (T, W)."""
        real = self._windows(there) & (self.columns >= 0) & there.unsqueeze(1)
        return torch.where(real, self.columns, -1)

    def _windows(self, flat: Tensor) -> Tensor:
        return flat.index_select(0, self.index.flatten()).unflatten(0, self.index.shape)


class Rows(Windows):
    """All turns in one pass, each seeing ``reach`` turns back, so that layers see further."""

    at = None

    def __init__(self, batch: Batch, reach: int) -> None:
        super().__init__(batch, reach)
        steps = torch.arange(batch.mask.shape[1], device=batch.mask.device)
        back = steps.unsqueeze(1) - steps
        self.band = (back >= 0) & (back <= reach)  # (L, L)

    def spread(self, flat: Tensor) -> Tensor:
        """(T, …) → (B, L, …)."""
        return self.batch.fold(flat)

    def sees(self, there: Tensor) -> Tensor:
        """The band, where turns are there: (B, 1, L, L)."""
        return self.band & self.spread(there)[:, None, None, :]

    def target(self, rows: Tensor) -> Tensor:
        """(B, L, …) → (T, …)."""
        return self.batch.flat(rows)

    def weights(self, weights: Tensor) -> Tensor:
        """(B, heads, L, L) → (T, heads, W)."""
        rows = self.batch.flat(weights.transpose(1, 2))
        columns = self.columns.clamp(min=0).unsqueeze(1).expand(-1, rows.shape[1], -1)
        return rows.gather(-1, columns) * (self.columns >= 0).unsqueeze(1)
