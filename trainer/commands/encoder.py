"""Tune a text or speech encoder on single turns, so that all systems may read it.

python -m trainer encoder text --data table:corpus --labels iemocap6 --out minilm-tuned
python -m trainer extract --data corpus --features sentence:encoder=minilm-tuned
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from erc_demo.errors import UserError
from erc_demo.terminal import add_settings, gather, say

if TYPE_CHECKING:
    from trainer.protocol import Fold

SETTINGS = ("device", "offline", "fetch_seconds")
SMALL = "minilm"
WHAT = (
    "labels", "label_column", "text_column", "split_column", "protocol", "fold", "select_from",
)  # fmt: skip
DEFAULTS = {"protocol": "official", "select_from": "validation"}
HOW = {  # flags of trainer.encoder.Tuning, whose import is slow
    "tune": ("{full,adapter}", "all weights (full), or an adapter (LoRA) that is merged in"),
    "rank": ("N", "rank of the adapter (8)"),
    "epochs": ("N", "most epochs (10)"),
    "patience": ("N", "epochs without a better selection before it ends (3)"),
    "batch": ("N", "turns a step (32)"),
    "rate": ("R", "learning rate (of text 5e-5, of speech 2e-5; of an adapter ten times that)"),
    "seed": ("N", "of the order, the dropout and the layer on top (0)"),
    "keep": (
        "{whole,difference}",
        "write a whole encoder, or only its difference from the text encoder that it began with",
    ),
}


def add(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    parser.add_argument("sense", choices=("text", "speech"), help="what the encoder hears")
    parser.add_argument("--data", dest="corpus", required=True, metavar="KIND:PATH")
    parser.add_argument("--labels", required=True, metavar="SET", help="a label set")
    parser.add_argument(
        "--from",
        dest="base",
        metavar="NAME",
        help="the encoder to begin with: a folder or Hub name (text: minilm)",
    )
    parser.add_argument("--label-column", default="", metavar="NAME")
    parser.add_argument("--text-column", default="", metavar="NAME")
    parser.add_argument("--split-column", default="", metavar="NAME")
    parser.add_argument(
        "--protocol", default="official", help="official, loso or speakers:K, as in fit (official)"
    )
    parser.add_argument(
        "--fold", metavar="NAME", help="which of the protocol's folds, where it has several"
    )
    parser.add_argument(
        "--select-from",
        default="validation",
        help="what selection sees: validation, or train:N dialogues cut from the training part",
    )
    for name, (metavar, text) in HOW.items():
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    parser.add_argument(
        "--still", action="store_true", default=None, help="leave the word embeddings as they are"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--cache", dest="data", metavar="DIR", help="the setting 'data'")
    add_settings(parser, *SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Read the corpus, tune, write."""
    from trainer import encoder
    from trainer.datasets import Ask, open_corpus
    from trainer.protocol import folds

    settings = gather(arguments)
    given = {one.name: getattr(arguments, one.name) for one in fields(encoder.Tuning)}
    how = encoder.Tuning.of({name: value for name, value in given.items() if value is not None})
    base = arguments.base or (SMALL if arguments.sense == "text" else "")
    if not base:
        raise UserError("--from names no speech encoder; name a folder, or a Hub name.")
    ask = Ask(
        labels=(arguments.labels,),
        label_column=arguments.label_column,
        text_column=arguments.text_column,
        split_column=arguments.split_column,
    )
    corpus = open_corpus(arguments.corpus, ask)
    fold = _fold(folds(corpus, arguments.protocol, arguments.select_from), arguments.fold)
    for remark in (*corpus.remarks, *fold.remarks):
        say(f"note: {remark}")
    tuned = encoder.tune(
        *(arguments.sense, base, corpus, fold, how, settings, arguments.out),
        tell=say,
        command=_command(arguments),
    )
    say(
        f"{arguments.out}: epoch {tuned.epoch} was kept, weighted F1 {tuned.score:.4f} on what "
        "selection saw."
    )
    return 0


def _command(arguments: argparse.Namespace) -> str:
    """What was asked, so that it can be asked again where the corpora lie elsewhere."""
    from trainer.record import told

    given = {name: getattr(arguments, name) for name in (*WHAT, *HOW)}
    given = {"data": told(arguments.corpus), "from": arguments.base} | given
    flags = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in given.items()
        if value not in (None, "", DEFAULTS.get(name))
    ]
    still = ["--still"] if arguments.still else []
    return " ".join(["python -m trainer encoder", arguments.sense, *flags, *still, "--out ENCODER"])


def _fold(found: tuple[Fold, ...], name: str | None) -> Fold:
    """An encoder may have learned from one fold's training part only."""
    by_name = {fold.name: fold for fold in found}
    if name is None and len(found) == 1:
        return found[0]
    if name not in by_name:
        raise UserError(
            f"--fold is {name or 'not given'}; one of {', '.join(by_name)} was wanted, since each "
            "fold needs an encoder that has not seen what it reports."
        )
    return by_name[name]
