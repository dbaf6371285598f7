"""How a hub makes each of its integrations; what one needs of another is opened before it.

What is opened first is closed last: the tracer and the log are there for all the others.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentnb.core.errors import ConfigError

if TYPE_CHECKING:
    from agentnb.core.cache import Cache
    from agentnb.core.db import Database, Databases
    from agentnb.core.events import EventBus
    from agentnb.core.hub import Hub
    from agentnb.core.queue import TaskQueue
    from agentnb.core.redis import RedisClient
    from agentnb.core.trace import LogFile, Tracer

__all__ = ["cache", "databases", "events", "logs", "queues", "redis", "tracer"]


def tracer(hub: Hub) -> Tracer:
    """Return a tracer that writes under the home."""
    from agentnb.core.trace import Tracer

    return Tracer(hub.settings.home / "logs", redactor=hub.settings.redactor)


def logs(hub: Hub) -> LogFile:
    """Return the log file under the home, attached."""
    from agentnb.core.paths import ensure_home
    from agentnb.core.trace import LogFile

    # A database elsewhere works without a home to write to; `logs.failed` says so.
    with suppress(ConfigError):
        ensure_home(hub.settings.home)
    made = LogFile(hub.settings.home / "logs", redactor=hub.settings.redactor, hub_id=hub.id)
    made.attach()
    return made


def databases(hub: Hub) -> Databases:
    """Return the named connections, the default one among them."""
    from agentnb.core.db import Database, Databases
    from agentnb.core.paths import ensure_home

    settings = hub.settings
    _ = hub.logs, hub.tracer

    def make(name: str, url: str, read_only: bool) -> Database:  # noqa: FBT001 - called by position
        return Database(
            url,
            name=name,
            read_only=read_only,
            timeout=settings.db_timeout,
            rows=settings.db_rows,
            pool_size=settings.db_pool,
            resolve=settings.resolve,
            tracer=hub.tracer,
            hub_id=hub.id,
        )

    def default_url() -> str:
        if settings.database_url:
            return settings.database_url
        # Quoted, since a folder's name may hold what means something in a URL.
        return f"sqlite:///{quote(str(ensure_home(settings.home) / 'agentnb.db'))}"

    return Databases(make, default_url, hub.named)


def redis(hub: Hub) -> RedisClient:
    """Return the client of REDIS_URL or of the home's embedded server."""
    from agentnb.core.redis import RedisClient

    settings = hub.settings
    _ = hub.logs, hub.tracer
    return RedisClient(settings.redis_url, home=settings.home, tracer=hub.tracer, hub_id=hub.id)


def cache(hub: Hub) -> Cache:
    """Return the cache on the hub's Redis."""
    from agentnb.core.cache import Cache

    return Cache(hub.redis, prefix=hub.settings.key_prefix, hub_id=hub.id)


def events(hub: Hub) -> EventBus:
    """Return the event bus on the hub's Redis."""
    from agentnb.core.events import EventBus

    settings = hub.settings
    return EventBus(
        hub.redis,
        prefix=settings.key_prefix,
        log_size=settings.events_log,
        outbox_size=settings.events_outbox,
        payload=settings.events_payload,
        hub_id=hub.id,
    )


def queues(hub: Hub) -> TaskQueue:
    """Return the task queues on the hub's Redis."""
    from agentnb.core.queue import TaskQueue

    settings = hub.settings
    return TaskQueue(
        hub.redis,
        prefix=settings.key_prefix,
        events=hub.events,
        lease=settings.queue_lease,
        limit=settings.queue_payload,
        tracer=hub.tracer,
        redactor=settings.redactor,
        hub_id=hub.id,
    )
