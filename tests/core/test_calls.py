"""One public call, one span: its name, its kind and what it says of the call."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import NotFoundError
from agentnb.core.git import GitManager
from agentnb.core.resilience import RetryPolicy
from agentnb.core.runtime import Runtime
from agentnb.core.trace import Tracer, current
from agentnb.core.trace.tree import Trace

from .api_server import says

PEER = Path(__file__).with_name("websocket_peer.py")


@pytest.fixture(scope="module")
def hub():
    # Not under pytest's folder, whose path is too long for a socket.
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-calls-", dir="/tmp") as folder,
        agentnb.connect(home=Path(folder) / "home", workspace=Path(folder) / "work") as hub,
    ):
        hub.redis.ping()
        yield hub
        hub.stop()


@pytest.fixture
def caused(hub):
    """Return what the spans of a call are: each a service and a name, a kind, its attributes."""

    def caused(call):
        with hub.tracer.span("test") as top:
            call(hub)
        return [
            (f"{one.service}.{one.name}", one.kind, one.attributes)
            for one in hub.tracer.trace(top.trace_id)
            if one is not top
        ]

    return caused


def in_transaction(hub):
    with hub.db.transaction() as tx:
        tx.query("select 1")


def cancelling(hub):
    with pytest.raises(NotFoundError):
        hub.queue("calm").cancel("none")


DB = {"connection": "default", "system": "sqlite"}

CALLS = {
    "a value that is there": (
        lambda hub: hub.cache.get("there"),
        [("cache.get", "call", {"key": "there", "hit": True})],
    ),
    "a value that is missing": (
        lambda hub: hub.cache.get("missing"),
        [("cache.get", "call", {"key": "missing", "hit": False})],
    ),
    "a value that is loaded": (
        lambda hub: hub.cache.get_or_set("loaded", lambda: 1, tags=["t"]),
        [("cache.get_or_set", "call", {"key": "loaded", "hit": False})],
    ),
    "a value that was loaded": (
        lambda hub: hub.cache.get_or_set("there", lambda: 1),
        [("cache.get_or_set", "call", {"key": "there", "hit": True})],
    ),
    "a value that is set": (
        lambda hub: hub.cache.set("set", 1, tags=["t"]),
        [("cache.set", "call", {"key": "set"})],
    ),
    "keys that are deleted": (
        lambda hub: hub.cache.delete("a", "b"),
        [("cache.delete", "call", {"keys": 2})],
    ),
    "keys that are invalidated": (
        lambda hub: hub.cache.invalidate("a*"),
        [("cache.invalidate", "call", {"pattern": "a*"})],
    ),
    "tags that are invalidated": (
        lambda hub: hub.cache.invalidate_tags("t"),
        [("cache.invalidate_tags", "call", {"tags": ("t",)})],
    ),
    "events that were published": (
        lambda hub: hub.events.history("none", 1),
        [("events.history", "call", {"channel": "none"})],
    ),
    "dead letters": (
        lambda hub: hub.events.dead_letters(1),
        [("events.dead_letters", "call", None)],
    ),
    "a query": (
        lambda hub: hub.db.query("select :n as n\n  union all select 2", {"n": "hunter22"}),
        [
            (
                "db.query",
                "call",
                DB | {"statement": "select :n as n\n  union all select 2", "rows": 2},
            )
        ],
    ),
    "a script": (
        lambda hub: hub.db.script("select 1; insert into item values (1), (2)"),
        [
            ("db.query", "call", DB | {"statement": "select 1", "rows": 1}),
            ("db.query", "call", DB | {"statement": "insert into item values (1), (2)", "rows": 2}),
        ],
    ),
    "a statement for many values": (
        lambda hub: hub.db.execute("insert into item values (:n)", [{"n": 1}, {"n": 2}]),
        [
            (
                "db.execute_many",
                "call",
                DB | {"statement": "insert into item values (:n)", "rows": 2, "times": 2},
            )
        ],
    ),
    "rows that are loaded": (
        lambda hub: hub.db.load([{"n": 3}], "item", if_exists="append"),
        [("db.load", "call", DB | {"table": "item", "rows": 1})],
    ),
    "rows in chunks": (
        lambda hub: [*hub.db.stream("select 1 union select 2", chunk=1)],
        [("db.stream", "call", DB | {"statement": "select 1 union select 2", "rows": 2})],
    ),
    "a transaction": (
        in_transaction,
        [
            ("db.transaction", "step", DB),
            ("db.begin", "call", DB),
            ("db.query", "call", DB | {"statement": "select 1", "rows": 1}),
            ("db.commit", "call", DB),
        ],
    ),
    "a queue that is paused": (
        lambda hub: (hub.queue("calm").pause(), hub.queue("calm").resume()),
        [
            ("queue.pause", "call", {"queue": "calm"}),
            ("queue.resume", "call", {"queue": "calm"}),
        ],
    ),
    "a job that is cancelled": (
        cancelling,
        [("queue.cancel", "call", {"queue": "calm", "job": "none"})],
    ),
    "a file that is written": (
        lambda hub: hub.files.write_file("notes/a.txt", "ünd"),
        [("files.write", "call", {"path": "notes/a.txt", "bytes": 4})],
    ),
    "a file that is read": (
        lambda hub: hub.files.read_file("there.txt"),
        [("files.read", "call", {"path": "there.txt", "bytes": 5})],
    ),
    "a table of keys": (
        lambda hub: hub.cache.inspect.table(),
        [("cache.list", "call", {"pattern": "*"})],
    ),
}


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_a_public_call_is_one_span(hub, caused, call, expected):
    hub.cache.set("there", 1)
    hub.db.execute("create table if not exists item (n int)")
    hub.files.write_file("there.txt", "there")
    assert caused(call) == expected


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_a_transaction_is_one_span_above_its_statements(hub, awaited):
    async def in_awaited():
        async with hub.db.atransaction() as tx:
            await tx.aquery("select 1")
            hub.cache.get("within")
            raise LookupError("no such app")

    def in_called():
        with hub.db.transaction() as tx:
            tx.query("select 1")
            hub.cache.get("within")
            raise LookupError("no such app")

    with hub.tracer.span("test") as top:
        with pytest.raises(LookupError):
            asyncio.run(in_awaited()) if awaited else in_called()
        hub.db.query("select 2")
    trace = Trace(top.trace_id, hub.tracer.trace(top.trace_id))
    [above] = trace.find(name="transaction")
    assert (above.parent, above.outcome, above.error) == (top.span, "LookupError", "no such app")
    below = ["db.begin", "db.query", "cache.get", "db.rollback"]
    assert [f"{one.service}.{one.name}" for one in trace.children(above)] == below
    assert [one.name for one in trace.children(top)] == ["transaction", "query"]


def test_a_transaction_whose_commit_fails_says_so(hub):
    async def committed():
        async with hub.db.atransaction() as tx:
            await tx.aexecute("pragma defer_foreign_keys = on")
            await tx.aexecute("insert into below values (7)")

    hub.db.script(
        "create table if not exists above (id integer primary key);"
        "create table if not exists below (id int references above)"
    )
    with hub.tracer.span("test") as top, pytest.raises(agentnb.AgentnbError):
        asyncio.run(committed())
    [span] = Trace(top.trace_id, hub.tracer.trace(top.trace_id)).find(name="transaction")
    assert "FOREIGN KEY" in span.error


def test_a_job_is_added_processed_and_awaited_in_three_spans(hub, until):
    def fail(job):
        raise ValueError(f"no such app: {job.data}")

    queue = hub.queue("spans")
    queue.work(fail)
    with hub.tracer.span("test") as top, agentnb.correlation("order-17"):
        job = queue.add("web", attempts=1)
        with pytest.raises(agentnb.AgentnbError):
            job.result(timeout=30)
    assert job.trace_id == top.trace_id
    assert f"trace {top.trace_id[:8]}" in repr(job)

    def found():
        return [one for one in hub.tracer.trace(top.trace_id) if one.service == "queue"]

    until(lambda: len(found()) == 3)
    spans = {one.name: one for one in found()}
    assert {name: one.kind for name, one in spans.items()} == {
        "add": "call",
        "process": "work",
        "result": "wait",
    }
    about = {"queue": "spans", "job": job.id}
    assert spans["add"].attributes == spans["result"].attributes == about
    process = spans["process"]
    assert (process.outcome, process.error) == ("ValueError", "no such app: web")
    assert process.attributes.pop("waited_ms") >= 0
    assert process.attributes == about
    assert process.parent_id == spans["add"].span_id
    assert {one.correlation_id for one in found()} == {"order-17"}


def test_a_handler_s_span_is_below_that_of_the_call_that_published(hub, until):
    def refuse(event):
        raise LookupError(event.data)

    with hub.events.subscribe("spans.made", refuse), hub.tracer.span("test") as top:
        event = hub.events.publish("spans.made", "no", correlation_id="order-18")
        until(lambda: hub.events.dead_letters(1))
    publish, handle = [
        next(one for one in hub.tracer.trace(top.trace_id) if one.name == name)
        for name in ("publish", "handle")
    ]
    assert (publish.kind, publish.attributes) == (
        "call",
        {"channel": "spans.made", "event": event.id},
    )
    assert (handle.kind, handle.outcome, handle.error) == ("work", "LookupError", "no")
    assert handle.attributes["event"] == event.id
    assert handle.parent_id == publish.span_id
    assert publish.correlation_id == handle.correlation_id == "order-18"
    [letter] = hub.events.dead_letters(1)
    assert letter.trace_id == event.trace_id == top.trace_id
    assert f"trace {top.trace_id[:8]}" in repr(event)


def test_tasks_say_their_workflow_and_are_linked_to_those_that_they_needed(hub, until):
    runs = []

    @hub.workflows.agent("spans.plan", attempts=2, backoff=0)
    def plan(task, ctx):
        runs.append(task.attempt)
        if len(runs) == 1:
            raise LookupError("not yet")
        return ctx.step("ask", lambda: 7)

    @hub.workflows.agent("spans.build")
    def build(task, ctx):  # noqa: ARG001 - an agent is given both
        return ctx.inputs["plan"]

    tasks = [
        {"name": "plan", "agent": "spans.plan"},
        {"name": "build", "agent": "spans.build", "needs": ["plan"]},
    ]
    with hub.tracer.span("test") as top:
        made = hub.workflows.create("spans", tasks, correlation_id="order-19")
        with hub.workflows.work():
            made.wait(timeout=30)
        until(
            lambda: len(Trace(top.trace_id, hub.tracer.trace(top.trace_id)).find(name="task")) > 2
        )
    trace = Trace(top.trace_id, hub.tracer.trace(top.trace_id))
    assert made.trace_id == made.task("plan").trace_id == made.tasks[1].trace_id == top.trace_id
    assert f"trace {top.trace_id[:8]}" in repr(made)
    [create], [step] = trace.find(name="create"), trace.find(name="step")
    assert create.attributes == {"workflow_name": "spans", "workflow": made.id}
    assert create.correlation_id == "order-19"
    [wait] = trace.find(name="wait", service="workflow")
    assert (wait.kind, wait.attributes) == ("wait", {"workflow": made.id})
    failed, plan_span, build_span = trace.find(name="task")
    assert {one.kind for one in (failed, plan_span, build_span)} == {"work"}
    assert (failed.attempt, failed.outcome, failed.error) == (1, "LookupError", "not yet")
    assert (plan_span.attempt, plan_span.outcome) == (2, "ok")
    assert build_span.attributes.pop("waited_ms") >= 0
    assert build_span.attributes == {
        "workflow": made.id,
        "workflow_name": "spans",
        "task": "build",
        "agent": "spans.build",
        "needs": ("plan",),
    }
    assert build_span.links == (plan_span.span_id,)
    assert plan_span.links == ()
    assert (step.kind, step.parent_id) == ("step", plan_span.span_id)


def test_each_attempt_at_a_request_says_its_status(web, make_api):
    tracer = Tracer()
    web.on("/x", says(503, {"error": "later"}), says(200, [1, 2]))
    client = make_api(runtime=Runtime(tracer=tracer), retries=RetryPolicy(first=0.01))
    assert client.get("/x?page=2&token=hunter22") == [1, 2]
    first, second = tracer.recent(2)
    url = f"{web.url}/x?page=2&token=••••••"
    assert first.attributes == {"method": "GET", "url": url, "status": 503, "bytes": 18}
    assert second.attributes == {"method": "GET", "url": url, "status": 200, "bytes": 6}
    assert (first.outcome, first.attempt, second.outcome, second.attempt) == (
        *("UnavailableError", 1),
        *("ok", 2),
    )


def test_each_method_of_git_is_one_span(tmp_path):
    tracer = Tracer()
    git = GitManager(tmp_path, runtime=Runtime(tracer=tracer))
    git.initialize()
    (tmp_path / "a.txt").write_text("a")
    git.add_files()
    git.commit("first", author="Ada <ada@example.org>")
    git.status()
    git.log()
    asyncio.run(git.acommit("second", author="Ada <ada@example.org>", allow_empty=True))
    with pytest.raises(agentnb.AgentnbError):
        git.switch("nowhere")
    names = ["initialize", "add_files", "commit", "status", "log", "commit", "switch"]
    spans = tracer.recent(100)
    assert [one.name for one in spans] == names
    assert spans[0].attributes == {"path": str(tmp_path)}
    assert {str(one.attributes) for one in spans[1:]} == {
        str({"path": str(tmp_path), "repository": str(tmp_path)})
    }
    assert [one.outcome == "ok" for one in spans] == [True] * 6 + [False]


def test_a_loader_s_calls_are_spans_below_that_of_the_cache(hub, caused):
    hub.cache.delete("above")
    found = caused(lambda hub: hub.cache.get_or_set("above", lambda: hub.cache.get("below")))
    assert [name for name, *_ in found] == ["cache.get_or_set", "cache.get"]


def test_what_is_done_between_two_chunks_is_not_below_the_stream(hub):
    with hub.tracer.span("test") as top:
        for _ in hub.db.stream("select 1 as n union select 2", chunk=1):
            hub.cache.get("between")
            break
        assert current() is top
    stream = next(one for one in hub.tracer.trace(top.trace_id) if one.name == "stream")
    between = next(one for one in hub.tracer.trace(top.trace_id) if one.name == "get")
    assert between.parent_id == stream.parent_id == top.span_id
    assert (stream.outcome, stream.attributes["rows"]) == ("ok", 1)


def test_a_script_that_the_server_does_not_know_is_one_span_and_no_error(hub):
    from agentnb.core.redis import Script

    script = Script("return {'test of a script', ARGV[1]}")
    with hub.tracer.span("test") as top:
        for _ in range(2):
            assert script.run(hub.redis, [], ["x"]) == [b"test of a script", b"x"]
    spans = [one for one in hub.tracer.trace(top.trace_id) if one is not top]
    assert [(one.name, one.outcome, one.attempt) for one in spans] == [("EVALSHA", "ok", 1)] * 2


CANARY = "Zq7canary9Xw"
"""A secret that the settings know."""
HIDDEN = "vB3unknown8Kp"
"""One that no setting has, where only its place tells what it is."""


def in_statements(hub, _):
    hub.db.query(f"select '{CANARY}', 'postgresql://ada:{HIDDEN}@host/app', :n", {"n": HIDDEN})
    hub.db.query("select 1 -- " + "x" * 4074 + f" {CANARY}")
    hub.db.execute(f"select '{CANARY}' where :n = 1", [{"n": HIDDEN}])
    hub.db.query(f"select nowhere -- {CANARY}")


def in_keys(hub, _):
    hub.cache.set(f"user:{CANARY}", HIDDEN, tags=[f"token={HIDDEN}"])
    hub.cache.get(f"https://ada:{HIDDEN}@host/")
    hub.cache.invalidate(f"*{CANARY}*")


def in_events(hub, until):
    def fail(event):
        raise ValueError(f"cannot log in with {event.data} at redis://:{HIDDEN}@host")

    with hub.events.subscribe(f"spans.{CANARY}", fail):
        hub.events.publish(f"spans.{CANARY}", CANARY, correlation_id=CANARY)
        until(lambda: hub.events.dead_letters(1))


def in_jobs(hub, _):
    def fail(job):
        # Masked before it is cut: the cut goes through the secret.
        raise ValueError("x" * 470 + f" postgresql://ada:{HIDDEN}@{job.data}/app")

    queue = hub.queue("canary")
    queue.work(fail)
    queue.add(CANARY, attempts=1).result(timeout=30)


def in_tasks(hub, _):
    @hub.workflows.agent("spans.leak")
    def leak(task, ctx):
        ctx.step(f"token={HIDDEN}", lambda: 1)
        raise ValueError(f"{CANARY} {task.name}")

    made = hub.workflows.create(CANARY, [{"name": CANARY, "agent": "spans.leak"}])
    with hub.workflows.work():
        made.wait(timeout=30)


def in_requests(hub, web):
    client = hub.api(web.url, headers={"Authorization": f"Bearer {HIDDEN}"}, retries=0)
    web.on("/x", says(500, {"error": f"no {HIDDEN}, no {CANARY}"}))
    client.get(f"/x?token={HIDDEN}&q={CANARY}")


def in_paths(hub, _):
    hub.files.write_file(f"{CANARY}.txt", HIDDEN)
    hub.git.at(hub.files.root).initialize()
    hub.files.read_file(f"token={HIDDEN}")


def in_own_spans(hub, _):
    long = "x" * 1980 + f" https://ada:{HIDDEN}@host"
    with hub.trace.span("parse", url=long, password=HIDDEN, about=CANARY):
        raise ValueError(f"{CANARY} password={HIDDEN}")


def in_sockets(hub, until):
    process = subprocess.Popen([sys.executable, PEER], stdout=subprocess.PIPE, text=True)
    got = []

    def fail(message):
        got.append(message)
        raise ValueError(f"cannot use {CANARY} of ws://ada:{HIDDEN}@host/")

    try:
        url = f"ws://127.0.0.1:{process.stdout.readline().strip()}/?token={HIDDEN}&q={CANARY}"
        with hub.websocket(url, headers={"Authorization": f"Bearer {HIDDEN}"}) as client:
            client.on("message", fail)
            client.connect()
            client.send({"password": HIDDEN, "about": CANARY})
            until(lambda: got)
    finally:
        process.kill()
        process.communicate()


LEAKS = (
    *(in_statements, in_keys, in_events, in_jobs, in_tasks, in_requests, in_paths),
    *(in_own_spans, in_sockets),
)


def test_no_secret_of_any_service_is_in_a_span(tmp_path, monkeypatch, web, until):
    monkeypatch.setenv("GITHUB_TOKEN", CANARY)
    with (
        tempfile.TemporaryDirectory(prefix="agentnb-calls-", dir="/tmp") as folder,
        agentnb.connect(home=Path(folder) / "home", workspace=tmp_path / "work") as hub,
    ):
        for leak in LEAKS:
            with contextlib.suppress(agentnb.AgentnbError, ValueError):
                leak(hub, web if leak is in_requests else until)
        names = {f"{one.service}.{one.name}" for one in hub.tracer.recent(500)}
        assert {"queue.process", "workflow.step", "events.handle", "api.GET"} <= names
        assert {"websocket.connect", "websocket.send", "websocket.handle"} <= names
        assert {"db.query", "cache.get", "files.write", "git.initialize", "app.parse"} <= names
        spans = [one.to_dict(hub.tracer.redactor) for one in hub.tracer.recent(500)]
        hub.tracer.flush()
        written = "".join(path.read_text() for path in (Path(folder) / "home/logs").glob("spans*"))
        in_memory = hub.tracer.redactor(str([one.attributes for one in hub.tracer.recent(500)]))
        for text in (str(spans), written, in_memory):
            assert len(text) > 3000
            assert CANARY[:6] not in text
            assert HIDDEN[:6] not in text
        hub.stop()


def test_an_error_names_the_trace_that_it_was_raised_in(hub):
    with pytest.raises(agentnb.AgentnbError) as outside:
        hub.cache.set("there", object())
    with hub.tracer.span("test") as top, pytest.raises(agentnb.AgentnbError) as caught:
        hub.db.query("select * from nowhere_at_all")
    error = caught.value
    assert error.trace_id == top.trace_id
    assert error._render_traceback_()[-1] == f"\x1b[2mtrace {top.trace_id[:8]}\x1b[0m"
    assert "trace" not in str(error)
    assert pickle.loads(pickle.dumps(error)).trace_id == top.trace_id
    # A wrong call has called nothing that one could look at.
    assert len(outside.value.trace_id) == 32
    assert "trace" not in "".join(outside.value._render_traceback_())
    assert agentnb.AgentnbError("no", service="db").trace_id is None
