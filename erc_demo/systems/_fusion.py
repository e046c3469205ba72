"""dialogue_trm's fusion of a turn's modalities, and the fusions that its paper holds it against.

Each gives one vector r_i → o_i of the width that goes in, from the modalities that a turn has. What
the paper and those it cites leave open, and the reading here:

- h_(u) of (7) has no partner in its name: W^U is one for all pairs of words, W^Z one for each pair.
- Modalities that a turn lacks are left out: of sums, maxima and attention by a mask, of vectors
  side by side as zeros, of products as the neutral element. A turn with one modality only goes on
  as that one's vector, which is what the system is with this modality alone.
- What is wider than the width (``concat``, ``no_representation``, ``bilinear``, ``mult``) is mapped
  to it without a bias; with W^O of (17) behind it, that is a wider W^O.
- ``bilinear`` is Fukui et al. (2016), compact: each vector is counted into ``sketch`` places by
  fixed random signs and places, sketches are convolved through Fourier's transform (of three
  modalities all three), then signed root, length one, and a linear map.
- ``gmu`` is Arevalo et al. (2020): of two modalities h = z ∗ h_1 + (1 − z) ∗ h_2, of more one gate
  each, z_m = σ(W_m [x_1; …]), not normalised.
- ``mult`` is Tsai et al. (2019) over the turns of a window: for each pair a ← b layers in which a's
  turns ask b's, whose states stay those before the first layer; what a learned from each b stands
  side by side and goes through self-attention over the turns; the turn's own vectors of every a
  stand side by side. Layers are those of the rest of the system, as many as the fusion has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import torch
from torch import Tensor, nn

from erc_demo.systems._contract import Shown
from erc_demo.systems._transformer import Encoder, Windows

ITSELF = "itself"  # what [CLS] keeps of itself


class Sizes(Protocol):
    """What fusions are made of: these of a system's settings."""

    width: int
    fusion_layers: int
    fusion_heads: int
    units: int
    dropout: float
    sketch: int


def _encoder(sizes: Sizes, width: int) -> Encoder:
    return Encoder(width, sizes.fusion_heads, sizes.units, sizes.fusion_layers, sizes.dropout)


@dataclass(slots=True, kw_only=True)
class Given:
    """What a fusion gets: the modalities of T turns and, for ``Mult``, of those around them."""

    states: Tensor  # (T, modalities, width), zeros where a turn lacks one
    there: Tensor  # bool (T, modalities)
    shown: dict[str, Tensor] | None = None  # where maps go, if asked for
    layout: Windows | None = None
    around: Sequence[Tensor] = ()  # (N, n, width) of each modality


class Fusion(nn.Module, ABC):
    """From vectors of several modalities to one of the same width."""

    over_turns = False  # whether it reads the turns around, too

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__()
        self.titles = tuple(titles)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The maps that it can show."""
        return ()

    def forward(self, given: Given) -> Tensor:
        """(T, width): fused where there are two modalities or more; one alone goes on as it is."""
        several = given.there.sum(dim=1, keepdim=True) > 1
        return torch.where(several, self.fuse(given), given.states.sum(dim=1))

    @abstractmethod
    def fuse(self, given: Given) -> Tensor:
        """The method itself; maps go to ``given.shown``."""


class Additive(Fusion):
    """The sum."""

    def fuse(self, given: Given) -> Tensor:
        """Σ_m r_m."""
        return given.states.sum(dim=1)


class Max(Fusion):
    """The largest of each number."""

    def fuse(self, given: Given) -> Tensor:
        """max_m r_m."""
        lowest = torch.finfo(given.states.dtype).min
        found = given.states.masked_fill(~given.there.unsqueeze(-1), lowest).amax(dim=1)
        return torch.where(given.there.any(dim=1, keepdim=True), found, 0.0)


class Concat(Fusion):
    """Side by side."""

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        self.squeeze = nn.Linear(len(titles) * sizes.width, sizes.width, bias=False)

    def fuse(self, given: Given) -> Tensor:
        """W [r_1; …; r_M]."""
        made: Tensor = self.squeeze(given.states.flatten(1))
        return made


class Bilinear(Fusion):
    """Compact bilinear pooling."""

    places: Tensor
    signs: Tensor

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        shape = (len(titles), sizes.width)
        self.sketch = sizes.sketch
        self.register_buffer("places", torch.randint(sizes.sketch, shape))
        self.register_buffer("signs", torch.randint(2, shape) * 2.0 - 1)
        self.squeeze = nn.Linear(sizes.sketch, sizes.width, bias=False)

    def fuse(self, given: Given) -> Tensor:
        """W unit(root(Ψ(r_1) ⊛ … ⊛ Ψ(r_M)))."""
        states = given.states
        signed = (states * self.signs).float()
        counted = signed.new_zeros((*signed.shape[:2], self.sketch))
        counted = counted.scatter_add(2, self.places.expand_as(signed), signed)
        spectrum = torch.fft.rfft(counted)
        spectrum = torch.where(given.there.unsqueeze(-1), spectrum, torch.ones_like(spectrum))
        made = torch.fft.irfft(spectrum.prod(dim=1), n=self.sketch).to(states.dtype)
        made = made.sign() * (made.abs() + 1e-12).sqrt()  # a root's slope at 0 is infinite
        found: Tensor = self.squeeze(nn.functional.normalize(made, dim=-1))
        return found


class Gmu(Fusion):
    """Gated multimodal unit."""

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        count, width = len(titles), sizes.width
        self.hidden = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in titles)
        self.gate = nn.Linear(count * width, (1 if count == 2 else count) * width, bias=False)

    def fuse(self, given: Given) -> Tensor:
        """Σ_m z_m ∗ tanh(W_m r_m)."""
        hidden = [torch.tanh(one(given.states[:, at])) for at, one in enumerate(self.hidden)]
        gates = torch.sigmoid(self.gate(given.states.flatten(1)))
        if len(hidden) == 2:
            return gates * hidden[0] + (1 - gates) * hidden[1]
        shares = gates.unflatten(1, (len(hidden), -1)) * given.there.unsqueeze(-1)
        return (shares * torch.stack(hidden, dim=1)).sum(dim=1)


class Gated(Fusion):
    """What every fusion with the paper's gates has: M (M − 1) gated vectors, Eq. 7 to 14."""

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        width = sizes.width
        self.pairs = list(combinations(range(len(titles)), 2))
        self.hidden = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in titles)
        self.gates = nn.ModuleList(nn.Linear(2 * width, width, bias=False) for _ in self.pairs)
        order = [pair for one, other in self.pairs for pair in ((one, other), (other, one))]
        self.names = tuple(f"{titles[one]} by {titles[other]}" for one, other in order)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The mean of each gate."""
        return (
            Shown(
                name="gates",
                title="how far each input's gate is open beside another's",
                axes=("pair",),
                names={"pair": self.names},
            ),
        )

    def gated(self, given: Given) -> tuple[Tensor, Tensor]:
        """The gated vectors (T, pairs, width), in the paper's order, and which of them are."""
        states, there = given.states, given.there
        hidden = [torch.tanh(one(states[:, at])) for at, one in enumerate(self.hidden)]  # (7), (8)
        vectors, shares, both = [], [], []
        for (one, other), gate in zip(self.pairs, self.gates, strict=True):
            z = torch.sigmoid(gate(torch.cat([states[:, one], states[:, other]], dim=-1)))  # (9)
            vectors += [z * hidden[one], (1 - z) * hidden[other]]  # (10), (11)
            shares += [z.mean(dim=-1), 1 - z.mean(dim=-1)]
            both += [there[:, one] & there[:, other]] * 2
        real = torch.stack(both, dim=1)
        if given.shown is not None:
            given.shown["gates"] = torch.stack(shares, dim=1) * real
        return torch.stack(vectors, dim=1) * real.unsqueeze(-1), real


class NoRepresentation(Gated):
    """The gated vectors side by side."""

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        self.squeeze = nn.Linear(len(self.names) * sizes.width, sizes.width, bias=False)

    def fuse(self, given: Given) -> Tensor:
        """W [h_ua; h_au; …]."""
        vectors, _ = self.gated(given)
        made: Tensor = self.squeeze(vectors.flatten(1))
        return made


class _Wrapped(nn.Module):
    """[CLS] and some vectors in a fixed order through a Transformer, Eq. 15 and 16."""

    def __init__(self, count: int, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.cls = nn.Parameter(torch.randn(width) / width**0.5)
        self.order = nn.Parameter(torch.randn(count, width) / width**0.5)
        self.encoder = _encoder(sizes, width)

    def forward(self, vectors: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """(T, n, width) and which are there → (T, width), and (T, heads, 1 + n)."""
        first = self.cls.expand(len(vectors), 1, -1)
        rows = torch.cat([first, vectors + self.order], dim=1)  # (15)
        mask = torch.cat([torch.ones_like(real[:, :1]), real], dim=1)
        made, weights = self.encoder(rows, mask[:, None, None, :], at=0)  # (16)
        return made[:, 0], weights[:, :, 0]


def _parts(names: Sequence[str]) -> Shown:
    return Shown(
        name="parts",
        title="what the fused vector attends to",
        axes=("head", "pair"),
        names={"pair": (ITSELF, *names)},
        sums="pair",
    )


class Mgif(Gated):
    """The paper's own: multi-grained interactive fusion."""

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        self.wrapped = _Wrapped(len(self.names), sizes)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The gates, and the attention of the last layer's [CLS]."""
        return (*super().shows, _parts(self.names))

    def fuse(self, given: Given) -> Tensor:
        """Eq. 7 to 16."""
        made, weights = self.wrapped(*self.gated(given))
        if given.shown is not None:
            given.shown["parts"] = weights
        return made


class NoPrototype(Fusion):
    """The Transformer over the modalities' own vectors."""

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        self.wrapped = _Wrapped(len(titles), sizes)

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The attention of the last layer's [CLS]."""
        return (_parts(self.titles),)

    def fuse(self, given: Given) -> Tensor:
        """Eq. 15 and 16 with r for h."""
        made, weights = self.wrapped(given.states, given.there)
        if given.shown is not None:
            given.shown["parts"] = weights
        return made


class Mult(Fusion):
    """Attention from each modality's turns to each other one's."""

    over_turns = True

    def __init__(self, titles: Sequence[str], sizes: Sizes) -> None:
        super().__init__(titles, sizes)
        count, width = len(titles), sizes.width
        wide = (count - 1) * width
        pairs = range(count * (count - 1))
        self.across = nn.ModuleList(_encoder(sizes, width) for _ in pairs)
        self.within = nn.ModuleList(_encoder(sizes, wide) for _ in titles)
        self.squeeze = nn.Linear(count * wide, width, bias=False)

    def fuse(self, given: Given) -> Tensor:
        """W [Z_1; …; Z_M] of each turn, Z_a what a asked of the others."""
        layout = given.layout
        assert layout is not None
        there = [given.there[:, at] for at in range(len(given.around))]
        pairs, found = iter(self.across), []
        for at, (own, encoder) in enumerate(zip(given.around, self.within, strict=True)):
            asked = []
            for other, memory in enumerate(given.around):
                if other != at:
                    made, _ = next(pairs)(own, layout.sees(there[other]), memory=memory)
                    asked.append(made * layout.spread(there[other]).unsqueeze(-1))
            last, _ = encoder(torch.cat(asked, dim=-1), layout.sees(there[at]), at=layout.at)
            found.append(layout.target(last) * there[at].unsqueeze(-1))
        made = self.squeeze(torch.cat(found, dim=-1))
        return made


KINDS: dict[str, type[Fusion]] = {
    "mgif": Mgif,
    "additive": Additive,
    "concat": Concat,
    "max": Max,
    "bilinear": Bilinear,
    "gmu": Gmu,
    "mult": Mult,
    "no_representation": NoRepresentation,
    "no_prototype": NoPrototype,
}
