"""A run: the Plan of it, frozen, and the folder that it leaves behind.

RUN/plan.toml               what was asked: what `fit` reads again
RUN/run.json                what it was run on: versions, commit, data, splits, seeds, machine
RUN/parts/FOLD-seedN/       one training: history.jsonl (a line an epoch), state.pt (what
                            --resume needs), checkpoint/, predictions.jsonl of the part that
                            is reported (where the protocol reports one), tensorboard/
RUN/checkpoint/             of one fold: the seed that selection liked best
RUN/metrics.json            what the predictions come to, mean and sd over the seeds
"""

from __future__ import annotations

import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from erc_demo import plugs
from erc_demo.errors import UserError, listed
from erc_demo.plugs import option
from trainer.datasets import Ask

MEASURES = ("weighted_f1", "macro_f1", "ua", "wa", "ccc", "loss")
LOWER = ("loss",)  # of the measures, those that are better lower
TABLES = ("reads", "settings")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a run is told. Each field's help text is what ``--help`` prints."""

    # what learns
    system: str = option("", "the system")
    design: str = option(
        "embedded", "embedded or published inputs and sizes", ("embedded", "published")
    )
    inputs: str = option("", "inputs of the system, comma-separated; empty: all that the data has")
    ablation: str = option("", "one of the paper's own rivals of its system")
    init: str = option("", "a checkpoint whose weights it begins with, where they fit")
    # from what
    data: str = option("", "KIND:PATH")
    labels: str = option("iemocap6", "label sets, comma-separated; the first is reported")
    dimensions: str = option("", "dimensions, comma-separated")
    label_column: str = option("", "column of the first label set")
    text_column: str = option("", "column of the words")
    split_column: str = option("", "column of the split")
    shared_speakers: bool = option(False, "people may be in training and in test")
    # judged how
    protocol: str = option(
        "official",
        "official (the corpus's split), loso (leave one session out), speakers:K (folds of "
        "people), or as-published:PROTOCOL (the best epoch on the reported part, beside the honest "
        "one)",
    )
    select_from: str = option(
        "validation", "what selection sees: validation, or train:N dialogues cut from the training"
    )
    seed: int = option(0, "the first seed", least=0)
    runs: int = option(1, "seeds, one after the other", least=1)
    # learning
    epochs: int = option(60, "most epochs of each stage", least=1)
    patience: int = option(10, "epochs without a better selection before a stage ends", least=1)
    measure: str = option("weighted_f1", "what selection looks at", MEASURES)
    batch: int = option(16, "dialogues, or turns of a system that sees few at once", least=1)
    optimiser: str = option("adamw", "adamw or adam", ("adamw", "adam"))
    rate: float = option(1e-3, "learning rate", least=1e-9)
    encoder_rate: float = option(2e-5, "learning rate of a text encoder that is tuned", least=1e-9)
    weight_decay: float = option(0.01, "weight decay", least=0)
    schedule: str = option(
        "constant",
        "of the rate: constant, linear (to 0) or cosine",
        ("constant", "linear", "cosine"),
    )
    warmup: int = option(0, "steps in which the rate rises", least=0)
    clip: float = option(5.0, "largest norm of the gradient; 0: any", least=0)
    class_weights: str = option(
        "none",
        "none, balanced (1 / frequency) or root (its square root)",
        ("none", "balanced", "root"),
    )
    votes: str = option(
        "label",
        "learn from the label, or from the raters' votes as a distribution",
        ("label", "soft"),
    )
    smoothing: float = option(0.0, "share of the target spread over all labels", least=0, below=1)
    modality_dropout: float = option(
        0.0, "chance that a conversation lacks one of its inputs", least=0, below=1
    )
    speaker_shift: float = option(
        0.0,
        "random shift of each speaker's sound in each conversation, in deviations (shifting)",
        least=0,
    )
    average: float = option(
        0.0,
        "weights answer as their moving average with this decay a step; 0: as they are",
        least=0,
        below=1,
    )
    refit: bool = option(
        False, "train anew on training and selection part, for as long as selection chose"
    )
    calibrate: bool = option(
        True, "learn a temperature of the chances, and when to be unsure, by the selection part"
    )
    unsure_cost: float = option(
        0.6, "what saying 'unsure' costs, where a wrong answer costs 1", least=0.05, below=1
    )
    encoder: str = option("", "pretrained text encoder of the input tokens: folder or Hub name")
    tune: str = option(
        "full", "that encoder: full, adapter (LoRA) or frozen", ("full", "adapter", "frozen")
    )
    adapter_rank: int = option(8, "rank of the adapter", least=1)
    precision: str = option("auto", "auto (bf16 on a GPU), no or bf16", ("auto", "no", "bf16"))
    half: bool = option(False, "keep the checkpoint's weights in half precision")
    log: str = option(
        "tensorboard",
        "scalars: tensorboard, trackio (each where installed) or none",
        ("tensorboard", "trackio", "none"),
    )
    # of the system
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # input → features
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ask(self) -> Ask:
        """What it wants of a corpus."""
        return Ask(
            labels=_names(self.labels),
            dimensions=_names(self.dimensions),
            label_column=self.label_column,
            text_column=self.text_column,
            split_column=self.split_column,
            shared_speakers=self.shared_speakers,
        )

    @property
    def as_published(self) -> bool:
        """Whether the epoch that is best on the reported part is kept beside the honest one."""
        return self.protocol.partition(":")[0] == "as-published"

    @property
    def seeds(self) -> range:
        """One after the other."""
        return range(self.seed, self.seed + self.runs)

    @classmethod
    def of(cls, given: Mapping[str, Any], whose: str) -> Plan:
        """From loose keys: those of a plan, and others as settings of its system.

        What is wrong is said at once.
        """
        odd_tables = [key for key in TABLES if not isinstance(given.get(key, {}), Mapping)]
        if odd_tables or not given.get("system"):
            what = f"its {listed(odd_tables)} are no table" if odd_tables else "it names no system"
            raise UserError(f"The plan of {whose} can't be used: {what}.")
        plain = {key for key in _PLAIN if key in given}
        reads, settings = dict(given.get("reads", {})), dict(given.get("settings", {}))
        system = str(given.get("system", ""))
        module = plugs.load("erc_demo.systems", system)
        own = {one.name for one in fields(module.Config)}
        for key in given.keys() - plain - set(TABLES):
            if key in own:
                settings[key] = given[key]
        odd = given.keys() - plain - set(TABLES) - own
        kept, problems = plugs.told(cls, {key: given[key] for key in plain}, whose)
        settings, more = plugs.told(module.Config, settings, system)
        problems += more
        problems += [
            f"{whose} has '{key}', which is no option of a plan or a setting of {system}"
            for key in sorted(odd)
        ]
        for name, these in reads.items():
            these = (these,) if isinstance(these, str) else these
            if not all(isinstance(one, str) for one in these):
                problems.append(f"reads of {name} are {these!r}; a list of features was wanted")
            reads[name] = tuple(these)
        if problems:
            raise UserError(f"This plan can't be used: {listed(problems)}.")
        return cls(**kept, reads=MappingProxyType(reads), settings=MappingProxyType(settings))

    def but(self, **changes: Any) -> Plan:
        """The same with some fields changed."""
        return replace(self, **changes)

    def to_toml(self) -> str:
        """As a file that ``read`` reads; what is as by default is left out."""
        default = Plan()
        lines = [
            f"{key} = {_value(getattr(self, key))}"
            for key in _PLAIN
            if getattr(self, key) != getattr(default, key)
        ]
        for table in TABLES:
            these = getattr(self, table)
            if these:
                lines += ["", f"[{table}]"]
                lines += [f"{json.dumps(key)} = {_value(one)}" for key, one in these.items()]
        return "\n".join(lines) + "\n"


_PLAIN = tuple(one.name for one in fields(Plan) if one.name not in TABLES)


def read(file: Path) -> dict[str, Any]:
    """The keys of a plan's file."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UserError(f"The plan {file} can't be opened: {exc.strerror}.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UserError(f"The plan {file} is not TOML: {exc}.") from exc


def facts(file: Path) -> dict[str, Any]:
    """The JSON object that a run's or a checkpoint's file holds."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UserError(f"{file} can't be opened: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise UserError(f"{file} is not JSON; was it cut off or changed?") from exc
    if not isinstance(found, dict):
        raise UserError(f"{file} holds no JSON object; what `fit` wrote was wanted.")
    return found


def write(file: Path, text: str) -> None:
    """A file that appears whole or not at all, also when the machine stops."""
    aside = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise UserError(f"{file} can't be written: {exc.strerror or exc}.") from exc


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _value(value: Any) -> str:
    """Plain values are written in TOML as in JSON."""
    if isinstance(value, float):
        return repr(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
