"""A small system of random weights as a checkpoint's folder, and what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import turns_of_numbers as made

from erc_demo import checkpoint, systems
from erc_demo.settings import Settings

SETTINGS = Settings(offline=True)
READS = {"audio": ("gemaps47:speaker_norm=both",), "text": ("sentence",), "speaker": ("voice",)}
VOICE = {"audio": READS["audio"]}  # whose extractor is there in a moment


def save(
    folder: Path,
    name: str = "ats_sagru",
    *,
    seed: int = 3,
    reads: dict[str, tuple[str, ...]] = READS,
    half: bool = False,
    **changes: object,
) -> systems.System:
    """Write it; gives the system itself."""
    design = systems.design(
        name,
        widths=checkpoint.widths(reads, SETTINGS),
        reads=reads,
        settings=systems.Design.from_json(made.plan(name).to_json()).settings,
        **changes,
    )
    system = made.build(design, seed=seed)
    system.fit_inputs([made.conversation(design, 6)])
    versions = checkpoint.versions(design, SETTINGS)
    checkpoint.save(folder, system, versions, {"seed": seed}, half=half)
    return system


def answers(system: systems.System) -> np.ndarray:
    """What it says of one conversation."""
    given = made.conversation(system.design, 5, seed=1)
    return systems.predict(system, given).probabilities
