"""Checkpoints: a trained system as a folder, ``config.json`` beside ``model.safetensors``.

    load(ref, settings)      a system that is ready to answer, wherever its checkpoint lies
    resolve(ref, settings)   where it lies: shipped, a folder, the Hub or its cache (``_resolve``)
    save(folder, system, …)  a folder, which ``_folder`` and ``_weights`` read back strictly

What stands in where the Hub does not answer is told in ``Checkpoint.notices``.
"""

from __future__ import annotations

from erc_demo.checkpoint._folder import (
    CONFIG,
    LAYOUT,
    WEIGHTS,
    Checkpoint,
    read,
    save,
    versions,
    widths,
)
from erc_demo.checkpoint._resolve import EMBEDDED, Place, find, load, resolve

__all__ = [
    "CONFIG",
    "EMBEDDED",
    "LAYOUT",
    "WEIGHTS",
    "Checkpoint",
    "Place",
    "find",
    "load",
    "read",
    "resolve",
    "save",
    "versions",
    "widths",
]
