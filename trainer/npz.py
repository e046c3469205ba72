"""Features as files that any program reads: ``OUT/FEATURES/DIALOGUE.npz``, plain arrays inside.

Turn ``i`` of a dialogue has the number ``ids[i]``, the speaker ``speakers[i]``, the time
``spans[i]`` (seconds, not a number where unknown) and the rows ``starts[i]:starts[i + 1]`` of
``rows``, none where the modality is absent; turn ``remark_turns[k]`` (a number, as in ``ids``) was
odd for ``remark_reasons[k]``, a key of ``findings.WHY``. ``columns`` names the numbers of a row
where they have a meaning; ``name``, ``version`` and ``level`` say what made them; ``step`` and
``reach`` are the seconds from frame to frame and of each, not a number on other levels.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from erc_demo import formats
from erc_demo.dialogue import Dialogue
from erc_demo.errors import UserError
from erc_demo.features import Features


def place(out: Path, spec: str, dialogue: str) -> Path:
    """``OUT/FEATURES/DIALOGUE.npz``, each part such as every system takes."""
    *above, name = (formats.safe(part) for part in dialogue.split("/"))
    return out.joinpath(formats.safe(spec), *above, f"{name}.npz")


def write(file: Path, dialogue: Dialogue, rows: Features) -> None:
    """One dialogue's features as plain arrays; the file appears whole or not at all."""
    beyond = [turn.number for turn in dialogue.turns if abs(turn.number) >= 2**63]
    if beyond:
        raise UserError(
            f"{file} can't be written, since the turn numbered {str(beyond[0])[:10]}… has a "
            "number of more than 64 bits; number the turns of this transcript anew."
        )
    spans = [turn.span.to_json() if turn.span else (np.nan, np.nan) for turn in dialogue.turns]
    arrays = {
        "ids": np.array([turn.number for turn in dialogue.turns], np.int64),
        "speakers": np.array([turn.speaker for turn in dialogue.turns], np.str_),
        "spans": np.array(spans, np.float64).reshape(-1, 2),
        "rows": rows.rows,
        "starts": rows.starts,
        "remark_turns": np.array([one.turn for one in rows.remarks], np.int64),
        "remark_reasons": np.array([one.why for one in rows.remarks], np.str_),
        "columns": np.array(rows.columns, np.str_),
        "name": np.array(rows.name),
        "version": np.array(rows.version),
        "level": np.array(rows.level),
        "step": np.array(np.nan if rows.step is None else rows.step),
        "reach": np.array(np.nan if rows.reach is None else rows.reach),
    }
    aside = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("xb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as exc:
        raise UserError(f"{file} can't be written: {exc.strerror or exc}.") from exc


def refuse_clashes(specs: Iterable[str], dialogues: Iterable[str]) -> None:
    """Nothing is written over something else."""
    above = ((name, place(Path(), name, "one").parent) for name in specs)
    below = ((name, place(Path(), "", name)) for name in dialogues)
    for targets in (above, below):
        seen: dict[str, str] = {}
        for name, target in targets:
            other = seen.setdefault(str(target).casefold(), name)
            if other != name:
                raise UserError(
                    f"'{other}' and '{name}' would both be written as '{target.name}'; "
                    "rename one, or call extract twice with two --out folders."
                )
