"""The limits of a queue over all workers: rates and concurrencies, for all jobs or each key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentnb.core.errors import NotFoundError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.queue.reasons import reasons_of
from agentnb.core.ranges import refused
from agentnb.core.twins import twin
from agentnb.core.work.limits import NOT_GIVEN, Limit, checked_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.store import JobStore

__all__ = ["QueueLimits", "limits_from"]

_FIELD: Final = re.compile(r"data(\.[^.\s]+)*")
_LONGEST_FIELD = 200
_ALL, _ONE = "*", "="


@refuse_unknown("queue")
class QueueLimits:
    """The part of a `Queue` that keeps its limits."""

    name: str
    _store: JobStore
    _parts: QueueParts
    _call_threads: CallThreads

    def limit(
        self,
        rate: int | None = NOT_GIVEN,
        *,
        per: float | None = None,
        concurrency: int | None = None,
        by: str | None = None,
    ) -> list[Limit]:
        """Limit how often jobs start, or how many run at once, over all workers.

        A limit replaces the one of its kind and field. Limits of a queue add up: a job starts
        when all have room. Those that cannot start wait, and others pass them. Among those that
        a limit keeps waiting, the order is that of the queue.

        Workers that run use the new limit from their next claim on. The jobs that run already
        count for a concurrency; earlier starts count for a rate if it had a limit then.

        Parameters
        ----------
        rate
            Starts within any ``per`` seconds, 1 to 1,000,000. Retries are starts, too. None
            removes limits, as `unlimit` does.
        per
            Seconds of the rate, up to 30 days.
        concurrency
            Jobs that run at once, 1 to 1,000,000. One whose worker died keeps its place until it
            is reclaimed.
        by
            A field of the data, such as ``data.user``: the limit holds for each of its values,
            which are compared as JSON. Jobs without the field share the value None. Default: the
            limit holds for all jobs of the queue together.

        Returns
        -------
        list of Limit
            The limits of the queue now.

        Raises
        ------
        UsageError
            A number is not in its range, none was given, or the field is not one.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from agentnb.core.queue import Queues
        >>> from agentnb.core.redis import RedisClient
        >>> with tempfile.TemporaryDirectory() as home, RedisClient(home=Path(home)) as redis:
        ...     with Queues(redis) as queues:
        ...         for limit in queues.get_queue("ask").limit(10, per=60, by="data.user"):
        ...             print(limit)
        10 per 60 s for each data.user
        """
        by = _checked_field(by)
        if rate is None and per is None and concurrency is None:
            self.unlimit(by=NOT_GIVEN if by is None else by)
            return self.limits()
        given = checked_limits(
            None if rate is NOT_GIVEN else rate, per, concurrency, by=by, service="queue"
        )
        _, limits = self._store.limit("", [_rule(one) for one in given])
        shown = ", ".join(map(str, given))
        self._parts.log.info("queue is limited: %s", shown, extra=self._parts.events.stamp())
        return limits

    def unlimit(self, *, by: str | None = NOT_GIVEN) -> list[Limit]:
        """Remove limits of the queue, for all workers.

        Parameters
        ----------
        by
            Remove the limits by this field; None for those of the queue as a whole. Default: all.

        Returns
        -------
        list of Limit
            The limits that are left.

        Raises
        ------
        NotFoundError
            There is no limit by that field.
        """
        which = _ALL if by is NOT_GIVEN else f"{_ONE}{_checked_field(by) or ''}"
        dropped, limits = self._store.limit(which, [])
        if not dropped and by is not NOT_GIVEN:
            named = f"by {by}" if by else "of the queue as a whole"
            raise NotFoundError(
                f"{self.name} has no limit {named}",
                service="queue",
                hint=f"hub.queue({self.name!r}).limits() (%queue limit {self.name})",
            )
        if dropped:
            self._parts.log.info("limits are removed", extra=self._parts.events.stamp())
        return limits

    def limits(self) -> list[Limit]:
        """Return the limits of the queue: those of all jobs first, then by field."""
        return self._store.limits()

    def reasons(self, jobs: Sequence[Job | str]) -> list[str]:
        """Return why each of some jobs of the queue is kept waiting by limits; empty if it is not.

        Parameters
        ----------
        jobs
            The jobs or their ids, of any state.
        """
        ids = [self._parts.checked_id(getattr(job, "id", job)) for job in jobs]
        return reasons_of(self._store, ids) if ids else []

    alimit, aunlimit, alimits, areasons = twin(limit), twin(unlimit), twin(limits), twin(reasons)


def limits_from(text: bytes | None) -> list[Limit]:
    """Return the limits that a queue has on the server."""
    rules: list[dict[str, Any]] = msgspec.json.decode(text) if text else []
    return [
        Limit(rate=rule["rate"], per=rule["us"] / 1_000_000, by=rule["by"] or None)
        if "rate" in rule
        else Limit(concurrency=rule["concurrency"], by=rule["by"] or None)
        for rule in rules
    ]


def _rule(limit: Limit) -> dict[str, Any]:
    """Return a limit as scripts read it."""
    by = limit.by or ""
    path = [msgspec.json.encode(name).decode() for name in by.split(".")] if by else []
    if limit.rate is not None and limit.per is not None:
        return {"by": by, "path": path, "rate": limit.rate, "us": round(limit.per * 1_000_000)}
    return {"by": by, "path": path, "concurrency": limit.concurrency}


def _checked_field(by: Any) -> str | None:
    if by is None or by is NOT_GIVEN:
        return None
    if isinstance(by, str) and len(by) <= _LONGEST_FIELD and by.isprintable():
        if _FIELD.fullmatch(by):
            return by
        if by and _FIELD.fullmatch(f"data.{by}"):
            raise refused("by", _FIELDS, by, "queue", f"by='data.{by}'")
    raise refused("by", _FIELDS, by, "queue", "by='data.user'")


_FIELDS = "a field of the job's data, such as 'data.user'"
