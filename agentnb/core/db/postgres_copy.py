"""COPY between PostgreSQL and the client."""

from __future__ import annotations

import collections
import itertools
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from agentnb.core.db.bounds import Bounds, fetch_all
from agentnb.core.db.syntax import POSTGRES
from agentnb.core.db.text import tokens
from agentnb.core.errors import QueryRejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.db.text import Statement

__all__ = ["check", "direction", "fetch", "stream"]

COLUMNS = ("line",)
Direction = Literal["to client", "from client", "to server", "from server", ""]


@lru_cache(maxsize=64)
def direction(sql: str) -> Direction:
    """Return where a COPY takes its data to or from; ``""`` where that is not written.

    >>> direction("copy (select 'a' to) to stdout"), direction("copy t from '/tmp/t.csv'")
    ('to client', 'from server')
    """
    depth, found = 0, ""
    for kind, text, _ in tokens(sql, POSTGRES):
        word = text.lower()
        if kind in {"space", "comment"}:
            continue
        if found:
            end = "client" if kind == "word" and word in {"stdin", "stdout"} else "server"
            return f"{found} {end}"  # type: ignore[return-value]
        depth += {"(": 1, ")": -1}.get(text, 0)
        if not depth and kind == "word" and word in {"to", "from"}:
            found = word
    return ""


def check(statement: Statement, *, read_only: bool) -> None:
    """Raise for a COPY that this connection is not to be given.

    Raises
    ------
    UsageError
        Its data would have to come from the client, or be binary.
    QueryRejected
        It writes a file of the server, or a table, on a read-only connection.
    """
    way = direction(statement.sql)
    if way == "from client":
        raise UsageError(
            "COPY ... FROM STDIN has no data to read here",
            service="db",
            hint="hub.db.load(rows, table, if_exists='append') (%db load FILE TABLE --append)",
        )
    if way == "to client" and "binary" in statement.words:
        raise UsageError(
            "COPY in the binary format gives no text to show",
            service="db",
            hint="leave the format away, or write (format csv, header)",
        )
    if read_only and way != "to client":
        refused = QueryRejected(
            "this connection only reads: no COPY that writes a table or a file of the server",
            service="db",
            hint="COPY ... TO STDOUT gives the data as a result",
        )
        refused.sqlstate = "25006"
        raise refused


def fetch(
    raw: Any, sql: str, params: Any, bounds: Bounds
) -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
    """Run a COPY ... TO STDOUT and return its lines.

    Parameters
    ----------
    raw
        psycopg's connection.
    sql, params, bounds
        As in `Backend.fetch`.
    """
    with _lines(raw, sql, params) as lines:
        rows = fetch_all(lambda size: list(itertools.islice(lines, size)), bounds)
        collections.deque(lines, maxlen=0)  # a cancel would undo what a function has done
    return COLUMNS, rows, len(rows)


def stream(
    raw: Any, sql: str, params: Any, chunk: int
) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """Run a COPY ... TO STDOUT and yield its lines in chunks, as `Backend.stream`."""
    with _lines(raw, sql, params) as lines:
        while rows := list(itertools.islice(lines, chunk)):
            yield COLUMNS, rows


@contextmanager
def _lines(raw: Any, sql: str, params: Any) -> Iterator[Iterator[tuple[str]]]:
    with raw.cursor() as cursor, cursor.copy(sql, params or ()) as copy:
        yield ((bytes(line).decode().removesuffix("\n"),) for line in copy)
