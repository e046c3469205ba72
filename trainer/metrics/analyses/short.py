"""Short utterances: those of one word at most, and those that say "yeah" and nothing else.

DialogueTRM (Mao et al. 2020, "Short utterance cases"): "yeah." stands 23 times in IEMOCAP's test
part; from the words alone 43.48 % of them are right, with context 65.22 %, with sound and face
73.91 %. The three are three systems, so three files. Case and punctuation don't count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from erc_demo.score import normalise
from trainer.metrics.cells import by_label, cell, labelled, shown, shown_labels
from trainer.predictions import Line

ABOUT = 'Utterances of at most one word, and those that are "yeah" alone.'
YEAH = ["yeah"]


def analyse(lines: Sequence[Line]) -> dict[str, Any]:
    """The cell of each kind, and its labels; empty where no line counts its words."""
    some = labelled(lines)
    if not any(one.words is not None for one in some):
        return {}
    short = [one for one in some if one.words is not None and one.words <= 1]
    yeah = [one for one in short if normalise(one.text or "") == YEAH]
    return {
        name: cell(these) | {"classes": by_label(these)}
        for name, these in (("one_word", short), ("yeah", yeah))
    }


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Of each kind a line, and its labels."""
    lines = []
    for name, title in (("one_word", "at most one word"), ("yeah", "yeah")):
        lines.append(shown(title, found[name]))
        if found[name]["n"]:
            lines.append(shown_labels(found[name]["classes"]))
    return lines
