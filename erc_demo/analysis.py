"""The corridor: a recording becomes a Dialogue, and systems are asked what they make of it.

    analyse:  read → listen → find turns → hear words (or lay a transcript over the sound)
    ask:      features → systems → guests, where there are such → explain

Each step that costs more than reading its answer from disk is cached under the samples' hash,
the settings it depends on and its own version, so that a second run, or another number of
people, or another recogniser, repeats only what changed; what systems answer is asked anew. All
can be stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from erc_demo import explanation, features, turns, voices, words
from erc_demo import recording as recordings
from erc_demo.cache import Cache, Entry, key
from erc_demo.dialogue import Dialogue, Recording
from erc_demo.emotions import LabelSet, label_set
from erc_demo.errors import UserError
from erc_demo.findings import Analysis, Step
from erc_demo.settings import Settings

if TYPE_CHECKING:
    from erc_demo.answers import AskedGuest
    from erc_demo.guests import Guest
    from erc_demo.systems import System

Tell = Callable[[str, float], None]
T = TypeVar("T")

STEPS = ("read", "listen", "turns", "words")
QUESTIONS = ("features", "systems", "explain")  # the steps of ``ask``
GUESTS = "guests"  # one more before the last, where guests are asked


class Cancelled(Exception):
    """Somebody asked this analysis to stop; nothing of it is kept but whole cache entries."""


class _Making:
    """The bookkeeping of one analysis: its cache, its progress, the time each step took."""

    def __init__(
        self, cache: Cache | None, tell: Tell | None, cancelled: Callable[[], bool] | None
    ) -> None:
        self.cache, self.steps = cache, list[Step]()
        self._tell, self._cancelled = tell, cancelled

    def tell(self, step: str, fraction: float) -> None:
        """Pass progress on; also the place where a wish to stop is heard."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        if self._tell is not None:
            self._tell(step, min(1.0, max(0.0, fraction)))

    def run(
        self,
        step: str,
        name: str,
        make: Callable[[Callable[[float], None]], Entry],
        read: Callable[[Entry], T],
    ) -> T:
        """Answer one step from the cache, or make and keep it; ``read`` makes it a value again."""
        self.tell(step, 0.0)
        began = time.perf_counter()
        found = self._found(name, read)
        cached = found is not None
        if found is None:
            entry = make(lambda fraction: self.tell(step, fraction))
            if self.cache:
                self.cache.put(name, entry)
            found = read(entry)
        self.done(step, began, cached)
        return found

    def _found(self, name: str, read: Callable[[Entry], T]) -> T | None:
        entry = self.cache.get(name) if self.cache else None
        if entry is None:
            return None
        try:
            return read(entry)
        except (UserError, KeyError, TypeError, ValueError):  # not what this program wrote
            return None

    def done(self, step: str, began: float, cached: bool = False) -> None:
        """Note the time of a step."""
        seconds = round(time.perf_counter() - began, 3)
        self.steps.append(Step(name=step, seconds=seconds, cached=cached))
        self.tell(step, 1.0)


def analyse(
    path: Path,
    folder: Path,
    settings: Settings,
    *,
    transcript: Dialogue | None = None,
    cache: Cache | None = None,
    tell: Tell | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Analysis, Recording]:
    """Turns and words of one recording, and its sound, which is decoded into a job's folder.

    ``tell(step, fraction)`` is called with one of ``STEPS`` and 0 to 1; ``cancelled`` is asked
    whenever progress is told, and its yes raises ``Cancelled``. The sound lives as long as the
    folder.
    """
    making = _Making(cache, tell, cancelled)
    making.tell("read", 0.0)
    began = time.perf_counter()
    recording = recordings.read(
        path, folder, settings, tell=lambda fraction: making.tell("read", fraction)
    )
    making.done("read", began)
    encoder = voices.load(settings.voices, settings)
    heard = _listen(making, recording, encoder, settings)
    dialogue = _find(making, recording, heard, encoder, settings)
    dialogue = _words(making, recording, dialogue, transcript, settings)
    made = Analysis(
        dialogue=dialogue,
        recording={
            "sha256": recording.sha256,
            "channels": recording.channels,
            "seconds": recording.duration,
            "container": recording.container,
            "codec": recording.codec,
            "source_rate": recording.source_rate,
        },
        made_with={
            "voices": f"{encoder.name} {encoder.version}",
            "turns": turns.VERSION,
            "words": dialogue.recognizer or "none",
        },
        steps=tuple(making.steps),
    )
    return made, recording


def ask(
    analysis: Analysis,
    recording: Recording | None,
    systems: Sequence[tuple[System, str, bool]],
    settings: Settings,
    *,
    guests: Sequence[Guest] = (),
    labels: str | None = None,
    hindsight: bool | None = None,
    explain: bool = True,
    sample: int = explanation.SAMPLE,
    cache: Cache | None = None,
    tell: Tell | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Analysis:
    """What systems say of an analysis's dialogue, and what that hung on.

    With each system stands what made it and whether it was trained. ``labels`` and ``hindsight``
    are the settings' where they are not given; ``tell`` is called with one of ``QUESTIONS`` or
    ``GUESTS``. A guest that fails leaves a remark, and what is odd about its answers is one, too.
    """
    # here, since it needs torch, and nothing that was heard does
    from erc_demo.answers import Asked, needs

    making = _Making(cache, tell, cancelled)
    dialogue, began = analysis.dialogue, time.perf_counter()
    making.tell("features", 0.0)
    made = features.extract(
        list(dict.fromkeys(text for system, _, _ in systems for text in needs(system))),
        dialogue,
        recording,
        settings,
        cache=cache,
        tell=lambda fraction: making.tell("features", fraction),
    )
    making.done("features", began)
    asked = [
        Asked(
            system,
            dialogue,
            recording,
            made,
            settings,
            labels=(labels or settings.labels) if system.design.labels else None,
            made_by=made_by,
            trained=trained,
            hindsight=settings.context == "full" if hindsight is None else hindsight,
        )
        for system, made_by, trained in systems
    ]
    began = time.perf_counter()
    predictions, explanations = [], []
    for done, one in enumerate(asked):
        making.tell("systems", done / len(asked))
        predictions.append(one.prediction)
    making.done("systems", began)
    there, remarks = _guests(
        making,
        guests,
        dialogue,
        recording,
        asked=label_set(labels or settings.labels),
        hindsight=settings.context == "full" if hindsight is None else hindsight,
    )
    predictions += [one.prediction for one in there]
    began = time.perf_counter()
    everyone: list[Asked | AskedGuest] = [*asked, *there]
    for done, each in enumerate(everyone if explain else ()):
        making.tell("explain", done / len(everyone))
        explanations.append(
            explanation.explain(
                each.prediction,
                dialogue,
                each.variants,
                inputs=each.inputs,
                kinds=each.kinds,
                sample=sample,
            )
        )
    if explain:
        making.done("explain", began)
    return analysis.but(
        dialogue=dialogue.with_remarks(*remarks),
        predictions=tuple(predictions),
        explanations=tuple(explanations),
        steps=(*analysis.steps, *making.steps),
    )


def _guests(
    making: _Making,
    guests: Sequence[Guest],
    dialogue: Dialogue,
    recording: Recording | None,
    *,
    asked: LabelSet,
    hindsight: bool,
) -> tuple[list[AskedGuest], list[str]]:
    """The guests that answered, and what is to be said of any of them."""
    from erc_demo.answers import AskedGuest

    found: list[AskedGuest] = []
    remarks: list[str] = []
    began = time.perf_counter()
    for done, guest in enumerate(guests):

        def tell(part: float, done: int = done) -> None:
            making.tell(GUESTS, (done + part) / len(guests))

        tell(0.0)
        try:
            one = AskedGuest(
                guest,
                dialogue,
                recording,
                asked=asked,
                hindsight=hindsight,
                cache=making.cache,
                tell=tell,
            )
        except UserError as exc:
            remarks.append(f"{guest.name} ({guest.made_by}) gave no answers. {exc}")
            continue
        found.append(one)
        remarks += one.remarks
    if guests:
        making.done(GUESTS, began)
    return found, remarks


def _listen(
    making: _Making, recording: Recording, encoder: voices.Encoder, settings: Settings
) -> turns.Heard:
    def make(tell: Callable[[float], None]) -> Entry:
        heard = turns.listen(recording, encoder, channels=settings.channels, tell=tell)
        arrays, data = heard.to_arrays()
        return Entry(arrays=arrays, data=data)

    name = key("listen", turns.VERSION, **_heard_by(recording, encoder, settings))
    return making.run(
        "listen", name, make, lambda entry: turns.Heard.from_arrays(entry.arrays, entry.data)
    )


def _heard_by(
    recording: Recording, encoder: voices.Encoder, settings: Settings
) -> dict[str, object]:
    return {
        "sound": recording.sha256,
        "channels": settings.channels,
        "voices": [encoder.name, encoder.version],
    }


def _find(
    making: _Making,
    recording: Recording,
    heard: turns.Heard,
    encoder: voices.Encoder,
    settings: Settings,
) -> Dialogue:
    name = key(
        "turns",
        turns.VERSION,
        people=settings.people,
        **_heard_by(recording, encoder, settings),
    )
    dialogue = making.run(
        "turns",
        name,
        lambda tell: Entry(data=turns.find(heard, people=settings.people).to_json()),
        lambda entry: Dialogue.from_json(entry.data),
    )
    # the same sound under another file name is the same entry
    return replace(dialogue, name=recording.name, duration=recording.duration)


def _words(
    making: _Making,
    recording: Recording,
    dialogue: Dialogue,
    transcript: Dialogue | None,
    settings: Settings,
) -> Dialogue:
    """Words depend on the turns, not on what was remarked on them: remarks are put back after."""
    silent = replace(dialogue, name="words", remarks=())

    def make(tell: Callable[[float], None]) -> Entry:
        if transcript is not None:
            said = words.align(recording, silent, transcript, settings, tell=tell)
        else:
            said = words.hear(recording, silent, settings, tell=tell)
        return Entry(data=said.to_json())

    name = key(
        "words",
        words.VERSION,
        sound=recording.sha256,
        turns=silent.to_json(),
        transcript=None if transcript is None else transcript.to_json(),
        recognizer=words.choose(settings) if transcript is None else None,
        why=words.why(settings) if transcript is None else None,
        language=settings.language,
    )
    said = making.run("words", name, make, lambda entry: Dialogue.from_json(entry.data))
    remarks = tuple(dict.fromkeys(dialogue.remarks + said.remarks))
    return replace(said, name=recording.name, remarks=remarks)
