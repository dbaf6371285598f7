from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.settings import FIELDS, Settings, find_root

PASSWORD = "hunter22"


@pytest.fixture
def load(tmp_path):
    """Return settings of a project with this ``.env`` and these variables."""

    def make(dotenv=None, environ=None, **arguments):
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv)
        environ = {} if environ is None else environ
        return Settings.load(start=tmp_path, environ=environ, **arguments)

    return make


def test_arguments_win_over_the_environment_and_that_over_dotenv(load, tmp_path):
    dotenv = "AGENTNB_DB_ROWS=1\nAGENTNB_DB_POOL=1\nAGENTNB_DB_TIMEOUT=1\n"
    environ = {"AGENTNB_DB_ROWS": "2", "AGENTNB_DB_POOL": "2"}
    settings = load(dotenv, environ, db_rows=3)
    assert (settings.db_rows, settings.db_pool, settings.db_timeout) == (3, 2, 1.0)
    assert [settings.source(n) for n in ("db_rows", "db_pool", "db_timeout", "home")] == [
        "argument",
        "environment",
        str(tmp_path / ".env"),
        "default",
    ]


def test_the_environment_is_the_processs_unless_one_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTNB_DB_ROWS", "7")
    assert Settings.load(start=tmp_path).db_rows == 7


def test_dotenv_never_enters_the_environment(load):
    before = dict(os.environ)
    settings = load(f"REDIS_URL=redis://:{PASSWORD}@host\nOTHER=1\nAGENTNB_DB_ROWS=7\n")
    assert settings.db_rows == 7
    assert dict(os.environ) == before


def test_dotenv_is_read_as_people_write_it(load):
    settings = load(
        "\ufeff# a comment\r\n\r\nexport AGENTNB_DB_ROWS = 7\r\n"
        "DATABASE_URL='sqlite:///a b.db' # behind\r\nAGENTNB_KEY_PREFIX=\"größe\"\r\n"
    )
    assert settings.db_rows == 7
    assert settings.database_url == "sqlite:///a b.db"
    assert settings.key_prefix == "größe"


@pytest.mark.parametrize("line", ["this is text", "= 3", "A='open"])
def test_a_malformed_dotenv_is_told_with_its_line(load, tmp_path, line):
    with pytest.raises(ConfigError) as caught:
        load(f"GOOD=1\n\n{line}\n")
    assert str(caught.value).startswith(f"{tmp_path / '.env'}, line 3, is malformed")
    assert "NAME=value" in caught.value.hint


def test_a_malformed_line_is_not_shown_since_it_may_hold_a_secret(load):
    with pytest.raises(ConfigError) as caught:
        load(f"password {PASSWORD}\n")
    assert PASSWORD not in str(caught.value) + str(caught.value.hint)


def test_a_dotenv_that_is_not_text_is_told(load, tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load()


def test_a_folder_called_dotenv_is_a_virtual_environment(load, tmp_path):
    (tmp_path / ".env").mkdir()
    assert load().source("home") == "default"
    below = tmp_path / "notebooks"
    below.mkdir()
    assert find_root(below) == below


@pytest.mark.parametrize("marker", [".agentnb/", ".env", ".git", ".git/"])
def test_the_root_is_the_nearest_folder_upwards_with_a_marker(tmp_path, marker):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    path = tmp_path / marker.rstrip("/")
    path.mkdir() if marker.endswith("/") else path.write_text("")
    settings = Settings.load(start=folder, environ={"AGENTNB_WORKSPACE": "made"})
    assert settings.root == tmp_path
    assert settings.home == tmp_path / ".agentnb"
    assert settings.workspace == tmp_path / "made"
    assert settings.resolve("x.db") == tmp_path / "x.db"
    (folder / ".git").mkdir()
    assert find_root(folder) == folder


def test_without_a_marker_the_root_is_where_one_is(tmp_path):
    assert find_root(tmp_path / "a" / "..") == tmp_path


def test_paths_may_be_absolute_or_begin_at_the_users_home(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    settings = load(home=tmp_path / "x", workspace="~/work")
    assert settings.home == tmp_path / "x"
    assert settings.workspace == tmp_path / "me" / "work"


def test_a_working_directory_that_is_gone_is_told(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="no longer exists"):
        Settings.load(environ={})


def test_empty_stands_for_the_default_but_for_the_key_prefix(load, tmp_path):
    empty = {field.variable: "" for field in FIELDS}
    settings = load("AGENTNB_DB_ROWS=7\n", empty)
    assert (settings.db_rows, settings.database_url) == (1000, None)
    assert settings.home == tmp_path / ".agentnb"
    assert (settings.key_prefix, settings.source("key_prefix")) == ("", "environment")
    assert load(home="", key_prefix="").home == tmp_path / ".agentnb"
    assert load(environ={"DATABASE_URL": "sqlite://"}, database_url="").database_url is None


def test_a_name_without_a_value_in_dotenv_counts_as_not_set(load):
    settings = load("AGENTNB_KEY_PREFIX\nAGENTNB_HOME\n")
    assert settings.key_prefix == "agentnb"
    assert settings.source("home") == "default"


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("AGENTNB_DB_ROWS", "many", "1 or more"),
        ("AGENTNB_DB_ROWS", "0", "1 or more"),
        ("AGENTNB_DB_POOL", "-1", "1 or more"),
        ("AGENTNB_DB_TIMEOUT", "nan", "greater than 0 s"),
        ("AGENTNB_DB_TIMEOUT", "inf", "greater than 0 s"),
        ("AGENTNB_DB_TIMEOUT", "0", "greater than 0 s"),
        ("AGENTNB_DOCKER_CPUS", "many", "greater than 0"),
        ("AGENTNB_API_MAX_BYTES", "0", "1 byte or more, such as 512m or 2GB"),
        ("AGENTNB_API_MAX_BYTES", "many", "1 byte or more, such as 512m or 2GB"),
        ("AGENTNB_FILES_QUOTA", "-1", "0 bytes or more, such as 500MB; 0 means no limit"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_its_source(load, variable, text, wanted):
    with pytest.raises(ConfigError) as caught:
        load(environ={variable: text})
    assert str(caught.value) == f"{variable} must be {wanted}, got {text!r} (from environment)"
    field = next(one for one in FIELDS if one.variable == variable)
    assert caught.value.hint == f"{variable}: {field.about} (default: {field.default})"


def test_an_argument_that_is_no_setting_is_told_with_the_nearest(load):
    with pytest.raises(UsageError) as caught:
        load(databse_url="sqlite://")
    assert caught.value.hint == "did you mean database_url?"


def test_a_misspelt_variable_is_shown_masked_with_the_nearest(load):
    settings = load(environ={"AGENTNB_DB_ROW": PASSWORD, "AGENTNB_REQUIRE": "x"})
    assert settings.unknown_variables() == ["AGENTNB_DB_ROW"]
    row = settings.table().rows[-1]
    assert row == ("AGENTNB_DB_ROW", "••••••", "environment", "did you mean AGENTNB_DB_ROWS?")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{PASSWORD}@host/app",
        f"postgresql://ada:a/{PASSWORD}@host/app",
        f"postgresql://ada:p@{PASSWORD}@host/app",
        f"postgresql://host/app?user=ada&password={PASSWORD}",
        f"redis://:{PASSWORD}@host/0",
    ],
)
def test_a_password_in_a_url_is_shown_nowhere(load, url):
    settings = load(environ={"DATABASE_URL": url, "REDIS_URL": url, "GITHUB_TOKEN": PASSWORD})
    table = settings.table()
    shown = [repr(settings), repr(table), table._repr_html_(), str(table.dicts())]
    assert all(PASSWORD not in text for text in shown)
    assert settings.database_url == url
    assert settings.github_token.reveal() == PASSWORD
    assert PASSWORD not in f"{settings.github_token} {settings.github_token!r}"


def test_the_redactor_knows_every_secret(load):
    settings = load(
        "OTHER_URL=mysql://u:p%40ssw%2Ford@host\n",
        {"DATABASE_URL": f"postgresql://ada:a/{PASSWORD}@host/app", "DEPLOY_TOKEN": "abcdefgh-1"},
        github_token="tokentokentoken",
    )
    text = f"a/{PASSWORD} tokentokentoken p%40ssw%2Ford p@ssw/ord abcdefgh-1 harmless"
    assert settings.redactor(text) == "•••••• •••••• •••••• •••••• •••••• harmless"


def test_a_variable_is_had_by_name_as_a_secret(load, tmp_path):
    settings = load("OTHER_URL=sqlite:///o.db\nEMPTY=\n", {"API_TOKEN": "short12"})
    assert settings.variable("OTHER_URL").reveal() == "sqlite:///o.db"
    assert settings.variable("API_TOKEN").reveal() == "short12"
    assert settings.redactor("short12") == "••••••"
    told = ("OTHER_URI", "did you mean OTHER_URL?"), ("EMPTY", str(tmp_path)), ("A_TOKEN", "")
    for name, hint in told:
        with pytest.raises(ConfigError) as caught:
            settings.variable(name)
        assert str(caught.value) == f"the variable {name} is not set"
        assert hint in caught.value.hint
        assert settings.redactor(caught.value.hint) == caught.value.hint  # nothing to mask


def test_a_variable_that_was_set_a_moment_ago_is_found(load, tmp_path):
    environ = {}
    settings = load(environ=environ)
    environ["REPORTS_URL"] = "sqlite:///r.db"
    (tmp_path / ".env").write_text("OTHER_URL=sqlite:///o.db\nREPORTS_URL=no\n")
    assert settings.variable("REPORTS_URL").reveal() == "sqlite:///r.db"
    assert settings.variable("OTHER_URL").reveal() == "sqlite:///o.db"


def test_every_setting_is_in_the_table_once_and_says_what_it_is(load):
    rows = load().table().rows
    assert [row[0] for row in rows] == [field.variable for field in FIELDS]
    assert all(row[3] for row in rows)
    assert all(isinstance(getattr(load(), field.name, None), object) for field in FIELDS)
    assert isinstance(load().home, Path)


MIB, GIB = 1024**2, 1024**3
DEFAULTS = {
    "home": ".agentnb",
    "workspace": "workspace",
    "database_url": None,
    "redis_url": None,
    "github_token": None,
    "github_url": "https://api.github.com",
    "api_timeout": 30.0,
    "api_max_bytes": 10_000_000,
    "key_prefix": "agentnb",
    "docker_host": None,
    "docker_context": None,
    "docker_policies": ("isolated", "network", "service"),
    "docker_memory": GIB,
    "docker_cpus": 1.0,
    "docker_pids": 256,
    "db_timeout": 30.0,
    "db_rows": 1000,
    "db_max_bytes": 1_000_000_000,
    "grid": "auto",
    "db_pool": 5,
    "duck_dirs": None,
    "duck_memory": 0,
    "log_level": logging.INFO,
    "trace_bytes": 200_000_000,
    "trace_days": 7.0,
    "cache_wait": 300.0,
    "cache_bytes": 2_000_000_000,
    "events_log": 20_000,
    "events_outbox": 10_000,
    "events_payload": MIB,
    "file_size": 100_000_000,
    "files_quota": 10_000_000_000,
    "workspace_read_only": False,
    "git_timeout": 60.0,
    "git_protected": None,
    "git_filters": ("lfs", "nbstripout"),
    "git_credentials": None,
    "mcp_token": None,
    "llm": None,
    "llm_url": None,
    "llm_key": None,
    "serve_token": None,
    "queue_lease": 30.0,
    "executor": "threads",
    "metrics": None,
    "record": "off",
    "otel": False,
    "queue_payload": 1_000_000,
    "queue_result_ttl": 3600.0,
    "workflow_lease": 30.0,
    "key_ttl": 604_800.0,
    "workflow_payload": 1_000_000,
}


def test_the_defaults_are_these(load, tmp_path):
    settings = load()
    expected = DEFAULTS | {"home": tmp_path / ".agentnb", "workspace": tmp_path / "workspace"}
    found = {field.name: getattr(settings, field.name) for field in FIELDS}
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {
        name: type(expected[name]) if name not in {"home", "workspace"} else type(tmp_path)
        for name in expected
    }
    assert all(settings.source(name) == "default" for name in expected)


def test_the_users_of_a_jupyterhub_have_a_prefix_of_their_own(load):
    assert load(environ={"JUPYTERHUB_USER": "ada"}).key_prefix == "agentnb-ada"
    assert load(environ={"JUPYTERHUB_USER": ""}).key_prefix == "agentnb"
    given = {"JUPYTERHUB_USER": "ada", "AGENTNB_KEY_PREFIX": "mine"}
    assert load(environ=given).key_prefix == "mine"
    assert load(environ={"JUPYTERHUB_USER": "ada", "AGENTNB_DB_ROWS": "7"}).db_rows == 7


BY_RANGE = {
    "read_seconds": ("0.001", ["0", "-1", "inf", "nan", "many", "1 s"]),
    "read_whole": ("1", ["0", "-1", "1.5", "many", "1e3"]),
    "amount": ("0.5", ["0", "-1", "inf", "nan", "many"]),
    "size_of": ("1", ["0", "-1", "many", "1x", "0MB"]),
    "limit": ("0", ["-1", "many", "1x"]),
    "executor": ("threads", ["thread", "dask://", "dask://h:0", "jobs.pool", "1"]),
    "address": ("0", ["nowhere", ":1", "0:1", "127.0.0.1:70000"]),
    "switch": ("0", ["2", "on", "-1", "readonly"]),
    "grid_mode": ("never", ["on", "1", "yes", "auto,never"]),
    "record_mode": ("failed", ["on", "1", "fail", "all,failed"]),
    "policies": ("service", ["", "all", "isolated,", "isolated service"]),
}


def parsed_by(name):
    return [field for field in FIELDS if field.parse.__name__.strip("_") == name]


@pytest.mark.parametrize(
    ("field", "least", "refused"),
    [
        (field, least, refused)
        for name, (least, refused) in BY_RANGE.items()
        for field in parsed_by(name)
    ],
    ids=lambda value: value.name if hasattr(value, "name") else None,
)
def test_every_setting_takes_the_least_of_its_range_and_nothing_below(load, field, least, refused):
    assert load(environ={field.variable: least}).source(field.name) == "environment"
    for text in filter(None, refused):
        with pytest.raises(ConfigError) as caught:
            load(environ={field.variable: text})
        start, end = f"{field.variable} must be ", f", got {text!r} (from environment)"
        assert caught.value.message.startswith(start)
        assert caught.value.message.endswith(end)
        assert caught.value.hint.startswith(f"{field.variable}: {field.about} (default: ")


def test_every_way_to_read_a_setting_is_tried():
    known = {*BY_RANGE, "str", "words", "level"}
    assert {field.parse.__name__.strip("_") for field in FIELDS} <= known
    assert all(parsed_by(name) for name in BY_RANGE)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("1", 1), ("1k", 1024), ("1K", 1024), ("1kb", 1000), ("1KB", 1000), ("2m", 2 * MIB)),
        *(("2MB", 2_000_000), ("1g", GIB), ("1.5GB", 1_500_000_000), ("1t", 1024**4)),
        *((" 5 MB ", 5_000_000), ("0.5k", 512), ("7b", 7)),
    ],
)
def test_a_size_may_have_a_unit(load, text, size):
    assert load(environ={"AGENTNB_API_MAX_BYTES": text}).api_max_bytes == size
    assert load(environ={"AGENTNB_FILES_QUOTA": text}).files_quota == size


SECRETS = [field for field in FIELDS if field.secret]


@pytest.mark.parametrize("field", SECRETS, ids=lambda field: field.name)
@pytest.mark.parametrize("secret", ["x", "short", "a-long-secret-of-many-letters"])
@pytest.mark.parametrize("where", ["environment", "dotenv", "argument"])
def test_every_secret_setting_is_masked_wherever_it_comes_from(load, field, secret, where):
    settings = {
        "environment": lambda: load(environ={field.variable: secret}),
        "dotenv": lambda: load(f"{field.variable}={secret}\n"),
        "argument": lambda: load(**{field.name: secret}),
    }[where]()
    value = getattr(settings, field.name)
    assert value.reveal() == secret
    assert secret not in (repr(value), str(value))
    [row] = [row for row in settings.table().rows if row[0] == field.variable]
    assert row[1] == "••••••"


def test_there_are_secret_settings():
    names = {field.name for field in SECRETS}
    assert names == {*("github_token", "git_credentials", "llm_key", "mcp_token", "serve_token")}


@pytest.mark.parametrize(
    "field", [f for f in FIELDS if not f.secret and f.parse is str], ids=lambda f: f.name
)
def test_a_password_in_any_other_setting_is_masked_in_the_table(load, field):
    settings = load(environ={field.variable: f"https://ada:{PASSWORD}@host/x"})
    [row] = [row for row in settings.table().rows if row[0] == field.variable]
    assert PASSWORD not in row[1]
    assert row[1].startswith("https://ada:••••••@host")
