"""The options of a job, checked before it is added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from agentnb.core.queue.scripts import MOST_PRIORITY
from agentnb.core.ranges import flag, refused, seconds, text, whole

__all__ = [
    "DEFAULTS",
    "FOR_EVER",
    "RESULT_TTL",
    "Message",
    "Options",
    "Retention",
]

_ARGUMENTS: Final = (
    *("priority", "attempts", "backoff", "timeout", "key", "lifo"),
    *("remove_on_complete", "remove_on_fail", "result_ttl"),
)
_EXPONENTIAL, _FIXED = "exponential", "fixed"

RESULT_TTL: Final = 3600.0
"""Seconds for which an unread result is kept, unless the job or its queue says so."""
_FAILURE_TTL: Final = 7 * 86400.0
_MOST_RESULTS, _MOST_FAILURES = 100_000, 10_000


class Retention(NamedTuple):
    """How long a job is kept once it has ended.

    Attributes
    ----------
    newest
        Kept while fewer than this many others have ended after it; -1 for ever, 0 not at all.
    seconds
        Kept for this time however many have ended, unless its result is read before.
    most
        Kept for that time only while no more jobs than this are.
    """

    newest: int
    seconds: float
    most: int


FOR_EVER: Final = Retention(-1, 0, 0)


class Options(msgspec.Struct, omit_defaults=True, frozen=True):
    """A job's options, by the names that `Queue.add` has; durations in seconds.

    ``add(data, **job.options.arguments())`` adds a job with the same ones.

    Attributes
    ----------
    attempts
        How often it is tried.
    pause, growing
        The pause before the second attempt, and whether it doubles from one to the next.
    kept, kept_failed
        The job is kept while it is among this many of the completed, or of the failed or
        cancelled, jobs of the queue; -1 for ever.
    result_ttl
        Seconds for which its result is kept in any case, unless it is read before.
    timeout
        How long an attempt may take; None for as long as it takes.
    priority, lifo
        The order, lower numbers first; carried for those who look at the job.
    key
        The idempotency key, or None.
    """

    attempts: int = 3
    pause: float = msgspec.field(default=2.0, name="backoff")  # the names of messages
    growing: bool = True
    kept: int = msgspec.field(default=100, name="keep")
    kept_failed: int = msgspec.field(default=50, name="keep_failed")
    timeout: float | None = None
    priority: int = 0
    lifo: bool = False
    key: str | None = None
    result_ttl: float = RESULT_TTL

    @property
    def backoff(self) -> float | dict[str, Any]:
        """The pauses between attempts, as `Queue.add` takes them."""
        return {"type": _EXPONENTIAL, "delay": self.pause} if self.growing else self.pause

    @property
    def remove_on_complete(self) -> bool | int:
        """How long a completed job is kept, as `Queue.add` takes it."""
        return _removed(self.kept)

    @property
    def remove_on_fail(self) -> bool | int:
        """How long a failed or cancelled job is kept, as `Queue.add` takes it."""
        return _removed(self.kept_failed)

    def arguments(self) -> dict[str, Any]:
        """Return the options as arguments of `Queue.add`.

        >>> Options(attempts=5, kept=0).arguments()["remove_on_complete"]
        True
        """
        return {name: getattr(self, name) for name in _ARGUMENTS}

    def __repr__(self) -> str:
        return f"Options({', '.join(f'{k}={v!r}' for k, v in self.arguments().items())})"

    def retention(self, state: str) -> Retention:
        """Return how long the job is kept in a state in which it has ended."""
        if state == "completed":
            return Retention(self.kept, self.result_ttl, _MOST_RESULTS)
        return Retention(self.kept_failed, _FAILURE_TTL, _MOST_FAILURES)

    @classmethod
    def checked(cls, **given: Any) -> Options:
        """Return options from what a caller of `Queue.add` gave; see there.

        Raises
        ------
        UsageError
            One of them cannot be used.
        """
        backoff, growing = _backoff(given["backoff"])
        key = given["key"]
        if key is not None and not text("key", key, service="queue", hint=f"key: {_KEY}"):
            raise refused("key", _KEY, key, "queue", "key='order-17'")
        timeout = given["timeout"]
        return cls(
            attempts=whole("attempts", given["attempts"], service="queue", most=1000),
            pause=backoff,
            growing=growing,
            kept=_kept("remove_on_complete", given["remove_on_complete"]),
            kept_failed=_kept("remove_on_fail", given["remove_on_fail"]),
            timeout=None if timeout is None else seconds("timeout", timeout, service="queue"),
            priority=whole(
                "priority", given["priority"], service="queue", least=0, most=MOST_PRIORITY
            ),
            lifo=flag("lifo", given["lifo"], service="queue"),
            key=key,
            result_ttl=seconds("result_ttl", given["result_ttl"], service="queue", zero=True),
        )


DEFAULTS: Final = Options()


class Message(msgspec.Struct, omit_defaults=True):
    """The message of a job: its data, the options that are not the defaults, and its trace.

    ``function`` is the name of the function that the job is for, None for any processor. A firing
    of a schedule has its name and its time, in ms since the epoch.
    """

    data: msgspec.Raw
    options: Options = DEFAULTS
    traceparent: str | None = None
    correlation_id: str | None = None
    function: str | None = None
    schedule: str | None = None
    scheduled: int | None = None


def _backoff(given: Any) -> tuple[float, bool]:
    """Return the first pause and whether it grows; a number is a fixed one, as with Bull."""
    if given is None:
        return DEFAULTS.pause, True
    if isinstance(given, Mapping):
        kind = given.get("type", _EXPONENTIAL)
        if kind not in {_EXPONENTIAL, _FIXED} or given.keys() - {"type", "delay"}:
            raise refused("backoff", _BACKOFF, dict(given), "queue", "backoff=2")
        return _pause(given.get("delay", DEFAULTS.pause)), kind == _EXPONENTIAL
    return _pause(given), False


def _pause(given: Any) -> float:
    return seconds("backoff", given, service="queue", zero=True, hint=f"backoff: {_BACKOFF}")


_KEY = "text that names the work, such as 'order-17'"
_BACKOFF = "seconds, or {'type': 'exponential', 'delay': 2}; the other type is 'fixed'"


def _removed(kept: int) -> bool | int:
    """Return what `_kept` reads as a number of jobs."""
    return {0: True, -1: False}.get(kept, kept)


def _kept(name: str, given: Any) -> int:
    """Return how many jobs to keep; True removes at once, False keeps all, as with Bull."""
    if isinstance(given, bool):
        return 0 if given else -1
    return whole(name, given, service="queue", least=0, most=1_000_000)
