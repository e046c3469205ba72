"""Two miniatures as one corpus."""

from __future__ import annotations

from pathlib import Path

from corpora import dailydialog, meld

LIST = """\
[[corpus]]
data = "meld:meld"
only = ["train", "dev"]
part = "train"

[[corpus]]
data = "dailydialog:dailydialog"
without = ["surprise"]
"""


def make(folder: Path) -> str:
    """A file that names both."""
    folder.mkdir(parents=True, exist_ok=True)
    meld.make(folder / "meld")
    dailydialog.make(folder / "dailydialog")
    (folder / "several.toml").write_text(LIST, encoding="utf-8")
    return str(folder / "several.toml")
