"""The hub: one of every service, opened on first use and closed together."""

from __future__ import annotations

import atexit
import sys
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, Unpack

from agentnb.core import services
from agentnb.core.clock import Clock
from agentnb.core.closing import aclosed, aleave, close_all, leave
from agentnb.core.errors import UsageError
from agentnb.core.forking import OpeningLock, new_lock
from agentnb.core.imports import protect_imports
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds, texts, whole
from agentnb.core.twins import twin

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pydantic_ai.models import Model

    from agentnb.core.api import APIClient, GitHub
    from agentnb.core.api.arguments import ClientOptions
    from agentnb.core.api.clients import Clients
    from agentnb.core.cache import Cache
    from agentnb.core.callthreads import CallThreads
    from agentnb.core.db import Database, Databases
    from agentnb.core.db.registry import Named
    from agentnb.core.docker import DockerManager
    from agentnb.core.doctor import Diagnosis
    from agentnb.core.events import EventBus
    from agentnb.core.files import FileSystemManager
    from agentnb.core.git import GitManager
    from agentnb.core.git.repositories import Repositories
    from agentnb.core.mcp.client import MCPClient
    from agentnb.core.mcp.clients import MCPClients
    from agentnb.core.queue import Queue, Queues
    from agentnb.core.redact import Secret
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime
    from agentnb.core.services import Readiness
    from agentnb.core.services.entry import Closeable, Service
    from agentnb.core.settings import Settings, SettingsArguments
    from agentnb.core.table import Table
    from agentnb.core.tape.flight import FlightRecorder
    from agentnb.core.tools import Tool
    from agentnb.core.trace import LogFile, Tracer
    from agentnb.core.trace.traces import Traces
    from agentnb.core.websocket import WebSocketClient, WebSockets
    from agentnb.core.websocket.arguments import WebSocketOptions
    from agentnb.core.work.worker import Worker
    from agentnb.core.workflow import Orchestrator

    T = TypeVar("T", bound=Closeable)

__all__ = ["Hub", "Notebook", "connect"]

_NUMBERS = count(1)


class Notebook(Protocol):
    """The notebook that a hub lives in."""

    def open_panel(self, name: str, **options: Any) -> Any:
        """Open a live panel by its name."""

    def close_panels(self) -> None:
        """Close every open panel."""

    def wrap_processor(self, processor: Any) -> Any:
        """Return a queue's processor that keeps what it prints in the log of its job."""

    def display_batch(self, batch: Any) -> None:
        """Display a batch of jobs."""

    def watch_batch(self, batch: Any) -> AbstractContextManager[object]:
        """Return a block that shows the progress of a batch while it waits."""


@refuse_unknown("hub")
class Hub:
    """Owns one of every service.

    A service is opened on its first use, and the settings are read then; `open` does it sooner.
    `close`, the end of a ``with`` or ``async with`` block and the exit of Python close the opened
    services in reverse order. Two hubs share nothing. Thread-safe.

    The attributes of a hub are synchronous: the first use of a service in a coroutine imports it
    on the event loop, for up to 0.3 s. ``await hub.aopen()`` does that in a thread. Each method
    that waits has an awaited twin, such as `aclose`.

    Parameters
    ----------
    start
        The folder from which the project's root is looked for upwards; default: the
        working directory.
    notebook
        The notebook that the hub belongs to; None in a script.
    **arguments
        Settings by name (`agentnb.core.settings.FIELDS`): ``home``, ``workspace``,
        ``database_url``, ``redis_url``, ...

    Raises
    ------
    UsageError
        An argument of a name that is not a setting.

    Examples
    --------
    >>> with Hub(database_url="sqlite://") as hub:
    ...     hub.db.query("select 40 + 2 as answer").scalar()
    42
    """

    def __init__(
        self,
        *,
        start: str | os.PathLike[str] | None = None,
        notebook: Notebook | None = None,
        **arguments: Unpack[SettingsArguments],
    ) -> None:
        if arguments:
            from agentnb.core.settings.values import check_names

            check_names(arguments)
        protect_imports()
        self._id = f"hub-{next(_NUMBERS)}"
        self._start = start
        self._arguments = arguments
        self._lock = OpeningLock()
        self._settings: Settings | None = None
        self._opened: dict[str, Any] = {}
        self._named: dict[str, Named] = {}
        """Connections that were named, which outlive a `stop`."""
        self._closed = False
        self._notebook = notebook
        self._prober = services.Prober()
        self._clock = Clock()
        self._ephemeral = False
        self._flight: FlightRecorder | None = None
        self._threads: CallThreads | None = None
        # Not the lock under which a service is opened, which would block an event loop for long.
        self._threads_lock = new_lock()

    @property
    def settings(self) -> Settings:
        """Return the settings, read on first use.

        Raises
        ------
        ConfigError
            A malformed ``.env``, or a value that cannot be used.
        """
        with self._lock:
            if self._settings is None:
                from agentnb.core.settings import Settings

                self._settings = Settings.load(start=self._start, **self._arguments)
            return self._settings

    def _open(self, service: Service[T]) -> T:
        found: T | None = self._opened.get(service.name)
        if found is not None:
            return found
        with self._lock:
            if self._closed:
                raise UsageError(
                    "this hub is closed",
                    service="hub",
                    hint="make another: agentnb.connect() (%agentnb reset)",
                )
            if service.name not in self._opened:
                made = service.factory(self)
                if not self._opened:
                    # From now on the hub is kept until it is closed, at the latest at exit.
                    atexit.register(self._close_at_exit)
                self._opened[service.name] = made
            opened: T = self._opened[service.name]
            return opened

    @property
    def _call_threads(self) -> CallThreads:
        with self._threads_lock:
            if self._threads is None:
                # Imported here: asyncio takes longer than all else that a hub needs.
                from agentnb.core.callthreads import CallThreads

                self._threads = CallThreads("hub", limit=4)
            return self._threads

    def open(self, *names: str) -> None:
        """Open services now: their first use waits for neither an import nor a connection.

        Parameters
        ----------
        *names
            ``db``, ``redis``, ``cache``, ``events``, ``queue``, ``workflow``, ``files``, ``git``,
            ``api``, ``websocket`` or ``docker``. None for all but ``git`` and ``docker``, which
            have to be named.

        Raises
        ------
        UsageError
            There is no such service, or the hub is closed.
        UnavailableError
            The server of one cannot be reached. The hub stays open.
        ConfigError
            The settings of one cannot be used.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     hub.open("db")
        ...     hub
        Hub(opened: databases)
        """
        from agentnb.core.services.opening import open_services

        open_services(self, names)

    aopen = twin(open)  # noqa: A003 - the method

    @property
    def closed(self) -> bool:
        """Return whether `close` was called; a closed hub opens nothing."""
        return self._closed

    @property
    def tracer(self) -> Tracer:
        """Return the tracer, which keeps spans in memory and under ``home/logs``."""
        return self._open(services.TRACER)

    @property
    def trace(self) -> Traces:
        """Return the traces of this home: ``hub.trace.last()``, ``hub.trace.run("nightly")``."""
        return self._open(services.TRACES)

    @property
    def logs(self) -> LogFile:
        """Return the log file of this hub's services."""
        return self._open(services.LOGS)

    @property
    def runtime(self) -> Runtime:
        """Return the tracer, the redactor and the logs that the hub's services share.

        A service of your own joins them: ``Database(url, runtime=hub.runtime)``.
        """
        from agentnb.core.runtime import Runtime

        _ = self.logs
        settings = self.settings
        return Runtime(
            self.tracer,
            settings.redactor,
            self._id,
            self._clock,
            self._ephemeral,
            self._flight_recorder,
        )

    @property
    def _flight_recorder(self) -> FlightRecorder:
        with self._lock:
            if self._flight is None:
                from agentnb.core.tape.flight import FlightRecorder

                settings = self.settings
                self._flight = FlightRecorder(settings.home, settings.record, settings.redactor)
            return self._flight

    def record(self, mode: Literal["off", "failed", "all"] | None = None) -> str:
        """Record jobs, tasks and cells from now on, on tapes that tests replay; return the mode.

        Parameters
        ----------
        mode
            ``"failed"`` writes the tape of each attempt that fails, below the home; ``"all"`` of
            each attempt; ``"off"`` of none. Without it nothing is changed. A hub begins with
            AGENTNB_RECORD, or ``"off"``.

        Raises
        ------
        UsageError
            It is another word.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     hub.record("failed"), hub.record()
        ('failed', 'failed')
        """
        flight = self._flight_recorder
        if mode is not None:
            flight.switch(mode)
            self._arguments["record"] = mode  # of processes that start from now on
        return flight.mode

    @property
    def databases(self) -> Databases:
        """Return the named connections."""
        return self._open(services.DATABASES)

    @property
    def db(self) -> Database:
        """Return the default database: DATABASE_URL, or a SQLite file in the home."""
        return self.databases["default"]

    @property
    def redis(self) -> RedisClient:
        """Return the Redis client: REDIS_URL, or the embedded server of the home.

        It is redis-py's, safe to interrupt, with `publisher` and `subscriber` beside it.
        """
        return self._open(services.REDIS)

    @property
    def cache(self) -> Cache:
        """Return the cache, on the same server as `redis`."""
        return self._open(services.CACHE)

    @property
    def events(self) -> EventBus:
        """Return the event bus, on the same server as `redis`."""
        return self._open(services.EVENTS)

    @property
    def files(self) -> FileSystemManager:
        """Return the files below AGENTNB_WORKSPACE."""
        return self._open(services.FILES)

    @property
    def git(self) -> GitManager:
        """Return git on the repository that the working directory belongs to."""
        return self._repositories.current()

    @property
    def _repositories(self) -> Repositories:
        return self._open(services.REPOSITORIES)

    def repo(self, path: str | os.PathLike[str] = ".") -> GitManager:
        """Return git on a folder of the workspace; the repository must lie in the workspace.

        Raises
        ------
        UsageError
            The folder is outside of the workspace.
        """
        return self._repositories.under(path)

    @property
    def docker(self) -> DockerManager:
        """Return the containers and images of this home, on DOCKER_HOST's engine."""
        return self._open(services.DOCKER)

    @property
    def queues(self) -> Queues:
        """Return the task queues, on the same server as `redis`."""
        return self._open(services.QUEUES)

    def queue(self, name: str) -> Queue:
        """Return a task queue by its name, made on first use.

        Raises
        ------
        UsageError
            The name is no word, such as ``scaffold-tasks``.
        """
        return self.queues.get_queue(name)

    @property
    def apis(self) -> Clients:
        """Return the clients of APIs that `api` has made, and the breakers of their hosts."""
        return self._open(services.APIS)

    def api(self, base_url: str, **options: Unpack[ClientOptions]) -> APIClient:
        """Return the client of an API; the same for the same base URL and options.

        Parameters
        ----------
        base_url
            Such as ``"https://api.example/v1"``.
        **options
            As `agentnb.core.api.APIClient` takes them: ``auth``, ``headers``, ``schema``, ...

        Raises
        ------
        UsageError
            It is no URL, or an option cannot have its value.
        """
        return self.apis.get(base_url, **options)

    @property
    def github(self) -> GitHub:
        """Return GitHub's API, called with GITHUB_TOKEN."""
        return self._open(services.GITHUB)

    @property
    def websockets(self) -> WebSockets:
        """Return the clients of WebSockets, which `websocket` makes."""
        return self._open(services.WEBSOCKETS)

    def websocket(
        self, url: str | None = None, **options: Unpack[WebSocketOptions]
    ) -> WebSocketClient:
        """Return the client of a WebSocket by its URL, made on first use and not yet connected.

        Parameters
        ----------
        url
            ``ws://`` or ``wss://``; default: the ``agentnb serve`` that runs in this home.
        **options
            As `agentnb.core.websocket.WebSocketClient` takes them.

        Raises
        ------
        UsageError
            It is no such URL, or is kept already with other options.
        NotFoundError
            No URL was given, and no server runs.
        """
        return self.websockets.client(url, **options)

    @property
    def workflows(self) -> Orchestrator:
        """Return the orchestrator of workflows, on the default database."""
        return self._open(services.WORKFLOWS)

    def tools(
        self,
        tools: str | Sequence[str] | None = None,
        *,
        write: str | Sequence[str] = (),
        root: str | os.PathLike[str] | None = None,
        timeout: float = 20.0,
    ) -> list[Tool]:
        """Return functions over the services for an agent: bounded, and read-only by default.

        Each has a name, a docstring, types and a JSON Schema (``.schema``), so that frameworks for
        agents take it as it is. Its answer is plain JSON or text of 60,000 characters at most,
        with secrets masked, and says what was left out.

        Parameters
        ----------
        tools
            Groups: ``db``, ``files``, ``git``, ``events``, ``queue``, ``workflow``; default: all.
        write
            Tools that change something: ``db_execute``, ``file_write``, ``git_commit``,
            ``queue_add``, ``workflow_create``. A call makes a workflow whose one task waits for
            approval, and returns at once. A worker of this process (``hub.workflows.work()``)
            performs it, once, when a person has approved it.
        root
            The folder of the tools for files and git; default: the workspace.
        timeout
            Seconds that a query, or a call of git, may take.

        Raises
        ------
        UsageError
            There is no such group or tool, or the root is no folder.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     [tool.name for tool in hub.tools("db,files")]
        ['db_schema', 'db_query', 'file_list', 'file_read']
        """
        from pathlib import Path

        from agentnb.core.tools import policy_of

        folder = None if root is None else Path(root)
        offer = self._open(services.TOOLS).offer(policy_of(tools, write, folder, timeout))
        offer.writers.register()
        return offer.tools

    atools = twin(tools)

    def llm(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        key: str | Secret | None = None,
    ) -> Model:
        """Return a language model, as a model of pydantic-ai; needs the extra ``ai``.

        Parameters
        ----------
        model
            ``PROVIDER:NAME``; default: ``AGENTNB_LLM``.
        base_url
            The address of an API of OpenAI's form; default: ``AGENTNB_LLM_URL``, else the
            provider's own.
        key
            The key, which is masked wherever it could be shown; default: ``AGENTNB_LLM_KEY``, else
            what the provider's library finds by itself.

        Raises
        ------
        ConfigError
            No model is named, or its packages are not installed.
        UsageError
            There is no such provider, or no such address.

        Examples
        --------
        ``bot = Agent(hub.llm("openai:MODEL"), name="bot", capabilities=[Durability()])``
        """
        from agentnb.core.llm import make_model
        from agentnb.core.redact import Secret

        if not isinstance(key, str | Secret | None):  # named by its type: it may be the key
            kind = type(key).__name__
            raise UsageError(
                f"key must be a text or a Secret, got a value of type {kind}",
                service="llm",
                hint='hub.llm("openai:MODEL", key=hub.variable("MY_KEY"))',
            )
        settings = self.settings
        given = settings.llm_key if key is None else key
        revealed = given if given is None or isinstance(given, str) else given.reveal()
        if revealed:
            settings.redactor.add(revealed)
        return make_model(
            settings.llm if model is None else model,
            settings.llm_url if base_url is None else base_url,
            revealed or None,
            settings.redactor,
        )

    def mcp(
        self,
        target: str,
        *,
        timeout: float = 30.0,
        max_bytes: int = 1_000_000,
        ask: str | Sequence[str] | None = None,
        env: Mapping[str, str | Secret] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
    ) -> MCPClient:
        """Return the client of another program's server of tools (Model Context Protocol).

        It is connected on its first use; the same for the same arguments.

        Parameters
        ----------
        target
            ``"stdio: COMMAND ARGUMENTS"`` to start the server, or its URL.
        timeout
            Seconds that a call may take.
        max_bytes
            Bytes that a server may send for one call.
        ask
            Globs of the tools that an agent has to ask a person for; by default those that are
            not marked as reading only.
        env
            Variables of the environment of a server that is started; it has few others.
        headers
            Headers of the requests to a URL, such as ``Authorization``.

        Raises
        ------
        UsageError
            It is neither a command nor a URL, or an option is out of its range.
        ConfigError
            The extra ``mcp`` is not installed.

        Examples
        --------
        ::

            bank = hub.mcp("stdio: python bank.py")
            bank.tools()
            bank.call("pay", n=4)
        """
        return self.mcp_servers.get(
            target, timeout=timeout, max_bytes=max_bytes, ask=ask, env=env, headers=headers
        )

    @property
    def mcp_servers(self) -> MCPClients:
        """Return the clients of others' servers of tools, which `mcp` makes."""
        return self._open(services.MCP)

    def variable(self, name: str) -> Secret:
        """Return a variable of the environment or ``.env``, such as another database's URL.

        Raises
        ------
        ConfigError
            It is not set.
        """
        return self.settings.variable(name)

    def health(self, timeout: float = 1.0) -> Table:
        """Ping the services and return their states, within the time-out.

        All are asked at once: those that are opened, and those that a setting names
        (DATABASE_URL, REDIS_URL, DOCKER_HOST, DOCKER_CONTEXT), which this opens. A server that
        is away is not asked again. With neither, the database and Redis are ``not opened``.

        Parameters
        ----------
        timeout
            Seconds for all of them together.

        Returns
        -------
        Table
            Service, kind, state (``ok``, ``not opened`` or the error), milliseconds.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     [(row.service, row.state) for row in hub.health(timeout=30)]
        [('db default', 'ok')]
        """
        timeout = seconds("timeout", timeout, service="hub", hint="hub.health(timeout=1)")
        return services.health(self, self._opened, timeout)

    def ready(self, timeout: float = 1.0) -> Readiness:
        """Return whether the services can be used; the probe of an orchestrator.

        It asks as `health` does. Where nothing is opened or configured it opens the default
        database, so that it is never true for want of services. A closed hub is not ready.

        Parameters
        ----------
        timeout
            Seconds for all services together.

        Returns
        -------
        Readiness
            True where every service answered; ``.ok`` is the same, and ``.services`` has the
            state of each.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     found = hub.ready(timeout=30)
        >>> found.ok, found.services
        (True, {'db default': 'ok'})
        """
        timeout = seconds("timeout", timeout, service="hub", hint="hub.ready(timeout=1)")
        if self._closed:
            return services.Readiness(())
        return services.ready(self, self._opened, timeout)

    def status(self, timeout: float = 1.0) -> Table:
        """Return what `health` returns, with the calls to each service in this process.

        Parameters
        ----------
        timeout
            Seconds for the pings of all services together.

        Returns
        -------
        Table
            The columns of `health`; then calls, errors, the median and the 95th percentile of
            their durations in seconds, class and message of the last error. `metrics` has them
            by operation.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     _ = hub.db.query("select 1")
        ...     [(row.service, row.state, row.errors) for row in hub.status(timeout=30)]
        [('db default', 'ok', 0)]
        """
        from agentnb.core.overview.status import status_table
        from agentnb.core.trace.metrics import numbers_by_service

        timeout = seconds("timeout", timeout, service="hub", hint="hub.status(timeout=1)")
        tracer: Tracer | None = self._opened.get(services.TRACER.name)
        # Before the pings, which are calls as well.
        numbers = {} if tracer is None else numbers_by_service(tracer.counters)
        found = services.health(self, self._opened, timeout)
        return status_table(found, numbers, dropped=0 if tracer is None else tracer.dropped)

    ahealth, aready, astatus = twin(health), twin(ready), twin(status)

    def doctor(self, *, start: bool = False, timeout: float = 3.0) -> Diagnosis:
        """Examine what works here and what is missing, with the line that mends it.

        Python, packages and extras, settings, home, database, Redis, git, Docker, the extensions
        of JupyterLab, clocks and ports. Servers are asked if they run or a setting names them.

        Parameters
        ----------
        start
            Whether to open the database and Redis first, as their first use does. By default
            nothing is started, made or changed.
        timeout
            Seconds for all checks together.

        Returns
        -------
        Diagnosis
            A table of part, state (``ok``, ``missing``, ``warning``, ``failed``), what was found
            and the line that mends it. ``.ok`` is False where something has failed.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     found = hub.doctor(timeout=30)
        >>> {row.part: row.detail for row in found}["database"]
        'SQLite in memory'
        """
        from agentnb.core.doctor import examine

        timeout = seconds("timeout", timeout, service="hub", hint="hub.doctor(timeout=3)")
        return examine(self, timeout, start=start)

    adoctor = twin(doctor)

    def metrics(self) -> Table:
        """Return how often each operation of each service was called in this process.

        Returns
        -------
        Table
            Service, operation, calls, errors, the median and the 95th percentile of the
            durations in seconds, class and message of the last error with secrets masked. The
            percentiles are estimated from the counts of buckets. Beyond 500 series, operations
            are counted as ``other``.

        Examples
        --------
        >>> with Hub(database_url="sqlite://") as hub:
        ...     _ = hub.db.query("select 1"), hub.db.query("select 2")
        ...     [(row.service, row.operation, row.calls) for row in hub.metrics()]
        [('db', 'connect', 1), ('db', 'query', 2)]
        """
        from agentnb.core.trace.metrics import call_table

        return call_table(self.tracer.counters)

    def errors(self, limit: int = 20) -> Table:
        """Return the last errors: of calls, failed jobs and tasks, and handlers of events.

        The calls are those of all processes of this home. An error that ended several calls, one
        within the other, is that of the innermost. Services that are not opened are left out; a
        note names them.

        Parameters
        ----------
        limit
            How many.

        Returns
        -------
        Table
            Time, service, class, message with secrets masked, and how the trace's id begins,
            newest first.

        Examples
        --------
        >>> from agentnb.errors import AgentnbError
        >>> with Hub(database_url="sqlite://") as hub:
        ...     try:
        ...         hub.db.query("select * from nowhere")
        ...     except AgentnbError:
        ...         pass
        ...     row = hub.errors()[0]
        >>> row.service, row.error, row.message
        ('db', 'TableNotFound', 'query: no such table: nowhere')
        """
        from agentnb.core.overview.errors import error_table

        hint = "hub.errors(limit=20)"
        return error_table(self, whole("limit", limit, service="hub", hint=hint))

    aerrors = twin(errors)

    def run_workers(self, grace: float = 30.0) -> bool:
        """Let the workers of this process work until SIGTERM or SIGINT, and stop them.

        They are those that `Queue.work` and `Orchestrator.work` have started; see
        `agentnb.core.work.worker.Worker.run`. It is what ``agentnb worker`` does.

        Parameters
        ----------
        grace
            Seconds for what runs.

        Returns
        -------
        bool
            Whether everything ended by itself.

        Raises
        ------
        UsageError
            There is no worker, or this is not the main thread.
        """
        from agentnb.core.work.stopping import run_until_stopped

        workers: list[Worker] = []
        if services.QUEUES.name in self._opened:
            queues = [self.queue(name) for name in self.queues.working()]
            workers += [queue.worker for queue in queues if queue.worker is not None]
        if services.WORKFLOWS.name in self._opened and self.workflows.worker is not None:
            workers.append(self.workflows.worker)
        if not workers:
            raise UsageError(
                "no worker was started in this process",
                service="hub",
                hint='before it: hub.queue("mail").work(function), or hub.workflows.work()',
            )
        return run_until_stopped(workers, grace, service="hub")

    def panel(self, name: str, **options: Any) -> Any:
        """Open a live panel, such as ``hub.panel("db")``.

        Raises
        ------
        UsageError
            Not in a notebook, or no such panel.
        """
        if self._notebook is None:
            raise UsageError(
                "panels need a notebook",
                service="hub",
                hint="in a notebook (%load_ext agentnb); in a script, print(hub.health())",
            )
        return self._notebook.open_panel(name, **options)

    def stop(self) -> list[str]:
        """Close all opened services, newest first; the next use opens them again.

        A service that fails to close does not keep the others open: its error is raised once
        all have been closed. Named connections keep their names.

        Returns
        -------
        list of str
            The names of the closed services.
        """
        with self._lock:
            opened = list(self._opened.items())
            self._opened.clear()
            atexit.unregister(self._close_at_exit)
        close_all(service.close for _, service in reversed(opened))
        return [name for name, _ in reversed(opened)]

    async def astop(self) -> list[str]:
        """Await `stop`. A caller that is cancelled waits for its end."""
        return await aclosed(self.stop)

    def reset(self) -> None:
        """Close all opened services, forget named connections, and read the settings again."""
        try:
            self.stop()
        finally:
            with self._lock:
                self._named.clear()
                self._settings = None

    def _close_at_exit(self) -> None:
        """Close; Python would show an error with the lines of its own exit, and no hint."""
        try:
            self._close()  # not the panels: nobody is left to see them
        except Exception as error:  # noqa: BLE001 - nobody is left to catch it
            hint = getattr(error, "hint", None)
            line = f"agentnb: not all was closed at exit: {error}" + (f" ({hint})" if hint else "")
            sys.stderr.write(f"{line}\n")

    def close(self) -> None:
        """Close all opened services, newest first, for good, and its panels. Idempotent."""
        if self._notebook is not None:
            self._notebook.close_panels()
        self._close()

    def _close(self) -> None:
        with self._lock:
            self._closed = True
        self.stop()
        if self._threads is not None:
            self._threads.close()

    async def areset(self) -> None:
        """Await `reset`. A caller that is cancelled waits for its end."""
        await aclosed(self.reset)

    async def aclose(self) -> None:
        """Await `close`. A caller that is cancelled waits for its end."""
        await aclosed(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    def __repr__(self) -> str:
        if self._closed:
            return "Hub(closed)"
        opened = ", ".join(name for name in self._opened if name not in services.HIDDEN)
        return f"Hub({'opened: ' + opened if opened else 'nothing opened yet'})"


def connect(
    *,
    start: str | os.PathLike[str] | None = None,
    open: Iterable[str] | None = None,  # noqa: A002 - as Hub.open
    **arguments: Unpack[SettingsArguments],
) -> Hub:
    """Return a hub whose settings have been read and checked.

    Parameters
    ----------
    start
        As `Hub` takes it.
    open
        Services to open now, as `Hub.open` takes them: ``["db", "redis"]``, or ``[]`` for all of
        the settings. By default each is opened on its first use.
    **arguments
        As `Hub` takes them; they win over the environment and ``.env``.

    Raises
    ------
    UsageError
        An argument that is not a setting, or ``open`` is not a list of texts.
    ConfigError
        A malformed ``.env``, or a value that cannot be used.
    UnavailableError
        The server of a service to open cannot be reached.

    Examples
    --------
    >>> with connect(database_url="sqlite://") as hub:
    ...     hub.settings.source("database_url")
    'argument'

    In a coroutine:

    >>> import asyncio
    >>> async def main():
    ...     async with connect(database_url="sqlite://") as hub:
    ...         await hub.aopen("db")
    ...         return (await hub.db.aquery("select 1 as n")).scalar()
    >>> asyncio.run(main())
    1
    """
    hub = Hub(start=start, **arguments)
    try:
        _ = hub.settings
        if open is not None:
            hub.open(*texts("open", open, service="hub"))
    except BaseException:
        hub.close()
        raise
    return hub
