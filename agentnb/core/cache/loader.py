"""The dependencies of the steps of `get_or_set`: server, locks, failures, waiting threads."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.cache.failures import Failures
from agentnb.core.cache.lease import Leases
from agentnb.core.cache.store import PATIENCE, Found, is_due
from agentnb.core.cache.waits import Waits
from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    DeadlineExceeded,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.outage import OutageTracker

if TYPE_CHECKING:
    from agentnb.core.cache.local import Copy
    from agentnb.core.cache.store import Wanted
    from agentnb.core.cache.values import Values
    from agentnb.core.codec.errors import ClassMissingError

__all__ = ["Loader"]


class Loader:
    """The loading side of one cache.

    Parameters
    ----------
    cache
        Whose values are loaded.
    lock_seconds
        How long the lock of a loader lives without being renewed.
    patience
        Seconds for which a call waits for the load of another.
    """

    def __init__(self, cache: Values, *, lock_seconds: float, patience: float) -> None:
        self.codec = cache.codec
        self.count = cache.count
        self.log = cache.log
        self.failures = Failures()
        self.leases = Leases(lock_seconds)
        self.store = cache.store
        self.away = OutageTracker(
            cache.log, "the cache is away; values are loaded each time", "the cache is back"
        )
        self.refuses = OutageTracker(
            cache.log, "the cache stores nothing; values are loaded each time", "the cache stores"
        )
        self._keys = cache.keys_of
        self._copies = cache.copies
        self._hasty = cache.redis.within(PATIENCE)
        self.waits = Waits()
        self.patience = patience

    def near(self, wanted: Wanted) -> Found | None:
        """Return what a copy in this process says of a key, None if the server has to say it."""
        if not wanted.local:
            return None
        copy = self._copies.get(self._keys.cache(wanted.key))
        return None if copy is None else _found(copy, wanted)

    def look(self, wanted: Wanted) -> Found:
        """Return what the server says of a key."""
        if not wanted.local:
            return self.store.look(wanted)
        copy = self._copies.fetch(self._keys.cache(wanted.key), self._hasty)
        return Found(None) if copy is None else _found(copy, wanted)

    def save(self, wanted: Wanted, token: str, data: bytes, before: bytes | None) -> None:
        """Store what was loaded."""
        try:
            if not self.store.save(wanted, token, data, before):
                self.log.debug("%r has changed while it was loaded; not stored", wanted.key)
        except RejectedError:
            self.store.release(wanted.key, token)
            raise
        finally:
            self._copies.drop([self._keys.cache(wanted.key)])

    def survives(self, error: AgentnbError, *, storing: bool = False) -> bool:
        """Return whether callers get a value in spite of an error; if so, it is said once.

        A server that is away, or stores nothing, must not keep them from what their loader
        gives. A wrong setting is theirs to mend, unless it was good before: then the
        server has changed under them.
        """
        changed = isinstance(error, ConfigError) and self.away.was_up
        if changed or isinstance(error, UnavailableError):
            self.away.failed(error)
        elif isinstance(error, RejectedError) and storing:
            self.refuses.failed(error)
        else:
            return False
        return True

    def note_missing(self, key: str, error: ClassMissingError) -> None:
        """Log that a value is taken as missing, since its class is."""
        self.log.warning("%r counts as missing: %s", key, error)

    def check_not_inside(self, key: str, *, thoroughly: bool = False) -> None:
        """Refuse a loader that asks for its own key, and would wait for itself.

        Parameters
        ----------
        thoroughly
            Whether to look at what the threads of loaders wait for, too.

        Raises
        ------
        UsageError
            It does.
        """
        if self.waits.is_within(key) if thoroughly else self.waits.is_inside(key):
            raise self.circular(key)

    def circular(self, key: str) -> UsageError:
        """Return the error of a loader that waits for itself."""
        return UsageError(
            f"the loader of {key!r} asks for {key!r} itself",
            service="cache",
            hint="load it there, or ask for another key",
        )

    def exhausted(self, key: str) -> DeadlineExceeded:
        """Return the error of a call that has waited for too long."""
        return DeadlineExceeded(
            f"{key!r} is being loaded by another call for more than {self.patience:g} s",
            service="cache",
            hint="a loader must not wait for its own key; for one that takes longer, "
            "raise AGENTNB_CACHE_WAIT",
        )


def _found(copy: Copy, wanted: Wanted) -> Found:
    due = bool(wanted.early) and is_due(copy.until - monotonic(), wanted.early)
    return Found(copy.data, due=due)
