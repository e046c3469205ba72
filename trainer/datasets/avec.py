"""AVEC 2012 in the form that the field shares: four ratings of every turn of a talk with an agent.

What: people talk with an operator who plays one of four characters (SEMAINE, Solid SAL); raters
traced how they feel all along, and for the field's files the traces were averaged over each turn
(Majumder et al., DialogueRNN, AAAI 2019): 95 dialogues, of which 32 test.
Who: McKeown et al. (SEMAINE, 2012), Schuller et al. (the challenge, ICMI 2012); the files are of
Majumder, Poria and others (declare-lab).
Labels: real numbers, one dimension a file, ``AVEC_features_1.pkl`` valence, ``_2`` arousal, ``_3``
expectancy, ``_4`` power. The first three run from -1 to 1 and are taken as they are. Power runs
from 0 up (errors of about 8 are published for it, 0.17 for the others); it is taken to be of 100:
value = power / 50 - 1, so that power = 50 * (value + 1), a mean absolute error in the field's
numbers is 50 times ours, and Pearson's r is the same. ``SCALES`` says so to ``Dimension.rating``.
Terms: SEMAINE is for research, on a signed licence; the challenge's labels likewise.
To obtain: https://semaine-db.eu for the recordings; the files are in DialogueRNN_features.zip of
https://github.com/declare-lab/conv-emotion. PATH is the folder with them, or one of them.

The files repeat sentences and numbers (``given:name=text100,width=100`` and the like, see
``conv_emotion``); where a dialogue differs in length from file to file, the files are refused.
Speakers are ``user`` and ``operator``; who they were is not told, so people can't be kept apart.
Numbers beyond a scale are its end, and counted. There is no sound and no time.
Split: training and test as stored; no validation part, since the code of these files chooses its
epoch on test. A run must cut dialogues from training (``--select-from train:N``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.emotions import DIMENSIONS
from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, Labelled, _asked, _pack
from trainer.datasets._pack import Part
from trainer.datasets._turns import Count

SCALES = {"valence": (-1, 1), "arousal": (-1, 1), "expectancy": (-1, 1), "power": (0, 100)}
NAMED = re.compile(r"AVEC_features_([1-4])\.pkl")


def find(path: Path, ask: Ask) -> Corpus:
    """Every dialogue, with the ratings that are asked for."""
    _asked.refuse(ask, "avec", tuple(SCALES))
    there = files(path)
    if not there:
        raise UserError(
            f"{path} holds no AVEC_features_1.pkl … AVEC_features_4.pkl (valence, arousal, "
            "expectancy, power); they are in DialogueRNN_features.zip of "
            "https://github.com/declare-lab/conv-emotion."
        )
    lacking = [one for one in ask.dimensions if one not in there]
    if lacking:
        raise UserError(
            f"{path} has the ratings of {', '.join(there)}, not of {', '.join(lacking)}; each "
            f"dimension has a file of its own, {', '.join(_called(one) for one in lacking)}."
        )
    count = Count()
    wanted = ask.dimensions or tuple(there)[:1]
    rated = {name: _read(there[name], count) for name in wanted}
    first, *others = rated.values()
    for other in others:
        if [(one, len(part.ids)) for one, part in first.items()] != [
            (one, len(part.ids)) for one, part in other.items()
        ]:
            raise UserError(
                f"The files of {path} differ in their dialogues or turns; take all of one release."
            )
    return Corpus(
        name="avec",
        ask=ask,
        dialogues=tuple(
            _dialogue(part, {name: rated[name][one] for name in ask.dimensions}, ask, count)
            for one, part in first.items()
        ),
        remarks=(
            "There is no validation part; the code of these files chooses on test.",
            "Who speaks is not told: people may be on both sides of the split.",
            *count.remarks(),
        ),
    )


def files(path: Path) -> dict[str, Path]:
    """The files of a folder, or the one that is named, by their dimensions."""
    places = [path] if path.is_file() else sorted(path.glob("AVEC_features_*.pkl"))
    return {
        tuple(SCALES)[int(named[1]) - 1]: file
        for file in places
        if (named := NAMED.fullmatch(file.name))
    }


def _called(dimension: str) -> str:
    return f"AVEC_features_{tuple(SCALES).index(dimension) + 1}.pkl"


def _read(file: Path, count: Count) -> dict[str, Part]:
    pack = _pack.read(file)
    if pack.corpus != "avec":
        raise UserError(f"{file} holds labels of {pack.corpus}; ratings of AVEC were wanted.")
    return {part.name: part for part in pack.dialogues(count)}


def _dialogue(part: Part, rated: Mapping[str, Part], ask: Ask, count: Count) -> Labelled:
    values = np.full((len(part.ids), len(rated)), np.nan, np.float32)
    for place, (name, of) in enumerate(rated.items()):
        low, high = SCALES[name]
        for at, rating in enumerate(of.labels.tolist()):
            if np.isnan(rating):
                continue
            inside = min(max(rating, low), high)
            if inside != rating:
                count.note(f"{name} beyond {low} to {high}; the scale's end", part.ids[at])
            values[at, place] = DIMENSIONS[name].canonical(inside, low, high)
    turns = tuple(
        Turn(number=at, speaker=speaker, text=text)
        for at, (speaker, text) in enumerate(zip(part.speakers, part.sentences, strict=True))
    )
    return Labelled(
        dialogue=Dialogue(name=part.name, turns=turns, language="en"),
        ids=part.ids,
        people=("",) * len(turns),
        labels={name: np.full(len(turns), -1, np.int64) for name in ask.labels},
        values=values if ask.dimensions else None,
        split=part.split,
        given=part.given,
    )
