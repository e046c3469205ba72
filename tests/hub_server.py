"""A Hugging Face Hub of our own on 127.0.0.1, for tests: well-behaved, refusing, mute or lying.

It serves ``root/owner/name/…`` with those answers that huggingface_hub asks for: what a model
holds, the tree of a revision, and its files with ETag and commit. Who brings ``token`` may also
make models and commit to them, weights by way of git-lfs.
"""

from __future__ import annotations

import base64
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
    'mute' (accepts and never answers), 'drips' (a byte now and then, without end), 'hides' (says
    what there is, and never sends a file), 'stalls' (the first half of a file, then silence),
    'truncates' (the first half, then it hangs up), 'longer' (twice what was announced), 'odd' (JSON
    of another shape) or 'stranger' (a web page, whatever is asked). ``private`` names the models
    that are. With ``echo`` each refusal and page repeats the Authorization that it was sent. It is
    also a proxy to itself, as requests by a whole address are answered by their path.
    """

    def __init__(
        self,
        root: Path,
        mode: str = "normal",
        status: int | None = None,
        code: str | None = None,
        token: str | None = None,
        echo: bool = False,
    ) -> None:
        self.root, self.mode, self.status, self.code = root, mode, status, code
        self.echo = echo
        self.token, self.private = token, set[str]()
        self.commits: list[dict[str, Any]] = []  # the heads of those that were made
        self.asked: list[str] = []
        self.tokens: set[str] = set()  # that were brought
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

    def do_POST(self) -> None:  # noqa: N802
        self._take()

    def do_PUT(self) -> None:  # noqa: N802
        self._take()

    def _take(self) -> None:
        """What only a writer asks for."""
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if hub.mode == "mute":
            hub.closing.wait()
            self.close_connection = True
        elif hub.status is not None:
            self._refuse(hub.status, hub.code, True)
        elif parts[0] == "lfs":
            (hub.root / ".lfs").mkdir(exist_ok=True)
            (hub.root / ".lfs" / parts[1]).write_bytes(sent)
            self._json({}, True)
        elif hub.token is None or self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._refuse(401, None, True)
        else:
            match parts:
                case ["api", "repos", "create"]:
                    self._create(json.loads(sent))
                case ["api", "validate-yaml"]:
                    self._json({"errors": [], "warnings": []}, True)
                case ["api", "models", _, _, "preupload", _]:
                    self._json({"files": [_mode(one) for one in json.loads(sent)["files"]]}, True)
                case [_, _, "info", "lfs", "objects", "batch"]:
                    self._batch(json.loads(sent))
                case ["api", "models", owner, name, "commit", "main"]:
                    self._commit(f"{owner}/{name}", [json.loads(one) for one in sent.splitlines()])
                case _:
                    self._refuse(404, None, True)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        (self.hub.root / name).mkdir(parents=True)
        if wanted.get("visibility") == "private":
            self.hub.private.add(name)
        self._json({"url": f"{self.hub.url}/{name}"}, True)

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = [
            one | {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}
            for one in wanted["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects}, True)

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        head, *files = lines
        if head["value"].get("parentCommit") != self.hub.commit(name):
            self._refuse(412, None, True)
            return
        for one in files:
            file = self.hub.root / name / one["value"]["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            if one["key"] == "lfsFile":
                data = (self.hub.root / ".lfs" / one["value"]["oid"]).read_bytes()
            else:
                data = base64.b64decode(one["value"]["content"])
            file.write_bytes(data)
        self.hub.commits.append(head["value"])
        commit = self.hub.commit(name)
        url = f"{self.hub.url}/{name}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit, "success": True}, True)

    def _answer(self, body: bool) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.asked.append(f"{self.command} {path}")
        if brought := self.headers.get("Authorization"):
            hub.tokens.add(brought.removeprefix("Bearer "))
        if hub.mode == "mute":
            hub.closing.wait()
            self.close_connection = True
        elif hub.mode == "drips":
            self._drip()
        elif hub.mode == "stranger":
            page = f"<html>Please sign in {self._repeated()}</html>".encode()
            self._send(200, page, {"Content-Type": "text/html"}, body)
        elif hub.mode == "odd":
            self._json({"siblings": [3, self._repeated()]}, body)
        elif hub.status is not None:
            self._refuse(hub.status, hub.code, body)
        else:
            match path.strip("/").split("/"):
                case ["api", "models"]:
                    self._json([], body)
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
        stranger = self.headers.get("Authorization") != f"Bearer {self.hub.token}"
        if not (self.hub.root / name).is_dir() or (name in self.hub.private and stranger):
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
            private = name in self.hub.private
            told = {"id": name, "modelId": name, "sha": commit, "private": private}
            self._json(told | {"siblings": siblings}, body)

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
        if self.hub.mode == "hides":
            self.hub.closing.wait()
            self.close_connection = True
            return
        headers = {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": commit}
        self._send(200, data, headers, body)

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.hub.closing.wait(0.3):
            self.wfile.write(b"x")
            self.wfile.flush()
        self.close_connection = True

    def _json(self, value: Any, body: bool) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body)

    def _repeated(self) -> str:
        return self.headers.get("Authorization", "") if self.hub.echo else ""

    def _refuse(self, status: int, code: str | None, body: bool) -> None:
        told = {"X-Error-Code": code} if code else {}
        if self.hub.echo:
            told["X-Error-Message"] = f"refused: {self._repeated()}"
        self._send(status, json.dumps({"error": self._repeated()}).encode(), told, body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if self.hub.mode in ("stalls", "truncates") and "X-Repo-Commit" in headers:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            if self.hub.mode == "stalls":
                self.hub.closing.wait()
            self.close_connection = True
        else:
            self.wfile.write(data)


def _mode(file: dict[str, Any]) -> dict[str, Any]:
    """Whether a file goes by git-lfs."""
    heavy = file["path"].endswith(".safetensors")
    mode = "lfs" if heavy else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
