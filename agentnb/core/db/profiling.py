"""A summary of each column: of a table by its database, or of rows in memory."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.db import schema
from agentnb.core.db.expressions import EXPRESSIONS
from agentnb.core.db.quoting import quoted_name
from agentnb.core.db.result import Result
from agentnb.core.errors import UsageError
from agentnb.core.format import rows as rows_text
from agentnb.core.quartiles import QUARTILES, SHARES, rank
from agentnb.core.table import Column, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentnb.core.db.executor import Executor

__all__ = ["COLUMNS", "of_rows", "of_table"]

COLUMNS = (
    "column",
    "type",
    "nulls",
    "distinct",
    "least",
    "greatest",
    "mean",
    "q25",
    "median",
    "q75",
)

_AT_A_TIME = 40  # columns in a statement
_BRIEF = ("least", "greatest", "mean", "q25", "median", "q75")  # the last ones
_SHOWN = 200  # columns of the profiled table
_NUMBERS = frozenset({"integer", "real", "decimal"})
_ORDERED = _NUMBERS | {"text", "date", "datetime", "datetimetz", "time"}


class _Column(NamedTuple):
    name: str
    type: str
    number: bool
    ordered: bool


def of_table(executor: Executor, table: str, timeout: float | None) -> Result:
    """Return the profile of a table; see `Executor.profile`."""
    kind = executor.access.backend.kind
    if executor.access.backend.support != "full":
        executor.access.backend.require("profile")
    if (other := schema.elsewhere(executor.access, table)) is not None:
        return other[0].profile(other[1], timeout=timeout)
    types = {str(row[0]): str(row[1]) for row in executor.describe(table).rows}
    name = schema.quote(executor.access, table)
    kinds = executor.query(f"select * from {name} limit 0", timeout=timeout)
    columns = [
        _column(one, types.get(one, ""), kinds.kinds[number] if kinds.kinds else None, kind)
        for number, one in enumerate(kinds.columns)
    ]
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(columns), _AT_A_TIME):
        part = columns[start : start + _AT_A_TIME]
        rows += _profiled(executor, name, part, timeout)
    count = executor.query(f"select count(*) from {name}", timeout=timeout).scalar()
    return _table(rows, int(count), f"profile {table}")


def _column(name: str, type_name: str, kind: str | None, database: str) -> _Column:
    if database == "sqlite":  # each value has a type of its own
        return _Column(name, type_name, number=True, ordered=True)
    return _Column(name, type_name, kind in _NUMBERS, kind in _ORDERED)


def _profiled(
    executor: Executor, table: str, columns: Sequence[_Column], timeout: float | None
) -> list[tuple[Any, ...]]:
    kind = executor.access.backend.kind
    parts = ["count(*)"]
    for column in columns:
        parts += _expressions(column, kind)
    sql = f"select {', '.join(f'{part} as c{n}' for n, part in enumerate(parts))} from {table}"
    found = list(executor.query(sql, timeout=timeout).rows[0])
    total, rest = int(found[0]), found[1:]
    width = len(rest) // len(columns)
    rows = []
    for number, column in enumerate(columns):
        values = rest[number * width : (number + 1) * width]
        present, distinct, least, greatest, mean, numbers = values[:6]
        ranked = values[6:]
        if kind == "sqlite":
            # The mean of a column that has anything but numbers would be one of some values.
            whole = bool(present) and numbers == present
            mean = mean if whole else None
            ranked = (
                _ranked(executor, table, column, int(present), timeout) if whole else [None] * 3
            )
        rows.append((
            column.name, column.type, total - int(present), distinct, least, greatest,
            mean, *ranked,
        ))  # fmt: skip
    return rows


def _expressions(column: _Column, kind: str) -> list[str]:
    """Return what is asked of a column: always as many values."""
    name = quoted_name(column.name)
    words = EXPRESSIONS[kind]
    bare = column.ordered or kind in {"sqlite", "duckdb"}
    distinct = words.distinct.replace("{}", name if bare else words.text.replace("{}", name))
    number = words.exact.replace("{}", name)
    mean = f"avg({number})" if column.number else "null"
    edges = [f"min({name})", f"max({name})"] if column.ordered else ["null", "null"]
    found = [f"count({name})", distinct, *edges, mean, f"count({number})"]
    if kind != "sqlite":
        pattern = QUARTILES[kind] if column.number else "null"
        found += [pattern.replace("{}", name).replace("{share}", str(share)) for share in SHARES]
    return found


def _ranked(
    executor: Executor, table: str, column: _Column, present: int, timeout: float | None
) -> list[Any]:
    """Return the values at the quartiles' ranks, where there is no function for it."""
    name = quoted_name(column.name)
    picked = ", ".join(
        f"(select {name} from {table} where {name} is not null order by {name} "
        f"limit 1 offset {rank(present, share)})"
        for share in SHARES
    )
    return list(executor.query(f"select {picked}", timeout=timeout).rows[0])


def of_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any] | tuple[Any, ...]]) -> Result:
    """Return the profile of rows in memory; see `Result.profile`."""
    rows = list(rows)
    found = []
    for number, name in enumerate(columns):
        values = [row[number] for row in rows]  # type: ignore[index]  # a tuple
        present = [value for value in values if value is not None and value == value]  # noqa: PLR0124 - NaN
        types = sorted({type(value).__name__ for value in present})
        least, greatest = _edges(present)
        mean, *quartiles = _numbers(present)
        found.append((
            name, " or ".join(types), len(values) - len(present), len(set(map(repr, present))),
            least, greatest, mean, *quartiles,
        ))  # fmt: skip
    return _table(found, len(rows), "profile")


def _edges(values: list[Any]) -> tuple[Any, Any]:
    if not values or not all(
        isinstance(v, (int, float, str, Decimal, dt.date, dt.time)) for v in values
    ):
        return None, None
    try:
        return min(values), max(values)
    except TypeError:  # of types that have no order among them
        return None, None


def _numbers(values: list[Any]) -> list[Any]:
    if not values or not all(
        isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) for value in values
    ):
        return [None] * 4
    ordered = sorted(values)
    mean = math.fsum(map(float, ordered)) / len(ordered)
    return [mean, *(ordered[rank(len(ordered), share)] for share in SHARES)]


def _table(rows: list[tuple[Any, ...]], count: int, statement: str) -> Result:
    if not rows:
        raise UsageError(
            "there are no columns to profile",
            service="db",
            hint="name a table of hub.db.tables() (%db tables)",
        )
    kinds = [Column(name, "brief" if name in _BRIEF else None) for name in COLUMNS]
    found = Result(kinds, rows, statement=statement, rowcount=len(rows))
    found.display = _SHOWN
    found.note = f"of {rows_text(count)}"
    if any(map(_shortened, (one for row in rows for one in row[-len(_BRIEF) :]))):
        found.note += "; shown with 6 digits and 32 characters, whole in .dicts()"
    return found


def _shortened(value: Any) -> bool:
    """Return whether a table shows less than the whole of a value."""
    if value is None:
        return False
    return text_of(value, "brief") not in {str(value), str(value).removesuffix(".0")}
