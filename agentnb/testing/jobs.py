"""One job, run by its processor in the thread of the test."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack, overload

from agentnb.core.clock import Clock
from agentnb.core.errors import RejectedError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole
from agentnb.core.typevars import D_co
from agentnb.testing.arguments import check_hub
from agentnb.testing.hubs import isolated_hub, remove_keys
from agentnb.testing.loops import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from agentnb.core.hub import Hub
    from agentnb.core.loop import LoopThread
    from agentnb.core.queue import Job, Queue
    from agentnb.core.work.inline import Ran

__all__ = ["JobRun", "arun_job", "run_job"]

R = TypeVar("R")

_LOGS = 1000
_MOST_ATTEMPTS = 1000
_RESULT_SECONDS = 5.0  # it is there already


@dataclass(frozen=True, slots=True)
class JobRun(Generic[D_co]):
    """A job that has completed.

    Attributes
    ----------
    result
        Its result, as `Job.result` returns it.
    progress
        The last progress that it has set; None for none.
    logs
        The lines that it has logged.
    attempts
        How many attempts it took.
    errors
        The exceptions of the attempts that failed.
    """

    result: D_co
    progress: Any = None
    logs: list[str] = field(default_factory=list)
    attempts: int = 1
    errors: list[BaseException] = field(default_factory=list)


class JobOptions(TypedDict, total=False):
    """The keyword arguments of `run_job`."""

    hub: Hub | None
    queue: str | None
    attempts: int
    schema: Any
    returns: Any
    timeout: float | None


@overload
def run_job(
    function: Callable[[Job], Coroutine[Any, Any, R]],
    data: Any = ...,
    **options: Unpack[JobOptions],
) -> JobRun[R]: ...
@overload
def run_job(
    function: Callable[[Job], R], data: Any = ..., **options: Unpack[JobOptions]
) -> JobRun[R]: ...
@refuse_unknown("testing")
def run_job(
    function: Callable[[Job], Any],
    data: Any = None,
    *,
    hub: Hub | None = None,
    queue: str | None = None,
    attempts: int = 1,
    schema: Any = None,
    returns: Any = None,
    timeout: float | None = None,
) -> JobRun[Any]:
    """Run a job by a processor, as a worker does, and return what it has made.

    The data and the result make their way through JSON, by the schema and the declared type;
    the processor is given a real `Job`. It runs in the thread of the caller. Pauses between
    attempts are skipped. Other jobs of the queue are left alone; what the processor adds to a
    queue waits there.

    Parameters
    ----------
    function
        The processor, ``def`` or ``async def``. What ``@processor`` says of it holds here.
    data
        The job's data.
    hub
        The hub whose events, queues and logs the job uses; default: one for this call.
    queue
        The name of its queue; default: the one of ``@processor``, else ``test``.
    attempts
        How often it is tried.
    schema, returns, timeout
        As `Queue.work` takes them; default: those of ``@processor``. Only a coroutine is ended
        at the time-out.

    Raises
    ------
    Exception
        What the processor has raised in its last attempt, as it is.
    UsageError
        The data has no JSON form, or is not of the schema.
    UnkeptResult
        The result cannot be stored.

    Examples
    --------
    >>> run = run_job(lambda job: job.data["n"] ** 2, {"n": 7})
    >>> run.result, run.attempts
    (49, 1)
    """
    options = {"schema": schema, "returns": returns, "timeout": timeout}
    attempts = whole("attempts", attempts, service="queue", most=_MOST_ATTEMPTS)
    with nullcontext(hub) if hub is not None else isolated_hub() as used:
        return _run(used, function, data, queue, attempts, options)


@overload
async def arun_job(
    function: Callable[[Job], Coroutine[Any, Any, R]],
    data: Any = ...,
    **options: Unpack[JobOptions],
) -> JobRun[R]: ...
@overload
async def arun_job(
    function: Callable[[Job], R], data: Any = ..., **options: Unpack[JobOptions]
) -> JobRun[R]: ...
@refuse_unknown("testing")
async def arun_job(
    function: Callable[[Job], Any],
    data: Any = None,
    *,
    hub: Hub | None = None,
    queue: str | None = None,
    attempts: int = 1,
    schema: Any = None,
    returns: Any = None,
    timeout: float | None = None,  # noqa: ASYNC109 - as run_job
) -> JobRun[Any]:
    """Await a job; as `run_job`, with a coroutine function on the event loop of the caller."""
    options = {"schema": schema, "returns": returns, "timeout": timeout}
    attempts = whole("attempts", attempts, service="queue", most=_MOST_ATTEMPTS)

    def call(loop: LoopThread) -> JobRun[Any]:
        with nullcontext(hub) if hub is not None else isolated_hub() as used:
            return _run(used, function, data, queue, attempts, options, loop)

    return await in_thread(call)


def _run(
    hub: Hub,
    function: Callable[[Job], Any],
    data: Any,
    queue: str | None,
    attempts: int,
    options: dict[str, Any],
    loop: LoopThread | None = None,
) -> JobRun[Any]:
    from agentnb.core.queue.processing import mark_of

    check_hub(hub)
    mark = mark_of(function)
    if mark is not None:
        queue = queue or mark.queue
        marked = {"schema": mark.schema, "returns": mark.returns, "timeout": mark.timeout}
        options = {name: marked[name] if one is None else one for name, one in options.items()}
    clock = Clock()
    with _apart(hub, queue or "test", clock) as own:
        own.process(function, **options)
        job = own.add(data, attempts=attempts, remove_on_complete=False, remove_on_fail=False)
        errors: list[BaseException] = []
        ran: Ran | None = None
        worker = own._inline_worker(loop)  # noqa: SLF001 - for this package
        while (found := worker.run_next()) is not None:
            ran = found
            if ran.outcome.error is not None:
                errors.append(ran.outcome.error)
            if ran.state != "delayed":
                break
            clock.advance(worker.due() or 0.0)
        _check(ran, errors)
        result = job.result(timeout=_RESULT_SECONDS)
        return JobRun(result, job.progress(), job.logs(_LOGS), job.attempt, errors)


def _check(ran: Ran | None, errors: list[BaseException]) -> None:
    """Raise the error of the last attempt, if it failed."""
    if ran is None:
        return
    if ran.state == "failed" and ran.outcome.error is not None:
        raise errors[-1]
    if ran.state == "waiting":
        raise RejectedError(
            "the job was put back before it was processed",
            service="queue",
            hint="a hook of queue.huey has raised CancelExecution",
        )


@contextmanager
def _apart(hub: Hub, name: str, clock: Clock) -> Iterator[Queue]:
    """Open a queue that has the name of one of the hub's, and no jobs of it."""
    from agentnb.core.services.work import make_queues

    prefix = f"{hub.settings.key_prefix}-run-{secrets.token_hex(4)}"
    queues = make_queues(hub, prefix=prefix, runtime=replace(hub.runtime, clock=clock))
    try:
        queue = queues.get_queue(name)
        queue._shown = hub.queue(name)  # noqa: SLF001 - for this package
        yield queue
    finally:
        queues.close()
        remove_keys(hub.redis.untraced, prefix)
