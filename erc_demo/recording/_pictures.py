"""The child process that looks at a stranger's video: what is shown at given moments.

Run as a script like ``_decode.py``, whose limits, answers and way of opening a file it shares; the
moments come on standard input as float64, in order, in seconds of the recording.

The picture of a moment is what a player shows then: the last frame whose time is not later, be
the frame rate constant or not. A moment a little before the first frame or after the last one
(``EDGE``) gets that frame, one further away gets none.

Packets are read once, from first to last, and never sought: an index may be missing or may lie.
What is decoded is every group of pictures (a keyframe and what builds on it) that a moment falls
into; the others are dropped as packets. So the cost is one reading of the file and at most one
decoding of it, however many moments there are, and also where there is but one keyframe.

A frame is turned as the file says (phones), its pixels are made square, its shorter side is
brought to the wanted size and the middle square is kept, which is what image encoders were trained
on; a person at the edge of a wide frame is lost by it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from erc_demo.recording._decode import Broken, Refused, answer, confine, opened, packets

EDGE = 1.0  # seconds
SLACK = 1e-4  # seconds; a frame's time is a fraction, a moment is not
MOST_WAITING = 32 << 20  # bytes of packets that may wait for a keyframe that makes them needless
MOST_PIXELS = 36_000_000  # of a frame; 8K has 33
MOST_NARROW = 16  # times that a frame's longer side may be the shorter one
UNREADABLE = "can't be decoded; export it again, as MP4 (H.264)"


class Film:
    """A file's video track, and the moments that still have to be looked at."""

    def __init__(self, request: dict[str, Any], moments: np.ndarray) -> None:
        """Open it; ``stream`` is None where the file has no video, a cover being none."""
        import av

        try:
            container, self.share = opened(request["path"], request["demuxer"])
        except Broken as exc:
            raise Refused(UNREADABLE) from exc
        covers = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
        films = [one for one in container.streams.video if not one.disposition & covers]
        self.stream: Any = films[0] if films else None
        self.decoded = 0
        if self.stream is None:
            return
        if self.stream.codec_context is None:
            raise Refused("holds pictures in a coding that is not known here; save it as MP4")
        if self.stream.codec_tag == "encv":
            raise Refused("is protected against copying (DRM); choose an unprotected file")
        self.stream.codec_context.thread_count = request["threads"]
        self.stream.codec_context.thread_type = "AUTO"
        self.packets = packets(container, self.stream)
        origin = (container.start_time or 0) / av.time_base
        self.ahead = deque((moments + (origin + SLACK)).tolist())

    def shown(self) -> Iterator[Any]:
        """The frame of each moment in turn, None where there is none."""
        last = None
        for frame in self._frames():
            if frame is None:
                last = None
                continue
            self.decoded += 1
            if last is not None and frame.time < last.time:
                continue
            while self.ahead and self.ahead[0] < frame.time:
                near = frame if frame.time - self.ahead.popleft() <= EDGE else None
                yield last or near
            if not self.ahead:
                return
            last = frame
        while self.ahead:
            moment = self.ahead.popleft()
            yield last if last is not None and moment - last.time <= EDGE else None

    def _frames(self) -> Iterator[Any]:
        """Frames in order of time, those that no moment needs left out; None after each gap."""
        waiting: list[Any] = []
        held = 0  # bytes that wait
        for packet in self.packets:
            time = None if packet.pts is None else float(packet.pts * packet.time_base)
            if waiting and packet.is_keyframe and time is not None and time <= self.ahead[0]:
                waiting, held = [], 0
                self.stream.codec_context.flush_buffers()
                yield None
            waiting.append(packet)
            held += packet.size
            if time is None or time > self.ahead[0] or held > MOST_WAITING:
                yield from self._decoded(waiting)
                waiting, held = [], 0
        yield from self._decoded([*waiting, None])

    def _decoded(self, parts: list[Any]) -> Iterator[Any]:
        """Frames of packets, those left out that are damaged; None flushes the decoder."""
        import av

        for packet in parts:
            try:
                frames = self.stream.codec_context.decode(packet)
            except MemoryError:
                raise
            except (av.error.FFmpegError, ValueError):
                continue
            yield from (one for one in frames if one.time is not None and _whole(one))


def _whole(frame: Any) -> bool:
    low, high = sorted((frame.width, frame.height))
    return high <= MOST_NARROW * low and low * high <= MOST_PIXELS


def square(frame: Any, shape: float, size: int) -> np.ndarray:
    """A frame as uint8 (size, size, 3); ``shape`` is a pixel's width over its height."""
    from av.video.reformatter import Interpolation

    wide, high = float(frame.width * shape), float(frame.height)
    scale = size / min(wide, high)
    width, height = max(size, round(wide * scale)), max(size, round(high * scale))
    how = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    image = frame.reformat(width, height, "rgb24", interpolation=how, threads=1).to_ndarray()
    left, top = (width - size) // 2, (height - size) // 2
    image = image[top : top + size, left : left + size]
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))


def sample(request: dict[str, Any], tell: Callable[[float], None]) -> dict[str, Any]:
    """Write pictures to ``out``; which moments got one, and the SHA-256 of moments and images."""
    moments = np.frombuffer(sys.stdin.buffer.read(), np.float64)
    film = Film(request, moments)
    kept: list[int] = []
    if film.stream is None:
        return {"kept": kept}
    shape = float(film.stream.sample_aspect_ratio or 1)
    digest = hashlib.sha256()
    before, image = None, np.zeros(0, np.uint8)
    with open(request["out"], "wb") as out:
        for index, frame in enumerate(film.shown()):
            if frame is not None:
                if frame is not before:
                    before, image = frame, square(frame, shape, request["size"])
                out.write(image.data)
                digest.update(image.data)
                kept.append(index)
            tell(min(1.0, film.share()))
    if not film.decoded:
        raise Refused(f"has a video track that {UNREADABLE}")
    digest.update(moments[kept].tobytes())
    return {"kept": kept, "sha256": digest.hexdigest()}


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.argv[1])
    bytes_written = request["pictures"] * request["size"] ** 2 * 3 + (1 << 20)
    confine(request["seconds"] * request["threads"], bytes_written)
    answer(request, sample, "export it with smaller pictures")


if __name__ == "__main__":
    main()
