"""The keys of a cache as a table: what they hold, how large it is, how long it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.cache.cache import Cache

__all__ = ["listing"]

_PREVIEWED = 120
_STEP = 500


def listing(cache: Cache, pattern: str = "*", *, limit: int = 100) -> Table:
    """Return key, seconds left, bytes and the beginning of the value, sorted by key.

    Parameters
    ----------
    pattern
        As `Cache.keys` takes it.
    limit
        Keys at most; the note says if there are more.
    """
    names = cache.keys(pattern, limit=limit + 1)
    rows: list[tuple[Any, ...]] = []
    for start in range(0, min(len(names), limit), _STEP):
        rows += _rows(cache, names[start : min(start + _STEP, limit)])
    more = f"the first {limit:,}; there are more" if len(names) > limit else ""
    return Table(
        ("key", "ttl", "bytes", "value"),
        rows,
        note=more,
        empty="nothing is cached: %cache set KEY VALUE, or %%cache KEY over a cell"
        if pattern == "*"
        else f"no key matches {pattern}",
    )


def _rows(cache: Cache, names: Sequence[str]) -> list[tuple[Any, ...]]:
    with cache.redis.pipeline(transaction=False) as pipe:
        for name in names:
            # Another program's key may be no text; it is listed all the same.
            key = cache.keys_of.cache(name).encode("utf-8", "surrogateescape")
            pipe.pttl(key)
            pipe.strlen(key)
            # Only the beginning: a large value is not fetched to show a line of it.
            pipe.getrange(key, 0, _PREVIEWED - 1)
        replies = pipe.execute(raise_on_error=False)
    rows = []
    for name, left, size, data in zip(
        names, replies[0::3], replies[1::3], replies[2::3], strict=True
    ):
        if not all(
            isinstance(reply, expected)
            for reply, expected in ((left, int), (size, int), (data, bytes))
        ):
            continue  # not a value: under bare names a key may be a stranger's list or hash
        if left == -2:  # noqa: PLR2004 - gone since it was listed
            continue
        seconds = None if left < 0 else round(left / 1000)
        rows.append((name, seconds, size, cache.codec.glance(data, whole=size <= _PREVIEWED)))
    return rows
