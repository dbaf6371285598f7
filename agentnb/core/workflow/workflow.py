"""A workflow, as `Orchestrator.create` returns it."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from agentnb.core.errors import TaskNotFound, did_you_mean
from agentnb.core.keywords import refuse_unknown
from agentnb.core.moments import moment_of
from agentnb.core.trace import parse_traceparent
from agentnb.core.twins import await_method, twin
from agentnb.core.work.limits import NOT_GIVEN
from agentnb.core.workflow.spec import shown
from agentnb.core.workflow.streams import check_stream

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator, Generator, Iterator, Sequence

    from typing_extensions import TypeForm

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.table import Table
    from agentnb.core.workflow.agent_limits import AgentLimit
    from agentnb.core.workflow.forms import OpenWait
    from agentnb.core.workflow.info import TaskInfo, WorkflowState
    from agentnb.core.workflow.orchestrator import Orchestrator
    from agentnb.core.workflow.reading import Reader
    from agentnb.core.workflow.results import Results
    from agentnb.core.workflow.stream_reading import StreamReader
    from agentnb.core.workflow.streams import Chunk, StreamText

__all__ = ["Workflow"]

T = TypeVar("T")


@refuse_unknown("workflow")
class Workflow:
    """A workflow as it stood when it was read; `refresh` reads it again, in place.

    Made by `Orchestrator.create` and `Orchestrator.get`.

    Attributes
    ----------
    id, name, key
        Its id, its name, and the idempotency key it was made with, or None.
    state
        ``active``, ``completed``, ``failed`` or ``cancelled``.
    data
        The data that it was given.
    max_parallel
        How many of its tasks are active at once at most; None for any number.
    created, finished
        When it was made and when it ended, as aware datetimes in UTC; None if it has not.
    paused
        Since when it is paused, as an aware datetime in UTC; None if it is not.
    deadline
        When what is left of it is cancelled, as an aware datetime in UTC; None for never.
    error
        Why it failed or was cancelled, or None.
    traceparent
        In which trace it was made, W3C, or None.
    correlation_id
        The correlation id that it was given, or that of the trace in which it was made; None for
        none.
    """

    __slots__ = (
        *(
            "_orchestrator",
            "_reader",
            "_results",
            "created",
            "data",
            "deadline",
            "error",
            "finished",
            "id",
            "key",
        ),
        *("correlation_id", "max_parallel", "name", "paused", "state", "traceparent"),
    )

    def __init__(
        self, orchestrator: Orchestrator, reader: Reader, results: Results, row: Sequence[Any]
    ) -> None:
        self._orchestrator = orchestrator
        self._reader = reader
        self._results = results
        self._take(row)

    def _take(self, row: Sequence[Any]) -> None:
        self.id: str = row[0]
        self.name: str = row[1]
        self.key: str | None = row[2]
        self.state: WorkflowState = row[3]
        self.data: Any = msgspec.json.decode(row[4])
        self.max_parallel: int | None = row[5]
        self.created: dt.datetime = moment_of(row[6])
        self.finished: dt.datetime | None = moment_of(row[7])
        self.error: str | None = row[8]
        self.traceparent: str | None = row[9]
        self.correlation_id: str | None = row[10]
        self.paused: dt.datetime | None = moment_of(row[11]) if self.state == "active" else None
        self.deadline: dt.datetime | None = moment_of(row[12])

    @property
    def trace_id(self) -> str | None:
        """The id of the trace in which it was made, 32 hexadecimal digits; None without one."""
        context = parse_traceparent(self.traceparent)
        return None if context is None else context.trace_id

    @property
    def standing(self) -> str:
        """Its state for people: ``paused`` while it is active and paused."""
        return self.state if self.paused is None else "paused"

    def refresh(self) -> Workflow:
        """Read it again, and return it.

        Raises
        ------
        NotFoundError
            It is gone.
        """
        self._take(self._reader.row(self.id))
        return self

    @property
    def tasks(self) -> list[TaskInfo]:
        """The present snapshots of its tasks, in the order in which they were given."""
        return self._reader.tasks(self.id)

    def task(self, name: str) -> TaskInfo:
        """Return the present snapshot of one of its tasks, by its name or id.

        Raises
        ------
        NotFoundError
            It has no such task.
        """
        found = self._reader.task(self.id, name) if isinstance(name, str) else None
        if found is not None:
            return found
        names = [task.name for task in self.tasks]
        raise TaskNotFound(
            f"workflow {self.id} has no task {shown(name)}",
            service="workflow",
            hint=did_you_mean(str(name), names) or f"it has: {', '.join(names)}",
        )

    def logs(self, task: str) -> list[str]:
        """Return the last lines that the latest attempt at a task has logged, 200 at most.

        Raises
        ------
        NotFoundError
            It has no such task.
        """
        return self._reader.log(self.task(task).id)

    def stream(
        self, task: str, stream: str | None = None, *, follow: bool = True
    ) -> Iterator[Chunk]:
        """Yield what a task streams: from the beginning, and then as it is written.

        It ends when the task has ended. A reader in another process, and one that comes later,
        is given the same. Any number may read, and hold no connection while nothing is written.

        Parameters
        ----------
        task
            The name or id of the task.
        stream
            The name of its stream; None for all, in the order of writing.
        follow
            Whether it waits for what is written later.

        Yields
        ------
        Chunk
            A value and its number; or a reset, after which the values behind the first ``n`` no
            longer count: the attempt that wrote them has ended without a result.

        Raises
        ------
        NotFoundError
            There is no such task, or it is deleted meanwhile.

        Examples
        --------
        ``for chunk in workflow.stream("write"): print(chunk.value, end="")``
        """
        name = None if stream is None else check_stream(stream)
        return self._streams.read(self.task(task).id, name, follow=follow)

    async def astream(
        self, task: str, stream: str | None = None, *, follow: bool = True
    ) -> AsyncIterator[Chunk]:
        """Yield what `stream` yields, awaited: ``async for chunk in workflow.astream(TASK)``."""
        name = None if stream is None else check_stream(stream)
        number = (await self.atask(task)).id
        found = self._streams.aread(number, name, follow=follow)
        async with aclosing(found):
            async for chunk in found:
                yield chunk

    def streams(self, task: str) -> Table:
        """Return the streams of a task as a table.

        Returns
        -------
        Table
            Name, values, bytes, the last attempt that wrote to it and when, and how many of its
            oldest values were dropped.

        Raises
        ------
        NotFoundError
            It has no such task.
        """
        return self._streams.table(self.task(task).id)

    def _stream_beats(
        self, task: TaskInfo, stream: str | None, *, follow: bool, every: float
    ) -> Iterator[Chunk | None]:
        """Yield what `stream` does, and None after some seconds without any, for a display."""
        name = None if stream is None else check_stream(stream)
        return self._streams.beats(task.id, name, follow=follow, every=every)

    def _stream_tail(self, task: str, limit: int) -> dict[str, StreamText]:
        """Return the end of each stream of a task as text, by the task's id."""
        return self._streams.tail(task, limit)

    @property
    def _streams(self) -> StreamReader:
        return self._orchestrator._stream_reader  # noqa: SLF001 - which has made it

    @property
    def result(self) -> dict[str, Any]:
        """The results of its completed tasks, by their names.

        Each is of the type that its agent declares, where this process has the agent, else plain
        JSON. One that could not be kept is its description, an `Unkept`.
        """
        return self._results.all(self.id)

    @overload
    def result_of(self, task: str, *, type: TypeForm[T]) -> T: ...
    @overload
    def result_of(self, task: str, *, type: None = ...) -> Any: ...
    def result_of(self, task: str, *, type: Any = None) -> Any:  # noqa: A002 - the name that `Job.result` has
        """Return the result of a completed task.

        Parameters
        ----------
        task
            The task's name.
        type
            The type to read it as; None for the one that its agent declares, where this process
            has the agent, else plain JSON.

        Raises
        ------
        NotFoundError, RejectedError
            It has no such task; the task is not completed.
        UnkeptResult
            The task is done, but its result could not be kept.
        UsageError
            The result is not of the type.
        """
        return self._results.one(self.id, task, type)

    def forget(self, task: str, step: str) -> Workflow:
        """Forget the result of a step: see `Orchestrator.forget`."""
        return self._orchestrator.forget(self, task, step)

    def wait(self, timeout: float | None = None) -> Workflow:
        """Wait until it has ended, and return it; see `Orchestrator.wait`."""
        return self._orchestrator.wait(self, timeout)

    async def await_(self, timeout: float | None = None) -> Workflow:  # noqa: ASYNC109 - as wait
        """Await its end; see `Orchestrator.wait`."""
        return await self._orchestrator.await_(self, timeout)

    def __await__(self) -> Generator[Any, None, Workflow]:
        """Await its end; see `Orchestrator.wait`."""
        return self.await_().__await__()

    def pause(self) -> Workflow:
        """Pause it: see `Orchestrator.pause`."""
        return self._orchestrator.pause(self)

    def resume(self) -> Workflow:
        """Resume it: see `Orchestrator.resume`."""
        return self._orchestrator.resume(self)

    def cancel(self) -> Workflow:
        """End it: see `Orchestrator.cancel`."""
        return self._orchestrator.cancel(self)

    def retry(self, task: str | None = None, *, from_step: str | None = None) -> Workflow:
        """Let what failed run again: see `Orchestrator.retry`."""
        return self._orchestrator.retry(self, task, from_step=from_step)

    def set(
        self,
        task: str,
        *,
        attempts: int | None = NOT_GIVEN,
        backoff: float | None = NOT_GIVEN,
        timeout: float | None = NOT_GIVEN,
        priority: int = NOT_GIVEN,
        delay: float = NOT_GIVEN,
    ) -> Workflow:
        """Change options of one of its tasks: see `Orchestrator.set`."""
        return self._orchestrator.set(
            self,
            task,
            attempts=attempts,
            backoff=backoff,
            timeout=timeout,
            priority=priority,
            delay=delay,
        )

    def approve(self, task: str, by: str | None = None) -> Workflow:
        """Let a task run that waits for that: see `Orchestrator.approve`."""
        return self._orchestrator.approve(self, task, by)

    def reject(self, task: str, reason: str = "", by: str | None = None) -> Workflow:
        """Let a task that waits for an approval not run: see `Orchestrator.reject`."""
        return self._orchestrator.reject(self, task, reason, by)

    def answer(self, task: str, name: str, value: Any, by: str | None = None) -> Workflow:
        """Answer a question of a task: see `Orchestrator.answer`."""
        return self._orchestrator.answer(self, task, name, value, by)

    def _open_waits(self) -> list[OpenWait]:
        """Return its open waits as panels and magics show them."""
        return self._reader.open_waits(self.id)

    def waits(self) -> Table:
        """Return its open waits, oldest first: see `Orchestrator.waits`."""
        return self._orchestrator.waits(self)

    def events(self, n: int = 100) -> Table:
        """Return its last events, oldest first: time, event, task, what else is known."""
        return self._orchestrator.events(self, n)

    def why_waiting(self) -> str:
        """Return why it does not move and what to do about it; empty while it moves."""
        return self._reader.why_waiting(self.id, self.refresh().state)

    def limits(self) -> list[AgentLimit]:
        """Return the limits of agents, which may keep its tasks waiting."""
        return self._orchestrator.limits()

    def waited(self) -> float:
        """Return the seconds in which it did nothing but wait for a person to approve a task."""
        found = self._reader.waited([self], time.time())
        return found.get(self.id, 0.0)

    async def atasks(self) -> list[TaskInfo]:
        """Await `tasks`."""
        return await self._call_threads.call(lambda: self.tasks)

    async def aresult(self) -> dict[str, Any]:
        """Await `result`."""
        return await self._call_threads.call(lambda: self.result)

    @overload
    async def aresult_of(self, task: str, *, type: TypeForm[T]) -> T: ...
    @overload
    async def aresult_of(self, task: str, *, type: None = ...) -> Any: ...
    async def aresult_of(self, task: str, *, type: Any = None) -> Any:  # noqa: A002 - as result_of
        """Await `result_of`."""
        return await await_method(self, self.result_of, task, type=type)

    arefresh, atask, alogs = twin(refresh), twin(task), twin(logs)
    astreams = twin(streams)
    aforget, acancel = twin(forget), twin(cancel)
    apause, aresume, aset = twin(pause), twin(resume), twin(set)  # noqa: A003 - the method
    aretry, aapprove, areject = twin(retry), twin(approve), twin(reject)
    aevents, awhy_waiting, awaited = twin(events), twin(why_waiting), twin(waited)
    alimits, aanswer, awaits = twin(limits), twin(answer), twin(waits)

    @property
    def _call_threads(self) -> CallThreads:
        return self._orchestrator._call_threads  # noqa: SLF001 - which has made it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        trace = f", trace {self.trace_id[:8]}" if self.trace_id else ""
        return f"Workflow({self.name!r}, id={self.id!r}, {self.standing}{trace})"
