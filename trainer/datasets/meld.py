"""MELD: dialogues of Friends, seven emotions, a clip of each utterance.

What: 1,432 dialogues (1,038 training, 114 validation, 280 test) of 13,708 utterances.
Who: Poria et al. 2019, ACL.
Labels: neutral, joy, sadness, anger, surprise, fear, disgust, by three annotators with the video.
Terms: GPL-3.0 for the tables; clips and lines are the series', for research.
To obtain: https://affective-meld.github.io. PATH is a folder with ``train_sent_emo.csv``,
``dev_sent_emo.csv``, ``test_sent_emo.csv``, in it or below, and, where they are, ``train_splits``,
``dev_splits_complete`` and ``output_repeated_splits_test`` with ``dia0_utt0.mp4`` (or sound taken
from them under the same names); or a folder with one ``turns.csv`` and arrays.

Clips in ``BROKEN`` are left out, as users reported them: their turns keep the words. Clips that no
row names (``final_videos_testdia…``) are not read. Apostrophes of Windows-1252 in a file of another
encoding are mended. A turn's times are those of the episode; its clip is heard whole. The published
parts are episodes with the same people, which is accepted, and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trainer.datasets import Ask, Corpus, _rows, _turns, some
from trainer.datasets.folder import Recordings

FILES = {part: f"{part}_sent_emo.csv" for part in ("train", "dev", "test")}
MEDIA = {
    "train_splits": "train",
    "dev_splits_complete": "dev",
    "output_repeated_splits_test": "test",
}
NEEDED = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
BROKEN = {
    "train_dia125_utt3": "can't be decoded",
    "dev_dia110_utt7": "is not in the release",
    "train_dia309_utt0": "is cut at another place",
    "test_dia38_utt4": "holds five minutes of others",
    "test_dia220_utt0": "holds four minutes of others",
}
WHY = "its parts are episodes of one series, with the same people in each"


def find(path: Path, ask: Ask) -> Corpus:
    """The corpus in a folder, as published or as one table."""
    table = _rows.published(path, "MELD", FILES, NEEDED, _plain)
    clips = _clips(path if path.is_dir() else path.parent)
    remarks = []
    if clips:
        ids = [row["utt_id"] for row in table.rows]
        table = table.but(lambda row: {**row, "file": clips.get(row["utt_id"], "")})
        left = [f"{one} {why}" for one, why in BROKEN.items() if one in ids]
        lacking = [one for one in ids if one not in clips and one not in BROKEN]
        if left:
            remarks.append(
                f"Clips that are known to be broken and were left out: {', '.join(left)}."
            )
        if lacking:
            remarks.append(f"Turns whose clip is not there: {len(lacking):,} ({some(lacking)}).")
    return _turns.collect("meld", ask, table, shared_speakers=WHY, remarks=remarks)


def _clips(path: Path) -> dict[str, str]:
    """The clip of each utterance, where the media folders are below a folder."""
    found: dict[str, str] = {}
    for name, part in MEDIA.items():
        for folder in sorted(path.rglob(name)):
            for place, file in Recordings(folder).placed.items():
                found.setdefault(f"{part}_{place}", str(file.absolute()))
    return {name: file for name, file in found.items() if name not in BROKEN}


def _plain(row: Mapping[str, str], part: str) -> dict[str, str]:
    """A row in the words of every table."""
    dialogue = f"{part}_dia{row['Dialogue_ID']}"
    return {
        "dialogue": dialogue,
        "turn": row["Utterance_ID"],
        "utt_id": f"{dialogue}_utt{row['Utterance_ID']}",
        "speaker": row["Speaker"],
        "text": row["Utterance"],
        "emotion": row["Emotion"],
        "split": part,
        "start": row.get("StartTime", ""),
        "end": row.get("EndTime", ""),
    }
