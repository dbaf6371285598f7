"""One attempt at a task, from when it was taken until its outcome counts or does not."""

from __future__ import annotations

import asyncio
import inspect
import logging
import shlex
import threading
from collections import deque
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec import Kept, Unkept, read
from agentnb.core.errors import AgentnbError, RejectedError, UnkeptResult, UsageError
from agentnb.core.failure import CANCELLED, Failure, words_of
from agentnb.core.trace import use
from agentnb.core.workflow.context import Context
from agentnb.core.workflow.errors import Stopped
from agentnb.core.workflow.journal import Journal
from agentnb.core.workflow.link import plain

if TYPE_CHECKING:
    from agentnb.core.codec import TypeCodec
    from agentnb.core.trace import Context as TraceContext
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.base import Base
    from agentnb.core.workflow.claiming import Claimed

__all__ = ["Attempt"]

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
        Its outcome: the result as it is kept, or why it failed, and whether another attempt would
        fail as well.
    """

    def __init__(self, orchestrator: Base, claimed: Claimed) -> None:
        self.orchestrator = orchestrator
        self.claimed = claimed
        self._journal = Journal(orchestrator.link, claimed)
        self.task = claimed.info
        self.began = monotonic()
        self.context: TraceContext | None = claimed.context
        self.overdue = None if claimed.timeout is None else self.began + claimed.timeout
        self.lost = False
        self.cancelled = False
        self.result = Kept(b"null")
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
            "task", service="workflow", attempt=task.attempt, task=task.name, agent=task.agent
        )
        with use(self.context), span:
            self.context = span
            try:
                agent = self.orchestrator.registry.find(self.task.agent)
                self._keep(self._call(agent), agent)
            except BaseException as error:  # noqa: BLE001 - the worker goes on, and what it was is kept
                span.outcome = type(error).__name__
                self._note_failure(error)

    def _keep(self, result: Any, agent: Agent) -> None:
        """Keep the result as far as that can be done: the task is done either way."""
        orchestrator = self.orchestrator
        kept = orchestrator.json.keep(result, agent.declared, orchestrator.redactor)
        self.result = kept
        if kept.unkept is not None:
            orchestrator.tell(f"task {self.task.name} is {kept.unkept}", level=logging.WARNING)
        elif kept.note:
            self._advise(f"agent {agent.name} {kept.note}")

    def unkeep(self, error: BaseException) -> bool:
        """Describe a result that the database has refused, and return whether that helps."""
        if self.failure is not None or self.result.unkept is not None:
            return False
        self.result = self._refused(self.result, error)
        return True

    def _refused(self, kept: Kept, error: BaseException) -> Kept:
        """Return the description of a result that the database has refused."""
        redact = self.orchestrator.redactor
        text = redact(kept.data[:_LONGEST].decode("utf-8", "replace"))
        return Kept(b"null", unkept=Unkept("JSON", text, redact(words_of(error))[:_LONGEST]))

    def _advise(self, text: str) -> None:
        """Say once for an agent that a result comes back as another type."""
        if self.orchestrator.advise(self.task.agent, text):
            with suppress(AgentnbError):  # the work is done, with or without the line
                self.say(text, level=logging.WARNING)

    def _call(self, agent: Agent) -> Any:
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
                    raise Stopped(CANCELLED, service="workflow") from error
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
        self.final = isinstance(error, UsageError) and error.service == "workflow"

    def stop(self, *, lost: bool) -> None:
        """Note that it is to stop, and stop what can be stopped."""
        self.lost = self.lost or lost
        self.cancelled = self.cancelled or not lost
        cancel = self._cancel
        if cancel is not None:
            with suppress(RuntimeError):  # its loop is closed
                cancel()

    # What its context asks for

    def check_stopped(self) -> None:
        """Raise an error if the task was cancelled or given to another worker."""
        if self.stopped:
            raise Stopped(
                f"task {self.task.name} was cancelled, or given to another worker",
                service="workflow",
            )

    def step_result(self, name: str, codec: TypeCodec | None) -> tuple[Any] | None:
        """Return the kept result of a step, in a tuple; None if there is none.

        Raises
        ------
        UnkeptResult
            The step is done, and its result could not be kept.
        """
        row = self._journal.step(name)
        if row is None:
            return None
        if row[1] is not None:
            raise self._unkept(name, Unkept.read(row[1]))
        return (read(row[0], codec),)

    def keep_step(self, name: str, result: Any, codec: TypeCodec | None) -> Any:
        """Keep the result of a step, if the task is still this attempt's; return its copy.

        Raises
        ------
        UnkeptResult
            The result cannot be kept. The step is noted as done, and is not called again.
        """
        orchestrator = self.orchestrator
        kept = orchestrator.json.keep(result, codec, orchestrator.redactor)
        try:
            self._insert_step(name, kept)
        except RejectedError as error:
            if self.lost or kept.unkept is not None:
                raise
            kept = self._refused(kept, error)
            self._insert_step(name, kept)
        if kept.unkept is not None:
            raise self._unkept(name, kept.unkept)
        if kept.note:
            self._advise(f"step {name!r} {kept.note}")
        return kept.copy

    def _insert_step(self, name: str, kept: Kept) -> None:
        unkept = None if kept.unkept is None else kept.unkept.write()
        if not self._journal.keep_step(name, kept.data.decode(), unkept):
            self._refuse()

    def _unkept(self, name: str, unkept: Unkept) -> UnkeptResult:
        task = self.task
        return unkept.error(
            f"step {name!r} of task {task.name}",
            "workflow",
            "have it return plain values or a model, then "
            f"%workflow forget {task.workflow_id} {task.name} {shlex.quote(name)} and "
            f"%workflow retry {task.workflow_id}",
        )

    def note(self, progress: float | None, message: str) -> None:
        """Keep how far the task is."""
        words = plain(self.orchestrator.redactor(message))[:_LONGEST]
        if not self._journal.progress(progress, words):
            self._refuse()

    def say(self, message: str, level: int = logging.INFO) -> None:
        """Keep what an agent says, a line or several."""
        words = plain(self.orchestrator.redactor(message))
        lines = [line[:_LONGEST] for line in words.split("\n")]
        self._said.extend(lines)
        if not self._journal.log(lines[-1], "\n".join(self._said)):
            self._refuse()
        task, context = self.task, self.context
        for line in lines:
            self.orchestrator.tell(
                "task says: %s",
                line,
                level=level,
                context=context,
                workflow=task.workflow_id,
                task=task.name,
            )

    def _refuse(self) -> None:
        self.stop(lost=True)
        raise Stopped(
            f"task {self.task.name} is not this attempt's any more: {self.task.id}",
            service="workflow",
        )
