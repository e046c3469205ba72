"""What an analysis costs: × real time per step, and how time and memory grow with length.

    python -m benchmarks.analysis CALLS_FOLDER [--minutes 1 60] [--recognizer none]

Recordings of the asked lengths are made by laying the calls of the folder one after another
(each loops as often as it must). Every length runs in this one process, after a warm-up that
loads the models, without the cache. Peak memory is that of this process and of its children.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

from erc_demo.analysis import analyse
from erc_demo.settings import Settings


def lay(calls: list[Path], minutes: float, out: Path) -> Path:
    """One stereo WAV of so many minutes, made of calls one after another."""
    rate, left = 8000, int(minutes * 60 * 8000)
    with soundfile.SoundFile(out, "w", rate, 2, "PCM_16") as file:
        while left:
            for call in calls:
                sound, its_rate = soundfile.read(call, dtype="float32", always_2d=True)
                if its_rate != rate or sound.shape[1] != 2:
                    continue
                part = sound[:left]
                file.write(part)
                left -= len(part)
                if not left:
                    break
    return out


class Memory:
    """Peak resident memory of this process and all its children together, sampled, in MB."""

    def __init__(self) -> None:
        self.peak, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak = max(self.peak, sum(map(_resident, _family(os.getpid()))))


def _family(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found.extend(_family(int(child)))
    except OSError:
        pass
    return found


def _resident(pid: int) -> float:
    """Private memory: pages of the memory-mapped sound belong to the disk's cache."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split() for line in lines if line.startswith("Rss")}
        return (int(sizes["RssAnon"][1]) + int(sizes["RssShmem"][1])) / 1024
    except (OSError, KeyError):
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=Path, help="folder with two-channel 8 kHz recordings")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 60.0])
    parser.add_argument("--recognizer", default="none")
    parser.add_argument("--channels", nargs="+", default=["split", "mix"])
    arguments = parser.parse_args()
    calls = sorted(p for p in arguments.calls.iterdir() if p.suffix in (".flac", ".ogg", ".wav"))
    if not calls:
        sys.exit(f"{arguments.calls} holds no recordings.")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        warm = lay(calls, 0.25, folder / "warm.wav")
        print(f"{'layout':7}{'minutes':>8}{'seconds':>9}{'× real time':>13}{'MB':>7}  steps")
        for channels in arguments.channels:
            settings = Settings(
                channels=channels, recognizer=arguments.recognizer, offline=True, cache_mb=0
            )
            (folder / "job").mkdir(exist_ok=True)
            analyse(warm, folder / "job", settings)
            first: float | None = None
            for minutes in arguments.minutes:
                path = lay(calls, minutes, folder / "long.wav")
                with Memory() as memory:
                    began = time.perf_counter()
                    made, _ = analyse(path, folder / "job", settings)
                    took = time.perf_counter() - began
                steps = ", ".join(f"{step.name} {step.seconds:.2f}" for step in made.steps)
                print(
                    f"{channels:7}{minutes:8.1f}{took:9.2f}{took / (60 * minutes):13.4f}"
                    f"{memory.peak:7.0f}  {steps}"
                )
                if first is not None:
                    print(f"{'':7}{'':8}{took / first:8.1f} × the first length's time")
                first = first or took
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"this process, mapped files included: {usage:.0f} MB at most")
    print(f"numpy {np.__version__}, {len(os.sched_getaffinity(0))} cores")


if __name__ == "__main__":
    main()
