"""EmoryNLP: scenes of four seasons of Friends, seven emotions, text alone.

What: 827 scenes, each a dialogue, of 9,489 utterances.
Who: Zahiri and Choi 2018, AAAI workshops.
Labels: Neutral, Joyful, Peaceful, Powerful, Scared, Mad, Sad, six of them of Willcox (1982).
Terms: Apache-2.0 for the labels; the lines are the series', for research.
To obtain: ``data/emorynlp`` of https://github.com/declare-lab/MELD. PATH is a folder with
``emorynlp_train_final.csv``, ``emorynlp_dev_final.csv``, ``emorynlp_test_final.csv``, in it or
below; or with one ``turns.csv``.

Several people who speak at once are one speaker, by all their names; ``#ALL#`` is nobody. Times are
those of subtitles: several turns share one, and some last minutes. The published parts are episodes
with the same people, which is accepted, and said.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from trainer.datasets import Ask, Corpus, _rows, _turns

FILES = {part: f"emorynlp_{part}_final.csv" for part in ("train", "dev", "test")}
NEEDED = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")
WHY = "its parts are episodes of one series, with the same people in each"


def find(path: Path, ask: Ask) -> Corpus:
    """The corpus in a folder, as published or as one table."""
    table = _rows.published(path, "EmoryNLP", FILES, NEEDED, _plain)
    return _turns.collect("emorynlp", ask, table, shared_speakers=WHY)


def _plain(row: Mapping[str, str], part: str) -> dict[str, str]:
    """A row in the words of every table."""
    scene = "s{:0>2}_e{:0>2}_c{:0>2}".format(
        *(row[name] for name in ("Season", "Episode", "Scene_ID"))
    )
    return {
        "dialogue": scene,
        "turn": row["Utterance_ID"],
        "utt_id": f"{scene}_u{row['Utterance_ID']:0>3}",
        "speaker": _people(row["Speaker"]),
        "text": row["Utterance"],
        "emotion": row["Emotion"],
        "split": part,
        "start": row.get("Start_Time", ""),
        "end": row.get("End_Time", ""),
    }


def _people(cell: str) -> str:
    """Of ``['Monica Geller', 'Ross Geller']``, as the tables have it, the names."""
    try:
        names = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        return cell
    return "; ".join(map(str, names)) if isinstance(names, list) else cell
