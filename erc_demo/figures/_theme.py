"""How every figure looks: ink on paper, light and dark; hue means emotion and nothing else.

An emotion is told by colour, sign and word together, a person by lane and badge shape, doubt by a
dashed edge and "?". Everything else is ink. A figure has no title of its own, since the page sets
one; what must be seen with it (``figure(notes=…)``) stands at its top.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from erc_demo.emotions import LabelSet
from erc_demo.figures._contract import View
from erc_demo.findings import Prediction


@dataclass(frozen=True, slots=True)
class Ground:
    """The colours that are no emotion's."""

    ink: str  # words, outlines, what is selected
    soft: str  # words beside the data
    data: str  # marks that are no emotion
    edge: str  # outlines that should not shout
    grid: str
    sunk: str  # the bed of a lane
    paper: str


LIGHT = Ground("#161A20", "#5D6774", "#39424E", "#C9CFD8", "#E1E5EA", "#F0F2F5", "#FFFFFF")
DARK = Ground("#ECEFF3", "#9CA6B3", "#B9C2CE", "#3A434F", "#272E37", "#1D222A", "#161A20")
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
TEXT, SMALL = 12, 11  # pixels

MANY = 60  # turns; above it a figure shows groups of turns, not each
SURE = 0.5  # a best answer below this, or …
AHEAD = 0.1  # … less than this ahead of the next, is unsure where no checkpoint says below which
UNSURE = "?"
UNTRAINED = "untrained: random weights"
GUEST = "Guest, a model from elsewhere"

NARROWEST = 310  # pixels that the data have on a telephone, and the legend with them
ROW = 15  # pixels a line of notes
KEY = 74  # pixels of an entry's words in the legend, two beside each other on a telephone
KEYS = 19  # pixels a row of the legend
LETTER = 6.5  # pixels of a letter
NOTE = 56  # characters a line that fit into 390 pixels
SAID = 48  # characters a line of what was said, in a hover
LINES = 4  # of what was said, in a hover
NAME, WHO = 14, 10  # characters of a system's and of a speaker's name at an axis

BADGES = ("square", "circle", "diamond", "triangle-up", "pentagon", "hexagon", "star", "hourglass")
_BADGE_SIGNS = ("□", "○", "◇", "△", "⬠", "⬡", "☆", "⧖")  # the same in words
PATTERNS = ("", "/", ".", "x", "-", "\\", "|", "+")  # of series that are no emotions
_PATTERNS = {  # of the looks, as Plotly draws them
    "none": "", "wave": "-", "dots": ".", "down": "\\", "solid-dark": "", "up": "/",
    "cross": "x", "grid": "+", "rings": ".", "diag": "/", "zigzag": "|",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """How a label is drawn on one ground."""

    label: str
    code: str  # three letters
    fill: str
    on_fill: str  # of a sign in the fill
    text: str  # of words on the paper
    line: str  # of an edge around the fill
    glyph: str
    pattern: str  # Plotly's pattern
    name: str  # sign and word


def ground(dark: bool) -> Ground:
    """The colours of light or dark paper."""
    return DARK if dark else LIGHT


def look(labels: LabelSet, label: str, dark: bool) -> Mark:
    """How a label of a set is drawn."""
    one = labels.look(label)
    fill, on_fill, text = (
        (one.fill_dark, one.on_fill_dark, one.text_dark)
        if dark
        else (one.fill, one.on_fill, one.text)
    )
    return Mark(
        label=label,
        code=label[:3],
        fill=fill,
        on_fill=on_fill,
        text=text,
        line=text if one.outlined and not dark else fill,
        glyph=one.glyph,
        pattern=_PATTERNS[one.pattern],
        name=f"{one.glyph} {label}",
    )


def looks(labels: LabelSet | None, dark: bool) -> dict[str, Mark]:
    """How every label of a set is drawn, in its order."""
    return {label: look(labels, label, dark) for label in labels.labels} if labels else {}


def inks(count: int, dark: bool) -> list[str]:
    """So many greys from ink towards paper, for series that are no emotions."""
    colours = ground(dark)
    shares = np.linspace(0, 0.72, count) if count > 1 else np.zeros(count)
    return [blend(colours.data, colours.paper, float(share)) for share in shares]


def blend(one: str, other: str, share: float) -> str:
    """A colour between two, #RRGGBB.

    >>> blend("#000000", "#FFFFFF", 0.5)
    '#808080'
    """
    pairs = ((int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


def ramp(dark: bool) -> list[list[float | str]]:
    """The colour scale of weights: from the bed of a lane to ink."""
    colours = ground(dark)
    return [[0.0, colours.sunk], [0.5, blend(colours.sunk, colours.ink, 0.5)], [1.0, colours.ink]]


def _template(dark: bool) -> go.layout.Template:
    colours = ground(dark)
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.edge,
        "tickcolor": colours.edge,
        "tickfont": {"color": colours.soft, "size": SMALL},
        "title": {"font": {"color": colours.soft, "size": SMALL}, "standoff": 6},
        "zeroline": False,
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONTS, "size": TEXT, "color": colours.ink},
            "paper_bgcolor": colours.paper,
            "plot_bgcolor": colours.paper,
            "colorway": inks(6, dark),
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 8, "r": 8, "t": 24, "b": 8},
            "hoverlabel": {
                "bgcolor": colours.paper,
                "bordercolor": colours.ink,
                "font": {"family": FONTS, "size": TEXT, "color": colours.ink},
                "align": "left",
            },
            "hovermode": "closest",
            "dragmode": False,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "y": 0,
                "yref": "container",
                "yanchor": "bottom",
                "font": {"size": SMALL, "color": colours.ink},
                "itemclick": False,
                "itemdoubleclick": False,
                "itemsizing": "constant",
                "entrywidth": KEY,
                "maxheight": 1.0,
                "bgcolor": "rgba(0,0,0,0)",
            },
        }
    )


TEMPLATES = {dark: _template(dark) for dark in (False, True)}


def figure(
    view: View,
    *,
    height: int = 320,
    notes: Iterable[str] = (),
    predictions: Sequence[Prediction] | None = None,
) -> go.Figure:
    """An empty figure in the theme; those of its predictions that are untrained are marked.

    Its width is the page's. ``notes`` are sentences that have to be seen with the figure,
    ``predictions`` those that it draws, the view's own unless others are named.
    """
    empty = go.Figure(layout={"template": TEMPLATES[view.dark], "height": height})
    return noted(empty, view, notes, predictions)


def noted(
    drawn: go.Figure,
    view: View,
    notes: Iterable[str] = (),
    predictions: Sequence[Prediction] | None = None,
) -> go.Figure:
    """The figure with its notes at the top, those of untrained predictions and guests first."""
    if predictions is None:
        predictions = (view.prediction,) if view.prediction is not None else ()
    random = [one.system for one in predictions if not one.trained]
    mark = f"{UNTRAINED} ({', '.join(random)})" if random else ""
    loud = f"<b><span style='color:{ground(view.dark).ink}'>"
    lines = [f"{loud}{escaped(part)}</span></b>" for part in textwrap.wrap(mark, NOTE - 4)]
    if guests := [one.system for one in predictions if one.guest]:
        notes = [f"{GUEST}: {', '.join(guests)}.", *notes]
    lines += [escaped(part) for note in notes for part in textwrap.wrap(note, NOTE)]
    if not lines:
        return drawn
    high = ROW * len(lines)
    drawn.update_layout(
        title={
            "text": "<br>".join(lines),
            "font": {"size": SMALL, "color": ground(view.dark).soft, "weight": 400},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 14, "l": 8},
        },
        margin_t=30 + high,
        height=(drawn.layout.height or 0) + high,
    )
    return drawn


def keyed(drawn: go.Figure, width: int = KEY) -> go.Figure:
    """The figure, higher by the rows that its legend takes on a telephone.

    ``width`` is that of an entry's words at least, in pixels. On wide pages the rows are fewer and
    what they leave goes to the data.
    """
    entries = [one.name for one in drawn.data if one.showlegend is not False and one.name]
    longest = max((len(html.unescape(one)) for one in entries), default=0)
    width = max(width, round(longest * LETTER))
    rows = -(-len(entries) // max(1, NARROWEST // (width + 46)))
    drawn.update_layout(height=drawn.layout.height + KEYS * rows, legend_entrywidth=width)
    return drawn


def escaped(text: str) -> str:
    """Words as Plotly's text may hold them: no tag, no entity of their own."""
    return html.escape(text, quote=False)


def cut(text: str, most: int) -> str:
    """So many characters of a text, with "…" where some are left out.

    >>> cut("conversation", 6)
    'conve…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def wrapped(text: str) -> str:
    """Words for a hover: escaped, in a few short lines."""
    lines = textwrap.wrap(text, SAID)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], lines[LINES - 1][: SAID - 1] + "…"]
    return "<br>".join(escaped(line) for line in lines)


def clock(seconds: float) -> str:
    """A moment as people say it.

    >>> clock(62.34), clock(3725), clock(59.97)
    ('1:02.3', '1:02:05.0', '1:00.0')
    """
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def ticks(low: float, high: float, most: int = 6) -> tuple[list[float], list[str]]:
    """Round moments for an axis of seconds, and what to write there."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
    step = next((one for one in steps if (high - low) / one <= most), steps[-1])
    moments = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    words = [clock(float(one)) for one in moments]
    return moments.tolist(), words if step < 1 else [one[:-2] for one in words]


def percent(share: float | None) -> str:
    """A share as people say it."""
    return "–" if share is None else f"{100 * share:.0f} %"


def unsure(prediction: Prediction, place: int) -> bool:
    """Whether a turn's best answer is below the checkpoint's own threshold.

    One that was not calibrated has none: then below ``SURE``, or less than ``AHEAD`` ahead.
    """
    if prediction.labels is None or prediction.why_not[place]:
        return False
    if prediction.unsure_below is not None:
        return prediction.unsure(place)
    best, second = np.sort(prediction.probabilities[place])[:-3:-1].astype(float)
    return bool(best < SURE or best - second < AHEAD)


def speaker_name(view: View, speaker: str) -> str:
    """A person at an axis: badge and name, escaped and cut."""
    return f"{_sign(view, speaker)} {escaped(cut(speaker, WHO))}"


def badge(view: View, speaker: str) -> str:
    """A person's marker, the same in every figure."""
    return BADGES[view.analysis.dialogue.speakers.index(speaker) % len(BADGES)]


def _sign(view: View, speaker: str) -> str:
    return _BADGE_SIGNS[view.analysis.dialogue.speakers.index(speaker) % len(BADGES)]


def turn_name(view: View, place: int) -> str:
    """``turn 12, B``, escaped."""
    return escaped(plain_name(view, place))


def plain_name(view: View, place: int) -> str:
    """``turn 12, B``, for a note, which is escaped as a whole."""
    turn = view.analysis.dialogue.turns[place]
    return f"turn {turn.number}, {cut(turn.speaker, WHO)}"


def heading(view: View, place: int) -> str:
    """The first lines of a hover over a turn: which, when, and what was said."""
    turn = view.analysis.dialogue.turns[place]
    when = f" · {clock(turn.span.start)}–{clock(turn.span.end)}" if turn.span is not None else ""
    said = f"“{wrapped(turn.text)}”" if turn.text.strip() else "<i>no words</i>"
    return f"<b>{turn_name(view, place)}</b>{when}<br>{said}"


def answer(view: View, prediction: Prediction, place: int) -> str:
    """What a system says of a turn, in words."""
    if prediction.why_not[place]:
        return f"no answer: {wrapped(prediction.why_not[place])}"
    label = prediction.label(place)
    if prediction.labels is None or label is None:
        pairs = zip(prediction.dimensions, prediction.values[place], strict=True)
        return ", ".join(f"{name} {value:+.2f}" for name, value in pairs)
    doubt = f" {UNSURE} unsure" if unsure(prediction, place) else ""
    name = look(prediction.labels, label, view.dark).name
    deaf = ", without its words" if place in prediction.words_ignored else ""
    return f"{name} {percent(prediction.confidence(place))}{doubt}{deaf}"


def hover(view: View, place: int) -> str:
    """A turn's words, what the system of the view says of it, and what people did."""
    lines = [heading(view, place)]
    if view.prediction is not None:
        lines.append(answer(view, view.prediction, place))
        truth = view.truth[place] if view.truth else None
        if truth is not None and view.prediction.labels is not None:
            lines.append(f"people said {look(view.prediction.labels, truth, view.dark).name}")
    return "<br>".join(lines)


def groups(count: int, most: int) -> list[range]:
    """Places 0 … count as at most so many neighbouring groups of even size.

    >>> [list(one) for one in groups(5, 2)]
    [[0, 1, 2], [3, 4]]
    """
    size = -(-count // most) if count else 1
    return [range(start, min(start + size, count)) for start in range(0, count, size)]
