"""How a hub makes each of its integrations; what one needs of another is opened before it.

What is opened first is closed last: the tracer and the log are there for all the others.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agentnb.core.errors import ConfigError, UntrustedPath, UsageError

if TYPE_CHECKING:
    from agentnb.core.api import APIClient, GitHub
    from agentnb.core.api.clients import Clients
    from agentnb.core.cache import Cache
    from agentnb.core.db import Database, Databases
    from agentnb.core.docker import DockerManager
    from agentnb.core.events import EventBus
    from agentnb.core.files import FileSystemManager
    from agentnb.core.git.credentials import Login
    from agentnb.core.git.repositories import Repositories
    from agentnb.core.hub import Hub
    from agentnb.core.queue import TaskQueue
    from agentnb.core.redis import RedisClient
    from agentnb.core.runtime import Runtime
    from agentnb.core.settings import Settings
    from agentnb.core.trace import LogFile, Tracer
    from agentnb.core.websocket import WebSockets
    from agentnb.core.workflow import Orchestrator

__all__ = [
    "apis",
    "cache",
    "databases",
    "docker",
    "events",
    "files",
    "github",
    "logs",
    "queues",
    "redis",
    "repositories",
    "tracer",
    "websockets",
    "workflows",
]


def tracer(hub: Hub) -> Tracer:
    """Return a tracer that writes under the home."""
    from agentnb.core.trace import Tracer

    _home(hub)
    return Tracer(hub.settings.home / "logs", redactor=hub.settings.redactor)


def logs(hub: Hub) -> LogFile:
    """Return the log file under the home, attached."""
    from agentnb.core.trace import LogFile

    settings = _home(hub)
    made = LogFile(
        settings.home / "logs",
        redactor=settings.redactor,
        hub_id=hub.id,
        level=settings.log_level,
    )
    made.attach()
    return made


def _home(hub: Hub) -> Settings:
    """Make the home where that is possible, and return the settings.

    A database elsewhere works without a home to write to; `logs.failed` says so.
    """
    from agentnb.core.paths import ensure_home

    try:
        ensure_home(hub.settings.home)
    except UntrustedPath:
        raise
    except ConfigError:
        pass
    return hub.settings


def _runtime(hub: Hub) -> Runtime:
    """Return the hub's runtime, with its log file and its tracer opened."""
    from agentnb.core.runtime import Runtime

    _ = hub.logs
    return Runtime(hub.tracer, hub.settings.redactor, hub.id)


def databases(hub: Hub) -> Databases:
    """Return the named connections, the default one among them."""
    from agentnb.core.db import Databases

    settings = hub.settings
    runtime = _runtime(hub)

    def make(name: str, url: str, read_only: bool) -> Database:  # noqa: FBT001 - called by position
        return _database(settings, name, url, runtime, read_only=read_only)

    return Databases(make, lambda: _default_url(hub), hub.named)


def _database(
    settings: Settings,
    name: str,
    url: str,
    runtime: Runtime,
    *,
    pool_size: int | None = None,
    read_only: bool = False,
) -> Database:
    from agentnb.core.db import Database

    return Database(
        url,
        name=name,
        read_only=read_only,
        timeout=settings.db_timeout,
        rows=settings.db_rows,
        max_bytes=settings.db_max_bytes,
        pool_size=pool_size or settings.db_pool,
        resolve=settings.resolve,
        runtime=runtime,
    )


def _default_url(hub: Hub) -> str:
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


def redis(hub: Hub) -> RedisClient:
    """Return the client of REDIS_URL or of the home's embedded server."""
    from agentnb.core.redis import RedisClient

    settings = hub.settings
    return RedisClient(settings.redis_url, home=settings.home, runtime=_runtime(hub))


def cache(hub: Hub) -> Cache:
    """Return the cache on the hub's Redis."""
    from agentnb.core.cache import Cache

    settings = hub.settings
    return Cache(hub.redis, prefix=settings.key_prefix, wait_seconds=settings.cache_wait)


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
    )


def files(hub: Hub) -> FileSystemManager:
    """Return the workspace."""
    from agentnb.core.files import FileSystemManager

    settings = hub.settings
    return FileSystemManager(
        settings.workspace,
        max_size=settings.file_size,
        quota=settings.files_quota,
        read_only=settings.workspace_read_only,
        home=settings.home,
        runtime=_runtime(hub),
    )


def repositories(hub: Hub) -> Repositories:
    """Return what makes the managers of git, by their folders."""
    from agentnb.core.git.repositories import Repositories

    settings = hub.settings
    return Repositories(
        workspace=settings.workspace,
        home=settings.home,
        # One that the user has chosen may be meant to be in a repository.
        scratch=settings.workspace if settings.source("workspace") == "default" else None,
        logins=_git_logins(hub),
        timeout=settings.git_timeout,
        protected=settings.git_protected or (),
        filters=settings.git_filters,
        runtime=_runtime(hub),
    )


def _git_logins(hub: Hub) -> list[Login]:
    from agentnb.core.git.credentials import Login, logins

    settings = hub.settings
    found = []
    if settings.github_token is not None:
        found.append(Login("https://github.com", "x-access-token", settings.github_token))
    if settings.git_credentials is not None:
        try:
            found += logins(settings.git_credentials.reveal().split())
        except UsageError as error:
            raise ConfigError(
                "AGENTNB_GIT_CREDENTIALS cannot be understood",
                service="settings",
                hint="https://USER:TOKEN@HOST, several with spaces between them",
            ) from error
    for login in found:
        settings.redactor.add(login.password.reveal())
    return found


def docker(hub: Hub) -> DockerManager:
    """Return the containers of the home, on the engine that DOCKER_HOST or DOCKER_CONTEXT means."""
    from dataclasses import replace

    from agentnb.core.docker import POLICIES, DockerManager
    from agentnb.core.paths import ensure_home

    settings = hub.settings
    policies = [
        replace(
            POLICIES[name],
            memory=settings.docker_memory,
            cpus=settings.docker_cpus,
            pids=settings.docker_pids,
        )
        for name in settings.docker_policies
    ]
    return DockerManager(
        settings.docker_host,
        context=settings.docker_context,
        home=ensure_home(settings.home),
        policies=policies,
        roots=[settings.root, settings.workspace],
        workspace=settings.workspace,
        runtime=_runtime(hub),
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
        result_ttl=settings.queue_result_ttl,
        key_ttl=settings.key_ttl,
        wrap=hub.wrap_processor,
    )


def apis(hub: Hub) -> Clients:
    """Return what makes the clients of APIs, by their base URLs."""
    from agentnb.core.api import APIClient
    from agentnb.core.api.clients import Clients

    settings = hub.settings
    runtime = _runtime(hub)

    def make(base_url: str, **options: Any) -> APIClient:
        defaults = {"timeout": settings.api_timeout, "max_bytes": settings.api_max_bytes}
        return APIClient(
            base_url,
            **(defaults | {"workspace": lambda: hub.files} | options),
            runtime=runtime,
        )

    return Clients(make)


def github(hub: Hub) -> GitHub:
    """Return GitHub's API, with GITHUB_TOKEN if it is set."""
    from agentnb.core.api import GitHub
    from agentnb.core.api.github import HEADERS

    token = hub.settings.github_token
    client = hub.api(hub.settings.github_url, auth=token, headers=HEADERS)
    return GitHub(client, has_token=token is not None)


def websockets(hub: Hub) -> WebSockets:
    """Return the clients of WebSockets."""
    from agentnb.core.websocket import WebSockets

    return WebSockets(
        home=hub.settings.home,
        runtime=_runtime(hub),
    )


def workflows(hub: Hub) -> Orchestrator:
    """Return the orchestrator of workflows, on connections of its own to the default database."""
    from agentnb.core.redis import Keys
    from agentnb.core.workflow import Orchestrator
    from agentnb.core.workflow.bell import RedisBell

    settings = hub.settings
    keys = Keys(settings.key_prefix)
    # Opened first, so that it is closed last: what happens is still published then. Without a
    # server workers look by themselves, and events stay in the outbox.
    bus = redis = None
    with suppress(ConfigError):
        redis, bus = hub.redis, hub.events
    # Tasks may hold all connections of `hub.db`; a heartbeat must not wait for them.
    database = _database(settings, "workflows", _default_url(hub), _runtime(hub), pool_size=8)
    return Orchestrator(
        database,
        scope=settings.key_prefix or "agentnb",
        home=settings.home,
        lease=settings.workflow_lease,
        limit=settings.workflow_payload,
        key_ttl=settings.key_ttl,
        services=lambda name: getattr(hub, name),
        events=bus,
        bell=RedisBell(redis.untraced, lambda agent: keys.internal("workflow", "bell", agent))
        if redis is not None
        else None,
        owns_database=True,
    )
