"""Run SQL: the public methods that databases, sessions and transactions share."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar

from agentnb.core.db import taped
from agentnb.core.db.backend import Watch
from agentnb.core.db.keywords import refuse_values
from agentnb.core.db.result import ArrowResult, Result, Script
from agentnb.core.db.text import scan, split
from agentnb.core.errors import AgentnbError, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole
from agentnb.core.tape.hook import active
from agentnb.core.trace.streaming import Streaming
from agentnb.core.twins import twin

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence

    from agentnb.core.db.awaited import StatementThreads
    from agentnb.core.db.bounds import Bounds
    from agentnb.core.db.runner import Runner
    from agentnb.core.db.text import Statement
    from agentnb.core.export import Exported
    from agentnb.core.plot import Plot
    from agentnb.core.plot.asked import Kind
    from agentnb.core.resilience import Deadline
    from agentnb.core.table import Table
    from agentnb.core.tape.hook import Operation

__all__ = ["Executor"]

T = TypeVar("T")


@refuse_unknown("db")
class Executor:
    """Runs SQL: a `Database`, a `Session` or a `Transaction`.

    `aquery` awaits `query`, and so on. The statement runs in a thread of the database; cancelling
    the await cancels it.

    Attributes
    ----------
    access
        Connections, backend and error translation, for services that build on a database.
    """

    def __init__(self, runner: Runner) -> None:
        self.access = runner

    @property
    def _call_threads(self) -> StatementThreads:
        return self.access.threads

    @property
    def name(self) -> str:
        """The name of the connection in logs, spans and messages."""
        return self.access.name

    @property
    def rows(self) -> int:
        """The rows that a bare ``%db`` line shows."""
        return self.access.rows

    @property
    def timeout(self) -> float:
        """Seconds that a statement may take unless it says otherwise."""
        return self.access.timeout

    @property
    def max_bytes(self) -> int:
        """Bytes that a result may take in memory unless it says otherwise."""
        return self.access.max_bytes

    def query(
        self,
        /,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limit: int | None = None,
        timeout: float | None = None,
        arrow: bool = False,
        max_bytes: int | None = None,
        preview: int | None = None,
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> Result:
        """Run one statement and return its rows.

        Parameters
        ----------
        sql
            One statement. ``:name``, ``:object.attribute`` and lists after IN bind from
            ``params``; strings, comments, casts and slices are left alone.
        params
            Values by name.
        limit
            Rows at most; the rest is not fetched. Default: all rows. A statement that
            locks rows or calls a function that may write still runs for all of them.
        timeout
            Seconds, after which the database is told to cancel; default: the setting
            ``db_timeout`` (30).
        arrow
            Fetch as Arrow data through ADBC where that gives the same types: several
            times faster into a frame. Otherwise this has no effect.
        max_bytes
            Bytes that the rows may take in memory; default: the setting ``db_max_bytes``
            (1 GB). More is an error, never a shorter result: see `stream`.
        preview
            Rows at most, for display only: a result that has more shows these and refuses
            to be used as if they were all. A statement that changes or locks rows, or
            calls a function that may write, returns all of its rows.
        frames
            DuckDB: frames by name, those of pandas, polars and Arrow among other values. The
            statement has each one that it names as a table; a table of that name is not covered.

        Raises
        ------
        UsageError
            An unbound name, several statements, or a result above ``max_bytes``.
        QueryRejected
            The database's own error.
        NotFoundError
            A missing table; the hint has the nearest.
        DeadlineExceeded
            The time was over; the statement was cancelled.
        UnavailableError
            The database cannot be reached or is locked.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> with Database("sqlite://") as db:
        ...     db.query("select :n + 1 as next", {"n": 41}).scalar()
        42
        """
        refuse_values("query", unknown)
        watch = Watch(self.access.deadline(timeout))
        bounds = self.access.bounds(limit, max_bytes, preview)
        statement = scan(sql, self.access.backend.syntax)
        return self._taped(
            taped.ARROW if arrow else taped.QUERY,
            lambda: self._arguments([statement], params, frames),
            lambda: self.access.query(
                statement, params or {}, bounds, watch, arrow=arrow, frames=frames
            ),
        )

    def _arguments(
        self,
        statements: Sequence[Statement],
        params: Any,
        frames: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the arguments of statements as a tape keeps them."""
        sql = ";\n".join(one.sql for one in statements)
        found = {"sql": sql, "params": taped.bound(statements, params or {})}
        digests = taped.digests(statements, frames) if frames else {}
        return {**found, "frames": digests} if digests else found

    def _taped(
        self, operation: Operation, arguments: Callable[[], dict[str, Any]], do: Callable[[], T]
    ) -> T:
        """Make a call, on the tape if there is one."""
        tape = active()
        if tape is None:
            return do()
        given = arguments()
        operation = taped.replayable(operation, given)
        if self.name != "default":
            given["connection"] = self.name
        return tape.call(operation, given, do, self.access.redactor)

    def execute(
        self,
        /,
        sql: str,
        params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        timeout: float | None = None,
        max_bytes: int | None = None,
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> Result:
        """Run one statement and return its rows, if it has any.

        Parameters
        ----------
        sql, timeout, max_bytes, frames
            As in `query`.
        params
            Values by name, or a list of such dictionaries: the statement is run for
            each, all in one transaction.

        Raises
        ------
        AgentnbError
            As in `query`.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> db = Database("sqlite://")
        >>> db.execute("create table task (id integer primary key, name text)")
        done
        >>> db.execute("insert into task (name) values (:n)", [{"n": "a"}, {"n": "b"}])
        2 rows affected
        >>> db.close()
        """
        refuse_values("execute", unknown)
        statement = scan(sql, self.access.backend.syntax)
        deadline = self.access.deadline(timeout)
        bounds = self.access.bounds(None, max_bytes)
        if params is None or hasattr(params, "keys"):
            one: Any = params or {}
            return self._taped(
                taped.EXECUTE,
                lambda: self._arguments([statement], one, frames),
                lambda: self.access.query(statement, one, bounds, Watch(deadline), frames=frames),
            )
        if active() is not None:
            params = list(params)  # which may be read once
        return self._taped(
            taped.EXECUTE,
            lambda: self._arguments([statement], params, frames),
            lambda: self._execute_many(statement, params, bounds, deadline, frames),
        )

    def _execute_many(
        self,
        statement: Statement,
        params: Sequence[Mapping[str, Any]],
        bounds: Bounds,
        deadline: Deadline,
        frames: Mapping[str, Any] | None,
    ) -> Result:
        with (
            self.access.span("execute_many", statement.sql) as span,
            self.access.begun(deadline, folded=True) as inner,
        ):
            count = times = 0
            for one in params:
                count += inner.query(
                    statement, one, bounds, Watch(deadline), frames=frames
                ).rowcount
                times += 1
            span.note(rows=count, times=times)
            return Result((), [], statement=statement.sql, rowcount=count, returns_rows=False)

    def script(
        self,
        /,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limit: int | None = None,
        timeout: float | None = None,
        max_bytes: int | None = None,
        preview: int | None = None,
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> Script:
        """Run several statements, one after another, on one connection.

        Each is committed by itself, unless the text has a BEGIN and COMMIT of its own.

        Parameters
        ----------
        sql, params, limit, timeout, max_bytes, preview, frames
            As in `query`; the bounds hold for each statement.

        Raises
        ------
        AgentnbError
            As in `query`, with the statement's number and line in front.
        """
        refuse_values("script", unknown)
        statements = split(sql, self.access.backend.syntax)
        if not statements:
            raise UsageError("there is no SQL to run", service="db", hint="such as select 1")
        watch = Watch(self.access.deadline(timeout))
        bounds = self.access.bounds(limit, max_bytes, preview)
        return self._taped(
            taped.SCRIPT,
            lambda: self._arguments(statements, params, frames),
            lambda: self._script(statements, params or {}, bounds, watch, frames),
        )

    def _script(
        self,
        statements: Sequence[Statement],
        params: Mapping[str, Any],
        bounds: Bounds,
        watch: Watch,
        frames: Mapping[str, Any] | None,
    ) -> Script:
        results = Script()
        with self.access.explained(), self.access.checkout(watch.deadline) as connection:
            for statement in statements:
                try:
                    results.append(
                        self.access.run(connection, statement, params, bounds, watch, frames=frames)
                    )
                except AgentnbError as error:
                    if len(statements) == 1:
                        raise
                    where = f"statement {statement.number} (line {statement.line})"
                    raise error.within(where) from error
            self.access.settle(connection)
        return results

    def stream(
        self,
        /,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        chunk: int = 10_000,
        timeout: float | None = None,
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> Generator[Result, None, None]:
        """Yield the rows of one statement in chunks: any number of rows in bounded memory.

        A database in memory has one connection, so all rows are read before the first chunk.

        Parameters
        ----------
        chunk
            Rows in each `Result`.
        timeout
            Seconds for the whole; default: the setting ``db_timeout``.
        frames
            As in `query`.

        Raises
        ------
        AgentnbError
            As in `query`.
        """
        refuse_values("stream", unknown)
        statement = scan(sql, self.access.backend.syntax)
        watch = Watch(self.access.deadline(timeout))
        chunk = whole("chunk", chunk, service="db")
        self._taped(taped.STREAM, lambda: self._arguments([statement], params), lambda: None)
        chunks = self._chunks(statement, params or {}, chunk, watch, frames)
        found = (part for part in chunks if part)
        # In memory the loop's own statements need the one connection that there is.
        yield from list(found) if self.access.backend.alone else found

    def _chunks(
        self,
        statement: Statement,
        params: Mapping[str, Any],
        chunk: int,
        watch: Watch,
        frames: Mapping[str, Any] | None = None,
        *,
        arrow: bool = False,
    ) -> Generator[Result, None, None]:
        """Yield results part by part, at least one; as Arrow data where the database has them."""
        self.access.check_frames(frames)
        rows = 0
        with (
            self.access.explained(),
            self.access.checkout(watch.deadline) as connection,
            Streaming(self.access.span("stream", statement.sql)) as span,
            self.access.translated(watch, statement),
            self.access.backend.watching(connection, watch),
            self.access.backend.framed(connection, statement, frames) as changed,
        ):
            text, values = self.access.rendered(changed, params)
            self.access.mark(connection, statement)
            given = (connection, statement, text, values, chunk)
            if arrow and self.access.backend.fetches_arrow:
                parts: Generator[Result, None, None] = (
                    ArrowResult(table, statement=statement.sql)
                    for table in self.access.backend.arrow_chunks(*given)
                )
            else:
                parts = (
                    Result(columns, found, statement=statement.sql, rowcount=len(found))
                    for columns, found in self.access.backend.stream(*given)
                )
            with contextlib.closing(parts):  # before its connection is given back
                for part in parts:
                    # Each part may come soon, and what is done with it may take long.
                    if watch.over:
                        raise watch.error()
                    span.note(rows=(rows := rows + len(part)))
                    yield part
            self.access.settle(connection)

    def export(
        self,
        /,
        sql: str,
        path: str | os.PathLike[str],
        params: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
        separator: str | None = None,
        spreadsheet: bool = False,
        timeout: float | None = None,
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> Exported:
        """Write all rows of a query to a file, whole or not at all, in bounded memory.

        Parameters
        ----------
        sql
            One statement that only reads.
        path
            The file; the end of its name is the format: ``.csv``, ``.tsv``, ``.csv.gz``,
            ``.tsv.gz``, ``.json``, ``.jsonl``, ``.ndjson`` or ``.parquet``.
        params, frames
            As in `query`.
        overwrite, separator, spreadsheet
            As in `Table.to_csv`.
        timeout
            Seconds for the whole; default: ten times the setting ``db_timeout``.

        Raises
        ------
        UsageError
            The file exists, which is seen before the query is run; its name ends otherwise; or
            the statement does more than read.
        UnavailableError
            The disk is full.
        AgentnbError
            As in `query`. Nothing is left of the file.

        Examples
        --------
        >>> import tempfile
        >>> from agentnb.core.db import Database
        >>> with tempfile.TemporaryDirectory() as folder, Database("sqlite://") as db:
        ...     db.export("select 1 as n union select 2", f"{folder}/n.csv").rows
        2
        """
        from agentnb.core.db.exporting import export

        refuse_values("export", unknown)
        return export(
            self,
            sql,
            path,
            params or {},
            overwrite=overwrite,
            separator=separator,
            spreadsheet=spreadsheet,
            timeout=timeout,
            frames=frames,
        )

    def plot(
        self,
        /,
        sql: str,
        x: str,
        y: str | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        color: str | None = None,
        kind: Kind | None = None,
        timeout: float | None = None,
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> Plot:
        """Return a plot of all rows of a query, whose numbers the database makes.

        At most 3,000 points leave it, of any number of rows.

        Parameters
        ----------
        sql
            One statement that only reads.
        x, y, color, kind
            As in `Result.plot`.
        params, timeout, frames
            As in `query`; the time is that of each of a few statements.

        Raises
        ------
        UsageError
            The statement does more than read, or as in `Result.plot`.
        AgentnbError
            As in `query`.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> with Database("sqlite://") as db:
        ...     db.plot("select 'a' as name, 2 as n union all select 'a', 3", "name", "n").caption
        'sum of n by name, of 2 rows'
        """
        from agentnb.core.db.plotting import plot

        refuse_values("plot", unknown)
        return plot(
            self, sql, x, y, params or {}, color=color, kind=kind, timeout=timeout, frames=frames
        )

    def profile(self, table: str, *, timeout: float | None = None) -> Result:
        """Return a summary of each column of a table, which its database makes.

        Parameters
        ----------
        table
            Its name.
        timeout
            Seconds for each of a few statements; default: the setting ``db_timeout``.

        Returns
        -------
        Result
            A row for each column: its type, the number of nulls and of distinct values (about, on
            DuckDB), the least and the greatest value; of numbers the mean and the quartiles, each
            of which is a value that is there.

        Raises
        ------
        NotFoundError
            There is no such table; the hint has the nearest.
        UsageError
            The database has plain support.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> with Database("sqlite://") as db:
        ...     _ = db.execute("create table task (seconds integer)")
        ...     _ = db.execute("insert into task values (1), (3), (null)")
        ...     db.profile("task").dicts()[0]["nulls"]
        1
        """
        from agentnb.core.db.profiling import of_table

        return of_table(self, table, timeout)

    def explain(
        self, /, sql: str, params: Mapping[str, Any] | None = None, **unknown: Never
    ) -> Result:
        """Return the database's plan for a statement, without running it."""
        refuse_values("explain", unknown)
        statement = scan(sql, self.access.backend.syntax)
        return self.query(f"{self.access.backend.explain} {statement.sql}", params)

    def load(
        self,
        source: Any,
        table: str,
        *,
        if_exists: Literal["fail", "append", "replace"] = "fail",
        timeout: float | None = None,
    ) -> Result:
        """Write a frame, rows or a file into a table, all or nothing.

        Parameters
        ----------
        source
            A pandas, polars or Arrow table (anything with ``__arrow_c_stream__``), a list
            of dictionaries, a `Table`, or the path of a ``.csv``, ``.json``, ``.jsonl``
            or ``.parquet`` file. A database of a hub takes the ``http(s)`` URL of such a file,
            too, as `agentnb.core.api.APIClient` downloads it, up to ``db_max_bytes``.
        table
            Its name, made from the data if it does not exist. ``schema.table`` works
            where the database has schemas.
        if_exists
            Policy for an existing table: ``"append"`` rows to it, ``"replace"`` it, or (the
            default) refuse. A temporary table is replaced by a temporary one.
        timeout
            Seconds for the whole; default: ten times the setting ``db_timeout``.

        Raises
        ------
        UsageError
            The table exists and neither was asked for, or the data cannot be read.
        AgentnbError
            As in `query`; nothing is left half written.
        """
        from agentnb.core.db.load import load

        self.access.backend.require("load")
        return self._taped(
            taped.LOAD,
            lambda: {
                "table": table,
                "source": taped.source(source, self.access.backend.downloads),
                "if_exists": if_exists,
            },
            lambda: load(self.access, source, table, if_exists, timeout),
        )

    def retype(self, table: str, *columns: str, timeout: float | None = None) -> Table:
        """Mend a table of SQLite in which an earlier release stored Decimals or offsets as text.

        Text that is a Decimal becomes the number, in a column that compares numbers, and a
        time with an offset becomes the same time in UTC. All in one transaction; a second
        call finds nothing to do.

        Parameters
        ----------
        table
            Its name.
        *columns
            The columns to mend. Default: those of times, and those of numbers of which at
            least one has a fraction. A column of whole numbers may hold names, such as
            postcodes, and is changed only when it is named.
        timeout
            Seconds for the whole; default: ten times the setting ``db_timeout``.

        Returns
        -------
        Table
            Each column that was changed, how, and the count of its values.

        Raises
        ------
        UsageError
            A column that was named holds something else, or a number that SQLite would
            round; or another table refers to this one.
        AgentnbError
            As in `query`; nothing is left half done.

        Examples
        --------
        >>> from agentnb.core.db import Database
        >>> with Database("sqlite://") as db:
        ...     _ = db.execute("create table item (price text)")
        ...     _ = db.execute("insert into item values ('9.50'), ('10.00')")
        ...     print(db.retype("item"))
        ...     db.query("select max(price) as most from item").scalar()
        column  change           values
        price   text to numbers       2
        10
        """
        from agentnb.core.db.retype import retype

        return self._taped(
            taped.RETYPE,
            lambda: {"table": table, "columns": list(columns)},
            lambda: retype(self.access, table, columns, timeout),
        )

    def tables(self, *, internal: bool = False) -> Table:
        """Return name and kind of every table and view.

        Parameters
        ----------
        internal
            Include agentnb's own, such as ``agentnb_task``. Otherwise a note says how many
            there are.
        """
        from agentnb.core.db import schema

        def do() -> Table:
            with self.access.span("tables"):
                return schema.tables(self.access, internal=internal)

        return self._taped(taped.TABLES, lambda: {"internal": internal}, do)

    def describe(self, table: str) -> Table:
        """Return column, type, nullable, default and key of a table's columns.

        Raises
        ------
        NotFoundError
            There is no such table; the hint has the nearest.
        """
        from agentnb.core.db import schema

        def do() -> Table:
            with self.access.span("describe", table=table):
                return schema.describe(self.access, table)

        return self._taped(taped.DESCRIBE, lambda: {"table": table}, do)

    aquery = twin(query)
    aplot = twin(plot)
    aexport = twin(export)
    aprofile = twin(profile)
    aexecute = twin(execute)
    ascript = twin(script)
    aexplain = twin(explain)
    aload = twin(load)
    aretype = twin(retype)
    atables = twin(tables)
    adescribe = twin(describe)

    async def astream(
        self,
        /,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        chunk: int = 10_000,
        timeout: float | None = None,  # noqa: ASYNC109 - as stream
        frames: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> AsyncIterator[Result]:
        """Yield what `stream` yields, awaited: ``async for`` over chunks of rows."""
        deadline = self.access.deadline(timeout)
        found = self.stream(sql, params, chunk=chunk, timeout=timeout, frames=frames, **unknown)
        # A stream has a connection, and a thread of its own as a transaction has.
        own = self.access.threads.alone()
        ended = Result((), [])
        following = partial(next, found, ended)
        try:
            part = await self.access.threads.within(deadline, following)
            while part is not ended:
                yield part
                part = await own.run(following)
        finally:
            try:
                await own.settled(found.close)
            finally:
                own.close()
