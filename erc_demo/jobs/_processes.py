"""Workers on this machine: fresh interpreters at the other end of two pipes, a thread for each."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from erc_demo.jobs._elsewhere import Died, Elsewhere
from erc_demo.jobs._worker import READY, receive, send

T = TypeVar("T")

WORKER = "erc_demo.jobs._worker"
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)
DYING = 5.0  # seconds that a process which closed its pipes may take to end


class Crew(Elsewhere):
    """Threads of this process, each with a worker of its own."""

    def __init__(self, workers: int) -> None:
        self._width = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="jobs")
        self._mine = threading.local()
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._dismissed = False

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        """End every worker, whatever it is at."""
        with self._lock:
            self._dismissed = True
            workers = list(self._all)
        for worker in workers:
            worker.process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in workers:
            worker.end()

    def width(self) -> int:
        """So many as were asked for."""
        return self._width

    def look(self) -> None:
        """Nothing: a worker that ends is hired anew."""

    def submit(self, function: Callable[..., T], *call: Any) -> Future[T]:
        """Have the next free thread ask its worker."""
        return self._threads.submit(self._ask, function, call)

    def _ask(self, function: Callable[..., T], call: tuple[Any, ...]) -> T:
        request = pickle.dumps((function, call), pickle.HIGHEST_PROTOCOL)
        worker = getattr(self._mine, "worker", None) or self._hired()
        try:
            answer = worker.ask(request)
        except (EOFError, OSError):
            raise Died(f"The process that worked on it {self._gone(worker)}.") from None
        good, value = pickle.loads(answer)
        if not good:
            raise value
        found: T = value
        return found

    def _hired(self) -> _Worker:
        with self._lock:
            if self._dismissed:
                raise CancelledError
            worker = _Worker()
            self._all.add(worker)
        self._mine.worker = worker
        try:
            worker.begin()
        except EOFError:
            how = self._gone(worker)
            raise RuntimeError(f"A worker process could not begin: it {how}.") from None
        return worker

    def _gone(self, worker: _Worker) -> str:
        self._mine.worker = None
        with self._lock:
            self._all.discard(worker)
        return worker.end()


class _Worker:
    """A fresh interpreter at the other end of two pipes."""

    def __init__(self) -> None:
        path = os.pathsep.join(part or os.getcwd() for part in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | THREADS | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C in a terminal reaches this process only
        )

    def begin(self) -> None:
        """Wait until it listens."""
        if receive(self.process.stdout) != READY:
            raise EOFError

    def ask(self, request: bytes) -> bytes:
        """An answer to a request; EOFError or OSError where the process ended instead."""
        send(self.process.stdin, request)
        return receive(self.process.stdout)

    def end(self) -> str:
        """How it ended."""
        try:
            code = self.process.wait(DYING)
        except subprocess.TimeoutExpired:  # it closed its pipes, and lives
            self.process.kill()
            code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        if code >= 0:
            return f"ended itself with code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", as the system does where memory is short" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
