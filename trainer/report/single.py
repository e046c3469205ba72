"""Figures of one run alone: confusion, reliability, learning. ``figures`` says how each is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from erc_demo.emotions import label_set
from erc_demo.figures import _theme
from erc_demo.figures.calibration import interval
from trainer.metrics.described import NAMES

if TYPE_CHECKING:
    from trainer.compare import Group, Part, Run

ROW = 34  # pixels
Points = list[tuple[float | None, float | None]]


def empty(dark: bool, height: int, **layout: Any) -> go.Figure:
    """A figure of the theme without data."""
    return go.Figure(layout={"template": _theme.TEMPLATES[dark], "height": height, **layout})


def confusion(group: Group, run: Run, dark: bool) -> go.Figure:
    """What was said against what people said, mean over seeds."""
    assert run.honest is not None
    colours = _theme.ground(dark)
    marks = list(_theme.looks(label_set(group.labels), dark).values())
    counts = np.mean([one["confusion"]["counts"] for one in run.honest.reports], axis=0)
    silent = np.mean([one["confusion"]["unanswered"] for one in run.honest.reports], axis=0)
    columns = [f"{one.glyph}<br>{one.code}" for one in marks]
    if silent.any():
        counts, columns = np.column_stack([counts, silent]), [*columns, "∅"]
    with np.errstate(invalid="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
    drawn = empty(dark, 110 + ROW * len(marks))
    drawn.add_heatmap(
        z=np.nan_to_num(shares).round(4),
        x=list(range(len(columns))),
        y=list(range(len(marks))),
        zmin=0,
        zmax=1,
        colorscale=_theme.ramp(dark),
        showscale=False,
        xgap=1,
        ygap=1,
        text=[[f"{100 * one:.0f}" if one == one else "–" for one in row] for row in shares],
        texttemplate="%{text}",
        textfont={"size": _theme.SMALL},
        customdata=counts.round(1),
        hovertemplate="%{z:.0%}, %{customdata} turns<extra></extra>",
    )
    names = [f"<span style='color:{one.text}'>{one.name}</span>" for one in marks]
    drawn.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, autorange="reversed", showgrid=False
    )
    drawn.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=columns,
        side="top",
        showgrid=False,
        tickfont={"color": colours.ink},
    )
    drawn.update_layout(margin_t=48)
    return drawn


def reliability(run: Run, dark: bool) -> go.Figure:
    """Bins of all seeds, merged."""
    assert run.honest is not None
    colours = _theme.ground(dark)
    found = [one["calibration"] for one in run.honest.reports if one.get("calibration")]
    merged: dict[float, np.ndarray] = {}  # by a bin's lower end: turns, Σ confidence, right ones
    for each in (each for one in found for each in one["bins"]):
        added = each["n"] * np.array([1, each["confidence"], each["accuracy"]])
        merged[each["low"]] = merged.get(each["low"], 0) + added
    counts, sure, right = np.array([merged[low] for low in sorted(merged)]).T
    sure, right = sure / counts, right / counts
    # turns of several seeds are the same turns: an interval is as wide as that of one seed
    low, high = interval(right, counts / len(found))
    drawn = empty(dark, 280)
    drawn.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": colours.soft, "width": 1, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    drawn.add_scatter(
        x=sure.round(4),
        y=right.round(4),
        mode="markers",
        marker={"size": 8, "color": colours.ink, "line": {"color": colours.paper, "width": 1}},
        error_y={
            "type": "data",
            "array": (high - right).clip(0).round(4),
            "arrayminus": (right - low).clip(0).round(4),
            "color": colours.soft,
            "thickness": 1,
            "width": 0,
        },
        customdata=(counts / len(found)).round(1),
        hovertemplate="said with %{x:.0%}, right in %{y:.0%}<br>%{customdata} turns<extra></extra>",
        showlegend=False,
    )
    error = float(np.mean([one["ece"] for one in found]))
    shares = {"range": [-0.02, 1.02], "tickvals": [0, 0.5, 1], "ticktext": ["0", "½", "1"]}
    drawn.update_xaxes(title_text=f"probability (ECE {error:.3f})", **shares)
    drawn.update_yaxes(title_text="share that was right", **shares)
    return drawn


def learning(run: Run, dark: bool) -> go.Figure:
    """Every part's epochs."""
    colours = _theme.ground(dark)
    parts = [part for part in run.parts if part.history]
    drawn = empty(dark, 380)
    drawn.set_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    inks = _theme.inks(len(parts), dark)
    for at, part in enumerate(parts):
        losses, selected, chosen = curves(part)
        for row, points in ((1, losses), (2, selected)):
            drawn.add_scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="lines",
                line={"color": inks[at], "width": 1},
                name=_theme.escaped(part.name),
                hovertemplate="epoch %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
                showlegend=False,
                row=row,
                col=1,
            )
        drawn.add_scatter(
            x=[x for x, _ in chosen],
            y=[y for _, y in chosen],
            mode="markers",
            marker={"size": 7, "color": colours.ink, "line": {"color": colours.paper, "width": 1}},
            name=_theme.escaped(part.name),
            hovertemplate="chosen: epoch %{x}, %{y:.3f}<extra>%{fullData.name}</extra>",
            showlegend=False,
            row=2,
            col=1,
        )
    measures = sorted({NAMES.get(part.measure, part.measure) for part in parts})
    drawn.update_yaxes(title_text="loss", row=1, col=1, nticks=4)
    drawn.update_yaxes(title_text=" / ".join(measures), row=2, col=1, nticks=4)
    drawn.update_xaxes(title_text="epoch", row=2, col=1)
    return drawn


def curves(part: Part) -> tuple[Points, Points, list[tuple[int, float]]]:
    """Loss and selection by epoch, stages one after the other with a gap between; the chosen."""
    losses: Points = []
    selected: Points = []
    chosen: list[tuple[int, float]] = []
    before = None
    for x, event in enumerate(part.history, 1):
        stage = (event.get("phase"), event.get("stage"))
        if before not in (None, stage):
            losses.append((None, None))
            selected.append((None, None))
        before = stage
        losses.append((x, event.get("loss")))
        value = (event.get("select") or {}).get(part.measure)
        if value is None:
            continue
        selected.append((x, value))
        if part.stages.get(event.get("stage", ""), {}).get("epoch") == event.get("epoch"):
            chosen.append((x, value))
    return losses, selected, chosen
