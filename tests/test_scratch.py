"""Folders go with their process: at its end, and at the next start where it was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from erc_demo import scratch
from erc_demo.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from erc_demo import scratch
with scratch.folder(Path(sys.argv[1]), "job-") as folder:
    (folder / "sound").write_text("private")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_a_folder_is_gone_afterwards_also_when_something_was_raised(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch.folder(tmp_path, "job-") as folder:
        (folder / "deep").mkdir()
        assert folder.stat().st_mode & 0o077 == 0
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_killed_process_is_swept_after_and_a_living_one_is_not(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        assert scratch.sweep(tmp_path) == []
        assert (left / "sound").exists(), "its process still lives"
        process.kill()
    with scratch.folder(tmp_path, "job-") as mine:
        assert not left.exists()
        assert scratch.sweep(tmp_path) == [] and mine.exists()
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="can't be written .*the setting data"),
        scratch.folder(tmp_path / "file" / "jobs", "job-"),
    ):
        pass
