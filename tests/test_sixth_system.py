"""A sixth system dropped into the folder is found by tests, command line and figures; taken out,
it is unknown again. ``tests/sixth/clstm.py`` goes into a copy of the package, nothing else does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SIXTH = Path(__file__).parent / "sixth" / "clstm.py"

DRAWING = """
from erc_demo import figures, systems
from erc_demo.dialogue import Dialogue, Span, Turn
from erc_demo.findings import Analysis
import turns_of_numbers as made

system = made.build(made.plan("clstm", dimensions=("valence", "arousal")))
given = made.conversation(system.design, 6, speakers="ABABBA")
turns = tuple(
    Turn(number=place + 1, speaker=who, span=Span(place, place + 0.9), text="well")
    for place, who in enumerate(given.speakers)
)
prediction = systems.predict(system, given)
view = figures.View(
    analysis=Analysis(dialogue=Dialogue(name="made", turns=turns), predictions=(prediction,)),
    system="clstm",
)
shown = {frozenset(one.axes) for one in prediction.maps}
assert shown == {frozenset({"branch", "label"})}, shown
for name in figures.possible(view):
    picture = figures.draw(name, view)
    assert picture.figure.data
    print(name)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of the contract test, with the sixth system in its folder."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(
        ROOT / "erc_demo", folder / "erc_demo", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "tests").mkdir()
    for name in ("conftest.py", "test_systems.py", "turns_of_numbers.py"):
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "assets").symlink_to(ROOT / "assets")
    shutil.copy(SIXTH, folder / "erc_demo" / "systems")
    return folder


def told(house: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What a fresh Python says that knows the copy only."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(house), str(house / "tests")]),
        "ERC_DEMO_DATA": str(house / "data"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=house,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_contract_takes_it_up(house: Path) -> None:
    found = told(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "clstm", "tests")
    assert found.returncode == 0, found.stdout[-3000:]
    passed = int(found.stdout.splitlines()[-1].split()[0])
    assert passed > 30, found.stdout  # five cases of every contract, the ablations among them


def test_the_command_line_lists_and_describes_it(house: Path) -> None:
    listed = told(house, "-m", "erc_demo", "systems")
    assert "clstm: A contextual LSTM over the turns" in listed.stdout, listed.stderr
    card = told(house, "-m", "erc_demo", "systems", "clstm").stdout
    assert "Poria" in card and "units = 300 (here 64)" in card and "h-LSTM: layers=lstm" in card
    refused = told(house, "-m", "erc_demo", "analyze", "call.wav", "--systems", "clstm")
    assert refused.returncode and "clstm has no trained checkpoint here" in refused.stderr


def test_figures_draw_its_maps(house: Path) -> None:
    found = told(house, "-c", DRAWING)
    assert found.returncode == 0, found.stderr
    assert "branches" in found.stdout.split(), found.stdout


def test_taken_out_it_is_unknown(house: Path) -> None:
    here, away = house / "erc_demo" / "systems" / SIXTH.name, house / SIXTH.name
    here.rename(away)
    try:
        listed = told(house, "-m", "erc_demo", "systems")
        card = told(house, "-m", "erc_demo", "systems", "clstm")
    finally:
        away.rename(here)
    assert listed.returncode == 0 and "ats_sagru" in listed.stdout
    assert "clstm" not in listed.stdout
    assert card.returncode and "There is no 'clstm' in systems" in card.stderr
