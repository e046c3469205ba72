"""What a figure is drawn from: a View of an Analysis; and what comes out: a Picture.

A file of this folder is one figure. It holds

- ``TITLE``: a few words; ``READ``: one sentence, how to read it;
- ``why_not(view)``: empty where it can be drawn, else one sentence that says what is missing;
- ``draw(view)``: a Plotly figure, nothing but a function of the view.

A figure goes by what a map's axes are, never by a system's name, so that a new system is drawn too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from erc_demo.dialogue import Recording
from erc_demo.errors import UserError
from erc_demo.findings import Analysis, Explanation, Map, Prediction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """What a person looks at: a conversation, one system's answers, one turn, light or dark.

    ``turn`` is a place; ``truth`` the labels that people gave, of the system's label set, None
    where nobody did.
    """

    analysis: Analysis
    system: str | None = None  # as ``Analysis.asked`` calls it; None: the first that was asked
    turn: int | None = None  # None: the figure chooses, and says which
    recording: Recording | None = None
    truth: tuple[str | None, ...] = ()
    dark: bool = False

    def __post_init__(self) -> None:
        turns = len(self.analysis.dialogue.turns)
        if self.turn is not None and not 0 <= self.turn < turns:
            raise UserError(
                f"The turn at place {self.turn}, counted from 0, was asked for; this conversation "
                f"has {turns} turns."
            )
        if self.truth and len(self.truth) != turns:
            raise UserError(f"{len(self.truth)} labels were given for {turns} turns.")

    @property
    def prediction(self) -> Prediction | None:
        """The answers of the system that is looked at; None where nobody was asked."""
        if self.system is not None:
            return self.analysis.prediction(self.system)
        return self.analysis.predictions[0] if self.analysis.predictions else None

    @property
    def explanation(self) -> Explanation | None:
        """What was measured of that system."""
        asked = self.analysis.asked
        return self.analysis.explanation(self.system or asked[0]) if asked else None

    def maps(self, *axes: str, weights: bool | None = None) -> tuple[Map, ...]:
        """The system's maps that have just these axes, heads apart; of weights, or of none."""
        one = self.prediction
        if one is None:
            return ()
        found = (each for each in one.maps if set(each.axes) - {"head"} == set(axes))
        return tuple(one for one in found if weights in (None, one.sums is not None))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A drawn figure with its title and the sentence that says how to read it."""

    name: str
    title: str
    read: str
    figure: Any  # plotly.graph_objects.Figure
