"""Calls that are awaited in threads, without an engine."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from agentnb.core.docker.threads import awaited

NUMBER = contextvars.ContextVar("NUMBER", default=0)


def test_a_call_in_a_thread_has_the_callers_context_and_its_errors():
    async def main():
        NUMBER.set(7)
        assert await awaited(NUMBER.get) == 7
        with pytest.raises(ZeroDivisionError):
            await awaited(lambda: 1 / 0)
        # More at once than a loop has threads of its own.
        gate = threading.Barrier(50, timeout=30)
        assert len(set(await asyncio.gather(*(awaited(gate.wait) for _ in range(50))))) == 50

    asyncio.run(main())


def test_a_cancelled_call_is_undone_until_it_ends_and_once_more_after_it():
    async def main():
        begun, end, undone = threading.Event(), threading.Event(), []

        def undo():
            undone.append(end.is_set())
            if len(undone) > 1:
                end.set()

        call = asyncio.create_task(awaited(lambda: (begun.set(), end.wait(30)), undo))
        await asyncio.to_thread(begun.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert undone[:2] == [False, False]
        assert undone[-1]

    asyncio.run(main())


def test_a_call_that_is_cancelled_twice_ends_without_a_word():
    begun, end, ended = threading.Event(), threading.Event(), threading.Event()

    def undo():
        end.wait(30)
        ended.set()

    async def main():
        call = asyncio.create_task(awaited(lambda: (begun.set(), end.wait(30)), undo))
        await asyncio.to_thread(begun.wait)
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0.1)
        assert call.cancelled()

    asyncio.run(main())
    end.set()
    assert ended.wait(30)
    for thread in threading.enumerate():
        if thread.name == "agentnb-docker":
            thread.join(30)
