"""DuckDB through its own client: in this process, over files, frames and tables."""

from __future__ import annotations

import contextlib
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentnb.core.db.backend import Backend, Watch, chunks, no_rows, stray_begin
from agentnb.core.db.bounds import fetch_all
from agentnb.core.db.duck.errors import translate
from agentnb.core.db.duck.limits import DuckLimits
from agentnb.core.db.duck.root import Roots
from agentnb.core.db.duck.values import arrow_reader, columns_of, exact_rows, note_infinity
from agentnb.core.db.watched import POLL, in_thread
from agentnb.core.errors import ConfigError, QueryRejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from sqlalchemy import Connection, Engine

    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.duck.confine import Confinement
    from agentnb.core.db.duck.dbapi import DuckConnection
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.sources import Source
    from agentnb.core.db.text import Statement
    from agentnb.core.db.url import Target
    from agentnb.core.db.values import Columns
    from agentnb.core.errors import AgentnbError

__all__ = ["DuckDB"]

T = TypeVar("T")

_BATCH = 100_000  # rows of Arrow data at a time
# A statement that was interrupted has ended by then, else its connection is given up.
_ENDS_WITHIN = 5.0
_OPTIONS = ("access_mode", "memory_limit", "threads")
_READS = frozenset({
    "select", "with", "from", "values", "table", "describe", "summarize", "show", "explain",
    "pivot", "unpivot", "begin", "start", "commit", "end", "rollback", "abort", "use",
})  # fmt: skip
_SETS = frozenset({"timezone", "schema", "search_path", "variable", "calendar"})
# All other settings are locked: those of memory, threads, files and logs among them.
_SETTABLE = ("TimeZone", "Calendar", "schema", "search_path", "default_order",
    "default_null_order", "null_order", "preserve_insertion_order", "pivot_limit",
    "integer_division",
)  # fmt: skip


class DuckDB(Backend):
    """DuckDB: a file, or in memory; each connection of the pool is a cursor of one root.

    A statement runs in a thread, from which it can be interrupted at any time. DuckDB reaches
    files of some folders only, loads no extension and knows no network.

    Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
    """

    paramstyle = "numeric_dollar"
    notifies = True
    takes_frames = True
    fetches_arrow = True
    savepoints = False

    def __init__(
        self, target: Target, *, read_only: bool, limits: DuckLimits | None = None
    ) -> None:
        super().__init__(target, read_only=read_only)
        self._limits = limits or DuckLimits()
        self._roots = Roots(self._opened, shared=self._path is not None)
        self._confinement: Confinement | None = None

    @property
    def _path(self) -> str | None:
        name = self.target.url.database
        return None if name in {None, "", ":memory:"} else str(Path(str(name)).absolute())

    def refuse_read_only(self, target: Target) -> None:
        """Refuse only what could not have anything in it to read."""
        if target.url.database in {None, "", ":memory:"}:
            raise ConfigError(
                "a read-only database in memory would stay empty",
                service="db",
                hint="name a file: duckdb:///path.duckdb",
            )

    def driver_hint(self) -> str:
        """Say how DuckDB is installed."""
        return "%pip install duckdb"

    def engine(self, *, pool_size: int, connect_timeout: float) -> Engine:
        """Return an engine whose connections are cursors of one root.

        Raises
        ------
        ConfigError
            DuckDB is not installed, or the URL has options that it does not have.
        """
        del connect_timeout
        from sqlalchemy import create_engine
        from sqlalchemy.dialects import registry
        from sqlalchemy.pool import QueuePool

        from agentnb.core.extras import require

        require(("duckdb",), "a DuckDB database", service="db")
        strange = sorted(set(self.target.url.query) - set(_OPTIONS))
        if strange:
            raise ConfigError(
                f"unknown option in the URL: {strange[0]}",
                service="db",
                hint=f"there are: {', '.join(_OPTIONS)}",
            )
        registry.register("duckdb.agentnb", "agentnb.core.db.duck.dialect", "DuckDialect")
        size = self.target.pool_size or pool_size
        self.capacity = size + 10
        return create_engine(
            "duckdb+agentnb://",
            creator=self._roots.connect,
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=10,
            hide_parameters=True,
        )

    def _opened(self) -> Any:
        import duckdb

        from agentnb.core.db.duck.confine import Confinement

        limits = self._limits
        path = self._path
        folders = limits.folders or (Path.cwd(),)
        config: dict[str, Any] = {
            # It looks into the frames of whoever called: here, never the notebook's.
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            # They are files in the folder of the user, outside of what SQL may write.
            "allow_persistent_secrets": False,
            "errors_as_json": True,
            "max_temp_directory_size": "10GB",
            **{name: str(value) for name, value in self.target.url.query.items()},
        }
        if limits.memory:
            config.setdefault("memory_limit", limits.memory)
        config["temp_directory"] = _spill_folder(limits.spill)
        root = duckdb.connect(path or ":memory:", read_only=self.read_only, config=config)
        try:
            if not limits.memory and "memory_limit" not in self.target.url.query:
                _halve_memory(root)
            allowed = ", ".join("'" + str(one).replace("'", "''") + "'" for one in folders)
            root.execute("from duckdb_secrets()")  # from now on secrets cannot be made persistent
            root.execute(f"set allowed_directories = [{allowed}]")
            root.execute("set enable_external_access = false")
            root.execute(f"set allowed_configs = {list(_SETTABLE)}")
            root.execute("set lock_configuration = true")
            confinement = Confinement(root, folders, limits.home)
            if path is not None:
                confinement.check_stored(root)
        except BaseException:
            root.close()
            raise
        self._confinement = confinement
        return root

    def close(self) -> None:
        """Close the root; connections that are lent close later, and it with the last of them."""
        self._roots.retire()

    def forked(self) -> None:
        """Leave the root to the parent: its threads are not here."""
        self._roots.forked()

    def lost(self, connection: Connection) -> bool:
        """Return whether this connection is to be closed: also one that outlives a `close`."""
        return super().lost(connection) or _raw(connection).retired

    def check(self, statement: Statement) -> None:
        """Refuse a statement that writes, on a read-only connection; DuckDB lets COPY write files.

        Raises
        ------
        QueryRejected
            It does more than read.
        """
        if not self.read_only:
            return
        word, words = statement.keyword, statement.words
        reads = word in _READS and not words & {"copy", "into", "export"}
        if reads or (word in {"set", "reset"} and words & _SETS):
            return
        refused = QueryRejected(
            f"this connection only reads: no {word.upper() or 'such statement'}",
            service="db",
            hint="connect without read_only=True (--read-only) to write",
        )
        refused.sqlstate = "25006"
        raise refused

    def begin(self, connection: Connection) -> None:
        """Open a transaction."""
        _raw(connection).begin()

    def commit(self, connection: Connection) -> None:
        """Commit what is open."""
        _raw(connection).commit()

    def rollback(self, connection: Connection) -> None:
        """Roll back what is open."""
        _raw(connection).rollback()

    def in_transaction(self, connection: Connection) -> bool:
        """Return whether a transaction is open."""
        return not connection.invalidated and _raw(connection).open

    def failed(self, connection: Connection) -> bool:
        """Return whether a statement failed after which only a rollback is taken."""
        return self.in_transaction(connection) and _raw(connection).failed

    def settle(self, connection: Connection) -> None:
        """Leave nothing open: a stray ``begin`` would be lost with its connection."""
        if self.in_transaction(connection):
            self.rollback(connection)
            raise stray_begin()

    @contextmanager
    def watching(self, connection: Connection, watch: Watch) -> Iterator[None]:
        """Interrupt what a block runs in a thread when the watch is over."""
        raw = _raw(connection)
        before, raw.watch = raw.watch, watch
        try:
            yield
        finally:
            raw.watch = before

    @contextmanager
    def framed(
        self, connection: Connection, statement: Statement, frames: Mapping[str, Any] | None
    ) -> Iterator[Statement]:
        """Run a block in which the frames and tables that the statement names are there."""
        from agentnb.core.db.duck.frames import registered
        from agentnb.core.db.duck.others import shown

        raw = _raw(connection)
        with (
            shown(raw.native, statement, self.connections, raw.watch) as changed,
            registered(raw.native, statement, frames),
        ):
            yield changed

    def named_frames(
        self, statement: Statement, frames: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return the frames that a statement names."""
        from agentnb.core.db.duck.frames import named

        return named(statement, frames) if frames else {}

    def fetch(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        bounds: Bounds,
    ) -> tuple[tuple[str, ...] | None, list[tuple[Any, ...]], int]:
        """Execute and fetch in a thread, so that a deadline and Ctrl-C are heard."""
        raw = _raw(connection)

        def fetched() -> tuple[Columns | None, list[tuple[Any, ...]], int]:
            description = self._executed(raw, statement, sql, params)
            if description is None:
                return None, [], 0
            if _counts(statement, description):
                rows = raw.native.fetchall()
                return None, [], int(rows[0][0]) if rows else 0
            fetchmany = self._rows(raw, statement, sql, params)
            rows = fetch_all(_stopping(fetchmany, raw.watch), bounds)
            raw.end()
            return columns_of(description), rows, len(rows)

        columns, rows, count = self._run(connection, fetched)
        if columns is not None:
            note_infinity(columns, rows)
        return columns, rows, count

    def fetch_arrow(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        bounds: Bounds,
    ) -> tuple[Any, bool]:
        """Execute and fetch as an Arrow table; tell whether there are more rows than the limit."""
        raw = _raw(connection)

        def fetched() -> tuple[Any, bool]:
            import pyarrow as pa

            self._permitted(raw, statement, params)
            raw.end()
            batches, count, size = [], 0, 0
            values = list(params) if params else None
            with contextlib.closing(arrow_reader(raw.native, sql, values, _BATCH)) as reader:
                for batch in reader:
                    if raw.watch is not None and raw.watch.over:
                        raise raw.watch.error()
                    batches.append(batch)
                    count += batch.num_rows
                    if bounds.limit is not None and count > bounds.limit:
                        break
                    size += batch.nbytes
                    bounds.check(size, count)
            table = pa.Table.from_batches(batches, reader.schema)
            truncated = bounds.limit is not None and table.num_rows > bounds.limit
            return table.slice(0, bounds.limit), truncated

        return self._run(connection, fetched)

    def load(
        self, runner: Runner, connection: Connection, data: Source, table: str, if_exists: str
    ) -> int:
        """Write the rows of a source into a table, and return their number."""
        del runner
        from agentnb.core.db.duck.load import load

        native = _raw(connection).native
        return self._run(connection, lambda: load(self, connection, native, data, table, if_exists))

    def stream(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        chunk: int,
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Execute and yield columns and rows, chunk by chunk."""
        raw = _raw(connection)

        def executed() -> tuple[Any, Any]:
            description = self._executed(raw, statement, sql, params)
            if description is None or _counts(statement, description):
                raise no_rows()
            return description, self._rows(raw, statement, sql, params)

        description, fetchmany = self._run(connection, executed)

        def fetched(size: int) -> Any:
            return self._run(connection, lambda: fetchmany(size))

        yield from chunks(columns_of(description), fetched, chunk)

    def arrow_chunks(
        self,
        connection: Connection,
        statement: Statement,
        sql: str,
        params: Any,
        chunk: int,
    ) -> Iterator[Any]:
        """Execute and yield Arrow tables, chunk by chunk; the first one may have no rows."""
        import pyarrow as pa

        raw = _raw(connection)

        def executed() -> Any:
            self._permitted(raw, statement, params)
            raw.end()
            return arrow_reader(raw.native, sql, list(params) if params else None, chunk)

        with contextlib.closing(self._run(connection, executed)) as reader:
            yield reader.schema.empty_table()
            while (batch := self._run(connection, lambda: next(reader, None))) is not None:
                yield pa.Table.from_batches([batch])

    def _executed(self, raw: DuckConnection, statement: Statement, sql: str, params: Any) -> Any:
        """Execute a statement; return its columns, or None if it has none."""
        self._permitted(raw, statement, params)
        word = statement.keyword
        try:
            raw.native.execute(sql, list(params) if params else None)
        except BaseException:
            raw.failed = raw.open and not _answers(raw.native)
            raise
        if word in {"begin", "start"}:
            raw.open = True
        elif word in {"commit", "end", "rollback", "abort"}:
            raw.open = raw.failed = False
        description = raw.native.description
        if description and _succeeds(statement, description):
            raw.native.fetchall()
            description = None
        if self._confinement is not None and not statement.reads:
            # A connection that has a result to give is not asked for anything else.
            self._confinement.ran(statement, raw.native, raw.root if description else None)
        return description or None

    def _permitted(self, raw: DuckConnection, statement: Statement, params: Any) -> None:
        """Refuse a statement that is not to be run here and now."""
        if statement.keyword in {"begin", "start"} and raw.open:
            raise UsageError(
                "a transaction is open already", service="db", hint="commit or rollback first"
            )
        if self._confinement is not None:
            self._confinement.check(statement, params or ())

    def _rows(
        self, raw: DuckConnection, statement: Statement, sql: str, params: Any
    ) -> Callable[[int], Any]:
        values = list(params) if params else None
        return exact_rows(raw, sql, values, again=statement.reads)

    def _run(self, connection: Connection, function: Callable[[], T]) -> T:
        """Run a function in a thread, and interrupt DuckDB when the watch is over."""
        raw = _raw(connection)

        def give_up(future: Future[T]) -> None:
            for _ in range(int(_ENDS_WITHIN / POLL)):
                raw.native.interrupt()  # heard only by what has begun
                if wait({future}, POLL).done:
                    return
            connection.invalidate()

        return in_thread(function, raw.watch, name="duckdb", give_up=give_up)

    def translate(self, error: Exception, watch: Watch | None, sql: str) -> AgentnbError:
        """Return our error for DuckDB's."""
        return translate(error, watch, sql, self.target)

    def connect_error(self, error: Exception) -> AgentnbError | None:
        """Return our error for a file that is none of DuckDB's, or is nowhere."""
        original = getattr(error, "orig", error)
        if type(original).__module__.partition(".")[0] in {"duckdb", "_duckdb"}:
            return translate(original, None, "", self.target)
        return None


def _halve_memory(root: Any) -> None:
    """Let DuckDB take half of the machine's memory, of which its own limit is 80 %."""
    number, unit = root.execute("select current_setting('memory_limit')").fetchone()[0].split()
    root.execute(f"set memory_limit = '{float(number) * 50 / 80:.1f}{unit}'")


def _spill_folder(folder: Path | None) -> str:
    """Return the folder of what does not fit into memory, ``""`` where none can be made."""
    if folder is not None:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return str(folder)
    return ""


def _raw(connection: Connection) -> DuckConnection:
    """Return the driver's connection."""
    found: Any = connection.connection.dbapi_connection
    return found  # type: ignore[no-any-return]  # ours


def _counts(statement: Statement, description: Any) -> bool:
    """Return whether a result is the number of rows that a statement changed."""
    return (
        [column[0] for column in description] == ["Count"]
        and not statement.reads
        and "returning" not in statement.words
        and statement.keyword not in _READS
    )


def _succeeds(statement: Statement, description: Any) -> bool:
    """Return whether a result only says that a statement was run."""
    return [column[0] for column in description] == ["Success"] and statement.keyword not in (
        _READS - {"begin", "start", "commit", "end", "rollback", "abort", "use"}
    )


def _answers(native: Any) -> bool:
    """Return whether a connection takes statements: a transaction that failed takes none."""
    with contextlib.suppress(Exception):
        native.execute("select 1")
        return True
    return False


def _stopping(fetchmany: Callable[[int], Any], watch: Watch | None) -> Callable[[int], Any]:
    """Return what fetches rows until a watch is over."""

    def fetched(size: int) -> Any:
        if watch is not None and watch.over:
            raise watch.error()
        return fetchmany(size)

    return fetched
