"""Every error of agentnb, to catch by name; `agentnb.core.errors` draws their tree.

>>> from agentnb.errors import DeadlineExceeded, FileNotFound, UniqueViolation
>>> issubclass(DeadlineExceeded, TimeoutError), issubclass(FileNotFound, FileNotFoundError)
(True, True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import (
    AgentnbError,
    AgentNotFound,
    AttemptStopped,
    BatchFailed,
    BuildFailed,
    CheckViolation,
    CircuitOpen,
    ConfigError,
    ConstraintViolation,
    ContainerNotFound,
    DeadlineExceeded,
    FileChanged,
    FileExists,
    FileNotFound,
    Final,
    ForeignKeyViolation,
    HandlerFailed,
    HTTPNotFound,
    ImageNotFound,
    InvalidResponse,
    IsADirectory,
    JobCancelled,
    JobFailed,
    JobNotFound,
    KernelOnlyError,
    LoadFailed,
    NonFastForward,
    NotADirectory,
    NotFoundError,
    NotNullViolation,
    NotReplayable,
    OptionRefused,
    PartlyAdded,
    PathEscape,
    PermissionDenied,
    PoolTimeout,
    QueryRejected,
    RateLimited,
    RejectedError,
    ReplayDiverged,
    RepositoryNotFound,
    RevisionNotFound,
    TableNotFound,
    TaskFailed,
    TaskNotFound,
    UnavailableError,
    UnfitTask,
    UniqueViolation,
    UnkeptResult,
    UntrustedPath,
    UsageError,
    WorkflowNotFound,
)

if TYPE_CHECKING:
    from agentnb.core.redis.errors import Changed, NoScript

__all__ = [
    "AgentNotFound",
    "AgentnbError",
    "AttemptStopped",
    "BatchFailed",
    "BuildFailed",
    "Changed",
    "CheckViolation",
    "CircuitOpen",
    "ConfigError",
    "ConstraintViolation",
    "ContainerNotFound",
    "DeadlineExceeded",
    "FileChanged",
    "FileExists",
    "FileNotFound",
    "Final",
    "ForeignKeyViolation",
    "HTTPNotFound",
    "HandlerFailed",
    "ImageNotFound",
    "InvalidResponse",
    "IsADirectory",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "KernelOnlyError",
    "LoadFailed",
    "NoScript",
    "NonFastForward",
    "NotADirectory",
    "NotFoundError",
    "NotNullViolation",
    "NotReplayable",
    "OptionRefused",
    "PartlyAdded",
    "PathEscape",
    "PermissionDenied",
    "PoolTimeout",
    "QueryRejected",
    "RateLimited",
    "RejectedError",
    "ReplayDiverged",
    "RepositoryNotFound",
    "RevisionNotFound",
    "TableNotFound",
    "TaskFailed",
    "TaskNotFound",
    "UnavailableError",
    "UnfitTask",
    "UniqueViolation",
    "UnkeptResult",
    "UntrustedPath",
    "UsageError",
    "WorkflowNotFound",
]


if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # These two are errors of redis-py as well, which takes 30 ms to import.
        if name not in {"Changed", "NoScript"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from agentnb.core.redis import errors

        value = globals()[name] = getattr(errors, name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
