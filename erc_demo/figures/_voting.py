"""How far several systems agree on a turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from erc_demo.emotions import OWN, mapping
from erc_demo.findings import Prediction


@dataclass(frozen=True, slots=True)
class Vote:
    """What each system says of one turn, in common words; None where that can't be compared."""

    said: tuple[str | None, ...]

    @property
    def given(self) -> list[str]:
        """The answers that can be compared."""
        return [one for one in self.said if one is not None]

    @property
    def most(self) -> str | None:
        """What more than half of them say."""
        ((label, count),) = Counter(self.given).most_common(1) or ((None, 0),)
        return label if 2 * count > len(self.given) else None

    @property
    def agreed(self) -> bool | None:
        """Whether all say the same; None where fewer than two say anything."""
        return len(set(self.given)) == 1 if len(self.given) > 1 else None

    def departs(self, system: int) -> bool:
        """Whether a system says something else than most do."""
        said = self.said[system]
        return None not in (said, self.most) and said != self.most


def votes(systems: Sequence[Prediction]) -> list[Vote]:
    """A vote for each turn, in the words of the smallest label set among the systems.

    Of emotions, if one of them has such: a model's own words are compared with their like alone.
    """
    sets = [one.labels for one in systems if one.labels is not None]
    common = min(sets, key=lambda each: (each.name == OWN, len(each.labels)))
    words = [mapping(each, common) for each in sets]
    found = []
    for place in range(systems[0].turns):
        labels = [one.label(place) for one in systems]
        pairs = zip(labels, words, strict=True)
        found.append(Vote(tuple(to[label] if label else None for label, to in pairs)))
    return found
