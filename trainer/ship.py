"""Making a trained checkpoint one that ships: looked over, with its card, in its system's place.

    python -m trainer ship RUN        RUN/checkpoint → assets/checkpoints/SYSTEM

What ships must answer in a stranger's clone without a network: every feature is made by what is
installed with the program, every encoder is MiniLM or one that ships, and the folder stays small.
The weights are not touched; ``config.json`` gets what the recorded results (``assets/results``) say
of its system, the card and ``.eval_results`` are written from it.

A checkpoint that ships has learned from every labelled dialogue that was at hand, so nothing could
be reported of itself. Its figures are of trainings by the same settings that left something out,
and each says what.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from erc_demo import checkpoint, plugs
from erc_demo.checkpoint import CONFIG, EMBEDDED, WEIGHTS
from erc_demo.errors import UserError, listed
from erc_demo.features import _difference, parse
from erc_demo.features._contract import CORPUS
from erc_demo.features._encoders import MINILM
from erc_demo.settings import Settings
from trainer import card, record, runs
from trainer.results import cells
from trainer.results import record as results
from trainer.terms import LICENCE, licence

MOST = 25_000_000  # bytes of one folder
OPTIONAL = ("prosody8",)  # extractors whose library is not in requirements.txt
SHOWN = ("weighted_f1", "ua", "wa", "ece")


def ship(ref: str, settings: Settings, *, home: Path = EMBEDDED) -> Iterator[str]:
    """Put a run's checkpoint into its system's place; what was done, a line each."""
    place = Path(record.checkpoint_of(ref))
    given = checkpoint.load(str(place), settings)
    system = given.system.design.system
    if problems := _problems(place, given.features):
        raise UserError(f"The checkpoint in {ref} can't ship: {listed(problems)}.")
    config = json.loads((place / CONFIG).read_text(encoding="utf-8"))
    config["training"]["measured"] = measured(system, results.every())
    target = home / system
    aside = home / f".{system}.{secrets.token_hex(4)}"
    aside.mkdir(parents=True)
    try:
        shutil.copyfile(place / WEIGHTS, aside / WEIGHTS)
        write(aside, config)
        if target.exists():
            shutil.rmtree(target)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    size = sum(one.stat().st_size for one in target.rglob("*") if one.is_file())
    yield f"{system} is in {target}: {size / 1e6:.1f} MB."
    if not config["training"]["measured"]:
        yield "note: no recorded result is of this system as it ships; its card has no figure."


def write(folder: Path, config: Mapping[str, Any]) -> None:
    """Everything of a folder but its weights."""
    system = str(config["design"]["system"])
    texts = {
        CONFIG: json.dumps(config, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "README.md": card.card(config, name=system),
        LICENCE: licence(config),
    }
    for one in dict.fromkeys(each["labels"] for each in config["training"].get("measured", ())):
        texts[f".eval_results/{one}.yaml"] = card.results(_only(config, one), f"erc_demo/{one}")
    for name, text in texts.items():
        runs.write(folder / name, text)


def _only(config: Mapping[str, Any], labels: str) -> dict[str, Any]:
    """The same, with the figures of one label set."""
    training = config["training"]
    kept = [one for one in training["measured"] if one["labels"] == labels]
    return {**config, "training": {**training, "measured": kept}}


def measured(system: str, kept: Mapping[str, results.Record]) -> list[dict[str, Any]]:
    """What the recorded results say of a system as it ships: all inputs, no ablation."""
    found = []
    for name, cell in cells.every().items():
        if cell.row.name != system or name not in kept:
            continue
        one = kept[name]
        words = f"{cell.heard} words" if cell.column.recognised else ""
        learned = f", learned from {cell.learned} ones" if cell.learned != cell.heard else ""
        found.append(
            {
                "where": cell.column.title,
                "words": words + learned,
                "labels": one.labels,
                "seeds": len(one.seeds),
                "measures": {
                    key: {"mean": figure.mean, "sd": figure.sd, "each": list(figure.each)}
                    for key, figure in one.figures.items()
                    if key in SHOWN
                },
            }
        )
    return found


def _problems(place: Path, features: Mapping[str, str]) -> list[str]:
    """Why a stranger's clone could not answer with it, as clauses."""
    found = []
    size = (place / WEIGHTS).stat().st_size
    if size > MOST:
        found.append(f"its weights have {size / 1e6:.0f} MB, and {MOST / 1e6:.0f} MB may ship")
    for text in features:
        spec = parse(text)
        module = plugs.load("erc_demo.features", spec.name)
        encoder = str(spec.options.get("encoder", ""))
        if CORPUS in module.Extractor.hears or spec.name in OPTIONAL:
            found.append(f"{text} is not made from a recording by what is installed here")
        elif encoder and encoder not in (MINILM, *_difference.shipped()):
            found.append(f"{text} names an encoder that does not ship")
    return found
