"""Frame features against their program, their equations a loop at a time, and tones by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conversation import voice

from erc_demo.dialogue import RATE, Turn
from erc_demo.errors import UserError
from erc_demo.features import Utterance, _spec, frames34
from erc_demo.settings import Settings

GOLDEN = Path(__file__).parent / "golden" / "features" / "frames34_reference.json"
EPS = np.finfo(float).eps
NAMES = frames34.COLUMNS


def rows_of(wish: str, sound: np.ndarray) -> np.ndarray:
    spec = _spec.parse(wish)
    extractor = spec.module.Extractor(spec.filled(), Settings(offline=True))
    turn = Turn(number=0, speaker="A")
    rows: np.ndarray = extractor.rows([Utterance(turn=turn, sound=sound.astype(np.float32))])[0]
    assert rows.dtype == np.float32 and rows.shape[1] == extractor.width
    return rows


def talk() -> np.ndarray:
    """A second of a made voice in steps of 16 bits, with an offset and its end silent."""
    sound = voice(1.0, 120, 1) + np.float32(0.01)
    sound[-2000:] = 0
    return (np.round(sound * 2**15) / 2**15).astype(np.float32)


# ---- frames34: the equations, literally


def mel_edges() -> list[float]:
    edges = [133.33 + 200 / 3 * number for number in range(13)]
    while len(edges) < 42:
        edges.append(edges[-1] * 1.0711703)
    return edges


def share_entropy(values: list[float], parts: int = 10) -> float:
    size, total = len(values) // parts, sum(values)
    shares = [sum(values[n * size : (n + 1) * size]) / (total + EPS) for n in range(parts)]
    return -sum(share * math.log2(share + EPS) for share in shares)


def chroma_of(power: np.ndarray, variant: str) -> list[float]:
    if variant == "defined":
        members: list[list[float]] = [[] for _ in range(12)]
        for k in range(1, 160):
            members[round(12 * math.log2(50 * k / 27.5)) % 12].append(power[k])
        found = [sum(one) / len(one) for one in members]
    else:
        number = [round(12 * math.log2(50 * (k + 1) / 27.5)) for k in range(160)]
        by_semitone = [0.0] * 160
        for k in range(160):
            by_semitone[number[k]] = power[k]  # a later bin takes the place of an earlier one
        for j in range(160):
            by_semitone[j] /= number.count(number[number[j]])
        found = [sum(by_semitone[start::12]) for start in range(12)]
    return [one / (power.sum() or EPS) for one in found]


def literal(sound: np.ndarray, variant: str) -> np.ndarray:
    """The 34 numbers of each frame, one sum after the other."""
    x = sound.astype(float) - sound.astype(float).mean()
    x = x / (abs(x).max() + 1e-10)
    edges, before, found = mel_edges(), None, []
    for start in range(0, len(x) - 319, 160):
        frame = x[start : start + 320]
        turn = np.exp(-2j * np.pi * np.outer(np.arange(160), np.arange(320)) / 320)
        spectrum = abs(turn @ frame) / 160
        power, total = spectrum**2, spectrum.sum() + EPS
        signs = [int(value > 0) - int(value < 0) for value in frame]
        row = [sum(abs(signs[n] - signs[n - 1]) for n in range(1, 320)) / 2 / 319]
        row += [sum(frame**2) / 320, share_entropy(list(frame**2))]
        centre = sum((k + 1) / 160 * spectrum[k] for k in range(160)) / total
        away = sum(((k + 1) / 160 - centre) ** 2 * spectrum[k] for k in range(160)) / total
        row += [centre, math.sqrt(away), share_entropy(list(power))]
        shape = spectrum / (spectrum + EPS).sum()
        row.append(0.0 if before is None else sum((shape - before) ** 2))
        before = shape
        row.append(
            next(k for k in range(160) if sum(power[: k + 1]) + EPS > 0.9 * sum(power)) / 160
        )
        bands = []
        for low, top, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
            band = 0.0
            for k in range(160):
                hertz = (100 if variant == "program" else 50) * k
                up, down = (hertz - low) / (top - low), (high - hertz) / (high - top)
                band += max(0.0, min(up, down)) * 2 / (high - low) * spectrum[k]
            bands.append(math.log10(band + EPS))
        for k in range(13):
            scale = math.sqrt((1 if k == 0 else 2) / 40)
            row.append(
                scale * sum(b * math.cos(math.pi * k * (n + 0.5) / 40) for n, b in enumerate(bands))
            )
        chroma = chroma_of(power, variant)
        found.append([*row, *chroma, float(np.std(chroma))])
    return np.array(found)


@pytest.mark.parametrize("variant", ["program", "defined"])
def test_34_by_their_equations(variant: str) -> None:
    sound = talk()[9000:13900]  # without the digital silence, whose logarithm is rounding alone
    ours = rows_of(f"frames34:variant={variant}", sound)
    np.testing.assert_allclose(ours, literal(sound, variant), rtol=1e-5, atol=1e-6)


# ---- frames34: the program


def program(sound: np.ndarray) -> np.ndarray:
    module: Any = pytest.importorskip("pyAudioAnalysis.ShortTermFeatures")
    rows, _ = module.feature_extraction(sound * 2.0**15, RATE, 320, 160, deltas=False)
    return np.asarray(rows.T)


def test_34_are_the_numbers_of_pyaudioanalysis() -> None:
    """Golden rows were written by the program itself, run on the same sound."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["version"] == "pyAudioAnalysis 0.3.14"
    ours = rows_of("frames34", talk())
    for frame, row in golden["rows"].items():
        np.testing.assert_allclose(ours[int(frame)], row, rtol=1e-5, atol=1e-6)


def test_34_beside_pyaudioanalysis_running() -> None:
    theirs = program(talk())
    ours = rows_of("frames34", talk())
    assert ours.shape == theirs.shape == (99, 34)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


# ---- frames34: by hand


def test_34_of_a_tone() -> None:
    """1 kHz is 20 periods a frame: one bin, number 20, and nothing else."""
    moments = np.arange(RATE // 2) / RATE
    sound = 0.25 * np.sin(2 * np.pi * 1000 * moments + np.pi / 16)
    peak = math.cos(math.pi / 16)  # of the samples, beside the sine's
    rows = rows_of("frames34:variant=defined", sound)
    row = dict(zip(NAMES, rows[5], strict=True))
    assert row["zcr"] == pytest.approx(39 / 319)  # the 40th lies between two frames
    assert row["energy"] == pytest.approx(0.5 / peak**2, rel=1e-5)
    assert row["energy_entropy"] == pytest.approx(math.log2(10), abs=1e-5)
    assert row["spectral_centroid"] == pytest.approx(21 / 160, abs=1e-5)
    assert row["spectral_rolloff"] == 20 / 160
    assert max(row["spectral_spread"], row["spectral_flux"], row["spectral_entropy"]) < 1e-3
    # nearest semitone of 1 kHz is B (988 Hz); the program takes the bin for 1,050 Hz, a C
    assert max(frames34.CHROMA, key=lambda name: row[f"chroma_{name}"]) == "B"
    theirs = dict(zip(NAMES, rows_of("frames34", sound)[5], strict=True))
    assert max(frames34.CHROMA, key=lambda name: theirs[f"chroma_{name}"]) == "C"


def test_34_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows_of("frames34", talk())
    monkeypatch.setattr(frames34, "BLOCK", 7)
    np.testing.assert_allclose(rows_of("frames34", talk()), whole, rtol=1e-6, atol=1e-7)


def test_34_do_not_know_the_level() -> None:
    np.testing.assert_allclose(
        rows_of("frames34", talk() / 64), rows_of("frames34", talk()), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("wish", ["frames34", "frames34:variant=defined", "logmel"])
@pytest.mark.parametrize(
    "sound",
    [np.zeros(1600), np.full(1600, 0.5), np.eye(1, 1600)[0], np.sign(np.sin(np.arange(1600)))],
    ids=["silence", "constant", "click", "square"],
)
def test_odd_sounds_have_numbers(wish: str, sound: np.ndarray) -> None:
    assert np.isfinite(rows_of(wish, sound)).all()


# ---- logmel


def test_logmel_by_its_definition() -> None:
    """One frame and band at a time, with the triangles of Slaney's scale drawn literally."""

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    sound = talk()
    rows = rows_of("logmel", sound)
    assert len(rows) == (len(sound) - 400) // 160 + 1
    top = 15 + 27 * math.log(8) / math.log(6.4)
    edges = [hertz(top * number / 41) for number in range(42)]
    for frame in (0, 31, len(rows) - 1):
        piece = sound[frame * 160 : frame * 160 + 400].astype(float)
        piece *= [0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)]
        power = abs(np.fft.fft(piece)[:201]) ** 2
        for band in (0, 11, 25, 39):
            low, middle, high = edges[band : band + 3]
            total = 0.0
            for k in range(201):
                up, down = (40 * k - low) / (middle - low), (high - 40 * k) / (high - middle)
                total += max(0.0, min(up, down)) * 2 / (high - low) * power[k]
            assert rows[frame, band] == pytest.approx(math.log(max(total, 1e-10)), abs=1e-3)


@pytest.mark.parametrize("bands", [40, 64, 80])
def test_logmel_beside_torchaudio(bands: int) -> None:
    functional: Any = pytest.importorskip("torchaudio.functional")
    theirs = functional.melscale_fbanks(201, 0.0, 8000.0, bands, RATE, "slaney", "slaney").numpy()
    sound = talk().astype(float)
    frames = np.lib.stride_tricks.sliding_window_view(sound, 400)[::160]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = abs(np.fft.rfft(frames * hann, axis=1)) ** 2 @ theirs
    ours = rows_of(f"logmel:bands={bands}", talk())
    np.testing.assert_allclose(ours, np.log(np.maximum(power, 1e-10)), atol=5e-3)


def test_logmel_keeps_the_level_and_has_a_floor(tone: Callable[..., np.ndarray]) -> None:
    loud, soft = (rows_of("logmel", tone(0.3, 1000, level)) for level in (0.5, 0.05))
    assert float((loud - soft).max(axis=1)[5]) == pytest.approx(2 * math.log(10), abs=1e-3)
    assert (rows_of("logmel", np.zeros(1600)) == np.float32(math.log(1e-10))).all()
    assert rows_of("logmel:floor=0.01", np.zeros(1600)).max() == np.float32(math.log(0.01))


def test_logmel_asks_for_a_floor_above_zero() -> None:
    with pytest.raises(UserError, match="floor is 0; 1e-30 or more, and less than 1, was wanted"):
        rows_of("logmel:floor=0", np.zeros(1600))
    with pytest.raises(UserError, match="one of 40, 64, 80 was wanted"):
        rows_of("logmel:bands=13", np.zeros(1600))
