"""Workers of a Dask scheduler: whom to trust, who is there, who is gone."""

from __future__ import annotations

import ipaddress
import logging
import pkgutil
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from erc_demo import __version__
from erc_demo.errors import UserError
from erc_demo.jobs._elsewhere import LOOK, Elsewhere

T = TypeVar("T")

ANSWER = 10.0  # seconds in which a scheduler must answer, and have a worker


class Cluster(Elsewhere):
    """The workers of a scheduler.

    Where a worker ends, Dask blames every call that it had been given, and gives up on a call that
    was blamed often enough; so here, too, such a call comes again alone.
    """

    def __init__(self, address: str) -> None:
        trust(address)
        try:
            from distributed import KilledWorker
        except ImportError as exc:
            raise UserError(
                "A cluster needs Dask, which is not installed: pip install 'erc_demo[cluster]'."
            ) from exc
        self.address, self.deaths = address, KilledWorker
        self._width = 1
        self._alone = 0.0  # since when no worker is there
        self._client = _connected(address)
        try:
            self._greet()
        except BaseException:
            self._client.close(timeout=LOOK)
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the scheduler; it drops the calls that nobody waits for any more."""
        self._client.close(timeout=LOOK)

    def width(self) -> int:
        """As many as the workers that are there have threads; they may come and go."""
        with suppress(OSError, RuntimeError):  # ``look`` says who is gone
            self._width = sum(self._client.nthreads().values()) or self._width
        return self._width

    def submit(self, function: Callable[..., T], *call: Any) -> Future[T]:
        """Have the scheduler find a worker."""
        future: Future[T] = Future()
        there = self._client.submit(function, *call, pure=False)

        def arrived(there: Any) -> None:
            with suppress(InvalidStateError):  # nobody waits for it any more
                try:
                    future.set_result(there.result())
                except CancelledError:  # the scheduler forgot it, or is gone
                    if future.cancel():
                        future.set_running_or_notify_cancel()  # wakes whoever waits
                except Exception as exc:
                    future.set_exception(exc)

        there.add_done_callback(arrived)
        future.add_done_callback(lambda done: there.cancel() if done.cancelled() else None)
        return future

    def look(self) -> None:
        """Raise where the scheduler is gone, or all the workers for a while."""
        workers = None
        if self._client.status == "running":
            with suppress(OSError, RuntimeError):
                workers = self._client.nthreads()
        if workers is None:
            raise UserError(
                f"The scheduler at {self.address} is gone; start it and call again: "
                "what was finished is kept."
            )
        if workers:
            self._alone = 0.0
            return
        self._alone = self._alone or time.monotonic()
        if time.monotonic() - self._alone > ANSWER:
            raise UserError(
                f"No worker is left at {self.address}; start some with 'dask worker "
                f"{self.address}' and call again: what was finished is kept."
            )

    def _greet(self) -> None:
        """Ask every worker for its version of this program."""
        try:
            self._client.wait_for_workers(1, timeout=ANSWER)
        except TimeoutError as exc:
            raise UserError(
                f"The scheduler at {self.address} has no workers; start some with "
                f"'dask worker {self.address}'."
            ) from exc
        found = self._client.run(pkgutil.resolve_name, "erc_demo:__version__", on_error="return")
        for worker, version in found.items():
            if isinstance(version, Exception):
                raise UserError(
                    f"The worker {worker} can't import erc_demo ({version}); install version "
                    f"{__version__} there."
                )
            if version != __version__:
                raise UserError(
                    f"The worker {worker} has erc_demo {version}, here is {__version__}; "
                    "install the same one on both."
                )


def trust(address: str) -> None:
    """Refuse an address at which a stranger could answer."""
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in ("tcp", "tls") or host is None or port is None:
        raise UserError(
            f"'{address}' is no cluster's address; tcp://127.0.0.1:8786 or tls://HOST:PORT "
            "was wanted."
        )
    here = host == "localhost"
    with suppress(ValueError):
        here = here or ipaddress.ip_address(host).is_loopback
    if scheme == "tcp" and not here:
        raise UserError(
            f"{address} is another machine without TLS, and whoever answers there could run any "
            "program here, since Dask unpickles code; use tls:// with certificates, or a "
            "scheduler on this machine."
        )


def _connected(address: str) -> Any:
    from distributed import Client, Security

    # what it logs of lost connections and workers, with traces, is said here in a sentence
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    security = Security()
    if address.startswith("tls:") and not security.get_tls_config_for_role("client").get("ca_file"):
        raise UserError(
            f"{address} needs certificates and Dask's configuration names none; set "
            "distributed.comm.tls.ca-file, .client.cert and .client.key there."
        )
    try:
        return Client(
            address,
            timeout=ANSWER,
            security=security,
            set_as_default=False,
            direct_to_workers=False,
        )
    except (OSError, ValueError) as exc:
        raise UserError(
            f"No Dask scheduler answers at {address}; start one with 'dask scheduler', "
            "or check the address."
        ) from exc
