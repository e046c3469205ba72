"""Where a model lies: a folder, the local cache of the Hugging Face Hub, or the Hub itself.

The order is always that one, so nothing is asked of the network that is here already. Files are
fetched by huggingface_hub, into the cache that every program of a machine shares; a revision
such as ``main`` is therefore the one that was fetched first until the cache is cleared.

What huggingface_hub leaves open is closed here. It is asked in a process of its own (``_process``)
that an end by the clock awaits: its first answer within ``PROBE_SECONDS``, whatever happens, and
then no silence of more than ``ANSWER_SECONDS``. The first answer names the files and their sizes
before one byte of them is fetched; only the files that were asked for are taken, code and pickles
never by a wildcard; no file may grow past what the Hub announced. huggingface_hub writes the list
of a revision's files before the first file, and each file aside and then renamed: a killed
download is seen as such. Proxies and the person's token are read from the environment as
huggingface_hub reads them; a sentence repeats nothing that a server wrote.
"""

from __future__ import annotations

import glob
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.hub._asking import Asking
from erc_demo.hub._names import absent, chosen, split
from erc_demo.hub._refusal import COPY, Lacks, Unreachable, endpoint, refusal
from erc_demo.settings import Settings

__all__ = [
    "Lacks",
    "Unreachable",
    "cache_folder",
    "cached",
    "endpoint",
    "probe",
    "resolve",
    "revisions",
    "split",
    "told_offline",
]

PROBE_SECONDS = 3.0  # all that a Hub may cost which does not answer
ANSWER_SECONDS = 10.0  # the longest silence once it has answered
START_SECONDS = 30.0  # for the asking process to start, on a busy machine
DROPS = 3  # connections that may break in one download
MOST_MB = 8000  # of one model; Whisper's largest has 3100

Tell = Callable[[str, float], None]  # a step, "ask" or "fetch", and how much of it is done


def resolve(
    ref: str,
    settings: Settings,
    *,
    files: Sequence[str],
    optional: Sequence[str] = (),
    most_mb: int = MOST_MB,
    tell: Tell | None = None,
) -> Path:
    """The folder that holds a model's files, fetched from the Hub only if it must be.

    ``ref`` is a folder, or ``owner/name`` or ``owner/name@revision`` on the Hub; a folder wins.
    ``files`` are names or wildcards (``*`` stays within one folder); each must be there, what is
    ``optional`` is taken if there is such a file. A model of more than ``most_mb`` is refused.
    """
    folder = Path(ref).expanduser()
    if folder.is_dir():
        if lacking := absent(folder, files):
            raise Lacks(
                f"The folder {ref} lacks {_and(lacking)}; copy the whole model into it, "
                "or name another folder.",
                tuple(sorted(one.name for one in folder.iterdir())),
            )
        return folder
    parts = split(ref)
    if parts is None:
        raise UserError(
            f"There is no folder '{ref}', and it is no name on the Hugging Face Hub either; "
            "give a model's folder, owner/name or owner/name@revision."
        )
    found = cached(ref, files, optional)
    if found is not None:
        return found
    _allowed(settings, f"The model {ref} is not on this machine, and ")
    return _fetch(*parts, settings, files, optional, most_mb, tell or (lambda step, done: None))


def cached(ref: str, files: Sequence[str], optional: Sequence[str] = ()) -> Path | None:
    """The folder of a model that is on this machine as a whole, or None; never goes online."""
    folder = Path(ref).expanduser()
    if folder.is_dir():
        return None if absent(folder, files) else folder
    parts = split(ref)
    if parts is None or not _kept(parts[0]).is_dir():
        return None  # the common answer costs no import

    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    where: dict[str, Any] = {"revision": parts[1], "cache_dir": cache_folder()}
    try:
        tree = get_cached_repo_tree(parts[0], **where)
        wanted = chosen((file.path for file in tree), [*files, *optional])
    except CachedRepoTreeNotFoundError:  # fetched by an older program: no list of what belongs
        wanted = list(files)
    try:
        folder = Path(
            snapshot_download(
                parts[0],
                local_files_only=True,
                allow_patterns=[glob.escape(file) for file in wanted],
                **where,
            )
        )
    except LocalEntryNotFoundError:
        return None
    return None if absent(folder, files) else folder


def revisions(name: str, files: Sequence[str]) -> dict[str, Path]:
    """The commits of ``owner/name`` that are on this machine as a whole, the latest fetched first.

    The values are their folders.
    """
    try:
        there = [one for one in (_kept(name) / "snapshots").iterdir() if one.is_dir()]
    except OSError:
        return {}
    there.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    found = {one.name: cached(f"{name}@{one.name}", files) for one in there}
    return {commit: folder for commit, folder in found.items() if folder is not None}


def probe(settings: Settings) -> None:
    """Ask whether a Hub answers, for ``PROBE_SECONDS`` at most; ``Unreachable`` says why not."""
    _allowed(settings, "")
    with Asking(repo=None, revision=None, patterns=[], **_limits()) as asking:
        _first("", asking, lambda step, done: None)


def cache_folder() -> Path:
    """The Hub's cache on this machine, by the environment as it is now."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(base, "huggingface")
    own = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(own or os.path.join(home, "hub"))).expanduser()


def told_offline() -> bool:
    """Whether the environment forbids the Hub, as huggingface_hub reads it."""
    word = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return word.upper() in {"1", "ON", "YES", "TRUE"}


def _kept(name: str) -> Path:
    return cache_folder() / f"models--{name.replace('/', '--')}"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _allowed(settings: Settings, beginning: str) -> None:
    if settings.offline or told_offline():
        why = "offline is set" if settings.offline else "HF_HUB_OFFLINE is set"
        raise Unreachable(f"{beginning}{why}", f"allow the Hugging Face Hub once, {COPY}")


def _limits() -> dict[str, object]:
    return {"silence": ANSWER_SECONDS, "drops": DROPS, "cache": str(cache_folder())}


def _first(ref: str, asking: Asking, tell: Tell) -> dict[str, Any]:
    """The first answer. A process that starts late is not the Hub's doing, and gets some more."""
    tell("ask", 0.0)
    ready = asking.hear(asking.began + START_SECONDS)
    until = max(asking.began + PROBE_SECONDS, time.monotonic() + PROBE_SECONDS * 2 / 3)
    line = ready and asking.hear(until)
    tell("ask", 1.0)
    return _fine(ref, line, PROBE_SECONDS)


def _fine(ref: str, line: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
    if line is None:
        raise refusal(ref, "silent", f"{seconds:g}", cache_folder())
    if "problem" in line:
        raise refusal(ref, line["problem"], line["detail"], cache_folder())
    return line


def _fetch(
    name: str,
    revision: str | None,
    settings: Settings,
    files: Sequence[str],
    optional: Sequence[str],
    most_mb: int,
    tell: Tell,
) -> Path:
    """Ask what there is, weigh it, fetch it."""
    ref = f"{name}@{revision}" if revision else name
    patterns = [*files, *optional]
    with Asking(repo=name, revision=revision, patterns=patterns, **_limits()) as asking:
        found = _first(ref, asking, tell)
        sizes: dict[str, int] = found["sizes"]
        if lacking := [file for file in files if not chosen(sizes, [file])]:
            raise Lacks(
                f"The model {ref} on {endpoint()} has no {_and(lacking)}, so it is not of the "
                "wanted kind; name another model.",
                tuple(found["there"]),
            )
        total = sum(sizes.values())
        _weigh(ref, total, most_mb)
        tell("fetch", 0.0)
        asking.say({"names": list(sizes), "largest": max(sizes.values(), default=0)})
        ends = time.monotonic() + settings.fetch_seconds
        while True:
            # the process times each silence itself; twice that is an end to all it may hang in
            line = asking.hear(min(ends, time.monotonic() + 2 * ANSWER_SECONDS))
            if time.monotonic() >= ends:
                raise refusal(ref, "late", f"{settings.fetch_seconds}", cache_folder())
            line = _fine(ref, line, ANSWER_SECONDS)
            if "folder" in line:
                tell("fetch", 1.0)
                return Path(line["folder"])
            tell("fetch", min(1.0, line["bytes"] / max(1, total)))


def _weigh(ref: str, total: int, most_mb: int) -> None:
    """Refuse what is too much to fetch, or to keep."""
    if total > most_mb * 1_000_000:
        raise UserError(
            f"The model {ref} has {total / 1e6:.0f} MB, more than the {most_mb} MB that are "
            f"fetched at once; choose a smaller one, {COPY}."
        )
    cache = cache_folder()
    there = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if total > free:
        raise UserError(
            f"The model {ref} has {total / 1e6:.0f} MB, and {there} has room for "
            f"{free / 1e6:.0f} MB; free some, or set HF_HOME to a larger disk."
        )
