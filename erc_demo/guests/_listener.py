"""What a guest hears of a turn, cut as it wants it, and the chances that it gives.

Sound is made ready by the model's own feature extractor of transformers, words are cut by its
tokenizer.json. What is longer than the model reads is cut in parts of equal length, whose chances
are averaged: 20 s of a waveform, what the extractor cuts at of Whisper (30 s) and of the audio
spectrogram transformer (10.24 s), a text encoder's positions. Inputs of exactly one shape share a
batch, so nothing is ever padded but what the extractor itself fills up.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.features import Extractor, Utterance
from erc_demo.features._contract import SOUND, WORDS
from erc_demo.features._preprocessor import FILES, exact, mark, wishes
from erc_demo.features._subwords import Subwords
from erc_demo.guests._network import Classifier

VERSION = "1"
LONGEST = 20.0  # seconds of a waveform in one piece: attention grows with the square
FRAME = 0.01  # seconds between two rows of the audio spectrogram transformer
AT_ONCE = {WORDS: 4096, SOUND: 60 * RATE}  # numbers of a batch

Inputs = dict[str, np.ndarray]  # of one part, without the batch's axis


class Listener(Extractor):
    """A classifier that hears turns one by one: its chances are the rows."""

    level = "utterance"
    neural = True

    def __init__(self, network: Classifier) -> None:
        self._network = network
        self.hears = frozenset({network.kind})
        self.width, self.columns = len(network.labels), network.labels

    @abstractmethod
    def parts(self, utterance: Utterance) -> int:
        """How many parts a turn is read in."""

    @abstractmethod
    def _inputs(self, utterance: Utterance) -> list[Inputs]:
        """What the network gets of each part of a turn."""

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """The chances of each turn's labels, float32 (1, labels)."""
        found = [np.zeros((1, self.width)) for _ in utterances]
        whose, inputs = [], []
        for turn, one in enumerate(utterances):
            these = self._inputs(one)
            whose += [(turn, len(these))] * len(these)
            inputs += these
        for group in self._groups(inputs):
            chances = self._chances([inputs[at] for at in group])
            for at, row in zip(group, chances, strict=True):
                turn, parts = whose[at]
                found[turn] += row / parts
        return [one.astype(np.float32) for one in found]

    def _groups(self, inputs: Sequence[Inputs]) -> Iterator[list[int]]:
        """Places of inputs of one shape, as many as go through together."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for at, one in enumerate(inputs):
            alike.setdefault(tuple((name, part.shape) for name, part in one.items()), []).append(at)
        for places in alike.values():
            size = max(part.size for part in inputs[places[0]].values())
            most = max(1, AT_ONCE[self._network.kind] // max(1, size))
            if self._network.kind == WORDS and self._network.model.config.pad_token_id is None:
                most = 1  # a decoder finds a text's end by the padding, or takes one at a time
            for first in range(0, len(places), most):
                yield places[first : first + most]

    def _chances(self, inputs: Sequence[Inputs]) -> np.ndarray:
        """Chances from the head's numbers, float64 (parts, labels)."""
        import torch

        network = self._network
        given = {
            name: torch.from_numpy(np.stack([one[name] for one in inputs])).to(network.device)
            for name in inputs[0]
        }
        try:
            with torch.inference_mode(), exact():
                logits = network.model(**given).logits.double().cpu().numpy()
        except Exception as exc:  # whatever a foreign network can make it raise
            detail = (" ".join(str(exc).split()) or type(exc).__name__)[:200].rstrip(".")
            raise UserError(f"The model {network.ref} failed ({detail}).") from exc
        if logits.shape != (len(inputs), self.width) or not np.isfinite(logits).all():
            raise UserError(
                f"The model {network.ref} gave {logits.shape} numbers, not all of them finite, "
                f"for {len(inputs)} inputs and {self.width} labels; copy it again."
            )
        if network.each:  # what a sigmoid gives each label, as a share of all
            logits = -np.logaddexp(0, -logits)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
        return found


class Hearer(Listener):
    """A classifier of sound."""

    def __init__(self, network: Classifier) -> None:
        """Read how the model wants its sound."""
        super().__init__(network)
        from transformers import AutoFeatureExtractor

        folder, ref = network.folder, network.ref
        asked = wishes(folder, ref)
        try:
            self._ready = AutoFeatureExtractor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as exc:  # whatever a foreign preprocessor_config.json can make it raise
            detail = " ".join(str(exc).split())[:200].rstrip(".")
            raise UserError(
                f"{FILES[0]} of the model {ref} can't be used ({detail}); copy the model again, or "
                "name another one."
            ) from exc
        rate = getattr(self._ready, "sampling_rate", None)
        if rate != RATE:
            raise UserError(
                f"The model {ref} hears sound at {rate or 'no known number of'} Hz, and recordings "
                f"have {RATE} Hz here; name another model."
            )
        self._takes = set(inspect.signature(network.model.forward).parameters)
        self._longest = _longest(self._ready)
        facts = mark(repr(sorted(asked.items(), key=str)))
        self.version = f"{VERSION}-{network.fingerprint}-{facts}"

    def parts(self, utterance: Utterance) -> int:
        """Equal parts that the extractor does not cut."""
        return max(1, -(-len(utterance.heard) // self._longest))

    def _inputs(self, utterance: Utterance) -> list[Inputs]:
        return [self._part(one) for one in np.array_split(utterance.heard, self.parts(utterance))]

    def _part(self, sound: np.ndarray) -> Inputs:
        own = np.array(sound, np.float32)  # PyTorch wants to be able to write
        made = self._ready(own, sampling_rate=RATE, return_tensors="np")
        return {
            name: part[0].astype(np.float32 if np.issubdtype(part.dtype, np.floating) else np.int64)
            for name, part in made.items()
            if name in self._takes
        }


def _longest(ready: Any) -> int:
    """Samples that an extractor leaves whole, or that go through a waveform's network at once."""
    if isinstance(samples := getattr(ready, "n_samples", None), int):  # Whisper's
        return samples
    if hasattr(ready, "num_mel_bins") and isinstance(getattr(ready, "max_length", None), int):
        return round(ready.max_length * FRAME * RATE)
    return round(LONGEST * RATE)


class Reader(Listener):
    """A classifier of words."""

    def __init__(self, network: Classifier) -> None:
        """Read the tokenizer."""
        super().__init__(network)
        self._subwords = words = Subwords(network.folder, network.ref)
        self._room = words.most - len(words.before) - len(words.after)
        if self._room < 1:
            raise UserError(f"The model {network.ref} has no room for a text; name another one.")
        self.version = f"{VERSION}-{network.fingerprint}-{words.fingerprint}-{words.most}"

    def parts(self, utterance: Utterance) -> int:
        """Equal parts that fit into the model's positions."""
        return max(1, -(-len(self._ids(utterance)) // self._room))

    def _ids(self, utterance: Utterance) -> np.ndarray:
        return self._subwords.cut(" ".join(utterance.words)).ids

    def _inputs(self, utterance: Utterance) -> list[Inputs]:
        before, after = self._subwords.before, self._subwords.after
        ids = self._ids(utterance)
        wholes = (
            np.concatenate([before, part, after]).astype(np.int64)
            for part in np.array_split(ids, self.parts(utterance))
        )
        return [{"input_ids": one, "attention_mask": np.ones_like(one)} for one in wholes]


def listener(network: Classifier) -> Listener:
    """The network's ear or eye."""
    return Hearer(network) if network.kind == SOUND else Reader(network)
