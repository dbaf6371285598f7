"""Schedules of workflows on both databases: made, replaced, fired once, missed, paused, shown."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import os
import threading
import time
from dataclasses import replace

import pytest

from agentnb.core.clock import Clock
from agentnb.core.db import Database
from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.workflow import Orchestrator, Task
from tests.groups import stable_id
from tests.waiting import until

HOUR = 3600.0
_NUMBERS = itertools.count(1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory):
    """Return the URL of a SQLite file that the tests share."""
    return f"sqlite:///{tmp_path_factory.mktemp('schedules')}/a.db"


@pytest.fixture(scope="module")
def server_url(postgres_url):
    """Return the URL of a PostgreSQL database that the tests share."""
    import psycopg

    name = f"schedules_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield postgres_url.replace("/postgres?", f"/{name}?")
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(params=["sqlite", "postgresql"])
def make_flows(request, clock):
    """Return what makes orchestrators on one database, each with connections of its own."""
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "server_url")
    scope = f"s{next(_NUMBERS)}"
    made = []

    def make():
        database = Database(url)
        runtime = replace(database.access.runtime, clock=clock)
        flows = Orchestrator(database, scope=scope, runtime=runtime, owns_database=True)
        flows.migrate()
        flows.agent("greet")(lambda task: f"hello {task.data}")
        made.append(flows)
        return flows

    yield make
    for one in made:
        one.close()


@pytest.fixture
def flows(make_flows):
    return make_flows()


TASKS = [Task("greet", data="Ada", attempts=5, priority=2)]


def fire(flows):
    """Fire what is due, and return the workflows that were made, the first first."""
    flows._schedules.fire_due()
    return flows.list()[::-1]


def test_a_firing_makes_a_workflow_with_the_tasks_and_the_time(flows, clock):
    made = flows.schedule("nightly", "0 2 * * *", TASKS, tz="Europe/Berlin", data={"a": 1})
    due = made.next_times(1)[0]

    assert fire(flows) == []
    clock.advance(due.timestamp() - clock.time() + 0.01)
    (workflow,) = fire(flows)

    assert workflow.name == "nightly"
    assert workflow.key == f"nightly {due.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}+00:00"
    task = workflow.task("greet")
    assert (task.data, task.attempts, task.priority) == ("Ada", 5, 2)
    info = made.info()
    assert (info.last, info.last_id, info.fired) == (due.timestamp(), workflow.id, 1)
    assert len(fire(flows)) == 1


def test_a_worker_fires_and_does_the_tasks(flows):
    made = flows.schedule("tick", every=1, tasks=TASKS)

    with flows.work():
        until(lambda: made.info().fired >= 2)
        until(lambda: flows.list()[-1].state == "completed")

    first, second = sorted(one.key for one in flows.list())[:2]
    assert first != second


def test_a_worker_fires_by_a_clock_that_a_test_moves(flows, clock):
    made = flows.schedule("hourly", every=HOUR, tasks=TASKS)

    with flows.work():
        clock.advance(HOUR)
        until(lambda: made.info().fired == 1)


def test_each_time_is_one_workflow_however_many_look_at_once(make_flows, clock):
    several = [make_flows() for _ in range(3)]
    several[0].schedule("hourly", every=HOUR, tasks=TASKS, missed="all")
    barrier = threading.Barrier(3)

    def look(flows):
        for _ in range(8):
            barrier.wait(30)
            flows._schedules.fire_due()
            if barrier.wait(30) == 0:
                clock.advance(HOUR)

    threads = [threading.Thread(target=look, args=(one,)) for one in several]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    several[0]._schedules.fire_due()

    keys = [one.key for one in several[0].list()]
    assert len(keys) == len(set(keys)) == several[0].get_schedule("hourly").info().fired
    assert len(keys) in {7, 8, 9}


@pytest.mark.parametrize(("missed", "fired"), [("latest", [5]), ("all", [1, 2, 3, 4, 5])])
def test_missed_firings_follow_the_policy(flows, clock, caplog, missed, fired):
    made = flows.schedule("hourly", every=HOUR, tasks=TASKS, missed=missed)
    first = made.next_times(1)[0].astimezone(dt.UTC)

    clock.advance(first.timestamp() - clock.time() + 4 * HOUR + 10)
    workflows = fire(flows)

    times = [first + (n - 1) * dt.timedelta(hours=1) for n in fired]
    assert sorted(one.key for one in workflows) == [
        f"hourly {at.isoformat(timespec='seconds')}" for at in times
    ]
    assert ("missed firings" in caplog.text) == (missed != "all")


def test_skip_gives_up_a_firing_that_is_a_minute_late(flows, clock, caplog):
    made = flows.schedule("hourly", every=HOUR, tasks=TASKS, missed="skip")
    first = made.next_times(1)[0]
    clock.advance(first.timestamp() - clock.time() + 61)

    assert fire(flows) == []
    assert "so none is made up for" in caplog.text
    assert made.next_times(1) == [first + dt.timedelta(hours=1)]


def test_overlap_skip_leaves_out_a_firing_while_the_last_workflow_is_active(flows, clock, caplog):
    flows.schedule("hourly", every=HOUR, tasks=TASKS, overlap="skip")
    for _ in range(2):
        clock.advance(HOUR)
        workflows = fire(flows)

    assert len(workflows) == 1
    assert "a firing is left out" in caplog.text
    workflows[0].cancel()
    clock.advance(HOUR)
    assert len(fire(flows)) == 2


def test_the_same_call_again_keeps_the_next_time_and_another_replaces_it(flows, clock):
    start = dt.datetime.fromtimestamp(time.time() + 100, dt.UTC)
    made = flows.schedule("report", every=HOUR, tasks=TASKS, start=start)
    before = made.info()
    clock.advance(50)
    assert flows.schedule("report", every=HOUR, tasks=TASKS, start=start).info() == before

    again = flows.schedule("report", every=2 * HOUR, tasks=[Task("again", agent="greet")])

    assert (again.info().timing.every, again.info().target) == (2 * HOUR, "again")
    clock.advance(2 * HOUR)
    assert [one.task("again").agent for one in fire(flows)] == ["greet"]
    assert len(flows.schedule_infos()) == 1


def test_a_paused_schedule_fires_nothing_and_goes_on_with_its_next_time(flows, clock):
    made = flows.schedule("hourly", every=HOUR, tasks=TASKS, missed="all")
    made.pause()
    clock.advance(3 * HOUR)
    flows.schedule("hourly", every=2 * HOUR, tasks=TASKS, missed="all")
    assert fire(flows) == []
    assert (made.info().state, made.next_times()) == ("paused", [])

    made.resume()

    assert fire(flows) == []
    clock.advance(2 * HOUR)
    assert len(fire(flows)) == 1


def test_a_trigger_makes_a_workflow_now_and_leaves_the_times(flows):
    made = flows.schedule("nightly", "0 2 * * *", TASKS)
    before = made.next_times()

    workflow = made.trigger()

    assert workflow.name == "nightly"
    assert made.next_times() == before
    assert (made.info().fired, made.info().last_id) == (1, workflow.id)


def test_a_firing_that_can_make_nothing_is_said_and_the_next_one_comes(flows, clock, caplog):
    made = flows.schedule("hourly", every=HOUR, tasks=TASKS)
    before = made.next_times(1)[0]
    with flows._transactions.write() as tx:
        tx.run(
            "update {schedule} set spec = replace(spec, '\"greet\"', '\"nobody\"') where scope=:s",
            s=flows._scope,
        )
    clock.advance(HOUR)

    assert fire(flows) == []
    assert "schedule hourly made nothing" in caplog.text
    assert "nobody" in (made.info().error or "")
    assert "the last firing made nothing" in repr(flows.schedules())
    assert made.next_times(1)[0] == before + dt.timedelta(hours=1)


def test_an_end_ends_it(flows, clock):
    now = dt.datetime.now(dt.UTC)
    end = now + dt.timedelta(hours=2.5)
    made = flows.schedule("twice", every=HOUR, tasks=TASKS, start=now, end=end)
    for _ in range(5):
        clock.advance(HOUR)
        workflows = fire(flows)

    assert (len(workflows), made.info().state) == (2, "ended")


def test_a_removed_schedule_fires_no_more(flows, clock):
    made = flows.schedule("hourly", every=HOUR, tasks=TASKS)
    made.remove()
    clock.advance(2 * HOUR)

    assert fire(flows) == []
    for call in (made.info, made.pause, made.resume, made.trigger, made.remove):
        with pytest.raises(NotFoundError, match="there is no schedule 'hourly'"):
            call()
    with pytest.raises(NotFoundError):
        flows.unschedule("hourly")


@pytest.mark.parametrize("make_flows", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("no name", {"every": 60}, "cannot be called"),
        ("x", {"every": 60, "tasks": []}, "tasks must be 1 to"),
        ("x", {"every": 60, "tasks": ["greet"]}, "a task is a Task or a dict"),
        ("x", {"every": 60, "tasks": [Task("nobody")]}, "nobody"),
        ("x", {"every": 60, "tasks": [Task("greet", needs=["b"])]}, "b"),
        ("x", {"every": 60, "max_parallel": 0}, "max_parallel must be"),
        ("x", {"every": 60, "data": object()}, "object"),
        ("x", {"every": 60, "missed": "some"}, "missed must be"),
        ("x", {"every": 60, "key": "k"}, "schedule has no option key"),
        ("x", {"cron": "0 0 30 2 *"}, "would never fire"),
        ("x", {}, "neither cron nor every"),
    ],
    ids=stable_id,
)
def test_bad_input_is_refused_before_anything_is_kept(flows, name, words, message):
    with pytest.raises(UsageError) as caught:
        flows.schedule(name, **{"tasks": TASKS, **words})

    assert message in caught.value.message
    assert caught.value.hint
    assert flows.schedule_infos() == []


def test_the_table_shows_the_next_three_times(flows):
    made = flows.schedule("nightly", "0 2 * * *", TASKS, tz="Europe/Berlin")

    (row,) = flows.schedules()

    assert (row.schedule, row.tasks, row.when, row.zone) == (
        *("nightly", "greet", "0 2 * * *"),
        "Europe/Berlin",
    )
    assert row.next == made.next_times(1)[0]
    flows.unschedule("nightly")
    assert "no schedule yet" in repr(flows.schedules())


@pytest.mark.parametrize("make_flows", ["sqlite"], indirect=True)
def test_the_methods_can_be_awaited(flows):
    async def main():
        made = await flows.aschedule("hourly", every=HOUR, tasks=TASKS)
        await made.apause()
        await made.aresume()
        workflow = await made.atrigger()
        assert (await made.ainfo()).last_id == workflow.id
        assert len(await flows.aschedules()) == len(await flows.aschedule_infos()) == 1
        await (await flows.aget_schedule("hourly")).aremove()
        await made._store._find(workflow.id).acancel()

    asyncio.run(main())


def test_schedules_of_another_scope_are_apart(tmp_path):
    with Database(f"sqlite:///{tmp_path}/a.db") as database:
        one, other = (Orchestrator(database, scope=scope) for scope in ("one", "other"))
        with one, other:
            one.agent("greet")(lambda task: task.data)
            one.schedule("hourly", every=HOUR, tasks=TASKS)

            assert other.schedule_infos() == []
