"""Where checkpoints come from: the program, a folder, the cache, a Hub of our own in every mood."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import HubServer
from saved import VOICE, answers, save

from erc_demo import checkpoint, hub
from erc_demo.checkpoint import CONFIG, WEIGHTS, _resolve
from erc_demo.errors import UserError
from erc_demo.settings import Settings

NAME, TOKEN = "someone/our-model", "hf_nobodysToken0123456789"
ONLINE = Settings()
PROBE = hub.PROBE_SECONDS
Use = Callable[[HubServer], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of other weights."""
    folder = tmp_path_factory.mktemp("made")
    save(folder / "one", reads=VOICE, seed=1)
    save(folder / "two", reads=VOICE, seed=2)
    return folder


def put(root: Path, made: Path, name: str = NAME) -> None:
    """Have a Hub hold that checkpoint, and nothing else under the name."""
    (root / name).mkdir(parents=True, exist_ok=True)
    for file in made.iterdir():
        (root / name / file.name).write_bytes(file.read_bytes())


@pytest.fixture
def root(tmp_path: Path, made: Path) -> Path:
    """What a Hub serves."""
    put(tmp_path / "served", made / "one")
    return tmp_path / "served"


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Ask that Hub, with a cache that stays the same through a test, on a machine of any load."""
    for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 30.0)
    monkeypatch.setattr(hub, "DROPS", 0)

    def at(server: HubServer) -> None:
        for key, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(key, value)

    return at


@pytest.fixture
def shipped(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The second checkpoint ships as ats_sagru."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "ats_sagru").symlink_to(made / "two")
    monkeypatch.setattr(_resolve, "EMBEDDED", tmp_path / "assets")
    return made / "two"


def same(loaded: checkpoint.Checkpoint, folder: Path) -> bool:
    """Whether it says what the folder's says."""
    there = checkpoint.load(str(folder), ONLINE)
    return np.array_equal(answers(loaded.system), answers(there.system))


def refused(ref: str, settings: Settings = ONLINE) -> str:
    """The one sentence that loading ends in."""
    with pytest.raises(UserError) as caught:
        checkpoint.load(ref, settings)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_a_checkpoint_is_fetched_once_with_progress(root: Path, made: Path, use: Use) -> None:
    told: list[tuple[str, float]] = []
    with HubServer(root) as server:
        use(server)
        one = checkpoint.load(NAME, ONLINE, tell=lambda step, done: told.append((step, done)))
        assert same(one, made / "one") and one.notices == () and one.name == NAME
        assert told[:3] == [("ask", 0.0), ("ask", 1.0), ("fetch", 0.0)] and told[-1] == (
            "fetch",
            1.0,
        )
        assert [done for step, done in told if step == "fetch"] == sorted(
            done for step, done in told if step == "fetch"
        )
        asked = len(server.asked)
        for ref in (NAME, f"{NAME}@{server.commit(NAME)}", f"ats_sagru={NAME}"):
            assert checkpoint.load(ref, ONLINE).sha256 == one.sha256
        assert len(server.asked) == asked


def test_a_pinned_revision_is_that_one_or_a_refusal(root: Path, made: Path, use: Use) -> None:
    with HubServer(root) as server:
        use(server)
        first = server.commit(NAME)
        assert same(checkpoint.load(f"{NAME}@{first}", ONLINE), made / "one")
        put(root, made / "two")
        second = server.commit(NAME)
        assert first != second
        assert same(checkpoint.load(f"{NAME}@{second}", ONLINE), made / "two")
        assert same(checkpoint.load(f"{NAME}@{first}", ONLINE), made / "one")  # from the cache
        assert "has no such revision" in refused(f"ats_sagru={NAME}@v9")


SICK = [
    ({"mode": "mute"}, "was silent for more than 0.5 s"),
    ({"mode": "drips"}, "was silent for more than 0.5 s"),
    ({"mode": "hides"}, "was silent for more than 0.6 s"),
    ({"mode": "stalls"}, "was silent for more than 0.6 s"),
    ({"mode": "truncates"}, "could not serve the model someone/our-model (it hung up)"),
    ({"mode": "stranger"}, "is not a Hugging Face Hub"),
    ({"mode": "odd"}, "is not a Hugging Face Hub"),
    ({"status": 500}, "could not serve the model someone/our-model (HTTP 500)"),
    ({"status": 429}, "could not serve the model someone/our-model (HTTP 429)"),
]


@pytest.mark.parametrize(("mood", "why"), SICK, ids=str)
def test_what_ships_stands_in_for_a_hub_that_is_not_there(
    root: Path,
    use: Use,
    shipped: Path,
    mood: dict[str, object],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HubServer(root, **mood) as server:  # type: ignore[arg-type]
        use(server)
        if mood.get("mode") in ("mute", "drips"):
            monkeypatch.setattr(hub, "PROBE_SECONDS", 0.5)
        elif mood.get("mode") in ("hides", "stalls"):
            monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.6)
        found = checkpoint.load(f"ats_sagru={NAME}", ONLINE)
    (notice,) = found.notices
    assert why in notice
    assert notice.endswith("; the ats_sagru that comes with this program answers instead.")
    assert same(found, shipped) and found.name == "ats_sagru"


def test_without_a_stand_in_it_is_one_sentence(
    root: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.5)
    with HubServer(root, mode="mute") as server:
        use(server)
        assert "was silent for more than 0.5 s" in refused(NAME)
    with socket.socket() as free:  # bound and never listening: refused at once
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        assert "can't be reached" in refused(NAME)
        assert "offline is set" in refused(NAME, Settings(offline=True))


def test_another_revision_that_was_fetched_stands_in(
    root: Path, made: Path, use: Use, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(root) as server:
        use(server)
        checkpoint.load(NAME, ONLINE)
        first = server.commit(NAME)
    put(root, made / "two")
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.5)
    with HubServer(root, mode="mute") as server:
        use(server)
        found = checkpoint.load(f"ats_sagru={NAME}@{server.commit(NAME)}", ONLINE)
        assert same(found, made / "one") and found.name == f"{NAME}@{first[:8]}"
        (notice,) = found.notices
        assert f"its revision {first[:8]}, which was fetched before, answers instead" in notice
        asked = len(server.asked)
        offline = checkpoint.load(f"{NAME}@v2", Settings(offline=True))
        assert same(offline, made / "one") and "offline is set" in offline.notices[0]
        assert len(server.asked) == asked


def test_silence_costs_three_seconds(root: Path, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(hub, "PROBE_SECONDS", PROBE)
    with HubServer(root, mode="mute") as server:
        use(server)
        began = time.monotonic()
        assert "was silent for more than 3 s" in refused(NAME)
        assert time.monotonic() - began < 30  # not the 60 that the library would have waited


def test_a_name_server_that_hangs_costs_no_more(
    root: Path, tmp_path: Path, use: Use, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs a sitecustomize before all else: the asking process gets such a resolver."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *asked, **more: time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "slow"))
    with HubServer(root) as server:
        use(server)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
        monkeypatch.setattr(hub, "PROBE_SECONDS", 0.5)
        found = checkpoint.load(f"ats_sagru={NAME}", ONLINE)
    assert "hub.example was silent for more than 0.5 s" in found.notices[0]


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, None, "refuses the model someone/our-model (HTTP 401)"),
        (401, "RepoNotFound", "has no model someone/our-model that you may see"),
        (403, None, "refuses the model someone/our-model (HTTP 403)"),
        (403, "GatedRepo", "given only to those who accepted its terms"),
        (404, "RepoNotFound", "has no model someone/our-model that you may see"),
        (404, None, "has no model someone/our-model that you may see"),
    ],
)
def test_what_the_hub_refuses_is_never_replaced(
    root: Path, use: Use, shipped: Path, status: int, code: str | None, says: str
) -> None:
    with HubServer(root, status=status, code=code) as server:
        use(server)
        assert says in refused(f"ats_sagru={NAME}")


def test_a_private_model_opens_to_its_owners_token(
    root: Path, made: Path, tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(root, token=TOKEN) as server:
        server.private.add(NAME)
        use(server)
        assert "that you may see" in refused(NAME)
        (tmp_path / "home").mkdir(exist_ok=True)
        (tmp_path / "home" / "token").write_text(TOKEN)  # as `hf auth login` leaves it
        assert same(checkpoint.load(NAME, ONLINE), made / "one")
        (tmp_path / "home" / "token").unlink()
        (tmp_path / "home" / "hub").rename(tmp_path / "first")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        assert same(checkpoint.load(NAME, ONLINE), made / "one")


@pytest.mark.parametrize(
    "mood",
    [
        {"status": 401},
        {"status": 403, "code": "GatedRepo"},
        {"status": 404},
        {"status": 500},
        {"mode": "stranger"},
        {"mode": "odd"},
        {"mode": "truncates"},
    ],
    ids=str,
)
def test_the_token_is_told_to_nobody_but_the_hub(
    root: Path,
    use: Use,
    mood: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A Hub here repeats it in its errors' texts and headers, and in its pages."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_DEBUG", "1")
    with HubServer(root, echo=True, **mood) as server:  # type: ignore[arg-type]
        use(server)
        with pytest.raises(UserError) as caught:
            checkpoint.load(NAME, ONLINE)
        assert server.tokens == {TOKEN}
    told = [str(caught.getrepr(chain=True, showlocals=True)), caplog.text, *capfd.readouterr()]
    assert not any(TOKEN in text for text in told)


def test_a_proxy_is_asked_where_the_environment_names_one(
    root: Path, made: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubServer(root) as server:
        use(server)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
        monkeypatch.setenv("HTTP_PROXY", server.url)
        monkeypatch.delenv("http_proxy", raising=False)
        assert same(checkpoint.load(NAME, ONLINE), made / "one") and server.asked


def test_which_system_is_expected_can_be_said(root: Path, made: Path, use: Use) -> None:
    one = made / "one"
    assert checkpoint.load(f"ats_sagru={one}", ONLINE).name == "one"
    said = refused(f"iaan={one}")
    assert "one holds a checkpoint of ats_sagru, and one of iaan was wanted" in said
    assert "erc_9000 is no system" in refused(f"erc_9000={one}")
    assert "neither a system" in refused("ats_sagru=./no/such/folder")
    with HubServer(root) as server:
        use(server)
        assert f"{NAME} holds a checkpoint of ats_sagru" in refused(f"iaan={NAME}")


def test_what_ships_is_what_its_name_says(
    made: Path, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a folder of the same name, wherever one stands, is not taken for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ats_sagru").symlink_to(made / "one")
    assert same(checkpoint.load("ats_sagru", ONLINE), shipped)
    assert same(checkpoint.load("./ats_sagru", ONLINE), made / "one")
    (shipped.parent / "x").mkdir(exist_ok=True)
    (tmp_path / "assets" / "iaan").symlink_to(made / "one")
    assert "iaan holds a checkpoint of ats_sagru" in refused("iaan")


def test_pickles_are_not_even_fetched(root: Path, use: Use) -> None:
    (root / NAME / WEIGHTS).unlink()
    torch.save({"nothing": torch.zeros(3)}, root / NAME / "pytorch_model.bin")
    with HubServer(root) as server:
        use(server)
        said = refused(f"ats_sagru={NAME}")
        assert "keeps its weights in pytorch_model.bin, a pickle" in said
        assert not any("resolve" in one for one in server.asked)
        (root / NAME / "pytorch_model.bin").unlink()
        assert f"has no {WEIGHTS}" in refused(NAME)
        (root / NAME / CONFIG).unlink()
        (root / NAME / "a.txt").touch()
        assert f"has no {CONFIG} and {WEIGHTS}" in refused(NAME)


def test_what_was_changed_on_the_hub_is_refused(root: Path, use: Use, shipped: Path) -> None:
    weights = root / NAME / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4] + b"none")
    with HubServer(root) as server:
        use(server)
        assert re.search(r"another sha256", refused(f"ats_sagru={NAME}"))
