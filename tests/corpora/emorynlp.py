"""EmoryNLP's three tables in small."""

from __future__ import annotations

from pathlib import Path

HEAD = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time\n"
PARTS = {
    "train": """\
Hi!,"['Bonnie', 'Rachel Green']",Joyful,3,1,4,1,00:00:05.714,00:00:06.922
Oh no.,['Ross Geller'],Scared,3,2,4,1,00:00:05.714,00:00:07.000
""",
    "dev": "Coffee.,['Rachel Green'],Neutral,1,1,1,15,00:00:03.795,00:00:05.004\n",
    "test": "\"Yeah, sure.\",['#ALL#'],Mad,2,7,3,9,00:00:03.795,00:00:05.004\n",
}


def make(folder: Path) -> str:
    """Three tables in a folder of the folder."""
    (folder / "data").mkdir(parents=True)
    for part, rows in PARTS.items():
        (folder / "data" / f"emorynlp_{part}_final.csv").write_text(HEAD + rows, encoding="utf-8")
    return str(folder)
