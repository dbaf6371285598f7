"""A connection that is cut without a word: copies are not served for long."""

from __future__ import annotations

import time

import pytest

from agentnb.core.redis import RedisClient
from tests.listening import Relay


class Way(Relay):
    """A way to the server over TCP, on which one kind of connection can fall silent."""

    def __init__(self, target):
        self.silent = False
        self._tracked = set()
        super().__init__(target, self._goes_on)

    def _goes_on(self, far, data):
        if b"TRACKING" in data:
            self._tracked.add(far)
        return not (self.silent and far in self._tracked)


@pytest.fixture
def way(shared_redis):
    with Way(shared_redis.target.options["path"]) as made:
        yield made


@pytest.fixture
def cut(make_cache, way):
    """Return a cache that has a copy of ``k``, and hears no changes any more."""
    with RedisClient(f"redis://127.0.0.1:{way.port}") as client:
        cache = make_cache(client)
        cache.set("k", "old")
        end = time.monotonic() + 30
        while cache.get("k", local=True) and not cache._copies.get(cache._keys.cache("k")):
            assert time.monotonic() < end
        way.silent = True
        yield cache
        cache.close()


def test_a_change_that_could_not_be_heard_is_seen_all_the_same(cut, shared_redis):
    shared_redis.set(cut._keys.cache("k"), "new")
    end = time.monotonic() + 30
    while cut.get("k", local=True) != "new":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_ones_own_change_need_not_be_heard(cut):
    cut.set("k", "mine")
    assert cut.get("k", local=True) == "mine"
