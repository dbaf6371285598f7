"""The views of a grid that are asked for, and the pages and summaries that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Bar", "Filter", "GridColumn", "Page", "Sort", "Summary", "View"]


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A column of a grid.

    Parameters
    ----------
    name
        Its name.
    kind
        The kind of its values, which says how it is filtered and summarised.
    """

    name: str
    kind: Literal["number", "time", "text", "bool", "other"]


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows by one column; rows of equal values stay in the result's order.

    NaN comes after the numbers, and NULL last, in both directions.

    Parameters
    ----------
    column
        The number of the column, from 0.
    descending
        Whether the greatest comes first.
    """

    column: int
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one column.

    Parameters
    ----------
    column
        The number of the column, from 0.
    kind
        ``"equals"`` takes a value as ``low``; ``"between"`` a range whose ends are included, of
        which one may be None; ``"contains"`` a text as ``low``, in the same case.
    low, high
        Values as JSON has them: numbers (or their text, where JSON would round them), text,
        booleans, and times as ISO 8601.
    """

    column: int
    kind: Literal["equals", "between", "null", "not_null", "contains"]
    low: Any = None
    high: Any = None


@dataclass(frozen=True, slots=True)
class View:
    """A page that is asked for.

    Parameters
    ----------
    sort
        The order; None for that of the result.
    filters
        Conditions, which all hold.
    offset
        Rows before the page.
    rows
        Rows of the page at most.
    """

    sort: Sort | None = None
    filters: tuple[Filter, ...] = ()
    offset: int = 0
    rows: int = 20


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows.

    Parameters
    ----------
    rows
        Cells as a `Table` shows them, in at most 200 characters; None is NULL.
    first
        Rows before the page.
    matched
        Rows that the filters let through.
    total
        Rows of the result.
    """

    rows: tuple[tuple[str | None, ...], ...]
    first: int
    matched: int
    total: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A bin or a category of a column.

    Parameters
    ----------
    label
        Its range or its value.
    count
        Its rows.
    filter
        The filter that lets through exactly these rows; None where there is none.
    """

    label: str
    count: int
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of one column, of the rows that the filters let through.

    Parameters
    ----------
    column
        The number of the column, from 0.
    nulls
        Rows without a value.
    distinct
        Distinct values; about, where DuckDB has more than 100,000 rows, or asks a query.
    low, high
        The least and the greatest of numbers and times, ``""`` if there is none.
    bars
        Of numbers and times at most 20 bins of equal width, of which empty ones have no filter,
        and after them NaN and the infinities; else the 20 largest categories, and ``"other"`` for
        what is left. Their counts and the nulls are the rows that the filters let through.
    """

    column: int
    nulls: int
    distinct: int
    low: str
    high: str
    bars: tuple[Bar, ...]
