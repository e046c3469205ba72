"""The process that asks the Hub: JSON by the line, a request in, what it finds out.

    in   {"repo": …, "revision": …, "patterns": […], "silence": seconds, "drops": …, "cache": …}
    out  {"ready": true}                     the libraries are loaded, the question goes out
    out  {"sizes": {name: bytes}, "there": […]}   the files asked for, and all there are
    in   {"names": […], "largest": bytes}    fetch these; an end of input: stop
    out  {"bytes": so many of them}          now and then
    out  {"folder": …}
    out  {"problem": a word of _refusal, "detail": …}   at any time, and last

Some requests of huggingface_hub wait for ever, others try again and again: here every silence is
timed and ends the whole, and so does the connection that is dropped too often. No ``repo`` asks
whether there is a Hub at all. The person's token is read by huggingface_hub, as it reads it.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, errors, set_client_factory
from huggingface_hub import snapshot_download as download

from erc_demo.hub._names import chosen

OFTEN = 0.1  # seconds between two words on progress
MANIFEST = 4_000_000  # bytes: the library's own list of a revision's files is a file, too


class Heard:
    """What has arrived, over all connections."""

    def __init__(self, silence: float, drops: int) -> None:
        self.silence, self.drops = silence, drops
        self._fetching, self._bytes, self._told = False, 0, 0.0
        self._lock = threading.Lock()
        self._secrets: set[str] = set()

    def client(self) -> httpx2.Client:
        """One that has all its requests and answers pass here."""
        hooks: dict[str, Any] = {"request": [self.limit], "response": [self.watch]}
        return httpx2.Client(event_hooks=hooks, follow_redirects=True)

    def begin(self) -> None:
        """Count from here, and say so."""
        self._fetching = True

    def limit(self, request: httpx2.Request) -> None:
        """Give a timeout to requests that have none, or a long one; mark the token they bring."""
        self._secrets.add(request.headers.get("Authorization", "").removeprefix("Bearer "))
        given = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {
            part: min(given.get(part) or self.silence, self.silence)
            for part in ("connect", "read", "write", "pool")
        }

    def watch(self, response: httpx2.Response) -> None:
        """Count its body as it comes."""
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = Body(response.stream, self)

    def more(self, size: int) -> None:
        """So many bytes came."""
        with self._lock:
            if not self._fetching:
                return
            self._bytes += size
            if (now := time.monotonic()) - self._told >= OFTEN:
                self._told = now
                say(bytes=self._bytes)

    def hide(self, text: str) -> str:
        """A text without the token."""
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "[token]")
        return text

    def dropped(self) -> bool:
        """Whether a connection that broke was one too many."""
        with self._lock:
            self.drops -= 1
            return self.drops < 0


class Body(httpx2.SyncByteStream):
    """A response's body; its silence is raised as what the library does not try again."""

    def __init__(self, stream: httpx2.SyncByteStream, heard: Heard) -> None:
        self._stream, self._heard = stream, heard

    def __iter__(self) -> Iterator[bytes]:
        """The pieces as they come."""
        try:
            for piece in self._stream:
                self._heard.more(len(piece))
                yield piece
        except httpx2.TimeoutException as exc:
            raise TimeoutError from exc
        except httpx2.TransportError as exc:
            if self._heard.dropped():
                raise ConnectionError("it hung up") from exc
            raise

    def close(self) -> None:
        """Let the connection go."""
        self._stream.close()


def say(**what: object) -> None:
    """A line to whoever asked."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """One request, to its end."""
    request = json.loads(sys.stdin.readline())
    heard = Heard(request["silence"], request["drops"])
    made = [heard.client()]  # certificates take a while to read, which is not the Hub's doing
    set_client_factory(lambda: made.pop() if made else heard.client())
    say(ready=True)
    try:
        sizes = ask(request, made)
        wanted = chosen(sizes, request["patterns"])
        say(sizes={name: sizes[name] for name in wanted}, there=[*sizes])
        if told := sys.stdin.readline():
            threading.Thread(target=end_with_the_asker, daemon=True).start()
            heard.begin()
            say(folder=fetch(request, **json.loads(told)))
    except Exception as exc:
        problem = word(exc, heard.silence)
        if problem is None:
            sys.stderr.write(heard.hide(traceback.format_exc()))
            sys.exit(1)
        say(problem=problem[0], detail=heard.hide(problem[1])[:200])


def end_with_the_asker() -> None:
    """Fetch for nobody who has died."""
    sys.stdin.read()
    os._exit(1)


def ask(request: dict[str, Any], made: list[httpx2.Client]) -> dict[str, int]:
    """Every file of a model, with its size."""
    if request["repo"] is None:
        reply = made[0].get(f"{constants.ENDPOINT}/api/models", params={"limit": 1})
        reply.raise_for_status()
        reply.json()
        return {}
    try:
        info = HfApi().model_info(
            request["repo"], revision=request["revision"], files_metadata=True
        )
        return {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
    except errors.HFValidationError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise json.JSONDecodeError("an odd answer", "", 0) from exc


def fetch(request: dict[str, Any], names: list[str], largest: int) -> str:
    """Download the named files; the folder that they are in."""
    try:
        import resource
    except ImportError:  # no such limit on Windows: the library compares sizes at the end
        pass
    else:
        most, hard = largest + MANIFEST, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    return download(
        request["repo"],
        revision=request["revision"],
        cache_dir=request["cache"],
        allow_patterns=[glob.escape(name) for name in names],
    )


def word(exc: BaseException, silence: float) -> tuple[str, str] | None:
    """What went wrong, in a word of ``_refusal``, and its detail; None for a bug.

    The detail is a number, or what this machine says; never what a server said.
    """
    while isinstance(exc, errors.LocalEntryNotFoundError) and exc.__cause__ is not None:
        exc = exc.__cause__
    detail = str(exc).strip().partition("\n")[0] or type(exc).__name__
    match exc:
        case errors.GatedRepoError():
            return "gated", ""
        case errors.RevisionNotFoundError():
            return "revision", ""
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            return "absent", ""
        case errors.HfHubHTTPError():
            status = exc.response.status_code
            kind = "refused" if status in (401, 403) else "absent" if status == 404 else "broken"
            return kind, f"HTTP {status}"
        case httpx2.HTTPStatusError():
            return "broken", f"HTTP {exc.response.status_code}"
        case httpx2.TimeoutException() | TimeoutError():
            return "silent", f"{silence:g}"
        case httpx2.ConnectError() | httpx2.ProxyError():
            return "unreachable", detail
        case httpx2.TransportError() | ConnectionError():
            return "broken", "it hung up"
        case errors.FileMetadataError() | json.JSONDecodeError():
            return "stranger", "no answer of a Hub's"
        case OSError() if "Consistency check" in str(exc) or exc.errno == errno.EFBIG:
            return "size", ""
        case OSError() if exc.errno is not None:
            return "disk", exc.strerror or detail
    return None


if __name__ == "__main__":
    serve()
