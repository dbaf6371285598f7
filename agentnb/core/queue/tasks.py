"""huey's part of a queue: the registry of its task, its signals and its hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from huey import signals
from huey.api import Huey, Task, TaskWrapper
from huey.exceptions import CancelExecution
from huey.storage import BlackHoleStorage

from agentnb.core.work.attempt import Released

if TYPE_CHECKING:
    from agentnb.core.queue.job import Job
    from agentnb.core.work.store import Outcome

__all__ = ["QueueHuey"]

_SIGNALS: Final = {
    "completed": (signals.SIGNAL_COMPLETE,),
    "failed": (signals.SIGNAL_ERROR,),
    "delayed": (signals.SIGNAL_ERROR, signals.SIGNAL_RETRYING),
    "cancelled": (signals.SIGNAL_CANCELED,),
}


class _Wrapper(TaskWrapper):  # type: ignore[misc]  # huey has no types
    """Makes the class of a queue's task, without huey's refusal of coroutine functions."""

    def create_task(
        self,
        func: Any,  # noqa: ARG002 - the engine calls the queue's processor
        context: bool = False,  # noqa: ARG002, FBT001, FBT002 - huey's signature
        name: str | None = None,
        **settings: Any,
    ) -> type[Task]:
        return type(name or "job", (Task,), {"__module__": "agentnb.queue", **settings})


class QueueHuey(Huey):  # type: ignore[misc]  # as above
    """huey's instance for one queue: its signals, and its hooks before and after execution.

    The execution engine claims and runs the jobs, and emits the signals. A message carries only
    the data, so huey's pipelines, groups, chords, periodic tasks and expiry have nothing to
    travel in, and are not available on it.

    Parameters
    ----------
    name
        The queue.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, storage_class=BlackHoleStorage)
        self.task_class = self.task(name=name)(lambda: None).task_class

    def get_task_wrapper_class(self) -> type[TaskWrapper]:
        """Return the wrapper that makes the task's class."""
        return _Wrapper

    def executing(self, job: Job) -> None:
        """Run the hooks before a job is processed.

        Raises
        ------
        Released
            A hook has raised huey's `CancelExecution`: the job is put back.
        """
        task = self._task_of(job)
        try:
            self._run_pre_execute(task)
        except CancelExecution as error:
            raise Released from error
        self._emit(signals.SIGNAL_EXECUTING, task)

    def ended(self, job: Job, state: str, outcome: Outcome) -> None:
        """Run the hooks after a job was processed, and emit the signals of its end."""
        task = self._task_of(job)
        failed = outcome.failure is not None
        error = RuntimeError(outcome.failure.error) if outcome.failure else None
        self._run_post_execute(task, None if failed else outcome.value, error)
        for signal in _SIGNALS.get(state, ()):
            self._emit(signal, task, *([error] if signal == signals.SIGNAL_ERROR else []))

    def _task_of(self, job: Job) -> Task:
        return self.task_class(args=(job,), id=job.id)
