"""The README is true: its commands parse, its links lead somewhere, its tree is the tree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import erc_demo.__main__
import trainer.__main__

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARSERS = {"erc_demo": erc_demo.__main__.build, "trainer": trainer.__main__.build}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


def test_two_commands_set_everything_up() -> None:
    first, second = commands()[:2]
    assert first == "pip install -r requirements.txt && python app.py"
    assert second.startswith("pip install -e '.[test]' && python -m pytest")


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("python -m")])
def test_a_command_parses(command: str) -> None:
    program, *call = shlex.split(command)[2:]
    if program in PARSERS:
        PARSERS[program]().parse_args(call)
    else:
        assert (ROOT / f"{program.replace('.', '/')}.py").is_file(), program


def test_links_and_pictures_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_the_tree_names_what_is_there() -> None:
    (tree,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    folder = ROOT
    for line in tree.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = ROOT / name if name.endswith("/") else ROOT
            assert (ROOT / name).exists(), name
        else:
            assert (folder / name).exists(), f"{folder.name}/{name}"


def test_the_front_matter_is_what_a_space_reads() -> None:
    lines = README.split("---\n")[1].splitlines()
    matter = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert matter["sdk"] == "gradio" and matter["app_file"] == "app.py"
    major, minor = matter["sdk_version"].split(".")[:2]
    assert f"gradio>={major}.{minor}," in (ROOT / "requirements.txt").read_text()
    assert matter["python_version"].strip('"') == "3.11"
    assert len(matter["short_description"]) <= 60
