"""One attempt at a task, from when it was taken until its outcome counts or does not."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.trace import use
from agentnb.core.workflow.context import Context, Stopped
from agentnb.core.workflow.link import plain

if TYPE_CHECKING:
    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.base import Base
    from agentnb.core.workflow.claiming import Claimed

__all__ = ["Attempt"]

_OURS = "id = :id and owner = :owner and attempt = :attempt and state = 'active'"
_STEP = f"""
insert into {{task_step}} (task_id, name, result, attempt, created)
select :id, :name, :result, :attempt, {{now}} where exists (select 1 from {{task}} where {_OURS})
on conflict (task_id, name) do nothing
"""
_NOTE = f"update {{task}} set progress = :progress, message = :message where {_OURS}"
_SAY = f"update {{task}} set message = :message, log = :log where {_OURS}"
_LONGEST = 1000
_LINES = 200


class _TooLong(Exception):  # noqa: N818 - what happened
    """It took longer than it may."""


class Attempt:
    """An attempt at a task in this process.

    Parameters
    ----------
    orchestrator, claimed
        The task, and who has taken it.

    Attributes
    ----------
    lost
        Set when the task belongs to another: what comes of this does not count.
    cancelled
        Whether it was asked to stop.
    overdue
        When it has to be over, of the monotonic clock; None while it may take its time.
    began
        When it was taken, of the monotonic clock.
    context
        The trace that its log lines belong to: the workflow's, then the attempt's span.
    result, failure, final
        What came of it: JSON, or why it failed, and whether another attempt would as well.
    """

    def __init__(self, orchestrator: Base, claimed: Claimed) -> None:
        self.orchestrator = orchestrator
        self.claimed = claimed
        self.task = claimed.info
        self.began = monotonic()
        self.context: TraceContext | None = claimed.context
        self.overdue = None if claimed.timeout is None else self.began + claimed.timeout
        self.lost = False
        self.cancelled = False
        self.result = b"null"
        self.failure: Failure | None = None
        self.final = False
        self.is_async = False
        self._said: deque[str] = deque(maxlen=_LINES)
        self._settled = threading.Lock()
        self._cancel: Any = None

    @property
    def stopped(self) -> bool:
        """Whether nothing that it does counts any more, or it was asked to stop."""
        return self.lost or self.cancelled

    def settle(self) -> bool:
        """Return whether the caller is the first who has an outcome of it."""
        return self._settled.acquire(blocking=False)

    @property
    def settled(self) -> bool:
        """Whether it has an outcome."""
        return self._settled.locked()

    def run(self) -> None:
        """Do the task with whatever is its agent now; see `result` and `failure`."""
        task, tracer = self.task, self.orchestrator.tracer
        span = tracer.span(
            "task", service="workflows", attempt=task.attempt, task=task.name, agent=task.agent
        )
        with use(self.context), span:
            self.context = span
            try:
                self.result = self.orchestrator.json.encode(self._call())
            except BaseException as error:  # noqa: BLE001 - the worker goes on, and what it was is kept
                span.outcome = type(error).__name__
                self._note_failure(error)

    def _call(self) -> Any:
        agent = self.orchestrator.registry.find(self.task.agent)
        self.is_async = agent.is_async
        task = self._typed(agent)
        context = Context(self, task, is_async=agent.is_async)
        found = agent.call(task, context)
        return self._await(found) if inspect.isawaitable(found) else found

    def _typed(self, agent: Agent) -> Any:
        if agent.schema is None:
            return self.task
        raw = msgspec.json.encode(self.task.data)
        return replace(self.task, data=self.orchestrator.json.decode(raw, agent.schema))

    def _await(self, awaitable: Any) -> Any:
        left = None if self.overdue is None else max(self.overdue - monotonic(), 0.0)

        async def bounded() -> Any:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel) if task else None
            if self.stopped:
                self._cancel()
            try:
                async with asyncio.timeout(left) as limit:
                    return await awaitable
            except TimeoutError as error:
                if limit.expired():
                    raise self.too_long("it was cancelled") from error
                raise
            except asyncio.CancelledError as error:
                if self.stopped:
                    raise Stopped(CANCELLED, service="workflows") from error
                raise
            finally:
                self._cancel = None

        return self.orchestrator.loop.call(bounded)

    def too_long(self, and_so: str) -> Exception:
        """Return the error of an attempt that has taken too long."""
        return _TooLong(f"it took longer than {self.claimed.timeout:g} s; {and_so}")

    def _note_failure(self, error: BaseException) -> None:
        redact = self.orchestrator.redactor
        self.failure = Failure.of(error, self.task.attempt, redact)
        if isinstance(error, _TooLong):
            self.failure = Failure(redact(str(error)), self.task.attempt)
        # What the agent's code cannot mend by being run again.
        self.final = isinstance(error, UsageError) and error.service == "workflows"

    def stop(self, *, lost: bool) -> None:
        """Note that it is to stop, and stop what can be stopped."""
        self.lost = self.lost or lost
        self.cancelled = self.cancelled or not lost
        cancel = self._cancel
        if cancel is not None:
            with suppress(RuntimeError):  # its loop is closed
                cancel()

    # What its context asks for

    def step_result(self, name: str) -> tuple[Any] | None:
        """Return the kept result of a step, in a tuple; None if there is none."""
        sql = "select result from {task_step} where task_id = :id and name = :name"
        with self.orchestrator.link.read() as turn:
            row = turn.row(sql, id=self.task.id, name=name)
        return None if row is None else (msgspec.json.decode(row[0]),)

    def keep_step(self, name: str, result: Any) -> Any:
        """Keep the result of a step, if the task is still this attempt's."""
        text = self.orchestrator.json.encode(result).decode()
        with self.orchestrator.link.write() as turn:
            kept = turn.run(_STEP, name=name, result=text, **self.claimed.fence)
        if not kept:
            self._refuse()
        return result

    def note(self, progress: float | None, message: str) -> None:
        """Keep how far the task is."""
        words = plain(self.orchestrator.redactor(message))[:_LONGEST]
        self._update(_NOTE, progress=progress, message=words)

    def say(self, message: str) -> None:
        """Keep what an agent says, a line or several."""
        words = plain(self.orchestrator.redactor(message))
        lines = [line[:_LONGEST] for line in words.split("\n")]
        self._said.extend(lines)
        self._update(_SAY, message=lines[-1], log="\n".join(self._said))
        task, context = self.task, self.context
        for line in lines:
            self.orchestrator.tell(
                "task says: %s", line, context=context, workflow=task.workflow_id, task=task.name
            )

    def _update(self, sql: str, **values: Any) -> None:
        with self.orchestrator.link.write() as turn:
            kept = turn.run(sql, **values, **self.claimed.fence)
        if not kept:
            self._refuse()

    def _refuse(self) -> None:
        self.stop(lost=True)
        raise Stopped(
            f"task {self.task.name} is not this attempt's any more: {self.task.id}",
            service="workflows",
        )
