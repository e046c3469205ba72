"""Checkpoints: a trained system as a folder, ``config.json`` beside ``model.safetensors``.

    config.json        the design, the features it reads with their versions, the weights' sha256,
                       a record of the training
    model.safetensors  the weights; half precision is read as single

The same layout ships in ``assets/checkpoints/<system>``, lies in a folder or on the Hub. Loading
is strict and runs no code from the folder: what is missing, too much, of another shape, of another
version or no safetensors is refused with a sentence.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from erc_demo import hub, systems
from erc_demo.errors import UserError, listed
from erc_demo.features import parse, ready
from erc_demo.settings import Settings
from erc_demo.systems import Design, System

EMBEDDED = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
LAYOUT = 1
MOST_WEIGHTS = 2 * 2**30  # bytes; a BERT of 110 M numbers has 0.44 GB
MOST_CONFIG = 2**20
READ = (torch.float16, torch.bfloat16, torch.float32)  # of numbers; they become single


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained system, ready to answer."""

    name: str  # what it was asked for by
    system: System
    sha256: str
    features: Mapping[str, str] = field(default_factory=dict)  # features' text → their version
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def made_by(self) -> str:
        """The name with the beginning of the weights' hash."""
        return f"{self.name} {self.sha256[:8]}"


def versions(design: Design, settings: Settings) -> dict[str, str]:
    """The version of each extractor that a design reads, as installed here."""
    return {text: ready(parse(text), settings).version for text in design.features}


def widths(inputs: Mapping[str, tuple[str, ...]], settings: Settings) -> dict[str, int]:
    """How many numbers each input of a system gets from the features that it reads."""
    return {name: sum(_width(text, settings) for text in texts) for name, texts in inputs.items()}


def _width(text: str, settings: Settings) -> int:
    spec = parse(text)
    twice = spec.options.get("speaker_norm") == "both"
    return ready(spec.raw, settings).width * (2 if twice else 1)


def save(
    folder: Path, system: System, features: Mapping[str, str], training: Mapping[str, Any]
) -> None:
    """Write a checkpoint; the folder appears whole or not at all, and replaces none."""
    if folder.exists():
        raise UserError(f"{folder} exists already; name a new folder for the checkpoint.")
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        aside.mkdir(parents=True)
    except OSError as exc:
        raise UserError(f"The folder {folder} can't be made: {exc.strerror}.") from exc
    try:
        state = {key: value.detach().cpu().contiguous() for key, value in _state(system).items()}
        save_file(state, aside / WEIGHTS)
        os.chmod(aside / WEIGHTS, 0o644)
        config = {
            "layout": LAYOUT,
            "design": system.design.to_json(),
            "features": dict(features),
            "sha256": _sha256(aside / WEIGHTS),
            "training": dict(training),
        }
        text = json.dumps(config, indent=1, ensure_ascii=False, allow_nan=False)
        (aside / CONFIG).write_text(text + "\n", encoding="utf-8")
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def find(ref: str) -> Path | None:
    """The folder of a checkpoint: one that ships, by its system's name, or a folder's path."""
    shipped = EMBEDDED / ref
    if ref in systems.names():
        return shipped if (shipped / CONFIG).is_file() else None
    try:
        folder = Path(ref).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long for a name; nobody's home
        return None


def load(ref: str, settings: Settings) -> Checkpoint:
    """A checkpoint by its system's name, its folder, or its repository on the Hub (owner/name)."""
    folder = find(ref)
    if folder is None and re.fullmatch(r"[\w.-]*\w/[\w.@-]+", ref):
        folder = hub.resolve(ref, settings, files=(CONFIG, WEIGHTS), most_mb=MOST_WEIGHTS >> 20)
    if folder is None:
        if ref in systems.names():
            raise UserError(
                f"{ref} has no trained checkpoint here, and what an untrained one says means "
                "nothing; name a checkpoint's folder, or ask for the maps alone with --untrained."
            )
        raise UserError(
            f"'{ref}' is neither a system ({', '.join(systems.names())}) nor a checkpoint's folder "
            "nor a repository (owner/name)."
        )
    config = _config(folder)
    try:
        design = Design.from_json(config["design"])
        features = {str(key): str(value) for key, value in config["features"].items()}
        sha256, training = str(config["sha256"]), dict(config["training"])
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UserError(
            f"{folder / CONFIG} is not a checkpoint's ({type(exc).__name__}: {exc}); get the "
            "checkpoint again."
        ) from exc
    _same_features(folder, design, features, settings)
    weights = _weights(folder / WEIGHTS, sha256, design)
    system = systems.build(design)
    system.load_state_dict(weights, strict=True)
    return Checkpoint(
        name=ref if folder != Path(ref).expanduser() else Path(os.path.abspath(folder)).name,
        system=system,
        sha256=sha256,
        features=features,
        training=training,
    )


def _config(folder: Path) -> Any:
    file = folder / CONFIG
    try:
        if file.stat().st_size > MOST_CONFIG:
            raise UserError(f"{file} has over {MOST_CONFIG // 2**20} MB; this is no checkpoint.")
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} holds no {CONFIG}; a checkpoint's folder was wanted.") from None
    except OSError as exc:
        raise UserError(f"{file} can't be opened: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise UserError(f"{file} is not JSON; get the checkpoint again.") from exc
    if not isinstance(config, dict) or config.get("layout") != LAYOUT:
        found = config.get("layout") if isinstance(config, dict) else type(config).__name__
        raise UserError(
            f"{file} has layout {found!r}, this program reads {LAYOUT}; get a checkpoint made for "
            "this version, or train it again."
        )
    return config


def _same_features(
    folder: Path, design: Design, features: Mapping[str, str], settings: Settings
) -> None:
    """Served numbers must be those that were trained on."""
    here = versions(design, settings)
    other = [
        f"{text} was {features.get(text, 'not named')} in training and is {version} here"
        for text, version in here.items()
        if features.get(text) != version
    ]
    if other:
        raise UserError(
            f"The checkpoint {folder.name} reads other numbers than this program makes: "
            f"{listed(other)}; train it again, or use the version that made it."
        )
    wrong = [
        f"{name} has {design.widths[name]} numbers in the checkpoint and {width} here"
        for name, width in widths(dict(design.inputs), settings).items()
        if design.widths[name] != width
    ]
    if wrong:
        raise UserError(f"The checkpoint {folder.name} does not fit: {listed(wrong)}.")


def _weights(file: Path, sha256: str, design: Design) -> dict[str, torch.Tensor]:
    """All the weights of a design and no others, in its precision.

    They are held against an outline, so that a width that nobody trained takes no memory.
    """
    if not file.is_file():
        raise UserError(f"{file} is missing; a checkpoint keeps its weights there, as safetensors.")
    if file.stat().st_size > MOST_WEIGHTS:
        raise UserError(f"{file} has over {MOST_WEIGHTS // 2**30} GB; this is no checkpoint.")
    if _sha256(file) != sha256:
        raise UserError(
            f"{file} is not the file that its {CONFIG} names (another sha256): it was cut off or "
            "changed; get the checkpoint again."
        )
    try:
        state = load_file(file)
    except (SafetensorError, OSError) as exc:
        raise UserError(
            f"{file} can't be read as safetensors ({exc}); get the checkpoint again."
        ) from exc
    with torch.device("meta"):
        known = _state(design.module.System(design))
    problems = []
    if missing := sorted(set(known) - set(state)):
        problems.append(f"{len(missing)} weights are missing ({missing[0]} …)")
    if extra := sorted(set(state) - set(known)):
        problems.append(f"{len(extra)} are not of this system ({extra[0]} …)")
    for key in sorted(set(known) & set(state)):
        if state[key].shape != known[key].shape:
            shapes = f"{tuple(state[key].shape)}, not {tuple(known[key].shape)}"
            problems.append(f"{key} is {shapes}")
        elif state[key].dtype != known[key].dtype and not (
            known[key].is_floating_point() and state[key].dtype in READ
        ):
            problems.append(f"{key} is {state[key].dtype}, not {known[key].dtype}")
        elif not state[key].isfinite().all():
            problems.append(f"{key} is not finite")
    if problems:
        raise UserError(f"The weights in {file} do not fit: {listed(problems[:5])}.")
    return {key: value.to(known[key].dtype) for key, value in state.items()}


def _state(system: System) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = system.state_dict()
    return state


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
