"""Encoders by name that hear and see, tiny and random, against a literal forward of each turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders_sound as tiny

from erc_demo import features
from erc_demo.dialogue import Dialogue, Pictures, Recording, Span, Turn
from erc_demo.errors import UserError
from erc_demo.features import Utterance
from erc_demo.features import pictures as seen
from erc_demo.features import speech as heard
from erc_demo.settings import Settings

SETTINGS = Settings(device="cpu", offline=True)
READY = {
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def said(sound: np.ndarray, number: int = 0) -> Utterance:
    return Utterance(turn=Turn(number=number, speaker="A"), sound=sound.astype(np.float32))


def shown(images: np.ndarray, number: int = 0) -> Utterance:
    return Utterance(turn=Turn(number=number, speaker="A"), pictures=images)


def noise(*lengths: int) -> list[Utterance]:
    random = np.random.default_rng(3)
    return [said(0.1 * random.standard_normal(n), i) for i, n in enumerate(lengths)]


def photographs(*counts: int, side: tuple[int, int] = (48, 40)) -> list[Utterance]:
    random = np.random.default_rng(4)
    return [
        shown(random.integers(0, 256, (n, *side, 3), dtype=np.uint8), i)
        for i, n in enumerate(counts)
    ]


def hearing(folder: Path, **options: str) -> heard.Extractor:
    return heard.Extractor(heard.Options(encoder=str(folder), **options), SETTINGS)


def seeing(folder: Path) -> seen.Extractor:
    return seen.Extractor(seen.Options(encoder=str(folder)), SETTINGS)


def close(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == np.float32 and np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks lose more by waiting for one another's threads than they win."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny speech encoder of a family and a norm, made once."""
    known: dict[tuple[str, str], Path] = {}

    def find(family: str, norm: str = "group") -> Path:
        if (family, norm) not in known:
            folder = tmp_path_factory.mktemp("encoders") / f"{family}-{norm}"
            known[family, norm] = tiny.speech(folder, family, norm=norm)
        return known[family, norm]

    return find


def literal(folder: Path, utterance: Utterance) -> tuple[np.ndarray, list[np.ndarray]]:
    """The output and all hidden states as transformers' own example code gets them."""
    import torch
    from transformers import AutoModel, Wav2Vec2FeatureExtractor

    ready = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    given = ready(utterance.sound, sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        out = AutoModel.from_pretrained(folder).eval()(given, output_hidden_states=True)
    return out.last_hidden_state[0].numpy(), [one[0].numpy() for one in out.hidden_states]


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("family", heard.FAMILIES)
def test_speech_is_the_literal_forward(model: Callable[..., Path], family: str, norm: str) -> None:
    folder = model(family, norm)
    given = noise(1600, 16_000, 16_000, 24_321, 50_000)
    wanted = [literal(folder, one) for one in given]
    frames = hearing(folder, pool="frame")
    assert frames.width == 16 and frames.level == "frame"
    assert (frames.step, frames.reach) == (0.02, 0.025)
    found = frames.rows(given)
    close(found, [last for last, _ in wanted])
    assert len(found[0]) == 4  # of a tenth of a second
    close(found, [frames.rows([one])[0] for one in given])
    for layer in ("0", "1", "2"):
        rows = hearing(folder, pool="frame", layer=layer).rows(given)
        close(rows, [states[int(layer)] for _, states in wanted])
    close(hearing(folder).rows(given), [last.mean(axis=0)[None] for last, _ in wanted])
    rows = hearing(folder, layer="mean").rows(given)
    close(rows, [np.mean(states, axis=0).mean(axis=0)[None] for _, states in wanted])


def test_padded_turns_share_a_batch_and_others_only_with_their_like(
    model: Callable[..., Path],
) -> None:
    given = noise(16_000, 24_000, 16_000, 24_001)
    for family, norm, wanted in (
        ("wav2vec2", "layer", [4]),
        ("wav2vec2", "group", [2, 1, 1]),
        ("wavlm", "layer", [2, 1, 1]),
    ):
        extractor = hearing(model(family, norm))
        windows = [w for i, one in enumerate(given) for w in extractor._windows(i, one.sound)]
        assert [len(group) for group in extractor._groups(windows)] == wanted


def test_a_long_turn_is_read_in_windows(
    model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many frames as in one piece, and each as a forward of its window alone gives it."""
    import torch

    folder = model("wav2vec2", "layer")
    (given,) = noise(16_000 * 45 + 123)
    extractor = hearing(folder, pool="frame")
    (rows,) = extractor.rows([given])
    whole, _ = literal(folder, given)
    assert rows.shape == whole.shape == (2250, 16)
    assert given.sound is not None
    sound = (given.sound - given.sound.mean()) / np.sqrt(given.sound.var() + 1e-7)
    for first, last, begin, end in (
        (0, 900, 0, 950),
        (900, 1800, 850, 1850),
        (1800, 2250, 1750, 2250),
    ):
        part = torch.tensor(sound[begin * 320 : (end - 1) * 320 + 400])[None]
        with torch.no_grad():
            states = extractor._model(part).last_hidden_state[0].numpy()
        assert len(states) == end - begin
        np.testing.assert_allclose(
            rows[first:last], states[first - begin : last - begin], rtol=1e-4, atol=1e-4
        )
    close(hearing(folder).rows([given]), [rows.mean(axis=0)[None]])
    # with the convolutions alone, the joints leave no trace
    convolved = hearing(folder, pool="frame", layer="0").rows([given])[0]
    monkeypatch.setattr(heard, "WINDOW", 60.0)
    apart = hearing(folder, pool="frame", layer="0").rows([given])[0]
    np.testing.assert_allclose(convolved, apart, rtol=1e-4, atol=1e-4)


def test_memory_is_that_of_a_batch(
    model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = hearing(model("wav2vec2", "layer"))
    given = [*noise(16_000 * 200), *noise(*[16_000 * 7] * 20)]
    seconds: list[float] = []
    states = extractor._states
    monkeypatch.setattr(
        extractor,
        "_states",
        lambda batch: seconds.append(batch["input_values"].numel() / 16_000) or states(batch),
    )
    rows = extractor.rows(given)
    assert len(rows) == 21 and all(row.shape == (1, 16) for row in rows)
    assert max(seconds) <= 61.0 and sum(seconds) > 340


def test_sound_is_normalised_as_the_model_says(tmp_path: Path) -> None:
    folder = tiny.speech(tmp_path / "unit", "wav2vec2", norm="layer")
    (quiet,) = noise(8000)
    assert quiet.sound is not None
    loud = said(quiet.sound * 5 + 0.2)
    close(hearing(folder).rows([loud]), hearing(folder).rows([quiet]))
    first = hearing(folder).version
    facts = {"feature_extractor": {"do_normalize": False, "sampling_rate": 16_000}}
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps(facts))  # as newer ones are saved
    plain = hearing(folder)
    assert plain.version != first
    assert not np.allclose(plain.rows([loud])[0], plain.rows([quiet])[0], atol=1e-3)


def test_what_no_speech_encoder_is(tmp_path: Path, model: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="need the name of a speech encoder"):
        heard.Extractor(heard.Options(), SETTINGS)
    for layer in ("3", "-2", "first"):
        with pytest.raises(UserError, match=f"layer '{layer}' .* it has 0 to 2"):
            hearing(model("hubert"), layer=layer)
    folder = tiny.speech(tmp_path / "slow", "hubert")
    file = folder / "preprocessor_config.json"
    file.write_text('{"sampling_rate": 8000}')
    with pytest.raises(UserError, match="hears sound at 8000 Hz"):
        hearing(folder)
    file.unlink()
    with pytest.raises(UserError, match="has no preprocessor_config.json"):
        hearing(folder)
    other = tiny.made(tmp_path / "other", "unispeech", tiny.SIZE | {"conv_dim": (8,) * 7}, {})
    with pytest.raises(UserError, match="is a unispeech, and one of wav2vec2, hubert, wavlm"):
        hearing(other)


def test_speech_through_the_door(
    model: Callable[..., Path], recording_of: Callable[..., Recording]
) -> None:
    random = np.random.default_rng(5)
    recording = recording_of(0.1 * random.standard_normal(16_000 * 4))
    spans = (Span(0, 1.5), Span(1.5, 1.55), Span(2, 3.9))
    turns = tuple(Turn(number=i, speaker="AB"[i % 2], span=span) for i, span in enumerate(spans))
    name = f"speech:encoder={model('wavlm')},pool=frame,speaker_norm=both"
    found = features.extract([name], Dialogue(name="d", turns=turns), recording, SETTINGS)
    (made,) = found.values()
    assert made.level == "frame" and made.width == 32 and made.step == 0.02
    assert np.diff(made.starts).tolist() == [74, 4, 94]
    assert [(one.turn, one.why) for one in made.remarks] == [(1, "short")]


def pooled(name: str, out: Any) -> Any:
    """What stands for a picture, written once more."""
    if name in {"vit", "dinov2"}:
        return out.last_hidden_state[:, 0]
    if name in {"swin", "videomae"}:
        return out.last_hidden_state.mean(1)
    return out.pooler_output.reshape(len(out.pooler_output), -1)


@pytest.mark.parametrize("family", tiny.SIGHT)
def test_pictures_are_the_literal_forward(tmp_path: Path, family: str) -> None:
    import torch
    from transformers import AutoModel

    folder = tiny.pictures(tmp_path / family, family, READY)
    extractor = seeing(folder)
    assert extractor.width == 16 and extractor.level == "utterance"
    given = photographs(1, 4, 37, 3, 9, side=(32, 32))
    model = AutoModel.from_pretrained(folder).eval()
    model = getattr(model, "vision_model", model)
    wanted = []
    for one in given:
        assert one.pictures is not None
        images = torch.tensor(one.pictures).permute(0, 3, 1, 2) / 255
        images = (images - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / torch.tensor(
            [0.2, 0.3, 0.4]
        )[:, None, None]
        if family == "videomae":
            places = {1: [0, 0, 0, 0], 3: [0, 1, 1, 2], 4: [0, 1, 2, 3], 9: [1, 3, 5, 7]}
            images = images[None, places.get(len(images), [4, 13, 23, 32])]
        with torch.no_grad():
            wanted.append(pooled(family, model(pixel_values=images)).mean(0)[None].numpy())
    rows = extractor.rows(given)
    close(rows, wanted)
    close(rows, [extractor.rows([one])[0] for one in given])


@pytest.mark.parametrize("side", [(48, 40), (20, 64), (32, 32), (301, 500)])
@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("vit", {"size": {"height": 32, "width": 24}}),
        ("vit", {"size": {"height": 32, "width": 32}, "resample": 3, "do_normalize": False}),
        ("clip", {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
        ("clip", {"size": {"shortest_edge": 30}, "crop_size": {"height": 35, "width": 25}}),
        ("videomae", {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}),
        ("convnext", {"size": {"shortest_edge": 32}, "crop_pct": 0.875, "resample": 3}),
        ("convnext", {"size": {"shortest_edge": 384}, "crop_pct": 0.875}),
    ],
)
def test_pictures_are_made_ready_as_by_pillow(
    family: str, more: dict[str, Any], side: tuple[int, int]
) -> None:
    """To two levels of 255, against transformers' own classes that use Pillow."""
    from transformers import (
        CLIPImageProcessorPil,
        ConvNextImageProcessorPil,
        VideoMAEImageProcessorPil,
        ViTImageProcessorPil,
    )

    classes = {
        "vit": ViTImageProcessorPil,
        "clip": CLIPImageProcessorPil,
        "videomae": VideoMAEImageProcessorPil,
        "convnext": ConvNextImageProcessorPil,
    }
    asked = {**READY, **more, "do_center_crop": family in {"clip", "videomae"}}
    (given,) = photographs(2, side=side)
    assert given.pictures is not None
    referee = classes[family](**asked)
    out = referee(list(given.pictures), return_tensors="pt").pixel_values
    wanted = out.numpy().reshape(-1, *out.shape[-3:])
    found = seen.Preparation.of(asked, "x")(given.pictures, "cpu").numpy()
    assert found.shape == wanted.shape
    level = (1 / 255) / (min(READY["image_std"]) if asked["do_normalize"] else 1)
    assert np.abs(found - wanted).max() <= 2.01 * level
    assert np.mean(np.abs(found - wanted) > 1e-5) < 0.06


def test_sizes_as_they_were_once_written() -> None:
    old = {"size": 32, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    make = partial(seen.Preparation.of, ref="x")
    assert make(old) == make({**READY, **old, "size": {"height": 32, "width": 32}})
    cropped = make({**old, "crop_size": 24, "do_center_crop": True})
    assert (cropped.resize, cropped.crop) == (32, (24, 24))
    assert make({**old, "size": [32, 24]}).resize == (32, 24)
    assert make({**old, "do_center_crop": None, "crop_size": None}) == make(old)
    convnext = {**old, "image_processor_type": "ConvNextImageProcessor"}
    assert make(convnext) == make({**old, "crop_pct": 0.875})
    assert make(convnext).resize == 36 and make(convnext).crop == (32, 32)
    with pytest.raises(UserError, match="does not say how .* image_mean"):
        make({"size": 32})
    with pytest.raises(UserError, match="bilinear or bicubic"):
        make({**old, "resample": 1})


def test_what_no_image_encoder_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="need the name of an image or video encoder"):
        seen.Extractor(seen.Options(), SETTINGS)
    wrong = {**READY, "size": {"height": 64, "width": 64}}
    folder = tiny.pictures(tmp_path / "wrong", "vit", wrong)
    with pytest.raises(UserError, match=r"reads pictures of \(32, 32\) pixels.*\(64, 64\)"):
        seeing(folder)
    other = tiny.made(tmp_path / "other", "beit", tiny.PICTURE, READY)
    with pytest.raises(UserError, match="is a beit, and one of vit"):
        seeing(other)
    deaf = tiny.speech(tmp_path / "deaf", "hubert")
    with pytest.raises(UserError, match="encoder of sight was wanted"):
        seeing(deaf)


def test_pictures_through_the_door(
    tmp_path: Path, recording_of: Callable[..., Recording], tone: Callable[..., np.ndarray]
) -> None:
    """A turn without pictures has no row; another preparation is another version."""
    folder = tiny.pictures(tmp_path / "clip", "clip", READY)
    (given,) = photographs(3)
    assert given.pictures is not None
    recording = recording_of(tone(4.0))
    turns = tuple(Turn(number=i, speaker="A", span=Span(i, i + 1)) for i in range(3))
    dialogue = Dialogue(name="d", turns=turns)
    name = f"pictures:encoder={folder}"
    blind = features.extract([name], dialogue, recording, SETTINGS)[name]
    assert not blind.present.any() and {one.why for one in blind.remarks} == {"no pictures"}
    moments = np.array([0.1, 0.9, 2.5])
    with_them = replace(
        recording, pictures=Pictures(moments=moments, images=given.pictures, sha256="s")
    )
    made = features.extract([name], dialogue, with_them, SETTINGS)[name]
    assert made.present.tolist() == [True, False, True]
    extractor = seeing(folder)
    close([made.of(0)], extractor.rows([shown(given.pictures[:2])]))
    (folder / "preprocessor_config.json").write_text(json.dumps({**READY, "resample": 3}))
    assert seeing(folder).version != extractor.version
