"""A store of units of work in memory, and a handler: what the engine is tried with."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from agentnb.core.errors import UnavailableError
from agentnb.core.failure import Failure
from agentnb.core.work.backoff import Backoff
from agentnb.core.work.store import (
    ActiveUnit,
    Began,
    Claim,
    Finished,
    Key,
    LeaseReport,
    OutcomeKind,
    Pending,
    Pulse,
    Sign,
)


@dataclass
class Unit:
    """A unit of work as a store has it."""

    id: str
    order: int
    payload: Any
    attempts: int = 3
    timeout: float | None = None
    backoff: Backoff = field(default_factory=lambda: Backoff(0.02))
    state: str = "waiting"
    due: float = 0.0
    entry: int = 0
    attempt: int = 0
    deaths: int = 0
    owner: str | None = None
    ends: float = 0.0
    cancel: bool = False
    value: Any = None
    failure: Failure | None = None
    ended_entry: int = 0
    notes: list[str] = field(default_factory=list)
    begun: Any = None


class MemoryServer:
    """The units, which several stores share as they share a server."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        self.workers: dict[str, Any] = {}
        self.changed = threading.Condition(threading.RLock())
        self.error: Exception | None = None
        """Raised by every call while it is set."""
        self.after: Exception | None = None
        """Raised once, after the next outcome is stored: its answer is lost."""
        self.refuse: Any = None
        """Given an outcome, returns the error with which it is refused, or None."""
        self.waiting = 0
        self.ended = 0

    def cut(self, error: Exception | None = None) -> None:
        """Be away from now on."""
        self.error = error or UnavailableError("the server is away", service="work")

    def restore(self) -> None:
        """Be there again."""
        self.error = None

    def add(self, payload, *, name=None, delay=0.0, **options):
        """Add a unit, and return its id."""
        with self.changed:
            unit = Unit(name or f"u{len(self.units)}", len(self.units), payload, **options)
            if delay:
                unit.state, unit.due = "delayed", time.monotonic() + delay
            self.units[unit.id] = unit
            self.changed.notify_all()
            return unit.id


class MemoryStore:
    """One worker's view of the server."""

    def __init__(self, server: MemoryServer, *, lease: float = 30.0) -> None:
        self.server = server
        self.lease = lease
        self._woken = False
        self.claims = 0
        self.renewals = 0

    def _ask(self) -> None:
        if self.server.error is not None:
            raise self.server.error

    def join(self, owner, about) -> None:
        self.server.workers[owner] = about

    def leave(self, owner) -> None:
        self._ask()
        self.server.workers.pop(owner, None)

    def claim(self, owner):
        with self.server.changed:
            self._ask()
            self.claims += 1
            now = time.monotonic()
            ready = [
                unit
                for unit in self.server.units.values()
                if unit.state == "waiting" or (unit.state == "delayed" and unit.due <= now)
            ]
            if not ready:
                due = [u.due for u in self.server.units.values() if u.state == "delayed"]
                return max(min(due) - now, 0.0) if due else None
            unit = min(ready, key=lambda one: one.order)
            unit.state, unit.owner, unit.ends = "active", owner, now + self.lease
            unit.entry += 1
            unit.attempt += 1
            return self._claimed(unit)

    def _claimed(self, unit) -> Claim:
        return Claim(
            unit.id,
            unit.entry,
            unit.owner,
            unit.attempt,
            unit.attempts,
            unit.backoff,
            unit.timeout,
            unit.deaths,
            unit.payload,
        )

    def held_by(self, owner, key) -> bool:
        """Return whether a claim is an owner's: the fence of every write."""
        unit = self.server.units.get(key.id)
        return (
            unit is not None
            and unit.state == "active"
            and unit.owner == owner
            and unit.entry == key.entry
        )

    def renew(self, owner, running):
        self.renewals += 1
        with self.server.changed:
            self._ask()
            now = time.monotonic()
            lost = [key for key in running if not self.held_by(owner, key)]
            mine = set(running) - set(lost)
            active = [unit for unit in self.server.units.values() if unit.state == "active"]
            cancelled, unknown, others = [], [], []
            for unit in active:
                key = Key(unit.id, unit.entry)
                held = ActiveUnit(
                    unit.id,
                    unit.entry,
                    unit.owner,
                    unit.attempt,
                    unit.attempts,
                    unit.ends - now,
                    unit.deaths,
                    unit.owner in self.server.workers and self.server.workers[unit.owner].shared,
                    unit.payload,
                )
                if key in mine:
                    unit.ends = now + self.lease
                    cancelled += [key] if unit.cancel else []
                elif unit.owner == owner:
                    unknown.append(held)
                else:
                    others.append(held)
            due = [unit.due for unit in self.server.units.values() if unit.state == "delayed"]
            return LeaseReport(
                lost,
                cancelled,
                unknown,
                others,
                max(min(due) - now, 0.0) if due else None,
                {key: found for key in mine if (found := self.pulse(key, owner)) is not None},
            )

    def begin(self, key, owner, by, lease):
        with self.server.changed:
            self._ask()
            if not self.held_by(owner, key):
                return Began.LOST
            unit = self.server.units[key.id]
            if unit.begun is not None and unit.begun[0] == key.entry and unit.begun[3] != by:
                return Began.REPEATED
            now = time.monotonic()
            unit.begun = (key.entry, now, now + lease, by)
            return self._claimed(unit)

    def touch(self, key, owner, lease):
        with self.server.changed:
            self._ask()
            if not self.held_by(owner, key) or self.pulse(key, owner) is None:
                return Sign.LOST
            unit = self.server.units[key.id]
            entry, began, _, by = unit.begun
            unit.begun = (entry, began, time.monotonic() + lease, by)
            return Sign.CANCELLED if unit.cancel else Sign.GO_ON

    def pulse(self, key, owner):
        with self.server.changed:
            self._ask()
            begun = self.server.units[key.id].begun
            if not self.held_by(owner, key) or begun is None or begun[0] != key.entry:
                return None
            now = time.monotonic()
            return Pulse(now - begun[1], begun[2] - now, begun[3])

    def finish(self, claim, outcome, *, then_claim):
        with self.server.changed:
            self._ask()
            if self.server.refuse is not None and (error := self.server.refuse(outcome)):
                raise error
            state = self._end(claim, outcome)
            if self.server.after is not None:
                error, self.server.after = self.server.after, None
                raise error
            return Finished(state, self.claim(claim.owner) if then_claim else None)

    def _end(self, claim, outcome):
        unit = self.server.units[claim.id]
        if not self.held_by(claim.owner, claim.key):
            return unit.state if unit.ended_entry == claim.entry else None
        unit.deaths, unit.ended_entry, unit.owner = 0, claim.entry, None
        match outcome.kind:
            case OutcomeKind.COMPLETED:
                unit.state, unit.value = "completed", outcome.value
            case OutcomeKind.RETRY:
                unit.state, unit.due = "delayed", time.monotonic() + outcome.delay
            case OutcomeKind.RELEASED:
                unit.state, unit.attempt = "waiting", unit.attempt - 1
            case _:
                unit.state = str(outcome.kind)
        unit.failure = outcome.failure
        self.server.ended += unit.state in {"completed", "failed", "cancelled"}
        self.server.changed.notify_all()
        return unit.state

    def release(self, claim):
        with self.server.changed:
            self._ask()
            unit = self.server.units[claim.id]
            if not self.held_by(claim.owner, claim.key):
                return False
            unit.state, unit.owner = "cancelled" if unit.cancel else "waiting", None
            unit.attempt -= 1
            self.server.changed.notify_all()
            return True

    def reclaim(self, held, failure, *, counted):
        with self.server.changed:
            self._ask()
            unit = self.server.units[held.id]
            if not self.held_by(held.owner, held.key):
                return None
            unit.owner, unit.failure = None, failure
            if unit.cancel:
                unit.state = "cancelled"
            elif not counted:
                unit.state, unit.attempt, unit.deaths = "waiting", unit.attempt - 1, unit.deaths + 1
            else:
                unit.state = "waiting" if unit.attempt < unit.attempts else "failed"
            self.server.changed.notify_all()
            return unit.state

    def note(self, claim, line) -> bool:
        """Write a line of a unit's log behind the fence, as services do."""
        with self.server.changed:
            self._ask()
            if not self.held_by(claim.owner, claim.key):
                return False
            self.server.units[claim.id].notes.append(line)
            return True

    def pending(self):
        with self.server.changed:
            self._ask()
            left = [
                u for u in self.server.units.values() if u.state in {"waiting", "delayed", "active"}
            ]
            delayed = sum(u.state == "delayed" for u in left)
            return Pending(len(left), self.server.ended, delayed)

    def wait(self, seconds) -> None:
        server = self.server
        with server.changed:
            server.waiting += 1
            server.changed.wait_for(
                lambda: self._woken or any(u.state == "waiting" for u in server.units.values()),
                seconds,
            )
            server.waiting -= 1
            self._woken = False

    def wake(self) -> None:
        with self.server.changed:
            self._woken = True
            self.server.changed.notify_all()


class MemoryHandler:
    """Calls a unit's payload with the attempt, or what `function` is set to."""

    service = "work"
    noun = "unit"

    def __init__(self, function=None) -> None:
        self.function = function
        self.said: list[tuple[Any, ...]] = []
        self.unkept: Any = None

    def run(self, attempt):
        return attempt.call(self.function or attempt.claim.payload, attempt)

    def failure(self, attempt, error):
        return Failure.of(error, attempt.claim.attempt), isinstance(error, LookupError)

    def substitute(self, attempt, outcome, error):
        return self.unkept(outcome, error) if self.unkept else None

    def name(self, unit):
        return unit.id

    def begun(self, attempt):
        """Nothing is counted."""

    def ended(self, attempt, outcome, state):
        self.said.append(("ended", attempt.claim.id, state))

    def lost(self, attempt):
        self.said.append(("lost", attempt.claim.id))

    def released(self, attempt):
        self.said.append(("released", attempt.claim.id))

    def reclaimed(self, held, failure, state):
        self.said.append(("reclaimed", held.id, failure.error, state))

    def stamp(self, **data):
        return {"data": data}
