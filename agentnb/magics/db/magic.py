"""``%db``: SQL at the prompt."""

from __future__ import annotations

import os
import re
import sys
from collections import ChainMap
from typing import TYPE_CHECKING, Any, Literal

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import NotFoundError, UsageError, did_you_mean
from agentnb.magics.base import Magic, Message
from agentnb.magics.caller import result_is_used
from agentnb.magics.db.grammar import GRAMMAR
from agentnb.magics.db.sql import (
    assignment,
    executor_of,
    export,
    refuse_late_options,
    run,
    shaped,
)
from agentnb.magics.grammar import is_word
from agentnb.magics.gridding import forget_origin, mark, refuse_unfit_grid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.db import Session
    from agentnb.core.db.catalog import Catalog
    from agentnb.core.redact import Secret
    from agentnb.core.table import Table
    from agentnb.magics.db.transaction import HeldTransaction
    from agentnb.magics.grammar import Call

__all__ = ["DbMagic"]

_OFFERED = 500

_CONNECTION = re.compile(r"(?<!\S)(?:-c|--connection)[ =]+([\w-]+)")
_FILE = re.compile(r"\.(csv|tsv|jsonl?|ndjson|parquet|csv\.gz|tsv\.gz)\Z", re.IGNORECASE)


@magics_class
class DbMagic(Magic):
    """The magic ``%db`` and ``%%db``."""

    grammar = GRAMMAR

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self.used = "default"
        self.held: dict[str, HeldTransaction] = {}
        self.sessions: dict[str, Session] = {}
        self._names: Catalog | None = None

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def db(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Run SQL: `%db select 1`, `%%db` for several statements. `%db help` tells the rest."""
        from agentnb.core.db.notices import notified
        from agentnb.magics.db.notices import Shown

        with notified(Shown()):
            return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Roll back open transactions, end the sessions, use the default connection again."""
        for name in {*self.held, *self.sessions}:
            self._end(name)
        self.used = "default"

    def status(self, call: Call) -> Any:
        """Return the connections, with the one in use and open transactions marked."""
        return self.do_list(call)

    def free(self, call: Call, cell: str | None, namespace: Mapping[str, Any]) -> Any:
        """Run SQL."""
        if "--" in call.text:
            refuse_late_options(call.text, self.grammar)
        name, sql = assignment(call.text)
        if name is not None and isinstance(namespace, ChainMap) and name in namespace.maps[0]:
            raise UsageError(
                f"{name} is a variable of a function, which << does not assign",
                service="db",
                hint=f"{name} = %db {' '.join(sql.split()) or 'SQL':.80}",
            )
        if cell is not None:
            sql = f"{sql}\n{cell}" if sql else cell
        refuse_unfit_grid(call.options, self.extension.shell)
        session, held = self._place(call)
        about = {"many": cell is not None, "used": name is not None or result_is_used()}
        result = run(sql, session, held, call.options, namespace, grammar=self.grammar, **about)
        mark(result, call.options)
        if held is not None or session.has_state:
            forget_origin(result)
        if name is None:
            return result
        self.extension.assign(name, result)
        return None

    def _place(self, call: Call) -> tuple[Session, HeldTransaction | None]:
        """Return the session that a line means, and the transaction held open in it."""
        name = self._name(call)
        return self._session(name), self.held.get(name)

    def _session(self, name: str) -> Session:
        database = self.hub.databases[name]
        session = self.sessions.get(name)
        if session is None or session.access.database is not database.access:
            session = self.sessions[name] = database.session()
        return session

    def _name(self, call: Call) -> str:
        return str(call.options.get("connection", self.used))

    def live(self, kind: str, start: str = "") -> Iterable[str]:
        """Return connections, tables or the notebook's variables for Tab."""
        if kind == "connection":
            return dict.fromkeys([*self.hub.databases.names(), "duck"])
        if kind == "table":
            return self._catalog(self.used).tables(start)
        if kind == "file":
            return _files(start)
        if kind == "source":
            return [*self.live("variable"), *_files(start)]
        hidden = self.extension.shell.user_ns_hidden
        return [n for n in self.extension.shell.user_ns if n[:1] != "_" and n not in hidden]

    def live_after(self, kind: str, start: str, before: str) -> Iterable[str]:
        """Return what `live` does, of the connection that the line names."""
        if kind == "table":
            return self._catalog(self._connection_of(before)).tables(start)
        return self.live(kind, start)

    def _connection_of(self, line: str) -> str:
        given = _CONNECTION.search(line)
        known = given is not None and given[1] in [*self.hub.databases.names(), "duck"]
        return given[1] if given and known else self.used

    def free_names(self, before: str, word: str, text: str) -> list[tuple[str, str]]:
        """Return tables, columns and SQL's words for Tab."""
        from agentnb.core.db.duck.frames import is_frame
        from agentnb.magics.db.names import sql_names

        # Options are on the line, or on the first line of the cell.
        line = text.lstrip().partition("\n")[0] if text.lstrip().startswith("%%") else before
        catalog = self._catalog(self._connection_of(line))
        frames: list[str] = []
        if catalog.database.access.backend.takes_frames:
            scope = self.extension.shell.user_ns
            frames = [name for name in self.live("variable") if is_frame(scope[name])]
        return sql_names(catalog, before, word, text, frames)

    def _catalog(self, name: str) -> Catalog:
        from agentnb.core.db.catalog import Catalog

        database = self.hub.databases[name]
        if self._names is None or self._names.database is not database:
            self._names = Catalog(database)
        return self._names

    def do_list(self, call: Call) -> Any:
        """Return the connections."""
        found = self.hub.databases.list()
        rows = []
        for row in found.rows:
            marks = ["in use"] if row[0] == self.used else []
            marks += self._marks(row[0])
            rows.append((*row, ", ".join(marks)))
        return _as_asked(type(found)((*found.columns, "state"), rows), call)

    def _marks(self, name: str) -> list[str]:
        marks = []
        session = self.sessions.get(name)
        if session is not None and session.has_state:
            marks.append("session with settings, temporary tables or locks")
        if held := self.held.get(name):
            marks.append(held.state)
        elif session is not None and session.open and not marks:
            marks.append("session")
        return marks

    def do_reset(self, call: Call) -> str:
        """Give the session back; the next line starts a new one."""
        name = self._name(call)
        _ = self.hub.databases[name]
        self._end(name)
        return Message(f"{name}: the next line starts a new session")

    def do_connect(self, call: Call) -> Any:
        """Name a connection and try it at once."""
        url = self._url(call)
        name = str(call.arguments[0])
        read_only = "read_only" in call.options
        self.hub.databases.connect(
            name, url, read_only=read_only, ping=True, before=lambda: self._end(name)
        )
        self.used = name
        return self.do_list(call)

    def _url(self, call: Call) -> str | Secret:
        from agentnb.core.redact import Secret, has_password

        # The words as written: what a `:name` stands for is not saved with the line.
        if any(has_password(word.text) for word in call.words):
            raise UsageError(
                "a password on a magic's line would be saved with the notebook",
                service="db",
                hint="put the URL into the environment or .env, then: "
                "%db connect NAME --env VARIABLE",
            )
        name, *rest = call.arguments
        if bool(rest) == ("env" in call.options) or "://" in str(name):
            raise UsageError(
                "connect takes a name, and a URL or --env VARIABLE, one of them",
                service="db",
                hint="%db connect NAME --env VARIABLE",
            )
        if not rest:
            return self.hub.variable(call.options["env"])
        url = rest[0]
        if not isinstance(url, (str, Secret)):
            raise UsageError(
                f"URL must be text, got {type(url).__name__}",
                service="db",
                hint="%db connect NAME --env VARIABLE",
            )
        return url

    def do_use(self, call: Call) -> Any:
        """Make a connection the one that %db uses."""
        name = call.arguments[0]
        _ = self.hub.databases[name]
        self.used = name
        return self.do_list(call)

    def do_rm(self, call: Call) -> Any:
        """Close and forget a connection."""
        name = call.arguments[0]
        if name == "default":
            raise UsageError(
                "the default connection cannot be removed",
                service="db",
                hint="DATABASE_URL sets it; %db use NAME chooses another one",
            )
        _ = self.hub.databases[name]
        self._end(name)
        self.hub.databases.forget(name)
        if self.used == name:
            self.used = "default"
        return self.do_list(call)

    def _end(self, name: str) -> None:
        if held := self.held.get(name):
            if held.open:
                print(f"%db: the open transaction of {name} was rolled back", file=sys.stderr)  # noqa: T201 - said in the cell that ends it
            held.rollback()
        if session := self.sessions.pop(name, None):
            session.close()

    def do_tables(self, call: Call) -> Any:
        """Return the tables and views."""
        with executor_of(*self._place(call)) as executor:
            return _as_asked(executor.tables(internal="all" in call.options), call)

    def do_describe(self, call: Call) -> Any:
        """Return the columns of a table."""
        with executor_of(*self._place(call)) as executor:
            return _as_asked(executor.describe(str(call.arguments[0])), call)

    def do_profile(self, call: Call) -> Any:
        """Return a summary of each column of a table."""
        given = {"timeout": call.options["timeout"]} if "timeout" in call.options else {}
        with executor_of(*self._place(call)) as executor:
            return _as_asked(executor.profile(str(call.arguments[0]), **given), call)

    def do_begin(self, call: Call) -> str:
        """Open a transaction for the %db cells that follow on this connection."""
        from agentnb.magics.db.transaction import HeldTransaction

        name = self._name(call)
        session, held = self._place(call)
        if held is not None and held.open:
            raise UsageError(
                f"{name} is in a transaction already",
                service="db",
                hint="%db commit or %db rollback first",
            )
        self.held[name] = HeldTransaction(session, on_end=lambda: self.held.pop(name, None))
        return Message(
            f"{name}: transaction open; %db commit makes it last, %db rollback undoes it"
        )

    def do_commit(self, call: Call) -> str:
        """Make what came after begin last."""
        self._held(call).commit()
        return Message(f"{self._name(call)}: committed")

    def do_rollback(self, call: Call) -> str:
        """Undo what came after begin."""
        self._held(call).rollback()
        return Message(f"{self._name(call)}: rolled back")

    def _held(self, call: Call) -> HeldTransaction:
        name = self._name(call)
        held = self.held.get(name)
        if held is None:
            raise UsageError(f"{name} is not in a transaction", service="db", hint="%db begin")
        return held

    def do_load(self, call: Call) -> Any:
        """Write a frame or a file into a table."""
        from agentnb.core.db.fetching import progress_to
        from agentnb.core.format import size
        from agentnb.magics.progress import Progress

        what, *named = call.arguments
        options = call.options
        if not named and not self._is_source(what, call.namespace):
            call.text = f"load {call.words[0].text}"  # SQL of DuckDB's
            return self.free(call, None, call.namespace)
        self._refuse_saved(call)
        table = str(named[0]) if named else _table_name(str(what), call.words[0].kind)
        if "append" in options and "replace" in options:
            raise UsageError(
                "--append and --replace exclude each other", service="db", hint="give one of them"
            )
        mode: Literal["fail", "append", "replace"] = "fail"
        if "append" in options or "replace" in options:
            mode = "append" if "append" in options else "replace"
        given = {"timeout": options["timeout"]} if "timeout" in options else {}
        source = self._source(what, call.namespace)
        with (
            Progress(f"getting {table}", size) as progress,
            progress_to(lambda done, total: progress(done, total or done)),
            executor_of(*self._place(call)) as executor,
        ):
            found = executor.load(source, table, if_exists=mode, **given)
        if named:
            return found
        return Message(f"{found!r}: table {table}")

    def _is_source(self, what: Any, user: Mapping[str, Any]) -> bool:
        return (
            not isinstance(what, str) or "://" in what or bool(_FILE.search(what)) or what in user
        )

    def _refuse_saved(self, call: Call) -> None:
        """Refuse a URL with a secret, which would be saved with the notebook."""
        url = call.arguments[0]
        downloads = self.hub.databases[self._name(call)].access.backend.downloads
        if not isinstance(url, str) or "://" not in url or downloads is None:
            return
        if call.words[0].kind != "bind" and downloads.shown(url) != url.partition("#")[0]:
            raise UsageError(
                "a secret in a URL would be saved with the notebook",
                service="db",
                hint="keep the URL in a variable of another cell or in .env: %db load :url TABLE",
            )

    def do_retype(self, call: Call) -> Any:
        """Mend a table in which an earlier release stored Decimals or offsets as text."""
        table, *columns = map(str, call.arguments)
        given = {"timeout": call.options["timeout"]} if "timeout" in call.options else {}
        with executor_of(*self._place(call)) as executor:
            return executor.retype(table, *columns, **given)

    def _source(self, what: Any, user: Mapping[str, Any]) -> Any:
        if not isinstance(what, str) or _FILE.search(what) or "://" in what:
            return what
        if what in user:
            return user[what]
        raise NotFoundError(
            f"there is no variable and no data file {what!r}",
            service="db",
            hint=did_you_mean(what, self.variables())
            or "name a frame of this notebook, or a .csv, .tsv, .json, .jsonl or .parquet file",
        )

    def do_export(self, call: Call) -> Any:
        """Write the rows of a query, or of a variable, to a file."""
        sql = "\n".join(part for part in (call.text, call.body) if part and part.strip())
        if "--" in call.text:
            refuse_late_options(call.text, self.grammar, "export")
        path = call.arguments[0]
        if isinstance(path, str) and path.lower() == "database":
            raise UsageError(
                "database is no file to export to",
                service="db",
                hint="in capitals it is SQL of DuckDB: %db -c duck EXPORT DATABASE 'FOLDER'",
            )
        session, held = self._place(call)
        return export(sql, path, session, held, call.options, call.namespace, self.grammar)

    def do_panel(self, call: Call) -> Any:
        """Open the panel."""
        return self.hub.panel("db", connection=self._name(call))


def _table_name(what: str, kind: str) -> str:
    """Return the name of the table that a file, a URL or a frame is loaded into.

    >>> _table_name("data/Sales 2026.csv.gz", "plain"), _table_name("https://a/x.csv?y=1", "plain")
    ('sales_2026', 'x')

    Raises
    ------
    UsageError
        There is nothing to name it by.
    """
    from urllib.parse import unquote, urlsplit

    path = unquote(urlsplit(what).path) if "://" in what else what
    stem = _FILE.sub("", path.rstrip("/").rpartition("/")[2]) if kind != "json" else ""
    name = re.sub(r"\W+", "_", stem).strip("_").lower()
    if not name:
        raise UsageError(
            "nothing gives the table a name", service="db", hint="%db load FRAME|FILE|URL TABLE"
        )
    return f"t_{name}" if name[0].isdigit() else name


def _files(start: str) -> list[str]:
    """Return the data files and the folders whose paths begin so, a folder's with a slash."""
    folder, slash, name = start.rpartition("/")
    found = []
    try:
        with os.scandir(os.path.expanduser(folder or slash or ".")) as listed:  # noqa: PTH111 - the path stays as it is typed
            for one in listed:
                is_folder = one.is_dir()
                if one.name.startswith(".") and not name.startswith("."):
                    continue
                if one.name.startswith(name) and (is_folder or _FILE.search(one.name)):
                    found.append(f"{folder}{slash}{one.name}{'/' if is_folder else ''}")
    except OSError:
        return []  # nobody is helped by an error while typing
    return [path for path in sorted(found) if is_word(path)][:_OFFERED]


def _as_asked(table: Table, call: Call) -> Any:
    return shaped(table, call.options.get("as", "rows"))
