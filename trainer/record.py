"""What a run and a checkpoint keep of how they came to be; how a training begins with one."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import erc_demo
from erc_demo import checkpoint
from erc_demo.checkpoint import Checkpoint
from erc_demo.errors import UserError
from erc_demo.systems import System
from trainer import adapter, card, runs
from trainer.protocol import Fold

if TYPE_CHECKING:
    from trainer.training import Ready

PACKAGES = ("torch", "numpy", "accelerate", "transformers", "peft", "opensmile", "scikit-learn")


def of(ready: Ready, fold: Fold, seed: int, progress: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its training; plain data."""
    plan, corpus = ready.plan, ready.corpus
    learned = fold.train + (fold.select if plan.refit else ())
    before = {} if ready.first is None else ready.first.training
    trained, chosen = (
        dict.fromkeys([*map(marked, names), *before.get(key, ())])
        for key, names in (("trained_on", learned), ("selected_with", fold.select))
    )
    shown = plan.but(
        data=told(plan.data), init=_no_folder(plan.init), encoder=_no_folder(plan.encoder)
    )
    return {
        "data": told(plan.data),
        "corpora": list(corpus.parts),
        "data_sha256": corpus.sha256,
        "labels": list(plan.ask.labels),
        "protocol": plan.protocol,
        "fold": fold.name,
        "split_sha256": fold.sha256,
        "seed": seed,
        "selected_on": f"{plan.measure} of {len(fold.select)} dialogues ({plan.select_from})"
        if plan.protocol.endswith("official")
        else f"{plan.measure} of {len(fold.select)} dialogues that the fold keeps for it",
        "stages": dict(progress["stages"]),
        **_calibration(progress, refit=plan.refit),
        "trained_on": list(trained),
        "selected_with": list(chosen),
        "plan": shown.to_toml(),
        "commit": commit(),
        "versions": {"erc_demo": erc_demo.__version__, **packages()},
    }


def _calibration(progress: Mapping[str, Any], *, refit: bool) -> dict[str, Any]:
    if not progress["calibration"]:
        return {}
    by = "the selection part" + (", before all was trained anew with it" if refit else "")
    told = progress["calibration"]["told"]
    return {"calibration": {name: {"by": by, **found} for name, found in told.items()}}


def run(ready: Ready, folds: Sequence[Fold]) -> dict[str, Any]:
    """What ``run.json`` says."""
    plan, corpus = ready.plan, ready.corpus
    first = plan.ask.labels[0] if plan.ask.labels else ""
    return {
        "version": erc_demo.__version__,
        "commit": commit(),
        "packages": packages(),
        "data": {
            "reference": plan.data,
            "sha256": corpus.sha256,
            "dialogues": len(corpus.dialogues),
            "turns": sum(len(one.ids) for one in corpus.dialogues),
            "labelled": sum(one.labelled(first) for one in corpus.dialogues),
        },
        "labels": first,
        "dimensions": list(plan.ask.dimensions),
        "folds": {
            fold.name: {
                "sha256": fold.sha256,
                "train": len(fold.train),
                "select": len(fold.select),
                "report": len(fold.report),
                "remarks": list(fold.remarks),
            }
            for fold in folds
        },
        "seeds": list(plan.seeds),
        "design": ready.design.to_json(),
        "parameters": parameters(ready),
        "machine": machine(ready),
    }


def told(reference: str) -> str:
    """KIND:NAME of a corpus: what it is, not whose folder it lies in."""
    kind, _, path = reference.partition(":")
    return f"{kind}:{Path(path).name}"


def _no_folder(ref: str) -> str:
    """A name; of a folder the last part, since the rest is somebody's machine."""
    return Path(ref).name if Path(ref).is_dir() else ref


def parameters(ready: Ready) -> int:
    """How many numbers are learned."""
    with torch.device("meta"):
        empty: System = ready.design.module.System(ready.design)
        adapter.limit(empty, ready.plan.tune, ready.plan.adapter_rank, seed=0)
    return sum(one.numel() for one in empty.parameters() if one.requires_grad)


def machine(ready: Ready) -> dict[str, Any]:
    """What it ran on."""
    accelerator = ready.accelerator
    facts: dict[str, Any] = {
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "precision": accelerator.mixed_precision,
    }
    if accelerator.device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def packages() -> dict[str, str]:
    """The versions of what computes."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of this program's own repository, with a + where files differ; empty elsewhere."""
    home = Path(__file__).resolve().parents[1]
    if not (home / ".git").exists():
        return ""
    try:
        asked = ["git", "-C", str(home)]
        head = subprocess.run(
            [*asked, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        )
        changed = subprocess.run(
            [*asked, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip()[:12] + ("+" if changed.stdout.strip() else "")


def marked(name: str) -> str:
    """A dialogue's name as 8 digits: enough to see it again, and it can't be read."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def save(
    folder: Path,
    system: System,
    versions: Mapping[str, str],
    training: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """A checkpoint with its card."""
    checkpoint.save(folder, system, versions, training, half=half)
    config = {"design": system.design.to_json(), "features": dict(versions), "training": training}
    config["calibration"] = system.calibration.to_json()
    runs.write(folder / "README.md", card.card(config, name=system.design.system))


def seen_before(given: Checkpoint, names: Sequence[str]) -> list[str]:
    """A sentence where a checkpoint has learned from, or was chosen by, some of these dialogues."""
    found, marks = [], {marked(name) for name in names}
    for what, key in (("learned from", "trained_on"), ("was chosen by", "selected_with")):
        count = len(marks & set(given.training.get(key, ())))
        if count:
            found.append(
                f"{given.made_by} {what} {count} of these {len(names)} dialogues (by their names); "
                "what is measured on them is no result."
            )
    return found


def checkpoint_of(ref: str) -> str:
    """A run stands for its checkpoint."""
    inside = Path(ref) / "checkpoint"
    if (inside / checkpoint.CONFIG).is_file():
        return str(inside)
    if (Path(ref) / "plan.toml").is_file():
        if not (Path(ref) / "run.json").is_file():
            raise UserError(
                f"The run {ref} has not ended; go on with it by `fit {ref}/plan.toml --out {ref} "
                "--resume`."
            )
        raise UserError(
            f"{ref} is a run of several folds, each with a checkpoint of its own; name one: "
            f"{ref}/parts/FOLD-seedN/checkpoint."
        )
    return ref


def begin_with(system: System, given: Checkpoint) -> str:
    """Copy the weights of a checkpoint that fit; a sentence on those that did not.

    Label sets may differ, and the sizes of inputs: what has another shape stays as it was drawn.
    """
    mine, theirs = system.design, given.system.design
    if mine.system != theirs.system:
        raise UserError(
            f"--init {given.name} is a {theirs.system}, whose weights mean nothing in a "
            f"{mine.system}; name a checkpoint of {mine.system}."
        )
    weights, own = given.system.state_dict(), system.state_dict()
    fits = {key: one for key, one in weights.items() if key in own and own[key].shape == one.shape}
    system.load_state_dict({**own, **fits})
    left = sorted(set(own) - set(fits))
    more = f"; {len(left)} stay as drawn ({left[0]} …)" if left else ""
    other = [name for name in mine.inputs if mine.inputs[name] != theirs.inputs.get(name)]
    if other:
        more += f"; it read other features as {' and '.join(other)}"
    return f"Begins with {len(fits)} of {len(own)} weights of {given.made_by}{more}."
