"""The child process that touches a stranger's file: decode, resample, measure, write.

Run as a script, with one request as JSON for its argument; it answers with lines of JSON, progress
first and one verdict last. It imports nothing of this package, so that it starts in a quarter of
a second, and it limits itself before the first decoder is loaded: address space, processor time,
size of files, no core dump.

Nothing here believes a header. Sound is decoded in blocks until it ends or a limit is passed, and
memory is that of some blocks, whatever the file claims. Each channel is resampled on its own by
FFmpeg's polyphase resampler with a longer filter than its default: 128 taps at the lower rate, a
Kaiser window (beta 10), cut-off at 0.97 of the lower Nyquist frequency. Measured at 44.1 kHz:
0.11 dB down at 7.5 kHz and 104 dB down from 8.2 kHz, where the default is 2.9 and 15 dB down.
Its delay is taken out by FFmpeg; the length is that of the source to within a sample.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

MEMORY = 2 << 30  # bytes of address space, of which the libraries take a tenth
BLOCK = 1 << 16  # frames that are decoded and resampled at a time
PIECE = 1 << 22  # bytes that are copied at a time
FILTER = "filter_size=128:filter_type=kaiser:kaiser_beta=10:cutoff=0.97"
RATES = (8_000, 192_000)  # Hz
SHORTEST = 0.1  # seconds
SILENCE = 1e-4  # half of peak to peak; -80 dBFS
LOUDEST_FLOAT = 16.0  # a float file beyond it was not divided by its full scale
FULL_SCALES = (2.0**15, 2.0**23, 2.0**31)
PLANES = 8  # PyAV reads past the end of a frame's list of planes where there are more
GAP = 0.1  # seconds that timestamps may run ahead before silence is put in
LONGEST_GAP = 60.0  # seconds; beyond it the timestamps are wrong, not the sound missing


class Refused(Exception):
    """What is wrong with the file: the rest of a sentence that begins with its name."""


class Broken(Exception):
    """A decoder gave up on the file; another may not."""


class Empty(Broken):
    """A decoder found the file in order, and nothing in it."""


class Stream(NamedTuple):
    """Sound as a decoder gives it. A block is its rate, float32 (channels, frames), share read."""

    codec: str
    rate: int
    channels: int
    blocks: Iterator[tuple[int, np.ndarray, float]]


def confine(seconds: int, bytes_written: int) -> None:
    """Limit this process, as far as the platform can."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock alone
        return
    for name, limit in (
        ("RLIMIT_CORE", 0),
        ("RLIMIT_AS", MEMORY),
        ("RLIMIT_CPU", seconds + 1),
        ("RLIMIT_FSIZE", bytes_written),
    ):
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def by_soundfile(path: str) -> Stream:
    """Open WAV, FLAC, Ogg Vorbis or MP3."""
    import soundfile

    try:
        file = soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))
    except soundfile.LibsndfileError as exc:
        raise Broken(str(exc)) from exc
    if file.format not in {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"}:
        raise Broken(f"libsndfile takes it for {file.format}")

    def blocks() -> Iterator[tuple[int, np.ndarray, float]]:
        read = 0
        while True:
            try:
                block = file.read(BLOCK, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as exc:
                raise Broken(str(exc)) from exc
            if not len(block):
                return
            read += len(block)
            yield file.samplerate, block.T, read / max(file.frames, read)

    codec = "mp3" if file.subtype.startswith("MPEG_LAYER") else file.subtype.lower()
    return Stream(codec, file.samplerate, file.channels, blocks())


def opened(path: str, demuxer: str) -> tuple[Any, Callable[[], float]]:
    """FFmpeg's container of an open file with a named demuxer, and the share that is read of it.

    So FFmpeg gets bytes and no address, guesses no format, and has no protocol to open.
    """
    import av
    import av.error

    file = open(path, "rb")  # noqa: SIM115 - it stays open as long as this process
    size = max(1, os.fstat(file.fileno()).st_size)
    try:
        container = av.open(
            file,
            "r",
            format=demuxer,
            metadata_errors="ignore",
            options={"protocol_whitelist": "file", "enable_drefs": "0"},
        )
    except (av.error.FFmpegError, ValueError) as exc:
        raise Broken(str(exc)) from exc
    return container, lambda: file.tell() / size


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of one stream, up to the end or to where the file is beyond reading."""
    import av.error

    found = container.demux(stream)
    while True:
        try:
            yield next(found)
        except (StopIteration, av.error.FFmpegError, ValueError):
            return


def by_av(path: str, demuxer: str) -> Stream:
    """Open anything else, also the sound of a video.

    The first sound track counts; packets that can't be decoded are left out. Where a container has
    timestamps, sound that is missing (a track that starts late, a lost packet, a pause of the
    sender) becomes silence, so that what follows stays at its time in the video.
    """
    import av

    container, share = opened(path, demuxer)
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        what = "pictures but no sound track" if container.streams.video else "no sound track"
        raise Refused(f"has {what}; choose a file with sound")
    context = stream.codec_context
    if context is None:
        raise Refused("holds sound in a coding that is not known here; save it as WAV")
    if stream.codec_tag in ("enca", "drms", "aavd"):
        raise Refused("is protected against copying (DRM); choose an unprotected file")

    timed = demuxer in ("mov", "matroska")
    origin = (container.start_time or 0) / av.time_base
    context.thread_count = 1  # each thread takes address space, and sound needs none

    def frames() -> Iterator[Any]:
        for packet in packets(container, stream):
            with contextlib.suppress(av.error.FFmpegError, ValueError):
                yield from packet.decode()

    def parts() -> Iterator[tuple[int, np.ndarray]]:
        clock = 0.0  # seconds given so far
        for frame in frames():
            rate, planes = frame.sample_rate, frame.layout.nb_channels * frame.format.is_planar
            if not RATES[0] <= rate <= RATES[1] or planes > PLANES:  # a damaged frame
                continue
            block = samples(frame)
            ahead = frame.time - origin - clock if timed and frame.time is not None else 0.0
            if GAP < ahead < LONGEST_GAP:
                clock += ahead
                whole, rest = divmod(round(ahead * rate), BLOCK)
                for size in (*(BLOCK,) * whole, rest):
                    yield rate, np.zeros((len(block), size), np.float32)
            clock += block.shape[1] / rate
            yield rate, block

    def blocks() -> Iterator[tuple[int, np.ndarray, float]]:
        for rate, block in gathered(parts()):
            yield rate, block, share()

    return Stream(context.name, context.sample_rate or 0, context.channels, blocks())


def samples(frame: Any) -> np.ndarray:
    """An FFmpeg frame as float32 (channels, frames) within ±1, as far as it was."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    middle = 128.0 if array.dtype == np.uint8 else 0.0
    full = 2.0 ** (8 * array.dtype.itemsize - 1)
    return (array.astype(np.float32) - np.float32(middle)) / np.float32(full)


def gathered(parts: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Short blocks of one rate and one number of channels, joined to about BLOCK frames."""
    waiting: list[np.ndarray] = []
    held, kind = 0, (0, 0)
    for rate, block in parts:
        if not block.size:
            continue
        if waiting and (kind != (rate, len(block)) or held >= BLOCK):
            yield kind[0], np.concatenate(waiting, axis=1)
            waiting, held = [], 0
        kind, held = (rate, len(block)), held + block.shape[1]
        waiting.append(block)
    if waiting:
        yield kind[0], np.concatenate(waiting, axis=1)


class Resampler:
    """One channel from one rate to another, block by block."""

    def __init__(self, source: int, target: int) -> None:
        """Set up FFmpeg's resampler; equal rates pass untouched."""
        self.source = source
        self.at = 0
        self.graph: Any = None
        if source == target:
            return
        import av
        import av.filter

        self._frame = av.AudioFrame.from_ndarray
        self._nothing = (av.error.BlockingIOError, av.error.EOFError)
        self.graph = av.filter.Graph()
        self.graph.threads = 1
        form = f"sample_rate={source}:sample_fmt=fltp:channel_layout=mono:time_base=1/{source}"
        self.graph.link_nodes(
            self.graph.add("abuffer", form),
            self.graph.add("aresample", f"{target}:{FILTER}"),
            self.graph.add("abuffersink"),
        ).configure()

    def feed(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Take float32 (frames,); give what is ready."""
        if self.graph is None:
            yield signal
            return
        frame = self._frame(signal[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = self.source, self.at
        self.at += len(signal)
        self.graph.push(frame)
        yield from self._ready()

    def finish(self) -> Iterator[np.ndarray]:
        """Give the rest."""
        if self.graph is not None and self.at:
            self.graph.push(None)
            yield from self._ready()

    def _ready(self) -> Iterator[np.ndarray]:
        while True:
            try:
                yield self.graph.pull().to_ndarray()[0]
            except self._nothing:
                return


class Sound:
    """The channels as they come in, each in a file of its own; the first is the answer's file."""

    def __init__(self, out: Path, channels: int, request: dict[str, Any]) -> None:
        """Open the files; all but the first have no name and vanish with this process."""
        self.rate: int = request["rate"]
        # a second more, for the padding that lossy encoders leave
        self.max_frames = int((request["max_hours"] * 3600 + 1) * self.rate)
        self.max_bytes: int = request["max_decoded_mb"] << 20
        self.request = request
        self.files: list[IO[bytes]] = [open(out, "w+b")]  # noqa: SIM115
        self.files += [tempfile.TemporaryFile(dir=out.parent) for _ in range(channels - 1)]
        self.resamplers: list[Resampler] = []
        self.frames = [0] * channels
        self.lowest, self.highest = [0.0] * channels, [0.0] * channels  # of the source
        self.started = False
        self.peak = 0.0  # after resampling

    def take(self, rate: int, block: np.ndarray) -> None:
        """Add float32 (channels, frames) at a rate."""
        if len(block) != len(self.files):  # a stream that changes on its way
            block = fitted(block, len(self.files))
        block = np.ascontiguousarray(block)
        low, high = block.min(axis=1), block.max(axis=1)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            moment = self.frames[0] / self.rate
            raise Refused(
                f"holds values that are no numbers (NaN or infinite, near {moment:.0f} s); "
                "export it again, as 16-bit WAV"
            )
        if self.started:
            low, high = np.minimum(low, self.lowest), np.maximum(high, self.highest)
        self.lowest, self.highest, self.started = low.tolist(), high.tolist(), True
        if not self.resamplers or self.resamplers[0].source != rate:
            self.rest()
            self.resamplers = [Resampler(rate, self.rate) for _ in self.files]
        for channel, resampler in enumerate(self.resamplers):
            for part in resampler.feed(block[channel]):
                self._write(channel, part)

    def rest(self) -> None:
        """Write what the resamplers still hold."""
        for channel, resampler in enumerate(self.resamplers):
            for part in resampler.finish():
                self._write(channel, part)

    def _write(self, channel: int, part: np.ndarray) -> None:
        if not len(part):
            return
        self.frames[channel] += len(part)
        if self.frames[channel] > self.max_frames:
            raise Refused(
                f"is longer than {self.request['max_hours']:g} h; cut it into parts, or raise "
                "the setting max_hours"
            )
        if self.frames[channel] * len(self.files) * 4 > self.max_bytes:
            raise Refused(
                f"takes more than {self.request['max_decoded_mb']} MB when decoded; cut it into "
                "parts, leave out channels, or raise the setting max_decoded_mb"
            )
        self.peak = max(self.peak, float(part.max()), -float(part.min()))
        self.files[channel].write(part.data)

    def scale(self) -> float:
        """One factor for all channels that brings every value within ±1; 1 where it is so."""
        loudest = max(max(map(abs, self.lowest)), max(map(abs, self.highest)))
        if loudest > 2 * FULL_SCALES[-1]:
            raise Refused(f"holds values up to {loudest:.0e}, which is no sound; export it again")
        full = 1.0
        if loudest > LOUDEST_FLOAT:
            full = next((scale for scale in FULL_SCALES if loudest <= scale), loudest)
        swing = max(high - low for low, high in zip(self.lowest, self.highest, strict=True))
        if swing / 2 / full < SILENCE:
            raise Refused("is silent from beginning to end; check the microphone or the track")
        return 1.0 / max(full, self.peak)

    def gather(self) -> tuple[int, str]:
        """Put one channel behind the other in the first file; frames and SHA-256."""
        frames = min(self.frames)
        if frames < SHORTEST * self.rate:
            raise Refused(
                f"holds {frames / self.rate:.2f} s of sound; at least {SHORTEST} s are needed: was "
                "it cut off?"
            )
        scale, size = self.scale(), frames * 4
        digest = hashlib.sha256(f"{len(self.files)} channels\n".encode())
        out = self.files[0]
        for channel, file in enumerate(self.files):
            for at in range(0, size, PIECE):
                file.seek(at)
                piece = file.read(min(PIECE, size - at))
                if scale < 1.0:
                    values = np.frombuffer(piece, np.float32) * np.float32(scale)
                    piece = np.clip(values, -1.0, 1.0).tobytes()  # by a rounding, no more
                if scale < 1.0 or channel:
                    out.seek(channel * size + at)
                    out.write(piece)
                digest.update(piece)
        out.truncate(size * len(self.files))
        out.close()
        return frames, digest.hexdigest()


def fitted(block: np.ndarray, channels: int) -> np.ndarray:
    """A block with another number of channels: mono goes to all, else the first ones count."""
    if len(block) == 1:
        return np.repeat(block, channels, axis=0)
    missing = max(0, channels - len(block))
    return np.pad(block[:channels], ((0, missing), (0, 0)))


def decode(request: dict[str, Any], tell: Any) -> dict[str, Any]:
    """One file with the first decoder that gets through it."""
    path, demuxer = request["path"], request["demuxer"]
    openers = [lambda: by_av(path, demuxer)]
    if request["soundfile"]:  # the faster one; FFmpeg mends more
        openers.insert(0, lambda: by_soundfile(path))
    failures: list[Broken] = []
    for opener in openers:
        try:
            return attempt(opener(), request, tell)
        except Broken as exc:
            failures.append(exc)
    if any(isinstance(failure, Empty) for failure in failures):
        raise Refused("holds no sound; was it cut off, or never recorded?") from failures[-1]
    raise Refused(
        f"can't be read as {request['container'].upper()}: it is damaged or was cut off; export "
        "or record it again"
    ) from failures[-1]


def attempt(stream: Stream, request: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Drain one stream into the sound file."""
    if not 1 <= stream.channels <= request["max_channels"]:
        raise Refused(
            f"has {stream.channels} channels; 1 to {request['max_channels']} can be read: mix "
            "some together, or raise the setting max_channels"
        )
    if not RATES[0] <= stream.rate <= RATES[1]:
        raise Refused(
            f"says that it has {stream.rate} samples a second; {RATES[0]} to {RATES[1]} can be "
            "read: is it damaged?"
        )
    sound = Sound(Path(request["out"]), stream.channels, request)
    for rate, block, share in stream.blocks:
        sound.take(rate, block)
        tell(share)
    sound.rest()
    if not any(sound.frames):
        raise Empty("no frame")
    frames, digest = sound.gather()
    return {
        "channels": stream.channels,
        "frames": frames,
        "sha256": digest,
        "codec": stream.codec,
        "source_rate": stream.rate,
    }


def answer(
    request: dict[str, Any], work: Callable[[dict[str, Any], Any], dict[str, Any]], mend: str
) -> None:
    """Do the work and say how it went; ``mend`` is what helps a file that takes too much memory."""
    said = 0.0

    def say(**words: Any) -> None:
        print(json.dumps(words), flush=True)

    def tell(share: float) -> None:
        nonlocal said
        if share >= said + 0.01 or share >= 1.0 > said:
            said = share
            say(done=round(share, 3))

    try:
        say(found=work(request, tell))
    except Refused as exc:
        say(refused=str(exc))
    except MemoryError:
        say(refused=f"needs more memory than decoding may take; {mend}")
    except BrokenPipeError:  # nobody listens any more
        Path(request["out"]).unlink(missing_ok=True)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            say(broken=traceback.format_exc())
        else:
            say(refused="does not fit on the disk when decoded; make room and try again")
    except Exception:  # a bug here or in a library: the parent says so and keeps this
        say(broken=traceback.format_exc())


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.argv[1])
    confine(request["seconds"], (request["max_decoded_mb"] + 1) << 20)
    answer(request, decode, "export it again, as WAV or FLAC")


if __name__ == "__main__":
    main()
