"""Many units are awaited by one thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading

import pytest

from agentnb.core.errors import UnavailableError
from agentnb.core.work.watcher import Watcher


class Ends:
    """Units that end when a test says so."""

    def __init__(self):
        self.outcomes = {}
        self.error = None
        self.threads = set()
        self._changed = threading.Condition()
        self._woken = False

    def end(self, unit, outcome):
        with self._changed:
            self.outcomes[unit] = outcome
            self._changed.notify_all()

    def wake(self):
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def look(self, units):
        self.threads.add(threading.current_thread())
        with self._changed:
            self._changed.wait_for(
                lambda: self._woken or self.error or set(units) & set(self.outcomes), 5
            )
            self._woken = False
            if self.error is not None:
                raise self.error
            return [(unit, self.outcomes[unit]) for unit in units if unit in self.outcomes]


@pytest.fixture
def ends():
    return Ends()


@pytest.fixture
def watcher(ends):
    made = Watcher(ends.look, wake=ends.wake, name="watcher", log=logging.getLogger("test"))
    yield made
    made.stop()


async def soon(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a condition of another thread
            await asyncio.sleep(0.01)


def test_a_thousand_awaited_units_hold_one_thread_and_leave_room_for_others(ends, watcher):
    async def main():
        waits = [asyncio.ensure_future(watcher.outcome(f"u{n}")) for n in range(1000)]
        await soon(lambda: len(watcher._awaited) == 1000)
        ends.end("other", "quick")
        assert await watcher.outcome("other") == "quick"
        assert await asyncio.to_thread(lambda: "room") == "room"
        for number in range(1000):
            ends.end(f"u{number}", number)
        assert await asyncio.gather(*waits) == list(range(1000))

    asyncio.run(main())
    assert len(ends.threads) == 1


def test_two_who_await_one_unit_are_both_told(ends, watcher):
    async def main():
        waits = [asyncio.ensure_future(watcher.outcome("a")) for _ in range(2)]
        await soon(lambda: len(watcher._awaited.get("a", ())) == 2)
        ends.end("a", 1)
        return await asyncio.gather(*waits)

    assert asyncio.run(main()) == [1, 1]


def test_a_wait_that_is_over_leaves_nothing_behind(ends, watcher):
    async def main():
        with pytest.raises(TimeoutError):
            await watcher.outcome("a", 0.05)
        waiting = asyncio.ensure_future(watcher.outcome("b"))
        await soon(lambda: "b" in watcher._awaited)
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(main())
    assert watcher._awaited == {}


def test_a_server_that_is_away_is_said_to_all_who_wait(ends, watcher):
    async def main():
        waits = [asyncio.ensure_future(watcher.outcome(name)) for name in "ab"]
        await soon(lambda: len(watcher._awaited) == 2)
        ends.error = UnavailableError("away", service="work")
        ends.wake()
        return await asyncio.gather(*waits, return_exceptions=True)

    assert [str(error) for error in asyncio.run(main())] == ["away", "away"]


def test_an_error_that_comes_too_late_is_said_to_nobody(ends, watcher):
    heard = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
        with watcher.awaiting("a") as one:
            assert not await one.within(0.05)
            ends.error = UnavailableError("away", service="work")
            ends.wake()
            await soon(one._outcome.done)
        del one
        ends.error = None  # its traceback leads to the future
        watcher.stop()
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert heard == []


def test_a_forked_child_leaves_the_outcomes_of_its_parent_alone(ends, watcher):
    watcher.watch("parent")
    pid = os.fork()
    if not pid:
        code = 1
        try:
            ends.outcomes = {"child": 1}
            found = watcher.watch("child").result(10)
            code = 0 if found == 1 and "parent" not in watcher._awaited else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_stop_cancels_what_is_awaited(ends, watcher):
    future = watcher.watch("a")
    watcher.stop()
    assert future.cancelled()
