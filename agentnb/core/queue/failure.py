"""The errors of a job that failed or was cancelled."""

from agentnb.core.errors import JobCancelled, JobFailed

__all__ = ["JobCancelled", "JobFailed"]
