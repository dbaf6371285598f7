"""No write of an earlier claim of a task counts while a later one is active."""

from __future__ import annotations

import pytest

from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.workflow import Task
from agentnb.core.workflow.claiming import claim
from agentnb.core.workflow.completion import complete, ended_state, fail, release, retry
from agentnb.core.workflow.journal import Journal

STALE = Failure("stale")
WRITES = {
    "complete": lambda *where: complete(*where, b'"stale"', 1.0),
    "fail": lambda *where: fail(*where, STALE),
    "cancel": lambda *where: fail(*where, STALE, cancelled=True),
    "retry": lambda *where: retry(*where, STALE, pause=1.0),
    "reclaim": lambda *where: retry(*where, STALE, own=False),
    "reclaim for good": lambda *where: fail(*where, STALE, own=False),
    "reclaim, not counted": lambda *where: release(*where, STALE),
    "release": release,
}
RECORDS = {
    "step": lambda journal: journal.keep_step("ask", '"stale"', None, None),
    "progress": lambda journal: journal.progress(0.9, "stale"),
    "log": lambda journal: journal.log("stale", "stale"),
}


def take(flows, owner):
    with flows._transactions.write() as tx:
        return claim(tx, flows._scope, ["count"], owner)


@pytest.fixture(params=["another owner", "the same owner"])
def claims(workflows, request):
    """Return two claims of one task, both attempt 1: one that was given up, and the active one."""
    workflows.agent("count")(lambda task, ctx: ctx.attempt)
    workflows.create("x", [Task("count"), Task("after", agent="count", needs=["count"])])
    first = take(workflows, new_owner())
    with workflows._transactions.write() as tx:
        assert release(tx, workflows._scope, first.ref)
    second = take(workflows, first.ref.owner if request.param == "the same owner" else new_owner())
    assert (first.info.id, first.info.attempt) == (second.info.id, second.info.attempt)
    assert first.ref.entry < second.ref.entry
    return first, second


def rows(flows):
    with flows._transactions.read() as tx:
        tasks = tx.rows("select * from {task} order by place")
        return tasks, tx.rows("select * from {task_step}"), tx.rows("select * from {event}")


@pytest.mark.parametrize("write", WRITES)
def test_no_end_of_an_earlier_claim_counts_while_a_later_one_is_active(workflows, claims, write):
    before = rows(workflows)
    with workflows._transactions.write() as tx:
        assert WRITES[write](tx, workflows._scope, claims[0].ref) is None
        assert ended_state(tx, claims[0].ref) is None
    assert rows(workflows) == before


@pytest.mark.parametrize("write", RECORDS)
def test_no_record_of_an_earlier_claim_counts_while_a_later_one_is_active(workflows, claims, write):
    before = rows(workflows)
    assert RECORDS[write](Journal(workflows._transactions, claims[0])) is False
    assert rows(workflows) == before
    assert RECORDS[write](Journal(workflows._transactions, claims[1])) is True
    assert rows(workflows) != before


def test_an_entry_is_never_used_twice_after_retries_and_releases(workflows, claims):
    second = claims[1]
    with workflows._transactions.write() as tx:
        fail(tx, workflows._scope, second.ref, Failure("bad"))
    workflows.retry(second.info.workflow_id)
    third = take(workflows, second.ref.owner)
    assert (third.info.attempt, third.ref.entry) == (1, second.ref.entry + 1)


def test_a_step_that_is_kept_twice_keeps_its_first_result(workflows, claims):
    journal = Journal(workflows._transactions, claims[1])
    assert journal.keep_step("ask", "1", None, "a")
    assert journal.keep_step("ask", "2", None, "b")
    assert journal.step("ask") == ("1", None, "a")
