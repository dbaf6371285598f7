"""Faults that queue and workflow once had, each in its own way: now the engine's tests for both."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest

import agentnb
from agentnb.core.workflow import Task

_NUMBERS = itertools.count(1)


@pytest.fixture
def options(steady_home):
    return {"home": steady_home, "key_prefix": f"defects-{os.getpid()}-{next(_NUMBERS)}"}


@pytest.fixture
def hub(options):
    with agentnb.connect(**options) as hub:
        yield hub


class Jobs:
    """A queue."""

    def __init__(self, hub):
        self._hub = hub
        self._queue = hub.queue("q")

    def work(self, function, **options):
        self._queue.work(lambda job: function(job.data), **options)

    def stop(self, timeout):
        return self._queue.stop(timeout)

    def add(self, data=None, **options):
        return self._queue.add(data, backoff=0.01, **options)

    def result(self, job, timeout=30):
        return job.result(timeout)

    def state(self, job):
        return job.state

    def cancel(self, job):
        job.cancel()

    async def aresult(self, job):
        return await job


class Tasks:
    """An agent of workflows."""

    def __init__(self, hub):
        self._hub = hub
        self._known = False

    def work(self, function, **options):
        self._register(function)
        self._hub.workflows.work(**options)

    def _register(self, function):
        self._known = True
        self._hub.workflows.agent("a", backoff=0.01)(lambda task: function(task.data))

    def stop(self, timeout):
        return self._hub.workflows.stop(timeout)

    def add(self, data=None, **options):
        if not self._known:  # a task needs an agent that is known
            self._register(None)
        task = Task("t", agent="a", data=data, **options)
        return self._hub.workflows.create("w", [task])

    def result(self, workflow, timeout=30):
        return workflow.wait(timeout).result["t"]

    def state(self, workflow):
        return workflow.task("t").state

    def cancel(self, workflow):
        workflow.cancel()

    async def aresult(self, workflow):
        return (await workflow).result["t"]


@pytest.fixture(params=[Jobs, Tasks], ids=["queue", "workflow"])
def work(request, hub):
    return request.param(hub)


class Slow:
    """Calls wait until they are let go; each returns its number."""

    def __init__(self):
        self.begun = [threading.Event() for _ in range(9)]
        self.go = [threading.Event() for _ in range(9)]
        self.calls = 0

    def __call__(self, _):
        number, self.calls = self.calls, self.calls + 1
        self.begun[number].set()
        assert self.go[number].wait(120)
        return f"run {number + 1}"


@pytest.fixture
def slow():
    made = Slow()
    yield made
    for event in made.go:
        event.set()


def test_the_result_of_an_abandoned_run_does_not_count(work, slow):
    """A1."""
    unit = work.add()
    work.work(slow, concurrency=2)
    assert slow.begun[0].wait(120)
    assert not work.stop(0.1)
    work.work(slow, concurrency=2)
    assert slow.begun[1].wait(120)
    slow.go[0].set()
    time.sleep(0.3)
    assert work.state(unit) == "active"
    slow.go[1].set()
    assert (work.result(unit), slow.calls) == ("run 2", 2)


def test_a_retry_after_a_time_out_runs_once(hub, slow):
    """A3."""
    hub.workflows.agent("pay", attempts=1, timeout=0.6)(slow)
    workflow = hub.workflows.create("payment", [Task("pay")])
    hub.workflows.work(concurrency=2)
    with pytest.raises(agentnb.AgentnbError, match="took longer"):
        workflow.wait(120)
    hub.workflows.agent("pay", attempts=1, timeout=60)(slow)
    workflow.retry()
    assert slow.begun[1].wait(120)
    slow.go[0].set()
    time.sleep(3)
    assert slow.calls == 2
    slow.go[1].set()
    assert workflow.wait(120).result == {"pay": "run 2"}


def test_context_variables_do_not_reach_the_next_unit(work):
    """A9."""
    user = contextvars.ContextVar("user", default=None)

    def remember(data):
        if data:
            user.set(data)
        return user.get()

    first = work.add("ada")
    work.work(remember, concurrency=1)
    assert work.result(first) == "ada"
    assert work.result(work.add()) is None


def test_awaiting_many_units_leaves_the_threads_of_asyncio_to_others(work, slow):
    """A4."""

    async def main():
        units = await asyncio.gather(*(asyncio.to_thread(work.add) for _ in range(40)))
        waits = [asyncio.ensure_future(work.aresult(unit)) for unit in units]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "room") == "room"
        for event in slow.go:
            event.set()
        work.work(lambda data: "done", concurrency=5)
        assert await asyncio.gather(*waits) == ["done"] * 40

    asyncio.run(main())


def test_many_parents_that_await_their_children_do_not_lock_each_other_out(hub):
    """A4."""

    async def child(task, ctx):
        await asyncio.sleep(0.2)
        return await ctx.step("answer", lambda: 1)

    async def parent(task, ctx):
        made = await asyncio.to_thread(hub.workflows.create, "child", [Task("child")])
        return (await made.await_()).result["child"]

    hub.workflows.agent("child")(child)
    hub.workflows.agent("parent")(parent)
    hub.workflows.work(concurrency=40)
    tasks = [Task(f"p{number}", agent="parent") for number in range(12)]
    result = hub.workflows.create("parents", tasks).wait(60).result
    assert set(result.values()) == {1}


def test_a_cancelled_unit_has_a_state_of_its_own_and_is_not_tried_again(work, slow):
    def fail(data):
        raise ValueError(slow(data))

    unit = work.add()
    work.work(fail, concurrency=1)
    assert slow.begun[0].wait(120)
    work.cancel(unit)
    slow.go[0].set()
    assert work.stop(30)
    assert (work.state(unit), slow.calls) == ("cancelled", 1)
    work.work(fail, concurrency=1)
    assert work.stop(30)
    assert (work.state(unit), slow.calls) == ("cancelled", 1)


def test_an_idle_worker_blocks_one_connection(hub, until):
    def blocked():
        return sum("b" in client["flags"] for client in hub.redis.client_list())

    before = blocked()
    hub.queue("idle").work(lambda _: None, concurrency=20)
    until(lambda: blocked() > before)
    time.sleep(0.3)
    assert blocked() == before + 1
    hub.workflows.agent("idle")(lambda _: None)
    hub.workflows.work(concurrency=20)
    until(lambda: blocked() > before + 1)
    time.sleep(0.3)
    assert blocked() == before + 2


FORK = """
import os, sys, time, agentnb
from agentnb.core.workflow import Task
runs = []
def long(unit, *_):
    runs.append(1)
    time.sleep(1.5)
    return len(runs)
hub = agentnb.connect(home=sys.argv[1], key_prefix=sys.argv[2])
hub.workflows.agent("long")(long)
hub.queue("q").work(long)
hub.workflows.work()
job, workflow = hub.queue("q").add(1), hub.workflows.create("w", [Task("long")])
while len(runs) < 2:
    time.sleep(0.01)
pid = os.fork()
if not pid:
    sys.exit(0)
os.waitpid(pid, 0)
job.result(120), workflow.wait(120)
print(len(runs), len(hub.queue("q").workers()))
"""


def test_a_forked_child_that_exits_gives_nothing_of_its_parents_back(options):
    """A3b."""
    command = [sys.executable, "-c", FORK, str(options["home"]), options["key_prefix"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["2", "1"], done.stderr


POISON = """
import os, signal, time
def run(job):
    if job.data == "poison":
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1)
    return job.attempt
"""


def test_a_job_that_kills_its_worker_takes_no_other_job_along(
    start_worker, hub, options, tmp_path, until
):
    """A11."""
    (tmp_path / "jobs.py").write_text(POISON)
    queue = hub.queue("q")
    poison = queue.add("poison", attempts=2, backoff=0.01)
    others = [queue.add(number, attempts=1) for number in range(4)]
    words = ("q", "--processor", "jobs:run", "--concurrency", "5")
    for _ in range(6):
        worker = start_worker(options["home"], *words, AGENTNB_KEY_PREFIX=options["key_prefix"])
        until(lambda worker=worker: worker.process.poll() is not None or not queue.counts().left)
        if worker.process.poll() is None:
            break
    assert [job.result(120) for job in others] == [1] * 4
    assert poison.state == "failed"


TWO_WORKERS = """
import os, pathlib, signal, time
from agentnb.core.queue import processor
from agentnb.core.workflow import agent
begun, killed = pathlib.Path("begun"), pathlib.Path("killed")
def wait_for(path):
    while not path.exists():
        time.sleep(0.01)
def kill():
    wait_for(begun)
    killed.touch()
    os.kill(os.getpid(), signal.SIGKILL)
def steady(unit):
    begun.touch()
    wait_for(killed)
    return unit.attempt
@processor("poison")
def poison(job):
    kill()
@agent("poison", attempts=2, backoff=0.01)
def poison_agent(task):
    kill()
processor("steady")(steady)
agent("steady", attempts=1)(steady)
"""


@pytest.mark.parametrize(
    ("poisoned", "steadied"), [("queue", "queue"), ("queue", "agent"), ("agent", "queue")]
)
def test_a_unit_that_kills_its_process_takes_none_of_its_other_workers_along(
    poisoned, steadied, start_worker, hub, options, tmp_path, until
):
    """A11, of a process that works on two queues, or on a queue and for agents."""
    (tmp_path / "jobs.py").write_text(TWO_WORKERS)
    # A task is created for an agent that is known.
    hub.workflows.agent("poison", attempts=2, backoff=0.01)(print)
    hub.workflows.agent("steady", attempts=1)(print)
    kinds = {"poison": poisoned, "steady": steadied}

    def add(name, attempts):
        if kinds[name] == "queue":
            return hub.queue(name).add(None, attempts=attempts, backoff=0.01).refresh
        workflow = hub.workflows.create("w", [Task("t", agent=name)])
        return lambda: workflow.task("t")

    poison, steady = add("poison", 2), add("steady", 1)
    words = [*(name for name, kind in kinds.items() if kind == "queue"), "--app", "jobs"]
    for name in (name for name, kind in kinds.items() if kind == "agent"):
        words += ["--agents", name]

    def over():
        return all(look().state in {"completed", "failed"} for look in (poison, steady))

    for _ in range(6):
        worker = start_worker(options["home"], *words, AGENTNB_KEY_PREFIX=options["key_prefix"])
        until(lambda worker=worker: worker.process.poll() is not None or over())
        if worker.process.poll() is None:
            break
    assert (steady().state, steady().attempt) == ("completed", 1)
    assert (poison().state, poison().attempt) == ("failed", 2)
