"""From a conversation to a Prediction: in windows, in batches, with maps.

A system whose answers depend on all turns is served in windows of at most ``WINDOW`` turns, half
overlapping, each turn answered by the window in whose middle it lies; one that looks at some turns
only gets those. So cost grows with the number of turns. Without hindsight each turn is answered by
the full system on the conversation as it was when the turn ended. Here, and nowhere else, chances
get the temperature of the system's ``calibration``; what training lowers does not know of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from erc_demo.emotions import LabelSet, label_set
from erc_demo.errors import UserError
from erc_demo.findings import Map, Prediction
from erc_demo.systems._batch import Batch, Conversation, collate
from erc_demo.systems._contract import Design, Output, Shown, System

WINDOW = 172  # turns; IEMOCAP's longest dialogue, so nothing longer was ever learned
CHUNK = 64  # turns asked for together by a system that looks at some turns only
BUDGET = 2_000_000  # numbers of padded input in one batch, so that memory stays small
Tell = Callable[[float], None]


@dataclass(slots=True, eq=False)
class Answer:
    """What a system says of the target turns of one conversation, by index in it."""

    probabilities: dict[str, np.ndarray]  # label set → (turns, labels); NaN where not answered
    values: np.ndarray  # (turns, dimensions)
    maps: dict[str, list[Cut | None]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Cut:
    """A map's part for one turn, padding cut off; coordinates as in the dialogue."""

    value: np.ndarray
    at: dict[str, np.ndarray]
    whose: int


def answer(
    system: System,
    conversations: Sequence[Conversation],
    *,
    show: bool = False,
    hindsight: bool = True,
) -> list[Answer]:
    """Each conversation as it is, in batches; the order changes nothing.

    ``hindsight`` is that of the ``views`` which the conversations come from.
    In the precision of the weights, also within training's autocast: weights must sum to one.
    """
    found: dict[int, Answer] = {}
    training = system.training
    system.eval()
    try:
        kind = next(system.parameters()).device.type
        with torch.inference_mode(), torch.autocast(kind, enabled=False):
            for batch in _batches(conversations):
                part = [conversations[one] for one in batch]
                for one, made in zip(batch, _run(system, part, show, hindsight), strict=True):
                    found[one] = made
    finally:
        system.train(training)
    return [found[one] for one in range(len(conversations))]


def _batches(conversations: Sequence[Conversation]) -> Iterator[list[int]]:
    """Indices of conversations of like size, so that padding stays small."""
    shapes = []
    for one in conversations:
        longest = 1
        for name, level in one.levels.items():
            if level != "utterance":
                counts = (len(rows) for rows in one.rows[name] if rows is not None)
                longest = max(longest, max(counts, default=1) * one.widths[name])
            else:
                longest = max(longest, one.widths[name])
        shapes.append((longest, len(one)))
    held: list[int] = []
    for at in sorted(range(len(conversations)), key=lambda one: shapes[one]):
        more = [*held, at]
        turns = max(shapes[one][1] for one in more) * len(more)
        if held and turns * max(shapes[one][0] for one in more) > BUDGET:
            yield held
            more = [at]
        held = more
    if held:
        yield held


def _run(system: System, part: Sequence[Conversation], show: bool, hindsight: bool) -> list[Answer]:
    device = next(system.parameters()).device
    batch = collate(part).to(device)
    output = system.run(batch, show)  # not forward, which a trainer may have wrapped
    chances = system.probabilities(output, batch, hindsight=hindsight)
    asked = (batch.targets & system.able(batch)).cpu().numpy()
    probabilities = {
        name: system.calibration.applied(name, _numbers(these, asked))
        for name, these in chances.items()
    }
    values = (
        np.zeros((*asked.shape, 0), np.float32)
        if output.values is None
        else _numbers(output.values, asked)
    )
    maps = _cut(system, part, batch, output, asked) if show else {}
    starts = np.cumsum([0, *(len(one) for one in part)])
    return [
        Answer(
            probabilities={name: these[row, : len(one)] for name, these in probabilities.items()},
            values=values[row, : len(one)],
            maps={name: cuts[starts[row] : starts[row + 1]] for name, cuts in maps.items()},
        )
        for row, one in enumerate(part)
    ]


def _numbers(tensor: torch.Tensor, asked: np.ndarray) -> np.ndarray:
    array = tensor.float().cpu().numpy().copy()
    array[~asked] = np.nan
    return array


def _cut(
    system: System,
    part: Sequence[Conversation],
    batch: Batch,
    output: Output,
    asked: np.ndarray,
) -> dict[str, list[Cut | None]]:
    """The maps of every turn of the batch, in the order of the T turns."""
    turns = [(one, at) for one in part for at in range(len(one))]
    starts = [0]
    for one in part:
        starts += [starts[-1] + len(one)] * len(one)  # the first turn of each one's conversation
    flat_asked = asked[batch.mask.cpu().numpy()]
    found = {}
    for shown in system.shows:
        tensor = output.shown[shown.name].float().cpu().numpy()
        if shown.axes[-1] == "label":  # chances as well, which must be those of the answer
            tensor = system.calibration.applied(system.design.labels[0], tensor)
        seen = output.seen.get(shown.name)
        whose = output.whose.get(shown.name)
        cutter = _Cutter(
            shown,
            {name: these.cpu().numpy() for name, these in batch.lengths.items()},
            None if seen is None else seen.cpu().numpy(),
            None if whose is None else whose.cpu().numpy(),
            turns,
        )
        found[shown.name] = [
            cutter.cut(tensor[place], place) if flat_asked[place] else None
            for place in range(len(turns))
        ]
    return found


@dataclass(slots=True, eq=False)
class _Cutter:
    shown: Shown
    lengths: dict[str, np.ndarray]
    seen: np.ndarray | None
    whose: np.ndarray | None
    turns: Sequence[tuple[Conversation, int]]

    def cut(self, value: np.ndarray, place: int) -> Cut | None:
        conversation, _ = self.turns[place]
        of = place if self.whose is None else int(self.whose[place])
        if of < 0:
            return None
        at: dict[str, np.ndarray] = {}
        for axis, name in enumerate(self.shown.axes):
            if name == "turn":
                if self.seen is None:
                    kept = np.arange(len(conversation))
                    there = kept
                else:
                    kept = np.flatnonzero(self.seen[place] >= 0)
                    there = self.seen[place][kept]
                at["turn"] = np.array(conversation.places)[there]
            elif name == "frame":
                other, index = self.turns[of]
                at["frame"] = other.moments(self.shown.frames, index)
                kept = np.arange(self.lengths[self.shown.frames][of])
            elif name == "word":
                kept = np.arange(self.lengths[self.shown.words][place])
                at["word"] = kept
            else:
                continue
            if not len(kept):
                return None
            value = value.take(kept, axis=axis)
        other, index = self.turns[of]
        return Cut(value=value, at=at, whose=other.places[index])


def views(
    system: System,
    conversation: Conversation,
    *,
    hindsight: bool = True,
    kept: Sequence[int] | None = None,
) -> list[Conversation]:
    """What the system is to be run on, so that each turn is a target once.

    ``kept``: only these turns (by index, in order) were said. What then answers a turn lies within
    the same window as before, so that nothing but the missing turns makes a difference.
    """
    total = len(conversation)
    there = range(total) if kept is None else kept
    speakers = [conversation.speakers[at] for at in there]
    wanted = np.flatnonzero(conversation.targets).tolist()
    seen: dict[int, Sequence[int] | None] = {}
    ahead = False  # whether the network itself looks ahead
    for at in wanted:
        index = bisect_left(there, at)
        these, near = system.sees(speakers, index), system.around(speakers, index)
        seen[at] = None if these is None else [there[one] for one in these]
        ahead = ahead or near is None or max(near) > index
    # a chain over a network that never looks ahead can itself look back only, in one pass
    if (hindsight or not ahead) and any(one is None for one in seen.values()):
        return [
            conversation.part(
                _between(there, start, end), [at for at in wanted if first <= at < last]
            )
            for start, end, first, last in windows(total)
            if any(first <= at < last for at in wanted)
        ]
    if not hindsight:
        before = {
            at: _between(there, at + 1 - WINDOW, at + 1)
            if these is None
            else [one for one in these if one <= at][-WINDOW:]
            for at, these in seen.items()
        }
        if any(these is None or max(these) > at for at, these in seen.items()):
            return [conversation.part(before[at], [at]) for at in wanted]
    alone = all(these is not None and list(these) == [at] for at, these in seen.items())
    if alone:  # no turn needs another: those of like length go together
        wanted = sorted(wanted, key=lambda at: _length(conversation, at))
    found = []
    for start in range(0, len(wanted), CHUNK):
        chunk = wanted[start : start + CHUNK]
        union = sorted({one for at in chunk for one in seen[at] or ()})
        found.append(conversation.part(union, chunk))
    return found


def _between(there: Sequence[int], start: int, end: int) -> Sequence[int]:
    return there[bisect_left(there, start) : bisect_left(there, end)]


def _length(conversation: Conversation, at: int) -> int:
    rows = (these[at] for these in conversation.rows.values())
    return max((len(one) for one in rows if one is not None), default=0)


def windows(total: int) -> list[tuple[int, int, int, int]]:
    """(start, end, first, last): turns start … end are seen, first … last answered.

    >>> windows(300)
    [(0, 172, 0, 129), (86, 258, 129, 215), (128, 300, 215, 300)]
    """
    if total <= WINDOW:
        return [(0, total, 0, total)] if total else []
    half = WINDOW // 2
    starts = [*range(0, total - WINDOW, half), total - WINDOW]
    edges = [0, *((one + WINDOW + other) // 2 for one, other in pairwise(starts)), total]
    return [
        (start, start + WINDOW, first, last)
        for start, (first, last) in zip(starts, pairwise(edges), strict=True)
    ]


def predict(
    system: System,
    conversation: Conversation,
    *,
    labels: str | None = None,
    made_by: str = "untrained",
    trained: bool = False,
    hindsight: bool = True,
    show: bool = True,
) -> Prediction:
    """What a system says of every turn, with its maps; a turn that it can't answer says why."""
    design = system.design
    chosen = spoken(system, labels)
    _fits(design, conversation)
    parts = views(system, conversation, hindsight=hindsight)
    answers = answer(system, parts, show=show, hindsight=hindsight)
    total = len(conversation)
    classes = len(chosen.labels) if chosen else 0
    probabilities = np.full((total, classes), np.nan, np.float32)
    values = np.full((total, len(design.dimensions)), np.nan, np.float32)
    cuts: dict[str, list[Cut | None]] = {one.name: [None] * total for one in system.shows}
    index = {place: at for at, place in enumerate(conversation.places)}
    for part, made in zip(parts, answers, strict=True):
        for at in np.flatnonzero(part.targets):
            place = index[part.places[at]]
            if chosen:
                probabilities[place] = made.probabilities[chosen.name][at]
            values[place] = made.values[at]
            for name, these in made.maps.items():
                cuts[name][place] = these[at]
    return Prediction(
        system=design.system,
        made_by=made_by,
        trained=trained,
        labels=chosen,
        probabilities=probabilities,
        dimensions=design.dimensions,
        values=values,
        why_not=tuple(why_not(system, conversation, at) for at in range(total)),
        maps=tuple(_map(one, cuts[one.name]) for one in system.shows) if show else (),
        hindsight=hindsight,
        unsure_below=system.calibration.unsure_below.get(chosen.name) if chosen else None,
    )


def _fits(design: Design, conversation: Conversation) -> None:
    for name, need in ((name, design.module.NEEDS[name]) for name in design.inputs):
        level, width = conversation.levels.get(name), conversation.widths.get(name)
        if (level, width) != (need.level, design.widths[name]):
            raise UserError(
                f"{design.system} wants {design.widths[name]} numbers for each {need.level} as "
                f"its input '{name}', and was given {width or 'none'} for each "
                f"{level or need.level}; name features of that level and width "
                f"({', '.join(design.inputs[name])} were named)."
            )


def spoken(system: System, name: str | None) -> LabelSet | None:
    """The label set that a system speaks in: the one named where it has it, else its own first."""
    known = system.design.labels
    return label_set(name if name in known else known[0]) if known else None


def why_not(system: System, conversation: Conversation, at: int) -> str:
    """Why a turn has no answer, as a sentence; empty where it has one."""
    if not conversation.targets[at]:
        return "This turn was not asked for."
    present = conversation.present(at)
    if system.enough(present):
        return ""
    needs = system.design.module.NEEDS
    absent = [needs[name].title for name in system.design.inputs if name not in present]
    return (
        f"No {' and no '.join(absent)} here; {system.design.system} answers with "
        f"{system.choices()}."
    )


def _map(shown: Shown, cuts: Sequence[Cut | None]) -> Map:
    placed = [axis for axis in shown.axes if axis in ("turn", "frame", "word")]
    own = all(one is None or one.whose == place for place, one in enumerate(cuts))
    return Map(
        name=shown.name,
        title=shown.title,
        axes=shown.axes,
        values=tuple(None if one is None else one.value for one in cuts),
        names=shown.names,
        at={axis: tuple(None if one is None else one.at[axis] for one in cuts) for axis in placed},
        sums=shown.sums,
        whose=None if own else tuple(-1 if one is None else one.whose for one in cuts),
    )
