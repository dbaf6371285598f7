"""Awaited twins: the same method, in the service's threads."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import typing

import pytest

from agentnb.core import callthreads
from agentnb.core.callthreads import CallThreads
from agentnb.core.delegate import delegate
from agentnb.core.errors import DeadlineExceeded, UsageError
from agentnb.core.twins import await_method, iterate, on_loop, twin

LONG = 30


class Part:
    def text(self, value: int, *, sign: str = "+") -> str:
        """Return a number with a sign."""
        return f"{sign}{value}"


class Service:
    """A service with one thread."""

    def __init__(self) -> None:
        self._call_threads = CallThreads("example", limit=1)
        self._part = Part()
        self.gate = threading.Event()

    def add(self, one: int, other: int = 1, *, times: int = 1) -> int:
        """Return a sum."""
        return (one + other) * times

    def fail(self) -> None:
        raise UsageError("no", service="example")

    def thread(self) -> str:
        return threading.current_thread().name

    def wait(self, timeout: float | None = None) -> float | None:
        self.gate.wait(LONG)
        return timeout

    def keep(self, *, timeout: float | None = None) -> float | None:
        return timeout

    text = delegate("_part", Part.text)
    aadd, afail, athread, atext = twin(add), twin(fail), twin(thread), twin(text)
    await_, akeep = twin(wait), twin(keep)


def test_a_twin_takes_the_arguments_of_its_method_and_returns_its_result():
    assert asyncio.run(Service().aadd(2, other=3, times=4)) == 20


def test_a_twin_raises_the_error_of_its_method():
    with pytest.raises(UsageError, match="no"):
        asyncio.run(Service().afail())


def test_a_twin_runs_in_a_thread_of_the_service():
    assert asyncio.run(Service().athread()) == "agentnb-example"


def test_a_twin_of_a_delegate_calls_the_part():
    assert asyncio.run(Service().atext(4, sign="-")) == "-4"


def test_a_twin_calls_what_a_subclass_made_of_the_method():
    class Other(Service):
        def add(self, one: int, other: int = 1, *, times: int = 1) -> int:
            return -(one * other * times)

    assert asyncio.run(Other().aadd(2)) == -2


def test_a_twin_shows_the_signature_hints_and_name_of_its_method():
    assert inspect.signature(Service.aadd) == inspect.signature(Service.add)
    assert typing.get_type_hints(Service.aadd) == typing.get_type_hints(Service.add)
    assert inspect.iscoroutinefunction(Service.aadd)
    assert (Service.aadd.__name__, Service.aadd.__qualname__) == ("aadd", "Service.aadd")
    assert Service.aadd.__module__ == __name__
    assert Service.aadd.__doc__ is not None
    assert Service.aadd.__doc__.startswith("Await `add`.\n")
    assert inspect.signature(Service.atext) == inspect.signature(Part.text)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_timeout_counts_from_the_call_while_no_thread_is_free(by_name):
    service = Service()

    async def main() -> None:
        first = asyncio.create_task(service.await_())
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded, match=r"after 0\.05 s .*\(1 at once\)") as caught:
            await (service.await_(timeout=0.05) if by_name else service.await_(0.05))
        assert caught.value.service == "example"
        assert "timeout=" in (caught.value.hint or "")
        service.gate.set()
        assert await first is None

    asyncio.run(main())


@pytest.mark.parametrize("by_name", [False, True])
def test_a_method_gets_the_rest_of_its_timeout(by_name):
    service = Service()

    async def main() -> None:
        assert await service.akeep(timeout=5) == 5  # a free thread: as it was given
        first = asyncio.create_task(service.await_())
        await asyncio.sleep(0)
        later = service.await_(timeout=60) if by_name else service.await_(60)
        second = asyncio.create_task(later)
        await asyncio.sleep(0.7)
        service.gate.set()
        await first
        left = await second
        assert left is not None
        assert 0 < left <= 59.3

    asyncio.run(main())


def test_a_timeout_that_is_none_is_left_to_the_method():
    async def main() -> None:
        assert await Service().akeep(timeout=None) is None
        assert await Service().akeep(timeout=-1) == -1
        assert await Service().akeep(timeout="soon") == "soon"  # type: ignore[arg-type]

    asyncio.run(main())


def test_a_twin_written_by_hand_calls_a_bound_method():
    service = Service()
    assert asyncio.run(await_method(service, service.add, 3, times=2)) == 8


def test_a_coroutine_function_given_to_a_twin_runs_on_the_callers_loop():
    async def loop_of() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def main() -> bool:
        given = on_loop(loop_of)
        return await CallThreads("example", limit=1).call(given) is asyncio.get_running_loop()

    assert asyncio.run(main())
    assert on_loop(len) is len


def test_an_iterator_that_is_cancelled_while_it_closes_leaves_no_thread(monkeypatch):
    monkeypatch.setattr(callthreads, "_LINGER_SECONDS", 600.0)
    threads = CallThreads("iterated", limit=1)

    async def main():
        items = iterate(threads, (n for n in range(3)))
        assert await anext(items) == 0
        closing = asyncio.create_task(items.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    asyncio.run(main())
    deadline = time.monotonic() + 30
    while threads.count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
