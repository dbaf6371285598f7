"""A loader that lost its lock changes nothing, whatever it still writes while another loads."""

from __future__ import annotations

import pytest

from agentnb.core.cache.checks import load_request


@pytest.fixture
def store(cache):
    return cache._store


def request(**options):
    options = {"tags": (), "jitter": 0.0, "early": 0.0, "stale": 0.0, "local": False} | options
    tags, jitter = options.pop("tags"), options.pop("jitter")
    return load_request("k", lambda: None, 60.0, None, tags, jitter, **options)


@pytest.fixture
def two_owners(cache, store, shared_redis):
    """Let one take the lock and lose it, and another take it."""
    asked = request(stale=60.0, tags=("t",))
    assert store.acquire(asked, "first", "", refresh=False).acquired
    shared_redis.delete(cache._names.lock("k"))
    assert store.acquire(asked, "second", "", refresh=False).acquired
    return asked


def everything(cache, shared_redis):
    names = (cache._keys.cache("k"), *(of("k") for of in (cache._names.lock, cache._names.failure)))
    return [shared_redis.get(name) for name in (*names, cache._names.copy("k"))]


STALE_WRITES = {
    "save": lambda store, asked: store.save(asked, "first", b'"old"', None),
    "save over what was": lambda store, asked: store.save(asked, "first", b'"old"', b'"was"'),
    "fail": lambda store, _: store.fail("k", "first", ValueError("old")),
    "release": lambda store, _: store.release("k", "first"),
}


@pytest.mark.parametrize("write", STALE_WRITES)
def test_the_first_owner_changes_nothing_while_the_second_loads(
    cache, store, two_owners, shared_redis, write
):
    before = everything(cache, shared_redis)
    assert before == [None, b"second", None, None]
    assert not STALE_WRITES[write](store, two_owners)
    assert everything(cache, shared_redis) == before
    assert store.save(two_owners, "second", b'"new"', None)
    assert everything(cache, shared_redis) == [b'"new"', None, None, b'"new"']


def test_the_first_owner_does_not_prolong_the_lock_of_the_second(
    cache, store, two_owners, shared_redis
):
    assert two_owners.key == "k"
    shared_redis.pexpire(cache._names.lock("k"), 700)
    store.renew("k", "first")
    assert shared_redis.pttl(cache._names.lock("k")) <= 700
    store.renew("k", "second")
    assert shared_redis.pttl(cache._names.lock("k")) > 700


def test_nobody_takes_a_lock_that_another_holds(cache, store, two_owners, shared_redis):
    state = store.acquire(two_owners, "third", "", refresh=False)
    assert (state.acquired, state.holder) == (False, "second")
    assert shared_redis.get(cache._names.lock("k")) == b"second"


@pytest.mark.parametrize("stale", [0.0, 60.0])
def test_a_value_that_was_set_meanwhile_stands_and_no_copy_is_made(
    cache, store, shared_redis, stale
):
    asked = request(stale=stale, tags=("t",))
    assert store.acquire(asked, "one", "", refresh=False).acquired
    cache.set("k", "set")
    assert not store.save(asked, "one", b"loaded", None)
    assert cache.get("k") == "set"
    assert shared_redis.get(cache._names.copy("k")) is None
    assert shared_redis.get(cache._names.lock("k")) is None


def test_a_value_that_was_set_while_it_was_refreshed_stands(cache, store, shared_redis):
    asked = request(stale=60.0)
    cache.set("k", "before")
    assert store.acquire(asked, "one", "", refresh=True).acquired
    cache.set("k", "set")
    assert not store.save(asked, "one", b"loaded", b"before")
    assert everything(cache, shared_redis)[::3] == [b"set", None]
    assert store.acquire(asked, "two", "", refresh=True).acquired
    assert store.save(asked, "two", b"loaded", b"set")
    assert everything(cache, shared_redis) == [b"loaded", None, None, b"loaded"]


def test_a_value_that_was_invalidated_while_it_was_refreshed_is_not_stored(cache, store):
    asked = request(stale=60.0)
    cache.set("k", "before")
    assert store.acquire(asked, "one", "", refresh=True).acquired
    cache.delete("k")
    assert not store.save(asked, "one", b"loaded", b"before")
    assert cache.get("k") is None


def test_a_failure_is_shared_with_those_who_waited_for_that_loader_only(store):
    asked = request()
    assert store.acquire(asked, "one", "", refresh=False).acquired
    assert store.fail("k", "one", ValueError("no"))
    assert store.acquire(asked, "two", "one", refresh=False).failure == "ValueError: no"
    assert store.acquire(asked, "thr", "two", refresh=False).acquired


def test_the_stale_copy_outlives_the_value_by_the_seconds_asked_for(cache, store, shared_redis):
    asked = request(stale=30.0)
    assert store.acquire(asked, "one", "", refresh=False).acquired
    assert store.save(asked, "one", b'"v"', None)
    assert 55_000 < shared_redis.pttl(cache._keys.cache("k")) <= 60_000
    assert 85_000 < shared_redis.pttl(cache._names.copy("k")) <= 90_000


def test_no_stale_copy_is_kept_unless_asked_for(cache, store, shared_redis):
    asked = request()
    assert store.acquire(asked, "one", "", refresh=False).acquired
    assert store.save(asked, "one", b'"v"', None)
    assert shared_redis.get(cache._names.copy("k")) is None
