"""Streams of tasks: what agents write is read from anywhere, in order, once."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.workflow import Orchestrator, StreamText, Task
from agentnb.core.workflow.completion import release, retry
from tests.waiting import until


def run(flows, function, *, attempts=3, name="t"):
    """Run an agent to its end, and return its workflow."""
    flows.agent(name, attempts=attempts, backoff=0.001)(function)
    workflow = flows.create("w", [Task(name)])
    flows.work(concurrency=2)
    until(lambda: workflow.refresh().state != "active")
    return workflow


def values(workflow, stream=None, task="t"):
    found = list(workflow.stream(task, stream, follow=False))
    assert not any(chunk.reset for chunk in found)  # a reader that comes later sees none
    return [chunk.value for chunk in found]


@pytest.fixture
def flows(tmp_path):
    """Return an orchestrator on SQLite, where the kind of the database makes no difference."""
    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as flows:
        yield flows


def test_values_are_read_in_order_with_their_numbers(workflows):
    def agent(task, ctx):
        for word in ("one ", "two ", {"three": 3}, None, [4.5]):
            ctx.write(word)
        ctx.write("other", stream="log")
        ctx.write("six")

    workflow = run(workflows, agent)
    assert values(workflow, "out") == ["one ", "two ", {"three": 3}, None, [4.5], "six"]
    assert values(workflow, "log") == ["other"]
    assert values(workflow, "nothing") == []
    found = list(workflow.stream("t"))
    assert [(chunk.stream, chunk.n) for chunk in found][-3:] == [("out", 5), ("log", 1), ("out", 6)]
    assert {chunk.attempt for chunk in found} == {1}


def test_a_reader_follows_while_the_task_runs_and_ends_with_it(make_workflows):
    flows, elsewhere = make_workflows(), make_workflows()
    go = threading.Event()

    def agent(task, ctx):
        ctx.write("first")
        assert go.wait(30)
        ctx.write("second")

    flows.agent("t")(agent)
    workflow = flows.create("w", [Task("t")])
    there = elsewhere.get(workflow.id)
    here = workflow.stream("t")
    apart = there.stream("t")  # as another process would read it
    flows.work()
    assert (next(here).value, next(apart).value) == ("first", "first")
    go.set()
    assert [chunk.value for chunk in here] == [chunk.value for chunk in apart] == ["second"]
    assert there.refresh().task("t").state == "completed"


def test_many_coroutines_read_without_a_thread_each(workflows):
    go = threading.Event()

    async def agent(task, ctx):
        await ctx.awrite("a")
        await asyncio.to_thread(go.wait, 30)
        await ctx.awrite("b")

    workflows.agent("t")(agent)
    workflow = workflows.create("w", [Task("t")])
    workflows.work()

    all_there, seen = asyncio.Event(), []

    async def read():
        found = []
        async for chunk in workflow.astream("t"):
            found.append(chunk.value)
            seen.append(chunk.value)
            if len(seen) == 200:
                all_there.set()
        return found

    async def main():
        before = threading.active_count()
        readers = [asyncio.create_task(read()) for _ in range(200)]
        await asyncio.wait_for(all_there.wait(), 30)
        assert threading.active_count() < before + 20
        go.set()
        return await asyncio.wait_for(asyncio.gather(*readers), 30)

    assert asyncio.run(main()) == [["a", "b"]] * 200


def test_two_parts_of_an_agent_that_name_one_stream_write_to_it_in_turn(flows):
    def agent(task, ctx):
        ctx.write("a", "x")
        ctx.write("b", "y")
        ctx.write("c", "x")

    workflow = run(flows, agent)
    assert (values(workflow, "x"), values(workflow, "y")) == (["a", "c"], ["b"])
    assert [(row.stream, row[1]) for row in workflow.streams("t")] == [("x", 2), ("y", 1)]


def claimed(flows):
    """Return the claim of a task."""
    from agentnb.core.work.identity import new_owner
    from agentnb.core.workflow.claiming import claim

    with flows._transactions.write() as tx:
        return claim(tx, flows._scope, ["t"], new_owner())


def test_a_lost_attempt_writes_nothing(workflows):
    from agentnb.core.workflow.stream_rows import Batch, StreamRows

    workflows.agent("t")(lambda task: None)
    workflow = workflows.create("w", [Task("t")])
    first = claimed(workflows)
    with workflows._transactions.write() as tx:
        assert StreamRows(first).append(tx, [Batch(1, "out", "", 1, 1, 9, '["kept"]')])
        assert release(tx, workflows._scope, first.ref)
    second = claimed(workflows)
    for change in (
        lambda tx: StreamRows(first).append(tx, [Batch(2, "out", "", 2, 1, 9, '["lost"]')]),
        lambda tx: StreamRows(first).enter(tx),
        lambda tx: StreamRows(first).again(tx, "x"),
        lambda tx: StreamRows(first).answer(tx, "x"),
        lambda tx: StreamRows(first).trim(tx, "out", 100),
    ):
        with workflows._transactions.write() as tx:
            assert not change(tx)
    assert values(workflow) == ["kept"]
    with workflows._transactions.write() as tx:
        assert StreamRows(second).enter(tx)
        assert retry(tx, workflows._scope, second.ref, Failure("bad"))
    assert values(workflow) == []


def test_an_attempt_that_was_taken_for_dead_stops_at_its_next_value(workflows):
    errors, begun, go = [], threading.Event(), threading.Event()

    def agent(task, ctx):
        if task.attempt > 1:
            ctx.write("new")
            return
        ctx.write("old")
        begun.set()
        assert go.wait(30)
        try:
            for _ in range(1000):
                ctx.write("late")
        except Exception as error:
            errors.append(error)
            raise

    workflows.agent("t", backoff=0.001)(agent)
    workflow = workflows.create("w", [Task("t")])
    workflows.work(concurrency=2)
    assert begun.wait(30)
    with workflows._transactions.write() as tx:  # as one that reclaims it does
        tx.run("update {task} set state = 'waiting', owner = null, attempt = 1")
    workflows._wakeup.notify()
    until(lambda: workflow.refresh().state == "completed")
    go.set()
    until(lambda: errors)
    assert "given to another worker" in str(errors[0])
    assert values(workflow) == ["new"]


def test_a_failed_task_keeps_what_it_wrote_last(workflows):
    def agent(task, ctx):
        ctx.write("so far")
        raise ValueError

    workflow = run(workflows, agent, attempts=1)
    assert workflow.state == "failed"
    assert values(workflow) == ["so far"]


def test_a_value_or_a_name_that_is_none_is_refused_before_anything_is_written(flows):
    messages = []

    def agent(task, ctx):
        for value, stream in ((object(), "out"), ("x" * 2_000_000, "out"), ("x", "a\nb"), ("x", 3)):
            with pytest.raises(UsageError) as caught:
                ctx.write(value, stream)
            messages.append(caught.value.message)
        for number in range(100):
            ctx.write("x", f"s{number}" if number else "out")
        with pytest.raises(UsageError, match="has 100 streams already"):
            ctx.write("x", "another")
        threading.Thread(target=late, args=(ctx,)).start()

    def late(ctx):
        until(lambda: flows.list()[0].state != "active")
        with pytest.raises(UsageError) as caught:
            ctx.write("late")
        messages.append(caught.value.message)

    workflow = run(flows, agent)
    assert workflow.state == "completed", workflow.error
    until(lambda: len(messages) == 5)
    assert "1,000,000 are allowed" in messages[1]
    assert "a stream cannot be called" in messages[2]
    assert "the attempt at the task has ended" in messages[4]
    assert len(workflow.streams("t")) == 100


def test_an_unknown_task_is_refused_when_the_stream_is_asked_for(flows):
    workflow = run(flows, lambda task, ctx: None)
    with pytest.raises(NotFoundError, match="has no task"):
        workflow.stream("no")
    with pytest.raises(UsageError, match="a stream cannot be called"):
        workflow.stream("t", "")


def test_the_oldest_values_of_a_long_stream_are_dropped_and_it_is_said(workflows):
    workflows._streams.stream_bytes = 20_000

    def agent(task, ctx):
        for number in range(5000):
            ctx.write(f"{number:08d}")
        ctx.write("kept", "other")

    workflow = run(workflows, agent)
    found = list(workflow.stream("t", "out"))
    first, last = found[0], found[-1]
    assert first.dropped == first.n - 1 == int(first.value) > 1000
    assert (last.n, last.value) == (5000, "00004999")
    assert [chunk.n for chunk in found] == list(range(first.n, 5001))
    lines = [line for line in workflow.logs("t") if "oldest values are dropped" in line]
    assert lines == ["stream 'out' is longer than 20 kB: its oldest values are dropped"]
    assert values(workflow, "other") == ["kept"]
    text = StreamText()
    for chunk in found:
        text.add(chunk)
    assert f"… {first.dropped:,} values are gone" in str(text)
    assert dict(zip(*[iter(workflow.streams("t")[0])] * 2, strict=False))["out"] == 5000


def test_a_hundred_thousand_tokens_hold_memory_flat(flows):
    peaks = []

    def agent(task, ctx):
        for number in range(100_000):
            ctx.write("token ")
            if number == 70_000:
                tracemalloc.start()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    flows._streams.wake = lambda writer: None  # the thread is late: the agent keeps them itself
    workflow = run(flows, agent)
    assert peaks[0] < 1_000_000
    tracemalloc.start()
    count = sum(1 for chunk in workflow.stream("t"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 3_000_000


def test_an_agent_streams_within_its_own_transaction(flows, tmp_path):
    def agent(task, ctx):
        with flows.database.transaction() as tx:
            tx.execute("create table own (n int)")
            for number in range(600):
                ctx.write(number)
        ctx.write("end")

    workflow = run(flows, agent)
    assert workflow.state == "completed", workflow.error
    assert values(workflow) == [*range(600), "end"]


def test_streams_are_deleted_with_their_workflow(workflows):
    workflow = run(workflows, lambda task, ctx: ctx.write("x"))
    reader = workflow.stream("t")
    assert workflows.prune(0) == 1
    with workflows._transactions.read() as tx:
        assert tx.rows("select * from {stream}") == []
    with pytest.raises(NotFoundError, match="its workflow was deleted"):
        next(reader)


def test_the_end_of_each_stream_is_read_as_text(workflows):
    def agent(task, ctx):
        for number in range(3000):
            ctx.write(f"{number} ")
        ctx.write({"a": 1}, "log")
        ctx.write({"b": "é"}, "log")

    workflow = run(workflows, agent)
    found = workflow._stream_tail(workflow.task("t").id, 100)
    assert list(found) == ["out", "log"]
    text = str(found["out"])
    assert text.startswith("… ")
    assert text.endswith(" 2998 2999 ")
    assert len(text) < 250
    assert str(found["log"]) == '{"a": 1}\n{"b": "é"}\n'


def test_text_drops_what_a_reset_names_and_says_what_is_left_out():
    from agentnb.core.workflow import Chunk

    text = StreamText(limit=10)
    for n, word in enumerate(("abcdef", "ghijkl", "mnopqr"), 1):
        text.add(Chunk(word, n))
    assert str(text) == "… the first 12 characters are left out here\nmnopqr"
    text.add(Chunk(None, 0, reset=True))
    text.add(Chunk("new", 1))
    assert (str(text), text.n) == ("new", 1)
    text.add(Chunk("x" * 30, 2))
    assert str(text).endswith("\n" + "x" * 10)


def test_a_reader_is_woken_by_a_value_behind_its_place_in_its_stream_alone(workflows):
    go = threading.Event()

    def agent(task, ctx):
        ctx.write("a", "x")
        ctx.write("b", "y")
        assert go.wait(30)

    workflows.agent("t")(agent)
    workflow = workflows.create("w", [Task("t")])
    number, reader = workflow.task("t").id, workflows._stream_reader
    assert reader._news([f"{number} 0 "]) == (set(), {"waiting"})
    workflows.work()
    until(lambda: len(values(workflow)) == 2)
    units = [f"{number} 0 ", f"{number} 1 ", f"{number} 2 ", f"{number} 1 x", f"{number} 1 y"]
    assert reader._news(units) == ({units[0], units[1], units[4]}, {"active"})
    go.set()
    until(lambda: workflow.refresh().state == "completed")
    assert reader._news(units)[0] == set(units)
    assert reader._news(["gone 0 "])[0] == {"gone 0 "}
