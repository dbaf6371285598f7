"""Deadlines of workflows: what is left of one is cancelled when its deadline has passed."""

# ruff: noqa: F811 - fixtures that are imported
from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from zoneinfo import ZoneInfo

import pytest

from agentnb.core.codec import Kept
from agentnb.core.errors import UsageError
from agentnb.core.work.store import Outcome, OutcomeKind
from agentnb.core.workflow import Task, TaskFailed
from tests.core.test_workflow_control import (
    ON_SQLITE,
    flows,  # noqa: F401 - a fixture
    kinds,
    make,
    me,  # noqa: F401 - a fixture
    store,  # noqa: F401 - a fixture
)
from tests.waiting import until


def in_seconds(seconds):
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def pass_deadline(flows, workflow):
    """Let the deadline of a workflow have passed, as if time had gone by."""
    flows._transactions.run(
        "update {workflow} set deadline = {now} - 1 where id = :id", id=workflow.id
    )


def test_a_worker_cancels_at_the_deadline_what_is_left(flows):
    begun, stopped = threading.Event(), threading.Event()

    @flows.agent("slow")
    def slow(task, ctx):
        begun.set()
        while True:
            time.sleep(0.01)
            try:
                ctx.check_cancelled()
            except BaseException:
                stopped.set()
                raise

    flows.work()
    workflow = flows.create(
        "x", [Task("slow"), Task("next", agent="a", needs=["slow"])], deadline=1.0
    )
    assert begun.wait(20)
    with pytest.raises(TaskFailed, match="was cancelled: deadline"):
        workflow.wait(20)
    assert stopped.wait(20)  # it was asked to stop
    until(lambda: workflow.task("slow").state == "cancelled")
    assert (workflow.task("next").state, workflow.task("next").error) == ("cancelled", "deadline")
    assert workflow.error == "deadline"
    last = next(row for row in workflow.events() if row.event == "WORKFLOW_CANCELLED")
    assert "reason deadline" in last.more


def test_where_no_worker_runs_the_next_look_cancels(flows):
    looks = (
        lambda one: flows.get(one.id),
        lambda one: flows.get(one.id[:-1]),
        lambda one: flows.list()[0],
        lambda one: one.refresh(),
        lambda one: one.wait(20),
        lambda one: asyncio.run(one.await_(20)),
    )
    for look in looks:
        workflow = make(flows, deadline=60)
        assert workflow.refresh().state == "active"
        pass_deadline(flows, workflow)
        try:
            found = look(workflow)
        except TaskFailed:
            found = workflow
        assert (found.state, found.error) == ("cancelled", "deadline")
        assert workflow.task("one").state == "cancelled"
        assert kinds(workflow).count("WORKFLOW_CANCELLED") == 1


@ON_SQLITE
def test_a_workflow_that_ended_in_time_and_one_without_a_deadline_stay(flows, store, me):
    ended, free = make(flows, deadline=60), make(flows, "one")
    store.finish(store.claim(me), Outcome(OutcomeKind.COMPLETED, Kept(b"1")), then_claim=False)
    pass_deadline(flows, ended)
    flows._fire_due()
    assert [one.state for one in flows.list()] == ["active", "completed"]
    assert free.deadline is None


def test_the_lease_keeper_knows_the_next_deadline(flows, store, me):
    make(flows, deadline=3600)
    make(flows, deadline=in_seconds(50))
    store.claim(me), store.claim(me)
    assert 45 < store.renew(me, []).due <= 50


@ON_SQLITE
def test_a_retry_removes_a_deadline_that_has_passed_and_keeps_one_to_come(flows):
    late, early = make(flows, deadline=60), make(flows, deadline=60)
    pass_deadline(flows, late)
    early.cancel()
    assert late.refresh().state == "cancelled"
    assert late.retry().deadline is None
    assert early.retry().deadline is not None
    assert [late.refresh().state, early.refresh().state] == ["active", "active"]


@ON_SQLITE
def test_a_deadline_may_be_seconds_a_timedelta_or_a_time(flows):
    at = in_seconds(90)
    for given in (90, dt.timedelta(seconds=90), at, at.astimezone(ZoneInfo("Asia/Tokyo"))):
        made = make(flows, deadline=given)
        assert abs((made.deadline - at).total_seconds()) < 30
    made = flows.create_workflow_with_tasks({"name": "x", "deadline": 90}, [{"name": "a"}])
    assert made.deadline is not None


NO_DEADLINES = (
    *((0, "greater than 0 s, got 0"), (-1.5, "greater than 0 s"), (True, "greater than 0 s")),
    *(("60", "greater than 0 s, got '60'"), (float("nan"), "greater than 0 s")),
    *((1e12, "less than 9,000,000,000 s"), (dt.timedelta(0), "greater than 0 s")),
    (dt.datetime(2030, 1, 1), "a datetime with a zone"),
    (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "a time to come"),
    (dt.date(2030, 1, 1), "greater than 0 s"),
)


@ON_SQLITE
def test_what_is_no_deadline_is_refused_and_nothing_is_made(flows):
    for given, said in NO_DEADLINES:
        with pytest.raises(UsageError, match=f"deadline must be {said}"):
            make(flows, deadline=given)
    assert flows.list() == []


@ON_SQLITE
def test_a_key_with_another_deadline_is_other_input(flows):
    made = make(flows, key="k", deadline=60)
    assert make(flows, key="k", deadline=dt.timedelta(minutes=1)) == made
    for other, said in ((61, "61 s"), (None, "none")):
        with pytest.raises(UsageError, match=f"its deadline is another one, here {said}"):
            make(flows, key="k", deadline=other)
    free = make(flows, key="free")
    with pytest.raises(UsageError, match="here 5 s"):
        make(flows, key="free", deadline=5)
    assert make(flows, key="free") == free


def test_two_who_see_a_deadline_at_once_cancel_once(flows, together):
    workflow = make(flows, deadline=60)
    pass_deadline(flows, workflow)
    _, errors = together(4, lambda: flows.get(workflow.id))
    assert errors == []
    assert kinds(workflow).count("WORKFLOW_CANCELLED") == 1


def test_a_look_within_an_own_transaction_shows_a_late_workflow_as_it_is(flows):
    workflow = make(flows, deadline=60)
    pass_deadline(flows, workflow)
    with flows.database.transaction():
        state = workflow.refresh().state
        # SQLite has one writer; PostgreSQL takes both.
        assert state == ("active" if flows.database.kind == "sqlite" else "cancelled")
    assert workflow.refresh().state == "cancelled"


@ON_SQLITE
def test_a_workflow_of_a_schedule_has_its_deadline(flows):
    schedule = flows.schedule("s", every=3600, tasks=[Task("a")], deadline=90)
    made = schedule.trigger()
    assert abs((made.deadline - in_seconds(90)).total_seconds()) < 30
    assert flows.schedule("t", every=3600, tasks=[Task("a")]).trigger().deadline is None
    with pytest.raises(UsageError, match="deadline must be seconds, since a schedule"):
        flows.schedule("s", every=3600, tasks=[Task("a")], deadline=in_seconds(60))
    with pytest.raises(UsageError, match="greater than 0 s"):
        flows.schedule("s", every=3600, tasks=[Task("a")], deadline=-1)


@ON_SQLITE
def test_a_worker_of_another_agent_keeps_the_deadline(flows):
    flows.agent("other")(lambda task: 1)
    flows.work(["other"])
    workflow = make(flows, deadline=0.5)
    sql = "select state from {workflow} where id = :id"

    def state():  # without a look that would cancel it
        with flows._transactions.read() as tx:
            return tx.row(sql, id=workflow.id)[0]

    until(lambda: state() == "cancelled")
