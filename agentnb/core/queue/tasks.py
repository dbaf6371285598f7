"""huey, as the queue extends it: its task, its instance, its consumer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from huey.api import Huey, Task, TaskWrapper
from huey.consumer import Consumer

from agentnb.core.errors import AgentnbError
from agentnb.core.queue.attempt import Attempt
from agentnb.core.queue.job import Job
from agentnb.core.queue.storage import LeaseStorage
from agentnb.core.queue.tender import Tender

if TYPE_CHECKING:
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.store import Taken

__all__ = ["QueueConsumer", "QueueHuey"]

# What we log says it better; without a handler of any kind Python would print huey's to stderr.
logging.getLogger("huey").addHandler(logging.NullHandler())

_AWAY_PAUSE = 0.2


class JobTask(Task):  # type: ignore[misc]  # huey has no types
    """A task that runs one attempt at a job."""

    attempt: Attempt

    def execute(self) -> bytes:
        """Process the job with whatever is the queue's processor now."""
        return self.attempt.run(self.attempt.queue.current)


class _Wrapper(TaskWrapper):  # type: ignore[misc]  # as above
    """Makes the class of a queue's tasks, without huey's own refusal of coroutine functions."""

    def create_task(
        self,
        func: Any,  # noqa: ARG002 - looked up anew for each attempt
        context: bool = False,  # noqa: ARG002, FBT001, FBT002 - huey's own
        name: str | None = None,
        **settings: Any,
    ) -> type[JobTask]:
        return type(name or "job", (JobTask,), {"__module__": "agentnb.queue", **settings})


class _AsItIs:
    """A serializer that serializes nothing: the storage is given the objects themselves."""

    def serialize(self, data: Any) -> Any:
        return data

    def deserialize(self, data: Any) -> Any:
        return data


class QueueHuey(Huey):  # type: ignore[misc]  # as above
    """huey's instance for one queue.

    A message carries only the data; the task is the queue's own. So huey's pipelines, groups,
    chords, periodic tasks and expiry have nothing to travel in, and are not available on it;
    its signals and its hooks before and after execution are.

    Parameters
    ----------
    queue
        The queue.
    """

    storage: LeaseStorage

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        super().__init__(
            queue.name,
            store_none=True,
            store_intermediate_errors=False,
            serializer=_AsItIs(),
            storage_class=LeaseStorage,
            queue=queue,
        )
        self.job_class = self.task(name=queue.name)(queue).task_class
        self._away = False

    def get_task_wrapper_class(self) -> type[TaskWrapper]:
        """Return the wrapper that makes our tasks."""
        return _Wrapper

    def serialize_task(self, task: JobTask) -> Attempt:
        """Return the attempt to repeat, which is what the storage is given."""
        return task.attempt

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - huey's own
        """Return that nothing is: a job that is cancelled is taken from its queue instead."""
        return False

    def deserialize_task(self, data: Taken) -> JobTask:
        """Return the task of a job that was taken."""
        queue = self.queue
        job = Job(queue, data.id, data.message, attempt=data.attempt)
        attempt = Attempt(queue, job, data, self.storage.owner)
        job._hold = attempt  # noqa: SLF001 - the two are one
        self.storage.running[job.id] = attempt
        # A pause of 0 would make huey enqueue it as a new job.
        task = self.job_class(
            id=job.id, retries=attempt.left, retry_delay=max(attempt.pause, 0.001)
        )
        task.attempt = attempt
        return task  # type: ignore[no-any-return]  # as above

    def dequeue(self) -> JobTask | None:
        """Return the next task; None if there is none, or the server is away."""
        try:
            taken = self.storage.dequeue()
        except AgentnbError as error:
            if not self._away:
                self._away = True
                self.queue.log.warning("queue cannot be read: %s", error)
            alarm = self.storage.alarm
            if alarm is not None and not alarm.stopped:
                alarm.wait(_AWAY_PAUSE)
            return None
        if self._away:
            self._away = False
            self.queue.log.info("queue can be read again")
        return None if taken is None else self.deserialize_task(taken)

    def _requeue_task(self, task: JobTask, timestamp: Any, retry_eta: Any = None) -> None:
        """Let huey schedule another attempt, unless it would fail as well."""
        if task.attempt.final:
            self.storage.fail(task.attempt)
        else:
            super()._requeue_task(task, timestamp, retry_eta)

    def create_consumer(self, **options: Any) -> QueueConsumer:
        """Return a consumer for this process."""
        return QueueConsumer(self, periodic=False, check_worker_health=False, **options)


class QueueConsumer(Consumer):  # type: ignore[misc]  # as above
    """huey's consumer, with the tender in the place of its scheduler.

    It leaves the signals of the process alone, and so starts in any thread.
    """

    tender: Tender

    def _create_scheduler(self) -> Tender:
        self.tender = Tender(self.huey, self.stop_flag)
        return self.tender

    def _set_signal_handlers(self) -> None:
        pass
