"""How often a failed call is made again, and after which pause."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.ranges import amount, whole
from agentnb.core.redact import redact

if TYPE_CHECKING:
    import logging

__all__ = ["RetryPolicy", "warn"]

# Of our own: jitter must not move the sequence of a notebook that called random.seed().
_jitter = random.Random()  # noqa: S311 - spreads callers out, protects nothing


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failed call is made again, and after which pause.

    Parameters
    ----------
    attempts
        How often the call is made at most, the first included; 1 is no retry.
    first
        Seconds before the first retry.
    cap
        The longest pause, in seconds.
    jitter
        Up to so many seconds are added to a pause, at random, below the cap.
    backoff
        ``"exponential"`` doubles the pause each time, ``"linear"`` adds `first` to it.

    Raises
    ------
    UsageError
        When there is no attempt, or a time is negative.

    Examples
    --------
    >>> policy = RetryPolicy(attempts=5, first=0.05, cap=0.3, jitter=0)
    >>> [policy.pause(failed) for failed in (1, 2, 3, 4)]
    [0.05, 0.1, 0.2, 0.3]
    >>> RetryPolicy(first=0.05, cap=2, jitter=0, backoff="linear").pause(3)
    0.15000000000000002
    """

    attempts: int = 3
    first: float = 0.05
    cap: float = 2.0
    jitter: float = 0.1
    backoff: Literal["exponential", "linear"] = "exponential"

    def __post_init__(self) -> None:
        whole("attempts", self.attempts, service="resilience")
        for name in ("first", "cap", "jitter"):
            amount(name, getattr(self, name), service="resilience")

    def pause(self, failed: int) -> float:
        """Return the seconds to wait after so many failed attempts, 1 or more."""
        factor = failed if self.backoff == "linear" else 2 ** min(failed - 1, 60)
        jitter = _jitter.uniform(0, self.jitter) if self.jitter else 0
        return min(self.cap, self.first * factor + jitter)


def warn(
    logger: logging.Logger | logging.LoggerAdapter[Any],
    error: Exception,
    *,
    doing: str,
    number: int,
    attempts: int,
    pause: float,
    **extra: object,
) -> None:
    """Log that a call failed and will be made again.

    Parameters
    ----------
    logger
        Where to.
    error
        What the attempt raised.
    doing
        What was done, as in "query failed".
    number, attempts
        Which attempt failed, of how many.
    pause
        Seconds until the next one.
    **extra
        More of the record.
    """
    left = attempts - number
    logger.warning(
        "%s failed, attempt %d of %d, %d left, next in %.2f s: %s",
        doing,
        number,
        attempts,
        left,
        pause,
        redact(f"{type(error).__name__}: {error}"),
        extra={"data": {"doing": doing, "attempt": number, "left": left}, **extra},
    )
