"""Queues and workflows."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError
from agentnb.core.services.data import default_url, make_database
from agentnb.core.services.entry import Check, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.db import Database
    from agentnb.core.hub import Hub
    from agentnb.core.queue import Queues
    from agentnb.core.runtime import Runtime
    from agentnb.core.work.schedules.schedule import ScheduleInfo
    from agentnb.core.workflow import Orchestrator

__all__ = ["QUEUES", "WORKFLOWS", "make_queues", "make_workflows"]


def make_queues(hub: Hub, *, prefix: str | None = None, runtime: Runtime | None = None) -> Queues:
    """Return queues with the settings of a hub; by default those of its own key prefix."""
    from agentnb.core.queue import Queues

    settings = hub.settings
    notebook = hub._notebook  # noqa: SLF001 - None in a script
    return Queues(
        hub.redis,
        prefix=settings.key_prefix if prefix is None else prefix,
        runtime=runtime,
        events=hub.events,
        lease=settings.queue_lease,
        limit=settings.queue_payload,
        result_ttl=settings.queue_result_ttl,
        key_ttl=settings.key_ttl,
        executor=settings.executor,
        wrap=None if notebook is None else notebook.wrap_processor,
        views=None if notebook is None else notebook,
        hub=hub,
    )


class _Schedules:
    """The schedules of a service, as its row of ``hub.health()`` names them."""

    def __init__(self, read: Callable[[], Sequence[ScheduleInfo]]) -> None:
        self._read = read
        self._text: str | None = None

    def ping(self, _: float) -> None:
        """Read the schedules."""
        from agentnb.core.format import clock

        infos = self._read()
        times = [one.due for one in infos if one.due is not None]
        noun = "schedule" if len(infos) == 1 else "schedules"
        following = f", the next at {clock(min(times))}" if times else ""
        self._text = f"{len(infos)} {noun}{following}" if infos else None

    def detail(self) -> str | None:
        """Return how many there are and when the next is due, as last read."""
        return self._text


def _queue_checks(queues: Queues) -> list[Check]:
    working = len(queues.working())
    kind = "no worker here" if not working else f"{working} worked on here"
    schedules = _Schedules(queues.schedule_infos)
    return [Check("queue", kind, schedules.ping, schedules.detail)]


def _workflow_checks(orchestrator: Orchestrator) -> list[Check]:
    schedules = _Schedules(orchestrator.schedule_infos)
    return [Check("workflow", _workers(orchestrator), schedules.ping, schedules.detail)]


QUEUES: Service[Queues] = Service(
    "queues",
    make_queues,
    settings=(
        *("executor", "key_prefix", "key_ttl", "queue_lease", "queue_payload"),
        "queue_result_ttl",
    ),
    checks=_queue_checks,
)


def make_workflows(
    hub: Hub,
    *,
    scope: str | None = None,
    database: Database | None = None,
    runtime: Runtime | None = None,
) -> Orchestrator:
    """Return workflows with the settings of a hub; by default those of its own key prefix."""
    from agentnb.core.redis import Keys
    from agentnb.core.workflow import Orchestrator
    from agentnb.core.workflow.wakeup import RedisWakeup

    settings = hub.settings
    keys = Keys(settings.key_prefix)
    # Opened first, so that it is closed last: what happens is still published then. Without a
    # server workers look by themselves, and events stay in the outbox.
    bus = redis = None
    with suppress(ConfigError):
        redis, bus = hub.redis, hub.events
    # Tasks may hold all connections of `hub.db`; a heartbeat must not wait for them.
    own = database is None
    if database is None:
        url = default_url(hub)
        database = make_database(settings, "workflows", url, hub.runtime, pool_size=8)
    return Orchestrator(
        database,
        scope=scope or settings.key_prefix or "agentnb",
        home=settings.home,
        lease=settings.workflow_lease,
        limit=settings.workflow_payload,
        key_ttl=settings.key_ttl,
        executor=settings.executor,
        services=lambda name: getattr(hub, name),
        events=bus,
        wakeup=RedisWakeup(redis.untraced, lambda agent: keys.internal("workflow", "bell", agent))
        if redis is not None
        else None,
        hub=hub,
        owns_database=own,
        runtime=runtime,
    )


def _workers(orchestrator: Orchestrator) -> str:
    worker = orchestrator.worker
    if worker is None:
        return "no worker here"
    where = "threads" if worker.elsewhere is None else f"by {worker.elsewhere}"
    return f"{worker.concurrency} {where}"


WORKFLOWS: Service[Orchestrator] = Service(
    "workflows",
    make_workflows,
    settings=(
        *("database_url", "db_max_bytes", "db_rows", "db_timeout", "executor", "home"),
        "workspace",
        *("duck_dirs", "duck_memory"),
        "key_prefix",
        *("key_ttl", "workflow_lease", "workflow_payload"),
    ),
    checks=_workflow_checks,
)
