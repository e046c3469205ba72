"""Objects in JSON from a model's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError


def read_json(file: Path, ref: str) -> dict[str, Any]:
    """An object in JSON from a model's folder."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise UserError(f"{file.name} of the model {ref} can't be read: {exc}.") from exc
    if not isinstance(data, dict):
        raise UserError(f"{file.name} of the model {ref} holds no JSON object; copy it again.")
    return data
