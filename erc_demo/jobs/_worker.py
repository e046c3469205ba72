"""A worker: ``python -m erc_demo.jobs._worker`` makes the calls that come in, one at a time.

A message is its length and a pickle: ``(function, arguments)`` in, ``(True, value)`` or ``(False,
exception)`` out. A thread of its own listens, so that a worker ends at once when nobody asks any
more, whatever it is at.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
from typing import IO

READY = b"ready"
LENGTH = 8  # bytes before a message, which say how many it has


def serve() -> None:
    requests, answers = (os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what a library prints is no answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        while True:
            try:
                inbox.put(receive(requests))
            except (EOFError, OSError):  # nobody asks any more
                os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    send(answers, READY)
    while True:
        send(answers, made(inbox.get()))


def made(request: bytes) -> bytes:
    """The answer to a request: whether it worked, and the value or the exception."""
    try:
        function, call = pickle.loads(request)
        return pickle.dumps((True, function(*call)), pickle.HIGHEST_PROTOCOL)
    except Exception as exc:
        trace = "".join(traceback.format_exception(exc))
        exc.add_note(f"In another process:\n{trace}")
        try:
            answer = pickle.dumps((False, exc), pickle.HIGHEST_PROTOCOL)
            pickle.loads(answer)  # not every exception can be made again
        except Exception:
            answer = pickle.dumps((False, RuntimeError(trace)), pickle.HIGHEST_PROTOCOL)
        return answer


def send(pipe: IO[bytes] | None, message: bytes) -> None:
    assert pipe is not None
    pipe.write(len(message).to_bytes(LENGTH, "little"))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes] | None) -> bytes:
    """The next message; EOFError where the other side is gone."""
    assert pipe is not None
    head = pipe.read(LENGTH)
    length = int.from_bytes(head, "little")
    message = pipe.read(length) if len(head) == LENGTH else b""
    if len(head) < LENGTH or len(message) < length:
        raise EOFError
    return message


if __name__ == "__main__":
    serve()
