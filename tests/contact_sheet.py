"""Every figure at 5 and at 500 turns, light and dark, on one sheet to look at.

    python tests/contact_sheet.py OUT [--width 600] [--turns 5 500] [--only NAME …] [--turn 3]

writes OUT.html, self-contained, and OUT.png where playwright and a Chromium are there. A width of
390 shows what a telephone shows. It is run from the root of the repository.
"""

from __future__ import annotations

import argparse
import html
import logging
import shutil
import sys
from pathlib import Path

import plotly.io
from plotly.offline import get_plotlyjs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import drawn  # noqa: E402

from erc_demo import figures  # noqa: E402
from erc_demo.errors import UserError  # noqa: E402
from erc_demo.figures._theme import ground  # noqa: E402

log = logging.getLogger("contact_sheet")
STYLE = """
body{margin:0;font:13px/1.45 system-ui,sans-serif;background:#fff;color:#161A20}
main{display:grid;grid-template-columns:repeat(COLUMNS,WIDTHpx);width:max-content}
section{padding:14px 12px;box-sizing:border-box;min-width:0}
h2{font-size:14px;margin:0 0 6px}
p{margin:8px 0 0;padding-left:10px;border-left:2px solid #8884;opacity:.75;font-size:12px}
"""


def cell(name: str, view: figures.View, count: int, width: int) -> str:
    """One figure with its title and its sentence, or the sentence that says why not."""
    colours = ground(view.dark)
    style = f"background:{colours.paper};color:{colours.ink}"
    try:
        picture = figures.draw(name, view)
    except UserError as why:
        said = f"<h2>{html.escape(name)} · {count} turns</h2>{html.escape(str(why))}"
        return f'<section style="{style}">{said}</section>'
    picture.figure.update_layout(width=width - 24)
    body = plotly.io.to_html(
        picture.figure,
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": False},
    )
    size = len(picture.figure.to_json()) / 1e3
    log.info("%s %s: %d traces, %.0f kB", name, count, len(picture.figure.data), size)
    return (
        f'<section style="{style}"><h2>{html.escape(picture.title)} · {count} turns</h2>'
        f"{body}<p>{html.escape(picture.read)}</p></section>"
    )


def sheet(names: list[str], counts: list[int], width: int, turn: int | None) -> str:
    """The page: a row for each figure, a column for each count on light and on dark paper."""
    views = [
        (drawn.view(count, dark=dark, turn=turn if turn is None else min(turn, count - 1)), count)
        for count in counts
        for dark in (False, True)
    ]
    cells = [cell(name, view, count, width) for name in names for view, count in views]
    style = STYLE.replace("COLUMNS", str(len(views))).replace("WIDTH", str(width))
    return (
        f"<!doctype html><meta charset=utf-8><title>Contact sheet</title><style>{style}</style>"
        f"<script>{get_plotlyjs()}</script><main>{''.join(cells)}</main>"
    )


def photograph(page: Path, picture: Path, width: int) -> None:
    """The page as one picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": width, "height": 900})
        problems: list[str] = []
        tab.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(page.resolve().as_uri())
        tab.wait_for_timeout(1500)
        tab.locator("main").screenshot(path=str(picture))
        browser.close()
    for problem in problems:
        log.warning("the page says: %s", problem)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=600, help="of a figure, in pixels")
    parser.add_argument("--turns", type=int, nargs="+", default=[5, 500])
    parser.add_argument("--only", nargs="+", help="names of figures")
    parser.add_argument("--turn", type=int, help="the place of the turn that is looked at")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    page = given.out.with_suffix(".html")
    written = sheet(given.only or figures.names(), given.turns, given.width, given.turn)
    page.write_text(written, encoding="utf-8")
    try:
        photograph(page, given.out.with_suffix(".png"), 2 * len(given.turns) * given.width)
    except ImportError:
        log.info("playwright is not installed, so there is only %s", page)


if __name__ == "__main__":
    main()
