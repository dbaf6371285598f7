"""Deadlines of workflows: what is left of one at its deadline is cancelled.

Workers do so in time. Where none runs, the next look at the workflow does.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError
from agentnb.core.outage import OutageTracker
from agentnb.core.ranges import refused, seconds
from agentnb.core.workflow.control import cancel

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.workflow.transactions import Transaction, Transactions

__all__ = ["Deadlines", "Limit", "limit_of", "next_deadline", "seconds_of"]

REASON = "deadline"
_HINT = "deadline=3600, or deadline=datetime.now(UTC) + timedelta(hours=1)"
_OF = "from {workflow} where scope = :scope and state = 'active' and deadline is not null"
_NEXT = f"select min(deadline) - {{now}} {_OF}"
_DUE = f"select id {_OF} and deadline <= {{now}} order by deadline"
_IS_DUE = f"select id {_OF} and deadline <= {{now}} and id = :id"


@dataclass(frozen=True, slots=True)
class Limit:
    """The deadline of a workflow that is made: seconds from then on, or a time.

    Attributes
    ----------
    seconds, at
        One of them; the time in seconds since the epoch.
    """

    seconds: float | None = None
    at: float | None = None

    def after(self, now: float) -> float:
        """Return the time, in seconds since the epoch.

        Raises
        ------
        UsageError
            It has passed.
        """
        if self.seconds is not None:
            return now + self.seconds
        at = self.at or 0.0
        if at <= now:
            given = str(dt.datetime.fromtimestamp(at, dt.UTC))
            raise refused("deadline", "a time to come", given, "workflow", _HINT)
        return at

    @property
    def word(self) -> str:
        """The limit as text, by which two are compared."""
        return f"{self.seconds:g} s" if self.seconds is not None else _shown(self.at or 0.0)


def limit_of(given: Any) -> Limit | None:
    """Return the deadline that a caller gives: seconds, a timedelta, or an aware datetime.

    >>> limit_of(90), limit_of(dt.timedelta(minutes=1)).word
    (Limit(seconds=90.0, at=None), '60 s')

    Raises
    ------
    UsageError
        It is none of these.
    """
    if isinstance(given, dt.datetime):
        from agentnb.core.work.schedules.timing import parse_time

        return Limit(at=parse_time("deadline", given, "workflow"))
    found = seconds_of(given)
    return None if found is None else Limit(found)


def seconds_of(given: Any) -> float | None:
    """Return the deadline of a caller that has to be in seconds, as of a schedule.

    Raises
    ------
    UsageError
        It is neither a number of seconds nor a timedelta.
    """
    if given is None:
        return None
    if isinstance(given, dt.datetime):
        allowed = "seconds, since a schedule makes many workflows"
        raise refused("deadline", allowed, str(given), "workflow", "deadline=3600")
    value = given.total_seconds() if isinstance(given, dt.timedelta) else given
    return seconds("deadline", value, service="workflow", hint=_HINT)


def next_deadline(tx: Transaction, scope: str) -> float | None:
    """Return the seconds until the next deadline, None for none."""
    row = tx.row(_NEXT, scope=scope)
    return None if row is None or row[0] is None else float(row[0])


class Deadlines:
    """Cancels the workflows of a scope whose deadline has passed.

    Parameters
    ----------
    transactions, scope
        Where they are.
    log
        The log of workflows.
    happened
        Called once workflows were cancelled.
    """

    def __init__(
        self,
        transactions: Transactions,
        scope: str,
        *,
        log: logging.LoggerAdapter[Any],
        happened: Callable[[], object],
    ) -> None:
        self._transactions = transactions
        self._scope = scope
        self._log = log
        self._happened = happened
        self._outage = OutageTracker(
            log, "the deadlines of workflows cannot be read", "deadlines are kept again"
        )

    def fire_due(self) -> float | None:
        """Cancel what is due; return the seconds until the next deadline, None for none.

        The worker that calls it goes on where they cannot be read: it never raises.
        """
        try:
            self._cancel_due()
            with self._transactions.read() as tx:
                following = next_deadline(tx, self._scope)
        except Exception as error:  # noqa: BLE001 - tasks are done all the same
            self._outage.failed(error)
            return None
        self._outage.succeeded()
        return following

    def expire(self) -> bool:
        """Cancel what is due, and return whether that could be written here.

        It cannot within the caller's own transaction on SQLite, or by a role that only reads.
        """
        try:
            self._cancel_due()
        except AgentnbError as error:
            self._log.debug("a deadline has passed, and its workflow is not cancelled: %s", error)
            return False
        return True

    def _cancel_due(self) -> None:
        with self._transactions.read() as tx:
            late = [row[0] for row in tx.rows(_DUE, scope=self._scope)]
        for number in late:
            with self._transactions.write() as tx:
                # Another may have been first, or have retried it without the deadline.
                row = tx.row(_IS_DUE, scope=self._scope, id=number)
                done = row is not None and cancel(tx, self._scope, number, REASON)
            if done:
                self._log.warning(
                    "workflow %s is cancelled: its deadline has passed",
                    number,
                    extra={"data": {"workflow": number}},
                )
        if late:
            self._happened()


def _shown(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")
