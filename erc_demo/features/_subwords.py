"""A text encoder's own pieces of words, and means of its states over them.

``tokenizer.json`` alone says how a text is cut. Nothing is cut off a long text and nothing filled
up, whatever that file says (MiniLM's says 128 tokens). A text is cut as it stands, and a piece
belongs to the word that holds its last character: so a text in words and the same text in one
string give the same pieces, for every kind of tokenizer, and word-initial pieces of byte-level
ones (``Ġ``, ``▁``) are those that the encoder was trained on.

A text longer than the encoder's positions is read in windows that overlap by a quarter; each
piece's state is taken from the window that has more on either side of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.errors import UserError
from erc_demo.features._contract import WORDS
from erc_demo.features._encoders import config_of, load
from erc_demo.features._json import read_json
from erc_demo.settings import Settings

MOST = 512  # tokens of a window, even if the encoder reads more: attention grows with the square
AT_ONCE = 4096  # tokens of a batch of windows, padding counted
OVERLAP = 4  # a window shares this part (1/4) with the next
# RoBERTa's family counts positions from the padding's number + 1
SHIFTED = frozenset(
    "camembert data2vec-text esm ibert lilt longformer luke markuplm mpnet roberta "
    "roberta-prelayernorm xlm-roberta xlm-roberta-xl xmod".split()
)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text in an encoder's tokens, special ones left out."""

    ids: np.ndarray  # int32 (tokens,)
    spans: np.ndarray  # int64 (tokens, 2): first character and the one after the last


class Subwords:
    """The tokenizer in a model's folder, with its special tokens and the encoder's limit."""

    def __init__(self, folder: Path, ref: str) -> None:
        """Read tokenizer.json and, for the limit, config.json and tokenizer_config.json."""
        from tokenizers import Tokenizer

        file = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._tokenizer.encode_special_tokens = True  # "[SEP]" in a text is five characters
            # BERT's [CLS] a [SEP] and [CLS] a [SEP] a [SEP], RoBERTa's <s> a </s></s> a </s>
            one, two = self._tokenizer.encode("a"), self._tokenizer.encode("a", "a")
            parts = one.sequence_ids
            self.before = one.ids[: parts.index(0)]
            self.after = one.ids[len(parts) - parts[::-1].index(0) :]
            parts = two.sequence_ids
            self.between = two.ids[len(parts) - parts[::-1].index(0) : parts.index(1)]
            self.end_of_two = two.ids[len(parts) - parts[::-1].index(1) :]
        except Exception as exc:  # of no narrower class: tokenizers is not written in Python
            raise UserError(
                f"tokenizer.json of the model {ref} can't be used ({exc}); "
                "copy the model again, or name another one."
            ) from exc
        self.fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        self.most = _limit(folder, ref)

    def cut(self, text: str) -> Pieces:
        """The tokens of a text, all of them."""
        text = text.encode("utf-8", "replace").decode()  # half a pair of UTF-16 is no letter
        found = self._tokenizer.encode(text, add_special_tokens=False)
        spans = np.array(found.offsets, np.int64).reshape(-1, 2)
        return Pieces(np.array(found.ids, np.int32), spans)


def _limit(folder: Path, ref: str) -> int:
    """Most tokens of one window, special ones counted."""
    config = config_of(folder, ref)
    config |= config.get("text_config") or {}  # of a model of two senses
    limits = [MOST]
    positions = config.get("max_position_embeddings", config.get("n_positions"))
    if isinstance(positions, int) and positions > 0:
        padding = config.get("pad_token_id")
        shift = (1 if padding is None else padding) + 1
        limits.append(positions - (shift if config["model_type"] in SHIFTED else 0))
    file = folder / "tokenizer_config.json"
    own = read_json(file, ref).get("model_max_length") if file.is_file() else None
    if isinstance(own, int) and own > 0:
        limits.append(own)
    return min(limits)


def owners(spans: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """For each piece of ``" ".join(words)`` the index of its word, or -1: int64 (tokens,)."""
    lengths = np.array([len(word) for word in words], np.int64)
    starts = np.cumsum(lengths + 1) - lengths - 1
    found = np.full(len(spans), -1, np.int64)
    for place in (spans[:, 0], spans[:, 1] - 1):  # the last character, unless it is the blank
        word = np.searchsorted(starts, place, side="right") - 1
        inside = (place < starts[word] + lengths[word]) & (spans[:, 1] > spans[:, 0])
        found[inside] = word[inside]
    return found


def windows(count: int, room: int) -> list[tuple[int, int, int, int]]:
    """(begin, end, first, last): tokens begin to end are read, of which first to last are kept."""
    if count <= room:
        return [(0, count, 0, count)]
    step = max(1, room - room // OVERLAP)
    begins = [*range(0, count - room, step), count - room]
    edges = [(later + begin + room) // 2 for begin, later in zip(begins, begins[1:], strict=False)]
    return [
        (begin, begin + room, first, last)
        for begin, first, last in zip(begins, [0, *edges], [*edges, count], strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Pool:
    """What is wanted of a text: for each token the row that its state is averaged into, or -1."""

    ids: np.ndarray  # int32 (tokens,)
    into: np.ndarray  # int64 (tokens,)
    special: int  # row of the special tokens' states, or -1
    rows: int


class Reader:
    """An encoder with its subwords: means of the states of one layer."""

    def __init__(self, ref: str, layer: int, settings: Settings) -> None:
        """Load both; layer 0 is what the encoder takes in, -1 its last."""
        encoder = load(ref, settings, kind=WORDS)
        self.subwords = subwords = Subwords(encoder.folder, ref)
        self.fingerprint = f"{encoder.fingerprint}-{subwords.fingerprint}-{subwords.most}"
        layers = encoder.config.num_hidden_layers
        if not -layers - 1 <= layer <= layers:
            raise UserError(
                f"Layer {layer} was asked for; the encoder {ref} has 0 (what it takes in) to "
                f"{layers}, or -1 for the last."
            )
        if subwords.most <= len(subwords.before) + len(subwords.after):
            raise UserError(f"The encoder {ref} has no room for a text; name another one.")
        self._encoder, self._layer, self._ref = encoder, layer, ref
        self._embedded = encoder.model.get_input_embeddings().num_embeddings
        self.width = int(encoder.config.hidden_size)

    def sums(self, pools: Sequence[Pool]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each text the rows' sums of states, float64 (rows, width), and their counts."""
        head, tail = self.subwords.before, self.subwords.after
        room = self.subwords.most - len(head) - len(tail)
        found = [(np.zeros((pool.rows, self.width)), np.zeros(pool.rows)) for pool in pools]
        inputs, rows = [], []
        for index, pool in enumerate(pools):
            for begin, end, first, last in windows(len(pool.ids), room):
                into = np.full(len(head) + end - begin + len(tail), -1, np.int64)
                into[: len(head)] = into[len(into) - len(tail) :] = pool.special
                kept = slice(len(head) + first - begin, len(head) + last - begin)
                into[kept] = pool.into[first:last]
                inputs.append(np.concatenate([head, pool.ids[begin:end], tail]).astype(np.int64))
                rows.append((index, into))
        for group in _groups([len(ids) for ids in inputs]):
            states = self._states([inputs[number] for number in group])
            for number, state in zip(group, states, strict=True):
                index, into = rows[number]
                sums, counts = found[index]
                np.add.at(sums, into[into >= 0], state[: len(into)][into >= 0])
                np.add.at(counts, into[into >= 0], 1)
        return found

    def _states(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """States of some windows, float32 (windows, longest, width)."""
        import torch

        longest = max(map(len, inputs))
        padding = self._encoder.config.pad_token_id
        ids = np.full((len(inputs), longest), 0 if padding is None else padding, np.int64)
        mask = np.zeros((len(inputs), longest), np.int64)
        for row, one in enumerate(inputs):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        if ids.max() >= self._embedded:
            raise UserError(
                f"The tokenizer of {self._ref} gives token {ids.max()} and its network knows "
                f"{self._embedded}; the two do not belong together, copy the model again."
            )
        device = self._encoder.device
        with torch.inference_mode():
            given: dict[str, Any] = {
                "input_ids": torch.from_numpy(ids).to(device),
                "attention_mask": torch.from_numpy(mask).to(device),
            }
            last = self._layer == -1
            answer = self._encoder.model(**given, output_hidden_states=not last)
            states = answer.last_hidden_state if last else answer.hidden_states[self._layer]
            found: np.ndarray = states.float().cpu().numpy()
        return found


def _groups(lengths: Sequence[int]) -> list[list[int]]:
    """Places of windows of like length, AT_ONCE tokens together; empty ones are left out."""
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        if not lengths[place]:
            continue
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= AT_ONCE:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups
