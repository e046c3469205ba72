"""What looking is worth on IEMOCAP: the same trainings, reported honestly and as published.

    python -m benchmarks.iemocap CORPORA --out RUNS [--rows ats_sagru-words …]

CORPORA holds the folder `iemocap`, a `table` (docs/corpora.md). A row is one of the results table
(trainer/results/cells.toml) on six classes, each session left out once: trained without the refit,
so that beside the figure of the epoch that another session chose stands that of the epoch that is
best on the reported session, as much of the field reports. Runs are kept in RUNS and taken up from
there. What systems reach is `python -m trainer results`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from erc_demo.settings import Settings
from trainer.fit import fit
from trainer.results import cells

COLUMN = "iemocap6"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("corpora", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=["ats_sagru-words"])
    parser.add_argument("--runs", type=int, default=3)
    told = parser.parse_args()
    print("| system | reads | honest | as published | looking is worth |\n" + "| --- " * 5 + "|")
    for name in told.rows:
        cell = cells.find(f"{name}-{COLUMN}")
        plan = cell.plan(told.corpora)
        plan = plan.but(protocol="as-published:loso", refit=False, runs=told.runs)
        out = told.out / f"{cell.name}-published"
        fit(plan, out, Settings.gather(), resume=(out / "plan.toml").is_file())
        found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        one, other = (found[key]["weighted_f1"] for key in ("measures", "published"))
        gain = f"{100 * (other['mean'] - one['mean']):+.1f} points"
        shown = (f"`{plan.system}`", cell.row.reads, figure(one), figure(other), gain)
        print(f"| {' | '.join(shown)} |", flush=True)


def figure(measure: dict[str, Any]) -> str:
    """A mean and its deviation."""
    spread = "" if measure["sd"] is None else f" ± {measure['sd']:.3f}"
    return f"{measure['mean']:.3f}{spread}"


if __name__ == "__main__":
    main()
