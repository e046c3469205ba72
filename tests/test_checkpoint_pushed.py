"""What `trainer push` puts on a Hub is what a stranger's machine loads from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer
from saved import SETTINGS, VOICE, answers, save

from erc_demo import checkpoint, hub
from erc_demo.errors import UserError
from erc_demo.settings import Settings

REPO, TOKEN = "somebody/a-model", "hf_made_up"
ROOT = Path(__file__).resolve().parents[1]


def test_a_pushed_checkpoint_answers_as_it_did_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = save(tmp_path / "mine", reads=VOICE, labels=("iemocap4", "meld7"), half=True)
    here = checkpoint.load(str(tmp_path / "mine"), SETTINGS)
    (tmp_path / "served").mkdir()
    for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 30.0)
    with HubServer(tmp_path / "served", token=TOKEN) as server:
        for key, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        subprocess.run(
            [sys.executable, "-m", "trainer", "push", str(tmp_path / "mine"), REPO],
            env=os.environ,
            cwd=ROOT,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(UserError, match="that you may see"):  # it was made private
            checkpoint.load(REPO, Settings())
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        there = checkpoint.load(f"ats_sagru={REPO}@{server.commit(REPO)}", Settings())
    assert there.system.design == here.system.design == system.design
    assert there.sha256 == here.sha256 and there.training == here.training
    assert there.features == here.features
    np.testing.assert_array_equal(answers(there.system), answers(here.system))
