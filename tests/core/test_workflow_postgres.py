"""Workflows on PostgreSQL: messages, locks and settings of their transactions."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from agentnb.core.codec import Kept
from agentnb.core.db import Database
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, Outcome, OutcomeKind
from agentnb.core.workflow import Orchestrator, Task
from agentnb.core.workflow.claiming import claim
from tests.listening import Relay

DONE = Outcome(OutcomeKind.COMPLETED, Kept(b"1"))


@pytest.fixture
def flows(fresh_url):
    with Orchestrator(Database(fresh_url), owns_database=True) as flows:
        flows.migrate()
        flows.agent("a")(lambda task: 1)
        yield flows


def socket_of(url):
    return Path(parse_qs(urlsplit(url).query)["host"][0]) / ".s.PGSQL.5432"


def through(url, relay):
    """Return the URL of a database behind a relay."""
    name = urlsplit(url).path
    return f"postgresql://postgres@127.0.0.1:{relay.port}{name}"


def setting(tx, name):
    return tx.row(f"select current_setting('{name}', true)")[0]


def test_a_task_is_claimed_and_completed_in_a_message_each(flows, fresh_url):
    workflow = flows.create("x", [Task("one", agent="a"), Task("two", agent="a", needs=["one"])])
    sent = []

    def passes(_, data):
        if data[:1] == b"Q":
            sent.append(data)
        return True

    with (
        Relay(socket_of(fresh_url), passes) as relay,
        Orchestrator(Database(through(fresh_url, relay)), owns_database=True) as far,
    ):
        store, me = far._make_store(lambda: ("a",)), new_owner()
        first = store.claim(me)
        sent.clear()
        second = store.finish(first, DONE, then_claim=True).following
        assert second.payload.name == "two"
        ended, claimed = sent
        # The claim alone need not be on the disk.
        assert b"synchronous_commit = off" in claimed
        assert b"synchronous_commit" not in ended
        assert ended.rstrip(b"\0").endswith(b"commit")
        store.finish(second, DONE, then_claim=False)
    assert workflow.refresh().state == "completed"


def test_claims_of_a_bounded_workflow_take_turns_and_count_what_came_before(flows, until):
    """Two workers may both have read that one more task may run."""
    flows.create("x", [Task(name, agent="a") for name in "abc"], max_parallel=1)
    store, found = flows._make_store(lambda: ("a",)), []
    other = threading.Thread(target=lambda: found.append(store._claim_now(new_owner(), ("a",))))
    with flows._transactions.write() as tx:
        assert claim(tx, flows._scope, ["a"], new_owner()) is not None
        other.start()
        waiting = "select count(*) from pg_stat_activity where wait_event = 'advisory'"
        until(lambda: flows.database.query(waiting).scalar() == 1)
    other.join(10)
    assert len(found) == 1
    assert not isinstance(found[0], Claim)


def test_a_claim_that_a_crash_of_the_server_lost_is_not_given_the_same_entry(flows):
    flows.create("x", [Task("one", agent="a")])
    store, me = flows._make_store(lambda: ("a",)), new_owner()
    first = store.claim(me)
    flows.database.execute(
        "update agentnb.task set state = 'waiting', owner = null, attempt = 0, entry = 0"
    )
    second = store.claim(me)
    assert (second.id, second.attempt) == (first.id, first.attempt)
    assert second.entry > first.entry
    assert store.finish(first, DONE, then_claim=False).state is None
    assert store.finish(second, DONE, then_claim=False).state == "completed"


def test_a_transaction_of_workflows_has_a_limit_that_its_session_does_not_keep(fresh_url):
    with Orchestrator(Database(fresh_url, pool_size=1), owns_database=True) as flows:
        flows.migrate()
        name = "idle_in_transaction_session_timeout"
        with flows._transactions.write() as tx:
            pid = tx.row("select pg_backend_pid()")
            assert setting(tx, name) == "5s"
        with flows._transactions.read() as tx:
            assert (tx.row("select pg_backend_pid()"), setting(tx, name)) == (pid, "0")


def test_a_heartbeat_waits_for_no_row_of_another_worker(flows, fresh_url):
    flows.work()
    url = fresh_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as other, Orchestrator(Database(fresh_url)) as late:
        other.execute("select 1 from agentnb.agent for update")
        other.execute("select 1 from agentnb.worker for update")
        store = late._make_store(lambda: ("a",))
        store._transactions.patience = 1.0
        late.agent("b")(lambda task: 1)
        assert store.renew(new_owner(), []).lost == []
        worker = late.work()
        assert worker.working
        late.close()
        late.database.close()


def test_a_bounded_workflow_runs_no_more_tasks_at_once_than_it_may(flows, fresh_url):
    running, most, lock = [0], [0], threading.Lock()

    def run(task):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with lock:
            running[0] -= 1

    with Orchestrator(Database(fresh_url), owns_database=True) as other:
        for one in (flows, other):
            one.agent("a")(run)
            one.work(concurrency=6)
        made = flows.create("x", [Task(f"t{n}", agent="a") for n in range(120)], max_parallel=3)
        made.wait(60)
        active = """
            with edges as (select started as at, 1 as n from agentnb.task union all
              select finished, -1 from agentnb.task)
            select max(sum) from (select sum(n) over (order by at, n) from edges) x"""
        assert flows.database.query(active).scalar() <= 3
        assert 1 <= most[0] <= 3
