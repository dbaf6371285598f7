"""A task queue that loses no job: jobs are leased, and those of a dead worker run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.queue.batch import Batch, BatchItem
    from agentnb.core.queue.failure import BatchFailed, JobCancelled, JobFailed
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.processing import processor
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.queues import Queues, TaskQueue
    from agentnb.core.queue.worker import Worker

__all__ = [
    "Batch",
    "BatchFailed",
    "BatchItem",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Queue",
    "Queues",
    "TaskQueue",
    "Worker",
    "processor",
]

_MODULES = {
    "Batch": "batch",
    "BatchFailed": "failure",
    "BatchItem": "batch",
    "Job": "job",
    "JobCancelled": "failure",
    "JobFailed": "failure",
    "Queue": "queue",
    "Queues": "queues",
    "TaskQueue": "queues",
    "Worker": "worker",
    "processor": "processing",
}


if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use, since a part of it is enough for most.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value
