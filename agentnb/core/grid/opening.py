"""Open a grid over a result, with the engine that fits it."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from agentnb.core.db.result import ArrowResult, Preview
from agentnb.core.errors import AgentnbError
from agentnb.core.grid.details import of_values
from agentnb.core.grid.grid import Grid
from agentnb.core.grid.memory import MOST, RowsEngine
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.db.executor import Executor
    from agentnb.core.db.result import Result
    from agentnb.core.grid.engine import Engine

__all__ = ["has_duckdb", "open_grid"]


def has_duckdb() -> bool:
    """Return whether DuckDB and Arrow are installed."""
    return find_spec("duckdb") is not None and find_spec("pyarrow") is not None


@refuse_unknown("grid")
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
    if isinstance(result, Preview):
        from agentnb.core.grid.query import query_engine, refusal

        rows = result.shown_rows
        details = _details(result, rows)
        refuses = refusal(result, database)
        if database is None or refuses:
            engine: Engine = RowsEngine(result.columns, details, rows, refuses)
            return Grid(engine, len(rows), result.formats)
        return Grid(query_engine(result, details, database), None, result.formats)
    return Grid(_engine(result), len(result), result.formats)


def _engine(result: Result) -> Engine:
    """Return the engine of all rows of a result."""
    reason = "%pip install duckdb pyarrow"
    if result.columns and has_duckdb():
        from agentnb.core.grid.arrow import duck_engine

        if isinstance(result, ArrowResult):
            return duck_engine(result.columns, result.arrow())
        try:
            return duck_engine(result.columns, result.arrow(), partial(_taken, result.rows))
        except AgentnbError as error:  # values that Arrow does not have
            reason = error.message
    rows = result.rows
    refuses = f"at most {MOST:,} rows are sorted in Python: {reason}" if len(rows) > MOST else ""
    return RowsEngine(result.columns, _details(result, rows), rows, refuses)


def _taken(rows: Sequence[tuple[Any, ...]], numbers: Sequence[int]) -> Sequence[tuple[Any, ...]]:
    """Return rows by their numbers."""
    if isinstance(numbers, range):
        return rows[numbers.start : numbers.stop]
    return [rows[number] for number in numbers]


def _details(result: Result, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    declared = [*result.kinds, *[None] * len(result.columns)]
    return [
        of_values([row[number] for row in rows], declared[number])
        for number in range(len(result.columns))
    ]
