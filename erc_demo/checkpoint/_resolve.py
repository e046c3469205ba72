"""Where a checkpoint lies, and what stands in for one that can't be fetched now.

    ats_sagru                       the one that ships; nothing else is ever taken for it
    runs/mine/checkpoint            a folder
    someone/our-model@v2            a repository on the Hub, or its copy in the Hub's cache
    ats_sagru=someone/our-model@v2  the same, which must hold that system

What is on this machine is taken without a question to anybody. Else the Hub is asked once, for
three seconds at most (``hub``). Where it does not answer, another revision of the repository that
was fetched before stands in, or the checkpoint of the named system that ships, and a notice says
so. What the Hub refuses, or has not, is never replaced: the person named it, and should know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from erc_demo import hub, systems
from erc_demo.checkpoint import _weights
from erc_demo.checkpoint._folder import CONFIG, WEIGHTS, Checkpoint, read
from erc_demo.errors import UserError
from erc_demo.settings import Settings

EMBEDDED = Path(__file__).resolve().parents[2] / "assets" / "checkpoints"
FILES = (CONFIG, WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A checkpoint that was found, and not yet opened."""

    folder: Path
    name: str
    expected: str = ""  # the system that it must hold; empty: any
    notices: tuple[str, ...] = ()


def find(ref: str) -> Path | None:
    """The folder of a checkpoint: one that ships, by its system's name, or a folder's path."""
    shipped = EMBEDDED / ref
    if ref in systems.names():
        return shipped if (shipped / CONFIG).is_file() else None
    try:
        folder = Path(ref).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long for a name; nobody's home
        return None


def resolve(ref: str, settings: Settings, tell: hub.Tell | None = None) -> Place:
    """Where the checkpoint lies that ``ref`` names, fetched if it must be.

    ``tell`` is called with "ask" or "fetch" and 0 to 1, where the Hub is asked.
    """
    system, sign, rest = ref.partition("=")
    if not sign or find(ref) is not None:
        return _place(ref, ref if ref in systems.names() else "", settings, tell)
    if system not in systems.names():
        raise UserError(
            f"'{ref}' is no folder, and {system} is no system ({', '.join(systems.names())}); "
            "SYSTEM=CHECKPOINT was wanted, such as ats_sagru=owner/name."
        )
    return _place(rest, system, settings, tell)


def load(ref: str, settings: Settings, tell: hub.Tell | None = None) -> Checkpoint:
    """A checkpoint by its system's name, its folder, or its repository: see ``_resolve``."""
    place = resolve(ref, settings, tell)
    made = read(place.folder, place.name, settings, expected=place.expected)
    return replace(made, notices=place.notices)


def _place(ref: str, expected: str, settings: Settings, tell: hub.Tell | None) -> Place:
    folder = find(ref)
    if folder is not None:
        name = ref if ref in systems.names() else Path(os.path.abspath(folder)).name
        return Place(folder=folder, name=name, expected=expected)
    if ref in systems.names():
        raise UserError(
            f"{ref} has no trained checkpoint here, and what an untrained one says means "
            "nothing; name a checkpoint's folder, or ask for the maps alone with --untrained."
        )
    if hub.split(ref) is None:
        raise UserError(
            f"'{ref}' is neither a system ({', '.join(systems.names())}) nor a checkpoint's folder "
            "nor a repository (owner/name)."
        )
    most_mb = _weights.MOST // 1_000_000
    try:
        fetched = hub.resolve(ref, settings, files=FILES, most_mb=most_mb, tell=tell)
    except hub.Unreachable as exc:
        return _instead(ref, expected, exc)
    except hub.Lacks as exc:
        if WEIGHTS not in exc.there:
            _weights.refuse_pickles(f"The model {ref}", list(exc.there))
        raise
    return Place(folder=fetched, name=ref, expected=expected)


def _instead(ref: str, expected: str, why: hub.Unreachable) -> Place:
    """What is on this machine and next to what was asked for; else the refusal itself."""
    name = ref.partition("@")[0]
    if fetched := hub.revisions(name, FILES):
        commit = next(iter(fetched))  # the last that was
        notice = f"{why.why}; its revision {commit[:8]}, which was fetched before, answers instead."
        folder, name = fetched[commit], f"{name}@{commit[:8]}"
    elif expected and (shipped := find(expected)):
        notice = f"{why.why}; the {expected} that comes with this program answers instead."
        folder, name = shipped, expected
    else:
        raise why
    return Place(folder=folder, name=name, expected=expected, notices=(notice,))
