"""Workflows whose workers, makers, server or relay are killed, stalled or taken away."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter

import psycopg
import pytest

import agentnb
from agentnb.core.errors import RejectedError, UnavailableError
from agentnb.core.redis import RedisClient
from agentnb.core.workflow import Task, TaskFailed

_NUMBERS = itertools.count(1)

APP = """
import os, pathlib, signal, time
from agentnb.core.workflow import agent

def write(name, *words):
    with open(name, "a") as file:
        file.write(" ".join(map(str, words)) + chr(10))

@agent("square", backoff=0.01)
def square(task, ctx):
    write("starts", task.name, task.attempt)
    if task.data == 10 and not pathlib.Path("slept").exists():
        write("slept", "once")
        time.sleep(600)
    return task.data ** 2

@agent("poison", attempts=2, backoff=0.01)
def poison(task, ctx):
    write("starts", task.name, task.attempt)
    os.kill(os.getpid(), signal.SIGKILL)

@agent("pays", backoff=0.01)
def pays(task, ctx):
    receipt = ctx.step("pay", lambda: write("paid", task.attempt) or "receipt 1")
    if task.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return receipt

@agent("slow", backoff=0.01)
def slow(task, ctx):
    write("starts", task.name, task.attempt)
    while task.attempt == 1 and not pathlib.Path("go").exists():
        time.sleep(0.02)
    return task.attempt

@agent("asks", backoff=0.01)
def asks(task, ctx):
    ctx.step("pay", lambda: write("paid", task.attempt))
    write("starts", task.name, ctx.entry)
    return ctx.ask("budget", form=int)
"""
MAKER = """
import os, signal, sys
import agentnb
from agentnb.core.workflow import Task, relay

if "publish" in sys.argv:
    def stop(*_): os.kill(os.getpid(), signal.SIGKILL)
    relay.Relay._mark = stop
hub = agentnb.connect()
hub.workflows.agent("square")(print)
workflow = hub.workflows.create("x", [Task("t", agent="square", data=7)])
os.write(1, f"{workflow.id}\\n".encode())
if "publish" in sys.argv:
    hub.workflows.relay_once()
os.kill(os.getpid(), signal.SIGKILL)
"""

KERNEL = """
import os, pathlib, signal, sys, time
from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task

flows = Orchestrator(Database("sqlite:///home.db"), lease=1, owns_database=True)

@flows.agent("square", backoff=0.01)
def square(task, ctx):
    with open("starts", "a") as file:
        file.write(f"{task.name} {task.attempt} {os.getpid()}" + chr(10))
    if task.attempt == 1 and task.data >= 10 and sys.argv[1] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    while task.data >= 10 and not pathlib.Path("died").exists():
        time.sleep(0.01)
    return task.data ** 2

print("ready", flush=True)
sys.stdin.readline()
tasks = [Task(f"t{n}", agent="square", data=n) for n in range(30)]
workflow = flows.create("x", tasks, key="once")
flows.work(concurrency=1)
workflow.wait(120)
print(workflow.id, sum(workflow.result.values()), flush=True)
flows.close()
"""


@pytest.fixture
def settings(workflow_url, steady_home, tmp_path):
    """Return what a hub and its workers share; the app is in the test's own folder."""
    (tmp_path / "agents_app.py").write_text(APP)
    prefix = f"faults-{os.getpid()}-{next(_NUMBERS)}"
    return {
        "AGENTNB_HOME": str(steady_home),
        "DATABASE_URL": workflow_url,
        "AGENTNB_KEY_PREFIX": prefix,
        "AGENTNB_WORKFLOW_LEASE": "1",
    }


@pytest.fixture
def make_hub(settings, tmp_path):
    """Return what makes hubs with the agents of the app."""
    made = []

    def make(**options):
        given = {
            "home": settings["AGENTNB_HOME"],
            "database_url": settings["DATABASE_URL"],
            "key_prefix": settings["AGENTNB_KEY_PREFIX"],
            "workflow_lease": "1",
        }
        hub = agentnb.connect(**(given | options))
        made.append(hub)
        for name in ("square", "poison", "pays", "slow", "asks"):
            attempts = 2 if name == "poison" else 4
            hub.workflows.agent(name, attempts=attempts, backoff=0.01)(
                lambda task, ctx: ctx.attempt
            )
        return hub

    yield make
    for hub in made:
        hub.close()


@pytest.fixture
def hub(make_hub):
    return make_hub()


@pytest.fixture
def start(start_worker, settings):
    """Return what starts an ``agentnb worker`` on the agents of the app."""

    def begin(*words, **variables):
        command = ("--agents", "--app", "agents_app", *words)
        worker = start_worker(settings["AGENTNB_HOME"], *command, **(settings | variables))
        worker.hear("worker started|agent slow is")
        return worker

    return begin


def starts(folder):
    """Return how often each task was begun."""
    path = folder / "starts"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split()[0] for line in lines)


def test_killed_workers_tasks_are_resumed_and_every_result_is_right(hub, start, tmp_path, until):
    workers = [start("--concurrency", "2"), start("--concurrency", "2")]
    tasks = [
        Task(f"t{n}", agent="square", data=n, needs=[f"t{n - 2}"] if n > 1 else [])
        for n in range(20)
    ]
    workflow = hub.workflows.create("x", tasks)
    until(lambda: starts(tmp_path)["t10"], 30)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    start()
    assert workflow.wait(120).result == {f"t{n}": n * n for n in range(20)}
    again = {name for name, count in starts(tmp_path).items() if count > 1}
    # Two chains of tasks: no more than one of each was at work.
    assert "t10" in again
    assert len(again - {"t10"}) <= 1
    # A death is counted only where nothing else ran in the worker that died.
    assert workflow.task("t10").attempt in {1, 2}


def test_each_time_of_a_schedule_is_one_workflow_over_kills_of_workers(hub, start, until):
    flows, tasks = hub.workflows, [Task("t", agent="square", data=3)]
    workers = [start("--concurrency", "2") for _ in range(2)]
    schedule = flows.schedule("tick", every=1, tasks=tasks, missed="all")
    until(lambda: schedule.info().fired >= 1)
    for before in (2, 4):  # right after a firing, when its maker is at work
        os.kill(workers.pop(0).pid, signal.SIGKILL)
        workers.append(start("--concurrency", "2"))
        until(lambda before=before: schedule.info().fired >= before)
    schedule.pause()
    made = flows.list()
    assert [one.wait(120).result for one in made] == [{"t": 9}] * len(made)
    assert len(made) == schedule.info().fired
    times = sorted(dt.datetime.fromisoformat(one.key.split()[1]) for one in made)
    assert times == [times[0] + dt.timedelta(seconds=n) for n in range(len(times))]
    assert [one.end() for one in workers] == [0, 0]


def test_a_maker_that_is_killed_after_its_commit_has_made_the_workflow(
    hub, settings, tmp_path, until
):
    made = subprocess.run(
        [sys.executable, "-c", MAKER],
        cwd=tmp_path,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == -signal.SIGKILL, made.stderr
    hub.workflows.work()
    workflow = hub.workflows.get(made.stdout.strip()).wait(120)
    # Nothing of it had been published when it was killed.
    until(lambda: len(hub.events.history("workflow.created")) == 1)
    assert hub.events.history("workflow.created")[0].data == {
        "workflow_id": workflow.id,
        "name": "x",
        "tasks": 1,
    }


def test_a_relay_that_is_killed_before_it_noted_publishes_again_and_it_is_seen_once(
    hub, settings, tmp_path, until
):
    seen = []
    with hub.events.subscribe("workflow.created", seen.append):
        made = subprocess.run(
            [sys.executable, "-c", MAKER, "publish"],
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert made.returncode == -signal.SIGKILL, made.stderr
        until(lambda: len(seen) == 1)
        hub.workflows.work()
        workflow = hub.workflows.get(made.stdout.strip()).wait(120)
        until(lambda: all(row.published == "yes" for row in workflow.events()))
        assert {event.id for event in seen} == {workflow.events()[0].id}
        assert len(seen) == 1


def test_what_was_wiped_from_the_server_is_still_done_and_once(hub, settings):
    ran = []
    hub.workflows.agent("count")(lambda task: ran.append(task.name))
    workflow = hub.workflows.create("x", [Task(f"t{n}", agent="count") for n in range(10)])
    with RedisClient(home=hub.settings.home) as redis:
        for key in redis.scan_iter(f"{{{settings['AGENTNB_KEY_PREFIX']}}}:*"):
            redis.delete(key)
    hub.workflows.work()
    workflow.wait(120)
    assert sorted(ran) == sorted(f"t{n}" for n in range(10))


def test_a_bell_that_rings_five_times_begins_nothing_twice(make_hub):
    ran = []
    hubs = [make_hub() for _ in range(3)]
    for one in hubs:
        one.workflows.agent("count")(lambda task: ran.append(task.name))
        one.workflows.work()
    workflow = hubs[0].workflows.create("x", [Task(f"t{n}", agent="count") for n in range(30)])
    for _ in range(5):
        for one in hubs:
            one.workflows._wakeup.notify({"count": 30})
    workflow.wait(120)
    assert sorted(ran) == sorted(f"t{n}" for n in range(30))


def test_a_worker_that_stalls_and_finishes_late_does_not_count(hub, start, tmp_path, until):
    worker = start()
    workflow = hub.workflows.create("x", [Task("slow")])
    until(lambda: starts(tmp_path)["slow"], 30)
    os.kill(worker.pid, signal.SIGSTOP)
    hub.workflows.agent("slow")(lambda task, ctx: ctx.attempt)
    hub.workflows.work()
    assert workflow.wait(120).result == {"slow": 2}
    hub.workflows.stop()
    (tmp_path / "go").touch()
    os.kill(worker.pid, signal.SIGCONT)
    worker.hear("task was given to another worker")
    assert workflow.result == {"slow": 2}
    assert worker.end() == 0


def test_a_task_that_kills_its_workers_fails_after_its_attempts(hub, start, tmp_path):
    workflow = hub.workflows.create("x", [Task("poison"), Task("after", agent="square", data=2)])
    for _ in range(2):
        start("--concurrency", "1").wait()
    hub.workflows.work()
    with pytest.raises(TaskFailed, match="task poison: its worker died"):
        workflow.wait(120)
    assert starts(tmp_path)["poison"] == 2
    assert workflow.task("after").state == "completed"


def test_a_step_is_not_done_again_after_a_kill(hub, start, tmp_path):
    workflow = hub.workflows.create("x", [Task("pays")])
    start().wait()
    start()
    assert workflow.wait(120).result == {"pays": "receipt 1"}
    assert workflow.task("pays").attempt == 2
    assert (tmp_path / "paid").read_text() == "1\n"


def test_max_parallel_is_held_under_eight_workers(make_workflows):
    lock, now, most = threading.Lock(), [0], [0]

    def busy(task):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    made = [make_workflows() for _ in range(8)]
    for one in made:
        one.agent("busy")(busy)
        one.work(concurrency=1)
    tasks = [Task(f"t{n}", agent="busy") for n in range(24)]
    made[0].create("x", tasks, max_parallel=2).wait(120)
    assert most[0] <= 2


def test_eight_callers_with_one_key_make_one_workflow(make_workflows):
    made = [make_workflows() for _ in range(8)]
    for one in made:
        one.agent("a")(lambda task: 1)
    begin, found = threading.Barrier(8), []

    def call(one):
        begin.wait()
        found.append(one.create("x", [Task("a")], key="order-17").id)

    threads = [threading.Thread(target=call, args=(one,)) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(made[0].list()) == 1


def test_kernels_that_are_the_first_in_a_home_at_once_share_its_work_though_one_is_killed(tmp_path):
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL, what],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for what in ("dies", "stays", "stays")
    ]
    try:
        assert [one.stdout.readline() for one in kernels] == ["ready\n"] * 3
        for one in kernels:
            one.stdin.write("go\n")
            one.stdin.flush()
        assert kernels[0].wait(60) == -signal.SIGKILL
        (tmp_path / "died").touch()
        said = {one.communicate(timeout=60)[0] for one in kernels[1:]}
    finally:
        for one in kernels:
            one.kill()
            one.communicate()
    assert len(said) == 1  # the same workflow
    assert said.pop().endswith(f" {sum(n * n for n in range(30))}\n")
    begun = [line.split() for line in (tmp_path / "starts").read_text().splitlines()]
    assert len({(name, attempt) for name, attempt, _ in begun}) == len(begun) == 31
    again = next(name for name, attempt, _ in begun if attempt == "2")
    assert [name for name, _, pid in begun if int(pid) == kernels[0].pid][-1] == again


def test_without_a_server_all_is_done_and_events_wait(make_hub, until):
    hub = make_hub(redis_url="redis://127.0.0.1:9/0")
    hub.workflows.work()
    tasks = [Task("a", agent="square"), Task("b", agent="square", needs=["a"], approval=True)]
    workflow = hub.workflows.create("x", tasks)
    until(lambda: workflow.task("b").state == "approval")
    assert workflow.approve("b").wait(120).state == "completed"
    assert {row.published for row in workflow.events()} == {"not yet"}


@contextlib.contextmanager
def locked(url):
    """Hold what a task's end has to write, as somebody's open transaction does."""
    if url.startswith("sqlite"):
        link = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        link.execute("begin immediate")
    else:
        link = psycopg.connect(url)
        link.execute("lock table agentnb.workflow, agentnb.task in exclusive mode")
    try:
        yield
    finally:
        link.rollback()
        link.close()


def test_a_lock_of_somebody_else_delays_an_end_and_loses_nothing(
    make_workflows, workflow_url, monkeypatch
):
    monkeypatch.setattr("agentnb.core.db.sqlite.BUSY_SECONDS", 0.3)
    workflows = make_workflows()
    workflows._transactions.patience = 0.3
    begun, go = threading.Event(), threading.Event()

    @workflows.agent("a")
    def a(task):
        begun.set()
        go.wait(120)
        return 1

    workflows.work(concurrency=1)
    workflow = workflows.create("x", [Task("a"), Task("b", agent="a", needs=["a"])])
    assert begun.wait(120)
    with locked(workflow_url):
        go.set()
        with pytest.raises(UnavailableError):
            workflow.cancel()
    assert workflow.wait(120).result == {"a": 1, "b": 1}
    assert {task.attempt for task in workflow.tasks} == {1}


@pytest.mark.parametrize("words", [(), ("--processes",)], ids=["threads", "processes"])
def test_a_parked_task_outlives_its_worker_and_takes_one_of_eight_answers(
    hub, start, tmp_path, until, words
):
    worker = start(*words)
    workflow = hub.workflows.create("x", [Task("t", agent="asks")])
    until(lambda: workflow.task("t").state == "parked")
    os.kill(worker.pid, signal.SIGKILL)
    draining = start("--drain")
    draining.hear("1 parked task is left: it needs no worker")
    assert workflow.task("t").state == "parked"
    accepted = []

    def answer(number):
        with contextlib.suppress(RejectedError):
            workflow.answer("t", "budget", number)
            accepted.append(number)

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    start(*words)
    assert workflow.wait(60).result == {"t": accepted[0]}
    assert len(accepted) == 1
    assert (tmp_path / "paid").read_text().splitlines() == ["1"]
    assert (tmp_path / "starts").read_text().splitlines() == ["t 1", "t 2"]
