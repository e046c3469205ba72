"""Who spoke when, on calls with reference turns: ``python -m benchmarks.turns CALLS_FOLDER``.

CALLS_FOLDER holds a folder for each source, with NAME.flac or NAME.ogg beside NAME.rttm. The
diarisation error rate is pyannote.metrics' over the whole file: overlap counted, errors of
speech detection included, means over the files of a source. "DER" leaves out 0.25 s around each
reference boundary, 0.125 s to each side: that is what pyannote.metrics calls a collar of 0.25,
and what the yardstick used. NIST's collar of 0.25 (to each side) and none stand beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from erc_demo import recording as recordings
from erc_demo import score, turns, voices
from erc_demo.dialogue import Dialogue
from erc_demo.formats import rttm as lines
from erc_demo.settings import Settings

YARD = 0.125  # seconds left out to each side of a reference boundary

# The better of the yardstick's two clusterings, told the number of people, and the better of
# its lanes; Silero as shipped, collar 0.25.
MIXED = {
    "ami": 0.488,
    "falcon": 0.0,
    "libri-stitched": 0.053,
    "nsc-stitched": 0.169,
    "pyannote-sample": 0.115,
    "spokenwoz": 0.152,
}
LANES = {"libri-stitched": 0.054, "nsc-stitched": 0.143, "spokenwoz": 0.182}


def scored(rttm: Path, found: Dialogue, seconds: float) -> dict[str, float]:
    """Error rates and parts, each as a share of the speech in the reference."""
    reference = lines.read(rttm.read_text(encoding="utf-8"), rttm.stem)
    yard, wide, strict = (
        score.diarization_error(reference, found, collar=collar, seconds=seconds)
        for collar in (YARD, 0.25, 0.0)
    )
    return {
        "der": yard.rate,
        "miss": yard.miss / yard.total,
        "false": yard.false_alarm / yard.total,
        "confusion": yard.confusion / yard.total,
        "wide": wide.rate,
        "strict": strict.rate,
        "found": len(found.speakers),
        "true": yard.reference_speakers,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calls", type=Path, metavar="CALLS_FOLDER")
    parser.add_argument("--people", choices=("auto", "told"), default="auto")
    parser.add_argument("--files", action="store_true", help="print a line for each file too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as job:
        measure(arguments, Path(job))


def measure(arguments: argparse.Namespace, job: Path) -> None:
    """Every recording of every source, as it is and, where it is stereo, as a mix."""
    encoder = voices.load("ge2e", Settings())
    rows: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    spent = heard_seconds = 0.0
    for rttm in sorted(arguments.calls.glob("*/*.rttm")):
        source = rttm.parent.name
        sound = next(p for p in rttm.parent.glob(f"{rttm.stem}.*") if p.suffix in (".flac", ".ogg"))
        recording = recordings.read(sound, job, Settings())
        for kind, channels in (("stereo", "auto"), ("mono", "mix")):
            if kind == "stereo" and recording.channels == 1:
                continue
            reference = lines.read(rttm.read_text(encoding="utf-8"), rttm.stem)
            began = time.perf_counter()
            heard = turns.listen(recording, encoder, channels=channels)
            told = None
            if arguments.people == "told" and heard.layout == "mix":
                told = len(reference.speakers)
            found = turns.find(heard, people=told)
            spent += time.perf_counter() - began
            heard_seconds += recording.duration
            row = scored(rttm, found, recording.duration)
            rows[source, kind].append(row)
            if arguments.files:
                print(f"{sound.stem:18} {kind:6} DER {row['der']:.3f} (miss {row['miss']:.3f} "
                      f"false {row['false']:.3f} confusion {row['confusion']:.3f}) "
                      f"people {row['found']:.0f} of {row['true']:.0f}")  # fmt: skip
    number = "told in mono" if arguments.people == "told" else "found"
    print(f"\nNumber of people {number}. Overlap counted, whole file, mean of files.\n")
    print("| source | sound | DER | miss | false alarm | confusion | ±0.25 s | no collar "
          "| people right | yardstick, told |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for (source, kind), files in sorted(rows.items(), key=lambda item: (item[0][1], item[0][0])):
        mean = {key: float(np.mean([row[key] for row in files])) for key in files[0]}
        right = sum(row["found"] == row["true"] for row in files)
        yard = (LANES if kind == "stereo" else MIXED).get(source)
        print(
            f"| {source} ({len(files)}) | {kind} | {mean['der']:.3f} | {mean['miss']:.3f} "
            f"| {mean['false']:.3f} | {mean['confusion']:.3f} | {mean['wide']:.3f} "
            f"| {mean['strict']:.3f} "
            f"| {right} of {len(files)} | {'' if yard is None else f'{yard:.3f}'} |"
        )
    print(f"\n{spent:.1f} s for {heard_seconds:.0f} s of sound: {spent / heard_seconds:.3f} x.")


if __name__ == "__main__":
    main()
