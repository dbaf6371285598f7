"""Connections to PostgreSQL: settings of the session, PgBouncer, notices."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from agentnb.core.background import run_in_thread
from agentnb.core.callthreads import current_call
from agentnb.core.db.awaited import get
from agentnb.core.db.backend import logger, no_answer
from agentnb.core.db.notices import notify
from agentnb.core.db.postgres_types import register
from agentnb.core.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from sqlalchemy import Engine

    from agentnb.core.db.url import Target
    from agentnb.core.resilience import Deadline

__all__ = ["Connector", "literal"]

# For libpq, which else waits for ever.
CONNECT_SECONDS = 5

_OPTION = re.compile(r"(?:-c\s*|--)(?P<name>[\w.-]+)=(?P<value>(?:\\.|[^\\\s])*)\s*")
_PLAIN_PATH = re.compile(r'[a-z_][a-z0-9_$]*(?:\s*,\s*[a-z_"$][^,]*)*')
# Statements that begin, end or check a transaction are passed on as they are.
_CONTROL = re.compile(
    r"\s*(?:begin|start|commit|end|rollback|abort|savepoint|release|\Z)", re.IGNORECASE
)
_QUIET = {"NOTICE", "INFO", "LOG", "DEBUG"}


class Connector:
    """Connects, directly or through a pooler such as PgBouncer.

    A pooler in transaction mode gives each transaction another session and takes no settings
    at the start. There the settings are repeated in every transaction, and a single statement
    gets a transaction of its own; so does each statement of a connection that only reads.

    Parameters
    ----------
    target
        The database.
    read_only
        Let no statement write.

    Attributes
    ----------
    pooler
        Whether a pooler in transaction mode is in front of the server; None before it is known.
    """

    def __init__(self, target: Target, *, read_only: bool) -> None:
        self._target = target
        self._read_only = read_only
        self._of_thread = threading.local()
        self.pooler: bool | None = target.pooler

    @property
    def options(self) -> str:
        """The settings that a session starts with, in libpq's words."""
        options = [str(self._target.connect_args.get("options", ""))]
        if self._target.schema:
            path = _search_path(self._target.schema).replace("\\", "\\\\").replace(" ", "\\ ")
            options.append(f"-csearch_path={path}")
        if self._read_only:
            options.append("-cdefault_transaction_read_only=on")
        return " ".join(filter(None, options))

    @property
    def begin(self) -> str:
        """The statement that begins a transaction."""
        return "begin read only" if self._read_only else "begin"

    @property
    def local(self) -> str | None:
        """The statement that gives a transaction its settings; None without any."""
        settings = _settings(str(self._target.connect_args.get("options", "")))
        if self._target.schema:
            settings["search_path"] = _search_path(self._target.schema)
        if not settings:
            return None
        calls = (
            f"set_config({literal(name)}, {literal(value)}, true)"
            for name, value in settings.items()
        )
        return f"select {', '.join(calls)}"

    def listen(self, engine: Engine) -> None:
        """Make the engine connect as this does."""
        from sqlalchemy import event

        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", self._set_up)
        event.listen(engine, "connect", lambda *_: self._name_schema(engine))
        # Its warnings are about connections that fail, whose errors are raised; without a
        # handler of anybody's they would be printed.
        if not (log := logging.getLogger("psycopg")).handlers:
            log.addHandler(logging.NullHandler())

    @contextmanager
    def until(self, deadline: Deadline) -> Iterator[None]:
        """Let the connections that a block makes be there by a deadline."""
        before = getattr(self._of_thread, "deadline", None)
        self._of_thread.deadline = deadline
        try:
            yield
        finally:
            self._of_thread.deadline = before

    def _name_schema(self, engine: Engine) -> None:
        """Tell SQLAlchemy which schema is the default one: it asks outside of a transaction."""
        schema = self._target.schema
        if self.pooler and schema and "," not in schema:
            engine.dialect.default_schema_name = schema.strip('"')

    def _connect(self, dialect: Any, _record: Any, args: Any, keywords: dict[str, Any]) -> Any:
        from psycopg import OperationalError

        if self.options and not self.pooler:
            try:
                return self._dial(dialect, args, {**keywords, "options": self.options})
            except OperationalError as error:
                if "unsupported startup parameter" not in str(error):
                    raise
                self.pooler = True
        keywords.pop("options", None)
        return self._dial(dialect, args, keywords)

    def _dial(self, dialect: Any, args: Any, keywords: dict[str, Any]) -> Any:
        """Connect within the time of the call, of which libpq knows whole seconds from two on.

        Raises
        ------
        DeadlineExceeded
            There was no answer in time.
        UnavailableError
            There was none within libpq's own time-out.
        """
        from psycopg.errors import ConnectionTimeout

        deadline: Deadline | None = getattr(self._of_thread, "deadline", None)
        limit = None if deadline is None else deadline.remaining()
        try:
            if (limit is None or limit > CONNECT_SECONDS) and current_call("db") is None:
                return dialect.connect(*args, **keywords)
            found = self._dial_apart(lambda: dialect.connect(*args, **keywords), limit)
        except ConnectionTimeout as error:
            raise UnavailableError(
                f"{self._target} cannot be reached: it accepted the connection and did not answer",
                service="db",
                hint="check that the server runs and that host and port are right",
            ) from error
        if found is None:
            raise no_answer(self._target, (deadline.seconds if deadline else None) or 0.0)
        return found

    def _dial_apart(self, connect: Callable[[], Any], limit: float | None) -> Any:
        """Connect in a thread; return None, and leave it behind, when the time is over."""
        done: SimpleQueue[None] = SimpleQueue()
        dialled = run_in_thread(connect, name="connect")
        dialled.add_done_callback(lambda _: done.put(None))
        in_time = False
        try:
            in_time = get(done, limit)
        finally:
            if not in_time:
                dialled.add_done_callback(_hang_up)
        return dialled.result() if in_time else None

    def _set_up(self, raw: Any, _record: Any) -> None:
        raw.add_notice_handler(_notice)
        register(raw)
        if self.pooler is None:
            # A pooler gives out numbers of its own, and may ignore the settings at the start.
            own = raw.execute("select pg_catalog.pg_backend_pid()").fetchone()[0]
            self.pooler = own != raw.info.backend_pid
            if not raw.autocommit:
                raw.rollback()
        if self.pooler:
            raw.prepare_threshold = None
        local = self.local if self.pooler else None  # else the session has them from its start
        if local or self._read_only:
            # Whatever a statement may have done to the session, the next one only reads.
            raw.cursor_factory = _settled_cursor(self.begin, local)

    def uri_for_adbc(self) -> str | None:
        """Return a libpq URI whose session can only read, or None through a pooler."""
        if self.pooler:
            return None
        options = self.options
        if not self._read_only:
            options = f"{options} -cdefault_transaction_read_only=on".strip()
        url = self._target.url
        words = {
            "connect_timeout": CONNECT_SECONDS,
            **url.query,
            "options": options,
            "dbname": url.database,
            "user": url.username,
            "password": url.password,
            "host": url.query.get("host") or url.host,
            "port": url.query.get("port") or url.port,
        }
        given = {name: value for name, value in words.items() if value is not None}
        return f"postgresql:///?{urlencode(given, quote_via=quote, doseq=True)}"


def _hang_up(dialled: Future[Any]) -> None:
    if dialled.exception() is None:
        dialled.result().close()


def _settled_cursor(begin: str, local: str | None) -> type[Any]:
    """Return a class of cursors that run each statement in a transaction with settings."""
    from psycopg import ClientCursor
    from psycopg.pq import TransactionStatus

    def settle(raw: Any) -> None:
        if local is not None:
            ClientCursor(raw).execute(local)

    class SettledCursor(ClientCursor[Any]):
        """Repeats the settings in every transaction."""

        @contextmanager
        def _settled(self, query: Any) -> Iterator[None]:
            raw = self.connection
            text = query.decode() if isinstance(query, bytes) else str(query)
            idle = raw.info.transaction_status is TransactionStatus.IDLE
            if not raw.autocommit or not idle or _CONTROL.match(text):
                yield
                if idle and raw.info.transaction_status is TransactionStatus.INTRANS:
                    settle(raw)
                return
            ClientCursor(raw).execute(begin)
            try:
                settle(raw)
                yield
            except BaseException:
                with contextlib.suppress(Exception):  # the first error says what happened
                    ClientCursor(raw).execute("rollback")
                raise
            ClientCursor(raw).execute("commit")

        def execute(self, query: Any, *args: Any, **keywords: Any) -> Any:
            with self._settled(query):
                return super().execute(query, *args, **keywords)

        def stream(self, query: Any, *args: Any, **keywords: Any) -> Iterator[Any]:
            with self._settled(query):
                yield from super().stream(query, *args, **keywords)

        @contextmanager
        def copy(self, statement: Any, *args: Any, **keywords: Any) -> Iterator[Any]:
            with self._settled(statement), super().copy(statement, *args, **keywords) as copy:
                yield copy

    return SettledCursor


def _settings(options: str) -> dict[str, str]:
    """Return the settings among libpq's ``options``.

    Raises
    ------
    ConfigError
        There is something else among them, which a pooler does not take.
    """
    found, at = {}, 0
    options = options.strip()
    while at < len(options):
        option = _OPTION.match(options, at)
        if option is None:
            raise ConfigError(
                "options= in the database URL cannot be passed through PgBouncer",
                service="db",
                hint="write settings only, as in options=-cname=value",
            )
        found[option["name"].replace("-", "_")] = re.sub(r"\\(.)", r"\1", option["value"])
        at = option.end()
    return found


def _search_path(schema: str) -> str:
    """Return a schema as the server wants it written; it may be a list of plain names."""
    if schema.startswith('"') or _PLAIN_PATH.fullmatch(schema):
        return schema
    quoted = schema.replace('"', '""')
    return f'"{quoted}"'


def literal(text: str) -> str:
    r"""Return a text as SQL, which no setting of the session reads otherwise.

    >>> print(literal("it's"), literal("a\\b"))
    E'it''s' E'a\\b'
    """
    quoted = text.replace("'", "''").replace("\\", "\\\\")
    return f"E'{quoted}'"


def _notice(diagnosis: Any) -> None:
    severity = diagnosis.severity_nonlocalized or diagnosis.severity or "NOTICE"
    text = f"{severity}: {diagnosis.message_primary}"
    for name in ("detail", "hint"):
        if more := getattr(diagnosis, f"message_{name}"):
            text += f"\n{name.upper()}: {more}"
    logger.log(logging.INFO if severity in _QUIET else logging.WARNING, "%s", text)
    notify(text)
