"""A table in a file of Markdown: between the lines ``<!-- results -->``, ``<!-- /results -->``."""

from __future__ import annotations

from pathlib import Path

from erc_demo.errors import UserError
from trainer import runs


def write(file: Path, mark: str, text: str) -> None:
    """Put a text between the marks; all else stays."""
    before, _, after = _parts(file, mark)
    runs.write(file, f"{before}\n\n{text.strip()}\n\n{after}")


def same(file: Path, mark: str, text: str) -> bool:
    """Whether that text stands between the marks."""
    return _parts(file, mark)[1].strip() == text.strip()


def _parts(file: Path, mark: str) -> tuple[str, str, str]:
    """Up to the first mark with it, between both, from the second on."""
    try:
        whole = file.read_text(encoding="utf-8")
    except OSError as exc:
        raise UserError(f"{file} can't be opened: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise UserError(f"{file} is not text; a file of Markdown was wanted.") from exc
    first, second = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    lines = whole.split("\n")
    if lines.count(first) != 1 or second not in lines[lines.index(first) :]:
        raise UserError(
            f"{file} has no place for the table; put a line {first} and below it a line {second} "
            "where it belongs, each once."
        )
    one = lines.index(first)
    two = lines.index(second, one)
    return "\n".join(lines[: one + 1]), "\n".join(lines[one + 1 : two]), "\n".join(lines[two:])
