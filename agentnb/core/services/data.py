"""Logs, spans, databases, and the services on Redis."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentnb.core.errors import ConfigError, UntrustedPath
from agentnb.core.services.entry import Check, Main, Service, untimed

if TYPE_CHECKING:
    from agentnb.core.cache import Cache
    from agentnb.core.db import Database, Databases
    from agentnb.core.db.duck import DuckLimits
    from agentnb.core.events import EventBus
    from agentnb.core.hub import Hub
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime
    from agentnb.core.services.downloads import Fetcher
    from agentnb.core.settings import Settings
    from agentnb.core.trace import LogFile, Tracer
    from agentnb.core.trace.traces import Traces

__all__ = [
    "CACHE",
    "DATABASES",
    "EVENTS",
    "LOGS",
    "REDIS",
    "TRACER",
    "TRACES",
    "default_url",
    "make_database",
]


def _home(hub: Hub) -> Settings:
    """Make the home where that is possible, and return the settings.

    A database elsewhere works without a home to write to; `logs.failed` says so.
    """
    from agentnb.core.paths import ensure_home

    settings = hub.settings
    is_new = not settings.home.exists()
    try:
        ensure_home(settings.home)
    except UntrustedPath:
        raise
    except ConfigError:
        pass
    else:
        if is_new and hub._notebook is None:  # noqa: SLF001 - a person sees where a notebook is
            _warn_of_home(settings)
    return settings


def _warn_of_home(settings: Settings) -> None:
    """Say where a service's home was made, if its folder was chosen by the working directory.

    Two services that were started in two folders would have two databases and two servers.
    """
    if settings.source("home") != "default" or settings.in_project:
        return
    with suppress(AttributeError, ValueError):  # there is no standard input, or it is closed
        if sys.stdin.isatty():
            return
    sys.stderr.write(
        f"agentnb: {settings.home} is made, since no .agentnb, .env or .git is in "
        f"{settings.root} or above; processes of other folders have other homes: set "
        "AGENTNB_HOME\n"
    )


def _tracer(hub: Hub) -> Tracer:
    from agentnb.core.trace import Tracer

    _home(hub)
    settings = hub.settings
    made = Tracer(
        settings.home / "logs",
        keep_bytes=settings.trace_bytes,
        keep_days=settings.trace_days,
        redactor=settings.redactor,
    )
    if settings.otel:
        from agentnb.core.trace.otel.environment import export_by_environment

        _ = hub.logs  # closed after the export, whose last line may be a warning
        export_by_environment(made, settings)
    return made


def _logs(hub: Hub) -> LogFile:
    from agentnb.core.trace import LogFile

    settings = _home(hub)
    made = LogFile(
        settings.home / "logs",
        redactor=settings.redactor,
        hub_id=hub._id,  # noqa: SLF001 - on its records
        level=settings.log_level,
    )
    made.attach()
    return made


LOGS: Service[LogFile] = Service("logs", _logs, settings=("home", "log_level"))


def _traces(hub: Hub) -> Traces:
    from agentnb.core.trace.traces import Traces

    return Traces(hub.tracer, lambda: hub._call_threads)  # noqa: SLF001 - those of its twins


TRACES: Service[Traces] = Service("traces", _traces)
TRACER: Service[Tracer] = Service(
    "tracer", _tracer, settings=("home", "otel", "trace_bytes", "trace_days")
)


def _databases(hub: Hub) -> Databases:
    from agentnb.core.db import Databases
    from agentnb.core.services.downloads import Fetcher

    settings = hub.settings
    runtime = hub.runtime

    fetch = Fetcher(hub)

    def make(name: str, url: str, read_only: bool) -> Database:  # noqa: FBT001 - called by position
        return make_database(settings, name, url, runtime, read_only=read_only, fetch=fetch)

    return Databases(make, lambda: default_url(hub), hub._named)  # noqa: SLF001 - they outlive `stop`


def make_database(
    settings: Settings,
    name: str,
    url: str,
    runtime: Runtime,
    *,
    pool_size: int | None = None,
    read_only: bool = False,
    fetch: Fetcher | None = None,
) -> Database:
    """Return a database with the limits of the settings."""
    from agentnb.core.db import Database

    database = Database(
        url,
        name=name,
        read_only=read_only,
        timeout=settings.db_timeout,
        rows=settings.db_rows,
        max_bytes=settings.db_max_bytes,
        pool_size=pool_size or settings.db_pool,
        resolve=settings.resolve,
        runtime=runtime,
        duck=_duck_limits(settings),
    )
    database.access.backend.downloads = fetch
    return database


def _duck_limits(settings: Settings) -> DuckLimits:
    """Return the limits of DuckDB: its SQL reaches the working directory and the workspace."""
    from agentnb.core.db.duck import DuckLimits

    more = tuple(settings.resolve(one) for one in settings.duck_dirs or ())
    return DuckLimits(
        folders=(Path.cwd(), settings.workspace, *more),
        home=settings.home,
        memory=f"{settings.duck_memory}B" if settings.duck_memory else None,
        spill=settings.home / "duck-spill",
    )


def default_url(hub: Hub) -> str:
    """Return DATABASE_URL, or the URL of the SQLite file in the home, which is made."""
    from agentnb.core.paths import ensure_home

    settings = hub.settings
    if settings.database_url:
        return settings.database_url
    database = ensure_home(settings.home) / "agentnb.db"
    if not database.exists():
        with suppress(OSError):  # SQLite says why the file cannot be made
            database.touch(mode=0o600)  # which SQLite's other files take over
    # Quoted, since a folder's name may hold what means something in a URL.
    return f"sqlite:///{quote(str(database))}"


DATABASES: Service[Databases] = Service(
    "databases",
    _databases,
    settings=(
        *("home", "workspace", "database_url", "db_max_bytes", "db_pool", "db_rows", "db_timeout"),
        *("duck_dirs", "duck_memory"),
    ),
    checks=lambda it: [Check(f"db {one.name}", one.kind, one.ping) for one in it.opened()],
    main=Main("db default", "sqlite", ("database_url",), lambda hub: hub.db),
)


def _redis(hub: Hub) -> RedisClient:
    from agentnb.core.redis import RedisClient

    settings = hub.settings
    return RedisClient(
        settings.redis_url,
        home=settings.home,
        prefix=settings.key_prefix,
        runtime=hub.runtime,
    )


REDIS: Service[RedisClient] = Service(
    "redis",
    _redis,
    settings=("home", "key_prefix", "redis_url"),
    checks=lambda it: [
        Check("redis", "embedded" if it.embedded else it.target.scheme, it.probe, lambda: it.node),
    ],
    main=Main("redis", "embedded", ("redis_url",), lambda hub: hub.redis),
)


def _cache(hub: Hub) -> Cache:
    from agentnb.core.cache import Cache

    settings = hub.settings
    # The memory of a shared server is its owner's, unless somebody says how much of it is ours.
    own, given = hub.redis.embedded, settings.source("cache_bytes") != "default"
    return Cache(
        hub.redis,
        prefix=settings.key_prefix,
        wait_seconds=settings.cache_wait,
        home=settings.home,
        max_bytes=settings.cache_bytes if own or given else None,
    )


CACHE: Service[Cache] = Service(
    "cache", _cache, settings=("cache_bytes", "cache_wait", "home", "key_prefix")
)


def _events(hub: Hub) -> EventBus:
    from agentnb.core.events import EventBus

    settings = hub.settings
    return EventBus(
        hub.redis,
        prefix=settings.key_prefix,
        log_size=settings.events_log,
        outbox_size=settings.events_outbox,
        payload=settings.events_payload,
    )


def _handlers(bus: EventBus) -> str:
    number = len(bus.subscriptions())
    return f"{number} handler{'' if number == 1 else 's'}"


EVENTS: Service[EventBus] = Service(
    "events",
    _events,
    settings=("events_log", "events_outbox", "events_payload", "key_prefix"),
    checks=lambda it: [Check("events", _handlers(it), untimed(it.ping))],
)
