"""A task queue on huey that loses nothing: jobs are leased, and a dead worker's run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.processing import processor
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.queues import TaskQueue
    from agentnb.core.queue.worker import Worker

__all__ = ["Job", "Queue", "TaskQueue", "Worker", "processor"]

_MODULES = {
    "Job": "job",
    "Queue": "queue",
    "TaskQueue": "queues",
    "Worker": "worker",
    "processor": "processing",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: huey takes a fifth of a second, and adding a job needs none of it.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
