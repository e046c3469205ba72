"""Text that stays text: nothing that was said may be read as markup, a time or a file's end.

Formats without an escape of their own (SRT, TextGrid, plain text) get one that no eye sees: a
word joiner (U+2060) after whatever a parser would mistake. Joiners that were there are doubled
first, so that reading gives back every letter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

JOINER = "\u2060"
UNKNOWN = "unknown"  # the speaker of what nobody is named for

# what XML 1.0 can't carry even as a reference, and surrogates, which no encoding can
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"((?:\\.|[^:\\])+?)\s*:(?:\s+|$)(.*)", re.DOTALL)
_LONGEST, _MOST = 40, 4  # letters and words of what passes for a name in front of a colon


def one_line(text: str) -> str:
    r"""Text on one line: runs of white space become a space, control characters U+FFFD.

    >>> one_line(" two\n\tlines ")
    'two lines'
    """
    return _FORBIDDEN.sub("\ufffd", " ".join(text.split()))


def guard(text: str, dangerous: re.Pattern[str]) -> str:
    """The text with a joiner after every match of ``dangerous``."""
    doubled = text.replace(JOINER, 2 * JOINER)
    return dangerous.sub(lambda found: found.group() + JOINER, doubled)


def unguard(text: str) -> str:
    """The reverse of ``guard``: pairs of joiners become one, single ones go.

    >>> unguard(guard("<b>", re.compile("<")))
    '<b>'
    """
    return re.sub(JOINER + f"({JOINER}?)", r"\1", text)


def prefixed(speaker: str, text: str) -> str:
    """``NAME: text``, with a colon or backslash in the name escaped by a backslash.

    >>> prefixed("A", "yes: no")
    'A: yes: no'
    """
    name = re.sub(r"[:\\]", r"\\\g<0>", speaker)
    return f"{name}: {text}".rstrip()


def _short(name: str) -> bool:
    return len(name.strip()) <= _LONGEST and len(name.split()) <= _MOST


def unprefixed(lines: Sequence[str]) -> list[tuple[str | None, str]]:
    """Speaker and text of every line; None where no speaker is named.

    Where each line has something in front of a colon, that is the speaker. Where only some do,
    it must be short, and half of the lines must have such a name, or this one come twice: so
    ``Note: this is a test`` and ``as I said before we met: no`` stay whole.

    >>> unprefixed(["A: yes", "as I said before we met: no"])[0]
    ('A', 'yes')
    """
    found = [_NAME.match(line) for line in lines]
    everywhere = all(found)
    names = Counter(match[1].strip() for match in found if match and _short(match[1]))
    often = 2 * names.total() >= len(lines)
    said: list[tuple[str | None, str]] = []
    for line, match in zip(lines, found, strict=True):
        if match is None:
            said.append((None, line))
            continue
        name = re.sub(r"\\([:\\])", r"\1", match[1]).strip()
        if everywhere or (_short(name) and (often or names[match[1].strip()] > 1)):
            said.append((name, match[2].strip()))
        else:
            said.append((None, line))
    return said
