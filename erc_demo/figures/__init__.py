"""Pictures of an analysis: one file a figure, and this door. Listing the folder finds them."""

from __future__ import annotations

from erc_demo import plugs
from erc_demo.errors import UserError
from erc_demo.figures._contract import Picture, View

__all__ = ["PACKAGE", "Picture", "View", "draw", "names", "possible"]

PACKAGE = "erc_demo.figures"


def names() -> list[str]:
    """Every figure's name."""
    return plugs.names(PACKAGE)


def possible(view: View) -> list[str]:
    """The figures for which there is all that they need."""
    return [name for name in names() if not plugs.load(PACKAGE, name).why_not(view)]


def draw(name: str, view: View) -> Picture:
    """One figure of a view; a UserError says what is missing."""
    module = plugs.load(PACKAGE, name)
    missing: str = module.why_not(view)
    if missing:
        raise UserError(missing)
    return Picture(name=name, title=module.TITLE, read=module.READ, figure=module.draw(view))
