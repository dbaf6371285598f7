"""The error of a job that failed."""

from __future__ import annotations

from agentnb.core.errors import RejectedError

__all__ = ["JobFailed"]


class JobFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A job failed for good; what it raised was raised in the worker that ran it."""
