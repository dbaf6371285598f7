"""Errors of missing rights on the tables, with the statements that grant them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError, ConfigError, NotFoundError, QueryRejected
from agentnb.core.workflow.table_names import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.db import Database

__all__ = ["explained", "explaining"]

# Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NO_RIGHT, _READ_ONLY = "42501", "25006"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@contextmanager
def explaining(database: Database, doing: str = "") -> Iterator[None]:
    """Raise what `explained` makes of an error that comes within."""
    try:
        yield
    except AgentnbError as error:
        ours = explained(database, error, doing)
        if ours is error:
            raise
        raise ours from error


def explained(database: Database, error: AgentnbError, doing: str = "") -> AgentnbError:
    """Return the error of settings that one of the database is, or the error as it is.

    Parameters
    ----------
    database
        The database.
    error
        Its error.
    doing
        What needs more rights than workflows do: `agentnb migrate`.
    """
    if isinstance(error, NotFoundError) and SCHEMA in error.message:
        return ConfigError(
            f"the tables of workflows are gone: {error.message}",
            service="workflow",
            hint="agentnb migrate makes them",
        )
    state = error.sqlstate if isinstance(error, QueryRejected) else None
    if state == _NO_RIGHT:
        who = f"{doing} as a role that may make a schema, which then" if doing else "their owner"
        hint = f"{who} runs: {_grants(database)}"
        return ConfigError(
            f"a right on the tables of workflows is missing: {error.message}",
            service="workflow",
            hint=hint,
        )
    if state == _READ_ONLY:
        hint = (
            "let DATABASE_URL name a server and a role that may write: this is a standby, or "
            "default_transaction_read_only is on"
        )
        if path := database.access.backend.target.path:
            hint = f"let this user write to {path} and to its folder"
        return ConfigError(
            f"workflows cannot be written here: {error.message}", service="workflow", hint=hint
        )
    return error


def _grants(database: Database) -> str:
    role = database.access.backend.target.url.username or "ROLE"
    if not _PLAIN.fullmatch(role):
        role = '"' + role.replace('"', '""') + '"'
    of = [f"all {what} in schema {SCHEMA}" for what in ("tables", "sequences")]
    grants = (f"grant usage on schema {SCHEMA}", *(f"grant all on {one}" for one in of))
    return "; ".join(f"{grant} to {role}" for grant in grants)
