"""Cards of checkpoints, and a push to a Hub of our own: what is sent, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_server import HubServer
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from erc_demo.errors import UserError
from trainer.card import card, results, tidy
from trainer.push import pack
from trainer.terms import licence, terms

REPO, TOKEN = "somebody/a-model", "hf_made_up"
MEASURES = {
    "weighted_f1": {"mean": 0.6123456, "sd": 0.01, "each": [0.6, 0.61], "low": 0.58, "high": 0.64},
    "ua": 0.5,
    "loss": {"mean": 1.25},
}
TRAINING = {
    "data": {"reference": "table:/home/me/corpora/iemocap", "sha256": "ab12"},
    "labels": ["iemocap6"],
    "protocol": "as-published:loso",
    "seed": 3,
    "split_sha256": "cd34",
    "measures": MEASURES,
    "published": {"weighted_f1": {"mean": 0.65}},
    "reported": "session1, session2",
    "plan": 'system = "ats_sagru"\ndata = "table:/home/me/corpora/iemocap"',
    "commit": "0123abc",
    "versions": {"torch": "2.13.0"},
    "selected_on": "validation",
}
DESIGN = {
    "system": "ats_sagru",
    "inputs": {"audio": ["gemaps47:speaker_norm=both"], "text": ["sentence"]},
    "widths": {"audio": 94, "text": 384},
    "labels": ["iemocap6"],
    "dimensions": [],
    "settings": {},
}
CONFIG: dict[str, Any] = {"layout": 1, "design": DESIGN, "features": {}, "training": TRAINING}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint as `fit` leaves it."""
    made = tmp_path / "run" / "checkpoint"
    made.mkdir(parents=True)
    weights = os.urandom(3000)
    (made / "model.safetensors").write_bytes(weights)
    config = CONFIG | {"sha256": hashlib.sha256(weights).hexdigest()}
    (made / "config.json").write_text(json.dumps(config))
    (made / "notes.txt").write_text("never sent")
    return made


def test_the_hub_reads_the_card_as_it_was_meant() -> None:
    made = ModelCard(card(CONFIG, name="a-model"))
    front = made.data.to_dict()
    assert front["pipeline_tag"] == "audio-classification"
    assert (front["license"], front["license_link"]) == ("other", "LICENSE")
    name, found = model_index_to_eval_results(front["model-index"])
    assert name == "a-model"
    assert [(one.metric_type, one.metric_value) for one in found] == [
        ("f1", 0.6123),
        ("recall", 0.5),
        ("loss", 1.25),
    ]
    assert {one.dataset_name for one in found} == {"IEMOCAP (iemocap6)"}
    assert {one.dataset_split for one in found} == {"session1, session2"}


def test_the_card_says_what_the_figures_hide() -> None:
    text = card(CONFIG, name="a-model")
    assert "| weighted F1 | 0.612 (sd 0.010 over 2 seeds, 95 % 0.580 to 0.640) | 0.650 |" in text
    assert "selected on the part that is reported" in text
    for word in ("research", "Not for decisions about people", "acted", "openSMILE", "USC SAIL"):
        assert word in text, word
    assert "python -m trainer fit" in text and 'data = "table:iemocap"' in text
    assert "/home" not in text


def test_a_record_of_nothing_makes_a_card_of_nothing() -> None:
    text = card({"design": {"system": "late_fusion"}, "training": {}}, name="bare")
    assert "None were recorded" in text and "model-index" not in text
    assert "Nothing further is recorded" in text
    assert results({"design": {}}, "somebody/iemocap6") == ""
    with pytest.raises(UserError, match="no 'unheard_of'"):
        card({"design": {"system": "unheard_of"}}, name="bare")


def test_terms_are_those_of_what_was_read() -> None:
    said = terms(CONFIG)
    assert len(said) == 2 and "gemaps47" in said[1]
    free = CONFIG | {"design": DESIGN | {"inputs": {"text": ["sentence"]}}}
    assert terms(free) == said[:1]
    assert "no commercial use" in licence(free)


def test_a_corpus_is_named_by_its_data_or_hedged() -> None:
    named = card(CONFIG, name="a-model")
    assert "It learned from IEMOCAP, acted" in named
    table = CONFIG | {"training": TRAINING | {"data": "table"}}
    hedged = card(table, name="a-model")
    assert "It learned from a corpus with the labels of IEMOCAP, if it is that one" in hedged
    assert terms(table)[0].startswith("By its labels")


def test_eval_results_are_what_the_hub_parses() -> None:
    made = yaml.safe_load(results(CONFIG, "somebody/benchmark"))
    first, second = parse_eval_result_entries(made)
    assert (first.dataset_id, first.task_id, first.value) == (
        "somebody/benchmark",
        "weighted_f1",
        0.6123,
    )
    assert second.task_id == "ua" and "as-published:loso" in str(second.notes)
    one_task = yaml.safe_load(results(CONFIG, "somebody/benchmark:default"))
    assert {one["dataset"]["task_id"] for one in one_task} == {"default"}
    with pytest.raises(UserError, match="OWNER/DATASET"):
        results(CONFIG, "iemocap")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("table:/home/me/x", "table:x"),
        ("~/corpora/x", "x"),
        ("/a/b/c.npz and owner/name", "c.npz and owner/name"),
        (r"C:\data\x", "x"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("loso", "loso"),
        (0.5, 0.5),
    ],
)
def test_paths_of_a_machine_do_not_travel(said: object, left: object) -> None:
    assert tidy(said) == left and tidy({"deep": [said]}) == {"deep": [left]}


def test_a_run_lends_its_figures(folder: Path) -> None:
    """To the card; the record itself goes as it is."""
    config = json.loads((folder / "config.json").read_text())
    config["training"] = {"labels": "iemocap6"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder.parent / "metrics.json").write_text(json.dumps({"measures": MEASURES, "n": 9}))
    parcel = pack(folder.parent, REPO)
    assert json.loads(parcel.texts["config.json"])["training"] == {"labels": "iemocap6"}
    assert "0.612" in parcel.texts["README.md"] and ".eval_results/iemocap6.yaml" in parcel.texts
    assert ".eval_results/iemocap6.yaml" not in pack(folder, REPO).texts


def test_what_is_no_checkpoint_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no checkpoint"):
        pack(tmp_path, REPO)
    with pytest.raises(UserError, match="OWNER/NAME was wanted"):
        pack(folder, "a-model")
    part = tmp_path / "folds" / "parts" / "session1-seed0" / "checkpoint"
    part.mkdir(parents=True)
    (part / "config.json").write_text("{}")
    with pytest.raises(UserError, match="session1-seed0 and none of its own"):
        pack(tmp_path / "folds", REPO)
    (folder / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="another sha256"):
        pack(folder, REPO)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"layout": 9}))
    with pytest.raises(UserError, match="has layout 9"):
        pack(folder, REPO)


Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def push(folder: Path, tmp_path: Path) -> Push:
    """Run the command against a Hub, with or without a token."""

    def run(
        server: HubServer | None, *flags: str, token: str = TOKEN, **more: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {key: one for key, one in os.environ.items() if not key.startswith("HF_")}
        environment = kept | {"HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        environment |= server.environment(tmp_path / "home") if server else {}
        environment |= ({"HF_TOKEN": token} if token else {}) | more
        return subprocess.run(
            [sys.executable, "-m", "trainer", "push", str(folder), REPO, *flags],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).resolve().parents[1],
        )

    return run


@pytest.fixture
def server(tmp_path: Path) -> HubServer:
    """A Hub that holds nothing yet."""
    (tmp_path / "hub").mkdir()
    return HubServer(tmp_path / "hub", token=TOKEN)


SENT = [".eval_results/iemocap6.yaml", "LICENSE", "README.md", "config.json", "model.safetensors"]


def test_a_push_is_one_private_commit_and_another_follows_it(
    server: HubServer, push: Push, folder: Path
) -> None:
    with server:
        done = push(server)
        assert done.returncode == 0, done.stderr
        assert f"{server.url}/{REPO}/commit/" in done.stdout
        assert [path for path, _ in server.files(REPO)] == SENT and len(server.commits) == 1
        assert server.private == {REPO}
        weights = server.root / REPO / "model.safetensors"
        assert weights.read_bytes() == (folder / "model.safetensors").read_bytes()
        assert "/home/me" not in (server.root / REPO / "config.json").read_text()
        assert push(server).returncode == 0 and len(server.commits) == 2
        server.private.clear()
        done = push(server)
        assert done.returncode == 2 and "exists and is public" in done.stderr
        server.private.add(REPO)
        (server.root / REPO / "data.csv").write_text("a,b")
        done = push(server)
        assert done.returncode == 2 and "other content (data.csv)" in done.stderr
        assert len(server.commits) == 2


def test_a_dry_run_asks_nobody(server: HubServer, push: Push) -> None:
    with server:
        done = push(server, "--dry-run", "--public", token="")
        assert done.returncode == 0 and not server.asked
    assert all(path in done.stdout for path in SENT) and "(public)" in done.stdout
    assert "pipeline_tag: audio-classification" in done.stdout


def test_public_wants_a_word(server: HubServer, push: Push, folder: Path) -> None:
    with server:
        done = push(server, "--public")
        assert done.returncode == 2 and "no terminal to ask at" in done.stderr
        assert not server.asked
        done = push(server, "--public", "--yes")
        assert done.returncode == 0 and server.private == set() and len(server.commits) == 1


def test_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    from trainer import push as pushing
    from trainer.__main__ import main

    ours, theirs = pty.openpty()
    sent: list[str] = []
    monkeypatch.setattr(pushing, "send", lambda parcel: sent.append(parcel.repo) or "there")
    with os.fdopen(theirs, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        os.write(ours, b"no\n")
        assert main(["push", str(folder), REPO, "--public"]) == 1 and not sent
        os.write(ours, b"yes\n")
        assert main(["push", str(folder), REPO, "--public"]) == 0 and sent == [REPO]
    os.close(ours)


@pytest.mark.parametrize(
    ("more", "flags", "said"),
    [
        ({}, {"token": ""}, "log in with `hf auth login`"),
        ({}, {"token": "hf_wrong"}, "refuses the push to somebody/a-model (HTTP 401"),
        ({"status": 403}, {}, "refuses the push to somebody/a-model (HTTP 403"),
        ({"status": 400}, {}, "could not take the push to somebody/a-model (HTTP 400"),
        ({"mode": "stranger"}, {}, "is not a Hugging Face Hub"),
        ({"mode": "mute"}, {"HF_HUB_DOWNLOAD_TIMEOUT": "1"}, "was silent for more than 1 s"),
        ({}, {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
    ids=str,
)
def test_a_refusal_is_one_sentence(
    tmp_path: Path, push: Push, more: dict[str, Any], flags: dict[str, str], said: str
) -> None:
    (tmp_path / "hub").mkdir()
    with HubServer(tmp_path / "hub", token=TOKEN, **more) as server:
        done = push(server, **flags)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not server.commits


def test_nobody_there(push: Push) -> None:
    done = push(None, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 2 and "can't be reached" in done.stderr, done.stderr
