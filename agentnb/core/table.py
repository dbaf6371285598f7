"""A table of results: plain rows that print, escape themselves and turn into frames."""

from __future__ import annotations

import re
from collections import namedtuple
from functools import lru_cache
from html import escape
from itertools import starmap
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from agentnb.core.errors import UsageError
from agentnb.core.format import BRIEF_CHARACTERS, NUMERIC, colour, formatted
from agentnb.core.hints import rendered
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from agentnb.core.export import Exported
    from agentnb.core.export.clipboard import Clipboard
    from agentnb.core.format import Kind

__all__ = ["Column", "Row", "Table", "cut_note", "names_of", "row_type"]

SHOWN_ROWS = 25
SHOWN_CHARACTERS = 120
_TEXT = frozenset({str})
# Characters that move the cursor, hide or reverse text, or have no UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_STYLE = (
    "border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "color:var(--jp-content-font-color1,inherit)"
)
_CELL = "text-align:{};padding:2px 10px;white-space:pre;max-width:48em;overflow:hidden"
_ELLIPSIS = ";text-overflow:ellipsis"
_SURE = 70  # characters, which fit into 48em whatever they are
_WIDE = 900  # pixels, as far as they can be told; a page of a notebook has some 1,100
_CHARACTER, _PADDING, _MOST = 7, 20, 624  # pixels: of a character, beside a cell, of a cell
_DIM = "opacity:.7"
"""Less would be too little contrast on the grey of every other row."""


class Column(NamedTuple):
    """A column of a table.

    Parameters
    ----------
    name
        Its name.
    kind
        The way in which its values are shown: bytes as ``"size"``, seconds as ``"duration"``,
        datetimes or seconds since the epoch as ``"time"``, or without their date as
        ``"moment"``, numbers as ``"count"``, parts of 1
        as ``"share"``, words with a colour as ``"state"``,
        six digits and short texts as ``"brief"``. None is shown as nothing. The values
        themselves stay in `Table.rows` and in frames as they are.
    """

    name: str
    kind: Kind | None = None


class Row(tuple[Any, ...]):
    """A row of a table: a tuple whose values are also attributes, by the names of the columns.

    Each table makes a class of its own from it.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # the columns are known when it runs; two of them may be methods of a tuple
        count: Any
        index: Any

        def __getattr__(self, name: str) -> Any: ...
        def _asdict(self) -> dict[str, Any]: ...


@refuse_unknown("core")
class Table:
    """Rows under named columns.

    Parameters
    ----------
    columns
        Names, or `Column` with a kind. A name that comes twice gets a number, so that no value
        is lost in `dicts` or in a frame.
    rows
        One tuple a row.
    note
        A line shown under the rows.
    empty
        Shown in place of rows when there are none: what to type next.
    display
        Maximum number of rows that are displayed; None displays all of them.

    Examples
    --------
    >>> table = Table(("id", "name"), [(1, "plan"), (2, "build")])
    >>> table
    id  name
     1  plan
     2  build
    >>> [row.name for row in table], table[0]
    (['plan', 'build'], Row(id=1, name='plan'))
    >>> table.dicts()[0]
    {'id': 1, 'name': 'plan'}
    """

    __slots__ = ("columns", "display", "empty", "formats", "note", "rows")
    kinds: Sequence[str | None] = ()  # of the columns, where a database tells them
    _null = ""  # what None is shown as
    _is_arrow = False  # whether `arrow` gives the data themselves

    def __init__(
        self,
        columns: Sequence[str | Column],
        rows: Sequence[tuple[Any, ...]],
        *,
        note: str = "",
        empty: str = "",
        display: int | None = SHOWN_ROWS,
    ) -> None:
        names, self.formats = names_of(columns)
        self.columns = _unique(names)
        self.rows = rows
        self.note = rendered(note)
        self.empty = rendered(empty)
        self.display = display

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return starmap(row_type(self.columns), self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Any:
        make = row_type(self.columns)
        if isinstance(index, slice):
            return list(starmap(make, self.rows[index]))
        return make(*self.rows[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self.columns == other.columns and list(self.rows) == list(other.rows)

    __hash__ = None  # type: ignore[assignment]  # rows are mutable, as a list's

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as one dictionary each."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def df(self) -> pd.DataFrame:
        """Return a pandas DataFrame.

        Raises
        ------
        UsageError
            pandas is not installed.
        """
        from agentnb.core import frames

        return frames.to_pandas(self.columns, self.rows, self.kinds)

    def pl(self) -> pl.DataFrame:
        """Return a polars DataFrame.

        Raises
        ------
        UsageError
            polars is not installed.
        """
        from agentnb.core import frames

        return frames.to_polars(self.columns, self.rows, self.kinds)

    def arrow(self) -> pa.Table:
        """Return a pyarrow Table.

        Raises
        ------
        UsageError
            pyarrow is not installed, or a column mixes types that Arrow cannot hold.
        """
        from agentnb.core import frames

        return frames.to_arrow(self.columns, self.rows, self.kinds)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)

    def to_csv(
        self,
        path: str | os.PathLike[str],
        *,
        separator: str | None = None,
        spreadsheet: bool = False,
        overwrite: bool = False,
    ) -> Exported:
        r"""Write all rows to a CSV file, whole or not at all.

        Parameters
        ----------
        path
            The file: ``.csv``, or ``.tsv`` with tabs; ``.csv.gz`` and ``.tsv.gz`` are compressed.
            None is an empty value, an empty text ``""``, bytes are hexadecimal, JSON is JSON.
        separator
            The character between two values; default: a comma, or a tab.
        spreadsheet
            Write it for Excel: a text that it would run as a formula begins with ``'``, and the
            file with a byte order mark. Otherwise values are as they are.
        overwrite
            Replace a file that is there.

        Returns
        -------
        Exported
            The path, which `open` takes, the rows and the bytes.

        Raises
        ------
        UsageError
            The name ends otherwise, the file exists, or the rows were cut for display.
        UnavailableError
            The disk is full.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = Table(["id", "name"], [(1, "a"), (2, None)]).to_csv(f"{folder}/rows.csv")
        ...     found.rows, Path(found).read_text()
        (2, 'id,name\n1,a\n2,\n')
        """
        from agentnb.core.export import save

        more = {"separator": separator, "spreadsheet": spreadsheet}
        return save(self, path, "csv", overwrite=overwrite, **more)  # type: ignore[arg-type]  # of two types

    def to_json(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Exported:
        """Write all rows to a JSON file, whole or not at all.

        Parameters
        ----------
        path
            The file: ``.json`` is a list of objects, ``.jsonl`` or ``.ndjson`` an object a line.
            Times and bytes are text; a Decimal that a float would round is text as well.
        overwrite
            Replace a file that is there.

        Raises
        ------
        UsageError, UnavailableError
            As `to_csv`.
        """
        from agentnb.core.export import save

        return save(self, path, "json", overwrite=overwrite)

    def to_parquet(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Exported:
        """Write all rows to a Parquet file with their types, whole or not at all.

        Parameters
        ----------
        path
            The file: ``.parquet``. Dictionaries are Parquet's JSON, lists are lists.
        overwrite
            Replace a file that is there.

        Raises
        ------
        UsageError
            As `to_csv`, or a column has values of several types.
        ConfigError
            pyarrow is not installed.
        UnavailableError
            The disk is full.
        """
        from agentnb.core.export import save

        return save(self, path, "parquet", overwrite=overwrite)

    def to_clipboard(self) -> Clipboard:
        r"""Return a button that copies all rows, as spreadsheets paste them, in a notebook's page.

        The clipboard is the browser's, which only a click on the page reaches. Anywhere else,
        ``.text`` has the rows, tab-separated. A text that a spreadsheet would run as a formula
        begins with ``'``.

        Raises
        ------
        UsageError
            The rows have more than 1 MB, which would be saved in the notebook, or were cut.

        Examples
        --------
        >>> Table(["id"], [(1,), (2,)]).to_clipboard().text
        'id\n1\n2\n'
        """
        from agentnb.core.export.clipboard import clipboard_of

        return clipboard_of(self)

    def _parts(self) -> Iterable[Table]:
        """Return tables that are this one, part by part."""
        return (self,)

    def column(self, name: str) -> list[Any]:
        """Return one column's values.

        Raises
        ------
        UsageError
            There is no such column.
        """
        if name not in self.columns:
            raise UsageError(
                f"no column {name!r}", service="table", hint=f"columns: {', '.join(self.columns)}"
            )
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    @property
    def header(self) -> tuple[Column, ...]:
        """The columns with their kinds, for a table of the same form."""
        return tuple(map(Column, self.columns, self.formats))

    def __repr__(self) -> str:
        shown = list(self.rows[: self.display])
        lines = _aligned(self.header, shown, self._null) if shown else [self.empty or "no rows"]
        return "\n".join(lines + self._notes())

    def _notes(self) -> list[str]:
        shown, total = len(self.rows[: self.display]), len(self.rows)
        notes = [f"{shown:,} of {total:,} rows shown"] if total > shown else []
        return notes + ([self.note] if self.note else [])

    def _repr_html_(self) -> str:
        parts = []
        wide = False
        if self.rows:
            shown = list(self.rows[: self.display])
            numeric = _numeric_columns(self.header, shown)
            names = [text_of(name) for name in self.columns]
            texts = [
                [text_of(*cell, self._null) for cell in zip(row, self.formats, strict=True)]
                for row in shown
            ]
            wide = _is_wide([names, *texts])
            parts.append(_html_row("th", names, list(map(escape, names)), numeric))
            for row, line in zip(shown, texts, strict=True):
                cells = list(map(_html_cell, row, line, self.formats))
                parts.append(_html_row("td", line, cells, numeric))
        else:
            parts.append(f"<tr><td>{escape(self.empty or 'no rows')}</td></tr>")
        # Tab reaches what has to be scrolled, and nothing else.
        scrolls = ' style="overflow-x:auto" tabindex="0" role="group" aria-label="table"'
        parts.insert(
            0, f'<div class="agentnb-table"{scrolls if wide else ""}><table style="{_STYLE}">'
        )
        parts.append("</table>")
        parts += [f'<small style="{_DIM}">{escape(note)}</small><br>' for note in self._notes()]
        parts.append("</div>")
        return "".join(parts)


def cut_note(shown: int, total: int | None = None, *, ask: str = "-n N") -> str:
    """Return the line under rows that are not all: how many are shown, and how to see more.

    Parameters
    ----------
    shown
        Rows that are shown.
    total
        Rows that there are; None if that is not known, only that there are more.
    ask
        The option or call that returns more.

    Examples
    --------
    >>> cut_note(20, 312), cut_note(20), cut_note(20, 20)
    ('20 of 312 shown; -n N for more', '20 shown, there are more: -n N', '')
    """
    if total is None:
        return f"{shown:,} shown, there are more: {ask}"
    return f"{shown:,} of {total:,} shown; {ask} for more" if total > shown else ""


def _unique(columns: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(columns)) == len(columns):
        return columns
    seen: dict[str, int] = {}
    names: list[str] = []
    for column in columns:
        seen[column] = count = seen.get(column, 0) + 1
        name = column if count == 1 else f"{column}_{count}"
        while name in names or (count > 1 and name in columns):
            name += "_"
        names.append(name)
    return tuple(names)


@lru_cache(maxsize=256)
def row_type(columns: tuple[str, ...]) -> Callable[..., Row]:
    """Return the class of the rows of a table with these columns."""
    # A class costs a tenth of a millisecond to make: one for each set of columns.
    fields = namedtuple("Row", columns, rename=True)  # type: ignore[misc]  # noqa: PYI024 - its fields are known at run time
    made: Callable[..., Row] = type("Row", (fields, Row), {"__slots__": ()})
    return made


def names_of(
    columns: Sequence[str | Column],
) -> tuple[tuple[str, ...], tuple[Kind | None, ...]]:
    """Return the names of columns, and their kinds.

    >>> names_of(["name", Column("size", "size")])
    (('name', 'size'), (None, 'size'))
    """
    if _TEXT.issuperset(map(type, columns)):  # a database's, at each query
        return tuple(columns), (None,) * len(columns)  # type: ignore[arg-type]  # all are text
    pairs = [one if isinstance(one, Column) else Column(str(one)) for one in columns]
    return tuple(one.name for one in pairs), tuple(one.kind for one in pairs)


def text_of(value: object, kind: str | None = None, null: str = "NULL") -> str:
    """Return a value as one short line, the way a cell of a table shows it."""
    form = formatted(value, kind)
    if form is not None:
        return form
    if value is None:
        return null
    if isinstance(value, (bytes, bytearray, memoryview)):
        size = value.nbytes if isinstance(value, memoryview) else len(value)
        return f"<{size:,} bytes>"
    text = str(value)
    longest = BRIEF_CHARACTERS if kind == "brief" else SHOWN_CHARACTERS
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) or type(value).__name__ == "Decimal"


def _numeric_columns(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> list[bool]:
    return [
        column.kind in NUMERIC or (column.kind in {None, "brief"} and _holds_numbers(rows, index))
        for index, column in enumerate(columns)
    ]


def _holds_numbers(rows: Sequence[tuple[Any, ...]], index: int) -> bool:
    values = [row[index] for row in rows if row[index] is not None]
    return bool(values) and all(_is_number(value) for value in values)


def _aligned(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], null: str) -> list[str]:
    numeric = _numeric_columns(columns, rows)
    kinds = [column.kind for column in columns]
    cells = [[text_of(column.name) for column in columns]]
    cells += [[text_of(*cell, null) for cell in zip(row, kinds, strict=True)] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = []
    for line in cells:
        parts = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numeric, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return lines


def _is_wide(lines: Sequence[Sequence[str]]) -> bool:
    """Return whether a table of these texts may be wider than a page."""
    widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    return sum(min(width * _CHARACTER, _MOST) + _PADDING for width in widths) > _WIDE


def _html_cell(value: object, text: str, kind: str | None) -> str:
    shown = escape(text)
    if value is None and kind in {None, "text"}:
        return f'<span style="{_DIM}">{shown}</span>' if shown else ""
    found = colour(value) if kind == "state" else None
    return f'<span style="color:{found}">{shown}</span>' if found else shown


def _html_row(tag: str, texts: list[str], cells: list[str], numeric: list[bool]) -> str:
    parts = []
    for text, cell, number in zip(texts, cells, numeric, strict=True):
        style = _CELL.format("right" if number else "left")
        style += _ELLIPSIS if len(text) > _SURE else ""
        parts.append(f'<{tag} style="{style}">{cell}</{tag}>')
    return f"<tr>{''.join(parts)}</tr>"
