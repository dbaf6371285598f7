"""The clients of a hub: one for each base URL and options, with the breakers that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from agentnb.core.api.address import base_of, shown
from agentnb.core.api.breakers import Breakers
from agentnb.core.errors import CircuitOpen, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.api.arguments import ClientOptions
    from agentnb.core.api.client import APIClient

__all__ = ["Clients"]


class Clients:
    """Makes clients and keeps them.

    Parameters
    ----------
    make
        Makes one, from a base URL and options.
    """

    def __init__(self, make: Callable[..., APIClient]) -> None:
        self._make = make
        self._lock = new_lock()
        self._kept: dict[Any, APIClient] = {}
        self._closed = False
        self.breakers = Breakers()

    def get(self, base_url: str, **options: Unpack[ClientOptions]) -> APIClient:
        """Return the client of a base URL and these options, made on first use.

        Raises
        ------
        UsageError
            It is no URL, or an option cannot have its value.
        """
        # The login belongs to the key: another one is another client.
        key = (*base_of(base_url), _frozen(options))
        with self._lock:
            if self._closed:
                raise UsageError(
                    "the hub's API clients are closed",
                    service="api",
                    hint="connect again: hub = agentnb.connect()",
                )
            found = self._kept.get(key)
            if found is None or found.closed:
                found = self._kept[key] = self._make(base_url, breakers=self.breakers, **options)
            return found

    def all(self) -> list[APIClient]:
        """Return the clients, in the order in which they were made."""
        with self._lock:
            return [one for one in self._kept.values() if not one.closed]

    def serving(self, url: str) -> APIClient | None:
        """Return the client whose base URL a URL is under, the nearest one; None for none."""
        found = [
            one
            for one in self.all()
            if f"{url}" == one.base_url
            or f"{url}".startswith((f"{one.base_url}/", f"{one.base_url}?"))
        ]
        return max(found, key=lambda one: len(one.base_url), default=None)

    def table(self) -> Table:
        """Return the clients with their counts and the breakers of their hosts."""
        rows = []
        for one in self.all():
            breaker = self.breakers.of(one.origin).snapshot()
            count = one.count
            state = str(breaker["state"])
            if breaker["retry_in"]:
                state += f", {breaker['retry_in']:.0f} s left"
            rows.append(
                (
                    shown(one.base_url),
                    count.calls,
                    count.failures,
                    count.retries,
                    count.last or "",
                    None if count.ms is None else round(count.ms, 1),
                    state,
                )
            )
        return Table(
            ("client", "calls", "failed", "retries", "last", Column("ms", "number"), "breaker"),
            rows,
            empty='no API has been called yet: hub.api("https://...").get("/path") (%api get URL)',
        )

    def ping(self) -> None:
        """Check that no breaker is open. No host is called, since calls may cost something.

        Raises
        ------
        CircuitOpen
            One that has failed is left alone for a while.
        """
        for breaker in self.breakers:
            found = breaker.snapshot()
            if found["state"] == "open":
                raise CircuitOpen(
                    f"{breaker.service} is left alone for {found['retry_in']:.0f} s",
                    service="api",
                    hint=f"the last time: {found['last_error']}",
                )

    def close(self) -> None:
        """Close the clients."""
        with self._lock:
            self._closed = True
            kept = list(self._kept.values())
            self._kept.clear()
        for one in kept:
            one.close()

    async def aclose(self) -> None:
        """Await `close`, with the connections of the running loop."""
        for one in self.all():
            await one.aclose()
        self.close()


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, _frozen(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value
