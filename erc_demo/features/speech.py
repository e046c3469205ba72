"""States of a large speech encoder by name: wav2vec 2.0, HuBERT or WavLM through transformers.

wav2vec 2.0 (Baevski et al. 2020, arxiv:2006.11477), HuBERT (Hsu et al. 2021, arxiv:2106.07447)
and WavLM (Chen et al. 2021, arxiv:2110.13900) share one shape: convolutions make a frame of 25 ms
every 20 ms out of the waveform, transformer layers read the frames. A row is a frame's state after
the layer that was asked for, or the mean of these over the turn.

``layer`` counts as transformers' ``hidden_states`` does: 0 is what the first layer reads (the
projected convolutions with their positions), 1 is its output; -1 is what the model gives, which in
the large ones is the last layer's output normalised once more. ``mean`` is the mean of 0 and all
layers, where a probe's weights begin (Yang et al. 2021, arxiv:2105.01051). The model's
preprocessor_config.json says whether a turn is first brought to zero mean and unit variance (over
the whole turn).

A turn beyond 20 s is read in windows of 20 s that share 2 s, of whose frames those are kept that
have at least 1 s of sound before and behind them: its frames number as many as in one piece, but
none sees further than its window. Models whose first convolution is normalised over time
(``feat_extract_norm="group"``, all the base ones) are spoiled by padding, so turns go through them
alone or with others of exactly their length, and so through WavLM; the rest are padded and masked.

An adapter on top of the encoder (made for translation) is left out. Whisper's encoder reads 30 s
whatever it is given, so its states of a short turn are mostly of padding; it is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.features import _contract, _encoders
from erc_demo.features._contract import SOUND, Utterance, speaker_norm
from erc_demo.features._preprocessor import exact, wishes
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "States of a speech encoder by name (wav2vec 2.0, HuBERT, WavLM), a turn or each 20 ms."
TERMS = ""
VERSION = "1"

FAMILIES = ("wav2vec2", "hubert", "wavlm")
PADDED = ("wav2vec2", "hubert")  # WavLM's masks are of two kinds, which PyTorch is giving up
WINDOW, CONTEXT = 20.0, 1.0  # seconds
BATCH = 60.0  # seconds of sound, padding included, that go through the network at once


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be asked for."""

    encoder: str = option("", "a folder or Hub name, such as facebook/wav2vec2-base-960h")
    layer: str = option("-1", "-1 the last, 0 what the first one reads, 1, 2 …, or mean of all")
    pool: str = option(
        "utterance", "utterance: mean over a turn; frame: all", ("utterance", "frame")
    )
    speaker_norm: str = speaker_norm()


class Window(NamedTuple):
    """A piece of a turn's sound, and which of its frames count."""

    turn: int  # place among the utterances
    first: int  # frame of the turn that the first counting frame is
    skip: int  # frames of context before it
    frames: int
    sound: np.ndarray


class Extractor(_contract.Extractor):
    """A speech encoder and the layer that is read."""

    hears = frozenset({SOUND})
    neural = True

    def __init__(self, options: Options, settings: Settings) -> None:
        """Load the model."""
        ref = options.encoder
        if not ref:
            raise UserError(
                "The features 'speech' need the name of a speech encoder; write, for instance, "
                "speech:encoder=facebook/wav2vec2-base-960h, or name a model's folder."
            )
        found = _encoders.load(ref, settings, kind=SOUND)
        self._model, self._device, config = found.model, found.device, found.config
        if config.model_type not in FAMILIES:
            raise UserError(
                f"The model {ref} is a {config.model_type}, and one of {', '.join(FAMILIES)} was "
                "wanted; name another encoder."
            )
        if getattr(self._model, "adapter", None) is not None:
            self._model.adapter = None
        asked = wishes(found.folder, ref)
        rate = asked.get("sampling_rate", RATE)
        if rate != RATE:
            raise UserError(
                f"The model {ref} hears sound at {rate} Hz, and recordings have {RATE} Hz here; "
                "name another encoder."
            )
        self._unit = bool(asked.get("do_normalize", True))
        self._pads = (
            config.model_type in PADDED
            and config.feat_extract_norm == "layer"
            and not getattr(config, "conv_pos_batch_norm", False)
        )
        self._layer = _layer(options.layer, config.num_hidden_layers, ref)
        self._hop, self._reach = 1, 1  # samples
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            self._reach += (kernel - 1) * self._hop
            self._hop *= stride

        frames = options.pool == "frame"
        self.level = "frame" if frames else "utterance"
        self.width = int(config.hidden_size)
        self.step = self._hop / RATE if frames else None
        self.reach = self._reach / RATE if frames else None
        self.version = f"{VERSION}-{found.fingerprint}-{'unit' if self._unit else 'plain'}"

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """The states of each turn."""
        windows = [
            window
            for turn, one in enumerate(utterances)
            for window in self._windows(turn, self._prepared(one))
        ]
        counts = np.bincount([one.turn for one in windows], [one.frames for one in windows])
        if self.level == "frame":
            found = [np.zeros((int(count), self.width), np.float32) for count in counts]
        else:
            found = [np.zeros((1, self.width), np.float64) for _ in counts]
        for window, states in self._through(windows):
            if self.level == "frame":
                found[window.turn][window.first : window.first + window.frames] = states
            else:
                found[window.turn] += states.sum(axis=0, dtype=np.float64) / counts[window.turn]
        return [one.astype(np.float32, copy=False) for one in found]

    def _prepared(self, utterance: Utterance) -> np.ndarray:
        """The sound as the model wants it, at least one frame long."""
        sound = utterance.heard
        if self._unit:
            mean = sound.mean(dtype=np.float64)
            spread = np.sqrt(sound.var(dtype=np.float64) + 1e-7)
            sound = ((sound - mean) / spread).astype(np.float32)
        return np.pad(sound, (0, max(0, self._reach - len(sound))))

    def _windows(self, turn: int, sound: np.ndarray) -> Iterator[Window]:
        frames = (len(sound) - self._reach) // self._hop + 1
        longest, context = (round(s * RATE / self._hop) for s in (WINDOW, CONTEXT))
        if frames <= longest:
            yield Window(turn, 0, 0, frames, sound)
            return
        step = longest - 2 * context
        for first in range(0, frames, step):
            last = min(frames, first + step)
            begin, end = max(0, first - context), min(frames, last + context)
            part = sound[begin * self._hop : (end - 1) * self._hop + self._reach]
            yield Window(turn, first, first - begin, last - first, part)

    def _through(self, windows: Sequence[Window]) -> Iterator[tuple[Window, np.ndarray]]:
        """Each window with its states, (frames, width), in groups of like length."""
        import torch

        for group in self._groups(windows):
            lengths = [len(window.sound) for window in group]
            batch = np.stack(
                [np.pad(one.sound, (0, lengths[-1] - len(one.sound))) for one in group]
            )
            given: dict[str, Any] = {"input_values": torch.from_numpy(batch).to(self._device)}
            if lengths[0] != lengths[-1]:
                mask = np.arange(lengths[-1]) < np.array(lengths)[:, None]
                given["attention_mask"] = torch.from_numpy(mask.astype(np.int64)).to(self._device)
            with torch.inference_mode(), exact():
                states = self._states(given).cpu().numpy()
            for window, one in zip(group, states, strict=True):
                yield window, one[window.skip : window.skip + window.frames]

    def _groups(self, windows: Sequence[Window]) -> Iterator[list[Window]]:
        """Windows that may share a batch, the shortest first."""
        group: list[Window] = []
        for window in sorted(windows, key=lambda one: len(one.sound)):
            length = len(window.sound)
            alike = self._pads or (group and length == len(group[-1].sound))
            if group and (not alike or (len(group) + 1) * length > BATCH * RATE):
                yield group
                group = []
            group.append(window)
        if group:
            yield group

    def _states(self, given: dict[str, Any]) -> Any:
        """The layer's states, (windows, frames, width)."""
        import torch

        if self._layer == -1:
            return self._model(**given).last_hidden_state
        states = self._model(**given, output_hidden_states=True).hidden_states
        if self._layer is None:
            return torch.stack(states).mean(dim=0)
        return states[self._layer]


def _layer(text: str, layers: int, ref: str) -> int | None:
    """The number of a layer, None for the mean of all."""
    if text == "mean":
        return None
    try:
        layer = int(text)
    except ValueError:
        layer = layers + 1
    if not -1 <= layer <= layers:
        raise UserError(
            f"The layer '{text}' of {ref} was asked for; it has 0 to {layers}, -1 is the last, and "
            "mean is the mean of all."
        )
    return layer
