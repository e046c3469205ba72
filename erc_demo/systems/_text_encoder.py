"""A text encoder of a system's own, to be tuned with it: made from a config, never downloaded.

The config is a transformers one as JSON text, the kind in ``model_type``; what it does not name has
that library's default, so ``{"model_type": "bert"}`` is BERT-base; dropout is the system's. Weights
are a checkpoint's, or those that a trainer copies in; until then they are random. There is no
pooler: what is read is the last layer's state at the first token, [CLS].
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor, nn

from erc_demo.errors import UserError

KINDS = ("bert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
SHIFTED = ("mpnet", "roberta", "xlm-roberta")  # count positions from the padding's number + 1
BLOCK = 32  # turns that go through together; they are of like length, so little is padding


def network(text: str, dropout: float) -> nn.Module:
    """An encoder with random weights from a config as JSON text."""
    from transformers import AutoConfig, AutoModel

    try:
        asked = json.loads(text)
        kind = asked.pop("model_type")
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise UserError(
            f"The text encoder's config is {text[:60]!r}; JSON with a model_type was wanted, "
            'such as {"model_type": "bert", "hidden_size": 384}.'
        ) from exc
    if kind not in KINDS:
        raise UserError(
            f"The text encoder is a '{kind}'; one of {', '.join(KINDS)} was wanted, whose first "
            "token stands for the text."
        )
    try:
        config = AutoConfig.for_model(kind, **asked)
        for one in DROPOUTS:
            if hasattr(config, one):
                setattr(config, one, dropout)
        made = AutoModel.from_config(config)
    except Exception as exc:  # of no narrower class: each kind checks its sizes in its own way
        raise UserError(
            f"The text encoder's config can't be used ({' '.join(str(exc).split())}); "
            "copy the config.json of the encoder that the weights belong to."
        ) from exc
    made.pooler = None
    whole: nn.Module = made.float()
    return whole


def first_states(
    encoder: Any,
    rows: Tensor,
    lengths: Tensor,
    *,
    past: bool = True,
    segments: bool = True,
    separators: bool = True,
) -> Tensor:
    """The states at [CLS] (T, hidden) of tokens (T, n, 3): number, segment, word.

    Without ``past`` the second segment is left out, without ``segments`` all tokens are of the
    first, without ``separators`` the special tokens after [CLS] are taken away and the rest close
    ranks. A turn without tokens gets some finite state.
    """
    steps = torch.arange(rows.shape[1], device=rows.device)
    ids, parts = rows[..., 0], rows[..., 1]
    real = steps < lengths.unsqueeze(1)
    if not past:
        real = real & (parts == 0)
    if not separators:
        last = ids.gather(1, (lengths - 1).clamp(min=0).unsqueeze(1))  # a text ends with [SEP]
        kept = real & ((ids != last) | (steps == 0))
        order = (~kept).long().argsort(dim=1, stable=True)
        ids, parts = ids.gather(1, order), parts.gather(1, order)
        real = steps < kept.sum(dim=1, keepdim=True)
    ids = torch.where(real, ids, encoder.config.pad_token_id)
    real = real | (steps == 0)  # attention needs something to look at
    if not segments:
        parts = torch.zeros_like(parts)
    if torch.compiler.is_compiling():
        return _states(encoder, ids, parts, real)
    _check(encoder.config, ids)
    counts, order = real.sum(dim=1).sort()
    sizes, made = counts.tolist(), []
    for start in range(0, len(sizes), BLOCK):
        block = order[start : start + BLOCK]
        longest = sizes[start + len(block) - 1]
        made.append(_states(encoder, *(one[block, :longest] for one in (ids, parts, real))))
    return torch.cat(made).index_select(0, order.argsort())


def _states(encoder: Any, ids: Tensor, parts: Tensor, real: Tensor) -> Tensor:
    more = {"token_type_ids": parts} if getattr(encoder.config, "type_vocab_size", 1) > 1 else {}
    states: Tensor = encoder(input_ids=ids, attention_mask=real.long(), **more).last_hidden_state
    return states[:, 0]


def _check(config: Any, ids: Tensor) -> None:
    highest, most = int(ids.max()), config.max_position_embeddings
    if config.model_type in SHIFTED:
        most -= config.pad_token_id + 1
    if highest >= config.vocab_size or ids.shape[1] > most:
        raise UserError(
            f"The tokens (numbers up to {highest}, up to {ids.shape[1]} a turn) are not those of "
            f"the text encoder, which knows {config.vocab_size} and reads {most}; name the "
            "encoder's own tokenizer."
        )
