"""The error of a workflow that did not come about."""

from __future__ import annotations

from agentnb.core.errors import RejectedError

__all__ = ["TaskFailed"]


class TaskFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A task failed for good, or its workflow was cancelled; the message says which and why."""
