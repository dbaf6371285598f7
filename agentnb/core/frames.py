"""Rows to pandas, polars and Arrow, each library imported only when it is asked for.

Every value survives: a conversion that would change one is refused, or leaves Python's own
values in the column.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.extras import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["EXACT", "arrow_to_pandas", "to_arrow", "to_pandas", "to_polars"]

EXACT = 2**53
"""Up to here a float holds every integer; pandas makes floats of integers beside NULLs."""

# A column of these is the same in a frame, or an error; other types are compared.
_KEPT = frozenset(
    {int, float, str, bool, bytes, Decimal, dt.date, dt.time, dt.datetime, dt.timedelta}
)
# Text of this length has at most 15 digits, which a float holds.
_SHORT = 15
_HINT = "cast it in the SQL, as in x::text or cast(x as text), or take .df() or .dicts()"


_MOMENT = dt.datetime(2026, 1, 31)  # noqa: DTZ001 - the value of a type without a zone
_SAMPLES: dict[str, Any] = {
    "integer": 0,
    "real": 0.0,
    "text": "",
    "boolean": True,
    "bytes": b"",
    "date": _MOMENT.date(),
    "datetime": _MOMENT,
    "datetimetz": _MOMENT.replace(tzinfo=dt.UTC),
    "time": dt.time(),
    "interval": dt.timedelta(),
    "decimal": Decimal(0),
    "uuid": uuid.UUID(int=0),
}
"""A value of each kind: a column without values has the type that it would give it."""


def _sample(kinds: Sequence[str | None], index: int) -> Any:
    kind = kinds[index] if index < len(kinds) else None
    return _SAMPLES.get(kind) if kind else None


def _columns(count: int, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * count


def to_pandas(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], kinds: Sequence[str | None] = ()
) -> pd.DataFrame:
    """Return the rows as a pandas DataFrame.

    Decimals become float64 where all of a column's are equal to the float's own text, as up
    to 15 digits always are; else they stay Decimal objects. Integers that float64 does not
    hold, beside NULLs, are Int64.

    Parameters
    ----------
    columns, rows
        As in `Table`.
    kinds
        The kind of each column, as the database tells it; of use where there is no value.
    """
    pandas = need("pandas")
    rows = rows if isinstance(rows, list) else list(rows)
    frame = pandas.DataFrame.from_records(rows, columns=list(columns))
    for index, (name, kind) in enumerate(zip(columns, frame.dtypes, strict=True)):
        if kind == "object":
            values = [row[index] for row in rows]
            sample = _sample(kinds, index)
            if sample is not None and all(value is None for value in values):
                one = to_pandas([name], [(value,) for value in (sample, *values)])
                frame[name] = one[name].iloc[1:].reset_index(drop=True)
            elif (numbers := _floats(values)) is not None:
                frame[name] = pandas.array(numbers, dtype="float64")
        elif kind == "float64" and (frame[name].abs() >= EXACT).any():
            frame[name] = _wide(pandas, [row[index] for row in rows])
    return frame  # type: ignore[no-any-return]  # imported at run time


def _floats(values: list[Any]) -> list[float] | None:
    """Return a column of Decimals as floats, or None if that would change one."""
    first = next((value for value in values if value is not None), None)
    if not isinstance(first, (Decimal, int, float)) or isinstance(first, bool):
        return None
    types = set(map(type, values))
    if Decimal not in types or not types <= {Decimal, int, float, type(None)}:
        return None
    numbers = []
    for value in values:
        if value is None:
            numbers.append(math.nan)
            continue
        number = _float(value)
        if number is None:
            return None
        numbers.append(number)
    return numbers


def _float(value: Any) -> float | None:
    """Return the float that stands for a number, None if it is another number."""
    text = str(value)
    try:
        number = float(value)
    except OverflowError:
        return None
    if type(value) is float or (len(text) <= _SHORT and not math.isinf(number) and number):
        return number
    if type(value) is int:
        return number if int(number) == value else None
    same = Decimal(repr(number)) == value or (math.isnan(number) and value.is_qnan())
    return number if same else None


def _wide(pandas: Any, values: list[Any]) -> Any:
    """Return a column of large numbers, as float64 only if each of them is one."""
    if set(map(type, values)) <= {int, type(None)}:
        return pandas.array(values, dtype="Int64")
    whole = all(type(value) is not int or int(float(value)) == value for value in values)
    return pandas.array(values, dtype="float64") if whole else pandas.array(values, dtype="object")


def arrow_to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as the DataFrame that its rows would give."""
    pandas = need("pandas")
    frame = table.to_pandas()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if (
            str(column.type) == "int64"
            and 0 < column.null_count < len(column)
            and (frame[name].abs() >= EXACT).any()
        ):
            frame[name] = pandas.array(column.to_pylist(), dtype="Int64")
        elif str(column.type).startswith("decimal128"):
            floats = column.cast("float64")
            # Those that come back as the same number are what the rows would have given.
            if column.type.precision <= _SHORT or _same(floats, column):
                frame[name] = floats.to_pandas()
    return frame  # type: ignore[no-any-return]  # imported at run time


def _same(floats: Any, decimals: Any) -> bool:
    """Return whether Arrow's floats are the decimals that they were made of."""
    arrow = need("pyarrow")
    try:
        return bool(floats.cast(decimals.type).equals(decimals))
    except arrow.ArrowInvalid:  # a float beyond the decimals of this type
        return False


def to_polars(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], kinds: Sequence[str | None] = ()
) -> pl.DataFrame:
    """Return the rows as a polars DataFrame.

    Raises
    ------
    UsageError
        A column holds values that polars would change.
    """
    polars = need("polars")

    found = [
        _built(name, values, partial(polars.Series, name, strict=False), "polars", sample)
        for name, values, sample in _sampled(columns, rows, kinds)
    ]
    return polars.DataFrame(found)  # type: ignore[no-any-return]  # imported at run time


def to_arrow(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], kinds: Sequence[str | None] = ()
) -> pa.Table:
    """Return the rows as an Arrow table.

    Raises
    ------
    UsageError
        A column holds values that Arrow would change.
    """
    arrow = need("pyarrow")
    arrays = [
        # A Decimal of Arrow's has a precision, which no sample tells.
        _built(name, values, arrow.array, "Arrow", None if type(sample) is Decimal else sample)
        for name, values, sample in _sampled(columns, rows, kinds)
    ]
    return arrow.Table.from_arrays(arrays, names=list(columns))


def _sampled(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], kinds: Sequence[str | None]
) -> Iterator[tuple[str, Sequence[Any], Any]]:
    """Yield name, values and a sample of each column."""
    for index, values in enumerate(_columns(len(columns), rows)):
        yield columns[index], values, _sample(kinds, index)


def _built(
    name: str, values: Sequence[Any], build: Callable[[Any], Any], library: str, sample: Any
) -> Any:
    """Return a library's column of the values, after making sure that they are the same.

    Raises
    ------
    UsageError
        They would not be.
    """
    present = [value for value in values if value is not None]
    if not present and sample is not None:
        return build([sample, *values])[1:]
    types = set(map(type, present))
    if types == {int, Decimal}:
        values = [Decimal(value) if type(value) is int else value for value in values]
        present = [value for value in values if value is not None]
        types = {Decimal}
    refused = _refused(types, present)
    if refused is not None:
        raise _cannot(name, library, refused)
    try:
        column = build(values)
        missing = column.null_count() if library == "polars" else column.null_count
    except Exception as error:  # each library has errors of its own, polars a RuntimeError
        raise _cannot(name, library, f"{_names(types)}: {error}") from error
    if missing != len(values) - len(present):
        raise _cannot(name, library, f"{_names(types)} that are out of its range")
    if not types <= _KEPT and not _equal(column, values):
        raise _cannot(name, library, f"{_names(types)} that would be changed")
    return column


def _refused(types: set[type], present: Sequence[Any]) -> str | None:
    """Return what a column has that no frame keeps, None if there is nothing."""
    if len(types) > 1 and types != {int, float}:
        return f"{_names(types)} in one column"
    if types == {int, float} and any(
        type(value) is int and abs(value) > EXACT and int(float(value)) != value
        for value in present
    ):
        return "integers beside floats that no float is equal to"
    if types == {Decimal} and not all(map(Decimal.is_finite, present)):
        return "Decimals that are no finite number"
    if types and types <= {dt.time, dt.datetime}:
        zones = set(map(attrgetter("tzinfo"), present))
        if None in zones and len(zones) > 1:
            return "times with and without a time zone in one column"
        if dt.time in types and zones != {None}:
            return "times of day with an offset"
    return None


def _equal(column: Any, values: Sequence[Any]) -> bool:
    """Return whether a column has the values that went into it."""
    found = column.to_list() if hasattr(column, "to_list") else column.to_pylist()
    # NaN in a list is equal to nothing, but is written the same.
    return all(a == b or repr(a) == repr(b) for a, b in zip(found, values, strict=True))


def _names(types: set[type]) -> str:
    return " and ".join(sorted(kind.__name__ for kind in types)) + " values"


def _cannot(name: str, library: str, what: str) -> UsageError:
    return UsageError(
        f"{library} cannot hold column {name!r}: {what}", service="frames", hint=_HINT
    )
