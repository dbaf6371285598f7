"""The errors of a job that failed or was cancelled."""

from agentnb.core.errors import BatchFailed, JobCancelled, JobFailed

__all__ = ["BatchFailed", "JobCancelled", "JobFailed"]
