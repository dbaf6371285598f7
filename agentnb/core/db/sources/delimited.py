"""CSV files, whose types are found before anything is written."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import itertools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from agentnb.core.db.sources.source import Source
from agentnb.core.db.values import LARGEST, SMALLEST
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_csv"]

_REAL = re.compile(r"-?(0|[1-9][0-9]*|(?=\.[0-9]))(\.[0-9]*)?([eE][-+]?[0-9]+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_COMMA = re.compile(r"-?[0-9]+,[0-9]+", re.ASCII)
_GROUPED = re.compile(r"-?[0-9]{1,3}(\.[0-9]{3})+", re.ASCII)  # 1.234: thousands, by a comma
_SEPARATORS = (",", ";", "\t", "|")
_LINES = 50  # that the separator is told by
_LARGEST_CELL = 2**31 - 1
_EXACT = 2**53  # up to here every integer is a real number, too


def read_csv(path: Path) -> Source:
    """Return the rows of a CSV file, also one that is compressed by gzip; an empty value is NULL.

    The values stand apart by a comma, a semicolon, a tab or ``|``, whichever parts the first lines
    into the same number of values, more than one. Where it is no comma, a number may have a decimal
    comma. The text is UTF-8, or UTF-16 with a byte order mark.

    Raises
    ------
    UsageError
        A row has more or fewer values than there are columns, or the text has another encoding.
    """
    form = _form_of(path)
    # Two passes: the first finds the types, so that any size loads in bounded memory.
    with form.opened(path) as file:
        lines = form.reader(file)
        names: list[str] = next(lines, [])
        kinds = [_Guess(decimal_comma=form.decimal_comma) for _ in names]
        for row in lines:
            if row and len(row) != len(names):
                raise UsageError(
                    f"{path.name}, line {lines.line_num}: {len(row)} values under "
                    f"{len(names)} columns",
                    service="db",
                    hint="put values with the separator into double quotes",
                )
            for guess, text in zip(kinds, row, strict=False):
                guess.see(text)
    commas = any(guess.commas for guess in kinds)
    for guess in kinds:
        guess.settle(commas=commas)

    def rows() -> Iterator[list[Any]]:
        converters = [guess.convert for guess in kinds]
        with form.opened(path) as file:
            lines = form.reader(file)
            next(lines, None)
            for row in lines:
                if row:
                    yield [f(text) for f, text in zip(converters, row, strict=True)]

    return Source([(name, g.kind) for name, g in zip(names, kinds, strict=True)], rows())


@dataclass(frozen=True, slots=True)
class _Form:
    """How the values of a file stand in it."""

    separator: str
    encoding: str
    packed: bool

    @property
    def decimal_comma(self) -> bool:
        """Whether a comma may stand for the point of a number."""
        return self.separator != ","

    def opened(self, path: Path) -> TextIO:
        """Return the file, open to be read."""
        return _opened(path, self.encoding, packed=self.packed)

    def reader(self, file: TextIO) -> Any:
        """Return a reader of its lines, whose cells may be of any size."""
        csv.field_size_limit(_LARGEST_CELL)  # of the process: there is no other
        # Otherwise a quote that is never closed takes the rest of the file for one value.
        return csv.reader(file, delimiter=self.separator, strict=True)


def _opened(path: Path, encoding: str, *, packed: bool) -> TextIO:
    if packed:
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _form_of(path: Path) -> _Form:
    """Return the form of a file, by its name, its first bytes and its first lines."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as raw:
        encoding = "utf-16" if raw.read(2) in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    with _opened(path, encoding, packed=packed) as file:
        first = "".join(itertools.islice(file, _LINES))
    return _Form(_separator(first), encoding, packed)


def _separator(text: str) -> str:
    r"""Return what stands between the values of some lines; a comma if that cannot be told.

    >>> _separator("a;b\n1,5;2\n"), _separator("a,b\n1;5,2\n"), _separator("a\n1;2\n")
    (';', ',', ',')
    """
    most, found = 1, ","
    for separator in _SEPARATORS:
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row
        ]
        counts = {len(row) for row in rows[:-1] or rows}  # the last one may have been cut
        if len(counts) == 1 and (count := counts.pop()) > most:
            most, found = count, separator
    return found


def _integer(text: str) -> int:
    # "007" and "1_000" are names that look like numbers.
    digits = text.lstrip("-")
    if not digits.isdecimal() or not text.isascii() or (len(digits) > 1 and digits[0] == "0"):
        raise ValueError(text)
    value = int(text)
    if not SMALLEST <= value <= LARGEST:
        raise ValueError(text)
    return value


def _real(text: str) -> float:
    # "+49 30 1234" and "007" are names that look like numbers, and so is a number that
    # a real could not hold.
    if not _REAL.fullmatch(text):
        raise ValueError(text)
    value = float(text)
    if math.isinf(value) or (text.lstrip("-").isdecimal() and abs(int(text)) > _EXACT):
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _date(text: str) -> dt.date:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return dt.date.fromisoformat(text)


def _datetime(text: str) -> dt.datetime:
    value = _moment(text)
    if value.tzinfo is not None:
        raise ValueError(text)
    return value


def _datetimetz(text: str) -> dt.datetime:
    value = _moment(text)
    if value.tzinfo is None:
        raise ValueError(text)
    return value


def _moment(text: str) -> dt.datetime:
    if len(text) < len("2026-01-31T10:00"):
        raise ValueError(text)
    return dt.datetime.fromisoformat(text)


_LADDER = (
    ("integer", _integer),
    ("real", _real),
    ("boolean", _boolean),
    ("date", _date),
    ("datetime", _datetime),
    ("datetimetz", _datetimetz),
)


class _Guess:
    """The narrowest type that every value of a column of text has."""

    def __init__(self, *, decimal_comma: bool = False) -> None:
        self._left = list(_LADDER)
        self._decimal_comma = decimal_comma
        self._seen = False
        self._exact = True  # no integer so far that would change as a real
        self.commas = self._grouped = self._points = False

    def see(self, text: str) -> None:
        if not text:
            return
        if self._decimal_comma:
            grouped = _GROUPED.fullmatch(text) is not None
            self.commas = self.commas or _COMMA.fullmatch(text) is not None
            self._grouped = self._grouped or grouped
            self._points = self._points or ("." in text and not grouped)
        while self._left:
            try:
                value = self._left[0][1](self._pointed(text))
            except (ValueError, KeyError):
                self._narrow()
            else:
                self._seen = True
                self._exact = self._exact and (type(value) is not int or abs(value) <= _EXACT)
                return
        self._seen = True

    def _narrow(self) -> None:
        """Take the next type, if what was seen so far has it, too."""
        self._left.pop(0)
        # An integer is a real, too; the others share no values.
        widens = bool(self._left) and self._left[0][0] == "real" and self._exact
        if self._seen and not widens:
            self._left.clear()

    def settle(self, *, commas: bool) -> None:
        """Take 1.234 for text where it may be 1234: beside 1,5 in this or in another column."""
        if self._grouped and (self.commas or (commas and not self._points)):
            self._left.clear()

    @property
    def kind(self) -> str:
        return self._left[0][0] if self._left and self._seen else "text"

    def convert(self, text: str) -> Any:
        if not text:
            return None
        return self._left[0][1](self._pointed(text)) if self.kind != "text" else text

    def _pointed(self, text: str) -> str:
        """Return a number with a decimal comma as one with a point."""
        if self._decimal_comma and _COMMA.fullmatch(text):
            return text.replace(",", ".")
        return text
