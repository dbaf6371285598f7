"""The types of columns: of values, of a database's kinds, and of Arrow's types."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.grid.view import GridColumn

__all__ = ["KINDS", "columns_of", "of_arrow", "of_values"]

KINDS: Final[dict[str, Any]] = {
    "integer": "number",
    "real": "number",
    "decimal": "number",
    "date": "time",
    "datetime": "time",
    "datetimetz": "time",
    "text": "text",
    "boolean": "bool",
}
"""The kind of a column by its type, which is called as in `Result.kinds`; others are "other"."""

_TYPES: Final = {bool: "boolean", int: "integer", float: "real", Decimal: "decimal", str: "text"}
_NUMBERS: Final = ("decimal", "real", "integer")


def columns_of(names: Sequence[str], details: Sequence[str]) -> tuple[GridColumn, ...]:
    """Return columns by their names and types."""
    from agentnb.core.grid.view import GridColumn

    return tuple(
        GridColumn(name, KINDS.get(detail, "other"))
        for name, detail in zip(names, details, strict=True)
    )


def of_values(values: Sequence[Any], declared: str | None = None) -> str:
    """Return the type of values.

    Parameters
    ----------
    values
        The values.
    declared
        The type that a database tells, for a column without values.

    Examples
    --------
    >>> of_values([1, None, 2.5]), of_values([True, None]), of_values(["a", 1]), of_values([None])
    ('real', 'boolean', 'other', 'text')
    """
    found = {_of(value) for value in {type(v): v for v in values if v is not None}.values()}
    if "datetime" in found or "datetimetz" in found:
        # Each moment may have a zone or none.
        found |= {_of(value) for value in values if isinstance(value, dt.datetime)}
    if not found:
        return declared or "text"
    if found <= set(_NUMBERS):
        return next(one for one in _NUMBERS if one in found)
    return found.pop() if len(found) == 1 else "other"


def _of(value: Any) -> str:
    detail = _TYPES.get(type(value))
    if detail is not None:
        return detail
    if isinstance(value, dt.datetime):
        return "datetime" if value.tzinfo is None else "datetimetz"
    return "date" if isinstance(value, dt.date) else "other"


def of_arrow(kind: Any) -> str:
    """Return the type of a column of Arrow."""
    from agentnb.core.extras import need

    types = need("pyarrow").types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_timestamp(kind):
        return "datetime" if kind.tz is None else "datetimetz"
    for detail, tests in (
        ("boolean", (types.is_boolean,)),
        ("integer", (types.is_integer,)),
        ("real", (types.is_floating,)),
        ("decimal", (types.is_decimal,)),
        ("date", (types.is_date,)),
        # Of a column without values nothing else is known, as of rows.
        ("text", (types.is_null, types.is_string, types.is_large_string, types.is_string_view)),
    ):
        if any(test(kind) for test in tests):
            return detail
    return "other"
