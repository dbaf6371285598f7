"""The loading part of a cache: server, copies, locks, failures and waiting calls."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.cache.failures import Failures
from agentnb.core.cache.lease import Leases
from agentnb.core.cache.store import Lookup, is_due
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
    from agentnb.core.cache.codec import Codec
    from agentnb.core.cache.counter import HitCounter
    from agentnb.core.cache.local import Copies, Copy
    from agentnb.core.cache.store import LoadRequest, Store
    from agentnb.core.codec.errors import ClassMissingError
    from agentnb.core.trace import ServiceLog

__all__ = ["Loader"]


class Loader:
    """Looks values up and stores loaded ones, for the flow of `Cache.get_or_set`.

    Parameters
    ----------
    store
        The server.
    copies
        The copies that this process keeps.
    codec, counter
        Encode values; count hits and misses.
    lock_seconds
        Seconds until the lock of a loader expires unless it is renewed.
    wait_seconds
        Seconds that a call waits for the load of another.
    log
        Logger of outages and of values that count as missing.
    """

    def __init__(
        self,
        *,
        store: Store,
        copies: Copies,
        codec: Codec,
        counter: HitCounter,
        lock_seconds: float,
        wait_seconds: float,
        log: ServiceLog,
    ) -> None:
        self.store = store
        self.codec = codec
        self.counter = counter
        self.log = log
        self.failures = Failures()
        self.leases = Leases(lock_seconds)
        self.waits = Waits()
        self.wait_seconds = wait_seconds
        self.outage = OutageTracker(
            log, "the cache is away; values are loaded each time", "the cache is back"
        )
        self.refusal = OutageTracker(
            log, "the cache stores nothing; values are loaded each time", "the cache stores"
        )
        self._copies = copies

    def lookup_copy(self, request: LoadRequest) -> Lookup | None:
        """Return this process's copy of a value, None if the server has to be asked."""
        if not request.local:
            return None
        copy = self._copies.get(self.store.key_of(request.key))
        return None if copy is None else _lookup(copy, request)

    def lookup(self, request: LoadRequest) -> Lookup:
        """Return the server's value of a key."""
        if not request.local:
            return self.store.lookup(request)
        copy = self._copies.fetch(self.store.key_of(request.key), self.store.client)
        return Lookup(None) if copy is None else _lookup(copy, request)

    def save(self, request: LoadRequest, token: str, data: bytes, before: bytes | None) -> None:
        """Store a loaded value, unless the key has changed meanwhile."""
        try:
            if not self.store.save(request, token, data, before):
                self.log.debug("%r has changed while it was loaded; not stored", request.key)
        except RejectedError:
            self.store.release(request.key, token)
            raise
        finally:
            self._copies.drop([self.store.key_of(request.key)])

    def tolerates(self, error: AgentnbError, *, storing: bool = False) -> bool:
        """Return whether callers get the loader's value in spite of an error of the server.

        An outage, or a server that stores nothing, must not cost the loader's value. A wrong
        setting is raised, unless the server was up before: then the server has changed.
        """
        changed = isinstance(error, ConfigError) and self.outage.was_up
        if changed or isinstance(error, UnavailableError):
            self.outage.failed(error)
        elif isinstance(error, RejectedError) and storing:
            self.refusal.failed(error)
        else:
            return False
        return True

    def log_missing(self, key: str, error: ClassMissingError) -> None:
        """Log that a value counts as missing, since its class is."""
        self.log.warning("%r counts as missing: %s", key, error)

    def check_not_inside(self, key: str, *, thoroughly: bool = False) -> None:
        """Refuse a loader that asks for its own key, since it would wait for itself.

        Parameters
        ----------
        thoroughly
            Also inspect what the threads of loaders wait for.

        Raises
        ------
        UsageError
            The call is made by the loader of this key.
        """
        if self.waits.is_within(key) if thoroughly else self.waits.is_inside(key):
            raise self.circular(key)

    def circular(self, key: str) -> UsageError:
        """Return the error of a loader that waits for itself."""
        return UsageError(
            f"the loader of {key!r} asks for {key!r} itself",
            service="cache",
            hint="compute the value in the loader, or ask for another key",
        )

    def exhausted(self, key: str) -> DeadlineExceeded:
        """Return the error of a call that has waited longer than ``wait_seconds``."""
        return DeadlineExceeded(
            f"{key!r} is being loaded by another call for more than {self.wait_seconds:g} s",
            service="cache",
            hint="a loader must not wait for its own key; for one that takes longer, "
            "raise AGENTNB_CACHE_WAIT",
        )


def _lookup(copy: Copy, request: LoadRequest) -> Lookup:
    due = bool(request.early) and is_due(copy.until - monotonic(), request.early)
    return Lookup(copy.data, due=due)
