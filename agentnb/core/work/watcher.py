"""Waits for the ends of many units of work in one thread, however many are awaited."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.forking import ForkGuard, new_lock

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Awaited", "Watcher"]

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
        self._log = log
        self._begin()
        self._thread = BackgroundThread(self._run, name=name, log=log, linger=_LINGER_SECONDS)
        # A thread of its own, since `wake` may wait for a server and `watch` never does.
        self._waker = BackgroundThread(
            self._wake_look, name=f"{name}-wake", log=log, linger=_LINGER_SECONDS
        )

    def _begin(self) -> None:
        """Await nothing, also in a forked child: the outcomes are its parent's."""
        self._fork = ForkGuard()
        self._lock = new_lock()
        self._awaited: dict[str, list[Future[Any]]] = {}
        self._woken = False

    def watch(self, unit: str) -> Future[Any]:
        """Return the future of a unit's outcome, without waiting; `forget` ends it."""
        if self._fork.forked:
            self._begin()
        future: Future[Any] = Future()
        with self._lock:
            self._awaited.setdefault(unit, []).append(future)
            woken, self._woken = self._woken, True
        self._thread.wake()
        if not woken:
            self._waker.wake()
        return future

    async def outcome(self, unit: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as the calls that use it
        """Await the outcome of a unit.

        Raises
        ------
        TimeoutError
            There was none in time.
        """
        with self.awaiting(unit) as one:
            if not await one.within(timeout):
                raise TimeoutError
            return one.result()

    @contextmanager
    def awaiting(self, unit: str) -> Iterator[Awaited]:
        """Yield what awaits a unit in slices of time; it does so until the end of the block."""
        one = Awaited(self, unit)
        try:
            yield one
        finally:
            one.forget()

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

    def _wake_look(self) -> None:
        try:
            self._wake()
        except AgentnbError as error:  # `look` meets the same outage, and says so
            self._log.debug("%s could not be woken: %s", self._thread.name, error)

    def _take(self, unit: str) -> list[Future[Any]]:
        with self._lock:
            return self._awaited.pop(unit, [])

    def stop(self) -> None:
        """Stop looking; what is still awaited is cancelled."""
        self._waker.stop(0)
        if not self._thread.stop(0):
            with suppress(AgentnbError):  # the look returns by itself, a little later
                self._wake()
            self._thread.stop()
        with self._lock:
            awaited, self._awaited = self._awaited, {}
        for futures in awaited.values():
            for future in futures:
                future.cancel()


class Awaited:
    """One unit that a coroutine awaits; made by `Watcher.awaiting`."""

    def __init__(self, watcher: Watcher, unit: str) -> None:
        self._watcher = watcher
        self._unit = unit
        self._future: Future[Any] | None = None
        self._outcome: asyncio.Future[Any]

    async def within(self, seconds: float | None) -> bool:
        """Await the outcome for some seconds, and return whether it is there."""
        if self._future is None:
            self._future = self._watcher.watch(self._unit)
            self._outcome = asyncio.wrap_future(self._future)
        await asyncio.wait({self._outcome}, timeout=seconds)
        return self._outcome.done()

    def result(self) -> Any:
        """Return the outcome, or raise the error of the look; `within` then awaits the next one."""
        outcome = self._outcome
        self.forget()
        if outcome.cancelled():
            raise UsageError(
                f"{self._unit} is awaited no longer: its service is closed",
                service="work",
                hint="open another: agentnb.connect()",
            )
        return outcome.result()

    def forget(self) -> None:
        """Await the unit no longer."""
        if self._future is not None:
            self._watcher.forget(self._unit, self._future)
            self._future = None
            # An error that nobody is there to see is no "exception that was never retrieved".
            if not self._outcome.cancel() and not self._outcome.cancelled():
                self._outcome.exception()


def _set(future: Future[Any], outcome: Any, error: Exception | None) -> None:
    with suppress(InvalidStateError):  # nobody waits for it
        if error is None:
            future.set_result(outcome)
        else:
            future.set_exception(error)
