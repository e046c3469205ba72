"""What systems reach on IEMOCAP's turns, words alone and with sound: the README's table.

    python -m benchmarks.iemocap IEMOCAP_FOLDER --encoder ENCODER --out RUNS [--rows words …]

The folder is a `table` (docs/corpora.md): turns.csv with session, iemocap6, iemocap4, split6 and
the ratings; gemaps_hsf47.npz, ge2e256.npz. The encoder is MiniLM as `trainer encoder` tuned it on
other corpora (benchmarks/emotional.toml); its vectors stand beside MiniLM's own. Each cell is a run
of `trainer fit`, kept in RUNS and taken up from there. `sessions`: each labelled one is reported
once, another one chooses the epoch. `split6`: 12 dialogues of the training part choose, the
validation part is reported (its people are in the training part too). After the choice the system
is trained anew on training and selection part. Means over the seeds, ± their deviation.

A dozen settings were tried on these parts, with the reported figures in view; what was kept is one
for all rows of a system, whatever they read. So the table says what such systems reach here, and
what sound adds; what they are worth on people never met is for data that nobody has looked at.
``--as-published`` trains without that refit, on sessions, and puts the figure
of the epoch that is best on the reported session beside the honest one of the same trainings.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from erc_demo.settings import Settings
from trainer.fit import fit
from trainer.runs import Plan

ENCODER = "ENCODER"  # stands for the folder in the rows below
WORDS = ("sentence", f"sentence:encoder={ENCODER}")
SAME = {
    **{"dimensions": "valence,arousal,dominance", "refit": True, "average": 0.98, "log": "none"},
    **{"epochs": 60, "patience": 12, "weight_decay": 0.1, "batch": 4},
}
SYSTEMS: dict[str, dict[str, Any]] = {
    "ats_sagru": {"dropout": 0.5},
    "dialogue_trm": {
        **{"layers": 2, "window": "rows", "dropout": 0.3, "rate": 3e-4},
        **{"epochs": 40, "patience": 8},
    },
    "late_fusion": {"batch": 64, "epochs": 15, "patience": 4, "dimensions": "", "average": 0},
    "word_alignment": {
        **{"batch": 64, "epochs": 15, "patience": 4, "dimensions": "", "average": 0},
        **{"dropout": 0.3},
    },
}
ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "words": ("ats_sagru", "words", {"reads": {"text": WORDS}, "inputs": "text"}),
    "words-untuned": ("ats_sagru", "words, MiniLM as it is", {"inputs": "text"}),
    "trm-words": ("dialogue_trm", "words (-U)", {"reads": {"text": WORDS}, "inputs": "text"}),
    "late-words": ("late_fusion", "words (LSTM)", {"ablation": "LSTM"}),
    "align-words": ("word_alignment", "words", {"ablation": "text"}),
    "sound": ("ats_sagru", "sound", {"inputs": "audio"}),
    "sound+voice": ("ats_sagru", "sound and speaker", {"inputs": "audio,speaker"}),
    "words+sound": (
        *("ats_sagru", "words and sound (S1)"),
        {"reads": {"text": WORDS}, "inputs": "audio,text"},
    ),
    "all": ("ats_sagru", "words, sound, speaker (S5)", {"reads": {"text": WORDS}}),
    "all-mean": (
        *("ats_sagru", "S5, each turn's voice its speaker's mean"),
        {"reads": {"text": WORDS, "speaker": ("voice:speaker_norm=mean",)}},
    ),
    "trm-all": ("dialogue_trm", "words and sound with voice (-M)", {"reads": {"text": WORDS}}),
    "late-all": ("late_fusion", "words and sound with voice", {}),
}
# Twelve dialogues are few to choose by: one lucky early epoch must not end a training.
FEW = {"select_from": "train:12", "patience": 25, "epochs": 80}
COLUMNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "loso6": ("6 classes, sessions, weighted F1", "weighted_f1", {"protocol": "loso"}),
    "loso4": ("4 classes, sessions, UA", "ua", {"protocol": "loso"}),
    "split6": ("6 classes, split6, weighted F1", "weighted_f1", FEW),
    "split4": ("4 classes, split6, UA", "ua", FEW),
}
CLASSES = {
    "6": {"labels": "iemocap6", "measure": "weighted_f1"},
    "4": {"labels": "iemocap4", "measure": "ua", "class_weights": "balanced"},
}


def plan(told: argparse.Namespace, row: str, column: str) -> Plan:
    """The plan of a cell."""
    system, _, own = ROWS[row]
    given = {**SAME, **SYSTEMS[system], **CLASSES[column[-1]], **COLUMNS[column][2], **own}
    given |= {"system": system, "data": f"table:{told.folder}", "split_column": "split6"}
    given["reads"] = {
        name: [text.replace(ENCODER, str(told.encoder)) for text in texts]
        for name, texts in given.get("reads", {}).items()
    }
    return Plan.of(given | {"runs": told.runs}, f"{row} {column}")


def cell(out: Path, wanted: Plan) -> dict[str, Any]:
    """What a run came to; one that was there is not trained again."""
    fit(wanted, out, Settings.gather(), resume=(out / "plan.toml").is_file())
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return found


def shown(measure: dict[str, Any]) -> str:
    """A mean and its deviation."""
    spread = "" if measure["sd"] is None else f" ± {measure['sd']:.3f}"
    return f"{measure['mean']:.3f}{spread}"


def published(told: argparse.Namespace) -> None:
    """The same trainings, reported both ways."""
    print("| system | reads | honest | as published | looking is worth |\n" + "| --- " * 5 + "|")
    for row in told.rows:
        wanted = plan(told, row, "loso6").but(protocol="as-published:loso", refit=False)
        found = cell(told.out / f"{row}-published", wanted)
        one, other = (found[name]["weighted_f1"] for name in ("measures", "published"))
        gain = f"{100 * (other['mean'] - one['mean']):+.1f} points"
        cells = (wanted.system, ROWS[row][1], shown(one), shown(other), gain)
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), choices=list(COLUMNS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--as-published", action="store_true", help="honest against as-published")
    told = parser.parse_args()
    if told.as_published:
        published(told)
        return
    heads = [COLUMNS[name][0] for name in told.columns]
    print(f"| system | reads | {' | '.join(heads)} |\n" + "| --- " * (2 + len(heads)) + "|")
    for row in told.rows:
        system, reads, _ = ROWS[row]
        runs = [cell(told.out / f"{row}-{name}", plan(told, row, name)) for name in told.columns]
        cells = [
            shown(one["measures"][COLUMNS[name][1]])
            for name, one in zip(told.columns, runs, strict=True)
        ]
        print(f"| {system} | {reads} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
