"""The registry of services: how a hub makes, checks and closes each of them.

A service is made on its first use, from the hub's settings and the services that it stands on.
Those are opened before it, and closed after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.services.data import CACHE, DATABASES, EVENTS, LOGS, REDIS, TRACER, TRACES
from agentnb.core.services.entry import Service
from agentnb.core.services.health import NOT_OPENED, Prober, Readiness, State, checks_of
from agentnb.core.services.outside import (
    APIS,
    DOCKER,
    FILES,
    GITHUB,
    MCP,
    REPOSITORIES,
    TOOLS,
    WEBSOCKETS,
)
from agentnb.core.services.work import QUEUES, WORKFLOWS

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.core.table import Table
    from agentnb.core.trace import LogFile, Tracer

__all__ = [
    "APIS",
    "CACHE",
    "DATABASES",
    "DOCKER",
    "EVENTS",
    "FILES",
    "GITHUB",
    "HIDDEN",
    "LOGS",
    "MCP",
    "QUEUES",
    "REDIS",
    "REPOSITORIES",
    "SERVICES",
    "TOOLS",
    "TRACER",
    "TRACES",
    "WEBSOCKETS",
    "WORKFLOWS",
    "Prober",
    "Readiness",
    "Service",
    "health",
    "ready",
]

SERVICES: tuple[Service[Any], ...] = (
    *(
        LOGS,
        TRACER,
        TRACES,
        DATABASES,
        REDIS,
        CACHE,
        EVENTS,
        QUEUES,
        WORKFLOWS,
        FILES,
        REPOSITORIES,
    ),
    *(DOCKER, APIS, GITHUB, WEBSOCKETS, TOOLS, MCP),
)
"""Every service, in the order of the rows of ``hub.health()``."""

HIDDEN = frozenset({LOGS.name, TRACER.name, TRACES.name, TOOLS.name})
"""The names of those that serve the others, and are not shown among them."""


def ready(hub: Hub, opened: dict[str, Any], seconds: float) -> Readiness:
    """Return the states of the opened and the configured services, within the seconds given.

    Where there is neither, the default database is opened.

    Parameters
    ----------
    hub
        The hub.
    opened
        Its services by their names.
    seconds
        The time for all of them.
    """
    checks = checks_of(hub, opened, SERVICES)
    if not checks and DATABASES.main is not None:
        checks = [DATABASES.main.check(hub, DATABASES)]
    return Readiness(hub._prober.states(checks, seconds))  # noqa: SLF001 - the registry's own


def _states(hub: Hub, opened: dict[str, Any], seconds: float) -> list[State]:
    checks = checks_of(hub, opened, SERVICES)
    if checks:
        return hub._prober.states(checks, seconds)  # noqa: SLF001 - the registry's own
    return [
        State(main.service, main.kind, NOT_OPENED, None)
        for main in (DATABASES.main, REDIS.main)
        if main is not None
    ]


def _lost(logs: LogFile | None, tracer: Tracer | None) -> str:
    """Return a note about the log and the spans that are not written or not exported."""
    notes = []
    if logs is not None and logs.failed:
        notes.append(f"no log is written: {logs.failed}")
    if tracer is not None:
        if tracer.failed:
            notes.append(f"no spans are written: {tracer.failed}")
        notes += [
            f"{one.dropped:,} spans were not exported to {one.target}: {one.reason}"
            for one in tracer._exports  # noqa: SLF001 - of this core
            if one.dropped
        ]
    return "; ".join(notes)


def health(hub: Hub, opened: dict[str, Any], seconds: float) -> Table:
    """Return the same as a table, and open nothing that is not configured."""
    from agentnb.core.table import Table

    found = [] if hub.closed else _states(hub, opened, seconds)
    note = _lost(opened.get(LOGS.name), opened.get(TRACER.name))
    if any(one.state == NOT_OPENED for one in found):
        note = "nothing has been opened yet: services open on first use"
    return Table(("service", "kind", "state", "ms"), found, note=note, empty="this hub is closed")
