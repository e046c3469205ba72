"""What a turn looks like to an image or video encoder by name, through transformers.

An image encoder (ViT, DINOv2, the seeing half of CLIP or SigLIP, Swin, ConvNeXt, ResNet) gives a
vector a picture: the state of its class token, or its pooled one, or the mean of its patches, as
it was trained (``STATES``; ViT's tanh pooler is left out, since many copies lack it). The row is
the mean over the turn's pictures. VideoMAE (Tong et al. 2022, arxiv:2203.12602) reads a clip: its
pictures are picked evenly among the turn's, or repeated where there are fewer, and the row is the
mean of its patches' states. Nobody looks for faces: the encoder sees what it is given, and of a
video that is the middle square of each picture (``recording.pictures``), without what lies beside.

Pictures are made ready as the model's preprocessor_config.json says: resized, cropped, scaled,
normalised. Resizing is PyTorch's antialiasing ``interpolate`` of bytes, so that no torchvision is
needed; it differs from Pillow's, which the models saw in training, by one level of 255 (of noise,
two) in at most one value of twenty. So ``side`` says at what size squares should come, which is the
one that they are resized to, and ``a_turn`` how many a turn: squares of 224 pixels, as a recording
gives them where nobody asks for others, are blown up for a model that reads 384, and show it no
more than 224 pixels do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from erc_demo.errors import UserError
from erc_demo.features import _contract, _encoders
from erc_demo.features._contract import SIGHT, Utterance
from erc_demo.features._preprocessor import exact, mark, wishes
from erc_demo.plugs import option
from erc_demo.settings import Settings

ABOUT = "A turn's pictures through an image or video encoder by name (CLIP, ViT, VideoMAE …)."
TERMS = ""
VERSION = "1"

STATES = {  # which of an encoder's states stands for a picture
    "vit": "first",
    "dinov2": "first",
    "clip_vision_model": "pooled",
    "siglip_vision_model": "pooled",
    "convnext": "pooled",
    "resnet": "pooled",
    "swin": "mean",
    "videomae": "mean",
}
FIXED = {"vit", "clip_vision_model", "siglip_vision_model", "videomae"}  # read one size only
SIDE, A_TURN = 224, 4  # pixels, and pictures a turn, where a model has no wish of its own
BATCH = 32  # pictures that go through the network at once
FILTERS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
WHOLE = 384  # pixels from which ConvNeXt's preprocessing crops nothing


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be asked for."""

    encoder: str = option("", "a folder or Hub name, such as openai/clip-vit-base-patch32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How pictures become what a network reads; sizes in pixels, None for a step left out."""

    resize: tuple[int, int] | int | None  # height and width, or the shorter side
    crop: tuple[int, int] | None
    filter: str
    scale: float
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def __call__(self, images: np.ndarray, device: Any) -> Any:
        """uint8 (pictures, height, width, 3) as a float32 tensor (pictures, 3, height, width)."""
        import torch
        from torch.nn import functional

        values = torch.from_numpy(np.array(images)).movedim(3, 1)
        high, wide = values.shape[2:]
        size = self.resize
        if isinstance(size, int):
            short = min(high, wide)
            size = int(size * high / short), int(size * wide / short)
        if size is not None and size != (high, wide):
            values = functional.interpolate(values, size, mode=self.filter, antialias=True)
        values = values.to(device).float()
        if self.crop is not None:
            high, wide = (self.crop[i] - values.shape[2 + i] for i in (0, 1))
            top, left = -(-high // 2), -(-wide // 2)  # of zeros; below 0, of pixels taken away
            values = functional.pad(values, (left, wide - left, top, high - top))
        mean, spread = (
            torch.tensor(numbers, device=device)[:, None, None]
            for numbers in (self.mean, self.spread)
        )
        return (values * self.scale - mean) / spread

    @classmethod
    def of(cls, asked: Mapping[str, Any], ref: str) -> Preparation:
        """What a preprocessor_config.json asks for."""
        asked = {key: value for key, value in asked.items() if value is not None}
        crops = bool(asked.get("do_center_crop", "crop_size" in asked))
        if "ConvNext" in asked.get("image_processor_type", ""):  # also ResNet's
            asked.setdefault("crop_pct", 0.875)
        try:
            resize = _size(asked["size"], crops or "crop_pct" in asked)
            crop = _size(asked.get("crop_size", asked["size"]), False) if crops else None
            if "crop_pct" in asked and isinstance(resize, int):
                whole = resize >= WHOLE
                crop = None if whole else (resize, resize)
                resize = (resize, resize) if whole else int(resize / asked["crop_pct"])
            levels = float(asked.get("rescale_factor", 1 / 255))
            normal = asked.get("do_normalize", True)
            return cls(
                resize=resize if asked.get("do_resize", True) else None,
                crop=(crop, crop) if isinstance(crop, int) else crop,
                filter=FILTERS[asked.get("resample", 2)],
                scale=levels if asked.get("do_rescale", True) else 1.0,
                mean=tuple(map(float, asked["image_mean"])) if normal else (0.0,),
                spread=tuple(map(float, asked["image_std"])) if normal else (1.0,),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise UserError(
                f"The preprocessor_config.json of {ref} does not say how pictures are made ready "
                f"({type(exc).__name__}: {exc}); size, image_mean, image_std and a bilinear or "
                "bicubic resample are read: complete it, or name another encoder."
            ) from exc

    @property
    def side(self) -> tuple[int, int] | int | None:
        """The size that comes out, as far as it does not depend on the picture's."""
        return self.crop or self.resize

    @property
    def best(self) -> int:
        """The side of a square that resizing leaves as it is."""
        size = self.resize or self.crop or SIDE
        return size if isinstance(size, int) else max(size)


def _size(size: Any, shorter: bool) -> tuple[int, int] | int:
    """A size in any of the ways in which it has been written; an int is the shorter side."""
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"])
        return int(size["height"]), int(size["width"])
    if isinstance(size, Sequence):
        high, wide = size
        return int(high), int(wide)
    return int(size) if shorter else (int(size), int(size))


class Extractor(_contract.Extractor):
    """An encoder that sees."""

    level = "utterance"
    hears = frozenset({SIGHT})
    neural = True

    def __init__(self, options: Options, settings: Settings) -> None:
        """Load the model."""
        ref = options.encoder
        if not ref:
            raise UserError(
                "The features 'pictures' need the name of an image or video encoder; write, for "
                "instance, pictures:encoder=openai/clip-vit-base-patch32, "
                "google/vit-base-patch16-224-in21k or MCG-NJU/videomae-base, or name a folder."
            )
        found = _encoders.load(ref, settings, kind=SIGHT)
        self._model, self._device, config = found.model, found.device, found.config
        if config.model_type not in STATES:
            raise UserError(
                f"The model {ref} is a {config.model_type}, and one of {', '.join(STATES)} was "
                "wanted; name another encoder."
            )
        self._state = STATES[config.model_type]
        self._clip = int(config.num_frames) if config.model_type == "videomae" else 0
        self._prepare = Preparation.of(wishes(found.folder, ref), ref)
        if config.model_type in FIXED:
            _fits(self._prepare.side, config.image_size, ref)
        self.side = self._prepare.best  # pixels that a picture should have each way
        self.a_turn = self._clip or A_TURN  # pictures that a turn should have
        self.width = int(getattr(config, "hidden_size", 0) or config.hidden_sizes[-1])
        self.version = f"{VERSION}-{found.fingerprint}-{mark(repr(self._prepare))}"

    def rows(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """One vector for each turn."""
        wanted = [
            (turn, index)
            for turn, one in enumerate(utterances)
            for index in self._chosen(len(_images(one)))
        ]
        sums = np.zeros((len(utterances), self.width), np.float64)
        size = self._clip or 1  # pictures a vector
        step = max(1, BATCH // size) * size
        for group in (wanted[at : at + step] for at in range(0, len(wanted), step)):
            turns = [turn for turn, _ in group[::size]]
            np.add.at(sums, turns, self._vectors(self._ready(utterances, group)))
        counts = [1 if self._clip else len(_images(one)) for one in utterances]
        return [
            (total / count)[None].astype(np.float32)
            for total, count in zip(sums, counts, strict=True)
        ]

    def _chosen(self, pictures: int) -> Iterator[int]:
        """Which of a turn's pictures are looked at: all, or a clip's worth of them."""
        if not self._clip:
            yield from range(pictures)
        for place in range(self._clip):
            yield (2 * place + 1) * pictures // (2 * self._clip)

    def _ready(self, utterances: Sequence[Utterance], group: Sequence[tuple[int, int]]) -> Any:
        """The network's input: pictures, or clips of them."""
        images = np.stack([_images(utterances[turn])[index] for turn, index in group])
        values = self._prepare(images, self._device)
        return values.unflatten(0, (-1, self._clip)) if self._clip else values

    def _vectors(self, values: Any) -> np.ndarray:
        """A vector for each picture or clip."""
        import torch

        with torch.inference_mode(), exact():
            given = self._model(pixel_values=values)
            if self._state == "pooled":
                found = given.pooler_output.flatten(1)
            elif self._state == "first":
                found = given.last_hidden_state[:, 0]
            else:
                found = given.last_hidden_state.mean(dim=1)
        vectors: np.ndarray = found.cpu().numpy()
        return vectors


def _images(utterance: Utterance) -> np.ndarray:
    if utterance.pictures is None:
        raise ValueError(f"turn {utterance.turn.number} came without its pictures")
    return utterance.pictures


def _fits(side: tuple[int, int] | int | None, read: Any, ref: str) -> None:
    """Refuse a preparation whose pictures the network can't read."""
    made, wanted = (
        (size, size) if isinstance(size, int) else tuple(size or ()) for size in (side, read)
    )
    if made != wanted:
        raise UserError(
            f"The model {ref} reads pictures of {wanted} pixels, and its preprocessor_config.json "
            f"makes them {made or 'of no fixed size'}; mend that file, or name another encoder."
        )
