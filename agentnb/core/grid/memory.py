"""The engine of rows in memory, in Python."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentnb.core.grid import moments
from agentnb.core.grid.bars import (
    CATEGORIES,
    LONGEST,
    MANY,
    ODD,
    BinRows,
    bins_of,
    category_bars,
    number_bars,
    value_shown,
    values_bar,
)
from agentnb.core.grid.details import KINDS
from agentnb.core.grid.engine import WIDEST
from agentnb.core.grid.view import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agentnb.core.grid.engine import Conditions
    from agentnb.core.grid.judged import Condition
    from agentnb.core.grid.view import Sort

__all__ = ["MOST", "RowsEngine"]

MOST = 100_000
"""Rows that are sorted and filtered in Python at most."""

_CODES = {text: code for code, text in ODD.items()}


class RowsEngine:
    """Sorts and filters rows in Python.

    Parameters
    ----------
    names, details
        The names and the types of the columns.
    rows
        The rows, which stay as they are.
    refuses
        The line that says why rows are neither sorted nor filtered.
    """

    name = "rows"

    def __init__(
        self,
        names: Sequence[str],
        details: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
        refuses: str = "",
    ) -> None:
        self.names = names
        self.details = details
        self.refuses = refuses
        self._rows = rows
        self._last: tuple[object, Sequence[int]] = (None, ())

    def count(self, conditions: Conditions) -> int:
        """Return how many rows the conditions let through."""
        return len(self._matched(conditions))

    def rows(
        self, sort: Sort | None, conditions: Conditions, offset: int, count: int
    ) -> Sequence[tuple[Any, ...]]:
        """Return a part of the rows that the conditions let through, in an order."""
        if sort is None and not conditions:
            return self._rows[offset : offset + count]
        key, found = self._last
        if key != (sort, conditions):
            found = self._ordered(sort, self._matched(conditions))
            self._last = ((sort, conditions), found)
        return [self._rows[number] for number in found[offset : offset + count]]

    def summaries(self, conditions: Conditions) -> tuple[Summary, ...]:
        """Return the summaries of the rows that the conditions let through."""
        matched = self._matched(conditions)
        return tuple(
            _summary(number, detail, [self._rows[row][number] for row in matched])
            for number, detail in enumerate(self.details[:WIDEST])
        )

    def close(self) -> None:
        """Leave the rows."""
        self._rows = ()
        self._last = (None, ())

    def _matched(self, conditions: Conditions) -> Sequence[int]:
        rows, numbers = self._rows, range(len(self._rows))
        tests = [(one.column, _test(one)) for one in conditions]
        if not tests:
            return numbers
        return [n for n in numbers if all(test(rows[n][column]) for column, test in tests)]

    def _ordered(self, sort: Sort | None, matched: Sequence[int]) -> Sequence[int]:
        if sort is None:
            return matched
        timed = KINDS.get(self.details[sort.column]) == "time"
        present: list[tuple[Any, int]] = []
        last: list[int] = []
        nulls: list[int] = []
        for number in matched:
            value = self._rows[number][sort.column]
            if value is None:
                nulls.append(number)
            elif _is_nan(value):
                last.append(number)
            else:
                present.append((moments.micros(value) if timed else value, number))
        try:
            present.sort(key=_first, reverse=sort.descending)
        except TypeError:  # values that have no order among them
            present.sort(key=_by_text, reverse=sort.descending)
        return [number for _, number in present] + last + nulls


def _first(pair: tuple[Any, int]) -> Any:
    return pair[0]


def _by_text(pair: tuple[Any, int]) -> tuple[str, str]:
    return type(pair[0]).__name__, repr(pair[0])


def _is_nan(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN


def _test(condition: Condition) -> Callable[[Any], bool]:
    """Return the test of a value."""
    kind, low, high = condition.kind, condition.low, condition.high
    if kind == "null":
        return lambda value: value is None
    if kind == "not_null":
        return lambda value: value is not None
    if kind == "contains":
        return lambda value: value is not None and low in value
    timed = KINDS[condition.detail] == "time"
    if kind == "equals":
        if _is_nan(low):
            return lambda value: value is not None and _is_nan(value)
        return lambda value: (
            value is not None and (moments.micros(value) if timed else value) == low
        )

    def between(value: Any) -> bool:
        if value is None or _is_nan(value):
            return False
        given = moments.micros(value) if timed else value
        return (low is None or low <= given) and (high is None or given <= high)

    return between


def _summary(number: int, detail: str, values: list[Any]) -> Summary:
    present = [value for value in values if value is not None]
    nulls = len(values) - len(present)
    kind = KINDS.get(detail, "other")
    if kind in {"number", "time"}:
        if kind == "time":
            present = [moments.micros(value) for value in present]
        return _numbers(number, detail, present, nulls)
    if kind == "other":
        return Summary(number, nulls, _distinct(present), "", "", values_bar(number, len(present)))
    counts = Counter(present)
    found: Iterable[tuple[Any, int]] = ()
    if len(counts) <= MANY:
        fitting = [one for one in counts.items() if kind == "bool" or len(one[0]) <= LONGEST]
        found = sorted(fitting, key=lambda one: (-one[1], one[0]))[:CATEGORIES]
    bars = category_bars(number, found, len(present))
    return Summary(number, nulls, len(counts), "", "", bars)


def _numbers(number: int, detail: str, present: list[Any], nulls: int) -> Summary:
    finite: list[Any] = []
    counts: Counter[int] = Counter()
    for value in present:
        if isinstance(value, int) or math.isfinite(value):
            finite.append(value)
        else:
            counts[_CODES["nan" if _is_nan(value) else "inf" if value > 0 else "-inf"]] += 1
    found = {code: BinRows(count) for code, count in counts.items()}
    bins = None
    low = high = None
    if finite:
        low, high = min(finite), max(finite)
        bins = bins_of(detail, low, high)
        within: dict[int, list[Any]] = {}
        for value in finite:
            within.setdefault(bins.of(float(value)), []).append(value)
        found |= {
            one: BinRows(len(values), min(values), max(values)) for one, values in within.items()
        }
    bars = number_bars(number, detail, bins, found, len(present))
    distinct = len(set(finite)) + len(counts)
    edges = value_shown(low, detail), value_shown(high, detail)
    return Summary(number, nulls, distinct, *edges, bars)


def _distinct(values: list[Any]) -> int:
    try:
        return len(set(values))
    except TypeError:  # lists and dictionaries
        return len(set(map(repr, values)))
