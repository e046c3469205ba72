"""Numbers from a dialogue: one file an extractor, and this door. Listing the folder finds them.

    extract(["gemaps47:speaker_norm=both", "sentence"], dialogue, recording, settings)

gives ``Features`` by the text of each wish. Rows are made turn by turn (``_contract``), in other
processes where a ``run`` is given, answered turn by turn from a cache where one is given, and
normalised per speaker at the end, so that another normalisation costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from erc_demo import plugs
from erc_demo.cache import Cache
from erc_demo.dialogue import Dialogue, Recording
from erc_demo.features._contract import SIGHT, Extractor, Utterance
from erc_demo.features._kept import Answer, Kept
from erc_demo.features._speaker_norm import normalise
from erc_demo.features._spec import PACKAGE, Spec, parse
from erc_demo.features._utterances import Given
from erc_demo.findings import Features, Remark
from erc_demo.settings import Settings

__all__ = [
    "Extractor",
    "Features",
    "Remark",
    "Spec",
    "Utterance",
    "extract",
    "known",
    "names",
    "normalise",
    "normalised",
    "parse",
    "ready",
]

T = TypeVar("T")
# Calls a function with each tuple of arguments, begins with the first ones at once, and yields the
# answers in order; closing it drops what is not yet done.
Run = Callable[[Callable[..., T], Iterable[tuple[Any, ...]]], Generator[T, None, None]]
Tell = Callable[[float], None]
MATTERS = ("device", "data", "offline", "fetch_seconds")  # settings that an extractor may read


def names() -> list[str]:
    """Every extractor's name."""
    return plugs.names(PACKAGE)


def ready(spec: Spec, settings: Settings) -> Extractor:
    """The extractor, made once a process and whatever settings it depends on."""
    matters = {name: getattr(settings, name) for name in MATTERS}
    return _ready(spec.raw, Settings(**matters))


@lru_cache(maxsize=32)
def _ready(spec: Spec, settings: Settings) -> Extractor:
    made: Extractor = spec.module.Extractor(spec.filled(), settings)
    return made


def extract(
    wanted: Sequence[str | Spec],
    dialogue: Dialogue,
    recording: Recording | None,
    settings: Settings,
    *,
    cache: Cache | None = None,
    run: Run[Any] | None = None,
    tell: Tell | None = None,
) -> dict[str, Features]:
    """The features asked for, by the text of each wish, for one dialogue.

    Without a recording what hears sound has no rows and says so. ``tell`` is called with 0 to 1.
    """
    specs = _specs(wanted)
    raws = list(dict.fromkeys(spec.raw for spec in specs))
    kept = [Kept(raw, ready(raw, settings), dialogue, _sources(recording), cache) for raw in raws]
    _make([one for one in kept if one.missing], dialogue, recording, settings, run, tell)
    if tell is not None:
        tell(1.0)
    made = {work.spec: work.features() for work in kept}
    return {spec.text: normalised(spec, made[spec.raw], dialogue) for spec in specs}


def known(
    wanted: Sequence[str | Spec],
    dialogue: Dialogue,
    sound: str | None,
    settings: Settings,
    cache: Cache,
) -> dict[str, Features] | None:
    """The same from the cache alone, or None; ``sound`` is the sha256 of the recording.

    So what was made before is found without decoding a file again. What hears sight is not.
    """
    specs = _specs(wanted)
    kept = {}
    for raw in dict.fromkeys(spec.raw for spec in specs):
        extractor = ready(raw, settings)
        if SIGHT in extractor.hears:
            return None
        kept[raw] = Kept(raw, extractor, dialogue, {"sound": sound}, cache)
        if kept[raw].missing:
            return None
    return {spec.text: normalised(spec, kept[spec.raw].features(), dialogue) for spec in specs}


def _specs(wanted: Sequence[str | Spec]) -> list[Spec]:
    return list(dict.fromkeys(parse(one) if isinstance(one, str) else one for one in wanted))


def _sources(recording: Recording | None) -> dict[str, str | None]:
    if recording is None:
        return {"sound": None, "pictures": None}
    pictures = recording.pictures
    return {"sound": recording.sha256, "pictures": pictures.sha256 if pictures else None}


def _make(
    kept: Sequence[Kept],
    dialogue: Dialogue,
    recording: Recording | None,
    settings: Settings,
    run: Run[Any] | None,
    tell: Tell | None,
) -> None:
    """Make the missing rows: what runs no network elsewhere if it can, the networks here.

    The two are taken in turns, in proportion, so that neither waits for the other's end.
    """
    given = Given(dialogue, recording)
    left = {work: work.parts(given) for work in kept}
    kinds = {
        neural: [
            (work, part) for work in kept if work.extractor.neural == neural for part in left[work]
        ]
        for neural in (True, False)
    }

    def calls(neural: bool) -> Iterator[tuple[Any, ...]]:
        for work, part in kinds[neural]:
            places = [work.missing[turn_key] for turn_key in part]
            utterances = [given.utterance(place, work.extractor) for place in places]
            yield work.spec, settings, utterances

    order = sorted(
        ((place + 0.5) / len(kind), neural)
        for neural, kind in kinds.items()
        for place in range(len(kind))
    )
    coming = {neural: iter(kind) for neural, kind in kinds.items()}
    answers = {False: (run or _here)(_rows, calls(False)), True: _here(_rows, calls(True))}
    try:
        for work in kept:
            if not left[work]:
                work.keep()
        for done, (_, neural) in enumerate(order, 1):
            work, part = next(coming[neural])
            work.take(part, next(answers[neural]))
            left[work].remove(part)
            if not left[work]:
                work.keep()
            if tell is not None:
                tell(done / len(order))
    finally:  # after a fault or a wish to stop nobody kept on
        for each in answers.values():
            each.close()


def _here(function: Callable[..., T], calls: Iterable[tuple[Any, ...]]) -> Generator[T, None, None]:
    return (function(*call) for call in calls)


def _rows(spec: Spec, settings: Settings, utterances: list[Utterance]) -> list[Answer]:
    """Rows of some utterances, looked over; runs in any process."""
    extractor = ready(spec, settings)
    kind = np.int32 if extractor.level == "token" else np.float32
    found = []
    for utterance, rows in zip(utterances, extractor.rows(utterances), strict=True):
        number = utterance.turn.number
        undefined = np.isnan(rows)
        remarks = extractor.odd(utterance, rows)
        if undefined.any():
            rows = np.where(undefined, np.float32(0), rows)
            remarks = [*remarks, "undefined"]
        if rows.ndim != 2 or rows.shape[1] != extractor.width or rows.dtype != kind:
            raise RuntimeError(f"{spec.text}: rows of turn {number} are {rows.dtype} {rows.shape}")
        if not np.isfinite(rows).all():
            raise RuntimeError(f"{spec.text}: rows of turn {number} are not finite")
        wanted = {"utterance": 1, "word": len(utterance.words)}.get(extractor.level, len(rows))
        if len(rows) != wanted:
            raise RuntimeError(f"{spec.text}: {len(rows)} rows for turn {number}, not {wanted}")
        found.append((rows, remarks))
    return found


def normalised(spec: Spec, raw: Features, dialogue: Dialogue) -> Features:
    """Raw rows as a wish has them: minus the speaker's mean, or however it says."""
    mode = spec.options.get("speaker_norm", "off")
    if mode == "off":
        return raw
    speakers = [turn.speaker for turn in dialogue.turns]
    columns = raw.columns
    if columns and mode == "both":
        columns = columns + tuple(f"{column} - past" for column in columns)
    return raw.but(
        name=spec.text,
        rows=normalise(raw.rows, raw.starts, speakers, mode),
        columns=columns,
    )
