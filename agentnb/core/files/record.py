"""Log records of calls on the workspace: the path, never a file's contents."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from agentnb.core.files.names import shown
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from agentnb.core.trace.servicelog import ServiceLog

__all__ = ["log_done", "log_failed"]

_DONE: Final = {
    "mkdir": "directory created",
    "write": "file written",
    "append": "file appended to",
    "edit": "file edited",
    "read": "file read",
    "head": "file read",
    "delete": "deleted",
    "move": "moved",
    "copy": "copied",
}
_FAILED: Final = {
    "mkdir": "failed to create directory",
    "write": "failed to write file",
    "append": "failed to append to file",
    "edit": "failed to edit file",
    "read": "failed to read file",
    "head": "failed to read file",
    "delete": "failed to delete",
    "move": "failed to move",
    "copy": "failed to copy",
}


def log_done(log: ServiceLog, name: str, path: str, to: str | None) -> None:
    """Log a call that has done its work, at DEBUG."""
    if log.isEnabledFor(logging.DEBUG):
        _log(log, logging.DEBUG, _DONE.get(name, f"{name} done"), path, to)


def log_failed(log: ServiceLog, name: str, path: str, to: str | None, error: Exception) -> None:
    """Log a call that failed: at ERROR where it was to read or to change something."""
    level = logging.ERROR if name in _FAILED else logging.DEBUG
    if log.isEnabledFor(level):
        reason = f"{type(error).__name__}: {redact(str(error))}"
        _log(log, level, _FAILED.get(name, f"{name} failed"), path, to, reason)


def _log(
    log: ServiceLog, level: int, event: str, path: str, to: str | None, reason: str | None = None
) -> None:
    data: dict[str, object] = {"path": redact(shown(path))}
    message = f"{event}: {data['path']}"
    if to is not None:
        data["to"] = redact(shown(to))
        message += f" to {data['to']}"
    if reason is not None:
        data["error"] = reason
        message += f": {reason}"
    log.log(level, "%s", message, extra={"data": data})
