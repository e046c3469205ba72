"""Names on the Hub, and which of a model's files are taken."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

CODE = frozenset(
    ".bin .ckpt .dll .exe .joblib .pickle .pkl .pt .pth .py .pyc .sh .so .zip".split()
)  # suffixes that only their full name brings along

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?P<name>{_PART}/{_PART})(?:@(?P<revision>[\w.-]+(?:/[\w.-]+)*))?", re.ASCII)


def split(ref: str) -> tuple[str, str | None] | None:
    """The model and the revision of ``owner/name`` or ``owner/name@revision``; None if neither."""
    match = _NAME.fullmatch(ref)
    if match is None or ".." in ref or "--" in match["name"]:
        return None
    return match["name"], match["revision"]


def absent(folder: Path, files: Iterable[str]) -> list[str]:
    """Those names and wildcards that nothing in the folder answers to."""
    return [
        file
        for file in files
        if not (any(folder.glob(file)) if glob.has_magic(file) else (folder / file).is_file())
    ]


def chosen(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that were asked for; code and pickles, and odd paths, never by a wildcard."""

    def asked(name: str) -> bool:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            return False
        return name in patterns or any(
            path.suffix.lower() not in CODE
            and glob.has_magic(pattern)
            and fnmatchcase(name, pattern)
            and name.count("/") == pattern.count("/")
            for pattern in patterns
        )

    return sorted(filter(asked, names))
