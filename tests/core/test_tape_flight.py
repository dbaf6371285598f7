"""`hub.record("failed")`: an attempt that fails leaves a tape, and all others leave nothing."""

from __future__ import annotations

import json
import logging
import os
import time

import pytest

from agentnb.core.errors import UsageError
from agentnb.core.runtime import Runtime
from agentnb.core.tape.flight import FlightRecorder
from agentnb.core.workflow import Task
from agentnb.testing import isolated_hub, replay, run_until_idle


@pytest.fixture(scope="module")
def shared():
    with isolated_hub() as hub:
        yield hub


@pytest.fixture
def folder(shared):
    """Return the folder of the tapes, empty."""
    found = shared.settings.home / "tapes"
    for path in found.glob("*"):
        path.unlink()
    yield found
    shared.record("off")


def tapes(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*"))]


def work(job):
    number = job.hub.db.query("select :n as n", {"n": job.data["n"]}).scalar()
    if number > 1:
        raise ValueError(f"{number} is too many")
    return number


async def awork(job):
    row = await job.hub.db.aquery("select :n as n", {"n": job.data["n"]})
    raise KeyError(row.scalar())


def run(hub, function, *numbers, name="q"):
    hub.queue(name).process(function)
    for number in numbers:
        hub.queue(name).add({"n": number, "password": "hunter22"}, attempts=1)
    run_until_idle(hub)


def test_only_what_fails_is_written_and_by_the_home_alone(shared, folder):
    shared.record("failed")
    run(shared, work, 1, 2, 0)
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    (tape,) = tapes(folder)
    unit = tape["unit"]
    assert (unit["kind"], unit["queue"], unit["attempt"]) == ("job", "q", 1)
    assert unit["data"] == {"n": 2, "password": "••••••"}
    assert unit["function"] == f"{__name__}:work"
    assert len(unit["trace_id"]) == 32
    assert tape["outcome"]["error"] == {"class": "ValueError", "message": "2 is too many"}
    assert [step["operation"] for step in tape["steps"]] == ["query"]
    with replay(path, hub=shared) as again, pytest.raises(ValueError, match="2 is too many"):
        again.run()
    with replay(path, hub=shared) as again:
        assert again.run(lambda job: job.hub.db.query("select :n as n", {"n": 2}).scalar()) == 2
    assert list(folder.iterdir()) == [path]  # a replay that fails is no other failure


def test_a_coroutine_is_recorded(shared, folder):
    shared.record("failed")
    run(shared, awork, 5, name="a")
    (path,) = folder.iterdir()
    with replay(path, hub=shared) as again, pytest.raises(KeyError, match="5"):
        again.run()


def test_all_are_written_where_that_is_asked_for_and_none_by_default(shared, folder):
    run(shared, work, 2)
    assert not list(folder.glob("*"))
    assert shared.record("all") == "all"
    run(shared, work, 1)
    (tape,) = tapes(folder)
    assert tape["outcome"] == {"result": 1}
    (path,) = folder.iterdir()
    with replay(path, hub=shared) as again:
        again.check(again.run())


def total(task, ctx):
    rate = ctx.step("rate", lambda: ctx.db.query("select 7 as n").scalar())
    more = ctx.db.query("select 8 as n").scalar()
    raise ValueError(f"{rate} {more} {ctx.inputs['net']} {ctx.workflow.data} {task.data}")


def test_a_task_is_recorded_with_its_inputs_and_the_steps_of_earlier_attempts(shared, folder):
    shared.record("failed")
    shared.workflows.agent("net")(lambda _: 5)
    shared.workflows.agent("total")(total)
    tasks = [Task("net"), Task("total", data=3, needs=["net"], attempts=2)]
    shared.workflows.create("order 17", tasks, data={"o": 1})
    run_until_idle(shared, skip=True)
    first, second = tapes(folder)
    assert [first["unit"]["steps"], second["unit"]["steps"]] == [{}, {"rate": 7}]
    assert second["unit"]["inputs"] == {"net": 5}
    assert (second["unit"]["workflow_name"], second["unit"]["task"]) == ("order 17", "total")
    for path, calls in zip(sorted(folder.iterdir()), (2, 1), strict=True):
        with replay(path, hub=shared) as again, pytest.raises(ValueError, match=r"7 8 5 \{'o': 1}"):
            again.run()
        assert len(again.steps) == calls


def test_old_and_large_tapes_go_first(tmp_path):
    flight = FlightRecorder(tmp_path, "failed", str)
    flight.folder.mkdir()
    for day in range(1, 4):
        path = flight.folder / f"2026010{day}T000000-job-{day}-1.tape.json"
        path.write_bytes(b"x" * 9_000_000)
    old = flight.folder / "20260109T000000-job-9-1.tape.json"
    old.write_text("{}")
    os.utime(old, (0, time.time() - 8 * 86_400))
    other = flight.folder / "notes.txt"
    other.write_text("mine")
    document = {"unit": {"kind": "job", "id": "../x"}, "began": "2026-01-05T00:00:00", "steps": []}
    written = flight.write(document)
    left = sorted(path.name for path in flight.folder.iterdir())
    assert left == [
        "20260102T000000-job-2-1.tape.json",
        "20260103T000000-job-3-1.tape.json",
        written.name,
        "notes.txt",
    ]
    assert written.parent == flight.folder


def test_a_disk_that_takes_no_tape_costs_no_job(tmp_path, caplog):
    (tmp_path / "tapes").write_text("not a folder")
    flight = FlightRecorder(tmp_path, "failed", str)
    caplog.set_level(logging.WARNING)

    def fail():
        with flight.unit(lambda: {"kind": "job"}, Runtime().log("queue")):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    assert "the attempt cannot be recorded" in caplog.text


@pytest.mark.parametrize("mode", ["on", "", 5, "FAILED"], ids=repr)
def test_another_mode_is_refused(shared, mode):
    with pytest.raises(UsageError, match="record must be"):
        shared.record(mode)
