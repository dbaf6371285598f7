"""Breakers: one for each host, shared by its clients."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from agentnb.core.errors import PoolTimeout, UnavailableError
from agentnb.core.forking import new_lock
from agentnb.core.resilience import Breaker

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Breakers", "PoolTimeout"]


def _ill(error: Exception) -> bool:
    """Return whether an error is a failure of the service; a full pool of connections is none."""
    busy = getattr(error, "status", None) == HTTPStatus.TOO_MANY_REQUESTS
    limited = getattr(error, "status", None) == HTTPStatus.FORBIDDEN
    ours = isinstance(error, PoolTimeout)
    return isinstance(error, UnavailableError) and not busy and not limited and not ours


class Breakers:
    """The breakers of hosts, made when a host is first called.

    Parameters
    ----------
    failures
        The number of failures in a row that opens one.
    cooldown
        Seconds before a host is tried again.

    Examples
    --------
    >>> breakers = Breakers()
    >>> breakers.of("https://api.example") is breakers.of("https://api.example")
    True
    """

    def __init__(self, *, failures: int = 5, cooldown: float = 10.0) -> None:
        self._failures, self._cooldown = failures, cooldown
        self._lock = new_lock()
        self._by_origin: dict[str, Breaker] = {}

    def of(self, origin: str) -> Breaker:
        """Return the breaker of an origin, such as ``"https://api.example"``."""
        found = self._by_origin.get(origin)
        if found is None:
            with self._lock:
                found = self._by_origin.setdefault(
                    origin,
                    Breaker(origin, failures=self._failures, cooldown=self._cooldown, counts=_ill),
                )
        return found

    def __iter__(self) -> Iterator[Breaker]:
        with self._lock:
            return iter(list(self._by_origin.values()))
