"""Speaker vectors: the embedded GE2E encoder, or speechbrain's ECAPA and x-vector by name.

GE2E (Wan et al. 2018, arxiv:1710.10467) with the weights of Resemblyzer 0.1.4 (Apache-2.0): 40
slaney mel powers (not their logarithm) of 25 ms every 10 ms, three LSTM layers of 256, the last
hidden state through a linear layer and a ReLU, brought to unit length. An utterance is embedded
as Resemblyzer does it: volume raised to -30 dBFS, long silences trimmed, windows of 1.6 s half
overlapping, their mean, unit length. Two departures: the filterbank is built here (no librosa),
and silences are found by Silero VAD, not webrtcvad (which needs a compiler).

The models of speechbrain are built here from their published shapes and only their weights are
read, as plain tensors: their hyperparams.yaml is a program, and is never run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from erc_demo import speech
from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.hub import resolve
from erc_demo.settings import Settings

WEIGHTS = Path(__file__).resolve().parents[1] / "assets" / "voices" / "ge2e.safetensors"

WINDOW, HOP, MELS = 400, 160, 40  # samples, samples, bands
PART = 160  # mel frames of one window of an utterance, 1.6 s
RATE_OF_PARTS = 1.3  # windows a second
COVERAGE = 0.75  # of the last window that must be sound
QUIET = 10 ** (-30 / 20)  # RMS that soft sound is raised to
BATCH = 128  # windows embedded at once
FRAMES = 4096  # spectra made at once
REGION = 60.0  # seconds of sound read at once


@runtime_checkable
class Encoder(Protocol):
    """What turns sound into a vector of the voice. Vectors have unit length."""

    name: str
    version: str
    width: int

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """One utterance, float32 (frames,) at 16 kHz, as float32 (width,)."""
        ...

    def windows(self, sound: np.ndarray, starts: np.ndarray, seconds: float) -> np.ndarray:
        """Many windows of a long recording, float32 (windows, width).

        ``sound`` is (frames,), or (channels, frames) for the mix; ``starts`` are in seconds and
        grow; sound that lies outside the recording is silence.
        """
        ...


def load(ref: str, settings: Settings) -> Encoder:
    """The encoder of that name: ``ge2e``, or a folder or Hub name of a speechbrain model."""
    if ref == "ge2e":
        return GE2E()
    return Speechbrain(ref, settings)


@lru_cache(maxsize=4)
def filterbank(bands: int = MELS, bins: int = WINDOW // 2 + 1) -> np.ndarray:
    """Triangles of equal area on Slaney's mel scale, float32 (bands, bins), 0 to 8 kHz.

    The scale (Slaney 1998, Auditory Toolbox) is linear below 1 kHz, 200/3 Hz a mel, and
    logarithmic above, 27 steps to a factor of 6.4.
    """

    def mel(hertz: float) -> float:
        return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000)) / LOG

    steps = np.linspace(mel(0.0), mel(RATE / 2), bands + 2)
    edges = np.where(steps < 15, steps * 200 / 3, 1000 * np.exp((steps - 15) * LOG / 27))
    hertz = np.linspace(0, RATE / 2, bins)
    low, top, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (hertz - low) / (top - low), (high - hertz) / (high - top)
    triangles = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return triangles.astype(np.float32)


LOG = float(np.log(6.4))


def mel_power(sound: np.ndarray, edge: int = WINDOW // 2, bands: int = MELS) -> np.ndarray:
    """Mel powers, float32 (frames, bands), of 25 ms every 10 ms.

    With ``edge`` zeros added at both ends, frame t is centred on sample 160 t; with none, the
    sound brings its own edges. Spectra are made of some frames at a time, for a turn may be long.
    """
    padded = np.pad(sound.astype(np.float32, copy=False), edge)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)
    found = np.empty((len(frames), bands), np.float32)
    for start in range(0, len(frames), FRAMES):
        part = frames[start : start + FRAMES] * hann
        power = np.square(np.abs(np.fft.rfft(part, axis=1))).astype(np.float32)
        found[start : start + FRAMES] = power @ filterbank(bands).T
    return found


def trimmed(sound: np.ndarray) -> np.ndarray:
    """The utterance without its long silences; all of it where no speech is found."""
    probability = speech.probabilities(sound)
    options = speech.Options(begin=0.5, end=0.35, pause=0.2, least=0.0, pad=0.1)
    parts = [sound[span.slice] for span in speech.spans(probability, options)]
    return np.concatenate(parts) if parts else sound


def raised(sound: np.ndarray) -> np.ndarray:
    """The sound at -30 dBFS or more: soft sound is raised, loud sound is left."""
    level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0
    return sound * np.float32(QUIET / level) if 1e-7 < level < QUIET else sound


def levelled(sound: np.ndarray) -> np.ndarray:
    """The sound at -30 dBFS, whatever it was; silence stays silence."""
    level = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else 0.0
    return sound * np.float32(QUIET / level) if level > 1e-7 else sound


def parts(samples: int) -> list[int]:
    """The first mel frame of each 1.6 s window of an utterance; always at least one."""
    frames = -(-(samples + 1) // HOP)
    step = round(RATE / RATE_OF_PARTS / HOP)
    starts = list(range(0, max(1, frames - PART + step + 1), step))
    covered = (samples - starts[-1] * HOP) / (PART * HOP)
    return starts[:-1] if covered < COVERAGE and len(starts) > 1 else starts


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors brought to length 1 along the last axis; a vector of zeros stays one."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-9)).astype(np.float32)


class GE2E:
    """The embedded encoder; 256 numbers, none below 0."""

    name = "ge2e"
    version = "resemblyzer-0.1.4-fp16"
    width = 256

    def __init__(self, weights: Path = WEIGHTS) -> None:
        """Read the weights."""
        self._net = _ge2e(weights)

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """One utterance as Resemblyzer embeds it."""
        return self.embed_trimmed(trimmed(raised(np.asarray(sound, np.float32))))

    def embed_trimmed(self, sound: np.ndarray) -> np.ndarray:
        """One utterance whose silences are gone and whose level is set."""
        starts = parts(len(sound))
        need = (starts[-1] + PART) * HOP
        mel = mel_power(np.pad(sound, (0, max(0, need - len(sound)))))
        found = [
            self._net(np.stack([mel[start : start + PART] for start in starts[at : at + BATCH]]))
            for at in range(0, len(starts), BATCH)
        ]
        return unit(np.concatenate(found).mean(axis=0))

    def windows(self, sound: np.ndarray, starts: np.ndarray, seconds: float) -> np.ndarray:
        """Windows of a long recording, each raised to -30 dBFS by itself."""
        length = max(1, round(seconds * RATE / HOP))
        first = np.round(np.asarray(starts) * RATE / HOP).astype(int)
        found = np.zeros((len(first), self.width), np.float32)
        for group in _groups(first, round(REGION * RATE / HOP)):
            begin, end = first[group[0]] * HOP, (first[group[-1]] + length) * HOP
            # with what lies around it, so that no window depends on its neighbours in the batch
            part = _piece(sound, begin - WINDOW // 2, end + WINDOW // 2)
            mel = mel_power(part, edge=0)
            inner = np.square(part[WINDOW // 2 :], dtype=np.float64)
            energy = np.concatenate([[0.0], np.cumsum(inner)])
            at = first[group] - first[group[0]]
            power = (energy[(at + length) * HOP] - energy[at * HOP]) / (length * HOP)
            factor = np.maximum(1.0, QUIET**2 / np.maximum(power, 1e-12)).astype(np.float32)
            batch = mel[at[:, None] + np.arange(length)] * factor[:, None, None]
            found[group] = self._net(batch)
        return found


def _groups(first: np.ndarray, reach: int) -> list[np.ndarray]:
    """Indices of windows in batches that lie near each other in time."""
    batches: list[list[int]] = []
    for index, start in enumerate(first):
        near = batches and start - first[batches[-1][0]] <= reach
        if not near or len(batches[-1]) >= BATCH:
            batches.append([])
        batches[-1].append(index)
    return [np.array(batch) for batch in batches]


def _piece(sound: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Samples begin to end of a signal or of a mix, with silence outside the recording."""
    inside = np.asarray(sound[..., max(0, begin) : max(0, end)], np.float32)
    if inside.ndim == 2:
        inside = inside.mean(axis=0)
    before = max(0, -begin)
    return np.pad(inside, (before, end - begin - before - len(inside)))


def _ge2e(weights: Path) -> Any:
    import torch
    from safetensors.torch import load_file

    lstm = torch.nn.LSTM(MELS, 256, 3, batch_first=True)
    linear = torch.nn.Linear(256, 256)
    state = {key: value.float() for key, value in load_file(weights).items()}
    torch.nn.ModuleDict({"lstm": lstm, "linear": linear}).load_state_dict(state)

    def net(mel: np.ndarray) -> np.ndarray:
        with _alone():
            _, (hidden, _) = lstm(torch.from_numpy(np.ascontiguousarray(mel)))
            raw = torch.relu(linear(hidden[-1])).numpy()
        return unit(raw)

    return net


def states(layer: int, weights: Path = WEIGHTS) -> Callable[[np.ndarray], np.ndarray]:
    """What makes of mel powers (n, frames, 40) the hidden states of GE2E's layer 1, 2 or 3."""
    import torch
    from safetensors.torch import load_file

    lstm = torch.nn.LSTM(MELS, 256, layer, batch_first=True)
    stored = load_file(weights)
    lstm.load_state_dict({key: stored[f"lstm.{key}"].float() for key in lstm.state_dict()})

    def net(mel: np.ndarray) -> np.ndarray:
        with _alone():
            found: np.ndarray = lstm(torch.from_numpy(np.ascontiguousarray(mel)))[0].numpy()
        return found

    return net


@contextmanager
def _alone() -> Iterator[None]:
    """Inference on one thread: an LSTM's steps are too short to share.

    Threads that wait for each other at every step cost ten times as much as soon as the machine is
    busy.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)


# speechbrain's published shapes, told apart by the first layer of their weights
_FIRST = "blocks.0.conv.conv.weight"  # ECAPA (1024, 80, 5)
_FIRST_X = "blocks.0.conv.weight"  # x-vector (512, 24, 5)
SHORTEST = 1600  # samples; less makes the padding of a convolution longer than its input
LONGEST = 10 * RATE  # samples; more is cut into equal parts


class Speechbrain:
    """ECAPA-TDNN or x-vector weights of speechbrain, in a network built here.

    ``ref`` is a folder or a Hub name that holds embedding_model.ckpt. As in speechbrain's
    ``encode_batch``, features are centred over the utterance and vectors are not centred. Windows
    are embedded in batches of one length, so that a vector does not depend on its batch. An
    utterance of more than 10 s is embedded in equal parts of at most that length, one by one (its
    features centred over each part), and its vector is their mean, brought to unit length.
    """

    def __init__(self, ref: str, settings: Settings) -> None:
        """Find the weights, read them as tensors only, and build the network that they fit."""
        folder = resolve(ref, settings, files=["embedding_model.ckpt"])
        state = _tensors(folder / "embedding_model.ckpt")
        self._net, self._features, self.width, kind = _speechbrain(state, ref)
        self.name = f"{kind}:{Path(ref).name}"
        self.version = _fingerprint(state)

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """One utterance, its silences trimmed."""
        whole = trimmed(np.asarray(sound, np.float32))
        parts = np.array_split(whole, max(1, -(-len(whole) // LONGEST)))
        return unit(np.mean([self._batch(part[None])[0] for part in parts], axis=0))

    def windows(self, sound: np.ndarray, starts: np.ndarray, seconds: float) -> np.ndarray:
        """Windows of a long recording."""
        length = round(seconds * RATE)
        first = np.round(np.asarray(starts) * RATE).astype(int)
        found = np.zeros((len(first), self.width), np.float32)
        for begin in range(0, len(first), 32):
            part = first[begin : begin + 32]
            batch = np.stack([_piece(sound, start, start + length) for start in part])
            found[begin : begin + 32] = self._batch(batch)
        return found

    def _batch(self, sounds: np.ndarray) -> np.ndarray:
        import torch

        short = max(0, SHORTEST - sounds.shape[1])
        padded = np.pad(sounds, ((0, 0), (0, short))).astype(np.float32)
        with torch.inference_mode():
            features = self._features(torch.from_numpy(padded))
            features = features - features.mean(dim=1, keepdim=True)  # as InputNormalization does
            raw = self._net(features).squeeze(1).numpy()
        return unit(raw)


def _tensors(path: Path) -> dict[str, Any]:
    """A checkpoint's tensors; anything that is not plain data is refused unread."""
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as exc:
        reason = str(exc).splitlines()[0]
        raise UserError(
            f"{path.name} can't be read as plain weights ({reason}); "
            "was the download cut short, or is it not a speechbrain checkpoint?"
        ) from exc
    if not isinstance(state, dict):
        raise UserError(f"{path.name} holds {type(state).__name__}, not a model's weights.")
    return state


def _speechbrain(state: dict[str, Any], ref: str) -> tuple[Any, Any, int, str]:
    """Network, features, width and kind that fit the weights."""
    from speechbrain.lobes.features import Fbank

    _drop_redirects()
    if _FIRST in state:
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        channels, mels = state[_FIRST].shape[:2]
        width = state["fc.conv.weight"].shape[0]
        net = ECAPA_TDNN(mels, lin_neurons=width, channels=[channels] * 4 + [3 * channels])
        kind = "ecapa"
    elif _FIRST_X in state:
        from speechbrain.lobes.models.Xvector import Xvector

        mels = state[_FIRST_X].shape[1]
        width = next(reversed([v for k, v in state.items() if k.endswith("w.weight")])).shape[0]
        net, kind = Xvector(in_channels=mels, lin_neurons=width), "xvector"
    else:
        raise UserError(
            f"{ref} holds neither an ECAPA-TDNN nor an x-vector of speechbrain; "
            "speechbrain/spkrec-ecapa-voxceleb and speechbrain/spkrec-xvect-voxceleb are."
        )
    try:
        net.load_state_dict(state)
    except RuntimeError as exc:
        raise UserError(
            f"The weights of {ref} do not fit speechbrain's published {kind}: "
            f"{str(exc).splitlines()[-1].strip()}."
        ) from exc
    net.eval()
    return net, Fbank(n_mels=mels), int(width), kind


def _drop_redirects() -> None:
    """Take speechbrain's stand-ins for modules that were renamed out of ``sys.modules``.

    Asked for any attribute they import their target, and raise where that needs a package which is
    not installed; and there are those who ask every module for its ``__file__``, as Dask does.
    """
    from speechbrain.utils.importutils import LazyModule

    for name, module in list(sys.modules.items()):
        if isinstance(module, LazyModule):
            del sys.modules[name]


def _fingerprint(state: dict[str, Any]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
