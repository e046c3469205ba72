"""Rows of one extractor on one dialogue: which are there, and which are to be made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from erc_demo.cache import Cache, Entry, key
from erc_demo.dialogue import Dialogue
from erc_demo.features._contract import SIGHT, SOUND, WORDS, Extractor
from erc_demo.features._spec import Spec
from erc_demo.features._utterances import Given, batches, before
from erc_demo.findings import Features, Remark

Answer = tuple[np.ndarray, list[str]]  # a turn's rows, and what the extractor found odd


class Kept:
    """One extractor on one dialogue: which turns' rows are there, and which are to be made.

    An entry of the cache holds the rows of a whole recording, each turn under a key of what the
    extractor hears of it, and some that the turns had before. So a word's edit makes one turn's
    rows anew, and taking it back none. A dialogue without sound is found as a whole only.
    """

    def __init__(
        self,
        spec: Spec,
        extractor: Extractor,
        dialogue: Dialogue,
        sources: Mapping[str, str | None],
        cache: Cache | None,
    ) -> None:
        self.spec, self.extractor, self.cache = spec, extractor, cache
        heard = {kind: sources.get(kind) for kind, hears in _SOURCES if hears in extractor.hears}
        self.numbers = [turn.number for turn in dialogue.turns]
        self.keys = [_key(extractor, dialogue, place, heard) for place in range(len(self.numbers))]
        self.name = key(
            f"features/{spec.name}",
            extractor.version,
            options=dict(spec.options),
            of=sources.get("sound") or [dialogue.name, *self.keys],
        )
        self._rows: dict[str, np.ndarray] = {}
        self._odd: dict[str, list[str]] = {}
        self._read()
        self.missing: dict[str, int] = {}  # the place of each turn to be made, by its key
        for place, turn_key in enumerate(self.keys):
            if turn_key not in self._rows:
                self.missing.setdefault(turn_key, place)

    def _read(self) -> None:
        entry = self.cache.get(self.name) if self.cache is not None else None
        if entry is None:
            return
        try:
            rows, starts = entry.arrays["rows"], entry.arrays["starts"]
            if rows.shape[1:] != (self.extractor.width,) or rows.dtype != self._kind:
                return
            if not np.isfinite(rows).all() or starts[0] or starts[-1] != len(rows):
                return
            for place, (turn_key, odd) in enumerate(entry.data, 1):
                self._rows[turn_key] = rows[starts[place - 1] : starts[place]]
                self._odd[turn_key] = list(odd)
        except (KeyError, TypeError, ValueError, IndexError):  # not what this program wrote
            self._rows, self._odd = {}, {}

    @property
    def _kind(self) -> Any:
        return np.int32 if self.extractor.level == "token" else np.float32

    def parts(self, given: Given) -> list[list[str]]:
        """Keys of the missing turns in batches; those that give nothing are taken up at once."""
        there = []
        for turn_key, place in self.missing.items():
            audible, self._odd[turn_key] = given.look(place, self.extractor)
            if audible:
                there.append(turn_key)
            else:
                self._rows[turn_key] = np.zeros((0, self.extractor.width), self._kind)
        sizes = [given.size(self.missing[turn_key]) for turn_key in there]
        groups = batches(sizes, self.extractor.neural)
        return [[there[index] for index in group] for group in groups]

    def take(self, part: Sequence[str], answers: Sequence[Answer]) -> None:
        """Take up the rows of a batch."""
        for turn_key, (rows, odd) in zip(part, answers, strict=True):
            self._rows[turn_key] = rows
            self._odd[turn_key] = [*self._odd[turn_key], *odd]

    def keep(self) -> None:
        """Write the rows into the cache, with some that are of other turns of the recording."""
        if self.cache is None:
            return
        most = max(OTHERS * len(self.keys), FEW)
        keys = list(dict.fromkeys([*self.keys, *self._rows]))[:most]
        rows, starts = self._joined(keys)
        data = [[turn_key, self._odd[turn_key]] for turn_key in keys]
        self.cache.put(self.name, Entry(arrays={"rows": rows, "starts": starts}, data=data))

    def _joined(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        parts = [self._rows[turn_key] for turn_key in keys]
        rows = np.concatenate([np.zeros((0, self.extractor.width), self._kind), *parts])
        return rows, np.cumsum([0, *map(len, parts)]).astype(np.int64)

    def features(self) -> Features:
        """The rows of all turns, in the dialogue's order."""
        rows, starts = self._joined(self.keys)
        return Features(
            name=self.spec.text,
            version=self.extractor.version,
            level=self.extractor.level,
            rows=rows,
            starts=starts,
            columns=self.extractor.columns,
            step=self.extractor.step,
            reach=self.extractor.reach,
            remarks=tuple(
                Remark(turn=number, why=why)
                for number, turn_key in zip(self.numbers, self.keys, strict=True)
                for why in self._odd[turn_key]
            ),
        )


_SOURCES = (("sound", SOUND), ("pictures", SIGHT))
# An entry keeps so many times the dialogue's turns, or so many: what an edit's undoing asks for.
OTHERS, FEW = 3, 200


def _key(
    extractor: Extractor, dialogue: Dialogue, place: int, heard: Mapping[str, str | None]
) -> str:
    """Everything that a turn's rows depend on beside the extractor."""
    turn = dialogue.turns[place]
    parts: list[Any] = [dict(heard)]
    if extractor.hears & {SOUND, SIGHT}:
        parts += [turn.span and turn.span.to_json(), turn.channel]
    if WORDS in extractor.hears:
        parts.append(turn.said)
    if extractor.context:
        parts += [turn.speaker, before(dialogue, place, extractor.context)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
