"""What the page's handlers make, without a page: every foreign word comes out inert."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("gradio")

from erc_demo.dialogue import Dialogue, Span, Turn, Word  # noqa: E402
from erc_demo.findings import Analysis, Step  # noqa: E402
from erc_demo.settings import Settings  # noqa: E402
from erc_demo.ui import transcript as page  # noqa: E402

EVIL = "<img src=x onerror=alert(1)>${document.title}{{value}}'\""


def hostile() -> Dialogue:
    return Dialogue(
        name=EVIL,
        duration=10.0,
        recognizer=EVIL,
        remarks=(EVIL,),
        turns=(
            Turn(
                number=0,
                speaker=EVIL,
                span=Span(0, 4),
                words=(Word(text=EVIL, span=Span(0, 1), confidence=0.2),),
                sure=0.3,
            ),
            Turn(number=1, speaker="B", span=Span(3, 9), text=EVIL),
            Turn(number=2, speaker="B", text=EVIL, words=(Word(text=EVIL),)),
        ),
    )


def test_hostile_names_and_words_are_escaped() -> None:
    analysis = Analysis(dialogue=hostile(), steps=(Step(name="read", seconds=1.0),))
    shown = page.facts(analysis) + page.lanes(hostile()) + page.said(hostile())
    shown += page.problem(EVIL)
    assert "<img" not in shown
    assert shown.count("&lt;img") >= 6


def test_the_clock() -> None:
    assert page.clock(0) == "0:00.0"
    assert page.clock(59.96) == "1:00.0"
    assert page.clock(3725.5) == "1:02:05.5"


def test_unsure_turns_words_and_overlaps_are_drawn() -> None:
    lanes, said = page.lanes(hostile()), page.said(hostile())
    assert lanes.count("class='turn unsure'") == 1
    assert lanes.count("class='turn'") == 1, "a turn without times has no block"
    assert lanes.count("class='both'") == 1
    assert "class='faint'" in said and "class='lost'" in said


def test_the_table_of_words_has_a_cell_for_every_header() -> None:
    rows = page.words_table(hostile())
    assert len(rows) == 2
    assert all(len(row) == len(page.HEADERS) for row in rows)
    assert rows[0][3:] == [0.0, 1.0, 20, None]
    assert rows[1][3:] == [None, None, None, None]


def test_progress_says_step_and_share() -> None:
    line = page.progress("turns", 0.5)
    assert "Step 3 of 4" in line and "50%" in line
    assert line.count("--done:100%") == 2


def test_an_upload_moves_once_and_is_forgotten(tmp_path: Path) -> None:
    upload = tmp_path / "framework" / "hash" / "call.wav"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"sound")
    house = tmp_path / "house"
    mine, theirs = page.home(house, "me"), page.home(house, "you")
    assert mine != theirs
    kept = page.own(str(upload), mine)
    assert kept.read_bytes() == b"sound" and not upload.exists()
    assert page.own(str(upload), mine) == kept, "a second run finds it where it is now"
    theirs.mkdir(parents=True)
    page.forget(house, "me")
    assert not mine.exists() and theirs.exists()


def test_a_run_tells_steps_then_answers_and_a_bad_file_is_a_sentence(tmp_path: Path) -> None:
    settings = Settings(recognizer="none", offline=True)
    tone = (0.2 * np.sin(np.arange(32000) / 10)).astype(np.float32)
    soundfile.write(tmp_path / "hum.wav", tone, 16000)
    (tmp_path / "bad.wav").write_text("no sound")
    told = list(page.run(settings, tmp_path / "v", str(tmp_path / "hum.wav"), None, {}))
    assert told[-1][1] is not None and told[-1][1].dialogue.turns == ()
    assert any("Step 1 of 4" in line for line, _ in told)
    (line, nothing) = list(page.run(settings, tmp_path / "v", str(tmp_path / "bad.wav"), None, {}))[
        -1
    ]
    assert nothing is None and "Not done." in line and "bad.wav" in line
    assert "No recording was given" in next(page.run(settings, tmp_path, None, None, {}))[0]


def test_a_run_that_is_left_stops_its_analysis(tmp_path: Path) -> None:
    tone = np.random.default_rng(0).normal(0, 0.1, 16000 * 300).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", tone, 16000)
    left = page.run(
        Settings(recognizer="none"), tmp_path / "v", str(tmp_path / "long.wav"), None, {}
    )
    next(left)
    left.close()
    assert not any(thread.name == "analysis" for thread in threading.enumerate())


def test_strangers_may_not_name_the_servers_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    assert page.private(Settings())
    assert not page.private(Settings(host="0.0.0.0"))
    assert not page.private(Settings(share=True))
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert not page.private(Settings())


def test_the_page_builds(tmp_path: Path) -> None:
    from erc_demo import ui

    built = ui.build(Settings(speakers="6"), tmp_path)
    assert built.fns
