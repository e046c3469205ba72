"""What other processes here and on a cluster share: order, bounds, and what becomes of a death."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any, TypeVar

from erc_demo.errors import UserError

T = TypeVar("T")
Item = TypeVar("Item")

AHEAD = 32  # calls a worker that are begun before the first answer is taken, at most
FILES_AHEAD = 2  # the same of whole files
LOOK = 5.0  # seconds between two looks whether anybody is still there


class Died(UserError):
    """A process ended at a call."""


class Elsewhere(ABC):
    """Other processes: what those here and on a cluster share.

    No more than some calls a worker are under way, so that neither the sound that goes nor the
    rows that come pile up.
    """

    deaths: type[Exception] = Died  # what a future holds whose process ended

    @abstractmethod
    def width(self) -> int:
        """How many calls are made at once."""

    @abstractmethod
    def submit(self, function: Callable[..., T], *call: Any) -> Future[T]:
        """Begin a call as soon as a worker is free."""

    @abstractmethod
    def look(self) -> None:
        """Raise what is to be said where nobody is left to answer."""

    def __call__(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]]
    ) -> Generator[T, None, None]:
        """Begin the calls; their answers in order. What a call raises is raised in its place."""
        answers = self._answers(function, iter(calls))
        next(answers)
        return answers

    def _answers(
        self, function: Callable[..., T], rest: Iterator[tuple[Any, ...]]
    ) -> Generator[Any, None, None]:
        """None once the calls have begun, then the answers; whatever ends it cancels the rest."""
        begun: deque[tuple[tuple[Any, ...], Future[T]]] = deque()
        try:
            for call in islice(rest, AHEAD * self.width()):
                begun.append((call, self.submit(function, *call)))
            yield None  # a generator that has not come this far would be closed without 'finally'
            while begun:
                call, future = begun[0]
                error = self._error(future)
                if isinstance(error, Died):
                    future = self.submit(function, *call)
                    begun[0] = (call, future)
                    error = self._error(future)
                if error is not None:
                    raise error
                begun.popleft()
                begun.extend((call, self.submit(function, *call)) for call in islice(rest, 1))
                yield future.result()
        finally:
            for _, future in begun:
                future.cancel()

    def each(
        self, function: Callable[[Item], T], items: Iterable[Item]
    ) -> Iterator[tuple[Item, T | Exception]]:
        """Every item with its answer or exception, as they finish.

        An item whose process ended comes again when all the others are done, alone, since it may
        have been memory that was short; if its process ends again, its answer is ``Died``.
        """
        rest = iter(items)
        begun: dict[Future[T], Item] = {}
        dead: list[Item] = []
        try:
            while True:
                for item in islice(rest, max(0, FILES_AHEAD * self.width() - len(begun))):
                    begun[self.submit(function, item)] = item
                if not begun:
                    break
                for future in self._wait(begun):
                    item = begun.pop(future)
                    error = self._error(future)
                    if isinstance(error, Died):
                        dead.append(item)
                    else:
                        yield item, error or future.result()
            for item in dead:
                future = self.submit(function, item)
                begun = {future: item}
                try:
                    last = self._error(future)
                except UserError as exc:  # nobody was left after it
                    last = exc
                yield item, last or future.result()
        finally:
            for future in begun:
                future.cancel()

    def _wait(self, futures: Iterable[Future[T]]) -> set[Future[T]]:
        """Those that are done, at least one."""
        while True:
            done, _ = wait(futures, timeout=LOOK, return_when=FIRST_COMPLETED)
            if not done or any(future.cancelled() for future in done):  # nobody here cancels
                self.look()
            if done:
                return done

    def _error(self, future: Future[Any]) -> Exception | None:
        """What a call ended with, once it has."""
        self._wait([future])
        error = future.exception()
        if isinstance(error, self.deaths) and not isinstance(error, Died):
            return Died("The workers that worked on it ended, one after another.")
        if error is not None and not isinstance(error, Exception):
            raise error
        return error
