"""The cache panel: the keys that match a pattern, the value of one, and how often it is there."""

from __future__ import annotations

import time
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.listing import listing
from agentnb.core.cache.peek import peek
from agentnb.core.errors import ConfigError, NotFoundError, RejectedError, UsageError
from agentnb.panels.base import (
    Confirm,
    Instruction,
    Left,
    Paced,
    Panel,
    Plot,
    Seconds,
    Size,
    TableView,
    TextBlock,
    button,
    label,
    moment,
    row,
    split,
    stack,
    text_box,
)
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from agentnb.core.cache import Cache
    from agentnb.core.cache.peek import Peek
    from agentnb.core.hub import Hub
    from agentnb.core.table import Table

__all__ = ["CachePanel", "make"]

LISTED = 1000
EVERYTHING = "*"
_EMPTY = "Nothing is cached yet. Type in a cell:  %cache set KEY VALUE   or, over it:  %%cache KEY"
_PICK = Instruction("Pick a key to see its value.")
# Looking for keys may take this share of the time: with millions of them it is slow.
_SHARE = 0.2


class CachePanel:
    """What the panel shows and does; the widgets are composed in `panel`.

    Parameters
    ----------
    hub
        Whose cache it shows.
    pattern
        The keys that it shows first.
    every
        Seconds between two looks at the cache.
    """

    def __init__(self, hub: Hub, *, pattern: str = EVERYTHING, every: float | None = 2.0) -> None:
        self._hub = hub
        self._pattern = pattern.strip() or EVERYTHING
        self._picked: str | None = None
        self._listed: Paced[Table] = Paced(_SHARE)
        self._rates = _Rates()
        self.panel = Panel("Cache", every=every, redactor=hub.settings.redactor)
        act = self.panel.action
        self.pattern = text_box(
            value="" if self._pattern == EVERYTHING else self._pattern,
            placeholder="Pattern, such as user:* · Enter",
            tooltip="Pattern of keys",
            on_change=act(self._use),
        )
        self.invalidate = Confirm(
            self.panel,
            "Invalidate",
            self._ask,
            self._invalidate,
            tooltip="Remove every key that matches the pattern",
        )
        self.keys = TableView(
            ("key", "ttl", "size", "value"),
            key="key",
            label="Keys",
            hint=_EMPTY,
            on_select=act(self._pick),
            height="440px",
            filterable=False,
            quiet=("ttl",),
            noun=("key", "keys"),
        )
        self.ratio = Plot("Hit ratio of this notebook", "%", high=100.0)
        self.numbers = label("", dim=True)
        self.about = label(_PICK, dim=True)
        self.value = TextBlock("Value")
        self.remove = button(
            "Remove",
            act(self._remove, self.panel.say),
            tooltip="Remove the selected key",
            icon="trash",
            danger=True,
        )
        self.remove.disabled = True
        self.panel.compose(
            split(
                stack(row(self.pattern, self.invalidate), self.keys),
                stack(self.ratio, self.numbers, row(self.about, self.remove), self.value),
                wide_left=True,
            )
        ).keep_fresh(self._load, self._show)

    @property
    def _cache(self) -> Cache:
        return self._hub.cache

    def _use(self, pattern: str) -> None:
        with self.panel.lock:
            self._pattern = pattern.strip() or EVERYTHING
            self._listed = Paced(_SHARE)
            self.invalidate.reset()

    def _pick(self, key: str) -> None:
        with self.panel.lock:
            self._picked = key

    def _load(self) -> tuple[str, Table, str | None, Peek | str | None, tuple[float | None, str]]:
        cache = self._cache
        rates = self._rates.before(cache)
        with self.panel.lock:
            pattern, picked, listed = self._pattern, self._picked, self._listed
        table = listed.get(lambda: listing(cache, pattern, limit=LISTED))
        found: Peek | str | None = None
        if picked is not None:
            try:
                found = peek(cache, picked)
            except (ConfigError, UsageError) as error:  # of this value, not of the server
                found = f"{error.message}\n{error.hint or ''}"
        self._rates.after(cache)
        return pattern, table, picked, found, rates

    def _show(
        self,
        loaded: tuple[str, Table, str | None, Peek | str | None, tuple[float | None, str]],
    ) -> None:
        pattern, table, picked, found, (ratio, numbers) = loaded
        self.ratio.add(ratio)
        self.numbers.value = numbers
        if pattern == self._pattern:  # else a later one is being looked for
            rows = [(key, _left(ttl), Size(size), value) for key, ttl, size, value in table.rows]
            self.keys.update(rows, note=table.note, hint=_hint(pattern))
        if picked == self._picked:
            self._show_value(picked, found)

    def _show_value(self, key: str | None, found: Peek | str | None) -> None:
        if key is None:
            return
        self.remove.disabled = found is None
        name = f"<strong>{escape(plain(key))}</strong>"
        if found is None:
            self.about.value = f"{name} · gone: removed, or its time was over"
            self.value.show("")
        elif isinstance(found, str):
            self.about.value = name
            self.value.show(found)
        else:
            words = [found.kind, str(Size(found.size)), found.note]
            about = [name, *(escape(word) for word in words if word), _until(found.left)]
            self.about.value = " · ".join(about)
            self.value.show(found.text)

    def _remove(self) -> str:
        key = self._picked
        if key is None:
            raise UsageError("no key is selected", service="cache", hint="click on one")
        if not self._cache.delete(key):
            raise NotFoundError(f"{key!r} is gone already", service="cache")
        self._listed.reset()
        return f"{plain(key)}: removed"

    def _ask(self) -> tuple[str, str]:
        pattern = self._pattern
        count = len(self._cache.keys(pattern, limit=LISTED + 1))
        if not count:
            raise NotFoundError(f"no key matches {pattern}", service="cache")
        many = f"more than {LISTED:,}" if count > LISTED else f"{count:,}"
        return f"Remove {many} {'key' if count == 1 else 'keys'}: {plain(pattern)}", pattern

    def _invalidate(self, pattern: str) -> str:
        count = self._cache.invalidate(pattern)
        self._listed.reset()
        return f"{pattern}: {count:,} {'key' if count == 1 else 'keys'} removed"


class _Rates:
    """Hits and misses from one look to the next: this process's, and everybody's.

    The panel's own looks at the keys count as hits on the server. So what happens on it is
    counted from the end of one look to the beginning of the next.
    """

    def __init__(self) -> None:
        self._own: tuple[int, int] | None = None
        self._server: tuple[int, int] | None = None
        self._all = (0, 0)

    def before(self, cache: Cache) -> tuple[float | None, str]:
        """Return the ratio since the last time, in percent or None, and what to say of both."""
        own, server = (cache.count.hits, cache.count.misses), _keyspace(cache)
        ratio = None
        if self._own is not None:
            percent = _percent(_since(own, self._own))
            ratio = None if percent is None else round(percent)
        self._own = own
        if server is not None and self._server is not None:
            new = _since(server, self._server)
            self._all = self._all[0] + new[0], self._all[1] + new[1]
        words = f"this notebook found {_ratio_of(own)}"
        if server is not None:
            words += f"<br>\neverybody, since the panel opened: {_ratio_of(self._all)}"
        return ratio, words

    def after(self, cache: Cache) -> None:
        """Note where the server's numbers stand after the panel's own look."""
        self._server = _keyspace(cache)


def make(hub: Hub, **options: Any) -> Panel:
    """Return the cache panel of a hub.

    Parameters
    ----------
    hub
        Whose cache it shows.
    **options
        As `CachePanel` takes them.
    """
    return CachePanel(hub, **options).panel


def _keyspace(cache: Cache) -> tuple[int, int] | None:
    """Return the server's hits and misses; None where it keeps them to itself."""
    stats: dict[str, Any] = {}
    with suppress(RejectedError):
        stats = cache.redis.info("stats")
    if "keyspace_hits" not in stats:
        return None
    return int(stats["keyspace_hits"]), int(stats.get("keyspace_misses", 0))


def _since(now: tuple[int, int], then: tuple[int, int]) -> tuple[int, int]:
    """Return what was added; a count that went back began anew."""
    if now[0] < then[0] or now[1] < then[1]:
        return now
    return now[0] - then[0], now[1] - then[1]


def _percent(count: tuple[int, int]) -> float | None:
    asked = sum(count)
    return 100 * count[0] / asked if asked else None


def _ratio_of(count: tuple[int, int]) -> str:
    percent = _percent(count)
    share = "" if percent is None else f" ({percent:.0f} %)"
    return f"{count[0]:,} of {sum(count):,}{share}"


def _left(ttl: float | None) -> Left:
    return Left("inf" if ttl is None else ttl)


def _until(left: float) -> str:
    if left == float("inf"):
        return "no end"
    return moment(f"{Seconds(left)} left", time.time() + left, before="until ")


def _hint(pattern: str) -> str:
    if pattern == EVERYTHING:
        return _EMPTY
    if any(mark in pattern for mark in "*?["):
        return f"No key matches {pattern}"
    return f"No key is called {pattern}. For keys that hold it:  *{pattern}*"
