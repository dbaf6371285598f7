"""Mistakes, each of which a checker has to find. This file is checked, and never run."""

from __future__ import annotations

from dataclasses import dataclass

import agentnb


@dataclass
class Price:
    symbol: str
    amount: float


def load() -> Price:
    return Price("a", 1.0)


# The hub
agentnb.connect(databse_url="sqlite://")  # mistake
agentnb.connect(database_url=5)  # mistake
agentnb.connect(db_timeout=["30"])  # mistake
agentnb.Hub(homee="/srv")  # mistake
agentnb.conect()  # mistake
hub = agentnb.connect()
hub.cach.get("a")  # mistake
hub.close(1)  # mistake

# The cache
cache = hub.cache
cache.get("a", type=5)  # mistake
cache.get(5)  # mistake
cache.get("a", tpye=Price)  # mistake
amount: int = cache.get("a", type=Price)  # mistake
cache.get("a", type=Price).amount  # mistake
cache.get_or_set("a", load, type=Price).amuont  # mistake
cache.get_or_set("a", load).amuont  # mistake
cache.get_or_set("a", load, tll=5)  # mistake
cache.get_or_set("a", Price)  # mistake
name: str = cache.get_or_set("a", load)  # mistake
cache.set("a", 1, ttl="60")  # mistake


@cache.cached(ttl=60)
def price(symbol: str, day: int = 0) -> Price:
    return Price(symbol, day)


@cache.cached()
async def aprice(symbol: str) -> Price:
    return Price(symbol, 1.0)


class Shop:
    @cache.cached(ttl=60)
    def price(self, symbol: str) -> Price:
        return Price(symbol, 1.0)


price(5)  # mistake
price()  # mistake
price("a", dya=1)  # mistake
price("a").amuont  # mistake
price.invalidte()  # mistake
Shop().price(1)  # mistake
cache.cached(tll=5)  # mistake
cache.cached(stale="60")  # mistake
cache.cached(60)(5)  # mistake


async def use_cache() -> None:
    await price("a")  # mistake
    (await aprice("a")).amuont  # mistake
    await aprice(5)  # mistake
    (await cache.aget_or_set("a", load)).amuont  # mistake
