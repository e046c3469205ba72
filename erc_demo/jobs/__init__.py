"""The one door to other processes: calls go in, answers come out, here or on a Dask cluster.

    with jobs.open(2) as elsewhere:
        for rows in elsewhere(function, [(1, 2), (3, 4)]): ...    # in order
        for item, answer in elsewhere.each(function, items): ...  # as they finish

A local worker is a fresh interpreter (no fork, which hangs in a process that used torch) that does
one call at a time; a thread of this process talks to it. So it is known which call a process died
of, and nobody else's work is lost with it. Workers use one thread each, never see Ctrl-C, and end
with their pipe, so with this process, whatever ends that. A call and its answer travel as pickles
between processes of one program; nothing else is ever unpickled, which is why a cluster must be on
this machine or prove itself by certificates. What is called must be importable there.

It is no ``concurrent.futures.ProcessPoolExecutor``: there one death breaks the whole pool without
saying at which call, and a spawned worker imports the ``__main__`` of the app once more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TypeVar

from erc_demo.jobs._elsewhere import Died

__all__ = ["Died", "Here", "Jobs", "cluster", "local", "open"]

T = TypeVar("T")
Item = TypeVar("Item")


class Jobs(Protocol):
    """A place where calls are made."""

    def __call__(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]
    ) -> Generator[T, None, None]:
        """Answers in order; what a call raises is raised in its place.

        Other processes begin some calls before anybody asks, and this one makes each as it is
        asked. Closing drops the calls that have not begun.
        """
        ...

    def each(
        self, function: Callable[[Item], T], items: Iterable[Item]
    ) -> Iterator[tuple[Item, T | Exception]]:
        """Every item with its answer, or with what its call raised, as they finish."""
        ...


def open(workers: int, address: str | None = None) -> AbstractContextManager[Jobs]:
    """A Dask cluster where its address is given, else so many processes on this machine."""
    return local(workers) if address is None else cluster(address)


@contextmanager
def local(workers: int) -> Iterator[Jobs]:
    """So many processes on this machine; with one, this process itself."""
    if workers <= 1:
        yield Here()
        return
    from erc_demo.jobs._processes import Crew

    with Crew(workers) as crew:
        yield crew


@contextmanager
def cluster(address: str) -> Iterator[Jobs]:
    """The workers of a Dask scheduler, on this machine or behind certificates."""
    from erc_demo.jobs._cluster import Cluster

    with Cluster(address) as there:
        yield there


class Here:
    """In this process: one call after the other, each when its answer is asked for."""

    def __call__(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]
    ) -> Generator[T, None, None]:
        """Answers in order."""
        return (function(*call) for call in calls)

    def each(
        self, function: Callable[[Item], T], items: Iterable[Item]
    ) -> Iterator[tuple[Item, T | Exception]]:
        """Every item with its answer, in order."""
        for item in items:
            answer: T | Exception
            try:
                answer = function(item)
            except Exception as exc:
                answer = exc
            yield item, answer
