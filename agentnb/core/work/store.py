"""The protocol between the engine and the database or server that keeps the units of work.

A unit of work is a job or a task. A *claim* gives it to one owner under a *lease*. The number
``entry`` is the fence: a store raises it at every claim of the unit and never sets it back, so
that id, owner and entry name one claim for ever. The number ``attempt`` is the budget: a release
and a death in company give it back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.failure import Failure
    from agentnb.core.work.backoff import Backoff

__all__ = [
    "ActiveUnit",
    "Began",
    "Claim",
    "Finished",
    "Key",
    "LeaseReport",
    "Outcome",
    "OutcomeKind",
    "Pending",
    "Pulse",
    "Sign",
    "WorkStore",
    "WorkerInfo",
]


class Key(NamedTuple):
    """The id of a unit and the entry of one claim of it: names a claim within its owner."""

    id: str
    entry: int


class Claim(Struct, frozen=True):
    """A unit of work that an owner holds.

    Attributes
    ----------
    id, entry, owner
        The fence: every write of the attempt checks all three, and that the unit is active.
    attempt, attempts
        The number of this attempt, from 1, and how many the unit has.
    backoff
        Computes the pause before the next attempt.
    timeout
        Seconds for the attempt, None for no limit; a handler may know better.
    deaths
        How many times in a row its worker died while it ran beside other units. A unit with one
        or more is run with nothing beside it in its process.
    payload
        What the handler needs: the job or the task. The engine never looks into it.
    waited
        Seconds from the time at which the unit could run until this claim, which is its first;
        None for a later claim, or where the store does not know.
    unit
        The unit as bytes from which `WorkStore.unpack` makes the claim in another process; None
        where that process has to ask the store.
    """

    id: str
    entry: int
    owner: str
    attempt: int
    attempts: int
    backoff: Backoff
    timeout: float | None = None
    deaths: int = 0
    payload: Any = None
    waited: float | None = None
    unit: bytes | None = None

    @property
    def key(self) -> Key:
        """The id and the entry."""
        return Key(self.id, self.entry)


class OutcomeKind(StrEnum):
    """The ways in which an attempt ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    """Failed for good."""
    RETRY = "retry"
    """Failed; another attempt follows after a pause."""
    CANCELLED = "cancelled"
    RELEASED = "released"
    """Put back without counting the attempt, at its first place in the order."""
    SUSPENDED = "suspended"
    """Waits for something without a worker; the entry does not count as an attempt."""
    DIED = "died"
    """The process that ran it is gone or silent: the worker reclaims the unit; no store sees it."""


class Outcome(Struct, frozen=True):
    """The outcome of an attempt.

    Attributes
    ----------
    kind
        How it ended.
    value
        The result in the handler's own form, for ``completed``.
    failure
        The error, for ``failed``, ``retry`` and ``cancelled``.
    delay
        Seconds before the next attempt, for ``retry``.
    ms
        Milliseconds that the attempt took.
    error
        The exception, for the log of the process in which it was raised.
    """

    kind: OutcomeKind
    value: Any = None
    failure: Failure | None = None
    delay: float = 0.0
    ms: float = 0.0
    error: BaseException | None = None


class Finished(Struct, frozen=True):
    """The store's answer to an outcome.

    Attributes
    ----------
    state
        The state of the unit after it: ``completed``, ``failed``, ``delayed``, ``cancelled``,
        ``waiting``, ``parked``; None if the outcome did not count, since the claim was no longer
        the owner's.
        It may differ from the outcome's kind: an attempt at a task of a cancelled workflow that
        failed is ``cancelled``.
    following
        The next claim, the seconds until one is due, or None, as `WorkStore.claim` returns them;
        None without ``then_claim``.
    """

    state: str | None
    following: Claim | float | None = None


class ActiveUnit(Struct, frozen=True):
    """An active unit that no attempt of the asking worker runs.

    Attributes
    ----------
    id, entry, owner, attempt, attempts, deaths
        As in `Claim`.
    left
        Seconds until its lease expires; negative once it has.
    shared
        Whether its owner recorded that its process has other workers too.
    payload
        What the store and the handler need to reclaim it and to say so.
    """

    id: str
    entry: int
    owner: str
    attempt: int
    attempts: int
    left: float
    deaths: int = 0
    shared: bool = False
    payload: Any = None

    @property
    def key(self) -> Key:
        """The id and the entry."""
        return Key(self.id, self.entry)


class LeaseReport(Struct, frozen=True):
    """The state of the leases of one owner, and of everybody else's.

    Attributes
    ----------
    lost
        Claims that are no longer the owner's.
    cancelled
        Claims that are the owner's and whose attempt was asked to stop.
    unknown
        Active units of the owner that are not among those it said it runs: their hand-over was
        cut off.
    others
        Active units of other owners. The engine decides which of them are abandoned. At least
        those whose lease has expired, and one for each owner of this host.
    due
        Seconds until the next delayed unit is due; None for none.
    pulses
        The owner's claims that were begun in another process, with their last signs of life.
    """

    lost: Sequence[Key] = ()
    cancelled: Sequence[Key] = ()
    unknown: Sequence[ActiveUnit] = ()
    others: Sequence[ActiveUnit] = ()
    due: float | None = None
    pulses: Mapping[Key, Pulse] = {}


class Pulse(Struct, frozen=True):
    """The state of an attempt that was begun in another process than its worker's.

    Attributes
    ----------
    age
        Seconds since it was begun.
    left
        Seconds until it counts as silent; negative once it does.
    by
        The identity of the process that began it, as `new_owner` makes them.
    """

    age: float
    left: float
    by: str


class Began(StrEnum):
    """The reasons why an attempt cannot be begun."""

    REPEATED = "repeated"
    """It was begun before."""
    LOST = "lost"
    """The claim is no longer its owner's."""


class Sign(StrEnum):
    """The answer to a sign of life."""

    GO_ON = "go on"
    CANCELLED = "cancelled"
    """The attempt was asked to stop."""
    LOST = "lost"
    """The claim is no longer its owner's, or has ended: nothing of the attempt counts."""


class Pending(Struct, frozen=True):
    """How many units wait, run or are delayed, and how many have ever ended.

    Attributes
    ----------
    left
        How many wait, run or are delayed.
    ended
        How many have ever ended, as far as the store counts them.
    delayed
        How many of those that are left are delayed.
    parked
        How many others are parked: they wait for something without a worker.
    paused
        How many others are of paused work: none of them runs until that is resumed.
    """

    left: int
    ended: int = 0
    delayed: int = 0
    parked: int = 0
    paused: int = 0


class WorkerInfo(Struct, frozen=True):
    """The description of a worker, for people and for those who reclaim what it leaves.

    Attributes
    ----------
    concurrency
        How many units it runs at once.
    kind
        The kind of its process.
    shared
        Whether other workers are or were in its process.
    executor
        Where its attempts run: ``threads``, or the executor in short.
    started
        When it began, in seconds since the epoch by its host's clock; 0 where that is not known.
    """

    concurrency: int
    kind: str = "kernel"
    shared: bool = False
    executor: str = "threads"
    started: float = 0.0


class WorkStore(Protocol):
    """The units of work that one worker can claim.

    All methods may be called from several threads. Each raises `UnavailableError` while its
    database or server is away; the engine then keeps what it has and repeats the call, so that
    ``finish``, ``release`` and ``reclaim`` must be safe to repeat. A store never says that an
    outcome did not count because of an error: only because of the fence.
    """

    lease: float
    """Seconds that a claim lasts without a renewal."""

    def join(self, owner: str, about: WorkerInfo) -> None:
        """Record a worker, so that others see it and its lease; at the latest by `renew`.

        Called again where the description has changed.
        """

    def leave(self, owner: str) -> None:
        """Remove a worker from the record."""

    def claim(self, owner: str) -> Claim | float | None:
        """Claim the next unit, in a short transaction of its own.

        Returns
        -------
        Claim or float or None
            The claim; else the seconds until a delayed unit is due; None where none is known.
        """

    def renew(self, owner: str, running: Sequence[Key]) -> LeaseReport:
        """Renew the owner's leases, and look at those of others; called every half second.

        The store decides how often it writes a heartbeat.

        Parameters
        ----------
        owner
            The worker.
        running
            The claims whose attempts run in it. A lease of one of these that has expired, yet was
            given to nobody else, is renewed.
        """

    def finish(self, claim: Claim, outcome: Outcome, *, then_claim: bool) -> Finished:
        """End an attempt behind its fence, and claim the next unit.

        Both are one round trip where the store can. An error of the second part alone is not
        raised: ``following`` is None then. Any ordinary end sets ``deaths`` back to 0.
        """

    def release(self, claim: Claim | ActiveUnit) -> bool:
        """Put a claimed unit back at its first place, without counting the attempt.

        A unit that was asked to stop is cancelled instead.

        Returns
        -------
        bool
            Whether the claim was still the owner's.
        """

    def reclaim(self, held: ActiveUnit, failure: Failure, *, counted: bool) -> str | None:
        """Take an abandoned unit from its owner.

        Parameters
        ----------
        held
            The unit, as `renew` returned it, or with the payload of its claim, of a worker whose
            executor lost it; its owner and entry are the fence.
        failure
            The reason, such as ``its worker died``.
        counted
            Whether the attempt counts. If so, the unit fails for good after its last one, and
            else waits at its first place without a pause. If not, ``deaths`` is raised by one,
            the attempt is given back, and the unit waits at its first place. A unit that was
            asked to stop is cancelled either way.

        Returns
        -------
        str or None
            The state after it: ``waiting``, ``delayed``, ``failed`` or ``cancelled``; None if
            somebody else was first.
        """

    def begin(self, key: Key, owner: str, by: str, lease: float) -> Claim | Began:
        """Begin the attempt of a claim, in the process that runs it.

        Of all calls for one entry one succeeds; the same call repeated, with its ``by``, is
        answered as before.

        Parameters
        ----------
        key, owner
            The claim.
        by
            The identity of the calling process, with a nonce of the call.
        lease
            Seconds for which the attempt counts as alive.

        Returns
        -------
        Claim or Began
            The claim, with what the handler needs; or why it cannot be begun.
        """

    def unpack(self, key: Key, owner: str, attempt: int, unit: bytes) -> Claim:
        """Return a claim in the process that runs it, from the unit of the worker's claim."""

    def touch(self, key: Key, owner: str, lease: float) -> Sign:
        """Note a sign of life of an attempt that was begun, and return what its worker wants."""

    def pulse(self, key: Key, owner: str) -> Pulse | None:
        """Return the last sign of life of a claim's attempt; None if it was not begun.

        The worker asks so when its executor has lost an attempt.
        """

    def pending(self) -> Pending:
        """Return how many units wait, run or are delayed, here or in other workers."""

    def wait(self, seconds: float) -> None:
        """Return when there may be a unit to claim, after `wake`, or after some seconds.

        One thread of a worker waits at a time. A store must not miss a unit that came between the
        last `claim` of that thread and this call.
        """

    def wake(self) -> None:
        """Let the thread that waits return now; one that comes to wait next returns at once."""
