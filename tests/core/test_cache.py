"""Values by key: what is stored comes back, for as long as it was asked to be kept."""

from __future__ import annotations

import asyncio
import time

import pytest

import agentnb
from agentnb.core.errors import RejectedError, UsageError


def test_what_is_set_comes_back(cache):
    cache.set("rates", {"EUR": 1.1, "all": [1, None, True]})
    assert cache.get("rates") == {"EUR": 1.1, "all": [1, None, True]}


def test_a_key_that_is_not_there_gives_the_default(cache):
    assert cache.get("nothing") is None
    assert cache.get("nothing", 5) == 5


def test_none_is_a_value(cache):
    cache.set("none", None)
    assert cache.get("none", "default") is None
    assert cache.keys() == ["none"]


def test_a_value_is_kept_for_an_hour_unless_told_otherwise(cache):
    cache.set("k", 1)
    assert 3590 < cache.ttl("k") <= 3600
    cache.set("k", 1, ttl=60)
    assert 50 < cache.ttl("k") <= 60
    cache.get_or_set("loaded", lambda: 1)
    assert 3590 < cache.ttl("loaded") <= 3600


def test_a_value_is_gone_after_its_time(cache):
    cache.set("k", 1, ttl=0.05)
    until = time.monotonic() + 5
    while cache.get("k") is not None:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert cache.ttl("k") is None


def test_a_key_without_an_end_has_infinitely_long(cache, shared_redis):
    shared_redis.set(cache._keys.cache("k"), "1")
    assert cache.ttl("k") == float("inf")


def test_deleting_says_how_many_there_were(cache):
    cache.set("a", 1)
    cache.set("b", 2)
    assert cache.delete("a", "b", "c") == 2
    assert cache.delete() == 0
    assert cache.keys() == []


@pytest.mark.parametrize("key", ["", "a b", "line\nline\r\n", "🦀", "{x}", "*", "a" * 5000])
def test_a_key_is_any_text(cache, key):
    cache.set(key, "value")
    assert cache.get(key) == "value"
    assert cache.keys() == [key]
    assert cache.get_or_set(key, lambda: "other") == "value"
    assert cache.delete(key) == 1


@pytest.mark.parametrize("key", [None, 1, b"k", "\ud800"])
def test_a_key_that_is_no_text_is_refused(cache, key):
    for call in (cache.get, cache.ttl, cache.delete):
        with pytest.raises(UsageError):
            call(key)
    with pytest.raises(UsageError):
        cache.set(key, 1)
    with pytest.raises(UsageError):
        cache.get_or_set(key, lambda: 1)


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 9 * 10**9, "60", True])
def test_a_time_to_live_that_cannot_be_is_refused(cache, ttl):
    with pytest.raises(
        UsageError, match=r"ttl must be (greater than 0 s|less than 9,000,000,000 s), got "
    ):
        cache.set("k", 1, ttl=ttl)
    with pytest.raises(
        UsageError, match=r"ttl must be (greater than 0 s|less than 9,000,000,000 s), got "
    ):
        cache.get_or_set("k", lambda: 1, ttl=ttl)
    assert cache.keys() == []


@pytest.mark.parametrize(
    "options",
    [
        *({"jitter": 1.01}, {"jitter": -1}, {"jitter": "1"}, {"jitter": True}, {"jitter": None}),
        *({"early": -0.01}, {"early": []}, {"stale": -1}, {"stale": float("nan")}, {"stale": "5"}),
        *({"stale": 9 * 10**9}, {"early": float("inf")}),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(cache, options):
    ((name, value),) = options.items()
    with pytest.raises(UsageError, match=rf"^{name} must be .*, got "):
        cache.get_or_set("k", lambda: 1, **options)
    with pytest.raises(UsageError, match=rf"^{name} must be .*, got "):
        asyncio.run(cache.aget_or_set("k", lambda: 1, **options))
    with pytest.raises(UsageError, match=rf"^{name} must be .*, got "):
        cache.cached(**options)(lambda: value)()
    assert cache.keys() == []


@pytest.mark.parametrize(
    "options", [{"jitter": 0}, {"jitter": 1}, {"early": 0}, {"stale": 0}], ids=str
)
def test_options_at_the_end_of_their_range_are_taken(cache, options):
    assert cache.get_or_set("k", lambda: 1, **options) == 1


@pytest.mark.parametrize("limit", [-1, 1.5, "5", True])
def test_a_limit_that_is_none_is_refused(cache, limit):
    with pytest.raises(UsageError, match="limit must be 0 or more, got "):
        cache.keys(limit=limit)


def test_a_limit_of_0_finds_nothing_and_none_is_no_limit(cache):
    cache.set("k", 1)
    assert (cache.keys(limit=0), cache.keys(limit=1), cache.keys(limit=None)) == ([], ["k"], ["k"])


@pytest.mark.parametrize("name", ["default_ttl", "lock_seconds", "wait_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", None])
def test_times_of_the_cache_that_cannot_be_are_refused(make_cache, name, value):
    with pytest.raises(UsageError, match=f"{name} must be greater than 0 s, got "):
        make_cache(**{name: value})


def test_a_value_in_place_of_a_loader_is_refused_even_on_a_hit(cache):
    cache.set("k", 1)
    with pytest.raises(UsageError, match="loader must be a function"):
        cache.get_or_set("k", 1)


def test_a_single_tag_without_a_list_is_refused(cache):
    with pytest.raises(UsageError, match="list of texts"):
        cache.set("k", 1, tags="users")
    for odd in (5, None, True):
        with pytest.raises(UsageError, match="list of texts"):
            cache.set("k", 1, tags=odd)


def test_a_list_of_somebody_else_is_an_error_not_overwritten(bare, shared_redis):
    shared_redis.rpush("jobs", "one")
    with pytest.raises(RejectedError, match="WRONGTYPE"):
        bare.get("jobs")
    with pytest.raises(RejectedError, match="WRONGTYPE"):
        bare.get_or_set("jobs", lambda: "loaded")
    assert shared_redis.lrange("jobs", 0, -1) == [b"one"]


def test_stats_count_hits_misses_and_keys(cache):
    cache.set("a", 1)
    cache.get("a")
    cache.get("b")
    cache.get_or_set("c", lambda: 1)
    cache.get_or_set("c", lambda: 1)
    row = cache.stats()[0]
    assert (row.hits, row.misses, row.hit_ratio, row.keys) == (2, 2, 0.5, 2)


def test_prefixes_keep_caches_apart(make_cache):
    one, other = make_cache(prefix="one"), make_cache(prefix="other")
    one.set("k", 1)
    other.set("k", 2)
    assert (one.get("k"), other.get("k")) == (1, 2)
    assert other.invalidate("*") == 1
    assert one.keys() == ["k"]
    one.delete("k")


def test_the_hub_has_one_under_its_prefix(redis_home):
    with agentnb.connect(home=redis_home, key_prefix="mine") as hub:
        hub.cache.set("k", [1])
        assert hub.cache is hub.cache
        assert hub.redis.get("{mine}:cache:k") == b"[1]"


def test_a_function_is_cached_by_its_arguments(cache):
    runs = []

    @cache.cached(ttl=60)
    def add(a, b=1, *more, **named):
        runs.append((a, b, more, named))
        return a + b

    assert add(1) == add(1, 1) == add(a=1) == 2
    assert add(1, 2) == 3
    assert add(1, 2, 3) == add(1, 2, 4) == 3
    assert add(1, 2, x={"b": 1, "a": 2}) == add(1, 2, x={"a": 2, "b": 1}) == 3
    assert len(runs) == 5
    assert add.__name__ == "add"


def test_a_coroutine_function_is_cached_and_awaited(cache):
    runs = []

    @cache.cached()
    async def double(n):
        await asyncio.sleep(0)
        runs.append(n)
        return 2 * n

    async def twice():
        return await double(2), await double(2)

    assert asyncio.run(twice()) == (4, 4)
    assert runs == [2]


def test_a_cached_function_forgets_all_that_it_cached_and_nothing_else(cache):
    @cache.cached(key="users*")
    def user(n):
        return n

    @cache.cached(key=lambda n: f"by-own-key-{n}", tags=["people"])
    def own(n):
        return n

    cache.set("users:1", "another's")
    for n in range(3):
        user(n)
        own(n)
    assert user.invalidate() == 3
    assert own.invalidate() == 3
    assert cache.keys() == ["users:1"]


def test_what_is_set_while_it_is_loaded_is_not_overwritten(cache):
    def load():
        cache.set("k", "newer")
        return "older"

    cache.get_or_set("k", load)
    assert cache.get("k") == "newer"
