"""The side of those who ask: start the process, read its lines against the clock, end it.

Hanging name servers, proxies that swallow, a byte now and then: whatever the way to the Hub does,
the process can be killed, and its end is the end of every connection.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from types import TracebackType
from typing import Any, Self

END: dict[str, Any] = {}


class Asking:
    """A context in which one question is asked; ``hear`` gives the process's lines."""

    def __init__(self, **request: object) -> None:
        self._request = request
        self.began = time.monotonic()

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",  # one way of fetching, whose silences are timed
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "erc_demo.hub._process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.say(self._request)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # it died with something unread
                pass
        self._errors.close()

    def say(self, what: dict[str, object]) -> None:
        """A line to the process."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError:  # it died; `hear` tells of what
            pass

    def hear(self, until: float) -> dict[str, Any] | None:
        """The next line; None when the clock passes ``until``."""
        try:
            line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return None
        if line is END:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(
                f"The process that asks the Hub died:\n{self._errors.read()[-4000:]}"
            )
        return line

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith("{"):  # a library's greeting is none of ours
                    self._lines.put(json.loads(line))
        self._lines.put(END)
