"""Plugs are found by listing a folder, and imported only when asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from erc_demo import plugs
from erc_demo.errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "made_plugs"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("VALUE = 1\n")
    (package / "two.py").write_text("raise RuntimeError('imported')\n")
    (package / "_private.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return "made_plugs"


def test_the_listing_is_the_registry(folder: str) -> None:
    assert plugs.names(folder) == ["one", "two"]
    assert "made_plugs.two" not in sys.modules
    assert plugs.load(folder, "one").VALUE == 1


def test_a_wrong_name_lists_the_right_ones(folder: str) -> None:
    with pytest.raises(UserError, match="no 'three' in made_plugs; choose one of one, two"):
        plugs.load(folder, "three")
    with pytest.raises(UserError):
        plugs.load(folder, "_private")


def test_a_fault_inside_a_plug_keeps_its_traceback(folder: str) -> None:
    with pytest.raises(RuntimeError, match="imported"):
        plugs.load(folder, "two")
