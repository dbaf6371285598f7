"""Workflows on a PostgreSQL that does not let them: which right is missing, and who gives it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import psycopg
import pytest

from agentnb.core.db import Database
from agentnb.core.errors import ConfigError
from agentnb.core.workflow import Orchestrator, Task
from agentnb.core.workflow.migrating import migrate

ROLE, PASSWORD = "weak-one", "hunter22"
GRANTS = (
    'grant usage on schema agentnb to "weak-one"',
    'grant all on all tables in schema agentnb to "weak-one"',
    'grant all on all sequences in schema agentnb to "weak-one"',
)


@pytest.fixture
def owner(fresh_url):
    """Return a connection of the owner's, beside whom there is a role without any right."""
    with psycopg.connect(fresh_url, autocommit=True) as connection:
        connection.execute(f"create role \"{ROLE}\" login password '{PASSWORD}'")
        yield connection
        connection.execute(f'drop owned by "{ROLE}"')
        connection.execute(f'drop role "{ROLE}"')


@pytest.fixture
def weak_url(owner, fresh_url):
    return fresh_url.replace("postgres:@", f"{ROLE}:{PASSWORD}@")


@pytest.fixture
def tables(owner, fresh_url):
    """Have the owner make the tables."""
    with Database(fresh_url) as database:
        migrate(database)


@pytest.fixture
def weak(weak_url):
    """Return an orchestrator of that role's."""
    with Orchestrator(Database(weak_url), lease=2, owns_database=True) as made:
        made.agent("echo")(lambda task: task.data)
        yield made


CALLS = {
    "create": lambda weak: weak.create("x", [Task("echo")]),
    "work": lambda weak: weak.work(),
    "list": lambda weak: weak.list(),
    "agents": lambda weak: weak.agents(),
    "ping": lambda weak: weak.ping(),
}


def refused(call, *hints):
    with pytest.raises(ConfigError) as raised:
        call()
    for hint in hints:
        assert hint in raised.value.hint
    assert PASSWORD not in f"{raised.value} {raised.value.hint}"
    return str(raised.value)


def test_who_may_not_make_the_tables_is_told_who_may(weak):
    assert "permission denied for database" in refused(
        weak.migrate, "agentnb migrate as a role that may make a schema", *GRANTS
    )
    assert "no tables for workflows yet" in refused(weak.list, "agentnb migrate")


@pytest.mark.usefixtures("tables")
def test_who_may_not_see_the_tables_is_told_what_their_owner_grants(weak, owner):
    for call in CALLS.values():
        assert "permission denied for schema agentnb" in refused(lambda c=call: c(weak), *GRANTS)
    for grant in GRANTS:
        owner.execute(grant)
    for call in CALLS.values():
        call(weak)


@pytest.mark.usefixtures("tables")
def test_who_may_only_read_neither_makes_nor_works(weak, owner):
    owner.execute(GRANTS[0])
    owner.execute(f'grant select on all tables in schema agentnb to "{ROLE}"')
    assert weak.list() == []
    for name in ("create", "work"):
        assert "permission denied for table" in refused(lambda n=name: CALLS[n](weak), *GRANTS)
    for grant in GRANTS[1:]:
        owner.execute(grant)
    weak.database.close()  # what is set for a role counts from its next connection on
    owner.execute(f'alter role "{ROLE}" set default_transaction_read_only = on')
    assert weak.list() == []
    for name in ("create", "work"):
        assert "read-only transaction" in refused(
            lambda n=name: CALLS[n](weak), "default_transaction_read_only is on"
        )
    assert weak.worker is None


@pytest.mark.usefixtures("tables")
def test_what_was_done_while_a_right_was_gone_is_kept_once_it_is_back(weak, owner, until, caplog):
    for grant in GRANTS:
        owner.execute(grant)
    began, go, runs = threading.Event(), threading.Event(), []

    @weak.agent("long")
    def long(task):
        runs.append(task.name)
        began.set()
        go.wait(30)
        return 7

    weak.work()
    workflow = weak.create("x", [Task("a", agent="long")])
    assert began.wait(20)
    owner.execute(f'revoke update on all tables in schema agentnb from "{ROLE}"')
    go.set()
    until(lambda: "the outcome of task a cannot be kept yet" in caplog.text)
    assert workflow.task("a").state == "active"
    owner.execute(GRANTS[1])
    assert workflow.wait(20).result == {"a": 7}
    assert (runs, workflow.task("a").attempt) == (["a"], 1)


def dropped_beside_workers(owner):
    """Drop the tables, again where PostgreSQL chose this of two that wait for each other."""
    for _ in range(10):
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            return owner.execute("drop schema agentnb cascade")
    raise AssertionError


@pytest.mark.usefixtures("tables")
def test_tables_that_are_gone_meanwhile_are_asked_for(weak, owner, until, caplog):
    for grant in GRANTS:
        owner.execute(grant)
    weak.work()
    dropped_beside_workers(owner)
    for name in ("create", "list"):
        assert "are gone" in refused(lambda n=name: CALLS[n](weak), "agentnb migrate")
    until(lambda: "tasks cannot be read: the tables of workflows are gone" in caplog.text)
    assert caplog.text.count("tasks cannot be read") == 1


def test_the_command_line_says_it_and_shows_no_password(weak_url, fresh_url, tmp_path):
    def agentnb(*words):
        return subprocess.run(
            [sys.executable, "-m", "agentnb.cli", *words],
            cwd=tmp_path,
            env={**os.environ, "DATABASE_URL": weak_url, "AGENTNB_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def said(*words):
        done = agentnb(*words)
        assert done.returncode == 2
        assert PASSWORD not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    (tmp_path / "app.py").write_text(
        'from agentnb.core.workflow import agent\necho = agent("echo")(lambda task: task.data)\n'
    )
    work = ("worker", "--agents", "--app", "app")
    assert "agentnb migrate" in said(*work)
    told = said("migrate")
    assert "permission denied for database" in told
    assert GRANTS[2] in told
    with Database(fresh_url) as database:
        migrate(database)
    told = said(*work)
    assert "permission denied for schema agentnb" in told
    assert GRANTS[2] in told


def test_a_sqlite_file_that_cannot_be_written_to_is_told_of(tmp_path):
    from sqlalchemy import event

    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as flows:
        flows.agent("echo")(lambda task: task.data)
        assert flows.list() == []

        def only_reads(raw, *_):
            raw.execute("pragma query_only = on")

        event.listen(flows.database.engine, "checkout", only_reads)
        for call in (CALLS["create"], CALLS["work"]):
            assert "readonly database" in refused(
                lambda c=call: c(flows), f"let this user write to {tmp_path}/a.db"
            )
