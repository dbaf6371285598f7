"""huey's storage, on leases: what is taken is not gone until it is finished."""

from __future__ import annotations

from _thread import get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from huey.constants import EmptyData
from huey.storage import BaseStorage
from huey.utils import Error

from agentnb.core.errors import AgentnbError, RejectedError, UnavailableError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.queue.store import AGAIN, COUNTED, FENCED

if TYPE_CHECKING:
    import datetime as dt

    from agentnb.core.queue.alarm import Alarm
    from agentnb.core.queue.attempt import Attempt
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.store import Taken

__all__ = ["LeaseStorage"]

_LISTEN = 5.0
_RETRY = 0.2
_REFUSED_FOR = 30.0


class LeaseStorage(BaseStorage):  # type: ignore[misc]  # huey has no types
    """The storage of one queue, as huey's `Huey` and `Consumer` use it.

    huey's own revocation, locks, counters and schedule are not kept here: a job is cancelled by
    `Job.cancel`, delayed jobs and retries are promoted by the server as it hands out the next
    job, and for a lock there is the cache.

    Parameters
    ----------
    name
        The queue's name.
    queue
        The queue.

    Attributes
    ----------
    running
        The attempts that run in this process, by their jobs' ids.
    ahead
        What a worker's thread was given with the answer to its last job, by the thread's number.
    owner
        The words for the worker of this process, while there is one.
    alarm
        Wakes the workers when a delayed job is due, while there is a worker.
    """

    blocking = True
    priority = True

    def __init__(self, name: str, queue: Queue) -> None:
        super().__init__(name)
        self.queue = queue
        self.store = queue.store
        self.running: dict[str, Attempt] = {}
        self.ahead: dict[int, Taken | int] = {}
        self.owner = ""
        self.alarm: Alarm | None = None

    def dequeue(self) -> Taken | None:
        """Take the next job, or wait a while for one to come.

        Raises
        ------
        UnavailableError
            The server is away.
        """
        alarm = self.alarm
        if alarm is None or alarm.stopped:
            return None
        found = self.ahead.pop(get_ident(), None)
        if found is None:
            found = self.store.take(self.owner)
        if not isinstance(found, int):
            return found
        if found >= 0:
            alarm.set(found / 1000)
        self.store.listen(alarm.name, _LISTEN)
        return None

    def put_data(self, key: str, value: Any, is_result: bool = False) -> None:  # noqa: FBT001, FBT002 - huey's own
        """Finish a job: with its result, or for good with an error."""
        if not is_result:
            raise _not_kept("revocations and metadata")
        attempt = self.running.get(key)
        if attempt is None:
            return
        if isinstance(value, Error):
            self.fail(attempt)
        else:
            self._finish(
                attempt,
                "completed",
                value,
                retention=attempt.job.options.retention("completed"),
            )

    def add_to_schedule(self, data: Attempt, ts: dt.datetime) -> None:  # noqa: ARG002 - by the server's clock, not ours
        """Let a job be tried again after its pause."""
        self._finish(data, "delayed", _failure(data).write(), delay=data.pause)

    def fail(self, attempt: Attempt) -> None:
        """Let a job fail for good."""
        retention = attempt.job.options.retention("failed")
        self._finish(attempt, "failed", _failure(attempt).write(), retention=retention)

    def hand_back(self, attempt: Attempt) -> None:
        """Give a job back as if it had not been taken."""
        self._finish(attempt, "wait", b"", counted=False)

    def hand_back_ahead(self) -> None:
        """Give back what was taken by threads that have ended since."""
        while self.ahead:
            _, taken = self.ahead.popitem()
            if not isinstance(taken, int):
                self.store.finish(taken, self.owner, "wait", b"", counted=False)

    def _finish(self, attempt: Attempt, where: str, value: bytes, **options: Any) -> None:
        """Finish an attempt, however long the server is away; its lease is renewed meanwhile."""
        if attempt.lost:
            self._over(attempt)
            return
        attempt.settled = True
        event = self.queue.tell.event_of(where, attempt, final=where == "failed")
        # Not by a thread that is not a worker's, such as the tender's.
        goes_on = (
            self.alarm is not None and not self.alarm.stopped and attempt.thread == get_ident()
        )
        refused_until = monotonic() + _REFUSED_FOR
        told = False
        while True:
            try:
                counts, ahead = self.store.finish(
                    attempt.taken,
                    attempt.owner,
                    where,
                    value,
                    event=event,
                    then_take=goes_on,
                    **options,
                )
                break
            except (UnavailableError, RejectedError) as error:
                stopped = self.alarm is None or self.alarm.stopped
                refused = isinstance(error, RejectedError) and monotonic() > refused_until
                if stopped or refused or attempt.lost:
                    self.queue.log.error(  # noqa: TRY400 - its place in our code tells nothing
                        "job could not be finished: %s",
                        error,
                        extra=self.queue.tell.of(attempt.job),
                    )
                    self._over(attempt)
                    return
                if not told:
                    told = True
                    self.queue.log.warning(
                        "job is finished once the server is back: %s",
                        error,
                        extra=self.queue.tell.of(attempt.job),
                    )
                sleep(_RETRY)
        self._over(attempt)
        if ahead is not None:
            self.ahead[get_ident()] = ahead
        if counts == FENCED:
            self.queue.log.warning(
                "what came of the job does not count: it was given to another worker",
                extra=self.queue.tell.of(attempt.job),
            )
        elif counts in {COUNTED, AGAIN} and where != "wait":
            self.queue.tell.say_ended(attempt, where)

    def _over(self, attempt: Attempt) -> None:
        if self.running.get(attempt.job.id) is attempt:
            del self.running[attempt.job.id]

    def queue_size(self) -> int:
        """Return how many jobs wait."""
        counts = self.store.counts()
        return counts["waiting"] + counts["paused"]

    def schedule_size(self) -> int:
        """Return how many jobs are delayed."""
        return self.store.counts()["delayed"]

    def read_schedule(self, ts: dt.datetime) -> list[Any]:  # noqa: ARG002 - huey's own
        """Return nothing: due jobs are promoted as the next one is taken."""
        return []

    def peek_many(self, keys: list[str]) -> dict[str, Any]:  # noqa: ARG002 - huey's own
        """Return nothing: huey's revocations are not kept."""
        return {}

    def peek_data(self, key: str) -> Any:  # noqa: ARG002 - huey's own
        """Return nothing: results are read by `Job.result`."""
        return EmptyData

    def delete_data(self, key: str) -> bool:  # noqa: ARG002 - huey's own
        """Return that there is nothing to delete."""
        return False


def _failure(attempt: Attempt) -> Failure:
    return attempt.failure or Failure("unknown", attempt.taken.attempt)


def _not_kept(what: str) -> AgentnbError:
    return UsageError(
        f"huey's {what} are not kept in this storage",
        service="queue",
        hint="job.cancel() cancels; for a lock or a value there is hub.cache",
    )
