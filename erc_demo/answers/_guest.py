"""A guest asked about one conversation, with the same face as a system that is asked.

It hears each turn alone, so of the variants only those of the turn itself can change an answer: a
word that was not said or another text, where it reads words; a silent stretch, where it hears
sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np

from erc_demo.answers._anew import GAP, blanked, said_instead
from erc_demo.cache import Cache, Entry, key
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn
from erc_demo.emotions import LabelSet
from erc_demo.explanation import Questions
from erc_demo.features._contract import SOUND, WORDS
from erc_demo.findings import Prediction, Variant
from erc_demo.guests import Chances, Guest


class AskedGuest:
    """One guest asked about one conversation; making it asks, in the cache first."""

    def __init__(
        self,
        guest: Guest,
        dialogue: Dialogue,
        recording: Recording | None,
        *,
        asked: LabelSet,
        hindsight: bool = True,
        cache: Cache | None = None,
        tell: Callable[[float], None] | None = None,
    ) -> None:
        """``asked`` is the label set that the systems were asked for."""
        self.guest, self._asked, self._hindsight = guest, asked, hindsight
        self._dialogue, self._recording = dialogue, recording
        self._chances = self._kept(cache) or self._made(cache, tell)

    @cached_property
    def prediction(self) -> Prediction:
        """What the guest says of every turn."""
        return self._said(self._chances)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of these answers, as sentences."""
        return self.guest.notes(self._chances)

    @property
    def inputs(self) -> dict[str, str]:
        """The one thing that it hears."""
        return {self.guest.hears: self.guest.hears}

    @property
    def kinds(self) -> frozenset[str]:
        """The variants that can be made here and can change an answer of this guest."""
        if self.guest.hears == WORDS:
            return frozenset({"mask", "say"})
        return frozenset({"blank"} if self._recording is not None else ())

    def variants(self, asked: Questions) -> list[Prediction]:
        """An answer for each variant of ``kinds``, with a row for each turn it is asked of."""
        if not asked:
            return []
        made = self._said(self._anew(list(asked)))
        before = self.prediction
        found = []
        for at, (variant, targets) in enumerate(asked.items()):
            whose = [(made, at) if place == variant.turn else (before, place) for place in targets]
            found.append(
                before.but(
                    probabilities=np.array([one.probabilities[row] for one, row in whose]),
                    values=np.zeros((len(whose), 0), np.float32),
                    why_not=tuple(one.why_not[row] for one, row in whose),
                )
            )
        return found

    def _kept(self, cache: Cache | None) -> Chances | None:
        entry = cache.get(self._name) if cache is not None else None
        if entry is None:
            return None
        try:
            return Chances(
                rows=entry.arrays["rows"],
                why_not=tuple(entry.data["why_not"]),
                parted=entry.data["parted"],
            )
        except (KeyError, TypeError):  # not what this program wrote
            return None

    def _made(self, cache: Cache | None, tell: Callable[[float], None] | None) -> Chances:
        made = self.guest.chances(self._dialogue, self._recording, tell=tell)
        if cache is not None:
            data = {"why_not": list(made.why_not), "parted": made.parted}
            cache.put(self._name, Entry(arrays={"rows": made.rows}, data=data))
        return made

    @cached_property
    def _name(self) -> str:
        """The cache's entry: everything that the chances depend on."""
        return key(
            "guests",
            self.guest.listener.version,
            sound=self._recording.sha256 if self._recording and self.guest.hears == SOUND else None,
            turns=[turn.to_json() for turn in self._dialogue.turns],
        )

    def _said(self, chances: Chances) -> Prediction:
        return self.guest.prediction(chances, asked=self._asked, hindsight=self._hindsight)

    def _anew(self, variants: list[Variant]) -> Chances:
        """The guest's chances of each variant's turn, changed: a conversation of such turns."""
        for one in variants:
            if one.kind not in self.kinds:
                raise ValueError(f"a variant '{one.kind}' of a guest that hears {self.guest.hears}")
        if self.guest.hears == WORDS:
            turns, recording = [self._said_else(one) for one in variants], None
        else:
            turns, recording = self._strip([self._silenced(one) for one in variants])
        numbered = tuple(replace(turn, number=at) for at, turn in enumerate(turns))
        return self.guest.chances(Dialogue(name="variants", turns=numbered), recording)

    def _turn(self, variant: Variant) -> Turn:
        assert variant.turn is not None  # each of ``kinds`` has one, or is not born
        return self._dialogue.turns[variant.turn]

    def _said_else(self, variant: Variant) -> Turn:
        """The turn without a word, or with another text."""
        turn = self._turn(variant)
        if variant.text is not None:
            return said_instead(turn, variant.text)
        left = [at for at in range(len(turn.said)) if at != variant.word]
        words = tuple(turn.words[at] for at in left) if turn.words else ()
        return replace(turn, words=words, text=" ".join(turn.said[at] for at in left))

    def _silenced(self, variant: Variant) -> np.ndarray:
        """The turn's sound with a silent stretch."""
        assert variant.span is not None and self._recording is not None
        return blanked(self._turn(variant), self._recording, variant.span)

    def _strip(self, sounds: list[np.ndarray]) -> tuple[list[Turn], Recording]:
        """Sounds one after the other, as the turns of one recording."""
        samples = np.concatenate([np.pad(sound, (0, GAP)) for sound in sounds])
        ends = np.cumsum([len(sound) + GAP for sound in sounds]) - GAP
        turns = [
            Turn(number=0, speaker="A", span=Span.of((end - len(sound)) / RATE, end / RATE))
            for end, sound in zip(ends.tolist(), sounds, strict=True)
        ]
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        return turns, Recording(name="variants", samples=samples[None], sha256=digest)
