"""How long a workflow did nothing but wait for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ASKED", "waited"]

ASKED = {"TASK_APPROVAL", "TASK_ASKED"}
"""Types of events from which on a task waits for a person."""
_GOES_ON = {"TASK_APPROVED", "TASK_STARTED", "TASK_RETRIED", "TASK_RESUMED"}
"""Types of events after which a task runs, or waits for something else than a person."""


def waited(events: Iterable[tuple[str, str, float]], until: float) -> float:
    """Return the seconds in which a task waited for a person and no other was active.

    Parameters
    ----------
    events
        Type, task and time of a workflow's events, oldest first; times in seconds since the epoch.
        ``TASK_ASKED`` is the type of a task that was parked by a question.
    until
        When the workflow ended, or now.

    Examples
    --------
    >>> waited([("TASK_APPROVAL", "ship", 10.0), ("TASK_APPROVED", "ship", 70.0)], 80.0)
    60.0
    >>> waited([("TASK_STARTED", "a", 5.0), ("TASK_APPROVAL", "b", 10.0)], 80.0)
    0.0
    """
    asking: set[str] = set()
    active: set[str] = set()
    seconds, last = 0.0, 0.0
    for kind, task, at in [*events, ("", "", until)]:
        if asking and not active:
            seconds += max(at - last, 0.0)
        last = max(at, last)
        if kind in ASKED:
            asking.add(task)
            active.discard(task)
        elif kind in _GOES_ON:
            asking.discard(task)
            active.add(task)
        elif kind.startswith("TASK_"):  # it ended
            asking.discard(task)
            active.discard(task)
        elif kind in {"WORKFLOW_COMPLETED", "WORKFLOW_FAILED", "WORKFLOW_CANCELLED"}:
            asking.clear()
    return seconds
