"""The store of tasks on SQL, as the execution engine uses it."""

from __future__ import annotations

import time

import pytest

from agentnb.core.codec import Kept
from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, Outcome, OutcomeKind, WorkerInfo
from agentnb.core.workflow import Task
from agentnb.core.workflow.pruning import prune

DIED = Failure("its worker died")
DONE = Outcome(OutcomeKind.COMPLETED, Kept(b"1"))


@pytest.fixture
def flows(workflows):
    workflows.agent("a")(lambda task: 1)
    workflows.agent("b")(lambda task: 1)
    return workflows


@pytest.fixture
def store(flows):
    return flows._make_store(lambda: ("a", "b"))


@pytest.fixture
def me(store):
    owner = new_owner()
    store.join(owner, WorkerInfo(2))
    return owner


def make(flows, *tasks, **options):
    return flows.create(
        "x",
        [Task(name, agent="a") if isinstance(name, str) else name for name in tasks or ("one",)],
        **options,
    )


def claimed(store, owner):
    found = store.claim(owner)
    assert isinstance(found, Claim)
    return found


def reclaim(store, claim, *, counted=True):
    (held,) = store.renew(new_owner(), []).others
    assert held.key == claim.key
    return store.reclaim(held, DIED, counted=counted)


def failed(kind, **options):
    return Outcome(kind, failure=Failure("bad", 1), **options)


OUTCOMES = {
    "completed": DONE,
    "failed": failed(OutcomeKind.FAILED),
    "delayed": failed(OutcomeKind.RETRY, delay=60.0),
    "cancelled": failed(OutcomeKind.CANCELLED),
}


@pytest.mark.parametrize("state", OUTCOMES)
def test_an_end_that_is_repeated_answers_as_at_first_and_changes_nothing(flows, store, me, state):
    workflow = make(flows)
    claim = claimed(store, me)
    assert store.finish(claim, OUTCOMES[state], then_claim=False).state == state
    before = workflow.tasks, workflow.refresh().state, len(workflow.events())
    assert store.finish(claim, OUTCOMES[state], then_claim=False).state == state
    assert (workflow.tasks, workflow.refresh().state, len(workflow.events())) == before


def test_an_end_after_a_reclaim_does_not_count_even_of_the_last_entry(flows, store, me):
    workflow = make(flows, Task("one", agent="a", attempts=1))
    claim = claimed(store, me)
    assert reclaim(store, claim) == "failed"
    assert store.finish(claim, DONE, then_claim=False).state is None
    assert workflow.task("one").state == "failed"


def test_what_was_released_or_reclaimed_runs_before_the_backlog(flows, store, me):
    make(flows, "one", "two", "three")
    first = claimed(store, me)
    assert store.release(first)
    assert (again := claimed(store, me)).payload.name == "one"
    assert again.attempt == 1
    assert reclaim(store, again) == "waiting"
    third = claimed(store, me)
    assert (third.payload.name, third.attempt) == ("one", 2)


def test_a_death_in_company_is_not_counted_and_kept_until_an_ordinary_end(flows, store, me):
    make(flows)
    claim = claimed(store, me)
    assert reclaim(store, claim, counted=False) == "waiting"
    second = claimed(store, me)
    assert (second.attempt, second.deaths) == (1, 1)
    assert reclaim(store, second) == "waiting"
    third = claimed(store, me)
    assert (third.attempt, third.deaths) == (2, 1)
    store.finish(third, failed(OutcomeKind.RETRY), then_claim=False)
    assert claimed(store, me).deaths == 0


@pytest.mark.parametrize("counted", [True, False])
def test_a_task_that_was_asked_to_stop_is_cancelled_when_it_is_reclaimed(flows, store, me, counted):
    workflow = make(flows, "one", Task("two", agent="a", needs=["one"]))
    claim = claimed(store, me)
    workflow.cancel()
    assert store.renew(me, [claim.key]).cancelled == [claim.key]
    assert reclaim(store, claim, counted=counted) == "cancelled"
    assert workflow.refresh().state == "cancelled"


@pytest.mark.parametrize("outcome", ["delayed", "failed"])
def test_a_failed_attempt_of_a_cancelled_workflow_is_cancelled_and_not_tried_again(
    flows, store, me, outcome
):
    workflow = make(flows)
    claim = claimed(store, me)
    workflow.cancel()
    assert store.finish(claim, OUTCOMES[outcome], then_claim=False).state == "cancelled"
    assert workflow.task("one").state == "cancelled"


def test_the_report_tells_lost_cancelled_and_unknown_claims_apart(flows, store, me):
    make(flows, "one", "two", "three")
    lost, unknown, running = (claimed(store, me) for _ in range(3))
    store.release(lost)
    report = store.renew(me, [lost.key, running.key])
    assert report.lost == [lost.key]
    assert [held.key for held in report.unknown] == [unknown.key]
    assert (report.cancelled, report.others) == ([], [])


def test_the_claim_says_when_the_next_delayed_task_is_due(flows, store, me):
    assert store.claim(me) is None
    make(flows, Task("later", agent="b", delay=50.0))
    assert 49.0 < store.claim(me) <= 50.0
    assert 49.0 < store.renew(me, []).due <= 50.0


def test_tasks_are_claimed_by_priority_over_all_agents_of_a_worker(flows, store, me):
    make(
        flows,
        Task("last", agent="a", priority=2),
        Task("first", agent="b"),
        Task("second", agent="a", priority=1),
        Task("asked", agent="a", priority=0, approval=True),
    )
    assert [claimed(store, me).payload.name for _ in range(3)] == ["first", "second", "last"]
    assert store.claim(me) is None


def test_a_full_workflow_does_not_hide_the_tasks_of_others(flows, store, me):
    make(flows, *"abcd", max_parallel=1)
    make(flows, "other")
    first, second = claimed(store, me), claimed(store, me)
    assert [first.payload.name, second.payload.name] == ["a", "other"]
    assert not isinstance(store.claim(me), Claim)
    finished = store.finish(first, DONE, then_claim=True)
    assert finished.following.payload.name == "b"


def test_an_agent_that_was_registered_again_gives_its_options_to_attempts_to_come(flows, store, me):
    workflow = make(
        flows, "one", Task("own", agent="a", attempts=7, timeout=8.0), Task("late", agent="a")
    )
    flows.agent("a", attempts=5, timeout=50.0, backoff=0.5)(lambda task: 1)
    one, own = claimed(store, me), claimed(store, me)
    assert (one.attempts, one.timeout, one.backoff.seconds) == (5, 50.0, 0.5)
    assert (own.attempts, own.timeout, own.backoff.seconds) == (7, 8.0, 0.5)
    assert [task.attempts for task in workflow.tasks] == [5, 7, 3]
    flows.agent("a", attempts=1, timeout=None)(lambda task: 1)
    store.finish(one, failed(OutcomeKind.RETRY), then_claim=False)
    again = claimed(store, me)
    assert (again.attempt, again.attempts, again.timeout) == (2, 2, None)


def test_a_worker_that_left_is_no_longer_listed(flows, store, me):
    assert flows.agent_info("a").workers == 1
    store.leave(me)
    assert flows.agent_info("a").workers == 0


def test_a_delayed_task_that_is_due_is_claimed_by_its_priority(flows, store, me):
    workflow = make(flows, Task("late", agent="a", delay=0.2), Task("low", agent="b", priority=5))
    assert workflow.task("late").state == "delayed"
    time.sleep(0.25)
    store.renew(me, [])
    assert workflow.task("late").state == "waiting"
    assert [claimed(store, me).payload.name for _ in range(2)] == ["late", "low"]


def test_an_idle_worker_claims_a_delayed_task_as_soon_as_it_is_due(flows, store, me):
    make(flows, Task("late", agent="a", delay=0.2))
    time.sleep(store.claim(me) + 0.01)
    assert claimed(store, me).payload.name == "late"


def test_a_task_that_was_asked_to_stop_is_cancelled_when_it_is_released(flows, store, me):
    workflow = make(flows, "one", Task("two", agent="a", needs=["one"]))
    claim = claimed(store, me)
    workflow.cancel()
    assert store.release(claim)
    assert store.claim(me) is None
    assert [task.state for task in workflow.tasks] == ["cancelled", "cancelled"]


def test_an_end_that_is_repeated_after_the_next_attempt_began_is_that_of_the_first(
    flows, store, me
):
    workflow = make(flows)
    first = claimed(store, me)
    again = failed(OutcomeKind.RETRY)
    assert store.finish(first, again, then_claim=False).state == "waiting"
    second = claimed(store, me)
    assert store.finish(first, again, then_claim=False).state == "delayed"
    assert store.finish(first, DONE, then_claim=False).state == "delayed"
    assert (workflow.task("one").state, workflow.task("one").attempt) == ("active", 2)
    assert store.finish(second, DONE, then_claim=False).state == "completed"


def test_deaths_are_forgotten_when_a_user_lets_a_task_run_again(flows, store, me):
    workflow = make(flows)
    assert reclaim(store, claimed(store, me), counted=False) == "waiting"
    workflow.cancel()
    workflow.retry()
    assert claimed(store, me).deaths == 0


def test_a_worker_that_may_live_is_listed_after_one_of_its_tasks_was_reclaimed(flows, store, me):
    make(flows)
    assert reclaim(store, claimed(store, me)) == "waiting"
    assert flows.agent_info("a").workers == 1


def test_a_task_of_a_worker_that_nobody_knows_is_seen_by_others_and_has_no_lease(flows, store):
    make(flows)
    owner = "|".join(["another-boot", *new_owner().split("|")[1:]])
    claim = claimed(store, owner)
    (held,) = store.renew(new_owner(), []).others
    assert (held.key, held.left < 0) == (claim.key, True)


def test_the_error_of_a_workflow_is_that_of_the_task_that_failed_first(flows, store, me):
    workflow = make(flows, Task("after", agent="a", needs=["one"]), Task("one", agent="a"))
    store.finish(claimed(store, me), OUTCOMES["failed"], then_claim=False)
    assert (workflow.refresh().state, workflow.error) == ("failed", "task one: bad")


def test_a_cancelled_workflow_is_not_pruned_while_one_of_its_tasks_runs(flows, store, me):
    workflow = make(flows)
    claim = claimed(store, me)
    workflow.cancel()
    assert flows.prune(0) == 0
    store.finish(claim, OUTCOMES["cancelled"], then_claim=False)
    assert flows.prune(0) == 1


def test_a_workflow_is_not_pruned_before_its_events_are_published_where_they_are(flows, store, me):
    make(flows)
    store.finish(claimed(store, me), DONE, then_claim=False)
    options = {"told": True, "key_ttl": 100.0}
    assert prune(flows._transactions, flows._scope, 0.0, **options) == 0
    with flows._transactions.write() as tx:
        tx.run("update {event} set published = {now}")
    assert prune(flows._transactions, flows._scope, 0.0, **options) == 1


def test_nothing_is_due_while_a_workflow_is_full_and_at_once_when_it_is_not(flows, store, me):
    make(flows, "one", "two", "three", max_parallel=2)
    first, _ = claimed(store, me), claimed(store, me)
    assert (store.claim(me), store.due()) == (None, None)
    store.finish(first, DONE, then_claim=False)
    assert store.due() == 0
    assert claimed(store, me).payload.name == "three"


def test_tasks_of_bounded_and_unbounded_workflows_are_claimed_in_one_order(flows, store, me):
    make(flows, Task("third", agent="b", priority=3), Task("first", agent="a", priority=1))
    make(flows, Task("second", agent="b", priority=2), max_parallel=5)
    assert [claimed(store, me).payload.name for _ in range(3)] == ["first", "second", "third"]
