"""Tuning an encoder by adapters of low rank (LoRA), and leaving it as it is.

    W x + b  →  W x + b + (α / r) B A x        A (r, in) drawn, B (out, r) 0, α = 2 r

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022), through peft, on the
matrices that make queries and values, as there. Of the encoder A and B alone learn, W and b are
kept as they came; what stands behind the encoder learns as ever. The encoder stays what it was to
who calls it, and its state dict has more keys: those are what a run that is continued reads.
``merged`` gives the weights of a plain system, W + (α / r) B A in the place of W, which is what
a checkpoint holds, so that nobody who serves it needs peft.

WavLM hands its query and value matrices to torch as bare weights, past any layer that stands in
their place; its adapters lie on the two linear layers behind the attention. The adapters have no
dropout of their own: the encoder has its.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from erc_demo.errors import UserError

QUERY_VALUE = ("query", "value")
PLACES = {  # the layers' own names by the encoder's model_type
    "bert": QUERY_VALUE,
    "electra": QUERY_VALUE,
    "roberta": QUERY_VALUE,
    "xlm-roberta": QUERY_VALUE,
    "distilbert": ("q_lin", "v_lin"),
    "mpnet": ("q", "v"),
    "wav2vec2": ("q_proj", "v_proj"),
    "hubert": ("q_proj", "v_proj"),
    "wavlm": ("intermediate_dense", "output_dense"),
}
INNER, OURS = "base_layer.", "lora_"  # in the keys of an adapted layer: W and b; A and B


def limit(system: Any, tune: str, rank: int, *, seed: int) -> None:
    """What of a system's text encoder learns: all (full), an adapter, or nothing (frozen)."""
    if tune == "adapter":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # of A
            wrap(system, rank)
    elif tune == "frozen":
        freeze(system)


def there(system: nn.Module) -> bool:
    """Whether adapters lie in a system."""
    return any(OURS in key for key, _ in system.named_parameters())


def wrap(system: Any, rank: int) -> None:
    """Put adapters into a system's text encoder."""
    adapt(_encoder(system), rank)


def freeze(system: Any) -> None:
    """Let a system's text encoder be: nothing in it learns, and nothing of it is dropped."""
    encoder = _encoder(system)
    encoder.requires_grad_(False)
    for part in encoder.modules():  # a network that does not learn needs no noise
        if isinstance(part, nn.Dropout):
            part.p = 0.0


def adapt(encoder: Any, rank: int) -> None:
    """Put adapters into an encoder of transformers; W, b and all else of it stop learning.

    One that has them keeps those it has.
    """
    kind = encoder.config.model_type
    if kind not in PLACES:
        raise UserError(
            f"The encoder is a {kind}, and adapters are made for {', '.join(PLACES)}; tune it in "
            "full, or name another encoder."
        )
    if there(encoder):
        for key, value in encoder.named_parameters():
            value.requires_grad_(OURS in key)
        return
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as exc:
        raise UserError(
            "An adapter needs the package peft, which is not installed; run "
            "`pip install 'erc_demo[train]'`, or tune the encoder in full."
        ) from exc
    how = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(PLACES[kind]))
    inject_adapter_in_model(how, encoder)


def merged(system: nn.Module) -> dict[str, Tensor]:
    """The state that a plain system of the same design has, adapters merged into its weights.

    The system itself is left as it is; without adapters this is its own state.
    """
    changes = {
        f"{name}.{INNER}weight": part.get_delta_weight
        for name, part in system.named_modules()
        if hasattr(part, "get_delta_weight")
    }
    state = {}
    for key, value in system.state_dict().items():
        if f".{OURS}" in key:
            continue
        if key in changes:
            with torch.no_grad():
                value = value + changes[key]("default").to(value.dtype)
        state[key.replace(f".{INNER}", ".")] = value
    return state


def _encoder(system: Any) -> Any:
    encoder = getattr(system, "encoder", None)
    if encoder is None:
        raise UserError(
            f"This {system.design.system} has no text encoder of its own to tune; let it read "
            "tokens, as dialogue_trm does with --design published."
        )
    return encoder
