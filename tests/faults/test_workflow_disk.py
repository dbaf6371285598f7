"""Workflows on a disk that is full."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UnavailableError
from agentnb.core.workflow import Orchestrator, Task


class Disk:
    """A disk of 1 MB."""

    def __init__(self, folder):
        self.folder = folder
        self._rest = folder / "rest"

    def fill(self, left=0):
        """Leave so many bytes, or none."""
        with self._rest.open("ab", buffering=0) as file:
            for size in (65_536, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)
            if left:
                file.truncate(max(file.tell() - left, 0))

    def free(self):
        self._rest.unlink()


@pytest.fixture
def disk(mounted, tmp_path):
    """Return a disk that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted(folder, "-t", "tmpfs", "-o", "size=2m", "tmpfs")
    return Disk(folder)


@pytest.fixture
def workflows(disk):
    """Return an orchestrator whose database is on that disk, with an agent."""
    database = Database(f"sqlite:///{disk.folder}/home.db")
    with Orchestrator(database, lease=2, owns_database=True) as made:
        made.agent("echo")(lambda task: task.data)
        yield made


@contextlib.contextmanager
def refused():
    with pytest.raises(
        UnavailableError, match=r"cannot be written to: (database or disk is full|disk I/O error)"
    ) as raised:
        yield
    assert raised.value.hint.startswith("free some room on that disk")


@pytest.mark.parametrize("left", [0, 30_000, 90_000, 150_000])
def test_tables_that_find_no_room_are_made_once_there_is_some(workflows, disk, left):
    disk.fill(left)
    with refused():
        workflows.create("x", [Task("echo", data="." * 100_000)])
    disk.free()
    assert workflows.list() == []
    workflows.work()
    assert workflows.create("x", [Task("echo", data=1)]).wait(120).result == {"echo": 1}


def test_a_workflow_that_finds_no_room_is_not_made_at_all(workflows, disk):
    first = workflows.create("x", [Task("echo")])
    disk.fill(100_000)
    tasks = [Task(f"t{number}", agent="echo", data="." * 1000) for number in range(500)]
    for key in ("once", "once"):
        with refused():
            workflows.create("y", tasks, key=key)
    assert workflows.list() == [first]
    disk.free()
    made = workflows.create("y", tasks, key="once")
    assert len(made.tasks) == 500
    assert workflows.events(made).column("event") == ["WORKFLOW_CREATED"]


def test_what_was_done_while_the_disk_was_full_is_kept_once_there_is_room(
    workflows, disk, until, caplog
):
    began, go, runs = threading.Event(), threading.Event(), Counter()

    @workflows.agent("long")
    def long(task, ctx):
        runs[task.name] += 1
        began.set()
        go.wait(120)
        return "." * 50_000

    workflows.work()
    workflow = workflows.create(
        "x", [Task("a", agent="long"), Task("b", agent="long", needs=["a"])]
    )
    assert began.wait(120)
    disk.fill()
    go.set()
    until(lambda: "the outcome of task a cannot be kept yet" in caplog.text)
    with refused():
        workflows.create("x", [Task("echo", data="." * 5000)])
    with refused():
        workflow.cancel()
    until(lambda: "no heartbeat" in caplog.text)
    assert caplog.text.count("cannot be kept yet") == 1
    assert workflow.task("a").state == "active"
    disk.free()
    assert set(workflow.wait(120).result) == {"a", "b"}
    assert {task.name: task.attempt for task in workflow.tasks} == {"a": 1, "b": 1}
    assert runs == {"a": 1, "b": 1}


def test_a_step_that_finds_no_room_waits_for_some_and_is_called_once(
    workflows, disk, until, caplog
):
    began, go, calls = threading.Event(), threading.Event(), []

    @workflows.agent("steps", attempts=1)
    def steps(task, ctx):
        began.set()
        go.wait(120)
        result = ctx.step("large", lambda: calls.append(1) or "." * 50_000)
        ctx.progress(0.5, "half")
        return len(result)

    workflows.work()
    workflow = workflows.create("x", [Task("steps")])
    assert began.wait(120)
    disk.fill()
    go.set()
    until(lambda: "the result of step 'large' of task steps cannot be kept yet" in caplog.text)
    disk.free()
    assert workflow.wait(120).result == {"steps": 50_000}
    assert calls == [1]


def test_what_a_worker_could_not_keep_before_it_stopped_is_done_again_and_counted(
    workflows, disk, until, caplog
):
    began, go = threading.Event(), threading.Event()

    @workflows.agent("long", backoff=0.01)
    def long(task, ctx):
        began.set()
        go.wait(120)
        return task.attempt

    workflows.work()
    workflow = workflows.create("x", [Task("a", agent="long")])
    assert began.wait(120)
    disk.fill()
    go.set()
    until(lambda: "the outcome of task a cannot be kept yet" in caplog.text)
    workflows.stop(0.5)
    assert workflow.task("a").state == "active"
    disk.free()
    workflows.work()
    assert workflow.wait(120).result == {"a": 2}


def test_no_worker_begins_on_a_full_disk_and_one_that_waits_goes_on_later(workflows, disk):
    workflow = workflows.create("x", [Task("echo", data=1)])
    disk.fill()
    with refused():
        workflows.work()
    assert workflows.worker is None
    disk.free()
    workflows.work()
    assert workflow.wait(120).result == {"echo": 1}
