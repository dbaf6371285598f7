"""The relay: publishes what stands in the outbox, at least once, under the id of its row.

A relay takes rows for a while, publishes them and then notes that; nothing is locked while it
speaks with the server. The rows of a relay that was killed are free again a few seconds later.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError, UnavailableError, UsageError
from agentnb.core.forking import ForkGuard, new_lock
from agentnb.core.outage import OutageTracker
from agentnb.core.tape.hook import muted
from agentnb.core.trace import carried, use
from agentnb.core.workflow.transactions import listed

if TYPE_CHECKING:
    from agentnb.core.workflow.transactions import Transactions

__all__ = ["Relay"]

_BATCH = 100
_TAKEN = 5.0  # seconds
_POLL = 1.0
_GATHER = 0.05
_AWAY = 2.0
_ANSWER = 1.0
_TAKE = """
update {event} set taken = {clock} + :seconds where seq in (
  select seq from {event} where scope = :scope and published is null and taken < {clock}
  order by seq limit :n {lock_free})
returning seq, id, channel, data,
  (select traceparent from {workflow} w where w.id = workflow_id),
  (select correlation_id from {workflow} w where w.id = workflow_id)
"""


class Relay:
    """Publishes the events of a scope.

    Parameters
    ----------
    transactions, scope
        Where they are.
    bus
        An event bus, such as `EventBus`.
    log
        Told when it cannot publish.
    """

    def __init__(self, transactions: Transactions, scope: str, bus: Any, log: Any) -> None:
        self._transactions = transactions
        self._scope = scope
        self._bus = bus
        self._redis = bus.redis.untraced.within(_ANSWER)
        self._handed: dict[int, None] = {}
        self._turn = new_lock()
        self._fork = ForkGuard()
        away, back = "events stay in the outbox", "events are published again"
        self._server = OutageTracker(log, away, back, cooldown=_AWAY)
        self._thread = BackgroundThread(self._run, name="relay", log=log, delay=_GATHER)

    def wake(self) -> None:
        """Publish soon, and from now on: there may be new events."""
        self._thread.wake()

    def once(self) -> int:
        """Publish what there is, up to a hundred events, and return how many.

        Raises
        ------
        UnavailableError
            The server is away; they stay in the outbox.
        """
        with self._turn:
            if self._fork.forked:
                self._fork.reset()
                self._handed.clear()  # the parent's bus sends those
            self._settle()
            # Events that a bus is given while its server is away would be lost with this process.
            self._redis.ping()
            with self._transactions.write() as tx:
                rows = tx.rows(_TAKE, scope=self._scope, seconds=_TAKEN, n=_BATCH)
            done: list[int] = []
            try:
                self._publish(sorted(rows), done)
            finally:
                self._mark(done)
            self._settle()
            return len(rows)

    def _publish(self, rows: list[tuple[Any, ...]], done: list[int]) -> None:
        for seq, number, channel, data, traceparent, correlation_id in rows:
            with use(carried(traceparent, correlation_id)), muted():  # no call of the user's
                event = self._bus.publish(channel, msgspec.json.decode(data), event_id=number)
            if event.pending:
                # The bus has it, and sends it under its id; noted once that has happened.
                self._handed[seq] = None
                return
            done.append(seq)

    def _settle(self) -> None:
        """Note what the bus was handed while the server was away, once it has been sent.

        Raises
        ------
        UnavailableError
            The server is still away.
        """
        if not self._handed:
            return
        if not self._bus.flush(0.0):
            with self._transactions.write() as tx:
                self._hold(tx)
            raise UnavailableError(
                "events wait for the server",
                service="workflow",
                hint="they stay in the outbox and are published once it is back",
            )
        self._mark(list(self._handed))
        self._handed.clear()

    def _hold(self, tx: Any) -> None:
        marks, values = listed(list(self._handed))
        sql = f"update {{event}} set taken = {{clock}} + :seconds where seq in ({marks})"
        tx.run(sql, seconds=_TAKEN, **values)

    def _mark(self, done: list[int]) -> None:
        if not done:
            return
        marks, values = listed(done)
        with self._transactions.write() as tx:
            tx.run(f"update {{event}} set published = {{now}} where seq in ({marks})", **values)

    def _run(self) -> float:
        """Publish all that is left, and return the seconds until the next time."""
        if self._server.cooling_down:
            return _POLL
        try:
            while not self._thread.stopping and self.once() == _BATCH:
                pass
        except AgentnbError as error:
            if not isinstance(error, UsageError):  # else the bus is closed
                self._server.failed(error)
            return _AWAY
        self._server.succeeded()
        return _POLL

    def close(self) -> None:
        """Publish what is left, if the server is there, and stop."""
        if not self._thread.alive:
            return
        self._thread.stop(5.0)
        with suppress(AgentnbError):  # it stays in the outbox
            while not self._server.is_away and self.once() == _BATCH:
                pass
