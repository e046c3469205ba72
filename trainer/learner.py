"""Learning: the steps of one stage, their rate, and the moving average of the weights.

A step lowers the sum of the losses of all turns of its batch over the number of labelled ones:

    L = (1 / N) Σ_processes Σ_turns ℓ(turn),   N labelled turns of the batch, in all processes

so that processes share a batch without changing it (gradients are averaged over W processes, so
each multiplies its sum by W / N). What is drawn in an epoch, its order and the inputs that are
left out, comes from a generator seeded by seed, phase and epoch, the same in each process; dropout
from one that is seeded besides by the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from erc_demo.settings import Settings
from erc_demo.systems import System, collate
from trainer.inputs import Example
from trainer.runs import Plan
from trainer.shifting import Columns, columns, shifted
from trainer.units import Unit, batches, class_weights, lacking, nothing, small, targets, units

Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What is learned from: the units of an epoch, and how much each class counts."""

    units: list[Unit]
    turns: bool  # whether units are single turns
    weights: Weights
    sound: Columns = field(default_factory=dict)  # what a speaker's shift shows in

    @classmethod
    def of(
        cls, examples: Sequence[Example], system: System, plan: Plan, settings: Settings
    ) -> Lesson:
        """All that some dialogues teach a system."""
        found = units(examples, system, votes=plan.votes == "soft")
        weights = {}
        for name in system.design.labels if found else ():
            these = class_weights(found, name, plan.class_weights)
            if these is not None:
                weights[name] = torch.from_numpy(these)
        sound = columns(system.design, settings) if plan.speaker_shift else {}
        return cls(units=found, turns=small(system), weights=weights, sound=sound)


class Learner:
    """One stage of a system's training."""

    def __init__(
        self, system: System, plan: Plan, accelerator: Accelerator, lesson: Lesson
    ) -> None:
        self.system, self.plan, self.accelerator, self.lesson = system, plan, accelerator, lesson
        self.model = accelerator.prepare_model(system)
        self.learned = {key: one for key, one in system.named_parameters() if one.requires_grad}
        self.optimiser = self._optimiser()
        self.average: Weights = {}
        if plan.average:
            self.average = {key: one.detach().clone() for key, one in self.learned.items()}
        self.step = 0
        self.weights = {key: one.to(accelerator.device) for key, one in lesson.weights.items()}

    def close(self) -> None:
        """Let go of what was wrapped around the system; Accelerate would keep it for ever."""
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self.accelerator.free_memory()

    def state(self) -> dict[str, Any]:
        """What ``restore`` wants, beside the system's weights."""
        return {
            "step": self.step,
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self.step = state["step"]
        self.optimiser.load_state_dict(state["optimiser"])
        for key, one in state["average"].items():
            self.average[key].copy_(one)

    def _optimiser(self) -> torch.optim.Optimizer:
        """Weight decay is for matrices; a pretrained encoder has a rate of its own."""
        plan = self.plan
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, one in self.learned.items():
            encoder = bool(plan.encoder) and name.startswith("encoder.")
            groups.setdefault((encoder, one.ndim > 1), []).append(one)
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[plan.optimiser]
        made: torch.optim.Optimizer = kind(
            [
                {
                    "params": these,
                    "rate": plan.encoder_rate if encoder else plan.rate,
                    "weight_decay": plan.weight_decay if matrix else 0.0,
                }
                for (encoder, matrix), these in groups.items()
            ],
            lr=plan.rate,
        )
        return made

    def epoch(self, seeds: Sequence[int]) -> float:
        """Every unit once; the mean loss of a labelled turn. ``seeds``: seed, phase and epoch."""
        world, rank = self.accelerator.num_processes, int(self.accelerator.process_index)
        found = self.lesson.units
        draw = np.random.default_rng([*seeds, 1])
        torch.manual_seed(int(np.random.SeedSequence([*seeds, 2]).generate_state(1)[0]) + rank)
        order = batches(found, self.plan.batch, seeds, turns=self.lesson.turns)
        self.model.train()
        total, count = torch.zeros((), device=self.accelerator.device), 0
        for places in order:
            chosen = [self._varied(found[at], draw) for at in places]
            labelled = sum(one.wanted for one in chosen)
            mine = chosen[rank::world] or [nothing(chosen[0])]
            total += self._step(mine, labelled) * labelled
            count += labelled
        return float(self.accelerator.reduce(total, "mean").item() / count)

    def _varied(self, unit: Unit, draw: np.random.Generator) -> Unit:
        """The unit as this epoch has it: without an input, or from other people."""
        unit = lacking(unit, self.plan.modality_dropout, self.system, draw)
        return shifted(unit, self.plan.speaker_shift, self.lesson.sound, self.system, draw)

    def _step(self, mine: Sequence[Unit], labelled: int) -> Tensor:
        plan, device = self.plan, self.accelerator.device
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * self.rate(self.step)
        batch = collate([one.conversation for one in mine]).to(device)
        wanted = targets(mine, self.system, self.weights, plan.smoothing, device)
        output = self.model(batch)
        loss = self.system.loss(output, batch, wanted, per=labelled)
        loss = loss * self.accelerator.num_processes
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        if plan.clip:
            self.accelerator.clip_grad_norm_(list(self.learned.values()), plan.clip)
        self.optimiser.step()
        self.step += 1
        self._move_average()
        return loss.detach()

    def rate(self, step: int) -> float:
        """The share of the learning rate at a step: a rise, then the schedule's fall."""
        plan = self.plan
        total = plan.epochs * -(-len(self.lesson.units) // plan.batch)
        if step < plan.warmup:
            return (step + 1) / plan.warmup
        done = min(1.0, (step - plan.warmup) / max(1, total - plan.warmup))
        falls = {
            "constant": 1.0,
            "linear": 1.0 - done,
            "cosine": 0.5 + 0.5 * math.cos(math.pi * done),
        }
        return falls[plan.schedule]

    def _move_average(self) -> None:
        """Average: s ← d s + (1 − d) w with d = min(average, (1 + t) / (10 + t)) at step t."""
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, one in self.average.items():
                one.lerp_(self.learned[key], 1 - decay)

    def settle(self) -> None:
        """Put the averages in the place of the weights, where the plan averages."""
        with torch.no_grad():
            for key, one in self.average.items():
                self.learned[key].copy_(one)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The system with its average weights, where the plan averages."""
        own = {key: self.learned[key].detach().clone() for key in self.average}
        self.settle()
        try:
            yield
        finally:
            with torch.no_grad():
                for key, one in own.items():
                    self.learned[key].copy_(one)
