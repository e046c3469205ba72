"""Encoders kept as what tuning changed: another encoder's weights, and a small difference.

    W = W_base + s ∘ D        D int8, s one number a row of W (vectors: the difference as it is)

A tuned MiniLM differs from its beginning by a few hundredths of a weight's size, so that eight bits
of the difference are as good as all of the weight: 22 MB, or half of it where the word embeddings
were left alone, instead of 91. A folder of this kind holds

    difference.json          the base and its fingerprint, the sha256 of the file beside it
    difference.safetensors   NAME for a vector, NAME.int8 and NAME.step for a matrix
    README.md, tuned.json    a card, and the record of the tuning

and is named like any other encoder; those of ``assets/encoders`` by their folder's name. All that
is not weights (the config, the tokenizer) is the base's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.errors import UserError
from erc_demo.features._json import read_json

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "encoders"
TOLD, WEIGHTS = "difference.json", "difference.safetensors"
LAYOUT = 1
STEPS = 127  # of int8, each way


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a folder says of itself."""

    folder: Path
    base: str  # an encoder's name
    fingerprint: str  # of the base
    sha256: str  # of the weights beside it


def shipped() -> list[str]:
    """The names of the encoders that ship."""
    return sorted(file.parent.name for file in SHIPPED.glob(f"*/{TOLD}"))


def folder_of(ref: str) -> Path:
    """Where an encoder of this name would lie: among those that ship, or where the name says."""
    return SHIPPED / ref if ref in shipped() else Path(ref).expanduser()


def find(ref: str) -> Difference | None:
    """What a folder says of itself, if it is one of this kind."""
    folder = folder_of(ref)
    if not (folder / TOLD).is_file():
        return None
    data = read_json(folder / TOLD, ref)
    wanted = {"base": str, "fingerprint": str, "sha256": str}
    odd = [key for key, kind in wanted.items() if not isinstance(data.get(key), kind)]
    if odd or data.get("layout") != LAYOUT:
        what = f"lacks {', '.join(odd)}" if odd else f"has layout {data.get('layout')!r}"
        raise UserError(
            f"{TOLD} of the encoder {ref} {what}, and layout {LAYOUT} was wanted; copy it again, "
            "or tune it anew."
        )
    told = {key: data[key] for key in wanted}
    if (folder_of(told["base"]) / TOLD).is_file():
        raise UserError(
            f"The encoder {ref} begins with {told['base']}, which is itself a difference; tune it "
            "anew from a whole encoder."
        )
    return Difference(folder=folder, **told)


def between(base: Mapping[str, np.ndarray], tuned: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The tensors to keep of a tuned encoder; what did not change is not among them."""
    found: dict[str, np.ndarray] = {}
    for name, one in tuned.items():
        change = one.astype(np.float64) - base[name]
        if not change.any():
            continue
        if change.ndim < 2:
            found[name] = change.astype(np.float32)
            continue
        axes = tuple(range(1, change.ndim))
        step = (np.abs(change).max(axis=axes, keepdims=True) / STEPS).astype(np.float32)
        wide = np.divide(change, step, out=np.zeros_like(change), where=step > 0)
        found[f"{name}.int8"] = np.rint(wide).clip(-STEPS, STEPS).astype(np.int8)
        found[f"{name}.step"] = step
    return found


def write(folder: Path, base: str, fingerprint: str, kept: Mapping[str, np.ndarray]) -> None:
    """The two files of an encoder that is a difference, into a folder that is there."""
    from safetensors.numpy import save_file

    save_file(dict(kept), folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    told = {"layout": LAYOUT, "base": base, "fingerprint": fingerprint}
    told["sha256"] = _sha256(folder / WEIGHTS)
    (folder / TOLD).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def put_on(model: Any, one: Difference, ref: str, fingerprint: str) -> str:
    """Add the difference to its base, a network; the fingerprint of what comes of it."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if one.fingerprint != fingerprint:
        raise UserError(
            f"The encoder {ref} is a difference from {one.base} as it was ({one.fingerprint}), and "
            f"{one.base} here is another ({fingerprint}); install that one, or tune it anew."
        )
    file = one.folder / WEIGHTS
    if not file.is_file():
        raise UserError(f"The encoder {ref} lacks {WEIGHTS}; copy the whole folder.")
    if _sha256(file) != one.sha256:
        raise UserError(
            f"{WEIGHTS} of the encoder {ref} is not the file that {TOLD} names (another sha256): "
            "it was cut off or changed; copy the folder again."
        )
    try:
        kept = load_file(file)
    except (SafetensorError, OSError) as exc:
        raise UserError(f"{WEIGHTS} of the encoder {ref} can't be read ({exc}).") from exc
    state = model.state_dict()
    with torch.no_grad():
        for name in dict.fromkeys(key.removesuffix(".int8").removesuffix(".step") for key in kept):
            change = kept.get(name)
            if change is None and {f"{name}.int8", f"{name}.step"} <= kept.keys():
                change = kept[f"{name}.int8"].float() * kept[f"{name}.step"]
            if change is None or name not in state or state[name].shape != change.shape:
                raise UserError(
                    f"The encoder {ref} does not fit {one.base}: {name} has no place there; copy "
                    "the folder again."
                )
            state[name].add_(change)
    return hashlib.sha256(f"{fingerprint}{one.sha256}".encode()).hexdigest()[:12]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
