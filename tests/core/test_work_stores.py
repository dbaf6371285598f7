"""What every store of work guarantees: the engine relies on it, and the same tests hold for all."""

from __future__ import annotations

import threading
import time

import pytest

from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import (
    Began,
    Claim,
    Key,
    Outcome,
    OutcomeKind,
    Sign,
    WorkerInfo,
)

from .work_benches import BENCHES

LATE = Failure("late", 1)


@pytest.fixture(params=BENCHES)
def bench(request):
    yield from BENCHES[request.param](request)


@pytest.fixture
def store(bench):
    return bench.store()


@pytest.fixture
def me(store):
    """Return an owner that has joined the store."""
    owner = new_owner()
    store.join(owner, WorkerInfo(2))
    store.renew(owner, [])
    return owner


@pytest.fixture
def other(bench):
    """Return another owner of this host, that has joined by a store of its own."""
    store, owner = bench.store(), new_owner()
    store.join(owner, WorkerInfo(2))
    store.renew(owner, [])
    return owner


def completed(bench, text="done"):
    return Outcome(OutcomeKind.COMPLETED, bench.value(text), ms=1.0)


def again(delay=0.0):
    return Outcome(OutcomeKind.RETRY, failure=Failure("once more", 1), delay=delay)


def failed():
    return Outcome(OutcomeKind.FAILED, failure=Failure("for good", 1))


def held_of(store, me, unit):
    """Return what an owner sees of another's unit."""
    return next(one for one in store.renew(me, []).others if one.id == unit)


# Claims


def test_a_claim_says_what_the_attempt_is_fenced_and_budgeted_by(bench, store, me):
    unit = bench.add(attempts=2)
    claim = store.claim(me)
    assert isinstance(claim, Claim)
    assert (claim.id, claim.entry, claim.owner) == (unit, 1, me)
    assert (claim.attempt, claim.attempts, claim.deaths) == (1, 2, 0)
    assert bench.look(unit)[:4] == ("active", 1, 1, 0)


def test_a_unit_is_claimed_by_one(bench, store, me, other):
    bench.add()
    assert isinstance(store.claim(me), Claim)
    assert store.claim(other) is None


def test_units_are_claimed_in_their_order(bench, store, me):
    units = [bench.add() for _ in range(5)]
    assert [store.claim(me).id for _ in units] == units


def test_where_nothing_waits_a_claim_says_when_the_next_unit_is_due(bench, store, me):
    assert store.claim(me) is None
    bench.add(delay=60)
    bench.add(delay=30)
    due = store.claim(me)
    assert 20 < due <= 30.1


def test_a_delayed_unit_is_claimed_once_it_is_due(bench, store, me, until):
    bench.add(delay=0.05)
    assert until(lambda: isinstance(store.claim(me), Claim), 60)


ENDS = {
    "release": lambda bench, store, claim: store.release(claim),
    "released": lambda bench, store, claim: store.finish(
        claim, Outcome(OutcomeKind.RELEASED), then_claim=False
    ),
    "retry": lambda bench, store, claim: store.finish(claim, again(), then_claim=False),
    "completed, then run again by the user": lambda bench, store, claim: (
        store.finish(claim, completed(bench), then_claim=False),
        bench.retry(claim.id),
    ),
    "failed, then run again by the user": lambda bench, store, claim: (
        store.finish(claim, failed(), then_claim=False),
        bench.retry(claim.id),
    ),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_no_entry_is_used_twice_however_a_claim_ended(bench, store, me, until, end):
    unit = bench.add()
    entries = []
    for _ in range(3):
        claim = until(lambda: (found := store.claim(me)) and isinstance(found, Claim) and found, 60)
        assert claim.id == unit
        entries.append(claim.entry)
        end(bench, store, claim)
    assert len(set(entries)) == 3


BUDGETS = {"release": 1, "released": 1, "retry": 2, "failed, then run again by the user": 1}


@pytest.mark.parametrize("end", BUDGETS, ids=BUDGETS)
def test_the_budget_counts_attempts_and_not_claims(bench, store, me, until, end):
    bench.add()
    ENDS[end](bench, store, store.claim(me))
    claim = until(lambda: (found := store.claim(me)) and isinstance(found, Claim) and found, 60)
    assert claim.attempt == BUDGETS[end]


# The end of an attempt


def test_a_result_is_kept(bench, store, me):
    unit = bench.add()
    assert store.finish(store.claim(me), completed(bench), then_claim=False).state == "completed"
    assert bench.look(unit)[0] == "completed"
    assert bench.look(unit).value == "done"


def test_a_unit_that_is_tried_again_waits_for_its_pause(bench, store, me):
    unit = bench.add()
    finished = store.finish(store.claim(me), again(60.0), then_claim=True)
    assert finished.state == "delayed"
    # A store may leave it to the next claim to say when the unit is due.
    assert finished.following is None or 50 < finished.following <= 60.1
    assert 50 < store.claim(me) <= 60.1
    assert bench.look(unit).error == "once more"


def test_a_unit_that_failed_for_good_says_why(bench, store, me):
    unit = bench.add()
    assert store.finish(store.claim(me), failed(), then_claim=False).state == "failed"
    assert (bench.look(unit).state, bench.look(unit).error) == ("failed", "for good")


def test_the_next_claim_comes_with_the_end_of_the_last(bench, store, me):
    bench.add()
    following = bench.add()
    finished = store.finish(store.claim(me), completed(bench), then_claim=True)
    assert (finished.following.id, finished.following.entry) == (following, 1)
    assert store.finish(finished.following, completed(bench), then_claim=True).following is None


def test_an_end_that_is_told_twice_counts_once(bench, store, me):
    """The answer was lost on its way, and the engine repeats the call."""
    unit = bench.add()
    claim = store.claim(me)
    outcomes = [store.finish(claim, completed(bench), then_claim=False).state for _ in range(2)]
    assert outcomes == ["completed", "completed"]
    assert bench.look(unit)[:3] == ("completed", 1, 1)


def test_a_retry_that_is_told_twice_counts_once(bench, store, me):
    unit = bench.add()
    claim = store.claim(me)
    for _ in range(2):
        assert store.finish(claim, again(60.0), then_claim=False).state == "delayed"
    assert bench.look(unit)[:3] == ("delayed", 1, 1)


WRITES = {
    "completed": lambda bench, store, claim: (
        store.finish(claim, completed(bench, "late"), then_claim=False).state
    ),
    "failed": lambda bench, store, claim: (
        store.finish(claim, Outcome(OutcomeKind.FAILED, failure=LATE), then_claim=False).state
    ),
    "retry": lambda bench, store, claim: (
        store.finish(claim, Outcome(OutcomeKind.RETRY, failure=LATE), then_claim=False).state
    ),
    "cancelled": lambda bench, store, claim: (
        store.finish(claim, Outcome(OutcomeKind.CANCELLED, failure=LATE), then_claim=False).state
    ),
    "released": lambda bench, store, claim: store.release(claim) or None,
    "renewed": lambda bench, store, claim: (
        None if claim.key in store.renew(claim.owner, [claim.key]).lost else "renewed"
    ),
    "noted": lambda bench, store, claim: bench.note(store, claim, "late") or None,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("taker", ["the same owner", "another owner"])
def test_a_write_of_a_stale_attempt_is_refused_while_another_is_active(
    bench, store, me, other, write, taker
):
    unit = bench.add()
    stale = store.claim(me)
    assert store.release(stale)
    current = store.claim(me if taker == "the same owner" else other)
    assert current.id == unit
    assert write(bench, store, stale) is None
    assert bench.look(unit)[:2] == ("active", current.entry)
    finished = store.finish(current, completed(bench, "good"), then_claim=False)
    assert (finished.state, bench.look(unit).value) == ("completed", "good")


def test_a_line_of_the_attempt_that_is_active_counts(bench, store, me):
    bench.add()
    assert bench.note(store, store.claim(me), "on time")


# Releases and what was left


def test_a_released_unit_runs_before_the_backlog(bench, store, me):
    """D4."""
    first = bench.add()
    claim = store.claim(me)
    for _ in range(3):
        bench.add()
    assert store.release(claim)
    assert store.claim(me).id == first


@pytest.mark.parametrize("counted", [True, False])
def test_a_reclaimed_unit_runs_before_the_backlog(bench, store, me, other, counted):
    """D4."""
    first = bench.add()
    store.claim(other)
    for _ in range(3):
        bench.add()
    held = held_of(store, me, first)
    assert store.reclaim(held, Failure("its worker died", 1), counted=counted) in {
        "waiting",
        "delayed",
    }
    assert store.claim(me).id == first


def test_a_counted_death_uses_up_an_attempt(bench, store, me, other):
    unit = bench.add(attempts=2)
    store.claim(other)
    store.reclaim(held_of(store, me, unit), Failure("its worker died", 1), counted=True)
    claim = store.claim(me)
    assert (claim.attempt, claim.deaths, claim.entry) == (2, 0, 2)


def test_a_death_that_is_not_counted_is_remembered_until_an_ordinary_end(
    bench, store, me, other, until
):
    """A11."""
    unit = bench.add(attempts=2)
    for deaths in (1, 2):
        store.claim(other)
        store.reclaim(held_of(store, me, unit), Failure("its worker died", 1), counted=False)
        assert bench.look(unit)[2:4] == (0, deaths)
    claim = store.claim(me)
    assert (claim.attempt, claim.deaths) == (1, 2)
    store.finish(claim, again(), then_claim=False)
    claim = until(lambda: (found := store.claim(me)) and isinstance(found, Claim) and found, 60)
    assert (claim.attempt, claim.deaths) == (2, 0)


def test_a_release_keeps_the_record_of_deaths(bench, store, me, other):
    unit = bench.add()
    store.claim(other)
    store.reclaim(held_of(store, me, unit), Failure("its worker died", 1), counted=False)
    assert store.release(store.claim(me))
    assert store.claim(me).deaths == 1


def test_the_last_attempts_death_fails_the_unit(bench, store, me, other):
    unit = bench.add(attempts=1)
    store.claim(other)
    failure = Failure("its worker died (here)", 1)
    assert store.reclaim(held_of(store, me, unit), failure, counted=True) == "failed"
    assert (bench.look(unit).state, bench.look(unit).error) == ("failed", failure.error)


def test_others_see_that_a_worker_shares_its_process(bench, store, me):
    for _ in range(2):
        bench.add()
    other, by_other = bench.store(), new_owner()
    other.join(by_other, WorkerInfo(2))
    other.renew(by_other, [])
    claims = [other.claim(by_other) for _ in range(2)]
    assert [held.shared for held in store.renew(me, []).others] == [False, False]
    other.join(by_other, WorkerInfo(2, shared=True))
    other.renew(by_other, [claim.key for claim in claims])
    held = store.renew(me, []).others
    assert [one.shared for one in held] == [True, True]
    # As long as it has left anything.
    store.reclaim(held[0], Failure("its worker died", 1), counted=True)
    assert [one.shared for one in store.renew(me, []).others if one.owner == by_other] == [True]


def test_what_another_has_reclaimed_is_left_alone(bench, store, me, other):
    unit = bench.add()
    store.claim(other)
    held = held_of(store, me, unit)
    assert store.reclaim(held, Failure("its worker died", 1), counted=True)
    assert store.reclaim(held, Failure("its worker died", 1), counted=True) is None
    current = store.claim(other)
    assert store.reclaim(held, Failure("its worker died", 1), counted=True) is None
    assert bench.look(unit)[:2] == ("active", current.entry)


@pytest.mark.parametrize("write", WRITES)
def test_a_write_after_a_reclaim_changes_nothing_although_nobody_else_has_the_unit(
    bench, store, me, other, write
):
    unit = bench.add()
    late = store.claim(other)
    store.reclaim(held_of(store, me, unit), Failure("its worker died", 1), counted=True)
    before = bench.look(unit)
    answer = WRITES[write](bench, store, late)
    # A store may take a release for the repeated one of a unit that waits already.
    assert answer is None or write == "released"
    assert bench.look(unit) == before
    assert before.state in {"waiting", "delayed"}


# Leases


def test_a_claim_that_runs_is_renewed_and_neither_lost_nor_unknown(bench, store, me):
    bench.add()
    claim = store.claim(me)
    report = store.renew(me, [claim.key])
    assert (list(report.lost), list(report.cancelled), list(report.unknown)) == ([], [], [])
    assert list(report.others) == []


def test_a_claim_that_no_attempt_runs_is_unknown(bench, store, me):
    unit = bench.add()
    claim = store.claim(me)
    assert [held.key for held in store.renew(me, []).unknown] == [Key(unit, claim.entry)]


def test_a_unit_of_another_owner_is_seen_with_its_lease(bench, store, me, other):
    unit = bench.add(attempts=2)
    claim = store.claim(other)
    held = held_of(store, me, unit)
    assert (held.key, held.owner) == (claim.key, other)
    assert (held.attempt, held.attempts, held.deaths) == (1, 2, 0)
    assert 0 < held.left <= 30.1


def test_an_expired_lease_that_nobody_took_is_renewed(bench, other, me, until):
    store = bench.store(lease=1.0)
    owner = new_owner()
    store.join(owner, WorkerInfo(1))
    unit = bench.add()
    claim = store.claim(owner)
    until(lambda: held_of(store, me, unit).left < 0, 60)
    assert list(store.renew(owner, [claim.key]).lost) == []
    until(lambda: not list(store.renew(owner, [claim.key]).lost), 60)
    assert bench.look(unit).state == "active"


def test_an_attempt_that_is_cancelled_hears_of_it(bench, store, me, until):
    bench.add()
    claim = store.claim(me)
    bench.cancel(claim.id)
    report = store.renew(me, [claim.key])
    assert claim.key in {*report.cancelled, *report.lost}
    if claim.key in report.cancelled:
        outcome = Outcome(OutcomeKind.CANCELLED, failure=Failure("cancelled", 1))
        store.finish(claim, outcome, then_claim=False)
    assert bench.look(claim.id).state == "cancelled"


def test_a_report_says_when_a_delayed_unit_is_due(bench, store, me):
    assert store.renew(me, []).due is None
    bench.add(delay=30)
    assert 20 < store.renew(me, []).due <= 30.1


# The rest


def test_what_is_left_is_what_waits_runs_or_is_delayed(bench, store, me):
    bench.add()
    bench.add()
    bench.add(delay=60)
    assert store.pending().left == 3
    store.finish(store.claim(me), completed(bench), then_claim=True)
    assert store.pending().left == 2


def test_a_unit_that_is_added_wakes_who_waits(bench, store, me):
    waited = []
    assert store.claim(me) is None
    thread = threading.Thread(target=lambda: waited.append(store.wait(20)))
    began = time.monotonic()
    thread.start()
    time.sleep(0.1)
    bench.add()
    thread.join(20)
    assert waited
    assert time.monotonic() - began < 15


def test_a_wake_up_that_comes_before_the_wait_is_not_lost(store, me):
    assert store.claim(me) is None
    store.wake()
    began = time.monotonic()
    store.wait(20)
    assert time.monotonic() - began < 15


def test_a_wait_ends_in_its_time(store, me):
    assert store.claim(me) is None
    store.wait(0.05)


def test_a_worker_that_leaves_twice_is_gone(store, me):
    store.leave(me)
    store.leave(me)


# Attempts that run in other processes


@pytest.fixture
def held(bench):
    """Return a store, an owner and its claim of a unit."""
    store, owner = bench.store(), new_owner()
    store.join(owner, WorkerInfo(2))
    bench.add()
    return store, owner, store.claim(owner)


def test_an_attempt_is_begun_once(held):
    store, owner, claim = held
    begun = store.begin(claim.key, owner, "host|1|2|3|aa", 30.0)
    assert (begun.id, begun.entry, begun.owner, begun.attempt) == (*claim.key, owner, 1)
    assert store.begin(claim.key, owner, "host|1|2|3|bb", 30.0) is Began.REPEATED
    # The answer was lost, and the call is repeated.
    assert store.begin(claim.key, owner, "host|1|2|3|aa", 30.0).key == claim.key


def test_what_is_another_s_is_neither_begun_nor_kept_alive(held):
    store, owner, claim = held
    assert store.begin(claim.key, "another", "by", 30.0) is Began.LOST
    assert store.begin(Key(claim.id, claim.entry + 1), owner, "by", 30.0) is Began.LOST
    assert store.touch(claim.key, "another", 30.0) is Sign.LOST
    store.finish(claim, again(), then_claim=False)
    assert store.begin(claim.key, owner, "by", 30.0) is Began.LOST


def test_a_worker_hears_of_attempts_that_were_begun_elsewhere(held):
    store, owner, claim = held
    assert store.renew(owner, [claim.key]).pulses == {}
    assert store.pulse(claim.key, owner) is None
    store.begin(claim.key, owner, "host|1|2|3|aa", 20.0)
    found = store.renew(owner, [claim.key]).pulses[claim.key]
    assert found.by == "host|1|2|3|aa"
    assert 0 <= found.age < 5
    assert 15 < found.left <= 20
    assert store.pulse(claim.key, owner).by == found.by


def test_a_sign_of_life_puts_silence_off_and_hears_of_the_end(held, until):
    store, owner, claim = held
    store.begin(claim.key, owner, "host|1|2|3|aa", 0.05)
    assert until(lambda: store.pulse(claim.key, owner).left < 0)
    assert store.touch(claim.key, owner, 20.0) is Sign.GO_ON
    assert store.pulse(claim.key, owner).left > 15
    assert store.pulse(claim.key, owner).age >= 0.05
    store.release(claim)
    assert store.touch(claim.key, owner, 20.0) is Sign.LOST


def test_the_next_claim_of_a_unit_is_begun_anew(held):
    store, owner, claim = held
    store.begin(claim.key, owner, "first", 20.0)
    store.release(claim)
    following = store.claim(owner)
    assert store.pulse(following.key, owner) is None
    assert store.begin(claim.key, owner, "late", 20.0) is Began.LOST
    assert store.begin(following.key, owner, "second", 20.0).entry == claim.entry + 1


def test_a_cancelled_attempt_hears_of_it_by_its_next_sign_of_life(bench, held):
    store, owner, claim = held
    store.begin(claim.key, owner, "by", 20.0)
    bench.cancel(claim.id)
    assert store.touch(claim.key, owner, 20.0) in {Sign.CANCELLED, Sign.LOST}


def test_an_attempt_that_was_not_begun_has_no_sign_of_life(bench, store, me):
    bench.add()
    claim = store.claim(me)
    assert store.touch(claim.key, me, 30) is Sign.LOST


def test_what_the_far_side_notes_is_fenced(bench, store, me):
    bench.add()
    begun = store.begin(store.claim(me).key, me, "one", 30)
    assert bench.note(store, begun, "there")
    store.release(begun)
    assert not bench.note(store, begun, "too late")


def test_a_claim_is_reclaimed_from_a_process_that_died(bench, store, me):
    from agentnb.core.work.store import ActiveUnit

    unit = bench.add(attempts=2)
    claim = store.claim(me)
    values = (claim.id, claim.entry, me, claim.attempt, claim.attempts, 0.0)
    held = ActiveUnit(*values, payload=claim.payload)
    assert store.reclaim(held, LATE, counted=True) in {"waiting", "delayed"}
    assert store.reclaim(held, LATE, counted=True) is None
    assert bench.look(unit).attempt == 1


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_an_attempt_that_is_over_learns_it_by_its_next_sign_of_life(bench, store, me, end):
    bench.add()
    claim = store.claim(me)
    store.begin(claim.key, me, "one", 30)
    end(bench, store, claim)
    assert store.touch(claim.key, me, 30) is Sign.LOST
