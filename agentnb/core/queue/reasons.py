"""The reasons why jobs wait."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from agentnb.core.format import clock, time_of_day
from agentnb.core.queue import scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.snapshot import JobSnapshot
    from agentnb.core.queue.store import JobStore

__all__ = ["reason_of", "reasons_of"]

_SHOWN = 60


def reason_of(queue: Queue, store: JobStore, seen: JobSnapshot) -> str | None:
    """Return why a job does not run; None if it runs, has ended, or would be next."""
    if seen.state == "delayed":
        return f"delayed until {clock(seen.score / 1000)}"
    if seen.state not in {"waiting", "paused"}:
        return None
    why = [queue.why_waiting(), *reasons_of(store, [seen.id])]
    if any(why):
        return "; ".join(filter(None, why))
    before = store.rank(seen.id)
    if not before:
        return None
    jobs = "1 job runs" if before == 1 else f"{before:,} jobs run"
    return f"all workers are busy, {jobs} before it"


def reasons_of(store: JobStore, ids: Sequence[str]) -> list[str]:
    """Return why limits keep each of some jobs waiting; empty for one that they do not."""
    found = store.run(scripts.REASONS, list(ids))
    return ["; ".join(_reason(*full) for full in one) for one in found]


def _reason(
    by: bytes, key: bytes, rate: int, us: int, concurrency: int, taken: int, at: int
) -> str:
    of = f" for {by.decode()}={_shown(key)}" if by else ""
    if rate:
        return f"rate of {rate:,} per {us / 1_000_000:,g} s{of}: from {time_of_day(at / 1000)}"
    return f"concurrency {taken:,} of {concurrency:,}{of}"


def _shown(key: bytes) -> str:
    if key.startswith(b"#"):
        return "a long value"
    text = key.decode("utf-8", "replace")
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # another program's
        text = repr(msgspec.json.decode(key))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
