"""The database panel: a tree of tables and columns, a box for SQL, and the rows it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db import schema
from agentnb.core.errors import UsageError
from agentnb.panels.base import Panel, TableView, button, choice, row, split, stack, text_box

if TYPE_CHECKING:
    from agentnb.core.db import Database, Result, Script
    from agentnb.core.hub import Hub

__all__ = ["DbPanel", "make"]

PREVIEW_ROWS = 200
QUERY_ROWS = 1000
COUNT_SECONDS = 1.0
_BRANCH = "  └ "


class DbPanel:
    """What the panel shows and does; the widgets are composed in `panel`.

    Parameters
    ----------
    hub
        Whose databases it shows.
    connection
        The one it shows first.
    every
        Seconds between two looks at the database.
    """

    def __init__(self, hub: Hub, *, connection: str = "default", every: float = 3.0) -> None:
        self._hub = hub
        self._connection = connection
        self._unfolded: set[str] = set()
        self._previewed: str | None = None
        self._ran = False
        self._database()  # an unknown name is an error here, not in an empty panel
        self.panel = Panel("Database", every=every, redactor=hub.settings.redactor)
        act = self.panel.action
        self.tree = TableView(
            ("name", "type", "rows"),
            key="name",
            page_size=200,
            label="Tables and columns",
            hint="No tables yet. Type in a cell:  %db load FILE TABLE",
            on_select=act(self._pick),
            height="420px",
        )
        self.result = TableView(
            (),
            label="Rows",
            hint="Pick a table, or run some SQL.",
            height="300px",
        )
        self.sql = text_box(placeholder="select * from …", tooltip="SQL to run", rows=2)
        self.run = button(
            "Run", act(self._run, self._show_run), tooltip="Run the SQL", icon="play", primary=True
        )
        self.connections = choice(
            hub.databases.names(),
            value=connection,
            tooltip="Connection",
            on_change=act(self._use),
        )
        self.panel.compose(
            split(
                stack(row(self.connections), self.tree),
                stack(row(self.sql, self.run), self.result),
            )
        ).keep_fresh(self._load, self._show)

    def _database(self) -> Database:
        return self._hub.databases[self._connection]

    def _use(self, name: str) -> None:
        with self.panel.lock:
            self._connection = name
            self._unfolded.clear()
            self._previewed, self._ran = None, False
            self.result.update([], ())

    def _load(self) -> tuple[list[tuple[Any, ...]], Result | None]:
        database = self._database()
        tables = database.tables().rows
        names = [name for name, _ in tables]
        sizes = schema.counts(database, names, seconds=COUNT_SECONDS)
        rows: list[tuple[Any, ...]] = []
        for name, kind in tables:
            rows.append((name, kind, "" if sizes[name] is None else sizes[name]))
            if name in self._unfolded:
                rows += [
                    (f"{_BRANCH}{name}.{column}", _kind(type_, key), "")
                    for column, type_, _, _, key in database.describe(name).rows
                ]
        if self._previewed is None and not self._ran and names:
            self._previewed = names[0]  # so that there is something to see from the start
        previewed = self._previewed
        preview = self._preview(database, previewed) if previewed in names else None
        return rows, preview

    def _preview(self, database: Database, table: str | None) -> Result:
        return database.query(
            f"select * from {schema.quote(database, str(table))}", limit=PREVIEW_ROWS
        )

    def _show(self, loaded: tuple[list[tuple[Any, ...]], Result | None]) -> None:
        rows, preview = loaded
        self.tree.update(rows)
        self.connections.show(self._hub.databases.names(), self._connection)
        if preview is not None and self._previewed is not None:
            self.result.update(preview, note=preview.note)

    def _pick(self, name: str) -> None:
        """Unfold or fold a table and preview it; a column belongs to its table."""
        table = name.removeprefix(_BRANCH)
        with self.panel.lock:
            if name.startswith(_BRANCH):
                return
            if table in self._unfolded and self._previewed == table:
                self._unfolded.discard(table)
            else:
                self._unfolded.add(table)
            self._previewed = table

    def _run(self) -> Script:
        sql = self.sql.value.strip()
        if not sql:
            raise UsageError("there is no SQL to run", service="db", hint="type some into the box")
        return self._database().script(sql, limit=QUERY_ROWS)

    def _show_run(self, results: Script) -> None:
        self._previewed, self._ran = None, True
        shown = next((one for one in reversed(results) if one.returns_rows), None)
        changed = sum(one.rowcount for one in results if not one.returns_rows)
        if shown is None:
            self.result.update([], ())
            self.panel.say(f"{changed:,} rows affected")
            return
        self.result.update(shown, note=shown.note)


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


def _kind(type_: str, key: str | None) -> str:
    return " · ".join(word for word in (type_, "primary key" if key == "primary" else key) if word)
