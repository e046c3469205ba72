"""A folder with ``turns.csv``: how anybody brings a corpus of their own.

    python -m trainer fit late_fusion --data table:my_corpus --labels iemocap6

What: dialogues or single utterances, with words, sound or numbers. Terms: yours. To obtain: write
it, with any spreadsheet; PATH is the folder, or the table itself.

``turns.csv`` has a row for each utterance. Needed is ``utt_id`` (or ``file``, whose stem is it) and
one of ``text``, sound, arrays. Columns that may be there:

    dialogue, turn            without them each utterance is a dialogue of its own
    session, speaker          who speaks: both together, or a speaker's name alone
    start, end                seconds, H:MM:SS.mmm or nothing
    iemocap6 …, or emotion    labels in the corpus's own words; --label-column names another column
    valence, arousal …        mean ratings from 1 to 5
    split                     train, validation (or dev), test; --split-column names another column
    file                      a clip's place, from the folder on

Sound is ``DIALOGUE.wav``, a clip ``UTT_ID.wav`` or what ``file`` names, in the folder or below, in
any container. Arrays are ``.npz`` files with ``ids`` and ``X``, a row for each utterance. All that
is untidy is counted in remarks; docs/corpora.md has the whole format.
"""

from __future__ import annotations

from pathlib import Path

from trainer.datasets import Ask, Corpus, _rows, _turns


def find(path: Path, ask: Ask) -> Corpus:
    """The corpus in a folder, or of a table with its folder."""
    return _turns.collect("table", ask, _rows.read(_rows.turns(path)))
