"""The fixture `hub`: each test has a home, a database and keys of its own, whatever is set."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import agentnb
from agentnb.core.settings import FIELDS
from agentnb.core.workflow import Task
from agentnb.testing import isolated_hub


@pytest.fixture
def run_tests(pytester, monkeypatch):
    """Return what runs tests in a process of their own, as a user's are, by the plugin alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # most of the time of such a run

    def run(*files, options=()):
        for number, text in enumerate(files):
            pytester.makepyfile(**{f"test_file{number}": textwrap.dedent(text)})
        options = ("-p", "agentnb.testing.plugin", "-p", "no:cacheprovider", *options)
        return pytester.runpytest_subprocess(*options)

    return run


@pytest.mark.parametrize("n", [1, 2])
def test_a_test_finds_nothing_of_another_one(hub, n):
    assert hub.db.tables().rows == []
    assert hub.cache.keys() == []
    assert hub.queues.names() == []
    assert hub.events.history() == []
    assert hub.workflows.list() == []
    assert not hub.files.exists("note.txt")
    hub.db.execute("create table left_over (n int)")
    hub.cache.set("left", n, ttl=60)
    hub.queue("left").add(n)
    hub.events.publish("left", n)
    hub.workflows.agent("left")(lambda task: task.data)
    hub.workflows.create("left", [Task("left")])
    hub.files.write_file("note.txt", "left")


def test_the_hub_is_closed_after_its_test(run_tests):
    found = run_tests(
        """
        KEPT = []

        def test_first(hub):
            hub.cache.set("a", 1, ttl=60)
            KEPT.append(hub)

        def test_second():
            assert KEPT[0].closed
        """
    )
    found.assert_outcomes(passed=2)


def test_what_the_developer_has_set_does_not_reach_the_hub(run_tests, monkeypatch, pytester):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("AGENTNB_QUEUE_LEASE", "77")
    pytester.path.joinpath(".env").write_text(
        "REDIS_URL=redis://127.0.0.1:1/0\nGITHUB_TOKEN=abc\nOTHER_TOKEN=abc\n"
    )
    found = run_tests(
        """
        import os
        import agentnb
        import pytest

        def test_settings(hub):
            for one in (hub, agentnb.connect()):
                assert one.settings.queue_lease == 30
                assert one.settings.github_token is None
                assert one.settings.source("redis_url") in {"argument", "environment"}
                assert one.db.query("select 1").scalar() == 1
                assert one.redis.ping()
                one.close()

        def test_no_variable_of_the_developers_env_is_there(hub):
            with pytest.raises(agentnb.ConfigError, match="not set"):
                hub.settings.variable("OTHER_TOKEN")

        def test_the_environment_is_as_before():
            assert os.environ["AGENTNB_QUEUE_LEASE"] == "77"
        """
    )
    found.assert_outcomes(passed=3)


def test_code_under_test_connects_to_the_hub_of_the_test(hub):
    hub.db.execute("create table note (text text)")
    hub.cache.set("a", 1, ttl=60)
    with agentnb.connect() as other:
        assert other.settings.home == hub.settings.home
        assert other.db.query("select * from note").rows == []
        assert other.cache.get("a") == 1


@pytest.mark.agentnb(database_url="sqlite://", queue_lease=7)
class TestMarks:
    def test_a_mark_gives_settings_to_the_hub(self, hub):
        assert hub.settings.database_url == "sqlite://"
        assert hub.settings.queue_lease == 7

    @pytest.mark.agentnb(queue_lease=9)
    def test_the_nearest_mark_wins(self, hub):
        assert hub.settings.queue_lease == 9
        assert hub.settings.database_url == "sqlite://"

    def test_workflows_are_kept_in_memory(self, hub):
        hub.workflows.agent("double")(lambda task: task.data * 2)
        workflow = hub.workflows.create("one", [Task("double", data=4)])
        hub.workflows.work()
        assert workflow.wait(timeout=30).result == {"double": 8}
        assert not (hub.settings.home / "agentnb.db").exists()


def test_workflows_in_memory_are_refused_elsewhere(tmp_path):
    with (
        agentnb.connect(home=tmp_path, database_url="sqlite://") as hub,
        pytest.raises(agentnb.ConfigError, match="outlive"),
    ):
        _ = hub.workflows


def test_a_misspelt_setting_of_a_mark_is_an_error(run_tests):
    found = run_tests(
        """
        import pytest

        @pytest.mark.agentnb(databse_url="sqlite://")
        def test_it(hub):
            pass
        """,
        options=("--strict-markers",),
    )
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*no such setting: databse_url*"])


def test_a_mark_with_a_value_that_has_no_name_is_an_error(run_tests):
    found = run_tests(
        """
        import pytest

        @pytest.mark.agentnb("sqlite://")
        def test_it(hub):
            pass
        """,
    )
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*the mark agentnb takes settings by name, got 'sqlite://'*"])


def test_keys_on_a_server_that_is_named_are_removed_and_no_others(shared_url, tmp_path):
    from agentnb.core.redis import RedisClient

    with RedisClient(shared_url) as redis:
        redis.set("another's", 1)
        with isolated_hub(tmp_path, redis_url=shared_url) as hub:
            hub.cache.set("a", 1, ttl=60)
            hub.queue("q").add(1)
            assert len(redis.keys()) > 1
        assert redis.keys() == [b"another's"]


def test_a_server_that_tests_share_keeps_nothing(tmp_path):
    from agentnb.core.redis import RedisClient
    from agentnb.testing.hubs import SharedServer

    server = SharedServer()
    with isolated_hub(tmp_path / "a", server=server) as hub:
        hub.queue("q").add(1)
        hub.redis.set("of no prefix", 1)
    with RedisClient(server.url) as redis:
        assert redis.dbsize() == 0
    server.close()


@pytest.fixture
def shared_url(redis_home):
    from agentnb.core.redis import RedisClient

    with RedisClient(home=redis_home) as redis:
        redis.ping()
        yield f"unix://{redis.target.options['path']}"


def test_the_server_and_the_folder_are_gone_after_the_block():
    with isolated_hub() as hub:
        hub.cache.set("a", 1, ttl=60)
        home, socket = hub.settings.home, Path(hub.redis.target.options["path"])
        assert socket.exists()
    assert not home.exists()
    assert not socket.exists()


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["one process", "xdist"])
def test_tests_of_several_processes_share_nothing(run_tests, options):
    text = """
        import pytest

        @pytest.mark.parametrize("n", range(6))
        def test_it(hub, n):
            hub.queue("q").work(lambda job: job.data + 1)
            assert hub.queue("q").add(n).result(timeout=30) == n + 1
            assert hub.queue("q").counts()["completed_total"] == 1
        """
    found = run_tests(text, options=options)
    found.assert_outcomes(passed=6)


def test_an_awaiting_test_uses_the_hub(run_tests):
    found = run_tests(
        """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it(hub):
            assert (await hub.db.aquery("select 1")).scalar() == 1
        """,
        options=("-p", "anyio"),
    )
    found.assert_outcomes(passed=1)


def test_the_plugin_is_installed_by_the_name_of_its_module():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    plugins = project["project"]["entry-points"]["pytest11"]
    assert plugins == {"agentnb.testing.plugin": "agentnb.testing.plugin"}


def test_the_plugin_loads_nothing_before_a_test_uses_it():
    program = (
        "import sys, pytest\n"
        "import agentnb.testing.plugin\n"
        "print(*sorted(one for one in sys.modules if one.startswith('agentnb')))\n"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["agentnb", "agentnb.testing", "agentnb.testing.plugin"]


def test_all_variables_are_the_tests_own(hub):
    own = {"AGENTNB_HOME", "AGENTNB_WORKSPACE", "AGENTNB_KEY_PREFIX", "REDIS_URL"}
    given = {field.variable for field in FIELDS if os.environ[field.variable]}
    assert given == own
    assert os.environ["AGENTNB_HOME"] == str(hub.settings.home)
