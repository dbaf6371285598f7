"""The clock of a hub: a test moves it ahead instead of waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import seconds
from agentnb.core.redis.script import Script
from agentnb.testing.hubs import keys_of
from agentnb.testing.work import sources

if TYPE_CHECKING:
    from agentnb.core.hub import Hub

__all__ = ["HubClock"]

# ARGV: milliseconds. Lets the keys expire that much earlier.
_AGE = Script("""
for _, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  if left > 0 then
    left = left - ARGV[1]
    if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('UNLINK', key) end
  end
end
return 1
""")


@refuse_unknown("testing")
class HubClock:
    """The clock by which the delayed work of a hub is due.

    It moves schedules, delays and pauses between attempts of jobs and tasks, the times that they
    record, the age of results, and the time to live of every key of the hub on its server: cached
    values, locks and idempotency keys of jobs. It does not move time-outs, leases, heartbeats,
    the pauses and breakers of calls to other services, ``time.time()``, nor what other
    processes and other hubs do.

    Parameters
    ----------
    hub
        The hub.

    Examples
    --------
    >>> from agentnb.testing import isolated_hub
    >>> with isolated_hub() as hub:
    ...     clock = HubClock(hub)
    ...     hub.cache.set("rate", 1.2, ttl=60)
    ...     clock.advance(60)
    ...     hub.cache.get("rate") is None
    True
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    @property
    def offset(self) -> float:
        """Return the seconds by which the clock is ahead of the system's."""
        return self._hub.runtime.clock.offset

    def time(self) -> float:
        """Return the seconds since the epoch by the clock."""
        return self._hub.runtime.clock.time()

    def advance(self, by: float) -> None:
        """Move the clock ahead; workers of this process look for due work at once.

        Parameters
        ----------
        by
            Seconds.

        Raises
        ------
        UsageError
            It is not a number of seconds.
        """
        by = seconds("by", by, service="testing", zero=True, hint="clock.advance(60)")
        hub = self._hub
        keys = keys_of(hub.redis.untraced, hub.settings.key_prefix)
        if keys:
            _AGE.run(hub.redis.untraced, [key.decode() for key in keys], [round(by * 1000)])
        hub.runtime.clock.advance(by)

    def skip(self) -> float:
        """Move the clock to when the next delayed job or task is due; return the seconds.

        Jobs and tasks that wait for a rate are due when it has room. Nothing happens, and 0 is
        returned, where none is delayed.
        """
        due = [left for source in sources(self._hub) if (left := source.due()) is not None]
        if not due:
            return 0.0
        # A millisecond more: due times have fractions of one.
        by = min(due) + 0.001
        self.advance(by)
        return by

    def __repr__(self) -> str:
        return f"HubClock(+{self.offset:g} s)"
