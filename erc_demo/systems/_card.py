"""What a person asks of a system before using it: a line, or its whole card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from textwrap import fill
from typing import Any

from erc_demo import plugs
from erc_demo.systems._contract import PACKAGE, Need

WIDE = 100


def line(name: str) -> str:
    """Its name and what it is."""
    return f"{name}: {plugs.load(PACKAGE, name).ABOUT}"


def card(name: str) -> Iterator[str]:
    """Paper, inputs, ablations and every setting with its default."""
    module = plugs.load(PACKAGE, name)
    yield line(name)
    yield fill(module.PAPER, WIDE, initial_indent="  ", subsequent_indent="  ")
    yield "Inputs (published, then what a checkpoint here reads):"
    needs: Mapping[str, Need] = module.NEEDS
    for one, need in needs.items():
        extra = "; only where asked for" if need.extra else ""
        reads = ", then ".join(
            " + ".join(texts) or "nothing" for texts in (need.published, need.embedded)
        )
        yield f"  {one} ({need.title}), one row a {need.level}{extra}: {reads}"
    yield "Settings:"
    for each in fields(module.Config):
        departs = module.EMBEDDED.get(each.name, each.default)
        here = "" if departs == each.default else f" (here {_short(departs)})"
        text = f"{each.name} = {_short(each.default)}{here}: {each.metadata['help']}"
        yield fill(text, WIDE, initial_indent="  ", subsequent_indent="      ")
    if module.ABLATIONS:
        yield "The paper's own rivals of it:"
    for rival, how in module.ABLATIONS.items():
        parts = [f"{key}={_short(value)}" for key, value in how.settings.items()]
        parts += [f"inputs {' + '.join(how.inputs)}"] if how.inputs else []
        yield f"  {rival}: {', '.join(parts)}"


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:40]}…" if len(text) > 41 else text or "''"
