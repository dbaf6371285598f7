"""redis-py's retry, with the pauses and the deadline of agentnb's calls."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from redis.backoff import AbstractBackoff
from redis.exceptions import ConnectionError as TheirConnectionError
from redis.exceptions import TimeoutError as TheirTimeoutError
from redis.retry import Retry

from agentnb.core.redis.errors import REFUSALS, may_pass

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LinearBackoff", "Reconnect"]

T = TypeVar("T")


class LinearBackoff(AbstractBackoff):
    """Pauses of n times 50 ms, of 2 s at most.

    >>> [LinearBackoff().compute(failures) for failures in (1, 2, 100)]
    [0.05, 0.1, 2.0]
    """

    def __init__(self, step: float = 0.05, cap: float = 2.0) -> None:
        self.step = step
        self.cap = cap

    def compute(self, failures: int) -> float:
        """Return the seconds to wait after a number of failures."""
        return min(failures * self.step, self.cap)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LinearBackoff) and (other.step, other.cap) == (self.step, self.cap)

    def __hash__(self) -> int:
        return hash((self.step, self.cap))


class Reconnect(Retry):
    """Tries again for some seconds.

    Parameters
    ----------
    seconds
        How long, from the start of a call on.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(LinearBackoff(), -1, (TheirConnectionError, TheirTimeoutError, *REFUSALS))
        self.seconds = seconds

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,  # noqa: FBT001, FBT002 - redis-py's own
    ) -> T:
        """Call a function until it succeeds, may not be called again, or time is up."""
        until = monotonic() + self.seconds
        failures = 0

        def again(error: Exception) -> bool:
            nonlocal failures
            failures += 1
            pause = self._backoff.compute(failures)
            allowed = is_retryable is None or is_retryable(error)
            return allowed and may_pass(error) and monotonic() + pause < until

        return super().call_with_retry(do, fail, again, with_failure_count)
