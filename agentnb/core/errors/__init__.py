"""The errors of agentnb, in one tree sorted by what the caller should do next.

```
AgentnbError
├── UsageError            fix the call
│   ├── PathEscape        ... it named a path outside the workspace
│   ├── IsADirectory      ... it named a folder where a file is wanted (IsADirectoryError)
│   ├── NotADirectory     ... or the other way round (NotADirectoryError)
│   ├── FileExists        ... or a name that is taken (FileExistsError)
│   ├── OptionRefused     ... it asked for more than is allowed
│   ├── UnfitTask         ... a workflow cannot be made because of one of its tasks
│   ├── ReplayDiverged    ... the code makes other calls than were recorded (AssertionError)
│   ├── NotReplayable     ... a tape has no answer for a call
│   └── UnkeptResult      ... it reads a result that could not be kept
├── ConfigError           fix the settings
│   ├── UntrustedPath     ... which another user owns or can write
│   └── KernelOnlyError   ... a kept cell needs the names of its notebook
├── NotFoundError         name something that exists
│   ├── FileNotFound      ... (FileNotFoundError)
│   ├── AgentNotFound, ContainerNotFound, HTTPNotFound, ImageNotFound, JobNotFound,
│   └── RepositoryNotFound, RevisionNotFound, TableNotFound, TaskNotFound, WorkflowNotFound
├── RejectedError         the service said no; change the request
│   ├── QueryRejected     ... the database, to a statement
│   │   └── ConstraintViolation: CheckViolation, ForeignKeyViolation, NotNullViolation,
│   │                            UniqueViolation
│   ├── PermissionDenied  ... the operating system, to this user (PermissionError)
│   ├── FileChanged       ... the file is not the one that was read
│   ├── InvalidResponse   ... an API, with another reply than was asked for
│   ├── NonFastForward    ... a git remote or branch, which has commits that are missing here
│   ├── BuildFailed       ... a step of an image's build
│   ├── LoadFailed        ... the source of a cached value, in another process
│   ├── JobFailed         ... the function that processed a job
│   │   ├── JobCancelled  ... or the job was cancelled
│   │   └── BatchFailed   ... or some jobs of a batch did not complete
│   ├── TaskFailed        ... the agent of a task
│   └── AttemptStopped    ... the attempt was cancelled, or lost its lease
├── UnavailableError      start the service or try later
│   ├── DeadlineExceeded  (TimeoutError)
│   │   └── PoolTimeout   ... all connections to a host were in use
│   ├── PartlyAdded       ... some of many jobs were added, which it names
│   ├── RateLimited       ... at the time that the error says
│   └── CircuitOpen
├── Final                 your own code says so: no other attempt is made
└── HandlerFailed         a handler of a WebSocket client raised
```

A name in parentheses is the built-in class that an error is as well: ``except FileNotFoundError``
and ``except TimeoutError`` catch them. `UnavailableError` is not a ``ConnectionError``: most of its
cases, such as a rate limit or an open circuit, broke no connection.
"""

from __future__ import annotations

from agentnb.core.errors.base import (
    AgentnbError,
    ConfigError,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.errors.files import (
    FileExists,
    FileNotFound,
    IsADirectory,
    NotADirectory,
    PermissionDenied,
)
from agentnb.core.errors.leaves import (
    AttemptStopped,
    BatchFailed,
    BuildFailed,
    CircuitOpen,
    DeadlineExceeded,
    FileChanged,
    Final,
    HandlerFailed,
    InvalidResponse,
    JobCancelled,
    JobFailed,
    KernelOnlyError,
    LoadFailed,
    NonFastForward,
    NotReplayable,
    OptionRefused,
    PartlyAdded,
    PathEscape,
    PoolTimeout,
    RateLimited,
    ReplayDiverged,
    TaskFailed,
    UnfitTask,
    UnkeptResult,
    UntrustedPath,
)
from agentnb.core.errors.missing import (
    AgentNotFound,
    ContainerNotFound,
    HTTPNotFound,
    ImageNotFound,
    JobNotFound,
    RepositoryNotFound,
    RevisionNotFound,
    TableNotFound,
    TaskNotFound,
    WorkflowNotFound,
)
from agentnb.core.errors.queries import (
    CheckViolation,
    ConstraintViolation,
    ForeignKeyViolation,
    NotNullViolation,
    QueryRejected,
    UniqueViolation,
)
from agentnb.core.nearest import did_you_mean

__all__ = [
    "AgentNotFound",
    "AgentnbError",
    "AttemptStopped",
    "BatchFailed",
    "BuildFailed",
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
    "did_you_mean",
]
