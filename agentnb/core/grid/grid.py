"""A grid: a result that is looked at page by page, sorted and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from agentnb.core.closing import leave
from agentnb.core.errors import UsageError
from agentnb.core.forking import new_lock
from agentnb.core.grid.cells import cells
from agentnb.core.grid.details import columns_of
from agentnb.core.grid.judged import judged
from agentnb.core.grid.view import Page, Sort
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import flag, refused, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from agentnb.core.grid.engine import Conditions, Engine
    from agentnb.core.grid.view import Filter, GridColumn, Summary, View

__all__ = ["Grid"]

T = TypeVar("T")

_ROWS = 1_000  # of a page
_FARTHEST = 10_000
_LARGEST = 2**53  # a number that a page can send
_KEPT = 16  # counts of rows


@refuse_unknown("grid")
class Grid:
    """A result that is looked at page by page, sorted and filtered; made by `open_grid`.

    Thread-safe.

    Parameters
    ----------
    engine
        Sorts and filters the rows.
    total
        Rows of the result; None if they are to be counted.
    formats
        The kind of each column, by which its cells are shown.

    Examples
    --------
    >>> from agentnb.core.db import Result
    >>> from agentnb.core.grid import Sort, View, open_grid
    >>> with open_grid(Result(["city", "n"], [("Oslo", 2), ("Rome", 3)])) as grid:
    ...     grid.page(View(Sort(1, descending=True))).rows
    (('Rome', '3'), ('Oslo', '2'))
    """

    def __init__(self, engine: Engine, total: int | None, formats: Sequence[str | None]) -> None:
        self._engine = engine
        self._formats = formats
        self._lock = new_lock()
        self._counts: dict[Conditions, int] = {} if total is None else {(): total}
        self._closed = False
        self._running = 0
        self._columns = columns_of(engine.names, engine.details)

    @property
    def columns(self) -> tuple[GridColumn, ...]:
        """The columns."""
        return self._columns

    @property
    def total(self) -> int:
        """The rows of the result.

        Those of a query are counted at the first use.
        """
        return self._run(lambda: self._count(()))

    @property
    def engine(self) -> str:
        """The engine: ``"duckdb"``, ``"rows"`` in Python, or ``"query"``, which asks a database."""
        return self._engine.name

    @property
    def refuses(self) -> str:
        """A line that says why rows are neither sorted nor filtered; ``""`` if they are."""
        return self._engine.refuses

    def page(self, view: View) -> Page:
        """Return a page of rows.

        Parameters
        ----------
        view
            The order, the filters, and the part of the rows.

        Raises
        ------
        UsageError
            The view does not fit the columns; or the page is beyond 10,000 sorted rows, which
            would all have to be sorted; or this grid `refuses`, or is closed.
        AgentnbError
            The database's error, where the engine asks one.
        """
        offset = whole("offset", view.offset, service="grid", least=0, most=_LARGEST)
        count = whole("rows", view.rows, service="grid", most=_ROWS)
        sort = self._sort(view.sort)
        conditions = self._conditions(view.filters)
        if sort is not None and offset + count > _FARTHEST and self.engine != "rows":
            hint = "filter first, or sort in the other direction"
            allowed = f"0 to {_FARTHEST - count:,} while the rows are sorted"
            raise refused("offset", allowed, offset, "grid", hint)

        def paged() -> Page:
            rows = self._engine.rows(sort, conditions, offset, count)
            matched, total = self._count(conditions), self._count(())
            return Page(cells(rows, self._formats), offset, matched, total)

        return self._run(paged)

    def summaries(self, filters: Sequence[Filter] = ()) -> tuple[Summary, ...]:
        """Return a summary of each column, of the first 60 at most; none where this `refuses`.

        Parameters
        ----------
        filters
            Conditions on the rows that are summarised.

        Raises
        ------
        AgentnbError
            As in `page`.
        """
        conditions = self._conditions(filters)
        return self._run(lambda: () if self.refuses else self._engine.summaries(conditions))

    def close(self) -> None:
        """Release the rows, once calls that run have ended; further calls are refused."""
        with self._lock:
            idle = not self._closed and not self._running
            self._closed = True
        if idle:
            self._engine.close()

    def _sort(self, sort: Sort | None) -> Sort | None:
        if sort is None:
            return None
        if not isinstance(sort, Sort):
            raise refused("sort", "of class Sort", sort, "grid", "Sort(0)")
        self._permit()
        most = len(self._columns) - 1
        column = whole("column", sort.column, service="grid", least=0, most=most)
        return Sort(column, flag("descending", sort.descending, service="grid"))

    def _conditions(self, filters: Sequence[Filter]) -> Conditions:
        if filters:
            self._permit()
        return judged(filters, self._engine.details)

    def _permit(self) -> None:
        if self.refuses:
            message, _, hint = self.refuses.partition(": ")
            raise UsageError(message, service="grid", hint=hint)

    def _count(self, conditions: Conditions) -> int:
        with self._lock:
            known = self._counts.get(conditions)
        if known is not None:
            return known
        count = self._engine.count(conditions)
        with self._lock:
            for old in [one for one in self._counts if one][: len(self._counts) - _KEPT]:
                del self._counts[old]
            self._counts[conditions] = count
        return count

    def _run(self, function: Callable[[], T]) -> T:
        with self._lock:
            if self._closed:
                raise UsageError("this grid is closed", service="grid", hint="run its cell again")
            self._running += 1
        try:
            return function()
        finally:
            with self._lock:
                self._running -= 1
                last = self._closed and not self._running
            if last:
                self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.engine
        return f"Grid({len(self._columns)} columns, {state})"
