"""Health of the services of a hub: each is asked at once, and has the same time to answer."""

from __future__ import annotations

from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    from agentnb.core.hub import Hub
    from agentnb.core.services.entry import Check, Service

__all__ = ["NOT_OPENED", "Prober", "Readiness", "State", "checks_of"]

OK = "ok"
_SHARE = 0.9  # of the time, for a service: its own error says more than that of the time-out
NOT_OPENED = "not opened"


class State(NamedTuple):
    """The state of one service.

    Attributes
    ----------
    service, kind
        Its name, and its variety.
    state
        ``ok``, ``not opened``, or the error.
    ms
        The milliseconds of the answer.
    """

    service: str
    kind: str
    state: str
    ms: float | None


class Readiness:
    """Whether the services of a hub can be used; true where all of them can.

    Parameters
    ----------
    states
        The state of each service.

    Examples
    --------
    >>> found = Readiness([State("redis", "embedded", "ok", 0.4)])
    >>> found.ok, found.services
    (True, {'redis': 'ok'})
    """

    __slots__ = ("services",)

    def __init__(self, states: Iterable[State]) -> None:
        self.services: dict[str, str] = {one.service: one.state for one in states}
        """The state of each service by its name: ``ok`` or the error."""

    @property
    def ok(self) -> bool:
        """Whether there are services, and every one of them answered."""
        return bool(self.services) and all(state == OK for state in self.services.values())

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"Readiness(ok={self.ok}, services={self.services})"


class Prober:
    """Runs checks in parallel, in one thread for each service at most.

    A check that has not ended in time goes on in its thread; the next call waits for that one,
    and starts no other.
    """

    def __init__(self) -> None:
        from agentnb.core.forking import ForkGuard

        self._fork = ForkGuard()
        self._running: dict[tuple[str, str], Future[tuple[str, float]]] = {}

    def states(self, checks: Sequence[Check], seconds: float) -> list[State]:
        """Return the state of each service, within the seconds given."""
        if self._fork.forked:  # a forked child has none of these threads
            self._fork.reset()
            self._running = {}
        until = monotonic() + seconds
        begun = [(check, self._begin(check, seconds)) for check in checks]
        ended = [(check, self._end(check, future, until, seconds)) for check, future in begun]
        return [State(check.service, check.describe(), *found) for check, found in ended]

    def _begin(self, check: Check, seconds: float) -> Future[tuple[str, float]]:
        from agentnb.core.background import run_in_thread

        key = (check.service, check.kind)
        future = self._running.get(key)
        if future is None or future.done():
            future = self._running[key] = run_in_thread(_probe, check, seconds, name="health")
        return future

    def _end(
        self, check: Check, future: Future[tuple[str, float]], until: float, seconds: float
    ) -> tuple[str, float]:
        try:
            found = future.result(max(until - monotonic(), 0.0))
        except TimeoutError:
            return f"DeadlineExceeded: no answer within {seconds:g} s", round(seconds * 1000, 1)
        self._running.pop((check.service, check.kind), None)
        return found


def _probe(check: Check, seconds: float) -> tuple[str, float]:
    """Return the state of a service, and the milliseconds that its answer took."""
    from agentnb.core.redact import redact

    started = perf_counter()
    try:
        check.ping(seconds * _SHARE)
        state = OK
    except Exception as error:  # noqa: BLE001 - a state, whatever it is
        state = redact(f"{type(error).__name__}: {error}")
    return state, round((perf_counter() - started) * 1000, 1)


def checks_of(hub: Hub, opened: dict[str, Any], services: Iterable[Service[Any]]) -> list[Check]:
    """Return the checks of the services that are opened, and of those that are configured."""
    checks: list[Check] = []
    for service in services:
        found = service.checks(opened[service.name]) if service.name in opened else ()
        rows = {check.service: check for check in found}
        main = service.main
        if main is not None and main.service not in rows and main.is_configured(hub.settings):
            rows = {main.service: main.check(hub, service)} | rows
        checks += rows.values()
    return checks
