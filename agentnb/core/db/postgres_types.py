"""PostgreSQL's types and Python's, where psycopg's own conversion would change a value."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import Any

__all__ = ["kind_of", "register"]

# By the numbers that PostgreSQL gives its types.
_KINDS = {
    **dict.fromkeys((20, 21, 23), "integer"),
    **dict.fromkeys((700, 701), "real"),
    **dict.fromkeys((18, 19, 25, 1042, 1043), "text"),
    16: "boolean",
    17: "bytes",
    1082: "date",
    1083: "time",
    1114: "datetime",
    1184: "datetimetz",
    1186: "interval",
    1700: "decimal",
    2950: "uuid",
}


def kind_of(column: Any) -> str | None:
    """Return the kind of a column of a cursor's description, None for other types."""
    return _KINDS.get(column[1])


def register(raw: Any) -> None:
    """Make a psycopg connection bind and read every value exactly, or raise."""
    from psycopg.types.json import set_json_loads

    for python, dumper in _dumpers():
        raw.adapters.register_dumper(python, dumper)
    raw.adapters.register_loader("interval", _interval_loader())
    set_json_loads(_json, raw)


def _json(data: str | bytes) -> Any:
    return json.loads(data, parse_float=_json_number)


def _json_number(text: str) -> float | Decimal:
    """Return a number of JSON, as a Decimal where a float would have other digits."""
    number = float(text)
    exact = Decimal(text)
    return number if Decimal(repr(number)) == exact else exact


def _enclosed(base: type[Any], suffix: bytes = b"") -> type[Any]:
    """Return a dumper that writes a negative number in parentheses.

    A cast binds closer than a minus: ``-5::text`` is minus the text ``5``.
    """

    class Enclosed(base):  # type: ignore[misc]  # psycopg's class of numbers
        def quote(self, obj: Any) -> bytes:
            quoted = bytes(super().quote(obj)).strip()
            if suffix and b"::" not in quoted:
                quoted += suffix
            return b"(" + quoted + b")" if quoted.startswith(b"-") else quoted

    return Enclosed


@lru_cache(maxsize=1)
def _dumpers() -> tuple[tuple[type[Any], type[Any]], ...]:
    from psycopg.types import numeric

    sizes = {
        numeric.Int2Dumper: numeric.Int2,
        numeric.Int4Dumper: numeric.Int4,
        numeric.Int8Dumper: numeric.Int8,
        numeric.IntNumericDumper: numeric.IntNumeric,
    }
    enclosed: dict[type[Any], Any] = {
        base: _enclosed(base)(python) for base, python in sizes.items()
    }

    class Integer(numeric.IntDumper):
        """Chooses the dumper of an integer's size."""

        def upgrade(self, obj: int, format: Any) -> Any:  # noqa: A002 - psycopg's name for it
            return enclosed[type(super().upgrade(obj, format))]

    return (
        (int, Integer),
        (Decimal, _enclosed(numeric.DecimalDumper)),
        # A plain 1.5 in SQL is a numeric, and would come back as a Decimal.
        (float, _enclosed(numeric.FloatDumper, b"::float8")),
    )


@lru_cache(maxsize=1)
def _interval_loader() -> type[Any]:
    from psycopg import DataError
    from psycopg.types.datetime import IntervalLoader

    class ExactIntervalLoader(IntervalLoader):
        """Refuses months and years, whose length depends on where they start."""

        def load(self, data: Any) -> Any:
            text = bytes(data)
            if b"mon" in text or b"year" in text:
                raise DataError(
                    f"can't parse interval {text.decode()!r}: a timedelta has no months or years"
                )
            return super().load(data)

    return ExactIntervalLoader
