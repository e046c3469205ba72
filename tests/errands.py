"""Calls for other processes, which import this file by its name, and a cluster to make them on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
PATIENCE = 60.0  # seconds; a failure, not a measurement


def add(one: int, other: int) -> int:
    return one + other


def total(samples: np.ndarray) -> float:
    return float(samples.sum())


def refuse_two(number: int) -> int:
    if number == 2:
        raise ValueError("two is refused")
    return number


class Odd(Exception):
    """An exception that no pickle brings back."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def raise_odd(number: int) -> None:
    raise Odd(number, number)


def die_of_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number * number


def die_once(mark: Path) -> str:
    if mark.exists():
        return "alive"
    mark.touch()
    os._exit(7)


def say(number: int) -> int:
    print("what a library prints")
    os.write(1, b"and what its C code prints\n")
    return number


def who(number: int) -> tuple[int, int, bool, str]:
    """Process, torch's threads, whether the guard is there, and what Ctrl-C does."""
    import torch

    guard = any(type(one).__module__ == "erc_demo.torchaudio_guard" for one in sys.meta_path)
    return (
        os.getpid(),
        torch.get_num_threads(),
        guard,
        str(signal.getsignal(signal.SIGINT)),
    )


def linger(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(10 * PATIENCE)


def note(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def await_gate(folder: Path, number: int) -> None:
    """Note the call, and stay until there is a gate."""
    (folder / str(number)).touch()
    until((folder / "gate").exists, "a gate")


def until(true: Any, what: str) -> None:
    """Wait for something, and fail where it does not come."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:g} s"
        time.sleep(0.02)


class Scheduler:
    """A Dask scheduler and its workers, each a process of this test."""

    def __init__(self, folder: Path) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.folder = folder
        file = folder / "scheduler.json"
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
        until(lambda: file.exists() and file.read_text().endswith("}"), "a scheduler")
        self.address = json.loads(file.read_text())["address"]

    def hire(self, environment: Mapping[str, str] | None = None) -> None:
        """One more worker."""
        folder = ("--local-directory", self.folder)
        self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", *folder, more=environment
        )

    def _start(self, *call: Any, more: Mapping[str, str] | None = None) -> None:
        quiet = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0", "OMP_NUM_THREADS": "1"}
        path = {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", *map(str, call), "--no-dashboard"],
                cwd=self.folder,  # which is searched for modules, too
                env=os.environ | path | quiet | dict(more or {}),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )


@contextmanager
def scheduler(folder: Path) -> Iterator[Scheduler]:
    """A scheduler with two workers on this machine; all of them gone afterwards."""
    made = None
    try:
        made = Scheduler(folder)
        made.hire()
        made.hire()
        yield made
    finally:
        for process in reversed(made.processes if made else []):
            process.kill()
            process.wait()
