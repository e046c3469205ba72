"""RAVDESS: actors say two sentences in eight emotions; clips by their names, no dialogue.

What: 24 actors, 60 spoken clips each, of about four seconds.
Who: Livingstone and Russo 2018, PLoS ONE 13(5).
Labels: what was acted: neutral, calm, happy, sad, angry, fearful, disgust, surprised.
Terms: CC BY-NC-SA 4.0.
To obtain: https://zenodo.org/records/1188976. PATH is a folder of clips, flat or in ``Actor_01`` …,
called as ``03-01-06-01-02-01-12.wav``: modality (03 sound, 01 with pictures), channel (01 speech),
emotion, strength, sentence, repetition, actor; in any container.

Sung clips and those without sound are left out; of a clip with and without pictures the one without
is taken. Each clip is a dialogue of its own: nobody answers, and to string an actor's clips
together would give systems of context a conversation that never was. The clips of an actor come in
the order of a hash of their names, for the order of names is the order of emotions;
``speaker_norm`` finds no past in a dialogue of one turn. Words say nothing: two sentences for all.

There is no split; ``speakers:K`` keeps an actor on one side, and with it the one pair of clips that
are the same (by their bytes, or by ``duplicate_of`` in a ``turns.csv`` beside them).
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from pathlib import Path

from erc_demo.errors import UserError
from erc_demo.recording import SUFFIXES
from trainer.datasets import Ask, Corpus, _rows, _turns, some
from trainer.datasets.folder import Recordings, files

NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
SOUND, WITH_PICTURES, SPEECH = "03", "01", "01"
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SAID = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def find(path: Path, ask: Ask) -> Corpus:
    """The clips of a folder."""
    clips, remarks = _clips(path)
    if not clips:
        raise UserError(
            f"{path} holds no clip called as RAVDESS calls them (03-01-06-01-02-01-12.wav); get "
            "them from zenodo.org/records/1188976."
        )
    ordered = sorted(clips, key=lambda clip: (clip.stem[-2:], _hash(clip.stem)))
    rows = tuple(_row(clip) for clip in ordered)
    table = _rows.Table(
        file=path / "clips",
        columns=tuple(rows[0]),
        rows=rows,
        places=tuple(f"file {clip.name}" for clip in ordered),
    )
    same = sorted(set(_same(clips)) | set(_told(path)))
    if same:
        remarks.append(f"Clips that are the same, kept with their actor: {some(same)}.")
    return _turns.collect("ravdess", ask, table, remarks=remarks, recordings=Recordings(path))


def _clips(path: Path) -> tuple[list[Path], list[str]]:
    """The spoken clips that can be heard, and what was left out."""
    named = [
        (file.absolute(), match)
        for file in files(path)
        if file.suffix.lower() in SUFFIXES and (match := NAME.fullmatch(file.stem))
    ]
    spoken = {match[0][3:] for _, match in named if match[1] == SOUND}
    left: dict[str, int] = defaultdict(int)
    kept = []
    for file, match in named:
        if match[2] != SPEECH:
            left["sung"] += 1
        elif match[1] not in (SOUND, WITH_PICTURES):
            left["without sound"] += 1
        elif match[1] == WITH_PICTURES and match[0][3:] in spoken:
            left["there without pictures, too"] += 1
        else:
            kept.append(file)
    told = ", ".join(f"{count} {what}" for what, count in left.items())
    return kept, [f"Clips that were left out: {told}."] if told else []


def _row(clip: Path) -> dict[str, str]:
    """A clip in the words of every table."""
    _, _, emotion, _, sentence, _, actor = clip.stem.split("-")
    if not 1 <= int(emotion) <= len(EMOTIONS):
        raise UserError(
            f"{clip.name} has the emotion {emotion}; RAVDESS numbers them 01 to "
            f"{len(EMOTIONS):02d}. Is it another corpus's clip?"
        )
    return {
        "utt_id": clip.stem,
        "speaker": f"actor {actor}",
        "text": SAID.get(sentence, ""),
        "emotion": EMOTIONS[int(emotion) - 1],
        "file": str(clip),
    }


def _same(clips: list[Path]) -> list[str]:
    """Clips that are the same bytes: those of one size are looked at."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for clip in clips:
        sizes[clip.stat().st_size].append(clip)
    found: dict[bytes, list[str]] = defaultdict(list)
    for these in sizes.values():
        for clip in these if len(these) > 1 else ():
            found[hashlib.sha256(clip.read_bytes()).digest()].append(clip.stem)
    return sorted(" = ".join(sorted(these)) for these in found.values() if len(these) > 1)


def _told(path: Path) -> list[str]:
    """Pairs that a table beside the clips knows."""
    if not (path / _rows.TURNS).is_file():
        return []
    pairs = (
        (row.get("file", ""), row.get("duplicate_of", ""))
        for row in _rows.read(path / _rows.TURNS).rows
    )
    return [" = ".join(sorted(Path(one).stem for one in pair)) for pair in pairs if all(pair)]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
