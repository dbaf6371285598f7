"""The types of ADBC's results, and the values that would differ from the driver's."""

from __future__ import annotations

import re
from typing import Any

from agentnb.core.db.quoting import quoted_name
from agentnb.core.frames import EXACT

__all__ = ["Unsuitable", "expected_types", "guarded", "require_end", "same_types"]

# A text column whose values look like numbers may be SQLite's mixed column, whose
# numbers ADBC has turned into text: then the driver has the last word.
_LIKE_A_NUMBER = r"^\s*[-+]?((\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|(?i:inf))\s*$"
_BEGINS = [bytes([byte]) for byte in b" \t\n\f\r+-.0123456789iI"]
# So SQLite names the second of two columns of one name.
_NUMBERED = re.compile(r":\d+\Z")
# ADBC gives money as an integer of cents, and an oid as a signed integer.
_INTEGERS = {b"int2", b"int4", b"int8"}
# Days and microseconds between 1970 and the first and last dates that Python has.
_DAYS = (-719_162, 2_932_896)
_MICROSECONDS = (_DAYS[0] * 86_400_000_000, (_DAYS[1] + 1) * 86_400_000_000 - 1)


# Steps of SQLite's plans: the loops, and what is done once, or once for each row of a loop.
_LOOPS = ("SCAN ", "SEARCH ", "MULTI-INDEX OR")
_STEP = re.compile(
    r"SCAN |SEARCH |MULTI-INDEX OR$|INDEX \d+$|USE TEMP B-TREE |COMPOUND QUERY$"
    r"|LEFT-MOST SUBQUERY$|(UNION ALL|(UNION|EXCEPT|INTERSECT) USING TEMP B-TREE)$"
    r"|MERGE \(.*\)$|LEFT$|RIGHT$|(SCALAR|LIST) SUBQUERY \d+$|MATERIALIZE |CREATE BLOOM FILTER$"
)
_MOST_LOOPS = 8


class Unsuitable(Exception):  # noqa: N818 - a decision, not an error
    """The driver is to be taken instead."""


def require_end(cursor: Any, text: str, values: list[Any] | None) -> None:
    """Refuse a query of SQLite that may take longer than to read a few tables, one after another.

    ADBC's SQLite driver has no cancel, so that what runs on after its time, or Ctrl-C, has to end
    by itself soon. Recursions may have no end, and loops inside of loops none that anybody waits
    for: joins, correlated subqueries, frames of window functions, also those in views.

    Source: https://sqlite.org/eqp.html

    Raises
    ------
    Unsuitable
        It may.
    """
    cursor.execute(f"explain query plan {text}", values)
    steps = [(parent, detail) for _, parent, _, detail in cursor.fetchall()]
    loops = [parent for parent, detail in steps if detail.startswith(_LOOPS)]
    nested = len(set(loops)) < len(loops)  # those of one parent are inside of each other
    known = all(_STEP.match(detail) for _, detail in steps)
    if nested or len(loops) > _MOST_LOOPS or not known:
        raise Unsuitable


def guarded(cursor: Any, text: str, values: list[Any] | None) -> str:
    """Return a query of SQLite that fails on a BLOB, which ADBC would give as text.

    Source: https://sqlite.org/datatype3.html#sort_order (a BLOB is greater than any text)

    Raises
    ------
    Unsuitable
        Two columns have one name.
    """
    cursor.execute(f"select * from ({text}\n) limit 0", values)
    names = [column[0] for column in cursor.description]
    if any(_NUMBERED.search(name) for name in names):
        raise Unsuitable
    columns = ", ".join(f"c{number}" for number in range(len(names)))
    checked = ", ".join(
        f"case when c{number} >= x'' then abs(-9223372036854775808) else c{number} end"
        f" as {quoted_name(name)}"
        for number, name in enumerate(names)
    )
    return f"with q({columns}) as ({text}\n) select {checked} from q"


def expected_types(schema: Any, kind: str, pa: Any) -> list[Any]:
    """Return the types that columns are to have.

    Raises
    ------
    Unsuitable
        The driver's values would have others.
    """
    return [_expected_type(field, kind, pa) for field in schema]


def _expected_type(field: Any, kind: str, pa: Any) -> Any:
    types = {pa.int64(): pa.int64(), pa.float64(): pa.float64(), pa.string(): pa.string()}
    if kind == "postgresql":
        types |= {pa.int16(): pa.int64(), pa.int32(): pa.int64(), pa.bool_(): pa.bool_()}
        types |= {pa.date32(): pa.date32(), pa.timestamp("us"): pa.timestamp("us")}
        name = (field.metadata or {}).get(b"POSTGRESQL:type")
        if pa.types.is_integer(field.type) and name not in _INTEGERS:
            raise Unsuitable
    if field.type not in types:
        raise Unsuitable
    return types[field.type]


def same_types(table: Any, kinds: list[Any], kind: str, pa: Any) -> Any:
    """Return a table with the types of the driver's values.

    Raises
    ------
    Unsuitable
        A value may be another one than the driver's.
    """
    check = _sqlite_values if kind == "sqlite" else _postgresql_values
    columns = []
    for column, kind_wanted in zip(table.columns, kinds, strict=True):
        if kind == "sqlite" and column.null_count == len(column):
            # ADBC calls a column without values an integer; rows of None have no type.
            columns.append(pa.chunked_array([pa.nulls(len(column))]))
            continue
        check(column, kind_wanted, pa)
        columns.append(column.cast(kind_wanted))
    return pa.Table.from_arrays(columns, names=table.column_names)


def _sqlite_values(column: Any, kind: Any, pa: Any) -> None:
    import pyarrow.compute as pc

    if kind == pa.string():
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:  # it is not UTF-8
            raise Unsuitable from error
        # Most text is told from a number by its first byte, in a tenth of the expression's time.
        first = pc.binary_slice(column.cast(pa.binary()), 0, 1)
        likely = pc.is_in(first, pa.array(_BEGINS))
        if not pc.any(likely).as_py():
            return
        # No number has a colon, and a moment, which is text in SQLite, has one.
        likely = column.filter(pc.and_not(likely, pc.match_substring(column, ":")))
        if pc.any(pc.match_substring_regex(likely, _LIKE_A_NUMBER)).as_py():
            raise Unsuitable
    if kind == pa.float64():
        # An integer, which ADBC made a real among reals, may have lost digits.
        size = pc.abs(column)
        lost = pc.and_(pc.greater_equal(size, float(EXACT)), pc.less_equal(size, 2.0**63))
        if pc.any(lost).as_py():
            raise Unsuitable


def _postgresql_values(column: Any, kind: Any, pa: Any) -> None:
    """Leave infinite dates, and those that Python does not have, to the driver's error."""
    import pyarrow.compute as pc

    ranges = {pa.date32(): (pa.int32(), _DAYS), pa.timestamp("us"): (pa.int64(), _MICROSECONDS)}
    if kind in ranges and column.null_count < len(column):
        number, (first, last) = ranges[kind]
        found = pc.min_max(column.cast(number)).as_py()
        if found["min"] < first or found["max"] > last:
            raise Unsuitable
