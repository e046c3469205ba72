"""Any audio or video file becomes a Recording; the file ends here.

The file is known by its first bytes, never by its name, and only listed containers are read. A
child process decodes it (``_decode.py``): what a damaged or hostile file does to a decoder, it
does to that process, which has limits of memory, time and disk and is stopped by a clock. What
comes back is float32 at 16 kHz, each channel for itself, memory-mapped from ``sound.f32`` in the
job's folder: one channel behind the other, so that each is contiguous.

Level: samples keep the scale of their file (integers are divided by their full scale), as long
as no value is beyond ±1. Lossy decoders, resampling of clipped sound and float files do go
beyond; then all of the recording is divided by its peak, because openSMILE reads other features
out of louder samples without a word. A float file beyond ±16 was written at an integer's scale
and is divided by that full scale (2¹⁵, 2²³ or 2³¹). A DC offset is left as it is.

Of a video, pictures are kept only where somebody asks for them at given moments: a second child
(``_pictures.py``), with the same limits, writes them to ``pictures.u8``, memory-mapped as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO, Any

import numpy as np

from erc_demo.dialogue import RATE, Dialogue, Pictures, Recording
from erc_demo.errors import UserError
from erc_demo.recording._containers import Container, recognise
from erc_demo.settings import Settings

ACCEPTED = tuple("WAV FLAC OGG OPUS MP3 M4A AAC MP4 MOV 3GP WEBM MKV".split())
SUFFIXES = tuple(
    ".wav .flac .ogg .oga .opus .mp3 .m4a .aac .mp4 .m4v .mov .3gp .webm .mkv .mka".split()
)

VERSION = "1"  # another one whenever a file gives other samples
SOUND, PICTURES = "sound.f32", "pictures.u8"
CHILD = Path(__file__).with_name("_decode.py")
LOOKING_CHILD = Path(__file__).with_name("_pictures.py")
THREADS = 4  # at most, that decode a video; each takes address space
SIZES = (16, 1024)  # pixels of a picture's side
# A child that reads strangers' files needs to find its libraries, and none of our secrets.
ENVIRONMENT = frozenset(
    "PATH PYTHONPATH PYTHONHOME VIRTUAL_ENV HOME LANG LC_ALL LD_LIBRARY_PATH DYLD_LIBRARY_PATH "
    "SYSTEMROOT TMPDIR TEMP TMP".split()
)
# One thread and one arena: memory of a process is counted as address space.
MODEST = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


def describe() -> str:
    """What can be read, as words for a page or a sentence."""
    return f"{', '.join(ACCEPTED[:-1])} or {ACCEPTED[-1]}"


def read(
    path: Path,
    folder: Path,
    settings: Settings,
    *,
    tell: Callable[[float], None] | None = None,
) -> Recording:
    """Decode a file into ``folder``; ``tell`` hears the share that is done, 0 to 1.

    Whatever goes wrong with the file is one UserError, and leaves nothing in the folder.
    """
    container = _inspect(path, settings)
    with _aside(path, folder, SOUND) as aside:
        request = {
            "path": os.path.abspath(path),
            "out": os.path.abspath(aside),
            "container": container.name,
            "demuxer": container.demuxer,
            "soundfile": container.soundfile,
            "rate": RATE,
            "seconds": settings.decode_seconds,
            "max_hours": settings.max_hours,
            "max_channels": settings.max_channels,
            "max_decoded_mb": settings.max_decoded_mb,
        }
        facts = _decoded(path, CHILD, request, tell)
        sound = folder / SOUND
        os.replace(aside, sound)  # a mapping of an earlier one keeps the earlier one
    return Recording(
        name=_one_line(path.stem) or "recording",
        samples=np.memmap(sound, np.float32, "r", shape=(facts["channels"], facts["frames"])),
        sha256=facts["sha256"],
        container=container.name,
        codec=facts["codec"],
        source_rate=facts["source_rate"],
    )


def moments(dialogue: Dialogue, a_turn: int = 4) -> np.ndarray:
    """When to look at the people of a dialogue, float64 in order of time.

    Each turn that has a time is cut into ``a_turn`` equal parts; the middle of each is a moment.
    """
    found = [turn.span.moments(a_turn) for turn in dialogue.turns if turn.span is not None]
    return np.sort(np.concatenate(found)) if found else np.zeros(0)


def pictures(
    path: Path,
    folder: Path,
    moments: np.ndarray,
    settings: Settings,
    *,
    size: int = 224,
    a_turn: int | None = None,
    tell: Callable[[float], None] | None = None,
) -> Pictures | None:
    """What a video shows at some moments (seconds, in order), ``size`` by ``size`` pixels.

    None where the file has no video; a moment before or after the video has no picture. A
    picture's moment is the one that was asked for, not the frame's, so that it stays in its turn.
    Where they are those of turns (``moments``), ``a_turn`` says how many each has.
    """
    container = _inspect(path, settings)
    moments = np.ascontiguousarray(moments, np.float64)
    if moments.ndim != 1 or not np.isfinite(moments).all() or (np.diff(moments) < 0).any():
        raise ValueError("moments are finite and in order of time")
    if not SIZES[0] <= size <= SIZES[1]:
        raise UserError(f"Pictures of {size} pixels were asked for; {SIZES[0]} to {SIZES[1]} can.")
    weight = len(moments) * size**2 * 3 / 2**20
    if weight > settings.max_decoded_mb:
        raise _error(
            path,
            f"would give {len(moments)} pictures of {weight:.0f} MB and at most "
            f"{settings.max_decoded_mb} are kept; ask for fewer a turn or smaller ones, or raise "
            "the setting max_decoded_mb",
        )
    if not len(moments):
        return None
    with _aside(path, folder, PICTURES) as aside, tempfile.TemporaryFile() as given:
        given.write(moments.tobytes())
        given.seek(0)
        request = {
            "path": os.path.abspath(path),
            "out": os.path.abspath(aside),
            "demuxer": container.demuxer,
            "seconds": settings.decode_seconds,
            "threads": min(THREADS, settings.workers),
            "pictures": len(moments),
            "size": size,
        }
        facts = _decoded(path, LOOKING_CHILD, request, tell, given)
        if not facts["kept"]:
            return None
        kept = folder / PICTURES
        os.replace(aside, kept)
    return Pictures(
        moments=moments[facts["kept"]],
        images=np.memmap(kept, np.uint8, "r", shape=(len(facts["kept"]), size, size, 3)),
        sha256=facts["sha256"],
        a_turn=a_turn,
    )


def _one_line(name: str) -> str:
    """A file's name as it can be written into any file, whatever bytes it is made of."""
    return " ".join(os.fsencode(name).decode("utf-8", "replace").split())


def _error(path: Path, text: str) -> UserError:
    stop = "" if text.endswith("?") else "."
    return UserError(f"'{_one_line(path.name) or path}' {text}{stop}")


def _inspect(path: Path, settings: Settings) -> Container:
    """What the file is, as long as it is worth a process."""
    try:
        facts = path.stat()
        if S_ISDIR(facts.st_mode):
            raise _error(path, "is a folder; choose a recording inside it")
        if not S_ISREG(facts.st_mode):
            raise _error(path, "is no ordinary file; choose a recording")
        if not facts.st_size:
            raise _error(path, "is empty (0 bytes); was it copied or uploaded to its end?")
        if facts.st_size > settings.max_upload_mb << 20:
            raise _error(
                path,
                f"has {facts.st_size / 2**20:.0f} MB and at most {settings.max_upload_mb} are "
                "read; save it as FLAC or M4A, cut it, or raise the setting max_upload_mb",
            )
        with path.open("rb") as file:
            found = recognise(file)
    except FileNotFoundError as exc:
        raise _error(path, "does not exist; check the name and the folder") from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise _error(path, f"can't be opened ({reason}); check its permissions") from exc
    if isinstance(found, str):
        raise _error(
            path,
            f"is {found}, and a recording as {describe()} was wanted; choose another file or "
            "convert this one",
        )
    return found


@contextlib.contextmanager
def _aside(path: Path, folder: Path, name: str) -> Iterator[Path]:
    """A file to decode into, in the job's folder; gone afterwards unless it was renamed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stem, _, suffix = name.partition(".")
        handle, name = tempfile.mkstemp(prefix=f".{stem}-", suffix=f".{suffix}", dir=folder)
    except OSError as exc:
        raise _error(
            path,
            f"can't be decoded into {folder} ({exc.strerror}); name another folder (the setting "
            "data)",
        ) from exc
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _decoded(
    path: Path,
    script: Path,
    request: dict[str, Any],
    tell: Callable[[float], None] | None,
    given: IO[bytes] | None = None,
) -> dict[str, Any]:
    """Have a child decode; it is gone when this returns or raises, whatever the reason."""
    seconds = request["seconds"]
    environment = {key: value for key, value in os.environ.items() if key in ENVIRONMENT}
    # the same modules as here, in the same order
    environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    child = subprocess.Popen(
        [sys.executable, "-P", str(script), json.dumps(request)],
        stdin=subprocess.DEVNULL if given is None else given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | MODEST,
        start_new_session=True,  # Ctrl-C in a terminal reaches this process only
    )
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    clock = threading.Timer(seconds, stop)
    clock.daemon = True
    answer: dict[str, Any] = {}
    try:
        clock.start()
        for line in child.stdout or ():
            with contextlib.suppress(ValueError):  # half a line of a child that was killed
                answer = json.loads(line)
            if tell is not None and "done" in answer:
                tell(answer["done"])
        child.wait()
    finally:
        clock.cancel()
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    if "found" in answer:
        facts: dict[str, Any] = answer["found"]
        return facts
    if "refused" in answer:
        raise _error(path, answer["refused"])
    if late.is_set():
        raise _error(
            path,
            f"took more than {seconds:g} s to decode and was given up; cut it into parts, or "
            "raise the setting decode_seconds",
        )
    cause = answer.get("broken") or f"the decoding process ended with {child.returncode}"
    raise _error(
        path, "broke the decoder, so it is probably damaged; export it again with another program"
    ) from RuntimeError(cause)
