"""The errors of a workflow that cannot be made, and of one that did not come about."""

from __future__ import annotations

from agentnb.core.errors import RejectedError, UsageError

__all__ = ["TaskFailed", "UnfitTask"]


class TaskFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A task failed for good, or its workflow was cancelled; the message says which and why."""


class UnfitTask(UsageError):  # noqa: N818 - what it is about, as its siblings say it
    """A workflow cannot be made because of one of its tasks.

    Parameters
    ----------
    message, service, hint
        As in every error.
    place
        Which of the tasks that were given, from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        service: str = "workflow",
        hint: str | None = None,
        place: int = 0,
    ) -> None:
        super().__init__(message, service=service, hint=hint)
        self.place = place
