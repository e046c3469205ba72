"""Where each person's feeling went: the path through valence and arousal.

Drawn of the dimensional answers. Many turns are drawn as means of a person's neighbouring turns.
What lies outside -1 … 1 is drawn at the plane's edge, and the figure says how often.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from erc_demo.emotions import AROUSAL, VALENCE
from erc_demo.figures import _theme
from erc_demo.figures._blocks import HOVER, readable
from erc_demo.figures._contract import View
from erc_demo.findings import Prediction

TITLE = "Path through valence and arousal"
READ = (
    "Right is more pleasant, up is more stirred; each person has a marker and a kind of line, and "
    "from start to end the markers fill from pale to full."
)
POINTS = 10  # of one person, so that a path can be followed
PEOPLE = 4
NUMBERED = 24  # points in all that can carry a number
DASHES = ("solid", "dash", "dot", "dashdot")
HEIGHT = 340
STEP = 0.25  # of the borders of a part of the plane
PART = 1.0  # a part no wider and no higher than this (the plane has 2) is drawn alone


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    said = view.prediction
    if said is None:
        return "No system was asked about this conversation."
    if not {VALENCE.name, AROUSAL.name} <= set(said.dimensions):
        return f"{said.system} does not say valence and arousal, so there is no path to draw."
    if not said.answered.any():
        return f"{said.system} answers no turn of this conversation."
    return ""


def draw(view: View) -> go.Figure:
    """The figure."""
    said = view.prediction
    if said is None:
        raise ValueError("drawn without asking why_not")
    points, outside = plane(said)
    turns = view.analysis.dialogue.turns
    people = {
        speaker: [
            at for at in np.flatnonzero(said.answered).tolist() if turns[at].speaker == speaker
        ]
        for speaker in view.analysis.dialogue.speakers
    }
    shown = sorted((one for one in people if people[one]), key=lambda one: -len(people[one]))
    kept = [one for one in people if one in shown[:PEOPLE]]
    paths = {one: stops(people[one]) for one in kept}
    notes = []
    largest = max(len(stop) for path in paths.values() for stop in path)
    if largest > 1:
        notes.append(f"Each point is the mean of up to {largest} turns of one person.")
    if outside:
        answers = "1 answer" if outside == 1 else f"{outside} answers"
        notes.append(f"{answers} outside −1 … 1, drawn at the edge.")
    if len(shown) > PEOPLE:
        notes.append(f"The {PEOPLE} of {len(shown)} people who spoke most often are drawn.")
    low, high = part([points[stop].mean(axis=0) for path in paths.values() for stop in path])
    if (high - low).min() < 2:
        notes.append("Only a part of the plane from −1 to 1 is drawn.")
    drawn = _theme.figure(view, height=HEIGHT, notes=notes)
    _draw_plane(drawn, view, low, high)
    numbered = largest == 1 and sum(map(len, paths.values())) <= NUMBERED
    for order, (speaker, path) in enumerate(paths.items()):
        _draw_path(drawn, view, speaker, path, points, order, numbered)
    return _theme.keyed(drawn)


def plane(said: Prediction) -> tuple[np.ndarray, int]:
    """(turns, 2): valence and arousal within the plane; and how many answers lay outside it."""
    columns = [said.dimensions.index(one.name) for one in (VALENCE, AROUSAL)]
    points = np.asarray(said.values[:, columns], np.float64)
    outside = (np.abs(points) > 1).any(axis=1)
    return np.clip(points, -1, 1), int(outside.sum())


def stops(places: Sequence[int], most: int = POINTS) -> list[list[int]]:
    """A person's turns as at most so many neighbouring groups."""
    return [[places[at] for at in group] for group in _theme.groups(len(places), most)]


def part(at: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the plane to draw: all of it, or a small part with all points and the 0."""
    points = np.array([*at, np.zeros(2)])
    low = np.maximum(np.floor(points.min(axis=0) / STEP) * STEP, -1)
    high = np.minimum(np.ceil(points.max(axis=0) / STEP) * STEP, 1)
    low, high = np.minimum(low, -STEP), np.maximum(high, STEP)
    return (low, high) if (high - low).max() <= PART else (-np.ones(2), np.ones(2))


def _draw_plane(drawn: go.Figure, view: View, low: np.ndarray, high: np.ndarray) -> None:
    colours = _theme.ground(view.dark)
    for update, one, at in ((drawn.update_xaxes, VALENCE, 0), (drawn.update_yaxes, AROUSAL, 1)):
        first, last = float(low[at]), float(high[at])
        room = 0.06 * (last - first)
        update(
            title_text=f"{one.low} ← {one.name} → {one.high}",
            range=[first - room, last + room],
            tickvals=[first, 0, last],
            ticktext=[f"{first:g}".replace("-", "−"), "0", f"{last:g}"],
            zeroline=True,
            zerolinecolor=colours.edge,
            showgrid=False,
        )
    drawn.add_shape(
        type="rect",
        x0=low[0],
        x1=high[0],
        y0=low[1],
        y1=high[1],
        layer="below",
        fillcolor=colours.sunk,
        line_width=0,
    )


def _draw_path(
    drawn: go.Figure,
    view: View,
    speaker: str,
    path: Sequence[Sequence[int]],
    points: np.ndarray,
    order: int,
    numbered: bool,
) -> None:
    colours = _theme.ground(view.dark)
    at = np.array([points[list(stop)].mean(axis=0) for stop in path])
    shares = np.linspace(0.85, 0.0, len(path)) if len(path) > 1 else np.zeros(1)
    fills = [_theme.blend(colours.ink, colours.paper, float(one)) for one in shares]
    chosen = [view.turn is not None and view.turn in stop for stop in path]
    turns = view.analysis.dialogue.turns
    ends = {0: "start", len(path) - 1: "end"}
    drawn.add_scatter(
        x=at[:, 0].round(4),
        y=at[:, 1].round(4),
        mode="lines+markers+text",
        name=_theme.escaped(_theme.cut(speaker, _theme.NAME)),
        line={"color": colours.soft, "width": 1.3, "dash": DASHES[order % len(DASHES)]},
        marker={
            "symbol": _theme.badge(view, speaker),
            "size": [20 if numbered else 13 if place in ends else 10 for place in range(len(path))],
            "color": fills,
            "line": {"color": colours.ink, "width": [3 if one else 1.2 for one in chosen]},
        },
        text=[
            str(turns[stop[0]].number) if numbered else ends.get(place, "")
            for place, stop in enumerate(path)
        ],
        textposition="middle center"
        if numbered
        else ["bottom center" if place == 0 else "top center" for place in range(len(path))],
        textfont={
            "size": _theme.SMALL,
            "color": [readable(fill) if numbered else colours.ink for fill in fills],
        },
        hovertext=[
            _hover(view, speaker, stop, place) for stop, place in zip(path, at, strict=True)
        ],
        hovertemplate=HOVER,
        showlegend=True,
    )


def _hover(view: View, speaker: str, stop: Sequence[int], at: np.ndarray) -> str:
    if len(stop) == 1:
        return f"{_theme.heading(view, stop[0])}<br>{_where(at)}"
    turns = view.analysis.dialogue.turns
    first, last = turns[stop[0]].number, turns[stop[-1]].number
    name = _theme.speaker_name(view, speaker)
    return f"<b>{name}, {len(stop)} of turns {first}–{last}</b><br>mean {_where(at)}"


def _where(at: np.ndarray) -> str:
    return f"{VALENCE.name} {at[0]:+.2f}, {AROUSAL.name} {at[1]:+.2f}"
