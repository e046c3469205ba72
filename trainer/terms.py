"""What a checkpoint was learned from, and who may therefore use it.

A corpus is known by what the record of a training calls its data, or, with a hedge, by its labels;
features bring their extractors' terms with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from erc_demo import plugs
from erc_demo.errors import UserError
from erc_demo.features import _difference, parse
from erc_demo.features._json import read_json

LICENCE = "LICENSE"
TUNED = "tuned.json"  # in the folder of an encoder


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus: what it is called, what is in it, its terms."""

    title: str
    speech: str  # what is heard or read in it
    terms: str


SOURCES = {
    "iemocap": Source(
        "IEMOCAP",
        "acted and improvised English conversations of two, ten actors in one room",
        "IEMOCAP (USC SAIL) is given on request and for research only.",
    ),
    "mspimprov": Source(
        "MSP-IMPROV",
        "acted and improvised English conversations of two, twelve actors",
        "MSP-IMPROV (UT Dallas) is given on request and for research only.",
    ),
    "meld": Source(
        "MELD",
        "English dialogue of a television comedy, with laughter and several speakers",
        "MELD's annotations are under GPL-3.0; the series they describe belongs to its owners.",
    ),
    "emorynlp": Source(
        "EmoryNLP",
        "English dialogue of a television comedy, as text",
        "EmoryNLP's annotations are under Apache-2.0; the series belongs to its owners.",
    ),
    "dailydialog": Source(
        "DailyDialog",
        "written English dialogues for learners of the language",
        "DailyDialog is under CC BY-NC-SA 4.0: no commercial use.",
    ),
    "ravdess": Source(
        "RAVDESS",
        "two English sentences, spoken and acted by 24 professionals, without conversation",
        "RAVDESS is under CC BY-NC-SA 4.0: no commercial use.",
    ),
    "avec": Source(
        "AVEC 2012",
        "English conversations of people with an operator who plays a character",
        "The SEMAINE recordings of AVEC 2012 are given for research only.",
    ),
}


def corpora(training: Mapping[str, Any], design: Mapping[str, Any]) -> list[Source]:
    """The corpora that its data name; where they name none, those whose labels it has."""
    named = told(training, "corpora") or told(training, "data")
    for said, sure in ((named, True), (told(training, "labels", design), False)):
        plain = re.sub(r"[^a-z0-9:]", "", said.lower())
        if found := [one for key, one in SOURCES.items() if key in plain]:
            return found if sure else [_by_labels(one) for one in found]
    return []


def _by_labels(one: Source) -> Source:
    return Source(
        f"a corpus with the labels of {one.title}",
        f"if it is that one: {one.speech}",
        f"By its labels, what was learned from may be {one.title}. {one.terms}",
    )


def terms(config: Mapping[str, Any]) -> list[str]:
    """Sentences on who may use the weights: the corpora's, then the features'."""
    design = config.get("design") or {}
    found = [one.terms for one in corpora(config.get("training") or {}, design)]
    texts = [text for these in (design.get("inputs") or {}).values() for text in these]
    for encoder in sorted({_encoder(text) for text in texts} & set(_difference.shipped())):
        learned = read_json(_difference.folder_of(encoder) / TUNED, encoder).get("data", {})
        these = corpora(learned, {})
        said = " ".join(one.terms for one in these if one.terms not in found)
        titles = ", ".join(one.title for one in these)
        found.append(f"Its encoder of words, {encoder}, was tuned on {titles}. {said}".rstrip())
    known = plugs.names("erc_demo.features")
    under: dict[str, list[str]] = {}
    for text in dict.fromkeys(one.partition(":")[0] for one in texts):
        said = plugs.load("erc_demo.features", text).TERMS if text in known else ""
        if said:
            under.setdefault(said, []).append(text)
    return found + [f"It reads {', '.join(names)}: {said}" for said, names in under.items()]


def _encoder(text: str) -> str:
    """The encoder that a feature names; one that does not parse names none."""
    try:
        return str(parse(text).options.get("encoder", ""))
    except UserError:
        return ""


def licence(config: Mapping[str, Any]) -> str:
    """The text of LICENSE."""
    said = terms(config)
    lines = [
        "These weights are for research and for no commercial use, and they are given as they are,",
        "without warranty of any kind. What they were learned from adds its own terms:",
        "",
        *(f"- {one}" for one in said or ["Nothing further is recorded; ask who trained them."]),
        "",
    ]
    return "\n".join(lines)


def told(training: Mapping[str, Any], key: str, design: Mapping[str, Any] | None = None) -> str:
    """A fact of the record as a word; empty where it is not there."""
    value = training.get(key)
    if value in (None, "", [], {}) and design is not None:
        value = design.get(key)
    if isinstance(value, Mapping):
        value = value.get("reference") or ", ".join(f"{name} {one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return "" if value is None else str(value)
