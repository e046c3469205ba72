"""One training epoch of each system on a CPU, as it is here and as a plain loop over turns.

    python -m benchmarks.systems [NAME ...] [--threads 2] [--share 0.1] [--part 1] [--repeats 1]

120 dialogues of 50 turns of two people, made of random numbers; sizes and inputs are those of a
checkpoint here (``embedded``). On average a turn has 12 words; iaan's sound is 60 means of five
frames (3 s), word_alignment's 300 frames. Lengths of turns are drawn as skewed as people's (gamma,
shape 2: the longest of a batch is some five times the mean), so that padding costs what it costs.

The loop (``benchmarks/loops.py``) trains the same parameters on one dialogue after another, one
turn, word, input and head at a time, with a step of Adam after each dialogue. Ours takes batches of
eight dialogues, or, where turns know nothing of one another, 64 turns of like length, with a step
of Adam after each, laying out the batch included. Before the clock starts both have answered
the first dialogue, and their logits differ by less than 1e-4.

Each way runs in a process of its own, the shortest of the repeats counts, memory is that of the
whole process at the highest. ``--share`` times the loop on so much of the dialogues and multiplies,
``--part`` does so for ours; the table says of how many.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

DIALOGUES, TURNS = 120, 50
WORDS, FRAMES = 12, {"iaan": 60, "word_alignment": 300}
LABELS = "iemocap6"
TOGETHER = 8  # dialogues of a batch
ALIKE = 64  # turns of a batch, where turns know nothing of one another
WIDTHS = {  # of the features that checkpoints here read
    "gemaps47:speaker_norm=both": 94,
    "voice": 256,
    "sentence": 384,
    "words": 384,
    "frames256:speaker_norm=upload": 256,
    "frames256": 256,
}


def epoch(name: str, way: str, threads: int, count: int, repeats: int) -> None:
    """Time one way in this process, and say it as JSON."""
    import torch

    from benchmarks.loops import LOOPS
    from erc_demo import systems

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    inputs = systems.inputs(name, embedded=True)
    design = systems.design(
        name,
        widths={one: sum(WIDTHS[text] for text in texts) for one, texts in inputs.items()},
        embedded=True,
        labels=(LABELS,),
    )
    system = systems.build(design)
    given = [dialogue(design, seed) for seed in range(count)]
    labels = torch.randint(6, (count, TURNS), generator=torch.Generator().manual_seed(0))
    loop = LOOPS[name]
    agree(system, loop, given[0])
    system.train()
    optimiser = torch.optim.Adam(system.parameters(), lr=1e-4)

    def step(loss: torch.Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def ours() -> None:
        for part, told in batches(system, given, labels):
            batch = systems.collate(part)
            wanted = systems.Targets(labels={LABELS: told})
            step(system.loss(system(batch), batch, wanted))

    def looped() -> None:
        for one, told in zip(given, labels, strict=True):
            branches = loop(system, one)
            step(sum(torch.nn.functional.cross_entropy(said, told) for said in branches))

    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        ours() if way == "ours" else looped()
        seconds.append(time.perf_counter() - began)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    weights = sum(one.numel() for one in system.parameters())
    answer = {"seconds": min(seconds) * DIALOGUES / count, "memory": memory, "weights": weights}
    print(json.dumps(answer))


def dialogue(design: Any, seed: int) -> Any:
    """A conversation of random numbers."""
    from erc_demo.systems import Conversation

    random = np.random.default_rng(seed)
    needs = design.module.NEEDS

    lasts = random.gamma(2, 1 / 2, TURNS).clip(0.1, 6)  # times the mean

    def rows(name: str) -> Iterator[np.ndarray]:
        usual = {"word": WORDS, "frame": FRAMES.get(design.system, 0)}.get(needs[name].level)
        for last in lasts:
            size = 1 if usual is None else max(1, round(usual * last))
            yield random.standard_normal((size, design.widths[name])).astype(np.float32)

    return Conversation(
        name=str(seed),
        speakers=tuple(random.choice(list("AB"), TURNS)),
        rows={name: tuple(rows(name)) for name in design.inputs},
        widths=dict(design.widths),
        levels={name: needs[name].level for name in design.inputs},
        words=(None,) * TURNS,
        begins=(None,) * TURNS,
        steps={name: (0.01, 0.02) for name in design.inputs if needs[name].level == "frame"},
        places=tuple(range(TURNS)),
        targets=np.ones(TURNS, bool),
    )


def batches(system: Any, given: Sequence[Any], labels: Any) -> Iterator[tuple[list[Any], Any]]:
    """Whole dialogues, or turns of like length where a turn depends on itself alone."""
    if system.around("ABAB", 3) != [3]:
        for start in range(0, len(given), TOGETHER):
            yield list(given[start : start + TOGETHER]), labels[start : start + TOGETHER]
        return
    turns = [(row, at) for row in range(len(given)) for at in range(TURNS)]
    turns.sort(key=lambda one: max(len(rows[one[1]]) for rows in given[one[0]].rows.values()))
    for start in range(0, len(turns), ALIKE):
        part = turns[start : start + ALIKE]
        rows, places = zip(*part, strict=True)
        yield [given[row].part([at]) for row, at in part], labels[rows, places].unsqueeze(1)


def agree(system: Any, loop: Any, given: Any) -> None:
    """Both ways say the same of one dialogue; the first call of everything is done with it."""
    import torch

    from erc_demo import systems

    with torch.no_grad():
        output = system(systems.collate([given]))
        said = getattr(output, "said", {"all": output})
        for one, other in zip(said.values(), loop(system, given), strict=True):
            apart = (one.logits[LABELS][0] - other).abs().max()
            if apart > 1e-4:
                raise SystemExit(f"The loop and the system differ by {apart:.1e}.")


def timed(name: str, way: str, count: int, arguments: argparse.Namespace) -> dict[str, float]:
    """One way on so many dialogues in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.systems", name, "--way", way, str(count)]
    for option in ("threads", "repeats"):
        command += [f"--{option}", str(getattr(arguments, option))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    answer: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return answer


def main(argv: Sequence[str] | None = None) -> None:
    from benchmarks.loops import LOOPS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(LOOPS)}")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.1, help="of the dialogues, for the loop")
    parser.add_argument("--part", type=float, default=1.0, help="of the dialogues, for ours")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--way", nargs=2, metavar=("WAY", "COUNT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.way:
        way, count = arguments.way
        epoch(arguments.names[0], way, arguments.threads, int(count), arguments.repeats)
        return
    counts = {
        "ours": max(TOGETHER, round(arguments.part * DIALOGUES)),
        "loop": max(1, round(arguments.share * DIALOGUES)),
    }
    print(
        f"{DIALOGUES} dialogues x {TURNS} turns, seconds an epoch, {arguments.threads} threads; "
        f"ours timed on {counts['ours']} dialogues, the loop on {counts['loop']}"
    )
    print(f"{'system':16}{'weights':>12}{'ours':>9}{'MB':>7}{'loop':>9}{'MB':>7}{'x':>7}")
    for name in arguments.names or LOOPS:
        ours, loop = (timed(name, way, count, arguments) for way, count in counts.items())
        print(
            f"{name:16}{ours['weights']:12,}{ours['seconds']:9.1f}{ours['memory']:7.0f}"
            f"{loop['seconds']:9.1f}{loop['memory']:7.0f}{loop['seconds'] / ours['seconds']:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
