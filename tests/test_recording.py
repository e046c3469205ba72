"""Every file is made here, in code; what comes back is compared with the signal that went in."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import sys
import wave
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from erc_demo import recording
from erc_demo.dialogue import RATE, Recording
from erc_demo.errors import UserError
from erc_demo.recording import ACCEPTED, SUFFIXES, read
from erc_demo.settings import Settings

SETTINGS = Settings()


def tones(rate: int, seconds: float = 2.0, channels: int = 2) -> np.ndarray:
    """A sine per channel, each with its own pitch and level: float32 (channels, frames)."""
    moments = np.arange(round(seconds * rate)) / rate
    return np.stack(
        [
            0.4 * 0.8**channel * np.sin(2 * np.pi * (300 + 200 * channel) * moments)
            for channel in range(channels)
        ]
    ).astype(np.float32)


def by_soundfile(sound: np.ndarray, rate: int, format: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound.T, rate, format=format, subtype=subtype)
    return file.getvalue()


def by_av(
    sound: np.ndarray | None,
    rate: int,
    format: str,
    codec: str = "aac",
    video: str | None = None,
    late: float = 0.0,
) -> bytes:
    """Sound (channels, frames) and perhaps a grey picture, encoded; loud skip where it can't be."""
    for name in filter(None, (codec, video)):
        if name not in av.codecs_available:
            pytest.skip(f"NO ENCODER {name} in this build of PyAV")
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        picture = container.add_stream(video, rate=10) if video else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        track = None
        if sound is not None:
            track = container.add_stream(codec, rate=rate)
            track.layout = {1: "mono", 2: "stereo", 16: "hexadecagonal"}[len(sound)]
        if picture is not None:
            for _ in range(20):
                grey = np.full((48, 64, 3), 128, np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(picture.encode(None))
        if track is not None and sound is not None:
            resampler = av.AudioResampler(
                track.format, track.layout, rate, track.codec_context.frame_size or 1024
            )
            packed = np.ascontiguousarray(sound.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=track.layout.name)
            frame.sample_rate, frame.pts = rate, round(late * rate)
            for part in resampler.resample(frame) + resampler.resample(None):
                container.mux(track.encode(part))
            container.mux(track.encode(None))
    return file.getvalue()


def listing(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir()) if folder.exists() else []


def taken(tmp_path: Path, data: bytes, name: str = "a call.bin", **settings: object) -> Recording:
    """Read bytes as a file; the folder then holds one file, or what it held if it is refused."""
    path, folder = tmp_path / name, tmp_path / "job"
    path.write_bytes(data)
    before = listing(folder)
    try:
        found = read(path, folder, Settings(**settings))  # type: ignore[arg-type]
    except BaseException:
        assert listing(folder) == before
        raise
    assert listing(folder) == ["sound.f32"]
    return found


def refused(tmp_path: Path, data: bytes, **settings: object) -> str:
    with pytest.raises(UserError) as caught:
        taken(tmp_path, data, **settings)
    sentence = str(caught.value)
    assert sentence.startswith("'a call.bin' ") and sentence.endswith((".", "?"))
    assert "\n" not in sentence and "Traceback" not in sentence
    return sentence


def pitch(signal: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return float(np.argmax(spectrum)) * RATE / len(signal)


def same_tones(found: Recording, channels: int, seconds: float = 2.0, slack: float = 0.05) -> None:
    """Duration, channel order, pitch and level, away from the ends."""
    assert found.samples.shape[0] == channels
    assert found.duration == pytest.approx(seconds, abs=slack)
    for channel, signal in enumerate(found.samples[:, RATE // 2 : -RATE // 2]):
        assert pitch(signal) == pytest.approx(300 + 200 * channel, abs=2)
        level = 0.4 * 0.8**channel / np.sqrt(2)
        # LAME writes everything at 0.95 of its level
        assert np.sqrt(np.mean(signal**2)) == pytest.approx(level, rel=0.07)


@pytest.mark.parametrize(
    ("format", "subtype", "rate", "channels"),
    [
        ("WAV", "PCM_U8", 8000, 1),
        ("WAV", "PCM_16", 44100, 2),
        ("WAV", "PCM_24", 48000, 3),
        ("WAV", "PCM_32", 22050, 8),
        ("WAV", "FLOAT", 96000, 2),
        ("WAV", "DOUBLE", 16000, 5),
        ("WAV", "ULAW", 8000, 2),
        ("RF64", "PCM_16", 16000, 2),
        ("FLAC", "PCM_S8", 16000, 2),
        ("FLAC", "PCM_24", 192000, 6),
        ("OGG", "VORBIS", 44100, 2),
        ("OGG", "OPUS", 48000, 2),
        ("MP3", None, 44100, 2),
        ("MP3", None, 16000, 1),
    ],
)
def test_what_soundfile_writes(
    tmp_path: Path, format: str, subtype: str | None, rate: int, channels: int
) -> None:
    data = by_soundfile(tones(rate, channels=channels), rate, format, subtype)
    found = taken(tmp_path, data, name="my call.txt")  # the name tells nothing
    same_tones(found, channels, slack=0.08 if subtype == "OPUS" else 0.001)
    assert found.name == "my call" and found.source_rate == rate
    names = {"RF64": "wav", "OGG": "opus" if subtype == "OPUS" else "ogg"}
    assert found.container == names.get(format, format.lower())


@pytest.mark.parametrize(
    ("format", "codec", "video", "container"),
    [
        ("ipod", "aac", None, "m4a"),
        ("ipod", "alac", None, "m4a"),
        ("mp4", "aac", "mpeg4", "mp4"),
        ("mov", "pcm_s16le", "libx264", "mov"),
        ("3gp", "aac", None, "3gp"),
        ("webm", "libopus", "libvpx-vp9", "webm"),
        ("matroska", "flac", None, "mkv"),
        ("ogg", "libopus", None, "opus"),
        ("ogg", "flac", None, "ogg"),
        ("adts", "aac", None, "aac"),
        ("mp3", "libmp3lame", None, "mp3"),
        ("wav", "adpcm_ms", None, "wav"),
    ],
)
def test_what_pyav_writes(
    tmp_path: Path, format: str, codec: str, video: str | None, container: str
) -> None:
    found = taken(tmp_path, by_av(tones(48000), 48000, format, codec, video))
    same_tones(found, 2)
    assert found.container == container and found.source_rate == 48000


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000, 44099])
def test_resampling_against_the_sine_itself(tmp_path: Path, rate: int) -> None:
    frames = 2 * rate + 77
    moments = np.arange(frames) / rate
    hertz = 0.44 * min(rate, RATE)  # 7040 Hz from 16 kHz upwards
    wanted = 0.5 * np.sin(2 * np.pi * hertz * moments)
    beyond = 0.5 * np.sin(2 * np.pi * 8300 * moments) if rate > 17000 else 0 * moments
    found = taken(tmp_path, by_soundfile(np.stack([wanted, beyond]), rate, "WAV", "FLOAT"))
    assert found.frames == pytest.approx(frames * RATE / rate, abs=2)
    middle = slice(RATE // 4, -RATE // 4)
    ideal = 0.5 * np.sin(2 * np.pi * hertz * np.arange(found.frames) / RATE)
    # frequency, level and delay at once: 1e-4 at 7 kHz is less than 1/200 of a sample
    assert np.max(np.abs(found.samples[0] - ideal)[middle]) < 1e-4
    assert np.max(np.abs(found.samples[1][middle])) < 0.5 * 10 ** (-80 / 20)


def test_no_seam_between_blocks(tmp_path: Path) -> None:
    found = taken(tmp_path, by_soundfile(tones(44100, 10), 44100, "WAV", "FLOAT"))
    assert found.frames == 10 * RATE  # more than six blocks
    assert np.max(np.abs(found.samples - tones(RATE, 10))[:, 800:-800]) < 1e-4


def test_samples_at_16_khz_are_untouched_and_named_by_their_hash(tmp_path: Path) -> None:
    sound = (tones(RATE) * 32767).astype(np.int16)
    wav, flac = (by_soundfile(sound, RATE, format) for format in ("WAV", "FLAC"))
    found = taken(tmp_path, wav)
    assert np.array_equal(found.samples, sound.astype(np.float32) / 32768)
    stored = np.ascontiguousarray(found.samples).tobytes()
    assert found.sha256 == hashlib.sha256(b"2 channels\n" + stored).hexdigest()
    assert (tmp_path / "job" / "sound.f32").read_bytes() == stored
    assert taken(tmp_path, flac).sha256 == found.sha256
    swapped = taken(tmp_path, by_soundfile(sound[::-1], RATE, "WAV"))
    mixed_up = taken(tmp_path, by_soundfile(sound.reshape(1, -1), RATE, "WAV"))
    assert len({found.sha256, swapped.sha256, mixed_up.sha256}) == 3


def test_mapped_read_only_and_safe_from_the_next_read(tmp_path: Path) -> None:
    first = taken(tmp_path, by_soundfile(tones(RATE), RATE, "WAV"))
    before = np.array(first.samples)
    assert isinstance(first.samples, np.memmap) and not first.samples.flags.writeable
    assert first.samples[1].flags.c_contiguous
    taken(tmp_path, by_soundfile(tones(RATE, 0.5, 1), RATE, "WAV"))
    assert np.array_equal(first.samples, before)


def test_level(tmp_path: Path) -> None:
    sound = tones(RATE)

    def of(samples: np.ndarray) -> np.ndarray:
        return taken(tmp_path, by_soundfile(samples, RATE, "WAV", "FLOAT")).samples

    assert np.array_equal(of(sound), sound)
    assert np.allclose(of(sound * 5), sound / 0.4, atol=1e-6)  # peak 2: all by one factor
    assert np.allclose(of(sound * 2**15), sound, atol=1e-6)  # at the scale of int16
    assert np.allclose(of(sound * 2**31), sound, atol=1e-6)
    assert np.array_equal(of(sound + 0.25), sound + np.float32(0.25))  # an offset stays
    full = np.sign(tones(44100, channels=1)).astype(np.float32)
    square = taken(tmp_path, by_soundfile(full, 44100, "WAV", "PCM_16")).samples
    assert np.max(np.abs(square)) <= 1.0  # overshoots of the band limit
    assert np.max(np.abs(square)) > 0.999


def test_one_silent_channel_is_no_silent_file(tmp_path: Path) -> None:
    sound = tones(RATE)
    sound[1] = 0
    assert not taken(tmp_path, by_soundfile(sound, RATE, "WAV")).samples[1].any()


def test_a_late_track_keeps_its_time_in_the_video(tmp_path: Path) -> None:
    for format in ("matroska", "mp4"):
        data = by_av(tones(48000), 48000, format, "aac", "mpeg4", late=1.5)
        found = taken(tmp_path, data)
        begins = np.argmax(np.abs(found.samples[0]) > 0.1) / RATE
        assert begins == pytest.approx(1.5, abs=0.03)
        assert found.duration == pytest.approx(3.5, abs=0.05)


def test_a_lost_packet_costs_itself_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    sound = tones(RATE, 4) + 0.02 * rng.standard_normal((2, 4 * RATE)).astype(np.float32)
    for data in (by_soundfile(sound, RATE, "FLAC"), by_av(sound, RATE, "adts")):
        middle = len(data) // 2
        hurt = data[:middle] + bytes(40) + data[middle + 40 :]
        found = taken(tmp_path, hurt)
        assert 3.5 < found.duration <= 4.2
        assert pitch(found.samples[0, -RATE:]) == pytest.approx(300, abs=2)


def test_a_stream_that_changes_on_its_way(tmp_path: Path) -> None:
    """Rate and channels may change in the middle; time and pitch stay, mono goes to both."""
    first, then = by_av(tones(48000), 48000, "adts"), by_av(tones(22050, 2, 1), 22050, "adts")
    found = taken(tmp_path, first + then)
    assert found.source_rate == 48000 and found.duration == pytest.approx(4.0, abs=0.15)
    assert pitch(found.samples[1, :RATE]) == pytest.approx(500, abs=2)
    assert pitch(found.samples[1, -RATE:]) == pytest.approx(300, abs=2)


def test_more_channels_than_a_frame_lists(tmp_path: Path) -> None:
    """Sixteen planes of AAC crash PyAV, also where a damaged frame claims them."""
    many, two = by_av(tones(48000, 1, 16), 48000, "mp4"), by_av(tones(48000), 48000, "mp4")
    assert "has 16 channels" in refused(tmp_path, many)
    assert "holds no sound" in refused(tmp_path, many, max_channels=16)
    assert taken(tmp_path, two, max_channels=16).channels == 2


def test_tags_before_the_sound(tmp_path: Path) -> None:
    mp3 = by_soundfile(tones(44100), 44100, "MP3")
    tag = b"ID3\x04\0\0\0\x01\x00\x00" + bytes(128 * 128)  # a picture, longer than one look
    long = b"ID3\x04\0\0\0\x0a\x00\x00" + bytes(10 * 128 * 128)
    for head in (tag, long, tag + tag, b"junk" * 50):
        assert taken(tmp_path, head + mp3).duration == pytest.approx(2.0, abs=0.1)
    assert "damaged" in refused(tmp_path, b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + mp3)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "webm", "adts"])
def test_what_is_there_of_a_truncated_file(tmp_path: Path, format: str) -> None:
    if format.isupper():
        data = by_soundfile(tones(RATE, 4), RATE, format)
    else:
        data = by_av(tones(48000, 4), 48000, format, "libopus" if format == "webm" else "aac")
    found = taken(tmp_path, data[: len(data) // 2])
    assert 1.0 < found.duration < 3.0
    assert pitch(found.samples[1]) == pytest.approx(500, abs=4)


def test_a_claimed_length_is_not_trusted(tmp_path: Path) -> None:
    wav = by_soundfile(tones(RATE), RATE, "WAV", "PCM_16")
    for size in (0, 0x7FFFFFF0, 0xFFFFFFFF):  # a recorder that died; hours; a stream
        forged = wav[:4] + struct.pack("<I", size) + wav[8:40] + struct.pack("<I", size) + wav[44:]
        assert taken(tmp_path, forged).frames == 2 * RATE
    flac = bytearray(by_soundfile(tones(RATE), RATE, "FLAC"))
    flac[22:26] = b"\xff\xff\xff\xff"  # STREAMINFO: the low bits of the number of samples
    assert taken(tmp_path, bytes(flac)).frames == 2 * RATE


def test_forged_rates_and_channels(tmp_path: Path) -> None:
    wav = by_soundfile(tones(RATE), RATE, "WAV", "PCM_16")
    assert "samples a second" in refused(tmp_path, wav[:24] + struct.pack("<I", 7) + wav[28:])
    many = by_soundfile(tones(RATE, 0.5, 9), RATE, "WAV")
    assert "has 9 channels" in refused(tmp_path, many)


def test_limits_are_settings(tmp_path: Path) -> None:
    wav = by_soundfile(tones(8000, 8), 8000, "WAV")
    assert "longer than 0.001 h" in refused(tmp_path, wav, max_hours=0.001)
    assert "max_channels" in refused(tmp_path, wav, max_channels=1)
    longer = by_soundfile(tones(8000, 10), 8000, "WAV", "PCM_U8")
    assert "max_decoded_mb" in refused(tmp_path, longer, max_decoded_mb=1)
    big = by_soundfile(tones(48000, 6), 48000, "WAV", "PCM_16")
    assert "max_upload_mb" in refused(tmp_path, big, max_upload_mb=1)


def test_what_is_no_sound(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.wav", by_soundfile(tones(RATE), RATE, "WAV"))
    for data, words in (
        (b"", "is empty"),
        (bytes(5000), "nothing but zero bytes"),
        (b"SPEAKER 1 0.00 1.00\n" * 50, "is text"),
        ("Grüße, Ω und 漢字. ".encode() * 5000, "is text"),
        ("<html>".encode("utf-16") * 50, "is text"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG picture"),
        (archive.getvalue(), "a ZIP archive"),
        (b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n", "a playlist"),
        (b"ffconcat version 1.0\nfile a.wav\n", "a playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "a session description"),
        (bytes.fromhex("3026b2758e66cf11") + bytes(100), "Windows Media"),
        (b"FORM\0\0\0\0AIFF", "an AIFF file"),
        (np.random.default_rng(1).bytes(70_000), "of a kind that is not known"),
    ):
        sentence = refused(tmp_path, data)
        assert words in sentence
        assert "choose another file or convert" in sentence or "is empty" in sentence


def test_sound_that_is_none(tmp_path: Path) -> None:
    def of(samples: np.ndarray, subtype: str = "FLOAT") -> str:
        return refused(tmp_path, by_soundfile(np.atleast_2d(samples), RATE, "WAV", subtype))

    assert "is silent" in of(np.zeros((2, RATE), np.float32))
    assert "is silent" in of(tones(RATE) * 2e-4)
    assert "is silent" in of(np.full(RATE, 0.5, np.float32))  # nothing but an offset
    assert "0.05 s of sound" in of(tones(RATE, 0.05))
    assert "holds no sound" in of(np.zeros((1, 0), np.float32), "PCM_16")
    for value in (np.nan, np.inf, -np.inf):
        sound = tones(RATE)
        sound[1, 20_000] = value
        assert "no numbers" in of(sound)
    assert "no sound" in of(tones(RATE) * 1e30)


def test_videos_and_protected_files(tmp_path: Path) -> None:
    silent_film = by_av(None, RATE, "mp4", video="mpeg4")
    assert "pictures but no sound track" in refused(tmp_path, silent_film)
    song = by_av(tones(48000), 48000, "ipod")
    for mark in (b"enca", b"drms"):
        assert "DRM" in refused(tmp_path, song.replace(b"mp4a", mark))
    assert "DRM" in refused(tmp_path, song.replace(b"ftypM4A ", b"ftypM4P "))
    assert "cut off" in refused(tmp_path, song[: len(song) // 2])  # its index stands at the end
    mkv = by_av(tones(48000), 48000, "matroska")
    assert "not known here" in refused(tmp_path, mkv.replace(b"A_AAC", b"A_XYZ"))


def test_what_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    with pytest.raises(UserError, match="'gone.wav' does not exist"):
        read(tmp_path / "gone.wav", folder, SETTINGS)
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path, folder, SETTINGS)
    loop = tmp_path / "loop.wav"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match="can't be opened"):
        read(loop, folder, SETTINGS)
    with pytest.raises(UserError, match="no ordinary file"):
        read(Path(os.devnull), folder, SETTINGS)
    assert listing(folder) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="ROOT MAY READ EVERYTHING"
)
def test_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "mine.wav"
    path.write_bytes(by_soundfile(tones(RATE), RATE, "WAV"))
    path.chmod(0)
    with pytest.raises(UserError, match="check its permissions"):
        read(path, tmp_path / "job", SETTINGS)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(by_soundfile(tones(RATE), RATE, "WAV"))
    with pytest.raises(UserError, match=r"name another folder \(the setting data\)"):
        read(path, path / "job", SETTINGS)


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> bytes:
    """Put another program in the child's place; returns a good file to be read by it."""
    script = tmp_path / "child.py"
    script.write_text("import json, os, signal, sys, time\n" + code)
    monkeypatch.setattr(recording, "CHILD", script)
    return by_soundfile(tones(RATE), RATE, "WAV")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("time.sleep(60)", "took more than 1 s"),
        ("os.abort()", "broke the decoder"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "broke the decoder"),
        ("raise ZeroDivisionError", "broke the decoder"),
        ("print('{\"done\": 0.', end='')", "broke the decoder"),
    ],
)
def test_a_child_that_fails_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    data = child(tmp_path, monkeypatch, code)
    assert words in refused(tmp_path, data, decode_seconds=1)


@pytest.mark.parametrize("wish", [KeyboardInterrupt, RuntimeError])
def test_interrupted_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: type[BaseException]
) -> None:
    """The child is gone and its file with it."""
    data = child(
        tmp_path,
        monkeypatch,
        "out = json.loads(sys.argv[1])['out']\n"
        "open(out, 'wb').write(bytes(1000))\n"
        "print(json.dumps({'done': os.getpid()}), flush=True)\n"
        "time.sleep(60)\n",
    )
    path, folder, seen = tmp_path / "a.wav", tmp_path / "job", []
    path.write_bytes(data)

    def tell(fraction: float) -> None:
        assert len(listing(folder)) == 1
        seen.append(int(fraction))
        raise wish

    with pytest.raises(wish):
        read(path, folder, SETTINGS, tell=tell)
    assert listing(folder) == []
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_the_child_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush")
    data = child(
        tmp_path, monkeypatch, "print(json.dumps({'refused': 'saw ' + ' '.join(os.environ)}))"
    )
    assert "HF_TOKEN" not in refused(tmp_path, data)


@pytest.mark.skipif(sys.platform != "linux", reason="LIMITS ARE CHECKED ON LINUX")
def test_the_child_limits_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = recording.CHILD
    data = child(
        tmp_path,
        monkeypatch,
        f"import importlib.util, resource\n"
        f"spec = importlib.util.spec_from_file_location('decoder', {str(decoder)!r})\n"
        f"decoder = importlib.util.module_from_spec(spec)\n"
        f"spec.loader.exec_module(decoder)\n"
        f"def decode(request, tell):\n"
        f"    kinds = ('CORE', 'AS', 'CPU', 'FSIZE')\n"
        f"    limits = [resource.getrlimit('RLIMIT_' + kind if 0 else\n"
        f"              getattr(resource, 'RLIMIT_' + kind)) for kind in kinds]\n"
        f"    raise decoder.Refused(json.dumps(limits))\n"
        f"decoder.decode = decode\n"
        f"decoder.main()\n",
    )
    sentence = refused(tmp_path, data, decode_seconds=7, max_decoded_mb=3)
    core, space, processor, size = json.loads(sentence[sentence.index("[") : -1])
    assert core == [0, 0] and processor == [8, 8] and size == [4 << 20, 4 << 20]
    assert 0 < space[1] <= 4 << 30


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    path, told = tmp_path / "a.wav", list[float]()
    path.write_bytes(by_soundfile(tones(44100, 30), 44100, "WAV", "PCM_16"))
    read(path, tmp_path / "job", SETTINGS, tell=told.append)
    assert len(told) > 10 and told == sorted(told) and told[-1] == 1.0


def test_odd_names(tmp_path: Path) -> None:
    data = by_soundfile(tones(RATE), RATE, "WAV")
    assert taken(tmp_path, data, name="Ünï 漢 'x' % {}.wav").name == "Ünï 漢 'x' % {}"
    assert taken(tmp_path, data, name=" .wav").name == "recording"
    assert taken(tmp_path, data, name="-i.wav").name == "-i"
    assert taken(tmp_path, data, name="two\nlines.wav").name == "two lines"
    with pytest.raises(UserError, match=r"^'two lines.wav' is text.*\.$"):
        taken(tmp_path, b"hello", name="two\nlines.wav")
    if sys.platform == "linux":  # a name that is no UTF-8 can still be written down
        assert taken(tmp_path, data, name=os.fsdecode(b"caf\xe9.wav")).name.encode()


def test_the_standard_library_as_referee(tmp_path: Path) -> None:
    """A WAV that neither soundfile nor PyAV wrote."""
    path = tmp_path / "plain.wav"
    ramp = np.arange(-16000, 16000, dtype="<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(ramp.tobytes())
    found = read(path, tmp_path / "job", SETTINGS)
    assert found.samples[1, 0] == -15999 / 32768 and found.samples[0, 1] == -15998 / 32768
    assert found.codec == "pcm_16" and found.channels == 2 and found.frames == RATE


def test_what_a_page_offers_is_what_is_read() -> None:
    assert {".wav", ".mp3", ".m4a", ".webm"} <= set(SUFFIXES)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in SUFFIXES)
    assert {name.lower() for name in ACCEPTED} <= {suffix[1:] for suffix in SUFFIXES}
    assert recording.describe().endswith(" or MKV")
