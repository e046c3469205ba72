"""MELD's three tables in small, with the media folders of two of them."""

from __future__ import annotations

from pathlib import Path

from corpora.iemocap import sound

HEAD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
    "StartTime,EndTime\n"
)
PARTS = {
    "train": """\
1,You must\x92ve had fun.,The Interviewer,neutral,neutral,0,0,8,21,"00:16:16,059","00:16:21,731"
2,That I did.,Chandler,joy,positive,0,1,8,21,"00:16:21,940","00:16:23,442"
3,Broken.,Ross,neutral,neutral,125,3,1,1,"0:00:01,000","0:00:02,000"
""",
    "dev": '1,"Oh, he lost it.",Phoebe,surprise,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n',
    "test": """\
1,Why?,Mark,anger,negative,0,0,3,19,"00:14:38,127","00:14:40,378"
2,Oh.,Chandler,fear,negative,0,1,3,19,"00:14:47,385","00:14:40,629"
""",
}
CLIPS = {
    "train_splits": ("dia0_utt0", "dia125_utt3"),
    "output_repeated_splits_test": ("dia0_utt0", "dia0_utt1", "final_videos_testdia0_utt0"),
}


def make(folder: Path) -> str:
    """Three tables in a folder, and sound where videos would be."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in PARTS.items():
        (folder / f"{part}_sent_emo.csv").write_text(HEAD + rows, encoding="utf-8")
    for place, names in CLIPS.items():
        for name in names:
            sound(folder / "MELD.Raw" / place / f"{name}.wav", 0.3)
    return str(folder)
