"""Rows of turns whose words or sound a variant changes: made together, by the same extractors."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

import numpy as np

from erc_demo import features
from erc_demo.dialogue import RATE, Dialogue, Recording, Span, Turn, Word
from erc_demo.features import Spec
from erc_demo.findings import Features, Variant
from erc_demo.settings import Settings
from erc_demo.systems import Conversation

GAP = RATE // 2  # samples of silence between sounds that are heard again
LONGEST = 600 * RATE  # samples of such sounds in one go, so that memory stays small


@dataclass(slots=True, eq=False, kw_only=True)
class Varied:
    """One variant on its way: which turns are gone, where it is run, what was made anew for it."""

    variant: Variant
    targets: Sequence[int]
    gone: Collection[int | None]
    there: Sequence[int]  # the turns that are not gone
    parts: list[Conversation]
    rows: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)  # by place and feature
    words: dict[int, np.ndarray | None] = field(default_factory=dict)  # their times, by place


class Anew:
    """What it takes to read or hear a turn of one conversation again."""

    def __init__(
        self,
        dialogue: Dialogue,
        recording: Recording | None,
        made: Mapping[str, Features],
        inputs: Mapping[str, Sequence[str]],
        settings: Settings,
    ) -> None:
        """``inputs``: which features each of the system's inputs reads."""
        self._dialogue, self._recording, self._made = dialogue, recording, made
        self._inputs, self._settings = inputs, settings
        texts = dict.fromkeys(text for these in inputs.values() for text in these)
        specs = [features.parse(text) for text in texts]
        extractors = {spec: features.ready(spec, settings) for spec in specs}
        self._heard = {spec: spec.raw for spec, one in extractors.items() if "sound" in one.hears}
        self._read: dict[int, list[Spec]] = {}  # by how many earlier texts they read
        for spec, one in extractors.items():
            if "words" in one.hears:
                self._read.setdefault(one.context, []).append(spec)
        self._means: dict[Spec, list[np.ndarray]] = {}

    @property
    def context(self) -> int:
        """How many earlier turns' texts a turn's rows are made from."""
        return max(self._read, default=0)

    @property
    def worded(self) -> frozenset[str]:
        """The inputs that are made from words."""
        texts = {spec.text for specs in self._read.values() for spec in specs}
        return frozenset(name for name, these in self._inputs.items() if texts & set(these))

    @property
    def kinds(self) -> frozenset[str]:
        """The variants that change what is read or heard."""
        words = {"mask", "say"} if self._read else set()
        sound = {"blank"} if self._heard and self._recording is not None else set()
        return frozenset(words | sound)

    def inputs(self, made: Mapping[str, np.ndarray], place: int) -> dict[str, np.ndarray | None]:
        """A turn's rows of those inputs that read something made anew."""
        found: dict[str, np.ndarray | None] = {}
        for name, texts in self._inputs.items():
            if not any(text in made for text in texts):
                continue
            rows = [made[text] if text in made else self._made[text].of(place) for text in texts]
            there = all(len(one) for one in rows)
            found[name] = np.concatenate(rows, axis=1) if there else None
        return found

    # words

    def read(self, varied: Sequence[Varied]) -> None:
        """Rows of what hears words, where it reads another text than before."""
        for context, specs in self._read.items():
            strip: list[Turn] = []
            wanted: list[tuple[Varied, int, int]] = []  # a turn by its place, and where it is read
            for one in varied:
                turns, places = self._strip(one, context)
                wanted += [(one, at, len(strip) + k) for k, at in enumerate(places) if at >= 0]
                strip += turns
            if not wanted:
                continue
            dialogue = _numbered(strip)
            made = features.extract(specs, dialogue, None, self._settings)
            times = Conversation.of(dialogue, {}, {}).words
            for one, at, k in wanted:
                one.rows.setdefault(at, {}).update({text: f.of(k) for text, f in made.items()})
                one.words[at] = times[k]

    def _strip(self, varied: Varied, context: int) -> tuple[list[Turn], list[int]]:
        """The turns to be read again, behind the earlier ones that are read with them.

        With each the place of a turn that is wanted, or -1. Where fewer turns came before than
        the extractor looks through, nobody says nothing there.
        """
        said = self._said(varied.variant)
        if said is None and not (context and varied.gone):
            return [], []
        there, at_said = varied.there, -1 if said is None else varied.variant.turn or 0

        def anew(at: int) -> bool:
            if said is not None:
                return at_said <= at <= at_said + context
            index = bisect_left(there, at)
            earlier = there[max(0, index - context) : index]
            return list(earlier) != list(range(max(0, at - context), at))

        wanted = {at for part in varied.parts for at in part.places if anew(at)}
        if not wanted:
            return [], []
        first, last = bisect_left(there, min(wanted)), bisect_left(there, max(wanted))
        run = there[max(0, first - context) : last + 1]
        nobody = Turn(number=0, speaker="".join(self._dialogue.speakers) + "?")
        before = [nobody] * max(0, context - first)
        turns = [
            said if said is not None and at == at_said else self._dialogue.turns[at] for at in run
        ]
        return before + turns, [-1] * len(before) + [at if at in wanted else -1 for at in run]

    def _said(self, variant: Variant) -> Turn | None:
        """The turn with other words, of a variant that has such."""
        if variant.turn is None or variant.kind not in ("mask", "say"):
            return None
        turn = self._dialogue.turns[variant.turn]
        if variant.text is not None:
            return said_instead(turn, variant.text)
        left = [at for at in range(len(turn.said)) if at != variant.word]
        words = tuple(turn.words[at] for at in left) if turn.words else ()
        return replace(turn, words=words, text=" ".join(turn.said[at] for at in left))

    # sound

    def hear(self, varied: Sequence[Varied]) -> None:
        """Rows of what hears sound, of turns with a silent stretch, normalised."""
        for group in self._sounds(varied):
            made = self._raw([sound for _, sound in group])
            for k, (one, _) in enumerate(group):
                at = one.variant.turn or 0
                one.rows[at] = {
                    spec.text: self._normalised(spec, at, made[raw.text].of(k))
                    for spec, raw in self._heard.items()
                }

    def _sounds(self, varied: Sequence[Varied]) -> Iterator[list[tuple[Varied, np.ndarray]]]:
        """Each variant with a silent stretch and its turn's sound, in groups of bounded length."""
        group: list[tuple[Varied, np.ndarray]] = []
        length = 0
        for one in varied:
            span, at = one.variant.span, one.variant.turn
            if span is None or at is None or not one.parts or self._recording is None:
                continue
            sound = blanked(self._dialogue.turns[at], self._recording, span)
            if not len(sound):
                continue
            if group and length + len(sound) > LONGEST:
                yield group
                group, length = [], 0
            group.append((one, sound))
            length += len(sound)
        if group:
            yield group

    def _raw(self, sounds: Sequence[np.ndarray]) -> dict[str, Features]:
        """Raw features of sounds, which are laid one after the other."""
        silence = np.zeros(GAP, np.float32)
        samples = np.concatenate([part for sound in sounds for part in (sound, silence)])
        ends = np.cumsum([len(sound) + GAP for sound in sounds]) - GAP
        turns = [
            Turn(number=0, speaker="A", span=Span((end - len(sound)) / RATE, end / RATE))
            for end, sound in zip(ends.tolist(), sounds, strict=True)
        ]
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        strip = Recording(name="variants", samples=samples[None], sha256=digest)
        raws = list(dict.fromkeys(self._heard.values()))
        return features.extract(raws, _numbered(turns), strip, self._settings)

    def _normalised(self, spec: Spec, at: int, rows: np.ndarray) -> np.ndarray:
        """A turn's new raw rows, normalised among its speaker's turns.

        Of earlier turns 'past' and 'both' need nothing but the mean.
        """
        mode = spec.options.get("speaker_norm", "off")
        if mode == "off" or not len(rows):
            return rows
        turns = self._dialogue.turns
        mine = [one for one in range(len(turns)) if turns[one].speaker == turns[at].speaker]
        index = mine.index(at)
        if mode in ("upload", "mean"):
            parts = [self._made[self._heard[spec].text].of(one) for one in mine]
        else:
            means = self._mean_rows(self._heard[spec])
            parts = [means[one] for one in mine[: index + 1]]
        parts[index] = rows
        starts = np.cumsum([0, *map(len, parts)])
        whole = features.normalise(np.concatenate(parts), starts, ["A"] * len(parts), mode)
        return whole[starts[index] : starts[index + 1]].astype(np.float32)

    def _mean_rows(self, raw: Spec) -> list[np.ndarray]:
        """The mean of each turn's rows, float64 (1, width); (0, width) where there are none."""
        if raw not in self._means:
            made = self._made[raw.text]
            each = [made.of(at).astype(np.float64) for at in range(made.turns)]
            self._means[raw] = [
                one.mean(axis=0, keepdims=True) if len(one) else one for one in each
            ]
        return self._means[raw]


def said_instead(turn: Turn, text: str) -> Turn:
    """A turn with another text; words that stayed, or stand in for as many, keep their times."""
    if not turn.words:
        return replace(turn, text=text)
    new = text.split()
    old: list[Word | None] = [None] * len(new)
    matcher = SequenceMatcher(None, turn.said, new, autojunk=False)
    for _, first, end, start, stop in matcher.get_opcodes():
        if end - first == stop - start:
            old[start:stop] = turn.words[first:end]
    words = tuple(
        Word(text=word) if one is None else replace(one, text=word)
        for word, one in zip(new, old, strict=True)
    )
    return replace(turn, text=text, words=words)


def blanked(turn: Turn, recording: Recording, silent: Span) -> np.ndarray:
    """A turn's sound as it is heard, zeros in a stretch; nothing where there is no sound."""
    heard = turn.span and turn.span.clipped(Span(0.0, recording.duration))
    if heard is None or (turn.channel is not None and turn.channel >= recording.channels):
        return np.zeros(0, np.float32)
    sound = recording.sound(heard, turn.channel).copy()
    begin = heard.slice.start
    sound[max(0, silent.slice.start - begin) : max(0, silent.slice.stop - begin)] = 0
    return sound


def _numbered(turns: Sequence[Turn]) -> Dialogue:
    made = tuple(replace(turn, number=number) for number, turn in enumerate(turns))
    return Dialogue(name="variants", turns=made)
