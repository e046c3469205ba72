"""Speaker vectors of turns, however long, and Praat's eight numbers of prosody."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from conversation import voice

from erc_demo import voices
from erc_demo.dialogue import RATE, Turn
from erc_demo.errors import UserError
from erc_demo.features import Extractor, Utterance, _spec, prosody8
from erc_demo.settings import Settings

SETTINGS = Settings(offline=True)


def made(wish: str) -> Extractor:
    spec = _spec.parse(wish)
    extractor: Extractor = spec.module.Extractor(spec.filled(), SETTINGS)
    return extractor


def row_of(extractor: Extractor, sound: np.ndarray) -> np.ndarray:
    turn = Turn(number=0, speaker="A")
    rows = extractor.rows([Utterance(turn=turn, sound=sound.astype(np.float32))])[0]
    assert rows.shape == (1, extractor.width) and rows.dtype == np.float32
    row: np.ndarray = rows[0]
    return row


# ---- voice


@pytest.fixture(scope="module")
def ge2e() -> Extractor:
    return made("voice")


@pytest.fixture(scope="module")
def ecapa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an ECAPA-TDNN of random weights."""
    import torch

    module = pytest.importorskip("speechbrain.lobes.models.ECAPA_TDNN")
    torch.manual_seed(0)
    net = module.ECAPA_TDNN(80, lin_neurons=24, channels=[32] * 4 + [96])
    folder = tmp_path_factory.mktemp("ecapa")
    torch.save(net.state_dict(), folder / "embedding_model.ckpt")
    return folder


def test_ge2e_is_resemblyzers_recipe(ge2e: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised, trimmed, windows of 1.6 s every 0.77 s, their mean: step by step, one at a time."""
    heard = []

    def trimmed(sound: np.ndarray) -> np.ndarray:
        heard.append(sound)
        return sound[RATE:]

    monkeypatch.setattr(voices, "trimmed", trimmed)
    sound = voice(5.0, 160, 2, level=0.01)
    row = row_of(ge2e, sound)
    level = np.sqrt(np.mean(np.square(heard[0], dtype=float)))
    assert 20 * np.log10(level) == pytest.approx(-30, abs=0.01)
    mel = voices.mel_power(np.pad(heard[0][RATE:], (0, 2 * RATE)))
    net = voices._ge2e(voices.WEIGHTS)
    # 4 s are 401 frames; the window at 308 would hold 0.92 s, less than three quarters
    vectors = [net(mel[None, start : start + 160])[0] for start in (0, 77, 154, 231)]
    mean = np.mean(vectors, axis=0)
    np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-4)
    assert ge2e.width == 256 and ge2e.neural and ge2e.version.endswith(voices.GE2E.version)


def test_a_voice_is_nearer_to_itself(ge2e: Extractor) -> None:
    one, again = (row_of(ge2e, voice(3.0, 110, seed)) for seed in (1, 2))
    other = row_of(ge2e, voice(3.0, 230, 30))
    assert one @ again > one @ other


def test_long_turns_are_read_some_windows_at_a_time(
    ge2e: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "trimmed", lambda sound: sound)
    sound = voice(20.0, 140, 3)
    whole = row_of(ge2e, sound)
    sizes: list[int] = []
    net = ge2e._encoder._net  # type: ignore[attr-defined]

    def counted(mel: np.ndarray) -> np.ndarray:
        sizes.append(len(mel))
        found: np.ndarray = net(mel)
        return found

    monkeypatch.setattr(ge2e._encoder, "_net", counted)  # type: ignore[attr-defined]
    monkeypatch.setattr(voices, "BATCH", 4)
    monkeypatch.setattr(voices, "FRAMES", 100)
    np.testing.assert_allclose(row_of(ge2e, sound), whole, atol=1e-5)
    assert max(sizes) == 4 and len(sizes) > 3


def test_an_encoder_by_name(ecapa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = made(f"voice:encoder={ecapa}")
    assert extractor.width == 24 and "ecapa" in extractor.version
    assert extractor.version != made("voice").version
    monkeypatch.setattr(voices, "trimmed", lambda sound: sound)
    sound = voice(2.6, 140, 4)
    encoder = voices.load(str(ecapa), SETTINGS)
    np.testing.assert_allclose(row_of(extractor, sound), encoder.embed(sound), atol=1e-6)
    # longer than LONGEST: the unit mean of the vectors of equal parts
    monkeypatch.setattr(voices, "LONGEST", RATE)
    thirds = [encoder.embed(part) for part in np.array_split(sound, 3)]
    mean = np.mean(thirds, axis=0)
    np.testing.assert_allclose(row_of(extractor, sound), mean / np.linalg.norm(mean), atol=1e-6)


def test_an_encoder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="embedding_model.ckpt"):
        made(f"voice:encoder={tmp_path}")


def test_stored_vectors_of_iemocap_have_this_shape(shared: object, ge2e: Extractor) -> None:
    """What the trainer reads from the corpus is what the page computes: 256, none below 0."""
    path = shared("data/iemocap/ge2e256.npz")  # type: ignore[operator]
    with np.load(path, allow_pickle=False) as file:
        stored = file["X"][:200].astype(np.float32)
    assert stored.shape[1] == ge2e.width
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=2e-3)
    assert stored.min() >= 0 and row_of(ge2e, voice(1.0, 120, 1)).min() >= 0


# ---- prosody8


@pytest.fixture(scope="module")
def praat() -> Extractor:
    pytest.importorskip("parselmouth", reason="PRAAT ABSENT: pip install 'erc_demo[praat]'")
    return made("prosody8")


def prosody(extractor: Extractor, sound: np.ndarray) -> dict[str, float]:
    return dict(zip(prosody8.COLUMNS, row_of(extractor, sound).tolist(), strict=True))


def test_prosody_of_a_tone(praat: Extractor) -> None:
    """A steady 200 Hz of amplitude 0.1: its intensity is that of 0.1 / √2 Pa over 20 µPa."""
    moments = np.arange(2 * RATE) / RATE
    found = prosody(praat, 0.1 * np.sin(2 * np.pi * 200 * moments))
    assert found["duration"] == 2
    level = 20 * np.log10(0.1 / np.sqrt(2) / 2e-5)
    assert found["avg_intensity"] == pytest.approx(level, abs=0.02)
    assert found["avg_pitch"] == pytest.approx(200, abs=0.05)
    assert max(found["pitch_std"], found["pitch_range"], found["intensity_variation"]) < 0.1
    assert found["mean_hnr"] > 40
    assert found["articulation_rate"] == 0  # no dip, no syllable


def test_prosody_counts_syllables(praat: Extractor) -> None:
    """Eleven swells, a pause of a second, six swells: 4 a second; the last has no next peak."""
    moments = np.arange(round(11 / 4 * RATE)) / RATE
    swell = np.sin(2 * np.pi * 180 * moments) * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * moments))
    pause = 1e-4 * np.random.default_rng(0).standard_normal(RATE)
    found = prosody(praat, 0.2 * np.concatenate([swell, pause, swell[: 6 * RATE // 4]]))
    assert found["articulation_rate"] == pytest.approx(16 / (17 / 4), rel=0.05)
    noise = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    unvoiced = prosody(praat, noise)
    assert unvoiced["articulation_rate"] == 0
    assert np.isnan([unvoiced["avg_pitch"], unvoiced["pitch_range"]]).all()


def test_prosody_of_next_to_nothing(praat: Extractor) -> None:
    click = np.zeros(1600)
    click[5] = 0.5
    found = prosody(praat, click)
    assert found.pop("duration") == pytest.approx(0.1)
    assert {name for name, value in found.items() if np.isnan(value)} == {
        *("avg_pitch", "pitch_std", "pitch_range", "articulation_rate", "mean_hnr")
    }
    assert found["avg_intensity"] == 0
    stitched = np.concatenate([np.zeros(RATE), voice(1.0, 120, 1), np.zeros(RATE)])
    assert prosody(praat, stitched)["intensity_variation"] < 40  # not that of -300 dB


def test_prosody_without_praat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(UserError, match=r"pip install 'erc_demo\[praat\]'"):
        made("prosody8")


def test_nuclei_by_hand() -> None:
    """Peaks 60, 61, 58, 70, 40 dB: which are loud, and which has a dip of 2 dB behind it."""
    values = np.array([50, 60, 59, 61, 55, 58, 50, 70, 30, 40, 30], float)
    times = 0.01 * np.arange(len(values))
    found = prosody8.nuclei(times, values, threshold=45.0)
    # 60 has a dip of one; 61 and 58 have more; 70 is the last loud one; 40 is soft
    np.testing.assert_allclose(found, [0.03, 0.05], atol=0.005)
    assert prosody8.nuclei(times, values, threshold=69.0) == []
    # a parabola through 0, 3, 2 has its top a quarter of a frame later
    late = prosody8.nuclei(np.arange(6.0), np.array([0, 3, 2, 0, 5, 0.0]), threshold=-1)
    assert late == pytest.approx([1.25])
    flat = np.array([1.0, 1, 1])
    assert prosody8.nuclei(np.arange(3.0), flat, threshold=0) == []
