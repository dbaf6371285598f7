"""The engine on a store in memory: what it guarantees, whatever becomes of workers and servers."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import secrets
import subprocess
import sys
import threading
import time

import pytest

from agentnb.core.errors import ConfigError, DeadlineExceeded, RejectedError, UnavailableError
from agentnb.core.failure import Failure
from agentnb.core.loop import LoopThread
from agentnb.core.work import attempt as attempt_module
from agentnb.core.work import gate, identity, lease, threads
from agentnb.core.work.attempt import AttemptStopped, Released
from agentnb.core.work.backoff import Backoff
from agentnb.core.work.identity import new_owner
from agentnb.core.work.lease import LeaseKeeper
from agentnb.core.work.store import ActiveUnit, Key, LeaseReport, Outcome, OutcomeKind, WorkerInfo
from agentnb.core.work.wakeup import DueTimer
from agentnb.core.work.worker import DEFAULT_CONCURRENCY, Worker

from .work_memory import MemoryHandler, MemoryServer, MemoryStore

log = logging.getLogger("agentnb.work")


@pytest.fixture
def server():
    return MemoryServer()


@pytest.fixture
def quick(monkeypatch):
    """Let everything that is waited for come ten times sooner."""
    monkeypatch.setattr(lease, "ROUND", 0.05)
    monkeypatch.setattr(lease, "UNKNOWN_SECONDS", 0.2)
    monkeypatch.setattr(lease, "LONGEST_GRACE", 0.1)
    monkeypatch.setattr(threads, "_AWAY_SECONDS", 0.05)


@pytest.fixture
def make(server, quick):
    """Return what starts a worker on the server, with a handler of its own."""
    loop, workers = LoopThread(), []

    def make(function=None, *, store=None, **options):
        handler = MemoryHandler(function)
        worker = Worker(store or MemoryStore(server), handler, loop=loop, log=log, **options)
        workers.append(worker)
        worker.start()
        worker.handler = handler
        return worker

    yield make
    server.restore()
    for worker in workers:
        worker.stop(0)
    loop.close()


def dead_here():
    """Return an owner of this host whose process has ended."""
    host, space, pid, started, _ = new_owner().split("|")
    return "|".join([host, space, pid, str(int(started) - 1), secrets.token_hex(4)])


def elsewhere():
    """Return an owner of another host."""
    _, space, pid, started, _ = new_owner().split("|")
    return "|".join(["another-boot", space, pid, started, secrets.token_hex(4)])


class Slow:
    """A function whose first calls wait until they are let go; each returns its number."""

    def __init__(self, waiting=1):
        self.begun = [threading.Event() for _ in range(9)]
        self.go = [threading.Event() for _ in range(9)]
        for event in self.go[waiting:]:
            event.set()
        self.calls = 0
        self._lock = threading.Lock()

    def __call__(self, attempt):
        with self._lock:
            number = self.calls
            self.calls += 1
        self.begun[number].set()
        assert self.go[number].wait(20)
        return f"run {number + 1}"


# The ordinary course


def test_a_unit_is_done_once_and_its_result_is_kept(make, server, until):
    unit = server.units[server.add(lambda attempt: attempt.claim.attempt)]
    make()
    until(lambda: unit.state == "completed")
    assert (unit.value, unit.entry, unit.attempt) == (1, 1, 1)


def test_units_are_done_in_their_order_by_one_thread(make, server, until):
    for number in range(20):
        server.add(lambda attempt: done.append(attempt.claim.id), name=f"n{number}")
    done = []
    make(concurrency=1)
    until(lambda: server.ended == 20)
    assert done == [f"n{number}" for number in range(20)]


def test_as_many_units_run_at_once_as_the_worker_has_threads(make, server, until):
    slow = Slow(waiting=9)
    for _ in range(6):
        server.add(slow)
    worker = make(concurrency=4)
    until(lambda: worker.busy == 4)
    slow.begun[3].wait(60)
    assert slow.calls == 4
    for event in slow.go:
        event.set()
    until(lambda: server.ended == 6)


def test_an_idle_worker_has_one_thread_at_the_store(make, server, until):
    make(concurrency=20)
    until(lambda: server.waiting == 1)
    server.add(lambda attempt: None)
    until(lambda: server.ended == 1)
    until(lambda: server.waiting == 1)


def test_no_thread_of_a_worker_keeps_its_process_from_ending(make, server, until):
    make(lambda attempt: ends.append(threading.current_thread()))
    ends = []
    server.add(None)
    until(lambda: ends)
    assert ends[0].daemon


def test_attempts_are_counted_in_total(make, server, until):
    def fail(attempt):
        raise ValueError(attempt.claim.attempt)

    unit = server.units[server.add(fail, attempts=3)]
    make()
    until(lambda: unit.state == "failed")
    assert (unit.attempt, unit.entry) == (3, 3)
    assert unit.failure.error == "ValueError: 3"
    assert unit.failure.attempt == 3


def test_an_error_that_another_attempt_would_meet_as_well_ends_the_unit(make, server, until):
    def fail(attempt):
        raise LookupError

    unit = server.units[server.add(fail, attempts=3)]
    make()
    until(lambda: unit.state == "failed")
    assert unit.attempt == 1


def test_a_released_unit_runs_again_and_the_attempt_is_not_counted(make, server, until):
    def once(attempt):
        if attempt.claim.entry == 1:
            raise Released
        return attempt.claim.attempt

    unit = server.units[server.add(once, attempts=1)]
    make()
    until(lambda: unit.state == "completed")
    assert (unit.value, unit.entry) == (1, 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_no_exception_of_a_function_ends_a_thread_of_the_worker(make, server, until, error):
    def fail(attempt):
        raise error

    bad = server.units[server.add(fail, attempts=1)]
    good = server.units[server.add(lambda attempt: "good")]
    make(concurrency=1)
    until(lambda: good.state == "completed")
    assert bad.state == "failed"


def test_a_delayed_unit_begins_when_it_is_due_and_is_not_asked_for_before(make, server, until):
    added = time.monotonic()
    began = []
    server.add(lambda attempt: began.append(time.monotonic()), delay=1.0)
    store = MemoryStore(server)
    make(store=store)
    until(lambda: began)
    assert began[0] - added >= 1.0
    assert store.claims < 10


def test_a_unit_that_is_due_soon_is_claimed_then_although_nobody_looks_for_it(
    make, server, until, monkeypatch
):
    """The only thread that could look waits at the store, which knew of nothing to come."""
    monkeypatch.setattr(lease, "ROUND", 60.0)
    monkeypatch.setattr(threads, "_IDLE_SECONDS", 60.0)
    slow = Slow()

    def fail_once(attempt):
        if slow(attempt) == "run 1":
            raise ValueError

    unit = server.units[server.add(fail_once, backoff=Backoff(0.1))]
    make(concurrency=2)
    assert slow.begun[0].wait(10)
    until(lambda: server.waiting == 1)
    slow.go[0].set()
    until(lambda: unit.state == "completed", 20)


def test_the_earliest_of_several_times_is_due_and_once():
    timer = DueTimer()
    assert [timer.set(seconds) for seconds in (60.0, 90.0, 0.0, 30.0)] == [True, False, True, False]
    assert timer.left() == 0.0
    assert [timer.expired(), timer.expired()] == [True, False]
    assert timer.set(60.0)
    assert not timer.expired()


def test_a_store_that_has_nothing_of_what_is_due_is_not_asked_all_the_time(make, server, until):
    class Full(MemoryStore):
        def claim(self, owner):
            self.claims += 1
            return 0.0

    store = Full(server)
    make(store=store)
    until(lambda: store.claims > 3)
    before = store.claims
    time.sleep(0.2)
    assert store.claims - before < 100


def test_a_handler_that_cannot_log_ends_no_thread(make, server, until, caplog):
    worker = make(lambda attempt: "done", concurrency=1)
    worker.handler.ended = lambda *_: 1 / 0
    for _ in range(3):
        server.add(None)
    until(lambda: server.ended == 3)
    assert "an event of the worker was not logged" in caplog.text


def test_a_claim_that_came_with_the_end_of_the_last_is_put_back_when_the_worker_stops(
    make, server, until
):
    slow = Slow()
    server.add(slow)
    other = server.units[server.add(lambda attempt: "done")]
    store = MemoryStore(server)
    finish = store.finish

    def finish_as_stop_comes(claim, outcome, *, then_claim):
        finished = finish(claim, outcome, then_claim=then_claim)
        worker._threads.stopping = True
        return finished

    store.finish = finish_as_stop_comes
    worker = make(store=store, concurrency=1)
    assert slow.begun[0].wait(10)
    slow.go[0].set()
    until(lambda: other.entry == 1 and other.state == "waiting")
    assert (other.attempt, other.value) == (0, None)
    until(lambda: not any(thread.is_alive() for thread in worker._threads._threads))
    worker._threads.stopping = False
    worker.stop()


def test_a_driver_that_raises_at_a_claim_ends_no_thread(make, server, until):
    server.cut(OSError("the connection is lost"))
    make(concurrency=1)
    time.sleep(0.2)
    server.restore()
    server.add(lambda attempt: None)
    until(lambda: server.ended == 1)


def test_an_attempt_that_takes_too_long_fails_once_the_server_is_back(make, server, until):
    slow = Slow()
    unit = server.units[server.add(slow, attempts=1, timeout=0.1)]
    worker = make(concurrency=1)
    assert slow.begun[0].wait(10)
    server.cut()
    until(lambda: not worker.busy)
    time.sleep(0.2)
    server.restore()
    until(lambda: unit.state == "failed")
    slow.go[0].set()


def test_a_unit_that_stops_its_own_worker_holds_its_lease_and_ends_as_usual(make, server, until):
    store = MemoryStore(server)
    renewed = threading.Event()

    def stop(attempt):
        stopped = worker.stop(5)
        before = store.renewals
        until(lambda: store.renewals > before)
        renewed.set()
        return stopped

    worker = make(store=store, concurrency=2)
    unit = server.units[server.add(stop)]
    until(lambda: unit.state == "completed")
    assert renewed.is_set()
    assert (unit.value, unit.attempt, worker.working) == (True, 1, False)
    until(lambda: worker.owner not in server.workers)
    assert "released" not in [one[0] for one in worker.handler.said]


# Time-outs and cancelling


def test_a_thread_that_takes_too_long_is_replaced_and_its_end_does_not_count(make, server, until):
    slow = Slow()
    unit = server.units[server.add(slow, attempts=1, timeout=0.1)]
    runs_on = []

    def run(attempt):
        runs_on.append(threading.current_thread())
        return slow(attempt)

    make(run, concurrency=1)
    until(lambda: unit.state == "failed")
    assert unit.failure.error.startswith("it took longer than 0.1 s; its thread may run on")
    other = server.units[server.add(slow)]
    until(lambda: other.state == "completed")
    slow.go[0].set()
    until(lambda: not runs_on[0].is_alive())
    assert (unit.state, unit.value, other.value) == ("failed", None, "run 2")


def test_a_thread_that_took_too_long_can_ask_whether_it_was_stopped(make, server, until):
    stopped = []

    def slow(attempt):
        until(lambda: attempt.stopped)
        stopped.append(True)

    server.add(slow, attempts=1, timeout=0.1)
    worker = make(concurrency=1)
    until(lambda: stopped)
    until(lambda: not worker._threads.running)


def test_a_unit_runs_alone_after_one_that_took_too_long(make, server, until):
    slow = Slow()
    server.add(slow, attempts=1, timeout=0.1)
    make(concurrency=1)
    until(lambda: server.ended == 1)
    server.add(lambda attempt: None, deaths=1)
    until(lambda: server.ended == 2, 20)
    slow.go[0].set()


def test_a_time_out_that_a_coroutine_raises_itself_is_an_error_like_others(make, server, until):
    async def fail(attempt):
        raise TimeoutError("its own")

    unit = server.units[server.add(fail, attempts=1, timeout=30)]
    make()
    until(lambda: unit.state == "failed")
    assert unit.failure.error == "TimeoutError: its own"


def test_a_coroutine_of_an_attempt_that_was_cancelled_before_does_not_go_on(make, server, until):
    async def sleep():
        await asyncio.sleep(60)

    def cancelled(attempt):
        attempt.cancel()
        return sleep()

    unit = server.units[server.add(cancelled, attempts=1)]
    make()
    until(lambda: unit.state == "cancelled")


def test_a_time_out_costs_no_thread_while_nothing_is_late(make, server, until):
    names = []
    for _ in range(3):
        server.add(lambda attempt: names.append(threading.current_thread().name), timeout=30)
    before = threading.active_count()
    make(concurrency=1)
    until(lambda: server.ended == 3)
    assert set(names) == {"agentnb-worker"}
    assert threading.active_count() <= before + 2


def test_a_coroutine_that_takes_too_long_is_cancelled(make, server, until):
    ended = []

    async def slow(attempt):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    unit = server.units[server.add(slow, attempts=1, timeout=0.1)]
    make()
    until(lambda: unit.state == "failed")
    assert unit.failure.error == "it took longer than 0.1 s; it was cancelled"
    assert ended == [True]


def test_a_coroutine_has_time_to_end_once_it_was_cancelled(make, server, until):
    async def slow(attempt):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.4)

    unit = server.units[server.add(slow, attempts=1, timeout=0.1)]
    make()
    until(lambda: unit.state == "failed")
    assert unit.failure.error == "it took longer than 0.1 s; it was cancelled"


def test_a_coroutine_that_is_cancelled_ends_as_cancelled(make, server, until):
    begun = threading.Event()

    async def slow(attempt):
        begun.set()
        await asyncio.sleep(60)

    unit = server.units[server.add(slow)]
    make()
    assert begun.wait(10)
    unit.cancel = True
    until(lambda: unit.state == "cancelled")
    assert unit.failure.error == "cancelled"


def test_a_look_that_is_asked_for_does_not_wait_for_the_round(make, server, until, monkeypatch):
    def slow(attempt):
        until(lambda: attempt.stopped, 20)

    unit = server.units[server.add(slow)]
    monkeypatch.setattr(lease, "ROUND", 60.0)
    worker = make()
    until(lambda: worker.busy)
    unit.cancel = True
    worker.look()
    until(lambda: unit.state != "active", 10)


def test_a_function_that_is_cancelled_can_ask_and_ends_as_cancelled(make, server, until):
    def slow(attempt):
        until(lambda: attempt.stopped)
        attempt.check()

    unit = server.units[server.add(slow, attempts=3)]
    make()
    until(lambda: unit.state == "active")
    unit.cancel = True
    until(lambda: unit.state == "cancelled")
    assert unit.attempt == 1


def test_a_retry_after_a_time_out_runs_once_however_long_the_first_thread_runs(make, server, until):
    """A3: the thread that was left behind removed the entry of the new attempt."""
    slow = Slow(waiting=2)
    unit = server.units[server.add(slow, attempts=1, timeout=0.2)]
    make(concurrency=2)
    until(lambda: unit.state == "failed")
    with server.changed:  # as a user's retry does: the budget begins anew, the entry does not
        unit.state, unit.attempt, unit.timeout = "waiting", 0, None
        server.changed.notify_all()
    assert slow.begun[1].wait(10)
    slow.go[0].set()
    time.sleep(6 * 0.2)
    assert slow.calls == 2
    slow.go[1].set()
    until(lambda: unit.state == "completed")
    assert (unit.value, slow.calls) == ("run 2", 2)


# Stopping


def test_stop_waits_for_what_runs(make, server, until):
    slow = Slow()
    unit = server.units[server.add(slow)]
    worker = make()
    assert slow.begun[0].wait(10)
    threading.Timer(0.2, slow.go[0].set).start()
    assert worker.stop(20)
    assert (unit.state, worker.owner in server.workers) == ("completed", False)


def test_stop_wakes_the_thread_that_waits_for_work(make, server, until, monkeypatch):
    monkeypatch.setattr(threads, "_IDLE_SECONDS", 60.0)
    worker = make(concurrency=3)
    until(lambda: server.waiting == 1)
    assert worker.stop(10)


def test_a_worker_is_known_to_others_once_it_has_started(make, server):
    worker = make()
    assert worker._keeper.looked.is_set()
    assert server.workers[worker.owner].concurrency == DEFAULT_CONCURRENCY
    assert DEFAULT_CONCURRENCY == 5


def test_the_result_of_an_abandoned_run_is_never_taken_for_that_of_the_next(make, server, until):
    """A1: the outcome of the first was matched by the unit's id."""
    slow = Slow(waiting=2)
    unit = server.units[server.add(slow)]
    worker = make(concurrency=2)
    assert slow.begun[0].wait(10)
    assert not worker.stop(0.1)
    assert ("released", unit.id) in worker.handler.said
    make(concurrency=2)
    assert slow.begun[1].wait(10)
    slow.go[0].set()
    time.sleep(0.2)
    assert unit.state == "active"
    slow.go[1].set()
    until(lambda: unit.state == "completed")
    assert (unit.value, unit.attempt, unit.entry) == ("run 2", 1, 2)


def test_an_abandoned_run_that_fails_does_not_fail_the_run_that_replaced_it(make, server, until):
    slow = Slow(waiting=2)

    def first_fails(attempt):
        if slow(attempt) == "run 1":
            raise ValueError("abandoned")
        return "good"

    unit = server.units[server.add(first_fails, attempts=1)]
    worker = make(concurrency=2)
    assert slow.begun[0].wait(10)
    worker.stop(0)
    make(concurrency=2)
    assert slow.begun[1].wait(10)
    slow.go[0].set()
    slow.go[1].set()
    until(lambda: unit.state != "active")
    assert (unit.state, unit.value) == ("completed", "good")


def test_stop_in_a_forked_child_hands_back_nothing(make, server, until):
    """A3b: a child that ended by sys.exit released what ran in its parent."""
    slow = Slow()
    unit = server.units[server.add(slow)]
    worker = make()
    assert slow.begun[0].wait(10)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        code = 9
        try:
            stopped = worker.stop(5)
            code = 0 if stopped and unit.state == "active" and not worker.working else 1
            os.write(writer, b"said" if worker.handler.said else b"-")
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reader, 9) == b"-"
    slow.go[0].set()
    until(lambda: unit.state == "completed")
    assert (slow.calls, worker.working) == (1, True)


def test_a_worker_that_stops_claims_nothing_with_the_end_of_what_runs(make, server, until):
    slow = Slow()
    server.add(slow)
    other = server.units[server.add(lambda attempt: None)]
    worker = make(concurrency=1)
    assert slow.begun[0].wait(10)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(lambda: worker._threads.stopping)
    slow.go[0].set()
    stopping.join(20)
    assert (server.ended, other.state, other.entry) == (1, "waiting", 0)
    assert not worker._keeper._thread.alive


def test_a_worker_that_stops_claims_nothing_more(make, server):
    worker = make()
    assert worker.stop()
    server.add(lambda attempt: None)
    time.sleep(0.1)
    assert next(iter(server.units.values())).state == "waiting"


def test_a_worker_waits_for_delayed_and_failing_units(make, server):
    def fail(attempt):
        raise ValueError

    server.add(lambda attempt: None, delay=0.2)
    server.add(fail, attempts=2)
    seen = []
    pending = make().wait_until_empty(20, on_progress=seen.append)
    assert (pending.left, pending.ended) == (0, 2)
    assert seen[-1] == pending


@pytest.mark.parametrize("way", ["run_until_idle", "arun_until_idle"])
def test_a_worker_that_works_until_it_is_idle_leaves_what_is_delayed(make, server, way):
    ran = []

    def add_more(attempt):
        ran.append(attempt)
        if len(ran) < 3:
            server.add(add_more)

    server.add(add_more)
    server.add(lambda attempt: None, delay=60)
    found = getattr(make(), way)(20)
    pending = asyncio.run(found) if asyncio.iscoroutine(found) else found
    assert (len(ran), pending.left, pending.delayed, pending.ended) == (3, 1, 1, 3)


def test_a_worker_that_is_not_idle_in_time_says_how_many_are_left(make, server):
    slow = Slow()
    server.add(slow)
    server.add(lambda attempt: None, delay=60)
    with pytest.raises(DeadlineExceeded, match="1 units have not ended within 0"):
        make().run_until_idle(0.1)
    slow.go[0].set()


def test_a_worker_gives_up_waiting_in_its_time(make, server):
    slow = Slow()
    server.add(slow)
    worker = make()
    with pytest.raises(DeadlineExceeded, match="1 units have not ended within 0"):
        worker.wait_until_empty(0.1)
    slow.go[0].set()


# A server that is away


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("away", service="work"),
        ConfigError("read only", service="work"),
        OSError("the connection is lost"),
    ],
    ids=["unavailable", "config", "driver"],
)
def test_an_outcome_waits_for_the_server_and_the_unit_is_done_once(
    make, server, until, error, caplog
):
    """A2 and D1: nothing that a driver raises at the end is the attempt's own failure."""
    slow = Slow()
    unit = server.units[server.add(slow, attempts=1)]
    make()
    assert slow.begun[0].wait(10)
    server.cut(error)
    slow.go[0].set()
    time.sleep(0.3)
    server.restore()
    until(lambda: unit.state == "completed")
    assert (unit.value, slow.calls) == ("run 1", 1)
    assert caplog.text.count(f"the outcome of unit {unit.id} cannot be kept yet: ") == 1


def test_an_outcome_whose_answer_was_lost_counts_once(make, server, until):
    unit = server.units[server.add(lambda attempt: "done")]
    server.after = UnavailableError("the answer was lost", service="work")
    worker = make()
    until(lambda: unit.state == "completed")
    until(lambda: worker.handler.said)
    assert worker.handler.said == [("ended", unit.id, "completed")]
    assert server.ended == 1


def test_a_write_of_an_attempt_waits_for_the_server(make, server, until, caplog):
    """A2: the result of a step was thrown away, and the step done again."""
    charged, store = [], MemoryStore(server)

    def pay(attempt):
        charged.append(1)
        server.cut()
        threading.Timer(0.5, server.restore).start()
        return attempt.persist(lambda: store.note(attempt.claim, "charged"), what="a step")

    unit = server.units[server.add(pay, attempts=1)]
    make()
    until(lambda: unit.state == "completed")
    assert (charged, unit.notes, unit.value) == ([1], ["charged"], True)
    assert caplog.text.count(f"a step of unit {unit.id} cannot be kept yet") == 1


def test_a_write_does_not_wait_once_the_lease_is_lost(make, server, until, monkeypatch):
    monkeypatch.setattr(attempt_module, "_RETRY_SECONDS", 60.0)
    stopped = threading.Event()

    def away():
        raise UnavailableError("away", service="work")

    def write(attempt):
        try:
            attempt.persist(away, what="a step")
        except AttemptStopped:
            stopped.set()
            raise

    server.add(write)
    worker = make()
    until(lambda: worker.busy)
    assert not worker.stop(0.1)
    assert stopped.wait(10)


def test_an_outcome_that_the_store_refuses_is_replaced_by_its_description(make, server, until):
    server.refuse = lambda outcome: (
        RejectedError("no such value", service="work") if outcome.value == "bad" else None
    )
    unit = server.units[server.add(lambda attempt: "bad")]
    worker = make(concurrency=1)
    worker.handler.unkept = lambda outcome, error: Outcome(OutcomeKind.COMPLETED, "unkept")
    until(lambda: unit.state == "completed")
    assert unit.value == "unkept"


def test_an_outcome_that_is_refused_for_good_uses_up_its_attempt(
    make, server, until, monkeypatch, caplog
):
    monkeypatch.setattr(threads, "REFUSED_SECONDS", 0.2)
    server.refuse = lambda outcome: (
        RejectedError("no room", service="work") if outcome.value else None
    )
    unit = server.units[server.add(lambda attempt: "big", attempts=2)]
    make()
    until(lambda: unit.state == "failed")
    assert unit.attempt == 2
    assert unit.failure.error == "its outcome cannot be kept: no room"
    assert "cannot be kept: no room" in caplog.text


def test_an_outcome_is_offered_until_the_worker_has_stopped(make, server, until):
    slow = Slow()
    server.add(slow)
    worker = make()
    assert slow.begun[0].wait(10)
    server.cut()
    slow.go[0].set()
    until(lambda: not worker.busy)
    assert not worker.stop(0.2)
    until(lambda: not any(thread.is_alive() for thread in worker._threads._threads))
    assert worker.handler.said == []


def test_a_worker_goes_on_once_the_server_is_back_and_says_both_once(make, server, until, caplog):
    caplog.set_level(logging.INFO)
    worker = make()
    server.cut()
    until(lambda: "no heartbeat, leases cannot be renewed" in caplog.text)
    worker.look()
    server.restore()
    server.add(lambda attempt: None)
    with server.changed:
        server.changed.notify_all()
    until(lambda: server.ended == 1)
    until(lambda: "leases are renewed again" in caplog.text)
    assert caplog.text.count("leases cannot be renewed") == 1


# Leases


def test_a_dead_workers_unit_is_reclaimed_at_once_and_its_attempt_counted(make, server, until):
    unit = server.units[server.add(lambda attempt: attempt.claim.attempt)]
    MemoryStore(server, lease=3600).claim(dead_here())
    worker = make()
    until(lambda: unit.state == "completed")
    assert (unit.value, unit.entry) == (2, 2)
    assert worker.handler.said[0][:2] == ("reclaimed", unit.id)


def test_a_handler_that_cannot_log_a_reclaim_is_no_outage(make, server, until, caplog):
    units = [server.units[server.add(lambda attempt: None)] for _ in range(2)]
    worker = make()
    worker.handler.reclaimed = lambda *_: 1 / 0
    until(lambda: server.ended == 2)
    for unit in units:
        with server.changed:
            unit.state, unit.owner = "active", dead_here()
            unit.ends = time.monotonic() + 3600
    until(lambda: server.ended == 4)
    assert "leases cannot be renewed" not in caplog.text


def test_a_dead_workers_unit_without_attempts_left_fails(make, server, until):
    unit = server.units[server.add(lambda attempt: None, attempts=1)]
    MemoryStore(server, lease=3600).claim(dead_here())
    make()
    until(lambda: unit.state == "failed")
    assert unit.failure.error.startswith("its worker died (")


def test_an_expired_lease_is_reclaimed_at_the_second_look(make, server, until):
    unit = server.units[server.add(lambda attempt: attempt.claim.attempt)]
    MemoryStore(server, lease=0.01).claim(elsewhere())
    worker = make()
    until(lambda: unit.state == "completed")
    assert unit.value == 2
    assert worker.handler.said[0][2].startswith("its worker gave no sign of life (")


@pytest.mark.parametrize(("owner", "grace"), [(elsewhere, 2.0), (new_owner, 10.0)])
def test_an_expired_lease_has_a_third_of_its_time_and_less_where_nobody_is_known_to_live(
    server, owner, grace
):
    store = MemoryStore(server, lease=30.0)
    keeper = LeaseKeeper(store, MemoryHandler(), new_owner(), {}, end_overdue=print, log=log)
    held = ActiveUnit("u", 1, owner(), 1, 3, -0.1)
    keeper._suspects[held.key] = 100.0
    assert [keeper._expired(held, 100.0 + grace + more) for more in (-0.1, 0.1)] == [False, True]
    for left in (0.1, 30.0):
        held = ActiveUnit("u", 1, owner(), 1, 3, left)
        assert not keeper._expired(held, 1000.0)


@pytest.mark.parametrize(
    ("left", "suspected", "pause"),
    [(30.0, None, 0.5), (0.2, None, 0.2), (0.001, None, 0.02), (-0.1, 0.4, 0.5), (-0.1, 1.9, 0.1)],
)
def test_a_look_comes_when_a_lease_expires_and_when_its_grace_ends(
    server, left, suspected, pause, monkeypatch
):
    store = MemoryStore(server, lease=30.0)
    keeper = LeaseKeeper(store, MemoryHandler(), new_owner(), {}, end_overdue=print, log=log)
    held = ActiveUnit("u", 1, elsewhere(), 1, 3, left)
    monkeypatch.setattr(store, "renew", lambda *_: LeaseReport(others=[held]))
    if suspected is not None:  # the grace is 2 s
        keeper._suspects[held.key] = time.monotonic() - suspected
    assert keeper._run() == pytest.approx(pause, abs=0.05 if pause > 0.02 else 0.02)


def test_a_lease_that_is_renewed_after_it_expired_is_left_alone(make, server, until):
    """A machine slept, and its worker renews as it wakes; all leases look expired at first."""
    unit = server.units[server.add(lambda attempt: None)]
    owner, other = elsewhere(), MemoryStore(server, lease=0.01)
    claim = other.claim(owner)
    looks = []

    class Watched(MemoryStore):
        def renew(self, me, running):
            report = super().renew(me, running)
            if report.others and report.others[0].left < 0:
                looks.append(1)
                other.lease = 3600
                other.renew(owner, [claim.key])
            return report

    make(store=Watched(server))
    until(lambda: looks)
    time.sleep(0.3)
    assert (unit.state, unit.owner, len(looks)) == ("active", owner, 1)


def test_a_lease_of_another_host_that_lives_is_left_alone(make, server):
    unit = server.units[server.add(lambda attempt: None)]
    owner, store = elsewhere(), MemoryStore(server, lease=0.8)
    claim = store.claim(owner)
    make(store=MemoryStore(server, lease=0.8))
    for _ in range(20):
        store.renew(owner, [claim.key])
        time.sleep(0.02)
    assert (unit.state, unit.owner) == ("active", owner)


def test_a_claim_whose_hand_over_was_cut_off_is_released_and_not_counted(make, server, until):
    worker = make(lambda attempt: attempt.claim.attempt, store=Lossy(server), concurrency=1)
    unit = server.units[server.add(None, attempts=1)]
    until(lambda: unit.state == "completed")
    assert (unit.value, unit.entry) == (1, 2)
    assert worker.working


def test_a_claim_whose_answer_is_on_its_way_is_not_released(make, server, until, monkeypatch):
    monkeypatch.setattr(lease, "UNKNOWN_SECONDS", 60.0)
    looks = threading.Semaphore(0)

    class Late(MemoryStore):
        def claim(self, owner):
            found = super().claim(owner)
            if hasattr(found, "entry"):
                for _ in range(4):
                    assert looks.acquire(timeout=10)
            return found

        def renew(self, owner, running):
            found = super().renew(owner, running)
            if found.unknown:
                looks.release()
            return found

    unit = server.units[server.add(lambda attempt: attempt.claim.entry)]
    make(store=Late(server), concurrency=1)
    until(lambda: unit.state == "completed")
    assert unit.value == 1


def test_a_claim_whose_answer_comes_during_a_look_is_not_released(make, server, until, monkeypatch):
    monkeypatch.setattr(lease, "UNKNOWN_SECONDS", 0.0)
    slow, answer, looked = Slow(), threading.Event(), threading.Event()

    class Late(MemoryStore):
        def claim(self, owner):
            found = super().claim(owner)
            if hasattr(found, "entry"):
                assert answer.wait(10)
            return found

        def renew(self, owner, running):
            found = super().renew(owner, running)
            if found.unknown:
                answer.set()
                assert slow.begun[0].wait(10)
            elif answer.is_set():
                looked.set()
            return found

    unit = server.units[server.add(slow)]
    make(store=Late(server), concurrency=1)
    assert looked.wait(10)
    assert (unit.state, unit.entry) == ("active", 1)
    slow.go[0].set()


class Lossy(MemoryStore):
    """A store whose first claim is made, and its answer lost."""

    lost = False

    def claim(self, owner):
        found = super().claim(owner)
        if not self.lost and hasattr(found, "entry"):
            self.lost = True
            raise UnavailableError("the answer was lost", service="work")
        return found


def test_an_attempt_that_lost_its_lease_is_told_and_its_outcome_does_not_count(make, server, until):
    slow = Slow()
    unit = server.units[server.add(slow)]
    worker = make(concurrency=1)
    assert slow.begun[0].wait(10)
    with server.changed:
        unit.owner, unit.entry = "another", 7
    until(lambda: ("lost", unit.id) in worker.handler.said)
    slow.go[0].set()
    other = server.add(slow)
    until(lambda: server.ended == 1)
    assert (unit.state, unit.owner, unit.value) == ("active", "another", None)
    assert worker.handler.said == [("lost", unit.id), ("ended", other, "completed")]


WRITES = {
    "completed": lambda store, claim: (
        store.finish(claim, Outcome(OutcomeKind.COMPLETED, "late"), then_claim=False).state
    ),
    "failed": lambda store, claim: (
        store.finish(
            claim, Outcome(OutcomeKind.FAILED, failure=Failure("late")), then_claim=False
        ).state
    ),
    "retry": lambda store, claim: (
        store.finish(
            claim, Outcome(OutcomeKind.RETRY, failure=Failure("late")), then_claim=False
        ).state
    ),
    "cancelled": lambda store, claim: (
        store.finish(
            claim, Outcome(OutcomeKind.CANCELLED, failure=Failure("late")), then_claim=False
        ).state
    ),
    "released": lambda store, claim: store.release(claim) or None,
    "renewed": lambda store, claim: (
        None if store.renew(claim.owner, [claim.key]).lost == [claim.key] else "renewed"
    ),
    "noted": lambda store, claim: store.note(claim, "late") or None,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("owner", ["the same owner", "another owner"])
def test_a_write_of_a_stale_attempt_is_refused_while_another_is_active(server, write, owner):
    store = MemoryStore(server)
    unit = server.units[server.add(None)]
    stale = store.claim("the same owner")
    assert store.release(stale)
    current = store.claim(owner)
    assert write(store, stale) is None
    assert (unit.state, unit.owner, unit.entry) == ("active", owner, current.entry)
    assert store.finish(current, Outcome(OutcomeKind.COMPLETED, "good"), then_claim=False).state
    assert (unit.value, unit.notes) == ("good", [])


# Context, company


def test_context_variables_of_one_attempt_are_not_seen_by_the_next(make, server, until):
    """A9."""
    user = contextvars.ContextVar("user", default=None)
    seen = []

    def set_and_get(attempt):
        seen.append(user.get())
        user.set(attempt.claim.id)

    for _ in range(3):
        server.add(set_and_get)
    make(concurrency=1)
    until(lambda: server.ended == 3)
    assert seen == [None, None, None]


def test_a_death_in_company_counts_for_none_and_each_then_runs_alone(make, server, until):
    """A11: a job that kills its worker took four innocent ones with it."""
    together, most = set(), []

    def run(attempt):
        together.add(attempt.claim.id)
        most.append(len(together))
        time.sleep(0.02)
        together.discard(attempt.claim.id)
        return attempt.claim.attempt

    for number in range(5):
        server.add(run, name=f"n{number}", attempts=1)
    dead = MemoryStore(server)
    owner = dead_here()
    for _ in range(5):
        dead.claim(owner)
    make(concurrency=5)
    until(lambda: server.ended == 5)
    assert {unit.value for unit in server.units.values()} == {1}
    assert max(most) == 1


@pytest.mark.parametrize("failing", [0, 3])
def test_a_death_of_two_counts_for_neither_however_often_their_reclaim_fails(
    make, server, until, failing
):
    class Failing(MemoryStore):
        def reclaim(self, held, failure, *, counted):
            if held.id == "second" and failures:
                raise failures.pop()
            return super().reclaim(held, failure, counted=counted)

    failures = [UnavailableError("away", service="work") for _ in range(failing)]
    owner, store = dead_here(), MemoryStore(server)
    units = [
        server.units[server.add(lambda attempt: attempt.claim.attempt, name=name, attempts=1)]
        for name in ("first", "second")
    ]
    for _ in units:
        store.claim(owner)
    make(store=Failing(server))
    until(lambda: all(unit.state == "completed" for unit in units))
    assert [unit.value for unit in units] == [1, 1]


def test_a_unit_died_in_company_although_others_reclaimed_its_company(make, server, until):
    units = [server.units[server.add(lambda attempt: None, attempts=1)] for _ in range(2)]
    looks = []

    class Watched(MemoryStore):
        def renew(self, me, running):
            looks.append(1)
            return super().renew(me, running)

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host, space, _, _, nonce = new_owner().split("|")
        owner = "|".join([host, space, str(process.pid), identity._started(process.pid), nonce])
        store = MemoryStore(server)
        for _ in units:
            store.claim(owner)
        make(store=Watched(server))
        until(lambda: len(looks) > 2)
        with server.changed:  # the owner dies, and another worker is first with one of the two
            process.kill()
            process.wait(20)
            units[0].state = "completed"
    until(lambda: units[1].state in {"completed", "failed"})
    assert (units[1].state, units[1].attempt) == ("completed", 1)


def test_a_unit_that_is_to_run_alone_does_not_wait_for_the_backlog(make, server, until):
    slow, order = Slow(), []

    def run(attempt):
        slow(attempt)
        order.append(attempt.claim.id)

    server.add(run, name="before")
    server.add(run, name="alone", deaths=1)
    for number in range(3):
        server.add(run, name=f"n{number}")
    worker = make(concurrency=2)
    until(lambda: not worker._threads._gate.is_open)
    slow.go[0].set()
    until(lambda: server.ended == 5)
    assert order[:2] == ["before", "alone"]


def test_the_death_of_a_unit_that_ran_alone_is_counted(make, server, until):
    unit = server.units[server.add(lambda attempt: None, attempts=1, deaths=1)]
    MemoryStore(server).claim(dead_here())
    make()
    until(lambda: unit.state == "failed")


def test_deaths_in_company_are_not_forgiven_for_ever(make, server, until):
    units = [
        server.units[server.add(lambda attempt: None, attempts=1, deaths=lease.MOST_UNCOUNTED)]
        for _ in range(2)
    ]
    owner, store = dead_here(), MemoryStore(server)
    for _ in units:
        store.claim(owner)
    make()
    until(lambda: all(unit.state == "failed" for unit in units))


def shared_dead(server):
    """Return an owner whose process has ended, and had a worker of another store beside it."""
    owner = dead_here()
    server.workers[owner] = WorkerInfo(1, shared=True)
    return owner


def test_the_first_death_in_a_process_that_other_workers_share_is_not_counted(make, server, until):
    unit = server.units[server.add(lambda attempt: attempt.claim.deaths, attempts=1)]
    MemoryStore(server).claim(shared_dead(server))
    make()
    until(lambda: unit.state == "completed")
    assert (unit.value, unit.attempt) == (1, 1)


def test_a_unit_that_ran_alone_in_a_process_that_workers_share_is_to_blame(make, server, until):
    unit = server.units[server.add(lambda attempt: None, attempts=1, deaths=1)]
    MemoryStore(server).claim(shared_dead(server))
    make()
    until(lambda: unit.state == "failed")


def test_a_worker_records_that_others_are_in_its_process_before_they_claim(make, server):
    one = make()
    assert not server.workers[one.owner].shared
    shared = []

    class Other(MemoryStore):
        def claim(self, owner):
            shared.append(server.workers[one.owner].shared)
            return super().claim(owner)

    other = make(store=Other(MemoryServer()))
    assert shared[0]
    assert other._store.server.workers[other.owner].shared
    other.stop()
    one.stop()
    third = make()
    assert not server.workers[third.owner].shared


def test_a_worker_that_could_not_start_is_nobodys_company(make, server, until):
    class Refusing(MemoryStore):
        def join(self, owner, about):
            raise RejectedError("no", service="work")

    with pytest.raises(RejectedError):
        make(store=Refusing(server))
    assert not server.workers[make().owner].shared


def test_a_worker_that_shares_its_process_is_recorded_as_such_before_it_claims(make, server, until):
    """Else its death would be counted for a unit that ran beside others."""
    known, go = [], threading.Event()

    class Noting(MemoryStore):
        """It records its worker with the first heartbeat, as a queue does; that is late here."""

        def join(self, owner, about):
            self._noted = owner, about

        def renew(self, owner, running):
            assert threading.current_thread() is threading.main_thread() or go.wait(60)
            super().join(*self._noted)
            return super().renew(owner, running)

        def claim(self, owner):
            known.append(server.workers.get(owner))
            return super().claim(owner)

    make()
    make(store=Noting(server))
    until(lambda: known)
    go.set()
    assert known[0] is not None
    assert known[0].shared


def test_a_unit_that_is_to_run_alone_waits_for_other_workers_of_the_process(make, server, until):
    slow, elsewhere = Slow(), MemoryServer()
    elsewhere.add(slow)
    make(store=MemoryStore(elsewhere))
    assert slow.begun[0].wait(20)
    unit = server.units[server.add(lambda attempt: None, deaths=1)]
    make()
    until(lambda: unit.state == "active")
    following = elsewhere.units[elsewhere.add(lambda attempt: unit.state)]
    slow.go[0].set()
    until(lambda: following.state == "completed")
    assert (following.value, unit.state) == ("completed", "completed")


def test_a_unit_that_was_left_behind_by_a_worker_that_stopped_holds_up_nobody(make, server, until):
    slow, elsewhere = Slow(), MemoryServer()
    elsewhere.add(slow)
    stopped = make(store=MemoryStore(elsewhere))
    assert slow.begun[0].wait(20)
    stopped.stop(0)
    unit = server.units[server.add(lambda attempt: None, deaths=1)]
    make()
    until(lambda: unit.state == "completed")
    slow.go[0].set()


def test_a_unit_that_is_to_run_alone_begins_once_those_that_were_claimed_are_put_back(
    make, server, until
):
    asked, go = threading.Event(), threading.Event()

    class SlowStore(MemoryStore):
        """Its first answer takes its time, as that of a server under load."""

        def claim(self, owner):
            found = super().claim(owner)
            if not asked.is_set():
                asked.set()
                assert go.wait(60)
            return found

    held = []

    def run(attempt):
        held.append([one.id for one in server.units.values() if one.state == "active"])

    units = [server.units[server.add(run, deaths=1)]]
    make(store=SlowStore(server), concurrency=1)
    assert asked.wait(20)
    units.append(server.units[server.add(run, deaths=1)])
    make(concurrency=1)
    until(lambda: units[1].state != "waiting")
    time.sleep(0.05)
    assert held == []
    go.set()
    until(lambda: [one.state for one in units] == ["completed"] * 2)
    assert [len(one) for one in held] == [1, 1]


def test_others_join_a_unit_that_has_had_its_time_alone(make, server, until, monkeypatch):
    """A unit may wait for the result of another: neither may wait for ever."""
    monkeypatch.setattr(gate, "ALONE_SECONDS", 0.2)
    child = server.units[server.add(lambda attempt: "child", name="z", delay=0.3)]

    def parent(attempt):
        until(lambda: child.state == "completed", 20)
        return "parent"

    unit = server.units[server.add(parent, deaths=1)]
    make(concurrency=2)
    until(lambda: unit.state == "completed")


def test_two_units_that_wait_for_each_other_end_although_both_are_to_run_alone(
    make, server, until, monkeypatch
):
    monkeypatch.setattr(gate, "ALONE_SECONDS", 0.2)
    parent = server.add(lambda attempt: until(lambda: child.state == "completed", 20), deaths=1)
    child = server.units[server.add(lambda attempt: "child", deaths=1)]
    make(concurrency=2)
    until(lambda: server.units[parent].state == "completed")


def test_a_report_without_anything_is_empty():
    assert LeaseReport() == LeaseReport((), (), (), (), None)
    assert Key("a", 1) == ("a", 1)
    assert Backoff(0.0).after(5) == 0.0
