"""The corridor: what is repeated, what is not, and how an analysis is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from erc_demo import analysis as corridor
from erc_demo.analysis import STEPS, Cancelled
from erc_demo.cache import Cache, Entry
from erc_demo.dialogue import Dialogue, Turn
from erc_demo.errors import UserError
from erc_demo.findings import Analysis
from erc_demo.settings import Settings

CALL = "data/calls/libri-stitched/libri_2033_2414.ogg"
PLAIN = Settings(recognizer="none", offline=True)


def analyse(*given: object, **how: object) -> Analysis:
    """Without the sound."""
    return corridor.analyse(*given, **how)[0]  # type: ignore[arg-type]


def cached(analysis: Analysis) -> dict[str, bool]:
    return {step.name: step.cached for step in analysis.steps}


def test_a_second_run_repeats_only_what_changed(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    call, cache = shared(CALL), Cache(tmp_path / "cache", 100)
    first = analyse(call, tmp_path, PLAIN, cache=cache)
    assert not any(cached(first).values())
    again = analyse(call, tmp_path, PLAIN, cache=cache)
    assert cached(again) == {"read": False, "listen": True, "turns": True, "words": True}
    assert again.dialogue == first.dialogue
    told = analyse(call, tmp_path, replace(PLAIN, speakers="1"), cache=cache)
    assert cached(told) == {"read": False, "listen": True, "turns": False, "words": False}
    assert len(told.dialogue.speakers) == 1
    other = tmp_path / "renamed.ogg"
    other.write_bytes(call.read_bytes())
    renamed = analyse(other, tmp_path, PLAIN, cache=cache)
    assert cached(renamed)["words"], "the same sound under another name"
    assert renamed.dialogue == replace(first.dialogue, name="renamed")


def test_an_analysis_survives_json(shared: Callable[[str], Path], tmp_path: Path) -> None:
    made = analyse(shared(CALL), tmp_path, PLAIN)
    assert Analysis.from_json(made.to_json()) == made
    with pytest.raises(UserError, match="layout 99"):
        Analysis.from_json(made.to_json() | {"layout": 99})


def test_progress_names_every_step_in_order(shared: Callable[[str], Path], tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    analyse(shared(CALL), tmp_path, PLAIN, tell=lambda *one: told.append(one))
    assert list(dict.fromkeys(step for step, _ in told)) == list(STEPS)
    assert all(0 <= fraction <= 1 for _, fraction in told)


@pytest.mark.parametrize("step", STEPS)
def test_a_wish_to_stop_is_heard_in_every_step(
    shared: Callable[[str], Path], tmp_path: Path, step: str
) -> None:
    reached: list[str] = []
    with pytest.raises(Cancelled):
        analyse(
            shared(CALL),
            tmp_path,
            PLAIN,
            tell=lambda name, _: reached.append(name),
            cancelled=lambda: step in reached,
        )
    assert reached[-1] == step


def test_a_given_transcript_takes_the_place_of_a_recogniser(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    given = Dialogue(
        name="x", turns=(Turn(number=0, speaker="unknown", text="what hath happened"),)
    )
    made = analyse(shared(CALL), tmp_path, Settings(offline=True), transcript=given)
    words = [word.text for _, word in made.dialogue.words]
    assert words == ["what", "hath", "happened"]
    assert all(turn.speaker for turn in made.dialogue.turns)


def test_words_are_not_heard_again_for_a_remark(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    call, cache = shared("data/calls/libri-stitched/libri_367_2609.ogg"), Cache(tmp_path / "c", 100)
    two = replace(PLAIN, speakers="2")
    first = analyse(call, tmp_path, PLAIN, cache=cache)
    again = analyse(call, tmp_path, replace(PLAIN, speakers="3"), cache=cache)
    assert [t.span for t in again.dialogue.turns] == [t.span for t in first.dialogue.turns]
    assert cached(again)["words"] and not cached(again)["turns"]
    assert any("3 people were told" in remark for remark in again.dialogue.remarks)
    assert not any("people were told" in r for r in analyse(call, tmp_path, two).dialogue.remarks)


def test_an_entry_that_this_program_did_not_write_is_made_again(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    call, cache = shared(CALL), Cache(tmp_path / "cache", 100)
    first = analyse(call, tmp_path, PLAIN, cache=cache)
    for path in (tmp_path / "cache").glob("*/*.npz"):
        cache.put(path.stem, Entry(data={"layout": "strange"}))
    again = analyse(call, tmp_path, PLAIN, cache=cache)
    assert not any(cached(again).values())
    assert again.dialogue == first.dialogue
