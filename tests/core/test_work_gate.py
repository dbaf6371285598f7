"""A unit whose worker died beside others runs alone, but nobody waits for ever."""

from __future__ import annotations

import threading
import time

import pytest

from agentnb.core.work import gate
from agentnb.core.work.gate import Gate, Pass


@pytest.fixture
def entering():
    """Return what lets a thread enter as one that runs alone, and gives its pass in a list."""
    threads = []

    def enter(door, **options):
        passes = []
        run = lambda: passes.append(door.enter(alone=True, **options))  # noqa: E731 - a thread's
        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return passes

    yield enter
    for thread in threads:
        thread.join(20)


def test_many_run_beside_each_other():
    door = Gate()
    assert [door.enter(alone=False) for _ in range(3)] == [Pass.BESIDE] * 3
    assert door.is_open


def test_one_that_runs_alone_waits_for_those_that_run(entering, until):
    door = Gate()
    others = [door.enter(alone=False) for _ in range(2)]
    passes = entering(door)
    until(lambda: not door.is_open)
    door.leave(others[0])
    assert passes == []
    door.leave(others[1])
    assert until(lambda: passes) == [Pass.ALONE]


def test_a_claim_on_its_way_is_admitted_before_and_put_back_after_the_one_has_begun(
    entering, until
):
    door = Gate()
    first = door.enter(alone=False)
    passes = entering(door)
    until(lambda: not door.is_open)
    second = door.enter(alone=False)
    assert second is Pass.BESIDE
    door.leave(first)
    assert passes == []
    door.leave(second)
    until(lambda: passes)
    assert door.enter(alone=False) is None


def test_two_that_are_to_run_alone_do_so_one_after_the_other():
    door = Gate()
    ticket = door.enter(alone=True)
    assert ticket is Pass.ALONE
    assert door.enter(alone=True) is None
    assert not door.is_open
    door.leave(ticket)
    assert door.is_open
    assert door.enter(alone=True) is Pass.ALONE


def test_all_join_one_that_has_had_its_time(monkeypatch, until):
    monkeypatch.setattr(gate, "ALONE_SECONDS", 0.05)
    door = Gate()
    ticket = door.enter(alone=True)
    assert not door.wait_open(0.0)
    assert door.wait_open(10)
    passes = [door.enter(alone=False), door.enter(alone=True)]
    assert passes == [Pass.BESIDE] * 2
    door.leave(ticket)
    for one in passes:
        door.leave(one)
    monkeypatch.setattr(gate, "ALONE_SECONDS", 60.0)
    assert door.enter(alone=True) is Pass.ALONE, "nobody is counted as running by now"


def test_one_that_is_to_run_alone_begins_beside_others_that_take_too_long(monkeypatch):
    monkeypatch.setattr(gate, "ALONE_SECONDS", 0.05)
    door = Gate()
    door.enter(alone=False)
    assert door.enter(alone=True) is Pass.ALONE


def test_who_waits_for_the_gate_is_woken_as_it_opens(until):
    door = Gate()
    ticket = door.enter(alone=True)
    opened = []
    thread = threading.Thread(target=lambda: opened.append(door.wait_open(60)))
    thread.start()
    door.leave(ticket)
    thread.join(20)
    assert opened == [True]


def test_a_worker_that_stops_turns_away_who_waits(entering, until):
    door = Gate()
    door.enter(alone=False)
    stopping = threading.Event()
    passes = entering(door, stopping=stopping.is_set)
    until(lambda: not door.is_open)
    stopping.set()
    door.recheck()
    assert until(lambda: passes) == [None]
    assert door.is_open


def test_one_that_runs_alone_waits_until_a_claim_on_its_way_is_put_back(entering, until):
    door = Gate()
    assert [door.begin_claim(), door.begin_claim()] == [True, True]  # its own, and another's
    passes = entering(door)
    until(lambda: not door.is_open)
    assert door.enter(alone=True) is None
    time.sleep(0.05)
    assert passes == []  # the unit of the other claim would die with it
    door.end_claim()
    assert until(lambda: passes) == [Pass.ALONE]
    assert not door.begin_claim()


def test_the_time_alone_begins_with_the_attempt_and_not_with_the_wait(entering, until, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(gate, "monotonic", lambda: now[0])
    door = Gate()
    other = door.enter(alone=False)
    passes = entering(door)
    until(lambda: not door.is_open)
    now[0] = gate.ALONE_SECONDS - 1
    door.leave(other)
    until(lambda: passes)
    now[0] = 2 * gate.ALONE_SECONDS - 2
    assert not door.is_open
    now[0] += 1
    assert door.is_open
