"""Recipes: every number stands in its paper, every row is a plan and a system that can be made."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from erc_demo import plugs, systems
from erc_demo.emotions import label_set
from erc_demo.errors import UserError
from trainer import metrics, recipes
from trainer.predictions import Line
from trainer.recipes import Recipe, Rival, Row
from trainer.runs import Plan

EVERY = recipes.every()
TABLES = {
    "ats_sagru": [1, 2],
    "dialogue_trm": [2, 3, 4, 5, 6],
    "iaan": [1, 2],
    "late_fusion": [2, 3],
    "word_alignment": [1, 2],
}
WIDTHS = {"is13": 6373, "static": 300, "tokens": 3, "frames34": 34, "frames45": 45, "voice": 256}
NEAR = 50  # characters between a name and its number, as the text of a table runs


def of(one: Recipe) -> str:
    return f"{one.system}_{one.table}"


def found(text: str, number: Decimal, line: Row | Rival, beside: list[Decimal]) -> bool:
    """Whether a number stands in a text next to one of its table, or, alone, behind its name."""
    there = rf"(?<![\d.]){re.escape(str(number))}(?!\d)"
    if any(
        re.search(rf"{there} {re.escape(str(other))}(?!\d)", text)
        or re.search(rf"(?<![\d.]){re.escape(str(other))} {there}", text)
        for other in beside
    ):
        return True
    if len(line.published) > 1:
        return False
    words = [word for word in re.findall(r"[\w-]+", line.name) if len(word) > 1]
    places = (match.start() for match in re.finditer(there, text))
    before = (text[max(0, place - NEAR) : place] for place in places)
    return any(word in part for part in before for word in words)


def beside(recipe: Recipe, line: Row | Rival, head: str) -> list[Decimal]:
    """The other numbers of its line, and those of its column."""
    lines = [*recipe.rows, *recipe.rivals]
    column = [one.published[head] for one in lines if one is not line and head in one.published]
    return column + [value for key, value in line.published.items() if key != head]


def flat(text: str) -> str:
    """A paper's text on one line; Table 5 of dialogue_trm prints 68.1 → 69.71.6↑."""
    return re.sub(r"(\d\.\d)(\d\.\d↑)", r"\1 \2", " ".join(text.split())).replace(" → ", " ")


def test_the_tables_of_the_papers() -> None:
    assert {name: [one.table for one in EVERY if one.system == name] for name in TABLES} == TABLES
    assert list(TABLES) == plugs.names("erc_demo.systems")


@pytest.mark.parametrize("recipe", EVERY, ids=of)
def test_numbers_are_the_papers(recipe: Recipe, shared: Callable[[str], Path]) -> None:
    text = flat(shared(f"papers/{recipe.system}.txt").read_text(encoding="utf-8"))
    lost = [
        f"{head} {number} of {one.name}"
        for one in (*recipe.rows, *recipe.rivals)
        for head, number in one.published.items()
        if not found(text, number, one, beside(recipe, one, head))
    ]
    assert not lost


def test_a_wrong_number_is_seen(shared: Callable[[str], Path]) -> None:
    text = flat(shared("papers/late_fusion.txt").read_text(encoding="utf-8"))
    recipe = recipes.find("late_fusion", 2)
    row = recipe.rows[3]
    near = beside(recipe, row, "WA")
    assert found(text, Decimal("59.5"), row, near)
    assert not found(text, Decimal("59.4"), row, near)
    assert not found(text, Decimal("9.5"), row, near)


@pytest.mark.parametrize("recipe", EVERY, ids=of)
def test_a_recipe_is_whole(recipe: Recipe) -> None:
    assert recipe.citation == plugs.load("erc_demo.systems", recipe.system).PAPER
    told = {"data", "features", "split", "selection", "seeds", "metrics", "unstated"}
    assert set(recipe.paper) == told
    assert recipe.title and recipe.differs and recipe.rows
    assert len({row.run for row in recipe.rows}) == len(recipe.rows)
    assert all(one.citation and one.published for one in recipe.rivals)
    corpora = {one.corpus for one in (*recipe.rows, *recipe.rivals)}
    assert corpora <= set(recipe.corpora)
    assert all(text.endswith(".") for text in recipe.differs)


ROWS = [(recipe, row) for recipe in EVERY for row in recipe.rows]


def built(plan: Plan) -> systems.System:
    """Its system, small inside and with the inputs' own widths where they are known."""
    module = plugs.load("erc_demo.systems", plan.system)
    embedded = plan.design == "embedded"
    reads = {**systems.inputs(plan.system, embedded=embedded), **plan.reads}
    every = {
        name: reads.get(name, need.embedded if embedded else need.published)
        for name, need in module.NEEDS.items()
    }
    widths = {
        name: sum(WIDTHS.get(text.partition(":")[0], 32) for text in these) or 1
        for name, these in every.items()
    }
    design = systems.design(
        plan.system,
        widths=widths,
        embedded=embedded,
        labels=plan.ask.labels,
        dimensions=plan.ask.dimensions,
        ablation=plan.ablation or None,
        settings={**module.SMALL, **plan.settings},
        reads=reads,
    )
    return systems.build(design)


@pytest.mark.parametrize(("recipe", "row"), ROWS, ids=lambda one: getattr(one, "run", str(one)))
def test_a_row_can_be_made(recipe: Recipe, row: Row) -> None:
    plan = recipe.plan_of(row, {"data": "iemocap:somewhere"})
    assert (plan.design, plan.data) == ("published", "iemocap:somewhere")
    system = built(plan)
    assert set(system.design.inputs) >= set(row.extra)
    other = recipe.plan_of(row, {"data": "iemocap:somewhere", "design": "embedded"})
    assert not other.encoder  # which only tokens have
    if row.run in ("no_segments", "no_separators"):  # of tokens, which vectors don't have
        with pytest.raises(UserError, match="there are no (segments|separators) in text"):
            built(other)
    else:
        built(other)


def test_every_rival_of_a_systems_own_is_in_a_table() -> None:
    for name in TABLES:
        rows = [row for recipe in EVERY if recipe.system == name for row in recipe.rows]
        known = set(plugs.load("erc_demo.systems", name).ABLATIONS)
        assert {row.ablation for row in rows if row.ablation} == known


def test_a_run_is_the_same_in_every_table() -> None:
    seen: dict[tuple[str, str], str] = {}
    for recipe, row in ROWS:
        for design in ("published", "embedded"):
            text = recipe.plan_of(row, {"data": "iemocap:x", "design": design}).to_toml()
            assert seen.setdefault((recipe.system, f"{row.run} {design}"), text) == text


@pytest.mark.parametrize("recipe", EVERY, ids=of)
def test_columns_stand_in_a_report(recipe: Recipe) -> None:
    """Of predictions in which every kind of turn occurs, each column has a number."""
    from trainer.reproduce import _at

    for row in recipe.rows:
        ask = recipe.plan_of(row, {"data": "iemocap:x"}).ask
        report = metrics.report(talk(ask.labels, ask.dimensions))
        for head in row.published:
            assert isinstance(_at(report, recipe.columns[head]), float), head


def talk(labels: tuple[str, ...], dimensions: tuple[str, ...]) -> list[Line]:
    """Two people, every label twice in a row, all of it answered by the first label."""
    names = label_set(labels[0]).labels if labels else ()
    lines = []
    for turn in range(6 * max(1, len(names))):
        label = names[turn // 3 % len(names)] if names else None
        share = 1 / len(names) if names else 0
        lines.append(
            Line(
                dialogue="talk",
                utt_id=f"talk_{turn}",
                turn=turn,
                speaker="AB"[turn % 2],
                labels=labels[0] if labels else "",
                label=label,
                predicted=names[0] if names else None,
                probabilities=dict.fromkeys(names, share) if names else None,
                values={name: (turn % 3) / 3 for name in dimensions},
                wanted={name: (turn % 4) / 4 for name in dimensions},
                words=5,
            )
        )
    return lines


def test_what_the_call_says_is_over_the_recipe() -> None:
    recipe = recipes.find("late_fusion", 2)
    first = recipe.rows[0]
    assert (recipe.plan_of(first, {}).epochs, recipe.plan_of(recipe.rows[1], {}).epochs) == (20, 40)
    plan = recipe.plan_of(first, {"epochs": "3", "dropout": "0.5", "settings": {"units": 7}})
    assert plan.epochs == 3 and plan.ablation == "CNN"
    assert dict(plan.settings) == {"dropout": 0.5, "units": 7}
    with pytest.raises(UserError, match="'drop', which is no option"):
        recipe.plan_of(first, {"drop": 1})


def test_a_column_of_words_replaces_recognised_ones_alone() -> None:
    recipe = recipes.find("word_alignment", 2)
    plans = {row.run: recipe.plan_of(row, {"text_column": "heard"}) for row in recipe.rows}
    assert plans["proposed-asr"].text_column == "heard" and plans["proposed"].text_column == ""
    other = recipes.find("iaan", 1)
    assert other.plan_of(other.rows[0], {"text_column": "heard"}).text_column == "heard"


def test_sight_where_it_is_asked_for() -> None:
    recipe = recipes.find("dialogue_trm", 5)
    row = next(one for one in recipe.rows if one.run == "gmu")
    assert set(recipe.plan_of(row, {}).reads) == {"vision"}
    assert not recipe.plan_of(row, {"design": "embedded"}).reads
    own = recipe.plan_of(row, {"reads": {"vision": ("pictures:encoder=mine",)}})
    assert own.reads["vision"] == ("pictures:encoder=mine",)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="no recipe of 'tfn'; there are those of ats_sagru"):
        recipes.find("tfn", 1)
    with pytest.raises(UserError, match="no recipe of a Table 9; it has those of 1, 2"):
        recipes.find("iaan", 9)


GOOD = """system = "iaan"
table = 1
title = "t"
citation = "c"
corpus = "iemocap"
differs = []
columns = { UA = "measures.ua" }
paper = {}
plan = {}
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("table = ", "can't be read"),
        ('rowz = "IAAN"', "has rowz, which no recipe has"),
        ('[[rows]]\nname = "A"\npublished = { WA = 1.0 }', "publishes WA of A; its columns are UA"),
        (
            '[[rows]]\nname = "A"\nepochs = 3\npublished = { UA = 1.0 }',
            "has epochs, which no recipe has",
        ),
    ],
)
def test_a_broken_recipe_is_refused(
    more: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "HERE", tmp_path)
    (tmp_path / "iaan_1.toml").write_text(f"{GOOD}{more}\n", encoding="utf-8")
    with pytest.raises(UserError, match=words):
        recipes.find("iaan", 1)


def test_a_row_like_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "HERE", tmp_path)
    row = '[[rows]]\nname = "A"\npublished = { UA = 1.0 }\n'
    (tmp_path / "iaan_1.toml").write_text(GOOD + row, encoding="utf-8")
    text = 'system = "iaan"\ntable = 2\nlike = 1\ntitle = "t"\n' + row + 'like = "B"\n'
    (tmp_path / "iaan_2.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="a row like 'B', which Table 1 has not"):
        recipes.find("iaan", 2)
    (tmp_path / "iaan_2.toml").write_text(text.replace('"B"', '"A"'), encoding="utf-8")
    assert recipes.find("iaan", 2).rows[0].run == "A"
