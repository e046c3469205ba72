"""Classifiers of sound and of words in transformers' format: tiny, random, in folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tiny_encoders
import tiny_encoders_sound

FOUR = ("neu", "hap", "ang", "sad")
EKMAN = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
FAMILIES = ("wav2vec2", "hubert", "wavlm", "whisper", "audio-spectrogram-transformer")
CONVOLVED: dict[str, Any] = tiny_encoders_sound.SIZE | {
    "conv_dim": (8,) * 7,
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 12,
}
SHAPES: dict[str, dict[str, Any]] = {
    "whisper": {
        "d_model": 16,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 32,
        "num_mel_bins": 80,
        "classifier_proj_size": 12,
        "vocab_size": 20,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
    },
    "audio-spectrogram-transformer": tiny_encoders_sound.SIZE | {"max_length": 1024},
}


def sound(
    folder: Path, family: str = "wav2vec2", labels: Sequence[str] = FOUR, **more: Any
) -> Path:
    """A classifier of sound with its head, and how it wants its sound."""
    import torch
    from transformers import (
        ASTFeatureExtractor,
        AutoConfig,
        AutoModelForAudioClassification,
        Wav2Vec2FeatureExtractor,
        WhisperFeatureExtractor,
    )

    shape = SHAPES.get(family, CONVOLVED) | {"initializer_range": 0.3}
    torch.manual_seed(7)
    config = AutoConfig.for_model(family, **shape, **_named(labels), **more)
    AutoModelForAudioClassification.from_config(config).save_pretrained(folder)
    ready = {
        "whisper": WhisperFeatureExtractor,
        "audio-spectrogram-transformer": ASTFeatureExtractor,
    }.get(family, Wav2Vec2FeatureExtractor)
    ready().save_pretrained(folder)
    return folder


def words(folder: Path, labels: Sequence[str] = EKMAN, **more: Any) -> Path:
    """A BERT of 24 positions with a head, and BERT's kind of tokenizer."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    size = tiny_encoders._word_pieces(folder)
    torch.manual_seed(7)
    shape = tiny_encoders.SHAPE | {"max_position_embeddings": tiny_encoders.POSITIONS}
    config = BertConfig(vocab_size=size, **shape, **_named(labels), **more)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def _named(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {one: at for at, one in enumerate(labels)},
    }


def configure(folder: Path, **changes: Any) -> Path:
    """The folder with other entries in its config.json; None takes one away."""
    file = folder / "config.json"
    data = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return folder


def reweigh(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """The folder with other weights in its model.safetensors."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    return folder
