"""Which numbers of a clip tell how it was spoken: logistic regression on RAVDESS, actors unseen.

    python -m benchmarks.frames CLIPS [--c 0.01]

CLIPS is a folder of RAVDESS's clips. Four emotions (neutral and calm, happy, sad, angry), the
actors in five groups, each left out once; of frames their mean and deviation over the clip. Printed
is the unweighted accuracy over all left-out clips of the numbers as they are, and of each actor's
z-scores, which want all that the actor says but no label. Features come from the cache, or go into
it: the first call takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from erc_demo.features import Features, parse
from erc_demo.settings import Settings
from trainer import extract
from trainer.datasets import Ask, heard, open_corpus

WISHES = (
    *("frames256:layer=1", "frames256", "frames256:layer=3"),
    *("voice", "egemaps88", "gemaps47", "frames45"),
)
GROUPS = 5


def numbers(made: Features) -> np.ndarray:
    """One row of a clip."""
    if made.level == "utterance":
        return made.rows[0]
    return np.concatenate([made.rows.mean(axis=0), made.rows.std(axis=0)])


def accuracy(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, c: float) -> float:
    """Unweighted, over all groups, each answered by what the others taught."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = np.full(len(labels), -1)
    for group in range(GROUPS):
        mine = groups == group
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=300)
        model = make_pipeline(StandardScaler(), model).fit(rows[~mine], labels[~mine])
        found[mine] = model.predict(rows[mine])
    return float(recall_score(labels, found, average="macro"))


def scored(rows: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Each person's z-scores."""
    found = np.zeros_like(rows)
    for name in np.unique(people):
        mine = people == name
        found[mine] = (rows[mine] - rows[mine].mean(axis=0)) / (rows[mine].std(axis=0) + 1e-6)
    return found


def main() -> None:
    """Print a line for each kind of features."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--c", type=float, default=0.01, help="of the regression (0.01)")
    arguments = parser.parse_args()
    corpus = open_corpus(f"ravdess:{arguments.clips}", Ask(labels=("iemocap4",)))
    clips = [one for one in corpus.dialogues if one.labels["iemocap4"][0] >= 0]
    labels = np.array([one.labels["iemocap4"][0] for one in clips])
    people = np.array([one.people[0] for one in clips])
    order = np.random.default_rng(0).permutation(np.unique(people))
    groups = np.zeros(len(clips), int)
    for number, names in enumerate(np.array_split(order, GROUPS)):
        groups[np.isin(people, names)] = number
    settings = Settings.gather(environment=os.environ)
    print(f"{len(clips)} clips of {len(order)} people, C = {arguments.c:g}")
    print(f"{'':<22}as it is   z-scores")
    for wish in WISHES:
        spec = parse(wish)
        made = [extract.made(heard(one)[0], [spec], settings)[1][wish] for one in clips]
        rows = np.stack([numbers(one) for one in made])
        both = (
            accuracy(each, labels, groups, arguments.c) for each in (rows, scored(rows, people))
        )
        print(f"{wish:<22}" + "".join(f"{one:8.3f}   " for one in both), flush=True)


if __name__ == "__main__":
    main()
