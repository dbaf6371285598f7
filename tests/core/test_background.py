from __future__ import annotations

import contextvars
import logging
import os
import threading

import pytest

from agentnb.core.background import BackgroundThread, run_in_thread

LONG = 30


@pytest.fixture
def background():
    made = []

    def make(function, **options):
        made.append(BackgroundThread(function, name="test", **options))
        return made[-1]

    yield make
    for one in made:
        assert one.stop(LONG)


def test_the_thread_starts_with_the_first_wake_and_runs_once_a_wake(background):
    runs, ran = [], threading.Semaphore(0)

    def run():
        runs.append(threading.current_thread())
        ran.release()

    thread = background(run)
    assert not thread.alive
    for count in (1, 2, 3):
        thread.wake()
        assert ran.acquire(timeout=LONG)
        assert len(runs) == count
    assert len(set(runs)) == 1
    assert runs[0].name == "agentnb-test"
    assert runs[0].daemon


def test_wakes_during_a_run_become_one_more_run(background):
    running, gate, ran = threading.Event(), threading.Event(), threading.Semaphore(0)

    def run():
        running.set()
        assert gate.wait(LONG)
        ran.release()

    thread = background(run)
    thread.wake()
    assert running.wait(LONG)
    for _ in range(50):
        thread.wake()
    gate.set()
    assert ran.acquire(timeout=LONG)
    assert ran.acquire(timeout=LONG)
    assert not ran.acquire(timeout=0.1)


def test_wakes_within_the_delay_become_one_run(background):
    ran = threading.Semaphore(0)
    thread = background(ran.release, delay=0.3)
    for _ in range(5):
        thread.wake()
    assert ran.acquire(timeout=LONG)
    assert not ran.acquire(timeout=0.5)


def test_a_delayed_run_waits_for_its_time_and_stop_ends_the_wait(background):
    ran = threading.Event()
    thread = background(ran.set, delay=LONG)
    thread.wake()
    assert not ran.wait(0.2)
    assert thread.stop(LONG)
    assert not ran.is_set()


def test_every_thing_is_seen_by_a_run_after_its_wake(background):
    waiting, seen, done = [], [], threading.Event()

    def run():
        while waiting:
            seen.append(waiting.pop())
        if len(seen) == 4_000:
            done.set()

    thread = background(run, linger=0.0)

    def put():
        for number in range(1_000):
            waiting.append(number)
            thread.wake()

    putting = [threading.Thread(target=put) for _ in range(4)]
    for one in putting:
        one.start()
    for one in putting:
        one.join(LONG)
    assert done.wait(LONG)


def test_the_function_runs_again_after_the_seconds_that_it_returns(background):
    ran = threading.Semaphore(0)
    pauses = iter([0.0, 0.01, None])

    def run():
        ran.release()
        return next(pauses)

    background(run).wake()
    for _ in range(3):
        assert ran.acquire(timeout=LONG)
    assert not ran.acquire(timeout=0.1)


def test_a_thread_that_lingered_long_enough_ends_and_the_next_wake_starts_another(background):
    runs, ran = [], threading.Semaphore(0)

    def run():
        runs.append(threading.current_thread())
        ran.release()

    thread = background(run, linger=0.0)
    thread.wake()
    assert ran.acquire(timeout=LONG)
    runs[0].join(LONG)
    assert not thread.alive
    thread.wake()
    assert ran.acquire(timeout=LONG)
    assert runs[0] is not runs[1]


def test_stop_ends_a_pause_and_nothing_runs_after_it(background):
    running, paused = threading.Event(), []
    runs = []

    def run():
        runs.append(1)
        running.set()
        paused.append(thread.pause(LONG))
        return LONG

    thread = background(run)
    thread.wake()
    assert running.wait(LONG)
    assert thread.stop(LONG)
    assert paused == [False]
    assert thread.stopping
    thread.wake()
    assert not thread.alive
    assert runs == [1]
    running.clear()
    thread.start()
    assert running.wait(LONG)


@pytest.mark.parametrize(("finish", "expected"), [(False, 1), (True, 2)])
def test_a_run_that_was_asked_for_comes_before_the_end_if_it_is_to_finish(
    background, finish, expected
):
    running, gate, runs = threading.Event(), threading.Event(), []

    def run():
        runs.append(1)
        running.set()
        assert gate.wait(LONG)

    thread = background(run)
    thread.wake()
    assert running.wait(LONG)
    thread.wake()
    assert thread.stop(0.01, finish=finish) is False
    gate.set()
    assert thread.stop(LONG, finish=finish)
    assert len(runs) == expected


def test_stop_does_not_wait_for_itself_nor_longer_than_it_is_told(background):
    stopped, running, gate = [], threading.Event(), threading.Event()

    def run():
        stopped.append(thread.stop(LONG))

    thread = background(run)
    thread.wake()
    held = background(lambda: (running.set(), gate.wait(LONG), 0.0)[-1])
    held.wake()
    assert running.wait(LONG)
    assert held.stop(0.01) is False
    gate.set()
    assert held.stop(LONG)
    assert thread.stop(LONG)
    assert stopped == [True]


def test_an_unexpected_error_is_logged_once_and_the_thread_goes_on(background, caplog):
    ran = threading.Semaphore(0)

    def run():
        ran.release()
        raise RuntimeError("broken")

    log = logging.getLogger("agentnb.test")
    thread = background(run, log=log)
    with caplog.at_level(logging.INFO, logger="agentnb.test"):
        for _ in range(3):
            thread.wake()
            assert ran.acquire(timeout=LONG)
    assert thread.stop(LONG)
    assert [record.message for record in caplog.records] == ["agentnb-test failed, and tries again"]
    assert "broken" in caplog.text


def test_a_failed_run_follows_again_by_itself(background, monkeypatch):
    monkeypatch.setattr("agentnb.core.background._FIRST_PAUSE", 0.01)
    done, failures = threading.Event(), [OSError("one"), OSError("two")]

    def run():
        if failures:
            raise failures.pop()
        done.set()

    background(run, log=logging.getLogger("agentnb.test")).wake()
    assert done.wait(LONG)


def test_the_garbage_collector_may_wake_it_while_it_wakes(background):
    ran = threading.Event()
    thread = background(ran.set)
    with thread._lock:
        thread.wake()
        thread.wake()
    assert ran.wait(LONG)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_starts_a_thread_of_its_own_and_stops_at_once(background):
    running, gate = threading.Event(), threading.Event()

    def run():
        running.set()
        gate.wait(LONG)

    thread = background(run)
    thread.wake()
    assert running.wait(LONG)
    thread.wake()
    child = os.fork()
    if child == 0:
        good = not thread.alive
        running.clear()
        gate.set()
        thread.wake()
        good = good and running.wait(60) and thread.alive and thread.stop(60)
        os._exit(0 if good else 1)
    gate.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert thread.alive


def test_a_call_in_a_thread_has_the_context_of_its_caller():
    name = contextvars.ContextVar("name", default="none")
    name.set("mine")

    def call(greeting):
        return greeting, name.get(), threading.current_thread().name

    found = run_in_thread(call, "hello", name="call").result(LONG)
    assert found == ("hello", "mine", "agentnb-call")


def test_an_error_of_a_call_in_a_thread_is_raised_where_it_is_asked_for(caplog):
    def call():
        raise LookupError("lost")

    log = logging.getLogger("agentnb.test")
    future = run_in_thread(call, name="call", log=log)
    with pytest.raises(LookupError, match="lost"):
        future.result(LONG)
    assert [record.message for record in caplog.records] == ["agentnb-call failed"]
