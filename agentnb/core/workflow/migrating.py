"""The tables are made, and brought up to date, by Alembic's migrations in this package.

An empty SQLite file gets them from `migrations/sqlite.sql`, which has what the migrations make.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError, ConfigError
from agentnb.core.resilience import Deadline
from agentnb.core.trace.quiet import quiet
from agentnb.core.workflow.rights import explaining
from agentnb.core.workflow.table_names import SCHEMA, VERSIONS, names
from agentnb.core.workflow.transactions import check_own

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from agentnb.core.db import Database
    from agentnb.core.db.executor import Executor

__all__ = ["HEAD", "check_kind", "migrate", "require", "version_of"]

HEAD = "0014"
"""The newest version, so that Alembic need not be imported to see that there is nothing to do."""
_FOLDER = Path(__file__).parent / "migrations"
_PATIENCE = 60.0
_LOCK = 0x6167656E746E62  # "agentnb", for PostgreSQL's advisory locks


def check_kind(database: Database, *, in_memory: bool = False) -> None:
    """Refuse databases that workflows cannot be kept in.

    Parameters
    ----------
    in_memory
        Whether a database in memory will do.

    Raises
    ------
    ConfigError
        It is in memory, only reads, or is neither SQLite nor PostgreSQL.
    """
    if database.kind not in {"sqlite", "postgresql"}:
        raise ConfigError(
            f"workflows are kept in SQLite or PostgreSQL, not in {database.kind}",
            service="workflow",
            hint="DATABASE_URL=postgresql://..., or none for the SQLite file of the home",
        )
    in_file = database.kind != "sqlite" or database.access.backend.target.path is not None
    if not in_file and not in_memory:
        raise ConfigError(
            "workflows outlive their process, and a database in memory does not",
            service="workflow",
            hint="DATABASE_URL=sqlite:///file.db, or none for the SQLite file of the home",
        )
    if database.read_only:
        raise ConfigError(
            "workflows need a connection that may write, and this one only reads",
            service="workflow",
            hint="Database(url) without read_only=True",
        )


def require(database: Database) -> None:
    """See to it that the tables are there: made on SQLite, asked for on PostgreSQL.

    Raises
    ------
    ConfigError
        PostgreSQL has not got them, or not of this version; they were made by a newer agentnb; a
        right on them is missing.
    """
    with explaining(database):
        found = version_of(database, database.kind)
    if found == HEAD:
        return
    if database.kind == "sqlite":
        migrate(database)
        return
    what = "has no tables for workflows yet" if found is None else f"has those of version {found}"
    _refuse_newer(found)
    raise ConfigError(f"this PostgreSQL {what}", service="workflow", hint="agentnb migrate")


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the tables up to date, all or nothing; two that do so at once take turns.

    Returns
    -------
    tuple
        The version before, None for no tables, and the one now.

    Raises
    ------
    ConfigError
        They were made by a newer agentnb; a right is missing, such as that to make a schema.
    """
    check_kind(database, in_memory=True)  # where it is not, there is no orchestrator
    check_own(database)
    with (
        explaining(database, "agentnb migrate"),
        database.transaction(timeout=_PATIENCE) as tx,
    ):
        if database.kind == "postgresql":
            tx.execute(f"select pg_advisory_xact_lock({_LOCK})")
        before = version_of(tx, database.kind)
        if before == HEAD:
            return before, HEAD
        _refuse_newer(before)
        if database.kind == "postgresql":
            tx.execute(f"create schema if not exists {SCHEMA}")
        with tx.access.checkout(Deadline.of(_PATIENCE)) as connection:
            try:
                if before is None and database.kind == "sqlite":
                    _make(connection)
                else:
                    _upgrade(connection)
            except Exception as error:
                raise _as_ours(database, error) from error
    database.access.log.info("tables of workflows: %s to %s", before or "none", HEAD)
    return before, HEAD


def _make(connection: Connection) -> None:
    """Make the tables in an empty SQLite file, without the 0.3 s that Alembic takes for it."""
    text = (_FOLDER / "sqlite.sql").read_text("utf-8")
    for statement in text.split(";\n"):
        if statement:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"insert into {names('sqlite')[VERSIONS]} values ('{HEAD}')")


def _upgrade(connection: Connection) -> None:
    with quiet("alembic.runtime.migration", "alembic.runtime.plugins"):
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def version_of(database: Executor, kind: str) -> str | None:
    """Return the version of the tables, None where there are none."""
    table = names(kind)[VERSIONS]
    if kind == "postgresql":
        there = database.query(f"select to_regclass('{table}') is not null").scalar()
    else:
        there = database.query(f"select 1 from sqlite_master where name = '{table}'").scalar()
    if not there:
        return None
    found = database.query(f"select version_num from {table}").scalar()
    return None if found is None else str(found)


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise ConfigError(
            f"the tables of workflows are of version {found}; this agentnb knows up to {HEAD}",
            service="workflow",
            hint="upgrade agentnb here, or use another database",
        )


def _as_ours(database: Database, error: Exception) -> Exception:
    from agentnb.core.db.backend import Watch

    if isinstance(error, AgentnbError):
        return error
    return database.access.error_of(error, Watch(Deadline.of(_PATIENCE)), "") or error
