"""Checkpoints: a trained system as a folder, ``config.json`` beside ``model.safetensors``.

    config.json        the design, the features it reads with their versions, the weights' sha256,
                       how far its chances are to be believed (without it as they are), a record
                       of the training
    model.safetensors  the weights; half precision is read as single

The same layout ships in ``assets/checkpoints/<system>``, lies in a folder or on the Hub. Loading
is strict and runs no code from the folder: what is missing, too much, of another shape, of another
version or no safetensors is refused with a sentence.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from erc_demo import systems
from erc_demo.checkpoint import _weights
from erc_demo.errors import UserError, listed
from erc_demo.features import parse, ready
from erc_demo.settings import Settings
from erc_demo.systems import Calibration, Design, System

CONFIG, WEIGHTS = "config.json", "model.safetensors"
LAYOUT = 1
MOST_CONFIG = 2**20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A trained system, ready to answer."""

    name: str  # what it was asked for by
    system: System
    sha256: str
    features: Mapping[str, str] = field(default_factory=dict)  # features' text → their version
    training: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()  # sentences for the person, as of another that stands in

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
    folder: Path,
    system: System,
    features: Mapping[str, str],
    training: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write a checkpoint; the folder appears whole or not at all, and replaces none.

    ``half`` takes half the room, where that loses nothing (``_weights``).
    """
    if folder.exists():
        raise UserError(f"{folder} exists already; name a new folder for the checkpoint.")
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        aside.mkdir(parents=True)
    except OSError as exc:
        raise UserError(f"The folder {folder} can't be made: {exc.strerror}.") from exc
    try:
        state = {
            key: value.detach().cpu().contiguous() for key, value in _weights.state(system).items()
        }
        save_file(_weights.halved(state) if half else state, aside / WEIGHTS)
        os.chmod(aside / WEIGHTS, 0o644)
        config = {
            "layout": LAYOUT,
            "design": system.design.to_json(),
            "features": dict(features),
            "sha256": _weights.digest(aside / WEIGHTS),
            "calibration": system.calibration.to_json(),
            "training": dict(training),
        }
        text = json.dumps(config, indent=1, ensure_ascii=False, allow_nan=False)
        (aside / CONFIG).write_text(text + "\n", encoding="utf-8")
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def read(folder: Path, name: str, settings: Settings, *, expected: str = "") -> Checkpoint:
    """The checkpoint that lies in a folder, under a name; it must hold the ``expected`` system."""
    config = _config(folder)
    try:
        design = Design.from_json(config["design"])
        features = {str(key): str(value) for key, value in config["features"].items()}
        sha256, training = str(config["sha256"]), dict(config["training"])
        calibration = Calibration.from_json(config.get("calibration", {}))
    except UserError as exc:
        raise UserError(f"The checkpoint {name} can't be used here: {exc}") from exc
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise UserError(
            f"{folder / CONFIG} is not a checkpoint's ({type(exc).__name__}: {exc}); get the "
            "checkpoint again."
        ) from exc
    if expected not in ("", design.system):
        raise UserError(
            f"{name} holds a checkpoint of {design.system}, and one of {expected} was wanted; name "
            f"another, or ask for {design.system}."
        )
    _same_features(name, design, features, settings)
    weights = _weights.read(folder / WEIGHTS, sha256, design)
    system = systems.build(design)
    system.load_state_dict(weights, strict=True)
    calibration.refuse_other(design.labels)
    system.calibration = calibration
    return Checkpoint(
        name=name,
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
    name: str, design: Design, features: Mapping[str, str], settings: Settings
) -> None:
    """Served numbers must be those that were trained on."""
    try:
        here = versions(design, settings)
    except UserError as exc:
        raise UserError(f"The checkpoint {name} can't be used here: {exc}") from exc
    other = [
        f"{text} was {features.get(text, 'not named')} in training and is {version} here"
        for text, version in here.items()
        if features.get(text) != version
    ]
    if other:
        raise UserError(
            f"The checkpoint {name} reads other numbers than this program makes: "
            f"{listed(other)}; train it again, or use the version that made it."
        )
    wrong = [
        f"{one} has {design.widths[one]} numbers in the checkpoint and {width} here"
        for one, width in widths(dict(design.inputs), settings).items()
        if design.widths[one] != width
    ]
    if wrong:
        raise UserError(f"The checkpoint {name} does not fit: {listed(wrong)}.")
