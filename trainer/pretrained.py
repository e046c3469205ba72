"""Pretrained text encoders as the beginning of a system's own: their config, weights and tokens.

A system that tunes its text encoder is made from a setting, ``encoder``, which holds a config of
transformers as JSON text, and is born with random weights. ``config_of`` writes that text for an
encoder by name (a folder, a Hub name or minilm, found as the extractors find it), ``tokens_of``
names the features that cut words as that encoder does, and ``copy_into`` copies its weights: every
one of them has a place and every place is filled, but for a pooler, which such a system does not
have. A checkpoint holds the tuned weights, so none of this is asked again when it is served (the
tokens need the encoder's tokenizer still).
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from erc_demo import plugs
from erc_demo.errors import UserError, listed
from erc_demo.features import parse
from erc_demo.features._contract import WORDS
from erc_demo.features._encoders import MINILM, find, load
from erc_demo.features._encoders import config_of as file_of
from erc_demo.features._subwords import Subwords
from erc_demo.settings import Settings
from erc_demo.systems import System
from erc_demo.systems._text_encoder import DROPOUTS, network
from trainer.runs import Plan

# Of a config.json: who wrote it, in which precision, what to hand out. None of it changes a state.
IDLE = (
    *DROPOUTS, "architectures", "attn_implementation", "classifier_dropout", "dtype",
    "finetuning_task", "gradient_checkpointing", "id2label", "initializer_range", "label2id",
    "model_type", "name_or_path", "output_attentions", "output_hidden_states", "problem_type",
    "return_dict", "torch_dtype", "transformers_version", "use_cache",
)  # fmt: skip
POOLER = "pooler."


def config_of(name: str, settings: Settings) -> str:
    """The setting ``encoder`` of a system that begins with this encoder."""
    config = file_of(find(name, settings, kind=WORDS, weights=False), name)
    plain = {
        key: value
        for key, value in config.items()
        if key not in IDLE
        and not key.startswith("_")
        and isinstance(value, bool | int | float | str)
    }
    text = json.dumps({"model_type": config["model_type"], **dict(sorted(plain.items()))})
    _outline(text)
    return text


def tokens_of(text: str, name: str) -> str:
    """The same token features, cut as an encoder cuts.

    >>> tokens_of("tokens:context=14", "roberta-base")
    'tokens:context=14,encoder=roberta-base'
    """
    spec = parse(text)
    return spec.but(encoder=name).text if spec.name == "tokens" else text


def chosen(plan: Plan, settings: Settings) -> Plan:
    """The plan with the config and the tokens of the encoder that it names."""
    if not plan.encoder:
        return plan
    needs = plugs.load("erc_demo.systems", plan.system).NEEDS
    names = [name for name, need in needs.items() if need.level == "token"]
    if not names:
        raise UserError(
            f"{plan.system} tunes no text encoder, so {plan.encoder} has no place in it; let it "
            f"read vectors instead, such as sentence:encoder={plan.encoder}."
        )
    reads = dict(plan.reads)
    for name in names:
        texts = reads.get(name, needs[name].published)
        reads[name] = tuple(tokens_of(text, plan.encoder) for text in texts)
    config = {"encoder": config_of(plan.encoder, settings)}
    return plan.but(reads=reads, settings={**plan.settings, **config})


def copy_into(system: System, name: str, settings: Settings) -> None:
    """Copy an encoder's weights into a system made from its config and fed with its tokens."""
    own: Any = getattr(system, "encoder", None)
    if own is None:
        raise UserError(
            f"This {system.design.system} has no text encoder of its own that {name} could be; "
            "let it read tokens, as dialogue_trm does with --design published."
        )
    same_tokens(system.design.features, name, settings)
    model = load(name, settings, kind=WORDS).model
    _same_config(own.config, config_of(name, settings), name)
    state = {key: value for key, value in model.state_dict().items() if not _spare(key)}
    here: dict[str, Tensor] = own.state_dict()
    problems = []
    if missing := sorted(here.keys() - state.keys()):
        problems.append(f"{len(missing)} weights are missing ({missing[0]} …)")
    if extra := sorted(state.keys() - here.keys()):
        problems.append(f"{len(extra)} have no place ({extra[0]} …)")
    for key in sorted(here.keys() & state.keys()):
        if here[key].shape != state[key].shape:
            shapes = f"{tuple(state[key].shape)}, not {tuple(here[key].shape)}"
            problems.append(f"{key} is {shapes}")
    if problems:
        raise UserError(
            f"The weights of {name} do not fit the system's text encoder: {listed(problems[:5])}."
        )
    own.load_state_dict(state, strict=True)


def same_tokens(features: tuple[str, ...], name: str, settings: Settings) -> None:
    """Refuse tokens that another tokenizer cut than the encoder's."""
    for text in features:
        spec = parse(text)
        if spec.name != "tokens":
            continue
        other = spec.options.get("encoder", MINILM)
        if other != name and _cuts(other, settings) != _cuts(name, settings):
            raise UserError(
                f"The encoder is {name}, and '{text}' gives tokens of {other}, which are other "
                f"numbers; let the system read {tokens_of(text, name)}."
            )


def _cuts(name: str, settings: Settings) -> str:
    folder = find(name, settings, kind=WORDS, weights=False)
    return Subwords(folder, name).fingerprint


def _outline(text: str) -> Any:
    """A network without memory, which says what is wrong with a config."""
    with torch.device("meta"):
        return network(text, 0.0)


def _same_config(own: Any, text: str, name: str) -> None:
    """The same weights under another norm, activation or padding are another function."""
    here, there = own.to_dict(), _outline(text).config.to_dict()
    odd = [
        f"{key} is {here.get(key)!r} in the system and {value!r} in {name}"
        for key, value in there.items()
        if key not in IDLE and not key.startswith("_") and here.get(key) != value
    ]
    if odd:
        raise UserError(
            f"The system's text encoder is not {name}: {listed(odd[:3])}; make the system from the "
            "encoder's own config."
        )


def _spare(key: str) -> bool:
    return key.startswith(POOLER)
