"""Finding models: folders, the cache, and a Hub of our own that is well or behaves badly."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub_server import HubServer

from erc_demo import hub
from erc_demo.errors import UserError
from erc_demo.hub import _names
from erc_demo.settings import Settings

NAME = "someone/a-model"
FILES = ("config.json", "*.safetensors")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models as a Hub would hold them."""
    folder = tmp_path / "served" / NAME
    (folder / "extra").mkdir(parents=True)
    (folder / "config.json").write_text('{"layers": 2}')
    for shard in (1, 2):
        (folder / f"model-{shard}.safetensors").write_bytes(bytes([shard]) * 50_000)
    (folder / "extra/other.safetensors").write_bytes(b"in a folder below")
    (folder / "modeling.py").write_text("raise SystemExit")
    (folder / "weights.ckpt").write_bytes(b"a pickle")
    return tmp_path / "served"


@pytest.fixture
def ask(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[HubServer], Path]:
    """Point this process and its children at a Hub, with an empty cache; gives the cache's home."""

    def use(server: HubServer) -> Path:
        home = tmp_path / "home"
        monkeypatch.delenv("HF_HUB_CACHE", raising=False)
        monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
        for key, value in server.environment(home).items():
            monkeypatch.setenv(key, value)
        return home

    return use


def _told(ref: str = NAME, **more: object) -> str:
    """The one sentence that resolving ends in."""
    settings = Settings(**more)  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        hub.resolve(ref, settings, files=FILES)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_a_folder_is_taken_as_it_is_or_says_what_it_lacks(models: Path) -> None:
    folder = models / NAME
    assert hub.resolve(str(folder), Settings(), files=FILES) == folder
    assert hub.cached(str(folder), FILES) == folder
    for file in folder.glob("*.safetensors"):
        file.unlink()
    assert "lacks *.safetensors;" in _told(str(folder))  # the one in a folder below does not count
    (folder / "config.json").unlink()
    assert "lacks config.json and *.safetensors;" in _told(str(folder))
    assert hub.cached(str(folder), FILES) is None


@pytest.mark.parametrize(
    "ref", ["no-such", "./a/b", "/no/such", "a/b/c", "a--b/c", "a/b@../x", "a b/c", "a/b@", ""]
)
def test_what_is_neither_a_folder_nor_a_name_is_said(ref: str, tmp_path: Path) -> None:
    if ref:
        assert "owner/name@revision" in _told(ref)
    else:  # the empty path is the working folder
        assert "lacks" in _told(ref)
    assert hub.cached(ref, FILES) is None


def test_a_model_is_fetched_once_and_then_found_offline(
    models: Path, ask: Callable[[HubServer], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(models) as server:
        home = ask(server)
        assert hub.cached(NAME, FILES) is None
        folder = hub.resolve(NAME, Settings(), files=FILES)
        assert folder.is_relative_to(home)
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        assert names == {"config.json", "model-1.safetensors", "model-2.safetensors"}
        for name in names:
            assert (folder / name).read_bytes() == (models / NAME / name).read_bytes()
        asked = len(server.asked)
        assert hub.resolve(NAME, Settings(), files=FILES) == folder
        assert len(server.asked) == asked  # the second time nobody is asked
        pinned = f"{NAME}@{server.commit(NAME)}"
        assert hub.resolve(pinned, Settings(), files=FILES) == folder
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.resolve(NAME, Settings(offline=True), files=FILES) == folder
    assert hub.cached(NAME, FILES) == folder
    assert hub.cached(f"{NAME}@v2", FILES) is None
    assert hub.cached(NAME, ["config.json", "weights.ckpt"]) is None


def test_half_a_model_is_not_taken_for_the_whole(
    models: Path, ask: Callable[[HubServer], Path]
) -> None:
    with HubServer(models) as server:
        ask(server)
        folder = hub.resolve(NAME, Settings(), files=FILES)
        (folder / "model-2.safetensors").unlink()  # what a killed download leaves
        assert hub.cached(NAME, FILES) is None
        assert hub.resolve(NAME, Settings(), files=FILES) == folder
        assert (folder / "model-2.safetensors").is_file()
        shutil.rmtree(folder.parents[1] / "trees")  # as an older huggingface_hub leaves it
        assert hub.cached(NAME, FILES) == folder
        assert hub.cached(NAME, ["config.json", "weights.ckpt"]) is None


def test_code_and_pickles_come_by_their_full_name_only(
    models: Path, ask: Callable[[HubServer], Path]
) -> None:
    with HubServer(models) as server:
        ask(server)
        folder = hub.resolve(NAME, Settings(), files=["*"])
        assert not list(folder.glob("*.py")) and not list(folder.glob("*.ckpt"))
        wanted = ["config.json", "weights.ckpt"]
        folder = hub.resolve(NAME, Settings(), files=wanted, optional=["extra/*", "none.txt"])
        assert (folder / "weights.ckpt").read_bytes() == b"a pickle"
        assert (folder / "extra/other.safetensors").is_file()


def test_odd_names_of_a_hub_are_never_chosen() -> None:
    names = ["../up.json", "/etc/x.json", "a\\b.json", "ok.json", "deep/x.json", "x.PY"]
    assert _names.chosen(names, ["*.json", "*.PY", "../up.json"]) == ["ok.json"]


def test_offline_is_obeyed(
    models: Path, ask: Callable[[HubServer], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(models) as server:
        ask(server)
        assert "offline is set" in _told(offline=True)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert "HF_HUB_OFFLINE is set" in _told()
        assert server.asked == []


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "RepoNotFound", "no model"),  # how strangers are told of what they may not see
        (401, None, "refuses the model someone/a-model (HTTP 401)"),
        (401, "GatedRepo", "accepted its terms"),
        (403, None, "refuses the model someone/a-model (HTTP 403)"),
        (404, "RepoNotFound", "no model"),
        (503, None, "could not serve the model someone/a-model (HTTP 503)"),
    ],
)
def test_a_hub_that_refuses(
    models: Path, ask: Callable[[HubServer], Path], status: int, code: str | None, words: str
) -> None:
    with HubServer(models, status=status, code=code) as server:
        ask(server)
        assert words in _told()


def test_what_the_hub_does_not_have(models: Path, ask: Callable[[HubServer], Path]) -> None:
    with HubServer(models) as server:
        ask(server)
        assert "no model someone/else that you may see" in _told("someone/else")
        assert "no model someone/else.git that you may see" in _told("someone/else.git")
        assert "no such revision" in _told(f"{NAME}@v9")
        with pytest.raises(UserError, match=r"has no vocabulary\.\* and a\.bin, so"):
            hub.resolve(NAME, Settings(), files=["config.json", "vocabulary.*", "a.bin"])
        with pytest.raises(UserError, match="0 MB, more than the 0 MB"):
            hub.resolve(NAME, Settings(), files=FILES, most_mb=0)


@pytest.mark.parametrize("mode", ["mute", "drips"])  # nothing at all; a byte now and then
def test_a_hub_that_never_answers_is_cut(
    models: Path, ask: Callable[[HubServer], Path], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(hub, "PROBE_SECONDS", 1.0)
    with HubServer(models, mode=mode) as server:
        ask(server)
        assert "was silent for more than 1 s" in _told()
        assert len(server.asked) <= 1  # not time and again


@pytest.mark.slow
def test_a_download_that_stalls_is_cut_and_leaves_nothing_whole(
    models: Path, ask: Callable[[HubServer], Path]
) -> None:
    with HubServer(models, mode="stalls") as server:
        ask(server)
        assert "took longer than 8 s; raise fetch_seconds" in _told(fetch_seconds=8)
    assert hub.cached(NAME, FILES) is None
    with HubServer(models) as server:
        ask(server)
        folder = hub.resolve(NAME, Settings(), files=FILES)
    assert (folder / "model-1.safetensors").stat().st_size == 50_000


@pytest.mark.parametrize("size", [20_000, 9_000_000])  # seen at its end; stopped on the way
def test_a_file_longer_than_announced_is_thrown_away(
    models: Path, ask: Callable[[HubServer], Path], size: int
) -> None:
    for file in (models / NAME).rglob("*.*"):
        file.unlink()
    (models / NAME / "model-1.safetensors").write_bytes(bytes(size))
    with HubServer(models, mode="longer") as server:
        home = ask(server)
        with pytest.raises(UserError, match="of another size than it announced"):
            hub.resolve(NAME, Settings(), files=["*.safetensors"])
        assert hub.cached(NAME, ["*.safetensors"]) is None
        assert not any(file.stat().st_size > 1000 for file in home.rglob("*") if file.is_file())


def test_what_answers_is_no_hub(models: Path, ask: Callable[[HubServer], Path]) -> None:
    with HubServer(models, mode="stranger") as server:
        ask(server)
        assert "is not a Hugging Face Hub" in _told()


def test_progress_is_told_and_may_end_it(models: Path, ask: Callable[[HubServer], Path]) -> None:
    class Enough(Exception):
        pass

    def tell(step: str, done: float) -> None:
        if step == "fetch":
            raise Enough

    with HubServer(models) as server:
        ask(server)
        with pytest.raises(Enough):
            hub.resolve(NAME, Settings(), files=FILES, tell=tell)
        assert not any("resolve" in one for one in server.asked)  # the process went with it


def test_a_bug_of_the_process_keeps_its_traceback_and_hides_the_token(
    models: Path,
    ask: Callable[[HubServer], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sitecustomize gives the process a library that breaks on the token."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'erc_demo.hub._process' in ' '.join(sys.orig_argv):\n"
        "    import huggingface_hub\n"
        "    def broken(*given, **more):\n"
        "        raise LookupError('a bug with ' + os.environ['HF_TOKEN'])\n"
        "    huggingface_hub.snapshot_download = broken\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "odd"))
    monkeypatch.setenv("HF_TOKEN", "hf_nobodysToken")
    with HubServer(models) as server:
        ask(server)
        with pytest.raises(RuntimeError, match=r"LookupError: a bug with \[token\]") as caught:
            hub.resolve(NAME, Settings(), files=FILES)
    assert "hf_nobodysToken" not in str(caught.value)


def test_nobody_listens(
    models: Path, ask: Callable[[HubServer], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(models) as server:
        ask(server)
    with socket.socket() as free:  # bound and never listening: refused at once
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://me:secret@127.0.0.1:{free.getsockname()[1]}")
        sentence = _told()
    assert "can't be reached" in sentence and "secret" not in sentence


@pytest.mark.skipif(sys.platform == "win32", reason="a folder's mode does not bind there")
def test_a_cache_that_cannot_be_written(
    models: Path, ask: Callable[[HubServer], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with HubServer(models) as server:
        ask(server)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
        assert "can't be stored" in _told()


def test_the_cache_is_where_the_environment_says_now(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(key, raising=False)
    assert hub.cache_folder() == Path.home() / ".cache/huggingface/hub"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert hub.cache_folder() == Path("/x/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "/h")
    assert hub.cache_folder() == Path("/h/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "/c")
    assert hub.cache_folder() == Path("/c")
