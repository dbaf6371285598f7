"""Replies of an API, as a notebook displays them."""

from __future__ import annotations

import json
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from agentnb.core.codec import decode, encode
from agentnb.core.errors import UsageError
from agentnb.core.headers import hiding
from agentnb.core.table import Table, text_of
from agentnb.core.trace.files import clean
from agentnb.magics.livetext import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.api import Reply

__all__ = ["Shown"]

_LINES = 60
_WIDE = 88
_COLUMNS = 8


class Shown:
    """A reply that reads well: a list of objects as a table, all else as JSON.

    What it shows has secrets masked and is cut where it is long; ``data`` is whole. Indexing,
    iterating and comparing go to ``data``.

    Parameters
    ----------
    reply
        The reply.
    redactor
        Masks secrets in the output.
    """

    def __init__(self, reply: Reply, redactor: Callable[[str], str]) -> None:
        self.data = reply.data
        self._is_head = reply.method == "HEAD"
        self.status = reply.status
        self.headers = reply.headers
        self.ms = reply.ms
        self._redactor = redactor

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __eq__(self, other: object) -> bool:
        return bool(self.data == (other.data if isinstance(other, Shown) else other))

    __hash__ = None  # type: ignore[assignment]  # as its data's

    def table(self) -> Table:
        """Return a list of objects as a table.

        Raises
        ------
        UsageError
            It is something else.
        """
        if not _is_rows(self.data):
            raise UsageError(
                f"the reply is a {type(self.data).__name__}, not a list of objects",
                service="api",
                hint="data has it as it came",
            )
        return _table(self.data, len(self.data[0]) + 1000)

    def df(self) -> Any:
        """Return a list of objects as a pandas DataFrame; see `table`."""
        return self.table().df()

    def _heads(self) -> Table:
        """Return the headers as a table, without the secrets among them."""
        hide = hiding(self.headers, self._redactor)
        rows = [(name, hide(value)) for name, value in self.headers.items()]
        return Table(("header", "value"), rows, note=_named(self.status))

    def _looks(self) -> Table | list[str]:
        if self._is_head:
            return self._heads()
        data = _plain(self.data)
        if _is_rows(data):
            return _table([clean(row, self._redactor) for row in data], _COLUMNS)
        if data is None or data in ("", b""):
            return [f"{_named(self.status)}, nothing in it"]
        if isinstance(data, bytes):
            return [text_of(data)]
        if isinstance(data, str):
            text = self._redactor(data)
        else:
            text = _pretty(clean(data, self._redactor))
        lines = [text_of(line) for line in text.splitlines()]
        more = len(lines) - _LINES
        if more > 0:
            lines = [*lines[:_LINES], f"… {more:,} more lines: .data has all"]
        return lines

    def __repr__(self) -> str:
        looks = self._looks()
        return repr(looks) if isinstance(looks, Table) else "\n".join(looks)

    def _repr_html_(self) -> str:
        looks = self._looks()
        if isinstance(looks, Table):
            return looks._repr_html_()
        return f'<pre style="{STYLE}">{escape(chr(10).join(looks))}</pre>'


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _plain(data: Any) -> Any:
    """Return a reply of any type as JSON."""
    if isinstance(data, bytes):
        return data
    raw, walk = encode(data)
    return data if walk is None else decode(raw)


def _is_rows(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(one, dict) for one in data)


def _table(rows: list[Any], most: int) -> Table:
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    # What is nested says little in a cell, so it comes last where there is no room for all.
    flat = [n for n in names if not any(isinstance(row.get(n), dict | list) for row in rows)]
    if len(names) > most:
        chosen = set((flat + [n for n in names if n not in flat])[:most])
        names, left = [n for n in names if n in chosen], len(names) - most
    else:
        left = 0
    note = f"{left:,} more columns: .data has all" if left else ""
    cells = [tuple(_cell(row.get(name)) for name in names) for row in rows]
    return Table(names, cells, note=note)


def _cell(value: Any) -> Any:
    return _compact(value) if isinstance(value, dict | list) else value


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _pretty(value: Any, indent: int = 0) -> str:
    """Return indented JSON in which short values stand on one line."""
    line = _compact(value)
    if len(line) + indent <= _WIDE or not value or not isinstance(value, dict | list):
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{_compact(str(k))}: {_pretty(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + "}"
    parts = [_pretty(one, indent + 2) for one in value]
    return "[\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + "]"
