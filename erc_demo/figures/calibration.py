r"""Whether the probabilities can be believed: reliability diagram and risk–coverage curve.

Held against the labels that people gave. A turn counts by the probability of its likeliest label
and by whether that label was given (top-label calibration). The n turns fall into B bins of equal
mass, B = min(15, n // 10) and at least 1, cut at quantiles so that equal probabilities share a bin:

    ECE = \sum_b n_b / n · |accuracy_b − confidence_b|     (Naeini et al. 2015; bins of equal mass
                                                            as in Nguyen and O'Connor 2015)

Whiskers are Wilson's 95 % interval of a bin's accuracy (1927). Risk at coverage c is the share of
errors among the fraction c of turns answered with the most confidence (El-Yaniv and Wiener 2010);
turns of equal probability are answered together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from erc_demo.figures import _theme
from erc_demo.figures._contract import View

TITLE = "Can the probabilities be believed?"
READ = (
    "Left, dots on the diagonal mean that answers given with 70 % are right 70 times in 100, and "
    "dots below it that they are too sure; right, the share of wrong answers if only the surest "
    "turns were answered."
)
BINS, PER_BIN = 15, 10
FEW = 30  # labelled turns; below it an error of calibration says nothing
POINTS = 200  # of the curve
Z = 1.959964  # of the normal distribution, 95 %
HEIGHT = 280


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Turns by confidence: in each bin how many, how sure, how often right."""

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error."""
        return float(
            (self.counts * np.abs(self.accuracy - self.confidence)).sum() / self.counts.sum()
        )


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    if view.prediction is None:
        return "No system was asked about this conversation."
    if view.prediction.labels is None:
        return f"{view.prediction.system} says no labels, so nothing can be held against them."
    if not any(view.truth):
        return "Nobody labelled this conversation, so the probabilities can't be held against it."
    if not len(judged(view)[0]):
        return f"{view.prediction.system} answers no turn that somebody labelled."
    return ""


def draw(view: View) -> go.Figure:
    """The figure."""
    confidence, right = judged(view)
    found = binned(confidence, right)
    n = len(confidence)
    if n < FEW:
        notes = [f"{n} labelled turns: too few to tell; {FEW} are wanted."]
    else:
        notes = [
            f"{n} labelled turns, {_theme.percent(right.mean())} right. Probabilities are off by "
            f"{100 * found.error:.1f} points on average (ECE, {len(found.counts)} bins of equal "
            "mass).",
            _halved(confidence, right),
        ]
    drawn = _theme.figure(view, height=HEIGHT, notes=notes)
    drawn.set_subplots(cols=2, horizontal_spacing=0.17)
    _draw_reliability(drawn, view, found)
    _draw_risk(drawn, view, confidence, right)
    return drawn


def judged(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Of each turn with an answer and a label: the confidence, and whether it was right."""
    said = view.prediction
    if said is None or not view.truth:
        return np.zeros(0), np.zeros(0, bool)
    places = [at for at in np.flatnonzero(said.answered).tolist() if view.truth[at] is not None]
    confidence = said.probabilities[places].max(axis=1, initial=0.0).astype(np.float64)
    return confidence, np.array([said.label(at) == view.truth[at] for at in places], bool)


def binned(confidence: np.ndarray, right: np.ndarray) -> Bins:
    """Bins of equal mass; those that ties leave empty are left out."""
    bins = max(1, min(BINS, len(confidence) // PER_BIN))
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    which = np.searchsorted(edges, confidence)
    counts = np.bincount(which, minlength=bins)
    kept = counts > 0
    sums = (np.bincount(which, weights=one, minlength=bins) for one in (confidence, right))
    means = [one[kept] / counts[kept] for one in sums]
    return Bins(counts=counts[kept], confidence=means[0], accuracy=means[1])


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk), the surest turns first; one point for each distinct confidence."""
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    answered = ends + 1
    wrong = np.cumsum(~right[order])[ends]
    return answered / len(confidence), wrong / answered


def interval(accuracy: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of shares."""
    spread = 1 + Z**2 / counts
    centre = (accuracy + Z**2 / (2 * counts)) / spread
    half = Z / spread * np.sqrt(accuracy * (1 - accuracy) / counts + Z**2 / (4 * counts**2))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def _halved(confidence: np.ndarray, right: np.ndarray) -> str:
    coverage, risk = risk_coverage(confidence, right)
    at = int(np.abs(coverage - 0.5).argmin())
    return (
        f"Of the surest {_theme.percent(coverage[at])} of the turns {_theme.percent(risk[at])} "
        f"are wrong, of all {_theme.percent(risk[-1])}."
    )


def _draw_reliability(drawn: go.Figure, view: View, found: Bins) -> None:
    colours = _theme.ground(view.dark)
    low, high = interval(found.accuracy, found.counts)
    drawn.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": colours.soft, "width": 1, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=1,
    )
    drawn.add_scatter(
        x=found.confidence.round(4),
        y=found.accuracy.round(4),
        mode="markers",
        marker={"size": 8, "color": colours.ink, "line": {"color": colours.paper, "width": 1}},
        error_y={
            "type": "data",
            "array": (high - found.accuracy).round(4),
            "arrayminus": (found.accuracy - low).round(4),
            "color": colours.soft,
            "thickness": 1,
            "width": 0,
        },
        customdata=found.counts,
        hovertemplate="said with %{x:.0%}, right in %{y:.0%}<br>%{customdata} turns<extra></extra>",
        showlegend=False,
        row=1,
        col=1,
    )
    each = sorted({int(one) for one in found.counts})
    count = f"{each[0]}" if len(each) == 1 else f"{each[0]}–{each[-1]}"
    shares = {"range": [-0.02, 1.02], "tickvals": [0, 0.5, 1], "ticktext": ["0", "½", "1"]}
    drawn.update_xaxes(title_text=f"probability<br>({count} turns a dot)", **shares, col=1)
    drawn.update_yaxes(title_text="share that was right", **shares, col=1)


def _draw_risk(drawn: go.Figure, view: View, confidence: np.ndarray, right: np.ndarray) -> None:
    colours = _theme.ground(view.dark)
    coverage, risk = risk_coverage(confidence, right)
    if len(confidence) >= FEW:  # of fewer turns than a bin has, a share says nothing
        coverage, risk = (one[coverage * len(confidence) >= PER_BIN] for one in (coverage, risk))
    kept = np.unique(np.linspace(0, len(risk) - 1, min(POINTS, len(risk))).round().astype(int))
    drawn.add_scatter(
        x=coverage[kept].round(4),
        y=risk[kept].round(4),
        mode="lines+markers" if len(kept) < FEW else "lines",
        line={"color": colours.ink, "width": 1.6, "shape": "hv"},
        marker={"size": 6, "color": colours.ink},
        hovertemplate="answering the surest %{x:.0%}: %{y:.0%} wrong<extra></extra>",
        showlegend=False,
        row=1,
        col=2,
    )
    top = max(0.1, float(risk.max())) * 1.05
    drawn.update_xaxes(
        title_text="share of turns<br>answered",
        range=[-0.02, 1.02],
        tickvals=[0, 0.5, 1],
        ticktext=["0", "½", "1"],
        col=2,
    )
    drawn.update_yaxes(title_text="share wrong", range=[0, top], nticks=4, col=2)
