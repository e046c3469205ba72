"""The one exception that is written for the person in front of the page."""

from __future__ import annotations


class UserError(Exception):
    """One sentence for the person who can mend it: what was found, what was wanted, what to do.

    It is caught in two places only, the command line and the page. Everything else that is
    raised is a bug and keeps its traceback.
    """


def listed(problems: list[str]) -> str:
    """Several problems as one message, so that nobody mends them one run at a time.

    >>> listed(["port is 'x', not a number", "hots is not a setting"])
    "port is 'x', not a number; hots is not a setting"
    """
    return "; ".join(problems)
