"""Values in and out of tasks and steps: declared types, plain JSON, what cannot be kept."""

from __future__ import annotations

import datetime as dt
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from agentnb.core.codec import Unkept
from agentnb.core.errors import NotFoundError, RejectedError, UnkeptResult, UsageError
from agentnb.core.workflow import Task, TaskFailed, agent
from agentnb.core.workflow.agents import marked
from tests.core.typed_cases import CASES, IDS, Model, Point

ROOT = Path(__file__).parents[2]


@pytest.fixture
def flows(make_workflows):
    return make_workflows()


def run(flows, name="one", **options):
    flows.work()
    return flows.create("w", [Task("t", agent=name, **options)]).wait(20)


def test_every_type_crosses_a_step_and_a_task(flows, make_workflows):
    seen = {}

    def register(number, kind, value):
        @flows.agent(f"a{number}", returns=kind)
        def give(_, ctx):
            return ctx.with_options(returns=kind).step("make", lambda: value)

    tasks = []
    for number, (kind, value) in enumerate(CASES):
        register(number, kind, value)
        tasks.append(Task(f"t{number}", agent=f"a{number}"))

    @flows.agent("last")
    def last(task, ctx):
        seen.update(ctx.inputs)

    flows.work()
    done = flows.create("w", [*tasks, Task("last", needs=[one.name for one in tasks])]).wait(60)
    elsewhere = make_workflows().get(done.id)
    for number, (kind, value) in enumerate(CASES):
        name = f"t{number}"
        assert done.result[name] == value, IDS[number]
        assert seen[name] == value, IDS[number]
        assert elsewhere.result_of(name, type=kind) == value, IDS[number]


def test_a_worker_that_is_killed_is_followed_by_one_that_is_given_equal_values(tmp_path):
    module = """
        import sys, time
        from pathlib import Path
        from agentnb.core.db import Database
        from agentnb.core.workflow import Orchestrator, Task
        from tests.core.typed_cases import CASES

        home = Path(sys.argv[1])
        flows = Orchestrator(Database(f"sqlite:///{home}/f.db"), owns_database=True, lease=1.0)

        @flows.agent("types", attempts=6)
        def types(task, ctx):
            for number, (kind, value) in enumerate(CASES):
                def make(value=value, number=number):
                    with (home / "calls").open("a") as calls:
                        calls.write(f"{number}\\n")
                    return value
                found = ctx.with_options(returns=kind).step(f"s{number}", make)
                assert found == value and type(found) is type(value), (number, found)
            if task.attempt == 1:
                (home / "ready").touch()
                time.sleep(60)
            return "equal"

        flows.work()
        print(flows.create("w", [Task("types")], key="one").wait(60).result, flush=True)
    """
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(module))
    command = [sys.executable, str(script), str(tmp_path)]
    first = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "ready").exists():
            assert first.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    second = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert second.stdout.strip() == "{'types': 'equal'}", second.stderr
    calls = (tmp_path / "calls").read_text().split()
    assert calls == [str(number) for number in range(len(CASES))]


def test_the_annotation_alone_declares_the_type_of_agent_and_step(flows):
    given = []

    def ask(x) -> list[Model]:
        return [Model(x=x)]

    @flows.agent("one")
    def one(task, ctx) -> list[Model]:
        given.append(ctx.step("ask", ask, x=task.data))
        return given[-1]

    done = run(flows, data=3)
    assert done.result == {"t": [Model(x=3)]}
    assert given == [[Model(x=3)]]
    assert done.task("t").result == [{"x": 3, "tags": []}]


def test_a_class_an_object_and_a_coroutine_function_are_agents_with_types(flows):
    @flows.agent("cls")
    class Cls:
        def execute(self, data) -> Point:
            return Point(data)

    class Obj:
        def execute(self, data) -> Point:
            return Point(data)

    flows.agent("obj")(Obj())

    @flows.agent("co")
    async def co(task, ctx) -> Point:
        async def point(a) -> Point:
            return Point(a)

        assert await ctx.step("plain", point, task.data) == Point(task.data)
        return await ctx.astep("again", point, task.data)

    flows.work()
    names = ("cls", "obj", "co")
    done = flows.create("w", [Task(name, data=1) for name in names]).wait(20)
    assert done.result == dict.fromkeys(names, Point(1))


def test_a_synchronous_agent_awaits_steps_of_a_loop_of_its_own(flows):
    import asyncio

    @flows.agent("one")
    def one(_, ctx):
        async def both():
            return await asyncio.gather(
                ctx.astep("a", lambda: 1), ctx.astep("b", asyncio.sleep, 0, result=2)
            )

        return asyncio.run(both())

    assert run(flows).result == {"t": [1, 2]}


def test_the_first_attempt_is_given_what_a_resumed_one_is(flows):
    given = []

    @flows.agent("one", attempts=2, backoff=0.01)
    def one(task, ctx):
        given.append(ctx.step("ask", lambda: {"pair": (1, 2), "when": dt.date(2026, 1, 2)}))
        given[-1]["mine"] = True  # the copy's, and not what is kept
        if task.attempt == 1:
            raise ValueError("again")

    run(flows)
    assert given == [{"pair": [1, 2], "when": "2026-01-02", "mine": True}] * 2


def test_a_model_without_a_declared_type_is_plain_json_and_is_told_once(flows, caplog):
    calls = []

    @flows.agent("one")
    def one(_, ctx):
        return ctx.step("ask", lambda: calls.append(1) or Model(x=9))

    first, second = run(flows), run(flows)
    assert first.result == second.result == {"t": {"x": 9, "tags": []}}
    [line] = first.logs("t")
    assert line.startswith("step 'ask' returned Model, which is kept as plain JSON: declare")
    assert second.logs("t") == []
    assert len([one for one in caplog.records if "returns=Model" in one.getMessage()]) == 1
    assert calls == [1, 1]


def test_a_step_that_cannot_be_kept_is_not_called_again(flows):
    calls = []

    @flows.agent("one", attempts=4, backoff=0.01)
    def one(_, ctx):
        return ctx.step("open it", lambda: calls.append(1) or threading.Lock())

    with pytest.raises(TaskFailed, match="UnkeptResult: step 'open it' of task t is done"):
        run(flows)
    workflow = flows.list()[0]
    for _ in range(3):
        workflow.retry()
        with pytest.raises(TaskFailed, match="its result was not kept"):
            workflow.wait(20)
    assert calls == [1]
    assert "workflow.forget('t', " in workflow.task("t").error
    assert "<unlocked _thread.lock" in workflow.task("t").error
    with pytest.raises(NotFoundError, match="has no step 'open'"):
        workflow.forget("t", "open")

    @flows.agent("one")
    def better(_, ctx):
        return ctx.step("open it", lambda: calls.append(1) or "an address")

    workflow.forget("t", "open it").retry()
    assert workflow.wait(20).result == {"t": "an address"}
    assert calls == [1, 1]


def test_a_step_s_unkept_result_can_be_handled_by_its_agent(flows):
    @flows.agent("one")
    async def one(_, ctx):
        try:
            await ctx.step("open", socket.socket)
        except UnkeptResult as error:
            return error.hint

    with pytest.raises(TaskFailed, match="step 'open': socket is not a type that a result can"):
        run(flows)  # its class says so before it is called

    @flows.agent("one")
    async def again(_, ctx):
        try:
            await ctx.step("open", lambda: {"lock": threading.Lock()})
        except UnkeptResult as error:
            return str(error)

    assert "step 'open' of task t is done" in run(flows).result["t"]


def test_a_running_task_s_steps_are_not_forgotten(flows, until):
    @flows.agent("one")
    def one(_, ctx):
        ctx.step("ask", lambda: 1)
        while not ctx.cancelled:
            time.sleep(0.01)

    flows.work()
    workflow = flows.create("w", [Task("t", agent="one")])
    until(lambda: workflow.task("t").state == "active")
    with pytest.raises(RejectedError, match="is running"):
        workflow.forget("t", "ask")
    workflow.cancel()


def test_a_task_whose_result_cannot_be_kept_is_done_and_runs_again_when_asked(flows):
    calls = []

    @flows.agent("open")
    def open_(_):
        calls.append(1)
        return threading.Lock()

    @flows.agent("use")
    def use(_, ctx):
        return ctx.inputs["open"]

    flows.work()
    made = flows.create("w", [Task("open"), Task("use", needs=["open"])])
    with pytest.raises(TaskFailed, match="task open is done, and its result was not kept"):
        made.wait(20)
    task = made.task("open")
    assert (task.state, task.standing, task.result) == ("completed", "done, not kept", None)
    assert task.unkept.type == "lock"
    assert isinstance(made.result["open"], Unkept)
    with pytest.raises(UnkeptResult) as caught:
        made.result_of("open")
    assert "workflow.retry('open')" in caught.value.hint
    with pytest.raises(RejectedError, match="has no result: it is failed"):
        made.result_of("use")

    flows.agent("open")(lambda _: calls.append(1) or "an address")
    made.retry("open")
    made.retry("use").wait(20)
    assert made.result == {"open": "an address", "use": "an address"}
    assert made.task("open").unkept is None
    assert calls == [1, 1]


def test_what_is_blocked_waits_for_a_task_that_runs_again(flows, until):
    order = []
    hold = []

    @flows.agent("open")
    def open_(_):
        return threading.Lock()

    @flows.agent("slow")
    def slow(_, ctx):
        while not hold and not ctx.cancelled:
            time.sleep(0.01)
        order.append("slow")

    @flows.agent("last")
    def last(_, ctx):
        order.append("last")
        return ctx.inputs["open"]

    flows.work()
    tasks = [Task("open"), Task("slow"), Task("last", needs=["open", "slow"])]
    made = flows.create("w", tasks)
    until(lambda: made.task("open").state == "completed")

    @flows.agent("open")
    def kept(_):
        order.append("open")
        return "kept"

    made.retry("open")
    until(lambda: order == ["open"])
    until(lambda: made.task("open").state == "completed")
    assert made.task("last").state == "blocked"
    hold.append(1)
    assert made.wait(20).result["last"] == "kept"
    assert order == ["open", "slow", "last"]


def test_results_may_be_larger_than_data_and_too_large_ones_are_described(make_workflows):
    flows = make_workflows(limit=100)
    calls = []

    @flows.agent("one", attempts=3)
    def one(task, ctx):
        return ctx.step("ask", lambda: calls.append(1) or "x" * task.data)

    assert run(flows, data=6000).result == {"t": "x" * 6000}
    with pytest.raises(TaskFailed, match="it takes 6,402 bytes; 6,400 are allowed"):
        run(flows, data=6400)
    assert calls == [1, 1]
    with pytest.raises(UsageError, match="100 are allowed"):
        flows.create("w", [Task("t", agent="one", data="x" * 100)])


@pytest.mark.parametrize("table", ["task", "task_step"])
def test_a_result_that_the_database_refuses_is_described_and_not_paid_again(flows, table):
    database, calls = flows.database, []
    flows.list()  # makes the tables
    if database.kind == "postgresql":
        check = "check (result is null or length(result) < 50)"
        database.execute(f"alter table agentnb.{table} add constraint short {check}")
    else:
        when = f"{'update' if table == 'task' else 'insert'} on agentnb_{table}"
        body = "begin select raise(abort, 'too long'); end"
        database.execute(f"create trigger short before {when} when length(new.result) > 50 {body}")

    @flows.agent("one", attempts=3, backoff=0.01)
    def one(_, ctx):
        def ask():
            calls.append(1)
            return "x" * 100

        if table == "task":
            return ask()
        return ctx.step("ask", ask)

    if table == "task":
        done = run(flows)
        assert done.task("t").standing == "done, not kept"
        kind, _, _ = done.task("t").unkept.reason.partition(":")
        assert kind in {"QueryRejected", "CheckViolation"}
    else:
        with pytest.raises(TaskFailed, match="step 'ask' of task t is done"):
            run(flows)
    assert calls == [1]


@pytest.mark.parametrize("kind", [socket.socket, list[socket.socket]])
def test_a_type_that_json_cannot_carry_is_refused_at_registration(flows, kind):
    words = "is not a type that a result can have"
    with pytest.raises(UsageError, match=words):
        flows.agent("one", returns=kind)
    with pytest.raises(UsageError, match=words):
        agent("one", returns=kind)
    with pytest.raises(UsageError, match="is not a schema"):
        flows.agent("one", schema=kind)

    def connect(_) -> kind: ...

    connect.__annotations__["return"] = kind
    with pytest.raises(UsageError, match=words):
        flows.agent("one")(connect)
    assert flows.registry.registered() == []


def test_a_step_s_type_is_refused_before_it_is_called(flows):
    calls = []

    @flows.agent("one", attempts=3)
    def one(_, ctx):
        ctx.with_options(returns=socket.socket).step("open", lambda: calls.append(1))

    with pytest.raises(TaskFailed, match="socket is not a type that a result can have"):
        run(flows)
    assert calls == []


def test_a_schema_of_models_checks_and_types_the_data(flows):
    @flows.agent("one", schema=list[Model])
    def one(task):
        return [type(item).__name__ for item in task.data]

    assert run(flows, data=[Model(x=1), {"x": 2}]).result == {"t": ["Model", "Model"]}
    with pytest.raises(UsageError, match="is not list"):
        flows.create("w", [Task("t", agent="one", data=[{"x": "no"}])])


def test_a_marked_agent_declares_its_type():
    @agent("mail", returns=list[Model])
    def send(task): ...

    module = type("module", (), {"send": send, "__name__": "m"})
    assert marked(module)["mail"].declared.kind == list[Model]


def test_inputs_are_read_as_the_type_asked_for_and_by_the_names_of_the_needs(flows):
    @flows.agent("plan")
    def plan(_):
        return {"x": 4}

    @flows.agent("use")
    def use(_, ctx):
        with pytest.raises(NotFoundError, match="did you mean plan"):
            ctx.input("plam")
        with pytest.raises(UsageError, match="is not Point"):
            ctx.input("plan", type=Point)
        return [ctx.inputs["plan"]["x"], ctx.input("plan", type=Model).x]

    flows.work()
    made = flows.create("w", [Task("plan"), Task("use", needs=["plan"])])
    assert made.wait(20).result["use"] == [4, 4]


def test_a_pipeline_passes_typed_results_on(flows):
    def plan(_) -> Model:
        return Model(x=2)

    def double(_, ctx) -> int:
        return ctx.inputs["plan"].x * 2

    flows.work()
    assert flows.pipeline("p", [plan, double]).wait(20).result["double"] == 4
