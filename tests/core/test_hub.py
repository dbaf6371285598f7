from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import threading
import weakref

import pytest

import agentnb
from agentnb.core.errors import ConfigError, NotFoundError, UnavailableError, UsageError
from agentnb.core.hub import Hub

PASSWORD = "hunter22"


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(home=tmp_path / ".agentnb", start=tmp_path) as made:
        yield made


def lines_of(home):
    return [
        json.loads(line)
        for path in home.rglob("*.jsonl*")
        for line in path.read_text().splitlines()
    ]


def test_nothing_is_opened_before_it_is_used(hub, tmp_path):
    assert repr(hub) == "Hub(nothing opened yet)"
    assert hub.health().column("state") == ["not opened", "not opened"]
    assert not (tmp_path / ".agentnb").exists()
    hub.db.query("select 1")
    assert repr(hub) == "Hub(opened: databases)"


def test_an_integration_is_opened_once_however_many_threads_ask(hub):
    found, barrier = [], threading.Barrier(8)

    def ask():
        barrier.wait()
        found.append((hub.db, hub.tracer, hub.logs))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_a_with_block_closes(tmp_path):
    with agentnb.connect(home=tmp_path) as hub:
        db = hub.db
        db.query("select 1")
    assert hub.closed
    assert repr(hub) == "Hub(closed)"
    del db


def test_a_closed_hub_says_so(hub):
    hub.db.query("select 1")
    hub.close()
    hub.close()
    for use in (lambda: hub.db, lambda: hub.databases, lambda: hub.tracer):
        with pytest.raises(UsageError, match="this hub is closed") as caught:
            use()
        assert "agentnb.connect()" in caught.value.hint
    assert "closed" in repr(hub.health())


class Recorder:
    def __init__(self, name, order, error=None):
        self.name, self.order, self.error = name, order, error

    def close(self):
        self.order.append(self.name)
        if self.error:
            raise self.error


def test_closing_goes_in_reverse_order(hub):
    order = []
    for name in ("first", "second", "third"):
        hub._opened[name] = Recorder(name, order)
    assert hub.stop() == ["third", "second", "first"]
    assert order == ["third", "second", "first"]


def test_what_fails_to_close_keeps_nothing_else_open(hub):
    order = []
    for name in ("first", "second", "third"):
        error = ValueError(name) if name == "second" else None
        hub._opened[name] = Recorder(name, order, error)
    with pytest.raises(ValueError, match="second"):
        hub.close()
    assert order == ["third", "second", "first"]


def test_logs_and_spans_are_closed_after_what_writes_them(hub, tmp_path):
    hub.db.query("select 1")
    hub.close()
    messages = [line.get("message") for line in lines_of(tmp_path)]
    assert messages.count("database disconnected") == 1
    assert [line["name"] for line in lines_of(tmp_path) if "name" in line] == ["connect", "query"]


def test_stop_opens_again_and_keeps_the_named_connections(hub):
    hub.databases.connect("other", f"sqlite:///{hub.settings.root}/other.db", read_only=False)
    hub.databases["other"].execute("create table t (a)")
    hub.db.query("select 1")
    assert hub.stop() == ["databases", "tracer", "logs"]
    assert hub.stop() == []
    assert hub.databases["other"].tables().column("name") == ["t"]
    assert hub.db.query("select 2").scalar() == 2


def test_reset_forgets_connections_and_reads_the_settings_again(tmp_path, monkeypatch):
    with Hub(start=tmp_path, home=tmp_path / "home") as hub:
        assert hub.settings.db_rows == 1000
        hub.databases.connect("other", "sqlite://")
        monkeypatch.setenv("AGENTNB_DB_ROWS", "7")
        hub.reset()
        assert hub.settings.db_rows == 7
        with pytest.raises(NotFoundError):
            hub.databases["other"]


def test_two_hubs_share_nothing(tmp_path):
    with (
        agentnb.connect(home=tmp_path / "a") as one,
        agentnb.connect(home=tmp_path / "b") as two,
    ):
        one.db.execute("create table only_here (a)")
        two.databases.connect("other", "sqlite://")
        assert len(two.db.tables()) == 0
        assert one.databases.names() == ["default"]
        assert one.tracer is not two.tracer
        one.close()
        assert two.db.query("select 1").scalar() == 1
        two.logs.flush()
        assert {line["data"]["target"] for line in lines_of(tmp_path / "b") if "data" in line} == {
            str(tmp_path / "b" / "agentnb.db")
        }


def test_health_is_of_what_is_open_and_goes_on_after_a_failure(hub):
    hub.databases.connect("far", "postgresql://nobody@127.0.0.1:1/none")
    hub.db.query("select 1")
    found = {row.service: row for row in hub.health()}
    assert found["db default"].state == "ok"
    assert found["db default"].ms >= 0
    assert found["db far"].state.startswith(("UnavailableError", "ConfigError"))
    with pytest.raises((UnavailableError, ConfigError)):
        hub.databases["far"].ping()


def test_a_hub_that_opened_nothing_is_not_kept(tmp_path):
    reference = weakref.ref(Hub(start=tmp_path))
    gc.collect()
    assert reference() is None


def test_a_hub_that_is_closed_is_not_kept(tmp_path):
    hub = agentnb.connect(home=tmp_path)
    hub.db.query("select 1")
    hub.close()
    reference = weakref.ref(hub)
    del hub
    gc.collect()
    assert reference() is None


def test_events_that_are_lost_at_exit_are_said_in_one_line(tmp_path):
    code = (
        "import agentnb, sys\n"
        f"hub = agentnb.connect(home={str(tmp_path)!r}, redis_url='redis://:hunter22@127.0.0.1:1')\n"
        "hub.events.publish('c', 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (line,) = [one for one in done.stderr.splitlines() if "was closed at exit" in one]
    assert "Traceback" not in done.stderr
    assert "hunter22" not in done.stderr
    assert line.startswith("agentnb: not all was closed at exit: 1 event")


def test_what_is_left_open_is_closed_at_exit(tmp_path):
    source = (
        "import agentnb\n"
        f"db = agentnb.connect(home={str(tmp_path)!r}).db\n"
        "db.execute('create table t (a)')\n"
    )
    found = subprocess.run(
        [sys.executable, "-X", "dev", "-c", source], capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    assert "database disconnected" in [line.get("message") for line in lines_of(tmp_path)]
    assert [line["name"] for line in lines_of(tmp_path) if "name" in line] == ["connect", "query"]
    assert not (tmp_path / "agentnb.db-wal").exists()


def test_connect_reads_the_settings_at_once(tmp_path):
    (tmp_path / ".env").write_text("AGENTNB_DB_ROWS=x\n")
    with pytest.raises(ConfigError):
        agentnb.connect(start=tmp_path)
    with pytest.raises(UsageError) as caught:
        agentnb.connect(databse_url="sqlite://")
    assert caught.value.hint == "did you mean database_url?"


def test_no_secret_is_in_repr_logs_or_spans(tmp_path):
    url = f"postgresql://ada:{PASSWORD}@127.0.0.1:1/app"
    with agentnb.connect(home=tmp_path, database_url=url) as hub:
        with pytest.raises((UnavailableError, ConfigError)) as caught:
            hub.db.query("select 1")
        logging.getLogger("agentnb.db").info("the password is %s", PASSWORD)
        shown = [
            repr(hub),
            repr(hub.db),
            repr(hub.settings),
            repr(hub.health()),
            repr(caught.value),
        ]
        shown += [repr(hub.databases.list()), *map(repr, hub.tracer.recent())]
        raised = caught.value
        while raised is not None:
            assert PASSWORD not in str(raised)
            raised = raised.__cause__
    files = [path.read_text() for path in tmp_path.rglob("*.jsonl*")]
    assert files
    assert all(PASSWORD not in text for text in shown + files)


def test_a_variable_is_had_through_the_hub_as_a_secret(hub, monkeypatch):
    monkeypatch.setenv("REPORTS_URL", "sqlite:///r.db")
    assert hub.variable("REPORTS_URL").reveal() == "sqlite:///r.db"


def test_panels_are_for_notebooks(hub):
    with pytest.raises(UsageError) as caught:
        hub.panel("db")
    assert "a script" in caught.value.hint


def test_the_notebook_opens_panels_and_wraps_processors(tmp_path):
    class Notebook:
        def open_panel(self, name, **options):
            return name, options

        def wrap_processor(self, processor):
            return lambda job: ["wrapped", processor(job)]

        def close_panels(self):
            closed.append(True)

    closed = []
    with Hub(home=tmp_path / ".agentnb", start=tmp_path, notebook=Notebook()) as hub:
        assert hub.panel("db", connection="x") == ("db", {"connection": "x"})
        assert hub.queues._wrap(lambda job: job)(1) == ["wrapped", 1]
    assert closed == [True]
