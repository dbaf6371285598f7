"""A snapshot of the opened services together."""

from __future__ import annotations

import shutil
from collections import namedtuple
from types import SimpleNamespace

import pytest

import agentnb
from agentnb.core.errors import AgentnbError, NotFoundError, UsageError
from agentnb.core.overview import needs
from agentnb.core.overview.calls import CallWindow
from agentnb.core.overview.reader import OverviewReader
from agentnb.core.queue.registry import About, living
from agentnb.core.trace.counters import Counters
from agentnb.core.workflow.running import RunningWorkflow
from tests.waiting import until

CANARY = "c4naryC4NARYc4nary"


def need(found, kind):
    [one] = [each for each in found.needs if each.kind == kind]
    return one


def calls(hub):
    """Return how many calls there were but for events, which workers publish meanwhile."""
    counts = hub.tracer.counters.calls()
    return sum(one.durations.count for one in counts if one.operation != "publish")


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Return a hub with failed jobs, jobs without a worker, and a task for a person."""
    with agentnb.connect(home=tmp_path_factory.mktemp("home")) as hub:

        def scrape(job):
            if job.data % 2:
                raise ValueError(f"no title of {job.data} at https://u:{CANARY}@host/")

        queue = hub.queue("scrape")
        queue.work(scrape)
        for number in range(6):
            queue.add(number, attempts=1)
        hub.queue("mail").add("later", delay=3600)
        hub.queue("mail").add("now")
        hub.workflows.agent("plan")(lambda _task: 1)
        later = {"name": "commit", "agent": "plan", "needs": ["draft"], "approval": True}
        hub.workflows.create("new app", tasks=[{"name": "draft", "agent": "plan"}, later])
        hub.workflows.work()
        until(lambda: queue.counts()["completed"] == queue.counts()["failed"] == 3)
        until(lambda: hub.workflows._running(5)[0].approvals)
        reader = OverviewReader(hub)
        yield hub, reader
        reader.close()


def test_a_look_opens_nothing_and_makes_no_file(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        reader = OverviewReader(hub)
        found = [reader.read(), reader.read()][1]
        reader.close()
        assert repr(hub) == "Hub(nothing opened yet)"
        assert not hub.settings.home.exists()
        assert [card.service for card in found.cards if card.opened] == []
        assert len(found.cards) == 11
        assert not found.needs


def test_a_look_leaves_no_span(busy):
    hub, reader = busy
    reader.read()
    before = calls(hub)
    reader._next_stored = reader._next_workflows = 0.0
    reader.read()
    assert calls(hub) == before


def test_failed_jobs_are_a_need_with_their_number_and_last_error(busy):
    _, reader = busy
    reader.read()
    found = need(reader.read(), "failed")
    assert (found.subject, found.count, found.bad) == ("scrape", 3, True)
    assert found.title == "3 jobs of scrape failed"
    assert found.text.startswith("the last: ValueError: no title of ")


def test_jobs_that_no_worker_takes_are_a_need(busy):
    _, reader = busy
    found = need(reader.read(), "worker")
    assert (found.subject, found.count) == ("mail", 2)
    assert "agentnb worker mail" in found.text


def test_a_paused_queue_is_no_need(busy):
    hub, reader = busy
    hub.queue("mail").pause()
    try:
        assert "worker" not in {one.kind for one in reader.read().needs}
    finally:
        hub.queue("mail").resume()


def test_a_task_that_waits_for_a_person_is_a_need(busy):
    hub, reader = busy
    found = need(reader.read(), "approval")
    assert found.title == "new app waits for a person"
    assert found.text.startswith("task commit")
    assert hub.workflows.get(found.subject).name == "new app"


def test_the_running_workflows_have_their_progress(busy):
    _, reader = busy
    [one] = reader.read().workflows
    assert (one.name, one.tasks, one.completed, one.active, one.failed) == ("new app", 2, 1, 0, 0)


def test_the_needs_that_fail_come_first_and_no_secret_is_shown(busy):
    _, reader = busy
    found = reader.read()
    bad = [one.bad for one in found.needs]
    assert bad == sorted(bad, reverse=True)
    assert CANARY not in repr(found.needs) + repr(found.errors)


def test_the_opened_services_come_first_with_their_calls(busy):
    hub, reader = busy
    reader.read()
    hub.db.query("select 1")
    with pytest.raises(AgentnbError):
        hub.db.query("select * from nowhere")
    cards = {card.service: card for card in reader.read().cards}
    assert [card.opened for card in cards.values()] == sorted(
        (card.opened for card in cards.values()), reverse=True
    )
    db = cards["db"]
    assert db.new >= (2, 1)
    assert db.failed >= 1
    assert 0 < db.p50 <= db.p95
    assert cards["queue"].about == "1 worker"
    assert not cards["docker"].opened


def test_the_hits_of_a_cache_are_a_share(busy):
    hub, reader = busy
    hub.cache.set("a", 1)
    assert {card.service: card.hits for card in reader.read().cards}["cache"] is None
    for key in ("a", "a", "a", "missing"):
        hub.cache.get(key)
    assert {card.service: card.hits for card in reader.read().cards}["cache"] == 0.75


def test_the_errors_are_the_jobs_each_once(busy):
    _, reader = busy
    reader.read()
    lines = [one for one in reader.read().errors if one.service == "queue"]
    assert len(lines) == 3
    assert all(one.about.endswith("of scrape") for one in lines)
    assert all(one.trace_id for one in lines)


def test_the_error_of_a_job_is_there_as_soon_as_it_has_failed(hub):
    def fail(_job):
        raise ValueError("no")

    queue = hub.queue("late")
    queue.work(fail)
    reader = OverviewReader(hub)
    reader.read()
    job = queue.add(1, attempts=1)
    until(lambda: queue.counts()["failed"])
    reader.read()
    assert f"job {job.id} of late" in [one.about for one in reader.read().errors]
    assert need(reader.read(), "failed").text == "the last: ValueError: no"


def test_an_open_breaker_is_a_need_that_a_reset_ends(hub):
    api = hub.api("http://127.0.0.1:1", retries=0)
    for _ in range(5):
        with pytest.raises(AgentnbError):
            api.get("/x")
    reader = OverviewReader(hub)
    found = need(reader.read(), "breaker")
    assert found.title == "http://127.0.0.1:1 is left alone"
    assert found.text.startswith("5 failures in a row: UnavailableError: ")
    assert {card.service: card.breakers for card in reader.read().cards}["api"] == 1
    reader.reset_breaker(found.subject)
    assert not [one for one in reader.read().needs if one.kind == "breaker"]
    with pytest.raises(NotFoundError, match="there is no circuit breaker nobody"):
        reader.reset_breaker("nobody")


def test_a_database_that_cannot_be_reached_is_a_need_by_its_name(hub):
    hub.db.query("select 1")
    far = hub.databases.connect("far", "postgresql://nobody@127.0.0.1:1/none")
    for _ in range(5):
        with pytest.raises(AgentnbError):
            far.query("select 1", timeout=5)
    reader = OverviewReader(hub)
    found = need(reader.read(), "breaker")
    assert found.title == "database far is left alone"
    reader.reset_breaker(found.subject)
    assert not [one for one in reader.read().needs if one.kind == "breaker"]


def test_failed_jobs_run_again_by_their_ids_and_others_are_left(hub):
    state = SimpleNamespace(ill=True)

    def work(job):
        if state.ill:
            raise ValueError(job.data)

    queue = hub.queue("again")
    queue.work(work)
    for number in range(3):
        queue.add(number, attempts=1)
    until(lambda: queue.counts()["failed"] == 3)
    reader = OverviewReader(hub)
    ids = reader.failed_jobs("again")
    assert len(ids) == 3
    state.ill = False
    queue.remove(ids[0])
    assert reader.retry("again", ids) == 2
    until(lambda: queue.counts()["completed"] == 2)
    assert reader.retry("again", ids) == 2  # those that are completed may run again, too


def test_actions_on_queues_open_none(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        with pytest.raises(UsageError, match="the queues are closed"):
            OverviewReader(hub).failed_jobs("mail")
        assert "queues" not in repr(hub)


def test_a_store_that_is_away_is_a_need_and_the_rest_is_shown(busy, monkeypatch):
    hub, reader = busy
    reader.read()

    def away(_n):
        raise AgentnbError("the database is away", service="db")

    reader._next_workflows = 0.0
    monkeypatch.setattr(hub.workflows, "_running", away)
    found = reader.read()
    assert need(found, "store").text.endswith("the database is away")
    assert need(found, "failed").count == 3


def test_those_who_wait_long_for_a_person_say_how_long():
    one = RunningWorkflow("id", "app", 500.0, 3, 1, 0, 0, 2, "commit", 120.5)
    [found] = needs.of_workflows([one, one._replace(approvals=0)])
    assert found.text == "task commit and 1 more, for 2 min"


def test_a_full_disk_is_a_need(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil's
    assert needs.of_disk(tmp_path / "missing") == []
    for total, free, count in (
        (100_000_000_000, 499_000_000, 1),
        (100_000_000_000, 501_000_000, 0),
        (1_000_000_000, 29_000_000, 1),
        (1_000_000_000, 31_000_000, 0),
    ):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, t=total, f=free: usage(t, t - f, f))
        assert len(needs.of_disk(tmp_path)) == count


def test_spans_that_were_dropped_and_a_log_that_failed_are_needs():
    tracer, logs = SimpleNamespace(dropped=1200, failed=None), SimpleNamespace(failed="OSError: no")
    dropped, log = needs.of_traces(tracer, logs)
    assert dropped.title == "1,200 spans were not written"
    assert (log.kind, log.text, log.bad) == ("log", "OSError: no", True)
    assert needs.of_traces(SimpleNamespace(dropped=0, failed=None), None) == []


def test_a_worker_of_agents_without_heartbeats_is_silent_until_it_is_known_to_be_dead(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        hub.workflows.agent("plan")(lambda _task: 1)
        with hub.workflows.work():
            until(lambda: hub.workflows.workers().rows)
            row = hub.db.query("select * from agentnb_worker").df().iloc[0].to_dict()
            reader = OverviewReader(hub)
            assert not [one for one in reader.read().needs if one.kind == "silent_agents"]
            ours = row["owner"]
            row |= {"host": "ada", "heartbeat": row["heartbeat"] - 600}
            names = ", ".join(row)
            for owner in ("elsewhere|1|7|99|ab12", ours.replace(ours.split("|")[2], "4194303")):
                places = ", ".join(f":{name}" for name in row)
                statement = f"insert into agentnb_worker ({names}) values ({places})"
                hub.db.execute(statement, row | {"owner": owner})
            silent = need(OverviewReader(hub).read(), "silent_agents")
        assert (silent.title, silent.count) == ("1 worker of agents silent", 1)
        assert silent.text.startswith("no heartbeat for 10 min")
        assert silent.text.endswith("from ada: plan")
        reader.close()
        hub.stop()


def test_a_worker_without_heartbeats_on_another_host_is_silent():
    import msgspec

    about = msgspec.json.encode(About(host="far", pid=7))
    now = 1_000_000_000
    answer = {
        f"far|boot|7|{name}|x".encode(): str(now - ms).encode() + b" " + about
        for name, ms in (("a", 1_000), ("b", 30_000), ("c", 4_000_000))
    }
    alive, silent, dead = living(answer, now)
    assert [one.seen for one in alive] == [1.0]
    assert [one.seen for one in silent] == [30.0]
    assert len(dead) == 1


def test_the_window_of_calls_moves_and_starts_anew_with_other_counters():
    counters, window = Counters(), CallWindow(120)
    counters.call("db", "query", "ok", 1.0, 0.0)
    first = window.read(counters, now=0)["db"]
    assert (first.durations.count, first.new) == (1, (0, 0))
    counters.call("db", "query", "Failed", 100.0, 0.0)
    second = window.read(counters, now=60)["db"]
    assert (second.durations.count, second.failed, second.new) == (1, 1, (1, 1))
    third = window.read(counters, now=121)["db"]
    assert (third.durations.count, third.new) == (1, (0, 0))
    assert third.durations.quantile(0.5) > 0.05
    fourth = window.read(counters, now=200)["db"]
    assert (fourth.durations.count, fourth.failed) == (0, 0)
    other = Counters()
    other.call("db", "query", "ok", 1.0, 0.0)
    fifth = window.read(other, now=201)["db"]
    assert (fifth.durations.count, fifth.new) == (1, (0, 0))
    assert window.read(None, now=202) == {}
