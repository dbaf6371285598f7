"""A connection that is cut without a word: copies are not served for long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from agentnb.core.redis import RedisClient


class Way:
    """A way to the server over TCP, on which one kind of connection can fall silent."""

    def __init__(self, target):
        self._target = target
        self._silent = threading.Event()
        self._links = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._links += [near, far]
                tracked = threading.Event()
                for one, other in ((near, far), (far, near)):
                    words = (one, other, tracked)
                    threading.Thread(target=self._carry, args=words, daemon=True).start()

    def _carry(self, one, other, tracked):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if b"TRACKING" in data:
                    tracked.set()
                if not (tracked.is_set() and self._silent.is_set()):
                    other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Let nothing through any more on connections that track changes."""
        self._silent.set()

    def close(self):
        for link in [self._listener, *self._links]:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()


@pytest.fixture
def way(shared_redis):
    made = Way(shared_redis.target.options["path"])
    yield made
    made.close()


@pytest.fixture
def cut(make_cache, way):
    """Return a cache that has a copy of ``k``, and hears no changes any more."""
    with RedisClient(f"redis://127.0.0.1:{way.port}") as client:
        cache = make_cache(client)
        cache.set("k", "old")
        end = time.monotonic() + 30
        while cache.get("k", local=True) and not cache._copies.get(cache._keys.cache("k")):
            assert time.monotonic() < end
        way.cut()
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
