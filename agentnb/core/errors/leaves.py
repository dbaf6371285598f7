"""Errors of a call, a setting or a service, by what was wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors.base import (
    AgentnbError,
    ConfigError,
    RejectedError,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = [
    "AttemptStopped",
    "BatchFailed",
    "BuildFailed",
    "CircuitOpen",
    "DeadlineExceeded",
    "FileChanged",
    "Final",
    "HandlerFailed",
    "InvalidResponse",
    "JobCancelled",
    "JobFailed",
    "KernelOnlyError",
    "LoadFailed",
    "NonFastForward",
    "NotReplayable",
    "OptionRefused",
    "PartlyAdded",
    "PathEscape",
    "PoolTimeout",
    "RateLimited",
    "ReplayDiverged",
    "TaskFailed",
    "UnfitTask",
    "UnkeptResult",
    "UntrustedPath",
]


class ReplayDiverged(UsageError, AssertionError):  # noqa: N818 - what happened, as its siblings say it
    """The code makes other calls than the tape has; an ``AssertionError`` for test runners."""


class NotReplayable(UsageError):  # noqa: N818 - what happened, as its siblings say it
    """A tape has no answer for a call: streams, Arrow data and what was not kept whole."""


class UnkeptResult(UsageError):  # noqa: N818 - what happened, as its siblings say it
    """The work is done and is not repeated, but its result could not be kept."""


class PathEscape(UsageError):  # noqa: N818 - what happened, as its siblings say it
    """A path leads out of the workspace: by its text, by a link, or by a race."""


class OptionRefused(UsageError):  # noqa: N818 - what happened, as its siblings say it
    """An option is not allowed here; the message names it."""


class UnfitTask(UsageError):  # noqa: N818 - what happened, as its siblings say it
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


class UntrustedPath(ConfigError):  # noqa: N818 - what happened, as its siblings say it
    """Settings, code or a home that another user owns or can write: they are not used."""


class KernelOnlyError(ConfigError):
    """A kept cell uses names of its notebook, which another process does not have."""


class BuildFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A step of an image's build failed; the message ends with what it printed last."""


class LoadFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """The loader of a cached value failed in another process, which shares its failure."""


class FileChanged(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """The file is not the one that was read: read it again before overwriting it."""


class InvalidResponse(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """An API's reply is not what was asked for: no JSON, not the schema's, or too large.

    Attributes
    ----------
    content_type
        The content type that the service states, or None.
    snippet
        How the body begins, with secrets masked.
    """

    content_type: str | None = None
    snippet: str = ""

    def hide(self, redactor: Callable[[str], str]) -> None:
        """Mask secrets; see `AgentnbError.hide`."""
        super().hide(redactor)
        self.snippet = redactor(self.snippet)


class NonFastForward(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A push or a pull met commits that the other side lacks: bring the two together first."""


class JobFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A job failed for good; what it raised was raised in the worker that ran it."""


class JobCancelled(JobFailed):
    """A job was cancelled before it had ended."""


class BatchFailed(JobFailed):
    """Some jobs of a batch failed or were cancelled.

    Attributes
    ----------
    failed
        The numbers of their items, from 0.
    """

    failed: list[int] = []  # noqa: RUF012 - never changed in place


class TaskFailed(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """A task failed for good, or its workflow was cancelled; the message says which and why."""


class Final(AgentnbError):  # noqa: N818 - what it is, as its siblings say it
    """Raised by an agent or a processor: another attempt would fail as well, so none is made.

    Parameters
    ----------
    message
        The reason; default: none, so that ``raise Final`` ends the work as well.
    service
        The service it happened to; default: your own code.
    hint
        The next step of whoever reads it.

    Examples
    --------
    >>> str(Final("there is no customer 17"))
    'there is no customer 17'
    """

    def __init__(self, message: str = "", *, service: str = "app", hint: str | None = None) -> None:
        super().__init__(message, service=service, hint=hint)


class AttemptStopped(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """The attempt was cancelled, or lost its lease: its writes do not count."""


class DeadlineExceeded(UnavailableError, TimeoutError):  # noqa: N818 - what happened, as its siblings say it
    """The call took longer than it was given and was cancelled; a ``TimeoutError``."""


class PoolTimeout(DeadlineExceeded):
    """No connection was free in time: that says nothing about the host."""


class RateLimited(UnavailableError):  # noqa: N818 - what happened, as its siblings say it
    """The service wants no more calls for now.

    Attributes
    ----------
    reset_at
        When it will take calls again, in UTC; None if it does not say.
    """

    reset_at: datetime | None = None


class PartlyAdded(UnavailableError):  # noqa: N818 - what happened, as its siblings say it
    """The server went away while many jobs were added.

    Attributes
    ----------
    added
        The ids of the jobs that were added.
    uncertain
        The ids of those that were being added, of which all or none were: the answer was lost.
    """

    added: list[str] = []  # noqa: RUF012 - never changed in place
    uncertain: list[str] = []  # noqa: RUF012 - as above


class CircuitOpen(UnavailableError):  # noqa: N818 - what happened, as its siblings say it
    """The service failed repeatedly a moment ago; it is not asked again yet."""


class HandlerFailed(AgentnbError):  # noqa: N818 - what happened, as its siblings say it
    """A handler of a client raised; its error is the cause."""
