"""Tasks wait for events, those that came before as well, and keep times and ids."""

from __future__ import annotations

import pytest

from agentnb.core.workflow import Task, TaskFailed
from agentnb.core.workflow.event_waits import fits
from agentnb.errors import DeadlineExceeded
from tests.waiting import until

on_sqlite = pytest.mark.parametrize("workflow_url", ["sqlite"], indirect=True)


@pytest.fixture
def flows(make_workflows, bus):
    return make_workflows(events=bus)


def start(flows, agent, **options):
    flows.agent("bot", attempts=1)(agent)
    flows.work(**options)
    return flows.create("w", [Task("t", agent="bot")])


def failure(made):
    with pytest.raises(TaskFailed):
        made.wait(20)
    return made.task("t").error


def test_an_event_ends_the_wait_of_a_parked_task(flows, bus):
    def bot(_, ctx):
        event = ctx.wait_event("payment.*", where={"order": {"id": 7}})
        again = ctx.ask("sure?")
        return [event.channel, event.data, again, event.time.year > 2000, bool(event.place)]

    made = start(flows, bot)
    until(lambda: made.task("t").state == "parked")
    assert "waits for event payment.*" in made.why_waiting()
    bus.publish("payment.done", {"order": {"id": 6}})
    bus.publish("other.done", {"order": {"id": 7}})
    bus.publish("payment.done", {"order": {"id": 7, "eur": 5}})
    until(lambda: [row[1] for row in made.waits()] == ["sure?"])
    bus.publish("payment.done", {"order": {"id": 7, "eur": 6}})
    made.answer("t", "sure?", "yes")
    data = {"order": {"id": 7, "eur": 5}}
    assert made.wait(20).result["t"] == ["payment.done", data, "yes", True, True]


@on_sqlite
def test_an_event_that_came_between_the_start_and_the_wait_is_found(flows, bus):
    async def bot(_, ctx):
        await ctx.aask("first")
        early = await ctx.await_event("deploy.done", name="early")
        late = await ctx.await_event(
            "deploy.done", name="late", since="now", timeout=0.3, default=None
        )
        return [early.data, late]

    bus.publish("deploy.done", "before the task")
    made = start(flows, bot)
    until(made.waits)
    bus.publish("deploy.done", "before the wait")
    made.answer("t", "first", 1)
    assert made.wait(20).result["t"] == ["before the wait", None]


@on_sqlite
def test_a_wait_for_an_event_times_out(flows):
    def bot(_, ctx):
        try:
            ctx.wait_event("never", timeout=0.05)
        except DeadlineExceeded as error:
            return error.message

    assert "wait 'never' of task t has not ended within" in start(flows, bot).wait(20).result["t"]


@on_sqlite
@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (lambda _, ctx: ctx.wait_event(""), "a channel cannot be called ''"),
        (lambda _, ctx: ctx.wait_event("a", where=7), "where must be a dict of values, got 7"),
        (lambda _, ctx: ctx.wait_event("a", since="noon"), "since must be start, now, an aware"),
        (lambda _, ctx: ctx.wait_event("a", since=None), "since must be an aware datetime"),
        (lambda _, ctx: ctx.step("s", lambda: ctx.wait_event("a")), "a wait inside step 's'"),
    ],
    ids=["channel", "where", "since", "none", "step"],
)
def test_a_wait_for_an_event_that_cannot_be_is_refused(flows, agent, reason):
    assert reason in failure(start(flows, agent))


@on_sqlite
def test_a_wait_for_an_event_without_a_bus_is_refused(workflows):
    error = failure(start(workflows, lambda _, ctx: ctx.wait_event("a")))
    assert "there are no events here" in error


@on_sqlite
def test_times_and_ids_are_the_same_in_each_entry(workflows):
    seen = []

    def bot(_, ctx):
        seen.append((ctx.now(), ctx.now(), ctx.now("later"), ctx.uuid("order"), ctx.uuid("b")))
        ctx.sleep(0.01)
        return str(seen[-1][3])

    async def awaited(_, ctx):
        seen.append((await ctx.anow(), await ctx.auuid("order")))
        await ctx.asleep(0.01)

    start(workflows, bot).wait(20)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0][0] == seen[0][1] < seen[0][2]
    assert seen[0][3] != seen[0][4]
    seen.clear()
    start(workflows, awaited).wait(20)
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_data_fits_what_is_wanted_of_it():
    assert fits({"a": None, "b": [1]}, {"a": None, "b": [1]})
    assert not fits({"b": 1}, {"a": None})
    assert not fits({"a": True}, {"a": 1})
    assert not fits("text", {"a": 1})
