"""pocketsphinx: recognition without any download, and forced alignment of a known text.

It recognises English and little of it; it is here so that a program without a network has words at
all. Its decoders live in processes of their own (``_worker``), one request at a time each; one that
dies is replaced, its utterance is tried once more, and then goes without words.

Recognition reads the bundled acoustic model and dictionary with a 3-gram of spoken dialogue
(``assets/language``, made by ``trainer.language``). Alignment scores each word against the best
that any senone could do: ``compallsen`` makes the decoder subtract, in every frame, the best senone
of all, so a word's mean score is the goodness of pronunciation of Witt & Young (2000, "Phone-level
pronunciation scoring and assessment for interactive language learning") without a second pass.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.dialogue import RATE, Span
from erc_demo.words.spelling import sounds

LANGUAGE_MODEL = Path(__file__).resolve().parents[2] / "assets" / "language" / "dialogue.arpa"
PAD = 0.2  # s of sound on both sides of a turn: a decoder needs silence to begin and end in
LONGEST = 20.0  # s; a longer turn is heard in pieces, cut where it is quietest
SHORTEST = 0.1  # s; shorter sound has no frames
PATIENCE = 30.0  # s, plus PATIENCE_RATIO times the sound's length: then a worker counts as dead
PATIENCE_RATIO = 30.0

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Said:
    """A word of one utterance: seconds from the utterance's start, confidence, score a frame."""

    text: str
    start: float
    end: float
    confidence: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Sound (float32, 16 kHz) to be heard freely, or along a text of dictionary words."""

    sound: np.ndarray
    text: str | None = None
    extra: dict[str, str] = field(default_factory=dict)  # phones of words that no dictionary has


def installed() -> bool:
    """Whether pocketsphinx can be imported."""
    return find_spec("pocketsphinx") is not None


def name() -> str:
    """What a dialogue says about who wrote its words."""
    model = " + spoken-dialogue 3-gram" if LANGUAGE_MODEL.is_file() else ""
    return f"pocketsphinx {metadata.version('pocketsphinx')} en-us{model}"


def hearing(model: Path | None = None, pronounced: Path | None = None) -> dict[str, Any]:
    """The configuration of a decoder that recognises: dialogue, or a model and words of one's own.

    A small model needs a small dictionary: with the bundled one the decoder takes 11 s to load.
    """
    if model is not None and pronounced is not None:
        return {"lm": str(model), "dict": str(pronounced)}
    return {"lm": str(LANGUAGE_MODEL)} if LANGUAGE_MODEL.is_file() else {}


def following() -> dict[str, Any]:
    """The configuration of a decoder that aligns."""
    return {"lm": None, "compallsen": True}


@cache
def dictionary() -> frozenset[str]:
    """The words that the bundled dictionary knows."""
    return frozenset(line.split(maxsplit=1)[0].split("(")[0] for line in _entries())


def pronounced(words: Iterable[str]) -> str:
    """A dictionary of these words alone, by rule those that the bundled one lacks."""
    wanted, known = set(words), dictionary()
    lines = [line for line in _entries() if line.split(maxsplit=1)[0].split("(")[0] in wanted]
    made = [f"{word} {sounds(word)}" for word in sorted(wanted - known) if sounds(word)]
    return "\n".join([*lines, *made, ""])


def _entries() -> list[str]:
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        return []
    file = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


class Worker:
    """The process that one decoder lives in, asked from one thread."""

    process: subprocess.Popen[bytes]

    def __init__(self, configuration: dict[str, Any], command: Sequence[str] | None = None) -> None:
        """Start the process and send it its decoder's configuration."""
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "erc_demo.words._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path},
        )
        self._send(json.dumps(configuration).encode() + b"\n")

    def ask(self, utterance: Utterance) -> list[Said] | None:
        """The words of an utterance, or None where the process died of it."""
        sound = (np.clip(utterance.sound, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        request: dict[str, Any] = {"bytes": len(sound)}
        if utterance.text is not None:
            request |= {"text": utterance.text, "extra": utterance.extra}
        limit = PATIENCE + PATIENCE_RATIO * len(utterance.sound) / RATE
        clock = threading.Timer(limit, self.process.kill)
        clock.start()
        try:
            if not self._send(json.dumps(request).encode() + b"\n" + sound):
                return None
            assert self.process.stdout is not None  # opened as a pipe above
            line = self.process.stdout.readline()
        finally:
            clock.cancel()
        if not line.endswith(b"\n"):
            return None
        return [Said(*word) for word in json.loads(line)["words"]]

    def _send(self, data: bytes) -> bool:
        assert self.process.stdin is not None  # opened as a pipe above
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except (BrokenPipeError, OSError):
            return False
        return True

    def close(self) -> None:
        """End the process; nothing waits for it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


def listen(
    seconds: Sequence[float],
    utterance: Callable[[int], Utterance],
    configuration: dict[str, Any],
    *,
    workers: int,
    tell: Tell | None = None,
    cancelled: Callable[[], bool] | None = None,
    command: Sequence[str] | None = None,
) -> list[list[Said] | None]:
    """The words of each utterance, in order; None where two workers died of it.

    ``utterance(i)`` makes the one that lasts ``seconds[i]``, when its turn comes and not before,
    so that only as many are in memory as there are workers.
    ``tell`` and ``cancelled`` are asked from the calling thread; what they raise ends the workers.
    A yes of ``cancelled`` ends them too, and what is not done yet is empty.
    """
    answers: list[list[Said] | None] = [[] for _ in seconds]
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
    for index in sorted(range(len(seconds)), key=lambda i: -seconds[i]):
        todo.put(index)  # the longest first, so that no worker is left alone with it at the end
    stop = threading.Event()
    alive: set[Worker] = set()

    def work() -> None:
        worker: Worker | None = None
        try:
            while not stop.is_set():
                try:
                    index = todo.get_nowait()
                except queue.Empty:
                    return
                answer, asked = None, utterance(index)
                for _ in range(2):
                    if worker is None:
                        worker = Worker(configuration, command)
                        alive.add(worker)
                    answer = worker.ask(asked)
                    if answer is not None or stop.is_set():
                        break
                    alive.discard(worker)
                    worker.close()
                    worker = None
                answers[index] = answer
                done.put(index)
        except BaseException as exc:  # handed to the caller's thread, which raises it
            done.put(exc)
        finally:
            if worker is not None:
                alive.discard(worker)
                worker.close()

    threads = [
        threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(seconds)))
    ]
    try:
        for thread in threads:
            thread.start()
        finished = 0
        while finished < len(seconds):
            try:
                item = done.get(timeout=0.2)
            except queue.Empty:
                item = -1
            if isinstance(item, BaseException):
                raise item
            finished += item >= 0
            if cancelled is not None and cancelled():
                break
            if tell is not None:
                tell(finished / len(seconds))
    finally:
        stop.set()
        for worker in list(alive):
            worker.process.kill()
        for thread in threads:
            thread.join()
    return answers


def pieces(sound: np.ndarray, span: Span, longest: float = LONGEST) -> Iterator[Span]:
    """A span in pieces of at most so many seconds, cut where the sound is quietest.

    ``sound`` is the span's own, so a cut is looked for in the second half of each piece.
    """
    start = span.start
    step = RATE // 10  # 100 ms
    while span.end - start > longest:
        first = round((start - span.start + longest / 2) * RATE)
        window = sound[first : first + round(longest / 2 * RATE)]
        level = np.square(window[: len(window) // step * step].reshape(-1, step)).mean(axis=1)
        cut = start + longest / 2 + (int(level.argmin()) + 0.5) * 0.1
        yield Span(start, cut)
        start = cut
    yield Span(start, span.end)
