"""``python -m trainer voices``: the GE2E speaker encoder, converted once, and its space.

The Resemblyzer wheel (Apache-2.0, Resemble AI, after CorentinJ/Real-Time-Voice-Cloning) carries
the weights of a GE2E encoder (Wan et al. 2018, arxiv:1710.10467) as a PyTorch checkpoint with
optimiser state. The wheel's own requirements need a compiler, so only the network's weights are
kept: half precision, safetensors, 2.8 MB, with the licence and a notice beside them. Half
precision costs nothing that can be heard: see tests/test_voices.py.

The space is what diarisation measures distances in: a two-covariance model (Ioffe 2006) of the
vectors of 1.6 and of 0.8 s side by side, estimated on clips of many speakers, each as it is and
as a telephone would carry it (300-3400 Hz, 8 kHz, mu-law). A speaker in one rendering is one
class, since within a call a voice does not change its line.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from erc_demo import recording, speech, turns
from erc_demo import voices as encoders
from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.settings import Settings

LAYERS = 3
WIDTH = 128  # dimensions of the space
SHRINK = 0.2  # of the scatter within, towards a ball
APART = 0.55  # seconds from one window of a clip to the next
NOTICE = """\
GE2E speaker encoder
====================

ge2e.safetensors holds the weights of the voice encoder of Resemblyzer 0.1.4
(https://github.com/resemble-ai/Resemblyzer), Copyright Resemble AI, licensed under the
Apache License, Version 2.0 (see LICENSE in this folder). Its network follows Wan et al.,
"Generalized end-to-end loss for speaker verification" (ICASSP 2018, arXiv:1710.10467).

Changed: the optimiser state and the two scalars of the training loss were left out, the
network's weights were rounded to half precision and stored as safetensors by
`python -m trainer voices`; nothing was trained further.

Made from pretrained.pt with SHA-256
{sha256}

space.safetensors is a two-covariance model of this encoder's vectors, estimated by
`trainer.voices.space` on the training speakers of two corpora: LibriSpeech (Panayotov et al.
2015, CC BY 4.0) and the National Speech Corpus of Singapore (IMDA, Singapore Open Data Licence).
It holds no voice and no sentence of theirs.
"""


def installed() -> Path:
    """The checkpoint of the installed Resemblyzer wheel, found without importing the wheel."""
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or spec.origin is None:
        raise UserError(
            "Resemblyzer is not installed; run 'pip install --no-deps Resemblyzer==0.1.4', "
            "or name its pretrained.pt with --from."
        )
    return Path(spec.origin).parent / "pretrained.pt"


def convert(source: Path, out: Path) -> Path:
    """Write ge2e.safetensors and NOTICE into a folder; the path of the weights."""
    import torch
    from safetensors.torch import save_file

    try:
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        state = torch.load(source, map_location="cpu", weights_only=True)["model_state"]
    except OSError as exc:
        raise UserError(f"The checkpoint {source} can't be opened: {exc.strerror}.") from exc
    except (KeyError, TypeError) as exc:
        raise UserError(
            f"{source} holds no 'model_state'; the pretrained.pt of Resemblyzer was wanted."
        ) from exc
    parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    wanted = [f"lstm.{part}_l{layer}" for layer in range(LAYERS) for part in parts]
    wanted += ["linear.weight", "linear.bias"]
    absent = [name for name in wanted if name not in state]
    if absent:
        raise UserError(f"{source} lacks {', '.join(absent)}; is it Resemblyzer's pretrained.pt?")
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: state[name].to(torch.float16).contiguous() for name in wanted}
    target = out / "ge2e.safetensors"
    save_file(weights, target, metadata={"source_sha256": sha256})
    target.chmod(0o644)
    (out / "NOTICE").write_text(NOTICE.format(sha256=sha256), encoding="utf-8")
    return target


def space(folder: Path, out: Path, tell: Callable[[float], None] | None = None) -> Path:
    """Estimate the space of GE2E's vectors on the training clips of a folder of voices.

    ``folder`` holds voices.csv (file, speaker, seconds, split) and the clips it names; only the
    speakers of its training part are read.
    """
    from safetensors.numpy import save_file

    try:
        with (folder / "voices.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    except (OSError, KeyError) as exc:
        raise UserError(f"{folder} has no voices.csv with a column 'split'.") from exc
    clips = [row for row in rows if float(row["seconds"]) >= 2]
    if not clips:
        raise UserError(f"{folder}/voices.csv names no training clip of 2 s or more.")
    out.mkdir(parents=True, exist_ok=True)
    encoder, random = encoders.GE2E(), np.random.default_rng(1)
    vectors: list[np.ndarray] = []
    classes: list[tuple[str, str]] = []
    for number, row in enumerate(clips):
        with tempfile.TemporaryDirectory() as job:
            clean = recording.read(folder / row["file"], Path(job), Settings()).sound()
        talking = speech.probabilities(clean)
        middles = np.arange(0.4, len(clean) / RATE - 0.3, APART)
        middles = middles[talking[(middles / speech.STEP).astype(int)] > 0.5]
        for rendering, sound in (("wide", clean), ("telephone", telephone(clean))):
            noise = random.normal(0, 10 ** (random.uniform(-75, -55) / 20), len(sound))
            sound = (sound * 10 ** (random.uniform(-10, 0) / 20) + noise).astype(np.float32)
            vectors.append(
                np.hstack([encoder.windows(sound, middles - s / 2, s) for s in turns.SCALES])
            )
            classes += [(row["speaker"], rendering)] * len(middles)
        if tell is not None:
            tell((number + 1) / len(clips))
    mean, basis, spread = two_covariance(np.vstack(vectors), classes)
    target = out / "space.safetensors"
    save_file(
        {
            "mean": mean.astype(np.float16),
            "basis": np.ascontiguousarray(basis, np.float32),
            "spread": spread.astype(np.float32),
        },
        target,
    )
    target.chmod(0o644)
    return target


def telephone(sound: np.ndarray) -> np.ndarray:
    """Sound as a telephone line carries it: 300-3400 Hz, 8 kHz, 8-bit mu-law (G.711's curve)."""
    from scipy.signal import butter, resample_poly, sosfilt

    band = butter(4, [300, 3400], "bandpass", fs=8000, output="sos")
    line = np.clip(sosfilt(band, resample_poly(sound, 1, 2)), -1, 1)
    code = np.round(127 * np.sign(line) * np.log1p(255 * np.abs(line)) / np.log(256)) / 127
    heard = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255
    return resample_poly(heard, 2, 1)[: len(sound)].astype(np.float32)


def two_covariance(
    vectors: np.ndarray, classes: list[tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, basis (width, ``WIDTH``) and spread of a two-covariance model.

    ``(x - mean) @ basis`` has unit covariance within a class and ``spread`` on the diagonal
    between classes: the generalised eigenvectors of the two scatters. The scatter of the
    classes' means holds a share of the scatter within, which is taken off.
    """
    from scipy.linalg import eigh

    mean = vectors.mean(axis=0)
    centred = vectors - mean
    _, label, count = np.unique(
        ["/".join(one) for one in classes], return_inverse=True, return_counts=True
    )
    means = np.zeros((len(count), vectors.shape[1]))
    np.add.at(means, label, centred)
    means /= count[:, None]
    rest = centred - means[label]
    within = rest.T @ rest / (len(vectors) - len(count))
    within += np.eye(len(within)) * SHRINK * np.trace(within) / len(within)
    between = means.T @ means / len(count) - within * np.mean(1 / count)
    value, side = eigh(between, within)
    order = np.argsort(-value)[:WIDTH]
    return mean, side[:, order], np.maximum(value[order], 1e-3)
