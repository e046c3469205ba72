"""Folders that live no longer than the process that made them, also when it is killed.

Each folder has a lock beside it, ``NAME.alive``, which the system takes away with the process
that holds it, whatever ends that. Whoever makes a folder first sweeps away those that nobody
holds any more: decoded sound of a call that was cut off, uploads of a page that was stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from erc_demo.errors import UserError

try:
    import fcntl
except ImportError:  # Windows, where nothing is swept
    fcntl = None  # type: ignore[assignment]

ALIVE = ".alive"


@contextlib.contextmanager
def folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder that only this user can read; it and all in it is gone afterwards."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        # the lock is held before the folder is there, so that no sweep takes it for left behind
        handle, lock = tempfile.mkstemp(prefix=prefix, suffix=ALIVE, dir=parent)
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        made = Path(lock.removesuffix(ALIVE))
        made.mkdir(mode=0o700)
    except OSError as exc:
        raise UserError(
            f"The data folder {parent.parent} can't be written ({exc.strerror}); "
            "name another folder (the setting data)."
        ) from exc
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        Path(lock).unlink(missing_ok=True)
        os.close(handle)


def sweep(parent: Path) -> list[Path]:
    """Delete the folders whose process is gone; returns them."""
    if fcntl is None:
        return []
    swept = []
    for lock in parent.glob(f"*{ALIVE}"):
        with contextlib.suppress(OSError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where somebody holds it
            left = lock.with_name(lock.name.removesuffix(ALIVE))
            shutil.rmtree(left, ignore_errors=True)
            lock.unlink(missing_ok=True)
            swept.append(left)
    return swept
