"""One training: one fold, one seed, from drawn weights to a checkpoint and predictions.

A training goes through phases. Each stage of the system is trained until selection has liked
nothing better for ``patience`` epochs, and goes on with the weights that it liked best; where the
plan refits, all stages are then trained anew on training and selection part together, for as many
epochs as were chosen; what selection taught beside the weights (``held``, the calibration) stays as
it was before. After every epoch ``state.pt`` holds all that is needed to go on; it goes
when ``part.json``, which is written last, says that the training is done.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

import erc_demo
from erc_demo import systems
from erc_demo.checkpoint import Checkpoint
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.systems import Calibration, Design, System
from trainer import adapter, calibration, metrics, predictions, pretrained, record, runs
from trainer.datasets import Corpus
from trainer.evaluate import Served, lines
from trainer.inputs import Example
from trainer.judge import Judge, better
from trainer.learner import Learner, Lesson, Weights
from trainer.processes import agreed
from trainer.protocol import Fold
from trainer.runs import Plan
from trainer.scalars import Scalars
from trainer.state import STATE, Progress, State, refuse_other

PART, HISTORY, CHECKPOINT = "part.json", "history.jsonl", "checkpoint"
KEPT = ("best", "published", "held")  # weights that a state holds beside the system's own
Told = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """All that every training of a run begins with."""

    plan: Plan
    corpus: Corpus
    design: Design
    versions: dict[str, str]
    examples: dict[str, Example]
    settings: Settings
    accelerator: Accelerator
    say: Told
    first: Checkpoint | None = None  # whose weights it begins with

    def of(self, names: Sequence[str]) -> list[Example]:
        """Some dialogues by name."""
        return [self.examples[name] for name in names]

    def about(self, fold: Fold) -> dict[str, str]:
        """What a training must go on with that was begun."""
        return {
            "version": erc_demo.__version__,
            "data_sha256": self.corpus.sha256,
            "split_sha256": fold.sha256,
            "plan_sha256": hashlib.sha256(self.plan.to_toml().encode()).hexdigest(),
        }


def done(ready: Ready, fold: Fold, folder: Path) -> bool:
    """Whether a training came to its end before, of this very data."""
    file = folder / PART
    if not file.is_file():
        return False
    refuse_other(file, json.loads(file.read_text(encoding="utf-8")), ready.about(fold))
    (folder / STATE).unlink(missing_ok=True)  # of one killed between its last two writes
    return True


class Training:
    """One fold, one seed. ``select_only``: the reported part stays closed."""

    def __init__(
        self, ready: Ready, fold: Fold, seed: int, folder: Path, *, select_only: bool = False
    ) -> None:
        self.ready, self.fold, self.seed, self.folder = ready, fold, seed, folder
        self.plan, self.accelerator = ready.plan, ready.accelerator
        self.about = ready.about(fold)
        self.system = self._new()
        stages = list(self.system.stages)
        self.phases = [("choose", one) for one in stages]
        self.phases += [("refit", one) for one in stages] if self.plan.refit else []
        self.select = Judge(ready.of(fold.select), self.system)
        if not self.select.tells(self.system, self.plan.measure):
            raise UserError(
                f"No turn of the selection part of {fold.name} has what {self.plan.measure} is "
                "taken of, so no epoch could be chosen; name another protocol or measure, or cut "
                "some dialogues with --select-from train:N."
            )
        self.reported = [] if select_only else ready.of(fold.report)
        self.report: Judge | None = None
        if self.plan.as_published and self.reported:
            looked = Judge(self.reported, self.system)
            self.report = looked if looked.tells(self.system, self.plan.measure) else None
        self.progress = Progress()
        self.best: Weights = {}  # that selection liked best, in this phase
        self.published: Weights = {}  # that the reported part liked best
        self.held: Weights = {}  # what selection taught beside the weights, kept over a refit
        self.history: list[dict[str, Any]] = []
        self.lesson: tuple[str, Lesson] | None = None  # of which phase
        self.learner: Learner | None = None

    def run(self) -> None:
        """Every phase, then what is said of the parts that were not learned from."""
        kept = self._restore()
        progress = self.progress
        while progress.phase < len(self.phases):
            phase, stage = self.phases[progress.phase]
            learner = self.learner = self._enter(phase, stage, kept)
            kept = {}
            with Scalars(self.plan.log, self.folder, self.accelerator.is_main_process) as scalars:
                while progress.epoch < self._most(phase, stage) and self._hopes(phase):
                    event = self._epoch(learner, phase, stage)
                    self.history.append(event)
                    scalars.add(event)
                    told = {"part": self.folder.name, "of": self._most(phase, stage)}
                    self.ready.say(told | event)
                    self._save()
            self._leave(learner, phase, stage)
            progress.phase += 1
            progress.epoch = progress.bad = progress.chosen = 0
            progress.best, self.best, self.learner = None, {}, None
            self._save()
        if self.accelerator.is_main_process:
            self._write()

    # ---- beginnings

    def _new(self) -> System:
        plan, settings = self.plan, self.ready.settings
        system = systems.build(self.ready.design, seed=self.seed)
        if plan.encoder:
            pretrained.copy_into(system, plan.encoder, settings)
        if self.ready.first is not None:
            record.begin_with(system, self.ready.first)
        adapter.limit(system, plan.tune, plan.adapter_rank, seed=self.seed)
        return system.to(self.accelerator.device)

    def _enter(self, phase: str, stage: str, kept: dict[str, Any]) -> Learner:
        """Make ready for a phase, or for what is left of it."""
        going = self.progress.epoch > 0
        if phase == "refit" and stage == self.system.stages[0] and not going:
            kept = {}  # a refit begins as its training did
            self.system.load_state_dict(self._new().state_dict())
        lesson = self._lesson(phase)
        if kept:
            self.system.load_state_dict(kept["model"])
        self.system.stage(stage)
        learner = Learner(self.system, self.plan, self.accelerator, lesson)
        if kept and going:
            learner.restore(kept["learner"])
        return learner

    def _lesson(self, phase: str) -> Lesson:
        """What a phase learns from; what is no gradient's is learned at once: scales."""
        if self.lesson is not None and self.lesson[0] == phase:
            return self.lesson[1]
        examples = self.ready.of(self.fold.train)
        if phase == "refit":
            examples += self.ready.of(self.fold.select)
        names = self.system.design.labels
        first = [one.labelled.labels[names[0]] if names else None for one in examples]
        self.system.fit_inputs([one.conversation for one in examples], first)
        self.system.to(self.accelerator.device)
        lesson = Lesson.of(examples, self.system, self.plan, self.ready.settings)
        if not lesson.units:
            raise UserError(
                f"No turn of the training part of {self.fold.name} has a label; name another "
                "protocol, label set or --label-column."
            )
        self.lesson = (phase, lesson)
        return lesson

    # ---- an epoch

    def _most(self, phase: str, stage: str) -> int:
        """Epochs of a phase, where selection does not end it before."""
        chosen = self.progress.stages.get(stage, {})
        return int(chosen["epoch"]) if phase == "refit" else self.plan.epochs

    def _hopes(self, phase: str) -> bool:
        return phase == "refit" or self.progress.bad < self.plan.patience

    def _epoch(self, learner: Learner, phase: str, stage: str) -> dict[str, Any]:
        clock, progress = time.monotonic(), self.progress
        loss = learner.epoch((self.seed, progress.phase, progress.epoch))
        progress.epoch += 1
        if not math.isfinite(loss):
            raise UserError(
                f"The loss of {self.folder.name} is {loss} in epoch {progress.epoch} of {stage}; "
                "name a smaller rate, or clip the gradient."
            )
        event: dict[str, Any] = {"phase": phase, "stage": stage, "epoch": progress.epoch}
        event |= {"loss": loss, "rate": learner.rate(learner.step - 1) * self.plan.rate}
        if phase == "choose":
            with learner.averaged():
                event |= self._judge(stage)
        return event | {"seconds": round(time.monotonic() - clock, 3)}

    def _judge(self, stage: str) -> dict[str, Any]:
        """Selection's view of the epoch; the best weights are kept. One process decides for all."""
        progress, measure = self.progress, self.plan.measure
        judges = {"select": self.select} | ({"report": self.report} if self.report else {})
        scores = agreed(
            self.accelerator,
            lambda: {name: one.scores(self.system, measure) for name, one in judges.items()},
        )
        progress.bad += 1
        if better(scores["select"][measure], progress.best, measure):
            progress.best, progress.chosen = scores["select"][measure], progress.epoch
            progress.bad, self.best = 0, _copied(self.system)
        if "report" in scores and stage == self.system.stages[-1]:
            value = scores["report"][measure]
            if better(value, progress.published, measure):
                progress.published = value
                progress.published_epoch = f"{stage} {progress.epoch}"
                self.published = _copied(self.system)
        return scores

    def _leave(self, learner: Learner, phase: str, stage: str) -> None:
        progress = self.progress
        learner.close()
        if phase == "refit":
            learner.settle()
        else:
            self.system.load_state_dict(self.best)
            progress.stages[stage] = {
                "epoch": progress.chosen,
                "epochs": progress.epoch,
                "select": progress.best,
            }
        if stage == self.system.stages[-1]:
            self._hold(phase)

    def _hold(self, phase: str) -> None:
        """What selection teaches beside the weights; after a refit, what it taught before."""
        if phase == "refit":
            self.system.load_state_dict({**self.system.state_dict(), **self.held})
            return
        before = _copied(self.system)
        self.system.fit_held_out(*self.select.known(self.system))
        after = _copied(self.system)
        self.held = {key: one for key, one in after.items() if not torch.equal(one, before[key])}
        if self.plan.calibrate and self.system.design.labels:
            self.progress.calibration = agreed(self.accelerator, self._calibrated)

    def _calibrated(self) -> dict[str, Any]:
        made, told = calibration.calibrated(self.system, self.select, self.plan.unsure_cost)
        return {"made": made.to_json(), "told": told}

    # ---- files

    def _save(self) -> None:
        """All that is needed to go on; then the history, for who watches."""
        if not self.accelerator.is_main_process:
            return
        tensors: dict[str, Any] = {name: getattr(self, name) for name in KEPT}
        tensors["model"] = self.system.state_dict()
        tensors["learner"] = {} if self.learner is None else self.learner.state()
        state = State(
            about=self.about, progress=self.progress, history=self.history, tensors=tensors
        )
        state.save(self.folder / STATE)
        told = "".join(f"{json.dumps(event)}\n" for event in self.history)
        runs.write(self.folder / HISTORY, told)

    def _restore(self) -> dict[str, Any]:
        """What a killed training left, or nothing; the first process reads it to the others."""
        file = self.folder / STATE
        state = agreed(
            self.accelerator, lambda: State.load(file, self.about) if file.is_file() else None
        )
        if state is None:
            return {}
        self.progress, self.history = state.progress, state.history
        for name in KEPT:
            setattr(self, name, state.tensors[name])
        try:
            self.system.load_state_dict(state.tensors["model"])
        except RuntimeError as exc:
            raise UserError(
                f"{file} holds the weights of another system; remove it, and this part is trained "
                "anew."
            ) from exc
        self.ready.say({"part": self.folder.name, "resumed": len(self.history)})
        return state.tensors

    def _write(self) -> None:
        """The checkpoint, predictions of the parts that were not learned from, and the summary."""
        plan, progress = self.plan, self.progress
        plain = self._plain(self.system.state_dict())
        if progress.calibration:
            plain.calibration = Calibration.from_json(progress.calibration["made"])
        told = record.of(self.ready, self.fold, self.seed, asdict(progress))
        if not plan.refit:
            self._predict(plain, self.select, "selection.jsonl")
        if self.reported:
            served = Served(self.reported, plain)
            told["measures"] = self._predict(plain, served, "predictions.jsonl")
            told["reported"] = f"{len(self.reported)} dialogues of the fold {self.fold.name}"
            if self.published:
                other = self._plain(self.published)
                told["published"] = self._predict(other, served, "published.jsonl")
        shutil.rmtree(self.folder / CHECKPOINT, ignore_errors=True)
        versions = self.ready.versions
        record.save(self.folder / CHECKPOINT, plain, versions, told, half=plan.half)
        summary: dict[str, Any] = {"fold": self.fold.name, "seed": self.seed, **self.about}
        summary |= {"measure": plan.measure, "stages": progress.stages}
        if progress.published is not None:
            summary["published"] = {
                "epoch": progress.published_epoch,
                plan.measure: progress.published,
            }
        runs.write(self.folder / PART, json.dumps(summary, indent=1) + "\n")
        (self.folder / STATE).unlink(missing_ok=True)

    def _predict(self, system: System, served: Served, name: str) -> dict[str, float]:
        """Predictions of a part, written; the measures of them."""
        labels = next(iter(system.design.labels), None)
        said = lines(system, served.examples, served.ask(system), labels)
        predictions.write(self.folder / name, said)
        found = metrics.reports.measures(metrics.reading.answers(said))
        return {measure: one for measure, one in found.items() if one is not None}

    def _plain(self, state: Weights) -> System:
        """A system without adapters, with some weights, where it trained."""
        if adapter.there(self.system):
            own = _copied(self.system)
            self.system.load_state_dict(state)
            state = adapter.merged(self.system)
            self.system.load_state_dict(own)
        plain = systems.build(self.ready.design)
        plain.load_state_dict(state)
        return plain.to(self.accelerator.device)


def _copied(system: System) -> Weights:
    """Weights as they are now, in the machine's memory rather than the device's."""
    return {key: one.detach().to("cpu", copy=True) for key, one in system.state_dict().items()}
