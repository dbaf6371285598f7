"""The registry of services: how a hub makes, checks and closes each of them.

A service is made on its first use, from the hub's settings and the services that it stands on.
Those are opened before it, and closed after it.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError
from agentnb.core.services.data import CACHE, DATABASES, EVENTS, LOGS, REDIS, TRACER
from agentnb.core.services.entry import Check, Service
from agentnb.core.services.outside import APIS, DOCKER, FILES, GITHUB, REPOSITORIES, WEBSOCKETS
from agentnb.core.services.work import QUEUES, WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.table import Table
    from agentnb.core.trace import LogFile

__all__ = [
    "APIS",
    "CACHE",
    "DATABASES",
    "DOCKER",
    "EVENTS",
    "FILES",
    "GITHUB",
    "LOGS",
    "QUEUES",
    "REDIS",
    "REPOSITORIES",
    "SERVICES",
    "TRACER",
    "WEBSOCKETS",
    "WORKFLOWS",
    "Service",
    "health",
]

SERVICES: tuple[Service[Any], ...] = (
    *(LOGS, TRACER, DATABASES, REDIS, CACHE, EVENTS, QUEUES, WORKFLOWS, FILES, REPOSITORIES),
    *(DOCKER, APIS, GITHUB, WEBSOCKETS),
)
"""Every service, in the order of the rows of ``hub.health()``."""


def health(opened: Mapping[str, Any], *, closed: bool) -> Table:
    """Return the state of each opened service: it is pinged, the others are not touched.

    Parameters
    ----------
    opened
        The services of a hub by their names.
    closed
        Whether the hub is closed, for the text of an empty table.
    """
    from agentnb.core.table import Table

    logs: LogFile | None = opened.get(LOGS.name)
    failed = logs.failed if logs else None
    checks = [
        check
        for service in SERVICES
        if service.name in opened
        for check in service.checks(opened[service.name])
    ]
    return Table(
        ("service", "kind", "state", "ms"),
        [(check.service, check.kind, *_pinged(check)) for check in checks],
        note=f"no log is written: {failed}" if failed else "",
        empty="this hub is closed"
        if closed
        else "nothing has been opened yet: services open on first use",
    )


def _pinged(check: Check) -> tuple[str, float]:
    """Return the state of a service, and the milliseconds that its answer took."""
    started = perf_counter()
    try:
        check.ping()
        state = "ok"
    except AgentnbError as error:
        state = f"{type(error).__name__}: {error}"
    return state, round((perf_counter() - started) * 1000, 1)
