"""faster-whisper: any CTranslate2 Whisper, by name, folder or Hub reference.

Whisper wants about half a minute of one voice at a time: the turns of one channel are put together
into stretches of at most 28 s, each is one element of a batch, and the model's own voice detection
is off, because turns are found already. A text that the model makes up over silence is known by
its marks (Whisper's own rules: no-speech probability above 0.6 with a mean log probability below
-1, Radford et al. 2022; a compression ratio above 2.4 is a loop) and is dropped.

A model never goes online by itself: its folder is found by ``erc_demo.hub`` and given as a path.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.dialogue import RATE, Recording, Span
from erc_demo.errors import UserError
from erc_demo.words.seating import Heard, joined

FILES = ("config.json", "model.bin", "tokenizer.json")
OPTIONAL = ("vocabulary.*", "preprocessor_config.json")
LONGEST = 28.0  # s of one stretch; Whisper's window is 30
GAP = 1.0  # s of silence that a stretch may hold between two turns
PAD = 0.2  # s around a stretch
BATCH = 8  # stretches at once; 16 on a GPU
BEAM = 5
SILENT = 0.6  # no-speech probability above which, with UNLIKELY, a segment is made up
UNLIKELY = -1.0  # mean log probability of its tokens
LOOP = 2.4  # compression ratio of a text that repeats itself
SMALLEST_LANGUAGE = 0.5  # a language less sure than this is stated, and remarked on

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What the model heard: words with times, the language, what was dropped."""

    words: tuple[Heard, ...]
    language: str | None
    language_sure: float | None
    dropped: int


def repository(name: str) -> str:
    """The Hub's name of a model; a size such as ``small`` is one that faster-whisper knows."""
    if "/" in name or Path(name).expanduser().is_dir():
        return name
    from faster_whisper.utils import _MODELS

    if name not in _MODELS:
        raise UserError(
            f"There is no recogniser '{name}'; choose auto, none, pocketsphinx, a folder, a name "
            f"on the Hugging Face Hub, or one of {', '.join(_MODELS)}."
        )
    return str(_MODELS[name])


def suited(language: str) -> list[str]:
    """Model sizes for this machine, the best it can carry first, then what would do."""
    import os

    end = ".en" if language == "en" else ""
    if on_gpu():
        return ["large-v3-turbo", "large-v3", f"small{end}", f"base{end}"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    small = [f"small{end}", f"base{end}"] if (cores or 1) >= 8 else [f"base{end}", f"small{end}"]
    return [*small, f"tiny{end}"]


def on_gpu() -> bool:
    """Whether CTranslate2 sees a CUDA device."""
    import ctranslate2

    return bool(ctranslate2.get_cuda_device_count())


def version() -> str:
    """The library that runs the model."""
    return f"faster-whisper {metadata.version('faster-whisper')}"


def fingerprint(folder: Path) -> str:
    """Eight digits that tell two models in folders of the same name apart: size, both ends."""
    file = folder / "model.bin"
    end = 1 << 20
    with file.open("rb") as bytes_of:
        digest = sha256(bytes_of.read(end))
        size = bytes_of.seek(0, 2)
        bytes_of.seek(max(0, size - end))
        digest.update(bytes_of.read() + str(size).encode())
    return digest.hexdigest()[:8]


@lru_cache(maxsize=1)
def _model(folder: Path, device: str, threads: int) -> Any:
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(
            str(folder),
            device=device,
            compute_type="float16" if device == "cuda" else "int8",
            cpu_threads=threads,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError, KeyError) as exc:
        raise UserError(
            f"The folder {folder} holds no Whisper model that CTranslate2 can read ({exc}); "
            "convert it with ct2-transformers-converter, or name another."
        ) from exc


def stretches(turns: Sequence[Span], duration: float) -> list[Span]:
    """Turns of one channel put together, each stretch within LONGEST, with PAD around.

    >>> stretches([Span(1, 3), Span(3.5, 5), Span(20, 21)], 30.0)
    [Span(start=0.8, end=5.2), Span(start=19.8, end=21.2)]
    """
    parts: list[Span] = []
    for span in joined(turns):
        count = math.ceil(span.duration / LONGEST)
        length = span.duration / count
        parts += [
            Span(span.start + i * length, span.start + (i + 1) * length) for i in range(count)
        ]
    found: list[Span] = []
    for part in parts:
        last = found[-1] if found else None
        if last and part.start - last.end <= GAP and part.end - last.start <= LONGEST:
            found[-1] = Span(last.start, part.end)
        else:
            found.append(part)
    return [Span(max(0.0, one.start - PAD), min(duration, one.end + PAD)) for one in found]


def recognise(
    recording: Recording,
    lanes: dict[int | None, list[Span]],
    folder: Path,
    *,
    language: str | None,
    threads: int = 0,
    tell: Tell | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Transcript:
    """Words of every lane (a channel, or None for the mix) within its turns' spans."""
    from faster_whisper import BatchedInferencePipeline

    device = "cuda" if on_gpu() else "cpu"
    model = _model(folder, device, threads)
    pipeline = BatchedInferencePipeline(model)
    parts = [
        (channel, span)
        for channel, turns in lanes.items()
        for span in stretches(turns, recording.duration)
    ]
    sure: float | None = None
    if language is None:
        language, sure = detect(model, recording, parts)
    elif not model.model.is_multilingual and language != "en":
        raise UserError(
            f"The model in {folder} knows English only, and the language is set to '{language}'; "
            "name a multilingual model (one without .en)."
        )
    words: list[Heard] = []
    dropped = done = 0
    batch = BATCH * (2 if device == "cuda" else 1)
    for first in range(0, len(parts), batch):
        group = parts[first : first + batch]
        sound, clips = _laid(recording, group)
        segments, _ = pipeline.transcribe(
            sound,
            language=language,
            beam_size=BEAM,
            word_timestamps=True,
            vad_filter=False,
            clip_timestamps=clips,
            batch_size=batch,
            **options,
        )
        for segment in segments:
            if cancelled is not None and cancelled():
                return Transcript(
                    words=tuple(words), language=language, language_sure=sure, dropped=dropped
                )
            at = _place(segment.seek / 100, clips)
            channel, span = group[at]
            if _made_up(segment):
                dropped += len(segment.words or ())
                continue
            words += _words(segment, channel, span.start - clips[at]["start"], span)
        done += len(group)
        if tell is not None:
            tell(done / len(parts))
    return Transcript(words=tuple(words), language=language, language_sure=sure, dropped=dropped)


def _laid(
    recording: Recording, group: Sequence[tuple[int | None, Span]]
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Stretches of several channels one after another, and where each lies.

    Each begins on a whole second, so that the times that come back can be told apart.
    """
    sounds, clips, at = [], [], 0
    for channel, span in group:
        sound = recording.sound(span, channel)
        clips.append({"start": at / RATE, "end": (at + len(sound)) / RATE})
        filled = math.ceil(len(sound) / RATE) * RATE
        sounds.append(np.pad(sound, (0, filled - len(sound))))
        at += filled
    return np.concatenate(sounds), clips


def _place(seconds: float, clips: Sequence[dict[str, float]]) -> int:
    """Which clip a segment was heard in; the library rounds its start down to 10 ms."""
    return max(i for i, clip in enumerate(clips) if clip["start"] <= seconds + 0.02)


def _made_up(segment: Any) -> bool:
    silent = segment.no_speech_prob > SILENT and segment.avg_logprob < UNLIKELY
    return bool(silent or segment.compression_ratio > LOOP)


def _words(segment: Any, channel: int | None, shift: float, span: Span) -> Iterator[Heard]:
    """The library's words as ours: plain floats, within the stretch that they were heard in."""
    for word in segment.words or ():
        start = min(max(float(word.start) + shift, span.start), span.end)
        end = min(max(float(word.end) + shift, start), span.end)
        confidence = min(1.0, max(0.0, float(word.probability)))
        yield Heard(
            text=word.word.strip(), start=start, end=end, confidence=confidence, channel=channel
        )


def detect(
    model: Any, recording: Recording, parts: Sequence[tuple[int | None, Span]], most: int = 4
) -> tuple[str, float]:
    """The language by the mean of its probabilities over the longest stretches."""
    if not model.model.is_multilingual:
        return "en", 1.0
    chosen = sorted(parts, key=lambda part: -part[1].duration)[:most]
    sums: dict[str, float] = {}
    for channel, span in chosen:
        _, _, found = model.detect_language(audio=recording.sound(span, channel))
        for code, probability in found:
            sums[code] = sums.get(code, 0.0) + float(probability) / len(chosen)
    best = max(sums, key=lambda code: sums[code], default="en")
    return best, min(1.0, sums.get(best, 0.0))
