"""Prices: read from an API, cached for a minute, kept in the database."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentnb.core.api import APIClient
    from agentnb.core.cache import Cache
    from agentnb.core.db import Database

PRICES_URL = os.environ.get("PRICES_URL", "http://127.0.0.1:8080")
TABLE = """
create table if not exists price (
    symbol varchar(20) primary key, amount double precision not null, at varchar(40) not null
)
"""
SAVE = """
insert into price (symbol, amount, at) values (:symbol, :amount, :at)
on conflict (symbol) do update set amount = excluded.amount, at = excluded.at
"""


@dataclass(frozen=True)
class Price:
    """The price of a symbol at a time."""

    symbol: str
    amount: float
    at: str


def fetch(api: APIClient, cache: Cache, symbol: str) -> Price:
    """Return the price of a symbol, at most a minute old."""

    def load() -> Price:
        return api.get(f"/prices/{symbol}", schema=Price)

    return cache.get_or_set(f"price:{symbol}", load, ttl=60, type=Price)


async def afetch(api: APIClient, cache: Cache, symbol: str) -> Price:
    """Await `fetch`."""

    async def load() -> Price:
        return await api.aget(f"/prices/{symbol}", schema=Price)

    return await cache.aget_or_set(f"price:{symbol}", load, ttl=60, type=Price)


def save(db: Database, price: Price) -> Price | None:
    """Save a price, and return the one that was saved before."""
    with db.transaction() as tx:
        before = tx.query("select * from price where symbol = :symbol", {"symbol": price.symbol})
        tx.execute(SAVE, asdict(price))
    return next(iter(before.objects(Price)), None)


def average(db: Database) -> float:
    """Return the average of all saved prices."""
    return db.query("select avg(amount) from price").scalar(type=float) or 0.0
