"""Write the golden numbers: ``python tests/golden/features/make.py [NAME …]``.

Only after the version of an extractor changed, and with the reason in the commit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))  # where the made conversation lies


def summary(turns: Sequence[np.ndarray | None]) -> list[dict[str, Any] | None]:
    """Of each turn's rows: how many, eight numbers of the first, and three of all.

    ``all`` is a sum over every column with signs that do not cancel what moves together, of a
    logarithmic measure, so that a column of millions does not hide the others.
    """
    found: list[dict[str, Any] | None] = []
    for rows in turns:
        if rows is None:
            found.append(None)
            continue
        rows = np.nan_to_num(rows)  # what is not defined is 0 behind the door
        columns = np.linspace(0, rows.shape[1] - 1, min(8, rows.shape[1])).astype(int)
        found.append(
            {
                "rows": len(rows),
                "first": [digits(number) for number in rows[0, columns]],
                "mean": digits(rows.mean(dtype=float)),
                "spread": digits(rows.std(dtype=float)),
                "all": digits(np.arcsinh(rows.astype(float)).mean(axis=0) @ signs(rows.shape[1])),
            }
        )
    return found


def signs(count: int) -> np.ndarray:
    """+1 and -1 in an order that is always the same."""
    return np.where(np.sin(np.arange(count) ** 2 + 0.5) > 0, 1.0, -1.0)


def digits(number: float) -> float:
    """Seven of them."""
    return float(f"{number:.7g}")


def main(names: Sequence[str]) -> None:
    from conversation import conversation

    from erc_demo import features
    from erc_demo.errors import UserError
    from erc_demo.features._contract import CORPUS
    from erc_demo.features._utterances import Given
    from erc_demo.settings import Settings

    for name in names or features.names():
        try:
            extractor = features.ready(features.Spec(name), Settings(offline=True))
        except UserError as exc:
            print(f"{name}: {exc}")
            continue
        if CORPUS in extractor.hears:
            continue  # nothing that a recording gives
        dialogue, recording = conversation()
        given = Given(dialogue, recording)
        turns = summary(
            [
                extractor.rows([given.utterance(place, extractor)])[0]
                if given.look(place, extractor)[0]
                else None
                for place in range(len(dialogue.turns))
            ]
        )
        lines = ",\n".join(f"  {json.dumps(one)}" for one in turns)
        text = f'{{"version": {json.dumps(extractor.version)},\n "turns": [\n{lines}\n]}}\n'
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: written")


if __name__ == "__main__":
    main(sys.argv[1:])
