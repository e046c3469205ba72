"""A report as the lines of a terminal: each number with its name and how many turns it is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from erc_demo import plugs
from erc_demo.emotions import label_set
from trainer.metrics.reports import PACKAGE

NAMES = {
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "ua": "UA",
    "wa": "WA",
    "loss": "NLL",
    "ccc": "CCC",
}
REASONS = 3  # for no answer; a file may have more
_DIMENSION = {"ccc": "CCC", "pearson": "r", "mae": "MAE", "rmse": "RMSE"}


def sentences(report: Mapping[str, Any]) -> list[str]:
    """What ``report`` found."""
    lost = report["unanswered"]
    named = f"{report['n']} labelled turns ({report['labels']}) of " if report["labels"] else ""
    lines = [
        f"{named}{report['turns']} {'' if named else 'turns '}in {report['dialogues']} dialogues"
        + (f"; {lost} got no answer, which counts as wrong" if lost else "")
    ]
    for why, count in list(report.get("why_not", {}).items())[:REASONS]:
        lines.append(f"  no answer in {count} turns: {why}")
    known = any(value is not None for value in report["measures"].values())
    lines.append(
        f"{'measure':<22}  95 % over dialogues"
        if known
        else "Without labels there is nothing to measure the answers by."
    )
    for name, value in report["measures"].items():
        if value is not None:
            low, high = report["intervals"][name]
            ends = "" if low is None else f"  {low:.4f} to {high:.4f}"
            lines.append(f"  {NAMES[name]:<14}{value:.4f}{ends}")
    if report["n"]:
        lines += _certainty(report) + _classes(report["classes"])
        lines += _confusion(report["labels"], report["confusion"])
    if "dimensions" in report:
        lines += _dimensions(report["dimensions"])
    return lines + _analyses(report["analyses"])


def contrasted(found: Mapping[str, Any]) -> list[str]:
    """What ``contrast`` found."""
    lines = [
        f"{'first minus second':<20}{'first':>8}{'second':>8}{'apart':>9}   95 % over dialogues"
    ]
    for name, one in found["tests"].items():
        ends = "" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}"
        lines.append(
            f"  {NAMES[name]:<18}{one['first']:8.4f}{one['second']:8.4f}{one['difference']:+9.4f}"
            f"   {ends}  p = {one['p']:.4f}"
        )
    lines.append("  p: dialogues swapped at random, two-sided, each measure by itself")
    return lines + _analyses(found["analyses"])


def _certainty(report: Mapping[str, Any]) -> list[str]:
    each = report["per_dialogue"]
    spread = "" if each["sd"] is None else f" ± {each['sd']:.4f}"
    lines = [f"  WA of a dialogue, mean {each['wa']:.4f}{spread} (n = {each['n']} dialogues)"]
    if report["brier"] is not None:
        lines.append(f"  Brier         {report['brier']:.4f} (n = {report['n']})")
    if (one := report["calibration"]) is not None:
        mass = report["calibration_by_mass"]["ece"]
        lines.append(f"  ECE           {one['ece']:.4f} (n = {one['n']}, 15 bins of equal width)")
        lines.append(f"  ECE           {mass:.4f} (n = {one['n']}, 15 bins of equal mass)")
    if (one := report["abstaining"]) is not None:
        kept = ", ".join(f"{share} % {value:.4f}" for share, value in one["accuracy"].items())
        lines.append(f"  AURC          {one['aurc']:.4f} (n = {one['n']})")
        lines.append(f"  WA of the most confident: {kept}")
    if (one := report["unsure"]) is not None:
        line = f"  unsure in {one['unsure']} of {one['n']} turns"
        if one["wa"] is not None:
            line += f"; of the {one['answered']} answered WA {one['wa']:.4f}, UA {one['ua']:.4f}"
        lines.append(line)
    return lines


def _classes(classes: Mapping[str, Any]) -> list[str]:
    lines = [f"{'label':<14}{'precision':>9}{'recall':>9}{'F1':>9}{'n':>7}{'answered':>10}"]
    for label, one in classes.items():
        numbers = "".join(f"{one[key]:9.4f}" for key in ("precision", "recall", "f1"))
        lines.append(f"  {label:<12}{numbers}{one['n']:>7}{one['answered']:>10}")
    return lines


def _confusion(labels: str, confusion: Mapping[str, Any]) -> list[str]:
    names = confusion["labels"]
    codes = "".join(f"{label_set(labels).code(name):>7}" for name in names)
    lines = [f"{'label, answer':<14}{codes}{'none':>7}"]
    for name, row, lost in zip(names, confusion["counts"], confusion["unanswered"], strict=True):
        lines.append(f"  {name:<12}" + "".join(f"{count:>7}" for count in (*row, lost)))
    return lines


def _dimensions(dimensions: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{'dimension':<14}" + "".join(f"{name:>9}" for name in _DIMENSION.values()) + "      n"
    ]
    for name, one in dimensions.items():
        numbers = "".join(
            f"{'—':>9}" if one[key] is None else f"{one[key]:9.4f}" for key in _DIMENSION
        )
        count = f"{one['n']:>7} ({one['unanswered']} got no answer)" if "n" in one else ""
        lines.append(f"  {name:<12}{numbers}{count}")
    return lines


def _analyses(analyses: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, found in analyses.items():
        module = plugs.load(PACKAGE, name)
        lines += [f"{name}: {module.ABOUT}", *module.sentences(found)]
    return lines
