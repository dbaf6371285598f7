"""The rules for single values: exact, or refused with what to do instead."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import json
import os
import uuid
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LARGEST",
    "PLAIN",
    "SMALLEST",
    "TEXTUAL",
    "Columns",
    "UnfitError",
    "decimal_of",
    "exact_integer",
    "exact_number",
    "in_microseconds",
    "json_text",
    "missing",
    "plain_value",
    "utc_text",
    "whole_microseconds",
]

SMALLEST, LARGEST = -(2**63), 2**63 - 1
"""The range of an integer column, on SQLite and of PostgreSQL's bigint."""

PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
"""Types that every driver takes as they are."""

TEXTUAL = (
    uuid.UUID,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)
"""Types whose text says all that there is in a value."""

_AS_TEXT = "bind or load it as text, str(value), or use PostgreSQL, whose numeric holds any"


class Columns(tuple[str, ...]):  # noqa: SLOT001 - a tuple has no room for slots
    """The names of a result's columns, with their kinds.

    >>> columns = Columns(["n"], ["integer"])
    >>> columns, columns.kinds
    (('n',), ('integer',))
    """

    kinds: tuple[str | None, ...]

    def __new__(cls, names: Iterable[str], kinds: Iterable[str | None]) -> Self:
        """Return the names with their kinds."""
        made = super().__new__(cls, names)
        made.kinds = tuple(kinds)
        return made


class UnfitError(ValueError):
    """A value that cannot be kept exactly.

    Parameters
    ----------
    message
        The reason, as the end of a sentence about the value.
    hint
        The alternative to suggest.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def about(self, subject: str) -> UsageError:
        """Return the error that names the parameter or the column."""
        return UsageError(f"{subject} {self}", service="db", hint=self.hint)


def missing(value: object) -> bool:
    """Return whether pandas means a missing value by this: NA or NaT.

    >>> missing(0), missing(None)
    (False, False)
    """
    return type(value).__name__ in {"NAType", "NaTType"}


def decimal_of(value: Any) -> decimal.Decimal:
    """Return a number as the Decimal that is written as it is.

    >>> decimal_of(0.1), decimal_of(2)
    (Decimal('0.1'), Decimal('2'))
    """
    return decimal.Decimal(repr(value) if isinstance(value, float) else value)


def exact_number(value: decimal.Decimal) -> int | float:
    """Return the integer or float that SQLite stores for a Decimal without losing a digit.

    Raises
    ------
    UnfitError
        It has more digits than these hold, or is not finite.

    Examples
    --------
    >>> exact_number(decimal.Decimal("9.50")), exact_number(decimal.Decimal("10.00"))
    (9.5, 10)
    """
    if not value.is_finite():
        raise UnfitError(f"is {value}, which is no number", "bind or load None for a missing value")
    if value == value.to_integral_value() and SMALLEST <= value <= LARGEST:
        return int(value)
    number = float(value)
    if decimal.Decimal(repr(number)) != value:
        digits = len(value.as_tuple().digits)
        raise UnfitError(f"has {digits} digits, more than SQLite's numbers hold", _AS_TEXT)
    return number


def exact_integer(value: int) -> int:
    """Return an integer that SQLite stores as it is.

    Raises
    ------
    UnfitError
        It has more than 64 bits.
    """
    if not SMALLEST <= value <= LARGEST:
        raise UnfitError("is an integer of more than 64 bits", _AS_TEXT)
    return value


def utc_text(value: dt.datetime) -> str:
    """Return a time as text that sorts as the times do: an aware one in UTC.

    Raises
    ------
    UnfitError
        It has no equal in UTC between the years 1 and 9999.

    Examples
    --------
    >>> utc_text(dt.datetime(2026, 1, 31, 9, tzinfo=dt.timezone(dt.timedelta(hours=5))))
    '2026-01-31 04:00:00+00:00'
    """
    if value.tzinfo is not None:
        try:
            value = value.astimezone(dt.UTC)
        except OverflowError as error:
            raise UnfitError(
                f"is {value}, which UTC has no date for", "bind a naive time"
            ) from error
    return value.isoformat(sep=" ")


def whole_microseconds(value: Any) -> None:
    """Raise for a time or duration of pandas' with nanoseconds, which no database keeps.

    Raises
    ------
    UnfitError
        It has some.
    """
    if getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0):
        raise _nanoseconds()


def _nanoseconds() -> UnfitError:
    return UnfitError(
        "has nanoseconds, and a database keeps microseconds",
        "round it first: value.round('us'), or series.dt.round('us')",
    )


def in_microseconds(value: Any) -> Any:
    """Return an array, a series or a scalar whose times have no finer parts than microseconds.

    Raises
    ------
    UnfitError
        It has some.
    """
    dtype = getattr(value, "dtype", None)
    kind = getattr(dtype, "kind", "")
    module = type(value).__module__.partition(".")[0]
    if kind in {"m", "M"} and module == "numpy":
        # numpy calls times finer than microseconds plain integers.
        cut = value.astype(f"{kind}8[us]")
        if not ((cut == value) | (cut != cut)).all():  # noqa: PLR0124 - only NaT differs from itself
            raise _nanoseconds()
        return cut
    if module == "polars" and getattr(dtype, "time_unit", None) == "ns":
        cut = value.dt.cast_time_unit("us")
        if not cut.dt.cast_time_unit("ns").equals(value):
            raise _nanoseconds()
        return cut
    return value


def plain_value(value: Any) -> Any:
    """Return the plain Python value of pandas' scalars; periods and intervals as text.

    Raises
    ------
    UnfitError
        It has nanoseconds.
    """
    if missing(value):
        return None
    if type(value).__module__.partition(".")[0] == "pandas":
        whole_microseconds(value)
        if type(value).__name__ in {"Period", "Interval"}:
            return str(value)
        convert = getattr(value, "to_pydatetime", None) or getattr(value, "to_pytimedelta", None)
        return convert() if convert else value
    return value


def json_text(value: object) -> str:
    """Return a value as JSON; dates, UUIDs, Decimals and paths in it as text.

    Raises
    ------
    TypeError
        It holds something else.
    ValueError
        It holds a NaN or an infinity, which JSON has no word for.

    Examples
    --------
    >>> json_text({"price": decimal.Decimal("9.50"), "at": dt.date(2026, 1, 31)})
    '{"price": "9.50", "at": "2026-01-31"}'
    """
    return json.dumps(value, default=_json_default, allow_nan=False)


def _json_default(value: Any) -> Any:
    if missing(value):
        return None
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (decimal.Decimal, dt.time, *TEXTUAL)):
        return str(value)
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no JSON")
