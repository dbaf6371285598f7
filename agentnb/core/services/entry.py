"""An entry of the registry: one service, how it is made, and how it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.hub import Hub
    from agentnb.core.settings import Settings

__all__ = ["Check", "Closeable", "Main", "Service", "untimed"]


class Closeable(Protocol):
    """A service, as the hub that owns it sees it."""

    def close(self) -> object:
        """Close the service and all that it has opened."""


T = TypeVar("T", bound=Closeable)


def _nothing() -> None:
    """Stand for no detail."""


class Check(NamedTuple):
    """One row of ``hub.health()``: a service, its kind, and the call that tells how it is.

    The call is given the seconds that it has. The detail is shown beside the kind; it is asked for
    after the call.
    """

    service: str
    kind: str
    ping: Callable[[float], object]
    detail: Callable[[], str | None] = _nothing

    def describe(self) -> str:
        """Return the kind, with the detail."""
        detail = self.detail()
        return f"{self.kind}, {detail}" if detail else self.kind


def untimed(ping: Callable[[], object]) -> Callable[[float], object]:
    """Return the call of a check that is quick, or has a time-out of its own."""
    return lambda _: ping()


class Main(NamedTuple):
    """The row of ``hub.health()`` that a service has before it is opened.

    Attributes
    ----------
    service
        Its name in the row.
    kind
        Its variety where nothing is configured.
    settings
        The settings that configure it: URLs of servers.
    open
        Opens it.
    """

    service: str
    kind: str
    settings: tuple[str, ...]
    open: Callable[[Hub], object]

    def is_configured(self, settings: Settings) -> bool:
        """Return whether a setting names the server."""
        return any(getattr(settings, name) is not None for name in self.settings)

    def check(self, hub: Hub, service: Service[Any]) -> Check:
        """Return the check that opens the service, and pings it."""
        url = next((text for name in self.settings if (text := getattr(hub.settings, name))), "")
        scheme, found, _ = url.partition("://")

        def own() -> list[Check]:
            opened = hub._opened.get(service.name)  # noqa: SLF001 - the registry's own
            checks = () if opened is None else service.checks(opened)
            return [check for check in checks if check.service == self.service]

        def ping(seconds: float) -> None:
            self.open(hub)
            for check in own():
                check.ping(seconds)

        kind = scheme.partition("+")[0] if found else self.kind
        return Check(self.service, kind, ping, lambda: next((c.detail() for c in own()), None))


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
    main
        The row that it has before it is opened; None for none.
    """

    def __init__(
        self,
        name: str,
        factory: Callable[[Hub], T],
        *,
        settings: tuple[str, ...] = (),
        checks: Callable[[T], Iterable[Check]] = lambda _: (),
        main: Main | None = None,
    ) -> None:
        self.name = name
        self.factory = factory
        self.settings = settings
        self.checks = checks
        self.main = main

    def __repr__(self) -> str:
        return f"Service({self.name!r})"
