"""Bars of summaries: how many bins there are, and what is said of each."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentnb.core.bins import Bins
from agentnb.core.frames import EXACT
from agentnb.core.grid import moments
from agentnb.core.grid.cells import cell
from agentnb.core.grid.details import KINDS
from agentnb.core.grid.view import Bar, Filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "BINS", "CATEGORIES", "LONGEST", "MANY", "ODD", "BinRows", "bins_of", "category_bars",
    "number_bars", "value_shown", "values_bar",
]  # fmt: skip

BINS = 20
"""Bins of numbers and times at most."""
CATEGORIES = 20
"""Categories at most: the largest."""
LONGEST = 200
"""Characters of a category at most; longer texts are counted as others."""
MANY = 10_000
"""Distinct texts beyond which none of them is a category."""
ODD: Final = {-1: "nan", -2: "-inf", -3: "inf"}
"""Numbers that are in no bin, which are counted as if they had bins of these numbers."""

_LABELS: Final = {"nan": "NaN", "-inf": "-inf", "inf": "inf"}
_UNITS: Final = {"integer": 1, "date": moments.DAY}


class BinRows(NamedTuple):
    """The rows of a bin.

    Parameters
    ----------
    rows
        Their number.
    low, high
        The least and the greatest value, exactly: a filter between them lets through what is in
        the bin, since bins do not overlap.
    """

    rows: int
    low: Any = None
    high: Any = None


def bins_of(detail: str, low: Any, high: Any) -> Bins:
    """Return the bins of values.

    Parameters
    ----------
    detail
        The type of the column.
    low, high
        The least and the greatest finite value, of times in microseconds.

    Examples
    --------
    >>> bins_of("integer", 1, 3), bins_of("integer", 0, 29).count, bins_of("real", 0.0, 1.0).count
    (Bins(low=1.0, high=4.0, count=3), 15, 20)
    """
    first, last = float(low), float(high)
    unit = _UNITS.get(detail, 0)
    if unit and max(abs(first), abs(last)) < EXACT:
        span = (int(high) - int(low)) // unit + 1
        each = -(-span // BINS)  # whole numbers in a bin, as many in each
        count = -(-span // each)
        return Bins(first, first + count * each * unit, count)
    # Of numbers as small as the smallest there is no twentieth.
    return Bins(first, last, BINS if (last - first) / BINS else 1)


def number_bars(
    column: int, detail: str, bins: Bins | None, found: Mapping[int, BinRows], present: int
) -> tuple[Bar, ...]:
    """Return the bars of numbers or times.

    Parameters
    ----------
    column, detail
        The column and its type.
    bins
        The bins; None if there is no finite value.
    found
        What is in the bins, by their number.
    present
        Rows with a value.
    """
    bars = []
    for number in range(bins.count if bins else 0):
        one = found.get(number, BinRows(0))
        given = (json_of(value, detail) for value in (one.low, one.high))
        label = _label(bins, number, detail, found)  # type: ignore[arg-type]  # there are some
        bars.append(Bar(label, one.rows, Filter(column, "between", *given) if one.rows else None))
    bars += [
        Bar(_LABELS[odd], found[number].rows, Filter(column, "equals", odd))
        for number, odd in ODD.items()
        if number in found
    ]
    return (*bars, *_others(present, bars))


def category_bars(
    column: int, found: Iterable[tuple[str | bool, int]], present: int
) -> tuple[Bar, ...]:
    """Return the bars of the largest categories, and of the rest."""
    bars = [Bar(cell(one) or "", count, Filter(column, "equals", one)) for one, count in found]
    return (*bars, *_others(present, bars))


def values_bar(column: int, present: int) -> tuple[Bar, ...]:
    """Return the one bar of a column whose values have neither bins nor categories."""
    return (Bar("values", present, Filter(column, "not_null")),) if present else ()


def _others(present: int, bars: list[Bar]) -> list[Bar]:
    rest = present - sum(bar.count for bar in bars)
    return [Bar("other", rest)] if rest else []


def json_of(value: Any, detail: str) -> Any:
    """Return a value of a filter as JSON has it, with none of its digits lost.

    >>> json_of(7, "integer"), json_of(2**60, "integer"), json_of(0, "date")
    (7, '1152921504606846976', '1970-01-01')
    """
    if value is None:
        return None
    if KINDS.get(detail) == "time":
        text = moments.shown(value, detail)
        return text if "-" in text[1:] else f"{value} us"
    if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) > EXACT):
        return str(value)
    return value


def value_shown(value: Any, detail: str) -> str:
    """Return the least or the greatest value as text; ``""`` for None."""
    if value is None:
        return ""
    if KINDS.get(detail) == "time":
        return moments.shown(value, detail)
    return f"{float(value):.6g}" if isinstance(value, float | Decimal) else cell(value) or ""


def _label(bins: Bins, number: int, detail: str, found: Mapping[int, BinRows]) -> str:
    low = bins.start(number)
    high = bins.start(number + 1)
    if bins.low == bins.high:
        return value_shown(found[0].low if 0 in found else low, detail)
    if unit := _UNITS.get(detail, 0) if bins.high < EXACT else 0:
        high -= unit  # the last one that is in it
        if low == high:
            return _edge(low, detail, bins.width)
    return f"{_edge(low, detail, bins.width)} to {_edge(high, detail, bins.width)}"


def _edge(number: float, detail: str, width: float) -> str:
    if KINDS.get(detail) == "time":
        return moments.shown(number, detail, width)
    return str(int(number)) if detail == "integer" and abs(number) < EXACT else f"{number:.6g}"
