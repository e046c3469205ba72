"""What if: how a turn's answer would have changed with one thing taken away, as measured.

Drawn of the Explanation. Bars are points (hundredths of probability) of the label that is shown;
a striped bar makes the system say something else. Under them: what could not be measured and why,
and for each map that was checked, whether it agrees with such measurements.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from erc_demo.dialogue import Turn
from erc_demo.figures import _panels, _theme
from erc_demo.figures._blocks import HOVER
from erc_demo.figures._contract import View
from erc_demo.findings import Effect, Faithfulness

TITLE = "What if"
READ = (
    "Each bar is the answer measured again with one thing changed: to the left the shown label "
    "loses points, to the right it gains; striped bars change the label."
)
ROWS = 14  # the strongest are drawn
ROW = 36  # pixels: a line of words and a bar
SAID = 24  # characters of a quotation
KINDS = {  # of variants, in the verdicts
    "without": "an input taken away",
    "alone": "one speaker alone",
    "from": "the past forgotten",
    "drop": "a turn taken away",
    "mask": "a word masked",
    "blank": "a stretch made silent",
    "say": "another text",
}


def why_not(view: View) -> str:
    """What is missing, as a sentence."""
    if view.prediction is None:
        return "No system was asked about this conversation."
    if view.explanation is None or not view.explanation.effects:
        return f"Nothing was measured of {view.prediction.system} here."
    if view.turn is not None and chosen(view) is None:
        number = view.analysis.dialogue.turns[view.turn].number
        return f"Nothing was measured of turn {number} with {view.prediction.system}."
    return ""


def draw(view: View) -> go.Figure:
    """The figure."""
    place, explanation, said = chosen(view), view.explanation, view.prediction
    if place is None or explanation is None or said is None:
        raise ValueError("drawn without asking why_not")
    effects = explanation.of(place)
    shown, left = strongest(effects)
    notes = [f"For {_theme.plain_name(view, place)}: {_theme.answer(view, said, place)}."]
    if left:
        most = max(abs(one.change or 0.0) for one in left)
        others = "1 other change" if len(left) == 1 else f"{len(left)} other changes"
        notes.append(f"{others}, of {100 * most:.0f} points at most, left out.")
    under = footnotes(view, effects, explanation.faithfulness)
    drawn = _panels.panels(
        view,
        [ROW * max(1, len(shown)) + 6],
        below=_panels.BELOW + _theme.ROW * len(under),
        notes=notes,
    )
    _draw_bars(drawn, view, shown)
    _draw_words(drawn, view, shown)
    colours = _theme.ground(view.dark)
    drawn.add_annotation(
        text="<br>".join(under),
        x=0,
        xref="paper",
        y=0,
        yref="paper",
        yshift=-_panels.BELOW,
        xanchor="left",
        yanchor="top",
        align="left",
        showarrow=False,
        font={"size": _theme.SMALL, "color": colours.soft},
    )
    return drawn


def chosen(view: View) -> int | None:
    """The turn asked for if anything was measured of it; else the first of which something was."""
    places = {one.turn for one in view.explanation.effects} if view.explanation else set()
    if view.turn is None:
        return min(places, default=None)
    return view.turn if view.turn in places else None


def strongest(effects: Sequence[Effect]) -> tuple[list[Effect], list[Effect]]:
    """Those to draw, from the greatest loss to the greatest gain; and the weaker ones.

    What changes the label counts as stronger than what does not.
    """
    measured = [one for one in effects if one.change is not None]
    order = sorted(measured, key=lambda one: (not one.flips, -abs(one.change or 0.0)))
    return sorted(order[:ROWS], key=lambda one: one.change or 0.0), order[ROWS:]


def points(effect: Effect) -> float:
    """The change in hundredths of probability."""
    return 100 * (effect.change or 0.0)


def told(view: View, effect: Effect) -> str:
    """What was changed, in words."""
    variant, turns = effect.variant, view.analysis.dialogue.turns
    if variant.kind == "without":
        return f"Without {' and '.join(variant.inputs)}"
    if variant.kind == "alone":
        own = variant.speaker == turns[effect.turn].speaker
        name = _theme.cut(variant.speaker or "", _theme.NAME)
        return f"{name} alone, everyone else muted" if own else f"{name} alone"
    if variant.turn is None:
        raise ValueError(f"a variant '{variant.kind}' without its turn")
    turn = turns[variant.turn]
    if variant.kind == "from":
        here = variant.turn == effect.turn
        return f"Nothing before {'it' if here else f'turn {turn.number}'}"
    if variant.kind == "drop":
        return f"Without turn {turn.number}, {_quoted(turn.text)}"
    of = "" if variant.turn == effect.turn else f" of turn {turn.number}"
    if variant.kind == "mask" and variant.word is not None:
        return f"Without word {variant.word + 1}, {_quoted(_word(turn, variant.word))}{of}"
    if variant.kind == "blank" and variant.span is not None:
        clock = _theme.clock
        return f"Silence {clock(variant.span.start)}–{clock(variant.span.end)}{of}"
    return f"Said instead{of}: {_quoted(variant.text or '')}"


def footnotes(
    view: View, effects: Sequence[Effect], faithfulness: Sequence[Faithfulness]
) -> list[str]:
    """What could not be measured, and the verdicts of the maps, in lines that fit, escaped."""
    lines = [f"{told(view, one)}, not measured: {one.why_not}" for one in effects if one.why_not]
    titles = {one.name: one.title for one in view.prediction.maps} if view.prediction else {}
    for one in faithfulness:
        numbers = (
            f"{one.turns} turns"
            if one.score is None
            else f"{one.score:+.2f}, 95 % {one.low:+.2f} to {one.high:+.2f}, {one.turns} turns"
        ).replace("-", "−")
        lines.append(
            f"{titles.get(one.map, one.map)}, against {KINDS.get(one.variant, one.variant)}: "
            f"{one.verdict} ({numbers})"
        )
    return [part for line in lines for part in _panels.folded(f"· {line}").split("<br>")]


def _word(turn: Turn, place: int) -> str:
    return turn.said[place] if place < len(turn.said) else "…"


def _quoted(text: str) -> str:
    return f"“{_theme.cut(text, SAID)}”" if text.strip() else "without words"


def _draw_bars(drawn: go.Figure, view: View, shown: Sequence[Effect]) -> None:
    colours = _theme.ground(view.dark)
    values = [points(one) for one in shown]
    drawn.add_bar(
        x=[round(one, 2) for one in values],
        y=list(range(len(shown))),
        orientation="h",
        width=0.36,
        offset=0.0,
        marker={
            "color": colours.data,
            "line": {"color": colours.data, "width": 1},
            "pattern": {
                "shape": ["/" if one.flips else "" for one in shown],
                "fgcolor": colours.data,
                "bgcolor": colours.paper,
                "size": 6,
                "solidity": 0.45,
            },
        },
        text=[f"{one:+.0f}".replace("-", "−") for one in values],
        textposition="outside",
        textfont={"color": colours.ink},
        cliponaxis=False,
        hovertext=[_hover(view, one) for one in shown],
        hovertemplate=HOVER,
        showlegend=False,
    )
    low, high = min(0.0, *values, -1.0), max(0.0, *values, 1.0)
    room = 0.14 * (high - low)
    drawn.update_xaxes(
        range=[low - room, high + room], nticks=5, title_text="points of the shown label"
    )
    drawn.add_vline(x=0, line={"color": colours.soft, "width": 1})
    drawn.update_yaxes(range=[len(shown) - 0.45, -0.6], visible=False)


def _draw_words(drawn: go.Figure, view: View, shown: Sequence[Effect]) -> None:
    """Above each bar: what was changed at the left, what is said instead at the right."""
    said = view.prediction
    for row, one in enumerate(shown):
        pairs = [("left", _theme.escaped(told(view, one)), _theme.ground(view.dark).ink)]
        if one.flips and one.says is not None and said is not None and said.labels is not None:
            mark = _theme.look(said.labels, one.says, view.dark)
            pairs.append(("right", f"→ <b>{mark.name}</b>", mark.text))
        for side, text, colour in pairs:
            drawn.add_annotation(
                text=text,
                x=0 if side == "left" else 1,
                xref="paper",
                y=row - 0.05,
                xanchor=side,
                yanchor="bottom",
                showarrow=False,
                font={"size": _theme.SMALL, "color": colour},
            )


def _hover(view: View, one: Effect) -> str:
    if one.after is None:
        raise ValueError("an effect that was not measured is not drawn")
    label, says = one.label, one.says or one.label
    return (
        f"<b>{_panels.folded(told(view, one), _theme.SAID)}</b><br>{_theme.escaped(label)} "
        f"{_theme.percent(one.before)} → {_theme.percent(one.after)}<br>says {_theme.escaped(says)}"
    )
