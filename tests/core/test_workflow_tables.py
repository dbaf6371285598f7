"""The tables of workflows: made once, by whoever comes first, and refused where they cannot be."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from agentnb.core.db import Database
from agentnb.core.errors import ConfigError
from agentnb.core.workflow import Orchestrator, Task
from agentnb.core.workflow.migrating import HEAD, migrate
from agentnb.core.workflow.models import models
from agentnb.core.workflow.table_names import SCHEMA, VERSIONS


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return request.getfixturevalue("fresh_url")


def test_the_migrations_make_what_the_models_say(empty_url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with Database(empty_url) as database:
        assert migrate(database) == (None, HEAD)
        assert migrate(database) == (HEAD, HEAD)
        metadata = models(database.kind).metadata
        postgres = database.kind == "postgresql"

        def ours(name, kind, parents):
            if kind == "schema":
                return name in {None, SCHEMA}
            return VERSIONS not in (name or "")

        options = {"include_schemas": postgres, "include_name": ours}
        options["version_table_schema"] = SCHEMA if postgres else None
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_that_is_asked_for():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from agentnb.core.workflow.migrating import _FOLDER

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_new_sqlite_file_has_what_the_migrations_make(tmp_path):
    from agentnb.core.workflow.migrating import _upgrade

    def text(database):
        rows = database.query("select type, name, sql from sqlite_master").rows
        version = database.query("select version_num from agentnb_alembic_version").scalar()
        plain = sorted((kind, name, _plain(sql)) for kind, name, sql in rows)
        return *plain, version

    with Database(f"sqlite:///{tmp_path}/migrated.db") as database:
        with database.engine.begin() as connection:
            _upgrade(connection)
        migrated = text(database)
    with Database(f"sqlite:///{tmp_path}/new.db") as database:
        assert migrate(database) == (None, HEAD)
        assert text(database) == migrated  # else put what is new there into migrations/sqlite.sql


def _plain(sql):
    """Return SQL without quotes and white space, which is different where SQLite renames."""
    return sql and "".join(sql.replace('"', "").split())


def test_a_new_sqlite_file_needs_no_alembic(tmp_path):
    text = """
        import sys
        from agentnb.core.db import Database
        from agentnb.core.workflow.migrating import migrate

        with Database(sys.argv[1]) as database:
            print(*migrate(database), "alembic" in sys.modules)
        """
    command = [sys.executable, "-c", textwrap.dedent(text), f"sqlite:///{tmp_path}/new.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["None", HEAD, "False"]


def test_the_tables_of_the_first_version_are_upgraded_with_what_is_in_them(empty_url):
    from alembic import command
    from alembic.config import Config

    from agentnb.core.workflow.migrating import _FOLDER

    with Database(empty_url) as database:
        config = Config()
        config.set_main_option("script_location", str(_FOLDER))
        with database.engine.begin() as connection:
            if database.kind == "postgresql":
                connection.execute(sa.text(f"create schema {SCHEMA}"))
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            table = "agentnb.task_step" if database.kind == "postgresql" else "agentnb_task_step"
            values = "values ('t-1', 'ask', '{\"x\":1}', 1, 0)"
            connection.execute(
                sa.text(f"insert into {table} {values.replace(':1', chr(92) + ':1')}")
            )
        assert migrate(database) == ("0001", HEAD)
        rows = database.query(f"select name, result, unkept from {table}").rows
        assert [tuple(row) for row in rows] == [("ask", '{"x":1}', None)]


def test_two_that_migrate_at_once_take_turns(empty_url):
    def once(_):
        with Database(empty_url) as database:
            return migrate(database)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(once, range(4)))
    assert sorted(found, key=str) == [(HEAD, HEAD)] * 3 + [(None, HEAD)]


def test_postgresql_without_tables_says_what_to_type(fresh_url):
    with Orchestrator(Database(fresh_url), owns_database=True) as workflows:
        with pytest.raises(ConfigError, match="no tables for workflows yet") as raised:
            workflows.list()
        assert raised.value.hint == "agentnb migrate"
        workflows.migrate()
        assert workflows.list() == []


@pytest.mark.parametrize(
    ("url", "words"),
    [("sqlite://", "in memory")],
)
def test_a_database_that_workflows_cannot_be_kept_in_is_refused(url, words):
    with pytest.raises(ConfigError, match=words):
        Orchestrator(Database(url))


def test_tables_of_a_newer_version_are_left_alone(empty_url):
    with Database(empty_url) as database:
        migrate(database)
        sign = "." if database.kind == "postgresql" else "_"
        database.execute(f"update {SCHEMA}{sign}{VERSIONS} set version_num = '9999'")
        with pytest.raises(ConfigError, match="of version 9999"):
            migrate(database)
        with pytest.raises(ConfigError, match="of version 9999"):
            Orchestrator(database).list()


def test_the_models_read_what_was_made(make_workflows):
    workflows = make_workflows()
    workflows.agent("plan")(lambda task: 1)
    workflow = workflows.create("app", [Task("plan", data={"a": 1})])
    rows = models(workflows.database.kind)
    query = sa.select(rows.TaskRow.name, rows.TaskRow.data, rows.WorkflowRow.name).join(
        rows.WorkflowRow, rows.WorkflowRow.id == rows.TaskRow.workflow_id
    )
    with workflows.database.engine.connect() as connection:
        found = connection.execute(query.where(rows.WorkflowRow.id == workflow.id)).all()
    assert [tuple(row) for row in found] == [("plan", '{"a":1}', "app")]
