"""Tiny random encoders of sound and sight in transformers' format, made in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
PICTURE: dict[str, Any] = SIZE | {"image_size": 32, "patch_size": 8}
WORDS: dict[str, Any] = SIZE | {
    "vocab_size": 20,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
BOTH: dict[str, Any] = {"vision_config": PICTURE, "text_config": WORDS}
SIGHT: dict[str, dict[str, Any]] = {  # what each family of ``pictures`` is made of
    "vit": PICTURE,
    "dinov2": PICTURE,
    "clip": BOTH,
    "siglip": BOTH,
    "clip_vision_model": PICTURE,
    "videomae": PICTURE | {"num_frames": 4, "tubelet_size": 2},
    "convnext": {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "swin": {
        "image_size": 32,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
}


def speech(folder: Path, family: str, *, norm: str = "group", **more: Any) -> Path:
    """A wav2vec2, hubert or wavlm of 16 numbers and 2 layers, with the seven real strides."""
    shape: dict[str, Any] = SIZE | {
        "conv_dim": (8,) * 7,
        "conv_bias": norm == "layer",
        "feat_extract_norm": norm,
        "do_stable_layer_norm": norm == "layer",
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    }
    return made(folder, family, shape | more, {"do_normalize": True, "sampling_rate": 16_000})


def pictures(folder: Path, family: str, preprocessor: dict[str, Any], **more: Any) -> Path:
    """One of ``SIGHT``, which reads pictures of 32 by 32."""
    return made(folder, family, SIGHT[family] | more, preprocessor)


def made(folder: Path, family: str, shape: dict[str, Any], preprocessor: dict[str, Any]) -> Path:
    """A model with random weights as a folder that everybody may read."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(family, **shape))
    model.eval().save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)  # save_pretrained leaves 0600
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
