"""The errors of a job that failed or was cancelled."""

from __future__ import annotations

from agentnb.core.errors import RejectedError

__all__ = ["JobCancelled", "JobFailed"]


class JobFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A job failed for good; what it raised was raised in the worker that ran it."""


class JobCancelled(JobFailed):
    """A job was cancelled before it had ended."""
