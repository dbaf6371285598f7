"""The circuit breakers of the opened services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.services import APIS, REDIS

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.core.resilience import Breaker

__all__ = ["breakers_of"]


def breakers_of(hub: Hub) -> dict[str, list[Breaker]]:
    """Return the breakers of the services that are opened; looking opens none."""
    opened = hub._opened  # noqa: SLF001 - of this core
    found: dict[str, list[Breaker]] = {}
    if APIS.name in opened:
        found["api"] = list(hub.apis.breakers)
    if REDIS.name in opened:
        breaker = hub.redis._manager.breaker  # noqa: SLF001 - as above
        found["redis"] = [] if breaker is None else [breaker]
    return found
