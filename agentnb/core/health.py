"""How the services are that a hub has opened."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.api.clients import Clients
    from agentnb.core.db import Databases
    from agentnb.core.docker import DockerManager
    from agentnb.core.events import EventBus
    from agentnb.core.files import FileSystemManager
    from agentnb.core.git.repositories import Repositories
    from agentnb.core.redis import RedisClient
    from agentnb.core.table import Table
    from agentnb.core.trace import LogFile
    from agentnb.core.websocket import WebSockets
    from agentnb.core.workflow import Orchestrator

__all__ = ["check"]


def check(opened: Mapping[str, Any], *, closed: bool) -> Table:
    """Ping each service that has been opened.

    Parameters
    ----------
    opened
        A hub's integrations by their names; the others are not touched.
    closed
        Whether the hub is closed, for the text of an empty table.
    """
    from agentnb.core.table import Table

    logs: LogFile | None = opened.get("logs")
    failed = logs.failed if logs else None
    return Table(
        ("service", "kind", "state", "ms"),
        list(_rows(opened)),
        note=f"no log is written: {failed}" if failed else "",
        empty="this hub is closed"
        if closed
        else "nothing has been opened yet: services open on first use",
    )


def _rows(opened: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    databases: Databases | None = opened.get("databases")
    for database in databases.opened() if databases else ():
        yield (f"db {database.name}", database.kind, *_pinged(database.ping))
    redis: RedisClient | None = opened.get("redis")
    if redis is not None:
        kind = "embedded" if redis.embedded else redis.target.scheme
        yield ("redis", kind, *_pinged(redis.ping))
    events: EventBus | None = opened.get("events")
    if events is not None:
        yield ("events", f"{len(events.subscriptions())} handlers", *_pinged(events.ping))
    workflows: Orchestrator | None = opened.get("workflows")
    if workflows is not None:
        worker = workflows.worker
        kind = "no worker here" if worker is None else f"{worker.concurrency} threads"
        yield ("workflows", kind, *_pinged(workflows.ping))
    files: FileSystemManager | None = opened.get("files")
    if files is not None:
        yield ("files", files.confined_by, *_pinged(files.ping))
    repositories: Repositories | None = opened.get("repositories")
    if repositories is not None:
        yield ("git", "program", *_pinged(repositories.ping))
    docker: DockerManager | None = opened.get("docker")
    if docker is not None:
        yield ("docker", "engine", *_pinged(docker.ping))
    apis: Clients | None = opened.get("apis")
    if apis is not None:
        count = len(apis.all())
        kind = f"{count} client{'' if count == 1 else 's'}"
        yield ("api", kind, *_pinged(apis.ping))
    websockets: WebSockets | None = opened.get("websockets")
    for client in websockets.clients() if websockets else ():
        yield ("websocket", client.url, *_pinged(client.ping))


def _pinged(ping: Callable[[], object]) -> tuple[str, float]:
    """Return how a service is, and the milliseconds that it took to say so."""
    started = perf_counter()
    try:
        ping()
        state = "ok"
    except AgentnbError as error:
        state = f"{type(error).__name__}: {error}"
    return state, round((perf_counter() - started) * 1000, 1)
