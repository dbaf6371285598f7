"""Waits of tasks for events: a thread of those who run tasks reads the log of the bus for them.

The log is read from the time that a wait counts from, so that an event which was published before
the task came to the wait is found as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError
from agentnb.core.outage import OutageTracker
from agentnb.core.tape.hook import muted
from agentnb.core.workflow.parking import end
from agentnb.core.workflow.resuming import resume

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.workflow.transactions import Transactions

__all__ = ["EventWaits", "fits"]

_IDLE_SECONDS = 1.0
_LOOK_SECONDS = 0.1
_MOST = 100_000  # events that are read at once
_OPEN = """
select w.task_id, w.name, w.what, w.since from {task_wait} w join {task} t on t.id = w.task_id
where w.scope = :scope and w.kind = 'event' and w.state = 'open'
  and t.state in ('parked', 'active', 'waiting', 'delayed')
"""
_LOCK = "select 1 from {task} where id = :id {lock}"


def fits(data: Any, where: Any) -> bool:
    """Return whether data has all that is wanted: objects by their names, else equal values.

    >>> fits({"id": 7, "by": {"name": "ada", "age": 3}}, {"by": {"name": "ada"}})
    True
    >>> fits({"id": 7}, {"id": 8}), fits([1], None)
    (False, True)
    """
    if where is None:
        return True
    if isinstance(where, dict):
        return isinstance(data, dict) and all(
            name in data and (data[name] is None if one is None else fits(data[name], one))
            for name, one in where.items()
        )
    return type(data) is type(where) and bool(data == where)


class EventWaits:
    """Ends the waits of a scope for events.

    Parameters
    ----------
    transactions, scope
        Where they are.
    bus
        An event bus, such as `EventBus`.
    log
        The log of workflows.
    happened
        Called with the tasks that could run now, by agents.
    """

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        bus: Any,
        *,
        log: Any,
        happened: Callable[[Mapping[str, int]], object],
    ) -> None:
        self._transactions = transactions
        self._scope = scope
        self._bus = bus
        self._happened = happened
        # The place in the log up to which each wait was looked for.
        self._read: dict[tuple[str, str], str] = {}
        self._outage = OutageTracker(
            log, "events that tasks wait for cannot be read", "events can be read again"
        )
        self._thread = BackgroundThread(self._run, name="event-waits", log=log)

    def wake(self) -> None:
        """Look soon, and from now on."""
        self._thread.wake()

    def _run(self) -> float:
        try:
            found = self.once()
        except AgentnbError as error:
            self._outage.failed(error)
            return _IDLE_SECONDS
        self._outage.succeeded()
        return _LOOK_SECONDS if found else _IDLE_SECONDS

    def once(self) -> int:
        """End the waits whose event is there, and return how many were open."""
        with self._transactions.read() as tx:
            rows = tx.rows(_OPEN, scope=self._scope)
        self._read = {
            key: place for key, place in self._read.items() if key in {r[:2] for r in rows}
        }
        with muted():  # no call of the user's
            newest = self._bus.history("*", 1) if rows else []
            head = newest[-1].place or "" if newest else ""
            for task, name, what, since in rows:
                self._look((task, name), msgspec.json.decode(what), since, head)
        return len(rows)

    def _look(self, key: tuple[str, str], what: dict[str, Any], since: float, head: str) -> None:
        """End a wait whose event is in the log, up to a place at least."""
        place = self._read.get(key)
        if place == head:
            return
        for event in self._bus.history(what["pattern"], _MOST, place or since):
            if fits(event.data, what["where"]):
                self._end(*key, event)
                return
        self._read[key] = head

    def _end(self, task: str, name: str, event: Any) -> None:
        answer = {
            "id": event.id,
            "channel": event.channel,
            "data": event.data,
            "time": event.time.timestamp(),
            "source": event.source,
            "traceparent": event.traceparent,
            "correlation_id": event.correlation_id,
            "place": event.place,
        }
        ready: dict[str, int] = {}
        with self._transactions.write() as tx:
            tx.rows(_LOCK, id=task)
            if end(tx, task, name, answer=msgspec.json.encode(answer).decode()):
                ready = resume(tx, self._scope, task, wait=name, event=event.id)
        self._happened(ready)

    def close(self) -> None:
        """Stop looking."""
        self._thread.stop(5.0)
