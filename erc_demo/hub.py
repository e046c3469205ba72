"""Where a model lies: a folder, the local cache of the Hugging Face Hub, or the Hub itself.

The order is always that one, so nothing is asked of the network that is here already. Files are
fetched by huggingface_hub, into the cache that every program of a machine shares; a revision
such as ``main`` is therefore the one that was fetched first until the cache is cleared.

What huggingface_hub leaves open is closed here. Some of its requests wait for ever, so all of
them run in a process of their own, which gets a timeout for every silence and an end by the
clock. The first question names the files and their sizes before one byte of them is fetched;
only the files that were asked for are taken, code and pickles never by a wildcard; no file may
grow past what the Hub announced. huggingface_hub writes the list of a revision's files before
the first file, and each file aside and then renamed: a killed download is seen as such.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from erc_demo.errors import UserError
from erc_demo.settings import Settings

ANSWER_SECONDS = 10.0  # the longest silence: before the first answer, and between two pieces
START_SECONDS = 30.0  # for the asking process to start, on a busy machine
MOST_MB = 8000  # of one model; Whisper's largest has 3100
CODE = frozenset(
    ".bin .ckpt .dll .exe .joblib .pickle .pkl .pt .pth .py .pyc .sh .so .zip".split()
)  # suffixes that only their full name brings along

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?P<name>{_PART}/{_PART})(?:@(?P<revision>[\w.-]+(?:/[\w.-]+)*))?", re.ASCII)
_COPY = "or copy the model's folder to this machine and name that folder"


class Lacks(UserError):
    """The model is there, and has not the files that were asked for."""


def resolve(
    ref: str,
    settings: Settings,
    *,
    files: Sequence[str],
    optional: Sequence[str] = (),
    most_mb: int = MOST_MB,
) -> Path:
    """The folder that holds a model's files, fetched from the Hub only if it must be.

    ``ref`` is a folder, or ``owner/name`` or ``owner/name@revision`` on the Hub; a folder wins.
    ``files`` are names or wildcards (``*`` stays within one folder); each must be there, what is
    ``optional`` is taken if there is such a file. A model of more than ``most_mb`` is refused.
    """
    folder = Path(ref).expanduser()
    if folder.is_dir():
        if absent := _absent(folder, files):
            raise Lacks(
                f"The folder {ref} lacks {_and(absent)}; copy the whole model into it, "
                "or name another folder."
            )
        return folder
    name, revision = _split(ref)
    found = cached(ref, files, optional)
    if found is not None:
        return found
    if settings.offline or told_offline():
        why = "offline is set" if settings.offline else "HF_HUB_OFFLINE is set"
        raise UserError(
            f"The model {ref} is not on this machine, and {why}; allow the Hugging Face Hub once, "
            f"{_COPY}."
        )
    return _fetch(name, revision, settings, files, optional, most_mb)


def cached(ref: str, files: Sequence[str], optional: Sequence[str] = ()) -> Path | None:
    """The folder of a model that is on this machine as a whole, or None; never goes online."""
    folder = Path(ref).expanduser()
    if folder.is_dir():
        return None if _absent(folder, files) else folder
    match = _NAME.fullmatch(ref)
    if match is None:
        return None
    cache = cache_folder()
    if not (cache / f"models--{match['name'].replace('/', '--')}").is_dir():
        return None  # the common answer costs no import

    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    where: dict[str, Any] = {"revision": match["revision"], "cache_dir": cache}
    try:
        tree = get_cached_repo_tree(match["name"], **where)
        wanted = _chosen((file.path for file in tree), [*files, *optional])
    except CachedRepoTreeNotFoundError:  # fetched by an older program: no list of what belongs
        wanted = list(files)
    try:
        folder = Path(
            snapshot_download(
                match["name"],
                local_files_only=True,
                allow_patterns=[glob.escape(file) for file in wanted],
                **where,
            )
        )
    except LocalEntryNotFoundError:
        return None
    return None if _absent(folder, files) else folder


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


def endpoint() -> str:
    """The host that is asked, for sentences; a password in the address is left out."""
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    port = f":{address.port}" if address.port else ""
    return f"{address.hostname}{port}"


def _split(ref: str) -> tuple[str, str | None]:
    match = _NAME.fullmatch(ref)
    if match is None or ".." in ref or "--" in match["name"]:
        raise UserError(
            f"There is no folder '{ref}', and it is no name on the Hugging Face Hub either; "
            "give a model's folder, owner/name or owner/name@revision."
        )
    return match["name"], match["revision"]


def _absent(folder: Path, files: Iterable[str]) -> list[str]:
    """Those names and wildcards that nothing in the folder answers to."""
    return [
        file
        for file in files
        if not (any(folder.glob(file)) if glob.has_magic(file) else (folder / file).is_file())
    ]


def _chosen(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
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


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _fetch(
    name: str,
    revision: str | None,
    settings: Settings,
    files: Sequence[str],
    optional: Sequence[str],
    most_mb: int,
) -> Path:
    """Ask what there is, weigh it, fetch it."""
    ref = f"{name}@{revision}" if revision else name
    request = {"repo": name, "revision": revision, "patterns": [*files, *optional]}
    limit = min(ANSWER_SECONDS + START_SECONDS, settings.fetch_seconds)
    listed = _run(request | {"do": "ask"}, limit)
    if "problem" in listed:
        raise UserError(_sentence(ref, listed["problem"], listed["detail"]))
    sizes: dict[str, int] = listed["sizes"]
    absent = [file for file in files if not _chosen(sizes, [file])]
    if absent:
        raise Lacks(
            f"The model {ref} on {endpoint()} has no {_and(absent)}, so it is not of the wanted "
            "kind; name another model."
        )
    total = sum(sizes.values())
    if total > most_mb * 1_000_000:
        raise UserError(
            f"The model {ref} has {total / 1e6:.0f} MB, more than the {most_mb} MB that are "
            f"fetched at once; choose a smaller one, {_COPY}."
        )
    cache = cache_folder()
    there = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if total > free:
        raise UserError(
            f"The model {ref} has {total / 1e6:.0f} MB, and {there} has room for "
            f"{free / 1e6:.0f} MB; free some, or set HF_HOME to a larger disk."
        )
    done = _run(
        request
        | {"do": "download", "names": list(sizes), "largest": max(sizes.values(), default=0)},
        settings.fetch_seconds,
    )
    if done.get("problem") == "late":
        raise UserError(
            f"Fetching the model {ref} ({total / 1e6:.0f} MB) took longer than "
            f"{settings.fetch_seconds} s; raise fetch_seconds, {_COPY}."
        )
    if "problem" in done:
        raise UserError(_sentence(ref, done["problem"], done["detail"]))
    return Path(done["folder"])


def _sentence(ref: str, problem: str, detail: str) -> str:
    """What the person can do about it."""
    host = endpoint()
    silent = (
        f"{host} was silent for more than {ANSWER_SECONDS:g} s when asked for the model {ref}; "
        f"try again later, {_COPY}."
    )
    login = "log in with `hf auth login`"
    return {
        "unreachable": f"{host} can't be reached for the model {ref} ({detail}); "
        f"check the network, {_COPY}.",
        "slow": silent,
        "late": silent,
        "gated": f"The model {ref} on {host} is given only to those who accepted its terms; "
        f"accept them on its page and {login}, {_COPY}.",
        "refused": f"{host} refuses the model {ref} ({detail}); {login}, {_COPY}.",
        "absent": f"{host} has no model {ref} that you may see; check the name, or {login} if it "
        "is a private one.",
        "revision": f"The model {ref} on {host} has no such revision; check what stands after @.",
        "broken": f"{host} could not serve the model {ref} ({detail}); try again later, {_COPY}.",
        "stranger": f"What answers at {host} is not a Hugging Face Hub ({detail}); check "
        f"HF_ENDPOINT and the network's sign-in page, {_COPY}.",
        "size": f"{host} sent a file of the model {ref} of another size than it announced; nothing "
        f"was kept; try again later, {_COPY}.",
        "disk": f"The model {ref} can't be stored in {cache_folder()} ({detail}); free some room, "
        "or set HF_HOME to a folder that can be written.",
    }[problem]


def _run(request: dict[str, Any], limit: float) -> dict[str, Any]:
    """Have a process of its own do a request, and end it by the clock (seconds)."""
    request = request | {"limit": limit, "silence": ANSWER_SECONDS, "cache": str(cache_folder())}
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",  # one way of fetching, whose silences are timed
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "erc_demo.hub"],
            input=json.dumps(request),
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"problem": "late", "detail": ""}
    if done.returncode:
        raise RuntimeError(f"The process that asks the Hub died:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


# What follows runs in the process that `_run` starts.


def _serve() -> None:
    request = json.load(sys.stdin)
    end = threading.Timer(request["limit"], os._exit, (1,))  # if whoever asked died first
    end.daemon = True
    end.start()
    _time_every_silence(request["silence"])
    try:
        answer = {"ask": _ask, "download": _download}[request["do"]](request)
    except Exception as exc:
        problem = _problem(exc)
        if problem is None:
            raise
        answer = {"problem": problem[0], "detail": problem[1]}
    print(json.dumps(answer))


def _time_every_silence(seconds: float) -> None:
    """Give a timeout to the requests that huggingface_hub makes without one, or with a long one."""
    import httpx2
    from huggingface_hub import set_client_factory

    def limit(request: httpx2.Request) -> None:
        given = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {
            part: min(given.get(part) or seconds, seconds)
            for part in ("connect", "read", "write", "pool")
        }

    hooks = {"request": [limit]}
    set_client_factory(lambda: httpx2.Client(event_hooks=hooks, follow_redirects=True))


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    from huggingface_hub import HfApi

    info = HfApi().model_info(request["repo"], revision=request["revision"], files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    return {"sizes": {name: sizes[name] for name in _chosen(sizes, request["patterns"])}}


def _download(request: dict[str, Any]) -> dict[str, Any]:
    from huggingface_hub import snapshot_download

    try:
        import resource
    except ImportError:  # no such limit on Windows: the library compares sizes at the end
        pass
    else:
        most = request["largest"] + 4_000_000  # the list of a revision's files is one, too
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    folder = snapshot_download(
        request["repo"],
        revision=request["revision"],
        cache_dir=request["cache"],
        allow_patterns=[glob.escape(name) for name in request["names"]],
    )
    return {"folder": folder}


def _problem(exc: BaseException) -> tuple[str, str] | None:
    """What went wrong, in a word that `_sentence` knows, and its detail; None for a bug."""
    import httpx2
    from huggingface_hub import errors

    while isinstance(exc, errors.LocalEntryNotFoundError) and exc.__cause__ is not None:
        exc = exc.__cause__
    detail = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
    match exc:
        case errors.GatedRepoError():
            return "gated", detail
        case errors.RevisionNotFoundError():
            return "revision", detail
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            return "absent", detail
        case errors.HfHubHTTPError():
            status = exc.response.status_code
            word = "refused" if status in (401, 403) else "absent" if status == 404 else "broken"
            return word, f"HTTP {status}"
        case httpx2.TimeoutException():
            return "slow", detail
        case httpx2.ConnectError() | httpx2.ProxyError():
            return "unreachable", detail
        case httpx2.TransportError():
            return "broken", detail
        case errors.FileMetadataError() | json.JSONDecodeError():
            return "stranger", detail
        case OSError() if "Consistency check" in detail or exc.errno == errno.EFBIG:
            return "size", detail.partition("\n")[0]
        case OSError() if exc.errno is not None:
            return "disk", exc.strerror or detail
    return None


if __name__ == "__main__":
    _serve()
