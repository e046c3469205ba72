"""Guests: classifiers from elsewhere that stand beside the systems, one more row each.

    guest = load("hub:owner/name", settings)     # or a folder; transformers, sound or words
    chances = guest.chances(dialogue, recording)  # of its own labels
    guest.prediction(chances, asked=label_set("iemocap6")), guest.notes(chances)

A guest hears one turn at a time and knows nothing of the conversation; it has no maps. What its
labels mean is decided by one rule (``_labels``), a head without its weights is refused
(``_network``), and ``_listener`` says what it gets of a turn. Its answers are marked as a guest's
wherever they are shown (``Prediction.guest``); how often they are right is not known here.

Left out: heads that give numbers instead of labels, since no config.json says their scale; models
that bring their own code; what a model could make of earlier turns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from erc_demo.dialogue import Dialogue, Recording
from erc_demo.emotions import OWN, LabelSet
from erc_demo.errors import UserError
from erc_demo.features._utterances import Given, batches
from erc_demo.findings import Prediction
from erc_demo.findings.features import WHY
from erc_demo.findings.prediction import GUEST
from erc_demo.guests import _labels
from erc_demo.guests._listener import Listener, listener
from erc_demo.guests._network import load as read
from erc_demo.settings import Settings

__all__ = ["Chances", "Guest", "load", "named"]

HUB = "hub:"
LOUDEST = ("silent", "no time", "no channel", "outside", "no sound", "no words")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chances:
    """What a guest gives each turn: chances of its own labels, NaN where it says why not."""

    rows: np.ndarray  # float32 (turns, labels)
    why_not: tuple[str, ...]
    parted: int = 0  # turns that were read in parts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guest:
    """A classifier from elsewhere, ready to be asked."""

    name: str  # the last part of what it was called by
    made_by: str
    labels: LabelSet  # a known set, or its own words
    said: tuple[str, ...]  # of that set, in the order of its numbers
    remarks: tuple[str, ...]  # what is odd about it, as sentences
    listener: Listener

    @property
    def hears(self) -> str:
        """``sound`` or ``words``."""
        (found,) = self.listener.hears
        return found

    def spoken(self, asked: LabelSet) -> LabelSet:
        """The label set that it is shown in."""
        return _labels.spoken(self.labels, self.said, asked)

    def chances(
        self,
        dialogue: Dialogue,
        recording: Recording | None,
        *,
        tell: Callable[[float], None] | None = None,
    ) -> Chances:
        """What it gives every turn."""
        given = Given(dialogue, recording)
        rows = np.full((len(dialogue.turns), self.listener.width), np.nan, np.float32)
        why_not, there = [""] * len(rows), []
        for place in range(len(rows)):
            audible, odd = given.look(place, self.listener)
            if audible:
                there.append(place)
            else:
                why_not[place] = f"This turn {WHY[next(one for one in LOUDEST if one in odd)]}."
        parted = done = 0
        for batch in batches([given.size(place) for place in there], neural=True):
            places = [there[index] for index in batch]
            utterances = [given.utterance(place, self.listener) for place in places]
            rows[places] = np.concatenate(self.listener.rows(utterances))
            parted += sum(self.listener.parts(one) > 1 for one in utterances)
            done += len(batch)
            if tell is not None:
                tell(done / len(there))
        return Chances(rows=rows, why_not=tuple(why_not), parted=parted)

    def prediction(
        self, chances: Chances, *, asked: LabelSet, hindsight: bool = True
    ) -> Prediction:
        """Its chances as a system's answer, in the set that was asked for if it speaks it."""
        labels = self.spoken(asked)
        rows, without = _labels.told(chances.rows, self.labels, self.said, labels)
        return Prediction(
            system=self.name,
            made_by=self.made_by,
            trained=True,
            labels=labels,
            probabilities=rows,
            why_not=tuple(
                why if label is None else f"{self.name} says {label}, which {labels.title} lacks."
                for why, label in zip(chances.why_not, without, strict=True)
            ),
            hindsight=hindsight,
        )

    def notes(self, chances: Chances) -> tuple[str, ...]:
        """What a person should know of these answers, as sentences."""
        if not chances.parted:
            return self.remarks
        turns = "1 turn was" if chances.parted == 1 else f"{chances.parted} turns were"
        long = f"{turns} longer than {self.name} reads; the chances of their parts were averaged."
        return (*self.remarks, long)


def named(text: str) -> list[str]:
    """The guests that a setting names."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def load(ref: str, settings: Settings) -> Guest:
    """The guest of a folder, or of ``hub:owner/name[@revision]``."""
    bare = ref.removeprefix(HUB)
    if bare != ref and Path(bare).expanduser().is_dir():
        raise UserError(
            f"{ref} names a model on the Hub, and a folder of that name is here; write "
            f"{bare} for the folder, or call from elsewhere."
        )
    network = read(bare, settings)
    folder = Path(bare).expanduser()
    called = folder.resolve().name if folder.is_dir() else bare.partition("@")[0]
    name = called.rpartition("/")[2]
    labels, said = _labels.known(network.labels)
    remarks = []
    if labels.name == OWN:
        remarks.append(
            f"{name} is shown in its own words, which map to no label set: "
            f"{_listed(network.labels)}."
        )
    elif absent := [label for label in labels.labels if label not in said]:
        remarks.append(f"{name} is shown in {labels.title}, and never says {_listed(absent)}.")
    if network.each:
        remarks.append(
            f"{name} judges each label on its own; its scores are shown as shares of their sum."
        )
    return Guest(
        name=name,
        made_by=f"{GUEST}{called} {network.fingerprint}",
        labels=labels,
        said=said,
        remarks=tuple(remarks),
        listener=listener(network),
    )


def _listed(labels: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    return ", ".join(labels[:8]) + more
