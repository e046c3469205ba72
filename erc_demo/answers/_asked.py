"""One system and one conversation: where each variant is run, and what comes of it.

Where a recogniser was less sure of a turn's words, on average, than the system's calibration trusts
(``trust_words``), the voice decides: the turn is answered as if it had no words, if the system can
do without them, and so is every variant of it. Turns that follow still read them where an
extractor looks back at what was said before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from erc_demo import features, systems, words
from erc_demo.answers._anew import Anew, Varied
from erc_demo.dialogue import Dialogue, Recording
from erc_demo.explanation import Questions
from erc_demo.findings import Features, Prediction, Variant
from erc_demo.settings import Settings
from erc_demo.systems import Conversation, System

GONE = "This turn is what was taken away."


def needs(system: System) -> list[str]:
    """The features that a system reads, and the raw ones that some of them are made from."""
    texts = system.design.features
    return list(dict.fromkeys([*texts, *(features.parse(text).raw.text for text in texts)]))


class Asked:
    """One system asked about one conversation."""

    def __init__(
        self,
        system: System,
        dialogue: Dialogue,
        recording: Recording | None,
        made: Mapping[str, Features],
        settings: Settings,
        *,
        labels: str | None = None,
        made_by: str = "untrained",
        trained: bool = False,
        hindsight: bool = True,
    ) -> None:
        """``made`` holds at least what the system ``needs``."""
        self.system, self.hindsight = system, hindsight
        self._anew = Anew(dialogue, recording, made, system.design.inputs, settings)
        self.conversation = Conversation.of(dialogue, made, system.design.inputs)
        self.words_ignored = self._distrusted(dialogue)
        for at in self.words_ignored:
            self.conversation = self.conversation.instead(at, dict.fromkeys(self._anew.worded))
        self._labels, self._made_by, self._trained = labels, made_by, trained

    @property
    def inputs(self) -> dict[str, str]:
        """The system's inputs, with what a person calls them."""
        design = self.system.design
        return {name: design.module.NEEDS[name].title for name in design.inputs}

    @cached_property
    def prediction(self) -> Prediction:
        """What the system says of every turn, with its maps."""
        return systems.predict(
            self.system,
            self.conversation,
            labels=self._labels,
            made_by=self._made_by,
            trained=self._trained,
            hindsight=self.hindsight,
        ).but(words_ignored=self.words_ignored)

    def _distrusted(self, dialogue: Dialogue) -> tuple[int, ...]:
        """The turns whose words are too unsure to be read, and that can be answered without."""
        least, worded, found = self.system.calibration.trust_words, self._anew.worded, []
        if not least or not words.recognised(dialogue):
            return ()
        for at, turn in enumerate(dialogue.turns):
            sure = [one.confidence for one in turn.words if one.confidence is not None]
            present = self.conversation.present(at)
            if sure and float(np.mean(sure)) < least and present & worded:
                found += [at] if self.system.enough(present - worded) else []
        return tuple(found)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The variants that can be made here and can change an answer of this system."""
        found = {"without", *self._anew.kinds}
        if any(set(these) != {at} for at, these in self._seen.items()):
            found |= {"alone", "from", "drop"}
        return frozenset(found)

    @cached_property
    def _seen(self) -> Mapping[int, Collection[int]]:
        """For each turn all those that its answer may hang on."""
        context, speakers = self._anew.context, self.conversation.speakers
        found: dict[int, Collection[int]] = {}
        for part in systems.views(self.system, self.conversation, hindsight=self.hindsight):
            for at in (part.places[int(index)] for index in np.flatnonzero(part.targets)):
                these = self.system.sees(speakers, at)
                near: Collection[int] = part.places if these is None else these
                if not self.hindsight:
                    near = [one for one in near if one <= at]
                if context:
                    near = {one for by in near for one in range(max(0, by - context), by + 1)}
                found[at] = near
        return found

    def variants(self, asked: Questions) -> list[Prediction]:
        """An answer for each variant, with a row for each of the turns that it is asked of."""
        varied = [self._varied(variant, targets) for variant, targets in asked.items()]
        self._anew.read(varied)
        self._anew.hear(varied)
        parts = [
            (at, self._changed(one, part)) for at, one in enumerate(varied) for part in one.parts
        ]
        answers = systems.answer(self.system, [part for _, part in parts], hindsight=self.hindsight)
        found = [self._unchanged(one) for one in varied]
        labels, ignored = self.prediction.labels, frozenset(self.words_ignored)
        for (at, part), made in zip(parts, answers, strict=True):
            found[at].take(self.system, part, made, labels.name if labels else "")
        return [
            self.prediction.but(
                probabilities=rows.probabilities,
                values=rows.values,
                why_not=tuple(rows.why_not),
                maps=(),
                words_ignored=tuple(row for at, row in rows.row.items() if at in ignored),
            )
            for rows in found
        ]

    def _varied(self, variant: Variant, targets: Sequence[int]) -> Varied:
        """Where a variant is run: only for the turns whose answers may hang on what it touches."""
        total = len(self.conversation)
        gone: Collection[int | None] = ()
        if variant.kind == "alone":
            speakers = self.conversation.speakers
            gone = frozenset(at for at, one in enumerate(speakers) if one != variant.speaker)
        elif variant.turn is not None and variant.kind in ("from", "drop"):
            first = 0 if variant.kind == "from" else variant.turn
            gone = range(first, variant.turn + (variant.kind == "drop"))
        touched = gone or {variant.turn}
        asked = np.zeros(total, bool)
        for at in targets:
            if at not in gone:
                asked[at] = bool(variant.inputs) or any(one in touched for one in self._seen[at])
        there = [at for at in range(total) if at not in gone] if gone else range(total)
        parts = systems.views(
            self.system,
            replace(self.conversation.without(*variant.inputs), targets=asked),
            hindsight=self.hindsight,
            kept=there,
        )
        return Varied(variant=variant, targets=targets, gone=gone, there=there, parts=parts)

    def _changed(self, varied: Varied, part: Conversation) -> Conversation:
        """A part of the conversation with the rows that were made anew."""
        times = list(part.words)
        for index, place in enumerate(part.places):
            if place in varied.rows:
                times[index] = varied.words.get(place, times[index])
                rows = self._anew.inputs(varied.rows[place], place)
                if place in self.words_ignored:
                    rows |= dict.fromkeys(self._anew.worded & set(rows))
                part = part.instead(index, rows, words=tuple(times))
        return part

    def _unchanged(self, varied: Varied) -> _Rows:
        """What is said of the turns as they are; of those that are gone why nothing is."""
        places, before = list(varied.targets), self.prediction
        lost = [at in varied.gone for at in places]
        rows = _Rows(
            row={at: row for row, at in enumerate(places)},
            probabilities=before.probabilities[places],
            values=before.values[places],
            why_not=[GONE if at in varied.gone else before.why_not[at] for at in places],
        )
        rows.probabilities[lost] = rows.values[lost] = np.nan
        return rows


@dataclass(slots=True, eq=False)
class _Rows:
    """The answers of one variant: where each turn's row is, and the rows."""

    row: Mapping[int, int]
    probabilities: np.ndarray
    values: np.ndarray
    why_not: list[str]

    def take(self, system: System, part: Conversation, made: systems.Answer, labels: str) -> None:
        """Take up what the system says of the targets of a part."""
        for at in np.flatnonzero(part.targets).tolist():
            row = self.row[part.places[at]]
            if labels:
                self.probabilities[row] = made.probabilities[labels][at]
            self.values[row] = made.values[at]
            self.why_not[row] = systems.why_not(system, part, at)
