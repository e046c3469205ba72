"""Fixtures of all tests: where shared data lies, and generated sound."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from erc_demo.dialogue import RATE, Recording

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ERC_DEMO_SHARED", ROOT.parent / "shared"))

# A shell that runs the tests in the background has them ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A path inside the shared data, or a loud skip where it is absent."""

    def find(inside: str) -> Path:
        path = SHARED / inside
        if not path.exists():
            pytest.skip(f"SHARED DATA ABSENT: {inside} (set ERC_DEMO_SHARED to its folder)")
        return path

    return find


@pytest.fixture
def recording_of() -> Callable[..., Recording]:
    """A Recording of given samples, (frames,) or (channels, frames)."""

    def make(samples: np.ndarray, name: str = "made") -> Recording:
        array = np.atleast_2d(np.asarray(samples, np.float32))
        return Recording(name=name, samples=array, sha256=f"{hash(array.tobytes()):x}")

    return make


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    """A sine of so many seconds, float32 at 16 kHz."""

    def make(seconds: float = 1.0, hertz: float = 220.0, level: float = 0.3) -> np.ndarray:
        moments = np.arange(round(seconds * RATE)) / RATE
        return (level * np.sin(2 * np.pi * hertz * moments)).astype(np.float32)

    return make
