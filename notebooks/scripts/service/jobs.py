"""The queue `prices`: each job refreshes the price of one symbol."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from agentnb.core.queue import Job, processor
from service.prices import PRICES_URL, Price, fetch, save


@dataclass(frozen=True)
class Refresh:
    """The data of a job."""

    symbol: str


@processor("prices", schema=Refresh, timeout=30)
def refresh(job: Job[Refresh]) -> Price:
    """Save the price of a symbol, and publish it if it has changed."""
    hub = job.hub
    price = fetch(hub.api(PRICES_URL, timeout=10), hub.cache, job.data.symbol)
    before = save(hub.db, price)
    if before is None or before.amount != price.amount:
        hub.events.publish("price.changed", asdict(price))
    job.log(f"{price.symbol} is {price.amount}")
    return price
