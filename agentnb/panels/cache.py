"""The cache panel: the keys that match a pattern, the value of one, and the hit ratio."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, NotFoundError, UsageError
from agentnb.core.format import size as format_size
from agentnb.core.format import time_left
from agentnb.core.table import Column
from agentnb.panels.base import (
    Confirm,
    Instruction,
    Left,
    Paced,
    Panel,
    Plot,
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
    from agentnb.core.cache.inspect import CacheInspector
    from agentnb.core.cache.preview import ValuePreview
    from agentnb.core.hub import Hub
    from agentnb.core.table import Table

__all__ = ["CachePanel", "make"]

LISTED = 1000
EVERYTHING = "*"
_EMPTY = "Nothing is cached yet. Type in a cell:  %cache set KEY VALUE   or, over it:  %%cache KEY"
_PICK = Instruction("Pick a key to see its value.")
# The share of the time that listing keys may take: with millions of keys it is slow.
_SHARE = 0.2


class CachePanel:
    """Browses keys and values; the widgets are composed in `panel`.

    Parameters
    ----------
    hub
        The hub whose cache it shows.
    pattern
        The first pattern.
    every
        Seconds between refreshes.
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
            ("key", "ttl", Column("size", "size"), "value"),
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

    def _load(
        self,
    ) -> tuple[str, Table, str | None, ValuePreview | str | None, tuple[float | None, str]]:
        cache = self._cache
        rates = self._rates.before(cache.inspect)
        with self.panel.lock:
            pattern, picked, listed = self._pattern, self._picked, self._listed
        table = listed.get(lambda: cache.inspect.table(pattern, limit=LISTED))
        preview: ValuePreview | str | None = None
        if picked is not None:
            try:
                preview = cache.inspect.preview(picked)
            except (ConfigError, UsageError) as error:  # of this value, not of the server
                preview = f"{error.message}\n{error.hint or ''}"
        self._rates.after(cache.inspect)
        return pattern, table, picked, preview, rates

    def _show(
        self,
        loaded: tuple[str, Table, str | None, ValuePreview | str | None, tuple[float | None, str]],
    ) -> None:
        pattern, table, picked, preview, (ratio, numbers) = loaded
        self.ratio.add(ratio)
        self.numbers.value = numbers
        if pattern == self._pattern:  # else a newer pattern is being listed
            rows = [(key, _left(ttl), size, value) for key, ttl, size, value in table.rows]
            self.keys.update(rows, note=table.note, hint=_hint(pattern))
        if picked == self._picked:
            self._show_value(picked, preview)

    def _show_value(self, key: str | None, preview: ValuePreview | str | None) -> None:
        if key is None:
            return
        self.remove.disabled = preview is None
        name = f"<strong>{escape(plain(key))}</strong>"
        if preview is None:
            self.about.value = f"{name} · gone: removed or expired"
            self.value.show("")
        elif isinstance(preview, str):
            self.about.value = name
            self.value.show(preview)
        else:
            words = [preview.kind, format_size(preview.size), preview.note]
            about = [name, *(escape(word) for word in words if word), _until(preview.left)]
            self.about.value = " · ".join(about)
            self.value.show(preview.text)

    def _remove(self) -> str:
        key = self._picked
        if key is None:
            raise UsageError("no key is selected", service="cache", hint="click on a key")
        if not self._cache.delete(key):
            raise NotFoundError(
                f"{key!r} is gone already", service="cache", hint="the list refreshes by itself"
            )
        self._listed.reset()
        return f"{plain(key)}: removed"

    def _ask(self) -> tuple[str, str]:
        pattern = self._pattern
        count = len(self._cache.keys(pattern, limit=LISTED + 1))
        if not count:
            raise NotFoundError(
                f"no key matches {pattern}", service="cache", hint="change the pattern"
            )
        many = f"more than {LISTED:,}" if count > LISTED else f"{count:,}"
        return f"Remove {many} {'key' if count == 1 else 'keys'}: {plain(pattern)}", pattern

    def _invalidate(self, pattern: str) -> str:
        count = self._cache.invalidate(pattern)
        self._listed.reset()
        return f"{pattern}: {count:,} {'key' if count == 1 else 'keys'} removed"


class _Rates:
    """Hits and misses between refreshes: of this process, and of all clients.

    The panel's own reads count as hits on the server. So the server's counts are taken after
    each refresh and before the next.
    """

    def __init__(self) -> None:
        self._own: tuple[int, int] | None = None
        self._server: tuple[int, int] | None = None
        self._all = (0, 0)

    def before(self, cache: CacheInspector) -> tuple[float | None, str]:
        """Return the hit ratio since the last refresh, in percent or None, and a text of both."""
        own, server = cache.counts, cache.server_counts()
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
            words += f"<br>\nall clients, since the panel opened: {_ratio_of(self._all)}"
        return ratio, words

    def after(self, cache: CacheInspector) -> None:
        """Record the server's counts after the panel's own reads."""
        self._server = cache.server_counts()


def make(hub: Hub, **options: Any) -> Panel:
    """Return the cache panel of a hub.

    Parameters
    ----------
    hub
        The hub whose cache it shows.
    **options
        As `CachePanel` takes them.
    """
    return CachePanel(hub, **options).panel


def _since(now: tuple[int, int], then: tuple[int, int]) -> tuple[int, int]:
    """Return the increase of both counts; a count that went down was reset."""
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
    return moment(f"{time_left(left)} left", time.time() + left, before="until ")


def _hint(pattern: str) -> str:
    if pattern == EVERYTHING:
        return _EMPTY
    if any(mark in pattern for mark in "*?["):
        return f"No key matches {pattern}"
    return f"No key is called {pattern}. For keys that hold it:  *{pattern}*"
