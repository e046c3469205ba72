"""How a model of sound or sight wants its input: what stands beside the weights about it."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.features._json import read_json

FILES = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
PARTS = ("feature_extractor", "image_processor", "video_processor")  # of processor_config.json


def wishes(folder: Path, ref: str) -> dict[str, Any]:
    """The model's preprocessor_config.json, or the same inside a newer processor_config.json."""
    for name in FILES:
        if (folder / name).is_file():
            data = read_json(folder / name, ref)
            parts = [data[part] for part in PARTS if isinstance(data.get(part), dict)]
            return parts[0] if parts else data
    raise UserError(
        f"The model {ref} has no {FILES[0]}, which says how its input is made; copy the whole "
        "model, or name another one."
    )


def mark(facts: str) -> str:
    """Four hex digits for what was taken from the wishes, as a part of a version."""
    return hashlib.sha256(facts.encode()).hexdigest()[:4]


def exact() -> AbstractContextManager[None]:
    """Whole float32 and the same kernels each time on a GPU too: cuDNN would round to TF32."""
    import torch

    kept: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return kept
