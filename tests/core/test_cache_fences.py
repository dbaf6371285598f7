"""A loader that lost its lock changes nothing, whatever it still writes while another loads."""

from __future__ import annotations

import pytest

from agentnb.core.cache.checks import wanted


@pytest.fixture
def store(cache):
    return cache.store


def want(**options):
    options = {"tags": (), "jitter": 0.0, "early": 0.0, "stale": 0.0, "local": False} | options
    tags, jitter = options.pop("tags"), options.pop("jitter")
    return wanted("k", lambda: None, 60.0, None, tags, jitter, **options)


@pytest.fixture
def two_owners(cache, store, shared_redis):
    """Let one take the lock and lose it, and another take it."""
    it = want(stale=60.0, tags=("t",))
    assert store.take(it, "first", "", refresh=False).mine
    shared_redis.delete(cache.names.lock("k"))
    assert store.take(it, "second", "", refresh=False).mine
    return it


def everything(cache, shared_redis):
    names = (cache.keys_of.cache("k"), *(of("k") for of in (cache.names.lock, cache.names.failure)))
    return [shared_redis.get(name) for name in (*names, cache.names.copy("k"))]


STALE_WRITES = {
    "save": lambda store, it: store.save(it, "first", b'"old"', None),
    "save over what was": lambda store, it: store.save(it, "first", b'"old"', b'"was"'),
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
    shared_redis.pexpire(cache.names.lock("k"), 700)
    store.renew("k", "first")
    assert shared_redis.pttl(cache.names.lock("k")) <= 700
    store.renew("k", "second")
    assert shared_redis.pttl(cache.names.lock("k")) > 700


def test_nobody_takes_a_lock_that_another_holds(cache, store, two_owners, shared_redis):
    state = store.take(two_owners, "third", "", refresh=False)
    assert (state.mine, state.holder) == (False, "second")
    assert shared_redis.get(cache.names.lock("k")) == b"second"


@pytest.mark.parametrize("stale", [0.0, 60.0])
def test_a_value_that_was_set_meanwhile_stands_and_no_copy_is_made(
    cache, store, shared_redis, stale
):
    it = want(stale=stale, tags=("t",))
    assert store.take(it, "one", "", refresh=False).mine
    cache.set("k", "set")
    assert not store.save(it, "one", b"loaded", None)
    assert cache.get("k") == "set"
    assert shared_redis.get(cache.names.copy("k")) is None
    assert shared_redis.get(cache.names.lock("k")) is None


def test_a_value_that_was_set_while_it_was_refreshed_stands(cache, store, shared_redis):
    it = want(stale=60.0)
    cache.set("k", "before")
    assert store.take(it, "one", "", refresh=True).mine
    cache.set("k", "set")
    assert not store.save(it, "one", b"loaded", b"before")
    assert everything(cache, shared_redis)[::3] == [b"set", None]
    assert store.take(it, "two", "", refresh=True).mine
    assert store.save(it, "two", b"loaded", b"set")
    assert everything(cache, shared_redis) == [b"loaded", None, None, b"loaded"]


def test_a_value_that_was_invalidated_while_it_was_refreshed_is_not_stored(cache, store):
    it = want(stale=60.0)
    cache.set("k", "before")
    assert store.take(it, "one", "", refresh=True).mine
    cache.delete("k")
    assert not store.save(it, "one", b"loaded", b"before")
    assert cache.get("k") is None


def test_a_failure_is_shared_with_those_who_waited_for_that_loader_only(store):
    it = want()
    assert store.take(it, "one", "", refresh=False).mine
    assert store.fail("k", "one", ValueError("no"))
    assert store.take(it, "two", "one", refresh=False).failure == "ValueError: no"
    assert store.take(it, "thr", "two", refresh=False).mine
