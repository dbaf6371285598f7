"""Jobs and tasks that run elsewhere, by the same tests: on a pool of processes, and on Dask."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import agentnb
from agentnb.core.db import Database
from agentnb.core.errors import AgentnbError, ConfigError, UsageError
from agentnb.core.work.executors import far, near
from agentnb.core.work.executors.engine import AttemptExecutor
from agentnb.core.work.executors.record import write
from agentnb.core.workflow import Orchestrator, StreamText, Task
from tests.core.executor_units import (
    KINDS,
    Tasks,
    notes,
    task_nap,
    task_read,
    task_stream,
    task_travel,
    task_who,
)
from tests.dask_cluster import cluster

pytestmark = pytest.mark.usefixtures("importable")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Yield a hub whose home is named in the environment, as on the far side."""
    folder = tmp_path_factory.mktemp("far")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENTNB_HOME", str(folder / "home"))
        patch.setenv("AGENTNB_WORKSPACE", str(folder / "workspace"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        for name in ("REDIS_URL", "DATABASE_URL"):
            patch.delenv(name, raising=False)
        with agentnb.connect() as made:
            yield made


@pytest.fixture(scope="module")
def pool(hub):  # noqa: ARG001 - whose environment its processes have
    """Yield a pool of the standard library's, whose processes are fresh interpreters."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as made:
        yield made


@pytest.fixture(scope="module")
def shared():
    """Yield threads of this process, as an executor."""
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.fixture(scope="module")
def dask(hub, tmp_path_factory):  # noqa: ARG001 - as above
    """Yield the address of a cluster with the environment of the hub."""
    with cluster(tmp_path_factory.mktemp("dask"), workers=2, threads=2) as made:
        yield made.address


@pytest.fixture(params=KINDS)
def units(request, hub):
    made = KINDS[request.param](hub)
    yield made
    made.stop()


@pytest.fixture
def tasks(hub):
    made = Tasks(hub)
    yield made
    made.stop()


@pytest.fixture(params=["pool", "dask"])
def executor(request):
    return request.getfixturevalue(request.param)


# The ordinary course


def test_a_unit_runs_there_with_the_services_of_that_side(units, executor, hub):
    units.work("who", executor)
    unit = units.add("stamps")
    found = unit.result()
    assert (found.word, found.pid != os.getpid()) == ("stamps", True)
    assert unit.logs() == [f"in {found.pid}"]
    assert unit.progress == 0.5
    assert hub.cache.get("seen") == "stamps"
    assert hub.files.read_file("stamps.txt") == "there"


def test_the_worker_says_where_it_runs_units(units, dask):
    worker = units.work("who", dask, concurrency=3)
    assert "3 by dask 2x2, idle" in repr(worker)
    if units.kind == "tasks":
        (row,) = [row for row in units.hub.health() if row[0] == "workflow"]
        assert "3 by dask 2x2" in row


def test_working_again_by_the_same_executor_keeps_the_worker(units, executor):
    worker = units.work("who", executor)
    assert units.work("who", executor) is worker
    assert units.work("who", "threads") is not worker


@pytest.mark.parametrize("kind", KINDS)
def test_the_setting_names_the_executor_of_those_that_name_none(hub, kind, dask):  # noqa: ARG001 - as above
    with agentnb.connect(executor=dask) as other:
        units = KINDS[kind](other)
        assert "by dask 2x2" in repr(units.work("who", None))
        assert units.add("x").result().pid != os.getpid()
        assert "by dask" not in repr(units.work("who", "threads"))
        units.stop()


def test_a_setting_that_names_no_executor_is_refused():
    with pytest.raises(ConfigError, match="AGENTNB_EXECUTOR must be threads, processes"):
        agentnb.connect(executor="thread").settings  # noqa: B018 - read on first use


def test_an_error_is_kept_with_its_line_and_tried_again(units, executor):
    units.work("fail", executor)
    unit = units.add("stamps", attempts=2)
    with pytest.raises(AgentnbError, match="ValueError: no stamps"):
        unit.result()
    assert unit.attempt == 2
    assert "in _fail" in unit.traceback


def test_inputs_are_read_there_as_the_types_that_their_agents_declare(tasks, executor):
    tasks.workflows.agent("stamp")(task_who)
    tasks.workflows.agent("read")(task_read)
    tasks.workflows.work(["stamp", "read"], executor=executor)
    workflow = tasks.workflows.create(
        "two", [Task("stamp", data="x"), Task("read", needs=["stamp"])]
    )
    found = workflow.wait(timeout=60).result
    assert found["read"] == ["Stamp", found["stamp"].pid]
    for name in ("stamp", "read"):
        tasks.workflows.registry.remove(name)


def test_a_task_that_runs_elsewhere_is_parked_and_goes_on_there(tasks, executor, hub, until):
    tasks.workflows.agent("stamp")(task_who)
    tasks.workflows.agent("travel")(task_travel)
    tasks.workflows.work(["stamp", "travel"], executor=executor)
    workflow = tasks.workflows.create("x", [Task("t", agent="travel")])
    until(lambda: workflow.task("t").state == "parked")
    hub.events.publish("travel.paid", {"by": "ada"})
    workflow.answer("t", "budget", 5)
    assert workflow.wait(60).result["t"] == [5, {"by": "ada"}, "y", 1]
    for name in ("stamp", "travel"):
        tasks.workflows.registry.remove(name)


def test_a_task_that_runs_elsewhere_streams_and_drops_what_a_killed_process_wrote(tasks):
    tasks.workflows.agent("stream", backoff=0.01)(task_stream)
    tasks.workflows.work(["stream"], executor="processes", concurrency=1)
    workflow = tasks.workflows.create("x", [Task("t", agent="stream", data=300)])
    text = StreamText()
    for chunk in workflow.stream("t"):
        text.add(chunk)
    assert str(text) == "kept " + "".join(f"2.{number} " for number in range(300))
    assert text.resets == 1
    tasks.workflows.registry.remove("stream")


@pytest.mark.usefixtures("hub")
def test_tasks_on_postgresql_run_elsewhere_too(fresh_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", fresh_url)
    spawn = multiprocessing.get_context("spawn")
    with agentnb.connect() as other, ProcessPoolExecutor(1, mp_context=spawn) as pool:
        other.workflows.migrate()
        units = Tasks(other)
        units.work("who", pool)
        unit = units.add("x")
        assert unit.result().pid != os.getpid()
        assert (unit.attempt, len(unit.logs())) == (1, 1)
        units.stop()


# What ends an attempt


def test_a_coroutine_is_cancelled_at_its_time_out(units, executor, tmp_path):
    units.work("wait", executor, timeout=0.3)
    with pytest.raises(AgentnbError, match=r"longer than 0\.3 s; it was cancelled"):
        units.add([str(tmp_path), 60], attempts=1).result()
    assert notes(tmp_path, "cancelled")


def test_a_cancelled_coroutine_is_told_so_by_its_next_sign_of_life(
    units, executor, tmp_path, until
):
    units.work("wait", executor, concurrency=1)
    unit = units.add([str(tmp_path), 60])
    until(lambda: notes(tmp_path, "begun"))
    unit.cancel()
    until(lambda: notes(tmp_path, "cancelled"))
    assert until(lambda: unit.state == "cancelled")
    assert units.add([str(tmp_path), 0]).result() > 0  # its place is free


def test_a_function_that_nobody_can_end_is_fenced(units, executor, tmp_path, until):
    units.work("nap", executor, concurrency=1)
    unit = units.add([str(tmp_path), None], attempts=1, timeout=0.3)
    with pytest.raises(AgentnbError, match=r"longer than 0\.3 s; it may run on there"):
        unit.result()
    assert units.add([str(tmp_path), 0]).result() > 0  # its place is free
    (tmp_path / "go").touch()
    until(lambda: notes(tmp_path, "fenced"))
    assert (unit.state, unit.logs()) == ("failed", [])


class Silent(AttemptExecutor):
    """An executor that loses the first call: its future never resolves."""

    def __init__(self, then, *, runs):
        self.then = then
        self.runs = runs
        self.lost = 0

    def check(self, function, *args):
        assert function(*args) is None

    def submit(self, function, /, *args, **options):
        if self.lost:
            return self.then.submit(function, *args, **options)
        self.lost += 1
        if self.runs:
            self.then.submit(function, *args, **options)
        return Future()


@pytest.fixture(params=KINDS)
def brief(request, hub):  # noqa: ARG001 - as above
    """Yield units whose leases are short."""
    with agentnb.connect(queue_lease=0.6, workflow_lease=0.6) as short:
        made = KINDS[request.param](short)
        yield made
        made.stop()


def test_a_unit_that_its_executor_never_begins_is_put_back_uncounted(brief, shared, monkeypatch):
    monkeypatch.setattr(near, "SHORTEST_START", 0.2)
    executor = Silent(shared, runs=False)
    brief.work("who", executor, concurrency=1)
    unit = brief.add("x")
    assert unit.result().pid == os.getpid()
    assert (executor.lost, unit.attempt) == (1, 1)


def test_a_silent_attempt_is_over_and_counts(brief, shared, monkeypatch, tmp_path):
    executor = Silent(shared, runs=True)
    monkeypatch.setattr(far._Pulses, "_touch_all", lambda _: 60.0)
    brief.work("nap", executor, concurrency=1)
    unit = brief.add([str(tmp_path), 0.2])
    assert unit.result() == os.getpid()
    assert unit.attempt == 2


def test_an_attempt_runs_once_however_often_its_call_does(brief, tmp_path):
    class Twice(ThreadPoolExecutor):
        def submit(self, function, /, *args, **options):
            first = super().submit(function, *args, **options)
            if function is far.run:
                first.result()
                return super().submit(function, *args, **options)
            return first

    with Twice(2) as executor:
        brief.work("nap", executor, concurrency=1)
        with pytest.raises(AgentnbError, match=r"gave no sign of life|its worker died"):
            brief.add([str(tmp_path), 0], attempts=1).result()
    assert len(notes(tmp_path, "begun")) == 1


# Refusals


def _nested(_task, _ctx=None):
    return None


_nested.__qualname__ = "outer.<locals>._nested"


@pytest.mark.parametrize(
    ("function", "words"),
    [(lambda it: it, "is a lambda"), (_nested, "outer.<locals>._nested is made within another")],
    ids=["lambda", "nested"],
)
def test_what_no_process_can_import_is_refused_at_the_start(units, shared, function, words):
    with pytest.raises(UsageError, match="which no other process can import") as caught:
        units.work(function, shared)
    assert words in caught.value.message
    assert "threads run any" in caught.value.hint
    assert units.worker is None


def test_an_agent_that_joins_later_and_cannot_be_imported_waits(tasks, shared, caplog, until):
    tasks.workflows.agent("stamp")(task_who)
    worker = tasks.workflows.work(executor=shared)
    tasks.workflows.agent("here-only")(lambda task: task.data)
    workflow = tasks.workflows.create("x", [Task("t", agent="here-only", data=1)])
    until(lambda: "tasks of agent here-only wait: agent here-only is a lambda" in caplog.text)
    assert worker.agents == ("stamp",)
    tasks.workflows.work(["here-only"])
    assert workflow.wait(timeout=60).result == {"t": 1}
    for name in ("stamp", "here-only"):
        tasks.workflows.registry.remove(name)


def test_a_database_of_another_home_is_refused_before_a_task_is_claimed(pool, tmp_path):
    with agentnb.connect(home=tmp_path / "other") as other:
        mine = Tasks(other)
        other.workflows.agent(mine.agent)(task_nap)
        unit = mine.add(1)
        with pytest.raises(ConfigError, match=r"the tasks are those of .*/other/") as caught:
            mine.work("nap", pool)
        assert "AGENTNB_HOME" in caught.value.message
        assert (unit.state, mine.worker) == ("waiting", None)


def test_another_scope_of_the_same_database_is_another_store(pool):
    with (
        agentnb.connect(key_prefix="elsewhere") as other,
        pytest.raises(ConfigError, match="prefix elsewhere"),
    ):
        Tasks(other).work("nap", pool)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "9.9"}, "agentnb is 9.9 on the side of the worker, and "),
        ({"local_to": "another-host"}, "serves one host, and this process runs on another"),
        ({"local_to": ""}, "DATABASE_URL is not set in this process"),
        ({"function": '[["a", "no_such_module:send"]]'}, "no_such_module cannot be imported"),
        ({"function": '[["a", "cell"]]'}, "there is no agent a here"),
        ({"store": "another"}, "the tasks are those of"),
    ],
)
def test_a_far_side_says_why_it_runs_no_such_record(hub, changes, words):
    from msgspec.structs import replace

    from agentnb.core.workflow.remote import TaskRecords

    flows = hub.workflows
    record = TaskRecords(
        flows._transactions, flows._scope, flows.registry, lease=30, hub=hub
    ).record(None)
    assert far.check(write(record)) is None
    assert words in far.check(write(replace(record, **changes)))


def test_an_orchestrator_without_a_hub_has_no_other_side(shared, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/a.db")
    with (
        Orchestrator(database, owns_database=True) as flows,
        pytest.raises(UsageError, match="executor= needs a hub"),
    ):
        flows.work(executor=shared)
