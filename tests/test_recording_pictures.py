"""Pictures of videos that are made here: every frame shows its own number in stripes."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from test_recording import by_soundfile, listing, tones

from erc_demo import recording
from erc_demo.dialogue import RATE, Dialogue, Pictures, Span, Turn
from erc_demo.errors import UserError
from erc_demo.settings import Settings


def numbered(number: int, size: tuple[int, int]) -> np.ndarray:
    """A frame that shows its number: eight stripes, dark or light, across its middle square."""
    bits = np.array([number >> place & 1 for place in range(8)])
    square = np.repeat(np.where(bits, 215, 40), min(size) // 8)
    image = np.full((size[1], size[0], 3), 120, np.uint8)
    top, left = (size[1] - min(size)) // 2, (size[0] - min(size)) // 2
    image[top : top + min(size), left : left + min(size)] = square[:, None, None]
    return image


def film(
    times: Sequence[float],
    codec: str = "libx264",
    format: str = "mp4",
    size: tuple[int, int] = (80, 64),
    options: dict[str, str] | None = None,
    images: Sequence[np.ndarray] | None = None,
    sound: bool = False,
    pixel: int = 1,
) -> bytes:
    """Frames at given seconds, each with its number, or given images."""
    if codec not in av.codecs_available:
        pytest.skip(f"NO ENCODER {codec} in this build of PyAV")
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        track = container.add_stream(codec, rate=25, options=options or {})
        track.width, track.height = size
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        track.codec_context.time_base = Fraction(1, 1000)
        track.codec_context.sample_aspect_ratio = Fraction(pixel)
        if sound:
            voice = container.add_stream("aac", rate=48_000)
            voice.layout = "mono"
        for number, moment in enumerate(times):
            image = numbered(number, size) if images is None else images[number]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(moment * 1000), Fraction(1, 1000)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        if sound:
            tone = tones(48_000, times[-1] + 1, 1)
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 0
            resampler = av.AudioResampler(voice.format, voice.layout, 48_000, 1024)
            for part in resampler.resample(frame) + resampler.resample(None):
                container.mux(voice.encode(part))
            container.mux(voice.encode(None))
    return file.getvalue()


def looked(
    tmp_path: Path, data: bytes, moments: Sequence[float], size: int = 32, **settings: object
) -> Pictures | None:
    """Pictures of bytes as a file; nothing else is left in the folder, nothing if it is refused."""
    path, folder = tmp_path / "a film.bin", tmp_path / "job"
    path.write_bytes(data)
    before = listing(folder)
    try:
        found = recording.pictures(
            path,
            folder,
            np.array(moments),
            Settings(**settings),
            size=size,  # type: ignore[arg-type]
        )
    except BaseException:
        assert listing(folder) == before
        raise
    assert listing(folder) == (before if found is None else ["pictures.u8"])
    return found


def refused(tmp_path: Path, data: bytes, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        looked(tmp_path, data, [0.5, 1.0], **settings)
    sentence = str(caught.value)
    assert sentence.startswith("'a film.bin' ") and sentence.endswith((".", "?"))
    assert "\n" not in sentence and "Traceback" not in sentence
    return sentence


def numbers(found: Pictures | None) -> list[int]:
    """Which frames the pictures show."""
    assert found is not None
    stripes = found.images.reshape(len(found.images), 8, 4, 32, 3)[:, :, 1:3].mean((2, 3, 4))
    assert (np.abs(stripes - 127.5) > 40).all()
    return ((stripes > 127) @ (1 << np.arange(8))).tolist()


STEADY = [n / 10 for n in range(60)]  # 6 s, ten a second


@pytest.mark.parametrize(
    ("codec", "format", "options"),
    [
        ("libx264", "mp4", {"g": "7", "bf": "2"}),
        ("libx264", "matroska", {"g": "7", "x264-params": "open-gop=1"}),
        ("libx264", "mp4", {"g": "1000"}),  # one keyframe
        ("libx265", "mp4", {"x265-params": "keyint=9:log-level=none"}),
        ("mpeg4", "mov", {"g": "12", "bf": "2"}),
        ("libvpx-vp9", "webm", {"g": "12", "deadline": "realtime"}),
        ("mjpeg", "matroska", {}),
    ],
)
def test_the_frame_that_a_player_shows(
    tmp_path: Path, codec: str, format: str, options: dict[str, str]
) -> None:
    """Near moments, far ones, and two within one frame; the first and the last second."""
    data = film(STEADY, codec, format, options=options, sound=format == "mp4")
    moments = [0.0, 0.05, 0.29, 0.31, 0.31, 2.0, 2.75, 5.01, 5.95, 6.5]
    found = looked(tmp_path, data, moments)
    assert numbers(found) == [0, 0, 2, 3, 3, 20, 27, 50, 59, 59]
    assert found is not None and found.moments.tolist() == moments
    assert numbers(looked(tmp_path, data, [3.33])) == [33]


def test_frames_of_uneven_length_and_a_late_start(tmp_path: Path) -> None:
    """A frame is shown until the next; before and after the film there is at most a second."""
    times = [0.0, 0.1, 0.5, 3.5, 3.6]
    data = film(times, "mpeg4", "matroska")
    assert numbers(looked(tmp_path, data, [0.09, 0.4, 3.4, 3.55, 4.5])) == [0, 1, 2, 3, 4]
    found = looked(tmp_path, data, [3.4, 4.59, 4.7])
    assert found is not None and found.moments.tolist() == [3.4, 4.59]
    assert looked(tmp_path, data, [5.0, 6.0]) is None
    assert looked(tmp_path, data, []) is None


def test_pictures_keep_the_time_of_the_sound(tmp_path: Path) -> None:
    """Where the film starts after the sound, its first frame is seen a second early at most."""
    data = film([2.0, 2.1, 2.2, 2.3], "mpeg4", "matroska", sound=True)
    found = looked(tmp_path, data, [0.5, 1.5, 2.05, 2.15, 2.25])
    assert numbers(found) == [0, 0, 1, 2]
    assert found is not None and found.moments.tolist() == [1.5, 2.05, 2.15, 2.25]


def test_only_groups_that_are_needed_are_decoded(tmp_path: Path) -> None:
    """One group in ten is looked at; the damage of the others is not even met."""
    from erc_demo.recording._pictures import Film

    path = tmp_path / "film"
    path.write_bytes(film(STEADY, "mpeg4", "mov", options={"g": "6", "bf": "0"}))
    given = {"path": str(path), "demuxer": "mov", "threads": 1}
    few = Film(given, np.array([3.15, 5.45]))
    assert [one.time for one in few.shown()] == pytest.approx([3.1, 5.4])
    assert 4 <= few.decoded <= 12
    every = Film(given, np.arange(0, 6, 0.05))
    assert len(list(every.shown())) == 120 and every.decoded == 60


def test_shape_crop_and_scale(tmp_path: Path) -> None:
    """Wide and high frames keep their middle square; its colours stay where they are."""
    quarters = np.zeros((96, 96, 3), np.uint8)
    quarters[:48, :48], quarters[:48, 48:] = (200, 30, 30), (30, 200, 30)
    quarters[48:, :48], quarters[48:, 48:] = (30, 30, 200), (220, 220, 220)
    for wide, high, pixel in ((192, 96, 1), (96, 192, 1), (96, 96, 1), (192, 96, 2)):
        image = np.full((high, wide, 3), 90, np.uint8)
        top, left = (high - 96) // 2, (wide - 96) // 2
        image[top : top + 96, left : left + 96] = quarters
        image = image[:, ::pixel]  # pixels that are twice as wide as high
        data = film([0, 0.1], "mpeg4", size=(wide // pixel, high), images=[image] * 2, pixel=pixel)
        found = looked(tmp_path, data, [0.0], size=40)
        assert found is not None and found.images.shape == (1, 40, 40, 3)
        for y, x in ((10, 10), (10, 30), (30, 10), (30, 30)):
            wanted = quarters[y * 96 // 40, x * 96 // 40].astype(int)
            assert np.abs(found.images[0, y, x] - wanted).max() < 25


def test_a_phone_that_was_held_upright(tmp_path: Path) -> None:
    """The rotation of the track's header (ISO/IEC 14496-12, 8.3.2) is obeyed."""
    image = np.full((96, 96, 3), 60, np.uint8)
    image[:24] = 220  # light at the top
    data = film([0, 0.1], "mpeg4", size=(96, 96), images=[image] * 2)
    one = 1 << 16
    plain = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    at = data.index(plain, data.index(b"tkhd"))
    turns = {  # degrees clockwise: where the light goes
        0: (plain, "top"),
        90: (struct.pack(">9i", 0, one, 0, -one, 0, 0, 96 * one, 0, 1 << 30), "right"),
        180: (struct.pack(">9i", -one, 0, 0, 0, -one, 0, 96 * one, 96 * one, 1 << 30), "bottom"),
        270: (struct.pack(">9i", 0, -one, 0, one, 0, 0, 0, 96 * one, 1 << 30), "left"),
    }
    for matrix, side in turns.values():
        found = looked(tmp_path, data[:at] + matrix + data[at + 36 :], [0.0])
        assert found is not None
        grey = found.images[0].mean(axis=2)
        sides = {"top": grey[:4], "right": grey[:, -4:], "bottom": grey[-4:], "left": grey[:, :4]}
        assert max(sides, key=lambda name: sides[name].mean()) == side


def test_mapped_read_only_hashed_and_the_same_each_time(tmp_path: Path) -> None:
    data = film(STEADY, "mpeg4")
    first = looked(tmp_path, data, [0.5, 1.5])
    assert first is not None
    assert isinstance(first.images, np.memmap) and not first.images.flags.writeable
    before, stored = np.array(first.images), first.images.tobytes() + first.moments.tobytes()
    assert first.sha256 == hashlib.sha256(stored).hexdigest()
    again = looked(tmp_path, data, [0.5, 1.5])
    assert again is not None and again.sha256 == first.sha256
    other = looked(tmp_path, data, [0.5, 1.6])
    assert other is not None and other.sha256 != first.sha256
    assert np.array_equal(first.images, before)  # an earlier mapping keeps its own file


def test_no_video_is_no_pictures(tmp_path: Path) -> None:
    """Sound alone, also sound with a cover."""
    assert looked(tmp_path, by_soundfile(tones(RATE), RATE, "WAV"), [0.5]) is None
    flac = by_soundfile(tones(RATE), RATE, "FLAC")
    with av.open(io.BytesIO(film([0.0], "mjpeg", "matroska"))) as container:
        picture = bytes(next(container.demux(video=0)))
    block = struct.pack(">I", 3) + struct.pack(">I", 10) + b"image/jpeg" + bytes(4)
    block += struct.pack(">5I", 80, 64, 24, 0, len(picture)) + picture
    covered = flac[:4] + bytes([6]) + struct.pack(">I", len(block))[1:] + block + flac[4:]
    with av.open(io.BytesIO(covered)) as container:
        assert container.streams.video  # FFmpeg does see the cover
    assert looked(tmp_path, covered, [0.5]) is None


def test_broken_films_are_sentences(tmp_path: Path) -> None:
    whole = film(STEADY, "mpeg4", "matroska")
    with av.open(io.BytesIO(whole)) as container:
        parts = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    noise = np.random.default_rng(2)
    hollow = whole
    for part in parts:
        hollow = hollow.replace(part, noise.bytes(len(part)).replace(b"\0\0\1", b"abc"))
    assert "video track that can't be decoded" in refused(tmp_path, hollow)
    assert "can't be decoded" in refused(tmp_path, film(STEADY, "mpeg4")[:1500])
    assert "not known here" in refused(
        tmp_path, whole.replace(b"V_MPEG4/ISO/ASP", b"V_MPEG4/XYZ/ASP")
    )
    assert "DRM" in refused(tmp_path, film(STEADY, "mpeg4").replace(b"mp4v", b"encv"))
    assert "is text" in refused(tmp_path, b"hello")
    assert "is empty" in refused(tmp_path, b"")


def test_what_is_there_of_a_cut_film(tmp_path: Path) -> None:
    data = film(STEADY, "mpeg4", "matroska", options={"g": "5"})
    found = looked(tmp_path, data[: len(data) * 6 // 10], [0.55, 1.55, 5.55])
    assert numbers(found) == [5, 15]


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(STEADY, "mpeg4")
    with pytest.raises(UserError, match="would give 200 pictures .* max_decoded_mb"):
        looked(tmp_path, data, [0.5] * 200, size=224, max_decoded_mb=5)
    with pytest.raises(UserError, match="16 to 1024"):
        looked(tmp_path, data, [0.5], size=5000)
    with pytest.raises(ValueError, match="in order of time"):
        looked(tmp_path, data, [2.0, 1.0])
    script = tmp_path / "child.py"
    script.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(recording, "LOOKING_CHILD", script)
    assert "took more than 1 s" in refused(tmp_path, data, decode_seconds=1)
    script.write_text("import os\nos.abort()\n")
    assert "broke the decoder" in refused(tmp_path, data)
    script.write_text("import json, os\nprint(json.dumps({'refused': ' '.join(os.environ)}))\n")
    monkeypatch.setenv("HF_TOKEN", "hush")
    sentence = refused(tmp_path, data)
    assert "PYTHONPATH" in sentence and "HF_TOKEN" not in sentence


def test_moments_of_turns() -> None:
    """Middles of equal parts, in order of time although turns overlap."""
    turns = (
        Turn(number=0, speaker="A", span=Span(0, 4)),
        Turn(number=1, speaker="B"),
        Turn(number=2, speaker="B", span=Span(3, 5)),
    )
    dialogue = Dialogue(name="d", turns=turns)
    assert recording.moments(dialogue, 2).tolist() == [1.0, 3.0, 3.5, 4.5]
    assert recording.moments(dialogue).tolist() == [0.5, 1.5, 2.5, 3.25, 3.5, 3.75, 4.25, 4.75]
    assert recording.moments(Dialogue(name="d")).shape == (0,)


def test_progress_grows(tmp_path: Path) -> None:
    path, told = tmp_path / "film", list[float]()
    path.write_bytes(film(STEADY, "mpeg4"))
    moments = np.arange(0.05, 6, 0.1)
    recording.pictures(path, tmp_path / "job", moments, Settings(), tell=told.append)
    assert told and told == sorted(told) and told[-1] <= 1.0
