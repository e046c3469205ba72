"""The arrows of the house: nouns below, rooms beside each other, one corridor, doors on top.

Every import statement of both packages is read, also those inside functions; none is run. A new
file must be given its storey here, which is the moment to think about where it belongs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

NOUNS = {
    "errors": set(),
    "plugs": {"errors"},
    "settings": {"errors"},
    "emotions": {"errors"},
    "dialogue": {"errors", "emotions"},
    "findings": {"errors", "emotions", "dialogue"},
}
# The few arrows between rooms; every room may know every noun.
ROOMS = {
    "recording": set(),
    "hub": set(),
    "speech": set(),
    "voices": {"speech", "hub"},
    "turns": {"speech", "voices"},
    "words": {"speech", "hub"},
    "formats": set(),
    "score": {"formats"},
    "cache": set(),
    "jobs": set(),
    "terminal": set(),
    "features": {"cache", "speech", "voices", "hub"},
    "scratch": set(),
    "systems": set(),
    "explanation": set(),
    "figures": set(),
    "guests": {"features", "hub"},
    "checkpoint": {"features", "systems", "hub"},
}
CORRIDOR = {"analysis", "answers"}
DOORS = {"ui", "__main__", "doctor"}
PLAIN = {"torchaudio_guard"}  # knows nobody, and is known by the package itself
NOBODY = {"__version__"}  # no module: what the package says of itself

# Third-party libraries have rooms too; what is not listed may be used anywhere.
LIBRARIES = {
    "gradio": {"ui", "app"},
    "plotly": {"figures", "report", "trainer"},
    "av": {"recording"},
    "soundfile": {"recording"},
    "faster_whisper": {"speech", "words"},
    "ctranslate2": {"words"},
    "pocketsphinx": {"words", "trainer"},
    "opensmile": {"features"},
    "transformers": {"features", "guests", "systems"},
    "speechbrain": {"voices"},
    "torchaudio": set(),
    "huggingface_hub": {"hub", "trainer"},
    "praatio": {"formats"},
    "pympi": {"formats"},
    "pysubs2": {"formats"},
    "sklearn": {"turns", "trainer"},
    "jiwer": {"score"},
    "pyannote": {"score"},
    "torch": {
        *("voices", "words", "features", "systems", "guests", "checkpoint", "doctor", "trainer"),
    },
    "dask": {"jobs"},
    "distributed": {"jobs"},
    "parselmouth": {"features"},
    "optuna": {"trainer"},
    "accelerate": {"trainer"},
    "peft": {"trainer"},
    "trackio": {"trainer"},
}
STDLIB_ONLY_NOUNS = {"numpy"}


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, with the line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            module = node.module or ""
            yield module, node.lineno
            if module in ("erc_demo", "trainer"):
                for alias in node.names:
                    yield f"{module}.{alias.name}", node.lineno


def room(file: Path) -> str:
    """The room a file belongs to: ``erc_demo/words/whisper.py`` is in ``words``."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "trainer":
        return "trainer"
    return parts[1] if parts[0] == "erc_demo" else parts[0]


def files() -> list[Path]:
    return sorted([*ROOT.glob("erc_demo/**/*.py"), *ROOT.glob("trainer/**/*.py"), ROOT / "app.py"])


def allowed(here: str) -> set[str]:
    if here in NOUNS:
        return NOUNS[here] | {here}
    rooms = set(NOUNS) | {here}
    if here in ROOMS:
        return rooms | ROOMS[here]
    if here == "trainer":
        return rooms | set(ROOMS)
    return rooms | set(ROOMS) | CORRIDOR | DOORS


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_arrows(file: Path) -> None:
    here = room(file)
    if here == "__init__":
        return
    known = set(NOUNS) | set(ROOMS) | CORRIDOR | DOORS | PLAIN | {"trainer", "app"}
    assert here in known, f"{here} has no storey: give it one in this test"
    for module, line in imports(file):
        package, _, rest = module.partition(".")
        if package == "trainer":
            assert here in {"trainer"}, f"{file}:{line}: erc_demo never imports trainer"
        if package == "erc_demo" and rest:
            there = rest.split(".")[0]
            assert there in allowed(here) | NOBODY, (
                f"{file.name}:{line}: {here} must not know {there}"
            )
        if package in LIBRARIES:
            assert here in LIBRARIES[package], (
                f"{file.name}:{line}: {package} has no room in {here}"
            )
        if here in NOUNS and package not in sys.stdlib_module_names | {"erc_demo"}:
            assert package in STDLIB_ONLY_NOUNS, f"{file.name}:{line}: a noun needs no {package}"


def test_the_check_can_fail(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from erc_demo import turns\n    import av.audio\n")
    found = dict(imports(wrong))
    assert {"erc_demo.turns", "av.audio"} <= set(found)
    assert "turns" not in allowed("recording") and "recording" not in LIBRARIES["torch"]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['erc_demo', '--help']\n"
        "try:\n"
        "    from erc_demo.__main__ import main; main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'gradio', 'transformers', 'sklearn', 'scipy', 'av', 'faster_whisper'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "HEAVY []" in done.stdout, done.stdout + f" after {time.monotonic() - began:.1f} s"
    assert "transcribe" in done.stdout
