"""A value is loaded once, however many want it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
import weakref

import pytest

from agentnb.core.errors import UsageError


def lock_of(cache, key):
    return cache.redis.get(cache.names.lock(key))


def test_miss_and_hit_return_the_same_and_no_caller_shares_it(cache):
    made = {"a": [1]}
    miss, hit = (cache.get_or_set("k", lambda: made) for _ in range(2))
    assert miss == hit == made
    assert miss is not made
    made["a"].append(2)
    miss["a"].append(3)
    assert cache.get("k") == hit == {"a": [1]}


def test_none_is_loaded_once(cache):
    runs = []

    def load():
        runs.append(1)

    for _ in range(3):
        assert cache.get_or_set("none", load) is None
    assert runs == [1]


def test_a_value_that_would_change_is_an_error_unless_the_type_is_told(cache):
    with pytest.raises(UsageError, match="a tuple would come back as a list"):
        cache.get_or_set("pair", lambda: (1, 2))
    for _ in range(2):
        assert cache.get_or_set("pair", lambda: (1, 2), type=tuple[int, int]) == (1, 2)


def test_many_threads_load_once(cache, together):
    runs = []

    def load():
        runs.append(1)
        time.sleep(0.2)
        return len(runs)

    results, errors = together(16, lambda: cache.get_or_set("k", load))
    assert (runs, results, errors) == ([1], [1] * 16, [])
    assert lock_of(cache, "k") is None


def test_many_tasks_load_once(cache):
    runs = []

    async def load():
        runs.append(1)
        await asyncio.sleep(0.2)
        return "value"

    async def all_of_them():
        return await asyncio.gather(*(cache.aget_or_set("k", load) for _ in range(16)))

    assert asyncio.run(all_of_them()) == ["value"] * 16
    assert runs == [1]


def test_who_waits_and_who_awaits_load_once_together(cache, together):
    runs = []

    async def load():
        runs.append(1)
        await asyncio.sleep(0.2)
        return "value"

    async def some():
        return await asyncio.gather(*(cache.aget_or_set("k", load) for _ in range(4)))

    calls = iter([lambda: asyncio.run(some()), lambda: cache.get_or_set("k", load)] * 2)

    def call_next():
        return next(calls)()

    _, errors = together(4, call_next)
    assert (runs, errors) == ([1], [])


def test_a_plain_function_may_be_awaited(cache):
    assert asyncio.run(cache.aget_or_set("k", lambda: 1)) == 1


def test_threads_share_the_failure_of_the_one_loader(cache, together):
    runs = []

    def load():
        runs.append(1)
        time.sleep(0.2)
        raise ZeroDivisionError("no rates today")

    _, errors = together(16, lambda: cache.get_or_set("k", load))
    assert runs == [1]
    assert len(errors) == 16
    assert len({id(error) for error in errors}) == 1
    assert isinstance(errors[0], ZeroDivisionError)


def test_whoever_comes_after_a_failure_loads_again(cache):
    def fail():
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            cache.get_or_set("k", fail)
    assert cache.get_or_set("k", lambda: "better") == "better"


def test_what_a_failure_says_stands_on_the_server_short_and_without_secrets(cache):
    def fail():
        raise RuntimeError("no rates at postgres://u:hunter22@host/d" + "x" * 100_000)

    with pytest.raises(RuntimeError):
        cache.get_or_set("k", fail)
    said = cache.redis.get(cache.names.failure("k"))
    assert b"no rates" in said
    assert b"hunter22" not in said
    assert len(said) < 5000


def test_a_failure_is_not_kept_after_all_have_heard_of_it(cache):
    class Large:
        pass

    seen = []

    def fail():
        large = Large()  # a variable of a frame that the exception holds on to
        seen.append(weakref.ref(large))
        raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        cache.get_or_set("k", fail)
    gc.collect()
    assert seen[0]() is None


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_loader_lets_another_load(cache, interrupt):
    def load():
        raise interrupt

    with pytest.raises(interrupt):
        cache.get_or_set("k", load)
    assert lock_of(cache, "k") is None
    assert cache.get_or_set("k", lambda: "loaded") == "loaded"


def test_a_cancelled_loader_lets_another_load(cache):
    async def story():
        begun = asyncio.Event()

        async def load():
            begun.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(cache.aget_or_set("k", load))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lock_of(cache, "k") is None
        return await cache.aget_or_set("k", lambda: "loaded")

    assert asyncio.run(story()) == "loaded"


def test_one_who_is_cancelled_while_taking_the_lock_gives_it_back(make_cache):
    cache = make_cache()
    take = cache.store.take

    def slowly(*args, **options):
        state = take(*args, **options)
        time.sleep(0.3)
        return state

    cache.store.take = slowly

    async def story():
        task = asyncio.create_task(cache.aget_or_set("k", lambda: 1))
        while lock_of(cache, "k") is None:  # noqa: ASYNC110 - it is the server that knows
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert lock_of(cache, "k") is None


def test_the_lock_is_renewed_while_a_loader_takes_its_time(make_cache, together):
    cache = make_cache(lock_seconds=0.5)
    runs = []

    def load():
        runs.append(1)
        time.sleep(2)
        return "slow"

    results, errors = together(4, lambda: cache.get_or_set("k", load))
    assert (runs, results, errors) == ([1], ["slow"] * 4, [])


def test_a_loader_may_load_other_keys(cache):
    def outer():
        return [cache.get_or_set("inner", lambda: 1), 2]

    assert cache.get_or_set("outer", outer) == [1, 2]


def test_a_loader_that_asks_for_its_own_key_is_an_error_not_a_standstill(cache):
    with pytest.raises(UsageError, match="asks for 'k' itself"):
        cache.get_or_set("k", lambda: cache.get_or_set("k", lambda: 1))

    async def again():
        return await cache.aget_or_set("k", lambda: 1)

    with pytest.raises(UsageError, match="asks for 'k' itself"):
        cache.get_or_set("k", again)


def test_a_call_that_waits_on_the_loop_of_the_cache_is_an_error_not_a_standstill(cache):
    async def load():
        return cache.get_or_set("other", lambda: 1)

    with pytest.raises(UsageError, match="event loop"):
        cache.get_or_set("k", load)


@pytest.mark.parametrize("how", ["delete", "invalidate", "tag"])
def test_what_is_invalidated_while_it_loads_for_the_first_time_is_not_stored(cache, how):
    def load():
        if how == "delete":
            cache.delete("user:1")
        elif how == "invalidate":
            cache.invalidate("user:*")
        else:
            cache.invalidate_tags("users")
        return "old"

    assert cache.get_or_set("user:1", load, tags=["users"]) == "old"
    assert cache.get("user:1") is None
    assert cache.get_or_set("user:1", lambda: "new") == "new"


def test_the_thread_that_renews_ends_when_nothing_is_loaded(make_cache):
    cache = make_cache(lock_seconds=0.2)
    cache.get_or_set("k", lambda: 1)
    until = time.monotonic() + 10
    while any(thread.name == "agentnb-cache-locks" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.05)
