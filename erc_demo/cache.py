"""What was computed once: content-addressed arrays and JSON on disk.

An entry is one ``.npz`` file, named by the SHA-256 of everything it depends on (the recording's
samples, the settings that matter, the version of the code that made it). It is written aside,
flushed and renamed, so that no reader ever sees half of one, whatever is killed and however many
processes write. Reading marks an entry as used; past the size limit the longest unused go.
Nothing but numbers and text is read back: no pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.errors import UserError

TEXT = "__json__"  # the entry's JSON, as UTF-8 bytes beside its arrays
STALE = 3600.0  # seconds after which a file written aside belongs to a process that died
SWEEP = 0.9  # eviction goes down to this share of the limit, so that it is not due at every put


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Arrays by name, and plain data."""

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    data: Any = None


def key(step: str, version: str, **parts: Any) -> str:
    """The name of an entry: SHA-256 over a canonical JSON of everything it depends on.

    >>> key("turns", "1", sound="ab", people=2) == key("turns", "1", people=2, sound="ab")
    True
    """
    text = json.dumps(
        {"step": step, "version": version, "parts": parts}, sort_keys=True, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """A folder of entries, safe under several processes and a kill at any moment."""

    def __init__(self, folder: Path, limit_mb: int) -> None:
        """Open (and make) the folder; a limit of 0 MB keeps nothing."""
        self.folder = folder
        self.limit = limit_mb * 2**20
        self._written: int | None = None  # bytes put since the folder was last measured
        if self.limit:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise UserError(
                    f"The cache folder {folder} can't be made ({exc.strerror}); "
                    "name another with the setting data, or set cache_mb to 0."
                ) from exc

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.npz"

    def __contains__(self, name: str) -> bool:
        """Whether there is an entry of that name; it is neither read nor marked as used."""
        return bool(self.limit) and self._path(name).is_file()

    def get(self, name: str) -> Entry | None:
        """The entry of that name, or None; a damaged one is dropped and counts as absent."""
        if not self.limit:
            return None
        path = self._path(name)
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {item: stored[item] for item in stored.files if item != TEXT}
                data = json.loads(stored[TEXT].tobytes())
        except FileNotFoundError:
            return None
        except Exception:  # whatever a damaged archive can make its reader raise
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # evicted by another process this very moment
            os.utime(path)
        return Entry(arrays=arrays, data=data)

    def put(self, name: str, entry: Entry) -> bool:
        """Keep an entry, and say whether it is kept.

        A disk that is full or read-only costs the entry, not the analysis.
        """
        if not self.limit:
            return False
        if TEXT in entry.arrays:
            raise ValueError(f"{TEXT} is the cache's own name")
        text = np.frombuffer(json.dumps(entry.data, allow_nan=False).encode(), np.uint8)
        path = self._path(name)
        aside = None
        try:
            path.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=path.parent, prefix=".aside-", suffix=".tmp", delete=False
            ) as file:
                aside = Path(file.name)
                arrays = {item: np.asarray(array) for item, array in entry.arrays.items()}
                np.savez(file, allow_pickle=False, **arrays, **{TEXT: text})
                file.flush()
                os.fsync(file.fileno())
            size = aside.stat().st_size
            os.replace(aside, path)
        except OSError:
            return False
        finally:
            if aside is not None:
                aside.unlink(missing_ok=True)
        self._written = None if self._written is None else self._written + size
        if self._written is None or self._written > self.limit * (1 - SWEEP):
            self.evict()
        return path.exists()

    def evict(self) -> int:
        """Drop the longest unused entries over the limit; returns the bytes that stay."""
        entries, total, now = [], 0, time.time()
        for path in self.folder.glob("*/*"):
            try:
                facts = path.stat()
                if path.suffix == ".tmp":
                    if now - facts.st_mtime > STALE:
                        path.unlink(missing_ok=True)
                    continue
            except OSError:  # gone: another process evicts too
                continue
            entries.append((facts.st_mtime, facts.st_size, path))
            total += facts.st_size
        if total > self.limit:
            for _, size, path in sorted(entries):
                path.unlink(missing_ok=True)
                total -= size
                if total <= self.limit * SWEEP:
                    break
        self._written = 0
        return total
