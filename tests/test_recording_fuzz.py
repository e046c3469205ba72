"""Two hundred damaged files: each gives a Recording or one sentence, and leaves nothing behind.

Every seed makes one file from a good one, by one of the mutations below; the file goes through
the public ``read`` with its child process, on two threads.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_recording import by_av, by_soundfile, listing, tones

from erc_demo.errors import UserError
from erc_demo.recording import read
from erc_demo.settings import Settings

FILES = 200
LONGEST = 20  # seconds for one file

Rng = np.random.Generator
Mutation = Callable[[bytes, Rng], bytes]


def flip(data: bytes, rng: Rng) -> bytes:
    """Some bits, anywhere."""
    hurt = bytearray(data)
    for at in rng.integers(len(hurt), size=int(rng.integers(1, 60))):
        hurt[at] ^= 1 << int(rng.integers(8))
    return bytes(hurt)


def cut_tail(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def cut_head(data: bytes, rng: Rng) -> bytes:
    return data[int(rng.integers(1, len(data) // 2)) :]


def forge(data: bytes, rng: Rng) -> bytes:
    """Extreme numbers in the first hundred bytes, as a header's fields."""
    hurt = bytearray(data)
    extremes = (0, 1, 0x7F, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
    for _ in range(int(rng.integers(1, 4))):
        at, size = int(rng.integers(4, 100)), int(rng.choice([1, 2, 4]))
        value = int(rng.choice(extremes)) & (256**size - 1)
        hurt[at : at + size] = value.to_bytes(size, "big" if rng.integers(2) else "little")
    return bytes(hurt)


def swap(data: bytes, rng: Rng) -> bytes:
    """Two stretches change places."""
    a, b, c = sorted(int(at) for at in rng.integers(len(data), size=3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def hole(data: bytes, rng: Rng) -> bytes:
    """A stretch becomes zeros, or noise, or is gone."""
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 4000))
    filling = (bytes(size), rng.bytes(size), b"")[int(rng.integers(3))]
    return data[:at] + filling + data[at + size :]


def noise_with_a_good_head(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(8, 200))] + rng.bytes(int(rng.integers(1, 30_000)))


def double(data: bytes, rng: Rng) -> bytes:
    """A stretch comes twice, so that lengths and offsets do not fit."""
    a, b = sorted(int(at) for at in rng.integers(len(data), size=2))
    return data[:b] + data[a:b] + data[b:]


MUTATIONS: tuple[Mutation, ...] = (
    *(flip, cut_tail, cut_head, forge, swap, hole, noise_with_a_good_head, double),
)  # fmt: skip


@pytest.fixture(scope="module")
def good() -> dict[str, bytes]:
    """One short file of every container."""
    rng = np.random.default_rng(0)
    sound = tones(48_000, 1.0) + 0.01 * rng.standard_normal((2, 48_000)).astype(np.float32)
    return {
        "wav": by_soundfile(sound, 48_000, "WAV", "PCM_16"),
        "float": by_soundfile(sound, 48_000, "WAV", "FLOAT"),
        "flac": by_soundfile(sound, 48_000, "FLAC"),
        "vorbis": by_soundfile(sound, 48_000, "OGG", "VORBIS"),
        "mp3": by_soundfile(sound, 48_000, "MP3"),
        "opus": by_av(sound, 48_000, "ogg", "libopus"),
        "m4a": by_av(sound, 48_000, "ipod", "aac"),
        "mov": by_av(sound, 48_000, "mov", "pcm_s16le"),
        "mp4": by_av(sound, 48_000, "mp4", "aac", "mpeg4"),
        "webm": by_av(sound, 48_000, "webm", "libopus"),
        "mkv": by_av(sound, 48_000, "matroska", "aac", "mpeg4"),
        "aac": by_av(sound, 48_000, "adts", "aac"),
    }


def outcome(seed: int, good: dict[str, bytes], root: Path) -> str:
    """What became of one damaged file; anything but a Recording or a sentence is raised."""
    rng = np.random.default_rng(seed)
    name = list(good)[seed % len(good)]
    mutation = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
    path, folder = root / f"{seed}.{name}", root / f"job {seed}"
    path.write_bytes(mutation(good[name], rng))
    what = f"seed {seed}: {name} after {mutation.__name__}"
    try:
        found = read(path, folder, Settings(decode_seconds=LONGEST, max_hours=0.1))
    except UserError as exc:
        sentence = str(exc)
        assert sentence.startswith(f"'{path.name}' ") and sentence.endswith((".", "?")), what
        assert "\n" not in sentence and len(sentence) < 300, what
        assert "decode_seconds" not in sentence, f"{what} hangs"
        assert listing(folder) == [], what
        return "damaged the decoder" if "broke the decoder" in sentence else "a sentence"
    assert listing(folder) == ["sound.f32"], what
    assert np.isfinite(found.samples).all() and np.abs(found.samples).max() <= 1.0, what
    assert found.duration < 30, f"{what} gives {found.duration} s"
    return "a recording"


def test_two_hundred_damaged_files(good: dict[str, bytes], tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes = Counter(pool.map(partial(outcome, good=good, root=tmp_path), range(FILES)))
    assert outcomes.total() == FILES
    # most damage can be lived with, some can't, and the decoders themselves survive it
    assert outcomes["a recording"] > FILES // 4, outcomes
    assert outcomes["a sentence"] > FILES // 10, outcomes
    assert outcomes["damaged the decoder"] == 0, outcomes


def test_forged_hours(good: dict[str, bytes], tmp_path: Path) -> None:
    """Every 32-bit field that holds a length, set to the largest: never more than there is."""
    for number, (name, data) in enumerate(good.items()):
        hurt = data
        for true in (len(data) - 8, len(data) - 44, 48_000, 192_000, 384_000):
            for order in "<>":
                hurt = hurt.replace(struct.pack(f"{order}I", true), b"\x7f\xff\xff\xff")
        assert hurt != data or name not in ("wav", "float", "flac", "mov")
        path = tmp_path / f"{number}.{name}"
        path.write_bytes(hurt)
        try:
            assert read(path, tmp_path / "job", Settings(max_hours=0.1)).duration < 2
        except UserError as exc:
            assert "\n" not in str(exc)
