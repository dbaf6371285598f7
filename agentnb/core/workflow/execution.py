"""The execution of a task by its agent: steps, progress, log lines and the result are kept."""

from __future__ import annotations

import logging
import shlex
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from agentnb.core.codec import Kept, Unkept, read
from agentnb.core.errors import AgentnbError, RejectedError, UnkeptResult, UsageError
from agentnb.core.failure import words_of
from agentnb.core.trace import stamp
from agentnb.core.work.attempt import AttemptStopped
from agentnb.core.workflow import children, parking
from agentnb.core.workflow.context import Context, within
from agentnb.core.workflow.family import looked
from agentnb.core.workflow.journal import Journal
from agentnb.core.workflow.parking import Parked
from agentnb.core.workflow.stream_writer import StreamWriter
from agentnb.core.workflow.transactions import check_own, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.codec import Json
    from agentnb.core.loop import LoopThread
    from agentnb.core.runtime import Runtime
    from agentnb.core.trace import ServiceLog
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.workflow.agents import Agent
    from agentnb.core.workflow.children import Spawned
    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.creating import Creator
    from agentnb.core.workflow.parking import Wait, WaitState
    from agentnb.core.workflow.reading import Reader
    from agentnb.core.workflow.results import Results
    from agentnb.core.workflow.stepping import Step
    from agentnb.core.workflow.stream_writer import Streams
    from agentnb.core.workflow.transactions import Transactions
    from agentnb.core.workflow.usage import Usage

__all__ = ["Advice", "Surroundings", "TaskExecution", "refused"]

_LONGEST = 1000
_LINES = 200
_MOST_ADVICE = 1000


class Advice:
    """The advice that was given of agents: each once, while the process runs."""

    def __init__(self) -> None:
        self._given: set[tuple[str, str]] = set()

    def is_new(self, agent: str, text: str) -> bool:
        """Record an advice of an agent, and return whether it is given for the first time."""
        key = (agent, text)
        first = key not in self._given and len(self._given) < _MOST_ADVICE
        self._given.add(key)
        return first


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts of an orchestrator that an execution uses.

    Attributes
    ----------
    transactions, json, reader, results
        Keep and read values.
    services
        Given the name of a service that an agent asks its context for, returns it; None for none.
    loop, threads
        Run the steps that are coroutine functions, and the calls that steps await.
    runtime
        Tracer, redactor and logs.
    log
        The log of workflows.
    advice
        The advice that was given of agents.
    streams
        Keeps what agents stream.
    creator
        Makes the tasks that agents spawn.
    happened
        Called with the tasks that could run now, by agents, after they were committed.
    bus
        The event bus; None for none.
    look_for_events
        Called when a task waits for an event.
    """

    transactions: Transactions
    json: Json
    reader: Reader
    results: Results
    services: Callable[[str], Any] | None
    loop: LoopThread
    threads: CallThreads
    runtime: Runtime
    log: ServiceLog
    advice: Advice
    streams: Streams
    creator: Creator
    happened: Callable[[Mapping[str, int]], object]
    bus: Any
    look_for_events: Callable[[], object]


class TaskExecution:
    """The execution of one attempt at a task.

    Parameters
    ----------
    attempt
        The attempt, as the engine knows it.
    around
        The parts of the orchestrator.

    Attributes
    ----------
    task
        The task.
    streams
        What the attempt streams.
    parked
        The names of the waits that this entry has come to, and that have no answer yet.
    """

    def __init__(self, attempt: Attempt, around: Surroundings) -> None:
        self.around = around
        self.claimed: Claimed = attempt.claim.payload
        self.task = self.claimed.info
        self._attempt = attempt
        self._journal = Journal(around.transactions, self.claimed)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self.streams = StreamWriter(attempt, self.claimed, around.streams, self._warn)
        self.parked: list[str] = []

    @property
    def stopped(self) -> bool:
        """Whether the attempt lost its lease or was cancelled."""
        return self._attempt.stopped

    def check(self) -> None:
        """Raise an error if the attempt lost its lease or was cancelled, or if its task parks."""
        self._attempt.check()
        self.check_parked()

    def check_parked(self) -> None:
        """Raise what parks the task again, once a wait of this entry has raised it."""
        if self.parked:
            raise self._parked_error(self.parked[0])

    def _parked_error(self, name: str) -> Parked:
        return Parked(f"task {self.task.name} waits for {name!r}")

    def call(self, agent: Agent) -> Any:
        """Call the agent, and return its result."""
        task = self.task
        if agent.schema is not None:
            raw = msgspec.json.encode(task.data)
            task = replace(task, data=self.around.json.decode(raw, agent.schema))
        self._attempt.is_async = agent.is_async
        context = Context(self, task, is_async=agent.is_async)
        with within(context):
            self.streams.enter()
            try:
                result = self._attempt.call(agent.call, task, context)
            except BaseException:
                self.streams.abandon()
                raise
            self.streams.close()
        if self.parked:
            raise UsageError(
                f"a wait was swallowed: {self.parked[0]!r} has no answer, and the agent went on",
                service="workflow",
                hint="a wait raises Parked, a BaseException: catch Exception, or let it through",
            )
        return result

    def keep(self, result: Any, agent: Agent) -> Kept:
        """Return a result in the form that is kept, or its description: the task is done."""
        kept = self.around.json.keep(result, agent.declared, self.around.runtime.redactor)
        if kept.unkept is not None:
            self.say(f"task {self.task.name} is {kept.unkept}", level=logging.WARNING)
        elif kept.note:
            self._advise(f"agent {agent.name} {kept.note}")
        return kept

    def _advise(self, text: str) -> None:
        """Log once for an agent that a result comes back as another type."""
        if self.around.advice.is_new(self.task.agent, text):
            with suppress(AgentnbError):  # the work is done, with or without the line
                self.log(text, level=logging.WARNING)

    # Waits

    def come_to(self, wait: Wait) -> WaitState:
        """Open a wait, or find the one that an earlier entry opened; return its state."""
        ref = self.claimed.ref

        enter = children.enter if wait.kind == "tasks" else parking.enter

        def write() -> WaitState | None:
            with self.around.transactions.write() as tx:
                return enter(tx, ref, wait)

        found = self._attempt.persist(write, what=f"the wait {wait.name!r}")
        if found is None:
            self._attempt.lose()
            self._attempt.check()
            raise AssertionError  # it is lost
        return found

    def park(self, wait: Wait) -> Parked:
        """Note that the entry waits, and return what unwinds it."""
        self.parked.append(wait.name)
        if wait.kind == "event":
            self.around.look_for_events()
        return self._parked_error(wait.name)

    def ask_again(self, name: str, error: str) -> Parked:
        """Open a wait again whose answer does not fit, and return what parks the task."""

        def write() -> bool:
            with self.around.transactions.write() as tx:
                return parking.reopen(tx, self.claimed.ref, name, error)

        self._write(write, f"the wait {name!r}")
        self.say(f"the answer to {name!r} does not fit, and is asked for again: {error}")
        self.parked.append(name)
        return self._parked_error(name)

    def warn_changed(self, name: str, question: str) -> None:
        """Log that the answer to a wait was given to another question than it has now."""
        line = f"wait {name!r} was answered as {question!r}: another question needs another name"
        self.say(line, level=logging.WARNING)

    # Children

    def spawn(self, rows: Sequence[dict[str, Any]], at_once: int | None = None) -> Spawned:
        """Make the children of some rows that are not there, and return all of them."""
        ref = self.claimed.ref

        def write() -> Spawned | None:
            with self.around.transactions.write() as tx:
                return children.spawn(tx, ref, rows, at_once)

        found = self._attempt.persist(write, what="the children")
        if found is None:
            self._attempt.lose()
            self._attempt.check()
            raise AssertionError  # it is lost
        if found.ready:
            self.around.happened(found.ready)
        return found

    def look_at(self, ids: Sequence[str]) -> dict[str, children.ChildState]:
        """Return how some children stand, by their ids."""
        with self.around.transactions.read() as tx:
            return {one.id: one for one in children.look(tx, ids)}

    def looked(self, child: str) -> None:
        """Note that the agent was given the failure of a child."""

        def write() -> bool:
            with self.around.transactions.write() as tx:
                looked(tx, self.claimed.ref, child)
            return True

        self._write(write, "the failure of a child")

    # Steps

    def check_own_transaction(self, *, awaits: bool = False) -> None:
        """Raise before a step is called whose result could not be kept: see `check_own`."""
        check_own(self.around.transactions.database, awaits=awaits)

    def step_result(self, step: Step) -> tuple[Any] | None:
        """Return the kept result of a step, in a tuple; None if the step has to be called.

        Raises
        ------
        UnkeptResult
            The step is done, and its result could not be kept.
        UsageError
            It was called with other arguments, and ``on_change`` is ``fail``.
        """
        name = step.name
        row = self._attempt.persist(
            lambda: self._journal.step(name), what=f"the result of step {name!r}"
        )
        if row is None or (row[2] not in (None, step.input) and self._is_forgotten(step)):
            return None
        if row[1] is not None:
            raise self._unkept(name, Unkept.read(row[1]))
        self.streams.answer(name)
        return (read(row[0], step.codec),)

    def _is_forgotten(self, step: Step) -> bool:
        """Do what a step wants whose arguments have changed; return whether it is called again."""
        name, line = step.name, f"step {step.name!r} was done with other arguments"
        if step.options.on_change == "again":
            self._write(lambda: self._journal.forget_step(name), f"step {name!r}")
            self.log(f"{line}, and is called again", level=logging.WARNING)
            return True
        if step.options.on_change == "fail":
            raise UsageError(f"{line} than now", service="workflow", hint=self._forgetting(name))
        self.log(f"{line}: its result is that of then", level=logging.WARNING)
        return False

    def keep_step(self, step: Step, result: Any) -> Any:
        """Keep the result of a step, however long the database is away, and return its copy.

        Raises
        ------
        UnkeptResult
            The result cannot be kept. The step is noted as done, and is not called again.
        """
        redactor = self.around.runtime.redactor
        kept = self.around.json.keep(result, step.codec, redactor)
        usage = None if step.options.usage is None else step.options.usage(result)
        self.streams.flush()
        try:
            self._insert_step(step, kept, usage)
        except RejectedError as error:
            if isinstance(error, AttemptStopped) or kept.unkept is not None:
                raise
            kept = refused(kept, error, redactor)
            self._insert_step(step, kept, usage)
        if kept.unkept is not None:
            raise self._unkept(step.name, kept.unkept)
        if kept.note:
            self._advise(f"step {step.name!r} {kept.note}")
        return kept.copy

    def _insert_step(self, step: Step, kept: Kept, usage: Usage | None) -> None:
        unkept = None if kept.unkept is None else kept.unkept.write()
        text = kept.data.decode()
        self._write(
            lambda: self._journal.keep_step(step.name, text, unkept, step.input, usage),
            f"the result of step {step.name!r}",
        )

    def usage(self, of: Literal["task", "workflow"]) -> Usage:
        """Return the use of language models by the task, or by all tasks of its workflow."""
        return self._attempt.persist(lambda: self._journal.usage(of), what="the use of models")

    def say_again(self, step: Step, attempt: int, pause: float, error: Exception) -> None:
        """Log that a step failed, and when it is called again."""
        words, attempts = words_of(error), step.options.attempts
        self.log(
            f"step {step.name!r} failed at attempt {attempt} of {attempts}, "
            f"again in {pause:.1f} s: {words}",
            level=logging.WARNING,
        )

    def pause(self, seconds: float) -> None:
        """Wait until a step is called again, but not once the attempt was stopped."""
        self._attempt.pause(seconds)
        self.check()

    def _unkept(self, name: str, unkept: Unkept) -> UnkeptResult:
        return unkept.error(
            f"step {name!r} of task {self.task.name}",
            "workflow",
            f"have it return plain values or a model, then {self._forgetting(name)}",
        )

    def _forgetting(self, step: str) -> str:
        """Return the lines that have a step called again."""
        task = self.task
        return (
            f"workflow.forget({task.name!r}, {step!r}) (%workflow forget {task.workflow_id} "
            f"{task.name} {shlex.quote(step)}) and workflow.retry() "
            f"(%workflow retry {task.workflow_id})"
        )

    # Progress and log

    def progress(self, fraction: float | None, message: str) -> None:
        """Keep the progress of the task."""
        text = plain(self.around.runtime.redactor(message))[:_LONGEST]
        self._write(lambda: self._journal.progress(fraction, text), "the progress")

    def log(self, message: str, level: int = logging.INFO) -> None:
        """Keep what an agent logs, a line or several."""
        text = plain(self.around.runtime.redactor(message))
        lines = [line[:_LONGEST] for line in text.split("\n")]
        self._lines.extend(lines)
        log = "\n".join(self._lines)
        self._write(lambda: self._journal.log(lines[-1], log), "a log line")
        for line in lines:
            self.say(f"task says: {line}", level=level)

    def _warn(self, line: str) -> None:
        """Log a line with the task from a thread that is not the agent's."""
        with suppress(AgentnbError):  # the readers of the stream see it too
            self.log(line, level=logging.WARNING)

    def say(self, line: str, level: int = logging.INFO) -> None:
        """Write a line about the task into the log of workflows."""
        log = self.around.log
        if log.isEnabledFor(level):
            data = {"workflow": self.task.workflow_id, "task": self.task.name}
            log.log(level, "%s", line, extra={"data": data, **stamp(self._attempt.context)})

    def _write(self, write: Callable[[], bool], what: str) -> None:
        if not self._attempt.persist(write, what=what):
            self._attempt.lose()
            self._attempt.check()


def refused(kept: Kept, error: BaseException, redactor: Callable[[str], str]) -> Kept:
    """Return the description of a result that the database has refused."""
    text = redactor(kept.data[:_LONGEST].decode("utf-8", "replace"))
    return Kept(b"null", unkept=Unkept("JSON", text, redactor(words_of(error))[:_LONGEST]))
