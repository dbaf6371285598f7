"""Other caches on the same server, by name; one that is not installed is None."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util

CACHES = ("dogpile.cache", "cashews", "aiocache")
TTL = 3600


def installed(name):
    """Return whether a library can be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def raw(path):
    """Return redis-py's own client with its own settings."""
    import redis

    return redis.Redis(unix_socket_path=path)


def dogpile(path, **options):
    """Return a region of dogpile.cache."""
    from dogpile.cache import make_region

    about = {"url": f"unix://{path}", "redis_expiration_time": TTL, **options}
    return make_region().configure("dogpile.cache.redis", TTL, arguments=about)


async def cashews(path, **options):
    """Return a cache of cashews, connected."""
    from cashews import Cache

    cache = Cache()
    # It has no URL for a socket, but takes the address beside it.
    cache.setup("redis://", address=f"unix://{path}", socket_timeout=30, **options)
    await cache.init()
    return cache


def aiocache(path):
    """Return a cache of aiocache."""
    from aiocache.backends.redis import RedisCache
    from redis.asyncio import Redis

    cache = RedisCache(timeout=30)
    cache.client = Redis(unix_socket_path=path)  # it has no option for a socket
    return cache


@contextlib.contextmanager
def loop():
    """Yield a function that runs coroutines on a loop of its own."""
    with asyncio.Runner() as runner:
        yield runner.run


def repeated(call, times):
    """Return a function that makes many calls."""

    def run():
        for _ in range(times):
            call()

    return run


def awaited(call, times, run):
    """Return a function that awaits many calls, one after the other, on a loop."""

    async def many():
        for _ in range(times):
            await call()

    return lambda: run(many())
