"""The weights of a checkpoint: written in single or half precision, read strictly, never unpickled.

Half precision keeps 11 bits of each number, an error of at most 2^-11 = 0.0005 of it. A tensor is
halved if that is all it loses: one that overflows (above 65504), or whose numbers are so small that
halves are too coarse for them, stays single, and so do a system's ``scales``, which divide inputs
of any size. A file says by its dtypes which is which.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from erc_demo.errors import UserError, listed
from erc_demo.systems import Design, System

MOST = 2 * 2**30  # bytes; a BERT of 110 M numbers has 0.44 GB
READ = (torch.float16, torch.bfloat16, torch.float32)  # of numbers; they become single
LOSS = 1e-3  # of a number, at most
EXACT = "scales."
PICKLES = frozenset(".bin .ckpt .joblib .pickle .pkl .pt .pth".split())
_PICKLE = (
    "a pickle, which may run any code when it is read; only safetensors are read, so ask its owner "
    "for those"
)
_BEGINS = (b"PK\x03\x04", b"\x80")  # how torch.save begins, and what pickle writes


def state(system: System) -> dict[str, Tensor]:
    """A system's weights by name."""
    found: dict[str, Tensor] = system.state_dict()
    return found


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in half precision, but for what would lose by it."""
    return {key: value if key.startswith(EXACT) else _half(value) for key, value in weights.items()}


def _half(value: Tensor) -> Tensor:
    if value.dtype != torch.float32 or not value.numel():
        return value
    half, size = value.half(), value.abs()
    normal = size >= torch.finfo(torch.float16).tiny
    lost = (half.float() - value).abs()  # inf where it overflowed
    return half if (lost <= LOSS * torch.where(normal, size, size.max())).all() else value


def read(file: Path, sha256: str, design: Design) -> dict[str, Tensor]:
    """All the weights of a design and no others, in its precision.

    They are held against an outline, so that a width that nobody trained takes no memory.
    """
    found = _open(file, sha256)
    with torch.device("meta"), _no_more_than(4 * len(found) + 1000, file):
        known = state(design.module.System(design))
    problems = []
    if missing := sorted(set(known) - set(found)):
        problems.append(f"{len(missing)} weights are missing ({missing[0]} …)")
    if extra := sorted(set(found) - set(known)):
        problems.append(f"{len(extra)} are not of this system ({extra[0]} …)")
    for key in sorted(set(known) & set(found)):
        if found[key].shape != known[key].shape:
            shapes = f"{tuple(found[key].shape)}, not {tuple(known[key].shape)}"
            problems.append(f"{key} is {shapes}")
        elif found[key].dtype != known[key].dtype and not (
            known[key].is_floating_point() and found[key].dtype in READ
        ):
            problems.append(f"{key} is {found[key].dtype}, not {known[key].dtype}")
        elif not found[key].isfinite().all():
            problems.append(f"{key} is not finite")
    if problems:
        raise UserError(f"The weights in {file} do not fit: {listed(problems[:5])}.")
    return {key: value.to(known[key].dtype) for key, value in found.items()}


def refuse_pickles(whose: str, names: list[str]) -> None:
    """Say it where there are weights, but only such as could run code when they are read."""
    if pickles := [name for name in names if Path(name).suffix.lower() in PICKLES]:
        raise UserError(f"{whose} keeps its weights in {pickles[0]}, {_PICKLE}.")


def digest(file: Path) -> str:
    """The sha256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _open(file: Path, sha256: str) -> dict[str, Tensor]:
    if not file.is_file():
        refuse_pickles(f"{file.parent}", sorted(one.name for one in file.parent.iterdir()))
        raise UserError(f"{file} is missing; a checkpoint keeps its weights there, as safetensors.")
    if file.stat().st_size > MOST:
        raise UserError(f"{file} has over {MOST // 2**30} GB; this is no checkpoint.")
    try:
        if digest(file) != sha256:
            raise UserError(
                f"{file} is not the file that its config.json names (another sha256): it was cut "
                "off or changed; get the checkpoint again."
            )
        found: dict[str, Tensor] = load_file(file)
    except (SafetensorError, OSError) as exc:
        with file.open("rb") as opened:
            if opened.read(4).startswith(_BEGINS):
                raise UserError(f"{file} is no safetensors but {_PICKLE}.") from exc
        raise UserError(
            f"{file} can't be read as safetensors ({exc}); get the checkpoint again."
        ) from exc
    return found


@contextmanager
def _no_more_than(parts: int, file: Path) -> Iterator[None]:
    """Stop making a system that has more parts than a file may have weights for.

    A line in config.json is enough for a million layers, each of which would be made.
    """
    count, mine = 0, threading.get_ident()

    def one_more(module: nn.Module, name: str, part: object) -> None:
        nonlocal count
        count += threading.get_ident() == mine
        if count > parts:
            raise UserError(
                f"The weights in {file} do not fit: the system that its config.json describes has "
                "far more of them; get the checkpoint again."
            )

    hooks = [
        register_module_parameter_registration_hook(one_more),
        register_module_module_registration_hook(one_more),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
