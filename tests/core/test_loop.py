from __future__ import annotations

import asyncio
import contextvars
import os
import threading

import pytest

from agentnb.core.errors import UsageError
from agentnb.core.loop import LoopThread


@pytest.fixture
def loop():
    made = LoopThread()
    yield made
    made.close()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "agentnb-loop"]


def test_a_plain_function_is_called_where_the_caller_is(loop):
    assert loop.call(threading.current_thread) is threading.current_thread()
    assert threads() == []


def test_a_coroutine_function_runs_to_its_end_on_a_thread_of_its_own(loop):
    async def where(value):
        await asyncio.sleep(0)
        return value, threading.current_thread().name

    assert loop.call(where, 7) == (7, "agentnb-loop")
    assert loop.call(where, 8)[0] == 8
    assert len(threads()) == 1


def test_it_works_where_a_loop_runs_already(loop):
    async def inner():
        return 1

    async def main():
        return loop.call(inner)

    assert asyncio.run(main()) == 1


def test_an_error_reaches_the_caller(loop):
    async def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        loop.call(fail)


def test_the_callers_context_is_seen(loop):
    variable = contextvars.ContextVar("variable", default=0)
    variable.set(5)

    async def read():
        await asyncio.sleep(0)
        return variable.get()

    assert loop.call(read) == 5


def test_a_call_from_the_loop_itself_is_an_error_and_no_deadlock(loop):
    async def inner():
        return 1

    async def outer():
        return loop.call(inner)

    with pytest.raises(UsageError) as caught:
        loop.call(outer)
    assert "await" in caught.value.hint
    assert loop.call(inner) == 1


def test_closing_cancels_what_still_runs_and_ends_the_thread(loop):
    seen = []

    async def start():
        async def forever():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        loop.kept = asyncio.create_task(forever())
        await asyncio.sleep(0)

    loop.call(start)
    loop.close()
    loop.close()
    assert seen == ["cancelled"]
    assert threads() == []


def test_a_closed_loop_starts_anew(loop):
    async def one():
        return 1

    assert loop.call(one) == 1
    loop.close()
    assert loop.call(one) == 1


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_coroutine_that_wants_to_end_the_process_does_not_end_the_loop(loop, error):
    async def leave():
        raise error

    async def one():
        return 1

    with pytest.raises(error):
        loop.call(leave)
    assert loop.call(one) == 1


def test_closing_from_the_loop_itself_does_not_hang(loop):
    async def close():
        loop.close()
        return "said"

    assert loop.call(close) == "said"
    for thread in threads():
        thread.join(30)
    assert threads() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own(loop):
    async def one():
        return 1

    assert loop.call(one) == 1
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if loop.call(one) == 1 else 1)
        finally:
            os._exit(2)
    killer = threading.Timer(30, lambda: os.kill(child, 9))
    killer.start()
    _, status = os.waitpid(child, 0)
    killer.cancel()
    assert os.waitstatus_to_exitcode(status) == 0
