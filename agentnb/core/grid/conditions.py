"""The conditions and the order of a grid in SQL."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agentnb.core.db.expressions import EXPRESSIONS
from agentnb.core.db.values import decimal_of
from agentnb.core.grid.details import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.grid.engine import Conditions
    from agentnb.core.grid.judged import Condition
    from agentnb.core.grid.view import Sort

__all__ = ["Dialect"]

_LIMITS = {"duckdb": 2**127, "postgresql": 2**63, "sqlite": 2**63}
_NOTHING = "1 = 0"


class Dialect:
    """The SQL of a grid on one kind of database, whose columns are ``c0``, ``c1``, and so on.

    Parameters
    ----------
    kind
        The kind of the database.
    details
        The types of the columns.
    """

    def __init__(self, kind: str, details: Sequence[str]) -> None:
        self.kind = kind
        self.words = EXPRESSIONS[kind]
        self.details = details

    def exact(self, number: int) -> str:
        """Return a column as it is compared: its numbers, microseconds, or texts."""
        detail, column = self.details[number], f"c{number}"
        what = KINDS.get(detail, "other")
        if what == "time":
            return self.words.micros.replace("{}", column)
        if what == "number":
            # Of the decimals of DuckDB two of unlike digits may have no common type.
            floats = ("real", "decimal") if self.kind == "duckdb" else ("real",)
            exact = self.kind == "sqlite" or detail not in floats
            return (self.words.exact if exact else self.words.number).replace("{}", column)
        if what == "text":
            return self.words.own_text.replace("{}", column)
        return column

    def number(self, number: int) -> str:
        """Return a column of numbers or times as floats."""
        if KINDS[self.details[number]] == "time":
            return f"cast({self.exact(number)} as double precision)"
        return self.words.number.replace("{}", f"c{number}")

    def compared(self, number: int) -> str:
        """Return a column as its values are told apart."""
        if self.kind == "postgresql" and self.details[number] == "other":  # such as JSON
            return self.words.text.replace("{}", f"c{number}")
        return f"c{number}"

    def where(self, conditions: Conditions) -> tuple[str, dict[str, Any]]:
        """Return the clause of conditions, ``""`` if there are none, and its values."""
        values: dict[str, Any] = {}
        parts = [self._condition(one, values) for one in conditions]
        return (f" where {' and '.join(parts)}" if parts else ""), values

    def order(self, sort: Sort, last: str) -> str:
        """Return the clause of an order.

        Parameters
        ----------
        sort
            The order.
        last
            The column that tells rows of equal values apart.
        """
        column = f"c{sort.column}"
        detail = self.details[sort.column]
        key = column
        if detail == "text" and self.kind != "sqlite":
            key = self.words.own_text.replace("{}", column)
        elif detail == "other":
            key = self.compared(sort.column)
        if self.kind == "postgresql" and detail in {"text", "other"}:
            key += ' collate "C"'
        parts = [f"{key} {'desc' if sort.descending else 'asc'} nulls last", last]
        if sort.descending and detail in {"real", "decimal"} and self.kind != "sqlite":
            parts.insert(0, f"{self.words.nan.replace('{}', self.number(sort.column))} nulls last")
        return f" order by {', '.join(parts)}"

    def _condition(self, one: Condition, values: dict[str, Any]) -> str:
        if one.kind == "null":
            return f"c{one.column} is null"
        if one.kind == "not_null":
            return f"c{one.column} is not null"
        column = self.exact(one.column)

        def bound(value: Any) -> str:
            name = f"agentnb_grid_{len(values)}"
            values[name] = value
            return f":{name}"

        if one.kind == "contains":
            return self.words.contains.replace("{}", column).replace("{part}", bound(one.low))
        if KINDS[one.detail] != "number":
            if one.kind == "equals":
                return f"{column} = {bound(one.low)}"
            return " and ".join(_between(column, one.low, one.high, bound))
        return self._number(column, one, bound)

    def _number(self, column: str, one: Condition, bound: Any) -> str:
        if isinstance(one.low, float) and not math.isfinite(one.low):
            number = self.number(one.column)
            if math.isnan(one.low):
                return f"c{one.column} is not null and {self.words.nan.replace('{}', number)}"
            finite = self.words.finite.replace("{}", number)
            sign = ">" if one.low > 0 else "<"
            is_nan = self.words.nan.replace("{}", number)
            return f"not ({finite}) and not ({is_nan}) and {number} {sign} 0"
        low, high = one.low, one.low if one.kind == "equals" else one.high
        if one.detail == "integer" and self.kind != "sqlite":
            low = None if low is None else math.ceil(low)
            high = None if high is None else math.floor(high)
            most = _LIMITS[self.kind] - 1
            if (low is not None and low > most) or (high is not None and high < -most):
                return _NOTHING
            low = None if low is None or low < -most else low
            high = None if high is None or high > most else high
            if low is None and high is None:
                return f"c{one.column} is not null"
        else:
            low, high = self._fitting(low, one.detail), self._fitting(high, one.detail)
        parts = _between(column, low, high, bound)
        if high is None and one.detail in {"real", "decimal"}:  # NaN is greater than all
            parts.append(f"not {self.words.nan.replace('{}', self.number(one.column))}")
        return " and ".join(parts)

    def _fitting(self, value: Any, detail: str) -> Any:
        """Return a number in the type that it is compared in."""
        if value is None:
            return None
        if detail == "decimal" and self.kind == "postgresql":
            return decimal_of(value)
        if self.kind == "sqlite" and isinstance(value, int) and abs(value) < _LIMITS["sqlite"]:
            return value
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf


def _between(column: str, low: Any, high: Any, bound: Any) -> list[str]:
    """Return the conditions of the two ends of a range, each of which may be None."""
    parts = [f"{column} >= {bound(low)}"] if low is not None else []
    return parts + ([f"{column} <= {bound(high)}"] if high is not None else [])
