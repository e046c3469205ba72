"""A Hugging Face Hub of our own on 127.0.0.1, for tests: well-behaved, refusing, mute or lying.

It serves ``root/owner/name/…`` with those answers that huggingface_hub asks for: what a model
holds, the tree of a revision, and its files with ETag and commit.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit


class HubServer:
    """A context that listens on a free port, at ``url``; ``asked`` lists 'METHOD path'.

    ``status`` and ``code`` (an ``X-Error-Code``) refuse everything. ``mode`` is 'normal',
    'mute' (accepts and never answers), 'drips' (a byte now and then, without end), 'stalls'
    (the first half of a file, then silence), 'longer' (twice what was announced) or 'stranger'
    (a web page, whatever is asked).
    """

    def __init__(
        self, root: Path, mode: str = "normal", status: int | None = None, code: str | None = None
    ) -> None:
        self.root, self.mode, self.status, self.code = root, mode, status, code
        self.asked: list[str] = []
        self.closing = threading.Event()

    def __enter__(self) -> HubServer:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self, home: Path) -> dict[str, str]:
        """What a process needs in its environment to ask this Hub, with a cache of its own."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "TRANSFORMERS_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }

    def commit(self, name: str) -> str:
        """The commit of a model: a digest of its files."""
        whole = hashlib.sha1()
        for path, file in self.files(name):
            whole.update(path.encode() + file.read_bytes())
        return whole.hexdigest()

    def files(self, name: str) -> list[tuple[str, Path]]:
        """The files of a model, by their path in it."""
        folder = self.root / name
        found = sorted(file for file in folder.rglob("*") if file.is_file())
        return [(file.relative_to(folder).as_posix(), file) for file in found]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up: some tests kill them."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output quiet."""

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer(body=False)

    def do_GET(self) -> None:  # noqa: N802
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.asked.append(f"{self.command} {path}")
        if hub.mode == "mute":
            hub.closing.wait()
            self.close_connection = True
        elif hub.mode == "drips":
            self._drip()
        elif hub.mode == "stranger":
            self._send(200, b"<html>Please sign in</html>", {"Content-Type": "text/html"}, body)
        elif hub.status is not None:
            self._refuse(hub.status, hub.code, body)
        else:
            match path.strip("/").split("/"):
                case ["api", "models", owner, name]:
                    self._info(f"{owner}/{name}", "main", body)
                case ["api", "models", owner, name, "revision", revision]:
                    self._info(f"{owner}/{name}", revision, body)
                case ["api", "models", owner, name, "tree", revision, *_]:
                    self._tree(f"{owner}/{name}", revision, body)
                case [owner, name, "resolve", revision, *inside]:
                    self._file(f"{owner}/{name}", revision, "/".join(inside), body)
                case _:
                    self._refuse(404, None, body)

    def _known(self, name: str, revision: str, body: bool) -> str | None:
        """The commit of a revision; None once a refusal was sent."""
        if not (self.hub.root / name).is_dir():
            self._refuse(404, "RepoNotFound", body)
        elif revision not in ("main", commit := self.hub.commit(name)):
            self._refuse(404, "RevisionNotFound", body)
        else:
            return commit
        return None

    def _info(self, name: str, revision: str, body: bool) -> None:
        if commit := self._known(name, revision, body):
            siblings = [
                {"rfilename": path, "size": file.stat().st_size, "blobId": _etag(file)}
                for path, file in self.hub.files(name)
            ]
            self._json({"id": name, "modelId": name, "sha": commit, "siblings": siblings}, body)

    def _tree(self, name: str, revision: str, body: bool) -> None:
        if self._known(name, revision, body):
            self._json(
                [
                    {"type": "file", "path": path, "size": file.stat().st_size, "oid": _etag(file)}
                    for path, file in self.hub.files(name)
                ],
                body,
            )

    def _file(self, name: str, revision: str, inside: str, body: bool) -> None:
        commit = self._known(name, revision, body)
        if commit is None:
            return
        file = dict(self.hub.files(name)).get(inside)
        if file is None:
            self._refuse(404, "EntryNotFound", body)
            return
        data = file.read_bytes()
        if self.hub.mode == "longer" and body:
            data *= 2
        headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": commit}
        self._send(200, data, headers, body, stall=self.hub.mode == "stalls")

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.hub.closing.wait(0.3):
            self.wfile.write(b"x")
            self.wfile.flush()
        self.close_connection = True

    def _json(self, value: Any, body: bool) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body)

    def _refuse(self, status: int, code: str | None, body: bool) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {}, body)

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], body: bool, stall: bool = False
    ) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if stall:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.hub.closing.wait()
            self.close_connection = True
        else:
            self.wfile.write(data)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
