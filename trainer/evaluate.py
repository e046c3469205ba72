"""What a trained system says of a corpus, as prediction lines: each dialogue as it would be served.

Nothing here knows what is measured on the lines afterwards (``metrics``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from erc_demo import checkpoint
from erc_demo.checkpoint import Checkpoint
from erc_demo.emotions import LabelSet, label_set, map_probabilities
from erc_demo.errors import UserError, listed
from erc_demo.settings import Settings
from erc_demo.systems import System, answer, views, why_not
from trainer import encoder, inputs, metrics, predictions, record, runs
from trainer.datasets import Ask, Corpus, Labelled, open_corpus
from trainer.inputs import Example
from trainer.predictions import Line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What a system said of some dialogues, all their turns one after the other."""

    chances: dict[str, np.ndarray]  # label set → (turns, labels); NaN: not answered
    values: np.ndarray  # (turns, dimensions)


class Served:
    """Some dialogues as a system is run on them when it serves; cut once, asked every epoch."""

    def __init__(self, examples: Sequence[Example], system: System) -> None:
        self.examples = list(examples)
        self._parts, self._places = [], []
        base = 0
        for one in self.examples:
            for part in views(system, one.conversation):
                self._parts.append(part)
                self._places.append(base + np.array(part.places))
            base += len(one.conversation)
        self.turns = base

    def labels(self, name: str) -> np.ndarray:
        """The label of every turn, -1 where there is none."""
        nothing = [np.full(len(one.conversation), -1) for one in self.examples]
        return np.concatenate(
            [
                one.labelled.labels.get(name, none)
                for one, none in zip(self.examples, nothing, strict=True)
            ]
        )

    def rated(self, dimensions: int) -> np.ndarray:
        """The dimensions of every turn, NaN where nobody rated."""
        return np.concatenate(
            [
                np.full((len(one.conversation), dimensions), np.nan)
                if one.labelled.values is None
                else one.labelled.values
                for one in self.examples
            ]
        )

    def ask(self, system: System) -> Said:
        """The system's answers."""
        design = system.design
        chances = {
            name: np.full((self.turns, len(label_set(name).labels)), np.nan, np.float32)
            for name in design.labels
        }
        values = np.full((self.turns, len(design.dimensions)), np.nan, np.float32)
        answers = answer(system, self._parts)
        for part, places, made in zip(self._parts, self._places, answers, strict=True):
            asked = np.flatnonzero(part.targets)
            for name, these in chances.items():
                these[places[asked]] = made.probabilities[name][asked]
            values[places[asked]] = made.values[asked]
        return Said(chances=chances, values=values)


def lines(
    system: System, examples: Sequence[Example], said: Said, labels: str | None = None
) -> list[Line]:
    """A line for each utterance; in a label set that the system lacks, by the mapping of labels.

    The threshold of being unsure is that of the set that it speaks, held against the chances of the
    set asked for: believed chances need no other.
    """
    design = system.design
    asked = label_set(labels) if labels else None
    own = _spoken(system, labels)
    below = None if own is None else system.calibration.unsure_below.get(own.name)
    found: list[Line] = []
    base = 0
    for one in examples:
        known = one.labelled
        for at, turn in enumerate(known.dialogue.turns):
            chances = None if own is None else said.chances[own.name][base + at]
            shares = None if chances is None else _shares(chances, own, asked)
            answered = chances is not None and not np.isnan(chances).any()
            values = said.values[base + at]
            wanted = None if known.values is None else known.values[at]
            said_words = turn.said
            found.append(
                Line(
                    dialogue=known.name,
                    utt_id=known.ids[at],
                    turn=turn.number,
                    speaker=turn.speaker,
                    labels=asked.name if asked else "",
                    label=_label(known.labels[asked.name][at], asked) if asked else None,
                    predicted=None if shares is None else max(shares, key=shares.__getitem__),
                    probabilities=shares,
                    values=_named(design.dimensions, values),
                    wanted={} if wanted is None else _named(design.dimensions, wanted),
                    words=len(said_words),
                    text=turn.text if len(said_words) <= 1 else None,
                    why_not=""
                    if answered or own is None
                    else why_not(system, one.conversation, at),
                    unsure=None
                    if below is None or shares is None
                    else max(shares.values()) < below,
                )
            )
        base += len(known.ids)
    return found


def _spoken(system: System, labels: str | None) -> LabelSet | None:
    """The label set of the system's own that answers for the one asked for."""
    known = system.design.labels
    if labels is None:
        return None
    if not known:
        raise UserError(
            f"{system.design.system} here says no labels but "
            f"{', '.join(system.design.dimensions)}; leave --labels away."
        )
    return label_set(labels if labels in known else known[0])


def _shares(
    chances: np.ndarray, own: LabelSet | None, asked: LabelSet | None
) -> dict[str, float] | None:
    if own is None or asked is None or np.isnan(chances).any():
        return None
    exact = [float(one) for one in chances]
    if own != asked:
        try:
            exact = list(map_probabilities(exact, own, asked))
        except UserError:  # all that it said has no match there
            return None
    total = sum(exact)
    return {label: share / total for label, share in zip(asked.labels, exact, strict=True)}


def _label(number: int, asked: LabelSet) -> str | None:
    return asked.labels[int(number)] if number >= 0 else None


def _named(names: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {
        name: None if np.isnan(one) else float(one) for name, one in zip(names, values, strict=True)
    }


# ---- a checkpoint on a part of a corpus


def evaluate(
    ref: str,
    reference: str,
    ask: Ask,
    settings: Settings,
    *,
    split: str = "all",
    out: Path | None = None,
) -> Iterator[str]:
    """Predict and measure; what there is to say of it, a line at a time.

    With ``out`` the lines are written there, and the metrics beside them.
    """
    given = checkpoint.load(record.checkpoint_of(ref), settings)
    yield from (f"note: {notice}" for notice in given.notices)
    design = given.system.design
    labels = ask.labels[0] if ask.labels else (design.labels[0] if design.labels else None)
    wanted = replace(
        ask, labels=(labels,) if labels else (), dimensions=design.dimensions, shared_speakers=True
    )
    corpus = open_corpus(reference, wanted, labelled=False)
    part = part_of(corpus, split)
    yield from (f"note: {remark}" for remark in corpus.remarks)
    names = [one.name for one in part]
    yield from (f"note: {remark}" for remark in record.seen_before(given, names))
    yield from (f"note: {remark}" for remark in encoder.remarks(design.features, names))
    found = inputs.examples(part, design, settings)
    yield from (f"note: {remark}" for remark in _absent(found, given))
    if settings.device != "cpu" and torch.cuda.is_available():
        given.system.to("cuda")
    said = Served(found, given.system).ask(given.system)
    made = lines(given.system, found, said, labels)
    if labels and labels not in design.labels:
        yield f"note: it speaks {design.labels[0]}; its chances are mapped to {labels}."
    report = metrics.report(made)
    if out is not None:
        predictions.write(out, made)
        beside = out.with_name(f"{out.stem}.metrics.json")
        facts = {"checkpoint": given.made_by, "data_sha256": corpus.sha256, "split": split}
        runs.write(beside, json.dumps(facts | report, indent=1, ensure_ascii=False) + "\n")
        yield f"{len(made)} predictions are in {out}, the metrics in {beside.name} beside it."
    if any(one.split == "test" for one in part):
        yield from _opened(Path(record.checkpoint_of(ref)), corpus)
    yield from metrics.sentences(report)


def part_of(corpus: Corpus, split: str) -> list[Labelled]:
    """The dialogues of one of its parts, or of all."""
    if split == "all":
        return list(corpus.dialogues)
    part = [one for one in corpus.dialogues if one.split == split]
    if not part:
        there = sorted({one.split for one in corpus.dialogues if one.split})
        raise UserError(
            f"No dialogue of this corpus is in the part '{split}' (there are "
            f"{listed(there) or 'no parts'}); name the column with --split-column, or --split all."
        )
    return part


def _absent(found: Sequence[Example], given: Checkpoint) -> list[str]:
    design = given.system.design
    needs = design.module.NEEDS
    counts = inputs.present(found, design)
    turns = sum(len(one.conversation) for one in found)
    if not any(counts.values()):
        raise UserError(
            f"This data has nothing that {given.made_by} reads ({', '.join(design.features)}); "
            "name a corpus with sound or words, or another checkpoint."
        )
    return [
        f"{name} ({needs[name].title}) is absent in {turns - count} of {turns} turns."
        for name, count in counts.items()
        if count < turns
    ]


def _opened(place: Path, corpus: Corpus) -> Iterator[str]:
    """The run that a checkpoint lies in notes when it was opened on a test part, and when again."""
    place = place.absolute()
    run = next((one for one in place.parents if (one / "plan.toml").is_file()), None)
    if run is None or not place.is_dir():
        return
    file, name = run / "test_opened.jsonl", place.relative_to(run).as_posix()
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    now = {"data_sha256": corpus.sha256, "checkpoint": name}
    events = [json.loads(text) for text in before.splitlines()]
    times = sum({key: one.get(key) for key in now} == now for one in events)
    if times:
        how_often = "once" if times == 1 else f"{times} times"
        yield (
            f"note: this test part was opened {how_often} before with this checkpoint; see "
            f"{file.name}."
        )
    event = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **now}
    runs.write(file, before + json.dumps(event) + "\n")
