"""The relay: publishes what stands in the outbox, at least once, under the id of its row.

A relay takes rows for a while, publishes them and then notes that; nothing is locked while it
speaks with the server. The rows of a relay that was killed are free again a few seconds later.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import AgentnbError, UnavailableError, UsageError
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
update {event} set taken = {now} + :seconds where seq in (
  select seq from {event} where scope = :scope and published is null and taken < {now}
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
        self._log = log
        self._redis = bus.redis.untraced.within(_ANSWER)
        self._handed: dict[int, None] = {}
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._away = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Publish from now on, in a thread."""
        with self._turn:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="agentnb-relay", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Publish soon: there may be new events."""
        self._wake.set()

    def once(self) -> int:
        """Publish what there is, up to a hundred events, and return how many.

        Raises
        ------
        UnavailableError
            The server is away; they stay in the outbox.
        """
        with self._turn:
            self._settle()
            # What a bus is handed while its server is away would be lost with this process.
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
            with use(carried(traceparent, correlation_id)):
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
        sql = f"update {{event}} set taken = {{now}} + :seconds where seq in ({marks})"
        tx.run(sql, seconds=_TAKEN, **values)

    def _mark(self, done: list[int]) -> None:
        if not done:
            return
        marks, values = listed(done)
        with self._transactions.write() as tx:
            tx.run(f"update {{event}} set published = {{now}} where seq in ({marks})", **values)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(_POLL)
            if self._closed.wait(_GATHER):  # what happens meanwhile goes along
                return
            self._wake.clear()
            pause = self._all()
            if pause and self._closed.wait(pause):
                return

    def _all(self) -> float:
        """Publish what there is, and return how long to wait before the next time."""
        try:
            while not self._closed.is_set() and self.once() == _BATCH:
                pass
        except AgentnbError as error:
            if isinstance(error, UsageError):
                return _AWAY  # the bus is closed
            if not self._away:
                self._away = True
                self._log.warning("events stay in the outbox: %s", error)
            return _AWAY
        if self._away:
            self._away = False
            self._log.info("events are published again")
        return 0.0

    def close(self) -> None:
        """Publish what is left, if the server is there, and stop."""
        self._closed.set()
        self._wake.set()
        thread = self._thread
        if thread is None:
            return
        if thread is not threading.current_thread():
            thread.join(5.0)
        with suppress(AgentnbError):  # it stays in the outbox
            while not self._away and self.once() == _BATCH:
                pass
