"""The figures of a comparison, light or dark, in the theme of ``erc_demo.figures``.

Hue means emotion and nothing else, and stands beside the label's sign and word; runs are told by
ink, pattern and place. Each figure has one sentence that says how to read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from erc_demo.emotions import label_set
from erc_demo.figures import _theme
from trainer.metrics.described import NAMES
from trainer.report.single import confusion, empty, learning, reliability
from trainer.report.tables import LEVEL, PUBLISHED, per_class

if TYPE_CHECKING:
    from trainer.compare import Group, Run

WIDE = 26  # characters of a run's name at an axis
BAR = 15  # pixels
DRAWN = ("weighted_f1", "ua", "ccc")  # with their intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure to be drawn on light or on dark paper; ``run`` where it is of one run alone."""

    title: str
    read: str
    draw: Callable[[bool], go.Figure]
    run: str = ""


def drawings(group: Group) -> Iterator[Drawing]:
    """All of a group, in the order of reading."""
    told = [one for one in group.runs if one.honest is not None]
    if told:
        yield Drawing(
            title="Measures",
            read="Each dot is a run's mean over its seeds and the line its 95 % interval; a hollow "
            f"diamond is the figure {PUBLISHED}, selected on the part that is reported.",
            draw=lambda dark: _intervals(group, told, dark),
        )
    if group.tests:
        yield Drawing(
            title="Differences",
            read="Each line is the 95 % interval of one difference between two runs; a filled dot "
            "means that it stays significant after Holm's correction, and 0 means no difference.",
            draw=lambda dark: _differences(group, dark),
        )
    if group.labels and told:
        yield Drawing(
            title="F1 of each label",
            read="Each bar is one run's F1 of one label, runs in the order of the legend from top "
            "to bottom; longer is better.",
            draw=lambda dark: _classes(group, told, dark),
        )
        for run in told:
            yield Drawing(
                title="Confusion",
                read="Each row is what people said and sums to 100 %, each column what the run "
                "said; the diagonal is what was right, “∅” are turns without an answer.",
                draw=lambda dark, run=run: confusion(group, run, dark),  # type: ignore[misc]
                run=run.name,
            )
        for run in told:
            if run.honest and any(one.get("calibration") for one in run.honest.reports):
                yield Drawing(
                    title="Reliability",
                    read="Dots on the dashed diagonal mean that answers given with 70 % are right "
                    "70 times in 100; dots below it are too sure.",
                    draw=lambda dark, run=run: reliability(run, dark),  # type: ignore[misc]
                    run=run.name,
                )
    for run in group.runs:
        if any(part.history for part in run.parts):
            yield Drawing(
                title="Learning",
                read="Each thin line is one fold and seed, its stages one after the other: above "
                "the loss, below what selection saw; a dot is the epoch that was chosen.",
                draw=lambda dark, run=run: learning(run, dark),  # type: ignore[misc]
                run=run.name,
            )


def _name(text: str) -> str:
    return _theme.escaped(_theme.cut(text, WIDE))


def _intervals(group: Group, runs: Sequence[Run], dark: bool) -> go.Figure:
    colours = _theme.ground(dark)
    rows: list[tuple[str, str, Any, Any]] = []
    for measure in DRAWN:
        for run in runs:
            if run.honest and measure in run.honest.figures:
                beside = run.published.figures.get(measure) if run.published else None
                rows.append((measure, run.name, run.honest.figures[measure], beside))
    drawn = empty(dark, 60 + 36 * len(rows))
    places = list(range(len(rows)))
    drawn.add_scatter(
        x=[round(one.mean, 4) for _, _, one, _ in rows],
        y=places,
        mode="markers",
        marker={"size": 9, "color": colours.ink},
        error_x={
            "type": "data",
            "array": [_up(one.high - one.mean) for _, _, one, _ in rows],
            "arrayminus": [_up(one.mean - one.low) for _, _, one, _ in rows],
            "color": colours.data,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=[[NAMES[measure], _theme.escaped(name)] for measure, name, _, _ in rows],
        hovertemplate="%{customdata[1]}<br>%{customdata[0]} %{x:.3f}<extra></extra>",
        showlegend=False,
    )
    pairs = [(at, beside.mean) for at, (_, _, _, beside) in enumerate(rows) if beside]
    drawn.add_scatter(
        x=[round(mean, 4) for _, mean in pairs],
        y=[at for at, _ in pairs],
        mode="markers",
        marker={"size": 10, "symbol": "diamond-open", "color": colours.ink},
        hovertemplate=f"{PUBLISHED}: %{{x:.3f}}<extra></extra>",
        showlegend=False,
    )
    words = [f"{_name(name)}<br>{NAMES[measure]}" for measure, name, _, _ in rows]
    drawn.update_yaxes(tickvals=places, ticktext=words, range=[len(rows) - 0.5, -0.5])
    drawn.update_xaxes(nticks=5)
    return drawn


def _differences(group: Group, dark: bool) -> go.Figure:
    colours = _theme.ground(dark)
    drawn = empty(dark, 60 + 50 * len(group.tests))
    places = list(range(len(group.tests)))
    drawn.add_vline(x=0, line={"color": colours.soft, "width": 1, "dash": "dash"})
    drawn.add_scatter(
        x=[round(one.difference, 4) for one in group.tests],
        y=places,
        mode="markers",
        marker={
            "size": 9,
            "color": colours.ink,
            "symbol": ["circle" if one.corrected < LEVEL else "circle-open" for one in group.tests],
        },
        error_x={
            "type": "data",
            "array": [_up(one.high - one.difference) for one in group.tests],
            "arrayminus": [_up(one.difference - one.low) for one in group.tests],
            "color": colours.data,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=[round(one.corrected, 4) for one in group.tests],
        hovertemplate="%{x:+.3f}, corrected p %{customdata}<extra></extra>",
        showlegend=False,
    )
    words = [
        f"{_name(one.first)}<br>− {_name(one.second)}<br>{NAMES[one.measure]}"
        for one in group.tests
    ]
    drawn.update_yaxes(tickvals=places, ticktext=words, range=[len(words) - 0.5, -0.5])
    drawn.update_xaxes(nticks=5)
    return drawn


def _classes(group: Group, runs: Sequence[Run], dark: bool) -> go.Figure:
    colours = _theme.ground(dark)
    known = label_set(group.labels)
    marks = _theme.looks(known, dark)
    rows = [f"<span style='color:{one.text}'>{one.name}</span>" for one in marks.values()]
    drawn = empty(
        dark, 70 + len(rows) * (BAR * len(runs) + 12), barmode="group", bargap=0.18, bargroupgap=0.1
    )
    fills = _theme.inks(len(runs), dark)
    for at, run in enumerate(runs):
        f1 = [per_class(run, label)[0] for label in known.labels]
        drawn.add_bar(
            x=[round(one, 4) for one in f1],
            y=rows,
            orientation="h",
            name=_name(run.name),
            marker={
                "color": fills[at],
                "line": {"color": colours.data, "width": 1},
                "pattern": {
                    "shape": _theme.PATTERNS[at % len(_theme.PATTERNS)],
                    "fillmode": "overlay",
                    "fgcolor": colours.ink if at else colours.paper,
                    "size": 6,
                },
            },
            text=[f"{one:.2f}" for one in f1],
            textposition="outside",
            cliponaxis=False,
            textfont={"size": _theme.SMALL, "color": colours.soft},
            hovertemplate="%{y}: F1 %{x:.3f}<extra>%{fullData.name}</extra>",
        )
    drawn.update_yaxes(autorange="reversed")
    drawn.update_xaxes(range=[0, 1.08], tickvals=[0, 0.5, 1])
    drawn.update_layout(showlegend=True, legend_traceorder="normal")
    return _theme.keyed(drawn)


def _up(length: float) -> float | None:
    """A whisker; none where there is no interval."""
    return round(max(length, 0.0), 4) if np.isfinite(length) else None
