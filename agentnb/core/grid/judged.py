"""Filters that a page sends, judged by the columns that they are for."""

from __future__ import annotations

import datetime as dt
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.grid import moments
from agentnb.core.grid.details import KINDS
from agentnb.core.grid.view import Filter
from agentnb.core.ranges import choice, refused, text, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Condition", "judged"]

_ALLOWED = {
    "number": ("equals", "between", "null", "not_null"),
    "time": ("equals", "between", "null", "not_null"),
    "text": ("equals", "contains", "null", "not_null"),
    "bool": ("equals", "null", "not_null"),
    "other": ("null", "not_null"),
}
_MOST = 100  # filters
_DIGITS = 400  # characters of a number, which a float may need
_MICROSECONDS = re.compile(r"-?[0-9]{1,20} us").fullmatch
_ODD = {
    "nan": math.nan,
    **dict.fromkeys(("inf", "+inf", "infinity", "+infinity"), math.inf),
    **dict.fromkeys(("-inf", "-infinity"), -math.inf),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter whose values fit its column.

    Parameters
    ----------
    column, kind
        As in `Filter`.
    detail
        The type of the column.
    low, high
        Numbers, microseconds, text, or a boolean.
    """

    column: int
    kind: str
    detail: str
    low: Any = None
    high: Any = None


def judged(filters: Sequence[Filter], details: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions of filters, all of whose values are allowed.

    Raises
    ------
    UsageError
        There is no such column, or the kind or a value does not fit it.
    """
    if len(filters) > _MOST:
        raise refused("filters", f"at most {_MOST}", len(filters), "grid", "filters=()")
    return tuple(_judged(one, details) for one in filters)


def _judged(one: Filter, details: Sequence[str]) -> Condition:
    if not isinstance(one, Filter):
        raise refused("filters", "of class Filter", one, "grid", 'Filter(0, "equals", 5)')
    column = whole("column", one.column, service="grid", least=0, most=len(details) - 1)
    detail = details[column]
    what = KINDS.get(detail, "other")
    kind = choice("kind", one.kind, _ALLOWED[what], service="grid")
    given = {"equals": 1, "contains": 1, "between": 2}.get(kind, 0)
    for name, value, used in (("low", one.low, given), ("high", one.high, given > 1)):
        if value is not None and not used:
            raise refused(name, f"left away for {kind}", value, "grid", f"{name}=None")
    if not given:
        return Condition(column, kind, detail)
    if one.low is None and (given == 1 or one.high is None):
        hint = 'kind="null" finds rows without a value'
        raise UsageError(f"{kind} takes a value as low", service="grid", hint=hint)
    low = None if one.low is None else _value("low", one.low, what, detail)
    high = None if one.high is None else _value("high", one.high, what, detail)
    if kind == "between" and not all(_finite(value) for value in (low, high)):
        odd = low if not _finite(low) else high
        raise refused("low and high", "finite numbers", odd, "grid", "leave low or high away")
    return Condition(column, kind, detail, low, high)


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _value(name: str, value: Any, what: str, detail: str) -> Any:
    if what == "number":
        number = _number(name, value)
        # A page has no decimals: 0.1 is meant as it is written.
        written = detail == "decimal" and isinstance(number, float) and math.isfinite(number)
        return Decimal(repr(number)) if written else number
    if what == "time":
        return _time(name, value, detail)
    if what == "bool":
        if isinstance(value, bool):
            return value
        raise refused(name, "true or false", value, "grid", f"{name}=True")
    return text(name, value, service="grid")


def _number(name: str, value: Any) -> int | float | Decimal:
    """Return a number exactly: an integer, a float, or of text a Decimal that is no integer."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal):
        value = str(value)
    if isinstance(value, str) and len(value) <= _DIGITS:
        odd = _ODD.get(value.strip().lower())
        if odd is not None:
            return odd
        with suppress(InvalidOperation, ValueError):
            number = Decimal(value.strip())
            if number.is_finite() and abs(number.adjusted()) <= _DIGITS:
                return int(number) if number == number.to_integral_value() else number
    raise refused(name, "a number", value, "grid", f"{name}=5")


def _time(name: str, value: Any, detail: str) -> int:
    if isinstance(value, str) and _MICROSECONDS(value):
        return int(value[:-3])
    moment = value if isinstance(value, dt.date) else None
    if isinstance(value, str):
        with suppress(ValueError):
            moment = dt.datetime.fromisoformat(value)
    if moment is None:
        raise refused(name, "a time in ISO 8601", value, "grid", f'{name}="2026-01-31 09:00"')
    if getattr(moment, "tzinfo", None) is not None and detail != "datetimetz":
        allowed = "a time without a zone, as those of the column"
        raise refused(name, allowed, value, "grid", f"leave {moment:%z} away")
    return moments.micros(moment)
