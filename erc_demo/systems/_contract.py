"""What every system keeps to: a Batch of conversations goes in, an Output comes out.

A file of this folder is one paper's system. It holds

- ``ABOUT``: one sentence, what it is; ``PAPER``: authors, title, venue;
- ``NEEDS``: its inputs by name (``Need``), the published features and those that a checkpoint
  here reads instead; ``EMBEDDED``: the settings in which such a checkpoint departs from the paper;
- ``Config``: a frozen dataclass on the one below, published values as defaults;
- ``ABLATIONS``: the paper's own rivals of the system by name, as settings or fewer inputs;
- ``SMALL``: settings with which it runs in a moment, for tests;
- ``System``: a torch module on the class below. It runs whole batches: no loop over turns, words,
  frames or heads.

Equations are cited by number at the line; what a paper leaves open, and the reading chosen, stands
in the file's docstring.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from erc_demo import plugs
from erc_demo.emotions import DIMENSIONS, label_set
from erc_demo.errors import UserError, listed
from erc_demo.findings import LEVELS
from erc_demo.plugs import option
from erc_demo.systems._batch import Batch, Conversation
from erc_demo.systems._calibration import Calibration
from erc_demo.systems._crf import Chain
from erc_demo.systems._losses import Targets, categories, dimensions, exact

PACKAGE = "erc_demo.systems"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One input of a system: which features it reads, and what a person calls it.

    No features: the design as published, or that of a checkpoint here, has no such input.
    """

    title: str  # voice, words, speaker, face
    level: str  # of findings.LEVELS
    published: tuple[str, ...]  # as the paper has it; several stand side by side in one row
    embedded: tuple[str, ...]  # as a checkpoint that ships has it
    extra: bool = False  # there only where it is asked for

    def __post_init__(self) -> None:
        if self.level not in LEVELS or not (self.published or self.embedded):
            raise ValueError(f"{self.title}: {self.level} of {self.published}, {self.embedded}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """A rival that the paper makes of its own system: other settings, or fewer inputs."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()  # empty: all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A map that a system shows: which axes its tensor has after the turn's own.

    ``frames`` and ``words`` name the inputs whose rows those axes run over. What runs over labels
    has them last, and is chances of the first label set.
    """

    name: str
    title: str
    axes: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sums: str | None = None
    frames: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings that every system has; each system's own stand beside them."""

    decode: str = option(
        "argmax",
        "argmax, or crf: ours, a chain over the conversation (transitions after the same and "
        "after another speaker)",
        ("argmax", "crf"),
    )
    dimension_loss: str = option(
        "ccc", "of dimensions: ccc (1 - concordance) or mse (mean squared error)", ("ccc", "mse")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """All that it takes to make an empty system: what a checkpoint's ``config.json`` holds.

    ``inputs`` says which features each input reads, ``widths`` how many numbers they are;
    ``settings`` holds what differs from the published defaults.
    """

    system: str
    inputs: Mapping[str, tuple[str, ...]]
    widths: Mapping[str, int]
    labels: tuple[str, ...] = ("iemocap6",)
    dimensions: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        needs: Mapping[str, Need] = self.module.NEEDS
        given = {"labels": self.labels, "dimensions": self.dimensions, **self.inputs}
        odd = [
            f"{what} are {these!r}, and a list of names was wanted"
            for what, these in given.items()
            if not (isinstance(these, list | tuple) and all(isinstance(one, str) for one in these))
        ]
        if odd:
            raise UserError(f"{self.system} can't be made: {listed(odd)}.")
        settings, problems = plugs.told(self.module.Config, self.settings, self.system)
        inputs = {
            name: tuple(self.inputs[name]) for name in needs if self.inputs.get(name)
        }  # in the paper's order
        for name in set(self.inputs) - set(needs):
            problems.append(f"{self.system} has no input '{name}' (it has {', '.join(needs)})")
        for name in inputs:
            if self.widths.get(name, 0) < 1:
                problems.append(f"the width of {self.system}'s input '{name}' is not given")
        if not inputs:
            problems.append(f"{self.system} is given no input (it has {', '.join(needs)})")
        if not self.labels and not self.dimensions:
            problems.append(f"{self.system} has neither labels nor dimensions to say")
        for one in self.dimensions:
            if one not in DIMENSIONS:
                problems.append(f"'{one}' is no dimension of {', '.join(DIMENSIONS)}")
        for one in self.labels:
            label_set(one)
        if problems:
            raise UserError(f"This system can't be made: {listed(problems)}.")
        for name, value in (("settings", settings), ("inputs", inputs)):
            object.__setattr__(self, name, MappingProxyType(value))
        widths = {name: int(self.widths[name]) for name in inputs}
        object.__setattr__(self, "widths", MappingProxyType(widths))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "dimensions", tuple(self.dimensions))

    @property
    def module(self) -> Any:
        """The system's file, imported."""
        return plugs.load(PACKAGE, self.system)

    @property
    def config(self) -> Any:
        """The settings, published defaults filled in."""
        return self.module.Config(**self.settings)

    @property
    def features(self) -> tuple[str, ...]:
        """Every feature that it reads, once."""
        return tuple(dict.fromkeys(text for texts in self.inputs.values() for text in texts))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "system": self.system,
            "inputs": {name: list(these) for name, these in self.inputs.items()},
            "widths": dict(self.widths),
            "labels": list(self.labels),
            "dimensions": list(self.dimensions),
            "settings": dict(self.settings),
        }

    @classmethod
    def from_json(cls, data: Any) -> Design:
        """The reverse of ``to_json``."""
        return cls(**{**data, "labels": data["labels"]})  # which have a default, not in a file


@dataclass(slots=True)
class Output:
    """What a system made of a batch of B conversations, L turns at most, T turns in all.

    The softmax of ``logits`` are the probabilities, one tensor for each label set. ``shown`` holds
    the maps, turns first. An axis 'turn' runs over the conversation's turns, or over those that
    ``seen`` lists for each turn (by place, -1 for none); an axis 'frame' over the frames of the
    turn itself, or of the one that ``whose`` names (by index among the T, -1 for none).
    """

    logits: dict[str, Tensor] = field(default_factory=dict)  # (B, L, labels)
    values: Tensor | None = None  # (B, L, dimensions)
    shown: dict[str, Tensor] = field(default_factory=dict)  # (T, …) axes as in Shown
    seen: dict[str, Tensor] = field(default_factory=dict)  # (T, n) int64
    whose: dict[str, Tensor] = field(default_factory=dict)  # (T,) int64


class System(nn.Module, ABC):
    """The base of every system; ``run`` is the paper's."""

    stages: ClassVar[tuple[str, ...]] = ("all",)  # training's, one after the other

    def __init__(self, design: Design) -> None:
        """Make the parts that all systems have."""
        super().__init__()
        self.design = design
        self.config = design.config
        self.calibration = Calibration()  # of what it says, learned once it is trained
        self.scales = nn.ModuleDict(
            {
                name: Standard(design.widths[name])
                for name in design.inputs
                if design.module.NEEDS[name].level != "token"
            }
        )
        self.chains = nn.ModuleDict(
            {
                name: Chain(len(label_set(name).labels))
                for name in design.labels
                if self.config.decode == "crf"
            }
        )
        if not self.enough(frozenset(design.inputs)):
            raise UserError(
                f"{design.system} with the inputs {', '.join(design.inputs) or 'none'} has too "
                f"few; it can answer with {self.choices()}."
            )

    # what a system says of itself

    @property
    def shows(self) -> tuple[Shown, ...]:
        """The maps that ``run`` leaves in ``Output.shown``, with these settings."""
        return ()

    def enough(self, present: frozenset[str]) -> bool:
        """Whether a turn that has these inputs can be answered."""
        return present >= set(self.design.inputs)

    def around(self, speakers: Sequence[str], place: int) -> Sequence[int] | None:
        """The turns that the answer of one turn depends on, itself among them; None: on all."""
        return None

    def sees(self, speakers: Sequence[str], place: int) -> Sequence[int] | None:
        """The same of the whole answer: a chain ties every turn to every other."""
        return None if self.chains else self.around(speakers, place)

    @property
    def idle(self) -> frozenset[str]:
        """Parameters that can't learn with these settings, said so in the file's docstring."""
        return frozenset()

    def choices(self) -> str:
        """The smallest sets of inputs with which a turn can be answered, as words."""
        names = list(self.design.module.NEEDS)
        found: list[frozenset[str]] = []
        for bits in sorted(range(1, 2 ** len(names)), key=lambda one: one.bit_count()):
            some = frozenset(name for place, name in enumerate(names) if bits >> place & 1)
            if not any(one <= some for one in found) and self.enough(some):
                found.append(some)
        return (
            " or ".join(" + ".join(name for name in names if name in one) for one in found)
            or "all its inputs"
        )

    def able(self, batch: Batch) -> Tensor:
        """Which turns have enough inputs to be answered, bool (B, L)."""
        names = list(self.design.inputs)
        enough = [
            self.enough(frozenset(name for place, name in enumerate(names) if bits >> place & 1))
            for bits in range(2 ** len(names))
        ]
        bits = torch.zeros_like(batch.speakers)
        for place, name in enumerate(names):
            bits = bits + (batch.present[name].long() << place)
        return torch.tensor(enough, device=bits.device)[bits] & batch.mask

    # what it does

    @abstractmethod
    def run(self, batch: Batch, show: bool) -> Output:
        """The paper's forward pass; ``show`` asks for the maps too."""

    def forward(self, batch: Batch, show: bool = False) -> Output:
        """The same."""
        return self.run(batch, show)

    def probabilities(
        self, output: Output, batch: Batch, *, hindsight: bool = True
    ) -> dict[str, Tensor]:
        """(B, L, labels) for each label set: a softmax, or the marginals of the chain.

        Without hindsight the chain answers each turn by those up to it.
        """
        if not self.chains:
            return {name: exact(logits).softmax(dim=-1) for name, logits in output.logits.items()}
        able = self.able(batch).unsqueeze(-1)
        return {
            name: self._chain(name).marginals(
                logits * able, batch.mask, batch.same, hindsight=hindsight
            )
            for name, logits in output.logits.items()
        }

    def _chain(self, name: str) -> Chain:
        chain = self.chains[name]
        assert isinstance(chain, Chain)
        return chain

    def loss(
        self, output: Output, batch: Batch, targets: Targets, per: float | None = None
    ) -> Tensor:
        """What training lowers: the sum over labelled turns, divided by ``per`` (their number).

        Turns that can't be answered teach nothing.
        """
        able = self.able(batch)
        targets, total = targets.only(able), self.zero(output)
        for name, logits in output.logits.items():
            if name not in targets:
                continue
            if self.chains:
                evidence, labels = logits * able.unsqueeze(-1), targets.hard(name)
                chain = self._chain(name)
                total = total + chain.loss(evidence, batch.mask, batch.same, labels, per)
            else:
                total = total + categories(logits, targets, name, per)
        if output.values is not None and targets.values is not None:
            kind = self.config.dimension_loss
            total = total + dimensions(output.values, targets.values, kind, per)
        return total

    def zero(self, output: Output) -> Tensor:
        """A zero that hangs on all that is learned, so that no parameter lacks a gradient.

        Processes that train together wait for every one of them, also where a batch has no labels.
        """
        parts = [*output.logits.values(), *([] if output.values is None else [output.values])]
        parts += self.chains.parameters()
        return torch.stack([exact(part).sum() * 0.0 for part in parts]).sum()

    def stage(self, name: str) -> None:
        """Make ready for a stage of training: which parameters are learned in it."""
        if name not in self.stages:
            raise ValueError(f"{self.design.system} has no stage '{name}'")

    def fit_inputs(
        self,
        conversations: Sequence[Conversation],
        labels: Sequence[np.ndarray | None] | None = None,
    ) -> None:
        """Learn from the training part what is no gradient's: the scale of each input.

        ``labels`` are the first label set's, of each conversation's turns; -1 where one has none.
        """
        for name, scale in self.scales.items():
            rows = [one for each in conversations for one in each.rows[name] if one is not None]
            if rows and isinstance(scale, Standard):
                scale.fit(rows)

    def fit_held_out(
        self, conversations: Sequence[Conversation], labels: Sequence[np.ndarray | None]
    ) -> None:
        """Learn from the validation part, once trained, what a system asks of it: here nothing."""
        return

    def read(self, batch: Batch, name: str) -> Tensor:
        """An input's rows on the scale that training found; absent and padded ones are 0."""
        scaled: Tensor = self.scales[name](batch.inputs[name])
        return scaled * batch.real(name).unsqueeze(-1)


class Standard(nn.Module):
    """(x − mean) · scale, scale = 1 / spread of the training part, 0 for what never moved there."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, rows: Sequence[Any]) -> None:
        """From arrays (n, width), in double precision."""
        total, count = np.zeros(len(self.mean)), 0
        for one in rows:
            total += np.sum(one, axis=0, dtype=np.float64)
            count += len(one)
        average, square = total / count, np.zeros(len(self.mean))
        for one in rows:
            square += np.square(np.asarray(one, np.float64) - average).sum(axis=0)
        mean, spread = torch.from_numpy(average), torch.from_numpy(np.sqrt(square / count))
        still = spread <= 1e-6 * (1 + mean.abs())
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(still, 0.0, 1 / spread.clamp(min=1e-30)))

    def forward(self, rows: Tensor) -> Tensor:
        """The rows on a common scale."""
        return (rows - self.mean) * self.scale
