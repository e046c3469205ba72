"""How long reading a recording takes, and how much memory.

    python -m benchmarks.decode --hours 2

makes a recording of that length in each format (noise under two tones, in a temporary folder),
reads each in a process of its own, and prints seconds per recorded hour (on the clock, and of
processor time, which a busy machine does not stretch) and the peak memory of that process and of
its decoding child.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

PIECE = 1 << 18  # frames that are written at a time


def sound(rate: int, channels: int, hours: float) -> Iterator[np.ndarray]:
    """Float32 (frames, channels), piece by piece."""
    rng = np.random.default_rng(0)
    left, at = round(hours * 3600 * rate), 0
    while left:
        size = min(PIECE, left)
        moments = (at + np.arange(size)) / rate
        piece = np.stack([0.3 * np.sin(2 * np.pi * 220 * (c + 1) * moments) for c in range(2)], 1)
        piece = np.resize(piece, (size, channels)) if channels > 2 else piece[:, :channels]
        yield (piece + 0.02 * rng.standard_normal((size, channels))).astype(np.float32)
        left, at = left - size, at + size


def with_soundfile(path: Path, rate: int, channels: int, hours: float) -> None:
    import soundfile

    form, _, subtype = path.stem.partition("-")
    with soundfile.SoundFile(
        path, "w", rate, channels, format=form.upper(), subtype=subtype or None
    ) as file:
        for piece in sound(rate, channels, hours):
            file.write(piece)


def with_av(path: Path, rate: int, channels: int, hours: float) -> None:
    import av

    form, _, codec = path.stem.partition("-")
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = {1: "mono", 2: "stereo"}[channels]
        size = stream.codec_context.frame_size
        resampler = av.AudioResampler(stream.format, stream.layout, rate, size)
        at = 0
        for piece in sound(rate, channels, hours):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(piece.T), format="fltp", layout=stream.layout.name
            )
            frame.sample_rate, frame.pts, at = rate, at, at + len(piece)
            for part in resampler.resample(frame):
                container.mux(stream.encode(part))
        for part in resampler.resample(None):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


FORMATS: dict[str, Callable[[Path, int, int, float], None]] = {
    "wav-PCM_16": with_soundfile,
    "wav-FLOAT": with_soundfile,
    "flac-PCM_16": with_soundfile,
    "mp3": with_soundfile,
    "ogg-VORBIS": with_soundfile,
    "ipod-aac": with_av,
    "webm-libopus": with_av,
}

# Run by the reading process; the parent of a child hands its own peak on, so it must be small.
READ = """
import json, resource, sys, time
from pathlib import Path
from erc_demo.recording import read
from erc_demo.settings import Settings

settings = Settings(max_hours=24, max_upload_mb=10**6, max_decoded_mb=10**5, decode_seconds=3600)
began = time.perf_counter()
found = read(Path(sys.argv[1]), Path(sys.argv[2]), settings)
seconds = time.perf_counter() - began
peaks = [resource.getrusage(who).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)
         for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, spent.ru_utime + spent.ru_stime, found.duration, *peaks]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rate", type=int, default=44_100)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    given = parser.parse_args()
    print(f"{given.hours:g} h, {given.rate} Hz, {given.channels} channel(s)")
    heads = ("file MB", "s per h", "CPU s per h", "× real time", "peak MB", "child MB")
    print(f"{'format':13}" + "".join(f"{head:>13}" for head in heads))
    for name in given.formats:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.bin"
            rate = 48_000 if name == "webm-libopus" else given.rate
            FORMATS[name](path, rate, given.channels, given.hours)
            time.sleep(0.5)  # the file is still being written out
            done = subprocess.run(
                [sys.executable, "-c", READ, str(path), folder],
                check=True,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).resolve().parents[1],
            )
            seconds, spent, duration, own, child = json.loads(done.stdout)
            hours = duration / 3600
            print(
                f"{name:13}{path.stat().st_size / 2**20:13.0f}{seconds / hours:13.1f}"
                f"{spent / hours:13.1f}{seconds / duration:13.5f}{own:13.0f}{child:13.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
