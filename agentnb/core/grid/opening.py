"""Open a grid over a result, with the engine that fits it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from agentnb.core.db.result import Preview
from agentnb.core.grid.details import of_values
from agentnb.core.grid.grid import Grid
from agentnb.core.grid.memory import MOST, RowsEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.db.executor import Executor
    from agentnb.core.db.result import Result
    from agentnb.core.grid.engine import Engine

__all__ = ["open_grid"]


def has_duckdb() -> bool:
    """Return whether DuckDB and Arrow are installed."""
    return find_spec("duckdb") is not None and find_spec("pyarrow") is not None


_ALL = "x << SQL keeps all rows"


def open_grid(result: Result, *, database: Executor | None = None) -> Grid:
    """Return a grid over a result.

    DuckDB sorts and filters where it is installed, else Python, up to 100,000 rows. Of a result
    that was cut for display, all rows are asked for again, page by page: its statement runs
    inside of others, which sort and filter.

    Parameters
    ----------
    result
        The result.
    database
        The database or the session that returned it, for one that was cut.

    Examples
    --------
    >>> from agentnb.core.db import Result
    >>> with open_grid(Result(["n"], [(3,), (1,), (2,)])) as grid:
    ...     grid.columns, grid.total
    ((GridColumn(name='n', kind='number'),), 3)
    """
    del database  # not asked yet
    if isinstance(result, Preview):
        rows = result.shown_rows
        return Grid(
            _in_python(result, rows, f"these rows are not all: {_ALL}"), len(rows), result.formats
        )
    return Grid(_in_python(result, result.rows), len(result), result.formats)


def _in_python(result: Result, rows: Sequence[tuple[Any, ...]], refuses: str = "") -> Engine:
    declared = [*result.kinds, *[None] * len(result.columns)]
    if not refuses and len(rows) > MOST:
        refuses = f"{MOST:,} rows at most are sorted here: %pip install duckdb"
    details = [
        of_values([row[number] for row in rows], declared[number])
        for number in range(len(result.columns))
    ]
    return RowsEngine(result.columns, details, rows, refuses)
