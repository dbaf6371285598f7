"""`record` and `replay`: calls of `hub.db` and `hub.api` are answered from a tape."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from agentnb.core.errors import (
    NotReplayable,
    RejectedError,
    ReplayDiverged,
    UnavailableError,
    UniqueViolation,
    UsageError,
)
from agentnb.core.redact import MASK
from agentnb.core.tape.values import Unkept, load
from agentnb.testing import isolated_hub, record, replay
from tests.testing.tape_server import TapeServer

KNOWN = "zebra-98765-q"
JOB = {"to": "ada", "n": 2}


@pytest.fixture(scope="module")
def shared():
    """Return the hub of the module's tests, which a replay must not use."""
    with isolated_hub() as hub:
        yield hub


@pytest.fixture
def server():
    made = TapeServer()
    yield made
    made.stop()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.tape.json"


def remind(job, url, *, sql="select :n as n, 'ada' as name", before=None, mended=True):
    """Do a night's work: a query, an API that fails once, and a mistake."""
    if before is not None:
        before(job.hub)
    row = job.hub.db.query(sql, {"n": job.data["n"]})[0]
    found = job.hub.api(url).get("/x")
    if not mended:
        raise ValueError(f"no {found['kind']} for {row.name}")
    return f"reminded {row.name} of {found['kind']}"


@pytest.fixture
def night(shared, server, path):
    """Return the tape of work that has failed, and the URL that is away by now."""
    server.on("/x", (503, {}, {}), {"kind": "tea"})
    url = server.url

    def fail():
        with record(path, data=JOB, hub=shared) as tape:
            remind(tape.job, url, mended=False)

    with pytest.raises(ValueError, match="no tea for ada"):
        fail()
    server.paths.clear()  # another call is an error of the server
    return path, url


def test_mended_code_is_proven_on_the_recorded_answers(night):
    path, url = night
    with replay(path) as tape:
        assert str(tape.next) == "db.query \"select :n as n, 'ada' as name\""
        assert remind(tape.job, url) == "reminded ada of tea"
        assert tape.next is None
    assert [step.operation for step in tape.steps] == ["query", "GET", "GET"]
    assert (tape.outcome.error, tape.outcome.message) == ("ValueError", "no tea for ada")
    with pytest.raises(ReplayDiverged, match="recorded ValueError: no tea for ada, now returned 1"):
        tape.check(1)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (
            lambda job, url: remind(job, url, sql="select 1"),
            'step 1 went another way: recorded db.query "select :n .*", now db.query "select 1"',
        ),
        (lambda job, _: job.hub.db.query("select :n as n, 'ada' as name", job.data), "not made"),
        (
            lambda job, url: remind(job, url, before=lambda hub: hub.api(url).get("/x")),
            "step 1 .*, now api GET http.*/x .*recorded later, as step 2; strict=False takes it",
        ),
        (
            lambda job, url: (remind(job, url), job.hub.db.execute("delete from t")),
            'a step more than was recorded: db.execute "delete from t"',
        ),
        (
            lambda job, url: remind(job.__class__(**FEWER, hub=job.hub), url),
            r"step 1 .*params\.n: recorded 2, now 3",
        ),
    ],
    ids=["other", "fewer", "order", "extra", "values"],
)
def test_code_that_goes_another_way_is_named(night, work, message):
    path, url = night

    def again():
        with replay(path) as tape:
            work(tape.job, url)

    with pytest.raises(ReplayDiverged, match=message):
        again()


FEWER = {"id": "1", "data": {"to": "ada", "n": 3}, "queue": "q", "attempt": 1}


def test_nothing_of_a_replay_reaches_a_server(night, server):
    path, url = night
    asked = len(server.asked)
    with replay(path) as tape, ThreadPoolExecutor(1) as threads:
        # Threads that know nothing of the test are answered from the tape, too.
        assert threads.submit(remind, tape.job, url).result() == "reminded ada of tea"
    assert len(server.asked) == asked


def test_results_are_those_of_the_database(shared, path):
    def work(hub):
        hub.db.execute("create table if not exists item (id int primary key, at datetime)")
        with hub.db.transaction() as tx:
            tx.execute("delete from item")
            done = tx.execute("insert into item values (1, :at)", {"at": dt.datetime(2026, 1, 2)})
            many = tx.execute("insert into item values (:n, null)", [{"n": 2}, {"n": 3}])
        with pytest.raises(UniqueViolation, match="item") as caught:
            hub.db.execute("insert into item values (1, null)")
        with (
            hub.db.session() as session,
            pytest.raises(ZeroDivisionError),
            session.transaction() as tx,
        ):
            tx.execute("delete from item")
            raise ZeroDivisionError
        both = hub.db.script("select 1 as n; select 2 as n")
        found = hub.db.query("select * from item order by id", limit=2)
        table = hub.db.describe("item")
        loaded = hub.db.load([{"a": Decimal("1.50")}], "loaded", if_exists="replace")
        return [
            *(done.rowcount, many.rowcount, repr(done), caught.value.constraint, found.truncated),
            *(found.columns, list(found.rows), repr(found), [one.scalar() for one in both]),
            *(repr(table), loaded.rowcount, [row.name for row in hub.db.tables()]),
        ]

    with record(path, hub=shared) as tape:
        first = work(shared)
        tape.check(first[:2])
    with replay(path) as tape:
        assert work(tape.hub) == first
        tape.check(first[:2])
        with pytest.raises(ReplayDiverged, match=r"result.*recorded"):
            tape.check([5])


def test_awaited_calls_and_calls_at_the_same_time_are_replayed(shared, server, path):
    server.on("/a", {"n": 1})
    server.on("/b", {"n": 2})

    async def work(hub, names):
        async with hub.api(server.url) as api:  # its connections end with this loop
            found = await asyncio.gather(*[api.aget(f"/{name}") for name in names])
        async with hub.db.atransaction() as tx:
            row = await tx.aquery("select 7 as n")
        return [*(one["n"] for one in found), row.scalar()]

    with record(path, hub=shared):
        assert asyncio.run(work(shared, "ab")) == [1, 2, 7]
    with replay(path) as tape:
        assert asyncio.run(work(tape.hub, "ba")) == [2, 1, 7]


def test_a_network_that_failed_fails_again_and_is_tried_again(shared, path, monkeypatch):
    dead = TapeServer()
    dead.stop()

    def work(hub):
        with pytest.raises(UnavailableError) as caught:
            hub.api(dead.url, retries=1).get("/x")
        return caught.value.message, caught.value.hint

    with record(path, hub=shared):
        first = work(shared)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a replay pauses"))
    with replay(path) as tape:
        assert work(tape.hub) == first
    assert len(tape.steps) == 2


def test_bodies_of_all_kinds_are_compared_and_given(shared, server, path):
    server.on("/text", (200, b"plain", {"content-type": "text/plain"}))
    server.on("/bytes", (200, b"\xff\x00", {"content-type": "application/octet-stream"}))

    def work(hub, order):
        api = hub.api(server.url)
        return (
            api.post("/text", order, expect="text"),
            api.post("/bytes", b"\xfe", expect="bytes"),
            api.post("/text", form={"a": "1"}, files={"f": b"\x00"}, expect="text"),
        )

    with record(path, hub=shared):
        first = work(shared, {"n": 1})
    with replay(path) as tape:
        assert work(tape.hub, {"n": 1}) == first == ("plain", b"\xff\x00", "plain")

    def other():
        with replay(path) as tape:
            work(tape.hub, {"n": 2})

    with pytest.raises(ReplayDiverged, match=r"json\.n: recorded 1, now 2"):
        other()


def test_what_cannot_be_replayed_is_refused_with_its_reason(shared, server, path):
    server.on("/x", {})
    with record(path, hub=shared):
        list(shared.db.stream("select 1"))
        with shared.api(server.url).stream("GET", "/x") as reply:
            list(reply.bytes())
        shared.db.query("select 1", arrow=True)

    def streams(tape):
        list(tape.hub.db.stream("select 1"))

    def through(*calls):
        with replay(path) as tape:
            for call in calls:
                call(tape)

    with pytest.raises(NotReplayable, match="streams of rows are not recorded"):
        through(streams)
    document = json.loads(path.read_text())
    reasons = [step["refused"] for step in document["steps"]]
    assert reasons[1:] == [
        "streams and downloads are not recorded",
        "Arrow data are not recorded: leave arrow=True away",
    ]


def canary(place):
    """Return a secret of a place of its own, so that none is known by another place."""
    return f"Kan4ri-{place}-7f3e91"


def test_no_secret_is_on_a_tape(server, path):
    login = {"user": "ada", "api_key": canary("key"), "deep": [{"dsn": _dsn("json")}]}
    server.on("/login", (200, login, {"set-cookie": f"sid={canary('cookie')}"}))
    server.on(f"/users/{canary('key')}", {"name": "ada"})
    server.on("/wrong", (400, {"message": f"no such token {canary('header')}"}, {}))

    def work(hub, api, others=canary):
        key = api.post("/login", {"password": others("body")}, params={"token": others("url")})
        hub.db.query(f"select '{others('column')}' as secret, '{_dsn('cell')}' as dsn")
        hub.db.query(f"select 1 -- password={others('literal')}")
        hub.db.query("select :token as n, :k as k", {"token": others("param"), "k": KNOWN})
        api.get(f"/users/{key['api_key']}")
        api.post("/wrong")

    with isolated_hub() as hub:
        hub.settings.redactor.add(KNOWN)

        def recorded():
            with record(path, data={"secret": canary("data"), "n": 1}, hub=hub):
                work(hub, hub.api(server.url, auth=canary("header")))

        with pytest.raises(RejectedError, match="/wrong"):
            recorded()
    text = path.read_text()
    assert "Kan4ri" not in text
    assert KNOWN not in text
    assert json.loads(text)["unit"]["data"] == {"secret": MASK, "n": 1}
    with replay(path) as tape:  # other secrets fit the masks
        api = tape.hub.api(server.url, auth="another")
        with pytest.raises(RejectedError, match="/wrong"):
            work(tape.hub, api, lambda place: place if place == "column" else f"new-{place}-1")


def _dsn(place):
    return f"postgresql://u:{canary(place)}@db/x"


def test_the_time_is_that_of_the_record(shared, path):
    with record(path, hub=shared):
        shared.db.query("select 1")
    document = json.loads(path.read_text())
    document["began"] = "2020-01-02T03:04:05+00:00"
    path.write_text(json.dumps(document))
    year = dt.datetime.now(dt.UTC).year
    with replay(path) as tape:
        assert dt.datetime.now(dt.UTC).replace(second=0, microsecond=0).minute == 4
        tape.hub.db.query("select 1")
    with replay(path, clock=False) as tape:
        assert dt.datetime.now(dt.UTC).year == year
        tape.hub.db.query("select 1")


def test_a_processor_or_an_agent_runs_with_what_was_recorded(shared, path):
    def double(job):
        job.log("working")
        return job.hub.db.query("select :n * 2 as n", {"n": job.data["n"]}).scalar()

    async def total(_, ctx):
        row = await ctx.db.aquery("select 5 as n")
        return await ctx.astep("rate", lambda: 2) * (row.scalar() + ctx.inputs["net"])

    with record(path, data={"n": 4}, hub=shared) as tape:
        tape.check(double(tape.job))
    with replay(path, hub=shared) as tape:
        tape.check(tape.run(double))
    document = json.loads(path.read_text())
    document["unit"] = {"kind": "task", "data": None, "inputs": {"net": 1}, "steps": {"rate": 10}}
    document["steps"][0] |= {"arguments": {"sql": "select 5 as n", "params": {}}}
    document["steps"][0]["answer"] |= {"rows": [[5]]}
    path.write_text(json.dumps(document))
    with replay(path, hub=shared) as tape:
        assert tape.run(total) == 60
        with pytest.raises(UsageError, match="cannot be imported: it has none"):
            tape.run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": "params.id"}, "ignore must be a list of names"),
        ({"hub": 1}, "hub must be a Hub"),
        ({"strikt": True}, "replay has no option strikt"),
        ({"strict": "x"}, "strict must be True or False, got 'x'"),
        ({"clock": 0}, "clock must be True or False, got 0"),
    ],
    ids=["text", "hub", "option", "strict", "clock"],
)
def test_bad_arguments_are_refused_before_anything_is_replayed(path, options, message):
    def ask():
        with replay(path, **options):
            pass

    with pytest.raises(UsageError, match=message):
        ask()


def test_what_workflows_announce_in_the_background_is_no_step(shared, path, until):
    shared.workflows.agent("announced")(lambda task: task)
    with record(path, hub=shared):
        made = shared.workflows.create("announced", [{"name": "a", "agent": "announced"}])
        until(lambda: shared.events.history("workflow.created", 1))
    assert "publish" not in [step["operation"] for step in json.loads(path.read_text())["steps"]]
    made.cancel()


@pytest.mark.parametrize("given", [None, "", 5], ids=repr)
def test_a_path_is_needed(given):
    with pytest.raises(UsageError, match="the path of a tape"), replay(given):
        pass
    with pytest.raises(UsageError, match="the path of a tape"), record(given):
        pass


@pytest.fixture
def run_tests(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*options):
        plugins = ("-p", "agentnb.testing.plugin", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*plugins, *options)

    return run


def test_the_fixture_records_once_and_replays_from_then_on(run_tests, pytester):
    pytester.makepyfile(
        test_shop=textwrap.dedent(
            """
            import pytest

            SQL = "select 6 as n"

            def test_works(agentnb_tape):
                assert agentnb_tape.run(lambda job: job.hub.db.query(SQL).scalar()) == 6

            @pytest.mark.agentnb_tape(path="own.tape.json", ignore=["params.n"])
            def test_ignores(agentnb_tape):
                import random
                params = {"n": random.random()}
                assert agentnb_tape.hub.db.query("select :n as n", params).rowcount == 1

            def test_swallows(agentnb_tape):
                try:
                    agentnb_tape.hub.db.query(SQL)
                except Exception:
                    pass
            """
        )
    )
    run_tests("--agentnb-record=new").assert_outcomes(passed=3)
    assert sorted(one.name for one in pytester.path.rglob("*.tape.json")) == [
        "own.tape.json",
        "test_shop.test_swallows.tape.json",
        "test_shop.test_works.tape.json",
    ]
    test = pytester.path / "test_shop.py"
    more = "\n\ndef test_new(agentnb_tape):\n    pass\n"
    test.write_text(test.read_text().replace("6 as n", "7 as n") + more)
    again = run_tests()
    again.assert_outcomes(passed=2, failed=1, errors=2)
    again.stdout.fnmatch_lines(["*record it: pytest --agentnb-record=new test_shop.py::test_new*"])
    again.stdout.fnmatch_lines(["*step 1 went another way*6 as n*now*7 as n*"])


def test_no_two_tests_share_a_tape(run_tests, pytester):
    pytester.makepyfile(
        test_shop=textwrap.dedent(
            """
            import pytest

            def ask(tape, value):
                assert tape.hub.db.query("select :n as n", {"n": value}).scalar() == value

            class TestOne:
                def test_a(self, agentnb_tape):
                    ask(agentnb_tape, 1)

            class TestTwo:
                def test_a(self, agentnb_tape):
                    ask(agentnb_tape, 2)

            @pytest.mark.parametrize("value", ["a/b", "a b", "a-b", "", "x" * 300])
            def test_p(agentnb_tape, value):
                ask(agentnb_tape, value)
            """
        )
    )
    run_tests("--agentnb-record=all").assert_outcomes(passed=7)
    run_tests().assert_outcomes(passed=7)
    assert len(list(pytester.path.rglob("*.tape.json"))) == 7


def test_an_unknown_option_of_the_mark_is_refused_while_recording_too(run_tests, pytester):
    pytester.makepyfile(
        textwrap.dedent(
            """
            import pytest

            @pytest.mark.agentnb_tape(hub=None)
            def test_a(agentnb_tape):
                pass
            """
        )
    )
    done = run_tests("--agentnb-record=new")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*agentnb_tape has no option hub*"])


def test_a_replay_needs_no_network(night, tmp_path):
    path, url = night
    unshare = shutil.which("unshare")
    words = [unshare or "unshare", "--net", "true"]
    if unshare is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces (root?)")
    program, root = tmp_path / "again.py", Path(__file__).parents[2]
    program.write_text(
        textwrap.dedent(f"""
        import sys
        from agentnb.testing import replay
        sys.path.append({str(root)!r})  # where agentnb is installed, the checkout's is not wanted
        from tests.testing.test_replay import remind

        with replay({str(path)!r}) as tape:
            print(remind(tape.job, {url!r}), tape.run(lambda job: job.id) != "")
        """)
    )
    words = [unshare, "--net", sys.executable, str(program)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=root)
    assert (done.stdout, done.returncode) == ("reminded ada of tea True\n", 0), done.stderr


def test_threads_of_the_user_are_recorded(shared, path):
    with record(path, hub=shared) as tape:
        thread = threading.Thread(target=lambda: shared.db.query("select 1"))
        thread.start()
        thread.join()
        assert tape.count == 1


def test_calls_of_the_cache_of_events_and_of_queues_are_replayed(shared, path):
    def work(hub):
        hub.cache.set("rate", {"eur": 1.5}, ttl=60, tags=["rates"])
        found = [hub.cache.get("rate"), hub.cache.get("none", 7)]
        found.append(hub.cache.get_or_set("made", lambda: hub.db.query("select 9 as n").scalar()))
        event = hub.events.publish("order.paid", {"id": 7, "token": "t-1234567"})
        job = hub.queue("mail").add({"to": "ada"}, priority=3, key="k")
        found += [event.channel, event.id, event.data["id"], job.id, job.data]
        return [*found, hub.cache.delete("made", "rate"), hub.cache.keys()]

    with record(path, hub=shared):
        first = work(shared)
    assert first[-2:] == [2, []]
    with replay(path) as tape:
        assert work(tape.hub) == first
        assert tape.hub.events.history() == []
        assert tape.hub.queues.names() == []
    names = [f"{step.service}.{step.operation}" for step in tape.steps]
    assert names == [
        *("cache.set", "cache.get", "cache.get", "cache.get_or_set", "events.publish"),
        *("queue.add", "cache.delete", "cache.keys"),
    ]
    assert "t-1234567" not in path.read_text()

    def other():
        with replay(path) as tape:
            tape.hub.cache.set("rate", {"eur": 1.6}, ttl=60, tags=["rates"])

    with pytest.raises(ReplayDiverged, match=r"value\.eur: recorded 1\.5, now 1\.6"):
        other()


def test_jobs_that_are_added_together_and_batches_are_replayed(shared, path):
    def tripled(job):
        return job.data * shared.db.query("select 3 as n").scalar()

    def work(hub):
        queue = hub.queue("many")
        jobs = queue.add_many(({"n": n} for n in range(2)), key=lambda item: f"many-{item['n']}")
        batch = hub.queue("batch").map(tripled, iter([1, 2]))
        found = [job.data for job in jobs], [job.id for job in jobs], batch.id, len(batch)
        return (*found, batch.results(30), batch.counts().total, batch.done)

    with record(path, hub=shared):
        first = work(shared)
    assert first[0] == [{"n": 0}, {"n": 1}]
    assert first[3:] == (2, [3, 6], 2, True)
    with replay(path) as tape:
        assert work(tape.hub) == first
    names = [f"{step.service}.{step.operation}" for step in tape.steps]
    assert names == [
        *("queue.add_many", "queue.map", "queue.results", "queue.counts", "queue.counts")
    ]

    async def awaited(hub):
        jobs = await hub.queue("many").aadd_many(
            [{"n": 0}, {"n": 1}], key=lambda item: f"many-{item['n']}"
        )
        batch = await hub.queue("batch").amap(tripled, [1, 2])
        await batch
        return len(jobs), batch.counts().total, batch.done

    with replay(path, ignore={"timeout"}) as tape:
        assert asyncio.run(awaited(tape.hub)) == (2, 2, True)

    def others():
        with replay(path) as tape:
            tape.hub.queue("many").add_many([{"n": 0}, {"n": 5}], key=str)

    with pytest.raises(ReplayDiverged, match=r"items: recorded .*, now "):
        others()


def test_commands_of_redis_are_replayed_and_what_cannot_be_is_refused(shared, path):
    def work(hub):
        redis = hub.redis
        redis.delete("t:user", "t:n", "t:list")
        redis.hset("t:user", mapping={"name": "ada", "token": "t-9876543"})
        with redis.pipeline() as pipe:
            pipe.watch("t:n")
            number = int(pipe.get("t:n") or 7)
            pipe.multi()
            pipe.set("t:n", number + 1)
            pipe.incrby("t:n", 2)
            moved = pipe.execute()
        with redis.pipeline(transaction=False) as pipe:
            sent = pipe.rpush("t:list", b"\xff", "b").lrange("t:list", 0, -1).execute()
        script = redis.register_script("return redis.call('get', KEYS[1])")
        found = [redis.get("t:n"), redis.publisher.publish("t", "x"), script(keys=["t:n"])]
        with pytest.raises(RejectedError):
            redis.incr("t:user")
        return [moved, sent, *found, redis.hget("t:user", "name"), redis.ttl("t:n")]

    with record(path, hub=shared):
        first = work(shared)
        user, token = shared.redis.hgetall("t:user"), shared.redis.hget("t:user", "token")
    assert first[:2] == [[True, 10], [2, [b"\xff", b"b"]]]
    assert (user[b"token"], token) == (b"t-9876543", b"t-9876543")
    text = path.read_text()
    assert "t-9876543" not in text
    assert base64.b64encode(b"t-9876543").decode() not in text
    with replay(path) as tape:
        assert work(tape.hub) == first
        assert tape.hub.redis.hgetall("t:user") == {b"name": b"ada", b"token": b"******"}
        assert tape.hub.redis.hget("t:user", "token") == b"******"

    def other():
        with replay(path) as tape:
            tape.hub.redis.delete("t:user", "t:m", "t:list")

    with pytest.raises(ReplayDiverged, match=r"more: recorded .*t:n.*, now .*t:m"):
        other()
    with record(path, hub=shared):
        shared.redis.pubsub().close()

    def subscribed():
        with replay(path) as tape:
            tape.hub.redis.pubsub()

    with pytest.raises(NotReplayable, match="subscriptions of Redis are not recorded"):
        subscribed()


def test_awaited_calls_of_the_cache_and_of_events_are_the_same_calls(shared, path):
    def made():
        return 3

    with record(path, hub=shared):
        shared.cache.get_or_set("awaited", made)
        shared.events.publish("a", 1)
        shared.queue("mail").add(1)

    async def work(hub):
        found = await hub.cache.aget_or_set("awaited", made)
        return found, (await hub.events.apublish("a", 1)).data, (await hub.queue("mail").aadd(1)).id

    with replay(path) as tape:
        assert asyncio.run(work(tape.hub))[:2] == (3, 1)


def test_a_value_that_would_come_back_as_another_type_is_refused(shared, path):
    with record(path, hub=shared):
        shared.cache.set("path", Point(1, 2))
        shared.cache.get("path")

    def again():
        with replay(path) as tape:
            tape.hub.cache.set("path", Point(1, 2))
            tape.hub.cache.get("path")

    with pytest.raises(NotReplayable, match="come back as plain JSON"):
        again()


@dataclass
class Point:
    x: int
    y: int


def test_large_arguments_are_compared_by_their_digests(shared, server, path):
    server.on("/up", {"n": 1})

    def work(hub, letter):
        hub.db.query("select length(:text) as n", {"text": letter * 100_000})
        hub.db.execute("create table if not exists many (n int)")
        hub.db.execute("insert into many values (:n)", [{"n": ord(letter)}] * 1001)
        hub.cache.set("large", letter * 100_000)
        return hub.api(server.url).post("/up", form={"a": "1"}, files={"f": b"x" * 100_000})

    with record(path, hub=shared):
        work(shared, "a")
    assert path.stat().st_size < 20_000
    with replay(path) as tape:
        assert work(tape.hub, "a") == {"n": 1}

    def other():
        with replay(path) as tape:
            work(tape.hub, "b")

    with pytest.raises(ReplayDiverged, match=r"params\.text: recorded 'sha256:"):
        other()


def test_calls_on_files_are_replayed_and_what_cannot_be_is_refused(shared, path):
    def work(hub):
        files = hub.files
        files.write_file("notes/a.txt", "one\ntwo\n")
        edited = files.edit("notes/a.txt", "two", "three")
        return [
            *(type(edited).__name__, files.read_file("notes/a.txt"), files.head("notes/a.txt", 3)),
            *(files.exists("none"), files.copy_file("notes/a.txt", "b.txt"), files.delete("b.txt")),
            *(list(files.list()), asyncio.run(files.aexists("b.txt"))),
        ]

    with record(path, hub=shared):
        first = work(shared)
        shared.files.usage()
    document = json.loads(path.read_text())
    with replay(path) as tape:
        assert work(tape.hub) == first
        assert not list(tape.hub.settings.workspace.glob("*"))
        with pytest.raises(NotReplayable, match="sizes of a workspace are not recorded"):
            tape.hub.files.usage()
        tape._replayer.diverged = None  # it is what was to be shown
    assert [step["operation"] for step in document["steps"]].count("exists") == 2


def test_an_object_of_no_class_of_agentnb_is_made_by_no_tape():
    for name in ("os:system", "subprocess:Popen", "agentnb.core.hub:Hub", "agentnb:connect"):
        with pytest.raises(Unkept, match="an object of"):
            load({"$": "object", "parts": [name, {}]})


def test_results_of_git_are_replayed(shared, path):
    def work(hub):
        repo = hub.repo("app")
        repo.initialize()
        hub.files.write_file("app/a.txt", "one")
        repo.add_files(["a.txt"])
        sha = repo.commit("first")
        repo.create_branch("next")
        branches = [tuple(row)[:1] for row in repo.branches()]
        return sha, type(sha).__name__, repo.current_branch(), branches, repo.names()

    with record(path, hub=shared):
        shared.files.ensure_directory("app")
        first = work(shared)
    with replay(path) as tape:
        tape.hub.files.ensure_directory("app")
        assert work(tape.hub) == first


def ask(hub, *, times, reset=False):
    """Call a host that takes no connections; return the classes of the errors."""
    found = []
    api = hub.api("http://127.0.0.1:9", retries=0)
    for _ in range(times):
        if reset:
            api.breakers.of("http://127.0.0.1:9").reset()
        try:
            api.get("/x", timeout=5)
        except UnavailableError as error:
            found.append(type(error).__name__)
    return found


def test_what_an_open_breaker_refused_is_refused_in_the_replay(shared, path):
    assert ask(shared, times=6)[-1] == "CircuitOpen"
    with record(path, hub=shared) as tape:
        assert ask(shared, times=1) == ["CircuitOpen"]
    with replay(path) as tape:
        assert ask(tape.hub, times=1) == ["CircuitOpen"]


def test_no_breaker_opens_in_a_replay_that_was_closed_in_the_record(shared, path):
    with record(path, hub=shared) as tape:
        assert ask(shared, times=7, reset=True) == ["UnavailableError"] * 7
    with replay(path) as tape:
        assert ask(tape.hub, times=7) == ["UnavailableError"] * 7


def test_a_folder_is_refused_before_the_work_is_done(shared, tmp_path):
    done = []
    with pytest.raises(UsageError, match="must be a file"), record(tmp_path, hub=shared):
        done.append(1)
    assert done == []
