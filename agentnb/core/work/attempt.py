"""One attempt at a unit of work, from its claim until its outcome counts or does not."""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import suppress
from contextvars import ContextVar, copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agentnb.core.errors import AttemptStopped, ConfigError, Final, UnavailableError
from agentnb.core.failure import CANCELLED, Failure, users_part
from agentnb.core.forking import new_event, new_lock
from agentnb.core.work.store import Outcome, OutcomeKind

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.work.executors.near import RemoteCall
    from agentnb.core.work.store import ActiveUnit, Claim

__all__ = [
    "CURRENT",
    "Attempt",
    "AttemptStopped",
    "Released",
    "Suspended",
    "TimedOut",
    "WorkHandler",
    "is_suspended",
    "report",
]

T = TypeVar("T")
CURRENT: ContextVar[Attempt | None] = ContextVar("agentnb_attempt", default=None)
"""The attempt that the calling code belongs to, in its thread or its coroutines; None outside."""
_RETRY_SECONDS = 0.2


class Released(BaseException):
    """Raised by a handler to put the unit back without counting the attempt."""


class Suspended(BaseException):
    """Raised by what an attempt waits for, so that its unit waits without a worker.

    It is no `Exception`: what the function does about errors must not catch it.
    """


class TimedOut(Exception):  # noqa: N818 - what happened
    """The attempt took longer than its time-out."""


class WorkHandler(Protocol):
    """The part of a service that knows what a unit of work is: it runs it, and logs its end."""

    service: str
    """The service in errors, such as ``queue``."""
    noun: str
    """The word for a unit in messages, such as ``job``."""

    def run(self, attempt: Attempt) -> Any:
        """Run the attempt by `Attempt.call`, and return the result in the form that is stored.

        Called in a context of its own. Errors of the function may go through. An `Outcome` is
        that of an attempt that ran elsewhere.
        """

    def begun(self, attempt: Attempt) -> None:
        """Count an attempt that begins, wherever its function runs."""

    def failure(self, attempt: Attempt, error: BaseException) -> tuple[Failure, bool]:
        """Return a description of an error, and whether another attempt would fail as well."""

    def substitute(self, attempt: Attempt, outcome: Outcome, error: Exception) -> Outcome | None:
        """Return an outcome in the place of one that the store refused; None if there is none."""

    def name(self, unit: Claim | ActiveUnit) -> str:
        """Return the name of a unit for people."""

    def ended(self, attempt: Attempt, outcome: Outcome, state: str | None) -> None:
        """Log the end of an attempt; the state is None if its outcome did not count."""

    def lost(self, attempt: Attempt) -> None:
        """Log that an attempt lost its lease."""

    def released(self, attempt: Attempt) -> None:
        """Log that the unit of an attempt was put back."""

    def reclaimed(self, held: ActiveUnit, failure: Failure, state: str) -> None:
        """Log that a unit was taken from a worker that is gone."""

    def stamp(self, **data: Any) -> dict[str, Any]:
        """Return the ``extra`` of a log record of the worker's."""


class Attempt:
    """An attempt at a unit of work in this process.

    Parameters
    ----------
    claim
        The claim that it fulfils.
    handler
        Runs it.
    loop
        Runs coroutines.
    log
        Logger of outages.

    Attributes
    ----------
    key
        The key of the claim.
    lost
        Whether the claim is another's by now: nothing of the attempt counts.
    cancelled
        Whether the attempt was asked to stop.
    overdue
        When it has to end, of the monotonic clock; None for no limit.
    began
        When it was claimed, of the monotonic clock.
    context
        The trace of its log lines and events; the handler's to set.
    work
        The handler's own record of it.
    thread
        The thread of the worker that runs it.
    consequence
        The fate of a call that took too long, for its error.
    remote
        The call of the executor that runs it elsewhere; None for one that runs in the thread.
    """

    def __init__(
        self,
        claim: Claim,
        handler: WorkHandler,
        loop: LoopThread,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.claim = claim
        self.key = claim.key
        self.lost = False
        self.cancelled = False
        self.began = monotonic()
        self.context: TraceContext | None = None
        self.work: Any = None
        self.thread = threading.current_thread()
        self.is_async = False
        self.remote: RemoteCall | None = None
        self.consequence = "its thread may run on; its outcome does not count"
        self._handler = handler
        self._loop = loop
        self._log = log
        self._settled = new_lock()
        self._ended: threading.Event | None = None  # made where something waits for it
        self._cancel: Callable[[], object] | None = None
        self.timeout: float | None = None
        self.overdue: float | None = None
        self.limit(claim.timeout)

    def limit(self, timeout: float | None) -> None:
        """Set the time-out, in seconds from now; None for no limit."""
        self.timeout = timeout
        self.overdue = None if timeout is None else monotonic() + timeout

    @property
    def ms(self) -> float:
        """The milliseconds since the claim."""
        return (monotonic() - self.began) * 1000

    @property
    def stopped(self) -> bool:
        """Whether the attempt lost its lease or was cancelled."""
        return self.lost or self.cancelled

    def settle(self) -> bool:
        """Return whether the caller is the first with an outcome of the attempt."""
        return self._settled.acquire(blocking=False)

    @property
    def settled(self) -> bool:
        """Whether the attempt has an outcome."""
        return self._settled.locked()

    def run(self) -> Outcome:
        """Run the handler in a copy of the context, and return the outcome."""
        try:
            value = copy_context().run(self._run_here)
        except BaseException as error:  # noqa: BLE001 - the worker goes on, and the error is kept
            return self._outcome_of(error)
        if isinstance(value, Outcome):
            return value
        return Outcome(OutcomeKind.COMPLETED, value, ms=self.ms)

    def _run_here(self) -> Any:
        CURRENT.set(self)
        return self._handler.run(self)

    def _outcome_of(self, error: BaseException) -> Outcome:
        if isinstance(error, Released):
            return Outcome(OutcomeKind.RELEASED, ms=self.ms)
        if self.cancelled:
            failure = Failure(CANCELLED, self.claim.attempt)
            return Outcome(OutcomeKind.CANCELLED, failure=failure, ms=self.ms)
        if is_suspended(error):
            return Outcome(OutcomeKind.SUSPENDED, ms=self.ms)
        return self.failed(error)

    def failed(self, error: BaseException) -> Outcome:
        """Return the outcome of an error: another attempt, or the end."""
        if isinstance(error, TimedOut):
            failure, final = Failure(str(error), self.claim.attempt), False
        else:
            failure, final = self._handler.failure(self, error)
        if final or _is_final(error) or self.claim.attempt >= self.claim.attempts:
            return Outcome(OutcomeKind.FAILED, failure=failure, ms=self.ms, error=error)
        delay = self.claim.backoff.after(self.claim.attempt)
        return Outcome(OutcomeKind.RETRY, failure=failure, delay=delay, ms=self.ms, error=error)

    def timed_out(self, consequence: str) -> TimedOut:
        """Return the error of an attempt that took too long, and what became of it."""
        return TimedOut(f"it took longer than {self.timeout:g} s; {consequence}")

    # For the handler

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function, or run a coroutine function to its end within the time-out.

        Raises
        ------
        TimedOut
            The coroutine took too long, and was cancelled.
        AttemptStopped
            The attempt was stopped, and the coroutine cancelled.
        """
        result = function(*args)
        return self._await(result) if inspect.isawaitable(result) else result

    def _await(self, awaitable: Any) -> Any:
        self.is_async = True
        left = None if self.overdue is None else max(self.overdue - monotonic(), 0.0)

        async def bounded() -> Any:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel) if task else None
            if self.stopped:
                self._cancel()
            try:
                async with asyncio.timeout(left) as limit:
                    return await awaitable
            except TimeoutError as error:
                if limit.expired():
                    late = self.timed_out("it was cancelled")
                    # Python 3.11.2 names no cause of it.
                    cancelled = error.__context__.__traceback__ if error.__context__ else None
                    # The user's line that was cancelled, in the place of how it was.
                    raise late.with_traceback(users_part(cancelled)) from None
                raise
            except asyncio.CancelledError as error:
                if self.stopped:
                    raise self._stopped_error() from error
                raise
            finally:
                self._cancel = None

        return self._loop.call(bounded)

    def persist(self, write: Callable[[], T], *, what: str) -> T:
        """Make a write of the attempt, again while the database or server is away.

        Parameters
        ----------
        write
            Makes it, behind the attempt's fence; must be safe to repeat.
        what
            What is written, for the log, such as ``the result of step 'charge'``.

        Raises
        ------
        AttemptStopped
            The attempt lost its lease meanwhile, or its worker has stopped.
        """
        told = False
        while True:
            self._check_lost()
            try:
                return write()
            except (UnavailableError, ConfigError) as error:
                self._check_lost(error)
                if not told:
                    told = True
                    unit = f"{self._handler.noun} {self._handler.name(self.claim)}"
                    self._log.warning("%s of %s cannot be kept yet: %s", what, unit, error)
            self._wait_for_end(_RETRY_SECONDS)

    def _wait_for_end(self, seconds: float) -> None:
        """Wait, but not once the lease is lost."""
        ended = self._ended
        if ended is None:
            ended = self._ended = new_event()
        if not self.lost:
            ended.wait(seconds)

    def check(self) -> None:
        """Raise an error if the attempt was stopped.

        Raises
        ------
        AttemptStopped
            The attempt lost its lease or was cancelled.
        """
        if self.stopped:
            raise self._stopped_error()

    def _check_lost(self, cause: Exception | None = None) -> None:
        if self.lost:
            raise self._stopped_error() from cause

    def _stopped_error(self) -> AttemptStopped:
        handler = self._handler
        return AttemptStopped(
            f"{handler.noun} {handler.name(self.claim)} was cancelled, or given to another worker",
            service=handler.service,
            hint="let the error end the function: nothing that it writes counts",
        )

    def pause(self, seconds: float) -> None:
        """Wait, but not once the attempt was stopped."""
        until = monotonic() + seconds
        while not self.stopped and (left := until - monotonic()) > 0:
            self._wait_for_end(min(left, _RETRY_SECONDS))

    def on_stop(self, call: Callable[[], object]) -> None:
        """Call a function when the attempt is stopped; at once if it was."""
        self._cancel = call
        if self.stopped:
            call()

    # For those who stop it

    def lose(self) -> None:
        """Mark the lease as lost and cancel the running coroutine."""
        self.lost = True
        ended = self._ended
        if ended is not None:
            ended.set()
        self._cancel_coroutine()

    def cancel(self) -> None:
        """Ask the attempt to stop, and cancel the running coroutine."""
        self.cancelled = True
        self._cancel_coroutine()

    def _cancel_coroutine(self) -> None:
        cancel = self._cancel
        if cancel is not None:
            with suppress(RuntimeError):  # its loop is closed
                cancel()


def is_suspended(error: BaseException) -> bool:
    """Return whether an error, or each of a group, suspends the attempt.

    >>> is_suspended(BaseExceptionGroup("", [Suspended(), Suspended()])), is_suspended(KeyError())
    (True, False)
    """
    if isinstance(error, BaseExceptionGroup):
        # A sibling that was stopped beside a wait adds nothing to it.
        found = [one for one in error.exceptions if not isinstance(one, AttemptStopped)]
        return bool(found) and all(map(is_suspended, found))
    return isinstance(error, Suspended)


def _is_final(error: BaseException) -> bool:
    """Return whether an error, or one of a group of errors, ends the unit of work."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_final, error.exceptions))
    return isinstance(error, Final)


def report(
    log: logging.Logger | logging.LoggerAdapter[Any],
    function: Callable[..., object],
    *args: object,
) -> None:
    """Call a handler that logs something: its errors stop no thread and no look."""
    try:
        function(*args)
    except Exception:
        log.exception("an event of the worker was not logged")
