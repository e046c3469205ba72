"""Words: what was said in the turns that were found, by one of several recognisers or a transcript.

One call, ``hear``, whoever listens: a faster-whisper model (``whisper``), pocketsphinx (``sphinx``)
or nobody. ``align`` lays a supplied transcript over the recording instead (``transcript``). Either
way every word gets its speaker one by one (``seating``), and the dialogue names who wrote it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from erc_demo import hub
from erc_demo.dialogue import Dialogue, Recording
from erc_demo.errors import UserError
from erc_demo.settings import Settings
from erc_demo.words import sphinx, whisper
from erc_demo.words.listening import heard, listen, parts
from erc_demo.words.seating import Heard, joined, lanes, seat, tidy
from erc_demo.words.transcript import align, recognised

__all__ = ["VERSION", "align", "choose", "hear", "recognised", "seat", "why"]

VERSION = "1"
RETRY = 300  # s for which a Hub that could not be reached is not asked again
LAST_RESORT = "The words come from a last-resort recogniser; expect most of them to be wrong."

Tell = Callable[[float], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    kind: str  # none, pocketsphinx or whisper
    name: str  # what the dialogue and the cache call it
    folder: Path | None = None
    remark: str = ""


def choose(settings: Settings) -> str:
    """Exactly which recogniser these settings lead to; a model may be fetched for it."""
    return _choice(settings).name


def why(settings: Settings) -> str:
    """Why that recogniser and no better one, where there is something to say; else nothing."""
    return _choice(settings).remark


def hear(
    recording: Recording,
    dialogue: Dialogue,
    settings: Settings,
    *,
    tell: Tell | None = None,
    cancelled: Cancelled | None = None,
) -> Dialogue:
    """The dialogue with words in its turns, by the recogniser that the settings lead to."""
    choice = _choice(settings)
    if choice.kind == "none":
        return replace(dialogue, recognizer=None)
    named = replace(dialogue, recognizer=choice.name)
    if choice.remark:
        named = named.with_remarks(choice.remark)
    if not any(turn.span for turn in dialogue.turns):
        return named.with_remarks("Nobody was heard to speak, so there are no words.")
    if choice.kind == "whisper":
        return _by_whisper(recording, named, choice, settings, tell, cancelled)
    return _by_sphinx(recording, named, settings, tell, cancelled)


def _by_whisper(
    recording: Recording,
    dialogue: Dialogue,
    choice: _Choice,
    settings: Settings,
    tell: Tell | None,
    cancelled: Cancelled | None,
) -> Dialogue:
    if choice.folder is None:
        raise ValueError("a Whisper choice has a folder")
    transcript = whisper.recognise(
        recording,
        lanes(dialogue),
        choice.folder,
        language=None if settings.language == "auto" else settings.language,
        threads=settings.jobs,
        tell=tell,
        cancelled=cancelled,
    )
    remarks = []
    if transcript.dropped:
        remarks.append(
            f"{transcript.dropped} words were dropped, made up by the recogniser in silence."
        )
    if transcript.language not in (None, "en"):
        sure = "" if transcript.language_sure is None else f" ({transcript.language_sure:.0%} sure)"
        remarks.append(
            f"The language is {transcript.language}{sure}; systems that read words are made for "
            "English and should not be trusted here, those that hear sound alone go on."
        )
    elif (
        transcript.language_sure is not None
        and transcript.language_sure < whisper.SMALLEST_LANGUAGE
    ):
        remarks.append(
            f"The language is unsure ({transcript.language_sure:.0%} {transcript.language})."
        )
    said = replace(dialogue, language=transcript.language, language_sure=transcript.language_sure)
    return _seated(said.with_remarks(*remarks), transcript.words, recording)


def _by_sphinx(
    recording: Recording,
    dialogue: Dialogue,
    settings: Settings,
    tell: Tell | None,
    cancelled: Cancelled | None,
) -> Dialogue:
    if settings.language not in ("auto", "en"):
        return replace(dialogue, language=settings.language).with_remarks(
            f"Pocketsphinx knows English only and the language is set to '{settings.language}', "
            "so there are no words; systems that read words have nothing to read, those that hear "
            "sound alone go on."
        )
    places = parts(recording, dialogue)
    answers = listen(
        recording,
        dialogue,
        places,
        sphinx.hearing(),
        pad=sphinx.PAD,
        workers=settings.workers,
        tell=tell,
        cancelled=cancelled,
    )
    words = heard(places, answers)
    remarks = [LAST_RESORT]
    if settings.language == "auto":
        remarks.append("The language was not detected: pocketsphinx takes everything for English.")
    if lost := sum(answer is None for answer in answers):
        remarks.append(
            f"The recogniser broke down over {lost} of {len(answers)} pieces of speech, which have "
            "no words."
        )
    said = replace(dialogue, language="en" if settings.language == "en" else None)
    return _seated(said.with_remarks(*remarks), words, recording)


def _seated(
    dialogue: Dialogue, words: list[Heard] | tuple[Heard, ...], recording: Recording
) -> Dialogue:
    """Mend the words' times channel by channel, seat them, and say what could not be placed."""
    mended = [
        word
        for channel, spans in lanes(dialogue).items()
        for word in tidy(
            (word for word in words if word.channel == channel), joined(spans), recording.duration
        )
    ]
    turns = seat(mended, dialogue.turns, duration=recording.duration)
    lost = len(words) - len(mended)
    loose = sum(not word.placed for turn in turns for word in turn.words)
    remarks = []
    if lost:
        remarks.append(f"{lost} words were left out, reported where nobody speaks.")
    if loose:
        remarks.append(f"{loose} words could not be placed; their times are guesses.")
    return replace(dialogue, turns=turns).with_remarks(*remarks)


def _choice(settings: Settings) -> _Choice:
    return _chosen(
        settings.recognizer,
        settings,
        (os.environ.get("HF_HUB_OFFLINE"), hub.endpoint(), hub.cache_folder()),
        int(time.monotonic() / RETRY),
    )


@lru_cache(maxsize=8)
def _chosen(wanted: str, settings: Settings, _where: object, _when: int) -> _Choice:
    if wanted == "none":
        return _Choice(kind="none", name="none")
    if wanted == "pocketsphinx":
        return _sphinx("")
    if wanted == "auto":
        return _auto(settings)
    return _whisper(wanted, _fetched(wanted, settings))


def _fetched(wanted: str, settings: Settings) -> Path:
    return hub.resolve(
        whisper.repository(wanted), settings, files=whisper.FILES, optional=whisper.OPTIONAL
    )


def _whisper(wanted: str, folder: Path) -> _Choice:
    if Path(wanted).expanduser().is_dir():
        label = f"{folder.name} ({whisper.fingerprint(folder)})"
    else:
        label = f"{wanted}@{folder.name[:8]}"  # the Hub's cache names folders by revision
    return _Choice(kind="whisper", name=f"{whisper.version()} {label}", folder=folder)


def _sphinx(remark: str) -> _Choice:
    if not sphinx.installed():
        raise UserError(
            "The recogniser pocketsphinx is not installed; run 'pip install pocketsphinx==5.1.1', "
            "or choose another with --recognizer."
        )
    return _Choice(kind="pocketsphinx", name=sphinx.name(), remark=remark)


def _auto(settings: Settings) -> _Choice:
    """A Whisper that is here, else one that can be fetched, else pocketsphinx, and why."""
    sizes = whisper.suited(settings.language)
    for size in sizes:
        folder = hub.cached(whisper.repository(size), whisper.FILES, whisper.OPTIONAL)
        if folder is not None:
            return _whisper(size, folder)
    try:
        folder = _fetched(sizes[0], settings)
    except UserError as exc:
        return _sphinx(f"No Whisper model could be used, so pocketsphinx listened: {exc}")
    return _whisper(sizes[0], folder)
