from __future__ import annotations

import threading

import pytest

from agentnb.panels.base.refresh import Refresher

LONG = 30


@pytest.fixture
def refreshers():
    made = []

    def make(work, **options):
        options.setdefault("report", lambda _: None)
        made.append(Refresher(work, **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_many_requests_during_a_run_become_one_more_run(refreshers):
    running, gate, ended = threading.Event(), threading.Event(), threading.Semaphore(0)
    runs = []

    def work():
        runs.append(threading.current_thread())
        running.set()
        assert gate.wait(LONG)

    refresher = refreshers(work, report=lambda _: ended.release())
    refresher.ask()
    assert running.wait(LONG)
    for _ in range(50):
        refresher.ask()
    gate.set()
    assert ended.acquire(timeout=LONG)
    assert ended.acquire(timeout=LONG)
    assert not ended.acquire(timeout=0.2)
    assert len(runs) == 2
    assert len(set(runs)) == 1


def test_a_failure_is_reported_and_the_next_run_comes_by_itself(refreshers):
    reports, recovered = [], threading.Event()

    def work():
        if len(reports) < 2:
            raise ConnectionError("gone")

    def report(error):
        reports.append(error)
        if error is None:
            recovered.set()

    refreshers(work, report=report, every=0.01).ask()
    assert recovered.wait(LONG)
    assert [type(each) for each in reports[:3]] == [ConnectionError, ConnectionError, type(None)]


def test_a_paused_refresher_runs_when_asked_and_only_then(refreshers):
    ended = threading.Semaphore(0)
    refresher = refreshers(lambda: None, report=lambda _: ended.release(), every=0.01)
    refresher.pause()
    refresher.ask()
    assert ended.acquire(timeout=LONG)
    assert not ended.acquire(timeout=0.2)
    refresher.pause(paused=False)
    assert ended.acquire(timeout=LONG)


def test_what_nobody_wants_to_see_is_not_refreshed(refreshers):
    ended = threading.Semaphore(0)
    refresher = refreshers(
        lambda: None, report=lambda _: ended.release(), every=0.01, due=lambda: False
    )
    refresher.ask()
    assert ended.acquire(timeout=LONG)
    assert not ended.acquire(timeout=0.2)
    assert refresher.parked


def test_a_view_that_comes_while_none_is_found_is_not_overlooked(refreshers):
    asked, gate, ended = threading.Event(), threading.Event(), threading.Semaphore(0)
    answers = [False]

    def due():
        if not answers:
            return True
        asked.set()
        assert gate.wait(LONG)
        return answers.pop()

    refresher = refreshers(lambda: None, report=lambda _: ended.release(), every=0.01, due=due)
    refresher.ask()
    assert ended.acquire(timeout=LONG)
    assert asked.wait(LONG)
    comes = threading.Thread(target=lambda: refresher.park(parked=False))
    comes.start()
    comes.join(0.2)
    gate.set()
    comes.join(LONG)
    assert ended.acquire(timeout=LONG)
    assert not refresher.parked


def test_stopping_does_not_wait_for_a_run_that_hangs(refreshers):
    running, gate, reports = threading.Event(), threading.Event(), []

    def work():
        running.set()
        gate.wait(LONG)

    refresher = refreshers(work, report=reports.append)
    refresher.ask()
    assert running.wait(LONG)
    refresher.stop()
    refresher.stop()
    assert refresher.alive
    gate.set()
    assert refresher._thread.stop(LONG)
    assert not refresher.alive
    assert reports == []


def test_a_refresher_that_was_stopped_is_not_started_again(refreshers):
    refresher = refreshers(lambda: None)
    refresher.stop()
    refresher.ask()
    assert not refresher.alive


@pytest.mark.parametrize(
    ("every", "waits"),
    [(2.0, [2, 4, 8, 16, 32, 60, 60]), (None, [5, 10, 20, 40, 60, 60]), (90.0, [90, 90])],
)
def test_the_pause_doubles_with_each_failure_up_to_a_minute(refreshers, every, waits):
    refresher = refreshers(lambda: None, every=every)
    found = []
    for failures in range(1, len(waits) + 1):
        refresher._failures = failures
        found.append(refresher._delay())
    assert found == waits
    refresher._failures = 0
    assert refresher._delay() == every


def test_failures_are_counted_until_one_run_succeeds(refreshers):
    counted, ended = [], threading.Event()
    outcomes = [OSError("1"), OSError("2"), None, OSError("3"), None]

    def work():
        outcome = outcomes[len(counted)]
        if outcome:
            raise outcome

    def report(_):
        counted.append(refresher._failures)
        if len(counted) == len(outcomes):
            refresher.pause()
            ended.set()

    refresher = refreshers(work, report=report, every=0.001)
    refresher.ask()
    assert ended.wait(LONG)
    assert counted == [1, 2, 0, 1, 0]
