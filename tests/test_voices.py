"""Speaker vectors: the rebuilt encoder against the original, and speechbrain's without its code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from erc_demo import voices
from erc_demo.dialogue import RATE
from erc_demo.errors import UserError
from erc_demo.settings import Settings

GOLDEN = Path(__file__).parent / "golden" / "ge2e.npz"


@pytest.fixture(scope="module")
def encoder() -> voices.GE2E:
    return voices.GE2E()


def buzz(seconds: float = 3.0) -> np.ndarray:
    """A drifting voiced sound; the golden vectors are Resemblyzer's and librosa's of it."""
    moments = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * moments)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formant = 700 + 300 * np.sin(2 * np.pi * 1.3 * moments)
    sound = sum(
        np.sin(n * phase) * np.exp(-(((n * pitch - formant) / 500) ** 2)) for n in range(1, 30)
    )
    return np.asarray(0.05 * sound, np.float32)


def test_the_original_network_and_filterbank(encoder: voices.GE2E) -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    mel = voices.mel_power(buzz())
    np.testing.assert_allclose(mel[::20], golden["mel"], atol=1e-5 * golden["mel"].max())
    assert float(encoder.embed_trimmed(buzz()) @ golden["vector"]) >= 0.9999


def test_half_precision_against_the_original_weights() -> None:
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or spec.origin is None:
        pytest.skip("RESEMBLYZER ABSENT: pip install --no-deps Resemblyzer==0.1.4")
    import torch

    source = Path(spec.origin).parent / "pretrained.pt"
    state = torch.load(source, weights_only=True, map_location="cpu")
    original = state["model_state"]
    lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
    lstm.load_state_dict({k[5:]: v for k, v in original.items() if k.startswith("lstm.")})
    mel = voices.mel_power(buzz())[None, :160]
    with torch.inference_mode():
        _, (hidden, _) = lstm(torch.from_numpy(mel))
        raw = torch.relu(hidden[-1] @ original["linear.weight"].T + original["linear.bias"])
        theirs = torch.nn.functional.normalize(raw, dim=1).numpy()
    ours = voices._ge2e(voices.WEIGHTS)(mel)
    assert float(np.sum(ours * theirs)) >= 0.9999


def test_filterbank_by_its_definition() -> None:
    """Slaney's scale literally, a band and a bin at a time."""

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * np.log(8) / np.log(6.4)
    edges = [hertz(top * n / 41) for n in range(42)]
    bank = voices.filterbank()
    for band in (0, 7, 25, 39):
        low, middle, high = edges[band : band + 3]
        for step in range(201):
            at = step * 40.0
            up, down = (at - low) / (middle - low), (high - at) / (high - middle)
            value = max(0.0, min(up, down)) * 2 / (high - low)
            assert bank[band, step] == pytest.approx(value, abs=1e-6)


def test_contract(encoder: voices.GE2E) -> None:
    assert isinstance(voices.load("ge2e", Settings()), voices.Encoder)
    vector = encoder.embed(buzz())
    assert vector.shape == (encoder.width,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(vector, encoder.embed(buzz()))
    for samples in (0, 1, 800):
        assert np.isfinite(encoder.embed(np.zeros(samples, np.float32))).all()


def test_volume_is_only_raised() -> None:
    loud, soft = buzz() * 2, buzz() * np.float32(0.001)
    np.testing.assert_array_equal(voices.raised(loud), loud)
    level = np.sqrt(np.mean(np.square(voices.raised(soft))))
    assert 20 * np.log10(level) == pytest.approx(-30, abs=0.01)


def test_windows_are_what_their_pieces_are(encoder: voices.GE2E) -> None:
    sound = buzz(4.0)
    starts = np.array([-0.5, 0.0, 0.37, 1.2, 3.5])
    together = encoder.windows(sound, starts, 0.8)
    padded = np.pad(sound, RATE)
    for start, vector in zip(starts, together, strict=True):
        begin = round((start + 1) * RATE)
        alone = encoder.windows(padded, np.array([start + 1]), 0.8)[0]
        assert float(vector @ alone) > 0.999, (start, begin)
    np.testing.assert_allclose(
        encoder.windows(np.stack([sound, sound * 0]), starts[1:4], 0.8),
        encoder.windows(sound / 2, starts[1:4], 0.8),
        atol=1e-4,
    )
    assert encoder.windows(sound, np.zeros(0), 0.8).shape == (0, 256)


def test_far_apart_windows_are_read_apart(
    encoder: voices.GE2E, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = np.array([0.0, 1.0, 2.0, 3.0])
    together = encoder.windows(buzz(5.0), starts, 1.6)
    monkeypatch.setattr(voices, "REGION", 1.5)
    monkeypatch.setattr(voices, "BATCH", 2)
    np.testing.assert_allclose(encoder.windows(buzz(5.0), starts, 1.6), together, atol=1e-4)


def test_parts_of_an_utterance() -> None:
    # Resemblyzer's arithmetic by hand: 3 s are 301 frames, a step is 77, 75 % must be sound
    assert voices.parts(3 * RATE) == [0, 77, 154]
    assert voices.parts(100) == [0]


# ---- speechbrain


@pytest.fixture(scope="module", params=["ecapa", "xvector"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, beside a hyperparams.yaml that must never be run."""
    import torch

    pytest.importorskip("speechbrain")
    torch.manual_seed(0)
    if request.param == "ecapa":
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        net = ECAPA_TDNN(80, lin_neurons=192, channels=[32] * 4 + [96])
    else:
        from speechbrain.lobes.models.Xvector import Xvector

        net = Xvector(in_channels=24, lin_neurons=512)
    path = tmp_path_factory.mktemp(request.param)
    torch.save(net.state_dict(), path / "embedding_model.ckpt")
    poison = path / "ran"
    (path / "hyperparams.yaml").write_text(f"x: !apply:pathlib.Path.touch [{poison}]\n")
    return path


def test_speechbrain_from_a_folder(folder: Path) -> None:
    encoder = voices.load(str(folder), Settings(offline=True))
    assert isinstance(encoder, voices.Encoder)
    assert encoder.width in (192, 512)
    for seconds in (0.01, 0.5, 2.0):
        vector = encoder.embed(buzz(seconds))
        assert vector.shape == (encoder.width,)
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-4)
    windows = encoder.windows(buzz(), np.array([0.0, 1.0]), 1.0)
    alone = encoder.windows(buzz(), np.array([1.0]), 1.0)
    np.testing.assert_allclose(windows[1], alone[0], atol=1e-4)
    again = voices.load(str(folder), Settings(offline=True))
    assert (again.name, again.version) == (encoder.name, encoder.version)
    assert not (folder / "ran").exists()
    for name, module in list(sys.modules.items()):
        if name.startswith("speechbrain"):
            getattr(module, "__file__", None)  # as Dask asks, in the middle of an error


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    import pickle

    class Poison:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    (tmp_path / "embedding_model.ckpt").write_bytes(pickle.dumps(Poison()))
    with pytest.raises(UserError, match="plain weights"):
        voices.load(str(tmp_path), Settings(offline=True))
    assert not (tmp_path / "ran").exists()


def test_another_network_is_named(tmp_path: Path) -> None:
    import torch

    torch.save({"weight": torch.zeros(2)}, tmp_path / "embedding_model.ckpt")
    with pytest.raises(UserError, match=r"neither an ECAPA-TDNN nor an x-vector"):
        voices.load(str(tmp_path), Settings(offline=True))


# ---- the trainer's side


def test_convert(tmp_path: Path) -> None:
    import torch

    from trainer.voices import convert

    lstm, linear = torch.nn.LSTM(40, 256, 3), torch.nn.Linear(256, 256)
    state = torch.nn.ModuleDict({"lstm": lstm, "linear": linear}).state_dict()
    source = tmp_path / "pretrained.pt"
    torch.save({"model_state": dict(state) | {"similarity_bias": torch.zeros(1)}}, source)
    made = voices.GE2E(convert(source, tmp_path / "out"))
    assert made.embed_trimmed(buzz()).shape == (256,)
    assert "Apache License" in (tmp_path / "out" / "NOTICE").read_text()
    torch.save({"model_state": {}}, source)
    with pytest.raises(UserError, match="lacks lstm.weight_ih_l0"):
        convert(source, tmp_path / "out")


def test_the_space_makes_voices_round() -> None:
    """Data drawn from a known model: within becomes the unit ball, between becomes the spread."""
    from trainer import voices as trained

    random = np.random.default_rng(0)
    width, people, each = 6, 400, 20
    mix = random.standard_normal((width, width))
    centres = random.standard_normal((people, width)) * [3, 2, 1, 0.5, 0.1, 0.1]
    noise = random.standard_normal((people, each, width))
    vectors = ((centres[:, None] + noise) @ mix).reshape(-1, width)
    classes = [(str(n), "wide") for n in range(people) for _ in range(each)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained, "SHRINK", 0.0)
        mean, basis, spread = trained.two_covariance(vectors, classes)
    np.testing.assert_allclose(spread[:3], [9, 4, 1], rtol=0.2)
    points = ((vectors - mean) @ basis).reshape(people, each, width)
    within = points - points.mean(axis=1, keepdims=True)
    scatter = within.reshape(-1, width).T @ within.reshape(-1, width) / (people * (each - 1))
    np.testing.assert_allclose(scatter, np.eye(width), atol=0.02)


def test_a_telephone_keeps_its_band() -> None:
    from trainer.voices import telephone

    moments = np.arange(RATE) / RATE
    for hertz, kept in ((1000, True), (100, False), (6000, False)):
        tone = (0.3 * np.sin(2 * np.pi * hertz * moments)).astype(np.float32)
        heard = telephone(tone)
        loss = 20 * np.log10(np.std(heard[2000:-2000]) / np.std(tone))
        assert (loss > -1) == kept and (loss < -20) != kept
