"""Errors of names that do not exist, by kind."""

from __future__ import annotations

from agentnb.core.errors.base import NotFoundError

__all__ = [
    "AgentNotFound",
    "ContainerNotFound",
    "HTTPNotFound",
    "ImageNotFound",
    "JobNotFound",
    "RepositoryNotFound",
    "RevisionNotFound",
    "TableNotFound",
    "TaskNotFound",
    "WorkflowNotFound",
]


class AgentNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no agent of that name."""


class ContainerNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no container of that name."""


class HTTPNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """An API answered 404 or 410: there is nothing at that URL."""


class ImageNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no image of that name, here or in the registry."""


class JobNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no job of that id: it was removed, or is no longer kept."""


class RepositoryNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no git repository at that path."""


class RevisionNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no commit, branch or tag of that name."""


class TableNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no table or view of that name."""


class TaskNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """The workflow has no task of that name."""


class WorkflowNotFound(NotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no workflow of that id or name."""
