"""MSP-IMPROV's table in small: two sessions, every label, a clip of one turn."""

from __future__ import annotations

from pathlib import Path

from corpora.iemocap import sound

ROWS = """\
utt_id,transcript,emo,v,a,d,n
MSP-IMPROV-S01A-F01-P-FM01,How can I not?.,A,1.5,1.25,4,3.2
MSP-IMPROV-S01A-M01-P-FM01,"Well, skip it..",N,3,3,3,4
MSP-IMPROV-S01A-M01-T-MF01,,X,2,2,2,2
MSP-IMPROV-S06H-F02-R-FF01,I am so happy,H,5,2,3,4
MSP-IMPROV-S07S-M02-S-FM12,It is gone,S,1,5,1,4
MSP-IMPROV-S07S-M02-S-FM13,Yuck,O,2,2,2,4
"""


def make(folder: Path) -> str:
    """A folder with ``turns.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "turns.csv").write_text(ROWS, encoding="utf-8")
    sound(folder / "session1" / "MSP-IMPROV-S01A-F01-P-FM01.wav", 0.5)
    return str(folder)
