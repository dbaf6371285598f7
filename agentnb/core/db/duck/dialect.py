"""A dialect of SQLAlchemy for DuckDB: the pool, and the catalog as its inspector reads it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import types as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import NoSuchTableError

__all__ = ["DuckDialect"]

# Source: https://duckdb.org/docs/stable/sql/meta/duckdb_table_functions
_HERE = "(database_name, schema_name) = (current_database(), current_schema())"
_TABLES = "select table_name from duckdb_tables() where not internal and {place} order by 1"
_VIEWS = "select view_name from duckdb_views() where not internal and {place} order by 1"
_SCHEMAS = (
    "select if(database_name = current_database(), schema_name, "
    "concat(database_name, '.', schema_name)) from duckdb_schemas() "
    "where not internal or schema_name = 'main' and database_name <> 'system' order by 1"
)


class DuckDialect(DefaultDialect):
    """DuckDB behind SQLAlchemy's engine; each statement commits by itself."""

    name = "duckdb"
    driver = "agentnb"
    default_paramstyle = "numeric_dollar"
    supports_statement_cache = True
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = True
    supports_sane_rowcount = False
    insert_returning = update_returning = delete_returning = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return DuckDB's module, whose errors are those of PEP 249."""
        import duckdb

        return duckdb

    def initialize(self, connection: Any) -> None:
        """Ask nothing: all that there is to know is known."""
        self.default_schema_name = "main"
        del connection

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Return True: what runs in this process does not go away."""
        del dbapi_connection
        return True

    def get_schema_names(self, connection: Any, **_: Any) -> list[str]:
        """Return the schemas; those of an attached database by ``database.schema``."""
        return [row[0] for row in _ask(connection, _SCHEMAS)]

    def get_table_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        """Return the tables of a schema; of none, those that need none."""
        return _names(connection, _TABLES, schema)

    def get_view_names(self, connection: Any, schema: str | None = None, **_: Any) -> list[str]:
        """Return the views of a schema; of none, those that need none."""
        return _names(connection, _VIEWS, schema)

    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> bool:
        """Return whether there is such a table or view."""
        return bool(_described(connection, table_name, schema))

    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[Any]:
        """Return the columns of a table or a view."""
        rows = _described(connection, table_name, schema)
        if not rows:
            raise NoSuchTableError(table_name)
        return [
            {"name": name, "type": DuckType(kind), "nullable": nullable, "default": default}
            for name, kind, nullable, default in rows
        ]

    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> Any:
        """Return the columns of the primary key."""
        found = _constraints(connection, table_name, schema, "PRIMARY KEY")
        return {"constrained_columns": list(found[0][0]) if found else [], "name": None}

    def get_foreign_keys(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[Any]:
        """Return the foreign keys of a table."""
        return [
            {
                "name": None,
                "constrained_columns": list(columns),
                "referred_schema": None,
                "referred_table": table,
                "referred_columns": list(referred),
                "options": {},
            }
            for columns, table, referred in _constraints(
                connection, table_name, schema, "FOREIGN KEY"
            )
        ]


class DuckType(sa.UserDefinedType[Any]):
    """A type of a column, as DuckDB writes it."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        """Return its name."""
        return self.name


def _ask(connection: Any, sql: str, *params: Any) -> list[Any]:
    return list(connection.exec_driver_sql(sql, params or None).fetchall())


def _names(connection: Any, sql: str, schema: str | None) -> list[str]:
    place, params = _place(schema)
    return [row[0] for row in _ask(connection, sql.format(place=place), *params)]


def _place(schema: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition of a schema, and its values."""
    if schema is None:
        return _HERE, ()
    database, dot, name = schema.rpartition(".")
    if not dot:
        return "database_name = current_database() and lower(schema_name) = lower($1)", (name,)
    return "lower(database_name) = lower($1) and lower(schema_name) = lower($2)", (database, name)


def _described(connection: Any, table: str, schema: str | None) -> list[Any]:
    place, params = _place(schema)
    place = f"({place})" if schema else f"({place} or database_name = 'temp')"
    number = len(params) + 1
    sql = (
        "select column_name, data_type, is_nullable, column_default from duckdb_columns() "
        f"where {place} and lower(table_name) = lower(${number}) "
        "order by database_name = 'temp' desc, column_index"
    )
    return _ask(connection, sql, *params, table)


def _constraints(connection: Any, table: str, schema: str | None, kind: str) -> list[Any]:
    place, params = _place(schema)
    number = len(params) + 1
    sql = (
        "select constraint_column_names, referenced_table, referenced_column_names "
        f"from duckdb_constraints() where {place} "
        f"and lower(table_name) = lower(${number}) and constraint_type = ${number + 1}"
    )
    found = _ask(connection, sql, *params, table, kind)
    return [row[:1] if kind == "PRIMARY KEY" else row for row in found]
