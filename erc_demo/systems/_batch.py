"""Conversation: the rows of one dialogue as systems read them; Batch: several, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError
from erc_demo.findings import Features

Rows = np.ndarray | None  # (n, width) of one turn; None where the input is absent


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conversation:
    """Some turns of a dialogue, with the rows of every input; all tuples run over the turns.

    ``targets`` says which turns are asked for, ``places`` where they lie in the dialogue.
    """

    name: str
    speakers: tuple[str, ...]
    rows: Mapping[str, tuple[Rows, ...]]
    widths: Mapping[str, int]
    levels: Mapping[str, str]
    words: tuple[
        np.ndarray | None, ...
    ]  # (words, 2): from and to, seconds of the turn; NaN unknown
    begins: tuple[float | None, ...]  # of each turn, seconds
    steps: Mapping[str, tuple[float, float]]  # of frames: step and reach, seconds
    places: tuple[int, ...]
    targets: np.ndarray  # bool (turns,)

    @classmethod
    def of(
        cls,
        dialogue: Dialogue,
        features: Mapping[str, Features],
        inputs: Mapping[str, Sequence[str]],
    ) -> Conversation:
        """Lay features side by side as a system's inputs; where one is absent, all of them are."""
        rows, widths, levels, steps = {}, {}, {}, {}
        for name, texts in inputs.items():
            parts = [features[text] for text in texts]
            if len({(part.level, part.step) for part in parts}) > 1:
                raise UserError(
                    f"{' and '.join(texts)} can't stand side by side: their rows mean different "
                    "stretches; name features of one level and step."
                )
            rows[name] = tuple(_beside(parts, place) for place in range(len(dialogue.turns)))
            widths[name], levels[name] = sum(part.width for part in parts), parts[0].level
            if parts[0].step is not None and parts[0].reach is not None:
                steps[name] = (parts[0].step, parts[0].reach)
        spans = [turn.span for turn in dialogue.turns]
        return cls(
            name=dialogue.name,
            speakers=tuple(turn.speaker for turn in dialogue.turns),
            rows=rows,
            widths=widths,
            levels=levels,
            words=tuple(_word_times(turn) for turn in dialogue.turns),
            begins=tuple(None if span is None else span.start for span in spans),
            steps=steps,
            places=tuple(range(len(dialogue.turns))),
            targets=np.ones(len(dialogue.turns), bool),
        )

    def __len__(self) -> int:
        return len(self.speakers)

    def part(self, indices: Sequence[int], targets: Sequence[int] | None = None) -> Conversation:
        """Some of the turns (by index here, in order), of which some are asked for."""
        asked = set(indices if targets is None else targets)
        return replace(
            self,
            speakers=tuple(self.speakers[one] for one in indices),
            rows={name: tuple(these[one] for one in indices) for name, these in self.rows.items()},
            words=tuple(self.words[one] for one in indices),
            begins=tuple(self.begins[one] for one in indices),
            places=tuple(self.places[one] for one in indices),
            targets=np.array([one in asked and bool(self.targets[one]) for one in indices], bool),
        )

    def without(self, *names: str) -> Conversation:
        """The same with some inputs absent in every turn."""
        nothing = (None,) * len(self)
        rows = {name: nothing if name in names else these for name, these in self.rows.items()}
        return replace(self, rows=rows)

    def instead(self, index: int, rows: Mapping[str, Rows], **changes: Any) -> Conversation:
        """The same with other rows of one turn."""
        made = dict(self.rows)
        for name, new in rows.items():
            these = list(made[name])
            these[index] = new
            made[name] = tuple(these)
        return replace(self, rows=made, **changes)

    def present(self, index: int) -> frozenset[str]:
        """The inputs that a turn has."""
        return frozenset(name for name, these in self.rows.items() if these[index] is not None)

    def moments(self, name: str, index: int) -> np.ndarray:
        """The middle of each frame of an input, in seconds from the recording's start."""
        step, reach = self.steps[name]
        begin, rows = self.begins[index], self.rows[name][index]
        count = 0 if rows is None else len(rows)
        return (begin or 0.0) + step * np.arange(count) + reach / 2


def _beside(parts: Sequence[Features], place: int) -> Rows:
    found = [part.of(place) for part in parts]
    if not all(len(one) for one in found):
        return None
    if len({len(one) for one in found}) > 1:
        names = " and ".join(part.name for part in parts)
        raise UserError(f"{names} have different numbers of rows for turn {place}.")
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def _word_times(turn: Any) -> np.ndarray | None:
    if not turn.words or turn.span is None:
        return None
    begin = turn.span.start
    return np.array(
        [
            (np.nan, np.nan)
            if word.span is None
            else (word.span.start - begin, word.span.end - begin)
            for word in turn.words
        ]
    )


@dataclass(slots=True)
class Batch:
    """B conversations, padded to L turns; T is the number of turns without the padding.

    An input on utterance level is (B, L, width); one of frames, words or tokens (T, n, width),
    padded behind. ``places[t]`` is where turn t lies in (B · L). Absent rows are zeros and
    ``present`` says so.
    """

    mask: Tensor  # bool (B, L): turns that are there
    targets: Tensor  # bool (B, L): turns that are asked for
    speakers: Tensor  # int64 (B, L): 0, 1, 2 … in order of appearance; -1 padding
    places: Tensor  # int64 (T,)
    inputs: dict[str, Tensor]
    present: dict[str, Tensor]  # bool (B, L)
    lengths: dict[str, Tensor]  # int64 (T,): rows of a turn; of frames, words and tokens only
    own: Tensor  # int64 (T,): the speaker's previous turn among the T; -1 none
    other: Tensor  # int64 (T,): the previous turn of anybody else; -1 none
    words: Tensor | None = None  # float32 (T, n, 2): from and to, seconds of the turn; NaN unknown
    steps: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def same(self) -> Tensor:
        """Whether a turn has the speaker of the one before it, bool (B, L - 1)."""
        return self.speakers[:, 1:] == self.speakers[:, :-1]

    def real(self, name: str) -> Tensor:
        """Which rows of an input are there: bool (B, L), or (T, n) of a sequence."""
        if name not in self.lengths:
            return self.present[name]
        count = self.inputs[name].shape[1]
        return torch.arange(count, device=self.places.device) < self.lengths[name].unsqueeze(1)

    def flat(self, padded: Tensor) -> Tensor:
        """(B, L, …) without the padding: (T, …)."""
        return padded.flatten(0, 1).index_select(0, self.places)

    def fold(self, flat: Tensor) -> Tensor:
        """(T, …) with the padding, zeros: (B, L, …)."""
        rows, columns = self.mask.shape
        padded = flat.new_zeros((rows * columns, *flat.shape[1:]))
        return padded.index_copy(0, self.places, flat).unflatten(0, (rows, columns))

    def to(self, device: torch.device | str) -> Batch:
        """The same on a device."""
        changes: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Tensor):
                changes[name] = value.to(device)
            elif isinstance(value, dict) and name != "steps":
                changes[name] = {key: one.to(device) for key, one in value.items()}
        return replace(self, **changes)


def collate(conversations: Sequence[Conversation]) -> Batch:
    """Pad conversations of the same inputs into one batch."""
    first = conversations[0]
    sizes = [len(one) for one in conversations]
    shape = (len(conversations), max(1, *sizes))
    mask = np.arange(shape[1]) < np.array(sizes)[:, None]
    targets, speakers = np.zeros(shape, bool), np.full(shape, -1, np.int64)
    own, other = [], []
    base = 0
    for row, one in enumerate(conversations):
        targets[row, : len(one)] = one.targets
        order = {speaker: at for at, speaker in enumerate(dict.fromkeys(one.speakers))}
        speakers[row, : len(one)] = [order[speaker] for speaker in one.speakers]
        mine, theirs = _previous(one.speakers)
        own += [at + base if at >= 0 else -1 for at in mine]
        other += [at + base if at >= 0 else -1 for at in theirs]
        base += len(one)
    inputs, present, lengths = {}, {}, {}
    for name, level in first.levels.items():
        rows = [these for one in conversations for these in one.rows[name]]
        there = np.zeros(shape, bool)
        there[mask] = [one is not None for one in rows]
        present[name] = torch.from_numpy(there)
        if level == "utterance":
            padded = np.zeros((*shape, first.widths[name]), np.float32)
            if there.any():
                padded[there] = np.concatenate([one for one in rows if one is not None])
        else:
            counts = np.array([0 if one is None else len(one) for one in rows], np.int64)
            kind = np.int64 if level == "token" else np.float32
            longest = max(1, int(counts.max(initial=1)))
            padded = np.zeros((len(rows), longest, first.widths[name]), kind)
            for at, each in enumerate(rows):
                if each is not None:
                    padded[at, : len(each)] = each
            lengths[name] = torch.from_numpy(counts)
        inputs[name] = torch.from_numpy(padded)
    return Batch(
        mask=torch.from_numpy(mask),
        targets=torch.from_numpy(targets),
        speakers=torch.from_numpy(speakers),
        places=torch.from_numpy(np.flatnonzero(mask)),
        inputs=inputs,
        present=present,
        lengths=lengths,
        own=torch.tensor(own, dtype=torch.int64),
        other=torch.tensor(other, dtype=torch.int64),
        words=_words([these for one in conversations for these in one.words]),
        steps=dict(first.steps),
    )


def _previous(speakers: Sequence[str]) -> tuple[list[int], list[int]]:
    """For each turn the speaker's previous one and the last of anybody else; -1 for none.

    >>> _previous("AAB")
    ([-1, 0, -1], [-1, -1, 1])
    """
    own, other = [], []
    last: dict[str, int] = {}
    for place, speaker in enumerate(speakers):
        own.append(last.get(speaker, -1))
        # of two people's last turns the one of anybody else is the latest or, if that is mine,
        # the one before my run began
        if place == 0:
            other.append(-1)
        elif speakers[place - 1] != speaker:
            other.append(place - 1)
        else:
            other.append(other[-1])
        last[speaker] = place
    return own, other


def _words(times: Sequence[np.ndarray | None]) -> Tensor | None:
    if all(one is None for one in times):
        return None
    longest = max(len(one) for one in times if one is not None)
    padded = np.full((len(times), longest, 2), np.nan, np.float32)
    for at, one in enumerate(times):
        if one is not None:
            padded[at, : len(one)] = one
    return torch.from_numpy(padded)
