"""Writers of text: CSV and JSON, row by row."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.export.cells import is_formula, json_values, texts_of
from agentnb.core.hints import rendered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentnb.core.table import Table

__all__ = ["CSVWriter", "JSONWriter"]

_CHUNK = 10_000
_QUOTE = '"'
_STARTS = frozenset("=+-@\t\r")  # of a formula; most columns have no such text
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class CSVWriter:
    """Writes tables below each other as CSV.

    NULL is nothing, and an empty text ``""``.

    Parameters
    ----------
    file
        The file, in binary.
    separator
        The character between two values.
    packed
        Compress it by gzip.
    spreadsheet
        Whether texts that a spreadsheet would run are made harmless.
    mark
        Whether the file begins with a byte order mark, by which Excel knows UTF-8.
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        separator: str = ",",
        packed: bool = False,
        spreadsheet: bool = False,
        mark: bool = False,
    ) -> None:
        # Without a name and a time in it, equal rows are equal files.
        self._packed = gzip.GzipFile("", "wb", 6, file, mtime=0) if packed else None
        self._file: Any = self._packed or file
        self._separator = separator
        self._special = ('"', "\n", "\r", separator)
        self._spreadsheet = spreadsheet
        self._mark = mark
        self._formulas = 0
        self._begun = False

    def write(self, table: Table) -> None:
        """Write the rows of a table, below the names of the first one's columns."""
        if not self._begun:
            self._begun = True
            if self._mark:
                self._file.write(b"\xef\xbb\xbf")
            names = [cell or '""' for cell in self._cells(table.columns)]
            self._put([self._separator.join(names)], table.columns)
        for rows in _slices(table):
            columns = [self._column(values) for values in zip(*rows, strict=True)]
            if len(columns) == 1:  # an empty line would be no row
                columns = [[text or '""' for text in columns[0]]]
            join = self._separator.join
            self._put(list(map(join, zip(*columns, strict=True))), table.columns)

    def _column(self, values: Sequence[object]) -> Sequence[str]:
        texts = texts_of(values)
        kinds = set(map(type, values))
        if kinds <= {int, float, bool, type(None)}:
            return texts
        # A value that is there and has no text is told from NULL.
        cells = self._cells(texts, checked=str in kinds)
        if "" in texts:
            return [
                '""' if not cell and value is not None else cell
                for cell, value in zip(cells, values, strict=True)
            ]
        return cells

    def _cells(self, texts: Sequence[str], *, checked: bool = True) -> Sequence[str]:
        suspect = checked and not _STARTS.isdisjoint({text[:1] for text in texts})
        formulas = list(map(is_formula, texts)) if suspect else []
        if any(formulas):
            self._formulas += sum(formulas)
            if self._spreadsheet:
                texts = [
                    f"'{text}" if formula else text
                    for text, formula in zip(texts, formulas, strict=True)
                ]
        whole = "".join(texts)
        if not any(one in whole for one in self._special):
            return texts
        return [
            f'"{text.replace(_QUOTE, _QUOTE * 2)}"'
            if any(one in text for one in self._special)
            else text
            for text in texts
        ]

    def _put(self, lines: list[str], columns: Sequence[str]) -> None:
        self._file.write(_encoded("\n".join(lines) + "\n", columns))

    def finish(self) -> list[str]:
        """Write the end; return the lines that the reader of the file should know."""
        if self._packed is not None:
            self._packed.close()
        if not self._formulas:
            return []
        texts = "1 text begins" if self._formulas == 1 else f"{self._formulas:,} texts begin"
        if self._spreadsheet:
            return [f"{texts} with ' now: a spreadsheet would have run what was there"]
        return [rendered(f"{texts} as a formula does: spreadsheet=True (--spreadsheet) for Excel")]

    def close(self) -> None:
        """Give up what is not finished."""
        if self._packed is not None:
            with suppress(OSError, ValueError):
                self._packed.close()


class JSONWriter:
    """Writes rows as JSON objects: a list of them, or one a line.

    Parameters
    ----------
    file
        The file, in binary.
    lines
        Whether each object is a line of its own.
    """

    def __init__(self, file: IO[bytes], *, lines: bool) -> None:
        self._file = file
        self._lines = lines
        self._between = ""
        self._notes: dict[str, None] = {}

    def write(self, table: Table) -> None:
        """Write the rows of a table."""
        names = table.columns
        for rows in _slices(table):
            columns = [json_values(values, self._note) for values in zip(*rows, strict=True)]
            texts = [
                _ENCODER.encode(dict(zip(names, row, strict=True)))
                for row in zip(*columns, strict=True)
            ]
            if self._lines:
                text = "\n".join(texts) + "\n"
            else:
                text = (self._between or "[\n") + ",\n".join(texts)
                self._between = ",\n"
            self._file.write(_encoded(text, names))

    def _note(self, text: str) -> None:
        self._notes[text] = None

    def finish(self) -> list[str]:
        """Write the end; return the lines that the reader of the file should know."""
        if not self._lines:
            self._file.write(b"\n]\n" if self._between else b"[]\n")
        return list(self._notes)

    def close(self) -> None:
        """Give up what is not finished: there is nothing to do."""


def _slices(table: Table) -> Iterator[Sequence[tuple[Any, ...]]]:
    rows = table.rows
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def _encoded(text: str, columns: Sequence[str]) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"a text of {', '.join(columns)[:80]} has no UTF-8: {error.reason}",
            service="export",
            hint="export .parquet as bytes, or mend the text: value.encode('utf-8', 'replace')",
        ) from error
