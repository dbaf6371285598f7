"""The results of statements."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, TypeVar, overload

from agentnb.core.db.gridded import HEIGHT, ROWS, Gridded
from agentnb.core.db.values import Columns
from agentnb.core.errors import UsageError
from agentnb.core.format import rows as rows_text
from agentnb.core.keywords import refuse_unknown
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from typing_extensions import TypeForm

    from agentnb.core.codec import TypeCodec
    from agentnb.core.db.origin import Origin
    from agentnb.core.plot import Plot
    from agentnb.core.plot.asked import Kind
    from agentnb.core.table import Column

__all__ = ["ArrowResult", "Preview", "Result", "Script"]

T = TypeVar("T")

_PART = 100_000  # rows


@refuse_unknown("db")
class Result(Table):
    """The rows of one statement, or the number of rows that it changed.

    It holds nothing of the database: no cursor, no connection.

    Parameters
    ----------
    columns, rows
        As in `Table`; both empty for a statement that returns no rows.
    statement
        The SQL that was run, one line of it.
    rowcount
        Rows returned, or rows changed by an INSERT, UPDATE or DELETE.
    truncated
        Whether there were more rows than the limit that was asked for.

    Attributes
    ----------
    kinds
        The kind of each column, such as ``"integer"``, or None: a frame gives it to a column
        without values. SQLite has no types of columns to tell.
    notices
        The database's notices and warnings, such as those of RAISE NOTICE, in their order.
    as_grid
        Whether a notebook shows the rows as a grid; None leaves it to AGENTNB_GRID.
    """

    __slots__ = (
        "as_grid",
        "kinds",
        "notices",
        "returns_rows",
        "rowcount",
        "statement",
        "truncated",
    )
    _null = "NULL"
    # Not stored with it: how it is shown, and, below, what follows from the rest.
    _derived: tuple[str, ...] = ("as_grid",)

    def __init__(
        self,
        columns: Sequence[str | Column],
        rows: Sequence[tuple[Any, ...]],
        *,
        statement: str = "",
        rowcount: int = 0,
        truncated: bool = False,
        returns_rows: bool = True,
    ) -> None:
        note = f"limited to {rowcount:,} rows as asked; there are more" if truncated else ""
        super().__init__(columns, rows, note=note)
        self.kinds = columns.kinds if isinstance(columns, Columns) else ()
        self.statement = statement
        self.rowcount = rowcount
        self.truncated = truncated
        self.returns_rows = returns_rows
        self.notices: tuple[str, ...] = ()
        self.as_grid: bool | None = None

    @overload
    def scalar(self, *, type: TypeForm[T]) -> T | None: ...
    @overload
    def scalar(self, *, type: None = ...) -> Any: ...
    def scalar(self, *, type: Any = None) -> Any:  # noqa: A002 - the name that `Cache.get` has
        """Return the first value of the first row, or None if there is no row.

        Parameters
        ----------
        type
            The type to read it as; None for the database's own. NULL is None in any case.

        Raises
        ------
        UsageError
            It is not of the type.

        Examples
        --------
        >>> Result(["n"], [(3,)]).scalar()
        3
        >>> from datetime import date
        >>> Result(["day"], [("2026-01-02",)]).scalar(type=date)
        datetime.date(2026, 1, 2)
        """
        value = self.rows[0][0] if self.rows and self.rows[0] else None
        if type is None:
            return value
        codec = _codec(type)
        return None if value is None else _of(codec, value, "the value")

    def objects(self, type: TypeForm[T]) -> list[T]:  # noqa: A002 - as scalar
        """Return the rows as objects of a type, whose fields are columns.

        Parameters
        ----------
        type
            A dataclass, a msgspec Struct, a TypedDict or a pydantic model. Columns that are no
            fields are left out.

        Raises
        ------
        UsageError
            A row is not of the type; it is named by its number.

        Examples
        --------
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Price:
        ...     symbol: str
        ...     amount: float
        >>> Result(["symbol", "amount"], [("A", 1.5)]).objects(Price)
        [Price(symbol='A', amount=1.5)]
        """
        codec = _codec(type)
        return [
            _of(codec, row, f"row {number}") for number, row in enumerate(self.dicts(), start=1)
        ]

    def plot(
        self, x: str, y: str | None = None, *, color: str | None = None, kind: Kind | None = None
    ) -> Plot:
        """Return a plot of all rows: a line, bars, a histogram, points or boxes.

        Parameters
        ----------
        x
            The column along x: numbers, times or text.
        y
            A column of numbers. Along numbers and times a line of its means is drawn, over text
            bars of its sums. Without it rows are counted.
        color
            A column whose values have a color each, the 20 most frequent.
        kind
            The form, ``"line"``, ``"bar"``, ``"hist"``, ``"scatter"`` or ``"box"``; default: the
            one that fits the columns.

        Raises
        ------
        UsageError
            There is no such column, or the form does not fit; or the result was cut for display.

        Examples
        --------
        >>> Result(["n"], [(1,), (2,), (2,)]).plot("n").caption
        'rows by n, of 3 rows'
        """
        from agentnb.core.plot.plot import of_rows

        return of_rows(self.columns, self.rows, x, y, color, kind)

    def profile(self) -> Result:
        """Return a summary of each column: its types, nulls, values, range, mean and quartiles.

        Raises
        ------
        UsageError
            The result was cut for display, or has no columns.

        Examples
        --------
        >>> Result(["n"], [(1,), (3,), (None,)]).profile().dicts()[0]["mean"]
        2.0
        """
        from agentnb.core.db.profiling import of_rows

        return of_rows(self.columns, self.rows)

    def grid(self, page: int = ROWS, height: int = HEIGHT) -> Gridded:
        """Return the result as a grid to sort, filter and page through, for a notebook to show.

        Parameters
        ----------
        page
            Rows on a page, 200 at most.
        height
            Greatest height of the rows in pixels; what is longer scrolls.

        Raises
        ------
        UsageError
            A number is out of its range.

        Examples
        --------
        >>> Result(["n"], [(1,), (2,)]).grid(page=10)  # in a terminal a table
        n
        1
        2
        """
        return Gridded(self, page, height)

    def _done(self) -> str:
        if not self.rowcount:
            return "done"
        return f"{rows_text(self.rowcount)} affected"

    def __repr__(self) -> str:
        return super().__repr__() if self.returns_rows else self._done()

    def _repr_html_(self) -> str:
        return super()._repr_html_() if self.returns_rows else f"<div>{self._done()}</div>"


class Preview(Result):
    """The first rows of a longer result, for display only.

    Parameters
    ----------
    columns, shown
        The rows to display.
    statement
        The SQL that was run.
    origin
        What it takes to ask for the rows again; None if that is not known.

    Raises
    ------
    UsageError
        By everything that would take these rows for all: their number, iteration, indexing,
        frames.

    Examples
    --------
    >>> cut = Preview(["n"], [(1,), (2,)], statement="select n from task")
    >>> cut
    n
    1
    2
    limited to 2 rows; there are more: x << SQL keeps them all
    >>> cut.columns, cut.truncated, cut.note
    (('n',), True, 'limited to 2 rows; there are more: x << SQL keeps them all')
    """

    __slots__ = ("_shown", "origin")
    # It is of this process, and may hold secrets.
    _derived = ("as_grid", "origin")

    def __init__(
        self,
        columns: Sequence[str],
        shown: Sequence[tuple[Any, ...]],
        *,
        statement: str,
        origin: Origin | None = None,
    ) -> None:
        self.origin = origin
        note = f"limited to {len(shown):,} rows; there are more: x << SQL keeps them all"
        self._shown = Table(columns, shown, note=note)
        super().__init__(columns, (), statement=statement, truncated=True)
        self.note = note

    @property
    def rows(self) -> Sequence[tuple[Any, ...]]:
        """Refuse to give the rows, which are not all."""
        sql = _short(self.statement)
        if sql.endswith("…"):  # a statement cut short is nothing to paste
            sql = "SQL"
        raise UsageError(
            f"this result was cut to {len(self._shown):,} rows for display",
            service="db",
            hint=f"all rows: hub.db.query(SQL) (%db x << {sql})",
        )

    @rows.setter
    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Accept what `Table` sets."""

    @property
    def shown_rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows that are displayed, which are not all."""
        return self._shown.rows

    @property
    def rowcount(self) -> int:
        """Refuse to give a number, which is not known."""
        return len(self)

    @rowcount.setter
    def rowcount(self, count: int) -> None:
        """Accept what `Result` sets."""

    def __bool__(self) -> bool:
        return bool(self._shown)

    def __repr__(self) -> str:
        return repr(self._shown)

    def _repr_html_(self) -> str:
        return self._shown._repr_html_()


class ArrowResult(Result):
    """A result that came as Arrow data, and becomes rows only if it is read as rows."""

    __slots__ = ("_made", "_table")
    _derived = ("_made", "as_grid")
    _is_arrow = True

    def __init__(self, table: pa.Table, *, statement: str = "", truncated: bool = False) -> None:
        self._table = table
        self._made: list[tuple[Any, ...]] | None = None
        super().__init__(
            table.column_names,
            [],  # made from the Arrow data when they are read
            statement=statement,
            rowcount=table.num_rows,
            truncated=truncated,
        )
        self._table = table.rename_columns(list(self.columns))

    @property
    def rows(self) -> Sequence[tuple[Any, ...]]:
        """The rows as tuples, made on first use."""
        if self._made is None:
            columns = [column.to_pylist() for column in self._table.columns]
            empty: list[tuple[Any, ...]] = [()] * self._table.num_rows
            self._made = list(zip(*columns, strict=True)) if columns else empty
        return self._made

    @rows.setter
    def rows(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Accept what `Table` sets; the Arrow data stay the truth."""

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __bool__(self) -> bool:
        return len(self) > 0

    def _parts(self) -> Iterator[ArrowResult]:
        """Yield parts, whose rows take little memory."""
        for start in range(0, max(len(self), 1), _PART):
            yield ArrowResult(self._table.slice(start, _PART))

    def arrow(self) -> pa.Table:
        """Return the Arrow table itself."""
        return self._table

    def df(self) -> pd.DataFrame:
        """Return a pandas DataFrame with the types that the rows would have given."""
        from agentnb.core.frames import arrow_to_pandas

        return arrow_to_pandas(self._table)

    def pl(self) -> pl.DataFrame:
        """Return a polars DataFrame that shares the Arrow data."""
        from agentnb.core.extras import need

        return need("polars").from_arrow(self._table)  # type: ignore[no-any-return]


class Script(list[Result]):
    """The results of several statements, in their order; each one shows.

    Examples
    --------
    >>> Script([Result(["n"], [(1,)], statement="select 1 as n")])
    -- select 1 as n
    n
    1
    """

    @property
    def headings(self) -> list[tuple[str, str]]:
        """The line above each result, as text and as HTML."""
        lines = [_short(result.statement) for result in self]
        return [
            (f"-- {line}", f'<div style="opacity:.7"><code>{escape(line)}</code></div>')
            for line in lines
        ]

    def __repr__(self) -> str:
        if len(self) == 1 and not self[0].statement:
            return repr(self[0])
        above = (text for text, _ in self.headings)
        return "\n".join(f"{text}\n{result!r}" for text, result in zip(above, self, strict=True))

    def _repr_html_(self) -> str:
        above = (html for _, html in self.headings)
        return "".join(
            f"{html}{result._repr_html_()}" for html, result in zip(above, self, strict=True)
        )


def _codec(kind: Any) -> TypeCodec:
    from agentnb.core.codec import check_schema, codec_of

    check_schema(kind, "db", "type")
    return codec_of(kind)


def _of(codec: TypeCodec, value: Any, subject: str) -> Any:
    from agentnb.core.codec import MISFITS

    try:
        return codec.of(value)
    except MISFITS as error:
        raise UsageError(
            f"{subject} is not {codec.name}: {error}",
            service="db",
            hint="type= says what the database has, such as type=str",
        ) from error


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= 80 else line[:79] + "…"  # noqa: PLR2004 - a terminal's width
