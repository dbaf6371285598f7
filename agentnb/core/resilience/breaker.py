"""A circuit breaker: a service that has just failed repeatedly is left alone for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar

from agentnb.core.errors import CircuitOpen, NotFoundError, RejectedError, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.ranges import amount, whole
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

__all__ = ["Breaker"]

P = ParamSpec("P")
T = TypeVar("T")

_CLOSED: Final = "closed"
_OPEN: Final = "open"
_HALF_OPEN: Final = "half_open"


def _service_failed(error: Exception) -> bool:
    """Whether the error says that the service is ill; "no" is an answer, too."""
    return not isinstance(error, RejectedError | NotFoundError | UsageError)


class Breaker:
    """Refuses calls to a service for a while after several failures in a row.

    Closed, it lets every call through. Open, it refuses them. After the cool-down it lets one
    call through, to try: its success closes the breaker, its failure opens it again. The lock is
    never held during a call, and a call that ends after the breaker has changed its state says
    nothing about it. What is not an `Exception` (Ctrl-C) says nothing either.

    Parameters
    ----------
    service
        The service's name, for messages.
    failures
        How many failures in a row open it. A count, rather than a rate over a window: a person
        at a notebook does not make the hundred calls that a rate needs.
    cooldown
        Seconds before a call is tried again.
    clock
        Returns seconds; only differences matter.
    counts
        Says whether an error is a failure of the service. By default all are but `UsageError`,
        `NotFoundError` and `RejectedError`, which say that the service answered.

    Examples
    --------
    >>> breaker = Breaker("cache", failures=1, cooldown=10)
    >>> breaker.call(int, "7")
    7
    >>> try:
    ...     breaker.call(int, "seven")
    ... except ValueError:
    ...     breaker.state
    'open'
    """

    def __init__(
        self,
        service: str,
        *,
        failures: int = 5,
        cooldown: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        counts: Callable[[Exception], bool] = _service_failed,
    ) -> None:
        self.service = service
        self.failures = whole("failures", failures, service=service)
        self.cooldown = amount("cooldown", cooldown, service=service)
        self._clock = clock
        self._counts = counts
        self._lock = new_lock()
        self._state: Literal["closed", "open", "half_open"] = _CLOSED
        # Grows whenever calls in flight stop to matter; a call brings back the one it started in.
        self._period = 0
        self._in_a_row = 0
        self._opened_at = 0.0
        self._trying = False
        self._trips = 0
        self._last_error: str | None = None

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function, unless the breaker is open.

        Raises
        ------
        CircuitOpen
            When it is open. Whatever else the function raises is passed on.
        """
        with self.guard():
            return function(*args, **kwargs)

    def guard(self) -> AbstractContextManager[None]:
        """Return a block that is a call, for callers that await in it.

        Raises
        ------
        CircuitOpen
            When the block is entered while the breaker is open.

        Examples
        --------
        >>> breaker = Breaker("api")
        >>> with breaker.guard():
        ...     answer = 42
        >>> breaker.state
        'closed'
        """
        return _Guard(self)

    @property
    def state(self) -> str:
        """``"closed"``, ``"open"``, or ``"half_open"`` once a call would be tried again."""
        with self._lock:
            if self._state == _OPEN and self._left() <= 0:
                return _HALF_OPEN
            return self._state

    def snapshot(self) -> dict[str, object]:
        """Return what a status shows.

        Returns
        -------
        dict
            ``service``, ``state``, ``failures`` (in a row), ``limit`` (of them), ``retry_in``
            (seconds until a call is tried, 0 unless open), ``trips`` (how often it opened), and
            ``last_error`` (class and message of the last failure, redacted, or None).
        """
        state = self.state
        with self._lock:
            return {
                "service": self.service,
                "state": state,
                "failures": self._in_a_row,
                "limit": self.failures,
                "retry_in": round(self._left(), 3) if state == _OPEN else 0.0,
                "trips": self._trips,
                "last_error": self._last_error,
            }

    def reset(self) -> None:
        """Close it: the service is known to be well again."""
        with self._lock:
            self._close()

    def _left(self) -> float:
        return max(0.0, self._opened_at + self.cooldown - self._clock())

    def _close(self) -> None:
        self._state = _CLOSED
        self._period += 1
        self._in_a_row = 0
        self._trying = False

    def _admit(self) -> int:
        with self._lock:
            if self._state == _CLOSED:
                return self._period
            left = self._left() if self._state == _OPEN else 0.0
            if not left and not self._trying:
                self._state = _HALF_OPEN
                self._trying = True
                self._period += 1
                return self._period
            failures, last = self._in_a_row, self._last_error
        when = f"in {left:.1f} s" if left else "when the call that is trying it now is over"
        raise CircuitOpen(
            f"{self.service} failed {failures} times in a row and is left alone"
            + (f"; the last time: {last}" if last else ""),
            service=self.service,
            hint=f"try again {when}",
        )

    def _ended(self, period: int, error: BaseException | None) -> None:
        if error is None:
            self._succeeded(period)
        elif not isinstance(error, Exception):
            self._gave_up(period)
        elif self._counts(error):
            self._failed(period, error)
        else:
            self._succeeded(period)

    def _succeeded(self, period: int) -> None:
        with self._lock:
            if period != self._period:
                return  # started before the breaker opened: says nothing about now
            if self._state == _HALF_OPEN:
                self._close()
            else:
                self._in_a_row = 0

    def _failed(self, period: int, error: Exception) -> None:
        message = redact(f"{type(error).__name__}: {error}")
        with self._lock:
            if period != self._period:
                return
            self._last_error = message
            self._in_a_row += 1
            if self._state == _HALF_OPEN or self._in_a_row >= self.failures:
                self._state = _OPEN
                self._period += 1
                self._trips += 1
                self._trying = False
                self._opened_at = self._clock()

    def _gave_up(self, period: int) -> None:
        with self._lock:
            if period == self._period:
                self._trying = False

    def __repr__(self) -> str:
        return f"<Breaker {self.service} {self.state}>"


class _Guard:
    """One call under a breaker; not made by contextlib, which costs more than all else here."""

    __slots__ = ("_breaker", "_period")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> None:
        self._period = self._breaker._admit()  # noqa: SLF001 - the two classes are one mechanism

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._breaker._ended(self._period, error)  # noqa: SLF001 - as above
