"""Sound as other people, rooms and levels would have given it: a random shift for each speaker.

    x_t  →  x_t + σ · d ∘ ε_s       ε_s ~ N(0, I), drawn anew for each speaker s in each epoch
                                    d: the deviations of the training part, 0 where x is relative

Four to eight people teach a corpus's sound, in one room a session: what a system learns of levels
and voices as they are there does not hold for the next session. A shift of all that a speaker says
in a conversation leaves what moves within it, and takes away the trust in where it lies. Columns
that are relative to the speaker already (``speaker_norm``) are left alone, and so are words.

IEMOCAP's first session is the case: left out, it lost 10 points of weighted F1 when `ats_sagru`
heard the sound beside the words (trainer/LOG.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from erc_demo import features, plugs
from erc_demo.features import parse
from erc_demo.features._contract import CORPUS, SOUND
from erc_demo.settings import Settings
from erc_demo.systems import Design, System
from trainer.units import Unit

Columns = Mapping[str, np.ndarray]  # of an input, 1 where a speaker's shift shows and 0 elsewhere
ABSOLUTE = ("off", "both", "mean")  # of speaker_norm: rows that begin with numbers as they are


def columns(design: Design, settings: Settings) -> dict[str, np.ndarray]:
    """Which columns of each input hold sound as it is; inputs without such are left out."""
    found = {}
    for name, texts in design.inputs.items():
        parts = [_columns(text, settings) for text in texts]
        if any(one.any() for one in parts):
            found[name] = np.concatenate(parts)
    return found


def _columns(text: str, settings: Settings) -> np.ndarray:
    spec = parse(text)
    hears = plugs.load("erc_demo.features", spec.name).Extractor.hears
    mode = spec.options.get("speaker_norm", "off")
    width = features.ready(spec.raw, settings).width
    absolute = np.full(width, bool(hears & {SOUND, CORPUS}) and mode in ABSOLUTE, np.float32)
    return np.concatenate([absolute, np.zeros(width, np.float32)]) if mode == "both" else absolute


def shifted(
    unit: Unit, spread: float, these: Columns, system: System, draw: np.random.Generator
) -> Unit:
    """The unit with a shift of its own for each of its speakers."""
    if not spread or not these:
        return unit
    conversation = unit.conversation
    rows = dict(conversation.rows)
    for name in sorted(these.keys() & rows.keys()):
        standard = system.scales[name]
        scale = np.asarray(standard.get_buffer("scale").cpu().numpy())
        size = spread * these[name] * np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        by = {
            who: (size * draw.standard_normal(len(size))).astype(np.float32)
            for who in dict.fromkeys(conversation.speakers)
        }
        rows[name] = tuple(
            None if one is None else one + by[who]
            for one, who in zip(rows[name], conversation.speakers, strict=True)
        )
    return replace(unit, conversation=replace(conversation, rows=rows))
