from __future__ import annotations

import asyncio
import threading

import pytest

from agentnb.core.callthreads import CallThreads
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


def test_a_statement_of_a_call_that_was_cancelled_before_is_stopped(timeouts):
    threads, stopped = CallThreads("db", 1), threading.Event()
    begun, go_on = threading.Event(), threading.Event()

    def work():
        begun.set()
        assert go_on.wait(10)
        with timeouts.watch(Watch(Deadline(None)), stopped.set):
            assert stopped.wait(10)

    async def main():
        task = asyncio.create_task(threads.run(work, finish=True))
        while not begun.is_set():  # noqa: ASYNC110 - it is set in a thread
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.sleep(0.02)
        go_on.set()
        await asyncio.wait({task})

    asyncio.run(main())
    threads.close()
    assert stopped.is_set()


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
