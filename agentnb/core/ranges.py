"""Numbers and texts that callers give, checked: ``NAME must be RANGE, got VALUE``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "LONGEST",
    "OutsideError",
    "amount",
    "choice",
    "end_of",
    "flag",
    "read_seconds",
    "read_whole",
    "refused",
    "seconds",
    "text",
    "texts",
    "whole",
]

LONGEST = 9 * 10**9
"""Seconds, 285 years: what threads and servers can wait for."""
_SHORT = 60
_NUMPY = {"bool", "bool_"}


class OutsideError(ValueError):
    """A text that is no number of its range; the message is the range."""


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
    >>> try:
    ...     whole("concurrency", 0, service="queue", most=1000)
    ... except UsageError as error:
    ...     print(error.message)
    concurrency must be 1 to 1,000, got 0
    """
    try:
        if not isinstance(value, bool) and least <= value.__index__():
            number: int = value.__index__()
            if most is None or number <= most:
                return number
    except (AttributeError, TypeError):
        pass
    example = min(max(5, least), least + 5 if most is None else most)
    raise refused(name, _range(least, most), value, service, hint or f"{name}={example}")


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
    >>> try:
    ...     amount("jitter", 2, service="cache", most=1)
    ... except UsageError as error:
    ...     print(error.message)
    jitter must be 0 to 1, got 2
    """
    number = _number(value)
    if number is not None and least <= number <= most:
        return number
    allowed = _range(least, None if most == math.inf else most)
    raise refused(name, allowed, value, service, hint or f"{name}={min(most, max(least, 1)):g}")


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
    >>> try:
    ...     seconds("timeout", 0, service="events")
    ... except UsageError as error:
    ...     print(error.message)
    timeout must be greater than 0 s, got 0
    """
    number = _number(value)
    if number is not None and (0 < number < LONGEST or (zero and number == 0)):
        return number
    allowed = "0 s or more" if zero else "greater than 0 s"
    if number is not None and number >= LONGEST:
        allowed = f"less than {_shown(LONGEST)} s"
    raise refused(name, allowed, value, service, hint or f"{name}=5")


def choice(
    name: str, value: Any, choices: Sequence[str], *, service: str, hint: str | None = None
) -> str:
    """Return a value, if it is one of some.

    Raises
    ------
    UsageError
        It is not.

    Examples
    --------
    >>> try:
    ...     choice("side", "our", ("ours", "theirs", "base"), service="git")
    ... except UsageError as error:
    ...     print(error.message)
    side must be ours, theirs or base, got 'our'
    """
    if isinstance(value, str) and value in choices:
        return value
    allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    near = did_you_mean(value, choices) if isinstance(value, str) else ""
    raise refused(name, allowed, value, service, hint or near or f"{name}={choices[0]!r}")


def flag(
    name: str, value: Any, *, service: str, hint: str | None = None, optional: bool = False
) -> bool:
    """Return a flag, if it is True or False; those of numpy are, too.

    Parameters
    ----------
    optional
        Whether None is allowed as well, which the error says.

    Raises
    ------
    UsageError
        It is not: a text such as ``"no"`` would be true.

    Examples
    --------
    >>> try:
    ...     flag("follow", "no", service="workflow")
    ... except UsageError as error:
    ...     print(f"{error.message} ({error.hint})")
    follow must be True or False, got 'no' (follow=True)
    """
    kind = type(value)
    if isinstance(value, bool) or (kind.__module__ == "numpy" and kind.__name__ in _NUMPY):
        return bool(value)
    allowed = "True, False or None" if optional else "True or False"
    raise refused(name, allowed, value, service, hint or f"{name}=True")


def end_of(timeout: Any, *, service: str, since: float | None = None) -> float | None:
    """Return the end of a wait, of the monotonic clock; None for never.

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
    >>> try:
    ...     text("key", "a\x00", service="queue")
    ... except UsageError as error:
    ...     print(error.message)
    key must be text without NUL or lone surrogates, got 'a\x00'
    """
    if not isinstance(value, str):
        raise refused(name, "text", value, service, hint or f'{name}="text"')
    if value.isascii() and "\0" not in value:
        return value
    try:
        if "\0" not in value:
            value.encode()
            return value
    except UnicodeEncodeError:
        pass
    allowed = "text without NUL or lone surrogates"
    raise refused(name, allowed, value, service, hint or "encode other text, such as with ascii()")


def texts(name: str, value: Any, *, service: str, hint: str | None = None) -> tuple[str, ...]:
    """Return several texts; a single one is refused, since each of its letters would be one.

    Raises
    ------
    UsageError
        They are not a list of texts.

    Examples
    --------
    >>> texts("names", ["mail", "bills"], service="queue")
    ('mail', 'bills')
    >>> try:
    ...     texts("names", "mail", service="queue")
    ... except UsageError as error:
    ...     print(f"{error.message} ({error.hint})")
    names must be a list of texts, got 'mail' (names=['mail'])
    """
    if not isinstance(value, str | bytes) and isinstance(value, Iterable):
        given = tuple(value)
        if all(isinstance(one, str) for one in given):
            return given
        raise refused(name, "a list of texts", given, service, hint or f'{name}=["text"]')
    example = [value] if isinstance(value, str) and len(value) < _SHORT else ["text"]
    raise refused(name, "a list of texts", value, service, hint or f"{name}={example!r}")


def read_whole(text: str, *, least: int = 1, most: int | None = None) -> int:
    """Return the whole number that a text is, if it is in its range.

    Raises
    ------
    OutsideError
        It is not.

    Examples
    --------
    >>> read_whole("7")
    7
    >>> read_whole("many", most=1000)
    Traceback (most recent call last):
    agentnb.core.ranges.OutsideError: 1 to 1,000
    """
    with suppress(ValueError):
        number = int(text)
        if least <= number and (most is None or number <= most):
            return number
    raise OutsideError(_range(least, most))


def read_seconds(text: str, *, zero: bool = False) -> float:
    """Return the number of seconds that a text is, if it is greater than 0.

    Parameters
    ----------
    text
        The text.
    zero
        Whether 0 is allowed, too.

    Raises
    ------
    OutsideError
        It is not, or has no end.

    Examples
    --------
    >>> read_seconds("0.5"), read_seconds("0", zero=True)
    (0.5, 0.0)
    """
    with suppress(ValueError):
        number = float(text)
        if 0 < number < math.inf or (zero and number == 0):
            return number
    raise OutsideError("0 s or more" if zero else "greater than 0 s")


def _number(value: Any) -> float | None:
    """Return a number as a float, None if a value is none; NaN is none."""
    if type(value) is not float:  # as settings and defaults are, which most calls check
        if isinstance(value, (bool, str, bytes)):
            return None
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
    return None if math.isnan(value) else value


def _range(least: float, most: float | None) -> str:
    return f"{_shown(least)} or more" if most is None else f"{_shown(least)} to {_shown(most)}"


def _shown(number: float) -> str:
    """Return a number as text; a float that is whole as the whole number."""
    return f"{int(number):,}" if number == int(number) else f"{number:,}"


def refused(name: str, allowed: str, value: Any, service: str, hint: str) -> UsageError:
    """Return the error of a value outside of what is allowed.

    >>> refused("needs", "names of tasks", 7, "workflow", 'needs=["plan"]').message
    'needs must be names of tasks, got 7'
    """
    shown = f"a value of type {type(value).__name__}"
    with suppress(Exception):  # a number of too many digits, or a class of the user's
        shown = f"{value:,}" if type(value) is int else f"{value!r:.60}"
    return UsageError(f"{name} must be {allowed}, got {shown}", service=service, hint=hint)
