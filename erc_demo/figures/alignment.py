"""Which sound each word listened to: word × frame weights under a spectrogram of the turn.

Drawn of maps over words and frames, heads averaged. The colour of a cell is its weight times the
number of frames, so that 1 is an even share, whatever the length of the turn.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from erc_demo.dialogue import Turn
from erc_demo.figures import _panels, _sound, _theme
from erc_demo.figures._contract import View
from erc_demo.figures._leaning import heads
from erc_demo.findings import Map

TITLE = "Which sound each word listened to"
READ = (
    "Top: spectrogram with the recogniser's word edges; below, the stronger a square, the more "
    "a word attended to that sound; its outline is where the word was heard."
)
ROWS = 40  # words or groups of neighbouring words
ROW, SOUND, FLAT = 20, 160, 30  # pixels of a row, of the spectrogram, of its place without sound
LINE, TOP = 0.7, 6.5  # kHz: of a line of words above the spectrogram, and where the second ends
LINED = 20  # words at most whose edges run on through the cells
DARKEST = 0.995  # the share of cells that lies within the colour scale
LEAST = 2.0  # the smallest top of the scale, so that an even map is not blown up


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    return _panels.missing(view, view.maps("word", "frame"), "weights of words over sound")


def draw(view: View) -> go.Figure:
    """The figure."""
    found, place = shown(view)
    turn = view.analysis.dialogue.turns[place]
    values = weights(found, place)
    moments = np.asarray(found.at["frame"][place], np.float64)
    words = np.asarray(found.at["word"][place], int)
    cells, firsts = _panels.fewer(values, _sound.COLUMNS)
    edges = _panels.borders(moments)[firsts]
    groups = _theme.groups(len(words), ROWS)
    cells = np.stack([cells[group].mean(axis=0) for group in groups])
    samples, silent = _sound.sound(view, place)

    heights = [FLAT if silent else SOUND, max(3 * ROW, ROW * len(groups))]
    notes = [f"For {_theme.plain_name(view, place)}: {found.title}{heads(found)}.", silent]
    if len(groups) < len(words):
        notes.append(f"{len(words)} words in {len(groups)} rows: each is the mean of neighbours.")
    timed = [one for one in words if one < len(turn.words) and turn.words[one].span is not None]
    if not timed:
        notes.append("No times of words are known here.")
    drawn = _panels.panels(
        view, heights, gap=8, below=96, notes=filter(None, notes), shared_xaxes=True
    )
    low, high = _extent(turn, edges)
    if not silent and turn.span is not None:
        _draw_sound(drawn, view, _sound.spectrogram(samples, turn.span.start))
    _draw_cells(drawn, view, found, edges, cells, [_row(turn, words, one) for one in groups])
    _draw_words(drawn, view, turn, timed, (low, high), len(groups))
    places = {int(one): row for row, group in enumerate(groups) for one in words[list(group)]}
    _draw_boxes(drawn, view, turn, {one: places[int(one)] for one in timed})
    at, texts = _theme.ticks(low, high)
    drawn.update_xaxes(range=[low, high], showgrid=False)
    drawn.update_xaxes(tickvals=at, ticktext=texts, title_text="time in the recording", row=2)
    return drawn


def shown(view: View) -> tuple[Map, int]:
    """The map and the turn that are drawn."""
    maps = view.maps("word", "frame")
    place = _panels.chosen(view, maps)
    found = next((one for one in maps if place is not None and one.values[place] is not None), None)
    if found is None or place is None:
        raise ValueError("drawn without asking why_not")
    return found, place


def weights(found: Map, place: int) -> np.ndarray:
    """(words, frames) of a turn, heads averaged; weights as multiples of an even share."""
    value = found.mean(place)
    axes = [axis for axis in found.axes if axis != "head"]
    value = np.moveaxis(np.asarray(value, np.float64), axes.index("word"), 0)
    return _panels.relative(value) if found.sums == "frame" else value


def _extent(turn: Turn, edges: np.ndarray) -> tuple[float, float]:
    if turn.span is None:
        return float(edges[0]), float(edges[-1])
    return min(turn.span.start, float(edges[0])), max(turn.span.end, float(edges[-1]))


def _row(turn: Turn, words: np.ndarray, group: range) -> str:
    first, last = _panels.word(turn, words[group[0]]), _panels.word(turn, words[group[-1]])
    return first if len(group) == 1 else f"{first} … {last}"


def _draw_sound(drawn: go.Figure, view: View, seen: _sound.Spectrogram) -> None:
    colours = _theme.ground(view.dark)
    drawn.add_heatmap(
        x=seen.edges,
        y=seen.hertz / 1000,
        z=seen.level,
        zmin=0,
        zmax=255,
        colorscale=[[0, colours.paper], [1, colours.ink]],
        showscale=False,
        hovertemplate="%{x:.2f} s, %{y:.1f} kHz<extra></extra>",
        row=1,
        col=1,
    )
    drawn.update_yaxes(
        tickvals=[0, 2, 4], ticktext=["0", "2", "4 kHz"], range=[0, TOP], showgrid=False, row=1
    )


def _draw_cells(
    drawn: go.Figure, view: View, found: Map, edges: np.ndarray, cells: np.ndarray, rows: list[str]
) -> None:
    even = found.sums == "frame"
    top = max(LEAST if even else 1e-9, float(np.quantile(cells, DARKEST)))
    more = " or more" if cells.max() > top else ""
    marks = [1, top] if even else [0, top]
    names = ["1 = even", f"{top:.1f} ×{more}"] if even else ["0", f"{top:.2g}{more}"]
    drawn.add_heatmap(
        x=edges,
        y=np.arange(len(rows)),
        z=np.round(cells, 3).astype(np.float32),
        zmin=0,
        zmax=top,
        colorscale=_theme.ramp(view.dark),
        ygap=2,
        colorbar=_panels.scale(view, marks, names),
        hovertemplate="<b>%{y}</b> at %{x:.2f} s<br>%{z:.2f}"
        + (" × an even share" if even else "")
        + "<extra></extra>",
        row=2,
        col=1,
    )
    drawn.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=rows,
        range=[len(rows) - 0.5, -0.5],
        showgrid=False,
        tickfont={"color": _theme.ground(view.dark).ink},
        row=2,
    )


def _draw_words(
    drawn: go.Figure,
    view: View,
    turn: Turn,
    timed: list[int],
    extent: tuple[float, float],
    rows: int,
) -> None:
    """Edges of words, dotted where guessed, and the words that fit above them."""
    spans = {one: turn.words[one].span for one in timed}
    for placed, dash in ((True, "solid"), (False, "dot")):
        moments = sorted(
            {
                edge
                for one, span in spans.items()
                if span is not None and turn.words[one].placed is placed
                for edge in (span.start, span.end)
            }
        )
        for panel, (low, high) in ((1, (0, TOP)), (2, (-0.5, rows - 0.5))):
            x, y = _panels.dashes(moments, low, high)
            if moments and (panel == 1 or len(timed) <= LINED):
                drawn.add_scatter(
                    x=x,
                    y=y,
                    mode="lines",
                    line={"color": _theme.ground(view.dark).soft, "width": 0.6, "dash": dash},
                    hoverinfo="skip",
                    showlegend=False,
                    row=panel,
                    col=1,
                )
    middles = [span.middle for span in spans.values() if span is not None]
    texts = [_panels.word(turn, one) for one in timed]
    fit = _panels.fitting(middles, texts, *extent)
    drawn.add_scatter(
        x=[middles[one] for one in fit],
        y=[TOP - LINE * (line + 0.5) for line in fit.values()],
        text=[texts[one] for one in fit],
        mode="text",
        cliponaxis=False,
        textfont={"size": _theme.SMALL, "color": _theme.ground(view.dark).ink},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=1,
    )
    if drawn.layout.yaxis.range is None:
        drawn.update_yaxes(range=[TOP - 2 * LINE, TOP], visible=False, row=1)


def _draw_boxes(drawn: go.Figure, view: View, turn: Turn, rows: dict[int, int]) -> None:
    """Where each word was heard, around its own row."""
    x: list[float | None] = []
    y: list[float | None] = []
    for one, row in rows.items():
        span = turn.words[one].span
        if span is not None:
            corners = [(span.start, row - 0.5), (span.end, row - 0.5)]
            corners += [(span.end, row + 0.5), (span.start, row + 0.5), (span.start, row - 0.5)]
            x += [*(corner[0] for corner in corners), None]
            y += [*(corner[1] for corner in corners), None]
    drawn.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": _theme.ground(view.dark).ink, "width": 1.2},
        hoverinfo="skip",
        showlegend=False,
        row=2,
        col=1,
    )
