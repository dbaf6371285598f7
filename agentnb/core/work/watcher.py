"""Waits for the ends of many units of work in one thread, however many are awaited."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Watcher"]

_LINGER_SECONDS = 5.0


class Watcher:
    """Awaits the ends of units without a thread for each.

    Parameters
    ----------
    look
        Given the ids that are awaited, waits for some time and returns pairs of an id and its
        outcome. An error is the outcome of all of them.
    wake
        Lets a `look` that waits return, since there is one more id.
    name
        Name of the thread.
    log
        Logger of unexpected errors.

    Examples
    --------
    >>> import logging
    >>> ends = {"a": 1, "b": 2}
    >>> watcher = Watcher(
    ...     lambda ids: [(one, ends[one]) for one in ids],
    ...     wake=lambda: None, name="example", log=logging.getLogger("example"),
    ... )
    >>> watcher.watch("a").result(5), watcher.watch("b").result(5)
    (1, 2)
    """

    def __init__(
        self,
        look: Callable[[Sequence[str]], Iterable[tuple[str, Any]]],
        *,
        wake: Callable[[], object],
        name: str,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self._look = look
        self._wake = wake
        self._lock = threading.Lock()
        self._awaited: dict[str, list[Future[Any]]] = {}
        self._woken = False
        self._thread = BackgroundThread(self._run, name=name, log=log, linger=_LINGER_SECONDS)

    def watch(self, unit: str) -> Future[Any]:
        """Return what will have the outcome of a unit."""
        future: Future[Any] = Future()
        with self._lock:
            self._awaited.setdefault(unit, []).append(future)
            woken, self._woken = self._woken, True
        self._thread.wake()
        if not woken:
            self._wake()
        return future

    async def outcome(self, unit: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as the calls that use it
        """Await the outcome of a unit.

        Raises
        ------
        TimeoutError
            There was none in time.
        """
        future = await asyncio.to_thread(self.watch, unit)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout)
        finally:
            self.forget(unit, future)

    def forget(self, unit: str, future: Future[Any]) -> None:
        """Await a unit no longer."""
        with self._lock:
            futures = self._awaited.get(unit, [])
            if future in futures:
                futures.remove(future)
            if not futures:
                self._awaited.pop(unit, None)

    def _run(self) -> float | None:
        with self._lock:
            units, self._woken = list(self._awaited), False
        if not units:
            return None
        try:
            ended = list(self._look(units))
        except AgentnbError as error:
            for unit in units:
                for future in self._take(unit):
                    _set(future, None, error)
            return 0.0
        for unit, outcome in ended:
            for future in self._take(unit):
                _set(future, outcome, None)
        return 0.0

    def _take(self, unit: str) -> list[Future[Any]]:
        with self._lock:
            return self._awaited.pop(unit, [])

    def stop(self) -> None:
        """Stop looking; what is still awaited is cancelled."""
        if not self._thread.stop(0):
            with suppress(AgentnbError):  # the look returns by itself, a little later
                self._wake()
            self._thread.stop()
        with self._lock:
            awaited, self._awaited = self._awaited, {}
        for futures in awaited.values():
            for future in futures:
                future.cancel()


def _set(future: Future[Any], outcome: Any, error: Exception | None) -> None:
    with suppress(InvalidStateError):  # nobody waits for it
        if error is None:
            future.set_result(outcome)
        else:
            future.set_exception(error)
