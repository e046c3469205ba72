"""Two dialogues and a turn alone as a table, with two files of arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS = """\
dialogue,turn,utt_id,session,speaker,start,end,text,iemocap6,emotion,valence,arousal,split
one,0,one_0,1,F,0.5,1.25,"Well, hello.",neu,neutral,3,3,train
one,1,one_1,1,M,0:00:01.300,"0:00:02,5",You again!,ang,angry,1.5,4.5,train
one,2,one_2,1,F,,,,xxx,,,,train
two,0,two_0,2,F,0,1,So sad.,sad,sad,1,2,dev
two,1,two_1,2,M,1,2,Great!,exc,excited,5,5,dev
,,alone,3,F,,,I told you.,fru,frustrated,2,4,test
"""
IDS = ("one_0", "one_1", "one_2", "two_0", "two_1", "alone")


def make(folder: Path) -> str:
    """A folder with ``turns.csv``, numbers that an extractor makes, and others."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "turns.csv").write_text(ROWS, encoding="utf-8")
    arrays(folder / "gemaps_hsf47.npz", IDS[:-1], 47)
    arrays(folder / "signal.npz", IDS[::-1], 3)
    return str(folder)


def arrays(file: Path, ids: tuple[str, ...], width: int) -> np.ndarray:
    """A file of random rows."""
    rows = np.random.default_rng(width).normal(size=(len(ids), width)).astype(np.float32)
    np.savez(file, ids=np.array(ids), X=rows)
    return rows
