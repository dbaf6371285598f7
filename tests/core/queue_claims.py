"""Claims of jobs as a worker of another process makes them."""

from __future__ import annotations

import secrets

from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, Outcome, OutcomeKind

LOST = Failure("lost", 1)


def dead_here() -> str:
    """Return the owner id of a process of this host that has ended."""
    host, space, pid, started, nonce = new_owner().split("|")
    return "|".join([host, space, pid, str(int(started) - 1), nonce])


def elsewhere() -> str:
    """Return the owner id of a process of another host."""
    _, space, pid, started, _ = new_owner().split("|")
    return "|".join(["another-boot", space, pid, started, secrets.token_hex(4)])


def claim(queue, owner: str = "me") -> Claim:
    """Claim the next job, as a worker does."""
    found = queue._work_store().claim(owner)
    assert isinstance(found, Claim), found
    return found


def finish(queue, claimed: Claim, kind: str, value: bytes = b"1", *, delay: float = 0.0):
    """End a claim, and return the state; None if it did not count."""
    outcome = Outcome(OutcomeKind(kind), value, delay=delay)
    if kind in {"failed", "retry", "cancelled"}:
        outcome = Outcome(OutcomeKind(kind), failure=LOST, delay=delay)
    return queue._work_store().finish(claimed, outcome, then_claim=False).state


def held_of(queue, job_id: str, owner: str = "another"):
    """Return what another worker sees of an active job."""
    report = queue._work_store().renew(owner, [])
    return next(one for one in report.others if one.id == job_id)
