"""What a corpus of a fixed form can't give, refused in a sentence rather than passed over."""

from __future__ import annotations

from collections.abc import Sequence

from erc_demo.errors import UserError
from trainer.datasets import Ask


def refuse(ask: Ask, kind: str, rated: Sequence[str]) -> None:
    """Columns, of which such a corpus has none, and dimensions beyond those that were rated."""
    flags = {
        "--label-column": ask.label_column,
        "--text-column": ask.text_column,
        "--split-column": ask.split_column,
    }
    given = [flag for flag, column in flags.items() if column]
    if given:
        raise UserError(
            f"{' and '.join(given)} names a column, and {kind} is no table; leave it out, or bring "
            "the corpus as table:PATH."
        )
    strange = [one for one in ask.dimensions if one not in rated]
    if strange:
        raise UserError(
            f"{kind} has no rating of {', '.join(strange)}; it has "
            f"{', '.join(rated) or 'labels only, no dimension'}."
        )
