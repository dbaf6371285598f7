"""Limits of work over all workers: how often it may start in a time, and how much runs at once."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.ranges import amount, whole

__all__ = ["NOT_GIVEN", "Limit", "checked_limits"]

MOST: Final = 1_000_000
"""Starts or places of a limit."""
SHORTEST: Final = 0.001
LONGEST: Final = 30 * 86400
"""Seconds of a rate."""


class _NotGiven:
    """The default of an argument, as ``help()`` shows it."""

    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN: Any = _NotGiven()


class Limit(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A limit of the work of all workers: a rate or a concurrency.

    Attributes
    ----------
    rate, per
        At most this many starts within this many seconds, wherever they begin; or None.
    concurrency
        At most this many that run at once, or None.
    by
        The field of a job's data for whose values it holds, each by itself; None for all jobs.

    Examples
    --------
    >>> print(Limit(rate=10, per=60, by="data.user"))
    10 per 60 s for each data.user
    >>> print(Limit(concurrency=4))
    concurrency 4
    """

    rate: int | None = None
    per: float | None = None
    concurrency: int | None = None
    by: str | None = None

    def __str__(self) -> str:
        each = f" for each {self.by}" if self.by else ""
        if self.rate is not None:
            return f"{self.rate:,} per {self.per:,g} s{each}"
        return f"concurrency {self.concurrency:,}{each}"


def checked_limits(
    rate: Any, per: Any, concurrency: Any, *, by: str | None = None, service: str
) -> list[Limit]:
    """Return the limits that a caller gave: a rate, a concurrency or both.

    Raises
    ------
    UsageError
        A number is not in its range, or there is none.

    Examples
    --------
    >>> [str(one) for one in checked_limits(10, 60, 4, service="queue")]
    ['10 per 60 s', 'concurrency 4']
    >>> try:
    ...     checked_limits(0, 60, None, service="queue")
    ... except UsageError as error:
    ...     print(error.message)
    rate must be 1 to 1,000,000, got 0
    """
    limits = []
    magic = "workflow limit AGENT" if service == "workflow" else "queue limit QUEUE"
    example = f"limit(10, per=60) (%{magic} 10 --per 60)"
    if rate is not None:
        number = whole("rate", rate, service=service, most=MOST, hint=example)
        if per is None:
            raise UsageError(
                f"a rate of {number:,} needs per, its seconds",
                service=service,
                hint=f"limit({number}, per=60) (%{magic} {number} --per 60)",
            )
        limits.append(
            Limit(
                number,
                amount("per", per, service=service, least=SHORTEST, most=LONGEST, hint=example),
                by=by,
            )
        )
    elif per is not None:
        raise UsageError(
            "per belongs to a rate, and none was given",
            service=service,
            hint=f"limit(10, per={per!r:.20}) (%{magic} 10 --per {per!s:.20})",
        )
    if concurrency is not None:
        hint = "limit(concurrency=4) (--concurrency 4)"
        number = whole("concurrency", concurrency, service=service, most=MOST, hint=hint)
        limits.append(Limit(concurrency=number, by=by))
    if not limits:
        raise UsageError(
            "a limit is a rate, a concurrency or both, and none was given",
            service=service,
            hint=f"limit(10, per=60), limit(concurrency=4) (%{magic} 10 --per 60, or "
            "--concurrency 4); unlimit() removes limits",
        )
    return limits
