"""Copies in this process: served without the server, and never after they have changed."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time

import pytest

from agentnb.core.errors import ConfigError
from agentnb.core.redis import RedisClient
from tests.waiting import until


def kept(cache, key):
    """Ask until a copy is kept."""
    until(lambda: cache.get(key, local=True) is None or cache._copies.get(cache._keys.cache(key)))


@pytest.fixture
def asked(shared_redis):
    """Return what says how often the server has been asked for a value since the last time."""

    def count():
        calls = shared_redis.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]
        shared_redis.config_resetstat()
        return calls

    return count


def test_a_copy_is_served_without_asking_the_server(cache, asked):
    cache.set("k", {"a": [1]})
    kept(cache, "k")
    asked()
    for _ in range(100):
        assert cache.get("k", local=True) == {"a": [1]}
        assert cache.get_or_set("k", lambda: "not called", local=True) == {"a": [1]}
    assert asked() == 0


def test_what_is_handed_out_may_be_changed(cache):
    cache.set("k", {"a": [1]})
    kept(cache, "k")
    cache.get("k", local=True)["a"].append(2)
    assert cache.get("k", local=True) == {"a": [1]}


def test_a_missing_key_gives_the_default(cache):
    assert cache.get("nothing", 5, local=True) == 5
    assert cache.get("nothing", 5, local=True) == 5


def test_a_type_is_asked_for_as_ever(cache):
    cache.set("k", (1, 2), type=tuple[int, int])
    kept(cache, "k")
    assert cache.get("k", local=True, type=tuple[int, int]) == (1, 2)


def test_a_write_by_another_process_is_seen(cache, caching):
    cache.set("k", 0)
    kept(cache, "k")
    source = """
for n in range(1, 101):
    sys.stdin.readline()
    cache.set("k", n)
    say(n)
"""
    other = caching(source, cache._redis, prefix=cache._keys.prefix)
    for n in range(1, 101):
        assert cache.get("k", local=True) == n - 1
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == f"{n}\n"
        until(lambda n=n: cache.get("k", local=True) == n)


def test_ones_own_change_is_seen_at_once(cache):
    for n in range(300):
        cache.set("k", n, tags=["t"])
        assert cache.get("k", local=True) == n
    cache.delete("k")
    assert cache.get("k", local=True) is None
    cache.set("k", 1, tags=["t"])
    kept(cache, "k")
    cache.invalidate_tags("t")
    assert cache.get("k", local=True) is None
    cache.set("k", 1)
    kept(cache, "k")
    cache.invalidate("k*")
    assert cache.get("k", local=True) is None


def test_a_value_that_changes_while_it_is_fetched_is_not_kept(cache, shared_redis):
    cache.set("k", "old")
    cache.set("other", 1)
    kept(cache, "other")
    name = cache._keys.cache("k")

    class Late:
        """A client whose answer arrives when the value has changed already."""

        def pipeline(self, *, transaction):
            pipe = shared_redis.pipeline(transaction=transaction)
            execute = pipe.execute

            def late():
                replies = execute()
                cache.set("k", "new")
                return replies

            pipe.execute = late
            return pipe

    assert cache._copies.fetch(name, Late()).data == b"old"
    assert cache.get("k", local=True) == "new"


def test_a_copy_ends_with_its_value_though_the_server_says_so_later(cache):
    cache.set("k", 1, ttl=60)
    kept(cache, "k")
    name = cache._keys.cache("k")
    copy = cache._copies.get(name)
    assert 50 < copy.until - time.monotonic() <= 60
    with cache._copies._lock:
        cache._copies._keep(name, dataclasses.replace(copy, until=time.monotonic() + 0.05))
    time.sleep(0.06)
    assert cache._copies.get(name) is None
    assert len(cache._copies) == 0


def test_one_refreshes_early_from_a_copy(cache):
    cache.set("k", "current", ttl=60)
    kept(cache, "k")
    assert cache.get_or_set("k", lambda: "fresh", early=10**8, local=True) == "fresh"
    assert cache.get("k", local=True) == "fresh"


def tracking(client):
    """Return the ids of the connections on which changes are heard."""
    return [one["id"] for one in client.client_list() if "t" in one["flags"]]


def test_after_its_connection_was_killed_nothing_old_is_served(cache, shared_redis):
    cache.set("k", 0)
    name = cache._keys.cache("k")
    for n in range(1, 31):
        kept(cache, "k")
        (number,) = tracking(shared_redis)
        shared_redis.client_kill_filter(_id=number)
        shared_redis.set(name, n)
        assert cache.get("k", local=True) == n


def test_a_connection_that_is_killed_is_opened_again_by_the_next_question(cache, shared_redis):
    cache.set("k", 0)
    kept(cache, "k")
    (number,) = tracking(shared_redis)
    shared_redis.client_kill_filter(_id=number)
    until(lambda: not cache._copies.on)
    assert len(cache._copies) == 0
    kept(cache, "k")
    assert tracking(shared_redis) != [number]


def test_without_a_server_nothing_is_served(make_cache, redis_home, kill_server, monkeypatch):
    def nowhere():
        raise ConfigError("there is no server on this machine", service="redis")

    with RedisClient(home=redis_home) as client:
        cache = make_cache(client)
        assert cache.get_or_set("k", lambda: 1) == 1
        kept(cache, "k")
        monkeypatch.setattr("agentnb.core.redis.server.find_binary", nowhere)
        kill_server(redis_home)

        def refused():
            try:
                cache.get("k", local=True)
            except ConfigError:
                return True
            return False

        # A process that was told to die holds its connections for a moment more.
        until(refused)
        assert cache.get_or_set("k", lambda: "loaded", local=True) == "loaded"


def test_flushing_the_server_is_heard(bare, shared_redis):
    bare.set("k", 1)
    kept(bare, "k")
    shared_redis.flushall()
    until(lambda: bare.get("k", local=True) is None)


def test_the_connection_closes_when_nobody_asks(cache, shared_redis):
    cache.set("k", 1)
    kept(cache, "k")
    cache._copies.idle = 0.2
    names = ["agentnb-cache-local"]
    until(lambda: not [one for one in threading.enumerate() if one.name in names])
    until(lambda: not tracking(shared_redis))
    assert len(cache._copies) == 0
    assert cache.get("k", local=True) == 1


def test_closing_the_cache_closes_the_connection(make_cache, shared_redis):
    cache = make_cache()
    cache.set("k", 1)
    kept(cache, "k")
    cache.close()
    assert not [one for one in threading.enumerate() if one.name == "agentnb-cache-local"]
    until(lambda: not tracking(shared_redis))
    assert cache._copies.get(cache._keys.cache("k")) is None


def test_a_cache_that_never_asked_for_copies_opens_no_connection(cache, shared_redis):
    cache.set("k", 1)
    cache.get("k")
    cache.get_or_set("k", lambda: 2)
    assert tracking(shared_redis) == []


def test_what_was_asked_for_longest_ago_goes_first(cache):
    cache._copies.entries = 3
    for n in range(4):
        cache.set(f"k{n}", n)
    kept(cache, "k0")
    for n in (1, 2, 0, 3):
        cache.get(f"k{n}", local=True)
    names = [cache._keys.cache(f"k{n}") for n in range(4)]
    assert [name for name in names if cache._copies.get(name)] == [names[0], names[2], names[3]]


def test_copies_take_no_more_room_than_they_may(cache):
    cache._copies.size = 10_000
    cache.set("first", 1)
    kept(cache, "first")
    for n in range(50):
        cache.set(f"k{n}", "x" * 1000)
        kept(cache, f"k{n}")  # the server's notice of the write may come late
        assert cache._copies._bytes <= 10_000
    assert len(cache._copies) == 9
    cache.set("large", "x" * 2000)
    assert cache.get("large", local=True) == "x" * 2000
    assert len(cache._copies) == 9
    cache._copies.drop(None)
    assert cache._copies._bytes == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_serve_its_parents_copies(cache, shared_redis):
    cache.set("k", "old")
    kept(cache, "k")
    child = os.fork()
    if not child:
        signal.alarm(30)  # it must not outlive a test that fails
        code = 1
        try:
            shared_redis.set(cache._keys.cache("k"), "new")
            code = 0 if cache.get("k", local=True) == "new" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until(lambda: cache.get("k", local=True) == "new")


def test_threads_that_read_and_write_see_nothing_older_than_they_have_seen(cache, shared_redis):
    cache.set("k", 0)
    kept(cache, "k")
    name, wrong, end = cache._keys.cache("k"), [], threading.Event()

    def read():
        last = 0
        while not end.is_set():
            value = cache.get("k", local=True)
            if value < last:
                wrong.append((last, value))
            last = value

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(1, 1001):
        shared_redis.set(name, n)
    end.set()
    for thread in threads:
        thread.join(30)
    assert wrong == []
