"""Numbers and texts that callers give, checked: ``NAME must be RANGE, got VALUE``."""

from __future__ import annotations

import math
from contextlib import suppress
from time import monotonic
from typing import Any

from agentnb.core.errors import UsageError

__all__ = ["LONGEST", "amount", "end_of", "seconds", "text", "whole"]

LONGEST = 9 * 10**9
"""Seconds, 285 years: what threads and servers can wait for."""


def whole(
    name: str,
    value: Any,
    *,
    service: str,
    least: int = 1,
    most: int | None = None,
    hint: str | None = None,
) -> int:
    """Return a whole number, if it is in its range.

    Raises
    ------
    UsageError
        It is not, or is not a whole number.

    Examples
    --------
    >>> whole("limit", 5, service="cache")
    5
    >>> whole("concurrency", 0, service="queue", most=1000)
    Traceback (most recent call last):
    agentnb.core.errors.UsageError: concurrency must be 1 to 1,000, got 0
    """
    try:
        if not isinstance(value, bool) and least <= value.__index__():
            number: int = value.__index__()
            if most is None or number <= most:
                return number
    except (AttributeError, TypeError):
        pass
    allowed = f"{least:,} or more" if most is None else f"{least:,} to {most:,}"
    raise _outside(name, allowed, value, service, hint)


def amount(
    name: str,
    value: Any,
    *,
    service: str,
    least: float = 0,
    most: float = math.inf,
    hint: str | None = None,
) -> float:
    """Return a number, if it is in its range, both ends included.

    Raises
    ------
    UsageError
        It is not, or is not a number.

    Examples
    --------
    >>> amount("jitter", 2, service="cache", most=1)
    Traceback (most recent call last):
    agentnb.core.errors.UsageError: jitter must be 0 to 1, got 2
    """
    number = _number(value)
    if number is not None and least <= number <= most:
        return number
    allowed = f"{least:,} or more" if most == math.inf else f"{least:,} to {most:,}"
    raise _outside(name, allowed, value, service, hint)


def seconds(
    name: str, value: Any, *, service: str, zero: bool = False, hint: str | None = None
) -> float:
    """Return a number of seconds, if it is greater than 0 and less than `LONGEST`.

    Parameters
    ----------
    name, value
        The argument.
    service
        The service that it belongs to, for the error.
    zero
        Whether 0 is allowed, too.
    hint
        The hint of the error.

    Raises
    ------
    UsageError
        It is not.

    Examples
    --------
    >>> seconds("timeout", 0, service="events")
    Traceback (most recent call last):
    agentnb.core.errors.UsageError: timeout must be greater than 0 s, got 0
    """
    number = _number(value)
    if number is not None and (0 < number < LONGEST or (zero and number == 0)):
        return number
    allowed = "0 s or more" if zero else "greater than 0 s"
    if number is not None and number >= LONGEST:
        allowed = f"less than {LONGEST:,} s"
    raise _outside(name, allowed, value, service, hint)


def end_of(timeout: Any, *, service: str, since: float | None = None) -> float | None:
    """Return when a wait of so many seconds is over, of the monotonic clock; None for never.

    Parameters
    ----------
    timeout
        Seconds, 0 or more; None for as long as it takes.
    service
        The service that it belongs to, for the error.
    since
        When the wait began; default: now.

    Raises
    ------
    UsageError
        It is neither.

    Examples
    --------
    >>> end_of(5, service="queue", since=100.0), end_of(None, service="queue")
    (105.0, None)
    """
    if timeout is None:
        return None
    wait = seconds("timeout", timeout, service=service, zero=True)
    return (monotonic() if since is None else since) + wait


def text(name: str, value: Any, *, service: str, hint: str | None = None) -> str:
    r"""Return a text, if other programs can take it: without NUL, and encodable in UTF-8.

    Raises
    ------
    UsageError
        It is not, or is not a text.

    Examples
    --------
    >>> text("key", "order-7", service="queue")
    'order-7'
    >>> text("key", "a\x00", service="queue")
    Traceback (most recent call last):
    agentnb.core.errors.UsageError: key must be text without NUL or lone surrogates, got 'a\x00'
    """
    if not isinstance(value, str):
        raise _outside(name, "text", value, service, hint)
    if value.isascii() and "\0" not in value:
        return value
    try:
        if "\0" not in value:
            value.encode()
            return value
    except UnicodeEncodeError:
        pass
    raise _outside(name, "text without NUL or lone surrogates", value, service, hint)


def _number(value: Any) -> float | None:
    """Return a number as a float, None if a value is none; NaN is none."""
    if isinstance(value, bool | str | bytes):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def _outside(name: str, allowed: str, value: Any, service: str, hint: str | None) -> UsageError:
    shown = f"a value of type {type(value).__name__}"
    with suppress(Exception):  # a number of too many digits, or a class of the user's
        shown = f"{value:,}" if type(value) is int else f"{value!r:.60}"
    return UsageError(f"{name} must be {allowed}, got {shown}", service=service, hint=hint)
