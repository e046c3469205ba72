"""Prediction: what a system says of each turn; Map: what it attended to while saying so.

Turns are meant by their place in the dialogue (0, 1, 2 …), not by their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from erc_demo.emotions import DIMENSIONS, LabelSet, spoken_in
from erc_demo.errors import UserError

AXES = {  # what an axis of a map runs over
    "head": "attention heads",
    "modality": "inputs of the system",
    "turn": "turns, by place",
    "frame": "stretches of sound, by their middle in seconds",
    "word": "words of the turn, by place",
    "pair": "which vector, gated by which other",
    "branch": "branches of the system, before and after fusion",
    "label": "labels",
}
NAMED = ("modality", "pair", "branch", "label")  # axes that are the same for every turn
PLACED = ("turn", "frame", "word")  # axes whose coordinates differ from turn to turn
REST = -1  # on the axis 'turn': all those turns that are not listed
CLOSE = 1e-4  # within which weights must sum to one
DIGITS = 4  # of a map's numbers in JSON
GUEST = "guest "  # how ``made_by`` begins of a model from elsewhere


def _frozen(array: Any) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map:
    """What one part of a system leaned on, turn by turn.

    ``values[i]`` belongs to turn i, one axis for each of ``axes``, and is None where nothing is
    shown. ``names`` gives the names along an axis of ``NAMED``, ``at[axis][i]`` the coordinates
    along one of ``PLACED``: places of turns, seconds in the recording, places of words. Numbers
    along ``sums`` are weights, which sum to one; they are checked here, at birth.
    """

    name: str
    title: str
    axes: tuple[str, ...]
    values: tuple[np.ndarray | None, ...]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: Mapping[str, tuple[np.ndarray | None, ...]] = field(default_factory=dict)
    sums: str | None = None
    whose: tuple[int, ...] | None = None  # frames of which turn; REST: of none; None: its own

    def __post_init__(self) -> None:
        values = tuple(None if one is None else _frozen(one) for one in self.values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "axes", tuple(self.axes))
        names = {axis: tuple(these) for axis, these in self.names.items()}
        object.__setattr__(self, "names", MappingProxyType(names))
        at = {
            axis: tuple(None if one is None else _frozen(one) for one in these)
            for axis, these in self.at.items()
        }
        object.__setattr__(self, "at", MappingProxyType(at))
        wrong = set(self.axes) - set(AXES) or set(names) - set(NAMED) or set(at) - set(PLACED)
        if wrong or not self.axes or (self.sums and self.sums not in self.axes):
            raise ValueError(f"{self.name}: axes {self.axes}, names {set(names)}, at {set(at)}")
        if {axis for axis in self.axes if axis in NAMED} != set(names):
            raise ValueError(f"{self.name}: an axis without names, or names without an axis")
        if {axis for axis in self.axes if axis in PLACED} != set(at):
            raise ValueError(f"{self.name}: an axis without coordinates, or the reverse")
        if self.whose is not None and len(self.whose) != self.turns:
            raise ValueError(f"{self.name}: 'whose' has {len(self.whose)} turns of {self.turns}")
        for place in range(self.turns):
            self._check(place)

    def _check(self, place: int) -> None:
        value = self.values[place]
        if value is None:
            return
        if value.ndim != len(self.axes) or not np.isfinite(value).all():
            raise ValueError(f"{self.name} of turn {place}: {value.shape} for axes {self.axes}")
        for axis, size in zip(self.axes, value.shape, strict=True):
            if axis == "head":
                continue
            given = self.names[axis] if axis in NAMED else self.at[axis][place]
            if given is None or len(given) != size:
                found = None if given is None else len(given)
                raise ValueError(f"{self.name} of turn {place}: {found} of {axis}, not {size}")
        if self.sums is not None:
            total = value.sum(axis=self.axes.index(self.sums))
            if (value < 0).any() or (np.abs(total - 1) > CLOSE).any():
                raise ValueError(f"{self.name} of turn {place}: weights do not sum to one")

    @property
    def turns(self) -> int:
        """How many turns the dialogue has."""
        return len(self.values)

    def mean(self, place: int, *, over: Sequence[str] = ("head",)) -> np.ndarray | None:
        """A turn's values, averaged over some axes (those that the map has)."""
        value = self.values[place]
        if value is None:
            return None
        return value.mean(axis=tuple(self.axes.index(axis) for axis in over if axis in self.axes))

    def coarse(self, *, frames: int = 64, turns: int = 20) -> Map:
        """A smaller map for files: at most so many columns of frames and turns.

        Stretches of equal length are summed (averaged where they are no weights), a frame on an
        edge shared out between two; of the turns the heaviest stay (mean over heads), the others
        become one column, ``REST``.
        """
        values, at = list(self.values), {axis: list(these) for axis, these in self.at.items()}
        for place, value in enumerate(values):
            if value is None:
                continue
            if "frame" in at and value.shape[self.axes.index("frame")] > frames:
                value = self._fewer_frames(place, value, at["frame"], frames)
            if "turn" in at and np.count_nonzero(np.asarray(at["turn"][place]) != REST) > turns:
                value = self._fewer_turns(place, value, at["turn"], turns)
            values[place] = value
        return replace(
            self,
            values=tuple(values),
            at={axis: tuple(these) for axis, these in at.items()},
        )

    def _fewer_frames(self, place: int, value: np.ndarray, at: list[Any], most: int) -> np.ndarray:
        axis = self.axes.index("frame")
        count = value.shape[axis]
        edges = np.linspace(0, count, most + 1)  # of one length, or an even map would get stripes
        whole = np.minimum(edges.astype(int), count - 1)
        middles = (edges[:-1] + edges[1:] - 1) / 2
        at[place] = np.interp(middles, np.arange(count), np.asarray(at[place], np.float64))
        before = np.cumsum(value, axis=axis, dtype=np.float64) - value
        shape = [-1 if one == axis else 1 for one in range(value.ndim)]
        part = (edges - whole).reshape(shape) * value.take(whole, axis=axis)
        summed = np.diff(before.take(whole, axis=axis) + part, axis=axis)
        return summed.clip(min=0) if self.sums == "frame" else summed * most / count

    def _fewer_turns(self, place: int, value: np.ndarray, at: list[Any], most: int) -> np.ndarray:
        axis = self.axes.index("turn")
        others = tuple(one for one in range(value.ndim) if one != axis)
        listed = np.asarray(at[place]) != REST
        order = np.argsort(np.where(listed, -value.mean(axis=others), np.inf), kind="stable")
        kept, left = np.sort(order[:most]), order[most:]
        rest = value.take(left, axis=axis).sum(axis=axis, keepdims=True)
        if self.sums != "turn":
            rest = rest / len(left)
        at[place] = np.append(np.asarray(at[place])[kept], REST)
        return np.concatenate([value.take(kept, axis=axis), rest], axis=axis)

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is left out."""
        data: dict[str, Any] = {"name": self.name, "title": self.title, "axes": list(self.axes)}
        if self.names:
            data["names"] = {axis: list(these) for axis, these in self.names.items()}
        if self.sums is not None:
            data["sums"] = self.sums
        if self.whose is not None:
            data["whose"] = list(self.whose)
        for axis, these in self.at.items():
            digits = 3 if axis == "frame" else 0
            data.setdefault("at", {})[axis] = [_plain(one, digits) for one in these]
        data["values"] = [_plain(one, DIGITS) for one in self.values]
        return data

    @classmethod
    def from_json(cls, data: Any) -> Map:
        """The reverse of ``to_json``, up to rounding."""
        axes = tuple(data["axes"])
        values = [None if one is None else np.asarray(one, np.float32) for one in data["values"]]
        if data.get("sums"):
            axis = axes.index(data["sums"])
            values = [
                None if one is None else one / one.sum(axis=axis, keepdims=True) for one in values
            ]
        at = {
            axis: tuple(
                None if one is None else np.asarray(one, np.float64 if axis == "frame" else int)
                for one in these
            )
            for axis, these in data.get("at", {}).items()
        }
        return cls(
            name=data["name"],
            title=data["title"],
            axes=axes,
            values=tuple(values),
            names={axis: tuple(these) for axis, these in data.get("names", {}).items()},
            at=at,
            sums=data.get("sums"),
            whose=None if data.get("whose") is None else tuple(data["whose"]),
        )


def _plain(array: np.ndarray | None, digits: int) -> Any:
    if array is None:
        return None
    if not digits:
        return [int(one) for one in array]
    return np.round(np.asarray(array, np.float64), digits).tolist()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What one system says of every turn of a dialogue.

    A turn that it can't answer has NaN in its rows and a sentence in ``why_not``. ``trained`` is
    False where the weights are random: then no number here means anything but the shape of things.
    A label given with a chance below ``unsure_below`` had better be shown as unsure; ``label`` is
    the likeliest all the same. Of the turns in ``words_ignored`` the recogniser was too unsure:
    they were answered without their words.
    """

    system: str
    made_by: str  # the checkpoint's name and version, 'untrained', or 'guest NAME VERSION'
    trained: bool
    labels: LabelSet | None = None
    probabilities: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    dimensions: tuple[str, ...] = ()
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    why_not: tuple[str, ...] = ()  # of each turn, empty where there is an answer
    maps: tuple[Map, ...] = ()
    hindsight: bool = True  # False: each turn was answered without those after it
    unsure_below: float | None = None
    words_ignored: tuple[int, ...] = ()  # places

    def __post_init__(self) -> None:
        turns = len(self.why_not)
        object.__setattr__(self, "maps", tuple(self.maps))
        object.__setattr__(self, "dimensions", tuple(self.dimensions))
        unknown = set(self.dimensions) - set(DIMENSIONS)
        if unknown or (self.labels is None and not self.dimensions):
            raise ValueError(f"{self.system}: labels {self.labels}, dimensions {self.dimensions}")
        classes = len(self.labels.labels) if self.labels else 0
        answered = np.array([not why for why in self.why_not], bool)
        for name, width in (("probabilities", classes), ("values", len(self.dimensions))):
            array = np.asarray(getattr(self, name), np.float32)
            if not width:
                array = np.zeros((turns, 0), np.float32)
            if array.shape != (turns, width):
                raise ValueError(f"{self.system}: {name} {array.shape}, not {(turns, width)}")
            if not np.isfinite(array[answered]).all() or np.isfinite(array[~answered]).any():
                raise ValueError(f"{self.system}: {name} and 'why_not' do not fit")
            object.__setattr__(self, name, _frozen(array))
        if classes:
            rows = self.probabilities[answered]
            if (rows < 0).any() or (np.abs(rows.sum(axis=1) - 1) > CLOSE).any():
                raise ValueError(f"{self.system}: probabilities do not sum to one")
        below = self.unsure_below
        if below is not None and not (classes and 0 <= below <= 1):
            raise ValueError(f"{self.system}: unsure below {below} with {classes} labels")
        object.__setattr__(self, "words_ignored", tuple(self.words_ignored))
        if not set(self.words_ignored) <= set(range(turns)):
            raise ValueError(f"{self.system}: words ignored of {self.words_ignored}, of {turns}")
        if any(one.turns != turns for one in self.maps):
            raise ValueError(f"{self.system}: a map of another number of turns than {turns}")

    @property
    def turns(self) -> int:
        """How many turns the dialogue has."""
        return len(self.why_not)

    @property
    def guest(self) -> bool:
        """Whether a model from elsewhere said this, no system of this program."""
        return self.made_by.startswith(GUEST)

    @property
    def answered(self) -> np.ndarray:
        """Which turns have an answer, bool (turns,)."""
        return np.array([not why for why in self.why_not], bool)

    def label(self, place: int) -> str | None:
        """The likeliest label of a turn."""
        if self.labels is None or self.why_not[place]:
            return None
        return self.labels.labels[int(self.probabilities[place].argmax())]

    def confidence(self, place: int) -> float | None:
        """The probability of that label."""
        if self.labels is None or self.why_not[place]:
            return None
        return float(self.probabilities[place].max())

    def unsure(self, place: int) -> bool:
        """Whether that probability is too low for the label to be said."""
        sure = self.confidence(place)
        return sure is not None and self.unsure_below is not None and sure < self.unsure_below

    def map(self, name: str) -> Map:
        """One of the maps by its name."""
        for one in self.maps:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.maps) or "none"
        raise UserError(f"{self.system} shows no '{name}'; it shows: {known}.")

    def but(self, **changes: Any) -> Prediction:
        """The same with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain data, the maps made coarse (``Map.coarse``)."""
        data: dict[str, Any] = {
            "system": self.system,
            "made_by": self.made_by,
            "trained": self.trained,
            "hindsight": self.hindsight,
        }
        if self.labels is not None:
            data["labels"] = {"name": self.labels.name, "order": list(self.labels.labels)}
        if self.dimensions:
            data["dimensions"] = list(self.dimensions)
        if self.unsure_below is not None:
            data["unsure_below"] = self.unsure_below
        data["turns"] = [self._turn(place) for place in range(self.turns)]
        data["maps"] = [one.coarse().to_json() for one in self.maps]
        return data

    def _turn(self, place: int) -> dict[str, Any]:
        if self.why_not[place]:
            return {"why_not": self.why_not[place]}
        data: dict[str, Any] = {}
        if self.labels is not None:
            data["label"] = self.label(place)
            data["probabilities"] = [round(float(one), 6) for one in self.probabilities[place]]
            if self.unsure(place):
                data["unsure"] = True
        if self.dimensions:
            data["values"] = [round(float(one), 6) for one in self.values[place]]
        if not self.trained:
            data["untrained"] = True
        if place in self.words_ignored:
            data["words_ignored"] = True
        return data

    @classmethod
    def from_json(cls, data: Any) -> Prediction:
        """The reverse of ``to_json``; the maps stay coarse."""
        told = data.get("labels")
        labels = spoken_in(told["name"], told["order"]) if told else None
        dimensions = tuple(data.get("dimensions", ()))
        turns = data["turns"]

        def rows(key: str, width: int) -> np.ndarray:
            nothing = [np.nan] * width
            found = [one.get(key, nothing) for one in turns]
            array = np.asarray(found, np.float32).reshape(len(turns), width)
            return array / array.sum(axis=1, keepdims=True) if key == "probabilities" else array

        return cls(
            system=data["system"],
            made_by=data["made_by"],
            trained=data["trained"],
            labels=labels,
            probabilities=rows("probabilities", len(labels.labels) if labels else 0),
            dimensions=dimensions,
            values=rows("values", len(dimensions)),
            why_not=tuple(one.get("why_not", "") for one in turns),
            maps=tuple(Map.from_json(one) for one in data.get("maps", ())),
            hindsight=data.get("hindsight", True),
            unsure_below=data.get("unsure_below"),
            words_ignored=tuple(at for at, one in enumerate(turns) if one.get("words_ignored")),
        )
