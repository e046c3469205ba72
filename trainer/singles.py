"""Single turns as a text or speech encoder takes them in, and the means of its states over them.

The tokens and the sound are those that the extractors ``sentence`` and ``speech`` give the same
network; an encoder that these refuse is refused here. A turn that is too long for one window keeps
its first tokens, or its first 20 s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erc_demo import recording
from erc_demo.dialogue import RATE, Dialogue, Span
from erc_demo.errors import UserError
from erc_demo.features import Spec, ready
from erc_demo.features._contract import SOUND, WORDS
from erc_demo.features._encoders import config_of, load
from erc_demo.features._preprocessor import wishes
from erc_demo.features._subwords import Subwords
from erc_demo.features._utterances import Given
from erc_demo.features.speech import BATCH, PADDED, WINDOW
from erc_demo.settings import Settings
from trainer.datasets import Corpus, Labelled, some


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Single:
    """A labelled turn by itself; ``read`` gives token numbers, or samples."""

    name: str
    label: int
    size: int  # tokens or samples
    read: Callable[[], np.ndarray]


class Source(ABC):
    """An encoder, and how turns become its input."""

    sense: str  # text or speech
    kind: str  # what its network hears
    lacking: str  # of turns that have no input
    beside: tuple[str, ...]  # files that belong to the encoder beside its weights

    def __init__(self, ref: str, settings: Settings, spec: Spec, place: Path) -> None:
        """Load the network; ``place`` is for files that are needed as long as the turns are."""
        self.extractor = ready(spec, settings)
        encoder = load(ref, settings, kind=self.kind)
        config = config_of(encoder.folder, ref)
        if config.get("is_encoder_decoder") or config["model_type"] != encoder.config.model_type:
            raise UserError(
                f"The model {ref} is more than an encoder (a {config['model_type']}), and what is "
                "tuned is written as one; name an encoder such as minilm or roberta-base."
            )
        self.ref, self.settings, self.place = ref, settings, place
        self.folder, self.model, self.device = encoder.folder, encoder.model, encoder.device
        self.width, self.fingerprint = int(encoder.config.hidden_size), encoder.fingerprint

    def ready_to_learn(self, network: Any) -> None:
        """Free what is to be learned."""
        network.requires_grad_(True)

    @abstractmethod
    def read(self, one: Labelled) -> Iterator[tuple[int, int, Callable[[], np.ndarray]]]:
        """The place, the size and the reader of each turn that has an input."""

    @abstractmethod
    def groups(self, batch: Sequence[Single]) -> list[list[Single]]:
        """Turns that go through the network together."""

    @abstractmethod
    def means(self, network: Any, group: Sequence[Single]) -> Tensor:
        """(turns, width): the mean of the last layer's states over each turn."""


def singles(corpus: Corpus, names: Sequence[str], source: Source) -> tuple[list[Single], list[str]]:
    """The labelled turns of some dialogues, and a sentence on those that have no input."""
    main = corpus.ask.labels[0]
    found, lacking = [], []
    for one in corpus.of(names):
        labels = one.labels[main]
        there = set()
        for place, size, read in source.read(one):
            there.add(place)
            if labels[place] >= 0:
                found.append(
                    Single(name=one.ids[place], label=int(labels[place]), size=size, read=read)
                )
        lacking += [one.ids[at] for at in np.flatnonzero(labels >= 0) if at not in there]
    remarks = []
    if lacking:
        remarks.append(
            f"{len(lacking)} labelled turns {source.lacking} and are left out ({some(lacking)})."
        )
    return found, remarks


class Text(Source):
    """Words, cut by the encoder's own tokenizer."""

    sense, kind = "text", WORDS
    lacking = "have no words"
    beside = (
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
        "vocab.json", "merges.txt", "spm.model", "sentencepiece.bpe.model",
    )  # fmt: skip

    def __init__(self, ref: str, settings: Settings, place: Path) -> None:
        """Load the tokenizer, too."""
        super().__init__(ref, settings, Spec("sentence", {"encoder": ref}), place)
        self.subwords = Subwords(self.folder, ref)
        self.padding = self.model.config.pad_token_id or 0

    def read(self, one: Labelled) -> Iterator[tuple[int, int, Callable[[], np.ndarray]]]:
        """[CLS] words [SEP], in the tokenizer's own special tokens."""
        head, tail = self.subwords.before, self.subwords.after
        room = self.subwords.most - len(head) - len(tail)
        for place, turn in enumerate(one.dialogue.turns):
            if turn.said:
                ids = self.subwords.cut(" ".join(turn.said)).ids[:room]
                whole = np.concatenate([head, ids, tail]).astype(np.int64)
                yield place, len(whole), partial(np.asarray, whole)

    def groups(self, batch: Sequence[Single]) -> list[list[Single]]:
        """All of them."""
        return [list(batch)]

    def means(self, network: Any, group: Sequence[Single]) -> Tensor:
        """Over all tokens, the special ones among them."""
        rows = [torch.from_numpy(one.read()) for one in group]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.padding)
        counts = torch.tensor([len(row) for row in rows])
        mask = (torch.arange(ids.shape[1]) < counts[:, None]).to(self.device)
        given = {"input_ids": ids.to(self.device), "attention_mask": mask.long()}
        states = network(**given).last_hidden_state
        total: Tensor = (states * mask[..., None]).sum(dim=1)
        return total / counts.to(self.device)[:, None]


class Speech(Source):
    """Sound, as the encoder's own preprocessor wants it."""

    sense, kind = "speech", SOUND
    lacking = "have no sound"
    beside = ("preprocessor_config.json", "processor_config.json")

    def __init__(self, ref: str, settings: Settings, place: Path) -> None:
        """See how long a frame is and whether turns may be padded."""
        super().__init__(ref, settings, Spec("speech", {"encoder": ref}), place)
        config = self.model.config
        self.unit = bool(wishes(self.folder, ref).get("do_normalize", True))
        self.pads = (
            config.model_type in PADDED
            and config.feat_extract_norm == "layer"
            and not getattr(config, "conv_pos_batch_norm", False)
        )
        self.hop, self.reach = 1, 1  # samples from frame to frame, and of one frame
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            self.reach += (kernel - 1) * self.hop
            self.hop *= stride
        config.add_adapter = False  # the extractor takes away what was made for translation

    def ready_to_learn(self, network: Any) -> None:
        """The layers behind the convolutions."""
        super().ready_to_learn(network)
        network.feature_extractor._freeze_parameters()  # HuBERT's model has no public name for it
        network.config.apply_spec_augment = False

    def read(self, one: Labelled) -> Iterator[tuple[int, int, Callable[[], np.ndarray]]]:
        """Each turn's sound, from the dialogue's recording or from a clip of its own."""
        for place, given, at in self._given(one):
            if given.look(at, self.extractor)[0]:
                sound = self._sound(given, at)
                yield place, len(sound), partial(self._sound, given, at)

    def _given(self, one: Labelled) -> Iterator[tuple[int, Given, int]]:
        """Place in the dialogue, and where its sound is to be found."""
        if not one.clips:
            if one.sound is not None:
                made = recording.read(one.sound, self._folder(), self.settings)
                given = Given(one.dialogue, made)
                yield from ((place, given, place) for place in range(len(one.ids)))
            return
        for place, (turn, clip) in enumerate(zip(one.dialogue.turns, one.clips, strict=True)):
            if clip is not None:
                made = recording.read(clip, self._folder(), self.settings)
                whole = replace(turn, span=Span(0.0, made.duration), words=(), channel=None)
                yield place, Given(Dialogue(name=one.ids[place], turns=(whole,)), made), 0

    def _folder(self) -> Path:
        return self.place / str(sum(1 for _ in self.place.iterdir()))

    def _sound(self, given: Given, at: int) -> np.ndarray:
        """As the network reads it: one frame or more, 20 s at most."""
        sound = given.utterance(at, self.extractor).heard
        if self.unit:
            spread = np.sqrt(sound.var(dtype=np.float64) + 1e-7)
            sound = ((sound - sound.mean(dtype=np.float64)) / spread).astype(np.float32)
        sound = np.pad(sound, (0, max(0, self.reach - len(sound))))
        return sound[: round(WINDOW * RATE)]

    def groups(self, batch: Sequence[Single]) -> list[list[Single]]:
        """Of like length where they may be padded, else of the same; 60 s at most."""
        found: list[list[Single]] = []
        for one in sorted(batch, key=lambda one: one.size):
            group = found[-1] if found else []
            alike = self.pads or (group and group[-1].size == one.size)
            if group and alike and (len(group) + 1) * one.size <= BATCH * RATE:
                group.append(one)
            else:
                found.append([one])
        return found

    def means(self, network: Any, group: Sequence[Single]) -> Tensor:
        """Over the frames that hold sound."""
        rows = [torch.from_numpy(one.read()) for one in group]
        sound = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        sizes = torch.tensor([len(row) for row in rows])
        given = {"input_values": sound.to(self.device)}
        if sizes.min() < sizes.max():
            given["attention_mask"] = (torch.arange(sound.shape[1]) < sizes[:, None]).long()
            given["attention_mask"] = given["attention_mask"].to(self.device)
        states = network(**given).last_hidden_state
        counts = ((sizes - self.reach) // self.hop + 1).to(self.device)
        mask = torch.arange(states.shape[1], device=self.device) < counts[:, None]
        total: Tensor = (states * mask[..., None]).sum(dim=1)
        return total / counts[:, None]


SENSES: dict[str, Callable[[str, Settings, Path], Source]] = {"text": Text, "speech": Speech}
