"""Tuning a text or speech encoder once, so that every system reads vectors of the tuned one.

    logits = W mean(states) + b        the mean over a turn's tokens, or frames, of the last layer

Each turn stands by itself. Loss is cross-entropy, the optimiser AdamW at ``rate`` for the encoder
(``HEAD_RATE`` for W and b), rising over the first tenth of the steps and falling to 0 at the last;
selection looks at weighted F1 and ends the training after ``patience`` epochs without a better one.
W and b are thrown away: what is written is a folder that ``sentence``, ``words`` and ``speech``
read by name, with a card and ``tuned.json``: an encoder of transformers, or (``keep``) the small
difference from the text encoder that it began with (``features._difference``).

What an encoder has learned from it may not be measured on: its training part and what its selection
saw are kept, as hashes of the dialogues' names, and ``remarks`` says which of some dialogues are
among them. With folds there is an encoder for each.

What goes in is what the extractors give their networks, so the mean that is tuned is the vector
that is read, except that a turn too long for one window is cut there instead of read in several.
The convolutions of a speech encoder are left as they are, and nothing of its input is masked, as
turns of half a second have nothing to spare. Base ones, whose first norm runs over time, would be
spoiled by padding: their turns go through alone or with others of the same length. One process, one
device: a turn is short, and a large encoder fits where a system is trained.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.metrics import f1_score
from torch import Tensor, nn

from erc_demo import scratch
from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from erc_demo.features import _difference, parse
from erc_demo.features._encoders import WEIGHTS
from erc_demo.features._json import read_json
from erc_demo.plugs import option, told
from erc_demo.settings import Settings
from trainer import adapter, singles
from trainer.datasets import Corpus, some
from trainer.protocol import Fold
from trainer.singles import Single, Source

RECORD = "tuned.json"
HEAD_RATE = 1e-3
WARM = 0.1  # of all steps
CLIP = 1.0  # largest norm of the gradient
RATES = {"text": {"full": 5e-5, "adapter": 5e-4}, "speech": {"full": 2e-5, "adapter": 2e-4}}
POOL = 50  # batches' worth of turns, drawn at random, are sorted by length before they are cut
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How an encoder is tuned. Each field's help text is what ``--help`` prints."""

    tune: str = option("full", "all weights, or an adapter (LoRA) merged in", ("full", "adapter"))
    rank: int = option(8, "rank of the adapter", least=1)
    epochs: int = option(10, "most epochs", least=1)
    patience: int = option(3, "epochs without a better selection before it ends", least=1)
    batch: int = option(32, "turns", least=1)
    rate: float = option(
        0.0, "learning rate; 0: of text 5e-5, of speech 2e-5; of an adapter ten times that", least=0
    )
    seed: int = option(0, "of the order, the dropout and W", least=0)
    still: bool = option(False, "leave the word embeddings as they are")
    keep: str = option(
        "whole",
        "what is written: a whole encoder, or its difference from the one it began with",
        ("whole", "difference"),
    )

    @classmethod
    def of(cls, given: dict[str, Any]) -> Tuning:
        """From loose values; what is wrong is said at once."""
        kept, problems = told(cls, given, "the encoder")
        if problems:
            raise UserError(f"The encoder can't be tuned so: {'; '.join(problems)}.")
        return cls(**kept)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """What came of it: an epoch a line, and the one that was kept."""

    history: tuple[dict[str, float], ...]
    epoch: int
    score: float  # weighted F1 on the selection part


def tune(
    sense: str,
    base: str,
    corpus: Corpus,
    fold: Fold,
    how: Tuning,
    settings: Settings,
    out: Path,
    tell: Tell,
    *,
    command: str = "",
) -> Tuned:
    """Tune the encoder ``base`` of text or speech on a fold, and write it to the folder ``out``.

    ``command`` is what its card says makes it again.
    """
    if out.exists():
        raise UserError(f"{out} exists already; name a new folder for the encoder.")
    if sense != "text" and (how.still or how.keep == "difference"):
        raise UserError("--still and --keep difference are for text encoders; leave them away.")
    _refuse_here_only(how, base)
    labels = label_set(corpus.ask.labels[0]).labels
    with scratch.folder(settings.data / "jobs", "encoder-") as place:
        source = singles.SENSES[sense](base, settings, place)
        sides = {}
        for side, names in (("training", fold.train), ("selection", fold.select)):
            sides[side], remarks = singles.singles(corpus, names, source)
            for remark in remarks:
                tell(f"note: {side}: {remark}")
        if len({one.label for one in sides["training"]}) < 2 or not sides["selection"]:
            counts = ", ".join(f"{len(these)} for {side}" for side, these in sides.items())
            raise UserError(
                f"There are too few labelled turns to tune on ({counts}); two labels for training "
                "and some turn for selection were wanted."
            )
        torch.manual_seed(how.seed)
        network = copy.deepcopy(source.model)
        tuned = _learn(network, source, sides, len(labels), how, tell)
        plain = copy.deepcopy(source.model).cpu()
        plain.load_state_dict(adapter.merged(network))
    told = _record(sense, base, corpus, fold, how, tuned, sides) | {"command": command}
    _write(out, plain, source, told, less=how.keep == "difference")
    return tuned


def _refuse_here_only(how: Tuning, base: str) -> None:
    if how.keep == "difference" and Path(base).expanduser().is_dir():
        raise UserError(
            f"A difference names what it began with, and the folder {base} is only here; begin "
            "with minilm or a name on the Hub, or keep the whole encoder."
        )


def _learn(
    network: Any,
    source: Source,
    sides: dict[str, list[Single]],
    labels: int,
    how: Tuning,
    tell: Tell,
) -> Tuned:
    """Epochs; the network is left with the weights that selection liked best."""
    source.ready_to_learn(network)
    if how.still:
        network.get_input_embeddings().requires_grad_(False)
    if how.tune == "adapter":
        adapter.adapt(network, how.rank)
    head = nn.Linear(source.width, labels).to(source.device)
    learned = [one for one in network.parameters() if one.requires_grad]
    rate = how.rate or RATES[source.sense][how.tune]
    groups = [{"params": learned, "lr": rate}, {"params": head.parameters(), "lr": HEAD_RATE}]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    train, select = sides["training"], sides["selection"]
    steps = how.epochs * math.ceil(len(train) / how.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step, steps))
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    chosen, score = 0, -1.0
    for epoch in range(1, how.epochs + 1):
        network.train(), head.train()
        total = 0.0
        for batch in _batches(train, how.batch, [how.seed, epoch]):
            optimiser.zero_grad()
            for group in source.groups(batch):
                logits = _logits(network, head, source, group)
                wanted = torch.tensor([one.label for one in group], device=source.device)
                loss = nn.functional.cross_entropy(logits, wanted, reduction="sum") / len(batch)
                loss.backward()
                total += float(loss.detach()) * len(batch)
            nn.utils.clip_grad_norm_([*learned, *head.parameters()], CLIP)
            optimiser.step()
            schedule.step()
        found = _score(network, head, source, select)
        history.append({"epoch": epoch, "loss": total / len(train), "weighted_f1": found})
        tell(f"epoch {epoch}: loss {total / len(train):.4f}, weighted F1 of selection {found:.4f}")
        if found > score:
            chosen, score = epoch, found
            best = {key: value.detach().clone() for key, value in network.state_dict().items()}
        elif epoch - chosen >= how.patience:
            break
    network.load_state_dict(best)
    return Tuned(history=tuple(history), epoch=chosen, score=score)


def _share(step: int, steps: int) -> float:
    """Of the rate: up over the first tenth, then down to 0."""
    warm = max(1, round(WARM * steps))
    return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))


def _batches(train: Sequence[Single], size: int, seed: Sequence[int]) -> list[list[Single]]:
    """An epoch's order: turns of like length together, who is with whom by chance."""
    draw = np.random.default_rng(list(seed))
    order, pool = draw.permutation(len(train)).tolist(), POOL * size
    order = [
        place
        for start in range(0, len(order), pool)
        for place in sorted(order[start : start + pool], key=lambda one: train[one].size)
    ]
    cut = [order[start : start + size] for start in range(0, len(order), size)]
    return [[train[place] for place in cut[one]] for one in draw.permutation(len(cut))]


def _logits(network: Any, head: nn.Module, source: Source, group: list[Single]) -> Tensor:
    """(turns, labels), from one pass; on a GPU in half precision."""
    half = source.device.type == "cuda"
    with torch.autocast("cuda", torch.bfloat16) if half else nullcontext():
        means = source.means(network, group)
    logits: Tensor = head(means.float())
    return logits


@torch.no_grad()
def _score(network: Any, head: nn.Module, source: Source, select: Sequence[Single]) -> float:
    network.eval(), head.eval()
    wanted, said = [], []
    ordered = sorted(select, key=lambda one: one.size)
    for start in range(0, len(ordered), 32):
        for group in source.groups(ordered[start : start + 32]):
            said += _logits(network, head, source, group).argmax(dim=1).tolist()
            wanted += [one.label for one in group]
    return float(f1_score(wanted, said, average="weighted", zero_division=0))


# ---- what is written, and what it is asked later


def remarks(features: Iterable[str], names: Iterable[str]) -> list[str]:
    """Which of some dialogues the encoders behind these features have learned from, as sentences.

    Only folders and what ships are looked into: what came from the Hub keeps no such record here.
    """
    by_hash = {_hash(name): name for name in names}
    found = []
    for text in dict.fromkeys(features):
        name = str(parse(text).options.get("encoder", ""))
        file = _difference.folder_of(name) / RECORD
        if not name or not file.is_file():
            continue
        record = read_json(file, name).get("seen", {})
        for what, key in (("learned from", "train"), ("was chosen on", "select")):
            seen = sorted(by_hash[one] for one in record.get(key, ()) if one in by_hash)
            if seen:
                found.append(
                    f"The encoder of {text} {what} {len(seen)} of these {len(by_hash)} dialogues "
                    f"({some(seen)}): what is measured there is not what new ones would get."
                )
    return found


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _record(
    sense: str,
    base: str,
    corpus: Corpus,
    fold: Fold,
    how: Tuning,
    tuned: Tuned,
    sides: dict[str, list[Single]],
) -> dict[str, Any]:
    return {
        "sense": sense,
        "from": base,
        "how": asdict(how) | {"rate": how.rate or RATES[sense][how.tune]},
        "labels": corpus.ask.labels[0],
        "data": {"kind": corpus.name, "corpora": list(corpus.parts), "sha256": corpus.sha256},
        "fold": {"name": fold.name, "sha256": fold.sha256, "remarks": list(fold.remarks)},
        "turns": {side: len(these) for side, these in sides.items()},
        "seen": {
            "train": sorted(map(_hash, fold.train)),
            "select": sorted(map(_hash, fold.select)),
        },
        "history": list(tuned.history),
        "epoch": tuned.epoch,
        "weighted_f1": tuned.score,
    }


CARD = """---
library_name: transformers
license: other
tags: [emotion-recognition]
---
# A {sense} encoder tuned for emotion

It began as `{base}` and was tuned ({tune}) to tell {labels}
from single turns, without their context, on {train} turns of `{kind}` (fold {fold}, split
{split}, data {data}); epoch {epoch} was kept, with a weighted F1 of {score:.3f} on {select}
turns that selection saw. Nothing else was looked at.
{command}
Read it as {features}; the layer that named the labels is not part of it.

Do not report on what it was tuned on: `tuned.json` keeps hashes of the names of its {dialogues}
dialogues. The terms of the corpus and of `{base}` hold for these weights too.
"""
READ_AS = {
    "text": "`sentence:encoder=FOLDER` or `words:encoder=FOLDER`",
    "speech": "`speech:encoder=FOLDER`",
}


def _card(record: dict[str, Any]) -> str:
    base = record["from"]
    return CARD.format(
        sense=record["sense"],
        base=Path(base).name if Path(base).is_dir() else base,
        tune=record["how"]["tune"],
        labels=", ".join(label_set(record["labels"]).labels),
        train=record["turns"]["training"],
        select=record["turns"]["selection"],
        kind=", ".join(record["data"]["corpora"]) or record["data"]["kind"],
        data=record["data"]["sha256"][:12],
        fold=record["fold"]["name"],
        split=record["fold"]["sha256"][:12],
        epoch=record["epoch"],
        score=record["weighted_f1"],
        features=READ_AS[record["sense"]],
        dialogues=sum(map(len, record["seen"].values())),
        command=f"\n```sh\n{record['command']}\n```\n" if record["command"] else "",
    )


def _write(out: Path, plain: Any, source: Source, record: dict[str, Any], *, less: bool) -> None:
    """The folder, whole or not at all."""
    aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        aside.mkdir(parents=True)
        (_write_difference if less else _write_whole)(aside, plain, source)
        (aside / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (aside / "README.md").write_text(_card(record), encoding="utf-8")
        aside.rename(out)
    except OSError as exc:
        shutil.rmtree(aside, ignore_errors=True)
        raise UserError(f"The folder {out} can't be written: {exc.strerror or exc}.") from exc
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write_whole(folder: Path, plain: Any, source: Source) -> None:
    plain.config.architectures = [type(plain).__name__]
    plain.config.save_pretrained(folder)
    state = {key: value.contiguous() for key, value in plain.state_dict().items()}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    os.chmod(folder / WEIGHTS, 0o644)
    for name in source.beside:
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)


def _write_difference(folder: Path, plain: Any, source: Source) -> None:
    before, after = (
        {key: one.detach().cpu().numpy() for key, one in model.state_dict().items()}
        for model in (source.model, plain)
    )
    _difference.write(folder, source.ref, source.fingerprint, _difference.between(before, after))
