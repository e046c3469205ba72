"""A tiny random Whisper in CTranslate2's format, made in a second and without any download."""

from __future__ import annotations

from pathlib import Path


def make(folder: Path) -> Path:
    """Write the model into a folder; it hears nonsense, but along the true path."""
    import torch
    from ctranslate2.converters import TransformersConverter
    from faster_whisper.tokenizer import _LANGUAGE_CODES
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={one: i for i, one in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    languages = [f"<|{code}|>" for code in _LANGUAGE_CODES]
    tasks = "translate transcribe startoflm startofprev nospeech notimestamps".split()
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{t}|>" for t in tasks)]
    tokenizer.add_special_tokens(
        [AddedToken(one, special=True, normalized=False) for one in special]
    )
    tokenizer.add_tokens(
        [AddedToken(f"<|{i * 0.02:.2f}|>", special=False, normalized=False) for i in range(1501)]
    )
    number, end = tokenizer.token_to_id, "<|endoftext|>"
    source = folder / "source"
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end, pad_token=end
    )
    fast.save_pretrained(source)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(source)
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=tokenizer.get_vocab_size(),
            num_mel_bins=80,
            d_model=64,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            max_source_positions=1500,
            max_target_positions=448,
            bos_token_id=number(end),
            eos_token_id=number(end),
            pad_token_id=number(end),
            decoder_start_token_id=number("<|startoftranscript|>"),
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    )
    with torch.no_grad():  # letters, not marks and times, are what it likes to say
        model.model.decoder.embed_tokens.weight[len(letters) :] *= 0.1
    how = model.generation_config
    how.suppress_tokens, how.begin_suppress_tokens = [], [number(end)]
    how.lang_to_id = {one: number(one) for one in languages}
    how.alignment_heads = [[1, 0], [1, 1]]
    how.no_timestamps_token_id = number("<|notimestamps|>")
    how.is_multilingual = True
    model.save_pretrained(source)
    made = folder / "tiny"
    TransformersConverter(
        str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]
    ).convert(str(made), quantization="int8", force=True)
    return made
