"""Features of a corpus, made once: fills the cache that training reads, a dialogue at a time.

    python -m trainer extract --data FOLDER --features gemaps47 sentence --jobs 2

Each dialogue is one call, here or elsewhere (``jobs``): decode, read the transcript, have
``features.extract`` make what the cache lacks. Entries appear whole or not at all, so a run that
was killed at any moment is taken up by calling it again. What a finished corpus costs is reading:
a file that did not change (size, times, inode, disk) is not decoded again, since the cache also
keeps what its sound was, and that names the features of it. (Pictures are looked at again.)
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache, partial, reduce
from operator import iadd
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from erc_demo import features, jobs, recording, scratch
from erc_demo.cache import Cache, Entry, key
from erc_demo.dialogue import RATE, Dialogue, Span, Turn
from erc_demo.errors import UserError
from erc_demo.features import Features, Spec
from erc_demo.settings import Settings
from trainer import npz
from trainer.datasets import Item, Listing, folder

SPEAKER = "A"  # of a recording that is taken for one turn
Failure = tuple[Item, Exception]
Odd = tuple[str, str, int, str]  # wish, dialogue, turn, why
Made = tuple[Dialogue, float, Mapping[str, Features]]  # with the seconds of sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is wanted of every dialogue; goes to other processes."""

    specs: tuple[Spec, ...]
    settings: Settings
    out: Path | None = None
    remarks: Path | None = None  # a table of what was odd about which turn
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of one dialogue or, added up, of many."""

    dialogues: int = 0
    kept: int = 0  # dialogues of which the cache knew everything
    seconds: float = 0.0  # of sound
    entries: list[tuple[str, int]] = field(default_factory=list)  # names in the cache, and bytes
    lost: list[str] = field(default_factory=list)  # those it could not keep, or dropped later
    stays: int = 0  # bytes of those that it has at the end
    turns: Counter[str] = field(default_factory=Counter)  # by wish: turns
    present: Counter[str] = field(default_factory=Counter)  # by wish: turns with rows
    levelled: Counter[str] = field(default_factory=Counter)  # by wish: dialogues normalised to 0
    odd: list[Odd] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the features, whether the cache has them or not."""
        return sum(dict(self.entries).values())

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """Many added up."""
        parts = [cls(), *tallies]
        return cls(
            **{
                one.name: reduce(iadd, (getattr(part, one.name) for part in parts))
                for one in fields(cls)
            }
        )


def extract(
    corpus: Listing,
    task: Task,
    *,
    address: str | None = None,
    tell: Callable[[Item], None] | None = None,
) -> tuple[Tally, list[Failure]]:
    """Every dialogue of a corpus; what was done, and which were not for what reason.

    What none could be done with (an extractor that can't be made, a folder that can't be written)
    is raised before the first.
    """
    if task.settings.cache_mb == 0 and task.out is None:
        raise UserError(
            "cache_mb is 0, so nothing would be kept of what is made; allow some, or name a "
            "folder with --out."
        )
    if task.out is not None:
        npz.refuse_clashes([spec.text for spec in task.specs], [item.name for item in corpus.items])
    _refuse_unwritable(task)
    alone = len(corpus.items) == 1  # then its turns are shared out, not the dialogues
    workers = task.settings.workers if alone else min(task.settings.workers, len(corpus.items))
    done: list[Tally] = []
    failures: list[Failure] = []
    with jobs.open(workers, address) as elsewhere:
        for _ in elsewhere(ready, [(task,)]):
            pass
        place = jobs.Here() if alone else elsewhere
        one = partial(_one, task, run=elsewhere) if alone else partial(_one, task)
        for item, answer in place.each(one, sorted(corpus.items, key=_size, reverse=True)):
            if isinstance(answer, Tally):
                done.append(answer)
            else:
                failures.append((item, answer))
            if tell is not None:
                tell(item)
    return _counted(Tally.total(done), task), sorted(failures, key=lambda one: one[0].name)


def _counted(tally: Tally, task: Task) -> Tally:
    """With what the cache has of it all at the end, when the last may have driven out the first."""
    cache = Cache(task.settings.data / "cache", task.settings.cache_mb)
    sizes, lost = dict(tally.entries), set(tally.lost)
    there = {name for name in sizes.keys() - lost if name in cache}
    stays = sum(sizes[name] for name in there)
    return replace(tally, stays=stays, lost=sorted(sizes.keys() - there))


def _refuse_unwritable(task: Task) -> None:
    data = task.settings.data
    wanted = {data / "jobs": "--cache (the setting data)"}
    if task.settings.cache_mb:
        wanted[data / "cache"] = "--cache (the setting data)"
    if task.out is not None:
        wanted[task.out] = "--out"
    if task.remarks is not None:
        wanted[task.remarks.parent] = "--remarks"
    for place, flag in wanted.items():
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as exc:
            raise UserError(
                f"Nothing can be written in {place} ({exc.strerror or exc}); name another with "
                f"{flag}."
            ) from exc
    if task.remarks is not None and task.remarks.exists() and not task.remarks.is_file():
        raise UserError(f"{task.remarks} is a folder or device; --remarks takes a file's name.")


def ready(task: Task) -> None:
    """Make every extractor, or say why one can't be."""
    for spec in task.specs:
        features.ready(spec.raw, task.settings)


def _size(item: Item) -> int:
    """The longest come first, so that no process ends alone with one of them."""
    with suppress(OSError):
        return item.sound.stat().st_size if item.sound is not None else 0
    return 0


# One dialogue, in any process.


def _one(task: Task, item: Item, run: features.Run[Any] | None = None) -> Tally:
    out = task.out
    ledger = Ledger(_cache(task.settings.data / "cache", task.settings.cache_mb))
    dialogue, seconds, made = _found(task, item, ledger, run)
    if out is not None:
        for name, rows in made.items():
            npz.write(npz.place(out, name, item.name), dialogue, rows)
    return Tally(
        dialogues=1,
        kept=int(not ledger.made),
        seconds=seconds,
        entries=list(ledger.sizes.items()),
        lost=ledger.lost,
        turns=Counter({name: rows.turns for name, rows in made.items()}),
        present=Counter({name: int(rows.present.sum()) for name, rows in made.items()}),
        levelled=Counter(spec.text for spec in task.specs if _levelled(spec, made[spec.text])),
        odd=[
            (name, item.name, one.turn, one.why)
            for name, rows in made.items()
            for one in rows.remarks
        ],
    )


def made(
    item: Item, specs: Sequence[Spec], settings: Settings
) -> tuple[Dialogue, dict[str, Features]]:
    """The features of one dialogue, by their text: those that the cache has are not made again."""
    task = Task(specs=tuple(dict.fromkeys(specs)), settings=settings)
    ledger = Ledger(_cache(settings.data / "cache", settings.cache_mb))
    dialogue, _, found = _found(task, item, ledger, None)
    return dialogue, dict(found)


def _found(task: Task, item: Item, ledger: Ledger, run: features.Run[Any] | None) -> Made:
    """From the cache, or else by decoding."""
    told = item.transcript is not None or item.dialogue is not None
    given = folder.read(item) if told or not task.whole else None
    return _known(task, item, given, ledger) or _made(task, item, given, ledger, run)


def _levelled(spec: Spec, made: Features) -> bool:
    """Whether the speaker's normalisation made all numbers 0, for want of a second turn."""
    mode = spec.options.get("speaker_norm", "off")
    part = made.rows[:, made.width // 2 :] if mode == "both" else made.rows
    return mode != "off" and len(part) > 0 and not part.any()


def _known(task: Task, item: Item, given: Dialogue | None, ledger: Ledger) -> Made | None:
    """What the cache has, without decoding; None where it lacks something."""
    heard = ledger.cache.get(_stamp(item.sound)) if item.sound is not None else None
    if item.sound is not None and heard is None:
        return None
    seconds = 0.0 if heard is None else heard.data["frames"] / RATE
    dialogue = _timed(item, given, seconds)
    sound = None if heard is None else heard.data["sha256"]
    made = features.known(task.specs, dialogue, sound, task.settings, ledger)
    return None if made is None else (dialogue, seconds, made)


def _made(
    task: Task,
    item: Item,
    given: Dialogue | None,
    ledger: Ledger,
    run: features.Run[Any] | None,
) -> Made:
    """The same by decoding; notes what the file held, and makes what the cache lacks."""
    settings = task.settings
    with scratch.folder(settings.data / "jobs", "extract-") as job:
        heard = None
        if item.sound is not None:
            stamp = _stamp(item.sound)
            heard = recording.read(item.sound, job, settings)
            facts = {"sha256": heard.sha256, "frames": heard.frames}
            ledger.cache.put(stamp, Entry(data=facts))
        seconds = 0.0 if heard is None else heard.duration
        dialogue = _timed(item, given, seconds)
        made: dict[str, Features] = {}
        for look, specs in _looks(task).items():
            seen = heard
            if item.sound is not None and heard is not None and look is not None:
                moments = recording.moments(dialogue, look.a_turn)
                pictures = recording.pictures(
                    item.sound, job, moments, settings, size=look.side, a_turn=look.a_turn
                )
                seen = replace(heard, pictures=pictures)
            made |= features.extract(specs, dialogue, seen, settings, cache=ledger, run=run)
        return dialogue, seconds, {spec.text: made[spec.text] for spec in task.specs}


def _timed(item: Item, given: Dialogue | None, seconds: float) -> Dialogue:
    """A recording as one turn, where nobody told more or a corpus told that it is one."""
    span = Span.of(0.0, seconds)
    if given is None:
        return Dialogue(name=item.name, turns=(Turn(number=0, speaker=SPEAKER, span=span),))
    if item.dialogue is None or len(given.turns) != 1 or given.turns[0].span is not None:
        return given
    return replace(given, turns=(replace(given.turns[0], span=span),))


class Look(NamedTuple):
    """Which pictures of a video are wanted."""

    side: int  # pixels
    a_turn: int


@runtime_checkable
class Seeing(Protocol):
    """What an extractor that sees has besides."""

    side: int
    a_turn: int


def _looks(task: Task) -> dict[Look | None, list[Spec]]:
    """What is wanted by the pictures it needs, so that none gets what another one asked for."""
    found: dict[Look | None, list[Spec]] = defaultdict(list)
    for spec in task.specs:
        made = features.ready(spec.raw, task.settings)
        look = Look(made.side, made.a_turn) if isinstance(made, Seeing) else None
        found[look].append(spec)
    return found


def _stamp(file: Path) -> str:
    """Where the cache notes what a file held: by its place, and by all that tells files apart.

    Size and time do not: two clips of one length, unpacked at one moment, may change their names.
    """
    try:
        facts = file.stat()
        times = (facts.st_mtime_ns, facts.st_ctime_ns)
        changed = [facts.st_size, *times, facts.st_ino, facts.st_dev]
    except OSError:  # whoever opens it says so
        changed = []
    return key("extract/sound", recording.VERSION, file=str(file), changed=changed)


class Ledger(Cache):
    """The cache as one dialogue uses it: what came out and went in, and what was not kept."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache.folder, cache.limit // 2**20)
        self.cache = cache
        self.sizes: dict[str, int] = {}  # bytes of each entry's arrays
        self.made = 0
        self.lost: list[str] = []

    def get(self, name: str) -> Entry | None:
        """An entry; its size is noted."""
        entry = self.cache.get(name)
        if entry is not None:
            self._note(name, entry)
        return entry

    def put(self, name: str, entry: Entry) -> bool:
        """Keep an entry; its size is noted, and whether it was kept."""
        kept = self.cache.put(name, entry)
        self._note(name, entry)
        self.made += 1
        if not kept:
            self.lost.append(name)
        return kept

    def _note(self, name: str, entry: Entry) -> None:
        self.sizes[name] = sum(array.nbytes for array in entry.arrays.values())


@lru_cache(maxsize=2)
def _cache(where: Path, limit_mb: int) -> Cache:
    """One a process, since a new one measures the whole folder at its first entry."""
    return Cache(where, limit_mb)
