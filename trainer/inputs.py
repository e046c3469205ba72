"""What systems learn from: a corpus's dialogues as conversations of numbers, and what they mean.

Numbers that the corpus brings with it are taken as they are; the others are made by the same
extractors that serve a recording, and kept in the same cache (``trainer extract`` fills it ahead).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from erc_demo import checkpoint, features, systems
from erc_demo.errors import UserError, listed
from erc_demo.features import Features, Spec, parse
from erc_demo.settings import Settings
from erc_demo.systems import Conversation, Design
from trainer import extract, pretrained
from trainer.datasets import Item, Labelled, Listing, heard, written
from trainer.runs import Plan

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """One dialogue: what a system reads of it, and what people said of it."""

    labelled: Labelled
    conversation: Conversation

    @property
    def name(self) -> str:
        """The dialogue's."""
        return self.labelled.name


def design_of(plan: Plan, settings: Settings) -> Design:
    """The empty system that a plan asks for, with all inputs that it may have."""
    plan = pretrained.chosen(plan, settings)
    embedded = plan.design == "embedded"
    needs: Mapping[str, Any] = systems_needs(plan.system)
    reads = systems.inputs(plan.system, embedded=embedded)
    for name, these in plan.reads.items():
        if name not in needs:
            raise UserError(
                f"{plan.system} has no input '{name}' to read {' and '.join(these)}; it has "
                f"{', '.join(needs)}."
            )
        reads[name] = these
    wanted = [one.strip() for one in plan.inputs.split(",") if one.strip()]
    if odd := [one for one in wanted if one not in reads]:
        raise UserError(
            f"{plan.system} as {plan.design} has no input {listed(odd)}; it has {', '.join(reads)}."
        )
    if wanted:
        reads = {name: these for name, these in reads.items() if name in wanted}
    every = dict(reads)
    for name, need in needs.items():  # that an ablation may add
        if need.extra and plan.ablation:
            every.setdefault(name, need.embedded if embedded else need.published)
    chosen = systems.design(
        plan.system,
        widths=dict.fromkeys(every, 1),
        embedded=embedded,
        labels=plan.ask.labels,
        dimensions=plan.ask.dimensions,
        ablation=plan.ablation or None,
        settings=plan.settings,
        reads=reads,
    )
    return replace(chosen, widths=checkpoint.widths(dict(chosen.inputs), settings))


def systems_needs(system: str) -> Mapping[str, Any]:
    """The inputs of a system by name."""
    from erc_demo import plugs

    found: Mapping[str, Any] = plugs.load("erc_demo.systems", system).NEEDS
    return found


def examples(
    dialogues: Sequence[Labelled], design: Design, settings: Settings, tell: Tell | None = None
) -> list[Example]:
    """Each dialogue with the numbers of every input."""
    specs = [parse(text) for text in design.features]
    fill(dialogues, specs, settings, tell)
    found = []
    for one in dialogues:
        numbers = _numbers(one, specs, settings)
        conversation = Conversation.of(one.dialogue, numbers, design.inputs)
        found.append(Example(labelled=one, conversation=conversation))
    return found


def fill(
    dialogues: Sequence[Labelled],
    specs: Sequence[Spec],
    settings: Settings,
    tell: Tell | None = None,
) -> None:
    """Make what the cache lacks, in all processes; what can't be made is raised."""
    missing = [
        spec
        for spec in dict.fromkeys(spec.raw for spec in specs)
        if any(spec.text not in one.given for one in dialogues)
    ]
    if not settings.cache_mb:
        return
    for wanted, items in (
        (
            [spec for spec in missing if _of_words(spec, settings)],
            [written(one) for one in dialogues],
        ),
        (
            [spec for spec in missing if not _of_words(spec, settings)],
            [item for one in dialogues for item in heard(one) if item.sound is not None],
        ),
    ):
        if wanted and items:
            _fill(items, wanted, settings, tell)


def _fill(
    items: Sequence[Item], wanted: Sequence[Spec], settings: Settings, tell: Tell | None
) -> None:
    if tell is not None:
        names = ", ".join(spec.text for spec in wanted)
        tell(f"Making {names} of {len(items)} dialogues or clips, unless they were made before.")
    _, failures = extract.extract(
        Listing(items=tuple(items)), extract.Task(specs=tuple(wanted), settings=settings)
    )
    for item, exc in failures:
        if not isinstance(exc, UserError):
            raise exc
        raise UserError(f"{item.name}: {exc}")


def _of_words(spec: Spec, settings: Settings) -> bool:
    return features.ready(spec, settings).hears == frozenset({"words"})


def _numbers(one: Labelled, specs: Sequence[Spec], settings: Settings) -> dict[str, Features]:
    raw = {text: these for text, these in one.given.items()}
    rest = [spec for spec in dict.fromkeys(spec.raw for spec in specs) if spec.text not in raw]
    for of_words, items in ((True, (written(one),)), (False, heard(one))):
        wanted = [spec for spec in rest if _of_words(spec, settings) == of_words]
        if wanted:
            parts = [extract.made(item, wanted, settings)[1] for item in items]
            raw |= {spec.text: _joined([part[spec.text] for part in parts]) for spec in wanted}
    return {
        spec.text: features.normalised(spec, raw[spec.raw.text], one.dialogue) for spec in specs
    }


def _joined(parts: Sequence[Features]) -> Features:
    """One dialogue's rows of those of its turns."""
    if len(parts) == 1:
        return parts[0]
    counts = [int(np.diff(part.starts)[0]) for part in parts]
    return parts[0].but(
        rows=np.concatenate([part.rows for part in parts]),
        starts=np.cumsum([0, *counts]).astype(np.int64),
        remarks=tuple(
            replace(one, turn=at) for at, part in enumerate(parts) for one in part.remarks
        ),
    )


def present(found: Sequence[Example], design: Design) -> dict[str, int]:
    """How many turns have each input."""
    return {
        name: sum(rows is not None for one in found for rows in one.conversation.rows.get(name, ()))
        for name in design.inputs
    }


def without_absent(found: list[Example], design: Design) -> tuple[list[Example], Design, list[str]]:
    """Inputs that no turn has are taken out of the design, since nothing would teach them."""
    counts = present(found, design)
    absent = [name for name, count in counts.items() if not count]
    if not absent:
        return found, design, []
    needs = design.module.NEEDS
    if len(absent) == len(counts):
        brought = sorted({text for one in found for text in one.labelled.given})
        more = f" It brings {', '.join(brought)} with it." if brought else ""
        raise UserError(
            f"This data has nothing that {design.system} reads ({_reading(design)}); name a corpus "
            f"with sound or words, or what it reads instead with --reads.{more}"
        )
    kept = {name: these for name, these in design.inputs.items() if name not in absent}
    design = replace(design, inputs=kept)
    titles = " and ".join(f"{name} ({needs[name].title})" for name in absent)
    remark = f"{design.system} is trained without {titles}: no turn of this data has it."
    trimmed = [
        replace(
            one,
            conversation=replace(
                one.conversation,
                rows={name: one.conversation.rows[name] for name in kept},
                widths={name: one.conversation.widths[name] for name in kept},
                levels={name: one.conversation.levels[name] for name in kept},
                steps={
                    name: these for name, these in one.conversation.steps.items() if name in kept
                },
            ),
        )
        for one in found
    ]
    return trimmed, design, [remark]


def _reading(design: Design) -> str:
    return ", ".join(f"{name}: {' + '.join(these)}" for name, these in design.inputs.items())
