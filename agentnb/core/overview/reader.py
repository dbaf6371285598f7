"""Takes snapshots of the opened services, again and again, at little cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.overview import needs
from agentnb.core.overview.breakers import breakers_of
from agentnb.core.overview.calls import CallWindow, history_of
from agentnb.core.overview.errors import ErrorLine, errors_of_spans, newest_errors, stored_errors
from agentnb.core.overview.model import Overview, ServiceCard
from agentnb.core.services import (
    APIS,
    CACHE,
    DATABASES,
    DOCKER,
    EVENTS,
    FILES,
    LOGS,
    QUEUES,
    REDIS,
    REPOSITORIES,
    TRACER,
    WEBSOCKETS,
    WORKFLOWS,
    Prober,
)
from agentnb.core.services.entry import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.hub import Hub
    from agentnb.core.overview.calls import WindowedCalls
    from agentnb.core.overview.model import Need
    from agentnb.core.queue import Queues
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.workflow.running import RunningWorkflow
    from agentnb.core.workflow.workers import SilentWorker

__all__ = ["OverviewReader"]

_NAMES = {
    "db": DATABASES.name,
    "redis": REDIS.name,
    "cache": CACHE.name,
    "events": EVENTS.name,
    "queue": QUEUES.name,
    "workflow": WORKFLOWS.name,
    "files": FILES.name,
    "git": REPOSITORIES.name,
    "api": APIS.name,
    "websocket": WEBSOCKETS.name,
    "docker": DOCKER.name,
}
_OK = "ok"
_SLOW = 10.0
"""Seconds between two readings of what changes slowly or costs more."""
_SHARE = 0.05
"""Part of the time that the statement for workflows may take."""
_ERRORS = 8
_SPANS = 500
_HISTORY = 2000
_WORKFLOWS = 200
_RETRIED = 100_000


class OverviewReader:
    """Takes snapshots of what a hub has opened; opens nothing.

    A store that is away costs a snapshot the time-out at most, and is not asked again before it
    has answered. No service is pinged.

    Parameters
    ----------
    hub
        The hub.
    timeout
        Seconds for the stores together.

    Examples
    --------
    >>> import agentnb
    >>> with agentnb.connect(database_url="sqlite://") as hub:
    ...     _ = hub.db.query("select 1")
    ...     found = OverviewReader(hub).read()
    >>> [card.service for card in found.cards if card.opened], list(found.needs)
    (['db'], [])
    """

    def __init__(self, hub: Hub, *, timeout: float = 2.0) -> None:
        self._hub = hub
        self._timeout = timeout
        self._window = CallWindow()
        self._prober = Prober()
        self._of: Queues | None = None
        self._quick: Queues | None = None
        self._queues: Sequence[QueueOverview] = ()
        self._workflows: Sequence[RunningWorkflow] = ()
        self._silent: Sequence[SilentWorker] = ()
        self._next_workflows = self._next_stored = self._next_disk = 0.0
        self._stored: dict[str, list[ErrorLine]] = {}
        self._failed = -1
        self._disk: list[Need] = []

    def read(self) -> Overview:
        """Return a snapshot."""
        hub = self._hub
        opened = {} if hub.closed else dict(hub._opened)  # noqa: SLF001 - of this core
        settings = hub.settings
        problems = self._read_stores(opened)
        tracer = opened.get(TRACER.name)
        calls = self._window.read(None if tracer is None else tracer.counters, now=time.monotonic())
        breakers = breakers_of(hub) if opened else {}
        found = needs.ordered(
            (
                needs.of_breakers(breakers),
                needs.of_problems(problems),
                needs.of_queues(self._queues, self._newest()),
                needs.of_workflows(self._workflows),
                needs.of_agents(self._silent),
                needs.of_traces(tracer, opened.get(LOGS.name)),
                self._disk_needs(),
            )
        )
        lines = [] if tracer is None else errors_of_spans(tracer.recent(_SPANS), settings.redactor)
        stored = [line for each in self._stored.values() for line in each]
        open_ones = {
            service: sum(one.state == "open" for one in each.values())
            for service, each in breakers.items()
        }
        return Overview(
            time.time(),
            settings.key_prefix,
            str(settings.home),
            found,
            self._cards(opened, calls, open_ones),
            self._queues,
            self._workflows,
            newest_errors([*lines, *stored], _ERRORS),
        )

    def history(self, *, points: int, every: float) -> dict[str, list[tuple[int, int]]]:
        """Return the last calls to each service and those that failed, as far as known.

        Parameters
        ----------
        points, every
            The number of steps of time, and the seconds of each.
        """
        tracer = self._hub._opened.get(TRACER.name)  # noqa: SLF001 - of this core
        spans = [] if tracer is None else tracer.recent(_HISTORY)
        return history_of(spans, points=points, every=every, now=time.time())

    # The stores

    def _read_stores(self, opened: Mapping[str, Any]) -> dict[str, str]:
        """Ask the stores of the opened services at once; return the error of each that is away."""
        checks = []
        if QUEUES.name in opened:
            checks.append(Check("queue", "", self._read_queues))
        else:
            self._queues = ()
        if WORKFLOWS.name in opened:
            checks.append(Check("workflow", "", self._read_workflows))
        else:
            self._workflows, self._silent = (), ()
        if EVENTS.name in opened or QUEUES.name in opened or WORKFLOWS.name in opened:
            checks.append(Check("errors", "", lambda _: self._read_stored(opened)))
        states = self._prober.states(checks, self._timeout) if checks else []
        return {
            one.service: one.state for one in states if one.state != _OK and one.service != "errors"
        }

    def _read_queues(self, seconds: float) -> None:
        queues = self._hub.queues
        if self._quick is None or self._of is not queues:
            self._close_quick()
            self._of, self._quick = queues, queues.within(seconds)
        self._queues = self._quick.overview()

    def _read_workflows(self, _seconds: float) -> None:
        begun = time.monotonic()
        if begun < self._next_workflows:
            return
        self._workflows = self._hub.workflows._running(_WORKFLOWS)  # noqa: SLF001 - of this core
        self._silent = self._hub.workflows._silent_workers()  # noqa: SLF001 - as above
        ended = time.monotonic()
        self._next_workflows = ended + min((ended - begun) / _SHARE, 6 * _SLOW)

    def _read_stored(self, opened: Mapping[str, Any]) -> None:
        """Read the errors that stores keep: every 10 s, and as soon as more jobs have failed."""
        failed = sum(one.counts["failed_total"] for one in self._queues)
        if time.monotonic() < self._next_stored and failed == self._failed:
            return
        self._failed = failed
        for name in ("queue", "workflow", "events"):
            if _NAMES[name] in opened:
                self._stored[name] = stored_errors(self._hub, [name], _ERRORS)
            else:
                self._stored.pop(name, None)
        self._next_stored = time.monotonic() + _SLOW

    def _newest(self) -> dict[str, str]:
        """Return the last error of each queue, by its name."""
        found: dict[str, str] = {}
        for line in self._stored.get("queue", ()):
            name = line.about.rpartition(" of ")[2]
            message = line.message.removeprefix(f"{line.about}: ")
            found.setdefault(name, f"{line.error}: {message}" if line.error else message)
        return found

    def _disk_needs(self) -> list[Need]:
        now = time.monotonic()
        if now >= self._next_disk:
            self._next_disk = now + _SLOW
            self._disk = needs.of_disk(self._hub.settings.home)
        return self._disk

    # The services

    def _cards(
        self,
        opened: Mapping[str, Any],
        calls: Mapping[str, WindowedCalls],
        breakers: Mapping[str, int],
    ) -> list[ServiceCard]:
        cards = [
            self._card(service, opened.get(name), calls.get(service), breakers.get(service, 0))
            for service, name in _NAMES.items()
        ]
        return sorted(cards, key=lambda card: not card.opened)

    def _card(
        self, name: str, service: Any, calls: WindowedCalls | None, breakers: int
    ) -> ServiceCard:
        if service is None:
            return ServiceCard(name, opened=False)
        about = _ABOUT[name](service) if name in _ABOUT else ""
        if name == "queue":
            about = _several(sum(len(one.workers) for one in self._queues), "worker")
        hits = self._ratio(service) if name == "cache" else None
        if calls is None:
            return ServiceCard(name, opened=True, about=about, hits=hits, breakers=breakers)
        durations = calls.durations if calls.durations.count else calls.ever
        return ServiceCard(
            name,
            opened=True,
            about=about,
            p50=durations.quantile(0.5),
            p95=durations.quantile(0.95),
            rate=calls.rate,
            failed=calls.failed,
            new=calls.new,
            hits=hits,
            breakers=breakers,
        )

    def _ratio(self, cache: Any) -> float | None:
        counter = cache._counter  # noqa: SLF001 - of this core
        asked = counter.hits + counter.misses
        return counter.hits / asked if asked else None

    # Actions

    def reset_breaker(self, subject: str) -> None:
        """Close a circuit breaker: its service is known to be well again.

        Raises
        ------
        NotFoundError
            There is none of this subject.
        """
        for each in breakers_of(self._hub).values():
            if subject in each:
                each[subject].reset()
                return
        raise NotFoundError(
            f"there is no circuit breaker {subject}",
            service="hub",
            hint="hub.apis.table() (%api list)",
        )

    def failed_jobs(self, queue: str) -> list[str]:
        """Return the ids of the failed jobs of a queue.

        Raises
        ------
        UsageError
            Queues are not opened.
        """
        return self._opened_queues().get_queue(queue).search_ids("failed", n=_RETRIED)

    def retry(self, queue: str, ids: Sequence[str]) -> int:
        """Let failed jobs run again with all their attempts; return how many.

        Those that have gone on meanwhile are left as they are.
        """
        from agentnb.core.errors import RejectedError

        retry = self._opened_queues().get_queue(queue).retry
        done = 0
        for job_id in ids:
            try:
                retry(job_id)
            except (NotFoundError, RejectedError):
                continue
            done += 1
        return done

    def _opened_queues(self) -> Queues:
        if QUEUES.name not in self._hub._opened:  # noqa: SLF001 - of this core
            raise UsageError(
                "the queues are closed", service="queue", hint='hub.open("queue") opens them'
            )
        return self._hub.queues

    def _close_quick(self) -> None:
        if self._quick is not None:
            self._quick.close()
            self._quick = None

    def close(self) -> None:
        """Close what was opened to look."""
        self._close_quick()


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _of_databases(databases: Any) -> str:
    opened = databases.opened()
    return opened[0].kind if len(opened) == 1 else _several(len(opened), "connection")


_ABOUT: dict[str, Callable[[Any], str]] = {
    "db": _of_databases,
    "redis": lambda it: "embedded" if it.embedded else it.target.scheme,
    "cache": lambda _: "hit ratio",
    "events": lambda it: _several(len(it.subscriptions()), "handler"),
    "api": lambda it: _several(len(it.all()), "client"),
    "websocket": lambda it: _several(len(it.clients()), "client"),
    "workflow": lambda it: "worker" if it.worker is not None else "",
}
