"""Rows as a text to copy or to keep in a file: whole values, however short a cell shows them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from agentnb.panels.base.cells import is_number
from agentnb.panels.base.indicators import Indicator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["FORMATS", "exported", "file_name"]

FORMATS: Final = ("tsv", "csv", "json")
"""Formats of an exported table; tab-separated text is for the clipboard."""

_NO_NAME = re.compile(r"[^\w.-]+")


def exported(columns: Sequence[str], rows: Iterable[Sequence[object]], kind: str) -> str:
    r"""Return rows as text.

    Parameters
    ----------
    columns, rows
        The table.
    kind
        One of `FORMATS`. JSON is a list of objects; NULL is ``null`` there, and empty elsewhere.

    Examples
    --------
    >>> exported(["id", "note"], [(1, None), (2, "a,b")], "csv")
    'id,note\r\n1,\r\n2,"a,b"\r\n'
    >>> exported(["id"], [(1,)], "json")
    '[\n  {"id": 1}\n]\n'
    """
    if kind == "json":
        lines = (
            json.dumps(dict(zip(columns, map(_json, row), strict=False)), ensure_ascii=False)
            for row in rows
        )
        body = ",\n  ".join(lines)
        return f"[\n  {body}\n]\n" if body else "[]\n"
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t" if kind == "tsv" else ",")
    writer.writerow(columns)
    writer.writerows([_text(value) for value in row[: len(columns)]] for row in rows)
    return buffer.getvalue()


def file_name(title: str, kind: str) -> str:
    """Return a name for the file of a table.

    >>> file_name("Dead letters", "csv"), file_name("../x", "json"), file_name("", "csv")
    ('dead-letters.csv', 'x.json', 'table.csv')
    """
    stem = _NO_NAME.sub("-", title.casefold())[:60].strip("-._") or "table"
    return f"{stem}.{kind}"


def _text(value: object) -> str:
    """Return a whole value as text; a number that is shown with a unit without it."""
    if value is None:
        return ""
    if isinstance(value, Indicator):
        return value.saved or value.text
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    return str(value)


def _json(value: object) -> Any:
    """Return a value as JSON has it; what JSON has no number for becomes text."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if is_number(value) and not isinstance(value, Decimal):
        number = float(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]
        return number if math.isfinite(number) else str(number)
    if isinstance(value, (dict, list, tuple)):
        return json.loads(json.dumps(value, default=str), parse_constant=str)
    return _text(value)
