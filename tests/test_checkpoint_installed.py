"""What ships is found in an installed package as in a clone, from any working folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOOK = """
import json
from erc_demo import checkpoint, doctor, voices
from erc_demo.ui import STYLE
there = doctor.SHIPPED == checkpoint.EMBEDDED, voices.WEIGHTS.is_file(), STYLE.is_file()
print(json.dumps([str(checkpoint.EMBEDDED), str(checkpoint.find("ats_sagru")), *there]))
"""


@pytest.mark.slow
def test_a_wheel_carries_what_ships(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="SETUPTOOLS ABSENT: builds a wheel")
    source, here = tmp_path / "source", tmp_path / "installed"
    left = shutil.ignore_patterns("__pycache__", "figures", "results", "encoders", "checkpoints")
    for name in ("erc_demo", "trainer", "assets"):
        shutil.copytree(ROOT / name, source / name, ignore=left if name == "assets" else None)
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt"):
        shutil.copy(ROOT / name, source / name)
    one = source / "assets" / "checkpoints" / "ats_sagru"
    (one / ".eval_results").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "README.md", "LICENSE"):
        (one / name).write_text("{}")
    build = "from setuptools import build_meta as b; print(b.build_wheel('.'))"
    subprocess.run(
        [sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True
    )
    (wheel,) = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(here)
    found = here / "assets" / "checkpoints" / "ats_sagru"
    assert sorted(file.name for file in found.iterdir()) == sorted(
        file.name for file in one.iterdir() if file.is_file()
    )
    (tmp_path / "ats_sagru").mkdir()  # in the way, if names were looked up here
    told = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(here)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert json.loads(told) == [str(found.parent), str(found), True, True, True]
