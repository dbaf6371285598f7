"""Open services by their names, ahead of their first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.hub import Hub

__all__ = ["OPENERS", "open_services"]

OPENERS: dict[str, Callable[[Hub], object]] = {
    "db": lambda hub: hub.db.ping(),
    "redis": lambda hub: hub.redis.ping(),
    "cache": lambda hub: hub.cache,
    "events": lambda hub: hub.events,
    "queue": lambda hub: hub.queues,
    "workflow": lambda hub: hub.workflows,
    "files": lambda hub: hub.files.ping(),
    "git": lambda hub: hub._repositories.ping(),  # noqa: SLF001 - without a repository as well
    "api": lambda hub: hub.apis,
    "websocket": lambda hub: hub.websockets,
    "docker": lambda hub: hub.docker.ping(),
}
"""How each service is opened: it is made, and its server is reached where it has one."""


def open_services(hub: Hub, names: tuple[str, ...]) -> None:
    """Open services of a hub, in the order of their dependencies.

    Parameters
    ----------
    hub
        The hub.
    names
        Names of `OPENERS`; none for all but ``git`` and ``docker``, whose program and engine
        most services have no use for.

    Raises
    ------
    UsageError
        There is no service of a name.
    """
    for name in names:
        if name not in OPENERS:
            raise UsageError(
                f"there is no service {name!r}",
                service="hub",
                hint=did_you_mean(name, OPENERS, "services"),
            )
    chosen = names or OPENERS.keys() - {"git", "docker"}
    for name, opener in OPENERS.items():
        if name in chosen:
            opener(hub)
