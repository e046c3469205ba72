"""DailyDialog's table in small."""

from __future__ import annotations

from pathlib import Path

ROWS = """\
dialogue,turn,utt_id,speaker,text,emotion,act,split
validation_0,0,validation_0_0,A,"Good morning , sir .",no emotion,2,validation
validation_0,1,validation_0_1,B,What a surprise !,surprise,1,validation
test_0,0,test_0_0,A,I am glad .,happiness,3,test
test_0,1,test_0_1,B,I am not .,sadness,3,test
"""


def make(folder: Path) -> str:
    """A folder with ``turns.csv``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "turns.csv").write_text(ROWS, encoding="utf-8")
    return str(folder)
