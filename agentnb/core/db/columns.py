"""The columns of a table that is loaded: their types in SQL, and the values that go in."""

from __future__ import annotations

import datetime as dt
import enum
import math
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentnb.core.db import values
from agentnb.core.db.values import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["converter", "fitted", "sql_types", "textual"]

_SECONDS = "load its seconds: frame[COLUMN].dt.total_seconds()"
_REFUSED_BY_SQLITE = {
    "interval": ("holds durations, which SQLite has no type for", _SECONDS),
    "timetz": (
        "holds times of day with an offset, which SQLite cannot compare",
        "load datetimes, or take the offsets away: value.replace(tzinfo=None)",
    ),
}


def sql_types(dialect: str) -> dict[str, Any]:
    """Return SQLAlchemy's type of each kind of column, for a table that is made."""
    import sqlalchemy as sa

    types = {
        "integer": sa.BigInteger(),
        "real": sa.Double(),
        "text": sa.Text(),
        "boolean": sa.Boolean(),
        "date": sa.Date(),
        "datetime": sa.DateTime(),
        "datetimetz": sa.DateTime(timezone=True),
        "time": sa.Time(),
        "timetz": sa.Time(timezone=True),
        "interval": sa.Interval(),
        "decimal": sa.Numeric(),
        "bytes": sa.LargeBinary(),
        "json": sa.JSON(),
        "uuid": sa.Uuid(),
    }
    if dialect == "sqlite":
        # The values are made by the same rule as bound ones. A numeric column compares
        # numbers as numbers.
        types |= {
            "date": _named("date"),
            "datetime": _named("datetime"),
            "datetimetz": _named("datetime"),
            "time": _named("time"),
            "decimal": _named("numeric"),
            "json": sa.Text(),
            "uuid": sa.Text(),
        }
    return types


def _named(name: str) -> Any:
    """Return a type of this name in DDL that leaves values as they are."""
    from sqlalchemy.types import UserDefinedType

    class Named(UserDefinedType[Any]):
        cache_ok = True

        def get_col_spec(self, **_: object) -> str:
            return name

    return Named()


def fitted(kind: str, there: Any, dialect: str) -> tuple[str, Any]:
    """Return the kind and the bound type of values for a column that is there already.

    Parameters
    ----------
    kind
        Of the values.
    there
        SQLAlchemy's type of the column.
    dialect
        SQLAlchemy's name of the database.

    Returns
    -------
    kind, type
        The type is None where the kind's own is right.
    """
    import sqlalchemy as sa

    text = isinstance(there, sa.String) and not isinstance(there, sa.Enum)
    if dialect != "postgresql":
        # Decimals keep their text in a column of text, whose other values are text.
        return ("text" if text and kind == "decimal" else kind), None
    if text:
        return "text", sa.Text()
    if kind == "json":
        return ("array" if isinstance(there, sa.ARRAY) else "json"), sa.types.NullType()
    if kind == "text":
        # Untyped, so that the server reads '2026-01-31' as the column's own type.
        return "text", sa.types.NullType()
    return _without_rounding(kind, there)


def _without_rounding(kind: str, there: Any) -> tuple[str, Any]:
    """Return kind and type of values that the server would cut to those of the column."""
    import sqlalchemy as sa

    exact = isinstance(there, sa.Numeric) and not isinstance(there, sa.Float)
    zoned = getattr(there, "timezone", False)
    if isinstance(there, sa.Integer) and kind in {"real", "decimal"}:
        return "whole", sa.BigInteger()
    if exact and kind == "real":
        return "decimal", sa.Numeric()
    if isinstance(there, sa.Date) and kind in {"datetime", "datetimetz"}:
        return "midnight", sa.Date()
    if isinstance(there, (sa.DateTime, sa.Time)) and kind.endswith("tz") and not zoned:
        return "naive", None
    return kind, None


def converter(kind: str, adapt: Callable[[Any], Any], dialect: str) -> Callable[[Any], Any]:
    """Return what makes a column's values fit for the driver; None stays None.

    Raises
    ------
    UnfitError
        The database has no type for this kind; the function raises it for a value.
    """
    if dialect == "sqlite" and kind in _REFUSED_BY_SQLITE:
        raise UnfitError(*_REFUSED_BY_SQLITE[kind])
    makers: dict[str, Callable[[Any], Any]] = {
        "json": values.json_text,
        "text": lambda value: textual(value, utc=dialect == "sqlite"),
        "decimal": lambda value: adapt(values.decimal_of(value)),
        "real": _real,
        "whole": _whole,
        "midnight": _midnight,
        "naive": _naive,
        "array": list,
    }
    make = makers.get(kind, adapt)

    def convert(value: Any) -> Any:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        return make(value)

    return convert


def _real(value: Any) -> float:
    number = float(value)
    if isinstance(value, int) and int(number) != value:
        raise UnfitError(
            f"has {value} beside floats, none of which is equal to it", "load Decimals"
        )
    return number


def _whole(value: Any) -> int:
    if not math.isfinite(value) or value != int(value):
        raise UnfitError(
            f"has {value}, and the column is an integer", "round it first: round(value)"
        )
    return int(value)


def _midnight(value: dt.datetime) -> dt.date:
    if value.timetz() != dt.time():
        raise UnfitError(
            f"has {value}, and the column is a date", "take the date first: value.date()"
        )
    return value.date()


def _naive(value: Any) -> Any:
    raise UnfitError(
        f"has {value}, and the column has no time zone",
        "make the times naive first: value.astimezone(UTC).replace(tzinfo=None)",
    )


def textual(value: Any, *, utc: bool) -> str:
    """Return a value as the text that a column of text has for it.

    Parameters
    ----------
    utc
        Whether times with an offset become times of UTC, whose text sorts as they do.

    Raises
    ------
    UnfitError
        Its text would not be the value.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dt.datetime):
        return values.utc_text(value) if utc else value.isoformat(sep=" ")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (dict, list, tuple)):
        return values.json_text(value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, (bool, int, float, Decimal, *values.TEXTUAL)):
        return str(value)
    raise UnfitError(
        f"has a {type(value).__name__} among text", "make them text first, or load them apart"
    )
