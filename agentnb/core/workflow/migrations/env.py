"""Run by Alembic, on the connection that `agentnb.core.workflow.migrating` has begun a turn on."""  # noqa: INP001 - Alembic runs it, nobody imports it

from __future__ import annotations

from alembic import context

from agentnb.core.workflow.models import models
from agentnb.core.workflow.table_names import SCHEMA, VERSIONS

_connection = context.config.attributes["connection"]
_postgres = _connection.dialect.name == "postgresql"
context.configure(
    connection=_connection,
    target_metadata=models(_connection.dialect.name).metadata,
    version_table=VERSIONS if _postgres else f"{SCHEMA}_{VERSIONS}",
    version_table_schema=SCHEMA if _postgres else None,
)
with context.begin_transaction():
    context.run_migrations()
