"""The torchaudio trap, set up with a package of our own, and the torchaudio that is installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TRAP = {  # what the parts of torchaudio that matter here look like
    "__init__.py": "from . import _extension\nfrom .functional import forced_align, resample\n",
    "_extension/__init__.py": """
from .utils import load, check, no_op
_IS_TORCHAUDIO_EXT_AVAILABLE = load()
_check_cuda_version = check
check()
_IS_ALIGN_AVAILABLE = True
fail_if_no_align = no_op
""",
    "functional.py": """
from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE, fail_if_no_align
@fail_if_no_align
def forced_align(emission):
    return "aligned"
def resample(wave):
    return "compiled" if _IS_TORCHAUDIO_EXT_AVAILABLE else "plain"
""",
}
HEALTHY = "def load(): return True\ndef check(): return None\ndef no_op(f): return f\n"
BROKEN = {
    "a library of CUDA that is absent": HEALTHY.replace(
        "return True", "raise OSError('libc10_cuda.so: cannot open shared object file')"
    ),
    "another CUDA than torch's": HEALTHY.replace(
        "return None", "raise RuntimeError('different CUDA versions')"
    ),
    "a part that is absent": HEALTHY.replace(
        "return True", "raise ImportError('Failed to load libtorchaudio')"
    ),
}
ASK = """
import torchaudio
print(torchaudio.resample(None))
try:
    print(torchaudio.forced_align(None))
except RuntimeError as exc:
    print(exc)
    print(type(exc.__cause__).__name__)
"""
GUARD = "import erc_demo\n"
STATE = """
from erc_demo import torchaudio_guard
print(type(torchaudio_guard.cause()).__name__)
"""


def _python(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    paths = f"import sys; sys.path[:0] = {[str(one) for one in folders]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", paths + code],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with a torchaudio of our own; its utils.py is written by the test."""
    for inside, text in TRAP.items():
        file = tmp_path / "torchaudio" / inside
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


@pytest.mark.parametrize("cause", BROKEN)
def test_broken_torchaudio_imports_with_the_guard_only(trap: Path, cause: str) -> None:
    (trap / "torchaudio/_extension/utils.py").write_text(BROKEN[cause])
    bare = _python(ASK, trap)
    assert bare.returncode == 1
    kind = bare.stderr.strip().splitlines()[-1].partition(":")[0]
    assert kind in {"OSError", "RuntimeError", "ImportError"}

    guarded = _python(GUARD + ASK + STATE, trap)
    assert guarded.returncode == 0, guarded.stderr
    way, sentence, origin, kept = guarded.stdout.splitlines()
    assert way == "plain"
    assert "forced_align" in sentence
    assert bare.stderr.strip().rpartition(": ")[2] in sentence  # the cause is named
    assert origin == kept == kind


def test_healthy_torchaudio_runs_untouched(trap: Path) -> None:
    (trap / "torchaudio/_extension/utils.py").write_text(HEALTHY)
    assert _python(ASK, trap).stdout.split() == ["compiled", "aligned"]
    guarded = _python(GUARD + ASK + STATE, trap)
    assert guarded.stdout.split() == ["compiled", "aligned", "NoneType"]


def test_a_missing_module_and_a_bug_are_not_hidden(trap: Path) -> None:
    utils = trap / "torchaudio/_extension/utils.py"
    utils.write_text("import no_such_torch\n" + HEALTHY)
    assert "No module named 'no_such_torch'" in _python(GUARD + ASK, trap).stderr
    utils.write_text(HEALTHY.replace("return True", "return 1 / 0"))
    assert "ZeroDivisionError" in _python(GUARD + ASK, trap).stderr


def test_installing_twice_adds_one_finder_and_no_heavy_import() -> None:
    code = """
import sys
import erc_demo
from erc_demo.torchaudio_guard import install, installed
before = list(sys.meta_path)
install()
print(installed(), sys.meta_path == before)
print(sorted({"torch", "numpy", "torchaudio", "gradio", "huggingface_hub"} & set(sys.modules)))
"""
    assert _python(code).stdout.splitlines() == ["True True", "[]"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torchaudio") is None, reason="no torchaudio")
def test_the_installed_libraries_import() -> None:
    code = """
import erc_demo, torch, torchaudio
from transformers import WhisperModel
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
wave = torch.sin(torch.arange(8000) / 9)
half = torchaudio.functional.resample(wave, 16000, 8000)
print(half.shape[-1], torchaudio.compliance.kaldi.fbank(wave[None], num_mel_bins=80).shape[1])
"""
    done = _python(code)
    assert done.stdout.split() == ["4000", "80"], done.stderr
