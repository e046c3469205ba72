"""Which stretches of sound were heard: frame weights over the waveform of up to three turns.

Drawn of maps over frames, each on the turn that it names. The line is weight times the number of
frames, so that 1 is an even share; its scale is the same in every row.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _panels, _sound, _theme
from erc_demo.figures._contract import View
from erc_demo.findings import Map

TITLE = "Which stretches of sound counted"
READ = (
    "Grey is the sound of a turn, the stepped line how much the system listened to each moment: "
    "above the dotted line, more than an even share."
)
ROWS = 3  # turns
ROW = 116  # pixels
LINE, TOP = 0.32, 1.7  # of the waveform's loudest: a line of words above it, where they end
UNDER = 0.75  # of a row's height, under its words
LEAST = 2.0  # the smallest top of the scale


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    return _panels.missing(view, view.maps("frame"), "weights of stretches of sound")


def draw(view: View) -> go.Figure:
    """The figure."""
    maps = view.maps("frame")
    place = _panels.chosen(view, maps)
    if place is None:
        raise ValueError("drawn without asking why_not")
    rows = [one for one in maps if one.values[place] is not None]
    notes = [f"What was heard for {_theme.plain_name(view, place)}."]
    notes += [f"{one.title}: nothing here." for one in maps if one.values[place] is None]
    if len(rows) > ROWS:
        left = ", ".join(one.title for one in rows[ROWS:])
        notes.append(f"Not drawn for want of room: {left}.")
        rows = rows[:ROWS]
    silent = [_sound.sound(view, of(one, place))[1] for one in rows]
    notes += list(dict.fromkeys(one for one in silent if one))
    drawn = _panels.panels(
        view,
        [ROW] * len(rows),
        gap=50,
        notes=notes,
        below=34,
        specs=[[{"secondary_y": True}] for _ in rows],
    )
    even = all(one.sums == "frame" for one in rows)
    lines = [_panels.fewer(weights(one, place), _sound.COLUMNS) for one in rows]
    top = max(LEAST, *(float(line.max()) for line, _ in lines))
    for row, (one, (line, firsts)) in enumerate(zip(rows, lines, strict=True), 1):
        edges = _panels.borders(np.asarray(one.at["frame"][place]))[firsts]
        _draw_row(drawn, view, one, place, row, line, edges)
        drawn.update_yaxes(
            range=[0, top / UNDER],
            tickvals=[1, top] if even else None,
            ticktext=["even", f"{top:.1f} ×"] if even else None,
            showgrid=False,
            row=row,
            secondary_y=True,
        )
    return drawn


def of(one: Map, place: int) -> int:
    """The turn whose frames a map shows for a turn."""
    return place if one.whose is None or one.whose[place] < 0 else one.whose[place]


def weights(one: Map, place: int) -> np.ndarray:
    """(frames,) of a turn, heads averaged; weights as multiples of an even share."""
    value = np.asarray(one.mean(place), np.float64)
    return _panels.relative(value) if one.sums == "frame" else value


def _draw_row(
    drawn: go.Figure,
    view: View,
    one: Map,
    place: int,
    row: int,
    line: np.ndarray,
    edges: np.ndarray,
) -> None:
    colours = _theme.ground(view.dark)
    heard = of(one, place)
    turn = view.analysis.dialogue.turns[heard]
    low, high = float(edges[0]), float(edges[-1])
    if turn.span is not None:
        low, high = min(low, turn.span.start), max(high, turn.span.end)
    samples, _ = _sound.sound(view, heard)
    if len(samples) and turn.span is not None:
        least, most = _sound.envelope(samples)
        loudest = max(float(np.abs(samples).max()), 1e-9)
        moments = turn.span.moments(len(least)).round(4)
        drawn.add_scatter(
            x=np.concatenate([moments, moments[::-1]]),
            y=(np.concatenate([most, least[::-1]]) / loudest).astype(np.float32),
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor=colours.edge,
            hoverinfo="skip",
            showlegend=False,
            row=row,
            col=1,
        )
    _draw_words(drawn, view, heard, (low, high), row)
    drawn.add_scatter(
        x=np.repeat(edges, 2)[1:-1].round(4),
        y=np.repeat(line, 2).astype(np.float32),
        mode="lines",
        line={"color": colours.ink, "width": 1.6},
        meta=_theme.heading(view, heard),
        hovertemplate="%{meta}<br>%{y:.2f}"
        + (" × an even share" if one.sums == "frame" else "")
        + " at %{x:.2f} s<extra></extra>",
        showlegend=False,
        row=row,
        col=1,
        secondary_y=True,
    )
    if one.sums == "frame":
        drawn.add_scatter(
            x=[low, high],
            y=[1, 1],
            mode="lines",
            line={"color": colours.soft, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
            row=row,
            col=1,
            secondary_y=True,
        )
    drawn.update_yaxes(
        range=[-1.05, TOP], visible=False, fixedrange=True, row=row, secondary_y=False
    )
    at, texts = _theme.ticks(low, high)
    drawn.update_xaxes(range=[low, high], showgrid=False, tickvals=at, ticktext=texts, row=row)
    title = _panels.folded(f"{one.title} · {_theme.plain_name(view, heard)}")
    _panels.head(drawn, view, row, title)


def _draw_words(
    drawn: go.Figure, view: View, heard: int, extent: tuple[float, float], row: int
) -> None:
    turn = view.analysis.dialogue.turns[heard]
    colours = _theme.ground(view.dark)
    timed = [(at, one.span) for at, one in enumerate(turn.words) if one.span is not None]
    x, y = _panels.dashes(sorted({span.start for _, span in timed}), -1.05, TOP)
    middles = [span.middle for _, span in timed]
    texts = [_panels.word(turn, at) for at, _ in timed]
    fit = _panels.fitting(middles, texts, *extent)
    drawn.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colours.grid, "width": 1},
        hoverinfo="skip",
        showlegend=False,
        row=row,
        col=1,
    )
    drawn.add_scatter(
        x=[middles[at] for at in fit],
        y=[TOP - LINE * (line + 0.5) for line in fit.values()],
        text=[texts[at] for at in fit],
        mode="text",
        cliponaxis=False,
        textfont={"size": _theme.SMALL, "color": colours.ink},
        hoverinfo="skip",
        showlegend=False,
        row=row,
        col=1,
    )
