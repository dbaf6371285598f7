"""Limits of agents: a rate and a concurrency over all workers, on both databases."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from agentnb.core.clock import Clock
from agentnb.core.codec import Kept
from agentnb.core.db import Database
from agentnb.core.errors import AgentNotFound, NotFoundError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, Outcome, OutcomeKind
from agentnb.core.workflow import Orchestrator, Task
from agentnb.core.workflow.agent_limits import AgentLimit
from agentnb.core.workflow.claiming import claim
from tests.waiting import until

NUMBERS = itertools.count()
DONE = Outcome(OutcomeKind.COMPLETED, Kept(b"1"))
BAD = Failure("bad", 1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory):
    """Return a database of each kind, which the tests share by scopes of their own."""
    url, drop = f"sqlite:///{tmp_path_factory.mktemp('limits')}/workflows.db", None
    if request.param == "postgresql":
        import psycopg

        server = request.getfixturevalue("postgres_url")
        drop = psycopg.connect(server, autocommit=True)
        drop.execute("create database limits")
        url = server.replace("/postgres?", "/limits?")
    with Database(url) as database:
        with Orchestrator(database) as flows:
            flows.migrate()
        yield database
    if drop is not None:
        drop.execute("drop database limits with (force)")
        drop.close()


@pytest.fixture
def flows(database, clock):
    runtime = replace(database.access.runtime, clock=clock)
    with Orchestrator(database, scope=f"scope-{next(NUMBERS)}", runtime=runtime) as flows:
        flows.agent("ask")(lambda task: task.data)
        flows.agent("other")(lambda task: task.data)
        yield flows


def create(flows, agent, count, **options):
    return flows.create(
        agent, [Task(f"t{n}", agent=agent, data=n) for n in range(count)], **options
    )


def store_of(flows):
    return flows._make_store(lambda: ("ask", "other"))


def claims(store, most=20):
    """Return what a worker is given until there is nothing, and the last answer."""
    found = []
    while len(found) < most:
        one = store.claim(ME)
        if not isinstance(one, Claim):
            return found, one
        found.append(one)
    return found, None


ME = new_owner()


def test_an_agent_is_limited_shown_and_unlimited(flows):
    assert flows.limits() == []
    assert str(flows.limit("ask", 10, per=60)) == "10 per 60 s"
    assert flows.limit("ask", concurrency=3) == AgentLimit("ask", 10, 60.0, 3)
    flows.limit("ask", 20, per=1)
    flows.limit("other", 1, per=2, concurrency=4)
    assert [str(one) for one in flows.limits()] == [
        "20 per 1 s, concurrency 3",
        "1 per 2 s, concurrency 4",
    ]
    assert flows.limit("other", None) is None
    flows.unlimit("ask")
    assert flows.limits() == []
    with pytest.raises(NotFoundError, match="agent 'ask' has no limit"):
        flows.unlimit("ask")


def test_a_limit_that_is_none_is_refused(flows):
    for call, message in (
        (lambda: flows.limit("ask", 0, per=60), "rate must be 1 to 1,000,000, got 0"),
        (lambda: flows.limit("ask", concurrency=0), "concurrency must be 1 to 1,000,000, got 0"),
        (lambda: flows.limit("ask", 10), "a rate of 10 needs per, its seconds"),
        (lambda: flows.limit("ask"), "a limit is a rate, a concurrency or both"),
        (lambda: flows.limit("ask", by="data.user"), "limit has no option by"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.message.startswith(message)
    with pytest.raises(AgentNotFound, match="there is no agent 'aks'"):
        flows.limit("aks", concurrency=1)
    assert flows.limits() == []


def test_no_more_tasks_of_an_agent_run_than_it_may(flows):
    flows.limit("ask", concurrency=2)
    create(flows, "ask", 5)
    create(flows, "other", 1)
    store = store_of(flows)
    found, last = claims(store)
    assert [one.payload.ref.agent for one in found] == ["ask", "ask", "other"]
    assert last is None
    (limit,) = flows.limits()
    assert (limit.active, limit.reason) == (2, "agent limit 2 of 2")
    ends = iter(["completed", "failed", "retry", "released"])
    for kind in ends:
        outcome = DONE if kind == "completed" else Outcome(OutcomeKind(kind), failure=BAD, delay=60)
        store.finish(found[0], outcome, then_claim=False)
        more, last = claims(store)
        assert len(more) == 1, kind
        assert last is None or last > 1
        found = [more[0]]


def test_a_limit_is_obeyed_by_the_very_next_claim_of_a_worker_that_runs(flows):
    create(flows, "ask", 4)
    store = store_of(flows)
    first, _ = claims(store, 2)
    flows.limit("ask", concurrency=2)
    assert not isinstance(store.claim(ME), Claim)
    following = store.finish(first[0], DONE, then_claim=True).following
    while not isinstance(following, Claim):  # asked again, now that it knows of the limit
        following = store.claim(ME)
    assert not isinstance(store.claim(ME), Claim)
    flows.unlimit("ask")
    assert isinstance(store.claim(ME), Claim)


def test_the_end_of_a_task_gives_its_place_to_the_next_claim(flows):
    flows.limit("ask", concurrency=1)
    create(flows, "ask", 2)
    store = store_of(flows)
    first = store.claim(ME)
    following = store.finish(first, DONE, then_claim=True).following
    assert isinstance(following, Claim)
    assert store.claim(ME) is None


def test_a_bounded_workflow_and_an_agents_limit_both_hold(flows):
    flows.limit("ask", concurrency=3)
    create(flows, "ask", 5, max_parallel=2)
    store = store_of(flows)
    assert len(claims(store)[0]) == 2
    create(flows, "ask", 5, max_parallel=2)
    assert len(claims(store)[0]) == 1
    flows.unlimit("ask")
    assert len(claims(store)[0]) == 1


def test_no_window_has_more_starts_than_an_agents_rate(flows, clock):
    flows.limit("ask", 3, per=60)
    create(flows, "ask", 12)
    store, starts = store_of(flows), []
    clock.advance(50)
    for _ in range(60):
        found = store.claim(ME)
        if isinstance(found, Claim):
            starts.append(clock.time())
        elif len(starts) < 12:
            assert 0 < found <= 60.1
            assert 0 < store.due() <= 60.1
            clock.advance(11)
    assert len(starts) == 12
    for first, fourth in zip(starts, starts[3:], strict=False):
        assert 59.9 <= fourth - first < 72


def test_a_retry_counts_for_a_rate_and_a_limit_can_be_changed_meanwhile(flows, clock):
    flows.limit("ask", 2, per=60)
    create(flows, "ask", 9)
    store = store_of(flows)
    found, _ = claims(store)
    assert len(found) == 2
    store.finish(found[0], Outcome(OutcomeKind.RETRY, failure=BAD, delay=0), then_claim=False)
    assert claims(store)[0] == []
    flows.limit("ask", 5, per=60)
    assert len(claims(store)[0]) == 3
    flows.limit("ask", 1, per=60)
    assert claims(store)[0] == []
    clock.advance(60.1)
    assert len(claims(store)[0]) == 1


def test_a_smaller_rate_counts_the_latest_starts(flows, clock):
    flows.limit("ask", 3, per=60)
    create(flows, "ask", 9)
    store = store_of(flows)
    assert len(claims(store, 2)[0]) == 2
    clock.advance(30)
    assert len(claims(store)[0]) == 1
    flows.limit("ask", 2, per=60)
    clock.advance(31)
    assert len(claims(store)[0]) == 1  # beside the one of half a minute ago


def test_delayed_tasks_of_a_limited_agent_start_when_they_are_due_and_there_is_room(flows, clock):
    flows.limit("ask", concurrency=1)
    flows.create("x", [Task("now", agent="ask"), Task("later", agent="ask", delay=30)])
    store = store_of(flows)
    first = store.claim(ME)
    assert 20 < store.claim(ME) <= 30
    clock.advance(31)
    assert store.claim(ME) is None
    store.finish(first, DONE, then_claim=False)
    assert store.claim(ME).payload.ref.name == "later"


def test_many_workers_at_once_never_exceed_a_limit(flows):
    flows.limit("ask", concurrency=3)
    create(flows, "ask", 30)
    active, most, lock = [0], [0], threading.Lock()

    def work(_):
        store, ended = store_of(flows), 0
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = store.claim(new_owner())
            if not isinstance(found, Claim):
                if not store.pending().left:
                    return ended
                continue
            with lock:
                active[0] += 1
                most[0] = max(most[0], active[0])
            time.sleep(0.005)
            with lock:
                active[0] -= 1
            store.finish(found, DONE, then_claim=False)
            ended += 1
        return ended

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 30
    assert 1 <= most[0] <= 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("given", [{"concurrency": 1}, {"rate": 1, "per": 600}])
def test_a_claim_beside_another_that_is_not_committed_takes_its_turn(flows, given):
    flows.limit("ask", **given)
    create(flows, "ask", 2)
    found = []
    other = threading.Thread(target=lambda: found.append(store_of(flows).claim(new_owner())))
    with flows._transactions.write() as tx:
        assert claim(tx, flows._scope, ("ask",), ME) is not None
        other.start()
        sql = "select 1 from pg_stat_activity where wait_event = 'advisory'"
        with flows._transactions.read() as reading:
            until(lambda: found or reading.row(sql))
        assert not found
    other.join(30)
    assert found
    assert not isinstance(found[0], Claim)


def test_a_worker_of_another_process_is_woken_when_there_is_room(flows):
    flows.limit("ask", concurrency=1)
    workflow = create(flows, "ask", 2)
    held = store_of(flows).claim(ME)
    flows.work(["ask"])
    time.sleep(0.3)  # it looks, and sleeps
    assert workflow.refresh().state == "active"
    store_of(flows).finish(held, DONE, then_claim=False)
    workflow.wait(timeout=30)


def test_the_end_of_a_limited_task_is_told_to_workers_elsewhere(flows):
    store, told = store_of(flows), []
    store._on_commit = lambda ready, _: told.append(ready)
    create(flows, "ask", 2)
    store.finish(store.claim(ME), DONE, then_claim=False)
    flows.limit("ask", concurrency=1)
    store.renew(ME, [])  # it looks for limits
    store.finish(store.claim(ME), DONE, then_claim=False)
    assert told == [{}, {"ask": 1}]


def test_workers_obey_a_rate_and_wake_when_there_is_room(flows):
    flows.limit("ask", 2, per=0.5)
    begun = time.monotonic()
    workflow = create(flows, "ask", 5)
    flows.work()
    workflow.wait(timeout=30)
    assert time.monotonic() - begun >= 1.0


def test_a_limit_can_be_awaited(flows):
    async def main():
        await flows.alimit("ask", concurrency=1)
        found = await flows.alimits()
        await flows.aunlimit("ask")
        return found, await flows.alimits()

    assert asyncio.run(main()) == ([AgentLimit("ask", concurrency=1)], [])
