"""DuckDB's errors as ours.

Source: https://duckdb.org/docs/stable/dev/internal_errors, and ``errors_as_json``
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.db.backend import message_of
from agentnb.core.db.caret import caret
from agentnb.core.db.violations import CHECK, EXISTS, FOREIGN_KEY, NOT_NULL, UNIQUE, refusal
from agentnb.core.errors import (
    ConfigError,
    PathEscape,
    QueryRejected,
    TableNotFound,
    UnavailableError,
    UsageError,
    did_you_mean,
)

if TYPE_CHECKING:
    from agentnb.core.db.backend import Watch
    from agentnb.core.db.url import Target
    from agentnb.core.errors import AgentnbError

__all__ = ["translate"]

_STATES = (
    (re.compile(r"unique|primary key|duplicate key", re.IGNORECASE), UNIQUE),
    (re.compile(r"foreign key", re.IGNORECASE), FOREIGN_KEY),
    (re.compile(r"not null", re.IGNORECASE), NOT_NULL),
    (re.compile(r"check constraint", re.IGNORECASE), CHECK),
)
_RULE = re.compile(r"constraint failed:? (?:on table )?\"?([\w.]+)", re.IGNORECASE)
_HELD = re.compile(r"Conflicting lock is held in (?P<who>.*?PID \d+)", re.DOTALL)
_FILES = re.compile(r"disabled by configuration|disabled through configuration")
_EXTENSION = re.compile(r"requires the extension \w+ to be loaded")
_EXISTS = re.compile(r"\A\w+(?: \w+)? with name .+ already exists")
_MISSING = re.compile(r"(?:Table|View) with name (?P<name>\S+) does not exist")
_LOCKED = re.compile(r'configuration option "(?P<name>\w+)" - the configuration has been locked')
_LIMITS = {"memory_limit", "max_memory", "threads", "worker_threads"}
_ABORTED = "transaction is aborted"
_OPEN = re.compile(r"same database file with a different configuration")


class _Fault(NamedTuple):
    """An error of DuckDB's: its class, its message, and the database that it came from."""

    kind: str
    text: str
    sql: str
    target: Target


def translate(error: Exception, watch: Watch | None, sql: str, target: Target) -> AgentnbError:
    """Return our error for one of DuckDB's."""
    about = _about(error)
    text = str(about.get("exception_message") or message_of(error)).strip()
    kind = type(error).__name__
    if watch is not None and watch.over and kind in {"InterruptException", "RuntimeError"}:
        return watch.error()
    fault = _Fault(kind, text, sql, target)
    for known in (
        _of_settings,
        _of_files,
        _of_another_user,
        _of_memory,
        _of_names,
        _of_rules,
        _of_values,
    ):
        if (found := known(fault)) is not None:
            return found
    if _ABORTED in text:
        hint = "a statement before it failed: end the transaction, and run it again"
        return QueryRejected(text, service="db", hint=hint)
    state = EXISTS if _EXISTS.search(text) else None
    return refusal(_placed(text, about, sql), state, hint=_hint(about))


def _of_settings(fault: _Fault) -> AgentnbError | None:
    if (found := _LOCKED.search(fault.text)) is None:
        return None
    name = found["name"]
    hint = "set timezone, schema, search_path or null_order; the others are fixed"
    if name in _LIMITS:
        option = "threads" if "threads" in name else "memory_limit"
        url = f"duckdb:///FILE?{option}=VALUE"
        hint = f'hub.databases.connect("lake", "{url}") (%db connect lake {url})'
        hint += "" if option == "threads" else "; AGENTNB_DUCK_MEMORY is that of all others"
    return UsageError(f"{name} cannot be set by SQL", service="db", hint=hint)


def _of_files(fault: _Fault) -> AgentnbError | None:
    if _EXTENSION.search(fault.text) or (
        fault.kind == "PermissionException" and _FILES.search(fault.text)
    ):
        return _refused(fault.text)
    if fault.kind in {"IOException", "HTTPException"} and not fault.sql:
        if _HELD.search(fault.text):
            return None
        return ConfigError(
            f"{fault.target} cannot be opened: {fault.text}", service="db", hint="check the path"
        )
    return None


def _of_another_user(fault: _Fault) -> AgentnbError | None:
    if found := _HELD.search(fault.text):
        return UnavailableError(
            f"{fault.target} is open in another process: {' '.join(found['who'].split())}",
            service="db",
            hint="one process at a time has a DuckDB file: close it there",
        )
    if _OPEN.search(fault.text):
        return ConfigError(
            f"{fault.target} is open in this process already, with other access",
            service="db",
            hint="close that connection first, or open both with --read-only",
        )
    return None


def _of_memory(fault: _Fault) -> AgentnbError | None:
    if fault.kind != "OutOfMemoryException" and "could not allocate" not in fault.text.lower():
        return None
    return UnavailableError(
        f"DuckDB needs more memory than it may take: {fault.text.partition(chr(10))[0]}",
        service="db",
        hint="read fewer columns or rows, or raise AGENTNB_DUCK_MEMORY",
    )


def _of_names(fault: _Fault) -> AgentnbError | None:
    found = _MISSING.search(fault.text)
    return TableNotFound(f"no such table: {found['name']}", service="db") if found else None


def _of_rules(fault: _Fault) -> AgentnbError | None:
    if fault.kind != "ConstraintException":
        return None
    state = next((state for rule, state in _STATES if rule.search(fault.text)), "23000")
    rule = _RULE.search(fault.text)
    return refusal(fault.text, state, constraint=rule[1] if rule else None)


def _of_values(fault: _Fault) -> AgentnbError | None:
    if fault.kind not in {"InvalidInputException", "ConversionException"}:
        return None
    if "Python" not in fault.text:
        return None
    return UsageError(fault.text, service="db", hint="convert the value, such as str(value)")


def _about(error: Exception) -> dict[str, Any]:
    """Return what DuckDB tells of an error, by name."""
    text = str(error)
    start = text.find("{")
    if start < 0:
        return {}
    try:
        found = json.loads(text[start:])
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "exception_message" in found else {}


def _hint(about: dict[str, Any]) -> str | None:
    names = [one for one in str(about.get("candidates") or "").split(",") if one]
    wanted = str(about.get("name") or "")
    if not names:
        return None
    return did_you_mean(wanted, names) or f"there are: {', '.join(names[:10])}"


def _placed(text: str, about: dict[str, Any], sql: str) -> str:
    """Return the message with the line of the statement and a caret."""
    text = text.partition("\n\nLINE ")[0]
    if about.get("candidates"):
        text = text.partition("\n")[0]
    position = str(about.get("position") or "")
    if not position.isdigit() or int(position) > len(sql):
        return text
    return f"{text}\n{caret(sql, int(position))}"


def _refused(text: str) -> AgentnbError:
    if "extension" in text.lower() or "http" in text.lower():
        return UsageError(
            "DuckDB has no extensions and no network here",
            service="db",
            hint="%pip install the data first, or read it with hub.api or pandas, "
            "and query the frame",
        )
    return PathEscape(
        f"{text.partition(' - ')[0]}, which is outside of the folders that SQL may reach",
        service="db",
        hint="put the file below the working directory or the workspace, or name its folder in "
        "AGENTNB_DUCK_DIRS",
    )
