"""The keyword arguments of queues, for type checkers and for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from agentnb.core.work.attempt import Attempt

__all__ = ["AddOptions", "Backoff", "MapOptions", "ScheduleOptions", "State", "WorkOptions"]

State: TypeAlias = Literal[
    "waiting", "paused", "delayed", "active", "completed", "failed", "cancelled"
]
"""The state of a job."""


class Backoff(TypedDict, total=False):
    """The pauses between the attempts at a job: fixed, or doubled from one to the next."""

    type: Literal["exponential", "fixed"]
    delay: float


class AddOptions(TypedDict, total=False):
    """The keyword arguments of `Queues.add_task`, each as `Queue.add` takes it."""

    priority: int
    delay: float
    attempts: int
    backoff: float | Backoff | None
    timeout: float | None
    key: str | None
    lifo: bool
    remove_on_complete: bool | int
    remove_on_fail: bool | int
    result_ttl: float | None
    correlation_id: str | None


class MapOptions(TypedDict, total=False):
    """The keyword arguments of `Queue.map`."""

    priority: int
    delay: float
    attempts: int
    backoff: float | Backoff | None
    timeout: float | None
    lifo: bool
    result_ttl: float | None
    correlation_id: str | None


class ScheduleOptions(TypedDict, total=False):
    """The options of the jobs of a schedule, each as `Queue.add` takes it."""

    priority: int
    attempts: int
    backoff: float | Backoff | None
    timeout: float | None
    lifo: bool
    remove_on_complete: bool | int
    remove_on_fail: bool | int
    result_ttl: float | None
    correlation_id: str | None


class WorkOptions(TypedDict, total=False):
    """The keyword arguments of `Queues.process_queue`, each as `Queue.work` takes it."""

    returns: Any
    timeout: float | None
    kind: Literal["kernel", "process"]
    executor: Executor | str | None
    before: Callable[[Attempt], object] | None
