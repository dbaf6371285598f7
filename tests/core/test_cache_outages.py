"""A server that is away, full or read-only keeps nobody from what their loader gives."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentnb.core.errors import ConfigError, RejectedError, UnavailableError, UsageError
from agentnb.core.redis import RedisClient


@pytest.fixture
def said(caplog):
    """Return what reads the lines that the cache has logged at INFO and above."""
    caplog.set_level(logging.INFO, "agentnb.cache")
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "agentnb.cache"
    ]


@pytest.fixture
def own_redis(redis_home):
    """Return a client of a server that a test may hurt."""
    with RedisClient(home=redis_home) as client:
        client.ping()
        yield client


@pytest.fixture
def closed_port():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        yield link.getsockname()[1]  # taken, and nobody listens


def test_with_nobody_at_the_address_the_loader_gives_the_value(make_cache, closed_port, said):
    with RedisClient(f"redis://127.0.0.1:{closed_port}", timeout=0.3) as client:
        cache = make_cache(client)
        cache._loader.outage._cooldown = 0  # it is asked again each time
        for n in range(20):
            assert cache.get_or_set("k", lambda n=n: n) == n
        assert asyncio.run(cache.aget_or_set("k", lambda: "awaited")) == "awaited"
        with pytest.raises(UnavailableError):
            cache.get("k")
        with pytest.raises(UnavailableError):
            cache.set("k", 1)
    assert len([line for line in said() if "the cache is away" in line]) == 1
    assert cache._counter.misses == 21


def test_a_value_is_checked_and_copied_without_a_server_too(make_cache, closed_port):
    with RedisClient(f"redis://127.0.0.1:{closed_port}", timeout=0.3) as client:
        cache = make_cache(client)
        with pytest.raises(UsageError, match="cannot be stored"):
            cache.get_or_set("k", object)
        assert cache.get_or_set("k", lambda: (1, 2)) == (1, 2)
        with pytest.raises(ZeroDivisionError):
            cache.get_or_set("k", lambda: 1 / 0)


def test_a_loader_that_asks_for_its_key_in_a_thread_ends_without_a_server_too(
    make_cache, closed_port
):
    with RedisClient(f"redis://127.0.0.1:{closed_port}", timeout=0.2) as client:
        cache = make_cache(client)

        def load():
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(cache.get_or_set, "k", load).result()

        with pytest.raises(UsageError, match="asks for 'k' itself"):
            cache.get_or_set("k", load)


def test_a_server_that_hangs_holds_nobody_up_for_long(make_cache, said):
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        link.listen()
        with RedisClient(f"redis://127.0.0.1:{link.getsockname()[1]}", timeout=60) as client:
            cache = make_cache(client)
            # Were it not for the limit of its own, this would take twenty minutes.
            for n in range(20):
                assert cache.get_or_set("k", lambda n=n: n) == n
    assert len(said()) == 1


def test_a_killed_server_that_cannot_be_started_again(
    make_cache, own_redis, redis_home, kill_server, monkeypatch, said
):
    cache = make_cache(own_redis)
    assert cache.get_or_set("k", lambda: "stored") == "stored"

    def nowhere():
        raise ConfigError("there is no server on this machine", service="redis")

    monkeypatch.setattr("agentnb.core.redis.server.find_binary", nowhere)
    kill_server(redis_home)
    for n in range(5):
        assert cache.get_or_set("k", lambda n=n: n) == n
    assert [line for line in said() if "away" in line] == said()
    assert len(said()) == 1
    monkeypatch.undo()
    until = time.monotonic() + 30
    loaded = [True]
    while loaded:  # once it is back, a second call does not load
        assert time.monotonic() < until
        time.sleep(0.05)
        loaded.clear()
        cache.get_or_set("again", lambda: loaded.append(True))
    assert said()[-1] == "the cache is back"


def test_a_wrong_setting_from_the_start_is_an_error(make_cache, redis_home, monkeypatch):
    def nowhere():
        raise ConfigError("there is no server on this machine", service="redis")

    monkeypatch.setattr("agentnb.core.redis.server.find_binary", nowhere)
    with RedisClient(home=redis_home) as client, pytest.raises(ConfigError):
        make_cache(client).get_or_set("k", lambda: 1)


def test_a_server_killed_while_a_loader_runs_loses_no_value(
    make_cache, own_redis, redis_home, kill_server
):
    cache = make_cache(own_redis)

    def load():
        kill_server(redis_home)
        return "loaded"

    assert cache.get_or_set("k", load) == "loaded"


def test_a_full_server_refuses_set_and_loses_no_loaded_value(make_cache, own_redis, said):
    cache = make_cache(own_redis)
    cache.set("before", "kept")
    own_redis.config_set("maxmemory", 1)
    with pytest.raises(RejectedError, match="full"):
        cache.set("k", 1)
    for n in range(5):
        assert cache.get_or_set("k", lambda n=n: n) == n
    assert cache.get_or_set("before", lambda: "loaded") == "kept"
    own_redis.config_set("maxmemory", 0)
    until = time.monotonic() + 20
    while cache.get("k") is None:
        assert time.monotonic() < until
        cache.get_or_set("k", lambda: "stored again")
        time.sleep(0.05)
    assert [line.partition(";")[0] for line in said()] == [
        "the cache stores nothing",
        "the cache stores",
    ]


def test_a_server_that_fills_up_while_a_loader_runs_loses_no_value(make_cache, own_redis, said):
    cache = make_cache(own_redis)

    def load():
        own_redis.config_set("maxmemory", 1)
        return "loaded"

    assert cache.get_or_set("k", load) == "loaded"
    assert "full" in said()[0]
    assert own_redis.get(cache._names.lock("k")) is None


def test_a_read_only_server_refuses_set_and_loses_no_loaded_value(
    make_cache, own_redis, closed_port, said
):
    cache = make_cache(own_redis)
    cache.set("before", "kept")
    own_redis.config_set("replica-serve-stale-data", "yes")
    own_redis.replicaof("127.0.0.1", closed_port)
    cache._redis = own_redis.within(0.5)
    with pytest.raises(RejectedError, match="read-only"):
        own_redis.within(0.5).set(cache._keys.cache("k"), 1)
    for n in range(20):
        assert cache.get_or_set("k", lambda n=n: n) == n
    assert cache.get_or_set("before", lambda: "loaded") == "kept"
    assert len(said()) == 1
    own_redis.replicaof("NO", "ONE")


def test_an_early_refresh_on_a_full_server_gives_the_current_value(make_cache, own_redis):
    cache = make_cache(own_redis)
    cache.set("k", "current")
    own_redis.config_set("maxmemory", 1)
    assert cache.get_or_set("k", lambda: "fresh", early=10**8) == "current"
