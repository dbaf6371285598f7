"""The database panel: a tree of tables and columns, and a box for SQL with its rows."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentnb.core.db import schema
from agentnb.core.db.effects import changing
from agentnb.core.format import cut, time_of_day
from agentnb.core.table import Column
from agentnb.panels.base import (
    Confirm,
    Instruction,
    Panel,
    TableView,
    choice,
    row,
    split,
    stack,
    text_box,
    toggle,
)
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.db import Database, Script
    from agentnb.core.db.text import Statement
    from agentnb.core.hub import Hub

__all__ = ["DbPanel", "make"]

PREVIEW_ROWS: Final = 200
QUERY_ROWS: Final = 1000
COUNT_SECONDS: Final = 1.0
_BRANCH: Final = "  └ "
_KEYS: Final = (("Shift+Enter or Ctrl+Enter", "run the SQL in the box"),)
_EPOCH_FROM: Final = 1e9
"""A number of seconds from which a column of agentnb's own tables holds a time."""
_LONGEST: Final = 60


class _Preview(NamedTuple):
    """The first rows of a table."""

    table: str
    sql: str
    columns: Sequence[str]
    rows: list[tuple[Any, ...]]
    note: str


class _Loaded(NamedTuple):
    """A snapshot of the database."""

    tree: list[tuple[Any, ...]]
    tables: int
    internal: int
    preview: _Preview | None


class DbPanel:
    """Browses tables and runs SQL; the widgets are composed in `panel`.

    Parameters
    ----------
    hub
        Whose databases it shows.
    connection
        The one it shows first.
    every
        Seconds between refreshes.
    """

    def __init__(self, hub: Hub, *, connection: str = "default", every: float | None = 3.0) -> None:
        self._hub = hub
        self._connection = connection
        self._unfolded: set[str] = set()
        self._previewed: str | None = None
        self._ran = self._internal = False
        self._known_sql = ""  # what the panel wrote into the box, or ran
        self._database()  # an unknown name is an error here, not in an empty panel
        self.panel = Panel("Database", every=every, redactor=hub.settings.redactor, keys_help=_KEYS)
        act = self.panel.action
        self.tree = TableView(
            ("name", "type", Column("rows", "count")),
            key="name",
            page_size=200,
            label="Tables",
            hint="No tables yet. Type in a cell:  %db load FILE TABLE",
            on_select=act(self._pick),
            height="420px",
            noun=("table", "tables"),
        )
        self.result = TableView(
            (),
            label="Rows",
            hint=Instruction("Pick a table, or type SQL above and press Shift+Enter."),
            height="300px",
        )
        self.sql = text_box(placeholder="select * from …", tooltip="SQL to run", rows=3)
        self.run = Confirm(
            self.panel,
            "Run",
            self._ask,
            self._execute,
            show=self._show_run,
            tooltip="Run the SQL: Shift+Enter or Ctrl+Enter",
            icon="play",
            danger=False,
            primary=True,
        )
        self.panel.on_submit(self.sql, self._submit)
        self.connections = choice(
            hub.databases.names(),
            value=connection,
            tooltip="Connection",
            on_change=act(self._use),
        )
        self.internal = toggle(
            "agentnb's tables",
            act(self._show_internal),
            tooltip="Show the tables that agentnb keeps, such as those of the workflows",
        )
        self.panel.compose(
            split(
                stack(row(self.connections, self.internal), self.tree),
                stack(self.sql, self.run, self.result),
            )
        ).keep_fresh(self._load, self._show)

    def _database(self) -> Database:
        return self._hub.databases[self._connection]

    def _use(self, name: str) -> None:
        with self.panel.lock:
            self._connection = name
            self._unfolded.clear()
            self._previewed, self._ran = None, False
            self.run.reset()
            self.result.update([], (), title="Rows", note="")

    def _show_internal(self, shown: bool) -> None:  # noqa: FBT001 - as the button calls it
        with self.panel.lock:
            self._internal = shown

    # Looking

    def _load(self) -> _Loaded:
        database = self._database()
        with self.panel.lock:
            unfolded, internal = set(self._unfolded), self._internal
        every = database.tables(internal=True).rows
        own = [found for found in every if not schema.is_internal(found[0])]
        others = [found for found in every if schema.is_internal(found[0])]
        tables = own + others if internal else own
        names = [name for name, _ in tables]
        sizes = schema.counts(database.access, names, seconds=COUNT_SECONDS)
        tree: list[tuple[Any, ...]] = []
        for name, kind in tables:
            size = sizes[name]
            tree.append((name, kind, size))
            if name in unfolded:
                tree += [
                    (f"{_BRANCH}{name}.{column}", _kind(type_, key), None)
                    for column, type_, _, _, key in database.describe(name).rows
                ]
        with self.panel.lock:
            if self._previewed is None and not self._ran and own:
                self._previewed = own[0][0]  # so that there is something to see from the start
            previewed = self._previewed
        preview = _preview(database, previewed) if previewed in names else None
        return _Loaded(tree, len(tables), len(others), preview)

    def _show(self, loaded: _Loaded) -> None:
        self.tree.update(loaded.tree, count=loaded.tables)
        self.internal.layout.display = None if loaded.internal else "none"
        self.connections.show(self._hub.databases.names(), self._connection)
        preview = loaded.preview
        if preview is None or preview.table != self._previewed:  # another one was picked meanwhile
            return
        title = f"Table {plain(preview.table)}"
        if self.result.title != title:
            self._write(preview.sql)
        self.result.update(preview.rows, preview.columns, note=preview.note, title=title)

    def _write(self, sql: str) -> None:
        """Put SQL into the box, unless something was typed there that has not been run."""
        if self.sql.value.strip() in {"", self._known_sql}:
            self.sql.value = self._known_sql = sql

    def _pick(self, name: str) -> None:
        """Unfold or fold a table and preview it; a column belongs to its table."""
        if name.startswith(_BRANCH):
            return
        with self.panel.lock:
            if name in self._unfolded and self._previewed == name:
                self._unfolded.discard(name)
            else:
                self._unfolded.add(name)
            self._previewed = name
            self.run.reset()

    # Running

    def _submit(self) -> None:
        """Run the SQL by its key; an open question stays open."""
        with self.panel.lock:
            self.run.reset()
        self.run.click()

    def _ask(self) -> tuple[str, str]:
        sql = self.sql.value.strip()
        found = changing(self._database().access, sql)
        return (_question(found) if found else ""), sql

    def _execute(self, sql: str) -> tuple[str, Script]:
        return sql, self._database().script(sql, limit=QUERY_ROWS)

    def _show_run(self, done: tuple[str, Script]) -> None:
        sql, results = done
        self._previewed, self._ran = None, True
        self._known_sql = sql
        shown = next((one for one in reversed(results) if one.returns_rows), None)
        changed = sum(one.rowcount for one in results if not one.returns_rows)
        title = f"SQL of {time_of_day(dt.datetime.now(dt.UTC))}: {_one_line(sql)}"
        if shown is None:
            self.result.update([], (), title=title, note="")
            self.panel.say("1 row affected" if changed == 1 else f"{changed:,} rows affected")
            return
        self.result.update(shown, note=shown.note, title=title)


def make(hub: Hub, **options: Any) -> Panel:
    """Return the database panel of a hub.

    Parameters
    ----------
    hub
        Whose databases it shows.
    **options
        As `DbPanel` takes them.
    """
    return DbPanel(hub, **options).panel


def _preview(database: Database, table: str | None) -> _Preview:
    name = str(table)
    sql = f"select * from {schema.quote(database.access, name)}"
    found = database.query(sql, limit=PREVIEW_ROWS)
    rows = list(found.rows)
    if schema.is_internal(name):
        rows = [tuple(map(_as_time, values)) for values in rows]
    return _Preview(name, sql, found.columns, rows, found.note)


def _as_time(value: object) -> object:
    """Return a time of agentnb's own tables, kept as seconds since the epoch, as a time."""
    if isinstance(value, float) and value >= _EPOCH_FROM:
        return dt.datetime.fromtimestamp(value, dt.UTC).astimezone().replace(microsecond=0)
    return value


def _kind(type_: str, key: str | None) -> str:
    return " · ".join(word for word in (type_, "primary key" if key == "primary" else key) if word)


def _question(statements: Sequence[Statement]) -> str:
    """Return what is asked before statements are run that are more than a look."""
    first = statements[0]
    every = first.keyword in {"delete", "update"} and "where" not in first.words
    words = f"Run: {_one_line(first.sql)}{' (every row)' if every else ''}"
    more = len(statements) - 1
    return f"{words} and {more:,} more that change data" if more else words


def _one_line(sql: str) -> str:
    text = " ".join(plain(sql).replace("↵", " ").split())
    return cut(text, _LONGEST)
