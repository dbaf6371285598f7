from __future__ import annotations

import threading

import pytest

from agentnb.core.db.backend import Watch
from agentnb.core.db.statement_timeouts import StatementTimeouts
from agentnb.core.resilience import Deadline


@pytest.fixture
def timeouts():
    timeouts = StatementTimeouts(0.05)
    yield timeouts
    timeouts.close()


def test_the_steps_are_taken_in_turn_once_the_time_is_over(timeouts):
    taken, over = [], threading.Event()
    with timeouts.watch(Watch(Deadline(0.05)), lambda: taken.append("cancel"), over.set):
        assert over.wait(10)
    assert taken == ["cancel"]


def test_a_watch_that_was_cancelled_before_there_was_an_timeouts_is_heard(timeouts):
    watch, heard = Watch(Deadline(None)), threading.Event()
    watch.cancel()
    with timeouts.watch(watch, heard.set):
        assert heard.wait(10)


def test_a_statement_that_has_ended_is_left_alone(timeouts):
    taken = []
    with timeouts.watch(Watch(Deadline(0.1)), lambda: taken.append("too late")):
        pass
    later = threading.Event()
    with timeouts.watch(Watch(Deadline(0.3)), later.set):
        assert later.wait(10)
    assert taken == []


def test_finished_statements_are_not_kept_until_their_time_comes(timeouts):
    for _ in range(2000):
        with timeouts.watch(Watch(Deadline(1000)), lambda: None):
            pass
    assert len(timeouts._heap) < 1000
