"""A foreign classifier read strictly: its class by its config.json, every weight of its head there.

transformers fills what a file lacks with random numbers and only warns. So a checkpoint whose
head was saved under other names (a known model of RAVDESS's emotions has ``classifier.dense`` where
the class has ``projector``) answers like a die and looks well. What its loading reports decides,
never shapes: no weight may be missing or misshapen, and the file may hold no weight of a head that
the class does not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from erc_demo.emotions import DIMENSIONS, MOST_WORDS
from erc_demo.errors import UserError
from erc_demo.features._contract import SOUND, WORDS
from erc_demo.features._encoders import config_of, device, find, network, whole
from erc_demo.hub import Lacks, resolve
from erc_demo.settings import Settings

# Used in training only, or counted and not learned; a pooler is read by many heads.
SPARE = re.compile(r"(^|\.)masked_spec_embed$|(^|\.)position_ids$")
LAYERS = "layer_weights"  # how much each layer counts, in heads over all of them
NUMBERS = frozenset({*DIMENSIONS, "activation"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """A network with its head, ready to run."""

    ref: str
    folder: Path
    kind: str  # what it hears: SOUND or WORDS
    model: Any
    device: Any  # torch.device
    labels: tuple[str, ...]  # as its config.json calls them
    each: bool  # every label is judged on its own: sigmoid, not softmax
    fingerprint: str  # 12 hex digits of SHA-256 over the weights and config.json


def load(ref: str, settings: Settings) -> Classifier:
    """The classifier of a folder, or of ``owner/name[@revision]`` on the Hub."""
    config = config_of(_config(ref, settings), ref)
    kind, name = _class(config, ref)
    labels = _labels(config, ref)
    folder = find(ref, settings, kind=kind)
    each = config.get("problem_type") == "multi_label_classification"
    return _load(folder, ref, device(settings.device), kind, name, labels, each)


def _config(ref: str, settings: Settings) -> Path:
    """The folder with the model's config.json; nothing else of it is fetched yet."""
    adapter = "adapter_config.json"
    try:
        return resolve(ref, settings, files=["config.json"], optional=[adapter])
    except Lacks:
        resolve(ref, settings, files=[adapter])
        raise UserError(
            f"The model {ref} is an adapter of another model; merge the two (merge_and_unload of "
            "peft), save the result and name its folder."
        ) from None


def _class(config: Mapping[str, Any], ref: str) -> tuple[str, str]:
    """What the classifier hears, and its class."""
    from transformers.models.auto import modeling_auto as auto

    wanted = (config.get("architectures") or ["nothing that it names"])[0]
    for kind, known in (
        (SOUND, auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES),
        (WORDS, auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
    ):
        if known.get(config["model_type"]) == wanted:
            return kind, wanted
    raise UserError(
        f"The model {ref} is {wanted} by its config.json, and a classifier of words or sound that "
        "transformers knows (…ForSequenceClassification, …ForAudioClassification) was wanted; "
        "name another model."
    )


def _labels(config: Mapping[str, Any], ref: str) -> tuple[str, ...]:
    """The classifier's labels in the order of its numbers; one that gives no labels is refused."""
    told: Any = config.get("id2label")
    count = config.get("num_labels")
    if told is None and (count is None or count in range(1, MOST_WORDS + 1)):
        told = {number: f"LABEL_{number}" for number in range(count or 2)}
    try:
        numbered = {int(number): str(label).strip() for number, label in told.items()}
    except (AttributeError, TypeError, ValueError):
        numbered = {}
    labels = tuple(numbered.get(number, "") for number in range(len(numbered)))
    known = 0 < len(labels) <= MOST_WORDS and all(labels)
    if not known or count not in (None, len(labels)):  # before anybody makes a head of that size
        raise UserError(
            f"The model {ref} does not number 2 to {MOST_WORDS} labels 0, 1, 2 … in its "
            "config.json (id2label, num_labels); mend it, or name another model."
        )
    regression = config.get("problem_type") == "regression" or len(labels) == 1
    if regression or {label.lower() for label in labels} <= NUMBERS:
        raise UserError(
            f"The model {ref} gives numbers ({', '.join(labels[:3])}) whose scale its config.json "
            "does not say, and chances of labels were wanted; name a classifier."
        )
    return labels


@lru_cache(maxsize=4)
def _load(
    folder: Path, ref: str, where: str, kind: str, name: str, labels: tuple[str, ...], each: bool
) -> Classifier:
    import torch
    import transformers

    model, report, fingerprint = network(folder, ref, getattr(transformers, name))
    whole(model, report, ref, lambda key: bool(SPARE.search(key)))
    body = model.base_model_prefix
    heads = {one for one, _ in model.named_children() if one != body} | {LAYERS}
    unread = [key for key in sorted(report["unexpected_keys"]) if key.split(".")[0] in heads]
    if unread:
        raise UserError(
            f"The model {ref} was saved with another head than a {name} has ({unread[0]} is not "
            "read), so its answers would not be its own; name another model."
        )
    if model.config.num_labels != len(labels):
        raise UserError(
            f"The model {ref} names {len(labels)} labels and its head gives "
            f"{model.config.num_labels} numbers; copy it again, or name another model."
        )
    model.eval().requires_grad_(False).to(where)
    return Classifier(
        ref=ref,
        folder=folder,
        kind=kind,
        model=model,
        device=torch.device(where),
        labels=labels,
        each=each,
        fingerprint=fingerprint,
    )
