"""What a file is, by its first bytes: the containers that are read, and names for the others.

A name or a suffix decides nothing. Signatures are those of the formats' specifications; MP3 and
ADTS have none, so there three headers must follow one another at the lengths that they state
(ISO/IEC 11172-3 2.4.2.3 and 13818-7 6.2). What is not on the list is not read: no playlist, no
script, nothing that could name another file or an address.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from dataclasses import dataclass
from typing import BinaryIO

HEAD = 1 << 16  # bytes that are looked at, after an ID3 tag
CHAIN = 3  # headers in a row that make a stream of bare frames


@dataclass(frozen=True, slots=True)
class Container:
    """A container that is read: its name here, FFmpeg's demuxer, and whether soundfile knows it."""

    name: str
    demuxer: str
    soundfile: bool = False


WAV = Container("wav", "wav", soundfile=True)
FLAC = Container("flac", "flac", soundfile=True)
MP3 = Container("mp3", "mp3", soundfile=True)
AAC = Container("aac", "aac")

UNKNOWN = "of a kind that is not known here"
PICTURES = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"crx "}
PROTECTED = {b"M4P ", b"M4VP", b"aax ", b"aaxc"}

# First bytes of what people choose by mistake: where they stand, what they are called.
FOREIGN = (
    (0, b"PK\x03\x04", "a ZIP archive (or an Office document)"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an xz archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"SQLite format 3\x00", "a database"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"MThd", "a MIDI file, which holds notes and no sound"),
    (8, b"AVI ", "an AVI video"),
    (0, b"FLV\x01", "an FLV video"),
    (0, b"\x00\x00\x01\xba", "an MPEG program stream"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media (WMA, WMV) file"),
    (0, b"FORM", "an AIFF file"),
    (0, b".snd", "an AU file"),
    (0, b"caff", "a CAF file"),
    (0, b"riff\x2e\x91\xcf\x11", "a Wave64 file"),
    (0, b"NIST_1A", "a SPHERE file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"DSD ", "a DSD file"),
    (0, b"#EXTM3U", "a playlist, which names other files"),
    (0, b"[playlist]", "a playlist, which names other files"),
    (0, b"ffconcat", "a playlist, which names other files"),
    (0, b"v=0\r\n", "a session description (SDP), which names an address"),
    (0, b"v=0\n", "a session description (SDP), which names an address"),
)

# Bits per frame are counted in kbit/s: layer III of MPEG-1, and of MPEG-2 and 2.5.
RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
HERTZ = {0: (11_025, 12_000, 8_000), 2: (22_050, 24_000, 16_000), 3: (44_100, 48_000, 32_000)}


def recognise(file: BinaryIO) -> Container | str:
    """The container of an open file, or a few words for what it is instead."""
    head = file.read(HEAD)
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    start = 0
    while head[:3] == b"ID3" and len(head) >= 10:  # a tag, sometimes two
        size = 0
        for byte in head[6:10]:  # four times seven bits
            size = size << 7 | byte & 0x7F
        start += 10 + size
        file.seek(start)
        if not (after := file.read(HEAD)):  # the tag lies about its length
            break
        head = after
    return _signed(head) or _bare(head) or _foreign(head)


def _signed(head: bytes) -> Container | str | None:
    """The containers that begin with a signature."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return WAV
    if head[:4] == b"fLaC":
        return FLAC
    if head[:4] == b"OggS":
        name = "opus" if b"OpusHead" in head[:256] else "ogg"
        return Container(name, "ogg", soundfile=b"\x01vorbis" in head[:64])
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return Container("webm" if b"webm" in head[:64] else "mkv", "matroska")
    if head[4:8] in (b"ftyp", b"styp"):
        brand = head[8:12]
        if brand in PICTURES:
            return "a picture"
        if brand in PROTECTED:
            return "a purchase that is protected against copying (DRM)"
        names = {b"M4A ": "m4a", b"M4B ": "m4a", b"qt  ": "mov"}
        return Container(names.get(brand, "3gp" if brand[:2] == b"3g" else "mp4"), "mov")
    if head[4:8] in (
        b"moov",
        b"mdat",
        b"wide",
        b"free",
        b"skip",
    ):  # QuickTime before there was ftyp
        return Container("mov", "mov")
    return next((words for at, magic, words in FOREIGN if head[at:].startswith(magic)), None)


def _bare(head: bytes) -> Container | None:
    """MP3 or ADTS frames, perhaps after some bytes of something else."""
    start = head.find(b"\xff")
    while start >= 0:
        for container, length in ((MP3, _mp3_length), (AAC, _adts_length)):
            at, count = start, 0
            while count < CHAIN and (size := length(head[at : at + 7])):
                at, count = at + size, count + 1
            if count == CHAIN or (count and start == 0 and at >= len(head)):
                return container
        start = head.find(b"\xff", start + 1)
    return None


def _mp3_length(header: bytes) -> int:
    """Bytes of a layer III frame with this header; 0 where it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, rate, hertz = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or rate in (0, 15) or hertz == 3:
        return 0
    bits, factor = (RATES_1, 144_000) if version == 3 else (RATES_2, 72_000)
    return factor * bits[rate] // HERTZ[version][hertz] + (header[2] >> 1 & 1)


def _adts_length(header: bytes) -> int:
    """Bytes of an ADTS frame with this header; 0 where it is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    if header[2] >> 2 & 15 > 12:  # the thirteen sample rates
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0


def _foreign(head: bytes) -> str:
    """Text, or something unknown."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = getincrementaldecoder(encoding)().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return UNKNOWN
    return UNKNOWN if any(letter < " " and not letter.isspace() for letter in text) else "text"
