"""The processes that make a run together: one alone, several GPUs, or several machines.

All of them go through the same steps. The first one reads and writes the run's folder and tells the
others, so they need not see it; the corpus and the cache of features each machine must have.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    InitProcessGroupKwargs,
    broadcast_object_list,
)

from erc_demo.errors import UserError
from erc_demo.settings import Settings
from trainer.runs import Plan

PATIENCE = timedelta(hours=12)  # the others wait while the first one makes features
Found = TypeVar("Found")


def accelerator(plan: Plan, settings: Settings) -> Accelerator:
    """The devices and the precision of a plan."""
    on_cpu = settings.device == "cpu" or not torch.cuda.is_available()
    if on_cpu and settings.device == "cuda":
        raise UserError(
            "device is cuda, and PyTorch sees no CUDA device on this machine; set device to auto "
            "or cpu."
        )
    precision = plan.precision
    if precision == "auto":
        precision = "no" if on_cpu else "bf16"
    # Accelerate keeps the first run's precision for the whole program and refuses another one
    AcceleratorState._reset_state()
    return Accelerator(
        cpu=on_cpu,
        mixed_precision=precision,
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )


def agreed(accelerator: Accelerator, ask: Callable[[], Found]) -> Found:
    """What the first process found, in every process; what it refuses, all refuse."""
    told: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            told = [ask(), None]
        except UserError as exc:
            told = [None, str(exc)]
    broadcast_object_list(told, from_process=0)
    if told[1] is not None:
        raise UserError(told[1])
    found: Found = told[0]
    return found
