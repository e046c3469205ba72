"""openSMILE, set up once and used for every utterance; the one file that knows the program.

``opensmile.Smile`` reads its configuration and builds the program anew for every signal. Here one
program is kept and reset, which builds its components afresh from the parsed configuration: no
smoothing, Viterbi path or running mean is carried over, and rows are, bit for bit, those of a new
program on the same 16-bit samples. Three things differ from ``opensmile.Smile``, none of them in
the numbers:

- the components that only join levels are left out and the levels are read directly (their
  thousands of names are looked up one by one, half of the time that a reset of IS13 takes);
- IS10's levels between the sound and the descriptors keep the last frames instead of all (its
  file, unlike the others, asks for no ring buffers: 5 MB a second of sound);
- a sample of +1.0 becomes 32767, where the wrapper's cast wraps it round to -32768.

Where a functional is undefined (IS13's linear prediction over a descriptor that stays 0, as in one
single non-zero sample) openSMILE writes NaN, and so do we: the door puts 0 and says so. The
shortest utterance that it gives, 0.1 s, has five frames of 60 ms.

openSMILE: F. Eyben, M. Wöllmer, B. Schuller, "openSMILE: The Munich versatile and fast open-source
audio feature extractor", ACM Multimedia 2010.
"""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.features._contract import SOUND, Extractor, Utterance
from erc_demo.settings import Settings

TERMS = (
    "openSMILE's licence (audEERING) allows non-commercial use and commercial research only; "
    "products made with these numbers, models trained on them included, need a paid licence."
)
RELEASE = f"opensmile-{version('opensmile') if find_spec('opensmile') else 'absent'}"
SOURCE, SINK = "extsource", "extsink"  # components of the wrapper's configuration files

Edit = Callable[[str], str]  # of a configuration's text


def as_shipped(text: str) -> str:
    """A configuration as it is."""
    return text


class Program:
    """One openSMILE with one configuration, read at one level, in a thread of its own."""

    names: tuple[str, ...]

    def __init__(self, configuration: str, level: str, edit: Edit = as_shipped) -> None:
        try:
            import opensmile  # loads pandas too: half a second
            from opensmile.core.lib import OpenSMILE
        except ImportError as exc:
            raise UserError(
                "These features need openSMILE, which is not installed; 'pip install "
                '"opensmile>=2.6,<2.7"\' brings it.'
            ) from exc

        folder = Path(opensmile.__file__).parent / "core" / "config"
        path = folder / f"{configuration}.conf"
        text, levels = _direct(edit(path.read_text(encoding="utf-8")), path.parent, level)
        shared = folder / "shared"
        options = {
            "source": shared / "standard_external_wave_input.conf.inc",
            "sink": shared / "standard_external_data_output_single.conf.inc",
            "sinkLevel": levels,
            "sampleRate": RATE,
            "nBits": 16,
            "bufferModeRbConf": shared / "BufferModeRb.conf.inc",
            "frameModeFunctionalsConf": shared / "FrameModeFunctionals.conf.inc",
        }
        self._smile = OpenSMILE()
        weakref.finalize(self, self._smile.free).atexit = False  # the wrapper never does
        self._used = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="opensmile")
        with tempfile.TemporaryDirectory() as scratch:  # read once, here
            edited = Path(scratch) / "edited.conf"
            edited.write_text(text, encoding="utf-8")
            self._smile.initialize(str(edited), options)
        self.names = tuple(
            self._smile.external_sink_get_element_name(SINK, index)
            for index in range(self._smile.external_sink_get_num_elements(SINK))
        )

    def rows(self, sound: np.ndarray) -> np.ndarray:
        """float32 (frames, names) of float32 sound at 16 kHz; functionals have one frame."""
        samples = np.clip(sound * 32768.0, -32768, 32767).astype(np.int16)
        return self._thread.submit(self._run, samples).result()

    def _run(self, samples: np.ndarray) -> np.ndarray:
        """One run, in the program's own thread.

        Where Ctrl-C or a signal raises while C calls back, ctypes drops the exception and the row;
        only a process's first thread hears signals.
        """
        parts: list[np.ndarray] = []
        faults: list[BaseException] = []

        def keep(rows: np.ndarray, _: object) -> None:
            try:
                parts.append(rows.copy())
            except BaseException as exc:  # of memory, say; ctypes would drop it
                faults.append(exc)

        if self._used:
            self._smile.reset()
        self._used = True
        self._smile._callbacks.clear()  # of the last run; the wrapper keeps every one
        self._smile.external_sink_set_callback_ex(SINK, keep)
        if not self._smile.external_audio_source_write_data(SOURCE, samples.tobytes()):
            raise RuntimeError(f"openSMILE did not take {len(samples)} samples")
        self._smile.external_audio_source_set_eoi(SOURCE)
        self._smile.run()
        if faults:
            raise faults[0]
        if not parts:
            raise RuntimeError(f"openSMILE found no frame in {len(samples)} samples")
        return np.concatenate(parts)


class Functionals(Extractor):
    """An extractor whose row is one of openSMILE's sets of functionals over the utterance."""

    configuration: str
    edit: Edit = staticmethod(as_shipped)
    version: str
    level = "utterance"
    hears = frozenset({SOUND})

    def __init__(self, options: object, settings: Settings) -> None:
        self._program = Program(self.configuration, "func", self.edit)
        self.columns = self._program.names
        self.width = len(self.columns)

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """One row for each utterance."""
        return [self._program.rows(one.heard) for one in utterances]


def ring_buffers(text: str) -> str:
    """A configuration whose framers, and what inherits from them, keep five frames only."""
    rings = "writer.levelconf.growDyn = 0\nwriter.levelconf.isRb = 1\nwriter.levelconf.nT = 5\n"
    return edited(text, r"^(frameStep = 0\.010\s*\n)", lambda found: found[1] + rings)


def without(text: str, *components: str) -> str:
    """A configuration that doesn't make some components."""
    for component in components:
        text = edited(text, rf"^instance\[{component}\]\.type *=.*$", "")
    return text


def edited(text: str, pattern: str, new: str | Callable[[re.Match[str]], str]) -> str:
    """The text with every match replaced; another release may have none, and that is said."""
    text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    if not count:
        raise UserError(
            f"The configuration files of {RELEASE} are not those of opensmile 2.6; install that."
        )
    return text


def _direct(text: str, folder: Path, level: str) -> tuple[str, str]:
    """The text without its joining components, its includes absolute; the levels they joined."""
    joins = re.findall(
        r"^\[(\w+):cVectorConcat\]\s*^reader\.dmLevel *= *(\S+)\s*^writer\.dmLevel *= *(\w+)",
        text,
        re.MULTILINE,
    )
    levels = {writes: reads for _, reads, writes in joins}
    text = without(text, *(name for name, *_ in joins))
    text = re.sub(r"\\\{(?!\\)", lambda _: f"\\{{{folder}/", text)
    return text, levels[level]
