"""Which words of one list are which of another, in order: a recognised text and a written one.

Words that form an n-gram found exactly once in both lists are anchors (Bram Cohen's patience diff);
the longest chain of anchors that grows in both lists is kept, and what lies between two anchors is
matched by the standard library's longest common blocks where it is small enough. Cost stays close
to linear, where a full alignment of a two-hour text would grow with its square.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

LENGTHS = (4, 3, 2)  # of the anchors, the surest first
SQUARE = 250_000  # pairs between two anchors that are worth comparing one by one
ALONE = 5  # letters that a matched word needs to count without a matched neighbour

Pair = tuple[int, int]


def match(one: Sequence[str], other: Sequence[str]) -> list[Pair]:
    """Index pairs of equal words, growing in both lists; lone short words are left out.

    >>> match("a b c d x e f".split(), "a b c d e f".split())
    [(0, 0), (1, 1), (2, 2), (3, 3), (5, 4), (6, 5)]
    """
    pairs = _within(one, other, 0, len(one), 0, len(other), LENGTHS)
    known = set(pairs)
    return [
        (i, j)
        for i, j in pairs
        if (i - 1, j - 1) in known or (i + 1, j + 1) in known or len(one[i]) >= ALONE
    ]


def _within(
    one: Sequence[str],
    other: Sequence[str],
    low: int,
    high: int,
    first: int,
    last: int,
    lengths: Sequence[int],
) -> list[Pair]:
    """Pairs between one[low:high] and other[first:last]."""
    if low >= high or first >= last:
        return []
    for at, length in enumerate(lengths):
        anchors = _anchors(one, other, low, high, first, last, length)
        if not anchors:
            continue
        found: list[Pair] = []
        i, j = low, first
        for a, b in [*anchors, (high, last)]:
            if a > i and b > j:
                found += _within(one, other, i, a, j, b, lengths[at:])
            if a < high and a >= i and b >= j:
                found.append((a, b))
                i, j = a + 1, b + 1
        return found
    if (high - low) * (last - first) > SQUARE:
        return []
    blocks = SequenceMatcher(None, one[low:high], other[first:last], autojunk=False)
    return [
        (low + block.a + k, first + block.b + k)
        for block in blocks.get_matching_blocks()
        for k in range(block.size)
    ]


def _anchors(
    one: Sequence[str],
    other: Sequence[str],
    low: int,
    high: int,
    first: int,
    last: int,
    length: int,
) -> list[Pair]:
    """Every word of the n-grams that are unique in both, as the longest growing chain."""

    def unique(words: Sequence[str], begin: int, end: int) -> dict[tuple[str, ...], int]:
        grams = [tuple(words[i : i + length]) for i in range(begin, end - length + 1)]
        counts = Counter(grams)
        return {gram: begin + i for i, gram in enumerate(grams) if counts[gram] == 1}

    theirs = unique(other, first, last)
    starts = [(i, theirs[gram]) for gram, i in unique(one, low, high).items() if gram in theirs]
    chain = _growing(sorted(starts))
    words = sorted({(i + k, j + k) for i, j in chain for k in range(length)})
    return _growing(words)


def _growing(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest chain of pairs, sorted by the first index, that grows strictly in both.

    >>> _growing([(0, 5), (1, 0), (2, 1), (3, 9)])
    [(1, 0), (2, 1), (3, 9)]
    """
    tails: list[int] = []  # the second index that ends the best chain of each length
    ends: list[int] = []  # and where in pairs it stands
    before = [-1] * len(pairs)
    for at, (_, j) in enumerate(pairs):
        length = bisect_left(tails, j)
        before[at] = ends[length - 1] if length else -1
        if length == len(tails):
            tails.append(j)
            ends.append(at)
        else:
            tails[length], ends[length] = j, at
    chain: list[Pair] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        chain.append(pairs[at])
        at = before[at]
    chain.reverse()
    return [p for n, p in enumerate(chain) if n == 0 or p[0] > chain[n - 1][0]]
