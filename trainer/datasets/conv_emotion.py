"""The field's feature pickles of IEMOCAP, MELD and AVEC, which most papers of this task read.

What: one file a corpus, with labels, sentences, and one row of numbers a turn of text, sound and
sight, already computed. Known are, of DialogueRNN, ``IEMOCAP_features_raw.pkl`` (100 numbers of
text, 100 of sound, 512 of sight), ``MELD_features_raw.pkl`` (600 and 300, no sight) and
``AVEC_features_1.pkl`` … ``_4``; the later ``IEMOCAP_features.pkl`` and ``MELD_features_raw1.pkl``
of MMGCN (1582 or 300 of sound, 342 of sight), and those with RoBERTa's text of 1024 four times.
``_pack`` says how they are told apart; one of another order, another corpus or with anything but
numbers is refused, and nothing that a file asks for is run (``_unpickler``).
Who: Poria, Majumder, Hazarika and others (declare-lab), Hu and others (MMGCN); the corpora are
Busso et al. (2008), Poria et al. (2019, MELD) and Schuller et al. (2012, AVEC).
Labels: IEMOCAP's six in the order happy, sad, neutral, angry, excited, frustrated, on 7,433 turns
(53 more are happy than in the release, see ``iemocap``); MELD's seven in the order neutral,
surprise, fear, sadness, joy, disgust, anger, on 13,708. AVEC has ratings, which ``avec`` reads.
Terms: the corpora's own hold, whoever posted the numbers: research only for IEMOCAP and AVEC.
To obtain: https://github.com/declare-lab/conv-emotion (DialogueRNN_features.zip, linked there) and
the pages of later papers' code. PATH is the file, or a folder with one such file.

The numbers come as features that only this corpus has (``given:name=acoustic100,width=100``, also
``text100``, ``visual512``, …): how they were made was not published as code, so nobody can make
them of a recording, and nothing that is served may read them. There is no sound and no time.
Who speaks is told in IEMOCAP by the dialogue's name (Ses01F… is session 1) with F or M; MELD's
one-hot rows tell people apart within a dialogue only. Untidy: a dialogue whose speakers, labels
and sentences differ in number is left out; a modality with other than one row a turn is absent in
that dialogue; turns without names of their own are numbered. The remarks count each.
Split: training and test as stored. There is no validation part: the code that came with these files
chooses its epoch on the test part. A run must cut dialogues from training (``--select-from
train:N``) or leave sessions out. MELD's training part here has the official validation part in it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from erc_demo.dialogue import Dialogue, Turn
from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, Labelled, _asked, _pack, avec, some
from trainer.datasets._pack import Pack, Part
from trainer.datasets._turns import Count, meant

ORDER = {
    "iemocap": ("happy", "sad", "neutral", "angry", "excited", "frustrated"),
    "meld": ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"),
}
SESSION = re.compile(r"Ses0([1-5])")


def find(path: Path, ask: Ask) -> Corpus:
    """Every dialogue of a file."""
    if path.is_dir() and avec.files(path):
        return avec.find(path, ask)
    pack = _pack.read(_file(path))
    if pack.corpus == "avec":
        return avec.find(path, ask)
    _asked.refuse(ask, "conv_emotion", ())
    count = Count()
    order = _order(pack)
    dialogues = tuple(_dialogue(pack, one, ask, order) for one in pack.dialogues(count))
    remarks = ["There is no validation part; the code of these files chooses on test."]
    if pack.corpus == "meld":
        remarks.append("Who speaks is told within a dialogue only: people may be on both sides.")
    return Corpus(
        name="conv_emotion",
        ask=ask,
        dialogues=dialogues,
        remarks=(*remarks, *count.remarks()),
    )


def _file(path: Path) -> Path:
    """The one pickle of a folder."""
    if path.is_file():
        return path
    found = sorted(file for file in path.glob("*.pkl") if not file.name.startswith("."))
    if len(found) == 1:
        return found[0]
    there = f"holds {some([file.name for file in found])}" if found else "holds no .pkl"
    raise UserError(
        f"{path} {there}; name one file of features, such as IEMOCAP_features_raw.pkl of "
        "https://github.com/declare-lab/conv-emotion."
    )


def _order(pack: Pack) -> tuple[str, ...]:
    """The labels by their numbers, all of which must be among them."""
    order = ORDER[pack.corpus]
    for key, labels in pack.parts["labels"].items():
        stored = np.asarray(labels, np.float64)
        if not np.isin(stored, np.arange(len(order))).all():
            raise UserError(
                f"{pack.file} has labels in {pack.name(key)} that are none of 0 to "
                f"{len(order) - 1} ({', '.join(order)}); is it another corpus?"
            )
    return order


def _dialogue(pack: Pack, part: Part, ask: Ask, order: tuple[str, ...]) -> Labelled:
    known = SESSION.match(part.name) if pack.corpus == "iemocap" else None
    session = known[1] if known else ""
    labels = {}
    for name in ask.labels:
        places = [meant(label, label_set(name), pack.file.name)[0] for label in order]
        labels[name] = np.array(places, np.int64)[part.labels.astype(np.int64)]
    turns = tuple(
        Turn(number=at, speaker=speaker, text=text)
        for at, (speaker, text) in enumerate(zip(part.speakers, part.sentences, strict=True))
    )
    return Labelled(
        dialogue=Dialogue(name=part.name, turns=turns, language="en"),
        ids=part.ids,
        people=tuple(f"{session} {one}" if session else "" for one in part.speakers),
        labels=labels,
        split=part.split,
        session=session,
        given=part.given,
    )
