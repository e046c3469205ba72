"""MSP-IMPROV: twelve actors improvise in pairs around twenty sentences.

What: six sessions of two actors, 8,438 turns; read are words as recognised, and what lies beside.
Who: Busso et al. 2017, IEEE Transactions on Affective Computing 8(1), 67–80.
Labels: neutral, happy, sad, angry (N, H, S, A) of 7,798 turns; X, where raters did not agree, and
O, something else, are none. Mean ratings of valence, activation and dominance from 1 to 5;
activation runs down (1 is active) and is turned round. Naturalness is left out.
Terms: academic research, on a signed licence; nothing of it may be passed on.
To obtain: ask the University of Texas at Dallas (MSP laboratory). PATH is a folder with
``turns.csv`` (``utt_id, transcript, emo, v, a, d, n``), arrays beside it as in ``table``, and the
clips by their names where there are any.

Who speaks stands in a name's fourth part (F01 to F06, M01 to M06, whose number is the session);
the last part says whose scene it is, so both actors occur under FM and under MF (the pitch of the
stored descriptors says so, too). The two count their turns apart and no time is given, so nobody
can tell in which order they spoke: each turn is a dialogue of its own. There is no split: take
``loso`` or ``speakers:K``.

``gemaps_hsf47`` holds the descriptors of ``gemaps47``, but of other microphones and levels, perhaps
of another release of openSMILE: standardise it on this corpus alone, not on a mixture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from erc_demo.errors import UserError
from trainer.datasets import Ask, Corpus, _rows, _turns

NAME = re.compile(r"MSP-IMPROV-S\d\d[AHNS]-([FM](\d\d))-[A-Z]-[FM]{2}\d+")
WORDS = {"N": "neutral", "H": "happy", "S": "sad", "A": "angry", "O": "other", "X": "xxx"}
NEEDED = ("utt_id", "transcript", "emo", "v", "a", "d")


def find(path: Path, ask: Ask) -> Corpus:
    """The corpus in a folder with its ``turns.csv``."""
    table = _rows.read(_rows.turns(path))
    lacking = [name for name in NEEDED if name not in table.columns]
    if lacking:
        raise UserError(
            f"{table.file} is not MSP-IMPROV's, since it has no column {', '.join(lacking)}; a "
            "table with other columns is read by table:PATH."
        )
    return _turns.collect("mspimprov", ask, table.but(_plain))


def _plain(row: Mapping[str, str]) -> dict[str, str]:
    """A row in the words of every table."""
    named = NAME.fullmatch(row["utt_id"].strip())
    if named is None:
        raise UserError(
            f"'{row['utt_id']}' is no name of MSP-IMPROV (MSP-IMPROV-S01A-F01-P-FM01); who speaks "
            "could not be told."
        )
    active = _rows.number(row["a"], row["utt_id"])
    return {
        **row,
        "text": row["transcript"],
        "speaker": named[1],
        "session": str(int(named[2])),
        "emotion": WORDS.get(row["emo"].strip(), row["emo"]),
        "valence": row["v"],
        "arousal": "" if active is None else str(6 - active),
        "dominance": row["d"],
    }
