"""Text encoders small enough for a test: random networks, true tokenizers, in folders."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

POSITIONS = 24
WORDS = "the cat sat on a mat you do not know".split()
SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.5,
}


def bert(folder: Path, *, head: bool = False, shard: str = "5GB", seed: int = 0) -> Path:
    """A BERT of 24 positions; with ``head`` as a masked language model, which has no pooler."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertModel

    size = _word_pieces(folder)
    config = BertConfig(vocab_size=size, max_position_embeddings=POSITIONS, **SHAPE)
    torch.manual_seed(seed)
    model = BertForMaskedLM(config)
    if not head:
        whole = BertModel(config)
        whole.load_state_dict(model.bert.state_dict(), strict=False)
        model = whole
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


def roberta(folder: Path) -> Path:
    """A RoBERTa of 24 positions, whose tokens are bytes and a few pairs of them."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import RobertaConfig, RobertaModel

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    merges = [("Ġ", "t"), ("c", "a")]
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges)]
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.add_special_tokens(special)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    positions = POSITIONS + 2  # counted from the padding's number, 1, plus 1
    config = RobertaConfig(vocab_size=len(tokens), max_position_embeddings=positions, **SHAPE)
    config.type_vocab_size, config.pad_token_id = 1, 1
    RobertaModel(config).save_pretrained(folder)
    return folder


def t5(folder: Path) -> Path:
    """A T5 of two halves, with BERT's tokens."""
    import torch
    from transformers import T5Config, T5Model

    size = _word_pieces(folder)
    torch.manual_seed(0)
    config = T5Config(vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    T5Model(config).save_pretrained(folder)
    return folder


def _word_pieces(folder: Path) -> int:
    """BERT's kind of tokenizer, which cuts and fills up by its file; returns its size."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = string.ascii_lowercase
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"…!?.,'[]", *WORDS]
    tokens = list(dict.fromkeys([*tokens, *letters, *(f"##{letter}" for letter in letters)]))
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(tokens[:5])
    tokenizer.enable_truncation(6)
    tokenizer.enable_padding(length=6)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(tokens)
