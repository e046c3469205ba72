"""Published systems, one file each, and this door. Listing the folder finds them.

    plan = design("ats_sagru", widths={"audio": 94, "text": 384, "speaker": 256}, embedded=True)
    system = build(plan)
    predict(system, Conversation.of(dialogue, features, plan.inputs))

A system knows nothing of files, of the page or of how its inputs were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from erc_demo import plugs
from erc_demo.errors import UserError
from erc_demo.systems._answer import Answer, answer, predict, spoken, views, why_not
from erc_demo.systems._batch import Batch, Conversation, collate
from erc_demo.systems._calibration import Calibration
from erc_demo.systems._card import card, line
from erc_demo.systems._contract import (
    PACKAGE,
    Ablation,
    Config,
    Design,
    Need,
    Output,
    Shown,
    System,
)
from erc_demo.systems._losses import Targets

__all__ = [
    "Ablation",
    "Answer",
    "Batch",
    "Calibration",
    "Config",
    "Conversation",
    "Design",
    "Need",
    "Output",
    "Shown",
    "System",
    "Targets",
    "answer",
    "build",
    "card",
    "collate",
    "design",
    "inputs",
    "line",
    "names",
    "predict",
    "spoken",
    "views",
    "why_not",
]


def names() -> list[str]:
    """Every system's name."""
    return plugs.names(PACKAGE)


def inputs(name: str, *, embedded: bool = False) -> dict[str, tuple[str, ...]]:
    """The features that each input of a system reads: the paper's, or those of a checkpoint here.

    An input that is there only where somebody asks for it (``Need.extra``) is left out.
    """
    needs: Mapping[str, Need] = plugs.load(PACKAGE, name).NEEDS
    found = {one: need.embedded if embedded else need.published for one, need in needs.items()}
    return {one: texts for one, texts in found.items() if texts and not needs[one].extra}


def design(
    name: str,
    *,
    widths: Mapping[str, int],
    embedded: bool = False,
    labels: Sequence[str] = ("iemocap6",),
    dimensions: Sequence[str] = (),
    ablation: str | None = None,
    settings: Mapping[str, Any] | None = None,
    reads: Mapping[str, Sequence[str]] | None = None,
) -> Design:
    """A design as published, or as a checkpoint here has it, with some settings changed.

    ``ablation`` is one of the paper's own rivals of its system; ``reads`` replaces the inputs:
    which there are, and which features each of them reads.
    """
    module = plugs.load(PACKAGE, name)
    chosen = dict(inputs(name, embedded=embedded) if reads is None else reads)
    rival = _ablation(module, name, ablation) if ablation else Ablation()
    if rival.inputs:
        every = {
            one: need.embedded if embedded else need.published for one, need in module.NEEDS.items()
        }
        chosen = {
            one: chosen.get(one, every[one])
            for one in rival.inputs
            if one in chosen or module.NEEDS[one].extra
        }
    lists: dict[str, Any] = {"inputs": chosen, "labels": labels, "dimensions": dimensions}
    return Design(  # which refuses a lone name where a list was wanted
        system=name,
        **lists,
        widths=widths,
        settings={
            **(module.EMBEDDED if embedded else {}),
            **rival.settings,
            **(settings or {}),
        },
    )


def _ablation(module: Any, name: str, asked: str) -> Ablation:
    known: Mapping[str, Ablation] = module.ABLATIONS
    if asked not in known:
        raise UserError(
            f"{name} has no ablation '{asked}'; its paper has {', '.join(known) or 'none'}."
        )
    return known[asked]


def build(plan: Design, *, seed: int = 0) -> System:
    """An empty system, its weights drawn by the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: System = plan.module.System(plan)
    return made.eval()
