"""A long conversation as columns of time: how much of each was said, by whom, in which emotion."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from erc_demo.dialogue import Span
from erc_demo.figures._contract import View
from erc_demo.figures._theme import hover, percent, unsure


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one person said in one column with one label; None: unsure, without answer or plain."""

    speaker: str
    column: int
    label: str | None
    share: float  # of the column
    below: float  # the shares of the pieces under it
    confidence: float
    hover: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """All pieces, and of each column the share in which several people talk."""

    edges: np.ndarray  # (columns + 1,)
    spans: list[Span]  # of the turns
    pieces: list[Piece]
    both: np.ndarray  # (columns,)

    @property
    def most(self) -> float:
        """The largest share of a column that one person takes."""
        return max(one.below + one.share for one in self.pieces)

    def runs(self, speaker: str) -> list[tuple[float, str]]:
        """The middle of each run of columns in which one label takes most, and that label."""
        shares: dict[int, dict[str, float]] = {}
        for one in self.pieces:
            if one.speaker == speaker and one.label is not None:
                shares.setdefault(one.column, {})[one.label] = one.share
        main = {column: max(these, key=these.__getitem__) for column, these in shares.items()}
        found, at = [], 0
        for label, run in groupby(main.get(column) for column in range(len(self.edges) - 1)):
            after = at + len(list(run))
            if label is not None:
                found.append((float(self.edges[at] + self.edges[after]) / 2, label))
            at = after
        return found


def columns(view: View, spans: list[Span], edges: np.ndarray) -> Columns:
    """Cut a conversation at moments that grow."""
    turns = view.analysis.dialogue.turns
    shares = _shares(spans, edges)
    pieces: list[Piece] = []
    for speaker in view.analysis.dialogue.speakers:
        own = np.array([turn.speaker == speaker for turn in turns])[:, None] * shares
        for column in range(len(edges) - 1):
            below = 0.0
            for label, these in _by_label(view, own[:, column]).items():
                share = float(these.sum())
                pieces.append(
                    Piece(
                        speaker=speaker,
                        column=column,
                        label=label,
                        share=share,
                        below=below,
                        confidence=_confidence(view, these),
                        hover=_hover(view, label, these),
                    )
                )
                below += share
    both = _shares(list(view.analysis.dialogue.overlaps()), edges).sum(axis=0)
    return Columns(edges=edges, spans=spans, pieces=pieces, both=both)


def _shares(spans: list[Span], edges: np.ndarray) -> np.ndarray:
    """Of each column the share that each span covers, (spans, columns)."""
    starts = np.array([one.start for one in spans])[:, None]
    ends = np.array([one.end for one in spans])[:, None]
    covered = np.minimum(ends, edges[1:]) - np.maximum(starts, edges[:-1])
    return np.clip(covered, 0, None) / np.diff(edges)


def _by_label(view: View, shares: np.ndarray) -> dict[str | None, np.ndarray]:
    """Every turn's share under its label, in the order of labels; under None where unsure."""
    said = view.prediction
    found: dict[str | None, np.ndarray] = {}
    for place in np.flatnonzero(shares).tolist():
        sure = said is not None and not unsure(said, place)
        label = said.label(place) if said is not None and sure else None
        found.setdefault(label, np.zeros_like(shares))[place] = shares[place]
    order = said.labels.labels if said is not None and said.labels is not None else ()
    return {label: found[label] for label in (*order, None) if label in found}


def _confidence(view: View, shares: np.ndarray) -> float:
    said = view.prediction
    if said is None or said.labels is None:
        return 1.0
    best = said.probabilities.max(axis=1)
    return float(np.nansum(shares * best) / shares.sum())


def _hover(view: View, label: str | None, shares: np.ndarray) -> str:
    named = view.prediction is not None and view.prediction.labels is not None
    what = label or ("unsure or no answer" if named else "talking")
    count = np.count_nonzero(shares)
    turns = "1 turn" if count == 1 else f"{count} turns, the longest:"
    part = percent(float(shares.sum()))
    return f"{what}: {part} of this column, in {turns}<br>{hover(view, int(shares.argmax()))}"
