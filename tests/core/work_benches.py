"""The stores of work that the fault suite is run against, each with what a test needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.work.backoff import Backoff

from .work_memory import MemoryServer, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["BENCHES", "MemoryBench", "Seen"]


class Seen(NamedTuple):
    """A unit as its store has it."""

    state: str
    entry: int
    attempt: int
    deaths: int
    value: Any
    error: str | None


class MemoryBench:
    """The store in memory.

    Each bench has these methods. Ids are those of the store; what `value` makes is an outcome's.
    """

    def __init__(self) -> None:
        self.server = MemoryServer()

    def store(self, lease: float = 30.0) -> MemoryStore:
        """Return a store as another worker has it."""
        return MemoryStore(self.server, lease=lease)

    def add(self, *, attempts: int = 3, delay: float = 0.0) -> str:
        """Add a unit of work whose next attempt follows after 0.01 s, and return its id."""
        return self.server.add(None, attempts=attempts, delay=delay, backoff=Backoff(0.01))

    def look(self, unit: str) -> Seen:
        """Return a unit."""
        found = self.server.units[unit]
        error = found.failure.error if found.failure else None
        return Seen(found.state, found.entry, found.attempt, found.deaths, found.value, error)

    def value(self, text: str) -> Any:
        """Return the result of an outcome, which `look` then has as the text."""
        return text

    def note(self, store: MemoryStore, claim: Any, line: str) -> bool:
        """Write a line of the attempt's log, and return whether it counted."""
        return store.note(claim, line)

    def cancel(self, unit: str) -> None:
        """Cancel a unit, as a user does."""
        self.server.units[unit].cancel = True

    def retry(self, unit: str) -> None:
        """Let a unit that ended run again with all its attempts, as a user does."""
        with self.server.changed:
            found = self.server.units[unit]
            found.state, found.attempt = "waiting", 0
            self.server.changed.notify_all()


def _queue_bench(request: Any) -> Iterator[Any]:
    from .work_bench_queue import queue_bench  # which needs `Seen` from here

    return queue_bench(request)


def _sqlite_bench(request: Any) -> Iterator[Any]:
    from .work_bench_workflow import sqlite_bench  # as above

    return sqlite_bench(request)


def _postgres_bench(request: Any) -> Iterator[Any]:
    from .work_bench_workflow import postgres_bench  # as above

    return postgres_bench(request)


BENCHES: dict[str, Callable[[Any], AbstractContextManager[Any] | Iterator[Any]]] = {
    "memory": lambda request: iter([MemoryBench()]),
    "redis": _queue_bench,
    "sqlite": _sqlite_bench,
    "postgresql": _postgres_bench,
}
"""A generator that yields a bench, by the name of the store; given pytest's ``request``."""
