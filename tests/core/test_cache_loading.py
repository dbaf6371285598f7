"""A value is loaded once, however many want it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import pytest

from agentnb.core.errors import DeadlineExceeded, UsageError

WAYS = ("", ", async")
user = contextvars.ContextVar("user", default="nobody")


def lock_of_name(cache, key):
    return cache._names.lock(key)


def lock_of(cache, key):
    return cache._redis.get(lock_of_name(cache, key))


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


def test_a_value_that_json_would_change_comes_back_as_it_was(cache):
    for _ in range(2):
        assert cache.get_or_set("pair", lambda: (1, {2})) == (1, {2})
        assert cache.get_or_set("typed", lambda: (1, 2), type=tuple[int, int]) == (1, 2)
    with pytest.raises(UsageError, match="cannot be stored"):
        cache.get_or_set("object", object)


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


async def _loaded(cache, way):
    """Load the user's name in one of the ways that there are."""

    def load():
        return user.get()

    async def aload():
        await asyncio.sleep(0)
        return user.get()

    ways = {
        "get_or_set": lambda: cache.get_or_set("k", load),
        "get_or_set, async": lambda: cache.get_or_set("k", aload),
        "aget_or_set": lambda: cache.aget_or_set("k", load),
        "aget_or_set, async": lambda: cache.aget_or_set("k", aload),
        "cached": cache.cached(key="k")(load),
        "cached, async": cache.cached(key="k")(aload),
    }
    found = ways[way]()
    return await found if asyncio.iscoroutine(found) else found


@pytest.mark.parametrize(
    "way", [f"{way}{kind}" for way in ("get_or_set", "aget_or_set", "cached") for kind in WAYS]
)
def test_a_loader_has_the_context_of_its_caller(cache, way):
    user.set("ada")
    assert asyncio.run(_loaded(cache, way)) == "ada"


@pytest.mark.parametrize("way", ["get_or_set", "aget_or_set"])
def test_a_loader_that_needs_arguments_is_a_wrong_argument(cache, way):
    with pytest.raises(UsageError, match="loader is called with nothing: missing") as caught:
        found = getattr(cache, way)("k", lambda user: user)
        asyncio.run(found)
    assert "lambda: load(7)" in caught.value.hint


def test_an_error_of_a_loader_that_can_be_called_is_raised_as_it_is(cache):
    def load():
        return len(7)

    with pytest.raises(TypeError, match="has no len"):
        cache.get_or_set("k", load)


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


def test_a_call_after_a_failure_loads_again(cache):
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
    said = cache._redis.get(cache._names.failure("k"))
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


@pytest.mark.parametrize("late", ["call", "answer"])
def test_one_who_is_cancelled_while_taking_the_lock_gives_it_back(make_cache, late):
    cache = make_cache()
    acquire = cache._store.acquire
    begun = threading.Event()

    def slowly(*args, **options):
        if late == "call":
            begun.set()
            time.sleep(0.3)
        state = acquire(*args, **options)
        begun.set()
        time.sleep(0.3)
        return state

    cache._store.acquire = slowly

    async def story():
        task = asyncio.create_task(cache.aget_or_set("k", lambda: 1))
        while not begun.is_set():  # noqa: ASYNC110 - of another thread
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    time.sleep(0.4)
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


def through_a_pool(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def through_the_end_of_a_pool(call):
    outcome = []
    with ThreadPoolExecutor(1) as pool:
        outcome.append(pool.submit(call))
    return outcome[0].result()


def through_a_map(call):
    with ThreadPoolExecutor(1) as pool:
        return list(pool.map(lambda _: call(), [1]))


def through_wait(call):
    with ThreadPoolExecutor(1) as pool:
        (done,), _ = wait([pool.submit(call)])
        return done.result()


def through_as_completed(call):
    with ThreadPoolExecutor(1) as pool:
        return [done.result() for done in as_completed([pool.submit(call)])]


def through_a_thread(call):
    outcome = []

    def run():
        try:
            outcome.append(call())
        except UsageError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if isinstance(outcome[0], UsageError):
        raise outcome[0]
    return outcome[0]


def through_two_pools(call):
    return through_a_pool(lambda: through_a_pool(call))


def through_a_loop(call):
    return asyncio.run(asyncio.to_thread(call))


async def in_an_executor(call):
    return await asyncio.get_running_loop().run_in_executor(None, call)


async def in_an_executor_of_many(call):
    loop = asyncio.get_running_loop()
    return await asyncio.gather(loop.run_in_executor(None, call), asyncio.sleep(0))


async def in_an_executor_for_a_time(call):
    return await asyncio.wait_for(in_an_executor(call), 60)


async def in_a_pool_of_an_executor(call):
    return await in_an_executor(lambda: through_a_pool(call))


@pytest.mark.parametrize(
    "through",
    [
        *(in_an_executor, in_an_executor_of_many, in_an_executor_for_a_time),
        in_a_pool_of_an_executor,
    ],
)
@pytest.mark.parametrize("awaited", [False, True])
def test_a_coroutine_that_waits_for_its_own_key_in_a_thread_ends(make_cache, through, awaited):
    cache = make_cache(wait_seconds=30)

    async def load():
        return await through(lambda: cache.get_or_set("k", lambda: 1))

    with pytest.raises(UsageError, match="asks for 'k' itself"):
        asyncio.run(cache.aget_or_set("k", load)) if awaited else cache.get_or_set("k", load)


@pytest.mark.parametrize(
    "through",
    [
        *(through_a_pool, through_the_end_of_a_pool, through_a_map, through_wait),
        *(through_as_completed, through_a_thread, through_two_pools, through_a_loop),
    ],
)
def test_a_loader_that_waits_for_its_own_key_in_another_thread_ends(make_cache, through):
    cache = make_cache(wait_seconds=30)
    with pytest.raises(UsageError, match="asks for 'k' itself"):
        cache.get_or_set("k", lambda: through(lambda: cache.get_or_set("k", lambda: 1)))
    assert cache.get_or_set("k", lambda: "after") == "after"


def test_loaders_that_wait_for_each_other_over_threads_end(make_cache):
    cache = make_cache(wait_seconds=30)

    def first():
        return through_a_pool(lambda: cache.get_or_set("b", second))

    def second():
        return through_a_pool(lambda: cache.get_or_set("a", first))

    with pytest.raises(UsageError, match="itself"):
        cache.get_or_set("a", first)


def test_two_calls_that_load_what_the_other_waits_for_end(make_cache, together):
    cache = make_cache(wait_seconds=30)
    both = threading.Barrier(2, timeout=10)
    turns = iter(["ab", "ba"])

    def call():
        mine, other = next(turns)

        def load():
            both.wait()
            return cache.get_or_set(other, lambda: other)

        return cache.get_or_set(mine, load)

    _, errors = together(2, call)
    assert {type(error) for error in errors} == {UsageError}


def test_tasks_that_load_what_the_other_waits_for_end(make_cache):
    cache = make_cache(wait_seconds=30)

    async def call(mine, other, both):
        async def load():
            await both.wait()
            return await cache.aget_or_set(other, lambda: other)

        return await cache.aget_or_set(mine, load)

    async def all_of_them():
        both = asyncio.Barrier(2)
        calls = (call("a", "b", both), call("b", "a", both))
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(all_of_them())
    assert UsageError in map(type, outcomes)


def test_a_task_of_a_loader_that_asks_for_its_key_ends(cache):
    async def load():
        return await asyncio.gather(cache.aget_or_set("k", lambda: 1))

    with pytest.raises(UsageError, match="asks for 'k' itself"):
        asyncio.run(cache.aget_or_set("k", load))


def test_a_call_waits_for_a_loader_of_another_process_for_a_time_only(make_cache, shared_redis):
    cache = make_cache(wait_seconds=0.3)
    shared_redis.set(lock_of_name(cache, "k"), "another's", px=60_000)
    with pytest.raises(DeadlineExceeded, match=r"for more than 0\.3 s") as caught:
        cache.get_or_set("k", lambda: 1)
    assert "AGENTNB_CACHE_WAIT" in caught.value.hint
    assert shared_redis.get(lock_of_name(cache, "k")) == b"another's"


def test_a_call_waits_for_a_loader_that_waits_for_other_threads(cache, together):
    def load():
        return through_a_pool(lambda: time.sleep(1) or "value")

    outcome, errors = together(4, lambda: cache.get_or_set("k", load))
    assert (outcome, errors) == (["value"] * 4, [])


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
