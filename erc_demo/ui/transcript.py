"""The first page: a recording goes in; turns, words and files come out.

What the handlers do is in plain functions above the layout. Every word that a recording, a
transcript or a file name brings is escaped here, on its way into the page.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from erc_demo import formats, plugs, recording
from erc_demo.analysis import STEPS, analyse
from erc_demo.cache import Cache
from erc_demo.dialogue import Dialogue, Turn, Word
from erc_demo.errors import UserError
from erc_demo.findings import Analysis
from erc_demo.settings import Settings

DOING = {
    "read": "reading the recording",
    "listen": "listening for speech and voices",
    "turns": "finding who spoke when",
    "words": "hearing the words",
}
SHAPES = ("square", "circle", "diamond", "pill")  # people differ by shape and lane, not by hue
FORMATS = plugs.names(formats.__name__)
PATIENCE = 10  # seconds for a stopped analysis to end; a download may take longer, unheard
WAITING = "<div class='job' role='status'>Waiting for its turn …</div>"
UNSURE = 0.5  # below this, a speaker or a word is drawn as unsure
WIDTH, LANE = 1000, 30  # of the picture of lanes, in its own units

PEOPLE = [("find out", "auto"), *((str(n), str(n)) for n in range(1, 5))]
CHANNELS = [("find out", "auto"), ("one person per channel", "split"), ("mix them", "mix")]
RECOGNIZERS = [
    ("best available", "auto"),
    ("pocketsphinx (offline, weak)", "pocketsphinx"),
    ("none: turns without words", "none"),
]


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> clock(65.24), clock(3600)
    ('1:05.2', '1:00:00.0')
    """
    minutes, tenths = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{tenths // 10:02d}.{tenths % 10}"


def progress(step: str, fraction: float) -> str:
    """Which step of how many, and how far it is."""
    at = STEPS.index(step)
    done = [1.0 if n < at else fraction if n == at else 0.0 for n in range(len(STEPS))]
    bars = "".join(f"<i style='--done:{share:.0%}'></i>" for share in done)
    return (
        f"<div class='job' role='status'><span class='steps' aria-hidden='true'>{bars}</span>"
        f"<span><b>Step {at + 1} of {len(STEPS)}</b>: {DOING[step]}, {fraction:.0%}</span></div>"
    )


def problem(sentence: str) -> str:
    """What went wrong, for the person who can mend it."""
    return f"<div class='card problem' role='alert'><b>Not done.</b> {escape(sentence)}</div>"


def badge(speaker: str, speakers: tuple[str, ...]) -> str:
    """A person's sign: a letter in a shape of their own, and the name where it says more."""
    shape = SHAPES[speakers.index(speaker) % len(SHAPES)]
    letter, name = escape(speaker[:1].upper()), escape(speaker)
    if len(speaker) == 1:
        return f"<span class='badge {shape}' role='img' aria-label='Speaker {name}'>{letter}</span>"
    return (
        f"<span class='badge {shape}' aria-hidden='true'>{letter}</span>"
        f"<span class='name'>{name}</span>"
    )


def facts(analysis: Analysis) -> str:
    """The recording in one line, and what was found or mended on the way."""
    dialogue = analysis.dialogue
    overlaps = dialogue.overlaps()
    parts = [
        clock(dialogue.duration or 0),
        _count(len(dialogue.speakers), "speaker"),
        _count(len(dialogue.turns), "turn"),
        _count(sum(1 for _ in dialogue.words), "word"),
        _count(len(overlaps), "overlap"),
        f"words by {dialogue.recognizer}" if dialogue.recognizer else "no words asked for",
        f"made in {sum(step.seconds for step in analysis.steps):.1f} s on this machine",
    ]
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in dialogue.remarks)
    return (
        f"<div class='title'><h2>{escape(dialogue.name)}</h2>"
        f"<p class='facts'>{''.join(f'<span>{escape(part)}</span>' for part in parts)}</p>"
        f"{f'<ul class=remarks>{remarks}</ul>' if remarks else ''}</div>"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def lanes(dialogue: Dialogue) -> str:
    """A lane per person, drawn to time; unsure turns dashed, overlaps hatched."""
    length = dialogue.duration or max(
        (turn.span.end for turn in dialogue.turns if turn.span is not None), default=1.0
    )
    speakers = dialogue.speakers
    scale, height = WIDTH / length, LANE * len(speakers)
    blocks = []
    for turn in dialogue.turns:
        if turn.span is None:
            continue
        top = LANE * speakers.index(turn.speaker) + 4
        width = max(1.5, turn.span.duration * scale)
        blocks.append(
            f"<rect x='{turn.span.start * scale:.1f}' y='{top}' width='{width:.1f}' "
            f"height='{LANE - 8}' rx='3' class='{_certainty(turn)}'/>"
        )
    for span in dialogue.overlaps():
        width = max(1.0, span.duration * scale)
        blocks.append(
            f"<rect x='{span.start * scale:.1f}' y='0' width='{width:.1f}' height='{height}' "
            f"class='both'/>"
        )
    names = "".join(f"<div>{badge(speaker, speakers)}</div>" for speaker in speakers)
    label = f"{_count(len(speakers), 'lane')} with {_count(len(dialogue.turns), 'turn')} over time"
    return (
        f"<section class='card' aria-label='Who spoke when'><div class='lanes'>"
        f"<div class='who' style='grid-auto-rows:{LANE}px'>{names}</div>"
        f"<svg viewBox='0 0 {WIDTH} {max(height, 1)}' preserveAspectRatio='none' role='img' "
        f"aria-label='{label}' style='height:{height}px'><defs><pattern id='hatch' width='6' "
        f"height='6' patternUnits='userSpaceOnUse' patternTransform='rotate(45)'>"
        f"<line y2='6' class='stripe'/></pattern></defs>{''.join(blocks)}</svg>"
        f"<span></span><div class='scale'><span>{clock(0)}</span><span>{clock(length)}</span></div>"
        f"</div><p class='how'>One lane per person; a block is a turn, a dashed block is a turn "
        f"whose speaker is unsure, stripes are two people talking at once.</p></section>"
    )


def _certainty(turn: Turn) -> str:
    return "turn" if turn.sure is None or turn.sure >= UNSURE else "turn unsure"


def said(dialogue: Dialogue) -> str:
    """The transcript: each turn with its time, its person and its words."""
    speakers = dialogue.speakers
    rows = []
    for turn in dialogue.turns:
        when = clock(turn.span.start) if turn.span is not None else "–"
        sure = "" if turn.sure is None else f"<span class='sure'>{turn.sure:.0%}</span>"
        text = " ".join(_word(word) for word in turn.words) or escape(turn.text)
        rows.append(
            f"<li class='{_certainty(turn)}'><div class='head'>{badge(turn.speaker, speakers)}"
            f"<time>{when}</time>{sure}</div><p>{text or '<em>no words</em>'}</p></li>"
        )
    return (
        f"<section class='card' aria-label='What was said'><h3>What was said</h3>"
        f"<ol class='said'>{''.join(rows)}</ol><p class='how'>The percentage is how sure the "
        f"speaker is. A dotted word was heard with less than {UNSURE:.0%} confidence; one in "
        f"brackets could not be placed in time.</p></section>"
    )


def _word(word: Word) -> str:
    text = escape(word.text)
    if not word.placed:
        return f"<span class='lost'>[{text}]</span>"
    if word.confidence is not None and word.confidence < UNSURE:
        return f"<span class='faint'>{text}</span>"
    return text


def words_table(dialogue: Dialogue) -> list[list[Any]]:
    """A row per word: its turn, person, start, end, and the two certainties in percent."""

    def percent(share: float | None) -> int | None:
        return None if share is None else round(100 * share)

    return [
        [
            turn.number,
            turn.speaker,
            word.text,
            round(word.span.start, 2) if word.span else None,
            round(word.span.end, 2) if word.span else None,
            percent(word.confidence),
            percent(word.margin),
        ]
        for turn, word in dialogue.words
    ]


HEADERS = ["turn", "speaker", "word", "start (s)", "end (s)", "heard (%)", "speaker (%)"]


def home(house: Path, visitor: str) -> Path:
    """The folder of one visitor's page: their upload, sound, cache; it goes when the page does."""
    return house / "visitors" / sha256(visitor.encode()).hexdigest()[:32]


def shop(visitor: str) -> Path:
    """Where one visitor's downloads wait; inside the framework's own folder, so not copied."""
    return Path(get_upload_folder()) / "downloads" / sha256(visitor.encode()).hexdigest()[:32]


def forget(house: Path, visitor: str) -> None:
    """Delete everything that a visitor's page left on this machine."""
    shutil.rmtree(home(house, visitor), ignore_errors=True)
    shutil.rmtree(shop(visitor), ignore_errors=True)


def own(upload: str, folder: Path) -> Path:
    """Move an upload out of the framework's cache, once; a second run finds it where it is now."""
    source = Path(upload)
    kept = folder / "upload" / source.parent.name / source.name
    if source.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, kept)
    return kept


def run(
    settings: Settings,
    folder: Path,
    upload: str | None,
    transcript: str | None,
    flags: dict[str, Any],
) -> Iterator[tuple[str, Analysis | None]]:
    """Analyse one upload in a thread of its own, telling its progress.

    Yields a line for the page, and at last the analysis. When the visitor leaves or presses
    Stop, the framework closes this generator, and the thread stops at its next step.
    """
    if not upload:
        yield problem("No recording was given; drop an audio or video file first."), None
        return
    told: queue.Queue[tuple[str, float] | Analysis | BaseException] = queue.Queue()
    stop = threading.Event()

    def work() -> None:
        try:
            chosen = replace(settings, **flags)
            text = formats.load(own(transcript, folder)) if transcript else None
            analysis, _ = analyse(
                own(upload, folder),
                folder / "sound",
                chosen,
                transcript=text,
                cache=Cache(folder / "cache", settings.cache_mb),
                tell=lambda step, fraction: told.put((step, fraction)),
                cancelled=stop.is_set,
            )
            told.put(analysis)
        except BaseException as exc:  # handed to the generator below, which raises a bug again
            told.put(exc)

    thread = threading.Thread(target=work, name="analysis", daemon=True)
    thread.start()
    try:
        while True:
            news = told.get()
            while isinstance(news, tuple) and not told.empty():
                news = told.get()
            if isinstance(news, Analysis):
                yield "", news
                return
            if isinstance(news, UserError):
                yield problem(str(news)), None
                return
            if isinstance(news, BaseException):
                raise news
            yield progress(*news), None
    finally:
        stop.set()
        thread.join(PATIENCE)


def downloads(analysis: Analysis, folder: Path) -> list[str]:
    """The analysis in every format, in the order of ``FORMATS``."""
    return [str(path) for path in formats.export(analysis, folder, FORMATS)]


def choices(known: list[tuple[str, str]], value: str) -> list[tuple[str, str]]:
    """What a list offers, with the server's own setting among it."""
    return known if value in dict(known).values() else [*known, (value, value)]


def private(settings: Settings) -> bool:
    """Whether only this machine can reach the page; strangers may not name the server's folders."""
    host = settings.host or os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    return host in ("127.0.0.1", "localhost", "::1") and not settings.share


def layout(page: gr.Blocks, settings: Settings, house: Path) -> None:
    """Put the page together, inside its ``gr.Blocks``; ``house`` goes with the server."""
    gr.HTML(
        "<header class='top'><h1>Emotion recognition in conversation</h1><p>Drop a recording of "
        "people talking. You see who spoke when, and every word at its time. Nothing leaves this "
        "machine, and what you upload is deleted when you close the page.</p></header>"
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            upload = gr.File(
                label="Recording (audio or video)",
                file_types=list(recording.SUFFIXES),
                elem_id="recording",
                height=140,
            )
        with gr.Column(scale=3, min_width=320):
            with gr.Row():
                people = gr.Dropdown(
                    choices(PEOPLE, settings.speakers),
                    value=settings.speakers,
                    label="How many people",
                )
                channels = gr.Dropdown(CHANNELS, value=settings.channels, label="Channels")
                recognizer = gr.Dropdown(
                    choices(RECOGNIZERS, settings.recognizer),
                    value=settings.recognizer,
                    label="Words by",
                    allow_custom_value=private(settings),
                )
            with gr.Accordion("You have a transcript?", open=False):
                transcript = gr.File(
                    label="Transcript: its words are laid over the sound",
                    elem_id="transcript",
                    height=110,
                )
            with gr.Row():
                start = gr.Button("Find turns and words", variant="primary", elem_id="start")
                stop = gr.Button("Stop", interactive=False, elem_id="stop")
    line = gr.HTML(elem_id="progress", apply_default_css=False)
    result = gr.HTML(elem_id="result", apply_default_css=False)
    with gr.Column(visible=False) as more:
        with gr.Row(elem_id="downloads"):
            files = [gr.DownloadButton(f".{name}", size="sm", min_width=80) for name in FORMATS]
        with gr.Accordion("Every word with its times", open=False):
            table = gr.Dataframe(headers=HEADERS, interactive=False, show_label=False)

    def handle(
        upload: str | None,
        transcript: str | None,
        people: str,
        channels: str,
        recognizer: str,
        request: gr.Request,
    ) -> Iterator[dict[Any, Any]]:
        visitor = str(request.session_hash)
        flags = {"speakers": people, "channels": channels, "recognizer": recognizer}
        yield {result: "", more: gr.update(visible=False)}
        for told, analysis in run(settings, home(house, visitor), upload, transcript, flags):
            if analysis is None:
                yield {line: told}
                continue
            dialogue = analysis.dialogue
            yield {
                line: "",
                result: facts(analysis) + lanes(dialogue) + said(dialogue),
                **dict(zip(files, downloads(analysis, shop(visitor)), strict=True)),
                table: words_table(dialogue),
                more: gr.update(visible=True),
            }
        yield {stop: _enabled(False)}

    inputs = [upload, transcript, people, channels, recognizer]
    outputs = [line, result, more, *files, table, stop]
    start.click(  # at once, also while somebody else's recording is being heard
        lambda: (WAITING, _enabled(True)), None, [line, stop], queue=False, api_visibility="private"
    )
    event = start.click(
        handle,
        inputs,
        outputs,
        show_progress="minimal",
        show_progress_on=line,
        api_visibility="private",
    )
    stop.click(
        lambda: ("<div class='job' role='status'>Stopped.</div>", _enabled(False)),
        None,
        [line, stop],
        cancels=[event],
        api_visibility="private",
    )

    def leave(request: gr.Request) -> None:
        forget(house, str(request.session_hash))

    page.unload(leave)

    def keep(file: str | None, request: gr.Request) -> None:
        if file:
            own(file, home(house, str(request.session_hash)))

    for given in (upload, transcript):  # out of the framework's cache as soon as it is there
        given.upload(keep, given, None, queue=False, api_visibility="private")


def _enabled(on: bool) -> Any:
    return gr.update(interactive=on)
