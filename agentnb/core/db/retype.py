"""Mending what earlier releases stored in SQLite: Decimals and offsets as text."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core.db import schema
from agentnb.core.db.backend import Watch
from agentnb.core.db.values import UnfitError, exact_number, utc_text
from agentnb.core.errors import TableNotFound, UsageError, did_you_mean
from agentnb.core.resilience import Deadline
from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from agentnb.core.db.runner import Runner

__all__ = ["retype"]

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(E[+-]?\d+)?", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d(:\d\d)?)", re.ASCII
)
_COPY = "agentnb_retype"
_FUNCTION = "agentnb_mended"
_TIMEOUTS = 10


@dataclass(frozen=True, slots=True)
class _Change:
    """A column whose text becomes numbers or times of UTC, and the count of its values."""

    column: str
    convert: Callable[[str], Any]
    what: str
    count: int
    numeric: bool


def retype(
    runner: Runner, table: str, columns: Sequence[str], timeout: float | None = None
) -> Table:
    """Mend a table; see `Executor.retype`."""
    runner.backend.require("retype")
    if runner.backend.target.kind != "sqlite":
        raise UsageError(
            f"retype mends tables of SQLite, and {runner.name} is {runner.backend.target.kind}",
            service="db",
            hint="alter table TABLE alter column COLUMN type numeric using COLUMN::numeric",
        )
    seconds = runner.timeout * _TIMEOUTS if timeout is None else timeout
    watch = Watch(Deadline.of(seconds))
    with (
        runner.span("retype", table=table),
        runner.begun(watch.deadline, folded=True) as inner,
        inner.checkout(watch.deadline) as connection,
        inner.translated(watch),
        runner.backend.watching(connection, watch),
    ):
        known = _columns(connection, table)
        _refuse_unknown(columns, list(known), table)
        changes, left = _changes(connection, table, known, columns)
        if changes:
            _Rebuilt(connection, table, list(known), changes).run()
    note = f"left as text: {', '.join(left)}; to make numbers of them, name them" if left else ""
    rows = [(change.column, change.what, change.count) for change in changes]
    empty = f"nothing to mend in {table}"
    return Table(("column", "change", "values"), rows, note=note, empty=empty)


def _columns(connection: Connection, table: str) -> dict[str, str]:
    """Return name and declared type of a table's columns."""
    if schema.is_temporary(connection, table):
        raise UsageError(
            f"{table} is a temporary table, which no earlier release has stored",
            service="db",
            hint="drop it to mend the one that lasts: "
            f"drop table temp.{schema.quoted(connection, table)}",
        )
    rows = _all(connection, "select name, type, hidden from pragma_table_xinfo(?)", table)
    made = "select sql from main.sqlite_master where type = 'table' and lower(name) = lower(?)"
    if not rows or not _all(connection, made, table):
        names = [row[0] for row in _all(connection, "select name from main.sqlite_master")]
        raise TableNotFound(
            f"no such table: {table}", service="db", hint=did_you_mean(table, names)
        )
    if any(hidden for _, _, hidden in rows):
        raise UsageError(f"{table} has columns that are computed", service="db", hint=_BY_HAND)
    return {name: kind for name, kind, _ in rows}


_BY_HAND = "make a table of the columns that you want, and insert into it from this one"


def _refuse_unknown(columns: Sequence[str], known: list[str], table: str) -> None:
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise UsageError(
            f"{table} has no column {', '.join(unknown)}",
            service="db",
            hint=f"its columns: {', '.join(known)}",
        )


def _changes(
    connection: Connection, table: str, known: dict[str, str], named: Sequence[str]
) -> tuple[list[_Change], list[str]]:
    """Return what there is to change, and the columns that may be numbers or names."""
    changes, left = [], []
    for column in named or known:
        name, of = _quoted(connection, column), _quoted(connection, table)
        kinds = {row[0] for row in _all(connection, f"select distinct typeof({name}) from {of}")}
        texts = [
            row[0]
            for row in _all(connection, f"select {name} from {of} where typeof({name}) = 'text'")
        ]
        text_column = _is_text(known[column])
        if texts and "blob" not in kinds and all(map(_NUMBER.fullmatch, texts)):
            if not named and not any("." in text for text in texts):
                left.append(column)  # such as a postcode, or the number of an order
                continue
            if found := _number_change(column, texts, text_column=text_column, forced=bool(named)):
                changes.append(found)
        elif texts and kinds <= {"text", "null"} and all(map(_MOMENT.fullmatch, texts)):
            wrong = sum(_in_utc(text) != text for text in texts)
            if wrong:
                changes.append(_Change(column, _in_utc, "times to UTC", wrong, numeric=False))
        elif named and texts:
            strange = next(text for text in texts if not _NUMBER.fullmatch(text))
            raise UsageError(
                f"{table}.{column} holds {strange[:40]!r}, which is no number and no time with "
                "an offset",
                service="db",
                hint="nothing was changed",
            )
    return changes, left


def _number_change(
    column: str, texts: list[str], *, text_column: bool, forced: bool
) -> _Change | None:
    try:
        for text in texts:
            _number(text)
    except UnfitError as error:
        if forced:
            raise error.about(f"a value of column {column!r}") from error
        return None
    return _Change(column, _number, "text to numbers", len(texts), numeric=text_column)


def _number(text: str) -> int | float:
    return exact_number(Decimal(text))


def _in_utc(text: str) -> str:
    return utc_text(dt.datetime.fromisoformat(text))


def _is_text(declared: str) -> bool:
    """Return whether a column of this declared type makes text of numbers.

    Source: https://sqlite.org/datatype3.html#determination_of_column_affinity
    """
    upper = declared.upper()
    return "INT" not in upper and any(word in upper for word in ("CHAR", "CLOB", "TEXT"))


def _quoted(connection: Connection, name: str) -> str:
    return str(connection.dialect.identifier_preparer.quote_identifier(name))


def _all(connection: Connection, sql: str, *values: Any) -> list[Any]:
    return list(connection.exec_driver_sql(sql, values).fetchall())


class _Rebuilt:
    """A table made anew from a copy: SQLite cannot change the type of a column in place."""

    def __init__(
        self, connection: Connection, table: str, columns: list[str], changes: list[_Change]
    ) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns
        self._changes = {change.column: change for change in changes}

    def run(self) -> None:
        """Copy, drop, create and fill, in the transaction that is open."""
        self._refuse_references()
        name = _quoted(self._connection, self._table)
        (made,) = self._schema("type = 'table'")
        others = self._schema("type in ('index', 'trigger') and sql is not null")
        numbers = {column for column, change in self._changes.items() if change.numeric}
        rowid = "without rowid" not in " ".join(made.lower().split())
        quoted = [_quoted(self._connection, column) for column in self._columns]
        hidden = f"rowid as {_COPY}, " if rowid else ""
        sequence = self._sequence()
        self._run(f"create temp table {_COPY} as select {hidden}* from {name}")
        self._run(f"drop table {name}")
        self._run(with_numbers(made, numbers))
        names = ", ".join((["rowid"] if rowid else []) + quoted)
        values = ", ".join(([_COPY] if rowid else []) + self._converted(quoted))
        with self._functions():
            self._run(f"insert into {name} ({names}) select {values} from temp.{_COPY}")
        for sql in others:
            self._run(sql)
        self._run(f"drop table temp.{_COPY}")
        if sequence:
            self._run("update sqlite_sequence set seq = ? where name = ?", *sequence[0])

    def _sequence(self) -> list[Any]:
        """Return the last number that an AUTOINCREMENT has given, with the table's name."""
        known = "select 1 from main.sqlite_master where name = 'sqlite_sequence'"
        if not _all(self._connection, known):
            return []
        sql = "select seq, name from sqlite_sequence where lower(name) = lower(?)"
        return _all(self._connection, sql, self._table)

    def _refuse_references(self) -> None:
        """Refuse a table that others point to: dropping it would delete their rows."""
        sql = """select distinct m.name from main.sqlite_master m, pragma_foreign_key_list(m.name) f
            where m.type = 'table' and lower(f."table") = lower(?)"""
        others = [row[0] for row in _all(self._connection, sql, self._table)]
        if others:
            raise UsageError(
                f"{', '.join(others)} refers to {self._table}", service="db", hint=_BY_HAND
            )

    def _schema(self, condition: str) -> list[str]:
        sql = f"select sql from main.sqlite_master where lower(tbl_name) = lower(?) and {condition}"
        return [row[0] for row in _all(self._connection, sql, self._table)]

    def _converted(self, quoted: list[str]) -> list[str]:
        """Return the expressions of the columns, those that change through a function."""
        return [
            f"{_FUNCTION}_{number}({name})" if column in self._changes else name
            for number, (column, name) in enumerate(zip(self._columns, quoted, strict=True))
        ]

    @contextmanager
    def _functions(self) -> Iterator[None]:
        raw: Any = self._connection.connection.dbapi_connection
        names = {
            f"{_FUNCTION}_{number}": self._changes[column].convert
            for number, column in enumerate(self._columns)
            if column in self._changes
        }
        for name, convert in names.items():
            raw.create_function(name, 1, partial(_only_text, convert))
        try:
            yield
        finally:
            for name in names:
                raw.create_function(name, 1, None)

    def _run(self, sql: str, *values: Any) -> None:
        self._connection.exec_driver_sql(sql, values or None)


def _only_text(convert: Callable[[str], Any], value: Any) -> Any:
    return convert(value) if isinstance(value, str) else value


_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)|(?P<name>"(?:""|[^"])*"|`[^`]*`|\[[^\]]*\]|[^\W\d]\w*)"""
    r"""|'(?:''|[^'])*'|.""",
    re.DOTALL,
)
# What may follow the type of a column in its definition.
_CONSTRAINTS = frozenset(
    {"constraint", "primary", "not", "null", "unique", "check", "default", "collate"}
    | {"references", "generated", "as"}
)


def with_numbers(sql: str, columns: set[str]) -> str:
    """Return a CREATE TABLE statement whose columns of these names are numeric.

    Examples
    --------
    >>> with_numbers('create table t (a text not null, "b c" varchar(9), d)', {"a", "b c"})
    'create table t (a numeric not null, "b c" numeric, d)'
    """
    out: list[str] = []
    depth, starts, skipping = 0, False, False
    for token in _TOKEN.finditer(sql):
        text, kind = token.group(), token.lastgroup
        if kind == "space":
            if not skipping:
                out.append(text)
            continue
        depth -= text == ")"
        if skipping:
            ends = (depth == 1 and text == ",") or depth == 0 or text.lower() in _CONSTRAINTS
            if not ends:
                depth += text == "("
                continue
            out.append(" " if kind == "name" else "")
            skipping = False
        out.append(text)
        depth += text == "("
        if starts and kind == "name" and _unquoted(text) in columns:
            out.append(" numeric")
            skipping = True
        starts = depth == 1 and text in {"(", ","}
    return "".join(out)


def _unquoted(name: str) -> str:
    if name[0] == '"':
        return name[1:-1].replace('""', '"')
    return name[1:-1] if name[0] in "`[" else name
