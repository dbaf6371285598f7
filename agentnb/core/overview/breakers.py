"""The circuit breakers of the opened services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.services import APIS, DATABASES, REDIS

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.core.resilience import Breaker

__all__ = ["breakers_of"]


def breakers_of(hub: Hub) -> dict[str, dict[str, Breaker]]:
    """Return the breakers of the services that are opened, by their names; looking opens none.

    A breaker is called after the host, the connection or the server that it is about.
    """
    opened = hub._opened  # noqa: SLF001 - of this core
    found: dict[str, dict[str, Breaker]] = {}
    if DATABASES.name in opened:
        each = {f"database {one.name}": one.access.pool.breaker for one in hub.databases.opened()}
        found["db"] = {name: breaker for name, breaker in each.items() if breaker is not None}
    if REDIS.name in opened:
        of_redis = hub.redis._manager.breaker  # noqa: SLF001 - as above
        found["redis"] = {} if of_redis is None else {"redis": of_redis}
    if APIS.name in opened:
        found["api"] = {one.service: one for one in hub.apis.breakers}
    return found
