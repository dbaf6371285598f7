"""Jobs and tasks for other processes, which import this module: one table of tests runs both."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from agentnb.core.errors import AgentnbError
from tests.waiting import until

__all__ = ["KINDS", "Jobs", "Tasks", "notes"]

_NUMBERS = itertools.count(1)


@dataclass
class Stamp:
    """A result of a declared type."""

    pid: int
    word: str


def note(folder, word, it):
    """Append a line in one piece, since several processes write."""
    unit = it.task.id if hasattr(it, "task") else it.id
    with (Path(folder) / "notes").open("ab", 0) as file:
        file.write(f"{word} {unit} {it.attempt} {os.getpid()}\n".encode())


def notes(folder, word):
    """Return the unit, the attempt and the process of each line that begins with a word."""
    path = folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]


def _who(it, data, hub):
    it.log(f"in {os.getpid()}")
    it.progress(0.5)
    hub.cache.set("seen", data)
    hub.files.write_file(f"{data}.txt", "there")
    return Stamp(os.getpid(), data)


def _nap(it, data):
    folder, seconds = data
    note(folder, "begun", it)
    if seconds is None:
        until(Path(folder, "go").exists)
    else:
        time.sleep(seconds)
    try:
        it.log("awake")
    except AgentnbError:
        note(folder, "fenced", it)
        raise
    note(folder, "done", it)
    return os.getpid()


def _hold(it, folder):
    """Run at the first attempt until nothing of it counts."""
    note(folder, "begun", it)
    if it.attempt == 1:
        try:
            while True:
                it.progress(0.5)
                time.sleep(0.05)
        except AgentnbError:
            note(folder, "fenced", it)
            raise
    note(folder, "done", it)
    return os.getpid()


def _fail(data):
    raise ValueError(f"no {data}")


def _die_once(it, data):
    note(data, "begun", it)
    if it.attempt == 1:
        os.kill(os.getpid(), 9)
    return it.attempt


async def _wait(it, data):
    folder, seconds = data
    note(folder, "begun", it)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        note(folder, "cancelled", it)
        raise
    return os.getpid()


def job_who(job) -> Stamp:
    return _who(job, job.data, job.hub)


def job_nap(job):
    return _nap(job, job.data)


def job_hold(job):
    return _hold(job, job.data)


def job_fail(job):
    return _fail(job.data)


def job_die_once(job):
    return _die_once(job, job.data)


async def job_wait(job):
    return await _wait(job, job.data)


def task_who(task, ctx) -> Stamp:
    assert ctx.step("once", os.getpid) == os.getpid()
    return _who(ctx, task.data, ctx)


def task_nap(task, ctx):
    return _nap(ctx, task.data)


def task_hold(task, ctx):
    return _hold(ctx, task.data)


def task_fail(task):
    return _fail(task.data)


def task_die_once(task, ctx):
    return _die_once(ctx, task.data)


async def task_wait(task, ctx):
    return await _wait(ctx, task.data)


def task_read(task, ctx):  # noqa: ARG001 - as an agent is called
    """Return what the task before has given, and its type."""
    (found,) = ctx.inputs.values()
    return [type(found).__name__, found.pid]


def task_stream(task, ctx):
    ctx.step("first", lambda: ctx.write("kept "))
    for number in range(task.data):
        ctx.write(f"{task.attempt}.{number} ")
    if task.attempt == 1:
        os.kill(os.getpid(), 9)


def task_travel(task, ctx):  # noqa: ARG001 - as an agent is called
    """Wait for a person, an event, a time and another task."""
    from agentnb.core.workflow import Task

    part = ctx.spawn(Task("part", agent="stamp", data="y"))
    budget = ctx.ask("budget", form=int)
    event = ctx.wait_event("travel.*", where={"by": "ada"})
    ctx.sleep(0.01)
    return [budget, event.data, part.result().word, ctx.attempt]


class Jobs:
    """The jobs of a queue of its own."""

    kind = "jobs"

    def __init__(self, hub, name=None):
        self.hub = hub
        self.name = name or f"units-{os.getpid()}-{next(_NUMBERS)}"
        self.queue = hub.queue(self.name)

    def work(self, name, executor, *, concurrency=2, timeout=None):
        """Start a worker for a function of this module, or for another one."""
        function = globals()[f"job_{name}"] if isinstance(name, str) else name
        return self.queue.work(
            function, executor=executor, concurrency=concurrency, timeout=timeout
        )

    def add(self, data, *, attempts=3, timeout=None):
        """Add a job."""
        options = {} if timeout is None else {"timeout": timeout}
        return _Job(self.queue.add(data, attempts=attempts, backoff=0.01, **options))

    @property
    def worker(self):
        """The worker, or None."""
        return self.queue.worker

    def stop(self, seconds=0):
        """Stop the worker."""
        self.queue.stop(seconds)


class _Job:
    def __init__(self, job):
        self._job = job

    @property
    def id(self):
        return self._job.id

    def result(self, seconds=60):
        return self._job.result(seconds)

    @property
    def state(self):
        return self._job.refresh().state

    @property
    def attempt(self):
        return self._job.refresh().attempt

    @property
    def progress(self):
        return self._job.refresh().progress()

    @property
    def traceback(self):
        return self._job.refresh().failure.traceback

    def logs(self):
        return self._job.logs()

    def cancel(self):
        self._job.cancel()


class Tasks:
    """The tasks of an agent of its own."""

    kind = "tasks"

    def __init__(self, hub, name=None):
        self.hub = hub
        self.workflows = hub.workflows
        self.name = self.agent = name or f"units-{os.getpid()}-{next(_NUMBERS)}"

    def work(self, name, executor, *, concurrency=2, timeout=600.0):
        """Start a worker for a function of this module, or for another one."""
        function = globals()[f"task_{name}"] if isinstance(name, str) else name
        timeout = 600.0 if timeout is None else timeout
        self.workflows.agent(self.agent, backoff=0.01, timeout=timeout)(function)
        return self.workflows.work([self.agent], executor=executor, concurrency=concurrency)

    def add(self, data, *, attempts=3, timeout=None):
        """Add a task, in a workflow of its own."""
        from agentnb.core.workflow import Task

        options = {} if timeout is None else {"timeout": timeout}
        task = Task("t", agent=self.agent, data=data, attempts=attempts, **options)
        return _Task(self.workflows.create("units", [task]))

    @property
    def worker(self):
        """The worker, or None."""
        return self.workflows.worker

    def stop(self, seconds=0):
        """Stop the worker."""
        self.workflows.stop(seconds)
        self.workflows.registry.remove(self.agent)


class _Task:
    def __init__(self, workflow):
        self._workflow = workflow

    @property
    def id(self):
        return self._info.id

    def result(self, seconds=60):
        return self._workflow.wait(timeout=seconds).result_of("t")

    @property
    def _info(self):
        return self._workflow.task("t")

    @property
    def state(self):
        return self._info.state

    @property
    def attempt(self):
        return self._info.attempt

    @property
    def progress(self):
        return self._info.progress

    @property
    def traceback(self):
        return self._info.traceback

    def logs(self):
        return self._workflow.logs("t")

    def cancel(self):
        self._workflow.cancel()


KINDS = {"jobs": Jobs, "tasks": Tasks}
