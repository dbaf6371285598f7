"""How many jobs a queue has by state, and how many have ever ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentnb.core.deprecation import warn_deprecated

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ENDED", "OPEN", "STATES", "Counts", "ask", "counts_from"]

OPEN: Final = ("waiting", "paused", "delayed", "active")
"""The states of jobs that have not ended."""
ENDED: Final = ("completed", "failed", "cancelled")
"""The states of jobs that have ended."""
STATES: Final = (*OPEN, *ENDED)
"""All states of a job."""
_SETS: Final = ("wait", "delayed", "active", *ENDED)
ASKED: Final = len(_SETS) + 1
_FORMER: Final = {"ever completed": "completed_total", "ever failed": "failed_total"}


class Counts(dict[str, int]):
    """The number of jobs in each of `STATES`, and in all that ended in each: ``completed_total``.

    Examples
    --------
    >>> counts = counts_from([2, 0, 1, 5, 0, 0, {b"completed": b"9"}])
    >>> counts["waiting"], counts["completed"], counts["completed_total"]
    (2, 5, 9)
    >>> counts.left, counts.ended
    (3, 9)
    """

    @property
    def waiting(self) -> int:
        """Number of jobs that wait, whether or not the queue is paused."""
        return self["waiting"] + self["paused"]

    @property
    def left(self) -> int:
        """Number of jobs that have not ended."""
        return sum(self[state] for state in OPEN)

    @property
    def ended(self) -> int:
        """Number of jobs that have ever ended."""
        return sum(self[f"{state}_total"] for state in ENDED)

    is_paused: bool = False
    """Whether the queue is paused."""
    limits: bytes | None = None
    """The limits of the queue as the server has them."""

    def __missing__(self, name: str) -> int:
        if name not in _FORMER:
            raise KeyError(name)
        warn_deprecated(f"counts()[{name!r}] is deprecated: use counts()[{_FORMER[name]!r}]")
        return self[_FORMER[name]]


def ask(pipe: Any, base: str) -> None:
    """Queue the commands of a pipeline that read the counts of a queue, `ASKED` of them."""
    for name in _SETS:
        pipe.zcard(f"{base}:{name}")
    pipe.hgetall(f"{base}:meta")


def counts_from(found: Sequence[Any]) -> Counts:
    """Return the counts from the answers to `ask`."""
    wait, delayed, active, completed, failed, cancelled, meta = found
    paused = b"paused" in meta
    totals = {f"{state}_total": int(meta.get(state.encode(), 0)) for state in ENDED}
    result = Counts(
        waiting=0 if paused else wait,
        paused=wait if paused else 0,
        delayed=delayed,
        active=active,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        **totals,
    )
    result.is_paused = paused
    result.limits = meta.get(b"limits")
    return result
