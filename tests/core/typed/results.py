"""The types of results, as a checker has to infer them. This file is checked, and never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_type

import agentnb


@dataclass
class Price:
    symbol: str
    amount: float


hub = agentnb.connect(database_url="sqlite://", api_timeout=5, files_quota="1GB", start="/srv")
assert_type(hub, agentnb.Hub)


# The cache


def load() -> Price:
    return Price("a", 1.0)


async def aload() -> Price:
    return load()


def load_anything() -> Any:
    return load()


cache = hub.cache
assert_type(cache.get("a"), Any)
assert_type(cache.get("a", type=Price), Price | None)
assert_type(cache.get("a", type=list[Price]), list[Price] | None)
assert_type(cache.get("a", type=Literal["on", "off"]), Literal["on", "off"] | None)
assert_type(cache.get("a", 0, type=Price, local=True), Price | int)
assert_type(cache.get_or_set("a", load), Price)
assert_type(cache.get_or_set("a", aload), Price)
assert_type(cache.get_or_set("a", lambda: aload(), 60), Price)
assert_type(cache.get_or_set("a", load_anything, type=Price), Price)
assert_type(cache.get_or_set("a", load, type=Price, tags=["prices"], stale=60), Price)
assert_type(cache.get_or_set("a", load, type=Price | None), Price | None)


@cache.cached(ttl=60, tags=["prices"])
def price(symbol: str, day: int = 0) -> Price:
    return Price(symbol, day)


@cache.cached()
async def aprice(symbol: str) -> Price:
    return Price(symbol, 1.0)


class Shop:
    @cache.cached(ttl=60)
    def price(self, symbol: str) -> Price:
        return Price(symbol, 1.0)

    @cache.cached(ttl=60)
    async def aprice(self, symbol: str) -> Price:
        return Price(symbol, 1.0)

    @classmethod
    @cache.cached(ttl=60)
    def named(cls, name: str) -> Price:
        return Price(name, 1.0)


assert_type(price("a", day=1), Price)
assert_type(price.invalidate(), int)
assert_type(aprice.invalidate(), int)
assert_type(Shop().price("a"), Price)
assert_type(Shop().price.invalidate(), int)
assert_type(Shop.named("a"), Price)


async def use_cache() -> None:
    assert_type(await aprice("a"), Price)
    assert_type(await Shop().aprice("a"), Price)
    assert_type(await cache.aget_or_set("a", load), Price)
    assert_type(await cache.aget_or_set("a", aload, type=Price), Price)
    assert_type(await cache.aget_or_set("a", load_anything, type=Price), Price)
