"""The file of a tape: JSON of a version, which people read and compare."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentnb.core.errors import ConfigError, NotFoundError, UsageError

__all__ = ["SUFFIX", "VERSION", "check_path", "read_document", "write_document"]

VERSION = 1
SUFFIX = ".tape.json"
_KEY = "agentnb_tape"
_MODE = 0o600
_LARGEST = 100_000_000


def check_path(path: object) -> Path:
    """Return the path of a tape; refuse what is none."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise UsageError(
            f"the path of a tape is text, got {path!r:.60}",
            service="tape",
            hint=f'replay("tests/night{SUFFIX}")',
        )
    return Path(path)


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Write a tape whole or not at all, readable by its user alone.

    Raises
    ------
    ConfigError
        The folder cannot be written to.
    """
    text = json.dumps({_KEY: VERSION, **document}, indent=1, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(number, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(text)
            Path(name).chmod(_MODE)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigError(
            f"the tape {path} cannot be written: {error}",
            service="tape",
            hint="name a folder that you may write to, with room on its disk",
        ) from error


def read_document(path: Path) -> dict[str, Any]:
    """Return the content of a tape of this version.

    Raises
    ------
    NotFoundError
        There is no such file.
    UsageError
        It is no tape, or one of another version.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise _no_tape(path, f"it has more than {_LARGEST:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no tape {path}",
            service="tape",
            hint=f'record one: with record("{path}"): ..., or hub.trace.capture("job:ID")',
        ) from error
    except OSError as error:
        raise ConfigError(
            f"the tape {path} cannot be read: {error}", service="tape", hint="look at its rights"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _no_tape(path, f"it is no JSON: {error}") from error
    version = found.get(_KEY) if isinstance(found, dict) else None
    if version is None:
        raise _no_tape(path, f"it has no {_KEY!r}")
    if version != VERSION:
        raise UsageError(
            f"the tape {path} has version {version!r:.20}; this agentnb reads version {VERSION}",
            service="tape",
            hint="record it again, or install the agentnb that has recorded it"
            + (f" ({text})" if isinstance(text := found.get("recorded_by"), str) else ""),
        )
    return _checked(path, found)


def _checked(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    steps = found.get("steps")
    whole = isinstance(steps, list) and all(
        isinstance(step, dict)
        and all(isinstance(step.get(name), str) for name in ("service", "operation"))
        and isinstance(step.get("arguments"), dict)
        for step in steps
    )
    if not whole or not isinstance(found.get("unit", {}), dict):
        raise _no_tape(path, "its steps are damaged")
    try:
        dt.datetime.fromisoformat(found["began"])
    except (LookupError, TypeError, ValueError) as error:
        raise _no_tape(path, "its begin is damaged") from error
    return found


def _no_tape(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is no tape: {why}",
        service="tape",
        hint=f"a tape is a file {SUFFIX} that record(...) or a worker's --record has written",
    )
