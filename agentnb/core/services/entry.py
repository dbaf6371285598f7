"""An entry of the registry: one service, how it is made, and how it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.hub import Hub

__all__ = ["Check", "Closeable", "Service"]


class Closeable(Protocol):
    """A service, as the hub that owns it sees it."""

    def close(self) -> object:
        """Close the service and all that it has opened."""


T = TypeVar("T", bound=Closeable)


class Check(NamedTuple):
    """One row of ``hub.health()``: a service, its kind, and the call that tells how it is."""

    service: str
    kind: str
    ping: Callable[[], object]


class Service(Generic[T]):
    """One service of a hub.

    Parameters
    ----------
    name
        The name in ``repr(hub)``, and in the list that ``hub.stop()`` returns.
    factory
        Makes the service for a hub. `Hub.stop` calls its ``close``.
    settings
        The settings that the factory reads.
    checks
        Returns the rows of ``hub.health()`` of the opened service.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[Hub], T],
        *,
        settings: tuple[str, ...] = (),
        checks: Callable[[T], Iterable[Check]] = lambda _: (),
    ) -> None:
        self.name = name
        self.factory = factory
        self.settings = settings
        self.checks = checks

    def __repr__(self) -> str:
        return f"Service({self.name!r})"
