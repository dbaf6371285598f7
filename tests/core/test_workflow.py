"""Workflows in one process, on both kinds of database."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

import agentnb
from agentnb.core.errors import (
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UsageError,
)
from agentnb.core.trace import current, start_trace
from agentnb.core.work.wakeup import Wakeup
from agentnb.core.workflow import Task, TaskFailed
from agentnb.core.workflow.wakeup import RedisWakeup


@pytest.fixture
def agents(workflows):
    """Return an orchestrator with a few agents."""

    @workflows.agent("echo")
    def echo(task, ctx):
        return {"data": task.data, **ctx.inputs}

    @workflows.agent("broken", attempts=2, backoff=0.01)
    def broken(task):
        raise ValueError(f"no {task.name}")

    return workflows


def states(workflow):
    return {task.name: task.state for task in workflow.tasks}


def test_tasks_run_after_what_they_need_and_see_its_results(agents):
    agents.work()
    tasks = [
        Task("plan", agent="echo", data=1),
        Task("api", agent="echo", needs=["plan"]),
        Task("web", agent="echo", needs=["plan"]),
        Task("test", agent="echo", needs=["api", "web"], data=2),
    ]
    workflow = agents.create("app", tasks).wait(20)
    plan = {"data": 1}
    api = {"data": None, "plan": plan}
    assert workflow.state == "completed"
    assert workflow.result["test"] == {"data": 2, "api": api, "web": api}
    assert workflow.finished >= workflow.created
    found = {task.name: task for task in workflow.tasks}
    assert found["test"].started >= max(found["api"].finished, found["web"].finished)
    assert all(task.attempt == 1 and task.worker is None for task in found.values())


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (
            [Task("a", agent="echo", needs=["b"]), Task("b", agent="echo", needs=["a"])],
            "wait for each other: a needs b needs a",
        ),
        ([Task("a", agent="echo", needs=["z"])], "needs 'z'"),
        ([Task("echo"), Task("echo")], "two tasks are called echo"),
        ([Task("a", agent="ecko")], "no agent 'ecko' is registered"),
        ([Task("a", agent="echo", data=object())], "task a: .* JSON has not"),
        ([Task("a", agent="echo", data=[float("inf")])], r"task a: .* data\[0\] is inf"),
        ([], "1 to 100,000 tasks"),
        ([{"name": "a", "agnt": "echo"}], "no 'agnt'"),
        (["a"], "a task is a Task or a dict, got str"),
    ],
)
def test_what_cannot_be_worked_through_is_refused_and_nothing_is_made(agents, tasks, words):
    with pytest.raises(UsageError, match=words):
        agents.create("app", tasks)
    assert agents.list() == []


def test_an_agent_that_nobody_knows_is_said_with_the_database_that_was_read(agents):
    with pytest.raises(UsageError, match="no agent 'plan' is registered") as caught:
        agents.create("app", [Task("a", agent="plan")])
    where = agents._transactions.where
    assert where
    assert caught.value.hint.endswith(f"; known are those of this process and of {where}")


@pytest.mark.parametrize("name", ["", "a b", "-x", "x,y", "<b>", None, "x" * 300, "a\nb"])
def test_a_task_has_a_name_that_is_a_word(name):
    with pytest.raises(UsageError, match="cannot be called"):
        Task(name)


@pytest.mark.parametrize(
    "options", [{"priority": -1}, {"delay": -1}, {"attempts": 1.5}, {"timeout": 0}, {"approval": 1}]
)
def test_an_option_that_cannot_be_is_named(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        Task("a", **options)


def test_the_same_key_is_the_same_workflow_even_with_agents_unknown_by_now(agents):
    first = agents.create("app", [Task("echo")], key="order-17")
    assert agents.registry.registered() == ["echo", "broken"]
    agents.registry.remove("echo")
    with agents._transactions.write() as tx:
        tx.run("delete from {agent}")
    assert agents.create("app", [Task("echo")], key="order-17") == first
    agents.agent("echo")(lambda task: 1)
    assert len(agents.list()) == 1
    assert agents.create("app", [Task("echo")], key="order-18") != first


def test_the_specs_shape_makes_a_workflow(agents):
    workflow = agents.create_workflow_with_tasks(
        {"name": "new app", "data": {"for": "Ada"}},
        [{"name": "plan", "agent_id": "echo"}, {"name": "api", "agent": "echo", "needs": ["plan"]}],
    )
    assert [task.needs for task in workflow.tasks] == [(), ("plan",)]
    assert workflow.data == {"for": "Ada"}
    with pytest.raises(UsageError, match="a workflow has no 'nme'"):
        agents.create_workflow_with_tasks({"nme": "x"}, [])


def test_a_failure_skips_what_needs_it_and_no_more(agents):
    agents.work()
    tasks = [
        Task("bad", agent="broken"),
        Task("after", agent="echo", needs=["bad"]),
        Task("last", agent="echo", needs=["after"]),
        Task("beside", agent="echo"),
        Task("on", agent="echo", needs=["beside"]),
    ]
    workflow = agents.create("app", tasks)
    with pytest.raises(TaskFailed, match="task bad: ValueError: no bad") as raised:
        workflow.wait(20)
    assert isinstance(raised.value, RejectedError)
    assert states(workflow) == {
        "bad": "failed",
        "after": "skipped",
        "last": "skipped",
        "beside": "completed",
        "on": "completed",
    }
    bad = workflow.task("bad")
    assert (bad.attempt, bad.attempts) == (2, 2)
    assert "broken" in bad.traceback
    assert workflow.state == "failed"


def test_a_retry_goes_on_where_it_failed(agents):
    mended, ran = [], []

    @agents.agent("once", attempts=1)
    def once(task):
        ran.append(task.name)
        if task.name == "flaky" and not mended:
            raise RuntimeError("not yet")
        return task.name

    agents.work()
    tasks = [
        Task("good", agent="once"),
        Task("flaky", agent="once", needs=["good"]),
        Task("after", agent="once", needs=["flaky"]),
    ]
    workflow = agents.create("app", tasks)
    with pytest.raises(TaskFailed):
        workflow.wait(20)
    mended.append(True)
    assert workflow.retry().wait(20).result == {n: n for n in ("good", "flaky", "after")}
    assert ran == ["good", "flaky", "flaky", "after"]
    with pytest.raises(RejectedError, match="nothing to retry"):
        workflow.retry()


def test_a_cancelled_workflow_whose_task_completed_all_the_same_is_completed_by_retry(
    agents, until
):
    go = threading.Event()

    @agents.agent("deaf")
    def deaf(task, ctx):
        return go.wait(20)

    agents.work(concurrency=1)
    made = agents.create("app", [Task("deaf")])
    until(lambda: made.task("deaf").state == "active")
    made.cancel()
    with pytest.raises(RejectedError, match="task deaf has not ended yet"):
        made.retry()
    go.set()
    until(lambda: made.task("deaf").state == "completed")
    assert made.refresh().state == "cancelled"

    assert made.retry().state == "completed"

    assert made.wait(10).result == {"deaf": True}
    with pytest.raises(RejectedError, match="nothing to retry"):
        made.retry()


def test_an_approval_is_waited_for_given_and_refused(agents):
    agents.work()
    tasks = [
        Task("plan", agent="echo"),
        Task("ship", agent="echo", needs=["plan"], approval=True),
        Task("tell", agent="echo", needs=["ship"]),
    ]
    workflow = agents.create("app", tasks)
    with pytest.raises(DeadlineExceeded) as raised:
        workflow.wait(0.5)
    assert "workflow.approve('ship')" in raised.value.hint
    assert states(workflow) == {"plan": "completed", "ship": "approval", "tell": "blocked"}
    workflow.approve("ship", by="ada")
    assert workflow.wait(20).task("ship").approved_by == "ada"
    with pytest.raises(RejectedError, match="waits for no approval: it is completed"):
        workflow.approve("ship")
    other = agents.create("app", [Task("ship", agent="echo", approval=True), *tasks[2:]])
    other.reject("ship", "too early", by="ada")
    with pytest.raises(TaskFailed, match="rejected by ada: too early"):
        other.wait(20)
    assert states(other) == {"ship": "cancelled", "tell": "skipped"}
    with pytest.raises(NotFoundError, match="no task 'shop'"):
        other.approve("shop")


def test_why_it_does_not_move_is_said(agents):
    workflow = agents.create("app", [Task("a", agent="echo")])
    assert "no worker serves agent echo on " in workflow.why_waiting()
    with pytest.raises(DeadlineExceeded) as raised:
        workflow.wait(0.05)
    assert "no worker serves agent echo" in raised.value.hint
    agents.work()
    workflow.wait(20)
    assert workflow.why_waiting() == ""


def test_a_task_that_waits_for_a_workflow_behind_it_is_told_so(agents, caplog):
    @agents.agent("outer", attempts=1)
    def outer(task):
        inner = agents.create("inner", [Task("a", agent="echo")])
        return inner.wait(2.5).result

    agents.work(concurrency=1)
    workflow = agents.create("app", [Task("outer")])
    with pytest.raises(TaskFailed, match="all workers of agent echo are busy"):
        workflow.wait(20)
    assert "all workers of agent echo are busy" in caplog.text
    agents.work(concurrency=2)
    assert workflow.retry().wait(20).result == {"outer": {"a": {"data": None}}}


def test_one_cancelled_task_is_tried_again_with_what_it_needs(agents):
    tasks = [
        Task("plan", agent="echo", approval=True),
        Task("api", agent="echo", needs=["plan"]),
        Task("web", agent="echo", needs=["plan"]),
    ]
    workflow = agents.create("app", tasks)
    workflow.cancel()
    workflow.retry("api")
    assert states(workflow) == {"plan": "approval", "api": "blocked", "web": "cancelled"}
    workflow.approve("plan")
    agents.work()
    with pytest.raises(TaskFailed):
        workflow.wait(20)
    assert states(workflow) == {"plan": "completed", "api": "completed", "web": "cancelled"}


@pytest.mark.parametrize(
    "call",
    [
        lambda w: Task("a", needs=3),
        lambda w: Task("a", needs=[["b"]]),
        lambda w: w.create("x", None),
        lambda w: w.work(concurrency=True),
        lambda w: w.list(n=-1),
        lambda w: w.events(n="many"),
        lambda w: w.create("x", [Task("echo")]).wait("long"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_happens(agents, call):
    with pytest.raises(UsageError):
        call(agents)


def test_what_ended_long_ago_is_forgotten_whole_and_nothing_else(agents):
    agents.work()
    for n in range(3):
        agents.create(f"old-{n}", [Task("a", agent="echo")], key=f"k{n}").wait(20)
    held = agents.create("held", [Task("a", agent="echo", approval=True)])
    assert agents.prune(3600) == 0
    assert agents.prune(0) == 3
    assert [one.name for one in agents.list()] == ["held"]
    assert {row.workflow for row in agents.events()} == {held.id}
    with agents._transactions.read() as tx:
        assert tx.row("select count(*) from {task}") == (1,)
        assert tx.row("select count(*) from {event}") == (2,)


def test_a_cancel_ends_what_waits_and_stops_what_runs(agents, until):
    begun, ended = threading.Event(), []

    @agents.agent("slow")
    def slow(task, ctx):
        begun.set()
        while True:
            ctx.check_cancelled()
            time.sleep(0.005)

    @agents.agent("sleeper")
    async def sleeper(task, ctx):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(task.name)
            raise

    agents.work()
    tasks = [Task("slow"), Task("sleeper"), Task("later", agent="echo", needs=["slow"])]
    workflow = agents.create("app", tasks)
    assert begun.wait(10)
    until(lambda: workflow.task("sleeper").state == "active")
    assert workflow.cancel().state == "cancelled"
    with pytest.raises(TaskFailed, match="was cancelled"):
        workflow.wait(20)
    until(lambda: set(states(workflow).values()) == {"cancelled"})
    until(lambda: ended == ["sleeper"])
    with pytest.raises(RejectedError, match="it is cancelled"):
        workflow.cancel()


def test_a_coroutine_and_a_thread_that_take_too_long_fail(agents):
    release = threading.Event()

    @agents.agent("thread", attempts=1, timeout=0.3)
    def thread(task):
        release.wait(30)
        return "late"

    @agents.agent("coroutine", attempts=1, timeout=0.3)
    async def coroutine(task):
        await asyncio.sleep(60)

    agents.work(concurrency=1)
    workflow = agents.create("app", [Task("thread"), Task("coroutine"), Task("echo")])
    with pytest.raises(TaskFailed, match=r"longer than 0\.3 s"):
        workflow.wait(20)
    assert states(workflow) == {"thread": "failed", "coroutine": "failed", "echo": "completed"}
    release.set()
    time.sleep(0.1)
    assert workflow.task("thread").result is None
    assert agents.create("next", [Task("echo")]).wait(20).state == "completed"


class Odd(BaseException):
    """What no agent should raise."""


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), Odd("odd")])
def test_a_worker_outlives_whatever_an_agent_raises(workflows, error):
    @workflows.agent("plain", attempts=1)
    def plain(task):
        raise error

    @workflows.agent("awaited", attempts=1)
    async def awaited(task):
        raise error

    @workflows.agent("good")
    async def good(task):
        return 1

    workflows.work(concurrency=1)
    tasks = [Task("plain"), Task("awaited"), Task("good")]
    with pytest.raises(TaskFailed):
        workflows.create("odd", tasks).wait(20)
    found = {task.name: task for task in workflows.get("odd").tasks}
    assert type(error).__name__ in found["plain"].error
    assert type(error).__name__ in found["awaited"].error
    assert workflows.create("after", [Task("good")]).wait(20).result == {"good": 1}


def test_agents_may_be_classes_objects_and_coroutines(workflows):
    @workflows.agent("class")
    class Doubler:
        def execute(self, data):
            return data * 2

    class Adder:
        async def execute(self, data, ctx):
            return data + ctx.attempt

    workflows.agent("object")(Adder())

    @workflows.agent("async")
    async def waits(task, ctx):
        return [await ctx.step("one", lambda: 1), await ctx.step("two", asyncio.sleep, 0, "two")]

    workflows.work()
    tasks = [Task("class", data=21), Task("object", data=41), Task("async")]
    assert workflows.create("kinds", tasks).wait(20).result == {
        "class": 42,
        "object": 42,
        "async": [1, "two"],
    }
    with pytest.raises(UsageError, match="cannot do a task"):
        workflows.agent("none")(42)


def test_a_step_is_done_once_for_all_attempts(workflows):
    calls = []

    @workflows.agent("pays", attempts=3, backoff=0.01)
    def pays(task, ctx):
        receipt = ctx.step("pay", lambda amount: calls.append(amount) or {"paid": amount}, 7)
        if ctx.attempt < 3:
            raise RuntimeError("the network is down")
        with pytest.raises(UsageError, match="two steps"):
            ctx.step("pay", lambda: None)
        return receipt

    workflows.work()
    workflow = workflows.create("bill", [Task("pays")]).wait(20)
    assert workflow.result == {"pays": {"paid": 7}}
    assert calls == [7]
    assert workflow.task("pays").attempt == 3


def test_an_error_that_cannot_be_encoded_is_kept(workflows):
    @workflows.agent("nul", attempts=1)
    def nul(task):
        raise ValueError("a\x00b \ud800")

    workflows.work()
    workflow = workflows.create("odd", [Task("nul")])
    with pytest.raises(TaskFailed):
        workflow.wait(20)
    assert "ValueError: a" in workflow.task("nul").error


def test_the_data_of_a_task_is_checked_by_its_agents_schema(workflows):
    import msgspec

    class Order(msgspec.Struct):
        amount: int

    @workflows.agent("bill", schema=Order)
    def bill(task):
        return task.data.amount * 2

    with pytest.raises(UsageError, match="amount"):
        workflows.create("x", [Task("bill", data={"amount": "many"})])
    workflows.work()
    assert workflows.create("x", [Task("bill", data={"amount": 21})]).wait(20).result["bill"] == 42


def test_progress_and_words_are_seen_while_it_runs(workflows, until):
    go = threading.Event()

    @workflows.agent("build")
    def build(task, ctx):
        ctx.progress(0.5, "half of it")
        go.wait(20)
        ctx.log("password=hunter2 all of it")
        with pytest.raises(UsageError, match="0 to 1"):
            ctx.progress(50)

    workflows.work()
    workflow = workflows.create("x", [Task("build")])
    until(lambda: workflow.task("build").progress == 0.5)
    seen = workflow.task("build")
    assert (seen.message, seen.state, seen.worker) == (
        "half of it",
        "active",
        workflows.worker.name,
    )
    go.set()
    workflow.wait(20)
    assert "all of it" in workflow.task("build").message
    assert "hunter2" not in workflow.task("build").message


def test_secrets_in_errors_are_masked(workflows):
    @workflows.agent("leaks", attempts=1)
    def leaks(task):
        raise RuntimeError("cannot reach postgresql://ada:hunter2@db/x")

    workflows.work()
    workflow = workflows.create("x", [Task("leaks")])
    with pytest.raises(TaskFailed) as raised:
        workflow.wait(20)
    assert "hunter2" not in f"{raised.value} {workflow.task('leaks')} {workflow.events()}"


def test_priorities_come_first_and_delays_last(workflows, until):
    order = []
    workflows.agent("note")(lambda task: order.append(task.name))
    workflows.create(
        "x",
        [
            Task("later", agent="note", delay=60),
            Task("third", agent="note", priority=2),
            Task("first", agent="note"),
            Task("second", agent="note", priority=1),
        ],
    )
    worker = workflows.work(concurrency=1)
    until(lambda: len(order) == 3)
    workflows.database.access.runtime.clock.advance(60)
    worker.drain(20)
    assert order == ["first", "second", "third", "later"]


def test_max_parallel_is_held(workflows):
    lock, now, most = threading.Lock(), [0], [0]

    @workflows.agent("busy")
    def busy(task):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1

    workflows.work(concurrency=6)
    tasks = [Task(f"t{n}", agent="busy") for n in range(12)]
    workflows.create("x", tasks, max_parallel=2).wait(20)
    assert most[0] == 2


def test_a_pipeline_is_a_chain_of_functions(workflows):
    def build(task, ctx):
        return f"built for {ctx.workflow.data}"

    def ship(task, ctx):
        return ctx.inputs["build"].replace("built", "shipped")

    workflows.work()
    steps = [build, ("ship", ship), Task("done", agent="release.build")]
    workflow = workflows.pipeline("release", steps, data="Ada").wait(20)
    assert workflow.result["ship"] == "shipped for Ada"
    assert [task.needs for task in workflow.tasks] == [(), ("build",), ("ship",)]
    with pytest.raises(UsageError, match="has no name"):
        workflows.pipeline("release", [lambda task: None])


def test_a_workflow_is_found_by_its_id_a_prefix_and_its_name(agents):
    first = agents.create("one", [Task("echo")])
    newest = agents.create("one", [Task("echo")])
    assert agents.get(first.id) == first
    assert agents.get(newest.id[:-1]) == newest
    assert agents.get("one") == newest
    with pytest.raises(UsageError, match="several workflows begin"):
        agents.get(first.id[:4])
    with pytest.raises(NotFoundError, match="no workflow 'onne'") as raised:
        agents.get("onne")
    assert raised.value.hint == "did you mean one?"
    assert [one.id for one in agents.list()] == [newest.id, first.id]
    assert agents.list("failed") == []
    with pytest.raises(UsageError, match="no such state"):
        agents.list("odd")


def test_a_task_is_found_by_its_name_and_id_without_the_others_being_read(agents):
    workflow = agents.create("app", [Task("a", agent="echo"), Task("b", agent="echo")])
    other = agents.create("app", [Task("c", agent="echo")])
    task = workflow.task("a")
    with agents._transactions.write() as tx:  # no one could read this one
        tx.run("update {task} set data = '{' where name = 'b'")
    assert workflow.task("a") == workflow.task(task.id) == task
    assert workflow.logs("a") == []
    for word in ("aa", task.id, 1):
        with pytest.raises(NotFoundError, match="has no task") as raised:
            other.task(word)
    assert raised.value.hint == "it has: c"


def test_what_happens_stands_in_the_outbox_in_its_order(agents):
    agents.work()
    workflow = agents.create(
        "app", [Task("a", agent="echo"), Task("b", agent="broken", attempts=1)]
    )
    with pytest.raises(TaskFailed):
        workflow.wait(20)
    kinds = [(row.event, row.task, row.status) for row in workflow.events()]
    assert kinds[0] == ("WORKFLOW_CREATED", "", "")
    assert kinds[-1] == ("WORKFLOW_FAILED", "", "failed")
    assert ("TASK_COMPLETED", "a", "success") in kinds
    assert ("TASK_FAILED", "b", "failed") in kinds


def test_a_task_continues_the_trace_of_its_maker(workflows):
    seen = []
    workflows.agent("look")(lambda task: seen.append(current()))
    here = start_trace(correlation_id="order-17")
    workflow = workflows.create("x", [Task("look")])
    workflows.work()
    workflow.wait(20)
    assert (seen[0].trace_id, seen[0].correlation_id) == (here.trace_id, "order-17")
    span = next(one for one in workflows._tracer.trace(here.trace_id) if one.name == "task")
    assert span.attributes is not None
    assert span.attributes.pop("waited_ms") >= 0
    assert span.attributes == {
        "task": "look",
        "agent": "look",
        "workflow": workflow.id,
        "workflow_name": "x",
    }


def test_a_workflow_can_be_awaited(agents):
    agents.work()

    async def both():
        one, two = (agents.create("x", [Task("echo", data=n)]) for n in (1, 2))
        return await asyncio.gather(one, two.await_(20))

    found = asyncio.run(both())
    assert [one.result["echo"]["data"] for one in found] == [1, 2]


def test_a_worker_that_is_stopped_gives_back_what_does_not_end(agents, make_workflows, until):
    release, starts = threading.Event(), []

    @agents.agent("slow")
    def slow(task, ctx):
        starts.append(ctx.attempt)
        release.wait(30)

    agents.work(concurrency=1)
    workflow = agents.create("x", [Task("slow")])
    until(lambda: starts)
    assert agents.stop(0.05) is False
    assert (workflow.task("slow").state, workflow.task("slow").attempt) == ("waiting", 0)
    other = make_workflows()
    other.agent("slow")(lambda task, ctx: ctx.attempt)
    other.work()
    assert workflow.wait(20).result == {"slow": 1}
    release.set()


def test_agents_are_known_to_others_with_their_heartbeats(agents, make_workflows):
    other = make_workflows()
    with pytest.raises(UsageError, match="is registered"):
        other.create("x", [Task("echo")])
    assert agents.agent_info("echo").state == "no worker"
    agents.work()
    found = other.agent_info("echo")
    assert (found.state, found.workers) == ("idle", 1)
    assert abs(found.heartbeat.timestamp() - time.time()) < 30
    assert other.create("x", [Task("echo", data=3)]).wait(20).result["echo"]["data"] == 3
    with pytest.raises(NotFoundError, match="no agent 'ecko'"):
        other.agent_info("ecko")


def test_drain_says_how_many_tasks_are_left_and_gives_up_in_its_time(workflows):
    go, seen = threading.Event(), []
    workflows.agent("slow")(lambda task: go.wait(30))
    workflows.create("x", [Task("a", agent="slow"), Task("b", agent="slow")])
    worker = workflows.work(concurrency=1)
    with pytest.raises(DeadlineExceeded, match="2 tasks have not ended") as caught:
        worker.drain(0.1, on_progress=seen.append)
    assert "hub.workflows.table()" in caught.value.hint
    go.set()
    worker.drain(30, on_progress=seen.append)
    assert seen[0] == 2
    assert set(seen) <= {1, 2}
    assert worker.left() == 0


def test_scopes_do_not_see_each_other(make_workflows):
    one, two = make_workflows(scope="one"), make_workflows(scope="two")
    for each in (one, two):
        each.agent("who")(lambda task, scope=each._scope: scope)
    workflow = one.create("x", [Task("who")], key="k")
    assert two.create("x", [Task("who")], key="k") != workflow
    two.work()
    two.worker.drain(20)
    assert workflow.refresh().state == "active"
    with pytest.raises(NotFoundError):
        two.get(workflow.id)


def test_the_same_key_from_eight_callers_is_one_workflow(agents, together):
    found, errors = together(8, lambda: agents.create("x", [Task("echo")], key="k").id)
    assert errors == []
    assert len(set(found)) == 1
    assert len(agents.list()) == 1


def test_the_last_lines_that_an_agent_logs_are_kept_of_its_latest_attempt(workflows):
    @workflows.agent("talk", attempts=2, backoff=0.01)
    def talk(task, ctx):
        ctx.log(f"attempt {ctx.attempt}\nof {task.name}")
        for number in range(3):
            ctx.log(f"line {number}")
        if ctx.attempt == 1:
            raise ValueError("once more")
        ctx.log("\n".join(f"more {number}" for number in range(198)))

    workflows.work()
    workflow = workflows.create("app", [Task("talk")]).wait(20)
    logged = workflow.logs("talk")
    assert logged == ["line 1", "line 2", *(f"more {number}" for number in range(198))]
    assert workflow.task("talk").message == "more 197"
    with pytest.raises(NotFoundError, match="no task 'tlak'"):
        workflow.logs("tlak")


def test_no_thread_of_the_bell_uses_the_server_once_it_is_closed(tmp_path):
    def bells():
        return [one for one in threading.enumerate() if one.name.startswith("agentnb-wakeup")]

    before = set(bells())
    with agentnb.connect(home=tmp_path / "home") as hub:
        heard = RedisWakeup(hub.redis.untraced, lambda agent: f"test:{agent}")
        listening = threading.Event()

        class Patient:
            """Listens for longer than anybody would wait for it."""

            send, wake = heard.send, heard.wake

            def listen(self, agents, _seconds):
                listening.set()
                return heard.listen(agents, 60)

        bell = Wakeup(Patient(), hub.workflows._log)
        bell.listen(["echo"])
        bell.notify({"other": 1})
        assert listening.wait(10)
        assert set(bells()) - before
        bell.close()
        assert set(bells()) == before


def test_errors_spans_and_log_lines_name_one_service(workflows):
    workflows.agent("plan")(lambda task: task.nothing)
    with pytest.raises(NotFoundError) as missing:
        workflows.get("nobody")
    with pytest.raises(UsageError) as unfit:
        workflows.create("app", [Task("plan", needs=["x"])])
    workflows.work()
    with pytest.raises(TaskFailed) as failed:
        workflows.create("app", [Task("plan", attempts=1)]).wait(20)
    assert {one.value.service for one in (missing, unfit, failed)} == {"workflow"}
    assert {span.service for span in workflows._tracer.recent() if span.service != "db"} == {
        "workflow"
    }
    assert workflows._log.name == "agentnb.workflow"


@pytest.mark.parametrize(("prefix", "shown"), [("agentnb", ""), ("pw", ", prefix pw")])
def test_a_prefix_that_workers_must_share_is_named(tmp_path, prefix, shown):
    with agentnb.connect(home=tmp_path / ".agentnb", key_prefix=prefix) as hub:
        hub.workflows.agent("collect")(lambda _: 1)
        workflow = hub.workflows.create("one", [Task("collect")])
        assert f"agentnb.db{shown}: start one: " in workflow.why_waiting()
        with pytest.raises(NotFoundError) as caught:
            hub.workflows.get("x")
        assert caught.value.message.endswith(f"agentnb.db{shown}")


def test_a_workflow_may_be_made_before_its_agents(workflows, caplog):
    tasks = [Task("late", data=3), Task("after", agent="late", needs=["late"], data=4)]
    with pytest.raises(UsageError, match="no agent 'late' is registered"):
        workflows.create("app", tasks)
    with caplog.at_level(logging.WARNING):
        made = workflows.create("app", tasks, unknown="wait")
    assert "waits for agent late: nobody has registered it yet" in caplog.text
    assert "no worker serves agent late" in made.why_waiting()

    @workflows.agent("late", attempts=1)
    def late(task):
        if task.data == 4:
            raise OSError
        return task.data

    workflows.work()
    with pytest.raises(TaskFailed, match="task after: OSError"):
        made.wait(20)
    assert made.result_of("late") == 3
    assert made.task("after").attempt == 1  # the options of the agent hold for it


@pytest.mark.parametrize("unknown", ["Wait", True, None, ""])
def test_another_word_for_unknown_agents_is_refused(workflows, unknown):
    with pytest.raises(UsageError, match="unknown must be refuse or wait"):
        workflows.create("app", [Task("late")], unknown=unknown)
