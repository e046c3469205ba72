"""DailyDialog: written everyday dialogues of two, seven emotions, mostly none.

What: dialogues from sites for learners of English; text alone, without sound or time.
Who: Li et al. 2017, IJCNLP.
Labels: no emotion, happiness, surprise, anger, sadness, disgust, fear; 85 % are no emotion.
Terms: CC BY-NC-SA 4.0.
To obtain: the paper's page; PATH is a folder with ``turns.csv`` (``dialogue, turn, utt_id, speaker,
text, emotion, split``).

Speakers are A and B in every dialogue and nobody knows who they are, so no one is taken to be in
two dialogues. Where a table holds the published validation and test parts alone there is no
training part: take folds with ``speakers:K``.
"""

from __future__ import annotations

from pathlib import Path

from trainer.datasets import Ask, Corpus, _rows, _turns


def find(path: Path, ask: Ask) -> Corpus:
    """The corpus in a folder with its ``turns.csv``."""
    return _turns.collect("dailydialog", ask, _rows.read(_rows.turns(path)))
