"""The comparison as one HTML file: tables, figures, and plotly.js, with nothing from outside.

A content policy forbids every request, so the file says the same on a machine without a network
and shows nobody that it was opened. Each figure lies in it twice, for light and for dark paper;
which one is drawn follows the reader's setting, also when that changes.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from plotly.offline import get_plotlyjs

from erc_demo.emotions import label_set
from erc_demo.figures import _theme
from trainer.report.figures import Drawing, drawings
from trainer.report.tables import TITLE, Table, remarks, tables, title

if TYPE_CHECKING:
    from trainer.compare import Group

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
_SIDE = 2  # figures of one run stand beside each other from so many on

_STYLE = """
:root{color-scheme:light dark;--ink:%(ink)s;--soft:%(soft)s;--grid:%(grid)s;--paper:%(paper)s}
@media (prefers-color-scheme:dark){
:root{--ink:%(ink_dark)s;--soft:%(soft_dark)s;--grid:%(grid_dark)s;--paper:%(paper_dark)s}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;font:15px/1.5 %(fonts)s}
body{background:var(--paper);color:var(--ink)}
h1{font-size:1.5rem}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1rem;margin:2rem 0 .25rem}
h4{font-size:.9rem;margin:.75rem 0 0;overflow-wrap:anywhere}
p{margin:.25rem 0;max-width:44rem}.read,.note{color:var(--soft);overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--grid);text-align:left;vertical-align:top}
th{font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}
td:first-child{font-weight:600}td.w{min-width:6rem;overflow-wrap:anywhere}
.side{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%%,320px),1fr));gap:0 1rem}
.side>div,.plot{min-width:0}
"""
_SCRIPT = """
const dark=matchMedia('(prefers-color-scheme: dark)');
const figures=JSON.parse(document.getElementById('figures').textContent);
function draw(){figures.forEach((pair,at)=>{const one=pair[dark.matches?1:0];
Plotly.react('figure'+at,one.data,one.layout,{displayModeBar:false,responsive:true})})}
dark.addEventListener('change',draw);draw();
"""


def page(groups: Sequence[Group]) -> str:
    """The whole file."""
    figures: list[Drawing] = []
    body = "".join(part for group in groups for part in _group(group, figures))
    drawn = [[json.loads(one.draw(dark).to_json()) for dark in (False, True)] for one in figures]
    data = json.dumps(drawn, ensure_ascii=False).replace("<", "\\u003c")
    light, dark = _theme.LIGHT, _theme.DARK
    style = _STYLE % {
        "fonts": _theme.FONTS,
        **{name: getattr(light, name) for name in ("ink", "soft", "grid", "paper")},
        **{f"{name}_dark": getattr(dark, name) for name in ("ink", "soft", "grid", "paper")},
    }
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{style}</style></head><body>"
        f"<h1>{TITLE}</h1>{body}"
        f'<script type="application/json" id="figures">{data}</script>'
        f"<script>{get_plotlyjs()}</script><script>{_SCRIPT}</script></body></html>\n"
    )


def _group(group: Group, figures: list[Drawing]) -> Iterator[str]:
    yield f"<h2>{html.escape(title(group))}</h2>"
    for table in tables(group):
        yield _table(table)
    if group.labels:
        yield f"<p class=note>Labels: {html.escape(_key(group.labels))}.</p>"
    for (name, read), these in groupby(drawings(group), lambda one: (one.title, one.read)):
        many = list(these)
        yield f'<h3>{html.escape(name)}</h3><p class="read">{html.escape(read)}</p>'
        yield '<div class="side">' if len(many) >= _SIDE else "<div>"
        for one in many:
            own = f"<h4>{html.escape(one.run)}</h4>" if one.run else ""
            yield f'<div>{own}<div class="plot" id="figure{len(figures)}"></div></div>'
            figures.append(one)
        yield "</div>"
    if noted := remarks(group):
        yield "<h3>What the runs noted</h3><ul>"
        yield "".join(f'<li class="note">{html.escape(one)}</li>' for one in noted)
        yield "</ul>"


def _table(one: Table) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        kinds = ["n" if at in one.numbers else "w" for at in range(len(cells))]
        return "".join(
            f'<{tag} class="{kind}">{html.escape(cell)}</{tag}>'
            for kind, cell in zip(kinds, cells, strict=True)
        )

    rows = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in one.rows)
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in one.notes)
    return (
        f'<h3>{html.escape(one.title)}</h3><p class="read">{html.escape(one.read)}</p>'
        f'<div class="wide"><table><thead><tr>{row(one.head, "th")}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{notes}"
    )


def _key(labels: str) -> str:
    known = label_set(labels)
    return ", ".join(f"{known.look(one).glyph} {one} ({known.code(one)})" for one in known.labels)
