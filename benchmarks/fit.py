"""What an epoch of training costs, selection and what is kept after it included; CPU and GPU.

    python -m benchmarks.fit IEMOCAP_FOLDER [--systems ats_sagru dialogue_trm] [--devices cpu cuda]

The folder is a `table` with the column split6 (docs/corpora.md says more). Systems read
words alone, sizes as checkpoints here have them, features from the cache. The first epoch warms up;
the figure is the median of the others. A device that is not there is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from erc_demo.settings import Settings
from trainer.fit import fit
from trainer.runs import Plan

WORDS = {
    "ats_sagru": {"inputs": "text"},
    "dialogue_trm": {"ablation": "U", "batch": 8},
    "late_fusion": {"ablation": "LSTM", "batch": 64},
    "word_alignment": {"ablation": "text", "batch": 64},
}


def seconds(folder: Path, system: str, device: str, epochs: int) -> float:
    """The median epoch."""
    given = {"system": system, "data": f"table:{folder}", "split_column": "split6"}
    given |= {"epochs": epochs, "patience": epochs, "log": "none", **WORDS[system]}
    with tempfile.TemporaryDirectory() as place:
        settings = Settings.gather(flags={"device": device})
        out = fit(Plan.of(given, "the benchmark"), Path(place) / "run", settings)
        history = (out / "parts" / "official-seed0" / "history.jsonl").read_text().splitlines()
    each = [json.loads(line)["seconds"] for line in history]
    return statistics.median(each[1:])


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--systems", nargs="+", default=list(WORDS), choices=list(WORDS))
    parser.add_argument("--devices", nargs="+", default=["cpu", "cuda"], choices=["cpu", "cuda"])
    parser.add_argument("--epochs", type=int, default=5)
    told = parser.parse_args()
    devices = [one for one in told.devices if one == "cpu" or torch.cuda.is_available()]
    for one in set(told.devices) - set(devices):
        print(f"{one}: not on this machine")
    print(
        f"| an epoch | {' | '.join(devices)} | faster by |\n" + "| --- " * (len(devices) + 2) + "|"
    )
    for system in told.systems:
        each = [seconds(told.folder, system, device, told.epochs) for device in devices]
        ratio = f"{each[0] / each[-1]:.1f} ×" if len(each) > 1 else "–"
        print(
            f"| `{system}` | {' | '.join(f'{one:.2f} s' for one in each)} | {ratio} |", flush=True
        )


if __name__ == "__main__":
    main()
