"""The program's settings: one frozen dataclass, read from TOML, the environment and flags.

Later sources win: defaults, then the file, then ``ERC_DEMO_*`` in the environment, then flags.
Everything that is wrong is said at once. Settings are passed, never imported as a value.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from erc_demo.errors import UserError, listed

PREFIX = "ERC_DEMO_"
MOST = 1_000_000  # of any limit: more than a machine has of it


def _default_data() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "erc_demo"


def _setting(default: Any, text: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a run can be told. Each field's help text is what ``--help`` prints."""

    # what is heard
    speakers: str = _setting("auto", "how many people talk: auto, or 1 to 8")
    channels: str = _setting(
        "auto", "auto, split (a person per channel) or mix", choices=("auto", "split", "mix")
    )
    recognizer: str = _setting(
        "auto", "auto, none, pocketsphinx, or a faster-whisper model's name or folder"
    )
    language: str = _setting("auto", "auto, or an ISO 639-1 code such as en")
    voices: str = _setting(
        "ge2e", "speaker vectors: ge2e, or a speechbrain model's folder or Hub name"
    )
    # who is asked
    systems: str = _setting(
        "all",
        "who answers: all, none (guests alone), or systems' names and checkpoints' folders, "
        "comma-separated",
    )
    guests: str = _setting(
        "",
        "models from elsewhere to stand beside them: hub:owner/repo[@revision] or folders of "
        "transformers' classifiers of sound or words, comma-separated",
    )
    labels: str = _setting("iemocap6", "label set of the answers")
    context: str = _setting(
        "full",
        "full, or past: what each system would have said of a turn when the turn ended",
        choices=("full", "past"),
    )
    # where things are
    offline: bool = _setting(False, "never ask the Hugging Face Hub for anything")
    data: Path = field(
        default_factory=_default_data, metadata={"help": "folder for jobs and the cache"}
    )
    cache_mb: int = _setting(2048, "size limit of the cache, in MB", least=0)
    fetch_seconds: int = _setting(600, "how long one download from the Hub may take", least=1)
    # limits of an upload
    max_hours: float = _setting(2.0, "longest recording, in hours", least=0.001)
    max_channels: int = _setting(8, "most channels of a recording", least=1)
    max_upload_mb: int = _setting(500, "largest file, in MB", least=1)
    max_decoded_mb: int = _setting(1500, "largest decoded sound, in MB", least=1)
    decode_seconds: int = _setting(600, "longest time for decoding one file", least=1)
    # the machine
    device: str = _setting(
        "auto",
        "where text, speech and image encoders run: auto, cpu or cuda",
        choices=("auto", "cpu", "cuda"),
    )
    jobs: int = _setting(0, "processes to use; 0 takes every core", least=0)
    host: str = _setting("", "address the page listens on; empty: the framework's default")
    port: int = _setting(
        0, "port of the page; 0: the first free one from 7860", least=0, most=65535
    )
    share: bool = _setting(False, "open a public link to the page")

    def __post_init__(self) -> None:
        problems = []
        for one in fields(self):
            value = getattr(self, one.name)
            choices, least = one.metadata.get("choices"), one.metadata.get("least")
            if choices and value not in choices:
                problems.append(f"{one.name} is '{value}', not one of {', '.join(choices)}")
            if least is not None and not least <= value <= one.metadata.get("most", MOST):
                most = one.metadata.get("most", MOST)
                problems.append(f"{one.name} is {value}, not a number from {least} to {most}")
        if self.speakers != "auto" and not (
            self.speakers.isascii() and self.speakers.isdecimal() and 1 <= int(self.speakers) <= 8
        ):
            problems.append(f"speakers is '{self.speakers}', not auto or a number from 1 to 8")
        language = self.language.strip().lower().replace("_", "-").partition("-")[0]  # en-US: en
        if language != "auto" and not re.fullmatch("[a-z]{2,3}", language):
            problems.append(f"language is '{self.language}', not auto or a code such as en")
        object.__setattr__(self, "language", language)
        if not self.recognizer.strip():
            problems.append("recognizer is empty")
        if problems:
            raise UserError(f"These settings do not fit: {listed(problems)}.")

    @property
    def people(self) -> int | None:
        """The number of people that was told, or None where it is to be found."""
        return None if self.speakers == "auto" else int(self.speakers)

    @property
    def workers(self) -> int:
        """How many processes to use."""
        if self.jobs:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use, not what exists
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    @classmethod
    def gather(
        cls,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        flags: Mapping[str, Any] | None = None,
    ) -> Settings:
        """Settings from a TOML file, the environment and flags; every bad key reported at once."""
        known = get_type_hints(cls)
        problems: list[str] = []
        values: dict[str, Any] = {}

        def take(source: str, key: str, value: Any) -> None:
            if key not in known:
                problems.append(f"{source} has '{key}', which is not a setting")
                return
            try:
                values[key] = _read(known[key], value)
            except ValueError as exc:
                problems.append(f"{source} has {key} = {value!r}, {exc}")

        if file is not None:
            for key, value in _toml(file).items():
                take(str(file), key, value)
        for name, value in (environment or {}).items():
            if name.startswith(PREFIX):
                take(name, name[len(PREFIX) :].lower(), value)
        for key, value in (flags or {}).items():
            if value is not None:
                take(f"--{key.replace('_', '-')}", key, value)
        if problems:
            raise UserError(
                f"These settings can't be read: {listed(problems)}. Known: {', '.join(known)}."
            )
        return cls(**values)


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UserError(f"The settings file {file} can't be opened: {exc.strerror}.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UserError(f"The settings file {file} is not TOML: {exc}.") from exc


def _read(kind: type, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if str(value).lower() not in words:
            raise ValueError("which is neither true nor false")
        return words[str(value).lower()]
    if kind is Path:
        try:
            return Path(str(value)).expanduser()
        except RuntimeError:
            raise ValueError("whose home folder is not known") from None
    if kind in (int, float):
        try:
            if isinstance(value, bool):
                raise ValueError
            number = kind(value)
            if kind is int and number != float(value):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            wanted = "whole number" if kind is int else "number"
            raise ValueError(f"which is not a {wanted}") from None
        return number
    return str(value)
