"""Where the package calls a service: deadline, retry, breaker and one attempt, in that order."""

from __future__ import annotations

import logging
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from agentnb.core.errors import CircuitOpen, DeadlineExceeded, UnavailableError
from agentnb.core.resilience.deadline import Deadline
from agentnb.core.resilience.retry import RetryPolicy, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.resilience.breaker import Breaker

__all__ = ["Boundary"]

T = TypeVar("T")


def _unavailable(error: Exception) -> bool:
    return isinstance(error, UnavailableError | ConnectionError | TimeoutError)


class Boundary:
    """Calls to one service, under one policy.

    Parameters
    ----------
    service
        The service's name, for messages and the logger ``agentnb.<service>``.
    retry
        How often, and after which pause. Retries are made only for calls that are idempotent, and
        switched off with stamina's own switch, ``stamina.set_active(False)``.
    breaker
        Guards each attempt; None for none.
    retry_on
        Says whether an error may be gone at the next attempt. By default those that say that the
        service could not be reached. An open circuit and a deadline are never retried.
    logger
        Where retries are logged, as warnings; by default ``agentnb.<service>``.

    Examples
    --------
    >>> boundary = Boundary("db")
    >>> boundary.call(lambda deadline: deadline.clip(5), deadline=2, idempotent=True) <= 2
    True
    """

    __slots__ = ("_logger", "_retry_on", "breaker", "retry", "service")

    def __init__(
        self,
        service: str,
        *,
        retry: RetryPolicy | None = None,
        breaker: Breaker | None = None,
        retry_on: Callable[[Exception], bool] = _unavailable,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger] | None = None,
    ) -> None:
        self.service = service
        self.retry = retry or RetryPolicy()
        self.breaker = breaker
        self._retry_on = retry_on
        self._logger = logger or logging.getLogger(f"agentnb.{service}")

    def call(
        self,
        attempt: Callable[[Deadline], T],
        *,
        deadline: Deadline | float | None = None,
        idempotent: bool,
        doing: str = "query",
    ) -> T:
        """Make the call, again if that is allowed and may help.

        Parameters
        ----------
        attempt
            Makes one attempt; it is given the deadline and clips its own timeout to it.
        deadline
            Seconds for all attempts and pauses together, or a `Deadline` that is running already;
            None for no limit.
        idempotent
            Whether making the call twice does the same as making it once.
        doing
            What is done, for messages.

        Raises
        ------
        DeadlineExceeded
            When the deadline has passed before the first attempt.
        CircuitOpen
            When the breaker refuses the first attempt.
        Exception
            What the last attempt that reached the service raised.
        """
        deadline = Deadline.of(deadline)
        deadline.check(self.service, doing)
        try:
            return self._once(attempt, deadline)
        except Exception as error:
            if not idempotent or self.retry.attempts < 2 or not self._may_help(error):  # noqa: PLR2004 - the first is made
                raise
            first = error
        try:
            return self._again(attempt, deadline, doing, first)
        finally:
            del first  # its traceback holds this frame: without a cycle, all is freed at once

    def _once(self, attempt: Callable[[Deadline], T], deadline: Deadline) -> T:
        return attempt(deadline) if self.breaker is None else self.breaker.call(attempt, deadline)

    def _may_help(self, error: Exception) -> bool:
        return not isinstance(error, CircuitOpen | DeadlineExceeded) and self._retry_on(error)

    def _again(
        self, attempt: Callable[[Deadline], T], deadline: Deadline, doing: str, first: Exception
    ) -> T:
        """Go on after the first attempt has failed.

        Not in stamina's loop: its hooks belong to the user, and the default ones write to stdout
        where structlog is installed. Its switch is honoured.
        """
        import stamina

        number, last = 1, first
        try:
            while stamina.is_active() and number < self.retry.attempts:
                pause = self._pause(last, number, deadline, doing)
                if pause is None:
                    break
                sleep(pause)
                number += 1
                try:
                    return self._once(attempt, deadline)
                except CircuitOpen:
                    break
                except Exception as error:  # noqa: BLE001 - raised again below
                    last = error
            # Out here, so that the original keeps its own context and cause.
            raise last
        finally:
            del first, last

    def _pause(self, error: Exception, number: int, deadline: Deadline, doing: str) -> float | None:
        """Return the seconds to wait before the next attempt, or None for no other."""
        if not self._may_help(error):
            return None
        pause = self.retry.pause(number)
        left = deadline.remaining()
        if left is not None and left <= pause:
            return None
        if self.breaker is not None and self.breaker.state == "open":
            return None
        warn(
            self._logger,
            error,
            doing=doing,
            number=number,
            attempts=self.retry.attempts,
            pause=pause,
        )
        return pause
